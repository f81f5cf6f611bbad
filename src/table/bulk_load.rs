//! How a table takes in stored logs.

use crate::identity::Id;
use crate::table::entry::LogEntry;
use crate::table::log::Log;
use crate::table::segment::{self, MAX_CAPACITY};
use crate::table::table::Table;
use crate::table::time::Cutoff;

impl<E: LogEntry> Table<E> {
    /// Makes room for as many of the next new `ids` as belong to one segment, in one step instead of slot by slot;
    /// returns for how many.
    ///
    /// Stored logs come segment by segment and in the order of the slots. Inserted one by one into a segment that grows
    /// meanwhile, all would crowd at its beginning.
    pub(crate) fn reserve(&mut self, ids: impl Iterator<Item = Id> + Clone) -> usize {
        loop {
            let Some(first) = ids.clone().next() else {
                return 0;
            };
            let index = self.segment_of(first);
            let together = ids.clone().take_while(|id| self.segment_of(*id) == index);
            let count = together.count();
            let Some(segment) = self.segments.get(index) else {
                return 0;
            };
            if segment.room() >= count {
                return count;
            }
            let needed = segment.len().saturating_add(count);
            let capacity = segment::least_capacity_for(needed);
            if capacity <= MAX_CAPACITY {
                self.rebuild(index, capacity, Cutoff::NEVER);
            } else if self.can_split(index) {
                self.split(index, Cutoff::NEVER, segment::least_capacity_for);
            } else if segment.room() > 0 {
                return segment.room();
            } else {
                let larger = segment.next_capacity().max(MAX_CAPACITY);
                self.enlarge(index, larger, Cutoff::NEVER);
            }
        }
    }

    /// Adds `entries`, oldest first and at least one, to the log of `id`; `false`, and nothing is added, if an entry
    /// there is newer than the first of them.
    pub(crate) fn append(&mut self, id: Id, entries: impl Iterator<Item = E> + Clone) -> bool {
        // Only a log that is too long for one chunk comes in several pieces.
        let added = self.update(id, |known| {
            let follows = known.newest().map(LogEntry::at) <= entries.clone().next().map(LogEntry::at);
            if follows {
                entries.clone().for_each(|entry| known.push(entry, 1));
            }
            follows
        });
        added.unwrap_or_else(|| {
            let mut log = Log::default();
            entries.for_each(|entry| log.push(entry, 1));
            if !log.is_empty() {
                self.insert(id, log, Cutoff::NEVER);
            }
            true
        })
    }
}
