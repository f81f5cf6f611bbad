//! Which of the two lists something is on, and until when.

use crate::table::Timestamp;

/// One of the two lists. Of two matches the greater wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum List {
    /// Admitted, and counted nowhere.
    Allow,
    /// Refused.
    Deny,
}

impl List {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Deny];

    /// The word that a verdict by it has in place of a rule.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
        }
    }
}

/// What the lists say about an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListMatch {
    /// The list that decides.
    pub list: List,
    /// When its entry expires; `None` is never.
    pub expires: Option<Timestamp>,
}

impl ListMatch {
    /// The one that decides if the address and the email of one attempt both match: a denial; of two matches on the
    /// same list the one that lasts longer, since the outcome does not change before that.
    pub(super) fn stronger(self, other: Self) -> Self {
        let rank = |found: &Self| (found.list, found.expires.is_none(), found.expires);
        std::cmp::max_by_key(self, other, rank)
    }
}

/// Until when an entry is on a list, in milliseconds since the Unix epoch. An entry that is not listed expired before
/// all times, so that one comparison tells whether it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Expiry(u64);

impl Expiry {
    /// Not on the list.
    pub(super) const NOT_LISTED: Self = Self(0);
    /// On the list permanently.
    const NEVER: Self = Self(u64::MAX);

    /// On the list until `expires`; `None` is permanently.
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

    /// The time, if there is one. The two special values are outside the range of a timestamp.
    pub(super) fn time(self) -> Option<Timestamp> {
        Timestamp::from_millis(self.0)
    }
}

/// Until when something is on each of the lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ListMembership {
    allow: Expiry,
    deny: Expiry,
}

impl Default for ListMembership {
    fn default() -> Self {
        Self { allow: Expiry::NOT_LISTED, deny: Expiry::NOT_LISTED }
    }
}

impl ListMembership {
    /// Whether it is on neither list, so that it need not be kept.
    pub(super) fn is_on_none(self) -> bool {
        self == Self::default()
    }

    /// Whether it is on `list`, expired or not.
    pub(super) fn is_on(self, list: List) -> bool {
        self.expiry(list).is_listed()
    }

    /// The match that an entry on `list` makes, expired or not.
    pub(super) fn on(self, list: List) -> Option<ListMatch> {
        let expiry = self.expiry(list);
        expiry.is_listed().then(|| ListMatch { list, expires: expiry.time() })
    }

    /// The match that an entry on `list` makes, unless it has expired at `now`.
    pub(super) fn live(self, list: List, now: Timestamp) -> Option<ListMatch> {
        self.on(list).filter(|_| self.expiry(list).is_ahead_of(now))
    }

    /// What applies to an attempt at `now`: something on both lists is denied.
    pub(super) fn verdict(self, now: Timestamp) -> Option<ListMatch> {
        self.live(List::Deny, now).or_else(|| self.live(List::Allow, now))
    }

    /// Changes until when it is on `list`; returns until when it was.
    pub(super) fn replace(&mut self, list: List, expiry: Expiry) -> Expiry {
        let place = match list {
            List::Allow => &mut self.allow,
            List::Deny => &mut self.deny,
        };
        std::mem::replace(place, expiry)
    }

    /// Until when it is on `list`.
    fn expiry(self, list: List) -> Expiry {
        match list {
            List::Allow => self.allow,
            List::Deny => self.deny,
        }
    }
}
