//! What an operator learns about refusals: which rules have begun to refuse which identities, and who is refused most.
//!
//! All of it is in memory only: not replicated, not stored, not in the digest, and no decision depends on it. It is
//! updated when an attempt was refused, and takes no memory before the first refusal.

mod filter;
#[cfg(test)]
mod tests;
mod top;

use crate::identity::Id;
use crate::policy::Millis;
use crate::table::Timestamp;
pub(crate) use filter::NotificationFilter;
pub use top::MostRefused;
pub(crate) use top::{TopCounters, truncated};

/// What is remembered of a limiter's refusals.
#[derive(Clone, Default, Debug)]
pub(crate) struct RefusalMonitor {
    /// The events that were published already.
    pub(super) filter: NotificationFilter,
    pub(super) addresses: TopCounters,
    pub(super) emails: TopCounters,
}

/// Something that begins with a refused attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RefusalEvent {
    /// What begins.
    pub kind: RefusalEventKind,
    /// The index of the rule in the policy.
    pub rule: usize,
    /// How long until the rule would admit the attempt, without further attempts.
    pub wait: Millis,
}

/// What begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalEventKind {
    /// A rule refuses an identity that it could have admitted before.
    Refusal,
    /// A rule with `LOCK` locks an identity.
    Lock,
    /// A distinct count refuses: one address on too many emails, or too many addresses on one email.
    Spray,
}

/// The events of one refused attempt.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RefusalEvents {
    /// The events to publish.
    pub events: Vec<RefusalEvent>,
    /// How many further events were dropped, since the filter was full.
    pub dropped: u64,
}

/// Which of the most refused are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TopSubject {
    /// The addresses.
    Addresses,
    /// The emails.
    Emails,
}

/// Address and email as received, where they may be remembered.
#[derive(Clone, Copy, Debug)]
pub struct ClearText<'a> {
    /// The address.
    pub ip: &'a [u8],
    /// The email.
    pub email: &'a [u8],
}

impl RefusalMonitor {
    /// Forgets the events of an identity, so that the next refusal is an event again.
    pub(super) fn forget(&mut self, id: Id) {
        self.filter.forget(id);
    }

    /// Forgets the events of all rules, when the policy has changed.
    pub(super) fn forget_rules(&mut self) {
        self.filter.clear();
    }

    /// Forgets addresses and emails in clear text.
    pub(super) fn forget_clear_text(&mut self) {
        self.addresses.forget_clear_text();
        self.emails.forget_clear_text();
    }

    /// Frees the memory of what has faded; returns whether that was all.
    pub(super) fn reclaim(&mut self, now: Timestamp) -> bool {
        self.filter.reclaim(now);
        self.addresses.fade(now);
        self.emails.fade(now);
        self.filter.is_empty() && self.addresses.is_empty() && self.emails.is_empty()
    }

    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            .saturating_add(self.filter.bytes())
            .saturating_add(self.addresses.bytes())
            .saturating_add(self.emails.bytes())
    }
}
