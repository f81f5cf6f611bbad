//! CHECK and PEEK: whether an attempt may go ahead, and what follows from it.

use crate::identity::Id;
use crate::limiter::attempt::{Attempt, AttemptIds};
use crate::limiter::effect::{Effect, RuleSet};
use crate::limiter::evaluate::{Binding, Decision, Evaluation, Mode, RuleEvaluation, Verdict, evaluate};
use crate::limiter::ledger::TableIds;
use crate::limiter::limiter::Limiter;
use crate::limiter::lists::{List, ListMatch};
use crate::policy::{Capacity, Counting, Enforcement, Millis};
use crate::table::Timestamp;

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
        let table_ids = self.ledger.table_ids(&ids, &self.secret);
        self.ledger.prefetch(&table_ids);
        let evaluation = evaluate(&self.context(&ids, &table_ids, at), Mode::Check);
        self.add_to_totals(&evaluation);
        let capacity = self.policy.options().capacity.unwrap_or(default_capacity);
        let mut run = Run { at, capacity, emit: &mut emit };
        if !evaluation.tripping.is_empty() {
            self.trip(evaluation.tripping, &ids, &table_ids, &mut run);
        }
        let counted = if evaluation.verdict.allowed {
            Some(Effect::Admit { at, ids })
        } else {
            let rules = self.counting_denied(evaluation.refusing, &table_ids);
            (!rules.is_empty()).then_some(Effect::CountDenied { at, ids, rules })
        };
        if let Some(effect) = counted {
            let table_ids = self.counted_on(&effect, table_ids);
            self.make_room(&table_ids, &mut run);
            emit(&effect);
            self.count(&ids, &table_ids, at);
        }
        let Evaluation { verdict, refusing, tripping, .. } = evaluation;
        Decision { verdict, refusing, tripping }
    }

    /// What [`Limiter::check`] would decide. Nothing is counted, and the figures are those before counting.
    #[must_use]
    pub fn peek(&self, attempt: &Attempt, clock: Timestamp) -> Verdict {
        let at = self.ledger.now(clock).at;
        self.listed(attempt, at).unwrap_or_else(|| {
            let table_ids = self.ledger.table_ids(&attempt.ids, &self.secret);
            evaluate(&self.context(&attempt.ids, &table_ids, at), Mode::Peek).verdict
        })
    }

    /// The verdict of the lists, if the address or the email is on one.
    fn listed(&self, attempt: &Attempt, at: Timestamp) -> Option<Verdict> {
        if self.lists.is_empty() {
            return None;
        }
        let emails = attempt.ids.present_email().into_iter().chain(attempt.tagged_email);
        let ListMatch { list, expires } = self.lists.find(attempt.ip, emails, at)?;
        let left = expires.map_or(Millis::ZERO, |expires| expires.since(at));
        let (allowed, wait, binding) = match list {
            List::Allow => (true, Millis::ZERO, Binding::Allow),
            List::Deny => (false, left, Binding::Deny),
        };
        Some(Verdict { allowed, limit: 0, remaining: 0, retry_after: wait, reset: wait, binding })
    }

    /// Locks the identities of the rules that trip.
    fn trip<E: FnMut(&Effect)>(
        &mut self,
        rules: RuleSet,
        ids: &AttemptIds,
        table_ids: &TableIds,
        run: &mut Run<'_, E>,
    ) {
        for index in (0..self.policy.rules().len()).filter(|rule| rules.contains(*rule)) {
            let evaluated = RuleEvaluation::by_index(&self.context(ids, table_ids, run.at), index);
            let Some(state) = evaluated.and_then(|rule| rule.trip()) else { continue };
            let Some(slot) = self.ledger.slots.get(index).copied() else { continue };
            let table = u8::try_from(slot.table).ok();
            let (Some(table), Some(rule), Some(id)) = (table, slot.lock, table_ids.get(slot.table)) else {
                continue;
            };
            self.make_room_for_lock(id, table, run);
            let effect = Effect::Lock { at: run.at, table, rule, id, until: state.until, length: state.length };
            self.carry_out(effect, run.emit);
        }
    }

    /// The rules that count an attempt although others refused it.
    fn counting_denied(&self, refusing: RuleSet, table_ids: &TableIds) -> RuleSet {
        let mut counting = RuleSet::default();
        let rules = self.policy.rules().iter().zip(&self.ledger.slots);
        for (index, (rule, slot)) in rules.enumerate() {
            let concerned = table_ids.get(slot.table).is_some();
            let counts = rule.counting() == Counting::AlsoDenied;
            if concerned && counts && !refusing.contains(index) {
                counting.insert(index);
            }
        }
        counting
    }

    /// Makes room for `table_ids` in each table that is full: evicts one, or two where the table holds more than the
    /// capacity, so that it shrinks to it.
    fn make_room<E: FnMut(&Effect)>(&mut self, table_ids: &TableIds, run: &mut Run<'_, E>) {
        let capacity = room(run.capacity);
        if self.ledger.tables.iter().all(|table| table.logs.len() < capacity) {
            return;
        }
        for index in 0..self.ledger.tables.len() {
            let Some(id) = table_ids.get(index) else { continue };
            for _ in 0..2 {
                self.make_room_for(id, index, run);
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
    /// that may go. A locked identity stays, unless the table holds twice its capacity: then the attacker who locks so many is
    /// the greater danger.
    fn make_room_for<E: FnMut(&Effect)>(&mut self, newcomer: Id, index: usize, run: &mut Run<'_, E>) {
        let capacity = room(run.capacity);
        let table = self.ledger.tables.get(index);
        let candidate = table
            .filter(|table| table.logs.len() >= capacity && table.logs.get(newcomer).is_none())
            .and_then(|table| {
                let is_kept = |id| table.logs.len() < twice(run.capacity) && table.remembers_lock(id, run.at);
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
            let tripped = u64::from(evaluation.tripping.contains(index));
            totals.locks = totals.locks.saturating_add(tripped);
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
