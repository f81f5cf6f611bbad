//! How what has expired is let go while nobody asks, a little at a time.
//!
//! Commands reclaim where they need room; this is for the rest, so that an idle limiter returns to
//! empty. It is invisible: what is reclaimed counts nowhere any more, neither in a verdict nor in
//! the digest. For that it goes by the ledger's time, which stands still while nobody tries; where
//! it would reclaim by the server's clock, it first moves the ledger's time on, replicas' too.

use crate::limiter::effect::Effect;
use crate::limiter::ledger::LogTable;
use crate::limiter::limiter::{LIST_RECLAIM_STEP, Limiter};
use crate::limiter::locks::LockKey;
use crate::limiter::time::Timestamp;
use crate::policy::Millis;

/// A ledger whose time is no further behind the clock than this has been tried at lately, and its
/// own time will do.
const IDLE: Millis = Millis::new(1_000);

/// How many locks are looked at in one step.
const LOCKS_A_STEP: usize = 32;

/// Where reclaiming goes on. It depends on nothing but what it has seen, and nothing depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Sweep {
    table: usize,
    segment: usize,
    /// The last lock of the table that was looked at.
    lock: Option<LockKey>,
}

/// What one step of reclaiming has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reclaimed {
    /// How many identities went.
    pub identities: usize,
    /// Whether the step was the last of a round over all the limiter holds.
    pub is_round_done: bool,
}

impl Limiter {
    /// Does one small step of reclaiming: a segment of a table, some locks, some list entries.
    /// `clock` is the server's; on a replica it is `None`, since only effects move its time on.
    pub fn reclaim(
        &mut self,
        clock: Option<Timestamp>,
        mut emit: impl FnMut(&Effect),
    ) -> Reclaimed {
        let newest = self.ledger.newest;
        let clock = clock.map_or(newest, |clock| self.read_clock(clock, &mut emit));
        let now = if clock.since(newest) > IDLE {
            clock
        } else {
            newest
        };
        let sweep = self.sweep;
        let table = self.ledger.tables.get(sweep.table);
        let over = table.map_or_else(Vec::new, |table| locks_over(table, sweep, now));
        let is_worth = || {
            table.is_some_and(|table| {
                let cutoff = table.cutoff(now);
                table.logs.is_worth_sweeping(sweep.segment, cutoff)
            })
        };
        if now > newest && (!over.is_empty() || self.access.has_expired(now) || is_worth()) {
            self.carry_out(Effect::TimePassed { at: now }, &mut emit);
        }

        let mut identities = 0;
        let mut next_segment = sweep.segment.saturating_add(1);
        if let Some(table) = self.ledger.tables.get_mut(sweep.table) {
            let (cutoff, segments) = (table.cutoff(now), table.logs.segments());
            identities = table.logs.sweep(sweep.segment, cutoff);
            over.into_iter().for_each(|key| table.locks.forget(key));
            if table.logs.segments() < segments {
                // Two were joined, and another one has moved to where one of them was.
                next_segment = sweep.segment;
            }
        }
        self.access.reclaim(now, LIST_RECLAIM_STEP);
        self.reclaim_watch(now);
        self.sweep = self.after(sweep, next_segment);
        Reclaimed {
            identities,
            is_round_done: self.sweep == Sweep::default(),
        }
    }

    /// Where reclaiming goes on after a step at `sweep`, in the same table with `next_segment`.
    fn after(&self, sweep: Sweep, next_segment: usize) -> Sweep {
        let Some(table) = self.ledger.tables.get(sweep.table) else {
            return Sweep::default();
        };
        let looked_at = table.locks.next_after(sweep.lock, LOCKS_A_STEP).last();
        let next = Sweep {
            segment: next_segment,
            lock: looked_at.map_or(sweep.lock, |(key, _)| Some(key)),
            ..sweep
        };
        let has_more_locks = table.locks.next_after(next.lock, 1).next().is_some();
        if next.segment < table.logs.segments() || has_more_locks {
            return next;
        }
        let table = sweep.table.saturating_add(1);
        if table < self.ledger.tables.len() {
            Sweep {
                table,
                ..Sweep::default()
            }
        } else {
            Sweep::default()
        }
    }
}

/// The locks that the step at `sweep` looks at and that nothing depends on any more at `now`.
fn locks_over(table: &LogTable, sweep: Sweep, now: Timestamp) -> Vec<LockKey> {
    let looked_at = table.locks.next_after(sweep.lock, LOCKS_A_STEP);
    let over = looked_at.filter(|((id, _), state)| table.is_over(*id, state, now));
    over.map(|(key, _)| key).collect()
}
