//! Every command answers as the manual says, in both protocols, and tells nobody what it was asked about.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that is surprised has failed, as it should"
)]

mod support;

use authlimit::policy::{ModifierWord, Subject};

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use support::{DEADLINE, Server, Verdict, command, digest, verdict, wait_until};

const IP: &str = "203.0.113.7";
const EMAIL: &str = "alice@example.com";

/// The commands that a client may send.
const COMMANDS: [&str; 9] = [
    "CHECK", "PEEK", "RESET", "REFUND", "POLICY", "INFO", "UNLOCK", "ALLOW", "DENY",
];

/// The commands that take an address and an email.
const ATTEMPTS: [&str; 4] = ["CHECK", "PEEK", "RESET", "REFUND"];

/// What one of the presets is short for, in the order of the manual.
const PRESETS: [(&str, &str); 5] = [
    ("signin", "IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m"),
    ("signup", "IP 10/1h EMAIL 3/1h PLUS-TAGS strip"),
    (
        "reset",
        "IP 10/15m EMAIL 3/15m EMAIL 10/24h PLUS-TAGS strip",
    ),
    ("otp", "IP 30/15m EMAIL 5/15m EMAIL 20/24h"),
    ("pci", "EMAIL 10/30m LOCK 30m"),
];

const BAD_IP: &str = "ERR the ip is not one bare IPv4 or IPv6 address: cut off a port, brackets, spaces and all \
                      other addresses of a list first";
const EMPTY_IP: &str = "ERR the ip is empty: pass the address of the client";
const EMPTY_EMAIL: &str = "ERR the email is empty, and a rule of the limiter's policy needs it";
const COST_TOO_HIGH: &str =
    "ERR COST is above a limit of the policy, so no such attempt could ever be admitted";
const BAD_COST: &str = "ERR argument 5: COST must be a whole number from 1 to 100000";

/// Sends a line of words parted by single spaces.
#[track_caller]
fn send(client: &mut Connection, line: &str) -> Result<Value, String> {
    command(client, &line.split(' ').collect::<Vec<_>>())
}

/// Sends a line that must be answered with OK.
#[track_caller]
fn ok(client: &mut Connection, line: &str) {
    assert_eq!(send(client, line), Ok(Value::Okay), "{line}");
}

/// Sends CHECK, for the limiter `login`.
#[track_caller]
fn check(client: &mut Connection, ip: &str, email: &str) -> Verdict {
    verdict(client, &["AUTHLIMIT.CHECK", "login", ip, email])
}

/// Sends PEEK, for the limiter `login`.
#[track_caller]
fn peek(client: &mut Connection, ip: &str, email: &str) -> Verdict {
    verdict(client, &["AUTHLIMIT.PEEK", "login", ip, email])
}

/// Says whether a key is there.
#[track_caller]
fn exists(client: &mut Connection, key: &str) -> bool {
    command(client, &["EXISTS", key]) == Ok(Value::Int(1))
}

/// Finds an entry in a reply that is a map, which in RESP2 is an array of names and values in turn.
#[track_caller]
fn entry(map: &Value, name: &str) -> Value {
    let named = |value: &Value| text(value) == name;
    match map {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| named(key)).map(|(_, v)| v),
        Value::Array(values) => values
            .chunks(2)
            .find(|pair| named(&pair[0]))
            .map(|pair| &pair[1]),
        _ => None,
    }
    .unwrap_or_else(|| panic!("no {name} in {map:?}"))
    .clone()
}

/// Returns a string of a reply.
#[track_caller]
fn text(value: &Value) -> String {
    redis::from_redis_value(value.clone()).unwrap_or_else(|_| panic!("not a string: {value:?}"))
}

/// Returns the strings of a reply's list.
#[track_caller]
fn texts(value: &Value) -> Vec<String> {
    elements(value).iter().map(text).collect()
}

/// Returns the elements of a reply's list.
#[track_caller]
fn elements(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) | Value::Set(values) => values.clone(),
        _ => panic!("not a list: {value:?}"),
    }
}

/// Returns the policy that INFO tells.
#[track_caller]
fn policy(client: &mut Connection, key: &str) -> String {
    let info = command(client, &["AUTHLIMIT.INFO", key]).expect("there is such a limiter");
    text(&entry(&info, "policy"))
}

/// The first session of the README, which is the same in both protocols.
#[track_caller]
fn the_first_session(mut client: Connection) {
    let first = check(&mut client, IP, EMAIL);
    let expected = Verdict {
        allowed: true,
        limit: 5,
        remaining: 4,
        retry_after_ms: 0,
        reset_ms: 900_000,
        rule: "PAIR 5/15m".to_owned(),
    };
    assert_eq!(first, expected);
    for remaining in (1..=3).rev() {
        let next = check(&mut client, IP, EMAIL);
        assert!(next.allowed, "{next:?}");
        assert_eq!((next.remaining, next.retry_after_ms), (remaining, 0));
    }
    let last = check(&mut client, IP, EMAIL);
    assert!(last.allowed, "{last:?}");
    assert_eq!(last.remaining, 0);
    assert!((1..=900_000).contains(&last.retry_after_ms), "{last:?}");

    let sixth = check(&mut client, IP, EMAIL);
    assert!(!sixth.allowed, "{sixth:?}");
    assert_eq!((sixth.limit, sixth.remaining), (5, 0));
    assert!((1..=900_000).contains(&sixth.retry_after_ms), "{sixth:?}");
    assert!((sixth.retry_after_ms..=900_000).contains(&sixth.reset_ms));
    assert_eq!(sixth.rule, "PAIR 5/15m");

    let forgiven = command(&mut client, &["AUTHLIMIT.RESET", "login", IP, EMAIL]);
    assert_eq!(forgiven, Ok(Value::Int(5)));
    let after = peek(&mut client, IP, EMAIL);
    let expected = Verdict {
        remaining: 5,
        reset_ms: 0,
        ..expected
    };
    assert_eq!(after, expected);
}

#[test]
fn the_sixth_attempt_is_refused_and_a_reset_gives_the_five_back() {
    the_first_session(Server::start().connect());
}

#[test]
fn the_sixth_attempt_is_refused_and_a_reset_gives_the_five_back_in_resp3() {
    the_first_session(Server::start().connect_resp3());
}

#[test]
fn peek_counts_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    check(&mut client, IP, EMAIL);
    let before = digest(&mut client, "login");
    for _ in 0..20 {
        let verdict = peek(&mut client, IP, EMAIL);
        assert!(verdict.allowed, "{verdict:?}");
        assert_eq!(verdict.remaining, 4);
    }
    assert_eq!(digest(&mut client, "login"), before);
    let info = send(&mut client, "AUTHLIMIT.INFO login").unwrap();
    for rule in elements(&entry(&info, "rules")) {
        assert_eq!(entry(&rule, "allowed"), Value::Int(1));
        assert_eq!(entry(&rule, "refused"), Value::Int(0));
    }
}

#[test]
fn only_check_and_policy_create_a_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    let untouched = peek(&mut client, IP, EMAIL);
    assert_eq!((untouched.allowed, untouched.remaining), (true, 5));
    for name in ["RESET", "REFUND"] {
        let reply = send(&mut client, &format!("AUTHLIMIT.{name} login {IP} {EMAIL}"));
        assert_eq!(reply, Ok(Value::Int(0)), "{name}");
    }
    let info = send(&mut client, "AUTHLIMIT.INFO login");
    let reason = "ERR no such limiter: AUTHLIMIT.POLICY or the first AUTHLIMIT.CHECK creates it";
    assert_eq!(info, Err(reason.to_owned()));
    assert!(!exists(&mut client, "login"));

    check(&mut client, IP, EMAIL);
    assert!(exists(&mut client, "login"));
    ok(&mut client, "AUTHLIMIT.POLICY other PAIR 5/1h");
    assert!(exists(&mut client, "other"));
    assert_eq!(text(&send(&mut client, "TYPE other").unwrap()), "authlimit");
}

#[test]
fn a_limiter_that_is_deleted_begins_anew() {
    let server = Server::start();
    let mut client = server.connect();
    for word in ["DEL", "UNLINK"] {
        while check(&mut client, IP, EMAIL).allowed {}
        assert_eq!(command(&mut client, &[word, "login"]), Ok(Value::Int(1)));
        assert_eq!(check(&mut client, IP, EMAIL).remaining, 4);
    }
}

#[test]
fn an_attempt_of_a_cost_counts_as_that_many_and_never_in_part() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 10/1h");
    let mut cost = |name: &str, cost: &str| {
        let words = [name, "login", IP, EMAIL, "cost", cost];
        verdict(&mut client, &words)
    };
    let most = cost("AUTHLIMIT.CHECK", "7");
    assert!(most.allowed && most.retry_after_ms > 0, "{most:?}");
    assert_eq!(most.remaining, 3);
    assert!(cost("AUTHLIMIT.PEEK", "3").allowed);
    let refused = cost("AUTHLIMIT.CHECK", "4");
    assert!(
        !refused.allowed && refused.retry_after_ms > 0,
        "{refused:?}"
    );
    assert_eq!(refused.remaining, 3);
    assert!(!cost("AUTHLIMIT.PEEK", "4").allowed);
    let rest = cost("AUTHLIMIT.CHECK", "3");
    assert_eq!((rest.allowed, rest.remaining), (true, 0));
    let forgiven = send(&mut client, &format!("AUTHLIMIT.RESET login {IP} {EMAIL}"));
    assert_eq!(forgiven, Ok(Value::Int(10)));
}

#[test]
fn a_refund_takes_the_newest_attempt_back_and_says_whether_there_was_one() {
    let server = Server::start();
    let mut client = server.connect();
    let refund = |ip: &str, email: &str, option: &str| {
        let line = format!("AUTHLIMIT.REFUND login {ip} {email}{option}");
        send(&mut server.connect(), &line)
    };
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 10/1h IP 50/1h");
    assert_eq!(refund(IP, EMAIL, ""), Ok(Value::Int(0)));
    check(&mut client, IP, EMAIL);
    verdict(
        &mut client,
        &["AUTHLIMIT.CHECK", "login", IP, EMAIL, "COST", "4"],
    );
    assert_eq!(refund("203.0.113.8", EMAIL, ""), Ok(Value::Int(0)));
    assert_eq!(refund(IP, "bob@example.com", ""), Ok(Value::Int(0)));
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 5);
    assert_eq!(refund(IP, EMAIL, " COST 4"), Ok(Value::Int(1)));
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 9);
    assert_eq!(refund(IP, EMAIL, ""), Ok(Value::Int(1)));
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 10);
    assert_eq!(refund(IP, EMAIL, ""), Ok(Value::Int(0)));
}

#[test]
fn a_policy_changes_live_and_keeps_the_counts() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 10/1h");
    for _ in 0..8 {
        assert!(check(&mut client, IP, EMAIL).allowed);
    }
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h");
    let refused = check(&mut client, IP, EMAIL);
    assert!(!refused.allowed, "{refused:?}");
    assert_eq!(
        (refused.limit, refused.remaining, refused.rule.as_str()),
        (5, 0, "PAIR 5/1h")
    );
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 10/1h");
    let admitted = std::iter::repeat_with(|| check(&mut client, IP, EMAIL).allowed)
        .take(5)
        .filter(|&allowed| allowed)
        .count();
    assert_eq!(admitted, 2);
}

#[test]
fn a_policy_in_error_leaves_the_one_there_is() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 10/1h");
    check(&mut client, IP, EMAIL);
    let before = digest(&mut client, "login");
    let errors = [
        ("PAIR 5/1h USER 5/1h", "policy word 3: "),
        ("PAIR 0/1h", "policy word 2: the limit "),
        ("PAIR 100001/1h", "policy word 2: the limit "),
        ("PAIR 5/31d", "policy word 2: the window "),
        ("PAIR 5/0s", "policy word 2: the window "),
        ("PAIR 5", "policy word 2: "),
        ("PAIR", "policy word 1: "),
        ("PAIR 5/1h PAIR 5/1h", "policy word 3: "),
        ("PRESET none", "policy word 2: the preset must be "),
        ("PAIR 5/1h IPV6-PREFIX 129", "policy word 4: IPV6-PREFIX "),
        ("PAIR 5/1h PLUS-TAGS maybe", "policy word 4: PLUS-TAGS "),
        ("PLUS-TAGS strip", "the policy has no rule: "),
    ];
    for (words, reason) in errors {
        for key in ["login", "new"] {
            let reply = send(&mut client, &format!("AUTHLIMIT.POLICY {key} {words}"));
            let error = reply.unwrap_err();
            assert!(
                error.starts_with(&format!("ERR {reason}")),
                "{words}: {error}"
            );
        }
    }
    let none = send(&mut client, "AUTHLIMIT.POLICY login").unwrap_err();
    assert!(none.starts_with("ERR no rule is given: "), "{none}");
    assert_eq!(digest(&mut client, "login"), before);
    assert!(!exists(&mut client, "new"));
}

#[test]
fn a_preset_is_short_for_its_rules() {
    let server = Server::start();
    let mut client = server.connect();
    for (name, rules) in PRESETS {
        ok(
            &mut client,
            &format!("AUTHLIMIT.POLICY {name} PRESET {name}"),
        );
        assert_eq!(policy(&mut client, name), rules);
        let shouted = name.to_uppercase();
        ok(
            &mut client,
            &format!("authlimit.policy upper preset {shouted}"),
        );
        assert_eq!(policy(&mut client, "upper"), rules);
    }
}

#[test]
fn the_policy_that_info_tells_makes_a_limiter_like_it() {
    let server = Server::start();
    let mut client = server.connect();
    let written = "pair 7/90s Email 20/1h EMAIL 50/1d ip 3/1500ms plus-tags STRIP ipv6-prefix 56";
    ok(&mut client, &format!("AUTHLIMIT.POLICY one {written}"));
    let told = policy(&mut client, "one");
    assert_eq!(
        told,
        "PAIR 7/90s EMAIL 20/1h EMAIL 50/1d IP 3/1500ms IPV6-PREFIX 56 PLUS-TAGS strip"
    );
    ok(&mut client, &format!("AUTHLIMIT.POLICY two {told}"));
    assert_eq!(policy(&mut client, "two"), told);
}

/// Checks what INFO tells of a limiter with three attempts, of which the last was refused.
#[track_caller]
fn info_tells_all(client: &mut Connection) -> Value {
    ok(
        client,
        "AUTHLIMIT.POLICY login PAIR 2/1h IP 9/1h EMAIL 9/1h",
    );
    for _ in 0..3 {
        check(client, IP, EMAIL);
    }
    check(client, IP, "bob@example.com");
    let info = send(client, "AUTHLIMIT.INFO login").expect("there is such a limiter");
    let rules = elements(&entry(&info, "rules"));
    let totals: Vec<_> = rules
        .iter()
        .map(|rule| {
            (
                text(&entry(rule, "rule")),
                entry(rule, "allowed"),
                entry(rule, "refused"),
            )
        })
        .collect();
    let total = |rule: &str, refused| (rule.to_owned(), Value::Int(3), Value::Int(refused));
    assert_eq!(
        totals,
        [
            total("PAIR 2/1h", 1),
            total("IP 9/1h", 0),
            total("EMAIL 9/1h", 0)
        ]
    );
    let subjects = elements(&entry(&info, "subjects"));
    let identities: Vec<_> = subjects
        .iter()
        .map(|subject| {
            let bytes = entry(subject, "bytes");
            assert!(matches!(bytes, Value::Int(1..)), "{bytes:?}");
            (
                text(&entry(subject, "subject")),
                entry(subject, "identities"),
            )
        })
        .collect();
    let held = |subject: &str, count| (subject.to_owned(), Value::Int(count));
    assert_eq!(
        identities,
        [held("PAIR", 2), held("IP", 1), held("EMAIL", 2)]
    );
    let bytes = entry(&info, "bytes");
    assert!(matches!(bytes, Value::Int(1..)), "{bytes:?}");
    info
}

#[test]
fn info_is_a_list_of_names_and_values_in_resp2() {
    let server = Server::start();
    let info = info_tells_all(&mut server.connect());
    let names: Vec<_> = elements(&info).iter().step_by(2).map(text).collect();
    assert_eq!(
        names,
        [
            "policy",
            "rules",
            "subjects",
            "allow_entries",
            "deny_entries",
            "bytes"
        ]
    );
}

#[test]
fn info_is_a_map_in_resp3() {
    let server = Server::start();
    let info = info_tells_all(&mut server.connect_resp3());
    assert!(
        matches!(&info, Value::Map(pairs) if pairs.len() == 6),
        "{info:?}"
    );
    for (list, fields) in [("rules", 5), ("subjects", 3)] {
        for row in elements(&entry(&info, list)) {
            assert!(
                matches!(&row, Value::Map(pairs) if pairs.len() == fields),
                "{row:?}"
            );
        }
    }
}

#[test]
fn logging_in_to_an_own_account_between_guesses_buys_no_further_guess() {
    let server = Server::start();
    let mut client = server.connect();
    for own_account in [false, true] {
        ok(&mut client, "FLUSHALL");
        ok(
            &mut client,
            "AUTHLIMIT.POLICY login IP 10/1h EMAIL 100/1h PAIR 100/1h",
        );
        let mut guesses = 0;
        while check(&mut client, IP, "victim@example.com").allowed {
            guesses += 1;
            if own_account && guesses % 2 == 0 {
                // The own login is refused too, once the budget is spent; its RESET is sent all the same.
                check(&mut client, IP, "mallory@example.com");
                let reset = format!("AUTHLIMIT.RESET login {IP} mallory@example.com");
                assert!(matches!(send(&mut client, &reset), Ok(Value::Int(0 | 1))));
            }
        }
        assert_eq!(guesses, 10, "with an own account: {own_account}");
    }
}

#[test]
fn a_success_forgives_neither_the_email_elsewhere_nor_other_emails_of_the_address() {
    let server = Server::start();
    let mut client = server.connect();
    ok(
        &mut client,
        "AUTHLIMIT.POLICY login IP 10/1h EMAIL 10/1h PAIR 10/1h",
    );
    for _ in 0..3 {
        check(&mut client, IP, EMAIL);
        check(&mut client, "203.0.113.8", EMAIL);
        check(&mut client, IP, "bob@example.com");
    }
    let reset = send(&mut client, &format!("AUTHLIMIT.RESET login {IP} {EMAIL}"));
    assert_eq!(reset, Ok(Value::Int(3)));
    // Each is bound by the one of address and email that was used more.
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 7);
    assert_eq!(peek(&mut client, IP, "carol@example.com").remaining, 7);
    assert_eq!(peek(&mut client, "203.0.113.9", EMAIL).remaining, 7);
    assert_eq!(
        peek(&mut client, "203.0.113.9", "carol@example.com").remaining,
        10
    );
}

#[test]
fn spellings_of_one_email_share_the_count_but_not_the_forgiveness() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h");
    let spellings = [
        "Victim@x.org",
        "victim@X.ORG",
        " victim@x.org ",
        "\u{24e5}ictim@x.org",
        "victim@x.org.",
    ];
    for spelling in spellings {
        assert!(check(&mut client, IP, spelling).allowed);
    }
    for spelling in spellings {
        assert!(!check(&mut client, IP, spelling).allowed);
    }
    for (forgiven, spelling) in (1..).zip(spellings) {
        for expected in [1, 0] {
            let reset = command(&mut client, &["AUTHLIMIT.RESET", "login", IP, spelling]);
            assert_eq!(reset, Ok(Value::Int(expected)), "{spelling}");
        }
        assert_eq!(peek(&mut client, IP, EMAIL).remaining, 5);
        assert_eq!(peek(&mut client, IP, "victim@x.org").remaining, forgiven);
    }
}

#[test]
fn spellings_of_one_address_are_one_address() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 8/1h");
    let groups: [&[&str]; 3] = [
        &[
            "1.2.3.4",
            "::ffff:1.2.3.4",
            "::ffff:102:304",
            "64:ff9b::102:304",
        ],
        &["2001:db8::1", "2001:db8::ffff", "2001:DB8:0:0::1%eth0"],
        &["fe80::1%eth0", "fe80::1"],
    ];
    for spellings in groups {
        for (ip, remaining) in spellings.iter().zip((0..8).rev()) {
            assert_eq!(check(&mut client, ip, EMAIL).remaining, remaining, "{ip}");
        }
        let reset = command(
            &mut client,
            &["AUTHLIMIT.RESET", "login", spellings[0], EMAIL],
        );
        assert_eq!(reset, Ok(Value::Int(spellings.len() as i64)));
    }
    assert_eq!(check(&mut client, "2001:db8:0:1::1", EMAIL).remaining, 7);
    assert_eq!(check(&mut client, "2001:db8:0:2::1", EMAIL).remaining, 7);
}

#[test]
fn a_policy_may_group_ipv6_by_another_prefix_and_strip_plus_tags() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 8/1h IPV6-PREFIX 56");
    assert_eq!(check(&mut client, "2001:db8:0:1::1", EMAIL).remaining, 7);
    assert_eq!(check(&mut client, "2001:db8:0:2::1", EMAIL).remaining, 6);
    ok(
        &mut client,
        "AUTHLIMIT.POLICY login EMAIL 8/1h PLUS-TAGS strip",
    );
    assert_eq!(check(&mut client, IP, "alice+1@example.com").remaining, 7);
    assert_eq!(check(&mut client, IP, "alice+2@example.com").remaining, 6);
    ok(
        &mut client,
        "AUTHLIMIT.POLICY login EMAIL 8/1h PLUS-TAGS keep",
    );
    assert_eq!(check(&mut client, IP, "bob+1@example.com").remaining, 7);
    assert_eq!(check(&mut client, IP, "bob+2@example.com").remaining, 7);
}

#[test]
fn a_refused_attempt_is_admitted_when_the_wait_is_over_and_not_before() {
    // A clock that is being set to the right time runs a little fast or slow.
    const SLACK: Duration = Duration::from_millis(10);
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 2/400ms");
    let mut asked = Instant::now();
    let mut refusal = None;
    wait_until("an attempt is refused", || {
        asked = Instant::now();
        let answer = check(&mut client, IP, EMAIL);
        refusal = (!answer.allowed).then_some(answer);
        refusal.is_some()
    });
    let wait = refusal.expect("waited for").retry_after_ms;
    assert!((1..=400).contains(&wait), "{wait}");
    let wait = Duration::from_millis(wait.unsigned_abs());

    let mut shortest = wait;
    wait_until("the attempt is admitted", || {
        let peeked = peek(&mut client, IP, EMAIL);
        let answer = check(&mut client, IP, EMAIL);
        if answer.allowed {
            return true;
        }
        assert!(
            !peeked.allowed,
            "admitted, and refused after it: {peeked:?}"
        );
        let left = Duration::from_millis(answer.retry_after_ms.unsigned_abs());
        assert!(
            !left.is_zero() && left <= shortest,
            "{left:?} after {shortest:?}"
        );
        shortest = left;
        false
    });
    assert!(asked.elapsed() + SLACK >= wait, "{:?}", asked.elapsed());

    wait_until("the quota is whole again", || {
        let verdict = peek(&mut client, IP, EMAIL);
        assert_eq!(verdict.remaining == 2, verdict.reset_ms == 0, "{verdict:?}");
        verdict.remaining == 2
    });
}

#[test]
fn an_address_that_is_none_is_an_error_and_counts_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    let bad: [&[u8]; 13] = [
        b"010.0.0.1",
        b"1.2.3.4:80",
        b"[::1]:80",
        b"[::1]",
        b"a,b",
        b"1.2.3.4, 5.6.7.8",
        b"unknown",
        b" 1.2.3.4",
        b"1.2.3.4 ",
        b"1.2.3",
        b"1.2.3.4\0",
        b"1.2.3.\xff",
        b"::ffff:1.2.3.4%a,b",
    ];
    for key in ["login", "new"] {
        if key == "login" {
            check(&mut client, IP, EMAIL);
        }
        let before = exists(&mut client, key).then(|| digest(&mut client, key));
        for name in ATTEMPTS {
            let name = format!("AUTHLIMIT.{name}");
            let mut with_ip = |ip: &[u8]| {
                command(
                    &mut client,
                    &[name.as_bytes(), key.as_bytes(), ip, EMAIL.as_bytes()],
                )
            };
            for ip in bad {
                assert_eq!(with_ip(ip), Err(BAD_IP.to_owned()), "{}", ip.escape_ascii());
            }
            assert_eq!(with_ip(b""), Err(EMPTY_IP.to_owned()));
        }
        let after = exists(&mut client, key).then(|| digest(&mut client, key));
        assert_eq!(after, before);
    }
}

#[test]
fn an_empty_email_or_address_is_an_error_only_where_a_rule_needs_it() {
    let server = Server::start();
    let mut client = server.connect();
    for name in ATTEMPTS {
        let name = format!("AUTHLIMIT.{name}");
        for key in ["login", "new"] {
            let reply = command(&mut client, &[&name, key, IP, ""]);
            assert_eq!(reply, Err(EMPTY_EMAIL.to_owned()), "{name}");
        }
    }
    assert!(!exists(&mut client, "login"));
    ok(&mut client, "AUTHLIMIT.POLICY login IP 5/1h");
    assert_eq!(check(&mut client, IP, "").remaining, 4);
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 4);
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 5/1h");
    assert_eq!(check(&mut client, "", EMAIL).remaining, 4);
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 4);
    // An address that is not needed and yet given must be one, so that a proxy's mistake shows.
    let reply = command(&mut client, &["AUTHLIMIT.CHECK", "login", "unknown", EMAIL]);
    assert_eq!(reply, Err(BAD_IP.to_owned()));
}

#[test]
fn a_cost_that_no_rule_could_admit_is_an_error() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h IP 8/1h");
    let before = digest(&mut client, "login");
    for name in ["CHECK", "PEEK", "REFUND"] {
        let mut cost = |key: &str, cost: &str| {
            send(
                &mut client,
                &format!("AUTHLIMIT.{name} {key} {IP} {EMAIL} COST {cost}"),
            )
            .unwrap_err()
        };
        for key in ["login", "new"] {
            assert_eq!(cost(key, "6"), COST_TOO_HIGH, "{name}");
            assert_eq!(cost(key, "100000"), COST_TOO_HIGH, "{name}");
            for bad in ["0", "-1", "1.5", "+1", "x", "", "100001", "4294967297"] {
                assert_eq!(cost(key, bad), BAD_COST, "{name} {bad}");
            }
        }
    }
    assert_eq!(digest(&mut client, "login"), before);
    assert!(!exists(&mut client, "new"));
}

#[test]
fn an_option_that_is_none_is_an_error_that_names_its_place() {
    let server = Server::start();
    let mut client = server.connect();
    for name in ["CHECK", "PEEK", "REFUND"] {
        let mut error = |options: &str| {
            send(
                &mut client,
                &format!("AUTHLIMIT.{name} login {IP} {EMAIL} {options}"),
            )
            .unwrap_err()
        };
        let takes = match name {
            "PEEK" => "COST n, DEVICE id and RULES",
            _ => "COST n and DEVICE id",
        };
        let none = |position| {
            format!("ERR argument {position} is not an option of this command; it takes {takes}")
        };
        assert_eq!(error("x"), none(4), "{name}");
        assert_eq!(error("RULE x"), none(4), "{name}");
        assert_eq!(error("COST 1 x"), none(6), "{name}");
        assert_eq!(
            error("COST 1 COST 1"),
            "ERR argument 6 repeats an option",
            "{name}"
        );
        let no_device = "ERR argument 5: DEVICE must be followed by the device's id";
        assert_eq!(error("DEVICE"), no_device, "{name}");
        assert_eq!(error("COST"), BAD_COST, "{name}");
    }
    assert!(!exists(&mut client, "login"));
}

#[test]
fn too_few_or_too_many_arguments_are_an_error_in_redis_s_words() {
    let server = Server::start();
    let mut client = server.connect();
    let wrong = [
        ("CHECK", 0..=2),
        ("PEEK", 0..=2),
        ("REFUND", 0..=2),
        ("RESET", 0..=2),
        ("POLICY", 0..=0),
        ("INFO", 0..=0),
        ("INFO", 2..=3),
    ];
    for (name, counts) in wrong {
        let name = format!("AUTHLIMIT.{name}");
        for count in counts {
            let words: Vec<&str> = [name.as_str(), "login", IP, EMAIL, "COST", "1"]
                .into_iter()
                .take(count + 1)
                .collect();
            let error = command(&mut client, &words).unwrap_err().to_lowercase();
            let expected = format!(
                "err wrong number of arguments for '{}' command",
                name.to_lowercase()
            );
            assert_eq!(error, expected, "{words:?}");
        }
    }
    assert!(!exists(&mut client, "login"));
}

#[test]
fn a_key_of_another_type_is_an_error_in_redis_s_words() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "SET login x");
    let of_redis = send(&mut client, "LPUSH login y");
    for name in ATTEMPTS {
        let line = format!("AUTHLIMIT.{name} login {IP} {EMAIL}");
        assert_eq!(send(&mut client, &line), of_redis, "{name}");
    }
    assert_eq!(send(&mut client, "AUTHLIMIT.INFO login"), of_redis);
    let policy = send(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h");
    assert_eq!(policy, of_redis);
    assert_eq!(text(&send(&mut client, "GET login").unwrap()), "x");
    ok(&mut client, "AUTHLIMIT.POLICY limiter PAIR 5/1h");
    assert_eq!(send(&mut client, "GET limiter"), of_redis);
}

#[test]
fn an_error_repeats_nothing_that_was_sent() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "SET text x");
    let sent = "S3NT";
    let shapes = [
        "CHECK login S3NT a@b.c",
        "CHECK login 1.2.3.4 a@b.c S3NT",
        "CHECK login 1.2.3.4 a@b.c COST S3NT",
        "CHECK login 1.2.3.4 a@b.c COST 1 S3NT",
        "CHECK text S3NT S3NT",
        "PEEK S3NT S3NT S3NT S3NT",
        "RESET S3NT S3NT S3NT",
        "RESET S3NT S3NT S3NT S3NT",
        "REFUND S3NT S3NT S3NT COST S3NT",
        "POLICY login S3NT",
        "POLICY login IP S3NT",
        "POLICY login IP S3NT/1h",
        "POLICY login IP 1/S3NT",
        "POLICY login PRESET S3NT",
        "POLICY login IPV6-PREFIX S3NT",
        "POLICY login PLUS-TAGS S3NT",
        "INFO S3NT",
        "INFO S3NT S3NT",
        "EFFECT S3NT S3NT",
    ];
    for shape in shapes {
        let error = send(&mut client, &format!("AUTHLIMIT.{shape}")).unwrap_err();
        assert!(!error.contains(sent), "{shape}: {error}");
    }
    assert!(!server.grep_log(sent.as_bytes()));
}

#[test]
fn command_info_tells_arity_flags_and_the_key() {
    let server = Server::start();
    let mut client = server.connect();
    let secretive = ["skip_monitor", "skip_slowlog"];
    let expected: [(&str, i64, &[&str], bool); 10] = [
        ("CHECK", -4, &["write", "denyoom", "fast"], true),
        ("PEEK", -4, &["readonly", "fast"], true),
        ("RESET", -4, &["write", "fast"], true),
        ("REFUND", -4, &["write", "fast"], true),
        ("POLICY", -2, &["write", "denyoom"], false),
        ("INFO", 2, &["readonly"], false),
        ("UNLOCK", -4, &["write"], true),
        ("ALLOW", -3, &["write", "denyoom"], true),
        ("DENY", -3, &["write", "denyoom"], true),
        ("EFFECT", 3, &["write", "fast", "noscript"], true),
    ];
    for (name, arity, flags, secret) in expected {
        let name = format!("AUTHLIMIT.{name}");
        let reply = command(&mut client, &["COMMAND", "INFO", &name]).unwrap();
        let info = elements(&elements(&reply)[0]);
        assert_eq!(text(&info[0]), name);
        assert_eq!(info[1], Value::Int(arity), "{name}");
        let mut told = texts(&info[2]);
        // That it is of a module, and where its keys are, is no matter of choice.
        told.retain(|flag| !["module", "movablekeys"].contains(&flag.as_str()));
        told.sort();
        let secretive = secretive.iter().take(if secret { 2 } else { 0 });
        let mut wanted: Vec<&str> = flags.iter().chain(secretive).copied().collect();
        wanted.sort_unstable();
        assert_eq!(told, wanted, "{name}");
        let keys = [Value::Int(1), Value::Int(1), Value::Int(1)];
        assert_eq!(info[3..6], keys, "{name}");

        let specs = elements(&info[8]);
        assert_eq!(specs.len(), 1, "{name}");
        let mut access = texts(&entry(&specs[0], "flags"));
        access.sort();
        let reads = flags.contains(&"readonly");
        let wanted: &[&str] = if reads {
            &["RO", "access"]
        } else {
            &["RW", "access", "update"]
        };
        assert_eq!(access, wanted, "{name}");
    }
}

#[test]
fn command_getkeys_finds_the_one_key() {
    let server = Server::start();
    let mut client = server.connect();
    let lines = [
        "CHECK login 1.2.3.4 a@b.c",
        "CHECK login 1.2.3.4 a@b.c COST 2",
        "PEEK login 1.2.3.4 a@b.c",
        "RESET login 1.2.3.4 a@b.c",
        "REFUND login 1.2.3.4 a@b.c",
        "POLICY login IP 5/1h EMAIL 5/1h",
        "INFO login",
        "EFFECT login x",
    ];
    for line in lines {
        let keys = send(&mut client, &format!("COMMAND GETKEYS AUTHLIMIT.{line}"));
        assert_eq!(texts(&keys.unwrap()), ["login"], "{line}");
    }
}

#[test]
fn command_docs_tells_what_each_command_does_and_every_argument() {
    let server = Server::start();
    let mut client = server.connect_resp3();
    let arguments: [(&str, &[&str]); 9] = [
        ("CHECK", &["key", "ip", "email", "COST", "DEVICE"]),
        ("PEEK", &["key", "ip", "email", "COST", "DEVICE", "RULES"]),
        ("RESET", &["key", "ip", "email", "DEVICE"]),
        ("REFUND", &["key", "ip", "email", "COST", "DEVICE"]),
        (
            "POLICY",
            &[
                "key",
                "rule",
                "PRESET",
                "CAPACITY",
                "IPV6-PREFIX",
                "PLUS-TAGS",
            ],
        ),
        ("INFO", &["key"]),
        ("UNLOCK", &["key", "IP", "EMAIL"]),
        ("ALLOW", &["key", "action"]),
        ("DENY", &["key", "action"]),
    ];
    assert_eq!(arguments.map(|(name, _)| name), COMMANDS);
    for (name, wanted) in arguments {
        let name = format!("AUTHLIMIT.{name}");
        let reply = command(&mut client, &["COMMAND", "DOCS", &name]).unwrap();
        let docs = entry(&reply, &name);
        for field in ["summary", "complexity", "since"] {
            assert!(!text(&entry(&docs, field)).is_empty(), "{name}: {field}");
        }
        assert_eq!(text(&entry(&docs, "module")), "authlimit");
        let told: Vec<String> = elements(&entry(&docs, "arguments"))
            .iter()
            .map(|argument| match argument {
                Value::Map(pairs) if pairs.iter().any(|(key, _)| text(key) == "token") => {
                    text(&entry(argument, "token"))
                }
                _ => text(&entry(argument, "name")),
            })
            .collect();
        assert_eq!(told, wanted, "{name}");
    }
}

#[test]
fn command_docs_tells_the_words_of_a_policy() {
    let server = Server::start();
    let mut client = server.connect_resp3();
    let reply = send(&mut client, "COMMAND DOCS authlimit.policy").unwrap();
    let docs = format!("{:?}", entry(&reply, "AUTHLIMIT.POLICY"));
    let subjects = Subject::EVERY.map(Subject::word);
    let modifiers = ModifierWord::EVERY.map(ModifierWord::word);
    let words = ["keep", "strip"]
        .into_iter()
        .chain(subjects)
        .chain(modifiers)
        .chain(PRESETS.map(|(name, _)| name));
    for word in words {
        // As the reply's debug form spells a string.
        let shown = format!("{:?}", Value::BulkString(word.as_bytes().to_vec()));
        assert!(docs.contains(&shown), "{word} is not in {docs}");
    }
}

#[test]
fn an_acl_user_is_kept_to_its_commands_and_key_patterns() {
    let server = Server::start();
    let mut admin = server.connect();
    ok(
        &mut admin,
        "ACL SETUSER app on nopass ~acme:* +authlimit.check +authlimit.peek",
    );
    let mut client = server.connect();
    ok(&mut client, "AUTH app x");
    let mut denied = |line: &str| {
        let error = send(&mut client, line).expect_err("not permitted");
        assert!(error.starts_with("NOPERM"), "{line}: {error}");
    };
    denied(&format!("AUTHLIMIT.CHECK other {IP} {EMAIL}"));
    denied(&format!("AUTHLIMIT.PEEK other {IP} {EMAIL}"));
    denied(&format!("AUTHLIMIT.RESET acme:login {IP} {EMAIL}"));
    denied("AUTHLIMIT.POLICY acme:login IP 5/1h");
    let allowed = verdict(&mut client, &["AUTHLIMIT.CHECK", "acme:login", IP, EMAIL]);
    assert!(allowed.allowed, "{allowed:?}");
}

/// Sends each command that takes an address and an email, once as it should be and once in error.
fn speak_of_alice(server: &Server) {
    let mut client = server.connect();
    for name in ATTEMPTS {
        let name = format!("AUTHLIMIT.{name}");
        command(&mut client, &[&name, "login", IP, EMAIL]).expect("a proper command");
        let error = command(&mut client, &[&name, "login", IP, EMAIL, "COST", "x"]);
        error.expect_err("an improper command");
    }
}

#[test]
fn monitor_shows_no_email_and_no_address() {
    let server = Server::start();
    let mut monitor = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    monitor.set_read_timeout(Some(DEADLINE)).unwrap();
    monitor.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(monitor).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "+OK");
    speak_of_alice(&server);
    assert!(send(&mut server.connect(), "ECHO the-end").is_ok());
    let shown: Vec<String> = lines
        .map(|line| line.expect("the monitor goes on"))
        .take_while(|line| !line.contains("the-end"))
        .collect();
    for line in shown {
        assert!(!line.contains(EMAIL) && !line.contains(IP), "{line}");
    }
}

#[test]
fn the_slow_log_shows_no_email_and_no_address() {
    let server = Server::builder()
        .arg("slowlog-log-slower-than", "0")
        .start();
    speak_of_alice(&server);
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 5/1h");
    let log = send(&mut client, "SLOWLOG GET -1").unwrap();
    let shown = format!("{log:?}");
    assert!(shown.contains("POLICY"), "nothing is logged: {shown}");
    assert!(!shown.contains(EMAIL) && !shown.contains(IP), "{shown}");
}
