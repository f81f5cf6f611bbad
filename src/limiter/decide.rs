//! CHECK and PEEK: whether an attempt may go ahead, and what follows from it.

use crate::identity::Id;
use crate::limiter::access::{List, Listed};
use crate::limiter::attempt::{Attempt, Party};
use crate::limiter::effect::Effect;
use crate::limiter::judge::{
    Binding, Decision, Judgement, Purpose, RuleSet, Standing, Verdict, judge,
};
use crate::limiter::ledger::Identities;
use crate::limiter::limiter::{Limiter, RuleStanding};
use crate::limiter::time::Timestamp;
use crate::policy::{Capacity, Counting, Enforcement, Millis};

impl Limiter {
    /// As [`Limiter::decide`], for those who need the answer alone.
    pub fn check(
        &mut self,
        attempt: &Attempt,
        clock: Timestamp,
        default_capacity: Capacity,
        emit: impl FnMut(&Effect),
    ) -> Verdict {
        self.decide(attempt, clock, default_capacity, emit).verdict
    }

    /// Decides whether `attempt` may go ahead, and counts it if so. Where the policy names no
    /// capacity, a table holds `default_capacity` identities.
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
        let party = attempt.party;
        let ids = self.ledger.identities(&party, &self.secret);
        self.ledger.touch(&ids);
        let judgement = judge(&self.policy, &self.ledger, &party, &ids, at, Purpose::Count);
        self.add_to_totals(&judgement);
        let capacity = self.policy.options().capacity.unwrap_or(default_capacity);
        if !judgement.tripping.is_empty() {
            let tripping = judgement.tripping;
            self.trip(tripping, &party, &ids, capacity, at, &mut emit);
        }
        let counted = if judgement.verdict.allowed {
            Some(Effect::Admit { at, party })
        } else {
            let rules = self.counting_denied(judgement.refusing, &ids);
            (!rules.is_empty()).then_some(Effect::CountDenied { at, party, rules })
        };
        if let Some(effect) = counted {
            let ids = self.counted_on(&effect, ids);
            self.make_room(&ids, capacity, at, &mut emit);
            emit(&effect);
            self.count(&party, &ids, at);
        }
        Decision {
            verdict: judgement.verdict,
            refusing: judgement.refusing,
            tripping: judgement.tripping,
        }
    }

    /// What [`Limiter::check`] would decide, with nothing counted and the figures as they are.
    #[must_use]
    pub fn peek(&self, attempt: &Attempt, clock: Timestamp) -> Verdict {
        let at = self.ledger.now(clock).at;
        self.listed(attempt, at).unwrap_or_else(|| {
            let party = &attempt.party;
            let ids = self.ledger.identities(party, &self.secret);
            judge(&self.policy, &self.ledger, party, &ids, at, Purpose::Look).verdict
        })
    }

    /// How each rule stands to `attempt`, in the policy's order. One that the attempt does not
    /// concern stands as if untouched.
    pub fn standings(
        &self,
        attempt: &Attempt,
        clock: Timestamp,
    ) -> impl Iterator<Item = RuleStanding<'_>> {
        let at = self.ledger.now(clock).at;
        let party = attempt.party;
        let ids = self.ledger.identities(&party, &self.secret);
        let rules = self.policy.rules().iter().enumerate();
        rules.map(move |(index, rule)| {
            let standing = Standing::of(&self.policy, &self.ledger, index, &party, &ids, at);
            let figures = standing.as_ref().map(Standing::before);
            RuleStanding {
                rule,
                remaining: figures.map_or(rule.limit().get(), |f| f.remaining),
                retry_after: figures.map_or(Millis::ZERO, |f| f.retry_after),
                reset: figures.map_or(Millis::ZERO, |f| f.reset),
                locked_for: standing.map_or(Millis::ZERO, |s| s.locked_for()),
            }
        })
    }

    /// The verdict of the lists, if one of them has the address or the email.
    fn listed(&self, attempt: &Attempt, at: Timestamp) -> Option<Verdict> {
        if self.access.is_empty() {
            return None;
        }
        let email = Some(attempt.party.email).filter(|email| *email != Party::ABSENT);
        let emails = email.into_iter().chain(attempt.tagged_email);
        let Listed { list, expires } = self.access.find(attempt.ip, emails, at)?;
        let left = expires.map_or(Millis::ZERO, |expires| expires.since(at));
        let (allowed, wait, binding) = match list {
            List::Allow => (true, Millis::ZERO, Binding::Allow),
            List::Deny => (false, left, Binding::Deny),
        };
        Some(Verdict {
            allowed,
            limit: 0,
            remaining: 0,
            retry_after: wait,
            reset: wait,
            binding,
        })
    }

    /// Shuts the identities of the rules that trip.
    fn trip(
        &mut self,
        rules: RuleSet,
        party: &Party,
        ids: &Identities,
        capacity: Capacity,
        at: Timestamp,
        emit: &mut impl FnMut(&Effect),
    ) {
        for index in (0..self.policy.rules().len()).filter(|rule| rules.contains(*rule)) {
            let standing = Standing::of(&self.policy, &self.ledger, index, party, ids, at);
            let Some(state) = standing.and_then(|standing| standing.trip()) else {
                continue;
            };
            let Some(place) = self.ledger.places.get(index).copied() else {
                continue;
            };
            let table = u8::try_from(place.table).ok();
            let (Some(table), Some(rule), Some(id)) = (table, place.lock, ids.get(place.table))
            else {
                continue;
            };
            self.make_room_for_lock(id, table, capacity, emit);
            let effect = Effect::Lock {
                at,
                table,
                rule,
                id,
                until: state.until,
                length: state.length,
            };
            self.carry_out(effect, emit);
        }
    }

    /// The rules that count an attempt although others refused it.
    fn counting_denied(&self, refusing: RuleSet, ids: &Identities) -> RuleSet {
        let mut counting = RuleSet::default();
        let rules = self.policy.rules().iter().zip(&self.ledger.places);
        for (index, (rule, place)) in rules.enumerate() {
            let concerned = ids.get(place.table).is_some();
            let counts = rule.counting() == Counting::AlsoDenied;
            if concerned && counts && !refusing.contains(index) {
                counting.insert(index);
            }
        }
        counting
    }

    /// Makes room for `ids` in each table that is full: evicts one, or two where it holds more than
    /// `capacity`, so that it comes back to it.
    fn make_room(
        &mut self,
        ids: &Identities,
        capacity: Capacity,
        at: Timestamp,
        emit: &mut impl FnMut(&Effect),
    ) {
        for index in 0..self.ledger.tables.len() {
            let Some(id) = ids.get(index) else { continue };
            for _ in 0..2 {
                self.make_room_for(id, index, capacity, at, emit);
            }
        }
    }

    /// Evicts one for whom a rule is about to shut, if twice `capacity` are shut already: locks are
    /// kept long after their attempts have left the window, and are not to grow without bound either.
    fn make_room_for_lock(
        &mut self,
        newcomer: Id,
        table: u8,
        capacity: Capacity,
        emit: &mut impl FnMut(&Effect),
    ) {
        let locks = self
            .ledger
            .tables
            .get(usize::from(table))
            .map(|table| &table.locks);
        let evictee = locks
            .filter(|locks| locks.len() >= twice(capacity) && locks.of(newcomer).next().is_none())
            .and_then(|locks| locks.soonest_to_open(newcomer));
        if let Some(id) = evictee {
            self.carry_out(Effect::Evict { table, id }, emit);
        }
    }

    /// Evicts one from table number `index` for `newcomer`, if the table is full and does not hold
    /// the newcomer yet, and there is one who may go: nobody who is locked, unless there are twice as
    /// many as the table is to hold, when whoever made them all locked is the greater danger.
    fn make_room_for(
        &mut self,
        newcomer: Id,
        index: usize,
        capacity: Capacity,
        at: Timestamp,
        emit: &mut impl FnMut(&Effect),
    ) {
        let room = usize::try_from(capacity.get()).unwrap_or(usize::MAX);
        let table = self.ledger.tables.get(index);
        let evictee = table
            .filter(|table| table.logs.len() >= room && table.logs.get(newcomer).is_none())
            .and_then(|table| {
                let is_kept =
                    |id| table.logs.len() < twice(capacity) && table.remembers_lock(id, at);
                table.logs.evictee(newcomer, table.cutoff(at), is_kept)
            });
        if let (Some(id), Ok(table)) = (evictee, u8::try_from(index)) {
            self.carry_out(Effect::Evict { table, id }, emit);
        }
    }

    /// Counts an attempt on `ids`, and arms the locks of the rules that have admitted it.
    pub(super) fn count(&mut self, party: &Party, ids: &Identities, at: Timestamp) {
        if self
            .ledger
            .tables
            .iter()
            .any(|table| !table.locks.is_empty())
        {
            self.arm(party, ids, at);
        }
        self.ledger.record(party, ids, at);
    }

    /// Arms the locks of the rules that admit an attempt which is about to be counted.
    fn arm(&mut self, party: &Party, ids: &Identities, at: Timestamp) {
        for index in 0..self.policy.rules().len() {
            let standing = Standing::of(&self.policy, &self.ledger, index, party, ids, at);
            let admits = standing.is_some_and(|s| s.has_room() && s.locked_for() == Millis::ZERO);
            if let Some(state) = self.ledger.lock_state_mut(index, ids).filter(|_| admits) {
                state.armed = true;
            }
        }
    }

    /// Adds a judgement to the totals.
    fn add_to_totals(&mut self, judgement: &Judgement) {
        let rules = self.policy.rules().iter().zip(&mut self.totals);
        for (index, (rule, totals)) in rules.enumerate() {
            if !judgement.concerned.contains(index) {
                continue;
            }
            let refuses = judgement.refusing.contains(index);
            let total = match (rule.enforcement(), refuses) {
                (Enforcement::Enforced, true) => &mut totals.refused,
                (Enforcement::Shadow, true) => &mut totals.shadow_refused,
                (_, false) if judgement.verdict.allowed => &mut totals.allowed,
                (_, false) => continue,
            };
            *total = total.saturating_add(1);
            let tripped = u64::from(judgement.tripping.contains(index));
            totals.locks = totals.locks.saturating_add(tripped);
        }
    }
}

/// Twice as many identities as a table is to hold.
fn twice(capacity: Capacity) -> usize {
    usize::try_from(capacity.get()).map_or(usize::MAX, |capacity| capacity.saturating_mul(2))
}
