//! The engine: exact sliding logs, and the decision over them, as a pure function of
//! (limiter, time, attempt).
//!
//! It knows nothing of Redis and reads no clock: time is an argument, and everything that changes
//! a limiter is an [`Effect`], a value that a replica or a log file can be sent and that
//! [`Limiter::apply`] carries out the same everywhere.
//!
//! | file | holds |
//! |---|---|
//! | `time` | [`Timestamp`]: milliseconds that fit a stamp |
//! | `attempt` | [`Attempt`], [`Cost`]: what is judged and counted |
//! | `stamp` | [`Stamp`]: one counted attempt in 8 bytes |
//! | `log` | the stamps of one identity, oldest first |
//! | `segment`, `table` | identities to logs, growing in small steps |
//! | `ledger` | one table per subject of the policy, and the ledger's own time |
//! | `judge` | a rule against a log; the binding rule; [`Verdict`] |
//! | `effect` | [`Effect`]: what is replicated |
//! | `limiter` | [`Limiter`]: the commands' entry points |
//! | `chunk` | a table as portable bytes, and back |

#![forbid(unsafe_code)]

mod attempt;
mod chunk;
mod effect;
mod judge;
mod ledger;
#[allow(
    clippy::module_inception,
    reason = "the layer is named for the thing it is about"
)]
mod limiter;
mod log;
mod segment;
mod stamp;
mod table;
mod time;

pub use attempt::{Attempt, Cost};
pub use chunk::{CHUNK_BYTES, ChunkError, Chunks};
pub use effect::{Effect, Genesis, TableGenesis};
pub use judge::Verdict;
pub use limiter::{AttemptError, Limiter, RuleTotals, SubjectUsage};
pub use stamp::Stamp;
pub use time::Timestamp;
