//! The arguments of a call, read one after the other.

use crate::policy;
use crate::redis::error::CommandError;
use crate::redis::server::string_bytes;
use redis_module::raw;
use std::marker::PhantomData;

/// The arguments that are not read yet. Positions count from 1 after the command's name, as error messages do; 1 is the
/// limiter's key, which is not among them.
pub(crate) struct Arguments<'a> {
    rest: &'a [*mut raw::RedisModuleString],
    /// The position of the next argument.
    position: usize,
    /// The strings are the server's, and end with the call.
    call: PhantomData<&'a raw::RedisModuleString>,
}

impl<'a> Arguments<'a> {
    /// The arguments after the command's name and the key.
    pub(super) fn after_key(argv: &'a [*mut raw::RedisModuleString]) -> Self {
        Self { rest: argv.get(2..).unwrap_or_default(), position: 2, call: PhantomData }
    }

    /// The position of the next argument.
    pub(crate) fn next_position(&self) -> usize {
        self.position
    }

    /// Whether all arguments are read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next argument.
    ///
    /// # Errors
    /// [`CommandError::Arity`] if there is none.
    pub(crate) fn require(&mut self) -> Result<&'a [u8], CommandError> {
        self.next().ok_or(CommandError::Arity)
    }

    /// Reads the next argument as a number in decimal digits; `None` if it is missing or anything else.
    pub(crate) fn number(&mut self) -> Option<u32> {
        policy::digits(self.next()?).ok()
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`CommandError::Arity`] if there are arguments left.
    pub(crate) fn finish(self) -> Result<(), CommandError> {
        if self.is_empty() { Ok(()) } else { Err(CommandError::Arity) }
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (string, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.position = self.position.saturating_add(1);
        // SAFETY: the string is the server's and lives as long as the call.
        Some(unsafe { string_bytes(*string) })
    }
}
