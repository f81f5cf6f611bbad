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
    /// A capacity that would become part of the policy before it.
    #[error(
        "module argument {0}: write capacity before default-policy; CONFIG REWRITE drops the quotes of the policy, and capacity would then be read as its option"
    )]
    CapacityAfterPolicy(usize),
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
    let own_category = command::add_acl_category(ctx);
    stats::register_section(ctx);
    commands.iter().try_for_each(|command| command.register(ctx, own_category.as_slice()))?;
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

/// The words after the library's path: config names in upper or lower case, each followed by its value.
///
/// The redis-module crate's macro could apply them, but it ignores unknown names, and a limiter with another policy
/// than the requested one is no protection.
///
/// `CONFIG REWRITE` writes the words without their quotes, so words and the same words without quotes must mean the
/// same, or be an error.
#[derive(Default, Debug)]
struct ModuleArguments {
    default_policy: Option<String>,
    autocreate: Option<bool>,
    capacity: Option<Capacity>,
    events: Option<EventDetail>,
}

/// The name of a module argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ArgumentName {
    DefaultPolicy,
    Autocreate,
    Capacity,
    Events,
}

impl Keyword for ArgumentName {
    const ALL: &'static [Self] = &[Self::DefaultPolicy, Self::Autocreate, Self::Capacity, Self::Events];

    fn word(self) -> &'static str {
        match self {
            Self::DefaultPolicy => "default-policy",
            Self::Autocreate => "autocreate",
            Self::Capacity => "capacity",
            Self::Events => "events",
        }
    }
}

impl ModuleArguments {
    /// Parses the words.
    fn parse(words: &[&[u8]]) -> Result<Self, ArgumentError> {
        let mut parsed = Self::default();
        let mut seen = Vec::new();
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            let position = words.len().saturating_sub(after.len());
            let name = ArgumentName::from_word(word).ok_or(ArgumentError::Unknown(position))?;
            if seen.contains(&name) {
                return Err(ArgumentError::Repeated(position));
            }
            seen.push(name);
            let len = match name {
                ArgumentName::DefaultPolicy => Self::policy_len(after, position)?,
                _ => after.len().min(1),
            };
            let (value, next) = after.split_at_checked(len).unwrap_or((after, &[]));
            if value.is_empty() {
                return Err(ArgumentError::NoValue(position));
            }
            parsed.set(name, value)?;
            rest = next;
        }
        Ok(parsed)
    }

    /// How many of the words after `default-policy`, which is at `position`, are the policy: all up to the next name,
    /// but `capacity` is an option of a policy, too.
    fn policy_len(after: &[&[u8]], position: usize) -> Result<usize, ArgumentError> {
        let name = |word: &&[u8]| ArgumentName::from_word(word);
        let ends = |word: &&[u8]| name(word).is_some_and(|name| name != ArgumentName::Capacity);
        let len = after.iter().position(ends).unwrap_or(after.len());
        let policy = || after.iter().take(len);
        let is_quoted = policy().any(|word| word.iter().any(u8::is_ascii_whitespace));
        let capacity = policy().position(|word| name(word).is_some()).filter(|_| is_quoted);
        match capacity {
            Some(index) => Err(ArgumentError::CapacityAfterPolicy(position.saturating_add(index).saturating_add(1))),
            None => Ok(len),
        }
    }

    /// Stores one value.
    fn set(&mut self, name: ArgumentName, value: &[&[u8]]) -> Result<(), ArgumentError> {
        let value = value.join(&b' ');
        match name {
            ArgumentName::DefaultPolicy => {
                let words =
                    config::check_policy(&value).map_err(|error| ArgumentError::DefaultPolicy(error.to_string()))?;
                // Spaces are lost with the quotes.
                self.default_policy = Some(words.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
            }
            ArgumentName::Autocreate => {
                let is = |word: &[u8]| value.eq_ignore_ascii_case(word);
                self.autocreate = match (is(b"yes"), is(b"no")) {
                    (false, false) => return Err(ArgumentError::Autocreate),
                    (yes, _) => Some(yes),
                };
            }
            ArgumentName::Events => {
                let detail = EventDetail::from_word(&value).ok_or(ArgumentError::Events)?;
                self.events = Some(detail);
            }
            ArgumentName::Capacity => {
                let capacity = Capacity::parse(&value).map_err(|_| ArgumentError::Capacity)?;
                self.capacity = Some(capacity);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses words: each is one argument, or several between `'`.
    fn parse(line: &str) -> Result<[String; 4], ArgumentError> {
        let quoted = line.split('\'').enumerate();
        let words = quoted.flat_map(|(index, part)| match index % 2 {
            0 => part.split_ascii_whitespace().collect(),
            _ => vec![part],
        });
        let words: Vec<&[u8]> = words.map(str::as_bytes).collect();
        let ModuleArguments { default_policy, autocreate, capacity, events } = ModuleArguments::parse(&words)?;
        let shown = |value: Option<String>| value.unwrap_or_default();
        Ok([
            shown(default_policy),
            shown(autocreate.map(|autocreate| autocreate.to_string())),
            shown(capacity.map(|capacity| capacity.get().to_string())),
            shown(events.map(|events| events.word().to_owned())),
        ])
    }

    #[test]
    fn a_policy_is_all_words_up_to_the_next_name() {
        let expected = ["PAIR 3/1h IP 90/1d", "false", "", ""].map(str::to_owned);
        assert_eq!(parse("default-policy 'PAIR 3/1h IP 90/1d' autocreate no"), Ok(expected.clone()));
        assert_eq!(parse("default-policy PAIR 3/1h IP 90/1d autocreate no"), Ok(expected.clone()));
        assert_eq!(parse("Autocreate NO DEFAULT-POLICY 'PAIR  3/1h' ' IP 90/1d '"), Ok(expected));
    }

    #[test]
    fn words_mean_the_same_without_their_quotes() {
        let policy = ["PAIR 3/1h capacity 9", "", "", ""].map(str::to_owned);
        for line in ["default-policy 'PAIR 3/1h capacity 9'", "default-policy PAIR 3/1h capacity 9"] {
            assert_eq!(parse(line), Ok(policy.clone()), "{line}");
        }
        let both = ["PAIR 3/1h CAPACITY 9", "true", "8", "full"].map(str::to_owned);
        for line in [
            "capacity 8 default-policy 'PAIR 3/1h CAPACITY 9' autocreate yes events full",
            "capacity 8 default-policy PAIR 3/1h CAPACITY 9 autocreate yes events full",
            "default-policy PAIR 3/1h CAPACITY 9 Events full Capacity 8 Autocreate yes",
        ] {
            assert_eq!(parse(line), Ok(both.clone()), "{line}");
        }
        for line in ["default-policy 'PAIR 3/1h' capacity 9", "default-policy 'PAIR 3/1h' CAPACITY 9"] {
            assert_eq!(parse(line), Err(ArgumentError::CapacityAfterPolicy(3)), "{line}");
        }
    }

    #[test]
    fn errors_name_the_word_at_fault() {
        assert_eq!(parse("capacity 5 polcy"), Err(ArgumentError::Unknown(3)));
        assert_eq!(parse("capacity 0"), Err(ArgumentError::Capacity));
        assert_eq!(parse("capacity 5 CAPACITY 6"), Err(ArgumentError::Repeated(3)));
        assert_eq!(parse("autocreate yes capacity"), Err(ArgumentError::NoValue(3)));
        assert_eq!(parse("default-policy autocreate yes"), Err(ArgumentError::NoValue(1)));
    }
}
