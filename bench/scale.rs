//! How large a measurement is.

use std::time::Duration;

use crate::load::Extent;

/// How much of everything there is in a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// The number of addresses, and of emails.
    pub(crate) identities: u32,
    /// How many turns each peer has.
    pub(crate) rounds: u64,
    /// How long a turn may take.
    pub(crate) turn: Duration,
    /// How many attempts go into the append-only file that is measured.
    pub(crate) aof_logins: u32,
    /// The numbers of addresses on the page `sizes`.
    pub(crate) sizes: Vec<u32>,
    /// The numbers of addresses on the page `large`.
    pub(crate) large: Vec<u32>,
    /// How many moments of a window the attackers of the page `accuracy` start at.
    pub(crate) starts: u32,
    /// Whether the results go into the repository.
    pub(crate) is_published: bool,
}

impl Scale {
    /// The scale of the published results.
    pub(crate) fn full() -> Self {
        Self {
            identities: 1_000_000,
            rounds: 5,
            turn: Duration::from_secs(1),
            aof_logins: 20_000,
            sizes: vec![10_000, 100_000, 1_000_000],
            large: vec![10_000, 100_000, 1_000_000, 10_000_000],
            starts: 10,
            is_published: true,
        }
    }

    /// A small scale, to test that everything runs.
    pub(crate) fn smoke() -> Self {
        Self {
            identities: 2000,
            rounds: 1,
            turn: Duration::from_millis(30),
            aof_logins: 1000,
            sizes: vec![1000, 10_000],
            large: vec![1000, 20_000],
            starts: 2,
            is_published: false,
        }
    }

    /// Returns the load of one turn. The number of logins is limited so that a fast peer's logs do not grow longer than
    /// those of a slow one.
    pub(crate) fn extent(&self, pipeline: usize) -> Extent {
        Extent { pipeline, logins: if pipeline == 1 { 100_000 } else { 300_000 }, time: self.turn }
    }
}
