//! A bounded part of a table: open addressing in Robin Hood order.
//!
//! Entries are at most a few slots from home, in order of their distance from it. So a look-up reads one or two
//! neighbouring cache lines, and ends early when its identity is not there. See Celis, Larson, Munro, "Robin Hood
//! Hashing" (1985).

use crate::identity::Id;
use crate::table::defrag::Defragmenter;
use crate::table::entry::{AttemptEntry, DistinctEntry, LogEntry};
use crate::table::log::Log;

/// A slot for one identity: vacant while its log is empty.
#[derive(Clone, Debug)]
pub(crate) struct Slot<E: LogEntry> {
    pub(crate) id: Id,
    pub(crate) log: Log<E>,
}

/// How many slots a cache line holds: a look-up costs as many cold lines as it touches.
const SLOTS_A_LINE: usize = 2;

const _: () = assert!(size_of::<Slot<AttemptEntry>>() == 32 && size_of::<Slot<DistinctEntry>>() == 40);

impl<E: LogEntry> Slot<E> {
    const VACANT: Self = Self { id: Id::from_raw(0), log: Log::Inline(E::NONE_INLINE) };

    /// Whether it holds no identity.
    fn is_vacant(&self) -> bool {
        self.log.is_empty()
    }
}

/// A sequence of slots whose identities share their leading bits.
#[derive(Clone, Debug)]
pub(crate) struct Segment<E: LogEntry> {
    slots: Box<[Slot<E>]>,
    len: usize,
    pub(crate) prefix: Prefix,
}

/// The leading bits that all identities of a segment share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Prefix {
    /// How many bits.
    pub(crate) depth: u32,
    /// The bits, as a number below 2^depth.
    pub(crate) bits: u32,
}

impl Prefix {
    /// No bits: the prefix of the only segment of a small table.
    pub(crate) const NONE: Self = Self { depth: 0, bits: 0 };

    /// The prefixes of the halves of a split: one bit longer, with that bit 0 and 1.
    pub(crate) fn halves(self) -> [Self; 2] {
        let depth = self.depth.saturating_add(1);
        let bits = self.bits << 1;
        [bits, bits | 1].map(|bits| Self { depth, bits })
    }

    /// The prefix of the segment that this one and its buddy were split from; `None` if it was never split.
    pub(crate) fn parent(self) -> Option<Self> {
        Some(Self { depth: self.depth.checked_sub(1)?, bits: self.bits >> 1 })
    }

    /// The prefix of the other half of the parent.
    pub(crate) fn buddy(self) -> Self {
        let bits = self.bits ^ 1;
        Self { bits, ..self }
    }
}

/// How many slots a segment has at most before it is split: 32 KiB, rebuilt in microseconds.
pub(crate) const MAX_CAPACITY: usize = 1024;

impl<E: LogEntry> Segment<E> {
    /// A segment of `capacity` vacant slots.
    pub(crate) fn with_capacity(capacity: usize, prefix: Prefix) -> Self {
        Self { slots: vec![Slot::VACANT; capacity].into_boxed_slice(), len: 0, prefix }
    }

    /// How many identities it holds.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many slots it has.
    pub(crate) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Bytes of the slots, without what their logs hold besides.
    pub(crate) fn slot_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Whether one more identity would fill it beyond seven eighths, where probe sequences get long.
    pub(crate) fn is_full(&self) -> bool {
        self.len >= max_len(self.slots.len())
    }

    /// How many more identities fit before it [is full](Self::is_full).
    pub(crate) fn room(&self) -> usize {
        max_len(self.slots.len()).saturating_sub(self.len)
    }

    /// The next larger capacity: a quarter of a power of two more, so that a table is always 70 to 88 percent full.
    /// Doubling would make that 44 to 88 percent.
    pub(crate) fn next_capacity(&self) -> usize {
        capacity_after(self.slots.len())
    }

    /// Some bits of each cache line that a look-up of `id` usually reads, to have them fetched into the cache.
    pub(crate) fn prefetch(&self, id: Id) -> u64 {
        let home = self.home(id);
        let lines = [0, SLOTS_A_LINE, 2 * SLOTS_A_LINE];
        let slots = lines.map(|line| self.slots.get(home.saturating_add(line)));
        let bits = slots.map(|slot| slot.map_or(0, |slot| slot.id.raw()));
        bits.into_iter().fold(0, |all, bits| all ^ bits)
    }

    /// The log of `id`.
    pub(crate) fn get(&self, id: Id) -> Option<&Log<E>> {
        let index = self.find(id)?;
        self.slots.get(index).map(|slot| &slot.log)
    }

    /// Applies `change` to the log of `id`, and removes the identity if its log is then empty. `None` if there is no
    /// such identity.
    pub(crate) fn update<R>(&mut self, id: Id, change: impl FnOnce(&mut Log<E>) -> R) -> Option<R> {
        let index = self.find(id)?;
        let log = &mut self.slots.get_mut(index)?.log;
        let result = change(log);
        if log.is_empty() {
            self.close_gap(index);
            self.len = self.len.saturating_sub(1);
        }
        Some(result)
    }

    /// Adds an identity that is not there yet, with a log that is not empty. There must be a vacant slot.
    pub(crate) fn insert(&mut self, id: Id, log: Log<E>) {
        let mut carried = Slot { id, log };
        let mut index = self.home(id);
        let mut distance = 0_usize;
        for _ in 0..self.slots.len() {
            let resident_distance = self.distance_at(index);
            let Some(slot) = self.slots.get_mut(index) else {
                return;
            };
            if slot.is_vacant() {
                *slot = carried;
                self.len = self.len.saturating_add(1);
                return;
            }
            if resident_distance < distance {
                std::mem::swap(slot, &mut carried);
                distance = resident_distance;
            }
            index = self.next(index);
            distance = distance.saturating_add(1);
        }
        debug_assert!(false, "an identity is lost: the segment has no vacant slot");
    }

    /// The identities with their logs, by home. Inserted in this order into another segment of as many slots, they get
    /// the same places. So what is loaded is stored again as the same bytes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &Log<E>)> {
        let (wrapped, rest) = self.slots.split_at_checked(self.wrapped()).unwrap_or((&[], &self.slots));
        rest.iter().chain(wrapped).filter(|slot| !slot.is_vacant()).map(|slot| (slot.id, &slot.log))
    }

    /// The identities with their logs, starting at the home of `id` and wrapping around: a sample that no one can
    /// predict without the key of the ids.
    pub(crate) fn sample(&self, id: Id) -> impl Iterator<Item = (Id, &Log<E>)> {
        let (before, after) = self.slots.split_at_checked(self.home(id)).unwrap_or((&[], &self.slots));
        after.iter().chain(before).filter(|slot| !slot.is_vacant()).map(|slot| (slot.id, &slot.log))
    }

    /// Moves the slots and what their logs hold.
    pub(crate) fn defragment(&mut self, defragmenter: &mut impl Defragmenter) {
        self.slots = defragmenter.reallocate(std::mem::take(&mut self.slots));
        for slot in &mut self.slots {
            slot.log.defragment(defragmenter);
        }
    }

    /// Takes all entries out, in the order of [`iter`](Self::iter).
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (Id, Log<E>)> {
        let wrapped = self.wrapped();
        let mut slots = self.slots.into_vec();
        slots.rotate_left(wrapped);
        slots.into_iter().filter(|slot| !slot.is_vacant()).map(|slot| (slot.id, slot.log))
    }

    /// How many of the first slots hold identities whose home is near the end.
    fn wrapped(&self) -> usize {
        let is_wrapped = |index: &usize| {
            let slot = self.slots.get(*index);
            slot.is_some_and(|slot| !slot.is_vacant()) && self.distance_at(*index) > *index
        };
        (0..self.slots.len()).take_while(is_wrapped).count()
    }

    /// The slot that holds `id`.
    fn find(&self, id: Id) -> Option<usize> {
        let mut index = self.home(id);
        for distance in 0..self.slots.len() {
            let slot = self.slots.get(index)?;
            if slot.id == id && !slot.is_vacant() {
                return Some(index);
            }
            if slot.is_vacant() || self.distance_at(index) < distance {
                return None;
            }
            index = self.next(index);
        }
        None
    }

    /// Moves the entries after a slot just emptied one slot back, up to an entry that is at home. A vacant slot in
    /// between would end their look-ups too early.
    fn close_gap(&mut self, emptied: usize) {
        let mut gap = emptied;
        for _ in 0..self.slots.len() {
            let follower = self.next(gap);
            let settled =
                self.slots.get(follower).is_none_or(|slot| slot.is_vacant() || self.distance_at(follower) == 0);
            if settled {
                break;
            }
            self.slots.swap(gap, follower);
            gap = follower;
        }
    }

    /// The home slot of `id`. It depends on the low half of the id, because the high bits are the same for a whole
    /// segment (the multiply-shift of Lemire, "Fast Random Integer Generation in an Interval", 2019).
    fn home(&self, id: Id) -> usize {
        let low = id.raw() & u64::from(u32::MAX);
        usize::try_from(low.saturating_mul(self.slots.len() as u64) >> 32).unwrap_or(0)
    }

    /// How far the entry at `index` is from home.
    fn distance_at(&self, index: usize) -> usize {
        let home = self.slots.get(index).map_or(index, |slot| self.home(slot.id));
        index.checked_sub(home).unwrap_or_else(|| self.slots.len().saturating_sub(home).saturating_add(index))
    }

    /// The slot after `index`, wrapping around at the end.
    fn next(&self, index: usize) -> usize {
        let next = index.saturating_add(1);
        if next >= self.slots.len() { 0 } else { next }
    }
}

/// The smallest capacity step that holds more than `len` identities.
pub(crate) fn capacity_for(len: usize) -> usize {
    let mut capacity = 0;
    while max_len(capacity) <= len {
        capacity = capacity_after(capacity);
    }
    capacity
}

/// As [`capacity_for`], but 0 for no identities.
pub(crate) fn capacity_of(len: usize) -> usize {
    if len == 0 { 0 } else { capacity_for(len) }
}

/// The smallest capacity step that holds `len` identities: what a segment has that grew to them one by one.
pub(crate) fn least_capacity_for(len: usize) -> usize {
    len.checked_sub(1).map_or(0, capacity_for)
}

/// The next capacity step after `capacity`.
fn capacity_after(capacity: usize) -> usize {
    let step = capacity.checked_ilog2().map_or(4, |bits| (1_usize << bits) / 4);
    capacity.saturating_add(step.max(2))
}

/// How many identities a segment of `capacity` slots may hold.
fn max_len(capacity: usize) -> usize {
    capacity.saturating_sub(capacity.div_ceil(8))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;
    use crate::identity::Tag;
    use crate::table::time::Timestamp;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn log(at: u64) -> Log<AttemptEntry> {
        let mut log = Log::default();
        log.push(AttemptEntry::new(Timestamp::from_millis(at).unwrap(), Tag::from_raw(0)), 1);
        log
    }

    #[test]
    fn capacities_climb_in_quarters() {
        let mut ladder = vec![0];
        while *ladder.last().unwrap() < MAX_CAPACITY {
            ladder.push(capacity_after(*ladder.last().unwrap()));
        }
        assert_eq!(ladder[..8], [0, 4, 6, 8, 10, 12, 14, 16]);
        assert_eq!(ladder[ladder.len() - 5..], [512, 640, 768, 896, 1024]);
        assert!((0..2000).all(|len| max_len(capacity_for(len)) > len));
    }

    proptest! {
        /// Few distinct low bits, so that probes collide and wrap.
        #[test]
        fn behaves_as_a_map(steps in proptest::collection::vec((0..40_u64, any::<bool>()), 1..300)) {
            let mut segment = Segment::with_capacity(32, Prefix::NONE);
            let mut map = HashMap::new();
            for (at, (key, adds)) in steps.into_iter().enumerate() {
                let id = Id::from_raw(key << 61 | (key % 7) << 29);
                if adds && !map.contains_key(&id) && !segment.is_full() {
                    segment.insert(id, log(at as u64 + 1));
                    map.insert(id, at as u64 + 1);
                } else if !adds {
                    let removed = segment.update(id, |log| *log = Log::default());
                    prop_assert_eq!(removed.is_some(), map.remove(&id).is_some());
                }
                prop_assert_eq!(segment.len(), map.len());
                for (id, at) in &map {
                    let newest = segment.get(*id).unwrap().newest().unwrap();
                    prop_assert_eq!(newest.at().as_millis(), *at);
                }
                prop_assert_eq!(segment.iter().count(), map.len());
            }
        }
    }
}
