//! Which identities a rule with `LOCK` has locked, and how often.
//!
//! A rule locks when it admits the attempt that takes the last of its quota. Each further lock is another strike, and
//! lasts twice as long. Strikes are forgotten after a quiet.
//!
//! Locks are rare compared to attempts, so they are kept apart from the logs. A policy without `LOCK` never looks here.

use crate::identity::{Id, Tag};
use crate::policy::{Lock, Millis};
use crate::table::{Cutoff, Timestamp};
use std::collections::BTreeMap;
use std::ops::Bound;

/// How many old locks are checked for reclaiming whenever a new one is made.
const RECLAIM_STEP: usize = 4;

/// How many locks are looked at to find one to evict.
const EVICTION_SAMPLE: usize = 16;

/// What a rule remembers of an identity that it has locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LockState {
    /// When the lock ends.
    pub(crate) until: Timestamp,
    /// How long this lock is.
    pub(crate) length: Millis,
    /// How many locks there were without a quiet between them, this one included. At least 1.
    pub(crate) strikes: u8,
    /// Whose attempt began the lock; [`Tag::OF_SEVERAL`] where that is no longer known.
    pub(crate) tag: Tag,
    /// When an attempt was counted last, since the lock began.
    pub(crate) last_counted: Timestamp,
}

impl LockState {
    /// The lock that begins at `now` with an attempt by `tag`, after `known`.
    pub(crate) fn next(lock: Lock, known: Option<&Self>, now: Timestamp, tag: Tag) -> Self {
        let strikes = known.map_or(0, |known| known.strikes).saturating_add(1);
        let length = length(lock, strikes);
        Self { until: now.plus(length), length, strikes, tag, last_counted: now }
    }

    /// How much longer the identity is locked at `now`.
    pub(crate) fn left(&self, now: Timestamp) -> Millis {
        self.until.since(now)
    }

    /// When the lock began.
    pub(crate) fn began(&self) -> Timestamp {
        self.until.minus(self.length)
    }

    /// Whether the strikes are forgotten at `now`: after a quiet as long as the longer of the lock and
    /// `longest_window`, the longest window of any enforced rule. So while a rule with a longer window refuses, strikes
    /// are not forgotten.
    pub(crate) fn is_forgotten(&self, now: Timestamp, longest_window: Millis) -> bool {
        let quiet = self.length.max(longest_window);
        now >= self.until.max(self.last_counted).plus(quiet)
    }

    /// What is left at `now` when this lock and its strike are taken back.
    pub(crate) fn lifted(self, lock: Lock, now: Timestamp) -> Option<Self> {
        let strikes = self.strikes.saturating_sub(1);
        let length = length(lock, strikes);
        let until = self.until.min(now);
        (strikes > 0).then_some(Self { until, length, strikes, tag: Tag::OF_SEVERAL, ..self })
    }
}

/// How long the lock of this strike lasts: the first time, then twice as long each time, up to the longest.
pub(crate) fn length(lock: Lock, strikes: u8) -> Millis {
    let doublings = u32::from(strikes.saturating_sub(1)).min(32);
    let doubled = lock.first().get().saturating_mul(1 << doublings);
    Millis::new(doubled).min(lock.longest())
}

/// The strike whose lock lasts at least `length`, if any does: for locks that were stored without their strikes.
pub(crate) fn strikes_of(lock: Lock, length_before: Millis) -> u8 {
    (1..=32).find(|strikes| length(lock, *strikes) >= length_before.min(lock.longest())).unwrap_or(1)
}

/// The identity that is locked, and which rule with `LOCK` it is.
pub(crate) type LockKey = (Id, u8);

/// The locks of one table's identities.
#[derive(Clone, Default, Debug)]
pub(crate) struct Locks(BTreeMap<LockKey, LockState>);

impl Locks {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// About how many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        // A B-tree's nodes are two thirds full on average.
        let entry = size_of::<(LockKey, LockState)>();
        entry.saturating_mul(self.len()).saturating_mul(3) / 2
    }

    /// The locks of `id`, with the number of each one's rule.
    pub(crate) fn of(&self, id: Id) -> impl Iterator<Item = (u8, &LockState)> {
        let of_id = (Bound::Included((id, 0)), Bound::Included((id, u8::MAX)));
        self.0.range(of_id).map(|((_, rule), state)| (*rule, state))
    }

    /// One lock.
    pub(crate) fn get(&self, key: LockKey) -> Option<&LockState> {
        self.0.get(&key)
    }

    /// An attempt was counted on `id` at `now`: notes it in the locks of `id`, and deletes those that `is_over` or that
    /// `cleared` has passed.
    pub(crate) fn counted(&mut self, id: Id, cleared: Cutoff, now: Timestamp, is_over: impl Fn(&LockState) -> bool) {
        let rules: Vec<_> = self.of(id).map(|(rule, _)| rule).collect();
        for key in rules.into_iter().map(|rule| (id, rule)) {
            match self.0.get_mut(&key) {
                Some(state) if !is_over(state) && !cleared.has_passed(state.began()) => state.last_counted = now,
                _ => self.delete(key),
            }
        }
    }

    /// Replaces one lock, or deletes it.
    pub(crate) fn set(&mut self, key: LockKey, state: Option<LockState>) {
        match state {
            Some(state) => self.0.insert(key, state),
            None => self.0.remove(&key),
        };
    }

    /// Stores a lock, and deletes those of the next few that are over by `is_over`.
    pub(crate) fn put(&mut self, key: LockKey, state: LockState, is_over: impl Fn(&LockState) -> bool) {
        let after = (Bound::Excluded(key), Bound::Unbounded);
        let next = self.0.range(after).chain(self.0.iter()).take(RECLAIM_STEP);
        let over: Vec<_> = next.filter(|(_, state)| is_over(state)).map(|(key, _)| *key).collect();
        for key in over {
            self.0.remove(&key);
        }
        self.0.insert(key, state);
    }

    /// Deletes all locks of `id`.
    pub(crate) fn remove(&mut self, id: Id) {
        let rules: Vec<_> = self.of(id).map(|(rule, _)| rule).collect();
        for rule in rules {
            self.0.remove(&(id, rule));
        }
    }

    /// The next locks after `after` (from the start if `None`), at most `count`.
    pub(crate) fn next_after(
        &self,
        after: Option<LockKey>,
        count: usize,
    ) -> impl Iterator<Item = (LockKey, &LockState)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.0.range((start, Bound::Unbounded));
        range.take(count).map(|(key, state)| (*key, state))
    }

    /// Of the few identities after `id`, wrapping around at the end, the one whose lock ends first.
    pub(crate) fn soonest_to_end(&self, id: Id) -> Option<Id> {
        let after = (Bound::Excluded((id, u8::MAX)), Bound::Unbounded);
        let few = self.0.range(after).chain(self.0.iter()).take(EVICTION_SAMPLE);
        few.min_by_key(|(_, state)| state.until).map(|((id, _), _)| *id)
    }

    /// Deletes one lock.
    pub(crate) fn delete(&mut self, key: LockKey) {
        self.0.remove(&key);
    }

    /// Deletes all locks but those that `keeps` holds for.
    pub(crate) fn retain(&mut self, keeps: impl Fn(&LockState) -> bool) {
        self.0.retain(|_, state| keeps(state));
    }

    /// Makes every lock one of another rule, or deletes it, as `renumbered` says for the number of its rule.
    pub(crate) fn renumber(&mut self, renumbered: impl Fn(u8) -> Option<u8>) {
        if self.0.keys().any(|(_, rule)| renumbered(*rule) != Some(*rule)) {
            let locks = std::mem::take(&mut self.0).into_iter();
            self.0 = locks.filter_map(|((id, rule), state)| Some(((id, renumbered(rule)?), state))).collect();
        }
    }

    /// Puts the end of every lock as far after `to` as it is after `from`.
    pub(crate) fn move_in_time(&mut self, from: Timestamp, to: Timestamp) {
        for state in self.0.values_mut() {
            state.until = to.plus(state.until.since(from));
            state.last_counted = state.last_counted.min(to);
        }
    }

    /// All locks, in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, u8, &LockState)> {
        self.0.iter().map(|((id, rule), state)| (*id, *rule, state))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;
    use crate::policy::Policy;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis).unwrap()
    }

    fn lock(words: &str) -> Lock {
        let policy = Policy::from_text(&format!("PAIR 5/1ms LOCK {words}")).unwrap();
        policy.rules()[0].lock().unwrap()
    }

    fn next(lock: Lock, known: Option<LockState>, now: Timestamp) -> LockState {
        LockState::next(lock, known.as_ref(), now, Tag::from_raw(7))
    }

    #[test]
    fn locks_double_up_to_the_longest() {
        let lock = lock("100ms..350ms");
        let first = next(lock, None, at(0));
        assert_eq!((first.until, first.length.get()), (at(100), 100));
        let second = next(lock, Some(first), at(150));
        assert_eq!((second.until, second.length.get()), (at(350), 200));
        let third = next(lock, Some(second), at(400));
        assert_eq!(third.length.get(), 350);
        assert_eq!(next(lock, Some(third), at(800)).length.get(), 350);
        let after_very_many = LockState { strikes: u8::MAX, ..third };
        assert_eq!(next(lock, Some(after_very_many), at(800)).length.get(), 350);
    }

    #[test]
    fn a_plain_lock_always_lasts_as_long() {
        let lock = lock("100ms");
        let first = next(lock, None, at(0));
        assert_eq!(next(lock, Some(first), at(150)).length.get(), 100);
    }

    #[test]
    fn strikes_are_forgotten_after_a_quiet_as_long_as_the_lock_or_the_longest_window() {
        let first = next(lock("100ms..1s"), None, at(0));
        assert!(!first.is_forgotten(at(199), Millis::new(1)));
        assert!(first.is_forgotten(at(200), Millis::new(1)));
        assert!(!first.is_forgotten(at(1_099), Millis::new(1_000)));
        assert!(first.is_forgotten(at(1_100), Millis::new(1_000)));
        let used = LockState { last_counted: at(150), ..first };
        assert!(!used.is_forgotten(at(249), Millis::new(1)));
        assert!(used.is_forgotten(at(250), Millis::new(1)));
    }

    #[test]
    fn a_lifted_lock_takes_its_strike_with_it() {
        let lock = lock("100ms..1s");
        let first = next(lock, None, at(0));
        assert_eq!(first.lifted(lock, at(10)), None);
        let second = next(lock, Some(first), at(150));
        let left = second.lifted(lock, at(160)).unwrap();
        assert_eq!((left.until, left.strikes, left.length.get()), (at(160), 1, 100));
        assert_eq!(next(lock, Some(left), at(200)).length.get(), 200);
    }

    #[test]
    fn a_length_names_its_strike() {
        let lock = lock("100ms..1s");
        let strikes: Vec<_> = [1, 100, 200, 400, 800, 1_000, 5_000].map(|n| strikes_of(lock, Millis::new(n))).to_vec();
        assert_eq!(strikes, [1, 1, 2, 3, 4, 5, 5]);
    }

    #[test]
    fn old_locks_do_not_accumulate() {
        let mut locks = Locks::default();
        for n in 0..1_000_u64 {
            let now = at(n * 10);
            // Ids in an order that has nothing to do with time.
            let id = Id::from_raw(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            locks.put((id, 0), next(lock("100ms"), None, now), |state| state.is_forgotten(now, Millis::new(1)));
        }
        assert!(locks.len() < 100, "{} locks for 20 live", locks.len());
    }
}
