use proptest::collection::{hash_set, vec};
use proptest::prelude::*;

use crate::policy::{Capacity, Keyword, Lock, MAX_RULES, ModifierWord, Policy, Preset, Subject, Unit, Window};

/// The words of any window.
fn window_words() -> impl Strategy<Value = String> {
    proptest::sample::select(Unit::ALL).prop_flat_map(|unit| {
        let longest = Window::MAX.get() / unit.length().get();
        (1..=longest).prop_map(move |count| format!("{count}{}", unit.word()))
    })
}

/// The words of any lock, with a space before them.
fn lock_words() -> impl Strategy<Value = String> {
    let doubling = (window_words(), window_words()).prop_map(|(one, other)| {
        let times = format!("{one}..{other}");
        match Lock::parse(times.as_bytes()) {
            Ok(_) => format!(" LOCK {times}"),
            Err(_) => format!(" LOCK {other}..{one}"),
        }
    });
    prop_oneof![window_words().prop_map(|time| format!(" LOCK {time}")), doubling,]
}

/// What follows any rule's figures: each modifier or nothing, in the order in which a rule prints them.
fn modifier_words() -> impl Strategy<Value = Vec<String>> {
    let lock = prop_oneof![Just(String::new()), lock_words()];
    let [shadow, denied] =
        [" SHADOW", " COUNT-DENIED"].map(|word| proptest::sample::select(vec![String::new(), word.to_owned()]));
    (lock, shadow, denied).prop_map(|(lock, shadow, denied)| vec![lock, shadow, denied])
}

/// The words of any rule's subject and figures.
fn figure_words() -> impl Strategy<Value = String> {
    proptest::sample::select(Subject::ALL)
        .prop_flat_map(|subject| (Just(subject), 1..=subject.max_limit(), window_words()))
        .prop_map(|(subject, limit, window)| format!("{} {limit}/{window}", subject.word()))
}

/// The words of any rule.
fn rule_words() -> impl Strategy<Value = String> {
    (figure_words(), modifier_words()).prop_map(|(figures, modifiers)| format!("{figures}{}", modifiers.concat()))
}

/// The words of any policy, as a policy prints them.
fn policy_words() -> impl Strategy<Value = String> {
    let rules = hash_set(rule_words(), 1..=MAX_RULES)
        .prop_filter("not for DEVICE only", |rules| rules.iter().any(|rule| !rule.starts_with("DEVICE ")));
    let capacity = proptest::option::of(1..=Capacity::MAX.get())
        .prop_map(|capacity| capacity.map_or_else(String::new, |count| format!(" CAPACITY {count}")));
    let prefix = (32..=128_u8).prop_map(|bits| match bits {
        64 => String::new(),
        bits => format!(" IPV6-PREFIX {bits}"),
    });
    let tags = proptest::sample::select(&["", " PLUS-TAGS strip"]);
    (rules, capacity, prefix, tags).prop_map(|(rules, capacity, prefix, tags)| {
        let rules: Vec<_> = rules.into_iter().collect();
        format!("{}{capacity}{prefix}{tags}", rules.join(" "))
    })
}

/// A word that may well be one of a policy, or nearly.
fn likely_word() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "IP",
        "email",
        "Emails-Per-IP",
        "DEVICE",
        "5/15m",
        "1001/1h",
        "LOCK",
        "shadow",
        "COUNT-DENIED",
        "15m..24h",
        "CAPACITY",
        "IPV6-PREFIX",
        "PLUS-TAGS",
        "PRESET",
        "pci",
        "strip",
        "64",
    ];
    prop_oneof![
        4 => proptest::sample::select(known.map(|word| word.as_bytes().to_vec()).to_vec()),
        1 => "[0-9.+-]{0,7}/[0-9.+-]{0,7}(ms|s|m|h|d|w)?".prop_map(String::into_bytes),
        1 => "[0-9.+-]{0,7}(ms|s|m|h|d|w)?[.]{0,3}[0-9.+-]{0,7}(ms|s|m|h|d|w)?".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..20),
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
        preset in proptest::sample::select(Preset::ALL),
    ) {
        let text = format!("PRESET {} {}", preset.word(), words);
        if let Ok(policy) = Policy::from_text(&text) {
            let again = Policy::from_text(&policy.to_string()).unwrap();
            prop_assert_eq!(again, policy);
        }
    }

    #[test]
    fn modifiers_in_any_order_make_the_same_rule(
        figures in figure_words(),
        (modifiers, shuffled) in modifier_words()
            .prop_flat_map(|modifiers| (Just(modifiers.clone()), Just(modifiers).prop_shuffle())),
    ) {
        let read = |modifiers: Vec<String>| {
            let words = format!("ALL 1/1s {figures}{}", modifiers.concat());
            Policy::from_text(&words.to_lowercase()).unwrap()
        };
        prop_assert_eq!(read(shuffled), read(modifiers));
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
fn a_policy_needs_what_its_rules_need() {
    for (words, address, email) in [
        ("IP 1/1s", true, false),
        ("EMAIL 1/1s", false, true),
        ("PAIR 1/1s", true, true),
        ("IP 1/1s EMAIL 1/1s", true, true),
        ("EMAILS-PER-IP 1/1s", true, true),
        ("IPS-PER-EMAIL 1/1s", true, true),
        ("ALL 1/1s DEVICE 1/1s", false, false),
    ] {
        let policy = Policy::from_text(words).unwrap();
        assert_eq!(policy.needs_address(), address, "{words}");
        assert_eq!(policy.needs_email(), email, "{words}");
    }
}

#[test]
fn a_policy_has_the_subjects_of_its_rules() {
    let policy = Policy::from_text("EMAIL 20/1h DEVICE 5/15m").unwrap();
    for &subject in Subject::ALL {
        let expected = matches!(subject, Subject::Email | Subject::Device);
        assert_eq!(policy.has_subject(subject), expected, "{}", subject.word());
    }
}

#[test]
fn every_modifier_may_stand_on_every_subject() {
    for &subject in Subject::ALL {
        let word = subject.word();
        let words = format!("ALL 1/1s {word} 5/15m LOCK 15m..24h SHADOW COUNT-DENIED");
        let policy = Policy::from_text(&words).unwrap();
        let rule = policy.rules().last().unwrap();
        assert!(ModifierWord::ALL.iter().all(|modifier| rule.words().contains(modifier.word())));
        assert_eq!(policy.to_string(), words);
    }
}
