//! A limiter: its policy, its secret, its ledger and its lists, and how effects change it.

use crate::identity::Secret;
use crate::limiter::attempt::AttemptIds;
use crate::limiter::effect::{Effect, EffectError, RuleSet, UnlockTarget};
use crate::limiter::evaluate::{Binding, EvaluationContext, Verdict};
use crate::limiter::ledger::{CarryOver, ClockNote, Ledger, Now, Scope, TableIds};
use crate::limiter::lists::{List, ListEntry, ListFull, ListKey, Lists};
use crate::limiter::locks::{self, LockKey, LockState};
use crate::limiter::plan;
use crate::limiter::refusals::RefusalMonitor;
use crate::limiter::subject_table::{Counted, SubjectTable};
use crate::limiter::unlocks::Unlock;
use crate::policy::{Counting, Lock, Millis, Policy, Rule, Subject};
use crate::table::{Cutoff, Timestamp};

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
        self.carry_out(Effect::ChangePolicy { at, policy, carry_over: CarryOver::ByRule }, &mut emit);
    }

    /// The tables that policy changes have left over, if any: to be dropped where that delays no one.
    pub fn take_retired_tables(&mut self) -> Option<RetiredTables> {
        let retired = std::mem::take(&mut self.retired_tables);
        (!retired.is_empty()).then_some(RetiredTables(retired))
    }

    /// Applies what another server, or this one before a restart, has decided.
    ///
    /// # Errors
    /// [`EffectError`], and nothing is changed, if no server that decides by this limiter's policy sends such an
    /// effect.
    pub fn apply(&mut self, effect: Effect) -> Result<(), EffectError> {
        self.validate(&effect)?;
        if let Effect::ListAdd { at, entry } = effect {
            // Where the primary found room there is room: it depends on live entries only.
            self.put_on_list(entry, at)?;
            return Ok(());
        }
        self.perform(effect);
        Ok(())
    }

    /// Checks that this policy can have an effect, so that what is accepted can be stored and loaded again.
    fn validate(&self, effect: &Effect) -> Result<(), EffectError> {
        let (is_valid, error) = match effect {
            Effect::CountDenied { rules, .. } => {
                let counts = |rule: &Rule| rule.counting() == Counting::AlsoDenied;
                let is_valid = rules.iter().all(|rule| self.policy.rules().get(rule).is_some_and(counts));
                (is_valid, EffectError::ForeignRule)
            }
            Effect::Lock { table, rule, length, strikes, .. } => {
                let times = self.lock_times(*table, *rule);
                let is_length = times.is_some_and(|times| (times.first()..=times.longest()).contains(length));
                (is_length && *strikes != Some(0), EffectError::ForeignLock)
            }
            Effect::Evict { table, .. } => (usize::from(*table) < self.ledger.tables.len(), EffectError::ForeignTable),
            // A clock that was set back showed some time after 1970.
            Effect::ClockSet { debt } => (*debt <= self.ledger.latest.since(Timestamp::MIN), EffectError::ForeignTime),
            _ => return Ok(()),
        };
        if is_valid { Ok(()) } else { Err(error) }
    }

    /// How long the rule locks that is number `rule` with a lock of table number `table`.
    fn lock_times(&self, table: u8, rule: u8) -> Option<Lock> {
        let mut slots = self.ledger.slots.iter().filter(|slot| slot.table == usize::from(table));
        slots.find_map(|slot| slot.lock.filter(|lock| lock.number == rule)).map(|lock| lock.times)
    }

    /// Changes the limiter as a valid effect says.
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Admit { at, ids } | Effect::CountDenied { at, ids, .. } => {
                let table_ids = self.ledger.table_ids(&ids, &self.secret, Scope::Counting, at.max(self.ledger.latest));
                let table_ids = self.counted_on(&effect, table_ids);
                self.ledger.record(&ids, &table_ids, at);
            }
            Effect::Reset { at, ids } => {
                let table_ids = self.ledger.table_ids(&ids, &self.secret, Scope::Forgiving, at.max(self.ledger.latest));
                self.ledger.forgive(&ids, &table_ids, at);
            }
            Effect::Refund { at, ids } => {
                let table_ids = self.ledger.table_ids(&ids, &self.secret, Scope::Counting, at.max(self.ledger.latest));
                self.ledger.refund(&ids, &table_ids, at);
            }
            Effect::Lock { at, table, rule, id, length, strikes, tag } => {
                let strikes = strikes
                    .or_else(|| self.lock_times(table, rule).map(|times| locks::strikes_of(times, length)))
                    .unwrap_or(1);
                let until = at.plus(length);
                let state = LockState { until, length, strikes, tag, last_counted: at };
                self.ledger.lock(usize::from(table), (id, rule), state, at);
            }
            Effect::Evict { table, id } => {
                if let Some(table) = self.ledger.tables.get_mut(usize::from(table)) {
                    table.remove(id);
                }
            }
            Effect::Unlock { at, target } => {
                self.clear(target, at);
            }
            // Adding may fail, and is done where that matters.
            Effect::ListAdd { .. } => {}
            Effect::ListRemove { entry } => {
                self.lists.remove(entry.key, self.ledger.latest);
            }
            Effect::ChangePolicy { at, policy, carry_over } => self.adopt_policy(policy, carry_over, at),
            Effect::TimePassed { at } => {
                self.ledger.advance(at);
            }
            Effect::ClockSet { debt } => self.ledger.debt = debt,
            Effect::ClockRestored { at } => {
                let from = self.ledger.latest;
                self.ledger.restore_clock(at);
                self.lists.move_in_time(from, at);
            }
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

    /// The ledger's time when the server's clock shows `clock`, for a command that may change something.
    pub(super) fn read_clock(&mut self, clock: Timestamp, emit: &mut impl FnMut(&Effect)) -> Timestamp {
        let Now { at, debt, note } = self.ledger.now(clock);
        match note {
            ClockNote::Nothing => {}
            ClockNote::Debt => self.carry_out(Effect::ClockSet { debt }, emit),
            ClockNote::Passed => self.carry_out(Effect::TimePassed { at }, emit),
            ClockNote::Implausible => self.carry_out(Effect::ClockRestored { at }, emit),
        }
        at
    }

    /// Replicates an effect and applies it.
    pub(super) fn carry_out(&mut self, effect: Effect, emit: &mut impl FnMut(&Effect)) {
        emit(&effect);
        self.perform(effect);
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

    /// Clears identities; returns how many there were.
    pub(super) fn clear(&mut self, target: UnlockTarget, at: Timestamp) -> usize {
        let at = at.max(self.ledger.latest);
        let id_in = |subject: Subject| match (subject, target) {
            (
                Subject::Ip | Subject::EmailsPerIp,
                UnlockTarget::Address(address) | UnlockTarget::AddressAndEmail(address, _),
            ) => Some(address),
            (
                Subject::Email | Subject::IpsPerEmail,
                UnlockTarget::Email(email) | UnlockTarget::EmailAlone(email) | UnlockTarget::AddressAndEmail(_, email),
            ) => Some(email),
            (Subject::Pair, UnlockTarget::AddressAndEmail(address, email)) => Some(self.secret.pair_id(address, email)),
            (Subject::Device, UnlockTarget::Device(device)) => Some(device),
            (Subject::All, UnlockTarget::All) => Some(AttemptIds::ABSENT),
            _ => None,
        };
        let cleared_pairs = match target {
            UnlockTarget::AddressAndEmail(_, email) => self.ledger.unlocks.cleared(email, at),
            _ => Cutoff::NEVER,
        };
        let mut cleared = 0_usize;
        for table in &mut self.ledger.tables {
            let subject = table.spec.kind.subject;
            let Some(id) = id_in(subject) else { continue };
            // What no longer counts is left to be reclaimed: a copy may not have it any more, so that clearing it must
            // not be replicated.
            let who = Counted { id, cleared: if subject == Subject::Pair { cleared_pairs } else { Cutoff::NEVER } };
            if !table.remembers(who, at) {
                continue;
            }
            table.remove(id);
            if let Some(monitor) = &mut self.monitor {
                monitor.forget(id);
            }
            cleared = cleared.saturating_add(1);
        }
        if let (UnlockTarget::Email(email), Some(memory)) = (target, plan::pair_memory(&self.policy)) {
            self.ledger.unlocks.put(email, Unlock { at, expires: at.plus(memory) });
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
    fn adopt_policy(&mut self, policy: Policy, carry_over: CarryOver, at: Timestamp) {
        let retired = self.ledger.change_policy(&policy, carry_over, at);
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
