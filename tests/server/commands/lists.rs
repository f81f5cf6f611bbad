//! ALLOW and DENY: attempts on the allow list are never refused, attempts on the deny list always are.

use crate::support::lists::{decided_by, listed, put, start};
use crate::support::replies::{check, send};
use crate::support::{Server, digest};
use redis::{Connection, Value};

#[test]
fn add_returns_whether_the_entry_is_new_and_del_whether_it_existed() {
    let (_server, mut client) = start();
    for list in ["ALLOW", "DENY"] {
        for entry in ["192.0.2.0/24", "2001:db8::/32", "192.0.2.1", "bob@x.org"] {
            assert_eq!(put(&mut client, &format!("{list} ADD {entry}")), 1);
            assert_eq!(put(&mut client, &format!("{list} ADD {entry}")), 0);
            assert_eq!(put(&mut client, &format!("{list} add {entry} ttl 60")), 0);
            assert_eq!(put(&mut client, &format!("{list} DEL {entry}")), 1);
            assert_eq!(put(&mut client, &format!("{list} del {entry}")), 0);
        }
        assert_eq!(listed(&mut client, list), (vec![], 0));
    }
}

#[test]
fn list_returns_networks_in_full_and_the_number_of_emails_in_both_protocols() {
    let (server, mut resp2) = start();
    for entry in [
        "2001:DB8:0:0::/32",
        "198.51.100.7",
        "0.0.0.0/0",
        "198.51.100.0/24",
        "::ffff:10.0.0.0/104",
        "bob@x.org",
        "alice@x.org TTL 1000",
    ] {
        assert_eq!(put(&mut resp2, &format!("ALLOW ADD {entry}")), 1);
    }
    assert_eq!(put(&mut resp2, "DENY ADD 203.0.113.0/24 TTL 100000"), 1);
    for mut client in [server.connect(), server.connect_resp3()] {
        let (cidrs, emails) = listed(&mut client, "ALLOW");
        let names: Vec<&str> = cidrs.iter().map(|(cidr, _)| cidr.as_str()).collect();
        let expected = ["0.0.0.0/0", "10.0.0.0/8", "198.51.100.0/24", "198.51.100.7/32", "2001:db8::/32"];
        assert_eq!(names, expected);
        assert!(cidrs.iter().all(|(_, left)| *left == -1), "no entry expires");
        assert_eq!(emails, 2);
        let (cidrs, emails) = listed(&mut client, "DENY");
        assert_eq!((cidrs[0].0.as_str(), cidrs.len(), emails), ("203.0.113.0/24", 1, 0));
        assert!((90_000_000..=100_000_000).contains(&cidrs[0].1), "{cidrs:?}");
    }
}

#[test]
fn list_is_also_an_action_of_both_lists() {
    let (_server, mut client) = start();
    put(&mut client, "ALLOW ADD 10.0.0.0/8");
    put(&mut client, "DENY ADD alice@example.com");
    for list in ["ALLOW", "DENY"] {
        let [action, command] = [format!("{list} login LIST"), format!("LIST login {}", list.to_lowercase())]
            .map(|line| send(&mut client, &format!("AUTHLIMIT.{line}")));
        assert!(action.is_ok(), "{action:?}");
        assert_eq!(action, command, "{list}");
    }
    let error = send(&mut client, "AUTHLIMIT.LIST login BOTH").expect_err("no such list");
    assert_eq!(error, "SYNTAX argument 2 must be ALLOW or DENY");
}

#[test]
fn add_creates_a_limiter_as_check_does_and_del_and_list_do_not() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(put(&mut client, "DENY DEL 10.0.0.1"), 0);
    send(&mut client, "AUTHLIMIT.DENY login LIST").expect_err("no such limiter");
    assert_eq!(send(&mut client, "EXISTS login"), Ok(Value::Int(0)));
    assert_eq!(put(&mut client, "DENY ADD 10.0.0.1"), 1);
    assert_eq!(decided_by(&mut client, "10.0.0.1", "a@x.org"), "DENY");
    assert_eq!(decided_by(&mut client, "10.0.0.2", "a@x.org"), "PAIR 5/15m");
    let off = "CONFIG SET authlimit.autocreate no";
    assert_eq!(send(&mut client, off), Ok(Value::Okay));
    send(&mut client, "AUTHLIMIT.DENY other ADD 10.0.0.1").expect_err("not created");
}

#[test]
fn an_attempt_on_the_allow_list_is_admitted_and_not_counted() {
    let (_server, mut client) = start();
    put(&mut client, "ALLOW ADD 192.0.2.0/24");
    put(&mut client, "ALLOW ADD alice@x.org");
    let before = digest(&mut client, "login");
    for (ip, email) in [("192.0.2.7", "bob@x.org"), ("10.0.0.1", "alice@x.org")] {
        for _ in 0..10 {
            let verdict = check(&mut client, ip, email);
            assert!(verdict.allowed);
            assert_eq!(verdict.rule, "ALLOW");
            let figures = [verdict.limit, verdict.remaining, verdict.retry_after_ms, verdict.reset_ms];
            assert_eq!(figures, [-1, -1, 0, 0]);
        }
    }
    assert_eq!(digest(&mut client, "login"), before);
    put(&mut client, "ALLOW DEL 192.0.2.0/24");
    let verdict = check(&mut client, "192.0.2.7", "bob@x.org");
    assert_eq!((verdict.rule.as_str(), verdict.remaining), ("PAIR 2/1h", 1));
}

#[test]
fn the_allow_list_overrides_a_lock() {
    let (_server, mut client) = start();
    send(&mut client, "AUTHLIMIT.POLICY login PAIR 2/1h LOCK 2h").unwrap();
    while check(&mut client, "10.0.0.1", "a@x.org").allowed {}
    put(&mut client, "ALLOW ADD 10.0.0.1");
    assert!(check(&mut client, "10.0.0.1", "a@x.org").allowed);
    put(&mut client, "ALLOW DEL 10.0.0.1");
    assert!(!check(&mut client, "10.0.0.1", "a@x.org").allowed);
}

#[test]
fn an_attempt_on_the_deny_list_is_refused_and_not_counted() {
    let (_server, mut client) = start();
    put(&mut client, "DENY ADD 192.0.2.0/24");
    put(&mut client, "DENY ADD mallory@x.org");
    let before = digest(&mut client, "login");
    for (ip, email) in [("192.0.2.7", "bob@x.org"), ("10.0.0.1", "mallory@x.org")] {
        let verdict = check(&mut client, ip, email);
        assert!(!verdict.allowed);
        assert_eq!(verdict.rule, "DENY");
        let figures = [verdict.limit, verdict.remaining, verdict.retry_after_ms, verdict.reset_ms];
        assert_eq!(figures, [-1; 4], "none of them exists");
    }
    assert_eq!(digest(&mut client, "login"), before);
    assert!(check(&mut client, "10.0.0.1", "bob@x.org").allowed);
}

#[test]
fn the_longest_prefix_decides_for_ipv4_and_ipv6() {
    let (_server, mut client) = start();
    for entry in [
        "DENY ADD 10.0.0.0/8",
        "ALLOW ADD 10.1.0.0/16",
        "DENY ADD 10.1.2.0/24",
        "ALLOW ADD 10.1.2.3",
        "ALLOW ADD 2001:db8::/32",
        "DENY ADD 2001:db8:1::/48",
        "ALLOW ADD 2001:db8:1:2::/64",
        "DENY ADD 2001:db8:1:2::3",
    ] {
        assert_eq!(put(&mut client, entry), 1);
    }
    for (ip, word) in [
        ("10.9.9.9", "DENY"),
        ("10.1.9.9", "ALLOW"),
        ("10.1.2.9", "DENY"),
        ("10.1.2.3", "ALLOW"),
        ("11.0.0.1", "PAIR 2/1h"),
        ("2001:db8:9::1", "ALLOW"),
        ("2001:db8:1:9::1", "DENY"),
        ("2001:db8:1:2::9", "ALLOW"),
        // Lists match the whole address, although rules group IPv6 by /64.
        ("2001:db8:1:2::3", "DENY"),
        ("2001:db9::1", "PAIR 2/1h"),
        // The same address in another notation.
        ("::ffff:10.1.2.3", "ALLOW"),
        ("64:ff9b::10.1.2.9", "DENY"),
    ] {
        assert_eq!(decided_by(&mut client, ip, "a@x.org"), word, "{ip}");
    }
}

#[test]
fn a_network_of_all_ipv6_addresses_does_not_match_ipv4() {
    let (_server, mut client) = start();
    put(&mut client, "DENY ADD ::/0");
    assert_eq!(decided_by(&mut client, "2001:db8::1", "a@x.org"), "DENY");
    assert_eq!(decided_by(&mut client, "10.0.0.1", "a@x.org"), "PAIR 2/1h");
    let mapped = decided_by(&mut client, "::ffff:10.0.0.1", "a@x.org");
    assert_eq!(mapped, "PAIR 2/1h");
    put(&mut client, "ALLOW ADD 0.0.0.0/0");
    assert_eq!(decided_by(&mut client, "10.0.0.1", "a@x.org"), "ALLOW");
    assert_eq!(decided_by(&mut client, "2001:db8::1", "a@x.org"), "DENY");
}

#[test]
fn deny_wins_at_equal_length_and_between_address_and_email() {
    let (_server, mut client) = start();
    for entry in [
        "ALLOW ADD 10.0.0.0/8",
        "DENY ADD 10.0.0.0/8",
        "DENY ADD both@x.org",
        "ALLOW ADD both@x.org",
        "ALLOW ADD 192.0.2.1",
        "DENY ADD 192.0.2.2",
        "ALLOW ADD good@x.org",
        "DENY ADD bad@x.org",
    ] {
        assert_eq!(put(&mut client, entry), 1);
    }
    for (ip, email, word) in [
        ("10.0.0.1", "a@x.org", "DENY"),
        ("11.0.0.1", "both@x.org", "DENY"),
        ("192.0.2.1", "bad@x.org", "DENY"),
        ("192.0.2.2", "good@x.org", "DENY"),
        ("192.0.2.1", "good@x.org", "ALLOW"),
    ] {
        assert_eq!(decided_by(&mut client, ip, email), word, "{ip} {email}");
    }
    put(&mut client, "DENY DEL 10.0.0.0/8");
    assert_eq!(decided_by(&mut client, "10.0.0.1", "a@x.org"), "ALLOW");
}

#[test]
fn a_listed_email_matches_in_every_spelling() {
    let (_server, mut client) = start();
    assert_eq!(put(&mut client, "DENY ADD Alice@B\u{fc}cher.Example."), 1);
    assert_eq!(put(&mut client, "DENY ADD alice@xn--bcher-kva.example"), 0);
    for spelling in [
        "alice@b\u{fc}cher.example",
        "ALICE@B\u{dc}CHER.EXAMPLE",
        " alice@xn--bcher-kva.example ",
        "\u{ff41}lice@b\u{fc}cher.example",
        "al\u{200b}ice@b\u{fc}cher.example",
    ] {
        assert_eq!(decided_by(&mut client, "10.0.0.1", spelling), "DENY", "{spelling}");
    }
    let other = decided_by(&mut client, "10.0.0.1", "alice+tag@b\u{fc}cher.example");
    assert_eq!(other, "PAIR 2/1h");
    assert_eq!(put(&mut client, "DENY DEL ALICE@b\u{fc}cher.example"), 1);
}

#[test]
fn with_plus_tags_stripped_a_listed_email_matches_with_any_tag() {
    let (_server, mut client) = start();
    send(&mut client, "AUTHLIMIT.POLICY login PAIR 2/1h PLUS-TAGS strip").unwrap();
    put(&mut client, "DENY ADD alice+one@x.org");
    for email in ["alice@x.org", "alice+two@x.org"] {
        assert_eq!(decided_by(&mut client, "10.0.0.1", email), "DENY");
    }
}

#[test]
fn an_email_listed_with_its_tag_stays_listed_after_a_change_to_plus_tags_strip() {
    let (_server, mut client) = start();
    let policy = |client: &mut Connection, plus_tags| {
        let line = format!("AUTHLIMIT.POLICY login PAIR 2/1h PLUS-TAGS {plus_tags}");
        assert_eq!(send(client, &line), Ok(Value::Okay));
    };
    put(&mut client, "DENY ADD evil+1@x.org");
    put(&mut client, "ALLOW ADD good+1@x.org");
    put(&mut client, "ALLOW ADD evil@x.org");
    policy(&mut client, "strip");
    let mut decided = |email| decided_by(&mut client, "10.0.0.1", email);
    assert_eq!(decided("evil+1@x.org"), "DENY", "DENY wins over ALLOW");
    assert_eq!(decided("EVIL+1@X.org"), "DENY");
    assert_eq!(decided("evil+2@x.org"), "ALLOW");
    assert_eq!(decided("good+1@x.org"), "ALLOW");
    assert_eq!(decided("good@x.org"), "PAIR 2/1h");
    assert_eq!(put(&mut client, "DENY DEL evil+2@x.org"), 0);
    assert_eq!(put(&mut client, "DENY DEL evil+1@x.org"), 1);
    assert_eq!(listed(&mut client, "DENY"), (vec![], 0));

    // An entry added under PLUS-TAGS strip has lost its tag, also after a change to PLUS-TAGS keep.
    put(&mut client, "DENY ADD worse+1@x.org");
    policy(&mut client, "keep");
    let mut decided = |email| decided_by(&mut client, "10.0.0.1", email);
    assert_eq!(decided("worse+1@x.org"), "PAIR 2/1h");
    assert_eq!(decided("worse@x.org"), "DENY");
    assert_eq!(put(&mut client, "DENY DEL worse+1@x.org"), 0);
    assert_eq!(put(&mut client, "DENY DEL worse@x.org"), 1);
}

#[test]
fn an_attempt_without_address_or_email_is_matched_by_the_other() {
    let (_server, mut client) = start();
    send(&mut client, "AUTHLIMIT.POLICY login ALL 9/1h").unwrap();
    put(&mut client, "DENY ADD 0.0.0.0/0");
    put(&mut client, "DENY ADD ::/0");
    put(&mut client, "ALLOW ADD alice@x.org");
    assert_eq!(decided_by(&mut client, "", ""), "ALL 9/1h");
    assert_eq!(decided_by(&mut client, "", "alice@x.org"), "ALLOW");
    assert_eq!(decided_by(&mut client, "10.0.0.1", ""), "DENY");
}

#[test]
fn an_invalid_entry_is_an_error_that_repeats_nothing_and_changes_nothing() {
    let (_server, mut client) = start();
    put(&mut client, "DENY ADD 10.0.0.1");
    let before = digest(&mut client, "login");
    for words in [
        "",
        "secret",
        "ADD",
        "ADD ",
        "ADD secret",
        "ADD 10.0.0.0/33",
        "ADD 10.0.0.1/8",
        "ADD 10.0.0.0/08",
        "ADD 10.0.0.0/255.0.0.0",
        "ADD 010.0.0.1",
        "ADD 10.0.0.1:80",
        "ADD 2001:db8::/129",
        "ADD 2001:db8::1/32",
        "ADD fe80::1%secret0",
        "ADD ::ffff:0:0/90",
        "ADD 10.0.0.0/",
        "ADD /8",
        "ADD 10.0.0.2 secret 5",
        "ADD 10.0.0.2 TTL",
        "ADD 10.0.0.2 TTL 0",
        "ADD 10.0.0.2 TTL -1",
        "ADD 10.0.0.2 TTL 1.5",
        "ADD 10.0.0.2 TTL secret",
        "ADD 10.0.0.2 TTL 315360001",
        "ADD 10.0.0.2 TTL 99999999999999999999",
        "ADD 10.0.0.2 TTL 5 secret",
        "DEL",
        "DEL secret",
        "DEL 10.0.0.1 TTL 5",
        "LIST secret",
    ] {
        for list in ["ALLOW", "DENY"] {
            let line = format!("AUTHLIMIT.{list} login {words}");
            let error = send(&mut client, &line).expect_err(words);
            assert!(!error.contains("secret"), "{error}");
        }
    }
    assert_eq!(digest(&mut client, "login"), before);
    send(&mut client, "SET text 5").unwrap();
    let error = send(&mut client, "AUTHLIMIT.DENY text ADD 10.0.0.1").expect_err("wrong type");
    assert!(error.starts_with("WRONGTYPE"), "{error}");
}

#[test]
fn a_policy_change_keeps_the_lists() {
    let (_server, mut client) = start();
    put(&mut client, "DENY ADD 10.0.0.0/8 TTL 1000");
    put(&mut client, "ALLOW ADD alice@x.org");
    send(&mut client, "AUTHLIMIT.POLICY login IP 9/1h IPV6-PREFIX 48").unwrap();
    assert_eq!(decided_by(&mut client, "10.0.0.1", "b@x.org"), "DENY");
    assert_eq!(decided_by(&mut client, "11.0.0.1", "alice@x.org"), "ALLOW");
}
