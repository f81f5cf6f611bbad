//! What a limiter has counted as portable bytes, and back.
//!
//! A chunk is a run of records of one [`Part`], all numbers little-endian and of fixed width. A log:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the identity's id |
//! | 4 | n, the number of marks, at least 1 |
//! | 8 n or 16 n | the marks, oldest first |
//!
//! The mark of an attempt is its stamp: 42 bits of time, in milliseconds since the Unix epoch, above
//! 22 bits of tag. That of a subject which counts different emails or addresses is the stamp of the
//! last attempt (8 bytes; its tag is 0 if there were several) and the other party's id (8).
//!
//! A log too long for one chunk goes on in the next, in a record with the same id. A lock:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the identity's id |
//! | 1 | which of the table's rules with `LOCK` it is, from 0 |
//! | 1 | 1 if the rule has admitted something since, else 0 |
//! | 8 | until when it is shut, in milliseconds since the Unix epoch |
//! | 8 | how long the lock is, in milliseconds |
//!
//! A list entry is laid out in `access_chunk`. Only what still counts at the ledger's newest time is
//! written.

mod load;

use crate::identity::Id;
use crate::limiter::access::AccessLists;
use crate::limiter::access_chunk::{self, AccessChunkError};
use crate::limiter::ledger::{Ledger, LogTable};
use crate::limiter::log::Log;
use crate::limiter::logs::Logs;
use crate::limiter::stamp::Mark;
use crate::limiter::table::Table;
use crate::limiter::time::{Cutoff, Timestamp};

/// About how many bytes a chunk has; none has more.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes of a lock's record.
const LOCK_RECORD: usize = 26;

/// Bytes of a log's record before its marks.
const RECORD_HEAD: usize = 12;

/// Why a chunk was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// The policy needs no such table.
    #[error("a chunk is of a table that the limiter's policy does not need")]
    ForeignTable,
    /// The bytes end within a record.
    #[error("a chunk ends in the middle of a record")]
    Truncated,
    /// A record without marks.
    #[error("a chunk has an identity without attempts")]
    EmptyLog,
    /// A mark without a time.
    #[error("a chunk has an attempt without a time")]
    NoTime,
    /// Marks out of order.
    #[error("a chunk has attempts out of the order of time")]
    OutOfOrder,
    /// A mark newer than the ledger's newest time.
    #[error("a chunk has an attempt from after the limiter's newest time")]
    FromTheFuture,
    /// The ids are not what hashing makes.
    #[error("the identities of a chunk are not keyed hashes")]
    Skewed,
    /// A lock of a rule that has none, without end, or from after the limiter's newest time.
    #[error("a chunk has a lock that no rule of the policy makes")]
    ForeignLock,
    /// List entries that are none.
    #[error(transparent)]
    Access(#[from] AccessChunkError),
}

/// What the records of a chunk are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Logs of the table with this index.
    Logs(u8),
    /// Locks of the table with this index.
    Locks(u8),
    /// Entries of the lists.
    Access,
}

/// The chunks of a limiter, one at a time, so that saving needs little memory.
pub struct Chunks<'a>(Box<dyn Iterator<Item = (Part, Vec<u8>)> + 'a>);

impl<'a> Chunks<'a> {
    /// The chunks of `ledger` and `access`.
    pub(crate) fn new(ledger: &'a Ledger, access: &'a AccessLists) -> Self {
        let newest = ledger.newest;
        let tables = (0..=u8::MAX).zip(&ledger.tables);
        let of_tables = tables.flat_map(move |(index, table)| {
            let cutoff = table.cutoff(newest);
            let logs: Box<dyn Iterator<Item = Vec<u8>>> = match &table.logs {
                Logs::Attempts(logs) => Box::new(Records::of(logs, cutoff)),
                Logs::Parties(logs) => Box::new(Records::of(logs, cutoff)),
            };
            let logs = logs.map(move |chunk| (Part::Logs(index), chunk));
            let locks = lock_chunks(table, newest).map(move |chunk| (Part::Locks(index), chunk));
            logs.chain(locks)
        });
        let entries = live_entries(access, newest).map(|chunk| (Part::Access, chunk));
        Self(Box::new(of_tables.chain(entries)))
    }
}

impl Iterator for Chunks<'_> {
    type Item = (Part, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

/// The live logs of one table that were not written yet.
struct Records<'a, M: Mark> {
    logs: Box<dyn Iterator<Item = Remainder<'a, M>> + 'a>,
    /// What did not fit the last chunk.
    pending: Option<Remainder<'a, M>>,
}

/// What is still to be written of a log: the marks from `first` on.
struct Remainder<'a, M: Mark> {
    id: Id,
    log: &'a Log<M>,
    first: usize,
}

impl<'a, M: Mark> Records<'a, M> {
    /// The records of what `cutoff` has not passed.
    fn of(table: &'a Table<M>, cutoff: Cutoff) -> Self {
        let logs = table.iter().filter_map(move |(id, log)| {
            let first = log.first_after(cutoff);
            (first < log.len()).then_some(Remainder { id, log, first })
        });
        Self {
            logs: Box::new(logs),
            pending: None,
        }
    }
}

impl<M: Mark> Iterator for Records<'_, M> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        Some(self.chunk()).filter(|chunk| !chunk.is_empty())
    }
}

/// The list entries that have not ended, as chunks.
pub(crate) fn live_entries(
    access: &AccessLists,
    newest: Timestamp,
) -> impl Iterator<Item = Vec<u8>> {
    let live = access.iter().filter(move |listing| listing.is_live(newest));
    access_chunk::encode_entries(live, CHUNK_BYTES)
}

/// The live locks of a table.
fn lock_chunks(table: &LogTable, newest: Timestamp) -> impl Iterator<Item = Vec<u8>> {
    let mut locks = table.live_locks(newest);
    std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        for (id, rule, state) in locks.by_ref().take(CHUNK_BYTES / LOCK_RECORD) {
            bytes.extend(id.raw().to_le_bytes());
            bytes.extend([rule, u8::from(state.armed)]);
            bytes.extend(state.until.as_millis().to_le_bytes());
            bytes.extend(state.length.get().to_le_bytes());
        }
        Some(bytes).filter(|bytes| !bytes.is_empty())
    })
}

impl<M: Mark> Records<'_, M> {
    /// The next chunk; empty when there are no more records.
    fn chunk(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        while let Some(Remainder { id, log, first }) =
            self.pending.take().or_else(|| self.logs.next())
        {
            let room = CHUNK_BYTES
                .saturating_sub(bytes.len())
                .saturating_sub(RECORD_HEAD)
                .checked_div(M::BYTES)
                .unwrap_or(0);
            if room == 0 {
                self.pending = Some(Remainder { id, log, first });
                break;
            }
            let count = log.len().saturating_sub(first).min(room);
            bytes.extend(id.raw().to_le_bytes());
            bytes.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
            let marks = log.iter_from(first).take(count);
            marks.for_each(|mark| mark.write(&mut bytes));
            let first = first.saturating_add(count);
            if first < log.len() {
                self.pending = Some(Remainder { id, log, first });
            }
        }
        bytes
    }
}
