//! Very many random commands of all kinds, sent in batches: everything that can change a limiter, on limiters of every
//! kind of rule, full ones and such whose windows end all the time. The same for the same seed.

use std::env;

use redis::{Connection, Value};

use super::{Random, digest, wait_until};

/// The limiters of a storm, each with the policies that it goes back and forth between.
///
/// Windows and locks of the first two end while the storm lasts, so that a timer reclaims them; those of all others
/// long after any test has ended.
const LIMITERS: &[(&str, &[&str])] = &[
    (
        "quick",
        &[
            "EMAIL 4/30ms LOCK 20ms..100ms IP 9/60ms COUNT-DENIED PAIR 3/15ms LOCK 5ms \
             EMAILS-PER-IP 4/40ms IPS-PER-EMAIL 4/40ms LOCK 10ms DEVICE 3/20ms ALL 200/50ms SHADOW",
            "EMAIL 6/50ms LOCK 10ms..40ms PAIR 2/10ms IP 5/20ms DEVICE 2/30ms CAPACITY 8",
        ],
    ),
    (
        "spray",
        &[
            "IP 900/80ms EMAIL 3/50ms PAIR 2/40ms EMAILS-PER-IP 900/60ms CAPACITY 3000",
            "IP 900/50ms EMAIL 2/90ms CAPACITY 400 PLUS-TAGS strip",
        ],
    ),
    (
        "subjects",
        &[
            "IP 30/1h EMAIL 9/2h PAIR 5/1h EMAILS-PER-IP 12/1h IPS-PER-EMAIL 7/1d ALL 90000/1d DEVICE 6/1h",
            "EMAILS-PER-IP 8/1h IPS-PER-EMAIL 4/1d PAIR 8/2h DEVICE 3/1h SHADOW EMAIL 12/2h",
        ],
    ),
    (
        "{acme}:locks",
        &[
            "PAIR 3/1h LOCK 2h..1d EMAIL 9/1h LOCK 1h EMAIL 12/1d LOCK 2h EMAILS-PER-IP 6/1h LOCK 3h",
            "EMAIL 9/1h LOCK 1h PAIR 4/1h LOCK 2h..1d IP 40/1h LOCK 1h SHADOW",
        ],
    ),
    (
        "{acme}:denied",
        &[
            "PAIR 3/1h IP 40/1h COUNT-DENIED IP 90/1d COUNT-DENIED LOCK 1h EMAIL 9/1h SHADOW \
             IPS-PER-EMAIL 6/1h COUNT-DENIED",
            "IP 30/1h COUNT-DENIED PAIR 2/1h SHADOW EMAIL 5/1h ALL 2000/1h COUNT-DENIED SHADOW",
        ],
    ),
    (
        "full",
        &[
            "EMAIL 3/1h LOCK 1h IP 20/1h PAIR 2/1h EMAILS-PER-IP 9/1h CAPACITY 40",
            "EMAIL 5/1h LOCK 1h IP 20/1h PAIR 2/1h CAPACITY 20 PLUS-TAGS strip IPV6-PREFIX 48",
        ],
    ),
];

/// Where a limiter is copied and renamed to, and deleted again.
const SPARES: [&str; 2] = ["{acme}:spare", "{acme}:spare2"];

/// How many commands are sent before any answer is read.
const BATCH: usize = 500;

/// How many mailboxes, addresses and devices there are; the small numbers come more often.
const MAILBOXES: usize = 80;
const ADDRESSES: usize = 20;
const DEVICES: usize = 5;

/// How many commands a storm has: what `AUTHLIMIT_STORM` says, or few enough for every build.
pub(crate) fn storm_steps() -> usize {
    let steps = env::var("AUTHLIMIT_STORM").map(|text| text.parse().expect("a number"));
    steps.unwrap_or(20_000)
}

/// What a storm's replies were, by kind.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Outcome {
    /// Attempts that were admitted.
    pub(crate) admitted: usize,
    /// Attempts that were refused.
    pub(crate) refused: usize,
    /// Commands that were errors, as some should be.
    pub(crate) errors: usize,
}

/// Sends so many commands.
#[track_caller]
pub(crate) fn storm(client: &mut Connection, random: &mut Random, steps: usize) -> Outcome {
    let mut outcome = Outcome::default();
    for &(key, policies) in LIMITERS {
        let line = format!("AUTHLIMIT.POLICY {key} {}", policies[0]);
        send_batch(client, &[line], &mut outcome);
    }
    let mut left = steps;
    while left > 0 {
        let count = left.min(BATCH);
        let lines: Vec<String> = (0..count).map(|_| line(random)).collect();
        send_batch(client, &lines, &mut outcome);
        left -= count;
    }
    outcome
}

/// Returns the digests of all limiters that there are, by key.
#[track_caller]
pub(crate) fn digests(client: &mut Connection) -> Vec<(String, String)> {
    let reply = redis::cmd("KEYS").arg("*").query(client);
    let mut keys: Vec<String> = reply.expect("KEYS answers");
    keys.sort();
    keys.into_iter()
        .map(|key| (digest(client, &key), key))
        .map(|(digest, key)| (key, digest))
        .collect()
}

/// Waits until the timer has nothing more to reclaim in the limiters whose windows are over.
pub(crate) fn wait_for_calm(client: &mut Connection) {
    wait_until("what is over is reclaimed", || {
        ["quick", "spray"].iter().all(|key| {
            let identities = super::rules::usage(client, key, "identities");
            identities.iter().all(|identities| *identities == 0)
        })
    });
}

/// Sends some lines at once and reads the replies.
#[track_caller]
fn send_batch(client: &mut Connection, lines: &[String], outcome: &mut Outcome) {
    let mut pipeline = redis::pipe();
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        let command = pipeline.cmd(words.next().expect("a command"));
        words.for_each(|word| {
            command.arg(word);
        });
    }
    pipeline.ignore_errors();
    let replies: Vec<redis::RedisResult<Value>> = pipeline.query(client).expect("all are answered");
    assert_eq!(replies.len(), lines.len());
    for (reply, line) in replies.iter().zip(lines) {
        match reply {
            Ok(Value::Array(verdict)) if verdict.first() == Some(&Value::Int(1)) => {
                outcome.admitted += 1;
            }
            Ok(Value::Array(_)) => outcome.refused += 1,
            Ok(_) => {}
            Err(error) => {
                let text = error.to_string();
                assert!(!text.contains("internal error"), "{line}: {text}");
                outcome.errors += 1;
            }
        }
    }
}

/// Returns a command as a line.
fn line(random: &mut Random) -> String {
    let &(key, policies) = random.pick(LIMITERS);
    let (ip, email) = (address(skewed(random, ADDRESSES)), email(random));
    let entry = entry(random);
    let list = random.pick(&["ALLOW", "DENY"]);
    let mut options = String::new();
    // The other policies have no rule for devices.
    let has_devices = ["quick", "subjects"].contains(&key);
    if has_devices && random.one_in(4) {
        options += &format!(" DEVICE device{}", random.below(DEVICES));
    }
    let devices = options.clone();
    if random.one_in(6) {
        options += &format!(" COST {}", 1 + random.below(3));
    }
    let [spare, other] = SPARES;
    let words = match random.below(1_000) {
        0..300 => {
            // Nobody's second attempt: what fills tables and makes room in full ones.
            let (n, m) = (random.below(1 << 16), random.below(1 << 20));
            format!("CHECK {key} 10.1.{}.{} stray{m}@x.org", n >> 8, n & 255)
        }
        300..700 => format!("CHECK {key} {ip} {email}{options}"),
        700..720 => format!("PEEK {key} {ip} {email}{options}"),
        720..790 => format!("RESET {key} {ip} {email}{devices}"),
        790..860 => format!("REFUND {key} {ip} {email}{options}"),
        860..880 => format!("UNLOCK {key} IP {ip}"),
        880..900 => format!("UNLOCK {key} EMAIL {email}"),
        900..910 => format!("UNLOCK {key} EMAIL {email} IP {ip}"),
        910..930 => format!("{list} {key} ADD {entry}"),
        930..940 => format!("{list} quick ADD {entry} TTL 1"),
        940..950 => format!("{list} {key} ADD {entry} TTL 90000"),
        950..980 => format!("{list} {key} DEL {entry}"),
        980..992 => format!("POLICY {key} {}", random.pick(policies)),
        // An attempt in error, which counts nowhere.
        992..995 => format!("CHECK {key} {ip}:80 {email}"),
        995 => return format!("COPY {{acme}}:locks {spare} REPLACE"),
        996 => return format!("RENAME {spare} {other}"),
        997 => return format!("UNLINK {spare} {other}"),
        998 => format!("CHECK {spare} {ip} {email}"),
        _ => return format!("COPY quick {spare} REPLACE"),
    };
    format!("AUTHLIMIT.{words}")
}

/// Returns a number below another; small ones come more often.
fn skewed(random: &mut Random, end: usize) -> usize {
    let most = random.below(end) + 1;
    random.below(most)
}

/// Returns an address: two in three are IPv4. Each has a part that [`super::secrets`] has.
fn address(n: usize) -> String {
    match n % 3 {
        0 => format!("2001:db8:5ec:{n:x}::{n:x}"),
        _ => format!("198.51.100.{n}"),
    }
}

/// Returns an email in one of its spellings. Each has a part that [`super::secrets`] has.
fn email(random: &mut Random) -> String {
    let email = format!("private{}@confidential.example", skewed(random, MAILBOXES));
    match random.below(8) {
        0 => email.to_ascii_uppercase(),
        1 => email.replace('@', "+news@"),
        _ => email,
    }
}

/// Returns what may be put on a list. Networks are configuration, and stored as such: they are of other addresses.
fn entry(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("192.0.2.{}", random.below(ADDRESSES)),
        1 => format!("10.1.{}.0/24", random.below(ADDRESSES)),
        2 => format!("2001:db9:{:x}::/48", random.below(ADDRESSES)),
        _ => email(random),
    }
}
