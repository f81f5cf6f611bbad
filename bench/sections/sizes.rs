//! Time, memory and storage by the number of identities. Each size has its own server.

use std::path::Path;

use super::growth::measure_growth;
use super::turn::{Expect, PIPELINE, Turn, populate, turn, warmed_up};
use crate::identities::Draw;
use crate::machine::{Machine, Quiet};
use crate::peers::{KEY, Peer, module};
use crate::report::Bound::{AtLeast, AtMost};
use crate::report::{Page, count, median, rounded};
use crate::scale::Scale;
use crate::server_process::{Server, command};
use crate::statistics::used_memory;

/// How many attempts each identity has in the end.
const ATTEMPTS: u32 = 5;

/// The rules, and capacity for the greatest size. The windows are longer than the measurement.
const POLICY: &str = "IP 100/12h EMAIL 100/12h CAPACITY 20000000";

/// The results of one size.
struct Size {
    /// The number of addresses, and of emails.
    identities: u32,
    /// One per round.
    turns: Vec<Turn>,
    bytes_with_one: f64,
    bytes_with_five: f64,
    rdb_bytes: f64,
    /// Identities loaded per second.
    load_rate: f64,
}

impl Size {
    /// Returns the number of addresses and emails together.
    fn all(identities: u32) -> f64 {
        2.0 * f64::from(identities)
    }

    /// Returns the median server time of a check.
    fn server_time(&self) -> f64 {
        median(self.turns.iter().map(|turn| turn.server_time))
    }

    /// Returns the size's row of the table.
    fn row(&self) -> Vec<String> {
        vec![
            format!("{0} + {0}", count(self.identities)),
            rounded(self.server_time()),
            rounded(median(self.turns.iter().map(|turn| turn.rate))),
            rounded(self.bytes_with_one),
            rounded(self.bytes_with_five),
            rounded(self.rdb_bytes),
            rounded(self.load_rate),
        ]
    }
}

/// Runs the measurement and writes its page.
pub(super) fn run(machine: &Machine, scale: &Scale, sizes: &[u32], name: &'static str, folder: &Path) {
    let peer = module("authlimit, IP and EMAIL", POLICY);
    let mut quiet = Quiet::wait();
    let mut filled: Vec<(Server, Size)> = sizes.iter().map(|identities| fill(&peer, *identities, machine)).collect();
    quiet.rest();
    for round in 0..scale.rounds {
        for (server, size) in &mut filled {
            let mut draw = Draw::any(size.identities, round);
            let mut extent = scale.extent(PIPELINE);
            // With more logins, the logs of a few identities would become full.
            extent.logins = extent.logins.min(u64::from(size.identities) * 4);
            size.turns.push(turn(&peer, server, &mut draw, extent, Expect::Admitted));
        }
    }
    let sizes: Vec<Size> = filled
        .into_iter()
        .map(|(server, size)| {
            quiet.rest();
            with_five_attempts(&peer, &server, size)
        })
        .collect();
    quiet.rest();
    write(&sizes, machine, name, folder);
    drop(quiet);
}

/// Starts a server with one attempt by each identity, which was saved and loaded once.
fn fill(peer: &Peer, identities: u32, machine: &Machine) -> (Server, Size) {
    eprintln!("filling: {} addresses and emails", count(identities));
    let mut server = peer.start(machine, &[("rdbcompression", "yes")]);
    let before = warmed_up(peer, &server);
    populate(peer, &server, identities);
    let grown = used_memory(&server) - before;
    command(&mut server.connect(), &["SAVE"]);
    let file = server.folder().join("dump.rdb");
    let rdb_bytes = std::fs::metadata(file).expect("SAVE has written it").len();
    machine.restart(&mut server);
    let size = Size {
        identities,
        turns: Vec::new(),
        bytes_with_one: grown / Size::all(identities),
        bytes_with_five: f64::NAN,
        rdb_bytes: rdb_bytes as f64 / Size::all(identities),
        load_rate: Size::all(identities) / load_seconds(&server),
    };
    (server, size)
}

/// Returns how long the server took to load its file, by its log.
fn load_seconds(server: &Server) -> f64 {
    let log = server.log();
    let mut lines = log.lines().rev();
    let seconds = lines.find_map(|line| {
        let (_, rest) = line.split_once("DB loaded from disk: ")?;
        rest.split(' ').next()?.parse().ok()
    });
    seconds.expect("the server logs how long it took")
}

/// Counts five attempts by each identity on an empty limiter, and measures their memory.
fn with_five_attempts(peer: &Peer, server: &Server, size: Size) -> Size {
    command(&mut server.connect(), &["DEL", KEY]);
    let before = used_memory(server);
    peer.prepare(server);
    for _ in 0..ATTEMPTS {
        populate(peer, server, size.identities);
    }
    Size { bytes_with_five: (used_memory(server) - before) / Size::all(size.identities), ..size }
}

/// Writes the page.
fn write(sizes: &[Size], machine: &Machine, name: &'static str, folder: &Path) {
    let largest = sizes.last().expect("there are sizes");
    let title = format!("Up to {0} addresses and {0} emails", count(largest.identities));
    let mut page = Page::new(folder, name, &title, &machine.versions);
    page.paragraph(
        "A rule for the address and one for the email. An identity is an address or an email: a size has as many of \
         each. Medians of the rounds, at pipeline 16.",
    );
    let columns = [
        "addresses + emails",
        "server µs per CHECK",
        "CHECK/s",
        "bytes per identity, one attempt",
        "five attempts",
        "RDB bytes per identity",
        "identities loaded/s",
    ];
    page.table(&columns, &sizes.iter().map(Size::row).collect::<Vec<_>>());
    set_targets(sizes, largest, &mut page);
    measure_growth(machine, largest.identities, &mut page);
    page.write();
}

/// Compares the sizes with their targets.
fn set_targets(sizes: &[Size], largest: &Size, page: &mut Page) {
    let smallest = sizes.first().expect("there are sizes");
    let ratios = largest.turns.iter().zip(&smallest.turns).map(|(large, small)| large.server_time / small.server_time);
    let (large, small) = (count(largest.identities), count(smallest.identities));
    page.target(format!("server time at {large} + {large} ÷ at {small} + {small}"), AtMost(2.0), median(ratios));
    // A small table has more bytes that belong to no identity.
    let floor = largest.identities.min(100_000);
    let relevant = sizes.iter().filter(|size| size.identities >= floor);
    let with_one = relevant.map(|size| size.bytes_with_one).fold(f64::MIN, f64::max);
    page.target("bytes per identity, one attempt, at the worst size from 100k", AtMost(64.0), with_one);
    let with_five = sizes.iter().map(|size| size.bytes_with_five).fold(f64::MIN, f64::max);
    page.target("the same, five attempts, at the worst size", AtMost(112.0), with_five);
    page.target("RDB bytes per identity, at the largest size", AtMost(24.0), largest.rdb_bytes);
    page.target("identities loaded per second, at the largest size", AtLeast(2e6), largest.load_rate);
}
