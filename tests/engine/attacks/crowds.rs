//! Many addresses on one email, and one address on many.

use super::{by_device, check_text, email_number, ip_number};
use crate::model::Request;
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset};

/// One address tries 10000 emails, once each.
#[test]
fn spraying_reaches_no_more_emails_than_the_limit() {
    let mut limiter = limiter("EMAILS-PER-IP 15/5m");
    let admits = |number: &usize| check_text(&mut limiter, IPS[0], &email_number(*number), NOW + *number as u64);
    assert_eq!((0..10_000).filter(admits).count(), 15);
    // Those it has tried it may try again, and the first one only makes room when it is not tried any more.
    assert!(check_text(&mut limiter, IPS[0], &email_number(0), NOW + 10_000));
    assert!(!check_text(&mut limiter, IPS[0], &email_number(100), NOW + 300_000));
    assert!(check_text(&mut limiter, IPS[0], &email_number(100), NOW + 300_001));
    assert!(check_text(&mut limiter, IPS[2], &email_number(101), NOW + 10_000));
}

/// 10000 addresses try one email, once each.
#[test]
fn one_email_is_reached_by_no_more_addresses_than_the_limit() {
    let mut limiter = limiter("IPS-PER-EMAIL 20/1h");
    let admits = |number: &usize| check_text(&mut limiter, &ip_number(*number), EMAILS[0], NOW + *number as u64);
    assert_eq!((0..10_000).filter(admits).count(), 20);
    assert!(check_text(&mut limiter, &ip_number(19), EMAILS[0], NOW + 10_000));
    assert!(check_text(&mut limiter, &ip_number(20), EMAILS[3], NOW + 10_000));
}

/// However many addresses fill the email's rules, its owner gets in with a device, and only with one.
#[test]
fn strangers_do_not_shut_out_an_owner_with_a_device() {
    let words = "EMAIL 20/1h LOCK 1h..24h IPS-PER-EMAIL 10/1h DEVICE 5/1h";
    let mut limiter = limiter(words);
    for number in 0..100 {
        check_text(&mut limiter, &ip_number(number), EMAILS[0], NOW);
    }
    let owner = request(IPS[0], EMAILS[0]);
    let with_device = Request { device: Some("phone"), ..owner };
    assert!(!check(&mut limiter, owner, NOW).allowed);
    let verdict = check(&mut limiter, with_device, NOW);
    assert_eq!((verdict.allowed, verdict.limit, verdict.remaining), (true, 5, 4));
    // It is counted on the device alone, which has a limit of its own.
    let before = check(&mut limiter, owner, NOW);
    for _ in 0..4 {
        assert!(check(&mut limiter, with_device, NOW).allowed);
    }
    assert!(!check(&mut limiter, with_device, NOW).allowed);
    assert_eq!(check(&mut limiter, owner, NOW), before);
    assert_eq!(reset(&mut limiter, with_device, NOW), 5);
    assert!(check(&mut limiter, with_device, NOW).allowed);
    // A device of somebody else's is a device all the same, and another one has its own log.
    let other = Request { device: Some("laptop"), ..owner };
    assert_eq!(check(&mut limiter, other, NOW).remaining, 4);
}

/// Rules for devices that are only tried out let nobody past the others.
#[test]
fn a_device_rule_in_shadow_takes_no_rules_place() {
    let mut limiter = limiter("EMAIL 1/1h DEVICE 5/1h SHADOW");
    assert!(check(&mut limiter, by_device(), NOW).allowed);
    assert!(!check(&mut limiter, by_device(), NOW).allowed);
}
