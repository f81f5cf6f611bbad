//! How a table frees memory, a segment at a time.

use crate::table::entry::LogEntry;
use crate::table::segment::{self, MAX_CAPACITY, Prefix, Segment};
use crate::table::table::Table;
use crate::table::time::Cutoff;

/// Two buddies are merged when they hold at most this many together: well below the size at which a segment is split,
/// so that none is split and merged in turn.
const MERGE_AT_MOST: usize = MAX_CAPACITY / 2;

/// A segment is swept once one in so many of its identities has expired: less would not be worth a rebuild.
const SWEEP_SHARE: usize = 8;

impl<E: LogEntry> Table<E> {
    /// How many segments there are to sweep.
    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Whether segment number `index` is worth sweeping: whether an eighth of its identities have expired by `cutoff`.
    pub(crate) fn is_worth_sweeping(&self, index: usize, cutoff: Cutoff) -> bool {
        self.left_by_sweeping(index, cutoff).is_some()
    }

    /// How many identities sweeping would leave in segment number `index`; `None` if it is not worth it.
    fn left_by_sweeping(&self, index: usize, cutoff: Cutoff) -> Option<usize> {
        let segment = self.segments.get(index)?;
        let live = segment.iter().filter(|(_, log)| !log.is_expired(cutoff));
        let live = live.count();
        let expired = segment.len().saturating_sub(live);
        (expired > 0 && expired >= segment.len() / SWEEP_SHARE).then_some(live)
    }

    /// Removes what `cutoff` has passed from segment number `index`, if that is worth it, and merges it with its buddy
    /// if both have become small; returns how many identities were removed.
    pub(crate) fn sweep(&mut self, index: usize, cutoff: Cutoff) -> usize {
        let before = self.len;
        if let Some(live) = self.left_by_sweeping(index, cutoff) {
            self.rebuild(index, segment::capacity_of(live), cutoff);
        }
        self.merge(index);
        before.saturating_sub(self.len)
    }

    /// Merges segment number `index` with its buddy, if there is one and both are small enough.
    fn merge(&mut self, index: usize) {
        let Some((prefix, len)) = self.segments.get(index).map(|s| (s.prefix, s.len())) else {
            return;
        };
        let Some(parent) = prefix.parent() else {
            return;
        };
        let Some(other) = self.segment_with(prefix.buddy()) else {
            return;
        };
        let together = self.segments.get(other).map_or(usize::MAX, |buddy| buddy.len().saturating_add(len));
        if together > MERGE_AT_MOST {
            return;
        }
        let (kept, removed) = (index.min(other), index.max(other));
        let upper = self.take_segment(removed);
        let Some(slot) = self.segments.get_mut(kept) else {
            return;
        };
        let lower = std::mem::replace(slot, Segment::with_capacity(segment::capacity_of(together), parent));
        self.set_directory(parent, kept);
        for old in [lower, upper] {
            self.subtract_totals(&old);
            for (id, log) in old.into_entries() {
                self.reinsert(kept, id, log);
            }
        }
        self.count_slots(kept);
        self.shrink_directory();
    }

    /// The index of the segment with exactly this prefix, if there is one.
    fn segment_with(&self, prefix: Prefix) -> Option<usize> {
        let shift = self.depth.checked_sub(prefix.depth)?;
        let entry = (prefix.bits as usize).checked_shl(shift)?;
        let index = *self.directory.get(entry)? as usize;
        let found = self.segments.get(index)?.prefix;
        (found == prefix).then_some(index)
    }

    /// Removes segment number `index`; the last segment moves into its place.
    fn take_segment(&mut self, index: usize) -> Segment<E> {
        let taken = self.segments.swap_remove(index);
        if let Some(moved) = self.segments.get(index).map(|segment| segment.prefix) {
            self.set_directory(moved, index);
        }
        if self.segments.len() < self.segments.capacity() / 4 {
            let room = self.segments.len().saturating_mul(2);
            self.segments.shrink_to(room);
        }
        taken
    }

    /// Halves the directory if no segment needs its last bit.
    fn shrink_directory(&mut self) {
        // Only then can all be shallower: a deepest segment and its buddy have one entry each.
        let sparse = self.segments.len().saturating_mul(2) <= self.directory.len();
        let depths = || self.segments.iter().map(|segment| segment.prefix.depth);
        if self.depth > 0 && sparse && depths().all(|depth| depth < self.depth) {
            self.directory = self.directory.iter().step_by(2).copied().collect();
            self.depth = self.depth.saturating_sub(1);
        }
    }
}
