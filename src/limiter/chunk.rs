//! A table as portable bytes, and back.
//!
//! A chunk is a run of records, all numbers little-endian and of fixed width:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the identity's id |
//! | 4 | n, the number of stamps, at least 1 |
//! | 8 n | the stamps, oldest first |
//!
//! A log too long for one chunk goes on in the next, in a record with the same id. Only what still
//! counts at the ledger's newest time is written.

use crate::identity::Id;
use crate::limiter::ledger::{Ledger, SubjectTable};
use crate::limiter::log::Log;
use crate::limiter::stamp::Stamp;
use crate::limiter::time::Timestamp;
use crate::policy::Subject;

/// About how many bytes a chunk has; none has more.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes of a stamp.
const STAMP: usize = 8;

/// Bytes of a record before its stamps.
const RECORD_HEAD: usize = 12;

/// Why a chunk was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// The policy has no rule for the subject.
    #[error("a chunk is of a subject that the limiter's policy does not have")]
    ForeignSubject,
    /// The bytes end within a record.
    #[error("a chunk ends in the middle of a record")]
    Truncated,
    /// A record without stamps.
    #[error("a chunk has an identity without attempts")]
    EmptyLog,
    /// A stamp without a time.
    #[error("a chunk has an attempt without a time")]
    NoTime,
    /// Stamps out of order.
    #[error("a chunk has attempts out of the order of time")]
    OutOfOrder,
    /// A stamp newer than the ledger's newest time.
    #[error("a chunk has an attempt from after the limiter's newest time")]
    FromTheFuture,
    /// The ids are not what hashing makes.
    #[error("the identities of a chunk are not keyed hashes")]
    Skewed,
}

/// The chunks of all tables of a limiter, one at a time, so that saving needs little memory.
pub struct Chunks<'a> {
    newest: Timestamp,
    tables: std::slice::Iter<'a, SubjectTable>,
    current: Option<Records<'a>>,
}

/// The records of one table that were not written yet.
struct Records<'a> {
    subject: Subject,
    logs: Box<dyn Iterator<Item = Remainder<'a>> + 'a>,
    /// What did not fit the last chunk.
    pending: Option<Remainder<'a>>,
}

/// What is still to be written of a log: the stamps from `first` on.
struct Remainder<'a> {
    id: Id,
    log: &'a Log,
    first: usize,
}

impl<'a> Chunks<'a> {
    /// The chunks of `ledger`.
    pub(crate) fn new(ledger: &'a Ledger) -> Self {
        Self {
            newest: ledger.newest,
            tables: ledger.tables.iter(),
            current: None,
        }
    }

    /// The live records of `table`.
    fn records(&self, table: &'a SubjectTable) -> Records<'a> {
        let cutoff = table.cutoff(self.newest);
        let logs = table.table.iter().filter_map(move |(id, log)| {
            let first = log.first_after(cutoff);
            (first < log.len()).then_some(Remainder { id, log, first })
        });
        Records {
            subject: table.subject,
            logs: Box::new(logs),
            pending: None,
        }
    }
}

impl Iterator for Chunks<'_> {
    type Item = (Subject, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(records) = &mut self.current {
                let chunk = records.chunk();
                if !chunk.is_empty() {
                    return Some((records.subject, chunk));
                }
            }
            let table = self.tables.next()?;
            self.current = Some(self.records(table));
        }
    }
}

impl Records<'_> {
    /// The next chunk; empty when there are no more records.
    fn chunk(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHUNK_BYTES);
        while let Some(Remainder { id, log, first }) =
            self.pending.take().or_else(|| self.logs.next())
        {
            let room = CHUNK_BYTES
                .saturating_sub(bytes.len())
                .saturating_sub(RECORD_HEAD)
                / STAMP;
            if room == 0 {
                self.pending = Some(Remainder { id, log, first });
                break;
            }
            let count = log.len().saturating_sub(first).min(room);
            bytes.extend(id.raw().to_le_bytes());
            bytes.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
            let stamps = log.iter_from(first).take(count);
            bytes.extend(stamps.flat_map(|stamp| stamp.raw().to_le_bytes()));
            let first = first.saturating_add(count);
            if first < log.len() {
                self.pending = Some(Remainder { id, log, first });
            }
        }
        bytes
    }
}

impl Ledger {
    /// Adds the identities of a chunk to the table of `subject`.
    ///
    /// # Errors
    /// [`ChunkError`] for bytes that no limiter has written. The table may then hold a part of
    /// them; the limiter must be thrown away.
    pub(crate) fn load_chunk(&mut self, subject: Subject, chunk: &[u8]) -> Result<(), ChunkError> {
        let newest = self.newest;
        let table = self
            .tables
            .iter_mut()
            .find(|table| table.subject == subject)
            .map(|table| &mut table.table)
            .ok_or(ChunkError::ForeignSubject)?;
        let mut rest = chunk;
        while !rest.is_empty() {
            let (id, after_id) = rest.split_first_chunk().ok_or(ChunkError::Truncated)?;
            let (count, after_head) = after_id.split_first_chunk().ok_or(ChunkError::Truncated)?;
            let id = Id::from_raw(u64::from_le_bytes(*id));
            let count = u32::from_le_bytes(*count) as usize;
            let (stamps, after_stamps) = count
                .checked_mul(STAMP)
                .and_then(|bytes| after_head.split_at_checked(bytes))
                .ok_or(ChunkError::Truncated)?;
            if count == 0 {
                return Err(ChunkError::EmptyLog);
            }
            let stamps = read_stamps(stamps)?;
            let newest_known = table.get(id).and_then(|log| log.newest());
            let mut previous = newest_known.map_or(Timestamp::MIN, Stamp::at);
            for stamp in &stamps {
                if stamp.at() < previous {
                    return Err(ChunkError::OutOfOrder);
                }
                previous = stamp.at();
            }
            if previous > newest {
                return Err(ChunkError::FromTheFuture);
            }
            table.append(id, &stamps);
            if table.is_skewed() {
                return Err(ChunkError::Skewed);
            }
            rest = after_stamps;
        }
        Ok(())
    }
}

/// The stamps of a record.
fn read_stamps(bytes: &[u8]) -> Result<Vec<Stamp>, ChunkError> {
    let (words, _) = bytes.as_chunks::<STAMP>();
    words
        .iter()
        .map(|word| Stamp::from_raw(u64::from_le_bytes(*word)).ok_or(ChunkError::NoTime))
        .collect()
}
