//! What is judged and counted.

use crate::identity::{ClientIp, Id, Tag};

/// How many ordinary attempts an attempt counts as: 1 to 100000, the greatest limit there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cost(u32);

impl Cost {
    /// An ordinary attempt.
    pub const ONE: Self = Self(1);
    /// The greatest cost: the greatest limit a rule may have.
    pub const MAX: Self = Self(crate::policy::Limit::MAX);

    /// A cost of `units` attempts, or `None` outside 1..=100000.
    #[must_use]
    pub const fn new(units: u32) -> Option<Self> {
        if units >= 1 && units <= Self::MAX.0 {
            Some(Self(units))
        } else {
            None
        }
    }

    /// The number of ordinary attempts it counts as.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// One try at the guarded endpoint, by an address, on an email: all that a decision depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The address itself, for the lists of allowed and denied networks, which are asked before
    /// anything is counted. `None` where the caller gave none, and in what is replicated.
    pub ip: Option<ClientIp>,
    /// The email's id with its tag, where there are lists and the policy leaves tags out: it may have
    /// been put on a list before the policy did.
    pub tagged_email: Option<Id>,
    /// What is counted.
    pub party: Party,
}

/// Whose attempt it is, all made into keyed ids, and how much: all that is kept and replicated of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Party {
    /// The address's id, or [`Party::ABSENT`] where the caller gave none.
    pub address: Id,
    /// The email's id, or [`Party::ABSENT`] where the caller gave none.
    pub email: Id,
    /// The id of the device that the application has authenticated, if it has.
    pub device: Option<Id>,
    /// Address and email as spelled: what forgiveness goes by.
    pub tag: Tag,
    /// How many attempts it counts as.
    pub cost: Cost,
}

impl Party {
    /// Stands for an address or email that was left empty because no rule uses it.
    pub const ABSENT: Id = Id::from_raw(0);
}
