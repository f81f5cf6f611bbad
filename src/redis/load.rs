//! Loading the module: its arguments, configs, commands and subscriptions.

use crate::policy::{Capacity, Keyword};
use crate::redis::command::{self, RegisterError, Registration};
use crate::redis::config::{self, EventDetail};
use crate::redis::guard;
use crate::redis::server;
use crate::redis::server_events;
use crate::redis::stats;
use crate::redis::timer;
use redis_module::configuration::{
    ConfigurationFlags, register_bool_configuration, register_enum_configuration, register_i64_configuration,
    register_string_configuration,
};
use redis_module::{Context, RedisString, Status, raw};
use std::ffi::c_int;

/// Why the module cannot be loaded with these arguments.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum ArgumentError {
    /// Not the name of a config.
    #[error(
        "module argument {0} is not a config: use default-policy, autocreate, capacity or events (set hash-key in redis.conf)"
    )]
    Unknown(usize),
    /// A name without a value.
    #[error("module argument {0} has no value after it")]
    NoValue(usize),
    /// The same name again.
    #[error("module argument {0} is a config that was given before; give it once")]
    Repeated(usize),
    /// The default policy is invalid.
    #[error("module argument default-policy: {0}")]
    DefaultPolicy(String),
    /// Not a number of identities.
    #[error("module argument capacity must be a whole number from 1 to 1000000000")]
    Capacity,
    /// Neither yes nor no.
    #[error("module argument autocreate must be yes or no")]
    Autocreate,
    /// Not a detail of events.
    #[error("module argument events must be no, hashed or full")]
    Events,
}

/// Why the module cannot be loaded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum StartError {
    /// An argument is invalid.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The server has logged which, and why.
    #[error("a setting authlimit.* in redis.conf is invalid; the line above says why")]
    Configs,
    /// A command was refused.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

/// Prepares the server and registers `commands`. If that fails, the log says why.
pub(crate) fn prepare(ctx: &Context, arguments: &[RedisString], commands: &[Registration]) -> Status {
    guard::install_panic_hook();
    #[cfg(authlimit_sanitize)]
    crate::redis::planted::run();
    set_module_options(ctx);
    let words: Vec<&[u8]> = arguments.iter().map(RedisString::as_slice).collect();
    match try_prepare(ctx, &words, commands) {
        Ok(()) => Status::Ok,
        Err(error) => {
            server::log_warning(&format!("authlimit: {error}"));
            Status::Err
        }
    }
}

/// Registers configs and commands.
fn try_prepare(ctx: &Context, words: &[&[u8]], commands: &[Registration]) -> Result<(), StartError> {
    register_configs(ctx, &ModuleArguments::parse(words)?)?;
    command::add_acl_category(ctx);
    stats::register_section(ctx);
    commands.iter().try_for_each(|command| command.register(ctx))?;
    server_events::subscribe(ctx.ctx);
    server_events::refresh_eviction(ctx.ctx);
    timer::start(ctx.ctx);
    Ok(())
}

/// Registers the configs. A module argument is the default of a config, so that a line for the config in `redis.conf`
/// overrides it.
fn register_configs(ctx: &Context, arguments: &ModuleArguments) -> Result<(), StartError> {
    let flags = || ConfigurationFlags::DEFAULT;
    let policy = arguments.default_policy.as_deref();
    let policy = policy.unwrap_or(config::DEFAULT_POLICY_WORDS);
    register_string_configuration(ctx, "default-policy", &config::DEFAULT_POLICY, policy, flags(), None);
    let autocreate = arguments.autocreate.unwrap_or(true);
    register_bool_configuration(ctx, "autocreate", &config::AUTOCREATE, autocreate, flags(), None);
    let capacity = arguments.capacity.map(|c| i64::from(c.get()));
    register_i64_configuration(
        ctx,
        "capacity",
        &config::CAPACITY,
        capacity.unwrap_or(config::DEFAULT_CAPACITY),
        1,
        i64::from(Capacity::MAX.get()),
        flags(),
        None,
    );
    register_string_configuration(
        ctx,
        "hash-key",
        &config::HASH_KEY,
        "",
        ConfigurationFlags::IMMUTABLE | ConfigurationFlags::SENSITIVE,
        None,
    );
    register_enum_configuration(
        ctx,
        "events",
        &config::EVENTS,
        arguments.events.unwrap_or(EventDetail::Hashed),
        flags(),
        None,
    );
    // SAFETY: the context is that of the running load.
    let loaded = unsafe { api!(RedisModule_LoadConfigs(ctx.ctx)) };
    if loaded == Some(0) { Ok(()) } else { Err(StartError::Configs) }
}

/// Valkey's option by which a module allows `CLUSTER MIGRATESLOTS` (Valkey 9) to move its keys; without it the command
/// is refused on the whole server. The keys arrive in the form of the append-only file, followed by the effects of what
/// happens meanwhile, both from a client that counts as a primary.
const VALKEY_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION: u32 = 1 << 5;

/// Tells the server that a short read is reported rather than fatal, that a key is changed only when a command says so,
/// and on Valkey that limiters may be moved as a stream of commands.
fn set_module_options(ctx: &Context) {
    let mut options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED;
    // Redis may use the bit for something else one day.
    if ctx.server_info("server").field("valkey_version").is_some() {
        options |= VALKEY_OPTIONS_HANDLE_ATOMIC_SLOT_MIGRATION;
    }
    let options = c_int::try_from(options).unwrap_or_default();
    // SAFETY: the context is that of the running load.
    unsafe { api!(RedisModule_SetModuleOptions(ctx.ctx, options)) };
}

/// The words after the library's path: config names, each followed by its value.
///
/// The redis-module crate's macro could apply them, but it ignores unknown names, and a limiter with another policy
/// than the requested one is no protection.
#[derive(Default, Debug)]
struct ModuleArguments {
    default_policy: Option<String>,
    autocreate: Option<bool>,
    capacity: Option<Capacity>,
    events: Option<EventDetail>,
}

impl ModuleArguments {
    /// The known names.
    const NAMES: [&'static [u8]; 4] = [b"default-policy", b"autocreate", b"capacity", b"events"];

    /// Parses the words. A policy is all words up to the next name, since `CONFIG REWRITE` writes one of several words
    /// without its quotes.
    fn parse(words: &[&[u8]]) -> Result<Self, ArgumentError> {
        let mut parsed = Self::default();
        let mut seen = Vec::new();
        let mut rest = words;
        while let Some((name, after)) = rest.split_first() {
            let position = words.len().saturating_sub(after.len());
            if !Self::NAMES.contains(name) {
                return Err(ArgumentError::Unknown(position));
            }
            if seen.contains(name) {
                return Err(ArgumentError::Repeated(position));
            }
            seen.push(*name);
            let ends = |word: &&[u8]| Self::NAMES.contains(word);
            let len = match *name {
                b"default-policy" => after.iter().position(ends).unwrap_or(after.len()),
                _ => after.len().min(1),
            };
            let (value, next) = after.split_at_checked(len).unwrap_or((after, &[]));
            if value.is_empty() {
                return Err(ArgumentError::NoValue(position));
            }
            parsed.set(name, &value.join(&b' '))?;
            rest = next;
        }
        Ok(parsed)
    }

    /// Stores one value.
    fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), ArgumentError> {
        match name {
            b"default-policy" => {
                let words =
                    config::check_policy(value).map_err(|error| ArgumentError::DefaultPolicy(error.to_string()))?;
                self.default_policy = Some(words.to_owned());
            }
            b"autocreate" => {
                let is = |word: &[u8]| value.eq_ignore_ascii_case(word);
                self.autocreate = match (is(b"yes"), is(b"no")) {
                    (false, false) => return Err(ArgumentError::Autocreate),
                    (yes, _) => Some(yes),
                };
            }
            b"events" => {
                let detail = EventDetail::from_word(value).ok_or(ArgumentError::Events)?;
                self.events = Some(detail);
            }
            _ => {
                let capacity = Capacity::parse(value).map_err(|_| ArgumentError::Capacity)?;
                self.capacity = Some(capacity);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_all_words_up_to_the_next_name() {
        let words: [&[u8]; 5] = [b"default-policy", b"PAIR", b"3/1h", b"autocreate", b"no"];
        let parsed = ModuleArguments::parse(&words).unwrap();
        assert_eq!(parsed.default_policy.as_deref(), Some("PAIR 3/1h"));
        assert_eq!(parsed.autocreate, Some(false));
    }

    #[test]
    fn errors_name_the_word_at_fault() {
        let unknown: [&[u8]; 3] = [b"capacity", b"5", b"polcy"];
        let parsed = ModuleArguments::parse(&unknown);
        assert_eq!(parsed.err(), Some(ArgumentError::Unknown(3)));
        let too_small: [&[u8]; 2] = [b"capacity", b"0"];
        let parsed = ModuleArguments::parse(&too_small);
        assert_eq!(parsed.err(), Some(ArgumentError::Capacity));
        let twice: [&[u8]; 4] = [b"capacity", b"5", b"capacity", b"6"];
        let parsed = ModuleArguments::parse(&twice);
        assert_eq!(parsed.err(), Some(ArgumentError::Repeated(3)));
        let no_value: [&[u8]; 3] = [b"autocreate", b"yes", b"capacity"];
        let parsed = ModuleArguments::parse(&no_value);
        assert_eq!(parsed.err(), Some(ArgumentError::NoValue(3)));
    }
}
