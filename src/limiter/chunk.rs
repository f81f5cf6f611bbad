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

use crate::identity::Id;
use crate::limiter::access::AccessLists;
use crate::limiter::access_chunk::{self, AccessChunkError};
use crate::limiter::ledger::{Ledger, LogTable};
use crate::limiter::locks::LockState;
use crate::limiter::log::Log;
use crate::limiter::logs::Logs;
use crate::limiter::stamp::Mark;
use crate::limiter::table::Table;
use crate::limiter::time::{Cutoff, Timestamp};
use crate::policy::{Millis, Window};

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

impl Ledger {
    /// Adds the logs of a chunk to table number `table`.
    ///
    /// # Errors
    /// [`ChunkError`] for bytes that no limiter has written. The table may then hold a part of
    /// them; the limiter must be thrown away.
    pub(crate) fn load_logs(&mut self, table: usize, chunk: &[u8]) -> Result<(), ChunkError> {
        let newest = self.newest;
        let table = self.tables.get_mut(table);
        match &mut table.ok_or(ChunkError::ForeignTable)?.logs {
            Logs::Attempts(logs) => load_logs(logs, newest, chunk),
            Logs::Parties(logs) => load_logs(logs, newest, chunk),
        }
    }

    /// Adds the locks of a chunk to table number `table`.
    ///
    /// # Errors
    /// As [`Ledger::load_logs`].
    pub(crate) fn load_locks(&mut self, table: usize, chunk: &[u8]) -> Result<(), ChunkError> {
        let newest = self.newest;
        let table = self.tables.get_mut(table).ok_or(ChunkError::ForeignTable)?;
        let (records, rest) = chunk.as_chunks::<LOCK_RECORD>();
        if !rest.is_empty() {
            return Err(ChunkError::Truncated);
        }
        for record in records {
            let (id, rule, state) = read_lock(record).ok_or(ChunkError::ForeignLock)?;
            // It begins when its rule refuses, and no later.
            if rule >= table.needs.locks || state.until > newest.plus(state.length) {
                return Err(ChunkError::ForeignLock);
            }
            table.locks.put(id, rule, state, |_, _| false);
        }
        Ok(())
    }
}

/// Adds the logs of a chunk to a table, none of whose marks may be newer than `newest`.
fn load_logs<M: Mark>(
    table: &mut Table<M>,
    newest: Timestamp,
    chunk: &[u8],
) -> Result<(), ChunkError> {
    let mut rest = chunk;
    while !rest.is_empty() {
        let (id, after_id) = rest.split_first_chunk().ok_or(ChunkError::Truncated)?;
        let (count, after_head) = after_id.split_first_chunk().ok_or(ChunkError::Truncated)?;
        let id = Id::from_raw(u64::from_le_bytes(*id));
        let count = u32::from_le_bytes(*count) as usize;
        let (marks, after_marks) = count
            .checked_mul(M::BYTES)
            .and_then(|bytes| after_head.split_at_checked(bytes))
            .ok_or(ChunkError::Truncated)?;
        if count == 0 {
            return Err(ChunkError::EmptyLog);
        }
        let known = table.get(id).and_then(Log::newest);
        let mut previous = known.map_or(Timestamp::MIN, M::at);
        for mark in read_marks::<M>(marks) {
            let at = mark.ok_or(ChunkError::NoTime)?.at();
            if at < previous {
                return Err(ChunkError::OutOfOrder);
            }
            previous = at;
        }
        if previous > newest {
            return Err(ChunkError::FromTheFuture);
        }
        table.append(id, read_marks(marks).flatten());
        if table.is_skewed() {
            return Err(ChunkError::Skewed);
        }
        rest = after_marks;
    }
    Ok(())
}

/// The lock that a record tells of.
fn read_lock(record: &[u8; LOCK_RECORD]) -> Option<(Id, u8, LockState)> {
    let (id, rest) = record.split_first_chunk()?;
    let ([rule, armed], rest) = rest.split_first_chunk()?;
    let (until, length) = rest.split_first_chunk()?;
    let length = Millis::new(u64::from_le_bytes(length.try_into().ok()?));
    let state = LockState {
        until: Timestamp::from_millis(u64::from_le_bytes(*until))?,
        length,
        armed: *armed == 1,
    };
    let plausible = *armed <= 1 && (Millis::new(1)..=Window::MAX).contains(&length);
    plausible.then_some((Id::from_raw(u64::from_le_bytes(*id)), *rule, state))
}

/// The marks of a record; `None` for one without a time.
fn read_marks<M: Mark>(bytes: &[u8]) -> impl Iterator<Item = Option<M>> {
    bytes.chunks_exact(M::BYTES).map(M::read)
}
