use std::cell::Cell;
use std::iter;

use crate::identity::{Ipv6Prefix, PlusTags};
use crate::policy::{
    Capacity, Enforcement, Keyword, Lock, MAX_RULES, ModifierWord, OptionWord, Policy, PolicyError, Preset,
};

/// Words, after a rule or not, that take the next word for a value.
const VALUED: [&[u8]; 6] = [b"IP", b"ALL", b"CAPACITY", b"IPV6-PREFIX", b"PLUS-TAGS", b"PRESET"];

/// The policy that `text` spells, printed.
fn printed(text: &str) -> String {
    Policy::from_text(text).unwrap().to_string()
}

/// The error that reading `text` ends with.
fn error(text: &str) -> PolicyError {
    Policy::from_text(text).unwrap_err()
}

#[test]
fn words_are_read_in_any_case_and_printed_in_one() {
    assert_eq!(
        printed("iP 50/15M email 20/1H plus-TAGS Strip pair 5/900s ipv6-prefix 56"),
        "IP 50/15m EMAIL 20/1h PAIR 5/900s IPV6-PREFIX 56 PLUS-TAGS strip"
    );
}

#[test]
fn options_at_their_default_are_not_printed() {
    assert_eq!(printed("IPV6-PREFIX 64 PLUS-TAGS keep IP 1/1s"), "IP 1/1s");
}

#[test]
fn there_is_no_capacity_by_default() {
    let capacity = |text| Policy::from_text(text).unwrap().options().capacity;
    assert_eq!(capacity("IP 1/1s"), None);
    let given = capacity("capacity 10000000 PRESET signin");
    assert_eq!(given, Capacity::new(10_000_000).ok());
}

#[test]
fn modifiers_are_of_the_rule_before_them() {
    assert_eq!(
        printed("pair 5/15M count-denied shadow lock 15M..24H ip 50/15m SHADOW ALL 9/1s"),
        "PAIR 5/15m LOCK 15m..24h SHADOW COUNT-DENIED IP 50/15m SHADOW ALL 9/1s"
    );
    let policy = Policy::from_text("PAIR 5/15m LOCK 30m IP 50/15m SHADOW").unwrap();
    let [pair, ip] = policy.rules() else {
        panic!("not two rules");
    };
    assert_eq!(pair.lock(), Lock::parse(b"30m").ok());
    assert_eq!(pair.enforcement(), Enforcement::Enforced);
    assert_eq!(ip.lock(), None);
    assert_eq!(ip.enforcement(), Enforcement::Shadow);
}

#[test]
fn the_same_figures_with_other_modifiers_are_another_rule() {
    for words in [
        "PAIR 5/15m PAIR 5/15m LOCK 1h SHADOW",
        "PAIR 5/15m LOCK 1h PAIR 5/15m LOCK 60m",
        "IP 5/15m IP 5/15m COUNT-DENIED",
    ] {
        assert_eq!(printed(words), words);
    }
    assert_eq!(error("PRESET pci IP 1/1s EMAIL 10/30m LOCK 30m"), PolicyError::RepeatedRule { position: 5 });
}

#[test]
fn a_repeated_modifier_is_an_error_before_its_value_is_read() {
    let modifier = ModifierWord::Lock;
    assert_eq!(error("IP 1/1s LOCK 1s LOCK"), PolicyError::ModifierTwice { position: 5, modifier });
}

#[test]
fn a_modifier_that_follows_no_rule_is_misplaced() {
    for (words, position) in [("LOCK 1s IP 1/1s", 1), ("IP 1/1s CAPACITY 5 LOCK 1s", 5), ("PRESET pci LOCK 1s", 3)] {
        let modifier = ModifierWord::Lock;
        assert_eq!(error(words), PolicyError::MisplacedModifier { position, modifier }, "{words}");
    }
}

#[test]
fn device_rules_need_a_rule_for_another_subject() {
    assert_eq!(error("DEVICE 5/1h"), PolicyError::OnlyDeviceRules);
    for words in ["DEVICE 5/1h ALL 9/1s", "EMAIL 5/1h SHADOW DEVICE 5/1h"] {
        assert_eq!(printed(words), words);
    }
}

#[test]
fn ascii_white_space_separates_the_words_of_a_text() {
    assert_eq!(printed("\t IP\n5/1h \r\n PAIR  1/1s "), "IP 5/1h PAIR 1/1s");
}

#[test]
fn one_subject_and_window_may_have_several_limits() {
    let words = "IP 5/1h IP 6/1h IP 5/60m";
    assert_eq!(printed(words), words);
}

#[test]
fn a_preset_expands_where_it_stands() {
    for preset in Preset::ALL {
        assert_eq!(printed(&format!("preset {}", preset.word())), preset.words());
    }
    assert_eq!(printed("PAIR 1/1s PRESET otp PAIR 2/1s"), format!("PAIR 1/1s {} PAIR 2/1s", Preset::Otp.words()));
}

#[test]
fn an_option_of_the_policy_wins_over_a_preset() {
    for text in ["PLUS-TAGS keep PRESET signup", "PRESET signup PLUS-TAGS keep"] {
        let options = Policy::from_text(text).unwrap().options();
        assert_eq!(options.plus_tags, PlusTags::Keep, "{text}");
    }
    let options = Policy::from_text("IPV6-PREFIX 48 PRESET signup").unwrap().options();
    assert_eq!(Some(options.ipv6_prefix), Ipv6Prefix::new(48));
    assert_eq!(options.plus_tags, PlusTags::Strip);
}

#[test]
fn two_presets_may_give_the_same_option() {
    assert_eq!(
        printed("PRESET signup PRESET reset"),
        "IP 10/1h EMAIL 3/1h IP 10/15m EMAIL 3/15m EMAIL 10/24h PLUS-TAGS strip"
    );
}

#[test]
fn an_option_of_the_policy_twice_is_an_error() {
    let option = OptionWord::PlusTags;
    assert_eq!(error("PLUS-TAGS keep PRESET signup PLUS-TAGS keep"), PolicyError::OptionTwice { position: 5, option });
    // Found before the value is, so that a policy ending here is not asked for one.
    assert_eq!(error("IP 1/1s PLUS-TAGS keep PLUS-TAGS"), PolicyError::OptionTwice { position: 5, option });
}

#[test]
fn errors_of_a_preset_are_at_the_word_preset() {
    assert_eq!(error("PAIR 5/15m PRESET signin"), PolicyError::RepeatedRule { position: 3 });
    assert_eq!(error("PRESET signin PAIR 5/15m"), PolicyError::RepeatedRule { position: 3 });
    let rules: String = (1..MAX_RULES).map(|n| format!("PAIR {n}/1s ")).collect();
    assert_eq!(error(&format!("{rules}PRESET signup")), PolicyError::TooManyRules { position: 63 });
}

#[test]
fn a_lock_may_be_shorter_than_its_window_only_in_a_stored_policy() {
    let new = |text: &str| Policy::parse(text.split_ascii_whitespace());
    for text in ["PAIR 5/15m LOCK 14m..24h", "IP 5/1h SHADOW LOCK 1m", "EMAIL 20/1h COUNT-DENIED LOCK 3599999ms"] {
        assert!(matches!(new(text), Err(PolicyError::LockBelowWindow { .. })), "{text}");
        let words = printed(text);
        assert_eq!(printed(&words), words);
    }
    for text in ["PAIR 5/15m LOCK 15m", "PAIR 5/15m LOCK 900s..24h", "PAIR 5/30d LOCK 30d"] {
        assert_eq!(new(text).map(|policy| policy.to_string()), Ok(text.to_owned()));
    }
    for preset in Preset::ALL {
        assert!(new(preset.words()).is_ok(), "{preset:?}");
    }
}

#[test]
fn a_rule_that_a_preset_covers_is_an_error() {
    let covered = |text: &str| {
        let error = Policy::from_text(text).err()?;
        assert!(matches!(error, PolicyError::CoveredByPreset { .. }), "{text}: {error}");
        Some(error.to_string())
    };
    for text in [
        "PRESET signin IP 500/15m",
        "IP 500/15m PRESET signin",
        "PRESET signin IP 50/14m",
        "PRESET signin IP 51/15m LOCK 1d",
        "PRESET signin EMAIL 50/1h",
        "PRESET signin ALL 9/1h PAIR 6/1m",
        "PRESET pci EMAIL 20/30m",
        "PRESET reset PRESET otp EMAIL 3/5m",
    ] {
        assert!(covered(text).is_some(), "{text}");
    }
    // These are stricter, count more, lock, only report, or count something else; and two presets may be given.
    for text in [
        "PRESET signin IP 49/15m",
        "PRESET signin IP 500/16m",
        "PRESET signin IP 500/15m SHADOW",
        "PRESET signin IP 500/15m COUNT-DENIED",
        "PRESET signin PAIR 5/15m LOCK 15m..24h",
        "PRESET signin ALL 500/15m DEVICE 9/1h",
        "PRESET signin PRESET otp",
        "IP 50/15m IP 500/15m",
    ] {
        assert_eq!(covered(text), None, "{text}");
    }
    let PolicyError::CoveredByPreset { position, .. } = error("PRESET otp PRESET signin ALL 9/1h PAIR 9/1m") else {
        panic!("the rule is covered");
    };
    assert_eq!(position, 7);
}

#[test]
fn hostile_words_are_errors() {
    let words: [&[u8]; 8] = [b"", b"\0", b"IP\0", b"\x80", b"\xff\xfe", "\u{100}".as_bytes(), b"--", b"IP 5/1h"];
    for word in words {
        let shown = word.escape_ascii();
        let begin = Policy::parse([word]);
        assert_eq!(begin, Err(PolicyError::UnknownWord { position: 1 }), "{shown}");
        for before in VALUED {
            assert!(Policy::parse([before, word]).is_err(), "{shown}");
        }
        let after_rule = Policy::parse([b"IP".as_slice(), b"5/1h", word]);
        assert_eq!(after_rule, Err(PolicyError::UnknownWord { position: 3 }), "{shown}");
        let as_lock = Policy::parse([b"IP".as_slice(), b"5/1h", b"LOCK", word]);
        assert!(matches!(as_lock, Err(PolicyError::Lock { position: 4, .. })), "{shown}");
    }
}

#[test]
fn a_word_of_a_megabyte_is_an_error() {
    for byte in [b'0', b'9', b'A', b'/', b'm', 0, 0xff] {
        let huge = vec![byte; 1 << 20];
        let as_limit = [&huge, b"/1h".as_slice()].concat();
        let as_window = [b"1/".as_slice(), &huge].concat();
        let as_number = [b"1/".as_slice(), &huge, b"h"].concat();
        assert!(Policy::parse([&huge]).is_err());
        for before in VALUED {
            for value in [&huge, &as_limit, &as_window, &as_number] {
                assert!(Policy::parse([before, value]).is_err());
            }
        }
        let as_lock = [b"15m..".as_slice(), &huge, b"h"].concat();
        for value in [&huge, &as_window, &as_lock] {
            assert!(Policy::parse([b"IP", b"5/1h".as_slice(), b"LOCK", value]).is_err());
        }
    }
}

#[test]
fn words_without_end_are_read_no_further_than_the_rules_go() {
    let full = "IP 5/1h SHADOW COUNT-DENIED LOCK 1h";
    let endless = ["IP 5/1h", full, "PRESET otp"];
    for words in endless {
        let taken = Cell::new(0_usize);
        let words = words.split_ascii_whitespace();
        let counted = words.clone().cycle().inspect(|_| taken.set(taken.get() + 1));
        let error = Policy::parse(counted).unwrap_err();
        assert!(matches!(error, PolicyError::TooManyRules { .. }));
        // The word after the last rule is looked at, in case it is a modifier.
        assert!(taken.get() <= words.count() * (MAX_RULES + 1) + 1);
    }
    for modifier in ["SHADOW", "COUNT-DENIED"] {
        let endless = ["IP", "5/1h"].into_iter().chain(iter::repeat(modifier));
        let twice = Policy::parse(endless).unwrap_err();
        assert!(matches!(twice, PolicyError::ModifierTwice { .. }));
    }
}
