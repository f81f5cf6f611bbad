//! Which refusals were published already, so that an attack is one message and not a million.

use crate::identity::Id;
use crate::table::Timestamp;
use std::collections::BTreeMap;

/// How many identities are remembered for one rule. Further ones are not published while these wait: one message too
/// few is better than one for each attempt of a distributed attack. Each rule has its own, so that filling one does not
/// hide the events of another.
pub(crate) const REMEMBERED: usize = 4_096;

/// Identities already reported for one rule, and until when.
#[derive(Clone, Default, Debug)]
struct Reported {
    until: BTreeMap<Id, Timestamp>,
    /// No entry ends before this.
    earliest: Option<Timestamp>,
    /// No entry ends after this.
    latest: Option<Timestamp>,
}

/// What is reported for each rule of a policy, by the rule's index.
#[derive(Clone, Default, Debug)]
pub(crate) struct NotificationFilter(Vec<Reported>);

impl NotificationFilter {
    /// Whether it is reported that rule number `rule` refuses `id`, and the reported wait is not over.
    pub(crate) fn is_suppressed(&self, rule: usize, id: Id, now: Timestamp) -> bool {
        let until = self.0.get(rule).and_then(|reported| reported.until.get(&id));
        until.is_some_and(|until| now < *until)
    }

    /// Remembers that rule number `rule` refuses `id` until then; returns whether there was room.
    pub(crate) fn remember(&mut self, rule: usize, id: Id, now: Timestamp, until: Timestamp) -> bool {
        if self.0.len() <= rule {
            self.0.resize_with(rule.saturating_add(1), Reported::default);
        }
        self.0.get_mut(rule).is_some_and(|reported| reported.remember(id, now, until))
    }

    /// Forgets what is reported of `id`, for all rules.
    pub(crate) fn forget(&mut self, id: Id) {
        for reported in &mut self.0 {
            reported.until.remove(&id);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Frees the memory of the rules whose waits are all over.
    pub(crate) fn reclaim(&mut self, now: Timestamp) {
        for reported in &mut self.0 {
            if reported.latest.is_some_and(|latest| latest <= now) {
                *reported = Reported::default();
            }
        }
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|reported| reported.until.is_empty())
    }

    /// About how many bytes it takes besides its own size.
    pub(crate) fn bytes(&self) -> usize {
        // A B-tree's nodes are two thirds full on average.
        let entry = size_of::<(Id, Timestamp)>();
        let entries = self.0.iter().map(|reported| reported.until.len());
        let entries = entries.fold(0_usize, usize::saturating_add);
        entry.saturating_mul(entries).saturating_mul(3) / 2
    }
}

impl Reported {
    /// Remembers `id`; returns whether there was room.
    fn remember(&mut self, id: Id, now: Timestamp, until: Timestamp) -> bool {
        let is_full = self.until.len() >= REMEMBERED && !self.until.contains_key(&id);
        if is_full && self.earliest.is_some_and(|earliest| earliest <= now) {
            // At most once for each entry that has ended.
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
    fn a_reported_refusal_is_suppressed_until_its_wait_is_over() {
        let (mut filter, id) = (NotificationFilter::default(), Id::from_raw(1));
        assert!(!filter.is_suppressed(2, id, at(0)));
        assert!(filter.remember(2, id, at(0), at(100)));
        assert!(filter.is_suppressed(2, id, at(99)));
        assert!(!filter.is_suppressed(2, id, at(100)));
        assert!(!filter.is_suppressed(1, id, at(0)) && !filter.is_suppressed(2, Id::from_raw(2), at(0)));
        assert!(filter.remember(2, id, at(100), at(300)));
        assert!(filter.is_suppressed(2, id, at(299)));
        filter.forget(id);
        assert!(!filter.is_suppressed(2, id, at(200)));
    }

    #[test]
    fn memory_is_bounded_for_each_rule_and_freed_with_time() {
        let mut filter = NotificationFilter::default();
        let mut attempts = 0;
        // Ends are spread, so that some are over whenever room is needed later.
        for n in 0..10_000_u64 {
            attempts += usize::from(filter.remember(0, Id::from_raw(n), at(0), at(1_000 + n)));
        }
        assert_eq!(attempts, REMEMBERED);
        assert!(filter.remember(1, Id::from_raw(1), at(0), at(1)));
        assert!(!filter.remember(0, Id::from_raw(20_000), at(999), at(9_999)));
        assert!(filter.remember(0, Id::from_raw(7), at(999), at(2_000)), "known");
        assert!(filter.remember(0, Id::from_raw(20_000), at(1_000), at(9_999)));
        assert!(!filter.remember(0, Id::from_raw(20_001), at(1_000), at(9_999)));
        assert!(filter.bytes() < 200_000, "{}", filter.bytes());
    }
}
