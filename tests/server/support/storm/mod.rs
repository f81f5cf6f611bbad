//! A storm: many random commands, sent in batches. It applies every kind of change to limiters of every kind: full
//! tables, short windows, locks, lists. The same seed gives the same commands.

mod commands;

use std::env;

use redis::{Connection, Value};

use super::client::{Verdict, batch};
use super::replies::{ok, texts};
use super::rules::usage;
use super::snapshot::{Question, Snapshot};
use super::{Random, command, wait_until};
use commands::random_command;

/// A limiter of a storm, and the policies that it switches between.
struct StormLimiter {
    key: &'static str,
    /// Empty if the first CHECK creates the limiter, with the default policy.
    policies: &'static [&'static str],
    /// Whether every policy has a rule for devices.
    has_devices: bool,
    /// Whether its windows end during the storm, so that the timer reclaims expired entries. The windows of all other
    /// limiters outlast every test.
    has_short_windows: bool,
}

impl StormLimiter {
    /// Creates a limiter with long windows.
    const fn new(key: &'static str, policies: &'static [&'static str]) -> Self {
        Self { key, policies, has_devices: false, has_short_windows: false }
    }
}

const LIMITERS: [StormLimiter; 11] = [
    StormLimiter {
        has_devices: true,
        has_short_windows: true,
        ..StormLimiter::new(
            "quick",
            &[
                "EMAIL 4/30ms LOCK 30ms..100ms IP 9/60ms COUNT-DENIED PAIR 3/15ms LOCK 15ms \
                 EMAILS-PER-IP 4/40ms IPS-PER-EMAIL 4/40ms LOCK 40ms DEVICE 3/20ms ALL 200/50ms SHADOW",
                "EMAIL 6/50ms LOCK 50ms..80ms PAIR 2/10ms IP 5/20ms DEVICE 2/30ms CAPACITY 8",
            ],
        )
    },
    StormLimiter {
        has_short_windows: true,
        ..StormLimiter::new(
            "spray",
            &[
                "IP 900/80ms EMAIL 3/50ms PAIR 2/40ms EMAILS-PER-IP 900/60ms CAPACITY 3000",
                "IP 900/50ms EMAIL 2/90ms CAPACITY 400 PLUS-TAGS strip",
            ],
        )
    },
    StormLimiter {
        has_devices: true,
        ..StormLimiter::new(
            "subjects",
            &[
                "IP 30/1h EMAIL 9/2h PAIR 5/1h EMAILS-PER-IP 12/1h IPS-PER-EMAIL 7/1d ALL 90000/1d DEVICE 6/1h",
                "EMAILS-PER-IP 8/1h IPS-PER-EMAIL 4/1d PAIR 8/2h DEVICE 3/1h SHADOW EMAIL 12/2h",
            ],
        )
    },
    StormLimiter::new(
        "{acme}:locks",
        &[
            "PAIR 3/1h LOCK 2h..1d EMAIL 9/1h LOCK 1h EMAIL 12/1d LOCK 1d EMAILS-PER-IP 6/1h LOCK 3h",
            "EMAIL 9/1h LOCK 1h PAIR 4/1h LOCK 2h..1d IP 40/1h LOCK 1h SHADOW",
        ],
    ),
    StormLimiter::new(
        "{acme}:denied",
        &[
            "PAIR 3/1h IP 40/1h COUNT-DENIED IP 90/1d COUNT-DENIED LOCK 1d EMAIL 9/1h SHADOW \
             IPS-PER-EMAIL 6/1h COUNT-DENIED",
            "IP 30/1h COUNT-DENIED PAIR 2/1h SHADOW EMAIL 5/1h ALL 2000/1h COUNT-DENIED SHADOW",
        ],
    ),
    StormLimiter::new(
        "full",
        &[
            "EMAIL 3/1h LOCK 1h IP 20/1h PAIR 2/1h EMAILS-PER-IP 9/1h CAPACITY 40",
            "EMAIL 5/1h LOCK 1h IP 20/1h PAIR 2/1h CAPACITY 20 PLUS-TAGS strip IPV6-PREFIX 48",
        ],
    ),
    StormLimiter::new("login", &[]),
    StormLimiter::new(
        "{acme}:login",
        &["IP 300/1d EMAIL 60/12h PAIR 20/1d", "PAIR 8/1h IP 500/2h IPV6-PREFIX 48 PLUS-TAGS strip"],
    ),
    StormLimiter::new("{acme}:otp", &["PRESET otp", "PRESET otp PAIR 3/1h"]),
    StormLimiter::new("mailboxes", &["EMAIL 10/1h", "EMAIL 5/1h EMAIL 30/30d"]),
    StormLimiter::new("addresses", &["IP 30/1h", "IP 90/1h PAIR 9/2h"]),
];

/// Numbers of mailboxes, addresses and devices in a storm.
const MAILBOXES: usize = 20;
const ADDRESSES: usize = 20;
const DEVICES: usize = 5;

/// A storm, whose [`send`](Self::send) continues where the last call ended.
#[derive(Clone, Debug)]
pub(crate) struct Storm(Random);

/// The number of replies to a part of a storm, by kind.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Outcome {
    /// Attempts that were admitted.
    pub(crate) admitted: usize,
    /// Attempts that were refused.
    pub(crate) refused: usize,
    /// Commands that returned an error, as some should.
    pub(crate) errors: usize,
}

/// Number of commands that a test with a storm sends: `AUTHLIMIT_STORM`, or a default that is fast in every build.
pub(crate) fn storm_size(default: usize) -> usize {
    let size = env::var("AUTHLIMIT_STORM").map(|text| text.parse().expect("a number"));
    size.unwrap_or(default)
}

impl Storm {
    /// Creates a storm from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Random::new(seed))
    }

    /// Sends `count` commands, and checks that each reply is allowed.
    #[track_caller]
    pub(crate) fn send(&mut self, client: &mut Connection, count: usize) -> Outcome {
        for limiter in &LIMITERS {
            if let Some(policy) = limiter.policies.first()
                && command(client, &["EXISTS", limiter.key]) == Ok(Value::Int(0))
            {
                ok(client, &format!("AUTHLIMIT.POLICY {} {policy}", limiter.key));
            }
        }
        let (commands, expected): (Vec<_>, Vec<_>) = (0..count).map(|_| random_command(&mut self.0)).unzip();
        let replies = batch(client, &commands);
        let mut outcome = Outcome::default();
        for ((words, expected), reply) in commands.iter().zip(expected).zip(replies) {
            assert!(expected.is(&reply), "{words:?}: {reply:?}");
            match reply.map(|reply| Verdict::from_reply(&reply)) {
                Ok(Some(verdict)) if verdict.allowed => outcome.admitted += 1,
                Ok(Some(_)) => outcome.refused += 1,
                Ok(None) => {}
                Err(_) => outcome.errors += 1,
            }
        }
        outcome
    }
}

/// Takes a snapshot of all limiters, whose clocks must be stopped.
#[track_caller]
pub(crate) fn snapshot(client: &mut Connection) -> Snapshot {
    let keys = command(client, &["KEYS", "*"]).expect("KEYS answers");
    let mut keys = texts(&keys);
    keys.sort();
    assert!(keys.len() >= LIMITERS.len(), "{keys:?}");
    let limiters = keys.iter().map(|key| {
        let questions = questions(key);
        Snapshot::of_limiter(client, key, key, &questions)
    });
    Snapshot(limiters.collect())
}

/// Returns the attempts that a snapshot sends to PEEK: some are refused, locked, listed or have a device.
pub(crate) fn questions(key: &str) -> Vec<Question> {
    let limiter = LIMITERS.iter().find(|limiter| limiter.key == key);
    // Copies and limiters with short windows are compared by their digests only.
    let Some(limiter) = limiter.filter(|limiter| !limiter.has_short_windows) else {
        return Vec::new();
    };
    let on_mailbox = |n: usize| {
        let by_device = limiter.has_devices && n.is_multiple_of(2);
        let device = by_device.then(|| format!("device{}", n / 2 % DEVICES));
        Question::new(address(n % ADDRESSES), email(n)).by(device)
    };
    let by_listed = |n: usize| {
        let networks = [format!("10.1.{n}.2"), format!("192.0.2.{n}"), format!("2001:db9:{n:x}::1")];
        networks.map(|ip| Question::new(ip, "stray@x.org".to_owned()))
    };
    let questions = (0..MAILBOXES).map(on_mailbox);
    questions.chain((0..ADDRESSES / 2).flat_map(by_listed)).collect()
}

/// Waits until the timer has reclaimed everything in the limiters with short windows.
pub(crate) fn wait_until_reclaimed(client: &mut Connection) {
    wait_until("expired entries are reclaimed", || {
        let mut limiters = LIMITERS.iter().filter(|limiter| limiter.has_short_windows);
        limiters.all(|limiter| {
            let identities = usage(client, limiter.key, "identities");
            identities.iter().all(|identities| *identities == 0)
        })
    });
}

/// Byte strings to search for: every email, address and device of a storm contains at least one, in every spelling.
pub(crate) fn secrets() -> Vec<&'static [u8]> {
    vec![
        b"rivate",
        b"RIVATE",
        "\u{ff50}\u{ff52}\u{ff49}\u{ff56}".as_bytes(),
        b"onfidential",
        b"ONFIDENTIAL",
        b"stray",
        b"device",
        b"198.51.100",
        b"2001:db8:5ec",
        &[0x20, 0x01, 0x0d, 0xb8, 0x05, 0xec],
    ]
}

/// Returns an address; two in three are IPv4. Each contains one of [`secrets`].
fn address(n: usize) -> String {
    if n.is_multiple_of(3) { format!("2001:db8:5ec:{n:x}::{n:x}") } else { format!("198.51.100.{n}") }
}

/// Returns an email in its usual spelling.
fn email(n: usize) -> String {
    format!("private{n}@confidential.example")
}
