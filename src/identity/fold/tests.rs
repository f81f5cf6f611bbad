#![allow(clippy::arithmetic_side_effects)]

use super::*;
use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizer, DecomposingNormalizer};
use idna::punycode;
use proptest::prelude::*;

#[test]
fn texts_fold_to_these_forms() {
    let cases = [
        ("ViCtIm", "victim"),
        ("ⓥｉｃｔｉｍ", "victim"),
        ("𝓿𝕚𝔠𝗍𝘪𝚖", "victim"),
        ("\u{212a}", "k"),
        ("ſ", "s"),
        ("ﬁ", "fi"),
        ("ßẞ", "ssss"),
        ("ÁÀÂÃÄÅĀąǎảẤ", "aaaaaaaaaaa"),
        ("øØłŁđĐħĦŧƀ", "oollddhhtb"),
        ("æÆœŒþÞıİðŋĸ", "aeaeoeoeththiidnq"),
        ("vi\u{301}cti\u{308}\u{323}m\u{20dd}", "victim"),
        ("٠١٢٣٤٥٦٧٨٩", "0123456789"),
        ("९४७𝟗９⑨⁹", "9479999"),
        ("ΟΔΌΣ ὀδός", "οδοσοδοσ"),
        ("ЁЙёй", "еиеи"),
        ("ガカヵ", "\u{304b}\u{304b}\u{304b}"),
        ("각", "\u{1100}\u{1161}\u{11a8}"),
        ("a\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}b", "ab"),
        ("a\u{ad}\u{34f}\u{fe0f}\u{e0100}\u{3164}\u{ffa0}\u{200e}b", "ab"),
        (" a\t\n\u{b}\u{c}\r\u{85}\u{a0}\u{2003}\u{2028}\u{3000}b ", "ab"),
        ("a\0\u{1}\u{1f}\u{7f}\u{80}\u{9f}b", "ab"),
        ("＠﹫", "@@"),
        ("＋﹢⁺", "+++"),
        ("．。｡", "..."),
        ("\u{fdfa}", "صلىاللهعليهوسلم"),
        ("", ""),
    ];
    for (text, expected) in cases {
        assert_eq!(fold(text), expected, "{text:?}");
    }
}

#[test]
fn every_character_folds_to_what_folds_to_itself() {
    for c in '\0'..=char::MAX {
        let folded = fold(c.encode_utf8(&mut [0; 4]));
        assert_eq!(fold(&folded), folded, "{c:?}");
        assert!(folded.len() <= 11 * c.len_utf8(), "{c:?}");
    }
}

#[test]
fn printable_ascii_folds_to_lower_case_only() {
    for c in ' '..='~' {
        let expected = c.to_ascii_lowercase().to_string();
        assert_eq!(fold(&c.to_string()), if c == ' ' { "" } else { &expected }, "{c:?}");
    }
}

/// Whether a character is or has U+0345: capitals write this mark as a letter (`ᾳ` is `ΑΙ`), and databases ignore it.
fn has_iota_mark(c: char) -> bool {
    DecomposingNormalizer::new_nfkd().normalize(&c.to_string()).contains('\u{345}')
}

/// Characters that a database takes for others than their compatibility forms: letters with a high hamza, the turned
/// open e, and some of which `unaccent` makes something else.
const NOT_AS_NFKC: &str = "\u{675}\u{676}\u{677}\u{678}\u{1d4c}\u{1e9a}\u{2033}\u{fbdd}";

#[test]
fn case_and_compatibility_forms_of_every_character_fold_alike() {
    let case = CaseMapper::new();
    let nfkc = ComposingNormalizer::new_nfkc();
    let mut apart = String::new();
    for c in ('\0'..=char::MAX).filter(|c| !has_iota_mark(*c)) {
        let text = c.to_string();
        let forms = [
            text.to_lowercase(),
            text.to_uppercase(),
            case.fold_string(&text).into_owned(),
            nfkc.normalize(&text).into_owned(),
        ];
        if forms.into_iter().any(|form| form != text && fold(&form) != fold(&text)) {
            apart.push(c);
        }
    }
    assert_eq!(apart, NOT_AS_NFKC);
}

/// Text of any kind, with many characters that are awkward together.
fn any_text() -> impl Strategy<Value = String> {
    let awkward = proptest::sample::select(vec![
        '\u{345}', '\u{301}', '\u{323}', '\u{34f}', '\u{a8}', '\u{363}', '\u{fdfa}', '\u{130}', '\u{200d}', '\u{1160}',
        '\u{ac00}', '\u{11a8}', '\u{e38}', '\u{94d}', '\u{93c}', 'ᾳ', 'ς', 'ß', 'A', ' ',
    ]);
    proptest::collection::vec(prop_oneof![any::<char>(), awkward], 0..40).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once(text in any_text()) {
        let folded = fold(&text);
        prop_assert_eq!(fold(&folded), folded);
    }

    #[test]
    fn equivalent_texts_fold_alike(text in any_text()) {
        let folded = fold(&text);
        prop_assert_eq!(&fold(&DecomposingNormalizer::new_nfd().normalize(&text)), &folded);
        prop_assert_eq!(&fold(&ComposingNormalizer::new_nfc().normalize(&text)), &folded);
    }

    #[test]
    fn marks_never_count(text in "[a-z0-9.]{0,12}", marks in "[\u{300}-\u{344}\u{591}-\u{5bd}\u{64b}-\u{65f}]{1,5}") {
        for at in 0..=text.len() {
            let (head, tail) = text.split_at(at);
            prop_assert_eq!(&fold(&format!("{head}{marks}{tail}")), &text);
        }
    }

    #[test]
    fn growth_is_bounded(text in any_text()) {
        prop_assert!(fold(&text).len() <= text.len() * 11);
    }
}

#[test]
fn domains_have_these_canonical_forms() {
    let cases = [
        ("x.org", "x.org"),
        ("x.org.", "x.org"),
        ("x.org..", "x.org"),
        ("bucher.de", "bucher.de"),
        ("xn--bcher-kva.de", "bucher.de"),
        ("xn--bcher-kva.xn--bcher-kva.", "bucher.bucher"),
        ("xn--strae-oqa.de", "strasse.de"),
        // Greek ends a word in another sigma, which IDNA 2008 encodes and folding does not keep.
        ("xn--mxa8ab.gr", "σασ.gr"),
        ("xn--mxa9ab.gr", "σασ.gr"),
        // A Persian name with and without a zero-width non-joiner.
        ("xn--mgba3gch31f060k.com", "نامهای.com"),
        ("xn--mgba3gch31f.com", "نامهای.com"),
        // The only encoded label that decodes is decoded.
        ("xn--a.xn--bcher-kva.de", "xn--a.bucher.de"),
        // Broken encodings, or of nothing.
        ("xn--", "xn--"),
        ("xn--a", "xn--a"),
        ("xn--a\u{444}-x", "xn--a\u{444}-x"),
        ("_dmarc.-x-.a--b.org", "_dmarc.-x-.a--b.org"),
        ("[127.0.0.1]", "[127.0.0.1]"),
        ("", ""),
        (".", ""),
    ];
    for (domain, expected) in cases {
        assert_eq!(fold_domain(domain), expected, "{domain:?}");
    }
}

#[test]
fn labels_that_hide_a_separator_or_a_label_stay_encoded() {
    for hidden in ["a．b", "a＠b", "ｘn--bcher-kva", "\u{200b}", "\u{301}"] {
        let label = format!("xn--{}", punycode::encode_str(hidden).unwrap());
        assert_eq!(fold_domain(&label), label, "{hidden:?}");
    }
    let longest = format!("xn--{}", punycode::encode_str(&format!("{}é", "a".repeat(55))).unwrap());
    assert_eq!((longest.len(), fold_domain(&longest)), (MAX_LABEL_BYTES, format!("{}e", "a".repeat(55))));
    let too_long = format!("xn--{}", punycode::encode_str(&format!("{}é", "a".repeat(56))).unwrap());
    assert_eq!(fold_domain(&too_long), too_long);
}

#[test]
fn the_decoded_labels_of_a_domain_are_bounded() {
    let label = format!("xn--{}", punycode::encode_str(&"\u{fdfa}".repeat(40)).unwrap());
    assert!(label.len() <= MAX_LABEL_BYTES);
    let domain = [label.as_str(); 4].join(".");
    let folded = fold_domain(&domain);
    assert_eq!(folded, format!("{}.{label}.{label}.{label}", fold(&"\u{fdfa}".repeat(40))));
    assert_eq!(fold_domain(&fold(&folded)), folded);
}

/// Folded domains, many with labels that are encoded, broken or written right to left.
fn any_domain() -> impl Strategy<Value = String> {
    let letter =
        proptest::sample::select("aäbßς-xn1\u{3b1}\u{5d0}\u{200d}\u{94d}\u{301}。.".chars().collect::<Vec<_>>());
    let text = proptest::collection::vec(prop_oneof![letter, any::<char>()], 0..8).prop_map(String::from_iter);
    let label = prop_oneof![
        text.clone(),
        text.prop_map(|text| format!("xn--{}", punycode::encode_str(&text).unwrap())),
        "xn--[a-z0-9]{0,4}-?[a-z0-9]{1,8}",
    ];
    proptest::collection::vec(label, 0..4).prop_map(|labels| fold(&labels.join(".")))
}

proptest! {
    #[test]
    fn canonical_twice_is_canonical_once(domain in any_domain()) {
        let once = fold_domain(&domain);
        prop_assert_eq!(fold_domain(&fold(&once)), once);
    }

    #[test]
    fn a_domain_and_its_encoded_form_are_one(label in "[a-z]{0,3}[à-öø-ÿЀ-ӿ]{1,5}[a-z]{0,3}") {
        let encoded = format!("xn--{}.org", punycode::encode_str(&label).unwrap());
        prop_assert_eq!(fold_domain(&encoded), fold(&format!("{label}.org")));
    }
}
