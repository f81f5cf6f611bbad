#![allow(clippy::arithmetic_side_effects)]

use super::*;
use proptest::prelude::*;

/// The longest email that is normalised, made of one letter.
const LONGEST: &[u8] = &[b'a'; MAX_NORMALISED_BYTES];

/// What a text becomes with its tags kept.
fn keep(text: &str) -> String {
    spelling(text, PlusTags::Keep)
}

/// What a text becomes with its tags stripped.
fn strip(text: &str) -> String {
    spelling(text, PlusTags::Strip)
}

/// What a text becomes; it must have been normalised.
fn spelling(text: &str, plus_tags: PlusTags) -> String {
    let canonical = CanonicalEmail::of(text.as_bytes(), plus_tags);
    assert!(canonical.is_normalised());
    String::from_utf8(canonical.as_bytes().to_vec()).unwrap()
}

#[test]
fn spellings_of_one_mailbox_are_one() {
    let groups: &[(&str, &[&str])] = &[
        (
            "victim@x.org",
            &[
                "ViCtIm@X.org",
                " victim@x.org ",
                "victim @x.org",
                "v i\tc\nt\u{b}i\u{c}m\r@ x . org",
                "victim@x.org.",
                "victim@x.org. ",
                "victim@x.org . .",
                "ⓥictim@x.org",
                "ｖｉｃｔｉｍ@x.org",
                "ＶＩＣＴＩＭ＠Ｘ．ＯＲＧ",
                "victim﹫x.org",
                "vict\u{200b}im@x.org",
                "vic\u{ad}tim@x\u{200d}.org\u{feff}",
                "v\u{3164}ictim\u{fe0f}@x.org",
                "\u{a0}victim@x.org\u{3000}",
                "victim@x\u{3002}org",
                "victim@x.org\u{3002}",
                "victim@x\u{ff61}org\u{ff0e}",
                "𝐯𝐢𝐜𝐭𝐢𝐦@x.org",
            ],
        ),
        ("kate@skype.org", &["\u{212a}ate@S\u{212a}ype.org", "kate@ſkype.org"]),
        ("andre@x.org", &["andré@x.org", "andre\u{301}@x.org", "ANDRÉ@x.org", "ANDRE\u{301}@X.ORG"]),
        (
            "victim@example.org",
            &[
                "víctim@example.org",
                "vıctİm@exámple.org",
                "v\u{301}i\u{302}ctim@exa\u{301}mple.org",
                "ᴠɪᴄᴛɪᴍ@example.org",
                "victim@xn--exmple-qta.org",
                "v\u{345}\u{6de}ictim@éxample.org",
            ],
        ),
        ("soren7@aedh.org", &["søren7@ædħ.org", "SØREN\u{667}@Æđh.org", "søren７@æđħ.org"]),
        ("a@bucher.de", &["a@bücher.de", "a@BÜCHER.de.", "a@bu\u{308}cher.de", "A@XN--BCHER-KVA.DE."]),
        ("a@пример.рф", &["a@ПРИМЕР.РФ", "a@xn--e1afmkfd.xn--p1ai"]),
        ("a@strasse.de", &["a@straße.de", "a@STRAẞE.de", "a@xn--strae-oqa.de"]),
        ("strasse@x.org", &["straße@x.org", "STRAẞE@x.org"]),
        ("office@x.org", &["oﬃce@x.org", "ｏﬀice@x.org"]),
        ("οδοσ@x.org", &["οδος@x.org", "ΟΔΟΣ@x.org"]),
        ("i@x.org", &["\u{130}@x.org", "ı@x.org"]),
    ];
    for (expected, texts) in groups {
        for text in [expected].into_iter().chain(*texts) {
            assert_eq!(keep(text), *expected, "{text:?}");
            assert_eq!(strip(text), *expected, "{text:?}");
        }
    }
}

#[test]
fn tags_are_kept_or_stripped() {
    let cases = [
        ("victim+tag@x.org", "victim+tag@x.org", "victim@x.org"),
        ("Victim+A+b@x.org", "victim+a+b@x.org", "victim@x.org"),
        ("victim＋tag＠x.org", "victim+tag@x.org", "victim@x.org"),
        ("victim + tag@x.org", "victim+tag@x.org", "victim@x.org"),
        ("victim+@x.org", "victim+@x.org", "victim@x.org"),
        ("+tag@x.org", "+tag@x.org", "+tag@x.org"),
        (" +tag+b@x.org", "+tag+b@x.org", "+tag+b@x.org"),
        ("\u{200b}+tag@x.org", "+tag@x.org", "+tag@x.org"),
        ("a@x+y.org", "a@x+y.org", "a@x+y.org"),
        ("a+b@c@x.org", "a+b@c@x.org", "a@x.org"),
        ("é+b@x.org", "e+b@x.org", "e@x.org"),
        // No domain: the same rule, because the application may add its default domain.
        ("victim+tag", "victim+tag", "victim"),
        ("+49 30 123", "+4930123", "+4930123"),
    ];
    for (text, kept, stripped) in cases {
        assert_eq!(keep(text), kept, "{text:?}");
        assert_eq!(strip(text), stripped, "{text:?}");
    }
}

#[test]
fn odd_texts_have_a_form() {
    let cases = [
        ("", ""),
        (" \t", ""),
        ("\u{3000}\u{200b}", ""),
        ("@", "@"),
        (" ＠ ", "@"),
        ("@@", "@@"),
        ("a@", "a@"),
        ("a@.", "a@"),
        ("@x.org", "@x.org"),
        ("victim", "victim"),
        ("victim.", "victim."),
        ("victim@x.org@", "victim@x.org@"),
        ("a\0\u{1}\u{7f}@x.org\u{1f}", "a@x.org"),
        ("ä\0\u{85}@x.org\u{1}", "a@x.org"),
        ("\"A b\"@x.org", "\"ab\"@x.org"),
        ("a@\u{301}x.org", "a@x.org"),
        ("a@xn--A.org", "a@xn--a.org"),
    ];
    for (text, expected) in cases {
        assert_eq!(keep(text), expected, "{text:?}");
    }
}

#[test]
fn different_mailboxes_stay_different() {
    let texts = [
        "a@x.org",
        "b@x.org",
        "a@y.org",
        "ax.org",
        "a@xorg",
        "a.b@x.org",
        "ab@x.org",
        "ss@x.org",
        "s@x.org",
        "ñn@x.org",
        "а@x.org",
        "a@",
        "@a",
        "a",
        "",
        "@",
    ];
    let mut forms: Vec<String> = texts.iter().map(|text| keep(text)).collect();
    forms.sort();
    forms.dedup();
    assert_eq!(forms.len(), texts.len());
}

#[test]
fn what_is_not_normalised_stays_as_received_and_is_unique() {
    let long = [b'A'; MAX_NORMALISED_BYTES + 1];
    let huge = vec![b'A'; 1 << 20];
    let huge_invalid = vec![0xff; 1 << 20];
    let raws: &[&[u8]] = &[
        &long,
        &huge,
        &huge_invalid,
        b"\xff",
        b"Victim\x80@x.org",
        b"victim\x80@x.org",
        b"\xc0\xaf@x.org",
        b"\xed\xa0\x80@x.org",
        b"victim@x.org\xe2\x80",
    ];
    for raw in raws {
        let canonical = CanonicalEmail::of(raw, PlusTags::Strip);
        assert!(!canonical.is_normalised());
        assert_eq!(canonical.as_bytes(), *raw);
        assert_eq!(raws.iter().filter(|other| CanonicalEmail::of(other, PlusTags::Strip) == canonical).count(), 1);
    }
    assert_eq!(CanonicalEmail::of(LONGEST, PlusTags::Keep).as_bytes(), LONGEST);
    assert!(CanonicalEmail::of(LONGEST, PlusTags::Keep).is_normalised());
}

#[test]
fn an_email_over_the_limit_is_taken_as_received_whatever_it_is() {
    for filler in [" ", "\t", "\u{3000}", "\u{200b}", "é", "\u{fdfa}", "A"] {
        for count in [MAX_NORMALISED_BYTES, 100_000] {
            let raw = format!("Victim@x.org{}", filler.repeat(count));
            let canonical = CanonicalEmail::of(raw.as_bytes(), PlusTags::Keep);
            assert!(!canonical.is_normalised());
            assert_eq!(canonical.as_bytes().as_ptr(), raw.as_ptr());
            assert_eq!(canonical.as_bytes().len(), raw.len());
        }
    }
}

#[test]
fn padding_within_the_limit_makes_no_new_identity() {
    for padding in [" ", "\t", "\u{3000}", "\u{200b}", "\u{ad}", "\u{301}"] {
        let padding = padding.repeat((MAX_NORMALISED_BYTES - 12) / padding.len());
        assert_eq!(keep(&format!("victim@x.org{padding}")), "victim@x.org");
        assert_eq!(keep(&format!("{padding}victim@x.org")), "victim@x.org");
    }
}

#[test]
fn a_long_canonical_form_differs_from_the_same_bytes_as_received() {
    let raw = "\u{fdfa}".repeat(106);
    let grown = CanonicalEmail::of(raw.as_bytes(), PlusTags::Keep);
    assert!(grown.as_bytes().len() > MAX_NORMALISED_BYTES);
    let received = CanonicalEmail::of(grown.as_bytes(), PlusTags::Keep);
    assert_eq!(received.as_bytes(), grown.as_bytes());
    assert_ne!(received, grown);
}

#[test]
fn growth_is_bounded_in_a_domain_too() {
    for c in ["\u{fdfa}", "\u{fb03}", "\u{1f82}", "ß", "\u{3300}", "\u{1f240}"] {
        let raw = format!("@{}", c.repeat((MAX_NORMALISED_BYTES - 1) / c.len()));
        let canonical = CanonicalEmail::of(raw.as_bytes(), PlusTags::Keep);
        assert!(canonical.as_bytes().len() <= MAX_NORMALISED_BYTES * 11, "{c:?}");
    }
}

#[test]
fn ascii_stays_off_the_heap() {
    for raw in [b"Victim+tag@X.org.".as_slice(), b"", b"@", LONGEST] {
        let canonical = CanonicalEmail::of(raw, PlusTags::Strip);
        assert!(matches!(canonical.0, Form::Ascii(_) | Form::Unchanged(_)));
    }
}

#[test]
fn debug_reveals_nothing() {
    let canonical = CanonicalEmail::of(b"victim@x.org", PlusTags::Keep);
    assert_eq!(format!("{canonical:?}"), "CanonicalEmail { normalised: true, bytes: 12 }");
}

/// Tags kept or stripped.
fn any_plus_tags() -> impl Strategy<Value = PlusTags> {
    prop_oneof![Just(PlusTags::Keep), Just(PlusTags::Strip)]
}

/// ASCII with many characters that the rules treat specially.
fn ascii_email() -> impl Strategy<Value = String> {
    let byte = prop_oneof![proptest::sample::select(b" \t\x0b\x0c\r\n@@.+-aAzZ".to_vec()), 0u8..0x80];
    let loose = proptest::collection::vec(byte, 0..40).prop_map(|bytes| bytes.into_iter().map(char::from).collect());
    prop_oneof![loose, "[ A-Za-z+.]{0,8}@(xn--)?[A-Za-z0-9-]{0,10}[. ]{0,3}(ORG)?[. ]{0,3}"]
}

/// Text of any kind with many characters that the rules treat specially.
fn unicode_email() -> impl Strategy<Value = String> {
    let special: Vec<char> =
        "@＠﹫++＋.．。 \u{a0}\u{3000}\u{200d}\u{ad}\u{3164}\u{fe0f}\u{301}\u{345}\u{a8}ßςİﬁⓥ\u{212a}\u{fdfa}éxn-aB1\u{5d0}"
            .chars()
            .collect();
    proptest::collection::vec(prop_oneof![2 => proptest::sample::select(special), 1 => any::<char>()], 0..30)
        .prop_map(String::from_iter)
}

proptest! {
    /// The fast test for canonical bytes agrees with the Unicode algorithms.
    #[test]
    fn what_is_plainly_canonical_is_its_own_canonical_form(
        raw in proptest::collection::vec(proptest::sample::select(b"ab0@.+-XxN \x7f\xc3\xa9".to_vec()), 0..12),
        strips: bool,
    ) {
        let plus_tags = if strips { PlusTags::Strip } else { PlusTags::Keep };
        if is_plainly_canonical(&raw, plus_tags) {
            let text = std::str::from_utf8(&raw).unwrap();
            prop_assert_eq!(unicode(text, plus_tags), text);
        }
    }

    #[test]
    fn ascii_gives_what_unicode_gives(text in ascii_email(), plus_tags in any_plus_tags()) {
        if let Some(short) = ascii(&text, plus_tags) {
            let long = unicode(&text, plus_tags);
            prop_assert_eq!(short.as_bytes(), long.as_bytes());
        }
    }

    #[test]
    fn only_encoded_domains_need_unicode(text in "[ -~]{0,60}", plus_tags in any_plus_tags()) {
        prop_assert!(ascii(&text, plus_tags).is_some() || text.to_ascii_lowercase().contains("xn"));
    }

    #[test]
    fn canonical_twice_is_canonical_once(
        text in prop_oneof![ascii_email(), unicode_email()],
        plus_tags in any_plus_tags(),
    ) {
        let once = CanonicalEmail::of(text.as_bytes(), plus_tags);
        if once.is_normalised() && once.as_bytes().len() <= MAX_NORMALISED_BYTES {
            prop_assert!(CanonicalEmail::of(once.as_bytes(), plus_tags) == once);
        }
    }

    #[test]
    fn case_and_space_and_invisible_never_count(
        text in "[a-z.+-]{1,12}@[a-wyz]{1,8}[.]org",
        at in any::<proptest::sample::Index>(),
        noise in proptest::sample::select(vec![" ", "\t", "\u{200b}", "\u{a0}", "\u{3164}", "\u{e0001}"]),
    ) {
        let mut noisy = text.to_ascii_uppercase();
        noisy.insert_str(at.index(text.len() + 1), noise);
        prop_assert_eq!(keep(&noisy), text);
    }

    #[test]
    fn any_bytes_have_a_stable_form(
        raw in proptest::collection::vec(any::<u8>(), 0..400),
        plus_tags in any_plus_tags(),
    ) {
        let one = CanonicalEmail::of(&raw, plus_tags);
        prop_assert!(one == CanonicalEmail::of(&raw, plus_tags));
        prop_assert!(one.is_normalised() || one.as_bytes() == raw);
    }
}
