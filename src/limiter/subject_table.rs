//! One table: the identities of one subject, with their logs and locks.

use crate::identity::{Id, Tag};
use crate::limiter::attempt::AttemptIds;
use crate::limiter::locks::{LockState, Locks};
use crate::policy::{Lock, Millis, RuleKey, Subject};
use crate::table::{AttemptEntry, Cutoff, Defragmenter, DistinctEntry, Forgiven, Log, LogEntry, Table, Timestamp};

/// What the logs of one table hold.
///
/// Rules of one subject share the log of admitted attempts, since an admitted attempt counts for all of them. A rule
/// with `COUNT-DENIED` has its own log: what it counts besides depends on which rules refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogKind {
    /// Whose attempts.
    pub subject: Subject,
    /// `None` for admitted attempts; `Some(n)` for what the subject's rule number n (from 0) with `COUNT-DENIED`
    /// counts.
    pub denied: Option<u8>,
}

/// What the rules that read one table ask of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TableSpec {
    pub(crate) kind: LogKind,
    /// The longest window: no rule looks at anything older.
    pub(crate) retention: Millis,
    /// The greatest limit: how long until an attempt fits depends on the newest `limit` entries only.
    pub(crate) longest: usize,
    /// How many of the rules have a `LOCK`.
    pub(crate) locks: u8,
    /// The longest window of any enforced rule of the policy: how long strikes are remembered at least.
    pub(crate) longest_window: Millis,
}

/// Where one rule finds its log and its lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RuleSlot {
    /// The index of its table.
    pub(crate) table: usize,
    /// Its lock, if it has one.
    pub(crate) lock: Option<LockSlot>,
    /// What it is known by when the policy changes.
    pub(crate) key: RuleKey,
}

/// A rule's lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LockSlot {
    /// Which of its table's rules with a lock it is, from 0.
    pub(crate) number: u8,
    /// How long it locks.
    pub(crate) times: Lock,
}

/// An identity in a table, for one attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counted {
    /// The identity.
    pub(crate) id: Id,
    /// What an UNLOCK of its email has cleared.
    pub(crate) cleared: Cutoff,
}

/// What was forgiven in one table.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct ForgivenUnits {
    /// How many units no longer count.
    pub(crate) units: usize,
    /// Whether anything was changed.
    pub(crate) changed: bool,
    /// When they were counted, where that is one time.
    pub(crate) at: Option<Timestamp>,
}

/// The identities of one table, with their logs and locks.
#[derive(Clone, Debug)]
pub(crate) struct SubjectTable {
    pub(crate) spec: TableSpec,
    /// What an earlier policy with shorter windows dropped, and what must stay dropped under a policy with longer ones.
    /// Otherwise what counts would depend on what is not yet reclaimed, which differs between a primary and its
    /// replica.
    pub(crate) floor: Cutoff,
    pub(crate) logs: AnyTable,
    pub(crate) locks: Locks,
}

impl SubjectTable {
    /// An empty table.
    pub(super) fn new(spec: TableSpec) -> Self {
        Self { spec, floor: Cutoff::NEVER, logs: AnyTable::new(spec.kind.subject), locks: Locks::default() }
    }

    /// What no rule of this table looks at any more at `now`.
    pub(crate) fn cutoff(&self, now: Timestamp) -> Cutoff {
        self.floor.max(Cutoff::of(now, self.spec.retention))
    }

    /// Counts an attempt on an identity at `at`, and keeps no more of its log than some rule looks at.
    pub(super) fn record(&mut self, ids: &AttemptIds, Counted { id, cleared }: Counted, at: Timestamp) {
        let (cutoff, longest) = (self.cutoff(at), self.spec.longest);
        match &mut self.logs {
            AnyTable::Attempts(table) => {
                let entry = AttemptEntry::new(at, ids.tag);
                let units = (ids.cost.get() as usize).min(longest);
                table.record(id, cutoff, |log| {
                    if cleared > Cutoff::NEVER {
                        log.drop_before(log.first_after(cleared));
                    }
                    log.push(entry, units);
                    log.keep_newest(longest);
                });
            }
            AnyTable::Distinct(table) => {
                let entry = DistinctEntry::new(at, ids.tag, counted_id(self.spec.kind.subject, ids));
                table.record(id, cutoff, |log| {
                    let known = log.find(entry.key(), 0);
                    log.remove(entry.key(), 0, usize::MAX);
                    log.push(entry.after(known, cutoff), 1);
                    log.keep_newest(longest);
                });
            }
        }
        if !self.locks.is_empty() {
            let longest_window = self.spec.longest_window;
            self.locks.counted(id, cleared, at, |state| state.is_forgotten(at, longest_window));
        }
    }

    /// Forgives all attempts like this one on an identity that still count at `now`.
    pub(super) fn forgive(&mut self, ids: &AttemptIds, who: Counted, now: Timestamp) -> ForgivenUnits {
        let cutoff = self.cutoff(now).max(who.cleared);
        match &mut self.logs {
            AnyTable::Attempts(table) => {
                let removed = table.update(who.id, |log| log.remove(ids.tag, log.first_after(cutoff), usize::MAX));
                let units = removed.unwrap_or(0);
                ForgivenUnits { units, changed: units > 0, at: None }
            }
            AnyTable::Distinct(table) => {
                let other = counted_id(self.spec.kind.subject, ids);
                table.update(who.id, |log| forgive_distinct(log, ids.tag, other, cutoff)).unwrap_or_default()
            }
        }
    }

    /// Takes back the newest attempt like this one that still counts at `now`, as many units as it has and at most its
    /// cost. A distinct count keeps it: an earlier attempt may be why it is there.
    pub(super) fn refund(&mut self, ids: &AttemptIds, who: Counted, now: Timestamp) -> ForgivenUnits {
        let (cutoff, cost) = (self.cutoff(now).max(who.cleared), ids.cost.get() as usize);
        let AnyTable::Attempts(table) = &mut self.logs else {
            return ForgivenUnits::default();
        };
        let removed = table.update(who.id, |log| log.remove_newest(ids.tag, log.first_after(cutoff), cost)).flatten();
        removed.map_or_else(ForgivenUnits::default, |(units, at)| ForgivenUnits { units, changed: true, at: Some(at) })
    }

    /// Whether some attempt on an identity still counts at `now`.
    pub(crate) fn is_live(&self, who: Counted, now: Timestamp) -> bool {
        let cutoff = self.cutoff(now).max(who.cleared);
        let log = self.logs.get(who.id);
        log.is_some_and(|log| log.first_after(cutoff) < log.len())
    }

    /// The locks that something may still depend on at `now`.
    pub(crate) fn live_locks(&self, now: Timestamp) -> impl Iterator<Item = (Id, u8, &LockState)> {
        self.locks.iter().filter(move |(_, _, state)| !self.is_over(state, now))
    }

    /// Whether some attempt on an identity still counts at `now`, or something may depend on a lock of it.
    pub(crate) fn remembers(&self, who: Counted, now: Timestamp) -> bool {
        self.is_live(who, now) || self.remembers_lock(who, now)
    }

    /// Whether something may still depend on a lock of an identity at `now`.
    pub(crate) fn remembers_lock(&self, who: Counted, now: Timestamp) -> bool {
        let mut states = self.locks.of(who.id);
        states.any(|(_, state)| !self.is_over(state, now) && !who.cleared.has_passed(state.began()))
    }

    /// Whether nothing depends on a lock any more. Such a lock counts as deleted, and is deleted later.
    pub(crate) fn is_over(&self, state: &LockState, now: Timestamp) -> bool {
        state.is_forgotten(now, self.spec.longest_window)
    }

    /// The lock of an identity by the table's rule number `rule` with `LOCK`, if something may depend on it at `now`.
    pub(crate) fn lock_state(&self, who: Counted, rule: u8, now: Timestamp) -> Option<&LockState> {
        if self.locks.is_empty() {
            return None;
        }
        let state = self.locks.get((who.id, rule))?;
        (!self.is_over(state, now) && !who.cleared.has_passed(state.began())).then_some(state)
    }

    /// Removes an identity, with its locks.
    pub(crate) fn remove(&mut self, id: Id) {
        self.logs.remove(id);
        self.locks.remove(id);
    }

    /// The table's time was `from`, which was wrong, and is `now`: what it has counted since counts as of `now`, and
    /// locks last as long as they would have.
    pub(crate) fn move_in_time(&mut self, from: Timestamp, now: Timestamp) {
        // What is over may still be in memory here, and must not begin again.
        let (cutoff, longest_window) = (self.cutoff(from), self.spec.longest_window);
        self.locks.retain(|state| !state.is_forgotten(from, longest_window));
        match &mut self.logs {
            AnyTable::Attempts(table) => table.clamp(cutoff, now),
            AnyTable::Distinct(table) => table.clamp(cutoff, now),
        }
        self.floor = self.floor.min(Cutoff::before(now));
        self.locks.move_in_time(from, now);
    }
}

/// Forgives what attempts with `tag` have seen of `other`, if `cutoff` has not passed it.
fn forgive_distinct(log: &mut Log<DistinctEntry>, tag: Tag, other: Id, cutoff: Cutoff) -> ForgivenUnits {
    let known = log.find(other, log.first_after(cutoff));
    let Some(forgiven) = known.and_then(|known| known.forgiven(tag, cutoff)) else {
        return ForgivenUnits::default();
    };
    let units = match forgiven {
        Forgiven::Whole => log.remove(other, 0, usize::MAX),
        Forgiven::Partly(left) => {
            log.replace(left);
            0
        }
    };
    ForgivenUnits { units, changed: true, at: None }
}

/// The id that a distinct count of `subject` counts: the email for an address, the address for an email.
pub(crate) fn counted_id(subject: Subject, ids: &AttemptIds) -> Id {
    match subject {
        Subject::EmailsPerIp => ids.email,
        Subject::IpsPerEmail => ids.address,
        // Other subjects count attempts.
        Subject::Ip | Subject::Email | Subject::Pair | Subject::All | Subject::Device => AttemptIds::ABSENT,
    }
}

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
