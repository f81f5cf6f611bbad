//! What is done once, when the module is loaded.

use crate::policy::Capacity;
use crate::redis::command::{Register, RegisterError};
use crate::redis::config;
use crate::redis::guard;
use crate::redis::log::{self, Level};
use redis_module::{Context, RedisString, Status, raw};
use std::ffi::c_int;

/// Why the module cannot be loaded with these arguments.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum ArgumentError {
    /// Not the name of a config.
    #[error("module argument {0} is no config: there are default-policy, autocreate and capacity")]
    Unknown(usize),
    /// A name without a value.
    #[error("module argument {0} has no value after it")]
    NoValue(usize),
    /// The default policy is none.
    #[error("module argument default-policy: {0}")]
    DefaultPolicy(String),
    /// No number of identities.
    #[error("module argument capacity must be a whole number from 1 to 1000000000")]
    Capacity,
    /// Neither yes nor no.
    #[error("module argument autocreate must be yes or no")]
    Autocreate,
}

/// Why the module cannot be loaded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum StartError {
    /// An argument is wrong.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// A command is refused.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// Prepares the server and registers `commands`. Says in the log why it cannot, if so.
pub(crate) fn prepare(ctx: &Context, arguments: &[RedisString], commands: &[Register]) -> Status {
    guard::install_panic_hook();
    set_module_options(ctx);
    let checked = check_arguments(arguments).map_err(StartError::from);
    let prepared =
        checked.and_then(|()| Ok(commands.iter().try_for_each(|register| register(ctx))?));
    match prepared {
        Ok(()) => Status::Ok,
        Err(error) => {
            log::write(Level::Warning, &format!("authlimit: {error}"));
            Status::Err
        }
    }
}

/// Tells the server that a short read is reported rather than fatal, and that a key is changed only
/// when a command says so.
fn set_module_options(ctx: &Context) {
    let options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS
        | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED;
    let options = c_int::try_from(options).unwrap_or_default();
    // SAFETY: the context is that of the running load.
    unsafe { api!(RedisModule_SetModuleOptions(ctx.ctx, options)) };
}

/// Checks the words after the library's path. The redis-module crate applies them, but passes over
/// what it does not know, and a limiter with another policy than was asked for is no protection.
fn check_arguments(arguments: &[RedisString]) -> Result<(), ArgumentError> {
    let mut numbered = arguments.iter().map(RedisString::as_slice).zip(1..);
    while let Some((name, position)) = numbered.next() {
        let value = numbered.next().map(|(value, _)| value);
        let value = || value.ok_or(ArgumentError::NoValue(position));
        match name {
            b"default-policy" => {
                config::check_policy(value()?)
                    .map_err(|error| ArgumentError::DefaultPolicy(error.to_string()))?;
            }
            b"autocreate" => match value()? {
                b"yes" | b"no" => {}
                _ => return Err(ArgumentError::Autocreate),
            },
            b"capacity" => {
                Capacity::parse(value()?).map_err(|_| ArgumentError::Capacity)?;
            }
            _ => return Err(ArgumentError::Unknown(position)),
        }
    }
    Ok(())
}
