//! authlimit: a Redis module that guards login, sign-up, password-reset and one-time-code endpoints.
//!
//! The layers, each knowing only those before it:
//!
//! - [`identity`]: addresses and emails to keyed ids;
//! - [`policy`]: the rules a limiter goes by, and their words;
//! - [`table`]: which attempts each identity has made, and when;
//! - [`limiter`]: the engine, which knows nothing of Redis;
//! - [`format`]: every byte that is stored or sent;
//! - `redis`: every contact with the server;
//! - `commands`: one file each;
//! - this file: what the module registers.

pub mod format;
pub mod identity;
pub mod limiter;
pub mod policy;
pub mod table;

mod commands;
mod redis;

use crate::commands::{Allow, ApplyEffect, Check, Deny, Info, Peek, Refund, Reset, SetPolicy, Top, Unlock};
use crate::redis::command::{Register, register};

/// The commands, in the order of the manual.
const COMMANDS: &[Register] = &[
    register::<Check<'_>>,
    register::<Peek<'_>>,
    register::<Reset<'_>>,
    register::<Refund<'_>>,
    register::<SetPolicy>,
    register::<Info>,
    register::<Unlock<'_>>,
    register::<Top>,
    register::<Allow>,
    register::<Deny>,
    register::<ApplyEffect<'_>>,
];

/// What the server calls when it loads the library.
#[allow(missing_docs, reason = "the macro's functions have none")]
mod module {
    use crate::COMMANDS;
    use crate::redis::alloc::ServerAllocator;
    use crate::redis::load;
    use crate::redis::native_type::LIMITER_TYPE;
    use redis_module::{Context, RedisString, Status, redis_module};

    /// Prepares the server and registers the commands.
    fn init(ctx: &Context, arguments: &[RedisString]) -> Status {
        load::prepare(ctx, arguments, COMMANDS)
    }

    redis_module! {
        name: "authlimit",
        version: 100,
        allocator: (ServerAllocator, ServerAllocator),
        data_types: [LIMITER_TYPE],
        init: init,
        commands: [],
    }
}
