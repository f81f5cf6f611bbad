//! What is evaluated and counted.

use crate::identity::{ClientIp, Id, Tag};
use crate::policy::Cost;

/// One try at the guarded endpoint: everything that a decision depends on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The address itself, to look up in the allow and deny lists. `None` where the caller gave none.
    pub ip: Option<ClientIp>,
    /// The email's id with its plus-tag kept, where the policy strips tags and the limiter has lists: the email may
    /// have been listed before the policy stripped tags.
    pub tagged_email: Option<Id>,
    /// What is counted.
    pub ids: AttemptIds,
}

/// Who makes an attempt, as keyed ids, and its cost: all that is stored and replicated of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttemptIds {
    /// The address's id, or [`AttemptIds::ABSENT`] where the caller gave none.
    pub address: Id,
    /// The email's id, or [`AttemptIds::ABSENT`] where the caller gave none.
    pub email: Id,
    /// The id of the device that the application has authenticated, if any.
    pub device: Option<Id>,
    /// Address and email as spelled: what forgiveness matches.
    pub tag: Tag,
    /// How many attempts it counts as.
    pub cost: Cost,
}

impl AttemptIds {
    /// Stands for an address or email that was left empty because no rule uses it.
    pub const ABSENT: Id = Id::from_raw(0);

    /// The address's id, unless it was left empty.
    #[must_use]
    pub fn present_address(&self) -> Option<Id> {
        Some(self.address).filter(|id| *id != Self::ABSENT)
    }

    /// The email's id, unless it was left empty.
    #[must_use]
    pub fn present_email(&self) -> Option<Id> {
        Some(self.email).filter(|id| *id != Self::ABSENT)
    }
}
