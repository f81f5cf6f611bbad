//! The logs of one table, of either kind: of attempts, or of the other parties that were seen.

use crate::identity::Id;
use crate::limiter::attempt::Party;
use crate::limiter::log::Log;
use crate::limiter::relocate::Mover;
use crate::limiter::stamp::{Mark, Sighting, Stamp};
use crate::limiter::table::Table;
use crate::limiter::time::{Cutoff, Timestamp};
use crate::policy::Subject;

/// The logs of one table.
#[derive(Clone, Debug)]
pub(crate) enum Logs {
    /// A subject that counts attempts.
    Attempts(Table<Stamp>),
    /// One that counts how many different emails or addresses there were.
    Parties(Table<Sighting>),
}

/// One identity's log, of either kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LogRef<'a> {
    /// Its attempts.
    Attempts(&'a Log<Stamp>),
    /// The other parties it was seen with.
    Parties(&'a Log<Sighting>),
}

/// The party whom a subject counts different ones of: the email for an address, and the other way
/// round.
pub(crate) fn other_party(subject: Subject, party: &Party) -> Id {
    match subject {
        Subject::EmailsPerIp => party.email,
        _ => party.address,
    }
}

impl Logs {
    /// No logs yet, of the kind that `subject` has.
    pub(crate) fn new(subject: Subject) -> Self {
        if subject.is_distinct_count() {
            Self::Parties(Table::default())
        } else {
            Self::Attempts(Table::default())
        }
    }

    /// How many identities there are, expired ones that were not reclaimed yet among them.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Attempts(table) => table.len(),
            Self::Parties(table) => table.len(),
        }
    }

    /// Bytes they take, without what the allocator adds.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Attempts(table) => table.bytes(),
            Self::Parties(table) => table.bytes(),
        }
    }

    /// Bytes of the logs that are too long for their slot.
    pub(crate) fn log_bytes(&self) -> usize {
        match self {
            Self::Attempts(table) => table.log_bytes(),
            Self::Parties(table) => table.log_bytes(),
        }
    }

    /// Some bits of the slot where `id` would like to be, see [`Table::touch`].
    pub(crate) fn touch(&self, id: Id) -> u64 {
        match self {
            Self::Attempts(table) => table.touch(id),
            Self::Parties(table) => table.touch(id),
        }
    }

    /// The log of `id`.
    pub(crate) fn get(&self, id: Id) -> Option<LogRef<'_>> {
        match self {
            Self::Attempts(table) => table.get(id).map(LogRef::Attempts),
            Self::Parties(table) => table.get(id).map(LogRef::Parties),
        }
    }

    /// Counts an attempt on `id` at `at`, and keeps no more than the newest `longest` marks of what
    /// `cutoff` has not passed.
    pub(crate) fn record(
        &mut self,
        subject: Subject,
        party: &Party,
        id: Id,
        at: Timestamp,
        cutoff: Cutoff,
        longest: usize,
    ) {
        match self {
            Self::Attempts(table) => {
                let stamp = Stamp::new(at, party.tag);
                let units = (party.cost.get() as usize).min(longest);
                table.record(id, cutoff, |log| {
                    log.push(stamp, units);
                    log.keep_newest(longest);
                });
            }
            Self::Parties(table) => {
                let sighting = Sighting::new(at, party.tag, other_party(subject, party));
                table.record(id, cutoff, |log| {
                    let earlier = log.find(sighting.key(), 0);
                    log.remove(sighting.key(), 0, usize::MAX);
                    log.push(sighting.after(earlier), 1);
                    log.keep_newest(longest);
                });
            }
        }
    }

    /// Takes the newest `at_most` attempts like `party`'s that `cutoff` has not passed from the log
    /// of `id`, or the sighting of the other party if all of it was by such attempts; returns how
    /// many there were.
    pub(crate) fn forgive(
        &mut self,
        subject: Subject,
        party: &Party,
        id: Id,
        at_most: usize,
        cutoff: Cutoff,
    ) -> usize {
        match self {
            Self::Attempts(table) => table.forgive(id, party.tag, at_most, cutoff),
            Self::Parties(table) => {
                let other = other_party(subject, party);
                let seen = table.get(id).and_then(|log| log.find(other, 0));
                if seen.is_some_and(|sighting| sighting.is_only_by(party.tag)) {
                    table.forgive(id, other, at_most, cutoff)
                } else {
                    0
                }
            }
        }
    }

    /// Removes `id`; returns whether it was there.
    pub(crate) fn remove(&mut self, id: Id) -> bool {
        match self {
            Self::Attempts(table) => table.remove(id),
            Self::Parties(table) => table.remove(id),
        }
    }

    /// How many segments there are to sweep.
    pub(crate) fn segments(&self) -> usize {
        match self {
            Self::Attempts(table) => table.segments(),
            Self::Parties(table) => table.segments(),
        }
    }

    /// Lets `mover` move the memory of a segment.
    pub(crate) fn relocate(&mut self, segment: usize, mover: &mut impl Mover) {
        match self {
            Self::Attempts(table) => table.relocate(segment, mover),
            Self::Parties(table) => table.relocate(segment, mover),
        }
    }

    /// Whether a segment is worth sweeping, see [`Table::is_worth_sweeping`].
    pub(crate) fn is_worth_sweeping(&self, segment: usize, cutoff: Cutoff) -> bool {
        match self {
            Self::Attempts(table) => table.is_worth_sweeping(segment, cutoff),
            Self::Parties(table) => table.is_worth_sweeping(segment, cutoff),
        }
    }

    /// Sweeps a segment, see [`Table::sweep`].
    pub(crate) fn sweep(&mut self, segment: usize, cutoff: Cutoff) -> usize {
        match self {
            Self::Attempts(table) => table.sweep(segment, cutoff),
            Self::Parties(table) => table.sweep(segment, cutoff),
        }
    }

    /// Whom to evict for `newcomer`, see [`Table::evictee`].
    pub(crate) fn evictee(
        &self,
        newcomer: Id,
        cutoff: Cutoff,
        is_kept: impl Fn(Id) -> bool,
    ) -> Option<Id> {
        match self {
            Self::Attempts(table) => table.evictee(newcomer, cutoff, is_kept),
            Self::Parties(table) => table.evictee(newcomer, cutoff, is_kept),
        }
    }
}

impl LogRef<'_> {
    /// How many marks there are, in and out of any window.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Attempts(log) => log.len(),
            Self::Parties(log) => log.len(),
        }
    }

    /// The index of the oldest mark that `cutoff` has not passed; the length if all have left.
    pub(crate) fn first_after(self, cutoff: Cutoff) -> usize {
        match self {
            Self::Attempts(log) => log.first_after(cutoff),
            Self::Parties(log) => log.first_after(cutoff),
        }
    }

    /// The time of the mark at `index`, 0 being the oldest.
    pub(crate) fn at(self, index: usize) -> Option<Timestamp> {
        match self {
            Self::Attempts(log) => log.get(index).map(Mark::at),
            Self::Parties(log) => log.get(index).map(Mark::at),
        }
    }

    /// Whether `other` was seen at or after index `first`.
    pub(crate) fn has_seen(self, other: Id, first: usize) -> bool {
        match self {
            Self::Attempts(_) => false,
            Self::Parties(log) => log.find(other, first).is_some(),
        }
    }
}
