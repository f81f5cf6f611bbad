//! Rules with LOCK shut, open, double and are lifted as they should.

use crate::support::replies::{ok, send};
use crate::support::rules::{
    HOUR, MINUTE, address, admitted, check, checks, number, peek, policy, remaining, rows, start_with, totals,
    wait_until_open,
};
use crate::support::{Save, Server, digest, retry_until_equal, wait_until};
use redis::Connection;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn hammering_a_locked_pair_ten_thousand_times_changes_nothing() {
    let server = Server::builder().aof("yes").start();
    let mut client = server.connect();
    let rules = "IP 50/1h EMAIL 20/1h EMAILS-PER-IP 9/1h ALL 1000/1h PAIR 5/15m LOCK 15m..24h";
    policy(&mut client, &format!("login {rules}"));
    let attempt = "login 203.0.113.7 alice@x.org";
    assert_eq!(admitted(&checks(&mut client, [attempt; 5])), 5);
    let before_lock = server.file_size();
    let tripping = check(&mut client, attempt);
    assert!(!tripping.allowed);
    assert_eq!(tripping.retry_after_ms, 15 * MINUTE);
    let (size, value) = (server.file_size(), digest(&mut client, "login"));
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
    assert_eq!(server.file_size(), size);
    assert_eq!(totals(&mut client, "login", "locks"), vec![0, 0, 0, 0, 1]);
    assert_eq!(totals(&mut client, "login", "refused")[4], 10_001);
}

#[test]
fn an_account_with_ten_failures_stays_shut_for_the_lock_whatever_is_tried_and_opens_whole() {
    let server = Server::start();
    let mut client = server.connect();
    let mut shut = Instant::now();
    retry_until_equal((10, 2_000, 0), || {
        send(&mut client, "DEL login").expect("a number");
        // PRESET pci with seconds for its half hours.
        policy(&mut client, "login EMAIL 10/1s LOCK 2s");
        shut = Instant::now();
        let attempts = (0..11).map(|n| format!("login {} alice@x.org", address(n)));
        let verdicts = checks(&mut client, attempts);
        (admitted(&verdicts), verdicts[10].retry_after_ms, verdicts[10].remaining)
    });
    let mut wait = 2_000;
    for n in 0.. {
        let ip = address(n % 20);
        number(&mut client, &format!("AUTHLIMIT.RESET login {ip} alice@x.org"));
        number(&mut client, &format!("AUTHLIMIT.REFUND login {ip} alice@x.org"));
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
    // What is over leaves the quota whole: ten, and not the eleventh.
    retry_until_equal(10, || {
        wait_until_open(&mut client, "login 203.0.113.7 alice@x.org COST 10");
        admitted(&checks(&mut client, ["login 203.0.113.7 alice@x.org"; 11]))
    });
}

#[test]
fn the_pci_preset_locks_for_half_an_hour() {
    let (_server, mut client) = start_with("PRESET pci");
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
    assert!(verdict.retry_after_ms > 15 * MINUTE);
}

/// Lets the only attempt of the pair in, waiting until it is open, and trips the rule with another; returns the wait.
/// None if the machine was too slow for both to be in one window.
#[track_caller]
fn trip(client: &mut Connection) -> Option<i64> {
    wait_until_open(client, "login 10.0.0.1 a@x.org");
    let verdicts = checks(client, ["login 10.0.0.1 a@x.org"; 2]);
    assert!(verdicts[0].allowed, "{verdicts:?}");
    (!verdicts[1].allowed).then_some(verdicts[1].retry_after_ms)
}

/// Gives the limiter `login` a policy, and forgets all that it has counted.
#[track_caller]
fn begin_again(client: &mut Connection, words: &str) {
    send(client, "DEL login").expect("a number");
    policy(client, &format!("login {words}"));
}

#[test]
fn each_further_lock_is_twice_as_long_up_to_the_longest() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([600, 1_200, 2_000, 2_000].map(Some), || {
        begin_again(&mut client, "PAIR 1/400ms LOCK 600ms..2s");
        [(); 4].map(|()| trip(&mut client))
    });
    assert_eq!(totals(&mut client, "login", "locks"), vec![4]);
}

#[test]
fn a_lock_of_one_length_always_lasts_as_long() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([Some(500); 3], || {
        begin_again(&mut client, "PAIR 1/400ms LOCK 500ms");
        [(); 3].map(|()| trip(&mut client))
    });
}

#[test]
fn strikes_are_forgotten_after_as_long_a_quiet_as_the_last_lock_lasted() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([600, 1_200, 600].map(Some), || {
        begin_again(&mut client, "PAIR 1/400ms LOCK 600ms..1h");
        let before = [(); 2].map(|()| trip(&mut client));
        wait_until_open(&mut client, "login 10.0.0.1 a@x.org");
        sleep(Duration::from_millis(1_250));
        [before[0], before[1], trip(&mut client)]
    });
}

#[test]
fn a_lock_is_kept_over_a_restart_with_its_strikes() {
    let mut server = Server::start();
    retry_until_equal([800, 1_600, 3_200].map(Some), || {
        let mut client = server.connect();
        begin_again(&mut client, "PAIR 1/700ms LOCK 800ms..1h");
        let first = trip(&mut client);
        ok(&mut client, "DEBUG RELOAD");
        let second = trip(&mut client);
        server.restart(Save::Yes);
        let mut client = server.connect();
        if let Some(second) = second {
            let left = peek(&mut client, "login 10.0.0.1 a@x.org").retry_after_ms;
            assert!((0..=second).contains(&left), "{left}");
        }
        [first, second, trip(&mut client)]
    });
}

#[test]
fn an_open_lock_shuts_again_only_after_something_was_admitted() {
    let (_server, mut client) = start_with("PAIR 2/1h LOCK 100ms");
    let attempt = "login 10.0.0.1 a@x.org";
    assert_eq!(admitted(&checks(&mut client, [attempt; 4])), 2);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1]);
    wait_until("the lock opens", || rows(&mut client, attempt)[0].locked_ms == 0);
    // The window is still full.
    assert_eq!(admitted(&checks(&mut client, [attempt; 20])), 0);
    assert_eq!(rows(&mut client, attempt)[0].locked_ms, 0);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1]);
    assert_eq!(number(&mut client, &format!("AUTHLIMIT.REFUND {attempt}")), 1);
    let verdicts = checks(&mut client, [attempt; 2]);
    assert!(verdicts[0].allowed && !verdicts[1].allowed);
    assert_eq!(totals(&mut client, "login", "locks"), vec![2]);
}

#[test]
fn a_lock_shorter_than_the_window_makes_the_wait_no_shorter() {
    let (_server, mut client) = start_with("PAIR 1/1h LOCK 10m");
    let attempt = "login 10.0.0.1 a@x.org";
    let verdict = checks(&mut client, [attempt; 2])[1].clone();
    assert!(verdict.retry_after_ms > HOUR - 10 * MINUTE, "{verdict:?}");
    let row = rows(&mut client, attempt)[0].clone();
    assert!((1..=10 * MINUTE).contains(&row.locked_ms), "{row:?}");
}

#[test]
fn two_locks_of_one_subject_are_two_locks() {
    let (_server, mut client) = start_with("EMAIL 2/1h LOCK 2h EMAIL 3/1h LOCK 4h");
    let attempt = "login 10.0.0.1 a@x.org";
    let wait = checks(&mut client, [attempt; 3])[2].retry_after_ms;
    assert_eq!(wait, 2 * HOUR);
    assert_eq!(rows(&mut client, attempt)[1].locked_ms, 0);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1, 0]);
}

#[test]
fn a_success_lifts_the_pairs_lock_with_its_last_attempt() {
    let (_server, mut client) = start_with("PAIR 3/1h LOCK 2h..8h");
    // The owner of one spelling forgives nothing that was tried on the other.
    let [own, other] = ["login 10.0.0.1 Alice@x.org", "login 10.0.0.1 alice@x.org"];
    let verdicts = checks(&mut client, [own, own, other, own]);
    assert_eq!(verdicts[3].retry_after_ms, 2 * HOUR);
    let reset = |client: &mut Connection, whose: &str| number(client, &format!("AUTHLIMIT.RESET {whose}"));
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
    let (_server, mut client) = start_with("IP 7/1h LOCK 2h EMAIL 3/1h LOCK 2h PAIR 3/1h LOCK 2h");
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
