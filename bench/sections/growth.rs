//! From nothing to many identities and back: whether a command ever pays for the size of the table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::{Connection, Value};

use super::{populate, sizes, steps};
use crate::identities::{Draw, Identities};
use crate::load::{self, Extent};
use crate::measure::{Machine, reset_statistics, server_times, used_memory};
use crate::peers::{KEY, module};
use crate::report::Bound::AtMost;
use crate::report::{Page, count, figure};
use crate::support::{Save, Server, command};

/// The end of the step of the server's histogram in which a millisecond lies, in microseconds.
const MILLISECOND: i64 = 1056;

/// How much the server may have allocated in the end, of what it had before the limiter was filled.
const BACK: f64 = 1.1;

/// How long reclaiming may take, after the last attempt has expired.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many different identities still come once all others have expired.
const FEW: u32 = 1000;

/// How often the commands of a time took long.
struct Slow {
    commands: i64,
    /// Above a millisecond.
    above: i64,
    /// The end of the step in which the slowest was, in microseconds.
    slowest: i64,
}

impl Slow {
    /// What the server has counted since its statistics were reset.
    fn of(server: &Server) -> Self {
        let times: BTreeMap<i64, i64> = server_times(&mut server.connect(), "authlimit.check");
        Self {
            commands: times.values().sum(),
            above: times.range(MILLISECOND + 1..).map(|(_, count)| count).sum(),
            slowest: times.iter().rfind(|(_, count)| **count > 0).map_or(0, |(limit, _)| *limit),
        }
    }

    /// A row of the table.
    fn row(&self, what: &str) -> Vec<String> {
        vec![what.to_owned(), figure(self.commands as f64), self.above.to_string(), self.slowest.to_string()]
    }
}

/// The longest that a client had to wait for an answer to `PING`, one after the other, in microseconds: what the server
/// does between commands, such as reclaiming by a timer, is in no command's own time.
fn longest_wait(client: &mut Connection, time: Duration) -> f64 {
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    while started.elapsed() < time {
        let sent = Instant::now();
        command(client, &["PING"]).expect("the server answers");
        longest = longest.max(sent.elapsed());
    }
    longest.as_secs_f64() * 1e6
}

/// Fills a limiter, lets everything expire, and sees that all comes back; adds it to a page.
pub(crate) fn measure(machine: &Machine, identities: u32, page: &mut Page) {
    eprintln!("growing to {0} + {0} and back", count(identities));
    // Long enough that all are there before the first are gone.
    let window = Duration::from_secs(u64::from(identities / 150_000).max(3));
    let policy = format!("IP 100/{0}s EMAIL 100/{0}s CAPACITY 20000000", window.as_secs());
    let peer = module("authlimit, IP and EMAIL", &policy);
    let mut server = peer.start(machine, &[("latency-tracking", "yes")]);
    let before = sizes::warmed_up(&peer, &server);
    let idle_wait = longest_wait(&mut server.connect(), Duration::from_secs(2));

    reset_statistics(&mut server.connect());
    let started = Instant::now();
    populate(&peer, &server, identities);
    let growing = Slow::of(&server);
    reset_statistics(&mut server.connect());
    let full = used_memory(&server);
    // As many commands, and nothing grows: what the machine itself does to a command.
    let known = (FEW * 10).min(identities);
    let extent = Extent { logins: identities.into(), time: Duration::from_secs(3600) };
    // Most of them are refused, which grows nothing.
    load::run(&peer, server.port(), &mut Draw::once(known), 64, extent);
    let standing = Slow::of(&server);
    eprintln!("filled in {:.1} s, of a window of {} s", started.elapsed().as_secs_f64(), window.as_secs());

    reset_statistics(&mut server.connect());
    let reclaimed = reclaim(&server, before, window);
    let reclaiming = Slow::of(&server);
    let after = used_memory(&server);

    page.paragraph(&format!(
        "## From nothing to {0} addresses and {0} emails, and back\n\nThe server's own times of `AUTHLIMIT.CHECK` \
         (`LATENCY HISTOGRAM`; its step about a millisecond ends at {MILLISECOND} µs). The second row is the same number of \
         commands on {1} known identities: what the machine does to a command. Then everything expires, with {2} identities \
         still coming meanwhile, and after that nobody.",
        count(identities),
        count(known),
        count(FEW)
    ));
    page.table(
        &["", "commands", "above 1 ms", "slowest, µs at most"],
        &[growing.row("growing"), standing.row("not growing"), reclaiming.row("reclaiming")],
    );
    page.paragraph(&format!(
        "Memory: {} MB before, {} MB full, {} MB after; {}. The longest that a `PING` waited: {} µs on the idle server, {} µs \
         while reclaiming.",
        figure(before / 1e6),
        figure(full / 1e6),
        figure(after / 1e6),
        match reclaimed.took {
            Some(took) => format!(
                "back within {:.0} s of the last attempt's end",
                took.as_secs_f64()
            ),
            None => format!(
                "**not back** within {:.0} s of the last attempt's end",
                PATIENCE.as_secs_f64()
            ),
        },
        figure(idle_wait),
        figure(reclaimed.longest_wait)
    ));
    // Of what is slow while growing most is the machine's, the more the longer it takes; see `by_itself`.
    page.target(
        "commands above 1 ms while reclaiming (bound: while not growing)",
        AtMost(standing.above as f64),
        reclaiming.above as f64,
    );
    page.target("used_memory when all has expired ÷ before", AtMost(BACK), after / before);
    let identities_left = identities_left(&server);
    page.target("identities left when all has expired", AtMost(0.0), identities_left);
    server.shutdown(Save::No);
    by_itself(identities, page);
}

/// The same without a server, where the table's own share can be told from the machine's; adds it to a page.
fn by_itself(identities: u32, page: &mut Page) {
    let slowest = steps::measure(identities);
    let [check, step] = [slowest.check, slowest.reclaiming].map(|time| time.as_secs_f64() * 1e6);
    page.paragraph(&format!(
        "What of that is the table's: the engine by itself, the same limiter grown and emptied three times. The machine \
         delays another command each time, and the table the same, so the shortest of a command's three times is what the \
         table makes it take. The slowest check of a new address on a new email took {} µs, the slowest step of reclaiming \
         {} µs.",
        figure(check),
        figure(step)
    ));
    page.target("slowest check because of the table while growing, ms", AtMost(1.0), check / 1e3);
    page.target("slowest step of reclaiming because of the table, ms", AtMost(1.0), step / 1e3);
}

/// How reclaiming went once all had expired.
struct Reclaimed {
    /// How long it took until the memory was back, if it came back.
    took: Option<Duration>,
    /// The longest wait for `PING` meanwhile, in microseconds.
    longest_wait: f64,
}

/// Waits while a window passes, with a little traffic, and then without any until the memory is back.
fn reclaim(server: &Server, before: f64, window: Duration) -> Reclaimed {
    let started = Instant::now();
    let mut draw = Draw::once(FEW);
    let mut reclaimed = Reclaimed { took: None, longest_wait: 0.0 };
    // The last of the traffic expires a window after it.
    let all_expired = window * 2;
    while started.elapsed() < all_expired + PATIENCE {
        let is_over = started.elapsed() >= window;
        let mut client = server.connect();
        if !is_over {
            trickle(&mut client, &mut draw);
        }
        let wait = longest_wait(&mut client, Duration::from_millis(100));
        reclaimed.longest_wait = reclaimed.longest_wait.max(wait);
        drop(client);
        if is_over && used_memory(server) <= before * BACK {
            reclaimed.took = Some(started.elapsed().saturating_sub(all_expired));
            break;
        }
    }
    reclaimed
}

/// Checks some attempts, one after the other.
fn trickle(client: &mut Connection, draw: &mut Draw) {
    for _ in 0..FEW / 2 {
        let Identities { address, email } = draw.next();
        let words = [b"AUTHLIMIT.CHECK", KEY.as_bytes(), address.as_bytes(), email.as_bytes()];
        command(client, &words).expect("the server answers");
    }
}

/// How many identities the limiter still holds, by `AUTHLIMIT.INFO`, expired ones among them.
fn identities_left(server: &Server) -> f64 {
    let reply = command(&mut server.connect(), &["AUTHLIMIT.INFO", KEY]);
    let mut words = Vec::new();
    flatten(&reply.expect("the limiter is there"), &mut words);
    let pairs = words.windows(2).filter(|pair| pair[0] == "identities");
    pairs.map(|pair| pair[1].parse::<f64>().expect("a number follows")).sum()
}

/// The words and numbers of a reply, one after the other.
fn flatten(reply: &Value, words: &mut Vec<String>) {
    match reply {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, words)),
        Value::Int(number) => words.push(number.to_string()),
        Value::BulkString(bytes) => words.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => words.push(text.clone()),
        other => panic!("not expected here: {other:?}"),
    }
}
