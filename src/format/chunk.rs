//! What a limiter has counted and listed, in chunks of bytes, and back.
//!
//! A chunk is a run of records of one [`Part`]. A log:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the identity's id |
//! | 4 | n, the number of entries, at least 1 |
//! | 8 n or 24 n | the entries, oldest first |
//!
//! The entry of an attempt is 42 bits of time, in milliseconds since the Unix epoch, above 22 bits of tag. The entry of
//! a distinct count is that of the last attempt (8 bytes; its tag is 0 if there were several), that of the last attempt
//! with another tag (8; 0 if there was none), and the id that is counted (8). Format 1 has no second attempt: 16 bytes.
//!
//! A log that is too long for one chunk continues in the next, in a record with the same id. Locks and unlocks are
//! described in `lock`, list entries in `list_entry`. Only what still counts at the ledger's latest time is written.

use crate::format::bytes::{CHUNK_BYTES, Reader, WriteFields};
use crate::format::entry::{EntryFormat, StoredEntry};
use crate::format::list_entry::{self, ListEntryError};
use crate::format::lock;
use crate::identity::Id;
use crate::limiter::ledger::Ledger;
use crate::limiter::subject_table::AnyTable;
use crate::limiter::{Limiter, StoredState};
use crate::table::{Cutoff, Log, LogEntry, Table, Timestamp};

/// Follows the last chunk of a limiter in an RDB file, in place of the code of a part.
pub(crate) const END_OF_CHUNKS: u64 = 0;

/// Bytes of a log's record before its entries.
pub(super) const LOG_HEAD_BYTES: usize = 12;

/// Why a chunk was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// The policy needs no such table.
    #[error("a chunk is of a table that the limiter's policy does not need")]
    ForeignTable,
    /// The bytes end within a record.
    #[error("a chunk ends in the middle of a record")]
    Truncated,
    /// A record without entries.
    #[error("a chunk has an identity without attempts")]
    EmptyLog,
    /// An entry without a time.
    #[error("a chunk has an attempt without a time")]
    NoTime,
    /// Entries out of order, or the two attempts of one.
    #[error("a chunk has attempts out of the order of time")]
    OutOfOrder,
    /// An entry newer than the ledger's latest time.
    #[error("a chunk has an attempt from after the limiter's newest time")]
    FromTheFuture,
    /// The ids are not what hashing makes.
    #[error("the identities of a chunk are not keyed hashes")]
    Skewed,
    /// A lock of a rule that has none, without end, or from after the limiter's latest time.
    #[error("a chunk has a lock that no rule of the policy makes")]
    ForeignLock,
    /// An unlock of an email that no rule of the policy needs, or with times that no unlock has.
    #[error("a chunk has an unlocked email that no rule of the policy needs")]
    ForeignUnlock,
    /// Invalid list entries.
    #[error(transparent)]
    List(#[from] ListEntryError),
}

/// What the records of a chunk are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Logs of the table with this index.
    Logs(u8),
    /// Locks of the table with this index.
    Locks(u8),
    /// Entries of the lists.
    Lists,
    /// Emails that were unlocked.
    Unlocks,
    /// Logs as format 1 wrote them.
    LogsV1(u8),
    /// Locks as format 1 wrote them.
    LocksV1(u8),
}

/// The codes of the parts in an RDB file. A code is never used again for something else.
mod code {
    pub(super) const LOGS_V1: u64 = 1;
    pub(super) const LOCKS_V1: u64 = 2;
    pub(super) const LISTS: u64 = 3;
    pub(super) const LOGS: u64 = 4;
    pub(super) const LOCKS: u64 = 5;
    pub(super) const UNLOCKS: u64 = 6;
}

impl Part {
    /// The part's code in an RDB file, and the index of its table if it is of one.
    #[must_use]
    pub fn code(self) -> (u64, Option<u8>) {
        match self {
            Self::Logs(table) => (code::LOGS, Some(table)),
            Self::Locks(table) => (code::LOCKS, Some(table)),
            Self::Lists => (code::LISTS, None),
            Self::Unlocks => (code::UNLOCKS, None),
            Self::LogsV1(table) => (code::LOGS_V1, Some(table)),
            Self::LocksV1(table) => (code::LOCKS_V1, Some(table)),
        }
    }

    /// The part of a code, given how to read the index of its table. `None` for an unknown code.
    ///
    /// # Errors
    /// Those of `table`.
    pub fn from_code<E>(code: u64, table: impl FnOnce() -> Result<u8, E>) -> Result<Option<Self>, E> {
        Ok(match code {
            code::LOGS => Some(Self::Logs(table()?)),
            code::LOCKS => Some(Self::Locks(table()?)),
            code::LISTS => Some(Self::Lists),
            code::UNLOCKS => Some(Self::Unlocks),
            code::LOGS_V1 => Some(Self::LogsV1(table()?)),
            code::LOCKS_V1 => Some(Self::LocksV1(table()?)),
            _ => None,
        })
    }
}

/// The chunks of a limiter, one at a time, so that saving needs little memory.
pub struct Chunks<'a>(Box<dyn Iterator<Item = (Part, Vec<u8>)> + 'a>);

impl Iterator for Chunks<'_> {
    type Item = (Part, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl Limiter {
    /// What it has counted and listed, as chunks of bytes.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'_> {
        let StoredState { ledger, lists, .. } = self.stored_state();
        let latest = ledger.latest;
        let of_tables = (0..=u8::MAX).zip(&ledger.tables).flat_map(move |(index, table)| {
            let cutoff = table.cutoff(latest);
            let logs: Box<dyn Iterator<Item = Vec<u8>>> = match &table.logs {
                AnyTable::Attempts(logs) => Box::new(LogChunks::of(logs, cutoff)),
                AnyTable::Distinct(logs) => Box::new(LogChunks::of(logs, cutoff)),
            };
            let logs = logs.map(move |chunk| (Part::Logs(index), chunk));
            let locks = lock::chunks(table, latest).map(move |chunk| (Part::Locks(index), chunk));
            logs.chain(locks)
        });
        let unlocks = lock::unlock_chunks(&ledger.unlocks, latest).map(|chunk| (Part::Unlocks, chunk));
        let entries = list_entry::live_chunks(lists, latest).map(|chunk| (Part::Lists, chunk));
        Chunks(Box::new(of_tables.chain(unlocks).chain(entries)))
    }

    /// Adds what is in a chunk.
    ///
    /// # Errors
    /// [`ChunkError`] for bytes that [`Limiter::chunks`] does not write. The limiter may then hold a part of them and
    /// must be dropped.
    pub fn load_chunk(&mut self, part: Part, chunk: &[u8]) -> Result<(), ChunkError> {
        let (ledger, lists) = self.load_state();
        match part {
            Part::Logs(table) => match logs_of(ledger, table)? {
                (AnyTable::Attempts(logs), latest) => load_table(logs, latest, EntryFormat::CURRENT, chunk),
                (AnyTable::Distinct(logs), latest) => load_table(logs, latest, EntryFormat::CURRENT, chunk),
            },
            Part::LogsV1(table) => match logs_of(ledger, table)? {
                (AnyTable::Attempts(logs), latest) => load_table(logs, latest, EntryFormat::V1, chunk),
                (AnyTable::Distinct(logs), latest) => load_table(logs, latest, EntryFormat::V1, chunk),
            },
            Part::Locks(table) => lock::load(ledger, table, chunk),
            Part::LocksV1(table) => lock::load_v1(ledger, table, chunk),
            Part::Unlocks => lock::load_unlocks(ledger, chunk),
            Part::Lists => Ok(list_entry::load(lists, chunk)?),
        }
    }
}

/// The live logs of one table that are not written yet.
struct LogChunks<'a, E: LogEntry> {
    logs: Box<dyn Iterator<Item = Remainder<'a, E>> + 'a>,
    /// What did not fit into the last chunk.
    pending: Option<Remainder<'a, E>>,
}

/// What is still to be written of a log: the entries from `first` on.
struct Remainder<'a, E: LogEntry> {
    id: Id,
    log: &'a Log<E>,
    first: usize,
}

impl<'a, E: StoredEntry> LogChunks<'a, E> {
    /// The chunks of what `cutoff` has not passed.
    fn of(table: &'a Table<E>, cutoff: Cutoff) -> Self {
        let logs = table.iter().filter_map(move |(id, log)| {
            let first = log.first_after(cutoff);
            (first < log.len()).then_some(Remainder { id, log, first })
        });
        Self { logs: Box::new(logs), pending: None }
    }

    /// The next chunk; empty when there are no more records.
    fn chunk(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        while let Some(Remainder { id, log, first }) = self.pending.take().or_else(|| self.logs.next()) {
            let room = CHUNK_BYTES.saturating_sub(bytes.len()).saturating_sub(LOG_HEAD_BYTES);
            let room = room.checked_div(E::BYTES).unwrap_or(0);
            if room == 0 {
                self.pending = Some(Remainder { id, log, first });
                break;
            }
            let count = log.len().saturating_sub(first).min(room);
            bytes.write_id(id);
            bytes.write_u32(u32::try_from(count).unwrap_or(u32::MAX));
            log.iter_from(first).take(count).for_each(|entry| entry.write(&mut bytes));
            let first = first.saturating_add(count);
            if first < log.len() {
                self.pending = Some(Remainder { id, log, first });
            }
        }
        bytes
    }
}

impl<E: StoredEntry> Iterator for LogChunks<'_, E> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        Some(self.chunk()).filter(|chunk| !chunk.is_empty())
    }
}

/// The logs of table number `table`, and the ledger's latest time.
fn logs_of(ledger: &mut Ledger, table: u8) -> Result<(&mut AnyTable, Timestamp), ChunkError> {
    let latest = ledger.latest;
    let table = ledger.tables.get_mut(usize::from(table)).ok_or(ChunkError::ForeignTable)?;
    Ok((&mut table.logs, latest))
}

/// Adds the logs of a chunk to a table. No entry may be newer than `latest`.
fn load_table<E: StoredEntry>(
    table: &mut Table<E>,
    latest: Timestamp,
    format: EntryFormat<E>,
    chunk: &[u8],
) -> Result<(), ChunkError> {
    let mut records = StoredLogs { rest: Reader::new(chunk), format };
    let mut reserved = 0_usize;
    loop {
        if reserved == 0 {
            let ids = records.clone().map_while(|record| Some(record.ok()?.0));
            reserved = table.reserve(ids);
        }
        reserved = reserved.saturating_sub(1);
        let Some(record) = records.next() else {
            return Ok(());
        };
        let (id, bytes) = record?;
        let mut previous = Timestamp::MIN;
        for entry in format.entries(bytes) {
            let at = entry?.at();
            if at < previous {
                return Err(ChunkError::OutOfOrder);
            }
            previous = at;
        }
        if previous > latest {
            return Err(ChunkError::FromTheFuture);
        }
        if !table.append(id, format.entries(bytes).flatten()) {
            return Err(ChunkError::OutOfOrder);
        }
        if table.is_skewed() {
            return Err(ChunkError::Skewed);
        }
    }
}

/// The logs of a chunk: the id, and the bytes of the entries.
struct StoredLogs<'a, E> {
    rest: Reader<'a>,
    format: EntryFormat<E>,
}

impl<E> Clone for StoredLogs<'_, E> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, E: StoredEntry> Iterator for StoredLogs<'a, E> {
    type Item = Result<(Id, &'a [u8]), ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = read_log(&mut self.rest, self.format.bytes);
        if record.is_err() {
            // Nothing can follow an invalid record.
            self.rest = Reader::new(&[]);
        }
        Some(record)
    }
}

/// The id of a log's record, and the bytes of its entries.
fn read_log<'a>(bytes: &mut Reader<'a>, entry_bytes: usize) -> Result<(Id, &'a [u8]), ChunkError> {
    let id = bytes.id().ok_or(ChunkError::Truncated)?;
    let count = bytes.u32().ok_or(ChunkError::Truncated)?;
    let len = (count as usize).checked_mul(entry_bytes).ok_or(ChunkError::Truncated)?;
    let entries = bytes.slice(len).ok_or(ChunkError::Truncated)?;
    if count == 0 { Err(ChunkError::EmptyLog) } else { Ok((id, entries)) }
}
