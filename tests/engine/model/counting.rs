//! How the model counts, expires and forgives attempts, and when its rules lock.

use super::ids::{AttemptIds, Identity};
use super::rules::{LogKind, all_logs, counts_distinct, lock_slot, log_of, window};
use super::{Model, Trip, Unit};
use authlimit::policy::{Lock as LockWords, Policy, Subject};

impl Model {
    /// Locks rule number `index`, which refused because its window is full, if it has a `LOCK`: not while it is locked,
    /// and not again before it has admitted an attempt.
    pub(super) fn trip(&mut self, index: usize, ids: &AttemptIds, now: u64) {
        let rule = &self.policy.rules()[index];
        let Some((slot, lock)) = lock_slot(&self.policy, index).zip(rule.lock()) else {
            return;
        };
        let identity = ids.identity(rule.subject()).expect("the rule counts the attempt");
        let last = self.trips.iter().position(|trip| trip.is_of(slot, &identity));
        let last = last.map(|at| self.trips[at].clone());
        // Once the doubling has expired and no attempt of the identity counts, the old trip is ignored: a rule in
        // shadow may refuse an attempt that costs more than its limit, without having admitted anything.
        let has_attempts = self.has_attempts(slot.0, &identity, now);
        let last = last.filter(|last| last.doubles_lock(now) || has_attempts);
        if last.as_ref().is_some_and(|last| last.until > now || !last.is_armed) {
            return;
        }
        let length = lock_length(lock, last.filter(|last| last.doubles_lock(now)));
        self.trips.retain(|trip| !trip.is_of(slot, &identity));
        self.trips.push(Trip { log: slot.0, slot: slot.1, identity, until: now + length, length, is_armed: false });
        self.totals[index].locks += 1;
        self.latest = now;
    }

    /// Records that rule number `index` has admitted an attempt, so that it may lock again.
    pub(super) fn arm(&mut self, index: usize, ids: &AttemptIds) {
        let subject = self.policy.rules()[index].subject();
        let slot = lock_slot(&self.policy, index);
        for trip in &mut self.trips {
            let slot_and_identity = slot.zip(ids.identity(subject));
            trip.is_armed |= slot_and_identity.is_some_and(|(slot, identity)| trip.is_of(slot, &identity));
        }
    }

    /// Counts an attempt in the logs of these rules, once per log.
    pub(super) fn count(&mut self, rules: &[usize], ids: &AttemptIds, cost: u32, now: u64) {
        let mut counted = Vec::new();
        for index in rules {
            let log = log_of(&self.policy, *index);
            let identity = ids.identity(log.0).expect("the rule counts the attempt");
            if counted.contains(&log) {
                continue;
            }
            counted.push(log);
            let entry_key = ids.entry_key(log.0);
            let mut units = cost as usize;
            let mut spelled = Some(ids.spelled);
            if counts_distinct(log.0) {
                // A counted identity moves to now. Tried with two spellings, it can no longer be forgiven.
                self.drop_expired(now);
                let is_same = |unit: &Unit| unit.is_on(log, &identity) && unit.entry_key == entry_key;
                let earlier = self.units.iter().find(|unit| is_same(unit));
                if earlier.is_some_and(|unit| unit.spelled != spelled) {
                    spelled = None;
                }
                self.units.retain(|unit| !is_same(unit));
                units = 1;
            }
            let unit = Unit { log, identity, entry_key, spelled, at: now };
            self.units.extend(std::iter::repeat_n(unit.clone(), units));
            self.truncate_log(log, &unit.identity);
            self.latest = now;
        }
        if !counted.is_empty() {
            self.drop_expired(now);
        }
    }

    /// Drops the oldest units above the largest limit of the log: a rule in shadow keeps counting, but the wait
    /// depends only on the latest units.
    pub(super) fn truncate_log(&mut self, log: LogKind, identity: &Identity) {
        let rules = self.policy.rules().iter().enumerate();
        let its_rules = rules.filter(|(index, _)| log_of(&self.policy, *index) == log);
        let longest = its_rules.map(|(_, rule)| rule.limit().get() as usize).max();
        let length = self.units.iter().filter(|unit| unit.is_on(log, identity)).count();
        let mut surplus = length.saturating_sub(longest.expect("each log belongs to a rule"));
        self.units.retain(|unit| {
            let is_dropped = surplus > 0 && unit.is_on(log, identity);
            surplus -= usize::from(is_dropped);
            !is_dropped
        });
    }

    /// Drops units that have left every window. Only a command that changes something may do this: time never runs
    /// back behind the latest change, but it may run back behind a read.
    pub(super) fn drop_expired(&mut self, now: u64) {
        let policy = self.policy.clone();
        self.units.retain(|unit| unit.is_live(&policy, now));
    }

    /// Whether an attempt of `identity` is still in the window of a rule of this log.
    pub(super) fn has_attempts(&self, log: LogKind, identity: &Identity, now: u64) -> bool {
        let mut units = self.units.iter();
        units.any(|unit| unit.is_on(log, identity) && unit.is_live(&self.policy, now))
    }

    /// Forgives the latest `at_most` live attempts by this IP on this email as spelled, in each log whose subject
    /// `applies_to` accepts. Returns the largest number forgiven in one log. RESET also unlocks a pair once none of
    /// its attempts is left.
    pub(super) fn forgive(
        &mut self,
        ids: &AttemptIds,
        at_most: usize,
        now: u64,
        applies_to: impl Fn(Subject) -> bool,
    ) -> usize {
        let mut most = 0;
        for log in all_logs(&self.policy) {
            let Some(identity) = ids.identity(log.0).filter(|_| applies_to(log.0)) else {
                continue;
            };
            let entry_key = ids.entry_key(log.0);
            let mut forgiven = 0;
            let mut index = self.units.len();
            while index > 0 && forgiven < at_most {
                index -= 1;
                let unit = &self.units[index];
                let is_such = unit.is_on(log, &identity) && unit.entry_key == entry_key;
                let is_such = is_such && unit.spelled == Some(ids.spelled);
                if is_such && unit.is_live(&self.policy, now) {
                    self.units.remove(index);
                    forgiven += 1;
                }
            }
            let has_attempts_left = self.has_attempts(log, &identity, now);
            let is_reset = at_most == usize::MAX;
            if is_reset && log.0 == Subject::Pair && forgiven > 0 && !has_attempts_left {
                self.trips.retain(|trip| !trip.is_on(log, &identity));
            }
            most = most.max(forgiven);
        }
        if most > 0 {
            self.latest = now;
        }
        most
    }
}

impl Unit {
    /// Whether the unit is still in the window of a rule of its log.
    pub(super) fn is_live(&self, policy: &Policy, now: u64) -> bool {
        let rules = policy.rules().iter().enumerate();
        let mut its_rules = rules.filter(|(index, _)| log_of(policy, *index) == self.log);
        its_rules.any(|(_, rule)| self.at + window(rule) > now)
    }

    pub(super) fn is_on(&self, log: LogKind, identity: &Identity) -> bool {
        self.log == log && self.identity == *identity
    }
}

impl Trip {
    pub(super) fn is_on(&self, log: LogKind, identity: &Identity) -> bool {
        self.log == log && self.identity == *identity
    }

    /// Whether the trip is of the rule in this slot.
    pub(super) fn is_of(&self, (log, slot): (LogKind, usize), identity: &Identity) -> bool {
        self.is_on(log, identity) && self.slot == slot
    }

    /// Whether a trip at `now` would double the lock: the doubling expires after a pause as long as the lock.
    pub(super) fn doubles_lock(&self, now: u64) -> bool {
        now < self.until + self.length
    }
}

/// How long a rule locks: the first length, or twice the last one.
fn lock_length(lock: LockWords, last: Option<Trip>) -> u64 {
    let (first, longest) = (lock.first().get(), lock.longest().get());
    last.map_or(first, |last| (2 * last.length).clamp(first, longest))
}
