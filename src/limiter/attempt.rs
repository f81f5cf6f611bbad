//! What is judged and counted.

use crate::identity::{Id, Tag};

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

/// One try at the guarded endpoint, by an address, on an email, with both already made into keyed
/// ids: all that a decision depends on, and all that is replicated of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The address's id, or [`Attempt::ABSENT`] where the caller gave none.
    pub address: Id,
    /// The email's id, or [`Attempt::ABSENT`] where the caller gave none.
    pub email: Id,
    /// Address and email as spelled: what forgiveness goes by.
    pub tag: Tag,
    /// How many attempts it counts as.
    pub cost: Cost,
}

impl Attempt {
    /// Stands for an address or email that was left empty because no rule uses it.
    pub const ABSENT: Id = Id::from_raw(0);
}
