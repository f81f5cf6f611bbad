//! authlimit: a Redis module that guards login, sign-up, password-reset and one-time-code endpoints.
//!
//! The layers, each knowing only those before it:
//!
//! - [`identity`]: addresses and emails to keyed ids;
//! - [`policy`]: the rules of a limiter, and their words;
//! - [`table`]: which attempts each identity has made, and when;
//! - [`limiter`]: the engine, which knows nothing of Redis;
//! - [`mod@format`]: every byte that is stored or replicated;
//! - `redis`: all contact with the server;
//! - `commands`: the commands, one file each;
//! - this file: what the module registers.
//!
//! The way of a CHECK: `commands::check` parses the arguments; `limiter::request` makes ids of the address and the
//! email (`identity::ip`, `email`, `id`); `limiter::check` evaluates the rules (`evaluate`) against the logs in the
//! `ledger`, whose `subject_table`s find them by id in a `table::table`; an admitted attempt becomes an `Effect`, which
//! is counted there and sent to replicas (`format::message`); and `redis::call` replies the verdict.

// See `module`.
#![cfg_attr(miri, allow(dead_code))]

pub mod format;
pub mod identity;
pub mod limiter;
pub mod policy;
pub mod table;

mod commands;
mod redis;

use crate::commands::{Allow, ApplyEffect, Check, Deny, Info, Peek, Refund, Reset, SetPolicy, ShowList, Top, Unlock};
use crate::redis::command::Registration;
use crate::redis::replication::EFFECT_COMMAND;

/// The commands, in the order of the manual: name, arity, flags.
const COMMANDS: &[Registration] = &[
    Registration::of::<Check<'_>>(c"AUTHLIMIT.CHECK", -4, c"write deny-oom fast no-monitor no-slowlog"),
    Registration::of::<Peek<'_>>(c"AUTHLIMIT.PEEK", -4, c"readonly fast no-monitor no-slowlog"),
    Registration::of::<Reset<'_>>(c"AUTHLIMIT.RESET", -4, c"write no-monitor no-slowlog"),
    Registration::of::<Refund<'_>>(c"AUTHLIMIT.REFUND", -4, c"write no-monitor no-slowlog"),
    Registration::of::<SetPolicy>(c"AUTHLIMIT.POLICY", -2, c"write deny-oom").dangerous(),
    Registration::of::<Info>(c"AUTHLIMIT.INFO", 2, c"readonly"),
    Registration::of::<Unlock<'_>>(c"AUTHLIMIT.UNLOCK", -3, c"write no-monitor no-slowlog").dangerous(),
    Registration::of::<Top>(c"AUTHLIMIT.TOP", -3, c"readonly"),
    Registration::of::<Allow>(c"AUTHLIMIT.ALLOW", -3, c"write deny-oom no-monitor no-slowlog").dangerous(),
    Registration::of::<Deny>(c"AUTHLIMIT.DENY", -3, c"write deny-oom no-monitor no-slowlog").dangerous(),
    Registration::of::<ShowList>(c"AUTHLIMIT.LIST", 3, c"readonly"),
    Registration::of::<ApplyEffect<'_>>(EFFECT_COMMAND, 3, c"write fast deny-script no-monitor no-slowlog").dangerous(),
];

/// The module's version, from Cargo.toml, as the number that Redis shows: 0.1.0 is 100.
const VERSION: i32 =
    version_number(env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH"))
        .expect("minor and patch version are below 100");

/// Returns a version as one number, two digits each for minor and patch version.
const fn version_number(major: &str, minor: &str, patch: &str) -> Option<i32> {
    let parts = (i32::from_str_radix(major, 10), i32::from_str_radix(minor, 10), i32::from_str_radix(patch, 10));
    match parts {
        (Ok(major), Ok(minor @ 0..100), Ok(patch @ 0..100)) => {
            Some(major.saturating_mul(10_000).saturating_add(minor.saturating_mul(100)).saturating_add(patch))
        }
        _ => None,
    }
}

/// What the server calls when it loads the library. Not under Miri: the allocator would read statics of C, which Miri
/// does not know, before every test of the engine.
#[cfg(not(miri))]
#[allow(missing_docs, reason = "the macro's functions have none")]
mod module {
    use crate::redis::alloc::ServerAllocator;
    use crate::redis::load;
    use crate::redis::native_type::LIMITER_TYPE;
    use crate::{COMMANDS, VERSION};
    use redis_module::{Context, RedisString, Status, redis_module};

    /// Prepares the server and registers the commands.
    fn init(ctx: &Context, arguments: &[RedisString]) -> Status {
        load::prepare(ctx, arguments, COMMANDS)
    }

    redis_module! {
        name: "authlimit",
        version: VERSION,
        allocator: (ServerAllocator, ServerAllocator),
        data_types: [LIMITER_TYPE],
        init: init,
        commands: [],
    }
}

#[cfg(test)]
mod tests {
    use super::version_number;

    #[test]
    fn a_version_is_one_number() {
        assert_eq!(version_number("0", "1", "0"), Some(100));
        assert_eq!(version_number("12", "34", "56"), Some(123_456));
    }

    #[test]
    fn a_version_that_could_be_taken_for_another_is_not_a_number() {
        for [major, minor, patch] in [["0", "100", "0"], ["0", "0", "100"], ["0", "-1", "0"], ["x", "0", "0"]] {
            assert_eq!(version_number(major, minor, patch), None, "{major}.{minor}.{patch}");
        }
    }
}
