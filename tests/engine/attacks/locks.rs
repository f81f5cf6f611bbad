//! Locks hold whatever an attacker tries, and last exactly as long as they say.

use super::{check_text, ip_number};
use crate::model::run::{attempt, large_capacity, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset};
use authlimit::limiter::Limiter;
use authlimit::policy::Millis;

/// Brute force on a locked pair extends no wait, spends no quota and is not replicated.
#[test]
fn brute_force_on_a_locked_pair_changes_nothing() {
    let mut limiter = limiter("IP 50/15m EMAIL 20/1h PAIR 5/15m LOCK 30m..24h");
    let attacker = request(IPS[0], EMAILS[0]);
    for _ in 0..4 {
        assert!(check(&mut limiter, attacker, NOW).allowed);
    }
    // The attempt that takes the last of the quota begins the lock and returns its wait.
    let locking = check(&mut limiter, attacker, NOW + 1_000);
    let figures = (locking.allowed, locking.remaining, locking.retry_after);
    assert_eq!(figures, (true, Some(0), Some(Millis::new(1_800_000))));
    let attempt = attempt(&limiter, &attacker).unwrap();
    let mut effects = 0;
    let mut brute_force =
        |limiter: &mut Limiter, at: u64| limiter.check(&attempt, time(at), large_capacity(), |_| effects += 1);
    let digest = limiter.digest();
    for n in 0..10_000 {
        let verdict = brute_force(&mut limiter, NOW + 1_000 + n * 179);
        assert!(!verdict.allowed);
        assert_eq!(verdict.retry_after.unwrap().get(), 1_800_000 - n * 179);
        assert_eq!(verdict.remaining, Some(0));
    }
    assert_eq!((effects, limiter.digest()), (0, digest));
    let owner = check(&mut limiter, request(IPS[2], EMAILS[0]), NOW + 2_000);
    assert_eq!((owner.allowed, owner.remaining), (true, Some(4)));
    let opens = NOW + 1_000 + 1_800_000;
    assert!(!limiter.peek(&attempt, time(opens - 1)).allowed);
    let open = limiter.peek(&attempt, time(opens));
    assert_eq!((open.allowed, open.remaining), (true, Some(4)));
}

/// How many guesses an attacker gets in a month who tries each minute, and how many one who waits as told.
fn guesses_a_month(words: &str) -> [u64; 2] {
    const MONTH: u64 = 30 * 86_400_000;
    [false, true].map(|waits_as_told| {
        let (mut limiter, attacker) = (limiter(words), request(IPS[0], EMAILS[0]));
        let (mut at, mut guesses) = (NOW, 0);
        while at < NOW + MONTH {
            let verdict = check(&mut limiter, attacker, at);
            guesses += u64::from(verdict.allowed);
            at += if waits_as_told { verdict.retry_after.unwrap().get() } else { 60_000 };
        }
        guesses
    })
}

/// A lock holds whoever stops at the limit and waits like whoever runs into it.
#[test]
fn waiting_as_told_gets_no_more_guesses_past_a_lock() {
    let [impatient, patient] = guesses_a_month("PAIR 5/15m LOCK 15m..24h");
    assert!(patient.abs_diff(impatient) <= 10, "{patient} and {impatient}");
    assert!(patient < 200, "{patient}");
}

/// A further rule of the same subject, whose limit is not below the lock's, admits no more over time: strikes are not
/// forgotten while it refuses.
#[test]
fn a_further_rule_beside_a_lock_admits_no_more() {
    let alone = guesses_a_month("PAIR 5/15m LOCK 15m..24h");
    for further in ["PAIR 15/24h", "PAIR 5/24h", "PAIR 40/7d", "EMAIL 20/24h"] {
        let both = guesses_a_month(&format!("PAIR 5/15m LOCK 15m..24h {further}"));
        for (both, alone) in both.into_iter().zip(alone) {
            assert!(both * 10 <= alone * 11, "{further}: {both} instead of {alone}");
        }
    }
}

/// A success lifts the lock that its own attempt began, with its strike, also when the attempt has left its window; it
/// does not lift a lock that a stranger began.
#[test]
fn a_success_lifts_the_lock_that_its_own_attempts_began() {
    let mut limiter = limiter("EMAIL 3/1m LOCK 1h..8h PAIR 3/1m LOCK 1h..8h");
    let (owner, stranger) = (request(IPS[0], EMAILS[0]), request(IPS[2], EMAILS[0]));
    for n in 0..3 {
        assert!(check(&mut limiter, owner, NOW + n).allowed);
    }
    let later = NOW + 600_000;
    assert!(!check(&mut limiter, owner, later).allowed);
    assert_eq!(reset(&mut limiter, owner, later), 0);
    for n in 0..3 {
        assert!(check(&mut limiter, stranger, later + n).allowed);
    }
    // The strike has gone with the lock: this one is the first again.
    let locked = check(&mut limiter, owner, later + 2);
    assert_eq!((locked.allowed, locked.retry_after), (false, Some(Millis::new(3_600_000))));
    reset(&mut limiter, owner, later + 3);
    assert!(!check(&mut limiter, owner, later + 3).allowed);
}

/// REFUND of the attempt that began a lock lifts it; of another one it does not.
#[test]
fn refunding_the_attempt_that_began_a_lock_lifts_it() {
    let mut limiter = limiter("PAIR 2/1m LOCK 1h");
    let owner = request(IPS[0], EMAILS[0]);
    check(&mut limiter, owner, NOW);
    check(&mut limiter, owner, NOW + 1);
    let attempt = attempt(&limiter, &owner).unwrap();
    assert!(!limiter.peek(&attempt, time(NOW + 2)).allowed);
    assert_eq!(limiter.refund(&attempt, time(NOW + 2), |_| {}), 1);
    assert!(limiter.peek(&attempt, time(NOW + 2)).allowed);
    check(&mut limiter, owner, NOW + 3);
    assert!(!limiter.peek(&attempt, time(NOW + 70_000)).allowed);
    assert_eq!(limiter.refund(&attempt, time(NOW + 70_000), |_| {}), 0);
    assert!(!limiter.peek(&attempt, time(NOW + 70_000)).allowed);
}

/// After ten failures an account stays locked for 30 minutes, then has its whole quota.
#[test]
fn an_account_with_the_pci_preset_stays_locked_for_30_minutes() {
    let mut limiter = limiter("PRESET pci");
    let half_an_hour = 1_800_000;
    let locked_at = NOW + 9 * 60_000;
    for n in 0..10 {
        assert!(check_text(&mut limiter, &ip_number(n), EMAILS[0], NOW + n as u64 * 60_000));
    }
    for n in 0..1_800_u64 {
        let at = locked_at + n * 1_000;
        assert!(!check_text(&mut limiter, &ip_number(n as usize), EMAILS[n as usize % 3], at));
        reset(&mut limiter, request(IPS[0], EMAILS[0]), at);
    }
    let victim = attempt(&limiter, &request(IPS[0], EMAILS[0])).unwrap();
    assert!(!limiter.peek(&victim, time(locked_at + half_an_hour - 1)).allowed);
    let open = limiter.peek(&victim, time(locked_at + half_an_hour));
    assert_eq!((open.allowed, open.remaining, open.limit), (true, Some(9), Some(10)));
}

/// Each repeated lock doubles up to the longest. After a pause as long as the last lock, the doubling starts over.
#[test]
fn each_repeated_lock_doubles_up_to_the_longest() {
    let mut limiter = limiter("PAIR 1/1s LOCK 10s..35s");
    let attacker = request(IPS[0], EMAILS[0]);
    let mut lock_at = |at: u64| {
        let verdict = check(&mut limiter, attacker, at);
        assert!(verdict.allowed);
        verdict.retry_after.unwrap().get()
    };
    let mut at = NOW;
    for length in [10_000, 20_000, 35_000, 35_000] {
        assert_eq!(lock_at(at), length);
        at += length;
    }
    // First a pause one millisecond too short, then one exactly long enough.
    at += 34_999;
    assert_eq!(lock_at(at), 35_000);
    assert_eq!(lock_at(at + 35_000 + 35_000), 10_000);
}
