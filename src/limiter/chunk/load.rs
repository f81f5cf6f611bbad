//! Chunks as what a limiter has counted, whoever made them.

use super::{ChunkError, LOCK_RECORD};
use crate::identity::Id;
use crate::limiter::ledger::Ledger;
use crate::limiter::locks::LockState;
use crate::limiter::logs::Logs;
use crate::limiter::stamp::Mark;
use crate::limiter::table::Table;
use crate::limiter::time::Timestamp;
use crate::policy::{Millis, Window};
use std::marker::PhantomData;

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
    let mut records = StoredLogs::<M>::of(chunk);
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
        let (id, marks) = record?;
        let mut previous = Timestamp::MIN;
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
        if !table.append(id, read_marks(marks).flatten()) {
            return Err(ChunkError::OutOfOrder);
        }
        if table.is_skewed() {
            return Err(ChunkError::Skewed);
        }
    }
}

/// The logs of a chunk: whose, and the bytes of the marks.
struct StoredLogs<'a, M> {
    rest: &'a [u8],
    mark: PhantomData<M>,
}

impl<'a, M> StoredLogs<'a, M> {
    /// All of a chunk.
    fn of(chunk: &'a [u8]) -> Self {
        Self {
            rest: chunk,
            mark: PhantomData,
        }
    }
}

impl<M> Clone for StoredLogs<'_, M> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, M: Mark> Iterator for StoredLogs<'a, M> {
    type Item = Result<(Id, &'a [u8]), ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = split_log::<M>(self.rest);
        // After bytes that are no record there can be none.
        self.rest = record.map_or(&[], |(_, _, rest)| rest);
        Some(record.map(|(id, marks, _)| (id, marks)))
    }
}

/// The id of a log's record, the bytes of its marks, and what follows.
fn split_log<M: Mark>(bytes: &[u8]) -> Result<(Id, &[u8], &[u8]), ChunkError> {
    let (id, rest) = bytes.split_first_chunk().ok_or(ChunkError::Truncated)?;
    let (count, rest) = rest.split_first_chunk().ok_or(ChunkError::Truncated)?;
    let count = u32::from_le_bytes(*count) as usize;
    let (marks, rest) = count
        .checked_mul(M::BYTES)
        .and_then(|bytes| rest.split_at_checked(bytes))
        .ok_or(ChunkError::Truncated)?;
    if count == 0 {
        return Err(ChunkError::EmptyLog);
    }
    Ok((Id::from_raw(u64::from_le_bytes(*id)), marks, rest))
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
fn read_marks<M: Mark>(bytes: &[u8]) -> impl Iterator<Item = Option<M>> + Clone {
    bytes.chunks_exact(M::BYTES).map(M::read)
}
