//! What rules and lists have made of a limiter is the same after every way of storing it, and on every replica.

use crate::support::{Save, Server, command, digest, verdict, wait_for_replica, wait_until};
use redis::{Connection, Value};

/// The limiters of a workload, each with the policies that it goes back and forth between.
///
/// Windows and locks of `quick` end while the workload runs, those of all others long after any test has ended.
const LIMITERS: &[(&str, &[&str])] = &[
    (
        "quick",
        &[
            "EMAIL 4/30ms LOCK 20ms..100ms IP 9/60ms COUNT-DENIED PAIR 3/15ms LOCK 5ms \
             EMAILS-PER-IP 4/40ms IPS-PER-EMAIL 4/40ms LOCK 10ms DEVICE 3/20ms ALL 200/50ms SHADOW",
            "EMAIL 6/50ms LOCK 10ms..40ms PAIR 2/10ms IP 5/20ms CAPACITY 8",
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
        "locks",
        &[
            "PAIR 3/1h LOCK 2h..1d EMAIL 9/1h LOCK 1h EMAIL 12/1d LOCK 2h EMAILS-PER-IP 6/1h LOCK 3h",
            "EMAIL 9/1h LOCK 1h PAIR 4/1h LOCK 2h..1d IP 40/1h LOCK 1h SHADOW",
        ],
    ),
    (
        "denied",
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

/// How many mailboxes a workload's attempts are on.
const MAILBOXES: usize = 120;

/// How many addresses a workload's attempts come from.
const ADDRESSES: usize = 50;

/// How many commands a workload has.
const STEPS: usize = 3_000;

/// Numbers that look random and are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    /// Returns a number below another.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % end as u64).expect("it is below a usize")
    }

    /// Picks one of several.
    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Returns an address; small numbers come more often, so that limits are reached.
    fn address(&mut self) -> String {
        let most = self.below(ADDRESSES) + 1;
        address(self.below(most))
    }

    /// Returns an email in one of its spellings.
    fn email(&mut self) -> String {
        let most = self.below(MAILBOXES) + 1;
        let email = email(self.below(most));
        match self.below(8) {
            0 => email.to_ascii_uppercase(),
            1 => email.replace('@', "+news@"),
            _ => email,
        }
    }

    /// Returns what may be put on a list.
    fn entry(&mut self) -> String {
        match self.below(5) {
            0 => self.address(),
            1 => format!("198.51.{}.0/24", self.below(ADDRESSES)),
            2 => format!("198.51.{}.0/30", self.below(ADDRESSES)),
            3 => format!("2001:db8:{:x}::/48", self.below(ADDRESSES)),
            _ => self.email(),
        }
    }
}

/// Returns an address: two in three are IPv4.
fn address(n: usize) -> String {
    match n % 3 {
        0 => format!("2001:db8:{n:x}::{n:x}"),
        _ => format!("198.51.{n}.{n}"),
    }
}

/// Returns an email as most people spell it.
fn email(n: usize) -> String {
    format!("private{n}@confidential.example")
}

/// Sends words that must be answered with a number or OK.
#[track_caller]
fn send(client: &mut Connection, words: &[&str]) {
    let reply = command(client, words);
    let done = matches!(reply, Ok(Value::Int(0..) | Value::Okay));
    assert!(done, "{words:?}: {reply:?}");
}

/// Gives a limiter a policy.
#[track_caller]
fn policy(client: &mut Connection, key: &str, policy: &str) {
    let words: Vec<&str> = ["AUTHLIMIT.POLICY", key]
        .into_iter()
        .chain(policy.split_ascii_whitespace())
        .collect();
    send(client, &words);
}

/// Sends so many commands of all kinds.
#[track_caller]
fn workload(client: &mut Connection, random: &mut Random, steps: usize) {
    for &(key, policies) in LIMITERS {
        if command(client, &["EXISTS", key]) == Ok(Value::Int(0)) {
            policy(client, key, policies[0]);
        }
    }
    for _ in 0..steps {
        let &(key, policies) = random.pick(LIMITERS);
        let (ip, email, entry) = (random.address(), random.email(), random.entry());
        let device = format!("device{}", random.below(5));
        let cost = (1 + random.below(2)).to_string();
        let list = *random.pick(&["AUTHLIMIT.ALLOW", "AUTHLIMIT.DENY"]);
        let mut attempt = vec!["", key, &ip, &email];
        let has_devices = ["quick", "subjects"].contains(&key);
        if has_devices && random.below(4) == 0 {
            // Not all policies have a rule for devices.
            attempt.extend(["DEVICE", &device]);
        }
        let costly = [&attempt[..], &["COST", &cost]].concat();
        match random.below(100) {
            0..72 => {
                let mut words = if random.below(6) == 0 {
                    costly
                } else {
                    attempt
                };
                words[0] = "AUTHLIMIT.CHECK";
                if command(client, &words).is_err() {
                    verdict(client, &words[..4]);
                }
            }
            72..79 => {
                attempt[0] = "AUTHLIMIT.RESET";
                if command(client, &attempt).is_err() {
                    send(client, &attempt[..4]);
                }
            }
            79..84 => {
                attempt[0] = "AUTHLIMIT.REFUND";
                if command(client, &attempt).is_err() {
                    send(client, &attempt[..4]);
                }
            }
            84..86 => send(client, &["AUTHLIMIT.UNLOCK", key, "IP", &ip]),
            86..88 => send(client, &["AUTHLIMIT.UNLOCK", key, "EMAIL", &email]),
            88..89 => send(
                client,
                &["AUTHLIMIT.UNLOCK", key, "EMAIL", &email, "IP", &ip],
            ),
            89..92 => send(client, &[list, key, "ADD", &entry]),
            // An entry of a second may end before the workload has.
            92..93 => send(client, &[list, "quick", "ADD", &entry, "TTL", "1"]),
            93..95 => send(client, &[list, key, "ADD", &entry, "TTL", "90000"]),
            95..98 => send(client, &[list, key, "DEL", &entry]),
            _ => policy(client, key, random.pick::<&str>(policies)),
        }
    }
}

/// What must be the same of one limiter, wherever and whenever it is looked at.
#[derive(Debug, PartialEq)]
struct Snapshot {
    key: &'static str,
    digest: Option<String>,
    policy: Value,
    /// What PEEK says of some attempts (allowed, remaining, by what rule), without the times, which move on.
    verdicts: Vec<(bool, i64, String)>,
    /// What PEEK with RULES says of them: words, limit, remaining, shadow.
    rows: Vec<[Value; 4]>,
    /// What ALLOW and DENY LIST say, without the times.
    networks: Vec<Value>,
}

/// Takes a snapshot of one limiter, which is at `at`.
#[track_caller]
fn snapshot_at(client: &mut Connection, key: &'static str, at: &str, lists: bool) -> Snapshot {
    let (mut verdicts, mut rows, mut networks) = (Vec::new(), Vec::new(), Vec::new());
    for n in (0..MAILBOXES).filter(|_| key != "quick") {
        let (ip, email) = (address(n % 7), email(n));
        let mut words = vec!["AUTHLIMIT.PEEK", at, &ip, &email];
        if key == "subjects" && n % 2 == 0 {
            words.extend(["DEVICE", ["device1", "device2"][n / 2 % 2]]);
        }
        let verdict = verdict(client, &words);
        verdicts.push((verdict.allowed, verdict.remaining, verdict.rule));
        words.push("RULES");
        let Ok(Value::Array(told)) = command(client, &words) else {
            panic!("{words:?} has no rows");
        };
        rows.extend(told.into_iter().map(|row| match row {
            Value::Array(row) => [0, 1, 2, 6].map(|column| row[column].clone()),
            other => panic!("not a row: {other:?}"),
        }));
    }
    let told = |client: &mut Connection, words: &[&str]| match command(client, words) {
        Ok(Value::Array(told)) => told,
        other => panic!("{words:?}: {other:?}"),
    };
    // A replica does not tell its lists.
    for list in ["AUTHLIMIT.ALLOW", "AUTHLIMIT.DENY"]
        .iter()
        .filter(|_| lists && key != "quick")
    {
        let told = told(client, &[list, at, "LIST"]);
        let Value::Array(cidrs) = &told[1] else {
            panic!("no networks: {told:?}");
        };
        networks.extend(cidrs.iter().map(|pair| match pair {
            Value::Array(pair) => pair[0].clone(),
            other => panic!("no network: {other:?}"),
        }));
        networks.push(told[3].clone());
    }
    Snapshot {
        key,
        // A timer reclaims what is over, and moves that limiter's time on: `equality.rs` has it stand still.
        digest: (key != "quick").then(|| digest(client, at)),
        policy: told(client, &["AUTHLIMIT.INFO", at])[1].clone(),
        verdicts,
        rows,
        networks,
    }
}

/// Takes snapshots of all limiters of a workload.
#[track_caller]
fn snapshots(client: &mut Connection) -> Vec<Snapshot> {
    let all = LIMITERS.iter();
    all.map(|&(key, _)| snapshot_at(client, key, key, true))
        .collect()
}

/// Checks that two lists of snapshots are the same, and names the limiter that is not.
#[track_caller]
fn assert_same(after: &[Snapshot], before: &[Snapshot]) {
    assert_eq!(after.len(), before.len());
    for (after, before) in after.iter().zip(before) {
        // What people see first, as it tells more than the digest.
        for (after, before) in after.rows.iter().zip(&before.rows) {
            assert_eq!(after, before);
        }
        assert_eq!(after, before);
    }
}

/// Checks that neither files nor log hold any email or address of a workload.
#[track_caller]
fn holds_nothing_personal(server: &Server) {
    for part in [
        "rivate1",
        "RIVATE1",
        "onfidential",
        "ONFIDENTIAL",
        "device1",
    ] {
        assert!(!server.grep_files(part.as_bytes()), "{part} is in a file");
        assert!(!server.grep_log(part.as_bytes()), "{part} is in the log");
    }
}

#[test]
fn a_workload_reaches_limits_locks_and_capacities() {
    // Otherwise the other tests of this file would test little.
    let server = Server::start();
    let mut client = server.connect();
    workload(&mut client, &mut Random(1), 2 * STEPS);
    for &(key, policies) in LIMITERS {
        policy(&mut client, key, policies[0]);
    }
    let snapshots = snapshots(&mut client);
    let rows: Vec<_> = snapshots
        .iter()
        .flat_map(|snapshot| &snapshot.rows)
        .collect();
    let used_up = rows.iter().filter(|row| row[2] == Value::Int(0)).count();
    let untouched = rows.iter().filter(|row| row[2] == row[1]).count();
    assert!(used_up > 30 && untouched > 30, "{used_up} {untouched}");
    let by = |word: &str| {
        let verdicts = snapshots.iter().flat_map(|snapshot| &snapshot.verdicts);
        verdicts.filter(|(_, _, rule)| rule.contains(word)).count()
    };
    for word in ["ALLOW", "DENY", "LOCK", "DEVICE", "PER", "PAIR"] {
        assert!(by(word) > 0, "nothing is decided by {word}");
    }
}

#[test]
fn limiters_are_the_same_after_a_restart_from_an_rdb_file() {
    let mut server = Server::start();
    let mut random = Random(2);
    for _ in 0..2 {
        workload(&mut server.connect(), &mut random, STEPS);
        let before = snapshots(&mut server.connect());
        let mut client = server.connect();
        send(&mut client, &["DEBUG", "RELOAD"]);
        assert_same(&snapshots(&mut client), &before);
        server.restart(Save::Yes);
        assert_same(&snapshots(&mut server.connect()), &before);
    }
    holds_nothing_personal(&server);
}

/// Runs workloads on a server with an append-only file, rewrites it where asked to, and restarts the server.
#[track_caller]
fn survives_in_the_aof(preamble: &str, rewritten: bool, seed: u64) {
    let mut server = Server::builder()
        .arg("appendonly", "yes")
        .arg("aof-use-rdb-preamble", preamble)
        // Rewritten only when a test says so.
        .arg("auto-aof-rewrite-percentage", "0")
        .start();
    let mut random = Random(seed);
    for round in 0..2 {
        workload(&mut server.connect(), &mut random, STEPS / 2);
        if rewritten {
            server.rewrite_aof();
        }
        if round == 1 {
            // What follows a rewrite is appended to the new file.
            workload(&mut server.connect(), &mut random, STEPS / 2);
        }
        let before = snapshots(&mut server.connect());
        server.restart(Save::No);
        assert_same(&snapshots(&mut server.connect()), &before);
    }
    holds_nothing_personal(&server);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_an_aof() {
    survives_in_the_aof("yes", false, 3);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_an_aof_without_rdb_preamble() {
    survives_in_the_aof("no", false, 4);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_a_rewritten_aof() {
    survives_in_the_aof("yes", true, 5);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_a_rewritten_aof_without_rdb_preamble() {
    survives_in_the_aof("no", true, 6);
}

#[test]
fn a_copy_and_a_restored_dump_are_the_same_as_the_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    workload(&mut client, &mut Random(7), STEPS);
    for before in snapshots(&mut client) {
        let key = before.key;
        let Ok(Value::BulkString(dump)) = command(&mut client, &["DUMP", key]) else {
            panic!("{key} has no dump");
        };
        let words = [b"RESTORE".as_slice(), b"restored", b"0", &dump, b"REPLACE"];
        assert_eq!(command(&mut client, &words), Ok(Value::Okay));
        send(&mut client, &["COPY", key, "copied", "REPLACE"]);
        for other in ["restored", "copied"] {
            let after = snapshot_at(&mut client, key, other, true);
            assert_same(&[after], std::slice::from_ref(&before));
        }
    }
}

/// Takes snapshots of all limiters, without the lists, which a replica does not tell.
#[track_caller]
fn snapshots_for_replicas(client: &mut Connection) -> Vec<Snapshot> {
    let all = LIMITERS.iter();
    all.map(|&(key, _)| snapshot_at(client, key, key, false))
        .collect()
}

#[test]
fn limiters_are_the_same_on_replicas_whenever_they_join() {
    let primary = Server::start();
    let early = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &early);
    let (mut client, mut random) = (primary.connect(), Random(8));
    workload(&mut client, &mut random, STEPS);
    let late = Server::builder().replica_of(&primary).start();
    workload(&mut client, &mut random, STEPS);
    let before = snapshots_for_replicas(&mut client);
    for replica in [&early, &late] {
        wait_for_replica(&primary, replica);
        assert_same(&snapshots_for_replicas(&mut replica.connect()), &before);
    }
}

#[test]
fn a_replica_that_takes_over_decides_as_the_primary_would_have() {
    let mut primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let mut random = Random(9);
    workload(&mut primary.connect(), &mut random, STEPS);
    let before = snapshots(&mut primary.connect());
    wait_for_replica(&primary, &replica);
    primary.kill_9();
    let mut client = replica.connect();
    send(&mut client, &["REPLICAOF", "NO", "ONE"]);
    assert_same(&snapshots(&mut client), &before);
    // And goes on from there, with a replica of its own.
    let next = Server::builder().replica_of(&replica).start();
    workload(&mut client, &mut random, STEPS / 2);
    let before = snapshots_for_replicas(&mut client);
    wait_for_replica(&replica, &next);
    assert_same(&snapshots_for_replicas(&mut next.connect()), &before);
}

#[test]
fn a_lock_is_kept_over_a_restart_with_its_strikes() {
    let mut server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login", "PAIR 1/700ms LOCK 800ms..1h");
    let attempt = ["AUTHLIMIT.CHECK", "login", "10.0.0.1", "a@x.org"];
    let peek = ["AUTHLIMIT.PEEK", "login", "10.0.0.1", "a@x.org"];
    assert!(verdict(&mut client, &attempt).allowed);
    assert_eq!(verdict(&mut client, &attempt).retry_after_ms, 800);
    send(&mut client, &["DEBUG", "RELOAD"]);
    wait_until("the lock opens", || verdict(&mut client, &peek).allowed);
    assert!(verdict(&mut client, &attempt).allowed);
    assert_eq!(verdict(&mut client, &attempt).retry_after_ms, 1_600);
    server.restart(Save::Yes);
    let left = verdict(&mut server.connect(), &peek);
    assert!((1..=1_600).contains(&left.retry_after_ms), "{left:?}");
}

#[test]
fn unlocking_what_has_ended_leaves_primary_and_replica_the_same() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let mut client = primary.connect();
    policy(&mut client, "login", "EMAIL 5/20ms");
    let attempt = ["AUTHLIMIT.CHECK", "login", "10.0.0.1", "a@x.org"];
    assert!(verdict(&mut client, &attempt).allowed);
    let peek = ["AUTHLIMIT.PEEK", "login", "10.0.0.1", "a@x.org"];
    wait_until("the attempt leaves", || {
        verdict(&mut client, &peek).reset_ms == 0
    });
    let unlock = ["AUTHLIMIT.UNLOCK", "login", "EMAIL", "a@x.org"];
    assert_eq!(command(&mut client, &unlock), Ok(Value::Int(0)));
    wait_for_replica(&primary, &replica);
    let on_replica = digest(&mut replica.connect(), "login");
    assert_eq!(digest(&mut client, "login"), on_replica);
}
