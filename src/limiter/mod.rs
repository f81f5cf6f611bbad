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
//! | `stamp` | what a log keeps of an attempt: a [`Stamp`] in 8 bytes, or whom it was with |
//! | `log` | the marks of one identity, oldest first |
//! | `segment`, `table` | identities to logs, growing in small steps |
//! | `logs` | a table of either kind of log |
//! | `locks` | whom rules with `LOCK` have shut, and for how long |
//! | `series` | which logs a policy needs, and which of them each rule goes by |
//! | `ledger` | one table per series, and the ledger's own time |
//! | `access`, `access_chunk` | the lists of those who are never and always refused, and their bytes |
//! | `judge` | a rule against a log; the binding rule; [`Verdict`] |
//! | `effect` | [`Effect`]: what is replicated |
//! | `limiter` | [`Limiter`]: what it is made of, and how effects change it |
//! | `decide`, `forgive` | what can be asked of it: CHECK and PEEK; RESET, REFUND and UNLOCK |
//! | `reclaim` | how what has expired is let go while nobody asks |
//! | `relocate` | how its memory is defragmented |
//! | `watch` | whom a rule has begun to refuse, and who is refused most: to tell, not to decide by |
//! | `state` | what it holds, for saving, replicas and the curious |
//! | `chunk` | what was counted as portable bytes, and back |

#![forbid(unsafe_code)]

mod access;
mod access_chunk;
mod attempt;
mod chunk;
mod decide;
mod effect;
mod forgive;
mod judge;
mod ledger;
#[allow(
    clippy::module_inception,
    reason = "the layer is named for the thing it is about"
)]
mod limiter;
mod locks;
mod log;
mod logs;
mod reclaim;
mod relocate;
mod segment;
mod series;
mod stamp;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod watch;

pub use access::{AccessLists, Entry, List, ListFull, Listed, Listing};
pub use access_chunk::AccessChunkError;
pub use attempt::{Attempt, Cost, Party};
pub use chunk::{CHUNK_BYTES, ChunkError, Chunks, Part};
pub use effect::{Effect, Genesis, GenesisError, TableGenesis};
pub use judge::{Binding, Decision, RuleSet, Verdict};
pub use limiter::{AttemptError, Leftovers, Limiter, Received, RuleStanding, RuleTotals};
pub use reclaim::Reclaimed;
pub use relocate::{Mover, RelocateCursor};
pub use series::Series;
pub use stamp::Stamp;
pub use state::Usage;
pub use time::Timestamp;
pub(crate) use watch::cut;
pub use watch::{Beginning, BeginningKind, Beginnings, MostRefused, Names, Whom};
