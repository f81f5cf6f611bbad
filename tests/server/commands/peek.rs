//! PEEK, and PEEK with RULES.

use crate::support::replies::{EMAIL, IP, check, elements, entry, peek, send};
use crate::support::rules::{HOUR, MINUTE, checks, number, policy, rows, start_with};
use crate::support::{Server, digest};
use redis::Value;

#[test]
fn peek_counts_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    check(&mut client, IP, EMAIL);
    let before = digest(&mut client, "login");
    for _ in 0..20 {
        let verdict = peek(&mut client, IP, EMAIL);
        assert!(verdict.allowed, "{verdict:?}");
        assert_eq!(verdict.remaining, 3, "as CHECK would return");
    }
    assert_eq!(digest(&mut client, "login"), before);
    let info = send(&mut client, "AUTHLIMIT.INFO login").unwrap();
    for rule in elements(&entry(&info, "rules")) {
        assert_eq!(entry(&rule, "allowed"), Value::Int(1));
        assert_eq!(entry(&rule, "refused"), Value::Int(0));
    }
}

#[test]
fn peek_with_rules_shows_which_rule_refuses_a_login() {
    let (_server, mut client) = start_with("IP 50/15m EMAIL 20/1h SHADOW PAIR 2/15m LOCK 1h..24h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
    let before = digest(&mut client, "login");
    let rows = rows(&mut client, "login 10.0.0.1 a@x.org");
    let statuses: Vec<_> = rows.iter().map(|row| (row.rule.as_str(), row.limit, row.remaining, row.shadow)).collect();
    assert_eq!(
        statuses,
        [("IP 50/15m", 50, 48, false), ("EMAIL 20/1h SHADOW", 20, 18, true), ("PAIR 2/15m LOCK 1h..24h", 2, 0, false),]
    );
    assert_eq!([rows[0].retry_after_ms, rows[0].locked_ms], [0, 0]);
    assert!((1..=15 * MINUTE).contains(&rows[0].reset_ms));
    assert!((HOUR - MINUTE..=HOUR).contains(&rows[2].locked_ms), "{rows:?}");
    assert_eq!(rows[2].retry_after_ms, rows[2].locked_ms);
    assert_eq!(rows[2].reset_ms, rows[2].locked_ms);
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn peek_with_rules_is_the_same_in_both_protocols_and_for_any_order_of_options() {
    let server = Server::start();
    let (mut resp2, mut resp3) = (server.connect(), server.connect_resp3());
    policy(&mut resp2, "login IP 50/15m DEVICE 9/1h");
    for options in ["RULES COST 5 DEVICE d", "device d rules cost 5"] {
        let line = format!("AUTHLIMIT.PEEK login 10.0.0.1 a@x.org {options}");
        let rows = send(&mut resp2, &line);
        assert!(rows.is_ok(), "{rows:?}");
        assert_eq!(rows, send(&mut resp3, &line));
    }
    // Without a limiter, the rows are those of the default policy.
    let rules: Vec<String> = rows(&mut resp3, "none 10.0.0.1 a@x.org").into_iter().map(|row| row.rule).collect();
    assert_eq!(rules.join(" "), "IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m");
    assert_eq!(number(&mut resp3, "EXISTS none"), 0);
}

#[test]
fn retry_after_in_rows_depends_on_the_cost() {
    let (_server, mut client) = start_with("IP 5/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    let one = rows(&mut client, "login 10.0.0.1 a@x.org COST 2")[0].clone();
    assert_eq!(one.retry_after_ms, 0);
    let three = rows(&mut client, "login 10.0.0.1 a@x.org COST 3")[0].clone();
    assert!(three.retry_after_ms > 0 && three.remaining == 2, "{three:?}");
}
