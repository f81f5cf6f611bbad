//! ALLOW and DENY ADD with TTL: list entries that expire.

use crate::support::lists::{decided_by, listed, put, start};
use crate::support::replies::check;
use crate::support::wait_until;
use redis::Connection;
use std::time::{Duration, Instant};

#[test]
fn a_deny_entry_with_a_ttl_returns_the_time_left_and_expires() {
    let (_server, mut client) = start();
    let added = Instant::now();
    put(&mut client, "DENY ADD 192.0.2.0/24 TTL 2");
    put(&mut client, "DENY ADD mallory@x.org TTL 2");
    for (ip, email) in [("192.0.2.7", "a@x.org"), ("10.0.0.1", "mallory@x.org")] {
        let mut wait = 2_000;
        wait_until("the entry expires", || {
            let verdict = check(&mut client, ip, email);
            if verdict.allowed {
                assert_eq!((verdict.rule.as_str(), verdict.remaining), ("PAIR 2/1h", 1));
                return true;
            }
            assert_eq!(verdict.rule, "DENY");
            assert_eq!(verdict.retry_after_ms, verdict.reset_ms);
            assert!((1..=wait).contains(&verdict.retry_after_ms), "{verdict:?}");
            wait = verdict.retry_after_ms;
            false
        });
        // Both clocks are truncated to whole milliseconds.
        assert!(added.elapsed() >= Duration::from_millis(1_998));
    }
    assert_eq!(listed(&mut client, "DENY"), (vec![], 0));
    assert_eq!(put(&mut client, "DENY DEL 192.0.2.0/24"), 0);
    assert_eq!(put(&mut client, "DENY ADD mallory@x.org"), 1);
}

#[test]
fn an_allow_entry_with_a_ttl_expires_and_never_sets_retry_after() {
    let (_server, mut client) = start();
    put(&mut client, "ALLOW ADD 192.0.2.7 TTL 1");
    wait_until("the entry expires", || {
        let verdict = check(&mut client, "192.0.2.7", "a@x.org");
        assert_eq!(verdict.retry_after_ms, 0);
        verdict.rule == "PAIR 2/1h"
    });
}

#[test]
fn a_wider_network_decides_again_after_the_narrower_entry_expires() {
    let (_server, mut client) = start();
    put(&mut client, "ALLOW ADD 192.0.2.0/24");
    wait_until("the narrower entry decides", || {
        put(&mut client, "DENY ADD 192.0.2.7 TTL 1");
        decided_by(&mut client, "192.0.2.7", "a@x.org") == "DENY"
    });
    wait_until("the narrower entry expires", || decided_by(&mut client, "192.0.2.7", "a@x.org") == "ALLOW");
}

#[test]
fn adding_an_entry_again_replaces_its_ttl() {
    let (_server, mut client) = start();
    let left = |client: &mut Connection| listed(client, "DENY").0[0].1;
    put(&mut client, "DENY ADD 192.0.2.7 TTL 100000");
    assert!((90_000_000..=100_000_000).contains(&left(&mut client)));
    put(&mut client, "DENY ADD 192.0.2.7 TTL 500000");
    assert!((490_000_000..=500_000_000).contains(&left(&mut client)));
    put(&mut client, "DENY ADD 192.0.2.7");
    assert_eq!(left(&mut client), -1);
    let verdict = check(&mut client, "192.0.2.7", "a@x.org");
    assert_eq!((verdict.retry_after_ms, verdict.reset_ms), (-1, -1));
    put(&mut client, "DENY ADD 192.0.2.7 TTL 315360000");
    assert!(left(&mut client) > 315_000_000_000);
}
