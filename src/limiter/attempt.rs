//! What is judged and counted.

use crate::identity::{ClientIp, Id, Tag};

pub use crate::policy::Cost;

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
