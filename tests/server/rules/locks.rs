//! LOCK: how rules lock, open again, double the lock time, and are unlocked by a successful login.

use crate::support::replies::{ok, send};
use crate::support::rules::{
    HOUR, MINUTE, address, admitted, check, checks, number, policy, remaining, rows, start_with, totals,
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
    assert_eq!(admitted(&checks(&mut client, [attempt; 4])), 4);
    let locking = check(&mut client, attempt);
    assert_eq!((locking.allowed, locking.remaining, locking.retry_after_ms), (true, 0, 15 * MINUTE));
    let (size, value) = (server.file_size(), digest(&mut client, "login"));
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
    assert_eq!(totals(&mut client, "login", "refused")[4], 10_000);
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
        (admitted(&verdicts), verdicts[9].retry_after_ms, verdicts[9].remaining)
    });
    let mut wait = 2_000;
    for n in 0.. {
        let ip = address(n % 20);
        // Not by the address whose attempt began the lock.
        if ip != address(9) {
            number(&mut client, &format!("AUTHLIMIT.RESET login {ip} alice@x.org"));
            number(&mut client, &format!("AUTHLIMIT.REFUND login {ip} alice@x.org"));
        }
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
    let verdicts = checks(&mut client, attempts);
    assert_eq!(admitted(&verdicts), 10);
    assert_eq!(verdicts[9].retry_after_ms, 30 * MINUTE);
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org");
    assert_eq!(verdict.rule, "EMAIL 10/30m LOCK 30m");
    // RESET forgives the attempts, and unlocks the email only for whose attempt began the lock.
    for n in 0..9 {
        let line = format!("AUTHLIMIT.RESET login {} alice@x.org", address(n));
        assert_eq!(number(&mut client, &line), 1);
    }
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org");
    assert!(!verdict.allowed);
    assert!(verdict.retry_after_ms > 15 * MINUTE);
    number(&mut client, &format!("AUTHLIMIT.RESET login {} alice@x.org", address(9)));
    assert!(check(&mut client, "login 203.0.113.7 alice@x.org").allowed);
}

/// Waits until the pair is open, and spends its only attempt, which locks it; returns the wait.
#[track_caller]
fn spend_and_lock(client: &mut Connection) -> i64 {
    wait_until_open(client, "login 10.0.0.1 a@x.org");
    let verdict = check(client, "login 10.0.0.1 a@x.org");
    assert!(verdict.allowed, "{verdict:?}");
    verdict.retry_after_ms
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
    retry_until_equal([600, 1_200, 2_000, 2_000], || {
        recreate_limiter(&mut client, "PAIR 1/400ms LOCK 600ms..2s");
        [(); 4].map(|()| spend_and_lock(&mut client))
    });
    assert_eq!(totals(&mut client, "login", "locks"), vec![4]);
}

#[test]
fn a_lock_without_a_range_always_lasts_the_same_time() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([500; 3], || {
        recreate_limiter(&mut client, "PAIR 1/400ms LOCK 500ms");
        [(); 3].map(|()| spend_and_lock(&mut client))
    });
}

#[test]
fn the_lock_time_starts_over_after_a_pause_as_long_as_the_last_lock() {
    let server = Server::start();
    let mut client = server.connect();
    retry_until_equal([600, 1_200, 600], || {
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
    retry_until_equal([800, 1_600, 3_200], || {
        let mut client = server.connect();
        recreate_limiter(&mut client, "PAIR 1/700ms LOCK 800ms..1h");
        let first = spend_and_lock(&mut client);
        ok(&mut client, "DEBUG RELOAD");
        let second = spend_and_lock(&mut client);
        server.restart(Save::Yes);
        let mut client = server.connect();
        let left = rows(&mut client, "login 10.0.0.1 a@x.org")[0].locked_ms;
        assert!((0..=second).contains(&left), "{left}");
        [first, second, spend_and_lock(&mut client)]
    });
}

#[test]
fn two_rules_of_one_subject_lock_separately() {
    let (_server, mut client) = start_with("EMAIL 2/1h LOCK 2h EMAIL 3/1h LOCK 4h");
    let attempt = "login 10.0.0.1 a@x.org";
    let wait = checks(&mut client, [attempt; 2])[1].retry_after_ms;
    assert_eq!(wait, 2 * HOUR);
    assert_eq!(rows(&mut client, attempt)[1].locked_ms, 0);
    assert_eq!(totals(&mut client, "login", "locks"), vec![1, 0]);
}

#[test]
fn a_successful_login_unlocks_the_pair_once_all_its_attempts_are_forgiven() {
    let (_server, mut client) = start_with("PAIR 3/1h LOCK 2h..8h");
    // RESET with one spelling of the email does not forgive attempts with the other.
    let [own, other] = ["login 10.0.0.1 Alice@x.org", "login 10.0.0.1 alice@x.org"];
    let verdicts = checks(&mut client, [own, own, other]);
    assert_eq!(verdicts[2].retry_after_ms, 2 * HOUR);
    let reset = |client: &mut Connection, attempt: &str| number(client, &format!("AUTHLIMIT.RESET {attempt}"));
    assert_eq!(reset(&mut client, own), 2);
    assert!(!check(&mut client, own).allowed, "the other spelling began the lock");
    assert_eq!(reset(&mut client, other), 1);
    assert_eq!(rows(&mut client, own)[0].remaining, 3);
    // The doubling is cleared, too.
    let verdicts = checks(&mut client, [own; 4]);
    assert_eq!(admitted(&verdicts), 3);
    assert_eq!(verdicts[2].retry_after_ms, 2 * HOUR);
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
    assert_eq!(locked, [true, false, false], "of the address, whose lock another email's attempt began: {after:?}");
}

#[test]
fn removing_lock_from_a_policy_unlocks_its_identities() {
    let server = Server::start();
    let mut client = server.connect();
    let attempt = "login 10.0.0.1 a@x.org";
    policy(&mut client, "login PAIR 2/1h LOCK 2h");
    checks(&mut client, [attempt; 2]);
    policy(&mut client, "login IP 9/1h LOCK 1h PAIR 2/1h LOCK 3h..4h PAIR 4/1h");
    let verdict = check(&mut client, attempt);
    assert!(!verdict.allowed && verdict.retry_after_ms <= 2 * HOUR, "the lock stays as it is: {verdict:?}");
    policy(&mut client, "login PAIR 2/1h PAIR 4/1h");
    let verdict = check(&mut client, attempt);
    assert!(!verdict.allowed && verdict.retry_after_ms <= HOUR, "only the window refuses: {verdict:?}");
    policy(&mut client, "login PAIR 4/1h");
    let verdict = check(&mut client, attempt);
    assert_eq!((verdict.allowed, verdict.remaining), (true, 1));
}

#[test]
fn a_lock_and_the_counts_of_refused_attempts_follow_their_rule_through_a_policy_change() {
    let (_server, mut client) = start_with("PAIR 3/1h LOCK 1h PAIR 2/1h LOCK 2h EMAIL 1/1h EMAIL 9/1h COUNT-DENIED");
    let attempt = "login 10.0.0.1 a@x.org";
    policy(&mut client, "login PAIR 3/1h LOCK 1h PAIR 2/1h LOCK 2h EMAIL 5/2h COUNT-DENIED EMAIL 9/1h COUNT-DENIED");
    checks(&mut client, [attempt; 4]);
    let locked =
        |client: &mut Connection| rows(client, attempt).iter().map(|row| row.locked_ms > 0).collect::<Vec<_>>();
    assert_eq!(locked(&mut client), [false, true, false, false]);
    // The first LOCK rule and the first COUNT-DENIED rule of their subjects go.
    policy(&mut client, "login EMAIL 9/1h COUNT-DENIED PAIR 2/1h LOCK 2h");
    let rows = rows(&mut client, attempt);
    assert_eq!((rows[0].remaining, rows[1].locked_ms > 0), (5, true), "{rows:?}");
}

#[test]
fn an_unlock_of_the_email_unlocks_its_pairs_and_one_of_all_the_limiter() {
    let (_server, mut client) = start_with("PAIR 2/1h LOCK 2h EMAIL 50/1h ALL 4/1h LOCK 3h DEVICE 1/1h");
    let (one, other) = ("login 10.0.0.1 a@x.org", "login 10.0.0.2 a@x.org");
    assert_eq!(admitted(&checks(&mut client, [one, one, other, other, other])), 4);
    let unlock = |client: &mut Connection, of: &str| number(client, &format!("AUTHLIMIT.UNLOCK login {of}"));
    sleep(Duration::from_millis(2));
    assert_eq!(unlock(&mut client, "EMAIL a@x.org"), 2);
    let locked = |client: &mut Connection| rows(client, other).iter().map(|row| row.locked_ms > 0).collect::<Vec<_>>();
    assert_eq!(locked(&mut client), [false, false, true, false]);
    assert_eq!(rows(&mut client, one)[0].remaining, 2);
    assert!(!check(&mut client, one).allowed, "ALL is locked");
    assert_eq!(unlock(&mut client, "ALL"), 1);
    assert_eq!(admitted(&checks(&mut client, [one; 3])), 2);
    let by_device = "login 10.0.0.1 a@x.org DEVICE phone";
    assert_eq!(admitted(&checks(&mut client, [by_device; 2])), 1);
    assert_eq!(unlock(&mut client, "DEVICE phone"), 1);
    assert!(check(&mut client, by_device).allowed);
}
