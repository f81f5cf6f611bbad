//! How many attempts an adversary who times bursts gets into one window, as a multiple of the limit.
//!
//! Through the real server, with real waiting: an adversary for each algorithm and each plan, all at the same time, each
//! on an identity of its own. The plans begin at different phases of the clock's windows, since two-bucket counters
//! have a weak one: a burst at the end of a window of theirs, another at the end of the next. Plan two opens with one
//! attempt and bursts just before and after the end of the window that this one began.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::Scale;
use crate::charts::{Bar, Whose, bars};
use crate::load::now_millis;
use crate::measure::{Machine, Quiet};
use crate::peers::{Kind, Login, Peer, Quota, limiters};
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
    let quota = Quota {
        limit: LIMIT,
        window: WINDOW,
    };
    let _quiet = Quiet::wait();
    let peers = limiters(quota, machine);
    let mut arenas: Vec<Arena> = peers.into_iter().map(|peer| arena(peer, machine)).collect();
    let (_, now) = ask(&mut arenas[0].stream, &[], 0, None);
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
            for adversary in &mut arena.adversaries {
                now = adversary.tick(&arena.peer, &mut arena.stream, &mut serial);
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
    Arena {
        peer,
        _server: server,
        stream,
        adversaries: Vec::new(),
    }
}

impl Adversary {
    /// Tries until it is refused, if its plan says so now; returns the server's time.
    fn tick(&mut self, peer: &Peer, stream: &mut TcpStream, serial: &mut u64) -> u64 {
        loop {
            let (_, now) = ask(stream, &[], 0, None);
            let is_time = match self.plan {
                Plan::FromThen => now >= self.begins,
                Plan::OnceThenLate => {
                    let late = self.begins + MILLIS * 9 / 10;
                    now >= late || (now >= self.begins && self.admitted.is_empty())
                }
            };
            if !is_time {
                return now;
            }
            *serial += 1;
            let login = Login {
                address: self.address.as_bytes(),
                email: self.email.as_bytes(),
                now: now_millis(),
                serial: *serial,
            };
            let mut words = Vec::new();
            (peer.write)(&login, &mut words);
            let (is_admitted, now) = ask(stream, &words, peer.calls, Some(peer));
            if !is_admitted {
                return now;
            }
            self.admitted.push(now);
        }
    }

    /// The most attempts that were admitted in one window.
    fn most_in_a_window(&self) -> usize {
        let times = &self.admitted;
        let ends = |first: usize| {
            times[first..].partition_point(|time| time - times[first] < MILLIS - TOLERANCE)
        };
        (0..times.len()).map(ends).max().unwrap_or(0)
    }
}

/// Sends a login's commands, and asks the server for its time just before them. A login is admitted if all of its
/// commands say so.
fn ask(stream: &mut TcpStream, words: &[u8], calls: usize, peer: Option<&Peer>) -> (bool, u64) {
    let mut batch = b"*1\r\n$4\r\nTIME\r\n".to_vec();
    batch.extend_from_slice(words);
    stream.write_all(&batch).expect("the server reads");
    let mut received = Vec::new();
    loop {
        let mut part = [0; 4096];
        let bytes = stream.read(&mut part).expect("the server answers");
        assert!(bytes > 0, "the server has closed the connection");
        received.extend_from_slice(&part[..bytes]);
        // The first reply is the time, which is text; the others are the peer's.
        let any = |_| true;
        let counted = crate::load::complete_replies(&received, &any).expect("no errors");
        if counted.count < calls as u64 + 1 {
            continue;
        }
        let time = millis(&received);
        let admitted = peer.is_none_or(|peer| {
            let after_time = end_of_time(&received);
            crate::load::complete_replies(&received[after_time..], &peer.admits)
                .expect("no errors")
                .admitted
                == calls as u64
        });
        return (admitted, time);
    }
}

/// The lines of a reply to `TIME`: `*2`, `$10`, seconds, `$6`, microseconds.
const TIME_LINES: usize = 5;

/// Where the reply to `TIME` at the beginning of what was received ends.
fn end_of_time(received: &[u8]) -> usize {
    let ends = received
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n');
    let mut ends = ends.map(|(index, _)| index + 1);
    ends.nth(TIME_LINES - 1).expect("the reply is complete")
}

/// The milliseconds that a reply to `TIME` tells.
fn millis(received: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(&received[..end_of_time(received)]).into_owned();
    let lines: Vec<&str> = text.split("\r\n").collect();
    let number = |line: usize| lines[line].parse::<u64>().expect("a number");
    number(2) * 1000 + number(4) / 1000
}

/// Writes the page.
fn write(arenas: &[Arena], machine: &Machine, folder: &Path) {
    let mut page = Page::new(
        folder,
        "accuracy",
        "The most admitted in a window",
        &machine.versions,
    );
    page.paragraph(&format!(
        "A limit of {LIMIT} per {WINDOW} s, {} adversaries of each algorithm who time their bursts; the most attempts that \
         one of them got into a true window, as a multiple of the limit. A window is taken {TOLERANCE} ms short, for the \
         moments are known to the millisecond.",
        arenas[0].adversaries.len()
    ));
    let results: Vec<_> = arenas
        .iter()
        .map(|arena| {
            let most = arena
                .adversaries
                .iter()
                .map(Adversary::most_in_a_window)
                .max();
            let most = most.unwrap_or(0) as f64;
            (&arena.peer, most, most / f64::from(LIMIT))
        })
        .collect();
    let rows: Vec<_> = results
        .iter()
        .map(|(peer, most, multiple)| {
            vec![
                peer.name.to_owned(),
                format!("{most:.0}"),
                figure(*multiple),
            ]
        })
        .collect();
    page.table(&["", "most in a window", "× limit"], &rows);
    let bar = |(peer, _, multiple): &(&Peer, f64, f64)| Bar {
        name: peer.name.to_owned(),
        value: *multiple,
        label: format!("{} ×", figure(*multiple)),
        whose: if peer.kind == Kind::Module {
            Whose::Ours
        } else {
            Whose::Theirs
        },
    };
    let chart: Vec<_> = results.iter().map(bar).collect();
    bars(
        &page.path("accuracy.svg"),
        "Most attempts admitted in one window, × the limit (1 is exact)",
        &chart,
    );
    page.chart("accuracy.svg", "Most attempts admitted in one window");
    for (peer, _, multiple) in &results {
        if peer.kind == Kind::Module {
            page.target(
                "the module's most in a window, × the limit",
                AtMost(1.0),
                *multiple,
            );
        }
    }
    page.write();
}
