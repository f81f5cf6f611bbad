//! Storage: which attempts each identity has made, and when.
//!
//! This layer knows identities and spans of time, and nothing of rules: what is stored, found, expired and evicted,
//! never what is allowed. Time is always an argument.
//!
//! | file | holds |
//! |---|---|
//! | `time` | [`Timestamp`] and `Cutoff`: points in time that fit a log entry |
//! | `entry` | `LogEntry`: what a log keeps of one attempt, in 8 or 24 bytes |
//! | `log` | `Log`: the entries of one identity, oldest first |
//! | `segment` | `Segment`: a small open-addressing hash table of logs |
//! | `table` | `Table`: all identities of one subject, in segments that split and merge |
//! | `sweep` | how a table returns memory: expired identities are removed, segments merged |
//! | `bulk_load` | how a table takes in stored logs |
//! | `defrag` | [`Defragmenter`]: moves memory blocks for a server that defragments its own |

#![forbid(unsafe_code)]

mod bulk_load;
mod defrag;
mod entry;
mod log;
mod segment;
mod sweep;
#[allow(clippy::module_inception, reason = "the layer is named for its main type")]
mod table;
mod time;

pub use defrag::Defragmenter;
pub use entry::AttemptEntry;
pub(crate) use entry::{DistinctEntry, Forgiven, LogEntry};
pub(crate) use log::Log;
pub(crate) use table::Table;
pub(crate) use time::Cutoff;
pub use time::Timestamp;
