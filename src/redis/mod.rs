//! Contact with the server: all of the module API, and all of the crate's `unsafe`.
//!
//! | file | holds |
//! |---|---|
//! | `alloc` | the allocator: Redis's, once there is one |
//! | `guard` | wraps every callback of Redis: a panic becomes an error |
//! | `error` | [`CommandError`](error::CommandError): every error reply |
//! | `server` | the server's log, clock and strings |
//! | `limiters` | all limiters of this server, by key and by address |
//! | `config` | `authlimit.default-policy` and the other settings |
//! | `stats` | the metrics in `INFO authlimit` |
//! | `replication` | what is sent to replicas and the append-only file |
//! | `arguments`, `call` | one call of a command: its arguments, time and reply |
//! | `native_type` | the data type: RDB, AOF rewrite, memory, digest, copy, defragmentation |
//! | `key` | the limiter at a key |
//! | `events` | Pub/Sub messages and keyspace notifications about refusals |
//! | `command` | how a command is declared, registered and called |
//! | `server_events` | keys that move, swapped databases, changed configuration |
//! | `timer` | background reclaiming |
//! | `load` | loading the module |
//! | `planted` | errors for `make sanitize` to find, in its build only |

/// Calls a function of the module API; `None` if this server has no such function. Use it in an `unsafe` block: the
/// caller is responsible for what the function requires. The table that its address is read from is filled in once,
/// before any callback runs.
macro_rules! api {
    ($function:ident($($argument:expr),* $(,)?)) => {
        redis_module::raw::$function.map(|function| function($($argument),*))
    };
}

pub(crate) mod alloc;
pub(crate) mod arguments;
pub(crate) mod call;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod guard;
pub(crate) mod key;
mod limiters;
pub(crate) mod load;
pub(crate) mod native_type;
#[cfg(authlimit_sanitize)]
mod planted;
pub(crate) mod replication;
mod server;
mod server_events;
pub(crate) mod stats;
mod timer;
