//! How many attempts an adversary who times bursts gets into one window, as a multiple of the limit.
//!
//! Through the real server, with real waiting: an adversary for each algorithm and each plan, all at the same time, each
//! on an identity of its own. The plans begin at different phases of the clock's windows, since two-bucket counters
//! have a weak one: a burst at the end of a window of theirs, another at the end of the next. Plan two opens with one
//! attempt and bursts just before and after the end of the window that this one began.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::Scale;
use crate::charts::{Bar, Whose, bars};
use crate::load::{now_millis, reply};
use crate::measure::{Machine, Quiet};
use crate::peers::{Figures, Kind, Login, Peer, Quota, limiters};
use crate::report::Bound::AtMost;
use crate::report::{Page, figure};
use crate::support::Server;

/// How many attempts the window admits.
const LIMIT: u32 = 50;

/// The window, in seconds: the shortest that all of the peers know.
const WINDOW: u32 = 1;

/// The same in milliseconds.
const MILLIS: u64 = 1000;

/// The times that the server tells are whole milliseconds, of two moments: a window is taken so much shorter that no
/// attempt is counted into one that it had left.
const TOLERANCE: u64 = 3;

/// How long an adversary waits after a refusal.
const PAUSE: Duration = Duration::from_millis(4);

/// When an adversary tries.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// From a moment on, always.
    FromThen,
    /// Once at the moment, and always from shortly before the end of a window that began there.
    OnceThenLate,
}

/// One adversary of one algorithm.
struct Adversary {
    plan: Plan,
    /// When it begins, in milliseconds of the server's clock.
    begins: u64,
    /// Whom it pretends to be.
    address: String,
    email: String,
    /// When it was admitted, by the server's clock.
    admitted: Vec<u64>,
}

/// An algorithm, its server, and those who try to get round it.
struct Arena {
    peer: Peer,
    _server: Server,
    stream: TcpStream,
    adversaries: Vec<Adversary>,
}

/// Measures it, and writes its page.
pub(crate) fn run(machine: &Machine, scale: &Scale, folder: &Path) {
    let quota = Quota { limit: LIMIT, window: WINDOW };
    let _quiet = Quiet::wait();
    let peers = limiters(quota, machine);
    let mut arenas: Vec<Arena> = peers.into_iter().map(|peer| arena(peer, machine)).collect();
    let now = clock(&mut arenas[0].stream);
    let start = (now / MILLIS + 2) * MILLIS;
    for arena in &mut arenas {
        for index in 0..scale.starts {
            let phase = u64::from(index) * MILLIS / u64::from(scale.starts);
            // The last moment of a window is the best one.
            let begins = start + phase + MILLIS / u64::from(scale.starts) - 20;
            for (number, plan) in [Plan::FromThen, Plan::OnceThenLate].into_iter().enumerate() {
                arena.adversaries.push(Adversary {
                    plan,
                    begins,
                    address: format!("10.{index}.{number}.1"),
                    email: format!("victim{index}.{number}@example.com"),
                    admitted: Vec::new(),
                });
            }
        }
    }
    let mut serial = 0;
    loop {
        let mut now = 0;
        for arena in &mut arenas {
            now = clock(&mut arena.stream);
            for adversary in &mut arena.adversaries {
                adversary.tick(now, &arena.peer, &mut arena.stream, &mut serial);
            }
        }
        if now > start + 5 * MILLIS {
            break;
        }
        sleep(PAUSE);
    }
    write(&arenas, machine, folder);
}

/// Starts an algorithm's server.
fn arena(peer: Peer, machine: &Machine) -> Arena {
    let server = peer.start(machine, &[]);
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("it listens");
    stream.set_nodelay(true).expect("a socket has the option");
    Arena { peer, _server: server, stream, adversaries: Vec::new() }
}

impl Adversary {
    /// Tries until it is refused, if its plan says so at this time of the server's.
    fn tick(&mut self, mut now: u64, peer: &Peer, stream: &mut TcpStream, serial: &mut u64) {
        let mut burst = 1;
        while self.is_time(now) {
            let attempts: Vec<_> = (0..burst).map(|_| self.attempt(peer, serial)).collect();
            let answers = ask(stream, &attempts, peer.calls, &peer.admits);
            for answer in &answers {
                now = answer.at;
                if answer.admitted {
                    self.admitted.push(now);
                }
            }
            if answers.iter().any(|answer| !answer.admitted) {
                return;
            }
            // As long as they are admitted, more at once: a burst should take no time.
            burst = (burst * 2).min(LIMIT);
        }
    }

    /// Whether its plan is to try now.
    fn is_time(&self, now: u64) -> bool {
        match self.plan {
            Plan::OnceThenLate if !self.admitted.is_empty() => now >= self.begins + MILLIS * 9 / 10,
            Plan::FromThen | Plan::OnceThenLate => now >= self.begins,
        }
    }

    /// The commands of an attempt.
    fn attempt(&self, peer: &Peer, serial: &mut u64) -> Vec<u8> {
        *serial += 1;
        let login = Login {
            address: self.address.as_bytes(),
            email: self.email.as_bytes(),
            now: now_millis(),
            serial: *serial,
        };
        let mut words = Vec::new();
        (peer.write)(&login, &mut words);
        words
    }

    /// The most attempts that were admitted in one window.
    fn most_in_a_window(&self) -> usize {
        let times = &self.admitted;
        let ends = |first: usize| times[first..].partition_point(|time| time - times[first] < MILLIS - TOLERANCE);
        (0..times.len()).map(ends).max().unwrap_or(0)
    }
}

/// What became of an attempt.
struct Answer {
    /// Whether all of its commands admitted it.
    admitted: bool,
    /// The server's time just before, in milliseconds.
    at: u64,
}

/// The server's time, in milliseconds.
fn clock(stream: &mut TcpStream) -> u64 {
    let answers = ask(stream, &[Vec::new()], 0, &|_| true);
    answers.first().expect("it tells its time").at
}

/// Sends attempts of so many commands each, all at once, and asks the server for its time before each of them.
fn ask(stream: &mut TcpStream, attempts: &[Vec<u8>], calls: usize, admits: &dyn Fn(Figures) -> bool) -> Vec<Answer> {
    let mut batch = Vec::new();
    for words in attempts {
        batch.extend_from_slice(b"*1\r\n$4\r\nTIME\r\n");
        batch.extend_from_slice(words);
    }
    stream.write_all(&batch).expect("the server reads");
    let mut received = Vec::new();
    let mut replies: Vec<(Figures, Range<usize>)> = Vec::new();
    while replies.len() < attempts.len() * (calls + 1) {
        let mut part = [0; 4096];
        let bytes = stream.read(&mut part).expect("the server answers");
        assert!(bytes > 0, "the server has closed the connection");
        received.extend_from_slice(&part[..bytes]);
        loop {
            let start = replies.last().map_or(0, |(_, range)| range.end);
            let Some((figures, len)) = reply(&received[start..]).expect("no errors") else {
                break;
            };
            replies.push((figures, start..start + len));
        }
    }
    let answer = |replies: &[(Figures, Range<usize>)]| Answer {
        at: millis(&received[replies[0].1.clone()]),
        admitted: replies[1..].iter().all(|(figures, _)| admits(*figures)),
    };
    replies.chunks(calls + 1).map(answer).collect()
}

/// The milliseconds that a reply to `TIME` tells: `*2`, `$10`, seconds, `$6`, microseconds.
fn millis(received: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(received);
    let lines: Vec<&str> = text.split("\r\n").collect();
    let number = |line: usize| lines[line].parse::<u64>().expect("a number");
    number(2) * 1000 + number(4) / 1000
}

/// Writes the page.
fn write(arenas: &[Arena], machine: &Machine, folder: &Path) {
    let mut page = Page::new(folder, "accuracy", "The most admitted in a window", &machine.versions);
    page.paragraph(&format!(
        "A limit of {LIMIT} per {WINDOW} s, {} adversaries of each algorithm who time their bursts; the most attempts that \
         one of them got into a true window, as a multiple of the limit. A window is taken {TOLERANCE} ms short, for the \
         moments are known to the millisecond.",
        arenas[0].adversaries.len()
    ));
    let results: Vec<_> = arenas
        .iter()
        .map(|arena| {
            let most = arena.adversaries.iter().map(Adversary::most_in_a_window).max();
            let most = most.unwrap_or(0) as f64;
            (&arena.peer, most, most / f64::from(LIMIT))
        })
        .collect();
    let rows: Vec<_> = results
        .iter()
        .map(|(peer, most, multiple)| vec![peer.name.to_owned(), format!("{most:.0}"), figure(*multiple)])
        .collect();
    page.table(&["", "most in a window", "× limit"], &rows);
    let bar = |(peer, _, multiple): &(&Peer, f64, f64)| Bar {
        name: peer.name.to_owned(),
        value: *multiple,
        label: format!("{} ×", figure(*multiple)),
        whose: if peer.kind == Kind::Module { Whose::Ours } else { Whose::Theirs },
    };
    let chart: Vec<_> = results.iter().map(bar).collect();
    bars(&page.path("accuracy.svg"), "Most attempts admitted in one window, × the limit (1 is exact)", &chart);
    page.chart("accuracy.svg", "Most attempts admitted in one window");
    for (peer, _, multiple) in &results {
        if peer.kind == Kind::Module {
            page.target("the module's most in a window, × the limit", AtMost(1.0), *multiple);
        }
    }
    page.write();
}
