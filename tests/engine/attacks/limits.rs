//! Limits that change while in use, and the largest limits.

use super::{SUBJECTS, limiter_for, request_for};
use crate::model::Request;
use crate::model::run::{attempt, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset, restored};
use authlimit::policy::Cost;

/// A limit lowered from 10 to 5 with 8 used refuses at once; raised again it admits two.
#[test]
fn a_changed_limit_applies_at_once_to_counted_attempts() {
    for subject in SUBJECTS {
        let mut limiter = limiter_for(subject, 10, 3_600_000);
        let request = request_for(subject);
        for _ in 0..8 {
            assert!(check(&mut limiter, request, NOW).allowed);
        }
        let [wide, narrow] = [10, 5].map(|limit| limiter_for(subject, limit, 3_600_000).policy().clone());
        limiter.change_policy(narrow, time(NOW), |_| {});
        assert!(!check(&mut limiter, request, NOW).allowed);
        limiter.change_policy(wide, time(NOW), |_| {});
        let admitted = (0..5).filter(|_| check(&mut limiter, request, NOW).allowed);
        assert_eq!(admitted.count(), 2, "{subject:?}");
    }
}

/// A policy with the largest limits.
const LARGEST: &str = "IP 100000/30d EMAIL 100000/1h PAIR 100000/15m";

/// One attempt of the largest cost fills the largest limit, and is refunded, counted again, stored and forgiven.
#[test]
fn an_attempt_of_the_largest_cost_is_counted_and_forgiven_whole() {
    let mut limiter = limiter(LARGEST);
    let largest = Request { cost: Cost::MAX.get(), ..request(IPS[0], EMAILS[0]) };
    for _ in 0..3 {
        let verdict = check(&mut limiter, largest, NOW);
        assert_eq!((verdict.allowed, verdict.remaining), (true, Some(0)));
        assert!(!check(&mut limiter, request(IPS[0], EMAILS[0]), NOW).allowed);
        let attempt = attempt(&limiter, &largest).unwrap();
        assert_eq!(limiter.refund(&attempt, time(NOW), |_| {}), 100_000);
    }
    assert!(check(&mut limiter, largest, NOW).allowed);
    let copy = restored(&limiter);
    assert_eq!(copy.digest(), limiter.digest());
    assert!(copy.chunks().count() > 3 * 12);
    assert_eq!(reset(&mut limiter, largest, NOW), 100_000);
}

/// A full log stays within the memory that its limit needs.
#[test]
fn the_memory_of_a_log_is_bounded_by_its_limit() {
    let mut limiter = limiter("IP 100000/100000ms");
    let single = request(IPS[0], EMAILS[0]);
    for at in 0..120_000 {
        let verdict = check(&mut limiter, single, NOW + at);
        assert!(verdict.allowed);
        assert_eq!(verdict.remaining == Some(0), at >= 99_999);
    }
    assert!(!check(&mut limiter, single, NOW + 119_999).allowed);
    assert!(limiter.bytes() < 100_000 * 8 * 5 / 4);
    assert_eq!(reset(&mut limiter, single, NOW + 119_999), 100_000);
}
