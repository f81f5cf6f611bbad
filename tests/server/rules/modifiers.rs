//! SHADOW reports but never refuses; COUNT-DENIED also counts attempts that other rules refused.

use crate::support::digest;
use crate::support::replies::text;
use crate::support::rules::{
    HOUR, admitted, check, checks, figures, info, number, peek, policy, remaining, rows, start_with, totals,
};

#[test]
fn a_rule_in_shadow_admits_and_reports_what_it_would_have_refused() {
    let (_server, mut client) = start_with("PAIR 2/1h SHADOW EMAILS-PER-IP 1/1h SHADOW EMAIL 100/1h");
    let attempt = "login 10.0.0.1 a@x.org";
    for verdict in checks(&mut client, [attempt; 10]) {
        assert!(verdict.allowed);
        assert_eq!(verdict.rule, "EMAIL 100/1h");
        assert_eq!(verdict.retry_after_ms, 0);
    }
    assert!(check(&mut client, "login 10.0.0.1 b@x.org").allowed);
    assert_eq!(totals(&mut client, "login", "allowed"), vec![3, 10, 11]);
    assert_eq!(totals(&mut client, "login", "refused"), vec![0, 0, 0]);
    assert_eq!(totals(&mut client, "login", "shadow_refused"), vec![8, 1, 0]);
    let rows = rows(&mut client, attempt);
    let shadow: Vec<bool> = rows.iter().map(|row| row.shadow).collect();
    assert_eq!(shadow, [true, true, false]);
    assert!(rows[0].retry_after_ms > 0, "{rows:?}");
}

#[test]
fn a_policy_with_only_shadow_rules_admits_every_attempt_without_a_wait() {
    let (server, mut client) = start_with("PAIR 2/1h LOCK 2h SHADOW");
    for verdict in checks(&mut client, ["login 10.0.0.1 a@x.org"; 10]) {
        assert!(verdict.allowed);
        assert_eq!(verdict.rule, "PAIR 2/1h LOCK 2h SHADOW");
        assert_eq!(verdict.retry_after_ms, 0);
    }
    // It reports the lock that it would have begun, which is not one of the limiter's.
    assert_eq!(totals(&mut client, "login", "locks"), vec![0]);
    assert_eq!(server.number::<u64>("authlimit_locks"), 0);
    assert!(rows(&mut client, "login 10.0.0.1 a@x.org")[0].locked_ms > HOUR);
    assert_eq!(totals(&mut client, "login", "shadow_refused"), vec![8]);
}

#[test]
fn enforcing_a_shadow_rule_keeps_its_counts() {
    let (_server, mut client) = start_with("PAIR 2/1h SHADOW");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 10]);
    policy(&mut client, "login PAIR 2/1h");
    assert!(!check(&mut client, "login 10.0.0.1 a@x.org").allowed);
}

#[test]
fn count_denied_counts_attempts_that_other_rules_refused() {
    let (_server, mut client) = start_with("PAIR 2/1h IP 10/1h COUNT-DENIED IP 50/1h EMAIL 50/1h");
    let attempt = "login 10.0.0.1 a@x.org";
    assert_eq!(admitted(&checks(&mut client, [attempt; 5])), 2);
    assert_eq!(remaining(&mut client, attempt), vec![0, 5, 48, 48]);
    // The IP exhausts its own limit in the end, and is then refused for every account.
    assert_eq!(admitted(&checks(&mut client, [attempt; 5])), 0);
    let verdict = check(&mut client, "login 10.0.0.1 b@x.org");
    assert!(!verdict.allowed);
    assert_eq!(verdict.rule, "IP 10/1h COUNT-DENIED");
    let subjects = figures(&info(&mut client, "login"), "subjects");
    let names: Vec<String> = subjects.iter().map(|usage| text(&usage["subject"])).collect();
    assert_eq!(names, ["PAIR", "IP COUNT-DENIED", "IP", "EMAIL"]);
}

#[test]
fn count_denied_does_not_count_attempts_the_rule_itself_refused() {
    let (_server, mut client) = start_with("IP 5/1h COUNT-DENIED PAIR 2/1h");
    let attempt = "login 10.0.0.1 a@x.org";
    checks(&mut client, [attempt; 5]);
    let before = digest(&mut client, "login");
    let mut wait = peek(&mut client, attempt).retry_after_ms;
    for verdict in checks(&mut client, vec![attempt; 500]) {
        assert!(!verdict.allowed);
        assert!(verdict.retry_after_ms <= wait);
        wait = verdict.retry_after_ms;
    }
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn count_denied_counts_distinct_emails_of_refused_attempts() {
    let (_server, mut client) = start_with("IP 1/1h EMAILS-PER-IP 4/1h COUNT-DENIED");
    let spray = (0..3).map(|n| format!("login 10.0.0.1 u{n}@x.org"));
    assert_eq!(admitted(&checks(&mut client, spray)), 1);
    assert_eq!(remaining(&mut client, "login 10.0.0.1 u0@x.org"), vec![0, 1]);
}

#[test]
fn a_successful_login_also_forgives_refused_attempts_that_were_counted() {
    let (_server, mut client) = start_with("PAIR 2/1h IP 10/1h COUNT-DENIED");
    let attempt = "login 10.0.0.1 a@x.org";
    checks(&mut client, [attempt; 5]);
    assert_eq!(number(&mut client, &format!("AUTHLIMIT.RESET {attempt}")), 5);
    assert_eq!(remaining(&mut client, attempt), vec![2, 10]);
}
