//! Every contact with the server: all of the module API, and all of the crate's `unsafe`.
//!
//! | file | holds |
//! |---|---|
//! | `alloc` | the allocator: Redis's, once there is one |
//! | `guard` | what every callback of Redis goes through: a panic becomes an error |
//! | `command` | how a command is declared, registered and called |
//! | `call` | one call of a command: arguments, clock, replication |
//! | `reply` | replies |
//! | `key` | the limiter at a key |
//! | `error` | [`CommandError`](error::CommandError): everything a client can be told |
//! | `config` | `authlimit.default-policy` and the other settings |
//! | `native_type` | the data type and its callbacks |
//! | `persistence` | RDB and AOF rewrite |
//! | `header`, `message` | the stored and replicated bytes; `format.md` tells of all of them |
//! | `registry` | where the limiters of this server are |
//! | `cron` | reclaiming while nobody asks |
//! | `defrag` | moving limiters' memory for the server |
//! | `server_events` | what the server tells of itself |
//! | `eviction` | whether it may evict limiters |
//! | `instances` | all limiters of the process, by address |
//! | `events` | what subscribers are told of refusals |
//! | `stats` | the section of `INFO` |
//! | `log` | the server's log |
//! | `start` | what is done once, when the module is loaded |

/// Calls a function of the module API, `None` if this server has no such function. To be used in an
/// `unsafe` block: what the function asks for is the caller's to see to; the table that its address
/// is read from is filled in once, before any callback runs.
macro_rules! api {
    ($function:ident($($argument:expr),* $(,)?)) => {
        redis_module::raw::$function.map(|function| function($($argument),*))
    };
}

pub(crate) mod alloc;
pub(crate) mod call;
pub(crate) mod command;
pub(crate) mod config;
mod defrag;
pub(crate) mod error;
pub(crate) mod events;
mod eviction;
pub(crate) mod guard;
mod instances;
pub(crate) mod key;
mod limiters;
pub(crate) mod load;
mod log;
pub(crate) mod native_type;
mod persistence;
mod reply;
mod server_events;
pub(crate) mod stats;
mod timer;
