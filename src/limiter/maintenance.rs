//! Reclaiming what has expired, and defragmenting memory, a little at a time.
//!
//! Commands reclaim where they need room; this is for the rest, so that an idle limiter becomes empty again. It is
//! invisible: what is reclaimed counts nowhere any more, neither in a verdict nor in the digest. So it uses the
//! ledger's time, which stands still without attempts. To reclaim by the server's clock, it first moves the ledger's
//! time forward, on replicas too.

use crate::limiter::effect::Effect;
use crate::limiter::limiter::{LIST_RECLAIM_STEP, Limiter, Sweep};
use crate::limiter::locks::LockKey;
use crate::limiter::subject_table::SubjectTable;
use crate::policy::Millis;
use crate::table::{Defragmenter, Timestamp};

/// If the ledger's time is behind the clock by no more than this, there were attempts lately, and its own time is used.
const IDLE: Millis = Millis::new(1_000);

/// How many locks are checked in one step.
const LOCKS_A_STEP: usize = 32;

/// What one step of reclaiming has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reclaimed {
    /// How many identities were removed.
    pub identities: usize,
    /// Whether the step was the last of a round over all that the limiter holds.
    pub is_round_done: bool,
}

/// How far defragmenting has come, as a number that a server can keep: the table's index above the segment's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DefragCursor(u64);

impl DefragCursor {
    /// How many bits the segment's index has.
    const SEGMENT_BITS: u32 = 48;

    /// The cursor that [`raw`](Self::raw) returned; any number is valid.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The indices of the next table and segment.
    fn position(self) -> (usize, usize) {
        let table = self.0 >> Self::SEGMENT_BITS;
        let segment = self.0 & (u64::MAX >> (u64::BITS - Self::SEGMENT_BITS));
        let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
        (index(table), index(segment))
    }

    /// The cursor to a segment of a table.
    fn at(table: usize, segment: usize) -> Self {
        Self((table as u64) << Self::SEGMENT_BITS | segment as u64)
    }
}

impl Limiter {
    /// Does one small step of reclaiming: a segment of a table, some locks, some list entries. `clock` is the server's
    /// current time; on a replica it is `None`, since only effects move its time.
    pub fn reclaim(&mut self, clock: Option<Timestamp>, mut emit: impl FnMut(&Effect)) -> Reclaimed {
        let clock = clock.map(|clock| self.read_clock(clock, &mut emit));
        // Only now, since reading the clock may have restored the ledger's time.
        let latest = self.ledger.latest;
        let clock = clock.unwrap_or(latest);
        let now = if clock.since(latest) > IDLE { clock } else { latest };
        let sweep = self.sweep;
        let table = self.ledger.tables.get(sweep.table);
        let over = table.map_or_else(Vec::new, |table| locks_over(table, sweep, now));
        let is_worth = || {
            table.is_some_and(|table| {
                let cutoff = table.cutoff(now);
                table.logs.is_worth_sweeping(sweep.segment, cutoff)
            })
        };
        if now > latest
            && (!over.is_empty() || self.lists.has_expired(now) || self.ledger.unlocks.has_expired(now) || is_worth())
        {
            self.carry_out(Effect::TimePassed { at: now }, &mut emit);
        }

        let mut identities = 0;
        let mut next_segment = sweep.segment.saturating_add(1);
        if let Some(table) = self.ledger.tables.get_mut(sweep.table) {
            let (cutoff, segments) = (table.cutoff(now), table.logs.segments());
            identities = table.logs.sweep(sweep.segment, cutoff);
            over.into_iter().for_each(|key| table.locks.delete(key));
            if table.logs.segments() < segments {
                // Two were merged, and another one has moved into this place.
                next_segment = sweep.segment;
            }
        }
        self.lists.reclaim(now, LIST_RECLAIM_STEP);
        self.ledger.unlocks.reclaim(now, LIST_RECLAIM_STEP);
        if self.monitor.as_mut().is_some_and(|monitor| monitor.reclaim(now)) {
            self.monitor = None;
        }
        self.sweep = self.after(sweep, next_segment);
        Reclaimed { identities, is_round_done: self.sweep == Sweep::default() }
    }

    /// Where reclaiming continues after a step at `sweep`, in the same table with `next_segment`.
    fn after(&self, sweep: Sweep, next_segment: usize) -> Sweep {
        let Some(table) = self.ledger.tables.get(sweep.table) else {
            return Sweep::default();
        };
        let checked = table.locks.next_after(sweep.lock, LOCKS_A_STEP).last();
        let lock = checked.map_or(sweep.lock, |(key, _)| Some(key));
        let next = Sweep { segment: next_segment, lock, ..sweep };
        let has_more_locks = table.locks.next_after(next.lock, 1).next().is_some();
        if next.segment < table.logs.segments() || has_more_locks {
            return next;
        }
        let table = sweep.table.saturating_add(1);
        if table < self.ledger.tables.len() { Sweep { table, ..Sweep::default() } } else { Sweep::default() }
    }

    /// Defragments the tables from `from` on, until the server asks to stop; returns where to continue, or `None` if
    /// all is done. Locks and lists, which are few, stay where they are.
    pub fn defragment(&mut self, from: DefragCursor, defragmenter: &mut impl Defragmenter) -> Option<DefragCursor> {
        let (mut index, mut segment) = from.position();
        while let Some(table) = self.ledger.tables.get_mut(index) {
            if segment >= table.logs.segments() {
                (index, segment) = (index.saturating_add(1), 0);
                continue;
            }
            table.logs.defragment(segment, defragmenter);
            segment = segment.saturating_add(1);
            if defragmenter.should_stop() {
                return Some(DefragCursor::at(index, segment));
            }
        }
        None
    }
}

/// The locks that the step at `sweep` checks and that nothing depends on any more at `now`.
fn locks_over(table: &SubjectTable, sweep: Sweep, now: Timestamp) -> Vec<LockKey> {
    let checked = table.locks.next_after(sweep.lock, LOCKS_A_STEP);
    let over = checked.filter(|(_, state)| table.is_over(state, now));
    over.map(|(key, _)| key).collect()
}
