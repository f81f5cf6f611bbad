//! All logs of a limiter, one table for each kind of log that its policy needs, and the ledger's own time.

use crate::identity::{Id, Secret};
use crate::limiter::attempt::AttemptIds;
use crate::limiter::locks::{LockKey, LockState};
use crate::limiter::plan::{pair_memory, plan, renumbered};
use crate::limiter::subject_table::{Counted, ForgivenUnits, LogKind, RuleSlot, SubjectTable};
use crate::limiter::unlocks::Unlocks;
use crate::policy::{Enforcement, MAX_RULES, Millis, Policy, Subject};
use crate::table::{Cutoff, Timestamp};

/// The identity that an attempt has in each table; absent in a table that it does not concern.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableIds {
    ids: [Id; MAX_RULES],
    /// A bit for each table that it concerns.
    concerned: u32,
    /// A bit for each table of pairs.
    pairs: u32,
    /// What an UNLOCK of the email has cleared of its pairs.
    cleared: Cutoff,
}

const _: () = assert!(MAX_RULES <= u32::BITS as usize);

impl TableIds {
    /// In no table.
    const NONE: Self = Self { ids: [Id::from_raw(0); MAX_RULES], concerned: 0, pairs: 0, cleared: Cutoff::NEVER };

    /// The identity in table number `table`.
    #[inline]
    pub(crate) fn get(&self, table: usize) -> Option<Counted> {
        let id = *self.ids.get(table)?;
        let cleared = if self.pairs >> table & 1 == 1 { self.cleared } else { Cutoff::NEVER };
        (self.concerned >> table & 1 == 1).then_some(Counted { id, cleared })
    }

    /// Leaves out the tables that `keeps` does not name.
    pub(crate) fn retain(&mut self, keeps: impl Fn(usize) -> bool) {
        for table in (0..MAX_RULES).filter(|table| !keeps(*table)) {
            self.concerned &= !(1 << table);
        }
    }
}

/// Which tables an attempt concerns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// Those that count it: the device's instead of the email's, if it has a device.
    Counting,
    /// Those that may have counted it with the device or without, which a success forgives.
    Forgiving,
}

/// How a policy takes over what its predecessor has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CarryOver {
    /// By what each rule counts, and how much in what time.
    ByRule,
    /// By the place of the rule among those of its subject: as authlimit did before format 2.
    ByPlace,
}

/// The tables, and the time they have reached.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) tables: Vec<SubjectTable>,
    /// Where each rule of the policy finds its log and its lock.
    pub(crate) slots: Vec<RuleSlot>,
    /// Whether an enforced rule for devices replaces those for the email.
    devices_replace_emails: bool,
    /// The time of the latest effect. No entry is newer.
    pub(crate) latest: Timestamp,
    /// How far the server's clock was set back and not forward again: by so much the ledger's time is ahead of it.
    pub(crate) debt: Millis,
    /// The emails whose pairs were cleared.
    pub(crate) unlocks: Unlocks,
}

/// The ledger's time at some reading of the server's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Now {
    pub(crate) at: Timestamp,
    /// How much of what the clock was set back is not made up for.
    pub(crate) debt: Millis,
    /// What the ledger must note of the reading, although nothing may be counted.
    pub(crate) note: ClockNote,
}

/// What a reading of the clock shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ClockNote {
    /// Nothing special.
    Nothing,
    /// The debt has changed.
    Debt,
    /// Time has passed while there is a debt. Unless it is noted, many small steps of the clock would look like one
    /// large step forward, which pays the debt.
    Passed,
    /// The ledger's own time is one that no clock may show.
    Implausible,
}

impl Ledger {
    /// An empty ledger for `policy`.
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut ledger = Self {
            tables: Vec::new(),
            slots: Vec::new(),
            devices_replace_emails: false,
            latest: Timestamp::MIN,
            debt: Millis::ZERO,
            unlocks: Unlocks::default(),
        };
        ledger.adopt(policy, CarryOver::ByRule);
        ledger
    }

    /// The ledger's time when the server's clock shows `clock`. It advances as the clock does, and stands still when
    /// the clock steps back. What was stepped back is a debt, and a later step forward of at least half of it pays the
    /// debt before it advances anything. So no attempt leaves its window early, also when the clock is set back and
    /// right again, and none late by more than the clock was set back.
    pub(crate) fn now(&self, clock: Timestamp) -> Now {
        let debt = self.debt;
        if !self.latest.is_plausible() {
            return Now { at: clock, debt: Millis::ZERO, note: ClockNote::Implausible };
        }
        let last_clock = self.latest.as_millis().saturating_sub(debt.get());
        let Some(step) = clock.as_millis().checked_sub(last_clock).map(Millis::new) else {
            let behind = last_clock.saturating_sub(clock.as_millis());
            let debt = Millis::new(debt.get().saturating_add(behind));
            return Now { at: self.latest, debt, note: ClockNote::Debt };
        };
        let twice = step.get().saturating_mul(2);
        if debt > Millis::ZERO && twice >= debt.get() {
            let paid = step.min(debt);
            let passed = Millis::new(step.get().saturating_sub(paid.get()));
            let debt = Millis::new(debt.get().saturating_sub(paid.get()));
            return Now { at: self.latest.plus(passed), debt, note: ClockNote::Debt };
        }
        let is_long = debt > Millis::ZERO && twice.saturating_mul(4) >= debt.get();
        let note = if is_long { ClockNote::Passed } else { ClockNote::Nothing };
        Now { at: self.latest.plus(step), debt, note }
    }

    /// Whether an attempt, with a device or without, concerns `subject`. An attempt by a device that the application
    /// has authenticated counts on the device, and not on what strangers can fill: the email, its addresses, and the
    /// pair, which a stranger behind the same address shares (OWASP, "Slow Down Online Guessing Attacks with Device
    /// Cookies"). If all rules for devices are in shadow, they change nothing.
    #[inline]
    pub(crate) fn concerns(&self, subject: Subject, has_device: bool) -> bool {
        match subject {
            Subject::Email | Subject::IpsPerEmail | Subject::Pair => !(has_device && self.devices_replace_emails),
            Subject::Device => has_device,
            Subject::Ip | Subject::EmailsPerIp | Subject::All => true,
        }
    }

    /// The identity of an attempt in each table of `scope`, and what an UNLOCK before `now` has cleared of its pairs.
    pub(crate) fn table_ids(&self, ids: &AttemptIds, secret: &Secret, scope: Scope, now: Timestamp) -> TableIds {
        let counts_on_email = self.concerns(Subject::Email, ids.device.is_some());
        let on_email = (counts_on_email || scope == Scope::Forgiving).then_some(ids.email);
        let mut table_ids = TableIds { cleared: self.unlocks.cleared(ids.email, now), ..TableIds::NONE };
        let mut bit = 1;
        for (id, table) in table_ids.ids.iter_mut().zip(&self.tables) {
            let identity = match table.spec.kind.subject {
                Subject::Ip | Subject::EmailsPerIp => Some(ids.address),
                Subject::Email | Subject::IpsPerEmail => on_email,
                Subject::Pair => {
                    table_ids.pairs |= bit;
                    on_email.map(|email| secret.pair_id(ids.address, email))
                }
                Subject::All => Some(AttemptIds::ABSENT),
                Subject::Device => ids.device,
            };
            if let Some(identity) = identity {
                *id = identity;
                table_ids.concerned |= bit;
            }
            bit <<= 1;
        }
        table_ids
    }

    /// Has the slots of `table_ids` fetched into the cache, all at once. Each is a cold line that takes as long as the
    /// rest of a CHECK. Loads that do not depend on each other overlap; evaluating the rules one by one would wait for
    /// each in turn.
    pub(crate) fn prefetch(&self, table_ids: &TableIds) {
        let tables = self.tables.iter().zip(&table_ids.ids);
        let bits = tables.map(|(table, id)| table.logs.prefetch(*id));
        std::hint::black_box(bits.fold(0, |all, bits| all ^ bits));
    }

    /// Counts an attempt on `table_ids` at `at`.
    pub(crate) fn record(&mut self, ids: &AttemptIds, table_ids: &TableIds, at: Timestamp) {
        let at = self.advance(at);
        for (index, table) in self.tables.iter_mut().enumerate() {
            if let Some(id) = table_ids.get(index) {
                table.record(ids, id, at);
            }
        }
    }

    /// Forgives all attempts like this one that still count at `at`, with the locks that they began. Returns how many
    /// units there were in the table that remembers most of them, and whether anything has changed; if not, nor has the
    /// ledger's time.
    pub(crate) fn forgive(&mut self, ids: &AttemptIds, table_ids: &TableIds, at: Timestamp) -> ForgivenUnits {
        let at = at.max(self.latest);
        let mut all = ForgivenUnits::default();
        for (index, table) in self.tables.iter_mut().enumerate() {
            let Some(who) = table_ids.get(index) else { continue };
            let forgiven = table.forgive(ids, who, at);
            let is_empty_pair = table.spec.kind.subject == Subject::Pair && !table.is_live(who, at);
            let mut changed = forgiven.changed;
            for lock in self.slots.iter().filter(|slot| slot.table == index).filter_map(|slot| slot.lock) {
                let state = table.lock_state(who, lock.number, at).copied();
                if let Some(state) = state.filter(|state| state.tag.is_of(ids.tag)) {
                    // A pair without attempts has nothing left that a strike could be for.
                    let left = state.lifted(lock.times, at).filter(|_| !is_empty_pair);
                    table.locks.set((who.id, lock.number), left);
                    changed = true;
                }
            }
            all.units = all.units.max(forgiven.units);
            all.changed |= changed;
        }
        if all.changed {
            self.advance(at);
        }
        all
    }

    /// Takes back the newest attempt like this one that still counts at `at`, at most its cost, with a lock that it
    /// began. Returns as [`forgive`](Self::forgive) does.
    pub(crate) fn refund(&mut self, ids: &AttemptIds, table_ids: &TableIds, at: Timestamp) -> ForgivenUnits {
        let at = at.max(self.latest);
        let mut all = ForgivenUnits::default();
        for (index, table) in self.tables.iter_mut().enumerate() {
            let Some(who) = table_ids.get(index) else { continue };
            let refunded = table.refund(ids, who, at);
            let Some(counted_at) = refunded.at else { continue };
            for lock in self.slots.iter().filter(|slot| slot.table == index).filter_map(|slot| slot.lock) {
                let state = table.lock_state(who, lock.number, at).copied();
                let began = |state: &LockState| state.tag.is_of(ids.tag) && state.began() == counted_at;
                if let Some(state) = state.filter(began) {
                    table.locks.set((who.id, lock.number), state.lifted(lock.times, at));
                }
            }
            all.units = all.units.max(refunded.units);
            all.changed = true;
        }
        if all.changed {
            self.advance(at);
        }
        all
    }

    /// Stores that a rule has locked an identity.
    pub(crate) fn lock(&mut self, table: usize, key: LockKey, state: LockState, at: Timestamp) {
        let at = self.advance(at);
        let Some(table) = self.tables.get_mut(table) else { return };
        let longest_window = table.spec.longest_window;
        table.locks.put(key, state, |state| state.is_forgotten(at, longest_window));
    }

    /// Changes to `policy` at `at`: tables that both policies need keep their counts. Returns the tables that are no
    /// longer needed, which may take long to free.
    pub(crate) fn change_policy(&mut self, policy: &Policy, carry_over: CarryOver, at: Timestamp) -> Vec<SubjectTable> {
        let at = self.advance(at);
        // What is over stays so, also under a policy that would remember it longer.
        for table in &mut self.tables {
            table.floor = table.cutoff(at);
            let longest_window = table.spec.longest_window;
            table.locks.retain(|state| !state.is_forgotten(at, longest_window));
        }
        self.unlocks.reclaim(at, usize::MAX);
        match pair_memory(policy) {
            Some(memory) => self.unlocks.extend(memory),
            None => self.unlocks = Unlocks::default(),
        }
        self.adopt(policy, carry_over)
    }

    /// The ledger's time was one that no clock may show, and is `now`: what was counted since counts as of `now`.
    pub(crate) fn restore_clock(&mut self, now: Timestamp) {
        let from = self.latest;
        for table in &mut self.tables {
            table.move_in_time(from, now);
        }
        self.unlocks.reclaim(from, usize::MAX);
        self.unlocks.move_in_time(from, now);
        (self.latest, self.debt) = (now, Millis::ZERO);
    }

    /// Arranges the tables for `policy`; returns those that it does not need.
    fn adopt(&mut self, policy: &Policy, carry_over: CarryOver) -> Vec<SubjectTable> {
        let (specs, slots) = plan(policy);
        let mut old: Vec<Option<SubjectTable>> = std::mem::take(&mut self.tables).into_iter().map(Some).collect();
        let old_slots = std::mem::replace(&mut self.slots, slots);
        for (index, spec) in specs.into_iter().enumerate() {
            let kept = match carry_over {
                CarryOver::ByPlace => old.iter().position(|t| t.as_ref().is_some_and(|t| t.spec.kind == spec.kind)),
                CarryOver::ByRule => self.predecessor(index, spec.kind, &old, &old_slots),
            };
            let table = kept.and_then(|kept| Some((kept, old.get_mut(kept)?.take()?)));
            self.tables.push(match table {
                Some((kept, mut table)) => {
                    table.spec = spec;
                    table.locks.renumber(|number| match carry_over {
                        CarryOver::ByPlace => Some(number).filter(|number| *number < spec.locks),
                        CarryOver::ByRule => renumbered(number, (kept, &old_slots), (index, &self.slots)),
                    });
                    table
                }
                None => SubjectTable::new(spec),
            });
        }
        let replaces = |subject, enforcement| subject == Subject::Device && enforcement == Enforcement::Enforced;
        self.devices_replace_emails = policy.rules().iter().any(|rule| replaces(rule.subject(), rule.enforcement()));
        old.into_iter().flatten().collect()
    }

    /// The old table whose counts the new table number `index` takes over: that of the same subject, or for a rule with
    /// `COUNT-DENIED` that of the same rule.
    fn predecessor(
        &self,
        index: usize,
        kind: LogKind,
        old: &[Option<SubjectTable>],
        old_slots: &[RuleSlot],
    ) -> Option<usize> {
        if kind.denied.is_none() {
            return old.iter().position(|table| table.as_ref().is_some_and(|table| table.spec.kind == kind));
        }
        let key = self.slots.iter().find(|slot| slot.table == index)?.key;
        old_slots.iter().find(|slot| slot.key == key).map(|slot| slot.table)
    }

    /// Moves the ledger's time to `at`, and returns the new time: never less than before.
    pub(crate) fn advance(&mut self, at: Timestamp) -> Timestamp {
        self.latest = self.latest.max(at);
        self.latest
    }
}
