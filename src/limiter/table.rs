//! Identities to logs, for one subject: extendible hashing (Fagin, Nievergelt, Pippenger, Strong,
//! 1979) over small segments.
//!
//! It grows a segment at a time: whichever command makes it grow pays for one segment of at most
//! 32 KiB, never for the table. Expired identities are reclaimed when room is needed, from the
//! segment that needs it, and by [`Table::sweep`], by which it also shrinks.

mod sweep;

use crate::identity::Id;
use crate::limiter::log::Log;
use crate::limiter::relocate::Mover;
use crate::limiter::segment::{self, MAX_CAPACITY, Prefix, Segment};
use crate::limiter::stamp::Mark;
use crate::limiter::time::Cutoff;

/// The directory doubles only while the table has at least this many identities an entry of it.
/// Ids are keyed hashes and spread evenly; only a forged file can reach the bound, and then its
/// segment grows instead of the directory.
const IDENTITIES_PER_DIRECTORY_ENTRY: usize = 64;

/// How many identities are looked at to find one to evict.
const EVICTION_SAMPLE: usize = 16;

/// What hashing has never produced and a forged file may: a segment this large is a lie.
const SKEWED_CAPACITY: usize = 8 * MAX_CAPACITY;

/// The logs of one subject's identities.
#[derive(Clone, Debug)]
pub(crate) struct Table<M: Mark> {
    /// Which segment holds the identities with these leading bits.
    directory: Vec<u32>,
    segments: Vec<Segment<M>>,
    /// How many leading bits the directory goes by.
    depth: u32,
    len: usize,
    slot_bytes: usize,
    log_bytes: usize,
    skewed: bool,
}

impl<M: Mark> Default for Table<M> {
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

impl<M: Mark> Table<M> {
    /// How many identities it holds, expired ones that were not reclaimed yet among them.
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

    /// Whether the ids crowd together as keyed hashes never do, that is, whether they are forged.
    pub(crate) fn is_skewed(&self) -> bool {
        self.skewed
    }

    /// Some bits of the slot where `id` would like to be, see [`Segment::touch`].
    pub(crate) fn touch(&self, id: Id) -> u64 {
        let segment = self.segments.get(self.segment_of(id));
        segment.map_or(0, |segment| segment.touch(id))
    }

    /// The log of `id`.
    pub(crate) fn get(&self, id: Id) -> Option<&Log<M>> {
        self.segments.get(self.segment_of(id))?.get(id)
    }

    /// Lets what `cutoff` has passed go from the log of `id`, and then `change` work on it, which must
    /// leave something in it. An identity that was not there is added.
    pub(crate) fn record(&mut self, id: Id, cutoff: Cutoff, change: impl Fn(&mut Log<M>)) {
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

    /// Whom to evict so that `newcomer` can be counted: an expired identity, or else the least
    /// dangerous of a small sample, which is the one with the fewest attempts and among those the
    /// one whose last is longest ago. Nobody whom `is_kept` names.
    pub(crate) fn evictee(
        &self,
        newcomer: Id,
        cutoff: Cutoff,
        is_kept: impl Fn(Id) -> bool,
    ) -> Option<Id> {
        self.segments
            .get(self.segment_of(newcomer))?
            .sample(newcomer)
            .filter(|(id, _)| !is_kept(*id))
            .take(EVICTION_SAMPLE)
            .min_by_key(|(_, log)| {
                let live = log.len().saturating_sub(log.first_after(cutoff));
                (live, log.newest().map(Mark::at))
            })
            .map(|(id, _)| id)
    }

    /// Adds `marks`, oldest first and none older than those already there, to the log of `id`, as
    /// they were stored.
    pub(crate) fn append(&mut self, id: Id, marks: impl Iterator<Item = M>) {
        let mut log = Log::default();
        marks.for_each(|mark| log.push(mark, 1));
        if log.is_empty() {
            return;
        }
        // Only one too long for a chunk comes in several pieces.
        let added = self.update(id, |known| {
            log.iter_from(0).for_each(|mark| known.push(mark, 1));
        });
        if added.is_none() {
            self.insert(id, log, Cutoff::NEVER);
        }
    }

    /// Removes the newest `at_most` marks with `key` that `cutoff` has not passed from the log of
    /// `id`; returns how many there were.
    pub(crate) fn forgive(&mut self, id: Id, key: M::Key, at_most: usize, cutoff: Cutoff) -> usize {
        self.update(id, |log| log.remove(key, log.first_after(cutoff), at_most))
            .unwrap_or(0)
    }

    /// The identities with their logs, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &Log<M>)> {
        self.segments.iter().flat_map(Segment::iter)
    }

    /// Lets `mover` move the memory of segment number `index`.
    pub(crate) fn relocate(&mut self, index: usize, mover: &mut impl Mover) {
        if let Some(segment) = self.segments.get_mut(index) {
            segment.relocate(mover);
        }
    }

    /// Lets `change` work on the log of `id`; the identity goes if that leaves its log empty.
    fn update<R>(&mut self, id: Id, change: impl FnOnce(&mut Log<M>) -> R) -> Option<R> {
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
    fn insert(&mut self, id: Id, log: Log<M>, cutoff: Cutoff) {
        self.make_room(id, cutoff);
        let index = self.segment_of(id);
        if let Some(segment) = self.segments.get_mut(index) {
            self.log_bytes = self.log_bytes.saturating_add(log.heap_bytes());
            segment.insert(id, log);
            self.len = self.len.saturating_add(1);
        }
    }

    /// Sees to a vacant slot in the segment of `id`: reclaims what `cutoff` has passed; if that
    /// frees too little, gives the segment more slots, or splits it.
    fn make_room(&mut self, id: Id, cutoff: Cutoff) {
        let index = self.segment_of(id);
        let Some(segment) = self.segments.get(index).filter(|s| s.is_full()) else {
            return;
        };
        let (len, capacity) = (segment.len(), segment.capacity());
        let live = segment
            .iter()
            .filter(|(_, log)| !log.is_expired(cutoff))
            .count();
        // Unless an eighth is freed the next few identities would pay for a rebuild again.
        if live < len.saturating_sub(capacity / 8) {
            self.rebuild(index, segment::capacity_for(live), cutoff);
        } else if capacity < MAX_CAPACITY || !self.can_split(index) {
            let larger = segment.next_capacity();
            self.skewed |= larger > SKEWED_CAPACITY;
            self.rebuild(index, larger, cutoff);
        } else {
            self.split(index, cutoff);
        }
    }

    /// Whether the directory is, or may become, deep enough to tell the segment's halves apart.
    fn can_split(&self, index: usize) -> bool {
        let entries = self.directory.len();
        self.segments.get(index).is_some_and(|segment| {
            segment.prefix.depth < self.depth
                || entries.saturating_mul(IDENTITIES_PER_DIRECTORY_ENTRY) <= self.len
        })
    }

    /// Moves the segment's live entries to a new one of `capacity` slots.
    fn rebuild(&mut self, index: usize, capacity: usize, cutoff: Cutoff) {
        let Some(slot) = self.segments.get_mut(index) else {
            return;
        };
        let empty = Segment::with_capacity(capacity, slot.prefix);
        let old = std::mem::replace(slot, empty);
        self.forget(&old);
        for (id, log) in old.into_entries() {
            if !log.is_expired(cutoff) {
                self.settle(index, id, log);
            }
        }
        self.count_slots(index);
    }

    /// Splits a segment by the first bit that its identities differ in.
    fn split(&mut self, index: usize, cutoff: Cutoff) {
        let Some(prefix) = self.segments.get(index).map(|segment| segment.prefix) else {
            return;
        };
        if prefix.depth == self.depth {
            self.directory = self.directory.iter().flat_map(|s| [*s, *s]).collect();
            self.depth = self.depth.saturating_add(1);
        }
        let [lower, upper] = prefix.halves();
        let capacity = segment::capacity_for(MAX_CAPACITY / 2);
        let sibling = self.segments.len();
        self.segments.push(Segment::with_capacity(capacity, upper));
        let Some(slot) = self.segments.get_mut(index) else {
            return;
        };
        let old = std::mem::replace(slot, Segment::with_capacity(capacity, lower));
        self.forget(&old);
        self.point(upper, sibling);
        for (id, log) in old.into_entries() {
            if !log.is_expired(cutoff) {
                let half = self.segment_of(id);
                self.settle(half, id, log);
            }
        }
        self.count_slots(index);
        self.count_slots(sibling);
    }

    /// Lets the directory's entries for `prefix` point at segment number `index`.
    fn point(&mut self, prefix: Prefix, index: usize) {
        let entry = u32::try_from(index).unwrap_or(u32::MAX);
        let span = 1_usize << self.depth.saturating_sub(prefix.depth);
        let first = (prefix.bits as usize).saturating_mul(span);
        let entries = self.directory.iter_mut().skip(first).take(span);
        entries.for_each(|at| *at = entry);
    }

    /// Puts an entry into a segment that is being rebuilt, growing it if the halves of a split came
    /// out very uneven.
    fn settle(&mut self, index: usize, id: Id, log: Log<M>) {
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

    /// Takes a segment that is about to be rebuilt out of the sums.
    fn forget(&mut self, segment: &Segment<M>) {
        let log_bytes: usize = segment.iter().map(|(_, log)| log.heap_bytes()).sum();
        self.len = self.len.saturating_sub(segment.len());
        self.log_bytes = self.log_bytes.saturating_sub(log_bytes);
        self.slot_bytes = self.slot_bytes.saturating_sub(segment.slot_bytes());
    }

    /// Adds a rebuilt segment's slots to the sum.
    fn count_slots(&mut self, index: usize) {
        let bytes = self.segments.get(index).map_or(0, Segment::slot_bytes);
        self.slot_bytes = self.slot_bytes.saturating_add(bytes);
    }

    /// Which segment `id` belongs to.
    fn segment_of(&self, id: Id) -> usize {
        self.directory
            .get(leading_bits(id, self.depth))
            .map_or(0, |index| *index as usize)
    }
}

/// The first `count` bits of an id, as a number.
fn leading_bits(id: Id, count: u32) -> usize {
    let shifted = id.raw().checked_shr(u64::BITS.saturating_sub(count));
    usize::try_from(shifted.unwrap_or(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;
    use crate::identity::Tag;
    use crate::limiter::stamp::Stamp;
    use crate::limiter::time::Timestamp;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Ids as a keyed hash would make them.
    fn id(n: u64) -> Id {
        let mut x = n
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Id::from_raw(x ^ (x >> 31))
    }

    fn stamp(at: u64, tag: u32) -> Stamp {
        Stamp::new(Timestamp::from_millis(at).unwrap(), Tag::from_raw(tag))
    }

    fn add(table: &mut Table<Stamp>, id: Id, stamp: Stamp, count: usize, cutoff: Cutoff) {
        table.record(id, cutoff, |log| log.push(stamp, count));
    }

    /// What `bytes`, `len` and the directory say must be what is there.
    fn assert_sums(table: &Table<Stamp>) {
        assert_eq!(table.len, table.iter().count());
        let logs: usize = table.iter().map(|(_, log)| log.heap_bytes()).sum();
        assert_eq!(table.log_bytes, logs);
        let slots: usize = table.segments.iter().map(Segment::slot_bytes).sum();
        assert_eq!(table.slot_bytes, slots);
        assert_eq!(table.directory.len(), 1 << table.depth);
        for (index, segment) in table.segments.iter().enumerate() {
            let Prefix { depth, bits } = segment.prefix;
            let shift = table.depth - depth;
            let entries = table.directory.iter().enumerate();
            let own = entries.filter(|(_, entry)| **entry as usize == index);
            assert!(own.clone().all(|(at, _)| at >> shift == bits as usize));
            assert_eq!(own.count(), 1 << shift);
            assert!(
                segment
                    .iter()
                    .all(|(id, _)| leading_bits(id, depth) == bits as usize)
            );
        }
    }

    #[test]
    fn grows_by_segments_and_stays_dense() {
        let mut table = Table::<Stamp>::default();
        for n in 0..200_000 {
            add(&mut table, id(n), stamp(n + 1, 0), 1, Cutoff::NEVER);
            if n > 2_000 && n % 997 == 0 {
                let per_identity = table.bytes() as f64 / table.len() as f64;
                assert!(per_identity < 50.0, "{per_identity} bytes at {n}");
            }
        }
        assert_sums(&table);
        assert!((0..200_000).all(|n| table.get(id(n)).unwrap().len() == 1));
        assert!((200_000..201_000).all(|n| table.get(id(n)).is_none()));
        assert!(table.segments.iter().all(|s| s.capacity() <= MAX_CAPACITY));
        assert!(!table.is_skewed());
    }

    #[test]
    fn reclaims_expired_identities_instead_of_growing() {
        let mut table = Table::<Stamp>::default();
        for n in 0..300_000_u64 {
            let cutoff = Cutoff::from_millis(n.saturating_sub(1_000));
            add(&mut table, id(n), stamp(n + 1, 0), 1, cutoff);
        }
        assert_sums(&table);
        assert!(
            table.len() < 2_500,
            "{} identities held for 1000 live",
            table.len()
        );
        assert!((299_500..300_000).all(|n| table.get(id(n)).is_some()));
    }

    #[test]
    fn sweeping_an_expired_table_leaves_as_little_as_a_new_one() {
        let mut table = Table::<Stamp>::default();
        for n in 0..100_000_u64 {
            add(&mut table, id(n), stamp(n + 1, 0), 3, Cutoff::NEVER);
        }
        let full = table.bytes();
        let half = Cutoff::from_millis(50_000);
        let swept = |table: &mut Table<Stamp>, cutoff| {
            let (mut segment, mut reclaimed) = (0, 0);
            while segment < table.segments() {
                let segments = table.segments();
                reclaimed += table.sweep(segment, cutoff);
                segment += usize::from(table.segments() == segments);
            }
            reclaimed
        };
        assert_eq!(swept(&mut table, half), 50_000);
        assert_sums(&table);
        assert!((50_000..100_000).all(|n| table.get(id(n)).is_some()));
        assert!(table.bytes() < full * 6 / 10);
        assert_eq!(swept(&mut table, Cutoff::from_millis(100_000)), 50_000);
        for _ in 0..20 {
            swept(&mut table, Cutoff::from_millis(100_000));
        }
        assert_sums(&table);
        assert_eq!((table.segments(), table.depth), (1, 0));
        assert!(table.bytes() < 1_000, "{} bytes left", table.bytes());
    }

    #[test]
    fn gives_memory_back_when_identities_go() {
        let mut table = Table::<Stamp>::default();
        for n in 0..10_000 {
            add(&mut table, id(n), stamp(1, 7), 3, Cutoff::NEVER);
        }
        let full = table.bytes();
        for n in 0..10_000 {
            assert_eq!(
                table.forgive(id(n), Tag::from_raw(7), usize::MAX, Cutoff::NEVER),
                3
            );
        }
        assert_sums(&table);
        assert_eq!((table.len(), table.log_bytes), (0, 0));
        assert!(table.bytes() < full / 50);
    }

    #[test]
    fn evicts_the_expired_then_the_least_dangerous_and_nobody_who_is_kept() {
        let mut table = Table::<Stamp>::default();
        for n in 0..10_u64 {
            add(&mut table, id(n), stamp(n + 1, 0), 3, Cutoff::NEVER);
        }
        add(&mut table, id(10), stamp(20, 0), 1, Cutoff::NEVER);
        let nobody = |_| false;
        assert_eq!(table.evictee(id(99), Cutoff::NEVER, nobody), Some(id(10)));
        let kept = |kept| kept == id(10);
        assert_eq!(table.evictee(id(99), Cutoff::NEVER, kept), Some(id(0)));
        let expired = Cutoff::from_millis(3);
        let evictee = table.evictee(id(99), expired, nobody).unwrap();
        assert!((0..3).any(|n| evictee == id(n)));
        assert_eq!(table.evictee(id(99), Cutoff::NEVER, |_| true), None);
    }

    #[test]
    fn forged_ids_are_noticed_and_never_hang_or_explode() {
        let mut table = Table::<Stamp>::default();
        for n in 0..20_000_u64 {
            if table.is_skewed() {
                break;
            }
            add(
                &mut table,
                Id::from_raw(n << 20),
                stamp(1, 0),
                1,
                Cutoff::NEVER,
            );
        }
        assert!(table.is_skewed());
        assert_sums(&table);
        assert!(table.bytes() < 20_000 * 64);
    }

    proptest! {
        #[test]
        fn behaves_as_a_map_of_lists(
            steps in proptest::collection::vec((0..3_000_u64, 0..3_u32, 0..5_u8), 1..4_000),
        ) {
            let mut table = Table::<Stamp>::default();
            let mut map: HashMap<u64, Vec<Stamp>> = HashMap::new();
            for (at, (key, tag, action)) in steps.into_iter().enumerate() {
                let stamp = stamp(at as u64 + 1, tag);
                if action == 0 {
                    let log = map.entry(key).or_default();
                    let before = log.len();
                    log.retain(|kept| kept.tag() != stamp.tag());
                    let removed = table.forgive(id(key), stamp.tag(), usize::MAX, Cutoff::NEVER);
                    prop_assert_eq!(removed, before - log.len());
                } else if action == 4 {
                    // Now and then all that is older than the newest 2000 goes, a segment at a time.
                    let cutoff = Cutoff::from_millis((at as u64).saturating_sub(2_000));
                    let segment = key as usize % table.segments();
                    table.sweep(segment, cutoff);
                    map.retain(|n, log| {
                        let expired = log.last().is_none_or(|mark| cutoff.has_passed(mark.at()));
                        !expired || table.get(id(*n)).is_some()
                    });
                } else {
                    map.entry(key).or_default().extend(vec![stamp; usize::from(action)]);
                    add(&mut table, id(key), stamp, usize::from(action), Cutoff::NEVER);
                }
            }
            map.retain(|_, log| !log.is_empty());
            assert_sums(&table);
            prop_assert_eq!(table.len(), map.len());
            for (key, list) in map {
                let log = table.get(id(key)).unwrap();
                prop_assert!(log.iter_from(0).eq(list.into_iter()));
            }
        }
    }
}
