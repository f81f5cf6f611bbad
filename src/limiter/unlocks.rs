//! When emails were unlocked: what their pairs counted before no longer counts.
//!
//! UNLOCK of an email clears its pairs as well, but which pairs an email has is not stored: a pair's id is a hash. So
//! the time is stored, until no pair can have anything from before it.

use crate::identity::Id;
use crate::limiter::plan::MAX_PAIR_MEMORY;
use crate::policy::Millis;
use crate::table::{Cutoff, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// That an email was unlocked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unlock {
    /// When.
    pub(crate) at: Timestamp,
    /// From when on no pair can have anything from before.
    pub(crate) expires: Timestamp,
}

/// The emails that were unlocked.
#[derive(Clone, Default, Debug)]
pub(crate) struct Unlocks {
    by_email: BTreeMap<Id, Unlock>,
    /// The same, the earliest to expire first.
    expiring: BTreeSet<(Timestamp, Id)>,
}

impl Unlocks {
    /// How many emails there are, including expired ones that are not reclaimed yet.
    pub(crate) fn len(&self) -> usize {
        self.by_email.len()
    }

    /// About how many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        // A B-tree's nodes are two thirds full on average.
        let entry = size_of::<(Id, Unlock)>().saturating_add(size_of::<(Timestamp, Id)>());
        entry.saturating_mul(self.len()).saturating_mul(3) / 2
    }

    /// What the pairs of `email` counted before it was unlocked.
    #[inline]
    pub(crate) fn cleared(&self, email: Id, now: Timestamp) -> Cutoff {
        if self.by_email.is_empty() {
            return Cutoff::NEVER;
        }
        let unlock = self.by_email.get(&email).filter(|unlock| now < unlock.expires);
        unlock.map_or(Cutoff::NEVER, |unlock| Cutoff::before(unlock.at))
    }

    /// Stores that `email` was unlocked.
    pub(crate) fn put(&mut self, email: Id, unlock: Unlock) {
        if let Some(before) = self.by_email.insert(email, unlock) {
            self.expiring.remove(&(before.expires, email));
        }
        self.expiring.insert((unlock.expires, email));
    }

    /// Keeps every one at least `memory` long: a policy with longer windows or locks has come.
    pub(crate) fn extend(&mut self, memory: Millis) {
        for unlock in self.by_email.values_mut() {
            unlock.expires = unlock.expires.max(unlock.at.plus(memory));
        }
        self.expiring = self.by_email.iter().map(|(email, unlock)| (unlock.expires, *email)).collect();
    }

    /// Puts every one as far after `to` as it is after `from`; none is later than `to`.
    pub(crate) fn move_in_time(&mut self, from: Timestamp, to: Timestamp) {
        for unlock in self.by_email.values_mut() {
            let at = unlock.at.min(to);
            // A forged message may move time forward; what it leaves must load again.
            let latest = at.plus(MAX_PAIR_MEMORY);
            *unlock = Unlock { at, expires: to.plus(unlock.expires.since(from)).min(latest) };
        }
        self.extend(Millis::ZERO);
    }

    /// Those that have not expired at `now`, in the order of ids.
    pub(crate) fn live(&self, now: Timestamp) -> impl Iterator<Item = (Id, Unlock)> {
        self.by_email.iter().filter(move |(_, unlock)| now < unlock.expires).map(|(email, unlock)| (*email, *unlock))
    }

    /// Whether some have expired at `now` and are not reclaimed yet.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.expiring.first().is_some_and(|(expires, _)| *expires <= now)
    }

    /// Deletes at most `at_most` that have expired at `now`.
    pub(crate) fn reclaim(&mut self, now: Timestamp, at_most: usize) {
        for _ in 0..at_most {
            match self.expiring.first() {
                Some((expires, email)) if *expires <= now => {
                    self.by_email.remove(email);
                    self.expiring.pop_first();
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    #[test]
    fn what_was_counted_in_an_earlier_millisecond_is_cleared_until_the_unlock_expires() {
        let mut unlocks = Unlocks::default();
        let email = Id::from_raw(1);
        unlocks.put(email, Unlock { at: at(100), expires: at(200) });
        let cleared = unlocks.cleared(email, at(199));
        assert!(cleared.has_passed(at(99)) && !cleared.has_passed(at(100)));
        assert_eq!(unlocks.cleared(email, at(200)), Cutoff::NEVER);
        assert_eq!(unlocks.cleared(Id::from_raw(2), at(199)), Cutoff::NEVER);
        unlocks.reclaim(at(199), 9);
        assert_eq!(unlocks.len(), 1);
        unlocks.extend(Millis::new(150));
        assert!(!unlocks.has_expired(at(249)) && unlocks.has_expired(at(250)));
        unlocks.reclaim(at(250), 9);
        assert_eq!(unlocks.len(), 0);
    }
}
