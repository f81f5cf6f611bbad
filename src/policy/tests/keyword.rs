use std::fmt::Debug;

use crate::identity::PlusTags;
use crate::policy::{Keyword, ModifierWord, OptionWord, Preset, Subject, Unit};

/// Checks that each word leads back to its value in any case, and that `others` are not words.
fn check<K: Keyword + PartialEq + Debug>(others: &[&[u8]]) {
    for &value in K::ALL {
        let word = value.word();
        for spelling in [word.to_owned(), word.to_ascii_lowercase(), word.to_ascii_uppercase()] {
            assert_eq!(K::from_word(spelling.as_bytes()), Some(value), "{spelling}");
        }
        assert!(K::choices().contains(word), "{word}");
    }
    for other in others {
        assert_eq!(K::from_word(other), None, "{}", other.escape_ascii());
    }
    assert_eq!(K::from_word(b""), None);
}

#[test]
fn words_in_any_case_lead_back_to_their_value_and_others_do_not() {
    check::<Subject>(&[
        b"I",
        b"IPS",
        b" IP",
        b"IP\0",
        "\u{131}p".as_bytes(),
        b"EMAILS-PER",
        b"EMAILS_PER_IP",
        b"DEVICES",
    ]);
    check::<ModifierWord>(&[b"LOCKED", b"COUNT_DENIED"]);
    check::<OptionWord>(&[b"PLUS"]);
    check::<Preset>(&[b"sign-in"]);
    check::<PlusTags>(&[b"kee"]);
    check::<Unit>(&[b"w", b"min"]);
}

#[test]
fn words_are_listed_in_one_order() {
    assert_eq!(ModifierWord::all_words(), ["LOCK", "SHADOW", "COUNT-DENIED"]);
    assert_eq!(ModifierWord::choices(), "LOCK, SHADOW or COUNT-DENIED");
    assert_eq!(PlusTags::choices(), "keep or strip");
}
