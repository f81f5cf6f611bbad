//! Random policies.

use super::rules::rule_key;
use authlimit::policy::{Keyword, Lock, Policy, Subject, Window};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Short and long windows; two have the same length in different words.
const WINDOWS: [&str; 10] = ["1ms", "7ms", "100ms", "999ms", "1500ms", "1m", "60s", "15m", "1h", "30d"];

/// Short and long locks, of constant length or doubling.
const LOCKS: [&str; 10] =
    ["1ms", "50ms", "1500ms", "1h", "30d", "1ms..5ms", "7ms..1h", "100ms..350ms", "1h..30d", "1m..60s"];

/// Parses a policy.
pub(crate) fn policy(words: &str) -> Policy {
    Policy::from_text(words).expect("a valid policy")
}

/// Whether a policy has a DEVICE rule.
pub(crate) fn has_devices(policy: &Policy) -> bool {
    policy.has_subject(Subject::Device)
}

/// Modifiers of a rule with this window, in words. No lock is shorter than the window.
fn any_modifiers(window: &'static str) -> impl Strategy<Value = String> {
    let long_enough = |lock: &&str| {
        let lock = Lock::parse(lock.as_bytes()).expect("a valid lock");
        lock.first() >= Window::parse(window.as_bytes()).expect("a valid window").length()
    };
    let locks: Vec<&str> = LOCKS.into_iter().filter(long_enough).collect();
    let lock = select(locks).prop_map(|lock| format!(" LOCK {lock}"));
    let lock = prop_oneof![3 => Just(String::new()), 2 => lock];
    let shadow = prop_oneof![4 => Just(""), 1 => Just(" SHADOW")];
    let denied = prop_oneof![4 => Just(""), 1 => Just(" COUNT-DENIED")];
    (lock, shadow, denied).prop_map(|(lock, shadow, denied)| format!("{lock}{shadow}{denied}"))
}

/// A rule in words.
fn any_rule() -> impl Strategy<Value = String> {
    let subject = select(Subject::ALL.to_vec());
    let limit = prop_oneof![2 => 1..5_u32, 1 => 1..31_u32];
    let window = select(WINDOWS.to_vec());
    let window = window.prop_flat_map(|window| (Just(window), any_modifiers(window)));
    (subject, limit, window)
        .prop_map(|(subject, limit, (window, modifiers))| format!("{} {limit}/{window}{modifiers}", subject.word()))
}

/// Options in words.
fn any_options(with_capacity: bool) -> impl Strategy<Value = String> {
    let identity_options = prop_oneof![
        6 => Just(""),
        1 => Just("PLUS-TAGS strip"),
        1 => Just("IPV6-PREFIX 48"),
        1 => Just("IPV6-PREFIX 128"),
    ];
    (identity_options, 1..5_u32).prop_map(move |(options, capacity)| {
        if with_capacity { format!("{options} CAPACITY {capacity}") } else { options.to_owned() }
    })
}

/// Three policies of one to five rules, some of which they share.
pub(crate) fn any_policies(with_capacity: bool) -> impl Strategy<Value = Vec<Policy>> {
    proptest::collection::btree_set(any_rule(), 6).prop_flat_map(move |rules| {
        let mut rules: Vec<String> = rules.into_iter().collect();
        // Two rules that count the same in the same time are an error.
        let mut keys = Vec::new();
        rules.retain(|rule| {
            let key = rule_key(&policy(&format!("{rule} EMAIL 77/77s")).rules()[0]);
            let is_new = !keys.contains(&key);
            keys.push(key);
            is_new
        });
        let most = rules.len();
        let some_rules = subsequence(rules, 1..=most.min(5)).prop_shuffle();
        let policy = (some_rules, any_options(with_capacity)).prop_map(|(mut rules, options)| {
            // A policy with only DEVICE rules is an error.
            if rules.iter().all(|rule| rule.starts_with("DEVICE")) {
                rules.insert(0, "EMAIL 3/1m".to_owned());
            }
            policy(&format!("{} {options}", rules.join(" ")))
        });
        proptest::collection::vec(policy, 3)
    })
}

/// One policy.
pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    any_policies(false).prop_map(|policies| policies[0].clone())
}
