//! Which of the two lists an entry is on, and up to when.

use super::{List, Listed};
use crate::limiter::time::Timestamp;

/// Up to when an entry is on a list, in milliseconds since the Unix epoch. One that is not on it is one that left
/// before all times, so that whether it counts is one comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Deadline(u64);

impl Deadline {
    /// Not on the list.
    pub(super) const NOT_LISTED: Self = Self(0);
    /// On the list for ever.
    const NEVER: Self = Self(u64::MAX);

    /// On the list up to `expires`; `None` is for ever.
    pub(super) fn at(expires: Option<Timestamp>) -> Self {
        expires.map_or(Self::NEVER, |at| Self(at.as_millis()))
    }

    /// Whether the entry is on the list, expired or not.
    pub(super) fn is_listed(self) -> bool {
        self != Self::NOT_LISTED
    }

    /// Whether the entry is on the list and has not expired at `now`.
    pub(super) fn is_ahead_of(self, now: Timestamp) -> bool {
        now.as_millis() < self.0
    }

    /// The time, if there is one.
    pub(super) fn time(self) -> Option<Timestamp> {
        // The two values that are no times are outside those that a timestamp has.
        Timestamp::from_millis(self.0)
    }
}

/// Up to when an entry is on each of the lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    allow: Deadline,
    deny: Deadline,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            allow: Deadline::NOT_LISTED,
            deny: Deadline::NOT_LISTED,
        }
    }
}

impl Standing {
    /// Whether the entry is on neither list, so that it need not be kept.
    pub(super) fn is_on_none(self) -> bool {
        self == Self::default()
    }

    /// Whether the entry is on `list`, expired or not.
    pub(super) fn is_on(self, list: List) -> bool {
        self.deadline(list).is_listed()
    }

    /// The entry's place on `list`, expired or not.
    pub(super) fn on(self, list: List) -> Option<Listed> {
        let deadline = self.deadline(list);
        deadline.is_listed().then(|| Listed {
            list,
            expires: deadline.time(),
        })
    }

    /// The entry's place on `list` unless it has expired at `now`.
    pub(super) fn live(self, list: List, now: Timestamp) -> Option<Listed> {
        self.on(list)
            .filter(|_| self.deadline(list).is_ahead_of(now))
    }

    /// What the entry says of an attempt at `now`: on both lists, it denies.
    pub(super) fn verdict(self, now: Timestamp) -> Option<Listed> {
        self.live(List::Deny, now)
            .or_else(|| self.live(List::Allow, now))
    }

    /// Changes up to when the entry is on `list`; returns up to when it was.
    pub(super) fn replace(&mut self, list: List, deadline: Deadline) -> Deadline {
        let place = match list {
            List::Allow => &mut self.allow,
            List::Deny => &mut self.deny,
        };
        std::mem::replace(place, deadline)
    }

    fn deadline(self, list: List) -> Deadline {
        match list {
            List::Allow => self.allow,
            List::Deny => self.deny,
        }
    }
}
