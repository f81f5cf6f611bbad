//! A table of either kind of log: of attempts, or of the different emails or addresses that were seen.

use crate::identity::Id;
use crate::policy::Subject;
use crate::table::{AttemptEntry, Cutoff, Defragmenter, DistinctEntry, Log, LogEntry, Table, Timestamp};

/// The logs of one table.
#[derive(Clone, Debug)]
pub(crate) enum AnyTable {
    /// For a subject that counts attempts.
    Attempts(Table<AttemptEntry>),
    /// For a subject that counts different emails or addresses.
    Distinct(Table<DistinctEntry>),
}

/// One identity's log, of either kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnyLog<'a> {
    /// Its attempts.
    Attempts(&'a Log<AttemptEntry>),
    /// The emails or addresses it was seen with.
    Distinct(&'a Log<DistinctEntry>),
}

/// Does the same with a table or log of either kind.
macro_rules! either {
    ($any:expr, $inner:ident => $action:expr) => {
        match $any {
            Self::Attempts($inner) => $action,
            Self::Distinct($inner) => $action,
        }
    };
}

impl AnyTable {
    /// An empty table of the kind that `subject` needs.
    pub(crate) fn new(subject: Subject) -> Self {
        if subject.is_distinct_count() { Self::Distinct(Table::default()) } else { Self::Attempts(Table::default()) }
    }

    /// How many identities there are, including expired ones that are not reclaimed yet.
    pub(crate) fn len(&self) -> usize {
        either!(self, table => table.len())
    }

    /// Bytes it takes, without what the allocator adds.
    pub(crate) fn bytes(&self) -> usize {
        either!(self, table => table.bytes())
    }

    /// Bytes of the logs that are too long for their slot.
    pub(crate) fn log_bytes(&self) -> usize {
        either!(self, table => table.log_bytes())
    }

    /// Some bits of the home slot of `id`, see [`Table::prefetch`].
    pub(crate) fn prefetch(&self, id: Id) -> u64 {
        either!(self, table => table.prefetch(id))
    }

    /// The log of `id`.
    pub(crate) fn get(&self, id: Id) -> Option<AnyLog<'_>> {
        match self {
            Self::Attempts(table) => table.get(id).map(AnyLog::Attempts),
            Self::Distinct(table) => table.get(id).map(AnyLog::Distinct),
        }
    }

    /// Removes `id`; returns whether it was there.
    pub(crate) fn remove(&mut self, id: Id) -> bool {
        either!(self, table => table.remove(id))
    }

    /// How many segments there are to sweep.
    pub(crate) fn segments(&self) -> usize {
        either!(self, table => table.segments())
    }

    /// Moves the memory of a segment.
    pub(crate) fn defragment(&mut self, segment: usize, defragmenter: &mut impl Defragmenter) {
        either!(self, table => table.defragment(segment, defragmenter));
    }

    /// Whether a segment is worth sweeping, see [`Table::is_worth_sweeping`].
    pub(crate) fn is_worth_sweeping(&self, segment: usize, cutoff: Cutoff) -> bool {
        either!(self, table => table.is_worth_sweeping(segment, cutoff))
    }

    /// Sweeps a segment, see [`Table::sweep`].
    pub(crate) fn sweep(&mut self, segment: usize, cutoff: Cutoff) -> usize {
        either!(self, table => table.sweep(segment, cutoff))
    }

    /// The identity to evict for `newcomer`, see [`Table::eviction_candidate`].
    pub(crate) fn eviction_candidate(&self, newcomer: Id, cutoff: Cutoff, is_kept: impl Fn(Id) -> bool) -> Option<Id> {
        either!(self, table => table.eviction_candidate(newcomer, cutoff, is_kept))
    }
}

impl AnyLog<'_> {
    /// How many entries there are, in and out of any window.
    pub(crate) fn len(self) -> usize {
        either!(self, log => log.len())
    }

    /// The index of the oldest entry that `cutoff` has not passed; the length if all have left.
    pub(crate) fn first_after(self, cutoff: Cutoff) -> usize {
        either!(self, log => log.first_after(cutoff))
    }

    /// The time of the entry at `index`, 0 being the oldest.
    pub(crate) fn at(self, index: usize) -> Option<Timestamp> {
        either!(self, log => log.get(index).map(LogEntry::at))
    }

    /// Whether `other` was seen at or after index `first`.
    pub(crate) fn has_seen(self, other: Id, first: usize) -> bool {
        match self {
            Self::Attempts(_) => false,
            Self::Distinct(log) => log.find(other, first).is_some(),
        }
    }
}
