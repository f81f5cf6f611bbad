//! Which identities a rule with `LOCK` has locked, and how often.
//!
//! Locks are rare compared to attempts, so they are kept apart from the logs. A policy without `LOCK` never looks here.

use crate::identity::Id;
use crate::policy::{Lock, Millis};
use crate::table::Timestamp;
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
    /// How long this lock is, which the next one doubles.
    pub(crate) length: Millis,
    /// Whether the rule has admitted something since. Until then it does not trip again.
    pub(crate) armed: bool,
}

impl LockState {
    /// How much longer the identity is locked at `now`.
    pub(crate) fn left(&self, now: Timestamp) -> Millis {
        self.until.since(now)
    }

    /// Whether the next trip at `now` is another strike. Strikes are forgotten after as long a time without a
    /// trip as the lock lasted.
    fn is_remembered(&self, now: Timestamp) -> bool {
        now < self.until.plus(self.length)
    }
}

/// The identity that is locked, and which rule with `LOCK` it is.
pub(crate) type LockKey = (Id, u8);

/// The locks of one table's identities.
#[derive(Clone, Default, Debug)]
pub(crate) struct Locks(BTreeMap<LockKey, LockState>);

/// The state after a trip at `now`, if a rule with `lock` trips when it refuses an identity whose last state is
/// `known`. It does not trip while locked, nor before it has admitted something again.
pub(crate) fn trip(lock: Lock, known: Option<&LockState>, now: Timestamp) -> Option<LockState> {
    let length = match known {
        None => lock.first(),
        Some(state) if !state.armed || state.left(now) > Millis::ZERO => return None,
        Some(state) if state.is_remembered(now) => {
            Millis::new(state.length.get().saturating_mul(2)).max(lock.first()).min(lock.longest())
        }
        Some(_) => lock.first(),
    };
    Some(LockState { until: now.plus(length), length, armed: false })
}

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

    /// One lock, to change.
    pub(crate) fn get_mut(&mut self, key: LockKey) -> Option<&mut LockState> {
        self.0.get_mut(&key)
    }

    /// Stores a lock, and deletes those of the next few that are over by `is_over`.
    pub(crate) fn put(&mut self, key: LockKey, state: LockState, is_over: impl Fn(Id, &LockState) -> bool) {
        let after = (Bound::Excluded(key), Bound::Unbounded);
        let next = self.0.range(after).chain(self.0.iter()).take(RECLAIM_STEP);
        let over: Vec<_> = next.filter(|((id, _), state)| is_over(*id, state)).map(|(key, _)| *key).collect();
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

    /// Deletes the locks of all rules from number `rules` on.
    pub(crate) fn truncate(&mut self, rules: u8) {
        if self.0.keys().any(|(_, rule)| *rule >= rules) {
            self.0.retain(|(_, rule), _| *rule < rules);
        }
    }

    /// All locks, in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, u8, &LockState)> {
        self.0.iter().map(|((id, rule), state)| (*id, *rule, state))
    }
}

/// Whether nothing depends on a lock at `now` any more: it has ended, its strike is forgotten, and the rule would trip
/// as if it never had. An unarmed lock is kept while `log_is_live`, that is, while something in the identity's log
/// counts: until then its rule may refuse without tripping.
pub(crate) fn is_over(state: &LockState, now: Timestamp, log_is_live: impl FnOnce() -> bool) -> bool {
    !state.is_remembered(now) && (state.armed || !log_is_live())
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
        let policy = Policy::from_text(&format!("PAIR 5/1s LOCK {words}")).unwrap();
        policy.rules()[0].lock().unwrap()
    }

    /// Trips at `now`, and lets the rule admit something once it is open.
    fn tripped(lock: Lock, known: Option<LockState>, now: Timestamp) -> LockState {
        let state = trip(lock, known.as_ref(), now).unwrap();
        LockState { armed: true, ..state }
    }

    #[test]
    fn locks_double_up_to_the_longest() {
        let lock = lock("100ms..350ms");
        let first = tripped(lock, None, at(0));
        assert_eq!((first.until, first.length.get()), (at(100), 100));
        let second = tripped(lock, Some(first), at(150));
        assert_eq!((second.until, second.length.get()), (at(350), 200));
        let third = tripped(lock, Some(second), at(400));
        assert_eq!(third.length.get(), 350);
        assert_eq!(tripped(lock, Some(third), at(800)).length.get(), 350);
    }

    #[test]
    fn a_plain_lock_always_lasts_as_long() {
        let lock = lock("100ms");
        let first = tripped(lock, None, at(0));
        assert_eq!(tripped(lock, Some(first), at(150)).length.get(), 100);
    }

    #[test]
    fn a_locked_or_unarmed_rule_does_not_trip() {
        let lock = lock("100ms..1s");
        let locked = tripped(lock, None, at(0));
        assert_eq!(trip(lock, Some(&locked), at(99)), None);
        let unarmed = trip(lock, None, at(0)).unwrap();
        assert_eq!(trip(lock, Some(&unarmed), at(5_000)), None);
    }

    #[test]
    fn strikes_are_forgotten_after_as_long_a_quiet_as_the_lock_lasted() {
        let lock = lock("100ms..1s");
        let first = tripped(lock, None, at(0));
        assert_eq!(tripped(lock, Some(first), at(199)).length.get(), 200);
        assert_eq!(tripped(lock, Some(first), at(200)).length.get(), 100);
    }

    #[test]
    fn a_lock_is_over_once_nothing_depends_on_it() {
        let lock = lock("100ms");
        let unarmed = trip(lock, None, at(0)).unwrap();
        assert!(!is_over(&unarmed, at(199), || false));
        assert!(!is_over(&unarmed, at(200), || true));
        assert!(is_over(&unarmed, at(200), || false));
        let armed = LockState { armed: true, ..unarmed };
        assert!(is_over(&armed, at(200), || true));
    }

    #[test]
    fn old_locks_do_not_accumulate() {
        let mut locks = Locks::default();
        for n in 0..1_000_u64 {
            let state = trip(lock("100ms"), None, at(n * 10)).unwrap();
            let now = at(n * 10);
            // Ids in an order that has nothing to do with time.
            let id = Id::from_raw(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            locks.put((id, 0), state, |_, state| is_over(state, now, || false));
        }
        assert!(locks.len() < 100, "{} locks for 20 live", locks.len());
    }
}
