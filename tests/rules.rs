//! Each subject, modifier and option of a policy does against an attack what it is for.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that is surprised has failed, as it should"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use support::{Server, Verdict, command, digest, verdict, wait_until};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// A row of PEEK with RULES.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    rule: String,
    limit: i64,
    remaining: i64,
    retry_after_ms: i64,
    reset_ms: i64,
    locked_ms: i64,
    shadow: bool,
}

/// Sends a line of words parted by single spaces.
#[track_caller]
fn send(client: &mut Connection, line: &str) -> Result<Value, String> {
    command(client, &line.split(' ').collect::<Vec<_>>())
}

/// Gives a limiter a policy, as `login PAIR 5/15m`.
#[track_caller]
fn policy(client: &mut Connection, key_and_words: &str) {
    let line = format!("AUTHLIMIT.POLICY {key_and_words}");
    assert_eq!(send(client, &line), Ok(Value::Okay), "{line}");
}

/// Sends a line that must be answered with a number.
#[track_caller]
fn number(client: &mut Connection, line: &str) -> i64 {
    match send(client, line) {
        Ok(Value::Int(number)) => number,
        other => panic!("{line}: {other:?}"),
    }
}

/// Sends CHECK, as `login 203.0.113.7 alice@x.org`.
#[track_caller]
fn check(client: &mut Connection, attempt: &str) -> Verdict {
    let line = format!("AUTHLIMIT.CHECK {attempt}");
    verdict(client, &line.split(' ').collect::<Vec<_>>())
}

/// Sends PEEK, as `login 203.0.113.7 alice@x.org`.
#[track_caller]
fn peek(client: &mut Connection, attempt: &str) -> Verdict {
    let line = format!("AUTHLIMIT.PEEK {attempt}");
    verdict(client, &line.split(' ').collect::<Vec<_>>())
}

/// Sends several CHECKs at once, so that the network takes no time between them.
#[track_caller]
fn checks<A: AsRef<str>>(
    client: &mut Connection,
    attempts: impl IntoIterator<Item = A>,
) -> Vec<Verdict> {
    let attempts: Vec<A> = attempts.into_iter().collect();
    let mut verdicts = Vec::new();
    for batch in attempts.chunks(1_000) {
        let mut pipeline = redis::pipe();
        for attempt in batch {
            let call = pipeline.cmd("AUTHLIMIT.CHECK");
            attempt.as_ref().split(' ').for_each(|word| {
                call.arg(word);
            });
        }
        let replies: Vec<(bool, i64, i64, i64, i64, String)> =
            pipeline.query(client).expect("each is a verdict");
        verdicts.extend(replies.into_iter().map(|reply| Verdict {
            allowed: reply.0,
            limit: reply.1,
            remaining: reply.2,
            retry_after_ms: reply.3,
            reset_ms: reply.4,
            rule: reply.5,
        }));
    }
    assert_eq!(verdicts.len(), attempts.len());
    verdicts
}

/// Counts those that were admitted.
fn admitted(verdicts: &[Verdict]) -> usize {
    verdicts.iter().filter(|verdict| verdict.allowed).count()
}

/// Returns as many different addresses as one likes.
fn address(n: usize) -> String {
    format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255)
}

/// Sends PEEK with RULES and returns its rows.
#[track_caller]
fn rows(client: &mut Connection, attempt: &str) -> Vec<Row> {
    let Ok(Value::Array(rows)) = send(client, &format!("AUTHLIMIT.PEEK {attempt} RULES")) else {
        panic!("no rows for {attempt}");
    };
    rows.iter().map(row).collect()
}

/// Reads one row.
#[track_caller]
fn row(row: &Value) -> Row {
    let Value::Array(columns) = row else {
        panic!("not a row: {row:?}");
    };
    let number = |column: usize| match columns[column] {
        Value::Int(number) => number,
        _ => panic!("not a row: {row:?}"),
    };
    assert_eq!(columns.len(), 7, "{row:?}");
    Row {
        rule: text(&columns[0]),
        limit: number(1),
        remaining: number(2),
        retry_after_ms: number(3),
        reset_ms: number(4),
        locked_ms: number(5),
        shadow: number(6) == 1,
    }
}

/// Returns what each rule has remaining, in the policy's order.
#[track_caller]
fn remaining(client: &mut Connection, attempt: &str) -> Vec<i64> {
    let rows = rows(client, attempt);
    rows.iter().map(|row| row.remaining).collect()
}

/// Reads a bulk string.
#[track_caller]
fn text(value: &Value) -> String {
    redis::from_redis_value(value.clone()).expect("text")
}

/// Reads a map, which in RESP2 is an array of names and values in turn.
#[track_caller]
fn map(value: &Value) -> BTreeMap<String, Value> {
    redis::from_redis_value(value.clone()).expect("a map")
}

/// Asks for AUTHLIMIT.INFO.
#[track_caller]
fn info(client: &mut Connection, key: &str) -> BTreeMap<String, Value> {
    map(&send(client, &format!("AUTHLIMIT.INFO {key}")).expect("there is such a limiter"))
}

/// Returns a list of AUTHLIMIT.INFO: the figures of each element by name, in order.
#[track_caller]
fn figures(info: &BTreeMap<String, Value>, list: &str) -> Vec<BTreeMap<String, Value>> {
    match &info[list] {
        Value::Array(elements) => elements.iter().map(map).collect(),
        other => panic!("{list}: {other:?}"),
    }
}

/// Returns one figure of each rule, in the policy's order.
#[track_caller]
fn totals(client: &mut Connection, key: &str, figure: &str) -> Vec<i64> {
    let rules = figures(&info(client, key), "rules");
    rules.iter().map(|rule| int(&rule[figure])).collect()
}

/// Returns one figure of each subject.
#[track_caller]
fn usage(client: &mut Connection, key: &str, figure: &str) -> Vec<i64> {
    let subjects = figures(&info(client, key), "subjects");
    subjects.iter().map(|usage| int(&usage[figure])).collect()
}

/// Reads a number.
#[track_caller]
fn int(value: &Value) -> i64 {
    redis::from_redis_value(value.clone()).expect("a number")
}

/// Waits until an attempt would be admitted.
#[track_caller]
fn wait_until_open(client: &mut Connection, attempt: &str) {
    wait_until("an attempt would be admitted", || {
        peek(client, attempt).allowed
    });
}

// EMAILS-PER-IP and IPS-PER-EMAIL

#[test]
fn one_address_spraying_ten_thousand_emails_gets_fifteen_in() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAILS-PER-IP 15/5m");
    let spray = (0..10_000).map(|n| format!("login 203.0.113.7 user{n}@x.org"));
    let verdicts = checks(&mut client, spray);
    assert_eq!(admitted(&verdicts), 15);
    assert_eq!(admitted(&verdicts[..15]), 15);
    assert_eq!(verdicts[9_999].rule, "EMAILS-PER-IP 15/5m");
    assert!((1..=5 * MINUTE).contains(&verdicts[9_999].retry_after_ms));
    // It is the address that is shut out, not the emails.
    assert!(check(&mut client, "login 203.0.113.8 user9999@x.org").allowed);
}

#[test]
fn ten_thousand_addresses_trying_one_email_get_twenty_in() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IPS-PER-EMAIL 20/1h");
    let botnet = (0..10_000).map(|n| format!("login {} alice@x.org", address(n)));
    let verdicts = checks(&mut client, botnet);
    assert_eq!(admitted(&verdicts), 20);
    assert_eq!(admitted(&verdicts[..20]), 20);
    assert_eq!(verdicts[9_999].rule, "IPS-PER-EMAIL 20/1h");
    assert!(check(&mut client, &format!("login {} bob@x.org", address(9_999))).allowed);
}

#[test]
fn the_greatest_limit_of_different_emails_is_as_exact_as_a_small_one() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAILS-PER-IP 1000/1h");
    // So many that emails which are mistaken for one another, if there are any, show.
    let spray = (0..40_000).map(|n| format!("login 203.0.113.7 user{n}@x.org"));
    let verdicts = checks(&mut client, spray);
    assert_eq!(admitted(&verdicts), 1_000);
}

#[test]
fn no_more_than_a_thousand_different_ones_can_be_asked_for() {
    let server = Server::start();
    let mut client = server.connect();
    for subject in ["EMAILS-PER-IP", "IPS-PER-EMAIL"] {
        policy(&mut client, &format!("login {subject} 1000/1h"));
        let line = format!("AUTHLIMIT.POLICY login {subject} 1001/1h");
        send(&mut client, &line).expect_err("too many");
    }
}

#[test]
fn an_email_that_the_address_is_already_trying_is_always_admitted() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAILS-PER-IP 3/1h");
    checks(
        &mut client,
        (0..4).map(|n| format!("login 10.0.0.1 u{n}@x.org")),
    );
    for n in [0, 1, 2, 2, 1, 0] {
        // In any spelling.
        let verdict = check(&mut client, &format!("login 10.0.0.1 U{n}@X.org"));
        let figures = (verdict.allowed, verdict.remaining, verdict.retry_after_ms);
        assert_eq!(figures, (true, 0, 0), "{verdict:?}");
    }
    assert!(!check(&mut client, "login 10.0.0.1 u3@x.org").allowed);
}

#[test]
fn an_address_that_is_already_among_those_trying_an_email_is_always_admitted() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IPS-PER-EMAIL 3/1h");
    checks(
        &mut client,
        (0..4).map(|n| format!("login {} alice@x.org", address(n))),
    );
    for n in [0, 1, 2, 2, 1, 0] {
        assert!(check(&mut client, &format!("login {} alice@x.org", address(n))).allowed);
    }
    assert!(!check(&mut client, &format!("login {} alice@x.org", address(3))).allowed);
}

#[test]
fn trying_an_email_again_makes_it_count_from_then_on() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAILS-PER-IP 1/1h");
    check(&mut client, "login 10.0.0.1 a@x.org");
    sleep(Duration::from_millis(700));
    // In one go, so that next to no time is between them.
    let wait = |pipeline: &mut redis::Pipeline| {
        let call = pipeline.cmd("AUTHLIMIT.PEEK");
        call.arg("login").arg("10.0.0.1").arg("b@x.org");
    };
    let mut pipeline = redis::pipe();
    wait(&mut pipeline);
    let again = pipeline.cmd("AUTHLIMIT.CHECK");
    again.arg("login").arg("10.0.0.1").arg("a@x.org").ignore();
    wait(&mut pipeline);
    let waits: Vec<(bool, i64, i64, i64, i64, String)> = pipeline.query(&mut client).unwrap();
    assert!(waits[0].3 < waits[1].3, "{waits:?}");
}

#[test]
fn when_a_limit_of_emails_is_lowered_those_there_stay_and_none_comes_in() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAILS-PER-IP 8/1h");
    checks(
        &mut client,
        (0..8).map(|n| format!("login 10.0.0.1 u{n}@x.org")),
    );
    policy(&mut client, "login EMAILS-PER-IP 5/1h");
    assert!(!check(&mut client, "login 10.0.0.1 new@x.org").allowed);
    assert!(check(&mut client, "login 10.0.0.1 u7@x.org").allowed);
}

#[test]
fn an_attempt_counts_one_email_whatever_it_costs() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAILS-PER-IP 2/1h IP 100/1h");
    let verdict = check(&mut client, "login 10.0.0.1 a@x.org COST 50");
    assert_eq!((verdict.allowed, verdict.remaining), (true, 1));
    assert_eq!(
        remaining(&mut client, "login 10.0.0.1 a@x.org"),
        vec![1, 50]
    );
}

#[test]
fn an_attempt_that_one_subject_refuses_is_counted_for_none() {
    let server = Server::start();
    let mut client = server.connect();
    let subjects = "IP EMAIL PAIR EMAILS-PER-IP IPS-PER-EMAIL ALL";
    for refusing in subjects.split(' ') {
        let rules = subjects.split(' ').map(|subject| {
            let limit = if subject == refusing { 1 } else { 9 };
            format!("{subject} {limit}/1h")
        });
        let rules: Vec<String> = rules.collect();
        send(&mut client, "DEL login").unwrap();
        policy(&mut client, &format!("login {}", rules.join(" ")));
        assert!(check(&mut client, "login 10.0.0.1 a@x.org").allowed);
        let before = digest(&mut client, "login");
        let refused = match refusing {
            "IPS-PER-EMAIL" => "login 10.0.0.2 a@x.org",
            "EMAILS-PER-IP" => "login 10.0.0.1 b@x.org",
            _ => "login 10.0.0.1 a@x.org",
        };
        for _ in 0..20 {
            let verdict = check(&mut client, refused);
            assert!(!verdict.allowed);
            assert_eq!(verdict.rule, format!("{refusing} 1/1h"));
        }
        assert_eq!(digest(&mut client, "login"), before, "{refusing}");
    }
}

// ALL

#[test]
fn a_limit_on_all_attempts_holds_whoever_makes_them() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login ALL 100000/1h");
    // No rule needs the address or the email.
    let empty = ["AUTHLIMIT.CHECK", "login", "", "", "COST", "50000"];
    assert_eq!(verdict(&mut client, &empty).remaining, 50_000);
    let singly = (0..5_000).map(|n| format!("login {} u{n}@x.org", address(n)));
    assert_eq!(admitted(&checks(&mut client, singly)), 5_000);
    let rest = check(&mut client, "login 10.0.0.1 a@x.org COST 44999");
    assert_eq!((rest.allowed, rest.remaining), (true, 1));
    assert!(!check(&mut client, "login 10.0.0.1 a@x.org COST 2").allowed);
    assert!(check(&mut client, "login 10.0.0.2 b@x.org").allowed);
    let verdict = check(&mut client, "login 10.0.0.3 c@x.org");
    assert!(!verdict.allowed);
    assert_eq!(verdict.rule, "ALL 100000/1h");
    assert_eq!(
        number(&mut client, "AUTHLIMIT.RESET login 10.0.0.1 a@x.org"),
        44_999
    );
    assert_eq!(
        peek(&mut client, "login 10.0.0.3 c@x.org").remaining,
        44_999
    );
}

// DEVICE

#[test]
fn while_strangers_fill_the_email_the_owner_gets_in_with_a_device_and_not_without() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login EMAIL 20/1h LOCK 2h IPS-PER-EMAIL 10/1h LOCK 2h DEVICE 10/1h",
    );
    let strangers = (0..100).map(|n| format!("login {} alice@x.org", address(n)));
    assert_eq!(admitted(&checks(&mut client, strangers)), 10);
    assert!(!check(&mut client, "login 203.0.113.7 alice@x.org").allowed);
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org DEVICE laptop");
    assert!(verdict.allowed);
    assert_eq!((verdict.limit, verdict.remaining), (10, 9));
    assert_eq!(verdict.rule, "DEVICE 10/1h");
}

#[test]
fn attempts_by_a_device_do_not_fill_the_email() {
    let server = Server::start();
    let mut client = server.connect();
    let rules =
        "IP 50/1h EMAIL 20/1h PAIR 30/1h EMAILS-PER-IP 5/1h IPS-PER-EMAIL 5/1h DEVICE 10/1h";
    policy(&mut client, &format!("login {rules}"));
    let attempt = "login 203.0.113.7 alice@x.org";
    for _ in 0..10 {
        assert!(check(&mut client, &format!("{attempt} DEVICE laptop")).allowed);
    }
    assert!(!check(&mut client, &format!("{attempt} DEVICE laptop")).allowed);
    assert!(peek(&mut client, &format!("{attempt} DEVICE phone")).allowed);
    // The other subjects have counted them.
    let left = remaining(&mut client, &format!("{attempt} DEVICE laptop"));
    assert_eq!(left, vec![40, 20, 20, 4, 5, 0]);
    assert_eq!(
        remaining(&mut client, attempt),
        vec![40, 20, 20, 4, 5, 10],
        "without a device its rule stands as if untouched"
    );
    // A success gives the device its attempts back.
    let reset = format!("AUTHLIMIT.RESET {attempt} DEVICE laptop");
    assert_eq!(number(&mut client, &reset), 10);
    let left = remaining(&mut client, &format!("{attempt} DEVICE laptop"));
    assert_eq!(left, vec![50, 20, 30, 5, 5, 10]);
}

#[test]
fn a_device_without_a_rule_for_devices_is_an_error_and_counts_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 20/1h");
    let before = digest(&mut client, "login");
    for name in ["CHECK", "PEEK", "RESET", "REFUND"] {
        let line = format!("AUTHLIMIT.{name} login 10.0.0.1 a@x.org DEVICE laptop");
        let error = send(&mut client, &line).expect_err("there is no such rule");
        assert!(error.contains("no DEVICE rule"), "{error}");
        assert!(!error.contains("laptop"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn a_device_without_an_id_is_an_error() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 20/1h DEVICE 10/1h");
    let line = "AUTHLIMIT.CHECK login 10.0.0.1 a@x.org DEVICE ";
    send(&mut client, line).expect_err("an empty id");
    send(&mut client, line.trim_end()).expect_err("no id");
    assert_eq!(totals(&mut client, "login", "allowed"), vec![0, 0]);
}

#[test]
fn rules_for_devices_alone_are_no_policy() {
    let server = Server::start();
    let mut client = server.connect();
    send(&mut client, "AUTHLIMIT.POLICY login DEVICE 10/1h").expect_err("nothing else");
}

#[test]
fn a_rule_for_devices_in_shadow_takes_the_place_of_none() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 2/1h DEVICE 1/1h SHADOW");
    let attempt = "login 10.0.0.1 a@x.org DEVICE laptop";
    let verdicts = checks(&mut client, [attempt; 3]);
    assert_eq!(admitted(&verdicts), 2);
    assert_eq!(verdicts[2].rule, "EMAIL 2/1h");
}

// LOCK

/// Returns how many bytes the append-only files have.
fn aof_size(server: &Server) -> u64 {
    let size = |path| fs::metadata(path).expect("the file is ours").len();
    server.files().iter().map(size).sum()
}

#[test]
fn hammering_a_locked_pair_ten_thousand_times_changes_nothing() {
    let server = Server::builder()
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
        .arg("auto-aof-rewrite-percentage", "0")
        .start();
    let mut client = server.connect();
    let rules = "IP 50/1h EMAIL 20/1h EMAILS-PER-IP 9/1h ALL 1000/1h PAIR 5/15m LOCK 15m..24h";
    policy(&mut client, &format!("login {rules}"));
    let attempt = "login 203.0.113.7 alice@x.org";
    assert_eq!(admitted(&checks(&mut client, [attempt; 5])), 5);
    let before_lock = aof_size(&server);
    let tripping = check(&mut client, attempt);
    assert!(!tripping.allowed);
    assert_eq!(tripping.retry_after_ms, 15 * MINUTE);
    let (size, value) = (aof_size(&server), digest(&mut client, "login"));
    assert!(before_lock < size, "the lock is written");
    let left = remaining(&mut client, attempt);
    assert_eq!(left, vec![45, 15, 8, 995, 0]);
    let mut wait = tripping.retry_after_ms;
    for verdict in checks(&mut client, vec![attempt; 10_000]) {
        assert!(!verdict.allowed);
        assert_eq!(verdict.rule, "PAIR 5/15m LOCK 15m..24h");
        assert!(verdict.retry_after_ms <= wait, "{verdict:?} after {wait}");
        wait = verdict.retry_after_ms;
    }
    assert_eq!(remaining(&mut client, attempt), left);
    assert_eq!(digest(&mut client, "login"), value);
    assert_eq!(aof_size(&server), size);
    assert_eq!(totals(&mut client, "login", "locks"), vec![0, 0, 0, 0, 1]);
    assert_eq!(totals(&mut client, "login", "refused")[4], 10_001);
}

#[test]
fn an_account_with_ten_failures_stays_shut_for_the_lock_whatever_is_tried_and_opens_whole() {
    let server = Server::start();
    let mut client = server.connect();
    // PRESET pci with seconds for its half hours.
    policy(&mut client, "login EMAIL 10/1s LOCK 2s");
    let attempts = (0..10).map(|n| format!("login {} alice@x.org", address(n)));
    assert_eq!(admitted(&checks(&mut client, attempts)), 10);
    let shut = Instant::now();
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org");
    let figures = (verdict.allowed, verdict.retry_after_ms, verdict.remaining);
    assert_eq!(figures, (false, 2_000, 0));
    let mut wait = verdict.retry_after_ms;
    for n in 0.. {
        let ip = address(n % 20);
        number(
            &mut client,
            &format!("AUTHLIMIT.RESET login {ip} alice@x.org"),
        );
        number(
            &mut client,
            &format!("AUTHLIMIT.REFUND login {ip} alice@x.org"),
        );
        let verdict = check(&mut client, &format!("login {ip} ALICE@x.org"));
        if verdict.allowed {
            assert_eq!((verdict.remaining, verdict.reset_ms), (9, 1_000));
            break;
        }
        assert!(verdict.retry_after_ms <= wait, "{verdict:?} after {wait}");
        wait = verdict.retry_after_ms;
        sleep(Duration::from_millis(20));
    }
    // Both clocks are cut to whole milliseconds.
    assert!(shut.elapsed() >= Duration::from_millis(1_998));
    let verdicts = checks(&mut client, ["login 203.0.113.7 alice@x.org"; 10]);
    assert_eq!(admitted(&verdicts), 9, "{verdicts:?}");
}

#[test]
fn the_pci_preset_locks_for_half_an_hour() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PRESET pci");
    let attempts = (0..10).map(|n| format!("login {} alice@x.org", address(n)));
    assert_eq!(admitted(&checks(&mut client, attempts)), 10);
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org");
    assert_eq!(verdict.retry_after_ms, 30 * MINUTE);
    assert_eq!(verdict.rule, "EMAIL 10/30m LOCK 30m");
    // Forgiven attempts do not open it.
    for n in 0..10 {
        let line = format!("AUTHLIMIT.RESET login {} alice@x.org", address(n));
        assert_eq!(number(&mut client, &line), 1);
    }
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org");
    assert!(!verdict.allowed);
    assert!(verdict.retry_after_ms > 29 * MINUTE);
}

/// Lets the only attempt of the pair in, waiting until it is open, and trips the rule with another; returns the wait.
#[track_caller]
fn trip(client: &mut Connection) -> i64 {
    wait_until_open(client, "login 10.0.0.1 a@x.org");
    let verdicts = checks(client, ["login 10.0.0.1 a@x.org"; 2]);
    assert!(verdicts[0].allowed && !verdicts[1].allowed, "{verdicts:?}");
    verdicts[1].retry_after_ms
}

#[test]
fn each_further_lock_is_twice_as_long_up_to_the_longest() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 1/400ms LOCK 600ms..2s");
    let waits: Vec<i64> = (0..4).map(|_| trip(&mut client)).collect();
    assert_eq!(waits, [600, 1_200, 2_000, 2_000]);
    assert_eq!(totals(&mut client, "login", "locks"), vec![4]);
}

#[test]
fn a_lock_of_one_length_always_lasts_as_long() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 1/400ms LOCK 500ms");
    let waits: Vec<i64> = (0..3).map(|_| trip(&mut client)).collect();
    assert_eq!(waits, [500, 500, 500]);
}

#[test]
fn strikes_are_forgotten_after_as_long_a_quiet_as_the_last_lock_lasted() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 1/400ms LOCK 600ms..1h");
    assert_eq!(trip(&mut client), 600);
    assert_eq!(trip(&mut client), 1_200);
    wait_until_open(&mut client, "login 10.0.0.1 a@x.org");
    sleep(Duration::from_millis(1_250));
    assert_eq!(trip(&mut client), 600);
}

#[test]
fn an_open_lock_shuts_again_only_after_something_was_admitted() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 2/1h LOCK 100ms");
    let attempt = "login 10.0.0.1 a@x.org";
    assert_eq!(admitted(&checks(&mut client, [attempt; 4])), 2);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1]);
    wait_until("the lock opens", || {
        rows(&mut client, attempt)[0].locked_ms == 0
    });
    // The window is still full.
    assert_eq!(admitted(&checks(&mut client, [attempt; 20])), 0);
    assert_eq!(rows(&mut client, attempt)[0].locked_ms, 0);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1]);
    assert_eq!(
        number(&mut client, &format!("AUTHLIMIT.REFUND {attempt}")),
        1
    );
    let verdicts = checks(&mut client, [attempt; 2]);
    assert!(verdicts[0].allowed && !verdicts[1].allowed);
    assert_eq!(totals(&mut client, "login", "locks"), vec![2]);
}

#[test]
fn a_lock_shorter_than_the_window_makes_the_wait_no_shorter() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 1/1h LOCK 1m");
    let attempt = "login 10.0.0.1 a@x.org";
    let verdict = checks(&mut client, [attempt; 2])[1].clone();
    assert!(verdict.retry_after_ms > HOUR - MINUTE, "{verdict:?}");
    let row = rows(&mut client, attempt)[0].clone();
    assert!((1..=MINUTE).contains(&row.locked_ms), "{row:?}");
}

#[test]
fn two_locks_of_one_subject_are_two_locks() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 2/1h LOCK 2h EMAIL 3/1h LOCK 4h");
    let attempt = "login 10.0.0.1 a@x.org";
    let wait = checks(&mut client, [attempt; 3])[2].retry_after_ms;
    assert_eq!(wait, 2 * HOUR);
    assert_eq!(rows(&mut client, attempt)[1].locked_ms, 0);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1, 0]);
}

#[test]
fn a_success_lifts_the_pairs_lock_with_its_last_attempt() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 3/1h LOCK 2h..8h");
    // The owner of one spelling forgives nothing that was tried on the other.
    let [own, other] = ["login 10.0.0.1 Alice@x.org", "login 10.0.0.1 alice@x.org"];
    let verdicts = checks(&mut client, [own, own, other, own]);
    assert_eq!(verdicts[3].retry_after_ms, 2 * HOUR);
    let reset =
        |client: &mut Connection, whose: &str| number(client, &format!("AUTHLIMIT.RESET {whose}"));
    assert_eq!(reset(&mut client, own), 2);
    assert!(!check(&mut client, own).allowed, "one is left");
    assert_eq!(reset(&mut client, other), 1);
    assert_eq!(peek(&mut client, own).remaining, 3);
    // The strike is gone, too.
    let verdicts = checks(&mut client, [own; 4]);
    assert_eq!(admitted(&verdicts), 3);
    assert_eq!(verdicts[3].retry_after_ms, 2 * HOUR);
}

#[test]
fn logging_in_to_ones_own_account_lifts_nobody_elses_lock() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login IP 7/1h LOCK 2h EMAIL 3/1h LOCK 2h PAIR 3/1h LOCK 2h",
    );
    let (victim, own) = ("login 10.0.0.1 alice@x.org", "login 10.0.0.1 mallory@x.org");
    assert_eq!(admitted(&checks(&mut client, [victim; 4])), 3);
    assert_eq!(admitted(&checks(&mut client, [own; 4])), 3);
    let other = "login 10.0.0.1 carol@x.org";
    assert_eq!(admitted(&checks(&mut client, [other; 2])), 1);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1, 2, 2]);
    let before = rows(&mut client, victim);
    assert_eq!(number(&mut client, &format!("AUTHLIMIT.RESET {own}")), 3);
    let after = rows(&mut client, victim);
    for (before, after) in before.iter().zip(&after) {
        assert!(after.locked_ms > HOUR, "{after:?}");
        assert_eq!(after.remaining, 0);
        assert!(after.locked_ms <= before.locked_ms);
    }
    let after = rows(&mut client, own);
    let locked: Vec<bool> = after.iter().map(|row| row.locked_ms > 0).collect();
    assert_eq!(locked, [true, true, false], "{after:?}");
}

#[test]
fn a_policy_without_the_lock_opens_what_it_had_shut() {
    let server = Server::start();
    let mut client = server.connect();
    let attempt = "login 10.0.0.1 a@x.org";
    policy(&mut client, "login PAIR 2/1h LOCK 2h");
    checks(&mut client, [attempt; 3]);
    policy(&mut client, "login PAIR 4/1h LOCK 2h");
    assert!(!check(&mut client, attempt).allowed, "the lock is kept");
    policy(&mut client, "login PAIR 4/1h");
    let verdict = check(&mut client, attempt);
    assert_eq!((verdict.allowed, verdict.remaining), (true, 1));
}

// UNLOCK

/// Shuts an address, an email and their pair.
#[track_caller]
fn shut(client: &mut Connection) {
    let rules = "IP 2/1h LOCK 2h EMAILS-PER-IP 1/1h EMAIL 2/1h LOCK 2h IPS-PER-EMAIL 1/1h PAIR 2/1h LOCK 2h";
    policy(client, &format!("login {rules}"));
    assert_eq!(admitted(&checks(client, ["login 10.0.0.1 a@x.org"; 3])), 2);
    let left = remaining(client, "login 10.0.0.1 a@x.org");
    assert_eq!(left, vec![0; 5]);
}

#[test]
fn unlocking_an_address_clears_what_is_counted_by_address() {
    let server = Server::start();
    let mut client = server.connect();
    shut(&mut client);
    // In another spelling.
    let line = "AUTHLIMIT.UNLOCK login IP ::ffff:10.0.0.1";
    assert_eq!(number(&mut client, line), 2);
    let rows = rows(&mut client, "login 10.0.0.1 a@x.org");
    let left: Vec<i64> = rows.iter().map(|row| row.remaining).collect();
    assert_eq!(left, [2, 1, 0, 0, 0]);
    let locked: Vec<bool> = rows.iter().map(|row| row.locked_ms > 0).collect();
    assert_eq!(locked, [false, false, true, false, true]);
    assert!(check(&mut client, "login 10.0.0.1 b@x.org").allowed);
    assert_eq!(number(&mut client, "AUTHLIMIT.UNLOCK login IP 10.9.9.9"), 0);
}

#[test]
fn unlocking_an_email_clears_what_is_counted_by_email() {
    let server = Server::start();
    let mut client = server.connect();
    shut(&mut client);
    let line = "AUTHLIMIT.UNLOCK login EMAIL A@X.ORG";
    assert_eq!(number(&mut client, line), 2);
    assert_eq!(
        remaining(&mut client, "login 10.0.0.1 a@x.org"),
        vec![0, 0, 2, 1, 0]
    );
    assert!(check(&mut client, "login 10.0.0.2 a@x.org").allowed);
    let line = "AUTHLIMIT.UNLOCK login EMAIL b@x.org";
    assert_eq!(number(&mut client, line), 0);
}

#[test]
fn unlocking_address_and_email_clears_the_pair_too() {
    let server = Server::start();
    let mut client = server.connect();
    shut(&mut client);
    // Another pair of the same email stays as it is.
    let line = "AUTHLIMIT.UNLOCK login EMAIL a@x.org IP 10.0.0.1";
    assert_eq!(number(&mut client, line), 5);
    assert_eq!(
        remaining(&mut client, "login 10.0.0.1 a@x.org"),
        vec![2, 1, 2, 1, 2]
    );
    assert!(check(&mut client, "login 10.0.0.1 a@x.org").allowed);
    assert_eq!(
        number(&mut client, "AUTHLIMIT.UNLOCK none EMAIL a@x.org"),
        0
    );
    assert_eq!(number(&mut client, "EXISTS none"), 0);
}

#[test]
fn an_improper_unlock_is_an_error_that_repeats_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    shut(&mut client);
    let before = digest(&mut client, "login");
    for words in [
        "",
        " IP",
        " EMAIL",
        " EMAIL ",
        " 10.0.0.1",
        " IP secret",
        " IP 10.0.0.1:80",
        " PAIR secret",
        " IP 10.0.0.1 EMAIL",
        " IP 10.0.0.1 IP 10.0.0.1",
        " EMAIL secret EMAIL secret",
    ] {
        let line = format!("AUTHLIMIT.UNLOCK login{words}");
        let error = send(&mut client, &line).expect_err(words);
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}

// SHADOW and COUNT-DENIED

#[test]
fn a_rule_in_shadow_never_refuses_and_reports_what_it_would_have_refused() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login PAIR 2/1h SHADOW EMAILS-PER-IP 1/1h SHADOW EMAIL 100/1h",
    );
    let attempt = "login 10.0.0.1 a@x.org";
    for verdict in checks(&mut client, [attempt; 10]) {
        assert!(verdict.allowed);
        assert_eq!(verdict.rule, "EMAIL 100/1h");
        assert_eq!(verdict.retry_after_ms, 0);
    }
    assert!(check(&mut client, "login 10.0.0.1 b@x.org").allowed);
    assert_eq!(totals(&mut client, "login", "allowed"), vec![3, 10, 11]);
    assert_eq!(totals(&mut client, "login", "refused"), vec![0, 0, 0]);
    assert_eq!(
        totals(&mut client, "login", "shadow_refused"),
        vec![8, 1, 0]
    );
    let rows = rows(&mut client, attempt);
    let shadow: Vec<bool> = rows.iter().map(|row| row.shadow).collect();
    assert_eq!(shadow, [true, true, false]);
    assert!(rows[0].retry_after_ms > 0, "{rows:?}");
}

#[test]
fn a_policy_all_in_shadow_refuses_nobody_and_makes_nobody_wait() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 2/1h LOCK 2h SHADOW");
    for verdict in checks(&mut client, ["login 10.0.0.1 a@x.org"; 10]) {
        assert!(verdict.allowed);
        assert_eq!(verdict.rule, "PAIR 2/1h LOCK 2h SHADOW");
        assert_eq!(verdict.retry_after_ms, 0);
    }
    // It reports the lock that there would be.
    assert_eq!(totals(&mut client, "login", "locks"), vec![1]);
    assert!(rows(&mut client, "login 10.0.0.1 a@x.org")[0].locked_ms > HOUR);
    assert_eq!(totals(&mut client, "login", "shadow_refused"), vec![8]);
}

#[test]
fn a_rule_in_shadow_can_be_enforced_with_the_counts_it_has() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 2/1h SHADOW");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 10]);
    policy(&mut client, "login PAIR 2/1h");
    assert!(!check(&mut client, "login 10.0.0.1 a@x.org").allowed);
}

#[test]
fn count_denied_counts_what_other_rules_refused() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login PAIR 2/1h IP 10/1h COUNT-DENIED IP 50/1h EMAIL 50/1h",
    );
    let attempt = "login 10.0.0.1 a@x.org";
    assert_eq!(admitted(&checks(&mut client, [attempt; 5])), 2);
    assert_eq!(remaining(&mut client, attempt), vec![0, 5, 48, 48]);
    // By its own count the address is used up in the end, and then shut out of every account.
    assert_eq!(admitted(&checks(&mut client, [attempt; 5])), 0);
    let verdict = check(&mut client, "login 10.0.0.1 b@x.org");
    assert!(!verdict.allowed);
    assert_eq!(verdict.rule, "IP 10/1h COUNT-DENIED");
    let subjects = figures(&info(&mut client, "login"), "subjects");
    let names: Vec<String> = subjects
        .iter()
        .map(|usage| text(&usage["subject"]))
        .collect();
    assert_eq!(names, ["PAIR", "IP COUNT-DENIED", "IP", "EMAIL"]);
}

#[test]
fn count_denied_counts_nothing_that_the_rule_itself_refused() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 5/1h COUNT-DENIED PAIR 2/1h");
    let attempt = "login 10.0.0.1 a@x.org";
    checks(&mut client, [attempt; 5]);
    let before = digest(&mut client, "login");
    let mut wait = peek(&mut client, attempt).retry_after_ms;
    for verdict in checks(&mut client, vec![attempt; 500]) {
        assert!(!verdict.allowed);
        assert!(verdict.retry_after_ms <= wait);
        wait = verdict.retry_after_ms;
    }
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn different_emails_are_counted_when_denied_if_the_rule_says_so() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 1/1h EMAILS-PER-IP 4/1h COUNT-DENIED");
    let spray = (0..3).map(|n| format!("login 10.0.0.1 u{n}@x.org"));
    assert_eq!(admitted(&checks(&mut client, spray)), 1);
    assert_eq!(
        remaining(&mut client, "login 10.0.0.1 u0@x.org"),
        vec![0, 1]
    );
}

#[test]
fn a_success_forgives_what_was_counted_when_denied_as_well() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 2/1h IP 10/1h COUNT-DENIED");
    let attempt = "login 10.0.0.1 a@x.org";
    checks(&mut client, [attempt; 5]);
    assert_eq!(
        number(&mut client, &format!("AUTHLIMIT.RESET {attempt}")),
        5
    );
    assert_eq!(remaining(&mut client, attempt), vec![2, 10]);
}

// Changing a policy

#[test]
fn a_lowered_limit_refuses_at_once_and_a_raised_one_admits_what_it_has_over() {
    let server = Server::start();
    let mut client = server.connect();
    let attempt = "login 10.0.0.1 a@x.org";
    policy(&mut client, "login EMAIL 10/1h");
    assert_eq!(admitted(&checks(&mut client, [attempt; 8])), 8);
    policy(&mut client, "login EMAIL 5/1h");
    assert_eq!(admitted(&checks(&mut client, [attempt; 20])), 0);
    assert_eq!(remaining(&mut client, attempt), vec![0]);
    policy(&mut client, "login EMAIL 10/1h");
    assert_eq!(admitted(&checks(&mut client, [attempt; 20])), 2);
}

#[test]
fn another_ipv6_prefix_keeps_the_counts_of_ipv4_addresses() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 5/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    checks(&mut client, ["login 2001:db8:1:1::1 a@x.org"; 3]);
    policy(&mut client, "login IP 5/1h IPV6-PREFIX 48");
    assert_eq!(remaining(&mut client, "login 10.0.0.1 a@x.org"), vec![2]);
    assert_eq!(
        remaining(&mut client, "login 2001:db8:1:1::1 a@x.org"),
        vec![5]
    );
    // A /48 is one address now.
    checks(&mut client, ["login 2001:db8:1:1::1 a@x.org"; 2]);
    let others = ["2001:db8:1:ffff::9", "2001:db8:2::1"];
    let left = others.map(|ip| remaining(&mut client, &format!("login {ip} a@x.org"))[0]);
    assert_eq!(left, [3, 5]);
}

#[test]
fn stripping_plus_tags_makes_one_mailbox_of_them_and_keeps_its_count() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "signup EMAIL 5/1h");
    checks(&mut client, ["signup 10.0.0.1 a@x.org"; 2]);
    checks(&mut client, ["signup 10.0.0.1 a+1@x.org"; 3]);
    policy(&mut client, "signup EMAIL 5/1h PLUS-TAGS strip");
    assert_eq!(remaining(&mut client, "signup 10.0.0.1 a+9@x.org"), vec![3]);
    let attempts = (0..9).map(|n| format!("signup 10.0.0.1 a+{n}@x.org"));
    assert_eq!(admitted(&checks(&mut client, attempts)), 3);
}

#[test]
fn the_words_of_info_make_the_same_policy_of_another_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    let everything = "IP 50/15m EMAILS-PER-IP 15/5m COUNT-DENIED EMAIL 20/1h LOCK 1h SHADOW EMAIL 50/24h \
         IPS-PER-EMAIL 20/1h PAIR 5/15m LOCK 15m..24h COUNT-DENIED DEVICE 10/1h ALL 100000/30d \
         CAPACITY 5000 IPV6-PREFIX 56 PLUS-TAGS strip";
    let words = [
        everything,
        "PAIR 1/1ms",
        "PRESET signin",
        "PRESET signup ALL 500/1h",
        "PRESET reset PLUS-TAGS keep",
        "PRESET otp CAPACITY 1000000000",
        "PRESET pci IP 50/15m IPV6-PREFIX 128",
        "plus-tags STRIP pair 5/15M shadow lock 1H",
    ];
    for words in words {
        policy(&mut client, &format!("one {words}"));
        let told = text(&info(&mut client, "one")["policy"]);
        policy(&mut client, &format!("other {told}"));
        assert_eq!(text(&info(&mut client, "other")["policy"]), told);
    }
    policy(&mut client, &format!("one {everything}"));
    assert_eq!(text(&info(&mut client, "one")["policy"]), everything);
}

#[test]
fn an_improper_policy_is_an_error_that_repeats_nothing_and_changes_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 5/15m");
    let before = digest(&mut client, "login");
    for words in [
        "PAIR 5/15m LOCK",
        "PAIR 5/15m LOCK 0s",
        "PAIR 5/15m LOCK 1h..1m",
        "PAIR 5/15m LOCK 31d",
        "PAIR 5/15m LOCK 1h LOCK 1h",
        "PAIR 5/15m SHADOW SHADOW",
        "SHADOW PAIR 5/15m",
        "PAIR 5/15m CAPACITY 9 SHADOW",
        "PAIR 5/15m CAPACITY",
        "PAIR 5/15m CAPACITY 0",
        "PAIR 5/15m CAPACITY 1000000001",
        "PAIR 5/15m CAPACITY 9 CAPACITY 9",
        "PAIR 5/15m IPV6-PREFIX 31",
        "PAIR 5/15m IPV6-PREFIX 129",
        "PAIR 5/15m PLUS-TAGS secret",
        "PAIR 5/15m PRESET secret",
        "PAIR 5/15m PRESET",
        "PAIR 5/15m secret 5/15m",
        "PAIR secret/15m",
        "PAIR 5/15m PAIR 5/15m",
        "ALL 100001/1h",
        "CAPACITY 5",
    ] {
        let line = format!("AUTHLIMIT.POLICY login {words}");
        let error = send(&mut client, &line).expect_err(words);
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}

// CAPACITY

#[test]
fn at_capacity_the_locked_are_kept_and_the_rest_makes_room() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 2/1h LOCK 2h CAPACITY 200");
    for n in 0..50 {
        let attempt = format!("login 10.0.0.1 locked{n}@x.org");
        assert_eq!(admitted(&checks(&mut client, vec![attempt; 3])), 2);
    }
    let spray = (0..10_000).map(|n| format!("login 10.0.0.1 u{n}@x.org"));
    assert_eq!(admitted(&checks(&mut client, spray)), 10_000);
    for n in 0..50 {
        let row = rows(&mut client, &format!("login 10.0.0.1 locked{n}@x.org"))[0].clone();
        assert!(row.locked_ms > HOUR, "locked{n}: {row:?}");
        assert!(!check(&mut client, &format!("login 10.0.0.1 locked{n}@x.org")).allowed);
    }
    assert_eq!(usage(&mut client, "login", "identities"), vec![200]);
}

#[test]
fn at_capacity_whoever_has_attempts_that_count_outlasts_whoever_has_none() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 5/2s CAPACITY 16");
    let old = (0..8).map(|n| format!("login 10.0.0.1 old{n}@x.org"));
    checks(&mut client, old);
    wait_until("the old ones expire", || {
        (0..8).all(|n| peek(&mut client, &format!("login 10.0.0.1 old{n}@x.org")).reset_ms == 0)
    });
    let email = |n: usize| format!("login 10.0.0.1 u{n}@x.org");
    // As many as there is room for, of whom none is old.
    let verdicts = checks(&mut client, (0..16).chain(0..16).map(email));
    assert!(
        verdicts[16..].iter().all(|verdict| verdict.remaining == 3),
        "{verdicts:?}"
    );
}

#[test]
fn at_capacity_whoever_has_more_attempts_outlasts_a_spray() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 5/1h CAPACITY 16");
    checks(&mut client, ["login 10.0.0.1 victim@x.org"; 4]);
    checks(
        &mut client,
        (0..500).map(|n| format!("login 10.0.0.1 u{n}@x.org")),
    );
    assert_eq!(
        remaining(&mut client, "login 10.0.0.1 victim@x.org"),
        vec![1]
    );
}

#[test]
fn at_capacity_a_refused_attempt_costs_nobody_their_count() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login ALL 2/1h EMAIL 5/1h IP 100/1h COUNT-DENIED CAPACITY 2",
    );
    let (one, other) = ("login 10.0.0.1 a@x.org", "login 10.0.0.1 b@x.org");
    assert_eq!(admitted(&checks(&mut client, [one, other])), 2);
    // The address counts it, the email does not.
    assert!(!check(&mut client, "login 10.0.0.1 c@x.org").allowed);
    assert_eq!(remaining(&mut client, one), vec![0, 4, 97]);
    assert_eq!(remaining(&mut client, other), vec![0, 4, 97]);
}

#[test]
fn a_limiter_takes_no_more_memory_than_its_capacity_needs() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login IP 9/1h EMAIL 9/1h PAIR 9/1h CAPACITY 1000",
    );
    let spray =
        |from: usize| (from..from + 10_000).map(|n| format!("login {} u{n}@x.org", address(n)));
    let bytes = |client: &mut Connection| int(&info(client, "login")["bytes"]);
    checks(&mut client, spray(0));
    let first = bytes(&mut client);
    assert!(first < 3 * 1_000 * 128, "{first} bytes");
    checks(&mut client, spray(10_000));
    assert!(bytes(&mut client) < first * 5 / 4);
    let identities = usage(&mut client, "login", "identities");
    assert!(
        identities.iter().all(|n| (900..=1_000).contains(n)),
        "{identities:?}"
    );
    let usage = number(&mut client, "MEMORY USAGE login");
    assert!(usage < 3 * 1_000 * 128, "{usage} bytes");
}

#[test]
fn the_configured_capacity_holds_where_the_policy_names_none() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(
        send(&mut client, "CONFIG SET authlimit.capacity 50"),
        Ok(Value::Okay)
    );
    policy(&mut client, "default EMAIL 5/1h");
    policy(&mut client, "own EMAIL 5/1h CAPACITY 100");
    for key in ["default", "own"] {
        let spray = (0..1_000).map(|n| format!("{key} 10.0.0.1 u{n}@x.org"));
        assert_eq!(admitted(&checks(&mut client, spray)), 1_000);
    }
    assert_eq!(usage(&mut client, "default", "identities"), vec![50]);
    assert_eq!(usage(&mut client, "own", "identities"), vec![100]);
    assert_eq!(text(&info(&mut client, "default")["policy"]), "EMAIL 5/1h");
    send(&mut client, "CONFIG SET authlimit.capacity 0").expect_err("no room at all");
}

// PEEK with RULES, and INFO

#[test]
fn peek_with_rules_tells_why_somebody_cannot_log_in() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login IP 50/15m EMAIL 20/1h SHADOW PAIR 2/15m LOCK 1h..24h",
    );
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
    let before = digest(&mut client, "login");
    let rows = rows(&mut client, "login 10.0.0.1 a@x.org");
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.rule.as_str(), row.limit, row.remaining, row.shadow))
        .collect();
    assert_eq!(
        told,
        [
            ("IP 50/15m", 50, 48, false),
            ("EMAIL 20/1h SHADOW", 20, 18, true),
            ("PAIR 2/15m LOCK 1h..24h", 2, 0, false),
        ]
    );
    assert_eq!([rows[0].retry_after_ms, rows[0].locked_ms], [0, 0]);
    assert!((1..=15 * MINUTE).contains(&rows[0].reset_ms));
    assert!(
        (HOUR - MINUTE..=HOUR).contains(&rows[2].locked_ms),
        "{rows:?}"
    );
    assert_eq!(rows[2].retry_after_ms, rows[2].locked_ms);
    assert_eq!(rows[2].reset_ms, rows[2].locked_ms);
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn peek_with_rules_is_the_same_in_both_protocols_and_for_any_order_of_options() {
    let server = Server::start();
    let (mut resp2, mut resp3) = (server.connect(), server.connect_resp3());
    policy(&mut resp2, "login IP 50/15m DEVICE 9/1h");
    for options in ["RULES COST 5 DEVICE d", "device d rules cost 5"] {
        let line = format!("AUTHLIMIT.PEEK login 10.0.0.1 a@x.org {options}");
        let rows = send(&mut resp2, &line);
        assert!(rows.is_ok(), "{rows:?}");
        assert_eq!(rows, send(&mut resp3, &line));
    }
    // Of a limiter that is not there, the default policy's rows.
    let rules: Vec<String> = rows(&mut resp3, "none 10.0.0.1 a@x.org")
        .into_iter()
        .map(|row| row.rule)
        .collect();
    assert_eq!(
        rules.join(" "),
        "IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m"
    );
    assert_eq!(number(&mut resp3, "EXISTS none"), 0);
}

#[test]
fn rows_wait_for_the_cost_that_is_asked_about() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 5/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    let one = rows(&mut client, "login 10.0.0.1 a@x.org COST 2")[0].clone();
    assert_eq!(one.retry_after_ms, 0);
    let three = rows(&mut client, "login 10.0.0.1 a@x.org COST 3")[0].clone();
    assert!(
        three.retry_after_ms > 0 && three.remaining == 2,
        "{three:?}"
    );
}

#[test]
fn info_tells_policy_rules_subjects_lists_and_bytes_in_both_protocols() {
    let server = Server::start();
    for mut client in [server.connect(), server.connect_resp3()] {
        send(&mut client, "DEL login").unwrap();
        policy(&mut client, "login IP 50/15m PAIR 2/15m LOCK 1h");
        checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
        send(&mut client, "AUTHLIMIT.ALLOW login ADD 192.0.2.0/24").unwrap();
        send(&mut client, "AUTHLIMIT.ALLOW login ADD b@x.org").unwrap();
        send(&mut client, "AUTHLIMIT.DENY login ADD 198.51.100.1").unwrap();
        let info = info(&mut client, "login");
        let names: Vec<&str> = info.keys().map(String::as_str).collect();
        let expected = "allow_entries bytes deny_entries policy rules subjects";
        assert_eq!(names.join(" "), expected);
        assert_eq!(text(&info["policy"]), "IP 50/15m PAIR 2/15m LOCK 1h");
        assert_eq!(
            (int(&info["allow_entries"]), int(&info["deny_entries"])),
            (2, 1)
        );
        let [ip, pair] = &figures(&info, "rules")[..] else {
            panic!("{info:?}");
        };
        for (rule, words, [allowed, refused, locks]) in [
            (ip, "IP 50/15m", [2, 0, 0]),
            (pair, "PAIR 2/15m LOCK 1h", [2, 3, 1]),
        ] {
            assert_eq!(rule.len(), 5);
            assert_eq!(text(&rule["rule"]), words);
            assert_eq!(int(&rule["allowed"]), allowed);
            assert_eq!(int(&rule["refused"]), refused);
            assert_eq!(int(&rule["shadow_refused"]), 0);
            assert_eq!(int(&rule["locks"]), locks);
        }
        let subjects = figures(&info, "subjects");
        let names: Vec<String> = subjects
            .iter()
            .map(|usage| text(&usage["subject"]))
            .collect();
        assert_eq!(names, ["IP", "PAIR"]);
        for usage in &subjects {
            assert_eq!(int(&usage["identities"]), 1);
            assert!((1..int(&info["bytes"])).contains(&int(&usage["bytes"])));
        }
    }
}

#[test]
fn info_counts_for_a_rule_only_the_attempts_that_concern_it() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 50/1h EMAIL 20/1h DEVICE 10/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    checks(&mut client, ["login 10.0.0.1 a@x.org DEVICE d"; 2]);
    assert_eq!(totals(&mut client, "login", "allowed"), vec![5, 3, 2]);
}

#[test]
fn a_rule_that_keeps_its_words_keeps_its_totals() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 20/1h PAIR 2/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
    policy(&mut client, "login PAIR 2/1h EMAIL 30/1h");
    assert_eq!(totals(&mut client, "login", "allowed"), vec![2, 0]);
    assert_eq!(totals(&mut client, "login", "refused"), vec![3, 0]);
}
