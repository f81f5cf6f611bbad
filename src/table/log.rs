//! The exact times of one identity's counted attempts.
//!
//! Most identities are seen once or twice, so the first entries are in the table's slot itself and need no allocation.
//! Further ones move to a ring on the heap.

use crate::table::defrag::Defragmenter;
use crate::table::entry::LogEntry;
use crate::table::time::{Cutoff, Timestamp};

/// The entries of one identity, oldest first, times never decreasing.
#[derive(Clone, Debug)]
pub(crate) enum Log<E: LogEntry> {
    /// As many entries as fit into the slot, the vacant places last.
    Inline(E::Inline),
    /// More entries, or temporarily fewer after some have left.
    Spilled(Ring<E>),
}

/// A ring of entries on the heap: neither removing the oldest nor adding the newest moves the others.
#[derive(Clone, Debug)]
pub(crate) struct Ring<E> {
    slots: Box<[E]>,
    head: u32,
    len: u32,
}

impl<E: LogEntry> Default for Log<E> {
    fn default() -> Self {
        Self::Inline(E::NONE_INLINE)
    }
}

impl<E: LogEntry> Log<E> {
    /// How many entries fit into the slot itself.
    const INLINE: usize = size_of::<E::Inline>() / size_of::<E>();

    /// How many entries there are, in and out of any window.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Inline(entries) => {
                let mut present = entries.as_ref().iter();
                present.position(|m| *m == E::VACANT).unwrap_or(Self::INLINE)
            }
            Self::Spilled(ring) => ring.len as usize,
        }
    }

    /// Whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Inline(entries) => entries.as_ref().first() == Some(&E::VACANT),
            Self::Spilled(ring) => ring.len == 0,
        }
    }

    /// The entry at `index`, 0 being the oldest.
    pub(crate) fn get(&self, index: usize) -> Option<E> {
        match self {
            Self::Inline(entries) => {
                let entry = entries.as_ref().get(index).copied();
                entry.filter(|entry| *entry != E::VACANT)
            }
            Self::Spilled(ring) => ring.get(index),
        }
    }

    /// The newest entry.
    pub(crate) fn newest(&self) -> Option<E> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The entries from `first` on, oldest first.
    pub(crate) fn iter_from(&self, first: usize) -> impl Iterator<Item = E> + '_ {
        (first..self.len()).map_while(|index| self.get(index))
    }

    /// The index of the oldest entry that `cutoff` has not passed; the length if all have left.
    pub(crate) fn first_after(&self, cutoff: Cutoff) -> usize {
        // Usually nothing has left.
        if self.get(0).is_none_or(|oldest| !cutoff.has_passed(oldest.at())) {
            return 0;
        }
        let (mut low, mut high) = (1, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle) {
                Some(entry) if cutoff.has_passed(entry.at()) => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        low
    }

    /// Whether every entry has left by `cutoff`.
    pub(crate) fn is_expired(&self, cutoff: Cutoff) -> bool {
        self.newest().is_none_or(|entry| cutoff.has_passed(entry.at()))
    }

    /// Adds `count` copies of `entry`, which must not be older than the newest. Memory is allocated at most once.
    pub(crate) fn push(&mut self, entry: E, count: usize) {
        let len = self.len();
        let needed = len.saturating_add(count);
        if let Self::Inline(entries) = self
            && needed <= Self::INLINE
        {
            for slot in entries.as_mut().iter_mut().skip(len).take(count) {
                *slot = entry;
            }
            return;
        }
        match self {
            Self::Spilled(ring) if needed <= ring.slots.len() => ring.push(entry, count),
            _ => {
                let mut ring = Ring::copied(self, ring_capacity(needed));
                ring.push(entry, count);
                *self = Self::Spilled(ring);
            }
        }
    }

    /// Removes the entries before `first`.
    pub(crate) fn drop_before(&mut self, first: usize) {
        let first = first.min(self.len());
        if first == 0 {
            return;
        }
        match self {
            Self::Inline(entries) => {
                let entries = entries.as_mut();
                entries.rotate_left(first.min(entries.len()));
                for slot in entries.iter_mut().rev().take(first) {
                    *slot = E::VACANT;
                }
            }
            Self::Spilled(ring) => ring.drop_front(first),
        }
        self.shrink();
    }

    /// Removes the newest `at_most` entries with `key` at or after index `first`; returns how many there were.
    pub(crate) fn remove(&mut self, key: E::Key, first: usize, at_most: usize) -> usize {
        let mut removed = 0_usize;
        let mut from = self.len();
        for index in (first..self.len()).rev() {
            if removed == at_most {
                break;
            }
            if self.get(index).is_some_and(|entry| entry.key() == key) {
                removed = removed.saturating_add(1);
                from = index;
            }
        }
        if removed == 0 {
            return 0;
        }
        let mut kept = from;
        for index in from..self.len() {
            if let Some(entry) = self.get(index).filter(|entry| entry.key() != key) {
                self.set(kept, entry);
                kept = kept.saturating_add(1);
            }
        }
        self.truncate(kept);
        self.shrink();
        removed
    }

    /// Removes the newest entry with `key` at or after index `first`, and others of the same time and key, at most
    /// `at_most` in all; returns how many there were, and their time.
    pub(crate) fn remove_newest(&mut self, key: E::Key, first: usize, at_most: usize) -> Option<(usize, Timestamp)> {
        let mut newest_first = (first..self.len()).rev().map_while(|index| self.get(index));
        let at = newest_first.find(|entry| entry.key() == key)?.at();
        let first = self.first_after(Cutoff::before(at)).max(first);
        Some((self.remove(key, first, at_most), at))
    }

    /// Replaces the oldest entry with the key of `entry`, and puts it at the place of its time: after those of the same
    /// time, if that has changed.
    pub(crate) fn replace(&mut self, entry: E) {
        let known = (0..self.len()).find(|index| self.get(*index).is_some_and(|known| known.key() == entry.key()));
        if let Some(index) = known.filter(|index| self.get(*index).map(LogEntry::at) == Some(entry.at())) {
            return self.set(index, entry);
        }
        self.remove(entry.key(), 0, usize::MAX);
        self.push(entry, 1);
        let mut index = self.len().saturating_sub(1);
        while let Some(before) = index.checked_sub(1) {
            let Some(previous) = self.get(before).filter(|previous| previous.at() > entry.at()) else { break };
            self.set(index, previous);
            self.set(before, entry);
            index = before;
        }
    }

    /// Makes every entry that is newer than `now` one of `now`.
    pub(crate) fn clamp(&mut self, now: Timestamp) {
        for index in (0..self.len()).rev() {
            match self.get(index) {
                Some(entry) if entry.at() > now => self.set(index, entry.no_later_than(now)),
                _ => break,
            }
        }
    }

    /// Removes all but the newest `count` entries.
    pub(crate) fn keep_newest(&mut self, count: usize) {
        self.drop_before(self.len().saturating_sub(count));
    }

    /// The oldest entry with `key` at or after index `first`.
    pub(crate) fn find(&self, key: E::Key, first: usize) -> Option<E> {
        self.iter_from(first).find(|entry| entry.key() == key)
    }

    /// How many bytes it holds besides its slot.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline(_) => 0,
            Self::Spilled(ring) => size_of_val(&*ring.slots),
        }
    }

    /// Moves what it holds besides its slot.
    pub(crate) fn defragment(&mut self, defragmenter: &mut impl Defragmenter) {
        if let Self::Spilled(ring) = self {
            ring.slots = defragmenter.reallocate(std::mem::take(&mut ring.slots));
        }
    }

    /// Overwrites the entry at `index`.
    fn set(&mut self, index: usize, entry: E) {
        let slot = match self {
            Self::Inline(entries) => entries.as_mut().get_mut(index),
            Self::Spilled(ring) => {
                let position = ring.position(index);
                ring.slots.get_mut(position)
            }
        };
        if let Some(slot) = slot {
            *slot = entry;
        }
    }

    /// Removes the entries from `len` on.
    fn truncate(&mut self, len: usize) {
        match self {
            Self::Inline(entries) => {
                let left = entries.as_mut().iter_mut().skip(len);
                left.for_each(|entry| *entry = E::VACANT);
            }
            Self::Spilled(ring) => ring.len = ring.len.min(u32::try_from(len).unwrap_or(u32::MAX)),
        }
    }

    /// Frees memory once at most a quarter of it is in use.
    fn shrink(&mut self) {
        let Self::Spilled(ring) = self else { return };
        let len = ring.len as usize;
        if len <= Self::INLINE {
            let mut entries = E::NONE_INLINE;
            for (slot, entry) in entries.as_mut().iter_mut().zip(self.iter_from(0)) {
                *slot = entry;
            }
            *self = Self::Inline(entries);
        } else if len <= ring.slots.len() / 4 {
            *self = Self::Spilled(Ring::copied(self, ring_capacity(len)));
        }
    }
}

impl<E: LogEntry> Ring<E> {
    /// A ring of `capacity` slots with the entries of `log`.
    fn copied(log: &Log<E>, capacity: usize) -> Self {
        let mut slots = vec![E::VACANT; capacity].into_boxed_slice();
        for (slot, entry) in slots.iter_mut().zip(log.iter_from(0)) {
            *slot = entry;
        }
        Self { slots, head: 0, len: u32::try_from(log.len()).unwrap_or(u32::MAX) }
    }

    /// Where the entry at `index` is in the slots.
    fn position(&self, index: usize) -> usize {
        let unwrapped = (self.head as usize).saturating_add(index);
        unwrapped.checked_sub(self.slots.len()).unwrap_or(unwrapped)
    }

    /// The entry at `index`, 0 being the oldest.
    fn get(&self, index: usize) -> Option<E> {
        if index >= self.len as usize {
            return None;
        }
        self.slots.get(self.position(index)).copied()
    }

    /// Adds `count` copies of `entry`; the caller has made sure that they fit.
    fn push(&mut self, entry: E, count: usize) {
        for _ in 0..count {
            let position = self.position(self.len as usize);
            if let Some(slot) = self.slots.get_mut(position) {
                *slot = entry;
                self.len = self.len.saturating_add(1);
            }
        }
    }

    /// Removes the oldest `count` entries; there are at least as many.
    fn drop_front(&mut self, count: usize) {
        self.head = u32::try_from(self.position(count)).unwrap_or(0);
        self.len = self.len.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
    }
}

/// How many slots a ring for `needed` entries gets: the next size class of jemalloc, Redis's allocator (steps of 16
/// bytes up to 128, then a quarter of a power of two), so that no byte of an allocation is wasted.
fn ring_capacity(needed: usize) -> usize {
    let step = (needed.saturating_sub(1) / 4).checked_ilog2().map_or(2, |bits| (1_usize << bits).max(2));
    needed.next_multiple_of(step).max(4)
}

#[cfg(test)]
mod tests;
