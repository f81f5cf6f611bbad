//! Locks and unlocks as bytes, and back.
//!
//! A lock is 38 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | the identity's id |
//! | 1 | which of the table's rules with `LOCK` it is, from 0 |
//! | 1 | its strike, from 1 |
//! | 4 | the tag of the attempt that began it, 0 if it is not known |
//! | 8 | when the lock ends, in milliseconds since the Unix epoch |
//! | 8 | how long the lock is, in milliseconds |
//! | 8 | when an attempt was counted last, in milliseconds since the Unix epoch |
//!
//! In format 1 it is 26 bytes: id (8), rule (1), a byte that is 0 or 1 and no longer means anything, end (8), length
//! (8).
//!
//! An unlock is 24 bytes: the email's id (8), when it was unlocked (8), and from when on that means nothing (8).

use crate::format::bytes::{CHUNK_BYTES, Reader, WriteFields};
use crate::format::chunk::ChunkError;
use crate::identity::{Id, Tag};
use crate::limiter::ledger::Ledger;
use crate::limiter::locks::{self, LockState};
use crate::limiter::plan;
use crate::limiter::subject_table::SubjectTable;
use crate::limiter::unlocks::{Unlock, Unlocks};
use crate::policy::{Lock, Millis, Subject, Window};
use crate::table::Timestamp;

/// Bytes of a lock's record.
pub(super) const LOCK_BYTES: usize = 38;

/// Bytes of a lock's record in format 1.
pub(super) const LOCK_BYTES_V1: usize = 26;

/// Bytes of an unlock's record.
pub(super) const UNLOCK_BYTES: usize = 24;

/// The records of `items` in chunks, each written by `write`.
fn in_chunks<T>(
    mut items: impl Iterator<Item = T>,
    record_bytes: usize,
    write: impl Fn(T, &mut Vec<u8>),
) -> impl Iterator<Item = Vec<u8>> {
    let records = CHUNK_BYTES.checked_div(record_bytes).unwrap_or(1);
    std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        items.by_ref().take(records).for_each(|item| write(item, &mut bytes));
        (!bytes.is_empty()).then_some(bytes)
    })
}

/// The live locks of a table, as chunks.
pub(super) fn chunks(table: &SubjectTable, latest: Timestamp) -> impl Iterator<Item = Vec<u8>> {
    in_chunks(table.live_locks(latest), LOCK_BYTES, |(id, rule, state), bytes| write(id, rule, state, bytes))
}

/// Appends the record of a lock.
pub(super) fn write(id: Id, rule: u8, state: &LockState, bytes: &mut Vec<u8>) {
    bytes.write_id(id);
    bytes.write_u8(rule);
    bytes.write_u8(state.strikes);
    bytes.write_u32(state.tag.raw());
    bytes.write_time(state.until);
    bytes.write_span(state.length);
    bytes.write_time(state.last_counted);
}

/// The emails that were unlocked, as chunks.
pub(super) fn unlock_chunks(unlocks: &Unlocks, latest: Timestamp) -> impl Iterator<Item = Vec<u8>> {
    in_chunks(unlocks.live(latest), UNLOCK_BYTES, |(email, Unlock { at, expires }), bytes| {
        bytes.write_id(email);
        bytes.write_time(at);
        bytes.write_time(expires);
    })
}

/// Adds the locks of a chunk to table number `table`.
pub(super) fn load(ledger: &mut Ledger, table: u8, chunk: &[u8]) -> Result<(), ChunkError> {
    for record in records::<LOCK_BYTES>(chunk)? {
        let (id, rule, state) = read(&mut Reader::new(record)).ok_or(ChunkError::ForeignLock)?;
        put(ledger, table, (id, rule), |_| state)?;
    }
    Ok(())
}

/// Adds the locks of a chunk of format 1 to table number `table`.
pub(super) fn load_v1(ledger: &mut Ledger, table: u8, chunk: &[u8]) -> Result<(), ChunkError> {
    for record in records::<LOCK_BYTES_V1>(chunk)? {
        let (id, rule, until, length) = read_v1(&mut Reader::new(record)).ok_or(ChunkError::ForeignLock)?;
        put(ledger, table, (id, rule), |times| {
            let (strikes, last_counted) = (locks::strikes_of(times, length), until.minus(length));
            LockState { until, length, strikes, tag: Tag::OF_SEVERAL, last_counted }
        })?;
    }
    Ok(())
}

/// Adds the unlocks of a chunk.
pub(super) fn load_unlocks(ledger: &mut Ledger, chunk: &[u8]) -> Result<(), ChunkError> {
    if ledger.tables.iter().all(|table| table.spec.kind.subject != Subject::Pair) {
        return Err(ChunkError::ForeignUnlock);
    }
    for record in records::<UNLOCK_BYTES>(chunk)? {
        let mut fields = Reader::new(record);
        let unlock = || Some((fields.id()?, fields.time()?, fields.time()?));
        let (email, at, expires) = { unlock }().ok_or(ChunkError::ForeignUnlock)?;
        if at > ledger.latest || expires < at || expires.since(at) > plan::MAX_PAIR_MEMORY {
            return Err(ChunkError::ForeignUnlock);
        }
        ledger.unlocks.put(email, Unlock { at, expires });
    }
    Ok(())
}

/// The records of a chunk, each of `N` bytes.
fn records<const N: usize>(chunk: &[u8]) -> Result<&[[u8; N]], ChunkError> {
    let (records, rest) = chunk.as_chunks::<N>();
    if rest.is_empty() { Ok(records) } else { Err(ChunkError::Truncated) }
}

/// Puts a lock into table number `table`, made by `state` from how long its rule locks.
fn put(
    ledger: &mut Ledger,
    table: u8,
    (id, rule): (Id, u8),
    state: impl FnOnce(Lock) -> LockState,
) -> Result<(), ChunkError> {
    let (latest, index) = (ledger.latest, usize::from(table));
    let table = ledger.tables.get_mut(index).ok_or(ChunkError::ForeignTable)?;
    let mut locks = ledger.slots.iter().filter(|slot| slot.table == index).filter_map(|slot| slot.lock);
    let slot = locks.find(|lock| lock.number == rule).ok_or(ChunkError::ForeignLock)?;
    let state = state(slot.times);
    // A lock begins when an attempt is counted, and no later.
    if state.until > latest.plus(state.length) || state.last_counted > latest {
        return Err(ChunkError::ForeignLock);
    }
    table.locks.put((id, rule), state, |_| false);
    Ok(())
}

/// One lock; `None` if no rule could have made it.
fn read(record: &mut Reader<'_>) -> Option<(Id, u8, LockState)> {
    let (id, rule, strikes) = (record.id()?, record.u8()?, record.u8()?);
    let raw_tag = record.u32()?;
    let tag = Tag::from_raw(raw_tag);
    let (until, length, last_counted) = (record.time()?, record.span()?, record.time()?);
    let is_possible = strikes > 0 && tag.raw() == raw_tag && is_length(length);
    is_possible.then_some((id, rule, LockState { until, length, strikes, tag, last_counted }))
}

/// Identity, rule, end and length of one lock of format 1; `None` if no rule could have made it.
fn read_v1(record: &mut Reader<'_>) -> Option<(Id, u8, Timestamp, Millis)> {
    let (id, rule, armed) = (record.id()?, record.u8()?, record.u8()?);
    let (until, length) = (record.time()?, record.span()?);
    (armed <= 1 && is_length(length)).then_some((id, rule, until, length))
}

/// Whether a lock may be as long.
fn is_length(length: Millis) -> bool {
    (Millis::new(1)..=Window::MAX).contains(&length)
}
