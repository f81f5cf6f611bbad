//! The figures of a verdict are true: whoever waits as told is admitted, and nothing is taken back that was not given.

use super::by_device;
use crate::model::Request;
use crate::model::run::{attempt, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset};
use authlimit::limiter::{Limiter, List, ListKey, ListTarget};
use authlimit::policy::Millis;

/// How many attempts the policy's rule number `rule` has left for a request.
fn left(limiter: &Limiter, request: Request, rule: usize, clock: u64) -> u32 {
    let attempt = attempt(limiter, &request).unwrap();
    let status = limiter.rule_statuses(&attempt, time(clock)).nth(rule);
    status.unwrap().remaining
}

/// A refusal that fills another rule says how long that one refuses.
#[test]
fn the_wait_of_a_refusal_includes_what_the_refusal_itself_has_counted() {
    let mut limiter = limiter("PAIR 1/1s EMAIL 2/1h COUNT-DENIED");
    let attacker = request(IPS[0], EMAILS[0]);
    assert!(check(&mut limiter, attacker, NOW).allowed);
    let refused = check(&mut limiter, attacker, NOW + 1);
    assert_eq!((refused.allowed, refused.limit, refused.retry_after), (false, Some(2), Some(Millis::new(3_599_999))));
}

/// PEEK is CHECK without counting, also where the attempt would begin a lock.
#[test]
fn peek_returns_what_check_would_return() {
    let mut limiter = limiter("PAIR 3/1m LOCK 1h EMAIL 2/1h SHADOW");
    let request = request(IPS[0], EMAILS[0]);
    let peeked = attempt(&limiter, &request).unwrap();
    for at in NOW..NOW + 5 {
        let before = limiter.peek(&peeked, time(at));
        assert_eq!(before, check(&mut limiter, request, at));
    }
}

/// A DENY that ends soon does not hide a rule that refuses for longer; a permanent one has no wait.
#[test]
fn a_denial_is_never_shorter_than_what_a_rule_refuses() {
    let mut limiter = limiter("PAIR 1/1h");
    let request = request(IPS[0], EMAILS[0]);
    check(&mut limiter, request, NOW);
    let target = ListTarget::Email(limiter.email_id(EMAILS[0].as_bytes()));
    let key = ListKey { list: List::Deny, target };
    for (ttl, wait) in [(Some(1_000), Some(3_600_000)), (Some(7_200_000), Some(7_200_000)), (None, None)] {
        limiter.list_add(key, ttl.map(Millis::new), time(NOW), |_| {}).unwrap();
        let denied = check(&mut limiter, request, NOW);
        let figures = (denied.allowed, denied.limit, denied.retry_after, denied.reset);
        assert_eq!(figures, (false, None, wait.map(Millis::new), wait.map(Millis::new)));
    }
}

/// COST is an error only where a rule that concerns the attempt could never admit it.
#[test]
fn a_cost_is_compared_with_the_rules_that_concern_the_attempt() {
    let limiter = limiter("EMAIL 3/1h PAIR 2/1h DEVICE 10/1h");
    let costing = |request: Request, cost| attempt(&limiter, &Request { cost, ..request }).is_some();
    assert!(costing(by_device(), 10) && !costing(by_device(), 11));
    let without = Request { device: None, ..by_device() };
    assert!(costing(without, 2) && !costing(without, 3));
}

/// REFUND of a cost above the limit of a rule in shadow takes no earlier attempt with it.
#[test]
fn a_refund_takes_units_of_one_attempt_only() {
    let mut limiter = limiter("PAIR 5/1h SHADOW IP 50/1h");
    let single = request(IPS[0], EMAILS[0]);
    for at in NOW..NOW + 3 {
        check(&mut limiter, single, at);
    }
    let costly = Request { cost: 8, ..single };
    check(&mut limiter, costly, NOW + 3);
    assert_eq!(left(&limiter, single, 0, NOW + 3), 0);
    let refund = attempt(&limiter, &costly).unwrap();
    assert_eq!(limiter.refund(&refund, time(NOW + 4), |_| {}), 8);
    assert_eq!((left(&limiter, single, 0, NOW + 4), left(&limiter, single, 1, NOW + 4)), (5, 47));
    check(&mut limiter, single, NOW + 5);
    check(&mut limiter, single, NOW + 6);
    assert_eq!(limiter.refund(&refund, time(NOW + 7), |_| {}), 1, "the attempt cost 1");
    assert_eq!(left(&limiter, single, 0, NOW + 7), 4);
}

/// A stranger behind the same address does not lock out a device, and a success with it forgives attempts without.
#[test]
fn a_device_is_not_held_by_what_strangers_behind_its_address_fill() {
    let mut limiter = limiter("IP 50/1h PAIR 5/1h LOCK 1h DEVICE 10/1h");
    let without = Request { device: None, ..by_device() };
    for at in NOW..NOW + 6 {
        check(&mut limiter, without, at);
    }
    assert!(!check(&mut limiter, without, NOW + 6).allowed);
    assert!(check(&mut limiter, by_device(), NOW + 6).allowed);
    assert_eq!(reset(&mut limiter, by_device(), NOW + 7), 6);
    assert!(check(&mut limiter, without, NOW + 8).allowed);
}

/// Forgiving one of two spellings of an email leaves the time of the other: neither an earlier nor a later one.
#[test]
fn of_two_spellings_each_keeps_its_own_time() {
    let mut limiter = limiter("EMAILS-PER-IP 1/1m");
    let (one, other) = (request(IPS[0], "victim@x.org"), request(IPS[0], "Victim@x.org"));
    check(&mut limiter, one, NOW);
    check(&mut limiter, other, NOW + 30_000);
    reset(&mut limiter, other, NOW + 40_000);
    let stranger = request(IPS[0], "own@x.org");
    let refused = check(&mut limiter, stranger, NOW + 40_000);
    assert_eq!((refused.allowed, refused.retry_after), (false, Some(Millis::new(20_000))));
    assert!(check(&mut limiter, stranger, NOW + 60_000).allowed);
}
