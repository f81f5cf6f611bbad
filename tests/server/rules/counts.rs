//! What a rule counts: distinct emails and IPs, all attempts, devices.

use crate::support::replies::send;
use crate::support::rules::{MINUTE, address, admitted, check, checks, number, peek, policy, remaining, start_with};
use crate::support::{Server, Verdict, batch, digest, verdict, wait_until};
use redis::Value;

#[test]
fn a_spray_from_one_ip_reaches_at_most_the_limit_of_distinct_emails() {
    let (_server, mut client) = start_with("EMAILS-PER-IP 15/5m");
    let spray = (0..10_000).map(|n| format!("login 203.0.113.7 user{n}@x.org"));
    let verdicts = checks(&mut client, spray);
    assert_eq!(admitted(&verdicts), 15);
    assert_eq!(admitted(&verdicts[..15]), 15);
    assert_eq!(verdicts[9_999].rule, "EMAILS-PER-IP 15/5m");
    assert!((1..=5 * MINUTE).contains(&verdicts[9_999].retry_after_ms));
    // The IP is refused, not the emails.
    assert!(check(&mut client, "login 203.0.113.8 user9999@x.org").allowed);
}

#[test]
fn a_botnet_reaches_one_email_from_at_most_the_limit_of_distinct_ips() {
    let (_server, mut client) = start_with("IPS-PER-EMAIL 20/1h");
    let botnet = (0..10_000).map(|n| format!("login {} alice@x.org", address(n)));
    let verdicts = checks(&mut client, botnet);
    assert_eq!(admitted(&verdicts), 20);
    assert_eq!(admitted(&verdicts[..20]), 20);
    assert_eq!(verdicts[9_999].rule, "IPS-PER-EMAIL 20/1h");
    assert!(check(&mut client, &format!("login {} bob@x.org", address(9_999))).allowed);
}

#[test]
fn the_largest_limit_of_distinct_emails_is_exact() {
    let (_server, mut client) = start_with("EMAILS-PER-IP 1000/1h");
    // Enough emails that hash collisions, if any, would change the count.
    let spray = (0..40_000).map(|n| format!("login 203.0.113.7 user{n}@x.org"));
    let verdicts = checks(&mut client, spray);
    assert_eq!(admitted(&verdicts), 1_000);
}

#[test]
fn a_limit_of_distinct_identities_above_1000_is_refused() {
    let server = Server::start();
    let mut client = server.connect();
    for subject in ["EMAILS-PER-IP", "IPS-PER-EMAIL"] {
        policy(&mut client, &format!("login {subject} 1000/1h"));
        let line = format!("AUTHLIMIT.POLICY login {subject} 1001/1h");
        send(&mut client, &line).expect_err("the limit is too high");
    }
}

#[test]
fn an_email_the_ip_already_tried_in_the_window_is_admitted_again() {
    let (_server, mut client) = start_with("EMAILS-PER-IP 3/1h");
    checks(&mut client, (0..4).map(|n| format!("login 10.0.0.1 u{n}@x.org")));
    for n in [0, 1, 2, 2, 1, 0] {
        // The spelling does not matter.
        let verdict = check(&mut client, &format!("login 10.0.0.1 U{n}@X.org"));
        let seen = (verdict.allowed, verdict.remaining, verdict.retry_after_ms);
        assert_eq!(seen, (true, 0, 0), "{verdict:?}");
    }
    assert!(!check(&mut client, "login 10.0.0.1 u3@x.org").allowed);
}

#[test]
fn an_ip_that_already_tried_the_email_in_the_window_is_admitted_again() {
    let (_server, mut client) = start_with("IPS-PER-EMAIL 3/1h");
    checks(&mut client, (0..4).map(|n| format!("login {} alice@x.org", address(n))));
    for n in [0, 1, 2, 2, 1, 0] {
        assert!(check(&mut client, &format!("login {} alice@x.org", address(n))).allowed);
    }
    assert!(!check(&mut client, &format!("login {} alice@x.org", address(3))).allowed);
}

#[test]
fn trying_an_email_again_restarts_its_window() {
    let (_server, mut client) = start_with("EMAILS-PER-IP 1/1h");
    check(&mut client, "login 10.0.0.1 a@x.org");
    // A second email waits until the first leaves the window, so it waits longer once the first was tried again. The
    // three commands go out in one batch, so that little time passes between them.
    wait_until("the second email waits longer", || {
        let peek = ["AUTHLIMIT.PEEK", "login", "10.0.0.1", "b@x.org"];
        let check = ["AUTHLIMIT.CHECK", "login", "10.0.0.1", "a@x.org"];
        let replies = batch(&mut client, [peek, check, peek]);
        let wait = |reply: &Result<Value, String>| {
            let verdict = Verdict::from_reply(reply.as_ref().expect("a reply"));
            verdict.expect("a verdict").retry_after_ms
        };
        wait(&replies[0]) < wait(&replies[2])
    });
}

#[test]
fn lowering_a_limit_of_distinct_emails_keeps_counted_emails_and_refuses_new_ones() {
    let (_server, mut client) = start_with("EMAILS-PER-IP 8/1h");
    checks(&mut client, (0..8).map(|n| format!("login 10.0.0.1 u{n}@x.org")));
    policy(&mut client, "login EMAILS-PER-IP 5/1h");
    assert!(!check(&mut client, "login 10.0.0.1 new@x.org").allowed);
    assert!(check(&mut client, "login 10.0.0.1 u7@x.org").allowed);
}

#[test]
fn an_attempt_of_any_cost_counts_as_one_distinct_email() {
    let (_server, mut client) = start_with("EMAILS-PER-IP 2/1h IP 100/1h");
    let verdict = check(&mut client, "login 10.0.0.1 a@x.org COST 50");
    assert_eq!((verdict.allowed, verdict.remaining), (true, 1));
    assert_eq!(remaining(&mut client, "login 10.0.0.1 a@x.org"), vec![1, 50]);
}

#[test]
fn an_attempt_refused_by_one_subject_is_counted_by_no_subject() {
    let server = Server::start();
    let mut client = server.connect();
    let subjects = "IP EMAIL PAIR EMAILS-PER-IP IPS-PER-EMAIL ALL";
    for refusing in subjects.split(' ') {
        let rules = subjects.split(' ').map(|subject| {
            let limit = if subject == refusing { 1 } else { 9 };
            format!("{subject} {limit}/1h")
        });
        let rules: Vec<String> = rules.collect();
        send(&mut client, "DEL login").unwrap();
        policy(&mut client, &format!("login {}", rules.join(" ")));
        assert!(check(&mut client, "login 10.0.0.1 a@x.org").allowed);
        let before = digest(&mut client, "login");
        let refused = match refusing {
            "IPS-PER-EMAIL" => "login 10.0.0.2 a@x.org",
            "EMAILS-PER-IP" => "login 10.0.0.1 b@x.org",
            _ => "login 10.0.0.1 a@x.org",
        };
        for _ in 0..20 {
            let verdict = check(&mut client, refused);
            assert!(!verdict.allowed);
            assert_eq!(verdict.rule, format!("{refusing} 1/1h"));
        }
        assert_eq!(digest(&mut client, "login"), before, "{refusing}");
    }
}

#[test]
fn a_rule_for_all_counts_every_attempt_from_any_ip_and_email() {
    let (_server, mut client) = start_with("ALL 100000/1h");
    // No rule needs the IP or the email.
    let empty = ["AUTHLIMIT.CHECK", "login", "", "", "COST", "50000"];
    assert_eq!(verdict(&mut client, &empty).remaining, 50_000);
    let singly = (0..5_000).map(|n| format!("login {} u{n}@x.org", address(n)));
    assert_eq!(admitted(&checks(&mut client, singly)), 5_000);
    let rest = check(&mut client, "login 10.0.0.1 a@x.org COST 44999");
    assert_eq!((rest.allowed, rest.remaining), (true, 1));
    assert!(!check(&mut client, "login 10.0.0.1 a@x.org COST 2").allowed);
    assert!(check(&mut client, "login 10.0.0.2 b@x.org").allowed);
    let verdict = check(&mut client, "login 10.0.0.3 c@x.org");
    assert!(!verdict.allowed);
    assert_eq!(verdict.rule, "ALL 100000/1h");
    assert_eq!(number(&mut client, "AUTHLIMIT.RESET login 10.0.0.1 a@x.org"), 44_999);
    assert_eq!(peek(&mut client, "login 10.0.0.3 c@x.org").remaining, 44_998);
}
