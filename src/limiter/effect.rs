//! Changes to a limiter, as values.
//!
//! A command on the primary decides, and each change that follows is an [`Effect`]: it is applied there and sent to
//! replicas and the append-only file, which apply it without deciding anything or reading a clock.

use crate::identity::{Id, Tag};
use crate::limiter::attempt::AttemptIds;
use crate::limiter::ledger::CarryOver;
use crate::limiter::lists::{ListEntry, ListFull};
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
    /// The newest such attempt is taken back, at most as many units as the cost says.
    Refund {
        /// When.
        at: Timestamp,
        /// Whose attempts, and how many.
        ids: AttemptIds,
    },
    /// A rule with `LOCK` has locked an identity, from `at` on.
    Lock {
        /// When.
        at: Timestamp,
        /// The index of the rule's table.
        table: u8,
        /// Which of the table's rules with `LOCK` it is, from 0.
        rule: u8,
        /// The identity.
        id: Id,
        /// How long the lock is.
        length: Millis,
        /// How many locks there were without a quiet between them; `None` if only the length tells.
        strikes: Option<u8>,
        /// Whose attempt began it.
        tag: Tag,
    },
    /// An identity was removed to make room for another.
    Evict {
        /// The index of its table.
        table: u8,
        /// The identity.
        id: Id,
    },
    /// Support staff cleared identities.
    Unlock {
        /// When.
        at: Timestamp,
        /// Which.
        target: UnlockTarget,
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
        /// What it takes over.
        carry_over: CarryOver,
    },
    /// Time passed without attempts, and what has expired by now is about to be reclaimed.
    TimePassed {
        /// The time it is now.
        at: Timestamp,
    },
    /// The server's clock was set back, or forward again. From now on the ledger's time is this far ahead of it.
    ClockSet {
        /// How far ahead.
        debt: Millis,
    },
    /// The ledger's time was one that no clock may show, and is the clock's now.
    ClockRestored {
        /// The time it is now.
        at: Timestamp,
    },
}

/// What UNLOCK clears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnlockTarget {
    /// An address.
    Address(Id),
    /// An email, and all pairs that it is part of.
    Email(Id),
    /// An email without its pairs, as authlimit did before format 2.
    EmailAlone(Id),
    /// An address, an email, and their pair.
    AddressAndEmail(Id, Id),
    /// A device.
    Device(Id),
    /// The whole limiter as one identity: what rules for `ALL` count.
    All,
}

/// Why an effect cannot be applied: no server that decides by this policy sends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EffectError {
    /// It names a table that the policy does not need.
    #[error("the effect is for a table that the limiter's policy does not need")]
    ForeignTable,
    /// It names rules that the policy does not have, or that count no refused attempts.
    #[error("the effect counts a refused attempt for a rule that does not")]
    ForeignRule,
    /// It locks for a rule that has no such lock.
    #[error("the effect is a lock that no rule of the limiter's policy makes")]
    ForeignLock,
    /// It sets the clock back to before all times.
    #[error("the effect is a clock that is set back to before 1970")]
    ForeignTime,
    /// It lists more than the lists take.
    #[error(transparent)]
    ListFull(#[from] ListFull),
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

    /// The rules that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The rules that are in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The numbers of the rules, in order.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_RULES).filter(move |rule| self.contains(*rule))
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
