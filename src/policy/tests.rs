//! What holds for every policy, and for anything that is not one.

use proptest::collection::{hash_set, vec};
use proptest::prelude::*;

use super::{Limit, Millis, Policy, Preset, Subject, Unit, Window};

/// The words of any window.
fn window_words() -> impl Strategy<Value = String> {
    proptest::sample::select(&Unit::EVERY).prop_flat_map(|unit| {
        let longest = Window::MAX.get() / unit.length().get();
        (1..=longest).prop_map(move |count| format!("{count}{}", unit.word()))
    })
}

/// The words of any rule.
fn rule_words() -> impl Strategy<Value = String> {
    let subject = proptest::sample::select(&Subject::EVERY);
    (subject, 1..=Limit::MAX, window_words())
        .prop_map(|(subject, limit, window)| format!("{} {limit}/{window}", subject.word()))
}

/// The words of any policy, as a policy prints them.
fn policy_words() -> impl Strategy<Value = String> {
    let rules = hash_set(rule_words(), 1..=super::MAX_RULES);
    let prefix = (32..=128_u8).prop_map(|bits| match bits {
        64 => String::new(),
        bits => format!(" IPV6-PREFIX {bits}"),
    });
    let tags = proptest::sample::select(&["", " PLUS-TAGS strip"]);
    (rules, prefix, tags).prop_map(|(rules, prefix, tags)| {
        let rules: Vec<_> = rules.into_iter().collect();
        format!("{}{prefix}{tags}", rules.join(" "))
    })
}

/// A word that may well be one of a policy, or nearly.
fn likely_word() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"IP".to_vec()),
        Just(b"email".to_vec()),
        Just(b"IPV6-PREFIX".to_vec()),
        Just(b"PLUS-TAGS".to_vec()),
        Just(b"PRESET".to_vec()),
        Just(b"otp".to_vec()),
        Just(b"strip".to_vec()),
        "[0-9.+-]{0,7}/[0-9.+-]{0,7}(ms|s|m|h|d|w)?".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #[test]
    fn a_policy_prints_as_the_words_it_was_read_from(words in policy_words()) {
        let policy = Policy::from_text(&words).unwrap();
        prop_assert_eq!(policy.to_string(), words);
    }

    #[test]
    fn printing_and_reading_again_makes_an_equal_policy(
        words in policy_words(),
        preset in proptest::sample::select(&Preset::EVERY),
    ) {
        let text = format!("PRESET {} {}", preset.name(), words);
        if let Ok(policy) = Policy::from_text(&text) {
            let again = Policy::from_text(&policy.to_string()).unwrap();
            prop_assert_eq!(again, policy);
        }
    }

    #[test]
    fn no_bytes_make_reading_panic(words in vec(likely_word(), 0..12)) {
        if let Err(error) = Policy::parse(&words) {
            let message = error.to_string();
            prop_assert!(message.is_ascii());
            prop_assert!(!message.contains(|c: char| c.is_ascii_control()));
        }
    }

    /// Each word is marked with letters that no message has.
    #[test]
    fn no_message_repeats_what_was_sent(
        mut words in vec(likely_word(), 1..12),
        marked in any::<proptest::sample::Index>(),
    ) {
        let index = marked.index(words.len());
        words[index].extend_from_slice(b"zqz");
        let message = Policy::parse(&words).unwrap_err().to_string();
        prop_assert!(!message.contains("zqz"));
    }
}

#[test]
fn subjects_come_once_each_in_the_order_of_their_first_rule() {
    let policy = Policy::from_text("PAIR 1/1s IP 1/1s PAIR 2/1s IP 2/1s").unwrap();
    let subjects: Vec<_> = policy.subjects().collect();
    assert_eq!(subjects, [Subject::Pair, Subject::Ip]);
}

#[test]
fn the_longest_window_is_the_longest_in_time() {
    let policy = Policy::from_text("IP 1/2h IP 1/119m EMAIL 1/1s IP 1/1ms").unwrap();
    let longest = |subject| policy.longest_window(subject).map(Millis::get);
    assert_eq!(longest(Subject::Ip), Some(7_200_000));
    assert_eq!(longest(Subject::Email), Some(1_000));
    assert_eq!(longest(Subject::Pair), None);
}

#[test]
fn a_policy_needs_what_its_rules_need() {
    for (words, address, email) in [
        ("IP 1/1s", true, false),
        ("EMAIL 1/1s", false, true),
        ("PAIR 1/1s", true, true),
        ("IP 1/1s EMAIL 1/1s", true, true),
    ] {
        let policy = Policy::from_text(words).unwrap();
        assert_eq!(policy.needs_address(), address, "{words}");
        assert_eq!(policy.needs_email(), email, "{words}");
    }
}
