use crate::policy::rule::Modifiers;
use crate::policy::{Counting, Enforcement, Keyword, Limit, Lock, ModifierWord, Policy, Rule, Subject, Unit, Window};

/// Whether counting for `subject` takes the attempt's address, email and device.
fn needs(subject: Subject) -> [bool; 3] {
    [subject.needs_address(), subject.needs_email(), subject.needs_device()]
}

#[test]
fn words_codes_and_needs_are_these_for_good() {
    let rows: Vec<_> = Subject::ALL.iter().map(|&s| (s.word(), s.code(), needs(s))).collect();
    assert_eq!(
        rows,
        [
            ("IP", 1, [true, false, false]),
            ("EMAIL", 2, [false, true, false]),
            ("PAIR", 3, [true, true, false]),
            ("EMAILS-PER-IP", 4, [true, true, false]),
            ("IPS-PER-EMAIL", 5, [true, true, false]),
            ("ALL", 6, [false, false, false]),
            ("DEVICE", 7, [false, false, true]),
        ]
    );
}

#[test]
fn only_distinct_counts_have_the_lower_limit() {
    for &subject in Subject::ALL {
        let distinct = matches!(subject, Subject::EmailsPerIp | Subject::IpsPerEmail);
        assert_eq!(subject.is_distinct_count(), distinct);
        assert_eq!(subject.max_limit(), if distinct { 1_000 } else { 100_000 });
    }
}

#[test]
fn a_code_leads_back_to_its_subject_and_others_do_not() {
    for &subject in Subject::ALL {
        assert_eq!(Subject::from_code(subject.code()), Some(subject));
    }
    for code in [0, 8, 255] {
        assert_eq!(Subject::from_code(code), None);
    }
}

#[test]
fn each_example_is_a_rule_with_its_modifier() {
    for modifier in ModifierWord::ALL {
        let example = modifier.example();
        assert!(example.contains(modifier.word()), "{example}");
        let policy = Policy::from_text(example).unwrap();
        assert_eq!(policy.to_string(), example);
    }
}

/// The rule `EMAIL 20/60m` with modifiers.
fn rule(modifiers: Modifiers) -> Rule {
    let limit = Limit::new(20).unwrap();
    let window = Window::new(60, Unit::Minute).unwrap();
    Rule::new(Subject::Email, limit, window, modifiers)
}

#[test]
fn a_rule_keeps_its_parts_and_has_words() {
    let rule = rule(Modifiers::default());
    assert_eq!(rule.subject(), Subject::Email);
    assert_eq!(rule.limit().get(), 20);
    assert_eq!(rule.window().to_string(), "60m");
    assert_eq!(rule.lock(), None);
    assert_eq!(rule.enforcement(), Enforcement::Enforced);
    assert_eq!(rule.counting(), Counting::AdmittedOnly);
    assert_eq!(rule.words(), "EMAIL 20/60m");
    assert_eq!(rule.to_string(), rule.words());
}

#[test]
fn modifiers_are_kept_and_printed_in_one_order() {
    let lock = Lock::parse(b"15m..24h").ok();
    let rule = rule(Modifiers { lock, enforcement: Enforcement::Shadow, counting: Counting::AlsoDenied });
    assert_eq!(rule.lock(), lock);
    assert_eq!(rule.enforcement(), Enforcement::Shadow);
    assert_eq!(rule.counting(), Counting::AlsoDenied);
    assert_eq!(rule.words(), "EMAIL 20/60m LOCK 15m..24h SHADOW COUNT-DENIED");
    assert!(ModifierWord::ALL.iter().all(|modifier| rule.words().contains(modifier.word())));
}

#[test]
fn each_modifier_makes_another_rule() {
    let plain = Modifiers::default();
    let rows = [
        (Modifiers { lock: Lock::parse(b"30m").ok(), ..plain }, "EMAIL 20/60m LOCK 30m"),
        (Modifiers { enforcement: Enforcement::Shadow, ..plain }, "EMAIL 20/60m SHADOW"),
        (Modifiers { counting: Counting::AlsoDenied, ..plain }, "EMAIL 20/60m COUNT-DENIED"),
    ];
    for (modifiers, words) in rows {
        assert_eq!(rule(modifiers).words(), words);
        assert_ne!(rule(modifiers), rule(plain));
    }
}
