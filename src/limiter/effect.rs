//! Changes to a limiter, as values.
//!
//! A command on the primary decides, and each change that follows is an [`Effect`]: it is applied there and sent to
//! replicas and the append-only file, which apply it without deciding anything or reading a clock.

use crate::identity::Id;
use crate::limiter::attempt::AttemptIds;
use crate::limiter::lists::ListEntry;
use crate::policy::{MAX_RULES, Millis, Policy};
use crate::table::Timestamp;

/// One change to a limiter. Times are the ledger's.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// An attempt was admitted, and is counted for every subject it concerns.
    Admit {
        /// When.
        at: Timestamp,
        /// Who, and the cost.
        ids: AttemptIds,
    },
    /// An attempt was refused, and rules with `COUNT-DENIED` that did not refuse it count it.
    CountDenied {
        /// When.
        at: Timestamp,
        /// Who, and the cost.
        ids: AttemptIds,
        /// Those rules.
        rules: RuleSet,
    },
    /// All attempts by this address on this email as spelled are forgiven.
    Reset {
        /// When.
        at: Timestamp,
        /// Whose attempts; the cost is unused.
        ids: AttemptIds,
    },
    /// The newest such attempts are taken back, as many as the cost says.
    Refund {
        /// When.
        at: Timestamp,
        /// Whose attempts, and how many.
        ids: AttemptIds,
    },
    /// A rule with `LOCK` has locked an identity.
    Lock {
        /// When.
        at: Timestamp,
        /// The index of the rule's table.
        table: u8,
        /// Which of the table's rules with `LOCK` it is, from 0.
        rule: u8,
        /// The identity.
        id: Id,
        /// When the lock ends.
        until: Timestamp,
        /// How long the lock is, which the next one doubles.
        length: Millis,
    },
    /// An identity was removed to make room for another.
    Evict {
        /// The index of its table.
        table: u8,
        /// The identity.
        id: Id,
    },
    /// Support staff cleared an address, an email, or with both also the pair.
    Unlock {
        /// When.
        at: Timestamp,
        /// The address.
        address: Option<Id>,
        /// The email.
        email: Option<Id>,
    },
    /// An entry was added to a list, or given another expiry.
    ListAdd {
        /// When.
        at: Timestamp,
        /// The entry.
        entry: ListEntry,
    },
    /// An entry was removed from a list.
    ListRemove {
        /// The entry; its expiry is unused.
        entry: ListEntry,
    },
    /// The limiter has a new policy.
    ChangePolicy {
        /// When.
        at: Timestamp,
        /// The new policy.
        policy: Policy,
    },
    /// Time passed without attempts, and what has expired by now is about to be reclaimed.
    TimePassed {
        /// The time it is now.
        at: Timestamp,
    },
    /// The server's clock was set back. From now on the ledger's time is this far ahead of it.
    ClockSetBack {
        /// How far ahead.
        clock_offset: Millis,
    },
}

/// A set of rules of one policy, by index.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RuleSet(u32);

const _: () = assert!(MAX_RULES <= u32::BITS as usize);

impl RuleSet {
    /// The set with these bits; bit 0 is the first rule.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether rule number `rule` is in the set.
    #[must_use]
    pub fn contains(self, rule: usize) -> bool {
        self.0 & bit(rule) != 0
    }

    /// Adds rule number `rule`.
    pub fn insert(&mut self, rule: usize) {
        self.0 |= bit(rule);
    }
}

/// The bit of rule number `rule`; 0 beyond the last possible rule.
fn bit(rule: usize) -> u32 {
    u32::try_from(rule).ok().and_then(|rule| 1_u32.checked_shl(rule)).unwrap_or(0)
}
