//! How the model counts, expires and forgives attempts, and when its rules lock.

use super::ids::{AttemptIds, Identity};
use super::rules::{LogKind, all_logs, counts_distinct, is_enforced, lock_slot, log_of, window};
use super::{Model, Trip, Unit};
use authlimit::policy::{Lock as LockWords, Policy, Subject};

impl Model {
    /// The lock by rule number `index`, which counts the attempt that takes the last of its quota, if it has a `LOCK`.
    pub(super) fn trip(&mut self, index: usize, ids: &AttemptIds, now: u64) -> Option<Trip> {
        let rule = &self.policy.rules()[index];
        let (slot, lock) = lock_slot(&self.policy, index).zip(rule.lock())?;
        let identity = ids.identity(rule.subject()).expect("the rule counts the attempt");
        let last = self.trips.iter().find(|trip| trip.is_of(slot, &identity) && !self.is_forgotten(trip, now));
        let strikes = last.map_or(0, |last| last.strikes) + 1;
        let length = lock_length(lock, strikes);
        self.totals[index].locks += u64::from(is_enforced(rule));
        let by = Some((ids.address, ids.spelled));
        Some(Trip { slot, identity, until: now + length, length, strikes, by, last_counted: now })
    }

    /// When the strikes of a lock are forgotten: after a quiet as long as the longer of the lock and the longest window
    /// of an enforced rule.
    pub(super) fn forgotten_at(&self, trip: &Trip) -> u64 {
        let windows = self.enforced().map(|index| window(&self.policy.rules()[index]));
        trip.until.max(trip.last_counted) + trip.length.max(windows.max().unwrap_or(0))
    }

    /// Whether nothing depends on a lock any more.
    pub(super) fn is_forgotten(&self, trip: &Trip, now: u64) -> bool {
        now >= self.forgotten_at(trip)
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
            let mut unit = Unit {
                log,
                identity,
                entry_key: ids.entry_key(log.0),
                spelled: Some(ids.spelled),
                at: now,
                earlier: None,
            };
            let mut units = cost as usize;
            if counts_distinct(log.0) {
                // A counted identity moves to now. It keeps when it was last spelled otherwise.
                self.drop_expired(now);
                let is_same = |known: &Unit| known.is_on(log, &unit.identity) && known.entry_key == unit.entry_key;
                unit.earlier = self.units.iter().find(|known| is_same(known)).and_then(|known| {
                    let is_live = |(at, _): &(u64, _)| self.is_live_at(log, *at, now);
                    match known.earlier.filter(is_live) {
                        earlier if known.spelled == unit.spelled => earlier,
                        Some((_, spelled)) if spelled != unit.spelled => Some((known.at, None)),
                        _ => Some((known.at, known.spelled)),
                    }
                });
                self.units.retain(|known| !is_same(known));
                units = 1;
            }
            let forgotten: Vec<bool> = self.trips.iter().map(|trip| self.is_forgotten(trip, now)).collect();
            for (trip, is_forgotten) in self.trips.iter_mut().zip(forgotten) {
                if trip.is_on(log, &unit.identity) && !is_forgotten {
                    trip.last_counted = now;
                }
            }
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

    /// Forgives every live attempt by this IP on this email as spelled, and the locks that such attempts began. Returns
    /// the largest number forgiven in one log. A pair that has no attempts left forgets the strikes of such a lock.
    pub(super) fn forgive_all(&mut self, ids: &AttemptIds, now: u64) -> usize {
        let (mut most, mut is_changed) = (0, false);
        for log in all_logs(&self.policy) {
            let Some(identity) = ids.any_identity(log.0) else { continue };
            let entry_key = ids.entry_key(log.0);
            let mut forgiven = 0;
            let mut kept = Vec::new();
            for mut unit in std::mem::take(&mut self.units) {
                let is_such = unit.is_on(log, &identity) && unit.entry_key == entry_key;
                let is_live = is_such && unit.is_live(&self.policy, now);
                let earlier = unit.earlier.filter(|(at, _)| self.is_live_at(log, *at, now));
                if is_live && unit.spelled == Some(ids.spelled) {
                    is_changed = true;
                    match earlier {
                        // It counts from when it was spelled otherwise.
                        Some((at, spelled)) => (unit.at, unit.spelled, unit.earlier) = (at, spelled, None),
                        None => {
                            forgiven += 1;
                            continue;
                        }
                    }
                } else if is_live && earlier.is_some_and(|(_, spelled)| spelled == Some(ids.spelled)) {
                    is_changed = true;
                    unit.earlier = None;
                }
                kept.push(unit);
            }
            // In the order of time, in which the logs drop what is too old.
            kept.sort_by_key(|unit| unit.at);
            self.units = kept;
            let is_empty_pair = log.0 == Subject::Pair && !self.has_attempts(log, &identity, now);
            let lifted = |trip: &Trip| trip.is_on(log, &identity) && trip.by == Some((ids.address, ids.spelled));
            is_changed |= self.lift(now, lifted, is_empty_pair);
            most = most.max(forgiven);
        }
        if is_changed {
            self.latest = now;
        }
        most
    }

    /// Takes back the newest live attempt by this IP on this email as spelled, at most `cost` units, in each log that
    /// counts attempts, with a lock that it began. Returns the largest number of units taken in one log.
    pub(super) fn take_back(&mut self, ids: &AttemptIds, cost: usize, now: u64) -> usize {
        let mut most = 0;
        for log in all_logs(&self.policy) {
            let Some(identity) = ids.identity(log.0).filter(|_| !counts_distinct(log.0)) else { continue };
            let entry_key = ids.entry_key(log.0);
            let is_such = |unit: &Unit| unit.is_on(log, &identity) && unit.entry_key == entry_key;
            let mut live = self.units.iter().filter(|unit| is_such(unit) && unit.is_live(&self.policy, now));
            let Some(at) = live.next_back().map(|unit| unit.at) else { continue };
            let mut taken = 0;
            for index in (0..self.units.len()).rev() {
                if taken < cost && is_such(&self.units[index]) && self.units[index].at == at {
                    self.units.remove(index);
                    taken += 1;
                }
            }
            let by = Some((ids.address, ids.spelled));
            self.lift(now, |trip| trip.is_on(log, &identity) && trip.by == by && trip.until - trip.length == at, false);
            most = most.max(taken);
            self.latest = now;
        }
        most
    }

    /// Lifts the locks that `is_lifted` selects, each with its strike, or with all of them. Returns whether there were
    /// any.
    fn lift(&mut self, now: u64, is_lifted: impl Fn(&Trip) -> bool, with_all_strikes: bool) -> bool {
        let mut any = false;
        for mut trip in std::mem::take(&mut self.trips) {
            if !self.is_forgotten(&trip, now) && is_lifted(&trip) {
                any = true;
                trip.strikes -= 1;
                if trip.strikes == 0 || with_all_strikes {
                    continue;
                }
                let rules = 0..self.policy.rules().len();
                let rule = rules.into_iter().find(|index| lock_slot(&self.policy, *index) == Some(trip.slot));
                let lock = rule.and_then(|index| self.policy.rules()[index].lock()).expect("a rule with this lock");
                trip.until = trip.until.min(now);
                trip.length = lock_length(lock, trip.strikes);
                trip.by = None;
            }
            self.trips.push(trip);
        }
        any
    }

    /// Whether an entry of this time is still in the window of a rule of this log.
    fn is_live_at(&self, log: LogKind, at: u64, now: u64) -> bool {
        let mut rules = self.policy.rules().iter().enumerate();
        rules.any(|(index, rule)| log_of(&self.policy, index) == log && at + window(rule) > now)
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
        self.slot.0 == log && self.identity == *identity
    }

    /// Whether the trip is of the rule in this slot.
    pub(super) fn is_of(&self, slot: (LogKind, usize), identity: &Identity) -> bool {
        self.slot == slot && self.identity == *identity
    }
}

/// How long a rule locks at this strike: the first length, then twice as long each time, up to the longest.
fn lock_length(lock: LockWords, strikes: u32) -> u64 {
    let (first, longest) = (lock.first().get(), lock.longest().get());
    (1..strikes).fold(first, |length, _| (2 * length).min(longest))
}
