//! The greatest number of attempts that an attacker who times bursts gets into one window, as a multiple of the limit.
//!
//! This runs against real servers in real time: attackers for each algorithm and each plan, all at the same time, each
//! with its own address and email. They start at different phases of the clock's windows, because two-bucket counters
//! have a weak phase: a burst at the end of one bucket, another one at the end of the next.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::charts::Bar;
use crate::load::{now_millis, reply};
use crate::machine::{Machine, Quiet};
use crate::peers::{Kind, Login, Peer, Quota, ReplyIntegers, limiters};
use crate::report::Bound::AtMost;
use crate::report::{Page, rounded};
use crate::scale::Scale;
use crate::server_process::Server;

/// The limit of the window.
const LIMIT: u32 = 50;

/// The window in seconds: the shortest that every peer supports.
const WINDOW: u32 = 1;

/// The window in milliseconds.
const MILLIS: u64 = 1000;

/// A window is measured this many milliseconds short: the server's times are whole milliseconds, and an attempt must
/// not be counted into a window that it had left.
const TOLERANCE: u64 = 3;

/// The time between two tries of an attacker that was refused.
const PAUSE: Duration = Duration::from_millis(4);

/// When an attacker tries.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// Always, from its start.
    Always,
    /// Once at its start, then always from shortly before the end of the window that began there.
    OnceThenLate,
}

/// One attacker of one algorithm.
struct Attacker {
    plan: Plan,
    /// Its start, in milliseconds of the server's clock.
    begins: u64,
    address: String,
    email: String,
    /// When it was admitted, by the server's clock.
    admitted: Vec<u64>,
}

/// An algorithm, its server, and its attackers.
struct Arena {
    peer: Peer,
    _server: Server,
    stream: TcpStream,
    attackers: Vec<Attacker>,
}

/// Runs the measurement and writes its page.
pub(super) fn run(machine: &Machine, scale: &Scale, folder: &Path) {
    let quota = Quota { limit: LIMIT, window: WINDOW };
    let _quiet = Quiet::wait();
    let peers = limiters(quota, machine);
    let mut arenas: Vec<Arena> = peers.into_iter().map(|peer| Arena::open(peer, machine)).collect();
    let now = clock(&mut arenas[0].stream);
    let start = (now / MILLIS + 2) * MILLIS;
    for arena in &mut arenas {
        arena.attackers = attackers(start, scale.starts);
    }
    let mut serial = 0;
    loop {
        let mut now = 0;
        for arena in &mut arenas {
            now = clock(&mut arena.stream);
            for attacker in &mut arena.attackers {
                attacker.tick(now, &arena.peer, &mut arena.stream, &mut serial);
            }
        }
        if now > start + 5 * MILLIS {
            break;
        }
        sleep(PAUSE);
    }
    write(&arenas, machine, folder);
}

/// Returns attackers for each plan and each of a number of phases of the window.
fn attackers(start: u64, phases: u32) -> Vec<Attacker> {
    let phase_millis = MILLIS / u64::from(phases);
    let at = |phase: u32, number: usize, plan: Plan| Attacker {
        plan,
        // The last moment of a window is the best one for an attacker.
        begins: start + u64::from(phase) * MILLIS / u64::from(phases) + phase_millis - 20,
        address: format!("10.{phase}.{number}.1"),
        email: format!("victim{phase}.{number}@example.com"),
        admitted: Vec::new(),
    };
    (0..phases).flat_map(|phase| [at(phase, 0, Plan::Always), at(phase, 1, Plan::OnceThenLate)]).collect()
}

impl Arena {
    /// Starts an algorithm's server.
    fn open(peer: Peer, machine: &Machine) -> Self {
        let server = peer.start(machine, &[]);
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("the server listens");
        stream.set_nodelay(true).expect("a socket has this option");
        Self { peer, _server: server, stream, attackers: Vec::new() }
    }

    /// Returns the most attempts that one attacker got into a window.
    fn most_in_a_window(&self) -> usize {
        self.attackers.iter().map(Attacker::most_in_a_window).max().unwrap_or(0)
    }
}

impl Attacker {
    /// Tries until it is refused, if its plan says so at this time of the server.
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
            // While all are admitted, send more at once, so that the burst takes little time.
            burst = (burst * 2).min(LIMIT);
        }
    }

    /// Returns whether its plan is to try now.
    fn is_time(&self, now: u64) -> bool {
        match self.plan {
            Plan::OnceThenLate if !self.admitted.is_empty() => now >= self.begins + MILLIS * 9 / 10,
            Plan::Always | Plan::OnceThenLate => now >= self.begins,
        }
    }

    /// Returns the commands of an attempt.
    fn attempt(&self, peer: &Peer, serial: &mut u64) -> Vec<u8> {
        *serial += 1;
        let (address, email) = (self.address.as_bytes(), self.email.as_bytes());
        let mut words = Vec::new();
        (peer.write)(&Login { address, email, now: now_millis(), serial: *serial }, &mut words);
        words
    }

    /// Returns the most attempts that were admitted in one window.
    fn most_in_a_window(&self) -> usize {
        let times = &self.admitted;
        let in_window = |first: usize| times[first..].partition_point(|time| time - times[first] < MILLIS - TOLERANCE);
        (0..times.len()).map(in_window).max().unwrap_or(0)
    }
}

/// The answer to an attempt.
struct Answer {
    /// Whether all of its commands admitted it.
    admitted: bool,
    /// The server's time just before it, in milliseconds.
    at: u64,
}

/// Returns the server's time in milliseconds.
fn clock(stream: &mut TcpStream) -> u64 {
    let answers = ask(stream, &[Vec::new()], 0, &|_| true);
    answers.first().expect("the server answers TIME").at
}

/// Sends attempts of `calls` commands each, all at once, and asks the server for its time before each of them.
fn ask(
    stream: &mut TcpStream,
    attempts: &[Vec<u8>],
    calls: usize,
    admits: &dyn Fn(ReplyIntegers) -> bool,
) -> Vec<Answer> {
    let mut batch = Vec::new();
    for words in attempts {
        batch.extend_from_slice(b"*1\r\n$4\r\nTIME\r\n");
        batch.extend_from_slice(words);
    }
    stream.write_all(&batch).expect("the server reads");
    let mut received = Vec::new();
    let mut replies: Vec<(ReplyIntegers, Range<usize>)> = Vec::new();
    while replies.len() < attempts.len() * (calls + 1) {
        let mut part = [0; 4096];
        let bytes = stream.read(&mut part).expect("the server answers");
        assert!(bytes > 0, "the server has closed the connection");
        received.extend_from_slice(&part[..bytes]);
        loop {
            let start = replies.last().map_or(0, |(_, range)| range.end);
            let Some((integers, len)) = reply(&received[start..]).expect("no errors") else {
                break;
            };
            replies.push((integers, start..start + len));
        }
    }
    let answer = |replies: &[(ReplyIntegers, Range<usize>)]| Answer {
        at: millis(&received[replies[0].1.clone()]),
        admitted: replies[1..].iter().all(|(integers, _)| admits(*integers)),
    };
    replies.chunks(calls + 1).map(answer).collect()
}

/// Returns the milliseconds of a reply to `TIME`: `*2`, `$10`, seconds, `$6`, microseconds.
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
        "A limit of {LIMIT} per {WINDOW} s, {} attackers of each algorithm who time their bursts; the most attempts that \
         one of them got into a true window, as a multiple of the limit. A window is measured {TOLERANCE} ms short, because \
         the times are known to the millisecond.",
        arenas[0].attackers.len()
    ));
    let multiple = |arena: &Arena| arena.most_in_a_window() as f64 / f64::from(LIMIT);
    let row = |arena: &Arena| {
        vec![arena.peer.name.to_owned(), arena.most_in_a_window().to_string(), rounded(multiple(arena))]
    };
    page.table(&["", "most in a window", "× limit"], &arenas.iter().map(row).collect::<Vec<_>>());
    let bar = |arena: &Arena| Bar {
        name: arena.peer.name.to_owned(),
        value: multiple(arena),
        label: format!("{} ×", rounded(multiple(arena))),
        is_ours: arena.peer.kind == Kind::Module,
    };
    page.chart(
        "accuracy.svg",
        "Most attempts admitted in one window, × the limit (1 is exact)",
        "Most attempts admitted in one window",
        &arenas.iter().map(bar).collect::<Vec<_>>(),
    );
    for arena in arenas.iter().filter(|arena| arena.peer.kind == Kind::Module) {
        page.target("the module's most in a window, × the limit", AtMost(1.0), multiple(arena));
    }
    page.write();
}
