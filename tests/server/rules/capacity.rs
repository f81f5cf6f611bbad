//! CAPACITY: a limiter stores a bounded number of identities and evicts the least dangerous first.

use crate::support::replies::{send, text};
use crate::support::rules::{
    HOUR, address, admitted, check, checks, info, int, number, policy, remaining, rows, start_with, usage,
};
use crate::support::{Server, retry_until_equal, wait_until};
use redis::{Connection, Value};

#[test]
fn at_capacity_locked_identities_are_kept_and_others_are_evicted() {
    let (_server, mut client) = start_with("EMAIL 2/1h LOCK 2h CAPACITY 200");
    for n in 0..50 {
        let attempt = format!("login 10.0.0.1 locked{n}@x.org");
        assert_eq!(admitted(&checks(&mut client, vec![attempt; 3])), 2);
    }
    let spray = (0..10_000).map(|n| format!("login 10.0.0.1 u{n}@x.org"));
    assert_eq!(admitted(&checks(&mut client, spray)), 10_000);
    for n in 0..50 {
        let row = rows(&mut client, &format!("login 10.0.0.1 locked{n}@x.org"))[0].clone();
        assert!(row.locked_ms > HOUR, "locked{n}: {row:?}");
        assert!(!check(&mut client, &format!("login 10.0.0.1 locked{n}@x.org")).allowed);
    }
    assert_eq!(usage(&mut client, "login", "identities"), vec![200]);
}

#[test]
fn at_capacity_expired_identities_are_evicted_before_those_with_live_attempts() {
    let (_server, mut client) = start_with("EMAIL 5/2s CAPACITY 16");
    let email = |n: usize| format!("login 10.0.0.1 u{n}@x.org");
    retry_until_equal([3; 16], || {
        let old = (0..8).map(|n| format!("login 10.0.0.1 old{n}@x.org"));
        checks(&mut client, old);
        wait_until("all earlier attempts have expired", || {
            let others = (0..8).map(|n| format!("login 10.0.0.1 old{n}@x.org"));
            let mut others = others.chain((0..16).map(email));
            others.all(|attempt| rows(&mut client, &attempt)[0].reset_ms == 0)
        });
        // Fill the capacity with new identities, then check each of them a second time.
        let verdicts = checks(&mut client, (0..16).chain(0..16).map(email));
        std::array::from_fn(|n| verdicts[16 + n].remaining)
    });
}

#[test]
fn at_capacity_a_spray_does_not_evict_an_identity_with_more_attempts() {
    let (_server, mut client) = start_with("EMAIL 5/1h CAPACITY 16");
    checks(&mut client, ["login 10.0.0.1 victim@x.org"; 4]);
    checks(&mut client, (0..500).map(|n| format!("login 10.0.0.1 u{n}@x.org")));
    assert_eq!(remaining(&mut client, "login 10.0.0.1 victim@x.org"), vec![1]);
}

#[test]
fn at_capacity_a_refused_attempt_evicts_no_identity() {
    let (_server, mut client) = start_with("ALL 2/1h EMAIL 5/1h IP 100/1h COUNT-DENIED CAPACITY 2");
    let (one, other) = ("login 10.0.0.1 a@x.org", "login 10.0.0.1 b@x.org");
    assert_eq!(admitted(&checks(&mut client, [one, other])), 2);
    // The IP counts the attempt, the email does not.
    assert!(!check(&mut client, "login 10.0.0.1 c@x.org").allowed);
    assert_eq!(remaining(&mut client, one), vec![0, 4, 97]);
    assert_eq!(remaining(&mut client, other), vec![0, 4, 97]);
}

#[test]
fn memory_is_bounded_by_the_capacity() {
    let (_server, mut client) = start_with("IP 9/1h EMAIL 9/1h PAIR 9/1h CAPACITY 1000");
    let spray = |from: usize| (from..from + 10_000).map(|n| format!("login {} u{n}@x.org", address(n)));
    let bytes = |client: &mut Connection| int(&info(client, "login")["bytes"]);
    checks(&mut client, spray(0));
    let first = bytes(&mut client);
    assert!(first < 3 * 1_000 * 128, "{first} bytes");
    checks(&mut client, spray(10_000));
    assert!(bytes(&mut client) < first * 5 / 4);
    let identities = usage(&mut client, "login", "identities");
    assert!(identities.iter().all(|n| (900..=1_000).contains(n)), "{identities:?}");
    let usage = number(&mut client, "MEMORY USAGE login");
    assert!(usage < 3 * 1_000 * 128, "{usage} bytes");
}

#[test]
fn the_configured_capacity_applies_to_policies_without_their_own() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(send(&mut client, "CONFIG SET authlimit.capacity 50"), Ok(Value::Okay));
    policy(&mut client, "default EMAIL 5/1h");
    policy(&mut client, "own EMAIL 5/1h CAPACITY 100");
    for key in ["default", "own"] {
        let spray = (0..1_000).map(|n| format!("{key} 10.0.0.1 u{n}@x.org"));
        assert_eq!(admitted(&checks(&mut client, spray)), 1_000);
    }
    assert_eq!(usage(&mut client, "default", "identities"), vec![50]);
    assert_eq!(usage(&mut client, "own", "identities"), vec![100]);
    assert_eq!(text(&info(&mut client, "default")["policy"]), "EMAIL 5/1h");
    send(&mut client, "CONFIG SET authlimit.capacity 0").expect_err("a capacity of 0 is refused");
}
