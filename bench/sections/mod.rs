//! What is measured, a page of results each.

pub(crate) mod accuracy;
mod comparison;
mod growth;
mod scenarios;
mod sizes;
mod steps;

use std::path::Path;
use std::time::Duration;

use crate::identities::Draw;
use crate::load::{self, Extent, Outcome};
use crate::measure::{Machine, reset_statistics, server_time};
use crate::peers::Peer;
use crate::support::Server;

/// One page of results.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    /// Everyone on a million addresses and a million emails.
    Comparison,
    /// A locked email under attack, and the sign-in preset.
    Scenarios,
    /// How many attempts well-timed bursts get into a window.
    Accuracy,
    /// Time, memory and storage by the number of identities.
    Sizes,
    /// The same with ten million addresses and emails.
    Large,
}

impl Section {
    /// The sections and the words for them.
    const NAMED: &[(&str, Self)] = &[
        ("comparison", Self::Comparison),
        ("scenarios", Self::Scenarios),
        ("accuracy", Self::Accuracy),
        ("sizes", Self::Sizes),
        ("large", Self::Large),
    ];

    /// What `make bench` runs.
    pub(crate) const USUAL: &[Self] = &[Self::Comparison, Self::Scenarios, Self::Accuracy, Self::Sizes];

    /// The section of this name.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let (_, section) = Self::NAMED.iter().find(|(name, _)| *name == word)?;
        Some(*section)
    }

    /// All the names.
    pub(crate) fn names() -> String {
        let names: Vec<_> = Self::NAMED.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// Measures it, and writes its page.
    pub(crate) fn run(self, machine: &Machine, scale: &Scale, folder: &Path) {
        match self {
            Self::Comparison => comparison::run(machine, scale, folder),
            Self::Scenarios => scenarios::run(machine, scale, folder),
            Self::Accuracy => accuracy::run(machine, scale, folder),
            Self::Sizes => sizes::run(machine, scale, &scale.sizes, "sizes", folder),
            Self::Large => sizes::run(machine, scale, &scale.large, "large", folder),
        }
    }
}

/// How much of everything.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    /// How many addresses, and as many emails.
    pub(crate) identities: u32,
    /// How often everyone has their turn.
    pub(crate) rounds: u64,
    /// How long a turn may take.
    pub(crate) turn: Duration,
    /// How many attempts the append-only file is measured by.
    pub(crate) logins: u32,
    /// The numbers of addresses that the page `sizes` has.
    pub(crate) sizes: Vec<u32>,
    /// The numbers of addresses that the page `large` has.
    pub(crate) large: Vec<u32>,
    /// At how many moments, spread over a window, adversaries begin.
    pub(crate) starts: u32,
    /// Whether the results are for the repository.
    pub(crate) is_for_keeps: bool,
}

impl Scale {
    /// What is published.
    pub(crate) fn full() -> Self {
        Self {
            identities: 1_000_000,
            rounds: 5,
            turn: Duration::from_secs(1),
            logins: 20_000,
            sizes: vec![10_000, 100_000, 1_000_000],
            large: vec![10_000, 100_000, 1_000_000, 10_000_000],
            starts: 10,
            is_for_keeps: true,
        }
    }

    /// Just enough to see that everything runs.
    pub(crate) fn smoke() -> Self {
        Self {
            identities: 2000,
            rounds: 1,
            turn: Duration::from_millis(30),
            logins: 1000,
            sizes: vec![1000, 10_000],
            large: vec![1000, 20_000],
            starts: 2,
            is_for_keeps: false,
        }
    }

    /// How far a turn goes at a pipeline: the fast do not go on until their logs are longer than everybody else's.
    fn extent(&self, pipeline: usize) -> Extent {
        Extent { logins: if pipeline == 1 { 100_000 } else { 300_000 }, time: self.turn }
    }
}

/// What one turn of one peer showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Logins per second.
    pub(crate) rate: f64,
    /// Microseconds of the server per login.
    pub(crate) server_time: f64,
    /// Half of the batches were answered within this many microseconds.
    pub(crate) p50: f64,
    /// 99 of 100 batches were.
    pub(crate) p99: f64,
}

/// What must become of the attempts for a turn to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// All of them.
    Admitted,
    /// None of them.
    Refused,
}

/// Puts a peer under load for one turn.
fn turn(peer: &Peer, server: &Server, draw: &mut Draw, pipeline: usize, extent: Extent, expect: Expect) -> Turn {
    reset_statistics(&mut server.connect());
    let outcome = load::run(peer, server.port(), draw, pipeline, extent);
    check(peer, &outcome, expect);
    Turn {
        rate: outcome.rate(),
        server_time: server_time(&mut server.connect(), peer.statistics) / outcome.logins as f64,
        p50: outcome.quantile(0.5),
        p99: outcome.quantile(0.99),
    }
}

/// Fills a server with an attempt of each of so many addresses, on as many emails.
fn populate(peer: &Peer, server: &Server, identities: u32) -> Outcome {
    let extent = Extent { logins: identities.into(), time: Duration::from_secs(3600) };
    let mut draw = Draw::once(identities);
    let outcome = load::run(peer, server.port(), &mut draw, 64, extent);
    check(peer, &outcome, Expect::Admitted);
    outcome
}

/// Panics if a peer did not decide as it should have: it would be other work that was measured.
fn check(peer: &Peer, outcome: &Outcome, expect: Expect) {
    let replies = outcome.logins * peer.calls as u64;
    let admitted = outcome.admitted as f64 / replies as f64;
    let as_expected = match expect {
        Expect::Admitted => admitted > 0.999,
        Expect::Refused => outcome.admitted == 0,
    };
    assert!(as_expected, "{}: {admitted:.4} of the attempts were admitted; {expect:?} was expected", peer.name);
}
