//! CHECK: its replies in RESP2 and RESP3, costs, and when a refused attempt is admitted again.

use crate::support::replies::{EMAIL, IP, check, exists, ok, peek, send, text};
use crate::support::rules::{checks, start_with};
use crate::support::{Server, Verdict, command, replica_of, verdict, wait_for_replica, wait_until};
use redis::{Connection, Value};
use std::time::{Duration, Instant};

/// Runs the first session of the README. Its replies are the same in both protocols.
#[track_caller]
fn readme_session(mut client: Connection) {
    let first = check(&mut client, IP, EMAIL);
    let expected = Verdict {
        allowed: true,
        limit: 5,
        remaining: 4,
        retry_after_ms: 0,
        reset_ms: 900_000,
        rule: "PAIR 5/15m".to_owned(),
    };
    assert_eq!(first, expected);
    for remaining in (1..=3).rev() {
        let next = check(&mut client, IP, EMAIL);
        assert!(next.allowed, "{next:?}");
        assert_eq!((next.remaining, next.retry_after_ms), (remaining, 0));
    }
    let last = check(&mut client, IP, EMAIL);
    assert!(last.allowed, "{last:?}");
    assert_eq!(last.remaining, 0);
    assert!((1..=900_000).contains(&last.retry_after_ms), "{last:?}");

    let sixth = check(&mut client, IP, EMAIL);
    assert!(!sixth.allowed, "{sixth:?}");
    assert_eq!((sixth.limit, sixth.remaining), (5, 0));
    assert!((1..=900_000).contains(&sixth.retry_after_ms), "{sixth:?}");
    assert!((sixth.retry_after_ms..=900_000).contains(&sixth.reset_ms));
    assert_eq!(sixth.rule, "PAIR 5/15m");

    let forgiven = command(&mut client, &["AUTHLIMIT.RESET", "login", IP, EMAIL]);
    assert_eq!(forgiven, Ok(Value::Int(5)));
    let after = peek(&mut client, IP, EMAIL);
    // PEEK counts its own attempt.
    let expected = Verdict { remaining: 4, ..expected };
    assert_eq!(after, expected);
}

#[test]
fn the_sixth_attempt_is_refused_and_a_reset_restores_the_quota() {
    readme_session(Server::start().connect());
}

#[test]
fn the_sixth_attempt_is_refused_and_a_reset_restores_the_quota_in_resp3() {
    readme_session(Server::start().connect_resp3());
}

#[test]
fn a_limiter_that_a_command_creates_by_itself_leaves_one_log_line_without_its_key() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    let lines = |server: &Server| server.log().matches("created a limiter with authlimit.default-policy").count();
    ok(&mut client, "AUTHLIMIT.POLICY made PAIR 5/1h");
    peek(&mut client, IP, EMAIL);
    assert_eq!(lines(&primary), 0);
    for _ in 0..2 {
        for key in ["login", EMAIL] {
            verdict(&mut client, &["AUTHLIMIT.CHECK", key, IP, EMAIL]);
        }
    }
    assert_eq!(lines(&primary), 2);
    assert_eq!(send(&mut client, "DEL login"), Ok(Value::Int(1)));
    for entry in ["10.0.0.1", "10.0.0.2"] {
        send(&mut client, &format!("AUTHLIMIT.DENY login ADD {entry}")).expect("a valid entry");
    }
    assert_eq!(lines(&primary), 3);
    wait_for_replica(&primary, &replica);
    assert_eq!(lines(&replica), 0);
    for server in [&primary, &replica] {
        assert!(!server.grep_log(EMAIL.as_bytes()), "{}", server.log());
    }
}

#[test]
fn only_check_and_policy_create_a_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    let untouched = peek(&mut client, IP, EMAIL);
    assert_eq!((untouched.allowed, untouched.remaining), (true, 4));
    for name in ["RESET", "REFUND"] {
        let reply = send(&mut client, &format!("AUTHLIMIT.{name} login {IP} {EMAIL}"));
        assert_eq!(reply, Ok(Value::Int(0)), "{name}");
    }
    let info = send(&mut client, "AUTHLIMIT.INFO login");
    let reason = "NOLIMITER no such limiter: AUTHLIMIT.POLICY or the first AUTHLIMIT.CHECK creates it";
    assert_eq!(info, Err(reason.to_owned()));
    assert!(!exists(&mut client, "login"));

    check(&mut client, IP, EMAIL);
    assert!(exists(&mut client, "login"));
    ok(&mut client, "AUTHLIMIT.POLICY other PAIR 5/1h");
    assert!(exists(&mut client, "other"));
    assert_eq!(text(&send(&mut client, "TYPE other").unwrap()), "authlimit");
}

#[test]
fn a_deleted_limiter_starts_empty() {
    let server = Server::start();
    let mut client = server.connect();
    for word in ["DEL", "UNLINK"] {
        while check(&mut client, IP, EMAIL).allowed {}
        assert_eq!(command(&mut client, &[word, "login"]), Ok(Value::Int(1)));
        assert_eq!(check(&mut client, IP, EMAIL).remaining, 4);
    }
}

#[test]
fn an_attempt_with_a_cost_is_counted_in_full_or_refused() {
    let (_server, mut client) = start_with("PAIR 10/1h");
    let mut cost = |name: &str, cost: &str| {
        let words = [name, "login", IP, EMAIL, "cost", cost];
        verdict(&mut client, &words)
    };
    let most = cost("AUTHLIMIT.CHECK", "7");
    assert!(most.allowed && most.retry_after_ms > 0, "{most:?}");
    assert_eq!(most.remaining, 3);
    assert!(cost("AUTHLIMIT.PEEK", "3").allowed);
    let refused = cost("AUTHLIMIT.CHECK", "4");
    assert!(!refused.allowed && refused.retry_after_ms > 0, "{refused:?}");
    assert_eq!(refused.remaining, 3);
    assert!(!cost("AUTHLIMIT.PEEK", "4").allowed);
    let rest = cost("AUTHLIMIT.CHECK", "3");
    assert_eq!((rest.allowed, rest.remaining), (true, 0));
    let forgiven = send(&mut client, &format!("AUTHLIMIT.RESET login {IP} {EMAIL}"));
    assert_eq!(forgiven, Ok(Value::Int(10)));
}

#[test]
fn a_refused_attempt_is_admitted_after_its_wait_and_not_before() {
    // While NTP adjusts a clock, it runs slightly fast or slow.
    const SLACK: Duration = Duration::from_millis(10);
    let (_server, mut client) = start_with("PAIR 2/400ms");
    let mut asked = Instant::now();
    let mut refusal = None;
    wait_until("three attempts are within a window", || {
        asked = Instant::now();
        let answers = checks(&mut client, vec![format!("login {IP} {EMAIL}"); 3]);
        refusal = answers.into_iter().find(|answer| !answer.allowed);
        refusal.is_some()
    });
    let wait = refusal.expect("waited for").retry_after_ms;
    assert!((1..=400).contains(&wait), "{wait}");
    let wait = Duration::from_millis(wait.unsigned_abs());

    let mut shortest = wait;
    wait_until("the attempt is admitted", || {
        let peeked = peek(&mut client, IP, EMAIL);
        let answer = check(&mut client, IP, EMAIL);
        if answer.allowed {
            return true;
        }
        assert!(!peeked.allowed, "PEEK admitted what CHECK then refused: {peeked:?}");
        let left = Duration::from_millis(answer.retry_after_ms.unsigned_abs());
        assert!(!left.is_zero() && left <= shortest, "{left:?} after {shortest:?}");
        shortest = left;
        false
    });
    assert!(asked.elapsed() + SLACK >= wait, "{:?}", asked.elapsed());

    wait_until("the quota is fully restored", || {
        let verdict = peek(&mut client, IP, EMAIL);
        // PEEK counts its own attempt.
        assert!(!verdict.allowed || verdict.reset_ms == 400, "{verdict:?}");
        verdict.remaining == 1
    });
}
