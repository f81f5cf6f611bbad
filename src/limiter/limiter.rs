//! A limiter: its policy, its secret, its ledger and its lists, and how effects change it.

use crate::identity::{Id, Secret};
use crate::limiter::attempt::AttemptIds;
use crate::limiter::effect::{Effect, RuleSet};
use crate::limiter::evaluate::{Binding, EvaluationContext, RuleEvaluation, Verdict};
use crate::limiter::ledger::{Forgiveness, Ledger, TableIds};
use crate::limiter::lists::{List, ListEntry, ListFull, ListKey, Lists};
use crate::limiter::locks::{LockKey, LockState};
use crate::limiter::refusals::RefusalMonitor;
use crate::limiter::subject_table::SubjectTable;
use crate::policy::{Millis, Policy, Rule, Subject};
use crate::table::Timestamp;

/// How many expired list entries are deleted whenever one is added.
pub(super) const LIST_RECLAIM_STEP: usize = 4;

/// The value of one limiter key.
///
/// The methods that decide (`check`, `reset`, ...) apply what they decided and pass it to `emit` as [`Effect`]s to
/// replicate; [`Limiter::apply`] applies effects that another server decided. `clock` is the server's current time.
#[derive(Clone, Debug)]
pub struct Limiter {
    pub(super) policy: Policy,
    pub(super) secret: Secret,
    pub(super) ledger: Ledger,
    pub(super) lists: Lists,
    pub(super) totals: Vec<RuleTotals>,
    /// Where reclaiming continues.
    pub(super) sweep: Sweep,
    /// Tables that the policy no longer needs, until they are taken.
    retired_tables: Vec<SubjectTable>,
    /// What is remembered of refusals. No decision depends on it.
    pub(super) monitor: Option<Box<RefusalMonitor>>,
}

/// What a limiter no longer needs. Dropping it frees the memory, which may take long and may be done in any thread.
#[derive(Debug)]
pub struct RetiredTables(#[expect(dead_code, reason = "held to be dropped")] Vec<SubjectTable>);

/// How often this server has decided by a rule. Kept in memory only.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RuleTotals {
    /// Attempts that the rule admitted and that were counted.
    pub allowed: u64,
    /// Attempts that the rule refused.
    pub refused: u64,
    /// Attempts that the rule, being in shadow, would have refused.
    pub shadow_refused: u64,
    /// How often the rule has locked an identity.
    pub locks: u64,
}

/// Where reclaiming continues. It depends on nothing but what it has seen, and nothing depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Sweep {
    pub(super) table: usize,
    pub(super) segment: usize,
    /// The last lock of the table that was looked at.
    pub(super) lock: Option<LockKey>,
}

impl Limiter {
    /// A limiter that has counted nothing yet.
    #[must_use]
    pub fn new(policy: Policy, secret: Secret) -> Self {
        Self {
            totals: vec![RuleTotals::default(); policy.rules().len()],
            ledger: Ledger::new(&policy),
            lists: Lists::default(),
            sweep: Sweep::default(),
            retired_tables: Vec::new(),
            monitor: None,
            policy,
            secret,
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What `verdict` was given by, in the policy's words, or `ALLOW` or `DENY` for the lists.
    #[must_use]
    pub fn binding_words(&self, verdict: &Verdict) -> &str {
        match verdict.binding {
            Binding::Rule(rule) => self.policy.rules().get(rule).map_or("", Rule::words),
            Binding::Allow => List::Allow.word(),
            Binding::Deny => List::Deny.word(),
        }
    }

    /// Adds an entry to a list, for `ttl` or permanently; an entry that is there gets this expiry. Returns whether it
    /// is new.
    ///
    /// # Errors
    /// [`ListFull`] if the lists hold as many entries as they may.
    pub fn list_add(
        &mut self,
        key: ListKey,
        ttl: Option<Millis>,
        clock: Timestamp,
        mut emit: impl FnMut(&Effect),
    ) -> Result<bool, ListFull> {
        let at = self.read_clock(clock, &mut emit);
        let entry = ListEntry { key, expires: ttl.map(|ttl| at.plus(ttl)) };
        let is_new = self.put_on_list(entry, at)?;
        emit(&Effect::ListAdd { at, entry });
        Ok(is_new)
    }

    /// Removes an entry from a list; returns whether it was there.
    pub fn list_remove(&mut self, key: ListKey, clock: Timestamp, mut emit: impl FnMut(&Effect)) -> bool {
        let at = self.read_clock(clock, &mut emit);
        let removed = self.lists.remove(key, at);
        if removed {
            emit(&Effect::ListRemove { entry: ListEntry { key, expires: None } });
        }
        removed
    }

    /// The lists, and the ledger's time, by which entries expire.
    #[must_use]
    pub fn lists(&self, clock: Timestamp) -> (&Lists, Timestamp) {
        (&self.lists, self.ledger.now(clock).at)
    }

    /// Changes to `policy`. Subjects that both policies have keep their counts, as far as the identities stay
    /// comparable: another `IPV6-PREFIX` makes other identities of IPv6 addresses, another `PLUS-TAGS` of emails with a
    /// tag. A rule that gains or loses `COUNT-DENIED` reads another log. What the old policy's windows dropped stays
    /// dropped.
    pub fn change_policy(&mut self, policy: Policy, clock: Timestamp, mut emit: impl FnMut(&Effect)) {
        if policy == self.policy {
            return;
        }
        let at = self.read_clock(clock, &mut emit);
        self.carry_out(Effect::ChangePolicy { at, policy }, &mut emit);
    }

    /// The tables that policy changes have left over, if any: to be dropped where that delays no one.
    pub fn take_retired_tables(&mut self) -> Option<RetiredTables> {
        let retired = std::mem::take(&mut self.retired_tables);
        (!retired.is_empty()).then_some(RetiredTables(retired))
    }

    /// Applies what another server, or this one before a restart, has decided.
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Admit { at, ids } | Effect::CountDenied { at, ids, .. } => {
                let table_ids = self.ledger.table_ids(&ids, &self.secret);
                let table_ids = self.counted_on(&effect, table_ids);
                self.count(&ids, &table_ids, at);
            }
            Effect::Reset { at, ids } => {
                self.forgive(&ids, Forgiveness::All, at);
            }
            Effect::Refund { at, ids } => {
                self.forgive(&ids, Forgiveness::newest(&ids), at);
            }
            Effect::Lock { at, table, rule, id, until, length } => {
                let state = LockState { until, length, armed: false };
                self.ledger.lock(usize::from(table), (id, rule), state, at);
            }
            Effect::Evict { table, id } => {
                if let Some(table) = self.ledger.tables.get_mut(usize::from(table)) {
                    table.remove(id);
                }
            }
            Effect::Unlock { at, address, email } => {
                self.clear(address, email, at);
            }
            Effect::ListAdd { at, entry } => {
                // Where the primary found room there is room: it depends on live entries only.
                let _ = self.put_on_list(entry, at);
            }
            Effect::ListRemove { entry } => {
                self.lists.remove(entry.key, self.ledger.latest);
            }
            Effect::ChangePolicy { at, policy } => self.adopt_policy(policy, at),
            Effect::TimePassed { at } => {
                self.ledger.advance(at);
            }
            Effect::ClockSetBack { clock_offset } => self.ledger.clock_offset = clock_offset,
        }
    }

    /// What the evaluation of an attempt depends on.
    #[inline]
    pub(super) fn context<'a>(
        &'a self,
        ids: &'a AttemptIds,
        table_ids: &'a TableIds,
        now: Timestamp,
    ) -> EvaluationContext<'a> {
        EvaluationContext { policy: &self.policy, ledger: &self.ledger, ids, table_ids, now }
    }

    /// The ledger's time when the server's clock shows `clock`. If the clock was set back, the ledger stores by how
    /// much.
    pub(super) fn read_clock(&mut self, clock: Timestamp, emit: &mut impl FnMut(&Effect)) -> Timestamp {
        let now = self.ledger.now(clock);
        if let Some(clock_offset) = now.new_offset {
            self.carry_out(Effect::ClockSetBack { clock_offset }, emit);
        }
        now.at
    }

    /// Replicates an effect and applies it.
    pub(super) fn carry_out(&mut self, effect: Effect, emit: &mut impl FnMut(&Effect)) {
        emit(&effect);
        self.apply(effect);
    }

    /// The identities that `effect` counts an attempt on: all if it was admitted, else those of the rules with
    /// `COUNT-DENIED` that count it.
    pub(super) fn counted_on(&self, effect: &Effect, mut table_ids: TableIds) -> TableIds {
        if let Effect::CountDenied { rules, .. } = effect {
            table_ids.retain(|table| self.reads_table(*rules, table));
        }
        table_ids
    }

    /// Whether one of `rules` reads table number `table`.
    fn reads_table(&self, rules: RuleSet, table: usize) -> bool {
        let mut slots = self.ledger.slots.iter().enumerate();
        slots.any(|(rule, slot)| slot.table == table && rules.contains(rule))
    }

    /// Counts an attempt on `table_ids`, and arms the locks of the rules that admit it.
    pub(super) fn count(&mut self, ids: &AttemptIds, table_ids: &TableIds, at: Timestamp) {
        if self.ledger.tables.iter().any(|table| !table.locks.is_empty()) {
            self.arm(ids, table_ids, at);
        }
        self.ledger.record(ids, table_ids, at);
    }

    /// Arms the locks of the rules that admit an attempt which is about to be counted.
    fn arm(&mut self, ids: &AttemptIds, table_ids: &TableIds, at: Timestamp) {
        for index in 0..self.policy.rules().len() {
            let evaluated = RuleEvaluation::by_index(&self.context(ids, table_ids, at), index);
            let admits = evaluated.is_some_and(|rule| rule.has_room() && rule.locked_for() == Millis::ZERO);
            if let Some(state) = self.ledger.lock_state_mut(index, table_ids).filter(|_| admits) {
                state.armed = true;
            }
        }
    }

    /// Forgives attempts like these; returns how many units there were.
    pub(super) fn forgive(&mut self, ids: &AttemptIds, forgiveness: Forgiveness, at: Timestamp) -> usize {
        let table_ids = self.ledger.table_ids(ids, &self.secret);
        self.ledger.forgive(ids, &table_ids, forgiveness, at)
    }

    /// Clears identities; returns how many there were.
    pub(super) fn clear(&mut self, address: Option<Id>, email: Option<Id>, at: Timestamp) -> usize {
        let at = at.max(self.ledger.latest);
        let pair = address.zip(email).map(|(address, email)| self.secret.pair_id(address, email));
        let mut cleared = 0_usize;
        for table in &mut self.ledger.tables {
            let id = match table.spec.kind.subject {
                Subject::Ip | Subject::EmailsPerIp => address,
                Subject::Email | Subject::IpsPerEmail => email,
                Subject::Pair => pair,
                Subject::All | Subject::Device => None,
            };
            // What no longer counts is left to be reclaimed: a copy may not have it any more, so that clearing it must
            // not be replicated.
            let Some(id) = id.filter(|id| table.remembers(*id, at)) else { continue };
            table.remove(id);
            if let Some(monitor) = &mut self.monitor {
                monitor.forget(id);
            }
            cleared = cleared.saturating_add(1);
        }
        if cleared > 0 {
            self.ledger.advance(at);
        }
        cleared
    }

    /// Puts an entry on its list; returns whether it is new.
    fn put_on_list(&mut self, entry: ListEntry, at: Timestamp) -> Result<bool, ListFull> {
        let is_new = self.lists.add(entry, at)?;
        let at = self.ledger.advance(at);
        self.lists.reclaim(at, LIST_RECLAIM_STEP);
        Ok(is_new)
    }

    /// Replaces the policy at `at`.
    fn adopt_policy(&mut self, policy: Policy, at: Timestamp) {
        let retired = self.ledger.change_policy(&policy, at);
        self.retired_tables.extend(retired);
        self.totals = carried_over(&self.policy, &self.totals, &policy);
        self.policy = policy;
        if let Some(monitor) = &mut self.monitor {
            monitor.forget_rules();
        }
    }
}

/// The totals for the rules of `new`: a rule that `old` had in the same words keeps its own.
fn carried_over(old: &Policy, totals: &[RuleTotals], new: &Policy) -> Vec<RuleTotals> {
    let total_of = |rule: &Rule| {
        let index = old.rules().iter().position(|o| o.words() == rule.words())?;
        totals.get(index).copied()
    };
    new.rules().iter().map(|rule| total_of(rule).unwrap_or_default()).collect()
}
