//! Random use of several limiters, the same for the same seed, and what must be equal after a restart or on a replica.

use redis::{Connection, Value};

use super::{command, digest, verdict};

/// The limiters that a workload uses, each with the policies that it goes back and forth between.
///
/// The first comes into being by a CHECK; the windows of `quick` end while the workload runs, those of all others
/// long after any test has ended.
const LIMITERS: &[(&str, &[&str])] = &[
    ("login", &[]),
    (
        "quick",
        &["PAIR 3/40ms EMAIL 6/90ms IP 40/150ms", "PAIR 4/60ms"],
    ),
    (
        "{acme}:login",
        &[
            "IP 300/1d EMAIL 60/12h PAIR 20/1d",
            "PAIR 8/1h IP 500/2h IPV6-PREFIX 48 PLUS-TAGS strip",
        ],
    ),
    ("{acme}:otp", &["PRESET otp", "PRESET otp PAIR 3/10m"]),
    ("mailboxes", &["EMAIL 10/1h", "EMAIL 5/1h EMAIL 30/30d"]),
    ("addresses", &["IP 30/1h", "IP 90/1h PAIR 9/2h"]),
];

/// The greatest cost that all of the policies admit.
const MAX_COST: usize = 3;

/// How many mailboxes a workload's attempts are on.
const MAILBOXES: usize = 150;

/// How many addresses a workload's attempts come from.
const ADDRESSES: usize = 60;

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Begins with a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below another.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("it is below a usize")
    }

    /// Is true once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Picks one of several.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Returns so many bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// A server's limiters as far as they must be the same on a replica and after a restart, in the order of their keys.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot(Vec<LimiterSnapshot>);

/// One limiter of a snapshot.
#[derive(Clone, Debug, PartialEq)]
struct LimiterSnapshot {
    key: &'static str,
    digest: Option<String>,
    policy: Value,
    /// What PEEK says of some attempts, without the times, which move on.
    peeks: Vec<(bool, i64, i64, String)>,
}

/// Sends so many commands of all kinds, each of which must succeed or be refused as it should.
#[track_caller]
pub(crate) fn workload(client: &mut Connection, random: &mut Random, steps: usize) {
    for &(key, policies) in LIMITERS {
        if let Some(policy) = policies.first()
            && command(client, &["EXISTS", key]) == Ok(Value::Int(0))
        {
            set_policy(client, key, policy);
        }
    }
    for _ in 0..steps {
        let &(key, policies) = random.pick(LIMITERS);
        let ip = address(random.below(ADDRESSES));
        let email = spelling(random.below(MAILBOXES), random);
        let mut words = vec!["", key, &ip, &email];
        let cost = (1 + random.below(MAX_COST)).to_string();
        if random.one_in(6) {
            words.extend(["COST", &cost]);
        }
        match random.below(100) {
            0..70 => {
                words[0] = "AUTHLIMIT.CHECK";
                verdict(client, &words);
            }
            70..78 => {
                words[0] = "AUTHLIMIT.PEEK";
                verdict(client, &words);
            }
            78..88 => {
                words[0] = "AUTHLIMIT.RESET";
                let reply = command(client, &words[..4]);
                assert!(matches!(reply, Ok(Value::Int(0..))), "{reply:?}");
            }
            88..96 => {
                words[0] = "AUTHLIMIT.REFUND";
                let reply = command(client, &words);
                assert!(matches!(reply, Ok(Value::Int(0 | 1))), "{reply:?}");
            }
            96..98 if !policies.is_empty() => {
                set_policy(client, key, random.pick::<&str>(policies));
            }
            _ => {
                words[0] = "AUTHLIMIT.CHECK";
                words[2] = "198.51.100.1:80";
                assert!(command(client, &words).is_err());
            }
        }
    }
}

/// Takes a snapshot of the limiters of a workload.
#[track_caller]
pub(crate) fn snapshot(client: &mut Connection) -> Snapshot {
    let mut limiters = Vec::new();
    for &(key, _) in LIMITERS {
        let mut peeks = Vec::new();
        for n in 0..MAILBOXES {
            let (ip, email) = (address(n % ADDRESSES), plain_email(n));
            let verdict = verdict(client, &["AUTHLIMIT.PEEK", key, &ip, &email]);
            if key != "quick" {
                peeks.push((
                    verdict.allowed,
                    verdict.limit,
                    verdict.remaining,
                    verdict.rule,
                ));
            }
        }
        let Ok(Value::Array(info)) = command(client, &["AUTHLIMIT.INFO", key]) else {
            panic!("AUTHLIMIT.INFO {key} has no answer in RESP2");
        };
        // A timer reclaims what is over, and moves that limiter's time on: `equality.rs` has it stand still.
        let is_moving = key == "quick";
        limiters.push(LimiterSnapshot {
            key,
            digest: (!is_moving).then(|| digest(client, key)),
            policy: info[1].clone(),
            peeks,
        });
    }
    Snapshot(limiters)
}

/// Bytes that every email and every address of a workload has some of, in any spelling of it.
pub(crate) fn secrets() -> Vec<&'static [u8]> {
    vec![
        b"rivate",
        b"RIVATE",
        "\u{ff50}\u{ff52}\u{ff49}\u{ff56}".as_bytes(),
        b"onfidential",
        b"ONFIDENTIAL",
        b"198.51.100",
        b"2001:db8:5ec",
        &[0x20, 0x01, 0x0d, 0xb8, 0x05, 0xec],
    ]
}

/// Gives a limiter a policy.
#[track_caller]
fn set_policy(client: &mut Connection, key: &str, policy: &str) {
    let words: Vec<&str> = ["AUTHLIMIT.POLICY", key]
        .into_iter()
        .chain(policy.split(' '))
        .collect();
    assert_eq!(command(client, &words), Ok(Value::Okay), "{policy}");
}

/// Returns an address: two in three are IPv4.
fn address(n: usize) -> String {
    if n.is_multiple_of(3) {
        format!("2001:db8:5ec:{n:x}::{n:x}")
    } else {
        format!("198.51.100.{n}")
    }
}

/// Returns an email as most people spell it.
fn plain_email(n: usize) -> String {
    format!("private{n}@confidential.example")
}

/// Returns one of the spellings of an email.
fn spelling(n: usize, random: &mut Random) -> String {
    let plain = plain_email(n);
    match random.below(10) {
        0 => plain.to_ascii_uppercase(),
        1 => plain.replace('@', "+news@"),
        2 => format!(" {plain} "),
        3 => plain.replace("priv", "\u{ff50}\u{ff52}\u{ff49}\u{ff56}"),
        4 => plain.replace("private", "Private") + ".",
        _ => plain,
    }
}
