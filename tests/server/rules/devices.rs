//! DEVICE rules: known devices get in while an attack locks the email.

use crate::support::replies::send;
use crate::support::rules::{address, admitted, check, checks, number, peek, policy, remaining, start_with, totals};
use crate::support::{Server, digest};

#[test]
fn the_owner_with_a_device_is_admitted_while_a_botnet_exhausts_the_email() {
    let (_server, mut client) = start_with("EMAIL 20/1h LOCK 2h IPS-PER-EMAIL 10/1h LOCK 2h DEVICE 10/1h");
    let botnet = (0..100).map(|n| format!("login {} alice@x.org", address(n)));
    assert_eq!(admitted(&checks(&mut client, botnet)), 10);
    assert!(!check(&mut client, "login 203.0.113.7 alice@x.org").allowed);
    let verdict = check(&mut client, "login 203.0.113.7 alice@x.org DEVICE laptop");
    assert!(verdict.allowed);
    assert_eq!((verdict.limit, verdict.remaining), (10, 9));
    assert_eq!(verdict.rule, "DEVICE 10/1h");
}

#[test]
fn attempts_by_a_device_are_not_counted_on_the_email() {
    let server = Server::start();
    let mut client = server.connect();
    let rules = "IP 50/1h EMAIL 20/1h PAIR 30/1h EMAILS-PER-IP 5/1h IPS-PER-EMAIL 5/1h DEVICE 10/1h";
    policy(&mut client, &format!("login {rules}"));
    let attempt = "login 203.0.113.7 alice@x.org";
    for _ in 0..10 {
        assert!(check(&mut client, &format!("{attempt} DEVICE laptop")).allowed);
    }
    assert!(!check(&mut client, &format!("{attempt} DEVICE laptop")).allowed);
    assert!(peek(&mut client, &format!("{attempt} DEVICE phone")).allowed);
    // The IP and the distinct emails counted the attempts.
    let left = remaining(&mut client, &format!("{attempt} DEVICE laptop"));
    assert_eq!(left, vec![40, 20, 30, 4, 5, 0]);
    assert_eq!(
        remaining(&mut client, attempt),
        vec![40, 20, 30, 4, 5, 10],
        "without a device, the DEVICE rule reports no attempts"
    );
    // A successful login clears the device's attempts.
    let reset = format!("AUTHLIMIT.RESET {attempt} DEVICE laptop");
    assert_eq!(number(&mut client, &reset), 10);
    let left = remaining(&mut client, &format!("{attempt} DEVICE laptop"));
    assert_eq!(left, vec![50, 20, 30, 5, 5, 10]);
}

#[test]
fn a_device_is_an_error_if_the_policy_has_no_device_rule() {
    let (_server, mut client) = start_with("EMAIL 20/1h");
    let before = digest(&mut client, "login");
    for name in ["CHECK", "PEEK", "RESET", "REFUND"] {
        let line = format!("AUTHLIMIT.{name} login 10.0.0.1 a@x.org DEVICE laptop");
        let error = send(&mut client, &line).expect_err("the policy has no DEVICE rule");
        assert!(error.contains("no DEVICE rule"), "{error}");
        assert!(!error.contains("laptop"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn a_device_without_an_id_is_an_error() {
    let (_server, mut client) = start_with("EMAIL 20/1h DEVICE 10/1h");
    let line = "AUTHLIMIT.CHECK login 10.0.0.1 a@x.org DEVICE ";
    send(&mut client, line).expect_err("an empty device id");
    send(&mut client, line.trim_end()).expect_err("a missing device id");
    assert_eq!(totals(&mut client, "login", "allowed"), vec![0, 0]);
}

#[test]
fn a_policy_with_only_device_rules_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    send(&mut client, "AUTHLIMIT.POLICY login DEVICE 10/1h").expect_err("a policy needs another rule");
}

#[test]
fn a_device_rule_in_shadow_does_not_bypass_the_email_rules() {
    let (_server, mut client) = start_with("EMAIL 2/1h DEVICE 1/1h SHADOW");
    let attempt = "login 10.0.0.1 a@x.org DEVICE laptop";
    let verdicts = checks(&mut client, [attempt; 3]);
    assert_eq!(admitted(&verdicts), 2);
    assert_eq!(verdicts[2].rule, "EMAIL 2/1h");
}
