//! Locks hold whatever is tried, and make nothing longer than they say.

use super::{check_text, ip_number};
use crate::model::run::{attempt, roomy, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset};
use authlimit::limiter::Limiter;

/// Hammering a pair that is shut makes nothing longer, drains nobody's quota and is replicated nowhere.
#[test]
fn hammering_a_locked_pair_changes_nothing() {
    let mut limiter = limiter("IP 50/15m EMAIL 20/1h PAIR 5/15m LOCK 30m..24h");
    let attacker = request(IPS[0], EMAILS[0]);
    for _ in 0..5 {
        assert!(check(&mut limiter, attacker, NOW).allowed);
    }
    let attempt = attempt(&limiter, &attacker).unwrap();
    let mut effects = 0;
    let mut hammer = |limiter: &mut Limiter, at: u64| limiter.check(&attempt, time(at), roomy(), |_| effects += 1);
    // The refusal that trips tells the lock's wait.
    let tripping = hammer(&mut limiter, NOW + 1_000);
    assert_eq!((tripping.allowed, tripping.retry_after.get()), (false, 1_800_000));
    let digest = limiter.digest();
    for n in 0..10_000 {
        let verdict = hammer(&mut limiter, NOW + 1_000 + n * 179);
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

/// After ten failures an account stays shut for 30 minutes whatever is tried, then opens with a whole quota.
#[test]
fn a_pci_account_stays_shut_for_half_an_hour() {
    let mut limiter = limiter("PRESET pci");
    let half_an_hour = 1_800_000;
    for n in 0..10 {
        assert!(check_text(&mut limiter, &ip_number(n), EMAILS[0], NOW + n as u64 * 60_000));
    }
    let shut = NOW + 10 * 60_000;
    for n in 0..1_800_u64 {
        let at = shut + n * 1_000;
        assert!(!check_text(&mut limiter, &ip_number(n as usize), EMAILS[n as usize % 3], at));
        reset(&mut limiter, request(IPS[0], EMAILS[0]), at);
    }
    let victim = attempt(&limiter, &request(IPS[0], EMAILS[0])).unwrap();
    assert!(!limiter.peek(&victim, time(shut + half_an_hour - 1)).allowed);
    let open = limiter.peek(&victim, time(shut + half_an_hour));
    assert_eq!((open.allowed, open.remaining, open.limit), (true, 10, 10));
}

/// Locks double with each strike up to the longest, and strikes are forgotten after as long a quiet as the last
/// lock lasted.
#[test]
fn each_strike_shuts_for_twice_as_long() {
    let mut limiter = limiter("PAIR 1/1s LOCK 10s..35s");
    let attacker = request(IPS[0], EMAILS[0]);
    let mut strike_at = |at: u64| {
        assert!(check(&mut limiter, attacker, at).allowed);
        check(&mut limiter, attacker, at).retry_after.get()
    };
    let mut at = NOW;
    for length in [10_000, 20_000, 35_000, 35_000] {
        assert_eq!(strike_at(at), length);
        at += length;
    }
    // A millisecond short of as long a quiet, and just as long a one.
    at += 34_999;
    assert_eq!(strike_at(at), 35_000);
    assert_eq!(strike_at(at + 35_000 + 35_000), 10_000);
}
