//! One call of a command: its arguments, its time, and what it replicates.

use crate::format::message;
use crate::limiter::{Effect, LimiterMetadata};
use crate::redis::error::CommandError;
use crate::redis::log::{self, Level};
use crate::redis::stats;
use crate::table::Timestamp;
use redis_module::raw;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::time::Duration;

/// The name of the internal command that carries effects to replicas and the append-only file.
pub(crate) const EFFECT_COMMAND: &CStr = c"AUTHLIMIT.EFFECT";

thread_local! {
    /// Where messages are written, one at a time: without an allocation for each.
    static MESSAGE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// One call of a command, alive only as long as the call.
pub(crate) struct CommandCall<'a> {
    pub(super) ctx: *mut raw::RedisModuleCtx,
    arguments: Arguments<'a>,
}

/// The arguments of a call. Positions count from 1 after the command's name, as error messages do;
/// 1 is the limiter's key.
#[derive(Clone, Copy)]
pub(crate) struct Arguments<'a> {
    strings: &'a [*mut raw::RedisModuleString],
    /// The strings are the server's, and end with the call.
    call: PhantomData<&'a raw::RedisModuleString>,
}

impl<'a> CommandCall<'a> {
    /// Takes what a command's callback is given.
    ///
    /// # Safety
    /// The arguments must be those of a callback that is running, and `'a` must end with it.
    pub(crate) unsafe fn new(
        ctx: *mut raw::RedisModuleCtx,
        argv: *mut *mut raw::RedisModuleString,
        argc: c_int,
    ) -> Self {
        let len = usize::try_from(argc).unwrap_or(0);
        // SAFETY: the server gives `argc` strings, which live as long as the call.
        let strings = unsafe { std::slice::from_raw_parts(argv, len) };
        Self { ctx, arguments: Arguments { strings, call: PhantomData } }
    }

    /// The arguments.
    pub(crate) fn arguments(&self) -> Arguments<'a> {
        self.arguments
    }

    /// The limiter's key, which is the first argument of every command.
    pub(super) fn key_name(&self) -> Result<*mut raw::RedisModuleString, CommandError> {
        let name = self.arguments.strings.get(1);
        name.copied().ok_or(CommandError::Arity)
    }

    /// The server's clock; a command reads it once.
    pub(crate) fn clock(&self) -> Result<Timestamp, CommandError> {
        clock()
    }

    /// Whether the call comes from the primary's replication stream or from a file that is being
    /// loaded, rather than from a client.
    pub(crate) fn is_replayed(&self) -> bool {
        let replayed = raw::REDISMODULE_CTX_FLAGS_REPLICATED | raw::REDISMODULE_CTX_FLAGS_LOADING;
        context_flags(self.ctx) & replayed != 0
    }

    /// Says in the log why an effect cannot be carried out. From the append-only file that ends the
    /// server, as a damaged file does: it would otherwise go on with limits forgotten. A replica goes
    /// on; the server logs each error there and follows `propagation-error-behavior`.
    pub(crate) fn give_up_replaying(&self, error: CommandError) {
        log::write(Level::Warning, &format!("authlimit: {error}"));
        let is_loading = context_flags(self.ctx) & raw::REDISMODULE_CTX_FLAGS_LOADING != 0;
        if is_loading {
            log::write(
                Level::Warning,
                "authlimit: the append-only file cannot be loaded without forgetting limits; exiting",
            );
            std::process::exit(1);
        }
    }

    /// Where what this call changes is told to replicas, the append-only file and watching clients.
    pub(crate) fn replication(&self) -> Result<Replication<'_>, CommandError> {
        Ok(Replication { ctx: self.ctx, key: self.key_name()?, call: PhantomData })
    }
}

/// Tells replicas, the append-only file and watching clients what a call changed at its key.
#[derive(Clone, Copy)]
pub(crate) struct Replication<'s> {
    ctx: *mut raw::RedisModuleCtx,
    key: *mut raw::RedisModuleString,
    /// Context and string are the call's.
    call: PhantomData<&'s ()>,
}

impl Replication<'_> {
    /// A limiter was created at the key.
    pub(crate) fn create(self, metadata: &LimiterMetadata) {
        self.send(&message::encode_create(metadata));
    }

    /// The limiter at the key was changed.
    pub(crate) fn effect(self, effect: &Effect) {
        self.replicate_silently(effect);
        self.signal_modified();
        stats::count_effect(effect);
    }

    /// The call itself is what others have to do, too.
    pub(crate) fn replicate_verbatim(self) {
        // SAFETY: the context is that of the running callback.
        unsafe { api!(RedisModule_ReplicateVerbatim(self.ctx)) };
        self.signal_modified();
    }

    /// Sends a message, and tells that the key was changed.
    fn send(self, message: &[u8]) {
        self.replicate(message);
        self.signal_modified();
    }

    /// Sends a message.
    fn replicate(self, message: &[u8]) {
        let (bytes, len) = (message.as_ptr().cast::<c_char>(), message.len());
        // SAFETY: the context is that of the running callback; the format takes a string of the
        // server's and a buffer with its length, which the server copies.
        let sent = unsafe {
            api!(RedisModule_Replicate(self.ctx, EFFECT_COMMAND.as_ptr(), c"sb".as_ptr(), self.key, bytes, len))
        };
        debug_assert_eq!(sent, Some(0), "the format fits the arguments");
    }

    /// For what is done with the limiter at a key outside of a command.
    ///
    /// # Safety
    /// Context and key must be those of a running callback, and `'s` must end with it.
    pub(super) unsafe fn for_timer(ctx: *mut raw::RedisModuleCtx, key: *mut raw::RedisModuleString) -> Self {
        Self { ctx, key, call: PhantomData }
    }

    /// The limiter at the key was changed in a way that nobody who asks can see.
    pub(super) fn replicate_silently(self, effect: &Effect) {
        let mut bytes = MESSAGE.take();
        message::encode_effect(effect, &mut bytes);
        self.replicate(&bytes);
        MESSAGE.set(bytes);
    }

    /// Tells the server that the key was changed, for WATCH and client-side caching.
    fn signal_modified(self) {
        // SAFETY: context and string are those of the running callback.
        unsafe { api!(RedisModule_SignalModifiedKey(self.ctx, self.key)) };
    }
}

/// The bytes of a string of the server's; none of a null one.
///
/// # Safety
/// The string must be null or one of the server's that lives, unchanged, for `'a`.
pub(super) unsafe fn string_bytes<'a>(string: *const raw::RedisModuleString) -> &'a [u8] {
    let mut len = 0;
    if string.is_null() {
        return &[];
    }
    // SAFETY: the string is the server's, and the length is where it is written.
    match unsafe { api!(RedisModule_StringPtrLen(string, &raw mut len)) } {
        // SAFETY: the server says that there are `len` bytes, which by the caller's promise nobody
        // changes.
        Some(bytes) if !bytes.is_null() => unsafe { std::slice::from_raw_parts(bytes.cast(), len) },
        _ => &[],
    }
}

/// The server's clock; a command reads it once.
///
/// # Errors
/// [`CommandError::Clock`] if it is set to before 1970 or after 2109.
pub(super) fn clock() -> Result<Timestamp, CommandError> {
    // SAFETY: takes nothing. Since Redis 7.2; the same for a whole transaction or script.
    let cached = unsafe { api!(RedisModule_CachedMicroseconds()) }
        .and_then(|micros| u64::try_from(micros).ok())
        .map(|micros| Duration::from_micros(micros).as_millis());
    let millis = match cached {
        Some(millis) => u64::try_from(millis).ok(),
        // SAFETY: takes nothing.
        None => unsafe { api!(RedisModule_Milliseconds()) }.and_then(|millis| u64::try_from(millis).ok()),
    };
    millis.and_then(Timestamp::from_millis).ok_or(CommandError::Clock)
}

/// The flags of a context, none on a server that does not tell.
pub(super) fn context_flags(ctx: *mut raw::RedisModuleCtx) -> u32 {
    // SAFETY: asks for nothing that a running callback's context has not.
    let flags = unsafe { api!(RedisModule_GetContextFlags(ctx)) }.unwrap_or(0);
    u32::try_from(flags).unwrap_or(0)
}

impl<'a> Arguments<'a> {
    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.strings.len().saturating_sub(1)
    }

    /// The argument at `position`.
    ///
    /// # Errors
    /// [`CommandError::Arity`] if there are fewer.
    pub(crate) fn require(self, position: usize) -> Result<&'a [u8], CommandError> {
        self.get(position).ok_or(CommandError::Arity)
    }

    /// The argument at `position`, if there are as many.
    pub(crate) fn get(self, position: usize) -> Option<&'a [u8]> {
        let string = self.strings.get(position)?;
        // SAFETY: the string is the server's and lives as long as the call.
        Some(unsafe { string_bytes(*string) })
    }

    /// The arguments from `position` on.
    pub(crate) fn from(self, position: usize) -> impl Iterator<Item = &'a [u8]> {
        (position..=self.len()).map_while(move |position| self.get(position))
    }
}
