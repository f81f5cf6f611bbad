//! A table of either kind of log: of attempts, or of the different emails or addresses that were seen.

use crate::identity::{Id, Tag};
use crate::limiter::attempt::AttemptIds;
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

/// What the table of one subject keeps of an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence {
    tag: Tag,
    /// How many entries it is worth where attempts are counted.
    units: usize,
    /// The id that a distinct count counts: the email for an address, the address for an email.
    pub(crate) other: Id,
}

/// How much of a log is kept when an attempt is added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    /// What has left every window.
    pub(crate) cutoff: Cutoff,
    /// The greatest length.
    pub(crate) longest: usize,
}

impl Occurrence {
    /// What the table of `subject` keeps of an attempt.
    pub(crate) fn of(subject: Subject, ids: &AttemptIds) -> Self {
        let other = match subject {
            Subject::EmailsPerIp => ids.email,
            _ => ids.address,
        };
        Self { tag: ids.tag, units: ids.cost.get() as usize, other }
    }
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

    /// Counts an attempt on `id` at `at`, and keeps no more of the log than `keep` says.
    pub(crate) fn record(&mut self, id: Id, attempt: Occurrence, at: Timestamp, keep: Retention) {
        let Retention { cutoff, longest } = keep;
        match self {
            Self::Attempts(table) => {
                let entry = AttemptEntry::new(at, attempt.tag);
                let units = attempt.units.min(longest);
                table.record(id, cutoff, |log| {
                    log.push(entry, units);
                    log.keep_newest(longest);
                });
            }
            Self::Distinct(table) => {
                let entry = DistinctEntry::new(at, attempt.tag, attempt.other);
                table.record(id, cutoff, |log| {
                    let earlier = log.find(entry.key(), 0);
                    log.remove(entry.key(), 0, usize::MAX);
                    log.push(entry.after(earlier), 1);
                    log.keep_newest(longest);
                });
            }
        }
    }

    /// Removes the newest `at_most` attempts like this one that `cutoff` has not passed from the log of `id`, or the
    /// distinct entry if it was made only by such attempts; returns how many there were.
    pub(crate) fn forgive(&mut self, id: Id, attempt: Occurrence, at_most: usize, cutoff: Cutoff) -> usize {
        match self {
            Self::Attempts(table) => table.forgive(id, attempt.tag, at_most, cutoff),
            Self::Distinct(table) => {
                let seen = table.get(id).and_then(|log| log.find(attempt.other, 0));
                if seen.is_some_and(|entry| entry.is_only_by(attempt.tag)) {
                    table.forgive(id, attempt.other, at_most, cutoff)
                } else {
                    0
                }
            }
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
