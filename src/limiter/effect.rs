//! What changes a limiter, as values.
//!
//! A command on the primary decides, and what it decided is an [`Effect`]: it is applied there and
//! sent to replicas and the append-only file, which apply it without deciding or reading a clock.

use crate::identity::{Id, Secret};
use crate::limiter::access::Listing;
use crate::limiter::attempt::Party;
use crate::limiter::judge::RuleSet;
use crate::limiter::series::Series;
use crate::limiter::time::Timestamp;
use crate::policy::{Millis, Policy};

/// One change to a limiter. Times are the ledger's.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// An attempt was admitted, and is counted for every subject it concerns.
    Admit {
        /// When.
        at: Timestamp,
        /// Whose, and how much.
        party: Party,
    },
    /// An attempt was refused, and rules with `COUNT-DENIED` that did not refuse it count it.
    CountDenied {
        /// When.
        at: Timestamp,
        /// Whose, and how much.
        party: Party,
        /// Those rules.
        rules: RuleSet,
    },
    /// All attempts by this address on this email as spelled are forgiven.
    Reset {
        /// When.
        at: Timestamp,
        /// Whose attempts; the cost has no meaning here.
        party: Party,
    },
    /// The newest such attempts are taken back, as many as the cost says.
    Refund {
        /// When.
        at: Timestamp,
        /// Whose attempts, and how many.
        party: Party,
    },
    /// A rule with `LOCK` has shut an identity.
    Lock {
        /// When.
        at: Timestamp,
        /// The index of the table that the rule goes by.
        table: u8,
        /// Which of the table's rules with `LOCK` it is, from 0.
        rule: u8,
        /// The identity.
        id: Id,
        /// When it opens again.
        until: Timestamp,
        /// How long the lock is, which the next one doubles.
        length: Millis,
    },
    /// An identity makes room for another one.
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
    /// An entry was added to a list, or given another end.
    ListAdd {
        /// When.
        at: Timestamp,
        /// The entry, of which list, and till when.
        entry: Listing,
    },
    /// An entry was removed from a list.
    ListRemove {
        /// The entry, of which list; its end has no meaning here.
        entry: Listing,
    },
    /// The limiter has a new policy.
    ChangePolicy {
        /// When.
        at: Timestamp,
        /// The new policy.
        policy: Policy,
    },
    /// Time went on with nobody trying, and what has expired by now is about to be reclaimed.
    TimePassed {
        /// The time it is now.
        at: Timestamp,
    },
    /// The server's clock was set back, and the ledger's time is this far ahead of it from now on.
    ClockSetBack {
        /// How far ahead.
        lead: Millis,
    },
}

/// All of a limiter but what it has counted: with it a limiter is created on a replica, and every
/// stored copy begins.
#[derive(Clone, PartialEq, Debug)]
pub struct Genesis {
    /// The policy.
    pub policy: Policy,
    /// What ids are keyed with.
    pub secret: Secret,
    /// The time of the newest effect.
    pub newest: Timestamp,
    /// How far the ledger's time is ahead of the server's clock.
    pub lead: Millis,
    /// One entry for each table that the policy needs.
    pub tables: Vec<TableGenesis>,
}

/// What is remembered of a table beside its identities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableGenesis {
    /// What its logs hold.
    pub series: Series,
    /// Attempts at or before this time (milliseconds since the Unix epoch) no longer count,
    /// whatever the windows are.
    pub floor_millis: u64,
}

/// Why a [`Genesis`] is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GenesisError {
    /// The tables are not those of the policy.
    #[error("the limiter's stored tables are not those of its policy")]
    Tables,
    /// A time out of range.
    #[error("the limiter's stored time is out of range")]
    Time,
}
