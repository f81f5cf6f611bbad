//! From no identities to many and back: whether a command ever pays for the size of the table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::{Connection, Value};

use super::steps::measure_steps;
use super::turn::{fill_extent, populate, warmed_up};
use crate::identities::{Draw, Identities};
use crate::load;
use crate::machine::Machine;
use crate::peers::{KEY, Peer, module};
use crate::report::Bound::AtMost;
use crate::report::{Page, count, rounded};
use crate::server_process::{Server, command};
use crate::statistics::{reset_statistics, server_times, used_memory};

/// The upper limit of the server's histogram bucket that contains a millisecond, in microseconds.
const MILLISECOND: i64 = 1056;

/// How much memory the server may use in the end, as a multiple of its memory before the limiter was filled.
const MEMORY_BOUND: f64 = 1.1;

/// How long reclaiming may take after the last attempt has expired.
const RECLAIM_TIMEOUT: Duration = Duration::from_secs(60);

/// How many different identities still try while all others expire.
const FEW: u32 = 1000;

/// How many commands of a phase were slow.
struct Slow {
    commands: i64,
    above_millisecond: i64,
    /// The upper limit of the slowest command's bucket, in microseconds.
    slowest: i64,
}

impl Slow {
    /// Reads the checks since the server's statistics were reset, and resets them.
    fn take(server: &Server) -> Self {
        let times: BTreeMap<i64, i64> = server_times(&mut server.connect(), "authlimit.check");
        reset_statistics(&mut server.connect());
        Self {
            commands: times.values().sum(),
            above_millisecond: times.range(MILLISECOND + 1..).map(|(_, count)| count).sum(),
            slowest: times.iter().rfind(|(_, count)| **count > 0).map_or(0, |(limit, _)| *limit),
        }
    }

    /// Returns a row of the table.
    fn row(&self, what: &str) -> Vec<String> {
        vec![
            what.to_owned(),
            rounded(self.commands as f64),
            self.above_millisecond.to_string(),
            self.slowest.to_string(),
        ]
    }
}

/// The results of one limiter that grew and shrank.
struct Growth {
    identities: u32,
    /// The number of identities in the phase that grows nothing.
    known: u32,
    growing: Slow,
    not_growing: Slow,
    shrinking: Slow,
    /// The memory before, while full, and after, in bytes.
    memory: [f64; 3],
    idle_wait: f64,
    reclaimed: Reclaimed,
    identities_left: f64,
}

/// How reclaiming went.
struct Reclaimed {
    /// How long it took after everything had expired, if the memory went back.
    took: Option<Duration>,
    /// The longest wait for `PING` meanwhile, in microseconds.
    longest_wait: f64,
}

/// Fills a limiter, lets everything expire, and adds the results to a page.
pub(super) fn measure_growth(machine: &Machine, identities: u32, page: &mut Page) {
    eprintln!("growing to {0} + {0} and back", count(identities));
    // Long enough that all identities are there before the first ones expire.
    let window = Duration::from_secs(u64::from(identities / 150_000).max(3));
    let policy = format!("IP 100/{0}s EMAIL 100/{0}s CAPACITY 20000000", window.as_secs());
    let peer = module("authlimit, IP and EMAIL", &policy);
    let server = peer.start(machine, &[("latency-tracking", "yes")]);
    let growth = grow_and_shrink(&peer, &server, identities, window);
    drop(server);
    growth.write(page);
    measure_engine(identities, page);
}

/// Fills a server's limiter and lets everything expire.
fn grow_and_shrink(peer: &Peer, server: &Server, identities: u32, window: Duration) -> Growth {
    let before = warmed_up(peer, server);
    let idle_wait = longest_wait(&mut server.connect(), Duration::from_secs(2));
    reset_statistics(&mut server.connect());

    let started = Instant::now();
    populate(peer, server, identities);
    let growing = Slow::take(server);
    let full = used_memory(server);

    // The same number of commands, most of them refused, which grows nothing: what the machine does to a command.
    let known = (FEW * 10).min(identities);
    load::run(peer, server.port(), &mut Draw::once(known), fill_extent(identities));
    let not_growing = Slow::take(server);
    eprintln!("filled in {:.1} s, of a window of {} s", started.elapsed().as_secs_f64(), window.as_secs());

    let reclaimed = reclaim(server, before, window);
    let shrinking = Slow::take(server);
    let memory = [before, full, used_memory(server)];
    let identities_left = identities_left(server);
    Growth { identities, known, growing, not_growing, shrinking, memory, idle_wait, reclaimed, identities_left }
}

impl Growth {
    /// Adds the results to a page.
    fn write(&self, page: &mut Page) {
        page.paragraph(&format!(
            "## From nothing to {0} addresses and {0} emails, and back\n\nThe server's own times of `AUTHLIMIT.CHECK` \
             (`LATENCY HISTOGRAM`; its bucket around a millisecond ends at {MILLISECOND} µs). The second row is the \
             same number of commands on {1} known identities: what the machine does to a command. Then everything \
             expires, with {2} identities still coming meanwhile, and after that none.",
            count(self.identities),
            count(self.known),
            count(FEW)
        ));
        let rows = [self.growing.row("growing"), self.not_growing.row("not growing"), self.shrinking.row("reclaiming")];
        page.table(&["", "commands", "above 1 ms", "slowest, µs at most"], &rows);
        let [before, full, after] = self.memory;
        let back = match self.reclaimed.took {
            Some(took) => format!("back within {:.0} s of the last attempt's end", took.as_secs_f64()),
            None => {
                format!("**not back** within {:.0} s of the last attempt's end", RECLAIM_TIMEOUT.as_secs_f64())
            }
        };
        page.paragraph(&format!(
            "Memory: {} MB before, {} MB full, {} MB after; {back}. The longest that a `PING` waited: {} µs on the \
             idle server, {} µs while reclaiming.",
            rounded(before / 1e6),
            rounded(full / 1e6),
            rounded(after / 1e6),
            rounded(self.idle_wait),
            rounded(self.reclaimed.longest_wait)
        ));
        // There is no target for growing: the machine causes most of the slow commands there. See `measure_engine`.
        page.target(
            "commands above 1 ms while reclaiming (bound: while not growing)",
            AtMost(self.not_growing.above_millisecond as f64),
            self.shrinking.above_millisecond as f64,
        );
        page.target("used_memory when all has expired ÷ before", AtMost(MEMORY_BOUND), after / before);
        page.target("identities left when all has expired", AtMost(0.0), self.identities_left);
    }
}

/// Measures the same in the engine without a server, where the table's part can be told from the machine's.
fn measure_engine(identities: u32, page: &mut Page) {
    let slowest = measure_steps(identities);
    let [check, step] = [slowest.check, slowest.reclaiming].map(|time| time.as_secs_f64() * 1e6);
    page.paragraph(&format!(
        "The table's part of that: the engine without a server, the same limiter grown and emptied three times. The \
         machine delays another command each time, and the table the same one, so the shortest of a command's three times \
         is what the table costs. The slowest check of a new address on a new email took {} µs, the slowest step of \
         reclaiming {} µs.",
        rounded(check),
        rounded(step)
    ));
    page.target("slowest check because of the table while growing, ms", AtMost(1.0), check / 1e3);
    page.target("slowest step of reclaiming because of the table, ms", AtMost(1.0), step / 1e3);
}

/// Waits while a window passes, with a little traffic, and then without any until the memory is back.
fn reclaim(server: &Server, before: f64, window: Duration) -> Reclaimed {
    let started = Instant::now();
    let mut draw = Draw::once(FEW);
    let mut reclaimed = Reclaimed { took: None, longest_wait: 0.0 };
    // The last of the traffic expires a window after it.
    let all_expired = window * 2;
    while started.elapsed() < all_expired + RECLAIM_TIMEOUT {
        let is_over = started.elapsed() >= window;
        let mut client = server.connect();
        if !is_over {
            trickle(&mut client, &mut draw);
        }
        let wait = longest_wait(&mut client, Duration::from_millis(100));
        reclaimed.longest_wait = reclaimed.longest_wait.max(wait);
        drop(client);
        if is_over && used_memory(server) <= before * MEMORY_BOUND {
            reclaimed.took = Some(started.elapsed().saturating_sub(all_expired));
            break;
        }
    }
    reclaimed
}

/// Returns the longest that a `PING` waited, in microseconds, one after the other. This includes what the server does
/// between commands, such as reclaiming by a timer.
fn longest_wait(client: &mut Connection, time: Duration) -> f64 {
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    while started.elapsed() < time {
        let sent = Instant::now();
        command(client, &["PING"]);
        longest = longest.max(sent.elapsed());
    }
    longest.as_secs_f64() * 1e6
}

/// Checks some attempts, one after the other.
fn trickle(client: &mut Connection, draw: &mut Draw) {
    for _ in 0..FEW / 2 {
        let Identities { address, email } = draw.next();
        command(client, &[b"AUTHLIMIT.CHECK", KEY.as_bytes(), address.as_bytes(), email.as_bytes()]);
    }
}

/// Returns how many identities the limiter still holds, expired ones included, by `AUTHLIMIT.INFO`.
fn identities_left(server: &Server) -> f64 {
    let reply = command(&mut server.connect(), &["AUTHLIMIT.INFO", KEY]);
    let mut words = Vec::new();
    flatten(&reply, &mut words);
    let pairs = words.windows(2).filter(|pair| pair[0] == "identities");
    pairs.map(|pair| pair[1].parse::<f64>().expect("a number follows")).sum()
}

/// Appends all words and numbers of a reply.
fn flatten(reply: &Value, words: &mut Vec<String>) {
    match reply {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, words)),
        Value::Int(number) => words.push(number.to_string()),
        Value::BulkString(bytes) => words.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => words.push(text.clone()),
        other => panic!("unexpected in this reply: {other:?}"),
    }
}
