//! Botnets and spraying: many IPs against one email, and one IP against many emails.

use super::{by_device, check_text, email_number, ip_number};
use crate::model::Request;
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset};

/// One IP tries 10000 emails, once each.
#[test]
fn a_spray_from_one_ip_reaches_no_more_emails_than_the_limit() {
    let mut limiter = limiter("EMAILS-PER-IP 15/5m");
    let admits = |number: &usize| check_text(&mut limiter, IPS[0], &email_number(*number), NOW + *number as u64);
    assert_eq!((0..10_000).filter(admits).count(), 15);
    // It may retry emails it already tried. Another email is admitted only once one of them has left the window.
    assert!(check_text(&mut limiter, IPS[0], &email_number(0), NOW + 10_000));
    assert!(!check_text(&mut limiter, IPS[0], &email_number(100), NOW + 300_000));
    assert!(check_text(&mut limiter, IPS[0], &email_number(100), NOW + 300_001));
    assert!(check_text(&mut limiter, IPS[2], &email_number(101), NOW + 10_000));
}

/// 10000 IPs try one email, once each.
#[test]
fn a_botnet_reaches_one_email_from_no_more_ips_than_the_limit() {
    let mut limiter = limiter("IPS-PER-EMAIL 20/1h");
    let admits = |number: &usize| check_text(&mut limiter, &ip_number(*number), EMAILS[0], NOW + *number as u64);
    assert_eq!((0..10_000).filter(admits).count(), 20);
    assert!(check_text(&mut limiter, &ip_number(19), EMAILS[0], NOW + 10_000));
    assert!(check_text(&mut limiter, &ip_number(20), EMAILS[3], NOW + 10_000));
}

/// When a botnet exhausts the limits of an email, its owner gets in with a device, and only with one.
#[test]
fn a_botnet_does_not_lock_out_an_owner_with_a_device() {
    let words = "EMAIL 20/1h LOCK 1h..24h IPS-PER-EMAIL 10/1h DEVICE 5/1h";
    let mut limiter = limiter(words);
    for number in 0..100 {
        check_text(&mut limiter, &ip_number(number), EMAILS[0], NOW);
    }
    let owner = request(IPS[0], EMAILS[0]);
    let with_device = Request { device: Some("phone"), ..owner };
    assert!(!check(&mut limiter, owner, NOW).allowed);
    let verdict = check(&mut limiter, with_device, NOW);
    assert_eq!((verdict.allowed, verdict.limit, verdict.remaining), (true, Some(5), Some(4)));
    // The attempt counts only on the device, which has its own limit.
    let before = check(&mut limiter, owner, NOW);
    for _ in 0..4 {
        assert!(check(&mut limiter, with_device, NOW).allowed);
    }
    assert!(!check(&mut limiter, with_device, NOW).allowed);
    assert_eq!(check(&mut limiter, owner, NOW), before);
    assert_eq!(reset(&mut limiter, with_device, NOW), 5);
    assert!(check(&mut limiter, with_device, NOW).allowed);
    // Each device has its own log.
    let other = Request { device: Some("laptop"), ..owner };
    assert_eq!(check(&mut limiter, other, NOW).remaining, Some(4));
}

/// A DEVICE rule in shadow does not bypass the email rules.
#[test]
fn a_device_rule_in_shadow_bypasses_no_rule() {
    let mut limiter = limiter("EMAIL 1/1h DEVICE 5/1h SHADOW");
    assert!(check(&mut limiter, by_device(), NOW).allowed);
    assert!(!check(&mut limiter, by_device(), NOW).allowed);
}
