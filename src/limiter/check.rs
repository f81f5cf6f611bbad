//! CHECK and PEEK: whether an attempt may go ahead, and what follows from it.

use crate::identity::Id;
use crate::limiter::attempt::{Attempt, AttemptIds};
use crate::limiter::effect::{Effect, RuleSet};
use crate::limiter::evaluate::{Binding, Decision, Evaluation, RuleEvaluation, Verdict, counting_denied, evaluate};
use crate::limiter::ledger::{Scope, TableIds};
use crate::limiter::limiter::Limiter;
use crate::limiter::lists::{List, ListMatch};
use crate::limiter::locks::{LockKey, LockState};
use crate::limiter::subject_table::Counted;
use crate::policy::{Capacity, Enforcement, Millis};
use crate::table::{Cutoff, Timestamp};

/// How a command changes a limiter: when, how many identities a table may hold, and where its effects go.
struct Run<'a, E> {
    at: Timestamp,
    capacity: Capacity,
    emit: &'a mut E,
}

impl Limiter {
    /// As [`Limiter::decide`], for callers that need the answer alone.
    pub fn check(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        default_capacity: Capacity,
        emit: impl FnMut(&Effect),
    ) -> Verdict {
        self.decide(attempt, clock, default_capacity, emit).verdict
    }

    /// Decides whether `attempt` may go ahead, and counts it if so. Where the policy sets no capacity, a table holds
    /// `default_capacity` identities.
    pub fn decide(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        default_capacity: Capacity,
        mut emit: impl FnMut(&Effect),
    ) -> Decision {
        let at = self.read_clock(clock, &mut emit);
        if let Some(verdict) = self.listed(attempt, at) {
            return Decision::without_rules(verdict);
        }
        let ids = attempt.ids;
        let table_ids = self.ledger.table_ids(&ids, &self.secret, Scope::Counting, at);
        self.ledger.prefetch(&table_ids);
        let evaluation = evaluate(&self.context(&ids, &table_ids, at));
        self.add_to_totals(&evaluation);
        let Evaluation { verdict, concerned, refusing, tripping, .. } = evaluation;
        let capacity = self.policy.options().capacity.unwrap_or(default_capacity);
        let mut run = Run { at, capacity, emit: &mut emit };
        let counted = if verdict.allowed {
            Some(Effect::Admit { at, ids })
        } else {
            let rules = counting_denied(&self.policy, concerned, refusing);
            (!rules.is_empty()).then_some(Effect::CountDenied { at, ids, rules })
        };
        let Some(effect) = counted else {
            return Decision { verdict, refusing, tripping };
        };
        // What an attempt locks depends on what was there before it.
        let locks = if tripping.is_empty() { Vec::new() } else { self.locks(tripping, &ids, &table_ids, at) };
        let table_ids = self.counted_on(&effect, table_ids);
        self.make_room(&table_ids, &mut run);
        (run.emit)(&effect);
        self.ledger.record(&ids, &table_ids, at);
        for lock in locks {
            self.begin_lock(lock, &mut run);
        }
        Decision { verdict, refusing, tripping }
    }

    /// What [`Limiter::check`] would return now. Nothing is counted.
    #[must_use]
    pub fn peek(&self, attempt: &Attempt, clock: Timestamp) -> Verdict {
        let at = self.ledger.now(clock).at;
        self.listed(attempt, at).unwrap_or_else(|| self.evaluated(attempt, at).verdict)
    }

    /// The rules applied to an attempt.
    fn evaluated(&self, attempt: &Attempt, at: Timestamp) -> Evaluation {
        let table_ids = self.ledger.table_ids(&attempt.ids, &self.secret, Scope::Counting, at);
        evaluate(&self.context(&attempt.ids, &table_ids, at))
    }

    /// The verdict of the lists, if the address or the email is on one. A denial lasts no shorter than what the rules
    /// refuse: whoever waits for its end is not refused again.
    fn listed(&self, attempt: &Attempt, at: Timestamp) -> Option<Verdict> {
        if self.lists.is_empty() {
            return None;
        }
        let emails = attempt.ids.present_email().into_iter().chain(attempt.tagged_email);
        let ListMatch { list, expires } = self.lists.find(attempt.ip, emails, at)?;
        let (allowed, wait, binding) = match list {
            List::Allow => (true, Some(Millis::ZERO), Binding::Allow),
            List::Deny => {
                let refused_for = || self.evaluated(attempt, at).refused_for;
                (false, expires.map(|expires| expires.since(at).max(refused_for())), Binding::Deny)
            }
        };
        Some(Verdict { allowed, limit: None, remaining: None, retry_after: wait, reset: wait, binding })
    }

    /// The locks that begin with an attempt for these rules, with the index of each one's table.
    fn locks(
        &self,
        rules: RuleSet,
        ids: &AttemptIds,
        table_ids: &TableIds,
        at: Timestamp,
    ) -> Vec<(usize, LockKey, LockState)> {
        let context = self.context(ids, table_ids, at);
        let locks = rules.iter().filter_map(|rule| {
            let slot = self.ledger.slots.get(rule)?;
            let state = RuleEvaluation::by_index(&context, rule)?.trip(ids.tag)?;
            Some((slot.table, (table_ids.get(slot.table)?.id, slot.lock?.number), state))
        });
        locks.collect()
    }

    /// Locks an identity.
    fn begin_lock<E: FnMut(&Effect)>(&mut self, lock: (usize, LockKey, LockState), run: &mut Run<'_, E>) {
        let (table, (id, rule), state) = lock;
        let Ok(table) = u8::try_from(table) else { return };
        self.make_room_for_lock(id, table, run);
        let LockState { length, strikes, tag, .. } = state;
        let effect = Effect::Lock { at: run.at, table, rule, id, length, strikes: Some(strikes), tag };
        self.carry_out(effect, run.emit);
    }

    /// Makes room for `table_ids` in each table that is full: evicts one, or two where the table holds more than the
    /// capacity, so that it shrinks to it.
    fn make_room<E: FnMut(&Effect)>(&mut self, table_ids: &TableIds, run: &mut Run<'_, E>) {
        let capacity = room(run.capacity);
        if self.ledger.tables.iter().all(|table| table.logs.len() < capacity) {
            return;
        }
        for index in 0..self.ledger.tables.len() {
            let Some(who) = table_ids.get(index) else { continue };
            for _ in 0..2 {
                self.make_room_for(who.id, index, run);
            }
        }
    }

    /// Evicts one identity for one that is about to be locked, if twice the capacity are locked already. Locks are kept
    /// long after their attempts have left the window, and must not grow without bound either.
    fn make_room_for_lock<E: FnMut(&Effect)>(&mut self, newcomer: Id, table: u8, run: &mut Run<'_, E>) {
        let locks = self.ledger.tables.get(usize::from(table)).map(|table| &table.locks);
        let candidate = locks
            .filter(|locks| locks.len() >= twice(run.capacity) && locks.of(newcomer).next().is_none())
            .and_then(|locks| locks.soonest_to_end(newcomer));
        if let Some(id) = candidate {
            self.carry_out(Effect::Evict { table, id }, run.emit);
        }
    }

    /// Evicts one identity from table number `index`, if the table is full, does not hold the newcomer yet, and has one
    /// that may go. A locked identity stays, unless the table holds twice its capacity: then the attacker who locks so
    /// many is the greater danger.
    fn make_room_for<E: FnMut(&Effect)>(&mut self, newcomer: Id, index: usize, run: &mut Run<'_, E>) {
        let capacity = room(run.capacity);
        let table = self.ledger.tables.get(index);
        let candidate = table
            .filter(|table| table.logs.len() >= capacity && table.logs.get(newcomer).is_none())
            .and_then(|table| {
                let is_kept = |id| {
                    let who = Counted { id, cleared: Cutoff::NEVER };
                    table.logs.len() < twice(run.capacity) && table.remembers_lock(who, run.at)
                };
                table.logs.eviction_candidate(newcomer, table.cutoff(run.at), is_kept)
            });
        if let (Some(id), Ok(table)) = (candidate, u8::try_from(index)) {
            self.carry_out(Effect::Evict { table, id }, run.emit);
        }
    }

    /// Adds an evaluation to the totals.
    #[inline]
    fn add_to_totals(&mut self, evaluation: &Evaluation) {
        let rules = self.policy.rules().iter().zip(&mut self.totals);
        for (index, (rule, totals)) in rules.enumerate() {
            if !evaluation.concerned.contains(index) {
                continue;
            }
            let refuses = evaluation.refusing.contains(index);
            let total = match (rule.enforcement(), refuses) {
                (Enforcement::Enforced, true) => &mut totals.refused,
                (Enforcement::Shadow, true) => &mut totals.shadow_refused,
                (_, false) if evaluation.verdict.allowed => &mut totals.allowed,
                (_, false) => continue,
            };
            *total = total.saturating_add(1);
        }
        if !evaluation.tripping.is_empty() {
            self.add_to_locks(evaluation.tripping);
        }
    }

    /// Adds the locks that begin to the totals. Rules in shadow begin none.
    fn add_to_locks(&mut self, tripping: RuleSet) {
        let rules = self.policy.rules().iter().zip(&mut self.totals).enumerate();
        for (_, (_, totals)) in
            rules.filter(|(index, (rule, _))| rule.enforcement() == Enforcement::Enforced && tripping.contains(*index))
        {
            totals.locks = totals.locks.saturating_add(1);
        }
    }
}

/// How many identities a table may hold.
fn room(capacity: Capacity) -> usize {
    usize::try_from(capacity.get()).unwrap_or(usize::MAX)
}

/// Twice as many identities as a table may hold.
fn twice(capacity: Capacity) -> usize {
    room(capacity).saturating_mul(2)
}
