//! AUTHLIMIT.INFO.

use crate::support::Server;
use crate::support::replies::{EMAIL, IP, check, elements, entry, ok, send, text};
use crate::support::rules::{checks, figures, info, int, policy, start_with, totals};
use redis::{Connection, Value};

/// Checks the fields of INFO after three admitted attempts and a refused one, and returns the reply.
#[track_caller]
fn check_info(client: &mut Connection) -> Value {
    ok(client, "AUTHLIMIT.POLICY login PAIR 2/1h IP 9/1h EMAIL 9/1h");
    for _ in 0..3 {
        check(client, IP, EMAIL);
    }
    check(client, IP, "bob@example.com");
    let info = send(client, "AUTHLIMIT.INFO login").expect("the limiter exists");
    let rules = elements(&entry(&info, "rules"));
    let totals: Vec<_> =
        rules.iter().map(|rule| (text(&entry(rule, "rule")), entry(rule, "allowed"), entry(rule, "refused"))).collect();
    let total = |rule: &str, refused| (rule.to_owned(), Value::Int(3), Value::Int(refused));
    assert_eq!(totals, [total("PAIR 2/1h", 1), total("IP 9/1h", 0), total("EMAIL 9/1h", 0)]);
    let subjects = elements(&entry(&info, "subjects"));
    let identities: Vec<_> = subjects
        .iter()
        .map(|subject| {
            let bytes = entry(subject, "bytes");
            assert!(matches!(bytes, Value::Int(1..)), "{bytes:?}");
            (text(&entry(subject, "subject")), entry(subject, "identities"))
        })
        .collect();
    let held = |subject: &str, count| (subject.to_owned(), Value::Int(count));
    assert_eq!(identities, [held("PAIR", 2), held("IP", 1), held("EMAIL", 2)]);
    let bytes = entry(&info, "bytes");
    assert!(matches!(bytes, Value::Int(1..)), "{bytes:?}");
    info
}

#[test]
fn info_is_a_list_of_names_and_values_in_resp2() {
    let server = Server::start();
    let info = check_info(&mut server.connect());
    let names: Vec<_> = elements(&info).iter().step_by(2).map(text).collect();
    assert_eq!(names, ["policy", "rules", "subjects", "allow_entries", "deny_entries", "bytes"]);
}

#[test]
fn info_is_a_map_in_resp3() {
    let server = Server::start();
    let info = check_info(&mut server.connect_resp3());
    assert!(matches!(&info, Value::Map(pairs) if pairs.len() == 6), "{info:?}");
    for (list, fields) in [("rules", 5), ("subjects", 3)] {
        for row in elements(&entry(&info, list)) {
            assert!(matches!(&row, Value::Map(pairs) if pairs.len() == fields), "{row:?}");
        }
    }
}

#[test]
fn info_returns_policy_rules_subjects_lists_and_bytes_in_both_protocols() {
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
        assert_eq!((int(&info["allow_entries"]), int(&info["deny_entries"])), (2, 1));
        let [ip, pair] = &figures(&info, "rules")[..] else {
            panic!("{info:?}");
        };
        for (rule, words, [allowed, refused, locks]) in
            [(ip, "IP 50/15m", [2, 0, 0]), (pair, "PAIR 2/15m LOCK 1h", [2, 3, 1])]
        {
            assert_eq!(rule.len(), 5);
            assert_eq!(text(&rule["rule"]), words);
            assert_eq!(int(&rule["allowed"]), allowed);
            assert_eq!(int(&rule["refused"]), refused);
            assert_eq!(int(&rule["shadow_refused"]), 0);
            assert_eq!(int(&rule["locks"]), locks);
        }
        let subjects = figures(&info, "subjects");
        let names: Vec<String> = subjects.iter().map(|usage| text(&usage["subject"])).collect();
        assert_eq!(names, ["IP", "PAIR"]);
        for usage in &subjects {
            assert_eq!(int(&usage["identities"]), 1);
            assert!((1..int(&info["bytes"])).contains(&int(&usage["bytes"])));
        }
    }
}

#[test]
fn info_counts_for_a_rule_only_the_attempts_it_applies_to() {
    let (_server, mut client) = start_with("IP 50/1h EMAIL 20/1h DEVICE 10/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    checks(&mut client, ["login 10.0.0.1 a@x.org DEVICE d"; 2]);
    assert_eq!(totals(&mut client, "login", "allowed"), vec![5, 3, 2]);
}

#[test]
fn a_rule_with_unchanged_words_keeps_its_totals() {
    let (_server, mut client) = start_with("EMAIL 20/1h PAIR 2/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 5]);
    policy(&mut client, "login PAIR 2/1h EMAIL 30/1h");
    assert_eq!(totals(&mut client, "login", "allowed"), vec![2, 0]);
    assert_eq!(totals(&mut client, "login", "refused"), vec![3, 0]);
}
