//! Time, memory and storage by the number of identities, each size on a server of its own.

use std::path::Path;

use super::{Expect, Scale, Turn, growth, populate, turn};
use crate::identities::Draw;
use crate::measure::{Machine, Quiet, used_memory};
use crate::peers::{KEY, Peer, module};
use crate::report::Bound::{AtLeast, AtMost};
use crate::report::{Page, count, figure, median};
use crate::support::{Save, Server, command};

/// How many logins each connection has under way.
const PIPELINE: usize = 16;

/// How many attempts each identity has in the end.
const ATTEMPTS: u32 = 5;

/// How many logins warm a server up.
const WARM_UP: u32 = 1000;

/// The rules, and room for the greatest size. The windows outlast the measurement.
const POLICY: &str = "IP 100/12h EMAIL 100/12h CAPACITY 20000000";

/// What was measured of a size.
struct Size {
    /// How many addresses, and as many emails.
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
    /// The number of identities, addresses and emails together.
    fn all(identities: u32) -> f64 {
        2.0 * f64::from(identities)
    }
}

/// Measures it, and writes its page.
pub(crate) fn run(machine: &Machine, scale: &Scale, sizes: &[u32], name: &'static str, folder: &Path) {
    let peer = module("authlimit, IP and EMAIL", POLICY);
    let mut quiet = Quiet::wait();
    let mut filled: Vec<(Server, Size)> = sizes.iter().map(|identities| fill(&peer, *identities, machine)).collect();
    quiet.rest();
    for round in 0..scale.rounds {
        for (server, size) in &mut filled {
            let mut draw = Draw::any(size.identities, round);
            let mut extent = scale.extent(PIPELINE);
            // On few identities the logs would else fill up.
            extent.logins = extent.logins.min(u64::from(size.identities) * 4);
            let turn = turn(&peer, server, &mut draw, PIPELINE, extent, Expect::Admitted);
            size.turns.push(turn);
        }
    }
    let sizes: Vec<Size> = filled
        .into_iter()
        .map(|(server, size)| {
            quiet.rest();
            with_five_attempts(&peer, server, size)
        })
        .collect();
    quiet.rest();
    write(&sizes, machine, name, folder);
    drop(quiet);
}

/// Starts a server with an attempt by each identity, saved and loaded once.
fn fill(peer: &Peer, identities: u32, machine: &Machine) -> (Server, Size) {
    eprintln!("filling: {} addresses and emails", count(identities));
    let mut server = peer.start(machine, &[("rdbcompression", "yes")]);
    let before = warmed_up(peer, &server);
    populate(peer, &server, identities);
    let grown = used_memory(&server) - before;
    command(&mut server.connect(), &["SAVE"]).expect("the server can write a file");
    let file = server.folder().join("dump.rdb");
    let rdb_bytes = std::fs::metadata(file).expect("SAVE has written it").len();
    server.shutdown(Save::No);
    machine.start_again(&mut server);
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

/// What a server has allocated that has seen commands, with nothing counted: its own buffers and statistics are not the
/// limiter's.
pub(super) fn warmed_up(peer: &Peer, server: &Server) -> f64 {
    populate(peer, server, WARM_UP);
    command(&mut server.connect(), &["DEL", KEY]).expect("the server obeys");
    peer.prepare(server);
    used_memory(server)
}

/// How long loading took, as the server's log tells.
fn load_seconds(server: &Server) -> f64 {
    let log = server.log();
    let mut lines = log.lines().rev();
    let seconds = lines.find_map(|line| {
        let (_, rest) = line.split_once("DB loaded from disk: ")?;
        rest.split(' ').next()?.parse().ok()
    });
    seconds.expect("the server tells how long it took")
}

/// Counts five attempts of each identity on a limiter that is empty again, and sees what they take.
fn with_five_attempts(peer: &Peer, server: Server, size: Size) -> Size {
    command(&mut server.connect(), &["DEL", KEY]).expect("the server obeys");
    let before = used_memory(&server);
    peer.prepare(&server);
    for _ in 0..ATTEMPTS {
        populate(peer, &server, size.identities);
    }
    Size { bytes_with_five: (used_memory(&server) - before) / Size::all(size.identities), ..size }
}

/// Writes the page.
fn write(sizes: &[Size], machine: &Machine, name: &'static str, folder: &Path) {
    let largest = sizes.last().expect("there are sizes");
    let smallest = sizes.first().expect("there are sizes");
    let title = format!("Up to {0} addresses and {0} emails", count(largest.identities));
    let mut page = Page::new(folder, name, &title, &machine.versions);
    page.paragraph(
        "A rule for the address and one for the email. An identity is an address or an email: a size has as many of each. \
         Medians of the rounds, at pipeline 16.",
    );
    let time = |size: &Size| median(size.turns.iter().map(|turn| turn.server_time));
    let rows: Vec<_> = sizes
        .iter()
        .map(|size| {
            vec![
                format!("{0} + {0}", count(size.identities)),
                figure(time(size)),
                figure(median(size.turns.iter().map(|turn| turn.rate))),
                figure(size.bytes_with_one),
                figure(size.bytes_with_five),
                figure(size.rdb_bytes),
                figure(size.load_rate),
            ]
        })
        .collect();
    page.table(
        &[
            "addresses + emails",
            "server µs per CHECK",
            "CHECK/s",
            "bytes per identity, one attempt",
            "five attempts",
            "RDB bytes per identity",
            "identities loaded/s",
        ],
        &rows,
    );
    let ratios = largest.turns.iter().zip(&smallest.turns);
    let ratios = ratios.map(|(large, small)| large.server_time / small.server_time);
    let what =
        format!("server time at {0} + {0} ÷ at {1} + {1}", count(largest.identities), count(smallest.identities));
    page.target(what, AtMost(2.0), median(ratios));
    let most = |figure: fn(&Size) -> f64| sizes.iter().map(figure).fold(f64::MIN, f64::max);
    let floor = largest.identities.min(100_000);
    let relevant = sizes.iter().filter(|size| size.identities >= floor);
    let with_one = relevant.map(|size| size.bytes_with_one).fold(f64::MIN, f64::max);
    page.target("bytes per identity, one attempt, at the worst size from 100k", AtMost(64.0), with_one);
    page.target("the same, five attempts, at the worst size", AtMost(112.0), most(|size| size.bytes_with_five));
    page.target("RDB bytes per identity, at the largest size", AtMost(24.0), largest.rdb_bytes);
    page.target("identities loaded per second, at the largest size", AtLeast(2e6), largest.load_rate);
    growth::measure(machine, largest.identities, &mut page);
    page.write();
}
