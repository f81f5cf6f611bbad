use crate::identity::PlusTags;
use crate::policy::{Keyword, OptionWord, Options, Policy, Preset};

/// The options with `option` set to the value that `text` spells.
fn set(option: OptionWord, text: &str) -> Option<Options> {
    let mut options = Options::default();
    options.set(option, text.as_bytes())?;
    Some(options)
}

#[test]
fn what_an_option_expects_ends_in_an_example() {
    for option in OptionWord::ALL {
        assert!(option.expects().ends_with(|last: char| last.is_ascii_alphanumeric()));
        assert!(option.expects().contains(option.word()));
    }
}

#[test]
fn capacities_are_1_to_a_billion() {
    for (text, count) in [("1", 1), ("1000000000", 1_000_000_000)] {
        let capacity = set(OptionWord::Capacity, text).unwrap().capacity;
        assert_eq!(capacity.map(|capacity| capacity.get()), Some(count));
    }
    for text in ["", "0", "1000000001", "1e6", "10M"] {
        assert_eq!(set(OptionWord::Capacity, text), None, "{text}");
    }
}

#[test]
fn prefixes_are_32_to_128() {
    for (text, bits) in [("32", 32), ("64", 64), ("128", 128)] {
        assert_eq!(set(OptionWord::Ipv6Prefix, text).unwrap().ipv6_prefix.bits(), bits);
    }
    for text in ["", "0", "31", "129", "256", "320", "064", "/64", "6.4"] {
        assert_eq!(set(OptionWord::Ipv6Prefix, text), None, "{text}");
    }
}

#[test]
fn plus_tags_are_kept_or_stripped() {
    let plus_tags = |text| set(OptionWord::PlusTags, text).map(|options| options.plus_tags);
    assert_eq!(plus_tags("keep"), Some(PlusTags::Keep));
    assert_eq!(plus_tags("STRIP"), Some(PlusTags::Strip));
    assert_eq!(plus_tags(""), None);
    assert_eq!(plus_tags("kee"), None);
}

#[test]
fn every_preset_is_a_policy_that_prints_as_its_words() {
    for preset in Preset::ALL {
        let policy = Policy::from_text(preset.words()).unwrap();
        assert_eq!(policy.to_string(), preset.words());
    }
}

#[test]
fn no_preset_names_a_preset() {
    // Reading such a preset would never end.
    for preset in Preset::ALL {
        assert!(!preset.words().contains("PRESET"));
    }
}
