//! The engine: an exact sliding-window log, and the decision over it, as a pure function of (limiter, time, attempt).
//!
//! It knows nothing of Redis and reads no clock: time is an argument. Everything that changes a limiter is an
//! [`Effect`], a value that is sent to replicas and files, and that [`Limiter::apply`] applies the same everywhere.
//!
//! | file | holds |
//! |---|---|
//! | `attempt`, `request` | [`Attempt`]: what is evaluated and counted; from the words of a command to its ids |
//! | `effect` | [`Effect`]: what changes a limiter, and is replicated |
//! | `subject_table` | one table: the identities of one subject, with their logs and locks |
//! | `plan` | which tables a policy needs, and where its rules find their logs and locks |
//! | `ledger` | all tables that a policy needs, and the ledger's own time |
//! | `locks` | identities that rules with `LOCK` have locked |
//! | `unlocks` | when emails were unlocked, and with them all their pairs |
//! | `lists`, `membership` | the allow and deny lists |
//! | `evaluate` | a rule against a log; the binding rule; [`Verdict`] |
//! | `limiter` | [`Limiter`]: what it is made of, and how effects change it |
//! | `check`, `forgive` | CHECK and PEEK; RESET, REFUND and UNLOCK |
//! | `maintenance` | reclaiming what has expired, and defragmenting |
//! | `refusals`, `report` | who is refused, how rules stand, memory: for operators; no decision depends on it |
//! | `snapshot` | [`LimiterMetadata`]: what a stored copy is created from |

#![forbid(unsafe_code)]

mod attempt;
mod check;
mod effect;
mod evaluate;
mod forgive;
pub(crate) mod ledger;
#[allow(clippy::module_inception, reason = "the layer is named for its main type")]
mod limiter;
mod lists;
pub(crate) mod locks;
mod maintenance;
mod membership;
pub(crate) mod plan;
mod refusals;
mod report;
mod request;
mod snapshot;
pub(crate) mod subject_table;
#[cfg(test)]
mod tests;
pub(crate) mod unlocks;

pub use attempt::{Attempt, AttemptIds};
pub use effect::{Effect, EffectError, RuleSet, UnlockTarget};
pub use evaluate::{Binding, Decision, Verdict};
pub use ledger::CarryOver;
pub use limiter::{Limiter, RetiredTables, RuleTotals};
pub use lists::{List, ListEntry, ListFull, ListKey, ListMatch, ListTarget, Lists};
pub use maintenance::{DefragCursor, Reclaimed};
pub(crate) use refusals::truncated;
pub use refusals::{ClearText, MostRefused, RefusalEvent, RefusalEventKind, RefusalEvents, TopSubject};
pub use report::{RuleStatus, Usage};
pub use request::{AttemptError, AttemptRequest};
pub(crate) use snapshot::StoredState;
pub use snapshot::{LimiterMetadata, MetadataError, TableMetadata};
pub use subject_table::LogKind;
