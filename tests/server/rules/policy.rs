//! A policy changes live, keeps the counts, and tells how it stands.

use crate::support::replies::{send, text};
use crate::support::rules::{
    HOUR, MINUTE, admitted, checks, figures, info, int, number, policy, remaining, rows, totals,
};
use crate::support::{Server, command, digest};
use redis::Value;

#[test]
fn a_lowered_limit_refuses_at_once_and_a_raised_one_admits_what_it_has_over() {
    let server = Server::start();
    let mut client = server.connect();
    let attempt = "login 10.0.0.1 a@x.org";
    policy(&mut client, "login EMAIL 10/1h");
    assert_eq!(admitted(&checks(&mut client, [attempt; 8])), 8);
    policy(&mut client, "login EMAIL 5/1h");
    assert_eq!(admitted(&checks(&mut client, [attempt; 20])), 0);
    assert_eq!(remaining(&mut client, attempt), vec![0]);
    policy(&mut client, "login EMAIL 10/1h");
    assert_eq!(admitted(&checks(&mut client, [attempt; 20])), 2);
}

#[test]
fn another_ipv6_prefix_keeps_the_counts_of_ipv4_addresses() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 5/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    checks(&mut client, ["login 2001:db8:1:1::1 a@x.org"; 3]);
    policy(&mut client, "login IP 5/1h IPV6-PREFIX 48");
    assert_eq!(remaining(&mut client, "login 10.0.0.1 a@x.org"), vec![2]);
    assert_eq!(
        remaining(&mut client, "login 2001:db8:1:1::1 a@x.org"),
        vec![5]
    );
    // A /48 is one address now.
    checks(&mut client, ["login 2001:db8:1:1::1 a@x.org"; 2]);
    let others = ["2001:db8:1:ffff::9", "2001:db8:2::1"];
    let left = others.map(|ip| remaining(&mut client, &format!("login {ip} a@x.org"))[0]);
    assert_eq!(left, [3, 5]);
}

#[test]
fn stripping_plus_tags_makes_one_mailbox_of_them_and_keeps_its_count() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "signup EMAIL 5/1h");
    checks(&mut client, ["signup 10.0.0.1 a@x.org"; 2]);
    checks(&mut client, ["signup 10.0.0.1 a+1@x.org"; 3]);
    policy(&mut client, "signup EMAIL 5/1h PLUS-TAGS strip");
    assert_eq!(remaining(&mut client, "signup 10.0.0.1 a+9@x.org"), vec![3]);
    let attempts = (0..9).map(|n| format!("signup 10.0.0.1 a+{n}@x.org"));
    assert_eq!(admitted(&checks(&mut client, attempts)), 3);
}

#[test]
fn the_words_of_info_make_the_same_policy_of_another_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    let everything = "IP 50/15m EMAILS-PER-IP 15/5m COUNT-DENIED EMAIL 20/1h LOCK 1h SHADOW EMAIL 50/24h \
         IPS-PER-EMAIL 20/1h PAIR 5/15m LOCK 15m..24h COUNT-DENIED DEVICE 10/1h ALL 100000/30d \
         CAPACITY 5000 IPV6-PREFIX 56 PLUS-TAGS strip";
    let words = [
        everything,
        "PAIR 1/1ms",
        "PRESET signin",
        "PRESET signup ALL 500/1h",
        "PRESET reset PLUS-TAGS keep",
        "PRESET otp CAPACITY 1000000000",
        "PRESET pci IP 50/15m IPV6-PREFIX 128",
        "plus-tags STRIP pair 5/15M shadow lock 1H",
    ];
    for words in words {
        policy(&mut client, &format!("one {words}"));
        let told = text(&info(&mut client, "one")["policy"]);
        policy(&mut client, &format!("other {told}"));
        assert_eq!(text(&info(&mut client, "other")["policy"]), told);
        let as_one = ["AUTHLIMIT.POLICY", "third", &told];
        assert_eq!(command(&mut client, &as_one), Ok(Value::Okay));
        assert_eq!(text(&info(&mut client, "third")["policy"]), told);
    }
    policy(&mut client, &format!("one {everything}"));
    assert_eq!(text(&info(&mut client, "one")["policy"]), everything);
}

#[test]
fn an_improper_policy_is_an_error_that_repeats_nothing_and_changes_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login PAIR 5/15m");
    let before = digest(&mut client, "login");
    for words in [
        "PAIR 5/15m LOCK",
        "PAIR 5/15m LOCK 0s",
        "PAIR 5/15m LOCK 1h..1m",
        "PAIR 5/15m LOCK 31d",
        "PAIR 5/15m LOCK 1h LOCK 1h",
        "PAIR 5/15m SHADOW SHADOW",
        "SHADOW PAIR 5/15m",
        "PAIR 5/15m CAPACITY 9 SHADOW",
        "PAIR 5/15m CAPACITY",
        "PAIR 5/15m CAPACITY 0",
        "PAIR 5/15m CAPACITY 1000000001",
        "PAIR 5/15m CAPACITY 9 CAPACITY 9",
        "PAIR 5/15m IPV6-PREFIX 31",
        "PAIR 5/15m IPV6-PREFIX 129",
        "PAIR 5/15m PLUS-TAGS secret",
        "PAIR 5/15m PRESET secret",
        "PAIR 5/15m PRESET",
        "PAIR 5/15m secret 5/15m",
        "PAIR secret/15m",
        "PAIR 5/15m PAIR 5/15m",
        "ALL 100001/1h",
        "CAPACITY 5",
    ] {
        let line = format!("AUTHLIMIT.POLICY login {words}");
        let error = send(&mut client, &line).expect_err(words);
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}

// CAPACITY

#[test]
fn peek_with_rules_tells_why_somebody_cannot_log_in() {
    let server = Server::start();
    let mut client = server.connect();
    policy(
        &mut client,
        "login IP 50/15m EMAIL 20/1h SHADOW PAIR 2/15m LOCK 1h..24h",
    );
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
    let before = digest(&mut client, "login");
    let rows = rows(&mut client, "login 10.0.0.1 a@x.org");
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.rule.as_str(), row.limit, row.remaining, row.shadow))
        .collect();
    assert_eq!(
        told,
        [
            ("IP 50/15m", 50, 48, false),
            ("EMAIL 20/1h SHADOW", 20, 18, true),
            ("PAIR 2/15m LOCK 1h..24h", 2, 0, false),
        ]
    );
    assert_eq!([rows[0].retry_after_ms, rows[0].locked_ms], [0, 0]);
    assert!((1..=15 * MINUTE).contains(&rows[0].reset_ms));
    assert!(
        (HOUR - MINUTE..=HOUR).contains(&rows[2].locked_ms),
        "{rows:?}"
    );
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
    // Of a limiter that is not there, the default policy's rows.
    let rules: Vec<String> = rows(&mut resp3, "none 10.0.0.1 a@x.org")
        .into_iter()
        .map(|row| row.rule)
        .collect();
    assert_eq!(
        rules.join(" "),
        "IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m"
    );
    assert_eq!(number(&mut resp3, "EXISTS none"), 0);
}

#[test]
fn rows_wait_for_the_cost_that_is_asked_about() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 5/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    let one = rows(&mut client, "login 10.0.0.1 a@x.org COST 2")[0].clone();
    assert_eq!(one.retry_after_ms, 0);
    let three = rows(&mut client, "login 10.0.0.1 a@x.org COST 3")[0].clone();
    assert!(
        three.retry_after_ms > 0 && three.remaining == 2,
        "{three:?}"
    );
}

#[test]
fn info_tells_policy_rules_subjects_lists_and_bytes_in_both_protocols() {
    let server = Server::start();
    for mut client in [server.connect(), server.connect_resp3()] {
        send(&mut client, "DEL login").unwrap();
        policy(&mut client, "login IP 50/15m PAIR 2/15m LOCK 1h");
        checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
        send(&mut client, "AUTHLIMIT.ALLOW login ADD 192.0.2.0/24").unwrap();
        send(&mut client, "AUTHLIMIT.ALLOW login ADD b@x.org").unwrap();
        send(&mut client, "AUTHLIMIT.DENY login ADD 198.51.100.1").unwrap();
        let info = info(&mut client, "login");
        let names: Vec<&str> = info.keys().map(String::as_str).collect();
        let expected = "allow_entries bytes deny_entries policy rules subjects";
        assert_eq!(names.join(" "), expected);
        assert_eq!(text(&info["policy"]), "IP 50/15m PAIR 2/15m LOCK 1h");
        assert_eq!(
            (int(&info["allow_entries"]), int(&info["deny_entries"])),
            (2, 1)
        );
        let [ip, pair] = &figures(&info, "rules")[..] else {
            panic!("{info:?}");
        };
        for (rule, words, [allowed, refused, locks]) in [
            (ip, "IP 50/15m", [2, 0, 0]),
            (pair, "PAIR 2/15m LOCK 1h", [2, 3, 1]),
        ] {
            assert_eq!(rule.len(), 5);
            assert_eq!(text(&rule["rule"]), words);
            assert_eq!(int(&rule["allowed"]), allowed);
            assert_eq!(int(&rule["refused"]), refused);
            assert_eq!(int(&rule["shadow_refused"]), 0);
            assert_eq!(int(&rule["locks"]), locks);
        }
        let subjects = figures(&info, "subjects");
        let names: Vec<String> = subjects
            .iter()
            .map(|usage| text(&usage["subject"]))
            .collect();
        assert_eq!(names, ["IP", "PAIR"]);
        for usage in &subjects {
            assert_eq!(int(&usage["identities"]), 1);
            assert!((1..int(&info["bytes"])).contains(&int(&usage["bytes"])));
        }
    }
}

#[test]
fn info_counts_for_a_rule_only_the_attempts_that_concern_it() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login IP 50/1h EMAIL 20/1h DEVICE 10/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    checks(&mut client, ["login 10.0.0.1 a@x.org DEVICE d"; 2]);
    assert_eq!(totals(&mut client, "login", "allowed"), vec![5, 3, 2]);
}

#[test]
fn a_rule_that_keeps_its_words_keeps_its_totals() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "login EMAIL 20/1h PAIR 2/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
    policy(&mut client, "login PAIR 2/1h EMAIL 30/1h");
    assert_eq!(totals(&mut client, "login", "allowed"), vec![2, 0]);
    assert_eq!(totals(&mut client, "login", "refused"), vec![3, 0]);
}
