//! POLICY: changes apply live, an invalid policy is refused, and the words in INFO recreate the same policy.

use crate::support::replies::{EMAIL, IP, check, exists, ok, policy as policy_of, send, text};
use crate::support::rules::{admitted, checks, info, policy, remaining, start_with};
use crate::support::{Server, command, digest};
use redis::Value;

/// Each preset and the policy that it stands for, in the order of the manual.
pub(super) const PRESETS: [(&str, &str); 5] = [
    ("signin", "IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m"),
    ("signup", "IP 10/1h EMAIL 3/1h PLUS-TAGS strip"),
    ("reset", "IP 10/15m EMAIL 3/15m EMAIL 10/24h PLUS-TAGS strip"),
    ("otp", "IP 30/15m EMAIL 5/15m EMAIL 20/24h"),
    ("pci", "EMAIL 10/30m LOCK 30m"),
];

#[test]
fn a_policy_change_applies_live_and_keeps_the_counts() {
    let (_server, mut client) = start_with("PAIR 10/1h");
    for _ in 0..8 {
        assert!(check(&mut client, IP, EMAIL).allowed);
    }
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h");
    let refused = check(&mut client, IP, EMAIL);
    assert!(!refused.allowed, "{refused:?}");
    assert_eq!((refused.limit, refused.remaining, refused.rule.as_str()), (5, 0, "PAIR 5/1h"));
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 10/1h");
    let admitted =
        std::iter::repeat_with(|| check(&mut client, IP, EMAIL).allowed).take(5).filter(|&allowed| allowed).count();
    assert_eq!(admitted, 2);
}

#[test]
fn an_invalid_policy_is_an_error_and_keeps_the_current_one() {
    let (_server, mut client) = start_with("PAIR 10/1h");
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
        ("PAIR 5/1h LOCK 59m", "policy word 4: the lock is shorter than the window "),
        ("PRESET signin IP 500/15m", "policy word 3: PRESET signin has a stricter rule for IP"),
        ("PAIR 5/1h IPV6-PREFIX 129", "policy word 4: IPV6-PREFIX "),
        ("PAIR 5/1h PLUS-TAGS maybe", "policy word 4: PLUS-TAGS "),
        ("PLUS-TAGS strip", "the policy has no rule: "),
    ];
    for (words, reason) in errors {
        for key in ["login", "new"] {
            let reply = send(&mut client, &format!("AUTHLIMIT.POLICY {key} {words}"));
            let error = reply.unwrap_err();
            assert!(error.starts_with(&format!("BADPOLICY {reason}")), "{words}: {error}");
        }
    }
    let no_rule = send(&mut client, "AUTHLIMIT.POLICY login").unwrap_err();
    assert!(no_rule.starts_with("BADPOLICY no rule is given: "), "{no_rule}");
    assert_eq!(digest(&mut client, "login"), before);
    assert!(!exists(&mut client, "new"));
}

#[test]
fn a_preset_expands_to_its_rules() {
    let server = Server::start();
    let mut client = server.connect();
    for (name, rules) in PRESETS {
        ok(&mut client, &format!("AUTHLIMIT.POLICY {name} PRESET {name}"));
        assert_eq!(policy_of(&mut client, name), rules);
        let uppercase = name.to_uppercase();
        ok(&mut client, &format!("authlimit.policy upper preset {uppercase}"));
        assert_eq!(policy_of(&mut client, "upper"), rules);
    }
}

#[test]
fn info_returns_a_policy_in_canonical_words_that_recreate_it() {
    let server = Server::start();
    let mut client = server.connect();
    let written = "pair 7/90s Email 20/1h EMAIL 50/1d ip 3/1500ms plus-tags STRIP ipv6-prefix 56";
    ok(&mut client, &format!("AUTHLIMIT.POLICY one {written}"));
    let canonical = policy_of(&mut client, "one");
    assert_eq!(canonical, "PAIR 7/90s EMAIL 20/1h EMAIL 50/1d IP 3/1500ms IPV6-PREFIX 56 PLUS-TAGS strip");
    ok(&mut client, &format!("AUTHLIMIT.POLICY two {canonical}"));
    assert_eq!(policy_of(&mut client, "two"), canonical);
}

#[test]
fn a_lowered_limit_refuses_at_once_and_a_raised_limit_admits_the_difference() {
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
fn the_words_in_info_set_the_same_policy_on_another_limiter() {
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
        let canonical = text(&info(&mut client, "one")["policy"]);
        policy(&mut client, &format!("other {canonical}"));
        assert_eq!(text(&info(&mut client, "other")["policy"]), canonical);
        let as_one = ["AUTHLIMIT.POLICY", "third", &canonical];
        assert_eq!(command(&mut client, &as_one), Ok(Value::Okay));
        assert_eq!(text(&info(&mut client, "third")["policy"]), canonical);
    }
    policy(&mut client, &format!("one {everything}"));
    assert_eq!(text(&info(&mut client, "one")["policy"]), everything);
}

#[test]
fn an_invalid_policy_is_an_error_that_repeats_nothing_and_changes_nothing() {
    let (_server, mut client) = start_with("PAIR 5/15m");
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
