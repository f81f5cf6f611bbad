//! LOCK: how rules lock, open again, double the lock time, and are unlocked by a successful login.

use crate::support::replies::{ok, send};
use crate::support::rules::{
    HOUR, MINUTE, address, admitted, check, checks, number, peek, policy, remaining, rows, start_with, totals,
    wait_until_open,
};
use crate::support::{Save, Server, digest, retry_until_equal};
use redis::Connection;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn brute_force_on_a_locked_pair_changes_nothing() {
    let server = Server::builder().aof("yes").start();
    let mut client = server.connect();
    let rules = "IP 50/1h EMAIL 20/1h EMAILS-PER-IP 9/1h ALL 1000/1h PAIR 5/15m LOCK 15m..24h";
    policy(&mut client, &format!("login {rules}"));
    let attempt = "login 203.0.113.7 alice@x.org";
    assert_eq!(admitted(&checks(&mut client, [attempt; 5])), 5);
    let before_lock = server.file_size();
    let locking = check(&mut client, attempt);
    assert!(!locking.allowed);
    assert_eq!(locking.retry_after_ms, 15 * MINUTE);
    let (size, value) = (server.file_size(), digest(&mut client, "login"));
    assert!(before_lock < size, "the lock is written to the AOF");
    let left = remaining(&mut client, attempt);
    assert_eq!(left, vec![45, 15, 8, 995, 0]);
    let mut wait = locking.retry_after_ms;
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
fn a_locked_account_stays_locked_for_the_lock_time_then_has_its_whole_quota() {
    let server = Server::start();
    let mut client = server.connect();
    let mut locked_at = Instant::now();
    retry_until_equal((10, 2_000, 0), || {
        send(&mut client, "DEL login").expect("a number");
        // PRESET pci with seconds instead of half hours.
        policy(&mut client, "login EMAIL 10/1s LOCK 2s");
        locked_at = Instant::now();
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
    // Both clocks round down to whole milliseconds.
    assert!(locked_at.elapsed() >= Duration::from_millis(1_998));
    // After the lock the whole quota is available: ten attempts, and the eleventh is refused.
    retry_until_equal(10, || {
        wait_until_open(&mut client, "login 203.0.113.7 alice@x.org COST 10");
        admitted(&checks(&mut client, ["login 203.0.113.7 alice@x.org"; 11]))
    });
}

#[test]
fn the_pci_preset_locks_for_30_minutes() {
    let (_server, mut client) = start_with("PRESET pci");
    let attempts = (0..10).map(|n| format!("login {} alice@x.org", address(n)));
    assert_eq!(admitted(&checks(&mut client, attempts)), 10);
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org");
    assert_eq!(verdict.retry_after_ms, 30 * MINUTE);
    assert_eq!(verdict.rule, "EMAIL 10/30m LOCK 30m");
    // RESET forgives the attempts but does not unlock the email.
    for n in 0..10 {
        let line = format!("AUTHLIMIT.RESET login {} alice@x.org", address(n));
        assert_eq!(number(&mut client, &line), 1);
    }
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org");
    assert!(!verdict.allowed);
    assert!(verdict.retry_after_ms > 15 * MINUTE);
}

/// Waits until the pair is open, spends its only attempt, and locks it with another; returns the wait. `None` if the
/// machine was too slow for both attempts to be in one window.
#[track_caller]
fn spend_and_lock(client: &mut Connection) -> Option<i64> {
    wait_until_open(client, "login 10.0.0.1 a@x.org");
    let verdicts = checks(client, ["login 10.0.0.1 a@x.org"; 2]);
    assert!(verdicts[0].allowed, "{verdicts:?}");
    (!verdicts[1].allowed).then_some(verdicts[1].retry_after_ms)
}

/// Recreates the limiter `login` with a policy and no counted attempts.
#[track_caller]
fn recreate_limiter(client: &mut Connection, words: &str) {
    send(client, "DEL login").expect("a number");
    policy(client, &format!("login {words}"));
}

#[test]
fn each_repeated_lock_doubles_up_to_the_longest() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([600, 1_200, 2_000, 2_000].map(Some), || {
        recreate_limiter(&mut client, "PAIR 1/400ms LOCK 600ms..2s");
        [(); 4].map(|()| spend_and_lock(&mut client))
    });
    assert_eq!(totals(&mut client, "login", "locks"), vec![4]);
}

#[test]
fn a_lock_without_a_range_always_lasts_the_same_time() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([Some(500); 3], || {
        recreate_limiter(&mut client, "PAIR 1/400ms LOCK 500ms");
        [(); 3].map(|()| spend_and_lock(&mut client))
    });
}

#[test]
fn the_lock_time_starts_over_after_a_pause_as_long_as_the_last_lock() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([600, 1_200, 600].map(Some), || {
        recreate_limiter(&mut client, "PAIR 1/400ms LOCK 600ms..1h");
        let before = [(); 2].map(|()| spend_and_lock(&mut client));
        wait_until_open(&mut client, "login 10.0.0.1 a@x.org");
        sleep(Duration::from_millis(1_250));
        [before[0], before[1], spend_and_lock(&mut client)]
    });
}

#[test]
fn a_restart_keeps_locks_and_their_doubling() {
    let mut server = Server::start();
    retry_until_equal([800, 1_600, 3_200].map(Some), || {
        let mut client = server.connect();
        recreate_limiter(&mut client, "PAIR 1/700ms LOCK 800ms..1h");
        let first = spend_and_lock(&mut client);
        ok(&mut client, "DEBUG RELOAD");
        let second = spend_and_lock(&mut client);
        server.restart(Save::Yes);
        let mut client = server.connect();
        if let Some(second) = second {
            let left = peek(&mut client, "login 10.0.0.1 a@x.org").retry_after_ms;
            assert!((0..=second).contains(&left), "{left}");
        }
        [first, second, spend_and_lock(&mut client)]
    });
}

#[test]
fn two_rules_of_one_subject_lock_separately() {
    let (_server, mut client) = start_with("EMAIL 2/1h LOCK 2h EMAIL 3/1h LOCK 4h");
    let attempt = "login 10.0.0.1 a@x.org";
    let wait = checks(&mut client, [attempt; 3])[2].retry_after_ms;
    assert_eq!(wait, 2 * HOUR);
    assert_eq!(rows(&mut client, attempt)[1].locked_ms, 0);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1, 0]);
}

#[test]
fn a_successful_login_unlocks_the_pair_once_all_its_attempts_are_forgiven() {
    let (_server, mut client) = start_with("PAIR 3/1h LOCK 2h..8h");
    // RESET with one spelling of the email does not forgive attempts with the other.
    let [own, other] = ["login 10.0.0.1 Alice@x.org", "login 10.0.0.1 alice@x.org"];
    let verdicts = checks(&mut client, [own, own, other, own]);
    assert_eq!(verdicts[3].retry_after_ms, 2 * HOUR);
    let reset = |client: &mut Connection, attempt: &str| number(client, &format!("AUTHLIMIT.RESET {attempt}"));
    assert_eq!(reset(&mut client, own), 2);
    assert!(!check(&mut client, own).allowed, "one attempt is still counted");
    assert_eq!(reset(&mut client, other), 1);
    assert_eq!(peek(&mut client, own).remaining, 3);
    // The doubling is cleared, too.
    let verdicts = checks(&mut client, [own; 4]);
    assert_eq!(admitted(&verdicts), 3);
    assert_eq!(verdicts[3].retry_after_ms, 2 * HOUR);
}

#[test]
fn logging_in_to_ones_own_account_unlocks_no_other_account() {
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
fn removing_lock_from_a_policy_unlocks_its_identities() {
    let server = Server::start();
    let mut client = server.connect();
    let attempt = "login 10.0.0.1 a@x.org";
    policy(&mut client, "login PAIR 2/1h LOCK 2h");
    checks(&mut client, [attempt; 3]);
    policy(&mut client, "login PAIR 4/1h LOCK 2h");
    assert!(!check(&mut client, attempt).allowed, "a policy change keeps the lock");
    policy(&mut client, "login PAIR 4/1h");
    let verdict = check(&mut client, attempt);
    assert_eq!((verdict.allowed, verdict.remaining), (true, 1));
}
