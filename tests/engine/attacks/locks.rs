//! Locks hold whatever an attacker tries, and last exactly as long as they say.

use super::{check_text, ip_number};
use crate::model::run::{attempt, large_capacity, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset};
use authlimit::limiter::Limiter;

/// Brute force on a locked pair extends no wait, spends no quota and is not replicated.
#[test]
fn brute_force_on_a_locked_pair_changes_nothing() {
    let mut limiter = limiter("IP 50/15m EMAIL 20/1h PAIR 5/15m LOCK 30m..24h");
    let attacker = request(IPS[0], EMAILS[0]);
    for _ in 0..5 {
        assert!(check(&mut limiter, attacker, NOW).allowed);
    }
    let attempt = attempt(&limiter, &attacker).unwrap();
    let mut effects = 0;
    let mut brute_force =
        |limiter: &mut Limiter, at: u64| limiter.check(&attempt, time(at), large_capacity(), |_| effects += 1);
    // The refusal that sets the lock returns its wait.
    let locking = brute_force(&mut limiter, NOW + 1_000);
    assert_eq!((locking.allowed, locking.retry_after.get()), (false, 1_800_000));
    let digest = limiter.digest();
    for n in 0..10_000 {
        let verdict = brute_force(&mut limiter, NOW + 1_000 + n * 179);
        assert!(!verdict.allowed);
        assert_eq!(verdict.retry_after.get(), 1_800_000 - n * 179);
        assert_eq!(verdict.remaining, 0);
    }
    assert_eq!((effects, limiter.digest()), (1, digest));
    let owner = check(&mut limiter, request(IPS[2], EMAILS[0]), NOW + 2_000);
    assert_eq!((owner.allowed, owner.remaining), (true, 4));
    let opens = NOW + 1_000 + 1_800_000;
    assert!(!limiter.peek(&attempt, time(opens - 1)).allowed);
    let open = limiter.peek(&attempt, time(opens));
    assert_eq!((open.allowed, open.remaining), (true, 5));
}

/// After ten failures an account stays locked for 30 minutes, then has its whole quota.
#[test]
fn an_account_with_the_pci_preset_stays_locked_for_30_minutes() {
    let mut limiter = limiter("PRESET pci");
    let half_an_hour = 1_800_000;
    for n in 0..10 {
        assert!(check_text(&mut limiter, &ip_number(n), EMAILS[0], NOW + n as u64 * 60_000));
    }
    let locked_at = NOW + 10 * 60_000;
    for n in 0..1_800_u64 {
        let at = locked_at + n * 1_000;
        assert!(!check_text(&mut limiter, &ip_number(n as usize), EMAILS[n as usize % 3], at));
        reset(&mut limiter, request(IPS[0], EMAILS[0]), at);
    }
    let victim = attempt(&limiter, &request(IPS[0], EMAILS[0])).unwrap();
    assert!(!limiter.peek(&victim, time(locked_at + half_an_hour - 1)).allowed);
    let open = limiter.peek(&victim, time(locked_at + half_an_hour));
    assert_eq!((open.allowed, open.remaining, open.limit), (true, 10, 10));
}

/// Each repeated lock doubles up to the longest. After a pause as long as the last lock, the doubling starts over.
#[test]
fn each_repeated_lock_doubles_up_to_the_longest() {
    let mut limiter = limiter("PAIR 1/1s LOCK 10s..35s");
    let attacker = request(IPS[0], EMAILS[0]);
    let mut lock_at = |at: u64| {
        assert!(check(&mut limiter, attacker, at).allowed);
        check(&mut limiter, attacker, at).retry_after.get()
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
