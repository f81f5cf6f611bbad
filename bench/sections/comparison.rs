//! Everyone on a million addresses and a million emails: throughput, the server's time, latency, memory, and what the
//! append-only file grows by. In rounds, everyone's turn after everyone else's, so that a slow minute hits all alike.

use std::path::Path;

use super::{Expect, Scale, Turn, populate, turn};
use crate::charts::{Bar, Whose, bars};
use crate::identities::Draw;
use crate::measure::{Machine, Quiet, number, used_memory};
use crate::peers::{KEY, Kind, Peer, QUOTA, limiters, yardsticks};
use crate::report::Bound::{AtLeast, AtMost};
use crate::report::{Page, count, figure, median};
use crate::support::{Server, command};

/// How many logins each connection has under way.
const PIPELINES: [usize; 3] = [1, 16, 64];

/// Where in [`PIPELINES`] the latency is read.
const SINGLE: usize = 0;

/// Where in [`PIPELINES`] the server's time is read: enough to do, and no client waits long.
const BUSY: usize = 1;

/// Where in [`PIPELINES`] the throughput is greatest.
const FULL: usize = 2;

/// A peer, its server, and what was measured of them.
struct Entry {
    peer: Peer,
    server: Server,
    /// By pipeline, then by round.
    turns: [Vec<Turn>; 3],
    bytes_per_identity: Option<f64>,
    aof_bytes: Option<f64>,
}

impl Entry {
    /// The middle of a figure at a pipeline.
    fn median(&self, pipeline: usize, figure: fn(&Turn) -> f64) -> f64 {
        median(self.turns[pipeline].iter().map(figure))
    }

    /// The middle of the rounds' ratios of a figure to another's.
    fn ratio(&self, other: &Entry, pipeline: usize, figure: fn(&Turn) -> f64) -> f64 {
        let pairs = self.turns[pipeline].iter().zip(&other.turns[pipeline]);
        median(pairs.map(|(mine, others)| figure(mine) / figure(others)))
    }
}

/// Measures it, and writes its page.
pub(crate) fn run(machine: &Machine, scale: &Scale, folder: &Path) {
    let peers = yardsticks(scale.identities).into_iter().chain(limiters(QUOTA, machine));
    let mut entries: Vec<Entry> = peers.map(|peer| fill(peer, machine, scale)).collect();
    let mut quiet = Quiet::wait();
    for round in 0..scale.rounds {
        eprintln!("round {} of {}", round + 1, scale.rounds);
        quiet.rest();
        refill_module(&entries, scale);
        for (index, pipeline) in PIPELINES.into_iter().enumerate() {
            for entry in &mut entries {
                // The same identities for everyone, others in every turn.
                let mut draw = Draw::any(scale.identities, round << 8 | pipeline as u64);
                let extent = scale.extent(pipeline);
                let turn = turn(&entry.peer, &entry.server, &mut draw, pipeline, extent, Expect::Admitted);
                entry.turns[index].push(turn);
            }
        }
    }
    drop(quiet);
    write(&entries, machine, scale, folder);
}

/// Starts a peer's server and fills it.
fn fill(peer: Peer, machine: &Machine, scale: &Scale) -> Entry {
    eprintln!("filling: {}", peer.name);
    let limits = peer.kind != Kind::Yardstick;
    let aof_bytes = limits.then(|| aof_bytes(&peer, machine, scale));
    let server = peer.start(machine, &[]);
    let before = used_memory(&server);
    // GET reads the counters that INCR makes.
    let filler = match peer.statistics {
        "ping" => None,
        "get" => yardsticks(scale.identities).into_iter().find(|peer| peer.statistics == "incr"),
        _ => None,
    };
    if peer.statistics != "ping" {
        populate(filler.as_ref().unwrap_or(&peer), &server, scale.identities);
    }
    let grown = used_memory(&server) - before;
    Entry {
        bytes_per_identity: (peer.statistics != "ping").then(|| grown / (2.0 * f64::from(scale.identities))),
        peer,
        server,
        turns: [const { Vec::new() }; 3],
        aof_bytes,
    }
}

/// How much an append-only file grows by an admitted attempt.
fn aof_bytes(peer: &Peer, machine: &Machine, scale: &Scale) -> f64 {
    let settings = [("appendonly", "yes"), ("appendfsync", "no")];
    let server = peer.start(machine, &settings);
    let before = number(&server, "aof_current_size");
    populate(peer, &server, scale.logins);
    (number(&server, "aof_current_size") - before) / f64::from(scale.logins)
}

/// Brings the module back to one attempt per identity: it is so fast that its logs would else be longer than
/// everybody else's in the last rounds.
fn refill_module(entries: &[Entry], scale: &Scale) {
    for entry in entries.iter().filter(|entry| entry.peer.kind == Kind::Module) {
        command(&mut entry.server.connect(), &["DEL", KEY]).expect("the server obeys");
        entry.peer.prepare(&entry.server);
        populate(&entry.peer, &entry.server, scale.identities);
    }
}

/// Writes the page.
fn write(entries: &[Entry], machine: &Machine, scale: &Scale, folder: &Path) {
    let find = |statistics: &str| {
        let mut entries = entries.iter();
        entries.find(|entry| entry.peer.statistics == statistics).expect("everybody took part")
    };
    let (get, module) = (find("get"), find("authlimit.check"));
    let packed = entries.iter().find(|entry| entry.peer.name.contains("packed")).expect("it took part");
    let server_time: fn(&Turn) -> f64 = |turn| turn.server_time;
    let rate: fn(&Turn) -> f64 = |turn| turn.rate;
    let p99: fn(&Turn) -> f64 = |turn| turn.p99;
    let best = entries
        .iter()
        .filter(|entry| entry.peer.kind == Kind::DualScript)
        .min_by(|a, b| a.median(BUSY, server_time).total_cmp(&b.median(BUSY, server_time)))
        .expect("they took part");

    let title = format!("A login, on {0} addresses and {0} emails", count(scale.identities));
    let mut page = Page::new(folder, "comparison", &title, &machine.versions);
    page.paragraph(&format!(
        "Medians of {} rounds; ratios are medians of the rounds' ratios. A login is one attempt by an address on an email, \
         both drawn at random, all admitted; a peer that takes two calls is charged for both. Server time by `INFO \
         commandstats` at pipeline 16; p50 and p99 in µs, unpipelined, of 50 connections.",
        scale.rounds
    ));
    let optional = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), figure);
    let row = |entry: &Entry| {
        vec![
            entry.peer.name.to_owned(),
            figure(entry.median(BUSY, server_time)),
            figure(entry.ratio(get, BUSY, server_time)),
            figure(entry.ratio(module, BUSY, server_time)),
            figure(entry.median(SINGLE, rate)),
            figure(entry.median(BUSY, rate)),
            figure(entry.median(FULL, rate)),
            figure(entry.ratio(module, FULL, rate)),
            figure(entry.median(SINGLE, |turn| turn.p50)),
            figure(entry.median(SINGLE, p99)),
            optional(entry.bytes_per_identity),
            optional(entry.aof_bytes),
        ]
    };
    page.table(
        &[
            "",
            "server µs per login",
            "× GET",
            "× authlimit",
            "logins/s, pipeline 1",
            "16",
            "64",
            "64, × authlimit",
            "p50",
            "p99",
            "bytes per identity",
            "AOF bytes per attempt",
        ],
        &entries.iter().map(row).collect::<Vec<_>>(),
    );
    let chart = |file: &str, title: &str, value: &dyn Fn(&Entry) -> Option<f64>, unit: &str| {
        let bar = |entry: &Entry| {
            let value = value(entry)?;
            Some(Bar {
                name: entry.peer.name.to_owned(),
                value,
                label: format!("{}{unit}", figure(value)),
                whose: if entry.peer.kind == Kind::Module { Whose::Ours } else { Whose::Theirs },
            })
        };
        bars(&page.path(file), title, &entries.iter().filter_map(bar).collect::<Vec<_>>());
    };
    let versions = format!("{} {}", machine.versions.server, machine.versions.server_version);
    chart(
        "server-time.svg",
        &format!("Server time per login, × GET's (less is better; {versions})"),
        &|entry| Some(entry.ratio(get, BUSY, server_time)),
        " ×",
    );
    chart(
        "throughput.svg",
        &format!("Logins per second at pipeline 64, × GET's (more is better; {versions})"),
        &|entry| Some(entry.ratio(get, FULL, rate)),
        " ×",
    );
    chart(
        "memory.svg",
        &format!("Bytes per identity with one attempt (less is better; {versions})"),
        &|entry| entry.bytes_per_identity,
        "",
    );
    page.chart("server-time.svg", "Server time per login");
    page.chart("throughput.svg", "Logins per second at pipeline 64");
    page.chart("memory.svg", "Bytes per identity");

    let best_name = format!("the best dual script's ({})", best.peer.name);
    let mut target = |what: String, bound, measured| page.target(what, bound, measured);
    target(format!("server time ÷ {best_name}"), AtMost(0.1), module.ratio(best, BUSY, server_time));
    target("server time ÷ GET's".into(), AtMost(1.0), module.ratio(get, BUSY, server_time));
    target(format!("throughput at pipeline 64 ÷ {best_name}"), AtLeast(7.0), module.ratio(best, FULL, rate));
    target("throughput at pipeline 64 ÷ the packed counter's".into(), AtLeast(10.0), module.ratio(packed, FULL, rate));
    target("throughput at pipeline 64 ÷ GET's".into(), AtLeast(1.1), module.ratio(get, FULL, rate));
    target("throughput unpipelined ÷ GET's".into(), AtLeast(0.95), module.ratio(get, SINGLE, rate));
    target("p99 unpipelined ÷ GET's".into(), AtMost(1.0), module.ratio(get, SINGLE, p99));
    target("bytes per identity with one attempt".into(), AtMost(48.0), module.bytes_per_identity.unwrap_or(f64::NAN));
    target(
        "AOF bytes per admitted attempt, key of 5 letters".into(),
        AtMost(72.0),
        module.aof_bytes.unwrap_or(f64::NAN),
    );
    page.write();
}
