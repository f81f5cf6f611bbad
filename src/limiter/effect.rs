//! What changes a limiter, as values.
//!
//! A command on the primary decides, and what it decided is an [`Effect`]: it is applied there and
//! sent to replicas and the append-only file, which apply it without deciding or reading a clock.

use crate::identity::Secret;
use crate::limiter::attempt::Attempt;
use crate::limiter::time::Timestamp;
use crate::policy::{Millis, Policy, Subject};

/// One change to a limiter.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// An attempt was admitted, and is counted for every subject.
    Admit {
        /// The ledger's time.
        at: Timestamp,
        /// What is counted.
        attempt: Attempt,
    },
    /// All attempts by this address on this email as spelled are forgiven.
    Reset {
        /// The ledger's time.
        at: Timestamp,
        /// Whose attempts; the cost has no meaning here.
        attempt: Attempt,
    },
    /// The newest such attempts are taken back, as many as the cost says.
    Refund {
        /// The ledger's time.
        at: Timestamp,
        /// Whose attempts, and how many.
        attempt: Attempt,
    },
    /// The limiter has a new policy.
    ChangePolicy {
        /// The ledger's time.
        at: Timestamp,
        /// The new policy.
        policy: Policy,
    },
    /// The server's clock was set back, and the ledger's time is this far ahead of it from now on.
    ClockSetBack {
        /// How far ahead.
        lead: Millis,
    },
}

/// All of a limiter but its identities: with it a limiter is created on a replica, and every stored
/// copy begins.
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
    /// One entry for each subject of the policy.
    pub tables: Vec<TableGenesis>,
}

/// What is remembered of a table beside its logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableGenesis {
    /// The subject.
    pub subject: Subject,
    /// Attempts at or before this time (milliseconds since the Unix epoch) no longer count,
    /// whatever the windows are.
    pub floor_millis: u64,
}
