//! The logs of all identities of one subject: extendible hashing (Fagin, Nievergelt, Pippenger, Strong, 1979) over
//! small segments.
//!
//! A table grows a segment at a time: the command that makes it grow pays for one segment of at most 32 KiB, never for
//! the whole table. Expired identities are reclaimed in a segment that needs room, and by [`Table::sweep`], which also
//! shrinks the table.

use crate::identity::Id;
use crate::table::defrag::Defragmenter;
use crate::table::entry::LogEntry;
use crate::table::log::Log;
use crate::table::segment::{self, MAX_CAPACITY, Prefix, Segment};
use crate::table::time::{Cutoff, Timestamp};

/// The directory doubles only while the table has at least this many identities for each entry of it. Ids are keyed
/// hashes and evenly distributed. Only a forged file can reach this bound, and then its segment grows instead of the
/// directory.
const IDENTITIES_PER_DIRECTORY_ENTRY: usize = 64;

/// How many identities are considered for an eviction.
const EVICTION_SAMPLE: usize = 16;

/// Hashing never makes a segment this large; a forged file may.
const SKEWED_CAPACITY: usize = 8 * MAX_CAPACITY;

/// The logs of one subject's identities.
#[derive(Clone, Debug)]
pub(crate) struct Table<E: LogEntry> {
    /// The index of the segment that holds the identities with these leading bits.
    pub(super) directory: Vec<u32>,
    pub(super) segments: Vec<Segment<E>>,
    /// How many leading bits index the directory.
    pub(super) depth: u32,
    pub(super) len: usize,
    slot_bytes: usize,
    log_bytes: usize,
    skewed: bool,
}

impl<E: LogEntry> Default for Table<E> {
    fn default() -> Self {
        Self {
            directory: vec![0],
            segments: vec![Segment::with_capacity(0, Prefix::NONE)],
            depth: 0,
            len: 0,
            slot_bytes: 0,
            log_bytes: 0,
            skewed: false,
        }
    }
}

impl<E: LogEntry> Table<E> {
    /// How many identities it holds, including expired ones that are not reclaimed yet.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes it takes, without what the allocator adds.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.directory.as_slice())
            .saturating_add(size_of_val(self.segments.as_slice()))
            .saturating_add(self.slot_bytes)
            .saturating_add(self.log_bytes)
    }

    /// Bytes of the logs that are too long for their slot.
    pub(crate) fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    /// Whether the ids are distributed as keyed hashes never are, that is, whether they are forged.
    pub(crate) fn is_skewed(&self) -> bool {
        self.skewed
    }

    /// Some bits of the home slot of `id`, see [`Segment::prefetch`].
    pub(crate) fn prefetch(&self, id: Id) -> u64 {
        let segment = self.segments.get(self.segment_of(id));
        segment.map_or(0, |segment| segment.prefetch(id))
    }

    /// The log of `id`.
    pub(crate) fn get(&self, id: Id) -> Option<&Log<E>> {
        self.segments.get(self.segment_of(id))?.get(id)
    }

    /// Removes what `cutoff` has passed from the log of `id`, then applies `change`, which must leave something in it.
    /// An identity that is not there yet is added.
    pub(crate) fn record(&mut self, id: Id, cutoff: Cutoff, change: impl Fn(&mut Log<E>)) {
        let known = self.update(id, |log| {
            log.drop_before(log.first_after(cutoff));
            change(log);
        });
        if known.is_none() {
            let mut log = Log::default();
            change(&mut log);
            self.insert(id, log, cutoff);
        }
    }

    /// Removes `id`; returns whether it was there.
    pub(crate) fn remove(&mut self, id: Id) -> bool {
        self.update(id, |log| *log = Log::default()).is_some()
    }

    /// The identity to evict so that `newcomer` can be counted: an expired one, or else the least dangerous of a small
    /// sample, which is the one with the fewest attempts, and among those the one with the oldest last attempt. Never
    /// one for which `is_kept` holds.
    pub(crate) fn eviction_candidate(&self, newcomer: Id, cutoff: Cutoff, is_kept: impl Fn(Id) -> bool) -> Option<Id> {
        self.segments
            .get(self.segment_of(newcomer))?
            .sample(newcomer)
            .filter(|(id, _)| !is_kept(*id))
            .take(EVICTION_SAMPLE)
            .min_by_key(|(_, log)| {
                let live = log.len().saturating_sub(log.first_after(cutoff));
                (live, log.newest().map(LogEntry::at))
            })
            .map(|(id, _)| id)
    }

    /// Removes what `cutoff` has passed, and makes every other entry that is newer than `now` one of `now`. It takes as
    /// long as the table is large.
    pub(crate) fn clamp(&mut self, cutoff: Cutoff, now: Timestamp) {
        let ids: Vec<_> = self.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.update(id, |log| {
                log.drop_before(log.first_after(cutoff));
                log.clamp(now);
            });
        }
    }

    /// The identities with their logs, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &Log<E>)> {
        self.segments.iter().flat_map(Segment::iter)
    }

    /// Moves the memory of segment number `index`.
    pub(crate) fn defragment(&mut self, index: usize, defragmenter: &mut impl Defragmenter) {
        if let Some(segment) = self.segments.get_mut(index) {
            segment.defragment(defragmenter);
        }
    }

    /// Applies `change` to the log of `id`; removes the identity if its log is then empty.
    pub(crate) fn update<R>(&mut self, id: Id, change: impl FnOnce(&mut Log<E>) -> R) -> Option<R> {
        let index = self.segment_of(id);
        let segment = self.segments.get_mut(index)?;
        let len_before = segment.len();
        let (result, before, after) = segment.update(id, |log| {
            let before = log.heap_bytes();
            (change(log), before, log.heap_bytes())
        })?;
        let emptied = segment.len() < len_before;
        let sparse = segment.capacity() > 16 && segment.len() < segment.capacity() / 4;
        self.log_bytes = self.log_bytes.saturating_sub(before).saturating_add(after);
        if emptied {
            self.len = self.len.saturating_sub(1);
            if sparse {
                let capacity = segment::capacity_for(self.segments.get(index)?.len());
                self.rebuild(index, capacity, Cutoff::NEVER);
            }
        }
        Some(result)
    }

    /// Adds an identity that is not there yet, with a log that is not empty.
    pub(super) fn insert(&mut self, id: Id, log: Log<E>, cutoff: Cutoff) {
        self.make_room(id, cutoff);
        let index = self.segment_of(id);
        debug_assert!(index < self.segments.len(), "an identity is lost: the directory names no segment");
        if let Some(segment) = self.segments.get_mut(index) {
            self.log_bytes = self.log_bytes.saturating_add(log.heap_bytes());
            segment.insert(id, log);
            self.len = self.len.saturating_add(1);
        }
    }

    /// Makes sure that the segment of `id` has a vacant slot: reclaims what `cutoff` has passed; if that frees too
    /// little, gives the segment more slots, or splits it.
    fn make_room(&mut self, id: Id, cutoff: Cutoff) {
        let index = self.segment_of(id);
        let Some(segment) = self.segments.get(index).filter(|s| s.is_full()) else {
            return;
        };
        let (len, capacity) = (segment.len(), segment.capacity());
        let live = segment.iter().filter(|(_, log)| !log.is_expired(cutoff)).count();
        // Unless an eighth is freed, the next few identities would pay for another rebuild.
        if live < len.saturating_sub(capacity / 8) {
            self.rebuild(index, segment::capacity_for(live), cutoff);
        } else if capacity < MAX_CAPACITY || !self.can_split(index) {
            let larger = segment.next_capacity();
            self.enlarge(index, larger, cutoff);
        } else {
            self.split(index, cutoff, capacity_of_half);
        }
    }

    /// Whether the directory is, or may become, deep enough to distinguish the segment's halves.
    pub(super) fn can_split(&self, index: usize) -> bool {
        let entries = self.directory.len();
        self.segments.get(index).is_some_and(|segment| {
            segment.prefix.depth < self.depth || entries.saturating_mul(IDENTITIES_PER_DIRECTORY_ENTRY) <= self.len
        })
    }

    /// Gives the segment `capacity` slots, more than it has, and notes if that is more than hashing makes.
    pub(super) fn enlarge(&mut self, index: usize, capacity: usize, cutoff: Cutoff) {
        self.skewed |= capacity > SKEWED_CAPACITY;
        self.rebuild(index, capacity, cutoff);
    }

    /// Moves the segment's live entries to a new one of `capacity` slots.
    pub(super) fn rebuild(&mut self, index: usize, capacity: usize, cutoff: Cutoff) {
        let Some(slot) = self.segments.get_mut(index) else {
            return;
        };
        let empty = Segment::with_capacity(capacity, slot.prefix);
        let old = std::mem::replace(slot, empty);
        self.subtract_totals(&old);
        for (id, log) in old.into_entries() {
            if !log.is_expired(cutoff) {
                self.reinsert(index, id, log);
            }
        }
        self.count_slots(index);
    }

    /// Splits a segment by the first bit in which its identities may differ. `capacity` gives the number of slots for a
    /// half with so many identities.
    pub(super) fn split(&mut self, index: usize, cutoff: Cutoff, capacity: impl Fn(usize) -> usize) {
        let Some(segment) = self.segments.get(index) else {
            return;
        };
        let prefix = segment.prefix;
        let [lower, upper] = prefix.halves();
        let (mut in_lower, mut in_upper) = (0_usize, 0_usize);
        for (id, log) in segment.iter() {
            let is_live = usize::from(!log.is_expired(cutoff));
            if leading_bits(id, upper.depth) & 1 == 1 {
                in_upper = in_upper.saturating_add(is_live);
            } else {
                in_lower = in_lower.saturating_add(is_live);
            }
        }
        if prefix.depth == self.depth {
            self.directory = self.directory.iter().flat_map(|s| [*s, *s]).collect();
            self.depth = self.depth.saturating_add(1);
        }
        let sibling = self.segments.len();
        let upper_half = Segment::with_capacity(capacity(in_upper), upper);
        self.segments.push(upper_half);
        let Some(slot) = self.segments.get_mut(index) else {
            return;
        };
        let lower_half = Segment::with_capacity(capacity(in_lower), lower);
        let old = std::mem::replace(slot, lower_half);
        self.subtract_totals(&old);
        self.set_directory(upper, sibling);
        for (id, log) in old.into_entries() {
            if !log.is_expired(cutoff) {
                let half = self.segment_of(id);
                self.reinsert(half, id, log);
            }
        }
        self.count_slots(index);
        self.count_slots(sibling);
    }

    /// Sets the directory's entries for `prefix` to segment number `index`.
    pub(super) fn set_directory(&mut self, prefix: Prefix, index: usize) {
        let entry = u32::try_from(index).unwrap_or(u32::MAX);
        let span = 1_usize << self.depth.saturating_sub(prefix.depth);
        let first = (prefix.bits as usize).saturating_mul(span);
        let entries = self.directory.iter_mut().skip(first).take(span);
        entries.for_each(|at| *at = entry);
    }

    /// Inserts an entry into a segment that is being rebuilt, and grows it if the halves of a split are very uneven.
    pub(super) fn reinsert(&mut self, index: usize, id: Id, log: Log<E>) {
        let Some(segment) = self.segments.get_mut(index) else {
            return;
        };
        if segment.is_full() {
            let larger = Segment::with_capacity(segment.next_capacity(), segment.prefix);
            for (id, log) in std::mem::replace(segment, larger).into_entries() {
                segment.insert(id, log);
            }
        }
        self.log_bytes = self.log_bytes.saturating_add(log.heap_bytes());
        self.len = self.len.saturating_add(1);
        segment.insert(id, log);
    }

    /// Subtracts a segment that is about to be rebuilt from the totals.
    pub(super) fn subtract_totals(&mut self, segment: &Segment<E>) {
        let log_bytes: usize = segment.iter().map(|(_, log)| log.heap_bytes()).sum();
        self.len = self.len.saturating_sub(segment.len());
        self.log_bytes = self.log_bytes.saturating_sub(log_bytes);
        self.slot_bytes = self.slot_bytes.saturating_sub(segment.slot_bytes());
    }

    /// Adds a rebuilt segment's slots to the total.
    pub(super) fn count_slots(&mut self, index: usize) {
        let bytes = self.segments.get(index).map_or(0, Segment::slot_bytes);
        self.slot_bytes = self.slot_bytes.saturating_add(bytes);
    }

    /// The index of the segment that `id` belongs to.
    pub(super) fn segment_of(&self, id: Id) -> usize {
        self.directory.get(leading_bits(id, self.depth)).map_or(0, |index| *index as usize)
    }
}

/// How many slots a half of a split with `len` identities gets: an eighth more than it needs, so that the next few
/// identities do not pay for a rebuild.
fn capacity_of_half(len: usize) -> usize {
    segment::capacity_of(len.saturating_add(len / 8)).min(MAX_CAPACITY)
}

/// The first `count` bits of an id, as a number.
fn leading_bits(id: Id, count: u32) -> usize {
    let shifted = id.raw().checked_shr(u64::BITS.saturating_sub(count));
    usize::try_from(shifted.unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
