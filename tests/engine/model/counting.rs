//! What the model counts, lets go of and forgives, and when its rules shut.

use super::rules::{LogKind, all_series, counts_different_ones, lock_place, series_of, window};
use super::who::{Identity, Who};
use super::{Model, Trip, Unit};
use authlimit::policy::{Lock as LockWords, Policy, Subject};

impl Model {
    /// Lets rule number `index`, which has refused because its window is full, shut if it has a `LOCK`: not while
    /// it is shut, and not again before it has admitted something.
    pub(super) fn trip(&mut self, index: usize, who: &Who, now: u64) {
        let rule = &self.policy.rules()[index];
        let Some((place, lock)) = lock_place(&self.policy, index).zip(rule.lock()) else {
            return;
        };
        let identity = who.identity(rule.subject()).expect("it has refused");
        let last = self.trips.iter().position(|trip| trip.is_of(place, &identity));
        let last = last.map(|at| self.trips[at].clone());
        // Once its strike is forgotten and nothing of the identity counts any more it is as if it never had tripped:
        // an attempt that costs more than the limit of a rule in shadow may refuse without anything admitted before.
        let has_attempts = self.has_attempts(place.0, &identity, now);
        let last = last.filter(|last| last.is_strike(now) || has_attempts);
        if last.as_ref().is_some_and(|last| last.until > now || !last.is_armed) {
            return;
        }
        let length = lock_length(lock, last.filter(|last| last.is_strike(now)));
        self.trips.retain(|trip| !trip.is_of(place, &identity));
        self.trips.push(Trip {
            series: place.0,
            place: place.1,
            identity,
            until: now + length,
            length,
            is_armed: false,
        });
        self.totals[index].locks += 1;
        self.newest = now;
    }

    /// Remembers that rule number `index` has admitted an attempt.
    pub(super) fn arm(&mut self, index: usize, who: &Who) {
        let subject = self.policy.rules()[index].subject();
        let place = lock_place(&self.policy, index);
        for trip in &mut self.trips {
            let is_its = place.zip(who.identity(subject));
            trip.is_armed |= is_its.is_some_and(|(place, identity)| trip.is_of(place, &identity));
        }
    }

    /// Counts an attempt in the series of the rules of these numbers, once in each.
    pub(super) fn count(&mut self, rules: &[usize], who: &Who, cost: u32, now: u64) {
        let mut counted = Vec::new();
        for index in rules {
            let series = series_of(&self.policy, *index);
            let identity = who.identity(series.0).expect("it is of its concern");
            if counted.contains(&series) {
                continue;
            }
            counted.push(series);
            let mark = who.mark(series.0);
            let mut units = cost as usize;
            let mut spelled = Some(who.spelled);
            if counts_different_ones(series.0) {
                // One that is there moves to now. Seen by two spellings it is neither's to forgive.
                self.forget(now);
                let is_same = |unit: &Unit| unit.is_on(series, &identity) && unit.mark == mark;
                let earlier = self.units.iter().find(|unit| is_same(unit));
                if earlier.is_some_and(|unit| unit.spelled != spelled) {
                    spelled = None;
                }
                self.units.retain(|unit| !is_same(unit));
                units = 1;
            }
            let unit = Unit { series, identity, mark, spelled, at: now };
            self.units.extend(std::iter::repeat_n(unit.clone(), units));
            self.keep_newest(series, &unit.identity);
            self.newest = now;
        }
        if !counted.is_empty() {
            self.forget(now);
        }
    }

    /// Lets go what is beyond the greatest limit of the series, the oldest first: a rule in shadow counts on, and
    /// how long until an attempt fits depends on the newest only.
    pub(super) fn keep_newest(&mut self, series: LogKind, identity: &Identity) {
        let rules = self.policy.rules().iter().enumerate();
        let its_rules = rules.filter(|(index, _)| series_of(&self.policy, *index) == series);
        let longest = its_rules.map(|(_, rule)| rule.limit().get() as usize).max();
        let length = self.units.iter().filter(|unit| unit.is_on(series, identity)).count();
        let mut surplus = length.saturating_sub(longest.expect("a series is of some rule"));
        self.units.retain(|unit| {
            let goes = surplus > 0 && unit.is_on(series, identity);
            surplus -= usize::from(goes);
            !goes
        });
    }

    /// Lets go what is in no rule's window any more. Only for a command that changes something: time does not run
    /// back behind the newest change, but it may behind a question.
    pub(super) fn forget(&mut self, now: u64) {
        let policy = self.policy.clone();
        self.units.retain(|unit| unit.is_remembered(&policy, now));
    }

    /// Whether something of `identity` is still in the window of some rule of `series`.
    pub(super) fn has_attempts(&self, series: LogKind, identity: &Identity, now: u64) -> bool {
        let mut units = self.units.iter();
        units.any(|unit| unit.is_on(series, identity) && unit.is_remembered(&self.policy, now))
    }

    /// Forgives, for each series of the subjects that `goes_for` names, the newest `at_most` attempts by this
    /// address on this email as spelled that it still remembers; says how many that were for the one with most of
    /// them. With the last of a pair's attempts, if all are forgiven, goes its lock. None leaves all as it was.
    pub(super) fn forgive(&mut self, who: &Who, at_most: usize, now: u64, goes_for: impl Fn(Subject) -> bool) -> usize {
        let mut most = 0;
        for series in all_series(&self.policy) {
            let Some(identity) = who.identity(series.0).filter(|_| goes_for(series.0)) else {
                continue;
            };
            let mark = who.mark(series.0);
            let mut forgiven = 0;
            let mut index = self.units.len();
            while index > 0 && forgiven < at_most {
                index -= 1;
                let unit = &self.units[index];
                let is_such = unit.is_on(series, &identity) && unit.mark == mark;
                let is_such = is_such && unit.spelled == Some(who.spelled);
                if is_such && unit.is_remembered(&self.policy, now) {
                    self.units.remove(index);
                    forgiven += 1;
                }
            }
            let is_left = self.has_attempts(series, &identity, now);
            let is_reset = at_most == usize::MAX;
            if is_reset && series.0 == Subject::Pair && forgiven > 0 && !is_left {
                self.trips.retain(|trip| !trip.is_on(series, &identity));
            }
            most = most.max(forgiven);
        }
        if most > 0 {
            self.newest = now;
        }
        most
    }
}

impl Unit {
    /// Whether it is still in the window of some rule of its series.
    pub(super) fn is_remembered(&self, policy: &Policy, now: u64) -> bool {
        let rules = policy.rules().iter().enumerate();
        let mut its_rules = rules.filter(|(index, _)| series_of(policy, *index) == self.series);
        its_rules.any(|(_, rule)| self.at + window(rule) > now)
    }

    pub(super) fn is_on(&self, series: LogKind, identity: &Identity) -> bool {
        self.series == series && self.identity == *identity
    }
}

impl Trip {
    pub(super) fn is_on(&self, series: LogKind, identity: &Identity) -> bool {
        self.series == series && self.identity == *identity
    }

    /// Whether it is of the rule at this place.
    pub(super) fn is_of(&self, (series, place): (LogKind, usize), identity: &Identity) -> bool {
        self.is_on(series, identity) && self.place == place
    }

    /// Whether a trip at `now` would be another strike: strikes are forgotten after as long a quiet as the lock
    /// lasted.
    pub(super) fn is_strike(&self, now: u64) -> bool {
        now < self.until + self.length
    }
}

/// How long a rule shuts: the first time, or twice as long as for the last strike.
fn lock_length(lock: LockWords, last: Option<Trip>) -> u64 {
    let (first, longest) = (lock.first().get(), lock.longest().get());
    last.map_or(first, |last| (2 * last.length).clamp(first, longest))
}
