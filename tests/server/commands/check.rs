//! Every command answers as the manual says, in both protocols.

use crate::support::replies::{
    EMAIL, IP, check, elements, entry, exists, ok, peek, policy, send, text,
};
use crate::support::{Server, Verdict, command, digest, verdict, wait_until};
use redis::{Connection, Value};
use std::time::{Duration, Instant};

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
