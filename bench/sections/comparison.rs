//! All peers on a million addresses and a million emails: throughput, server time, latency, memory, and growth of the
//! append-only file. The peers take turns in rounds, so that a slow minute affects all of them alike.

use std::path::Path;

use super::turn::{Expect, Turn, empty, populate, turn};
use crate::charts::Bar;
use crate::identities::Draw;
use crate::machine::{Machine, Quiet};
use crate::peers::{Kind, Peer, QUOTA, limiters, yardsticks};
use crate::report::Bound::{AtLeast, AtMost};
use crate::report::{Page, count, median, rounded};
use crate::scale::Scale;
use crate::server_process::Server;
use crate::statistics::{number, used_memory};

/// How many logins each connection has in flight.
const PIPELINES: [usize; 3] = [1, 16, 64];

/// The index in [`PIPELINES`] for latency.
const SINGLE: usize = 0;

/// The index in [`PIPELINES`] for server time: the server is busy, and no client waits long.
const BUSY: usize = 1;

/// The index in [`PIPELINES`] for throughput.
const FULL: usize = 2;

/// A value of a turn.
type Metric = fn(&Turn) -> f64;

/// Logins per second.
const RATE: Metric = |turn| turn.rate;

/// Microseconds of the server per login.
const SERVER_TIME: Metric = |turn| turn.server_time;

/// The 99th percentile of the latency.
const P99: Metric = |turn| turn.p99;

/// A peer, its server, and its results.
struct Entry {
    peer: Peer,
    server: Server,
    /// By pipeline, then by round.
    turns: [Vec<Turn>; 3],
    bytes_per_identity: Option<f64>,
    aof_bytes: Option<f64>,
}

impl Entry {
    /// Returns the median of a metric at a pipeline.
    fn median(&self, pipeline: usize, metric: Metric) -> f64 {
        median(self.turns[pipeline].iter().map(metric))
    }

    /// Returns the median of the rounds' ratios of a metric to another entry's.
    fn ratio(&self, other: &Self, pipeline: usize, metric: Metric) -> f64 {
        let pairs = self.turns[pipeline].iter().zip(&other.turns[pipeline]);
        median(pairs.map(|(mine, others)| metric(mine) / metric(others)))
    }

    /// Returns whether it is this module.
    fn is_ours(&self) -> bool {
        self.peer.kind == Kind::Module
    }
}

/// Runs the measurement and writes its page.
pub(super) fn run(machine: &Machine, scale: &Scale, folder: &Path) {
    let peers = yardsticks(scale.identities).into_iter().chain(limiters(QUOTA, machine));
    let mut entries: Vec<Entry> = peers.map(|peer| fill(peer, machine, scale)).collect();
    let mut quiet = Quiet::wait();
    for round in 0..scale.rounds {
        eprintln!("round {} of {}", round + 1, scale.rounds);
        quiet.rest();
        refill_module(&entries, scale);
        for (index, pipeline) in PIPELINES.into_iter().enumerate() {
            for entry in &mut entries {
                // The same identities for every peer, other ones in every turn.
                let mut draw = Draw::any(scale.identities, round << 8 | pipeline as u64);
                let extent = scale.extent(pipeline);
                entry.turns[index].push(turn(&entry.peer, &entry.server, &mut draw, extent, Expect::Admitted));
            }
        }
    }
    drop(quiet);
    let results = Results::of(&entries);
    let title = format!("A login, on {0} addresses and {0} emails", count(scale.identities));
    let mut page = Page::new(folder, "comparison", &title, &machine.versions);
    results.write_table(scale, &mut page);
    results.draw_charts(machine, &mut page);
    results.set_targets(&mut page);
    page.write();
}

/// Starts a peer's server and fills it.
fn fill(peer: Peer, machine: &Machine, scale: &Scale) -> Entry {
    eprintln!("filling: {}", peer.name);
    let limits = peer.kind != Kind::Yardstick;
    let aof_bytes = limits.then(|| aof_bytes(&peer, machine, scale));
    let server = peer.start(machine, &[]);
    let has_keys = peer.statistics != "ping";
    let bytes_per_identity = has_keys.then(|| {
        let before = used_memory(&server);
        // GET reads the counters that INCR makes.
        let incr = yardsticks(scale.identities).into_iter().find(|peer| peer.statistics == "incr");
        let filler = incr.filter(|_| peer.statistics == "get");
        populate(filler.as_ref().unwrap_or(&peer), &server, scale.identities);
        (used_memory(&server) - before) / (2.0 * f64::from(scale.identities))
    });
    Entry { peer, server, turns: [const { Vec::new() }; 3], bytes_per_identity, aof_bytes }
}

/// Returns how much the append-only file grows by an admitted attempt.
fn aof_bytes(peer: &Peer, machine: &Machine, scale: &Scale) -> f64 {
    let server = peer.start(machine, &[("appendonly", "yes"), ("appendfsync", "no")]);
    let before = number(&server, "aof_current_size");
    populate(peer, &server, scale.aof_logins);
    (number(&server, "aof_current_size") - before) / f64::from(scale.aof_logins)
}

/// Resets the module to one attempt per identity. It is so fast that its logs would become longer than those of the
/// other peers.
fn refill_module(entries: &[Entry], scale: &Scale) {
    for entry in entries.iter().filter(|entry| entry.is_ours()) {
        empty(&entry.peer, &entry.server);
        populate(&entry.peer, &entry.server, scale.identities);
    }
}

/// All entries, and those that others are compared with.
struct Results<'a> {
    entries: &'a [Entry],
    module: &'a Entry,
    get: &'a Entry,
    packed: &'a Entry,
    /// The script for both subjects that takes the least server time.
    best: &'a Entry,
}

impl<'a> Results<'a> {
    /// Finds the entries that others are compared with.
    fn of(entries: &'a [Entry]) -> Self {
        let find = |wanted: fn(&Peer) -> bool| {
            entries.iter().find(|entry| wanted(&entry.peer)).expect("this peer is always measured")
        };
        let scripts = entries.iter().filter(|entry| entry.peer.kind == Kind::DualScript);
        let best = scripts.min_by(|a, b| a.median(BUSY, SERVER_TIME).total_cmp(&b.median(BUSY, SERVER_TIME)));
        Self {
            entries,
            module: find(|peer| peer.kind == Kind::Module),
            get: find(|peer| peer.statistics == "get"),
            packed: find(|peer| peer.name.contains("packed")),
            best: best.expect("scripts are always measured"),
        }
    }

    /// Writes the table of all results.
    fn write_table(&self, scale: &Scale, page: &mut Page) {
        page.paragraph(&format!(
            "Medians of {} rounds; ratios are medians of the rounds' ratios. A login is one attempt by an address on \
             an email, both drawn at random, all admitted; a peer that takes two calls is charged for both. Server time \
             by `INFO commandstats` at pipeline 16; p50 and p99 in µs, unpipelined, of 50 connections.",
            scale.rounds
        ));
        let columns = [
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
        ];
        page.table(&columns, &self.entries.iter().map(|entry| self.row(entry)).collect::<Vec<_>>());
    }

    /// Returns an entry's row of the table.
    fn row(&self, entry: &Entry) -> Vec<String> {
        let optional = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), rounded);
        vec![
            entry.peer.name.to_owned(),
            rounded(entry.median(BUSY, SERVER_TIME)),
            rounded(entry.ratio(self.get, BUSY, SERVER_TIME)),
            rounded(entry.ratio(self.module, BUSY, SERVER_TIME)),
            rounded(entry.median(SINGLE, RATE)),
            rounded(entry.median(BUSY, RATE)),
            rounded(entry.median(FULL, RATE)),
            rounded(entry.ratio(self.module, FULL, RATE)),
            rounded(entry.median(SINGLE, |turn| turn.p50)),
            rounded(entry.median(SINGLE, P99)),
            optional(entry.bytes_per_identity),
            optional(entry.aof_bytes),
        ]
    }

    /// Draws the charts of server time, throughput and memory.
    fn draw_charts(&self, machine: &Machine, page: &mut Page) {
        let versions = format!("{} {}", machine.versions.server, machine.versions.server_version);
        page.chart(
            "server-time.svg",
            &format!("Server time per login, × GET's (less is better; {versions})"),
            "Server time per login",
            &self.bars(" ×", |entry| Some(entry.ratio(self.get, BUSY, SERVER_TIME))),
        );
        page.chart(
            "throughput.svg",
            &format!("Logins per second at pipeline 64, × GET's (more is better; {versions})"),
            "Logins per second at pipeline 64",
            &self.bars(" ×", |entry| Some(entry.ratio(self.get, FULL, RATE))),
        );
        page.chart(
            "memory.svg",
            &format!("Bytes per identity with one attempt (less is better; {versions})"),
            "Bytes per identity",
            &self.bars("", |entry| entry.bytes_per_identity),
        );
    }

    /// Returns a bar for each entry that has a value.
    fn bars(&self, unit: &str, value: impl Fn(&Entry) -> Option<f64>) -> Vec<Bar> {
        let bar = |entry: &Entry| {
            let value = value(entry)?;
            let label = format!("{}{unit}", rounded(value));
            Some(Bar { name: entry.peer.name.to_owned(), value, label, is_ours: entry.is_ours() })
        };
        self.entries.iter().filter_map(bar).collect()
    }

    /// Compares the module with its targets.
    fn set_targets(&self, page: &mut Page) {
        let Self { module, get, packed, best, .. } = self;
        let best_name = format!("the best dual script's ({})", best.peer.name);
        for (what, bound, measured) in [
            (format!("server time ÷ {best_name}"), AtMost(0.1), module.ratio(best, BUSY, SERVER_TIME)),
            ("server time ÷ GET's".into(), AtMost(1.0), module.ratio(get, BUSY, SERVER_TIME)),
            (format!("throughput at pipeline 64 ÷ {best_name}"), AtLeast(7.0), module.ratio(best, FULL, RATE)),
            (
                "throughput at pipeline 64 ÷ the packed counter's".into(),
                AtLeast(10.0),
                module.ratio(packed, FULL, RATE),
            ),
            ("throughput at pipeline 64 ÷ GET's".into(), AtLeast(1.1), module.ratio(get, FULL, RATE)),
            ("throughput unpipelined ÷ GET's".into(), AtLeast(0.95), module.ratio(get, SINGLE, RATE)),
            ("p99 unpipelined ÷ GET's".into(), AtMost(1.0), module.ratio(get, SINGLE, P99)),
            ("bytes per identity with one attempt".into(), AtMost(48.0), module.bytes_per_identity.unwrap_or(f64::NAN)),
            (
                "AOF bytes per admitted attempt, key of 5 letters".into(),
                AtMost(72.0),
                module.aof_bytes.unwrap_or(f64::NAN),
            ),
        ] {
            page.target(what, bound, measured);
        }
    }
}
