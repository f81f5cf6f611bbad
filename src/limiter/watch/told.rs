//! Which refusals have been told of already, so that an attack is one message and not a million.

use crate::identity::Id;
use crate::limiter::time::Timestamp;
use std::collections::BTreeMap;

/// How many identities of one rule are remembered. Further ones are not told of while these wait: a message
/// too few rather than one for each attempt of an attack by many. Each rule has its own, so that filling
/// one does not hide what another one has to tell.
pub(crate) const REMEMBERED: usize = 4_096;

/// What one rule has told: whom it refuses, and until when that was said to last.
#[derive(Clone, Default, Debug)]
struct Told {
    until: BTreeMap<Id, Timestamp>,
    /// No entry ends before this.
    earliest: Option<Timestamp>,
    /// None ends after this.
    latest: Option<Timestamp>,
}

/// What all rules of a policy have told, by the rule's index.
#[derive(Clone, Default, Debug)]
pub(crate) struct ToldByRule(Vec<Told>);

impl ToldByRule {
    /// Whether it was told that rule number `rule` refuses `id`, and the wait that was told is not over.
    pub(crate) fn knows(&self, rule: usize, id: Id, now: Timestamp) -> bool {
        let until = self.0.get(rule).and_then(|told| told.until.get(&id));
        until.is_some_and(|until| now < *until)
    }

    /// Remembers that rule number `rule` refuses `id` until then; returns whether there was room.
    pub(crate) fn remember(
        &mut self,
        rule: usize,
        id: Id,
        now: Timestamp,
        until: Timestamp,
    ) -> bool {
        if self.0.len() <= rule {
            self.0.resize_with(rule.saturating_add(1), Told::default);
        }
        self.0
            .get_mut(rule)
            .is_some_and(|told| told.remember(id, now, until))
    }

    /// Forgets what was told of `id`, whichever rule it was.
    pub(crate) fn forget(&mut self, id: Id) {
        for told in &mut self.0 {
            told.until.remove(&id);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Gives back the memory of the rules all of whose waits are over.
    pub(crate) fn reclaim(&mut self, now: Timestamp) {
        for told in &mut self.0 {
            if told.latest.is_some_and(|latest| latest <= now) {
                *told = Told::default();
            }
        }
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|told| told.until.is_empty())
    }

    /// About how many bytes it takes beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        // A B-tree's nodes are two thirds full on average.
        let entry = size_of::<(Id, Timestamp)>();
        let entries = self.0.iter().map(|told| told.until.len());
        let entries = entries.fold(0_usize, usize::saturating_add);
        entry.saturating_mul(entries).saturating_mul(3) / 2
    }
}

impl Told {
    /// Remembers `id`; returns whether there was room.
    fn remember(&mut self, id: Id, now: Timestamp, until: Timestamp) -> bool {
        let is_full = self.until.len() >= REMEMBERED && !self.until.contains_key(&id);
        if is_full && self.earliest.is_some_and(|earliest| earliest <= now) {
            // No more often than once for each entry that has ended.
            self.until.retain(|_, until| now < *until);
            self.earliest = self.until.values().min().copied();
        }
        if is_full && self.until.len() >= REMEMBERED {
            return false;
        }
        self.until.insert(id, until);
        self.earliest = Some(self.earliest.map_or(until, |earliest| earliest.min(until)));
        self.latest = self.latest.max(Some(until));
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis).unwrap()
    }

    #[test]
    fn what_was_told_is_known_until_the_wait_is_over() {
        let (mut told, id) = (ToldByRule::default(), Id::from_raw(1));
        assert!(!told.knows(2, id, at(0)));
        assert!(told.remember(2, id, at(0), at(100)));
        assert!(told.knows(2, id, at(99)));
        assert!(!told.knows(2, id, at(100)));
        assert!(!told.knows(1, id, at(0)) && !told.knows(2, Id::from_raw(2), at(0)));
        assert!(told.remember(2, id, at(100), at(300)));
        assert!(told.knows(2, id, at(299)));
        told.forget(id);
        assert!(!told.knows(2, id, at(200)));
    }

    #[test]
    fn room_is_bounded_for_each_rule_and_comes_back_with_time() {
        let mut told = ToldByRule::default();
        let mut attempts = 0;
        // Ends are spread, so that some are over whenever room is needed later.
        for n in 0..10_000_u64 {
            attempts += usize::from(told.remember(0, Id::from_raw(n), at(0), at(1_000 + n)));
        }
        assert_eq!(attempts, REMEMBERED);
        assert!(told.remember(1, Id::from_raw(1), at(0), at(1)));
        assert!(!told.remember(0, Id::from_raw(20_000), at(999), at(9_999)));
        assert!(
            told.remember(0, Id::from_raw(7), at(999), at(2_000)),
            "known"
        );
        assert!(told.remember(0, Id::from_raw(20_000), at(1_000), at(9_999)));
        assert!(!told.remember(0, Id::from_raw(20_001), at(1_000), at(9_999)));
        assert!(told.bytes() < 200_000, "{}", told.bytes());
    }
}
