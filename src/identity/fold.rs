//! Folding by the Unicode algorithms: text in one form that ignores case, compatibility variants, invisible characters
//! and white space; and a domain in the one form that its international and its ASCII spelling share. Plain ASCII is
//! folded in `email`, with the same result.

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use icu_normalizer::{ComposingNormalizer, ComposingNormalizerBorrowed};
use icu_properties::props::{DefaultIgnorableCodePoint, WhiteSpace};
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed};
use idna::AsciiDenyList;
use std::borrow::Cow;

/// After this many rounds the text is taken as it is. No code point, and none of millions of mixtures of the difficult
/// ones, needed more than three, the last of which only confirms that nothing changes.
const MAX_ROUNDS: usize = 8;

const CASE: CaseMapperBorrowed<'static> = CaseMapper::new();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizer::new_nfkc();
const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
const WHITE_SPACE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<WhiteSpace>();

/// The beginning of a label that encodes an international name in ASCII (RFC 5890, section 2.3.2.1).
const ENCODED_LABEL: &[u8] = b"xn--";

/// The NFKC_Casefold form of a text (The Unicode Standard, section 3.13, "Default Case Algorithms"), without what
/// [`is_removed`].
///
/// The result is in NFKC, so also in NFC, and folding it again changes nothing. It can have up to 11 times as many
/// bytes as `text` (U+FDFA, three bytes, is 18 letters).
pub(super) fn fold(text: &str) -> String {
    let mut folded = fold_once(text);
    // One step can make work for another: decomposing a spacing accent leaves a space, and without that space its mark
    // joins the letter before it.
    for _ in 1..MAX_ROUNDS {
        let again = fold_once(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

/// One round: removes invisible characters, then NFKC, full case folding, and NFKC again.
fn fold_once(text: &str) -> String {
    let visible: String = text.chars().filter(|&c| !is_removed(c)).collect();
    // Folding needs composed text: it makes U+0345 a letter, across which marks cannot be reordered.
    let composed = NFKC.normalize(&visible);
    let folded = CASE.fold_string(&composed);
    NFKC.normalize(&folded).into_owned()
}

/// Whether a character is left out:
///
/// - zero-width and other default-ignorable characters, as in NFKC_Casefold;
/// - white space, which people paste into an email;
/// - control characters (General_Category Cc), which some languages trim as white space, so that an application may
///   find the same account without them.
pub(super) fn is_removed(c: char) -> bool {
    c.is_control() || IGNORABLE.contains(c) || WHITE_SPACE.contains(c)
}

/// The ASCII form of a folded domain by UTS 46, or the domain itself if it has none; without trailing dots.
///
/// The rules are lenient, without restrictions on hyphens, lengths or ASCII characters, because no domain is refused
/// here. An encoded label is first decoded and folded: IDNA can encode what folding merges (`xn--strae-oqa` is `straße`
/// and not `strasse`), and both spellings reach one mailbox.
pub(super) fn fold_domain(folded: &str) -> String {
    // UTS 46 maps this dot too, but only in a domain without errors.
    let dotted = folded.replace('\u{3002}', ".");
    let decoded = decode(dotted);
    let ascii = idna::domain_to_ascii_cow(decoded.as_bytes(), AsciiDenyList::EMPTY);
    let canonical = ascii.unwrap_or(Cow::Borrowed(&decoded));
    canonical.trim_end_matches('.').to_owned()
}

/// Decodes and folds the encoded labels of a domain, and leaves a domain without any, or with a broken one.
fn decode(domain: String) -> String {
    if !has_encoded_label(domain.as_bytes()) {
        return domain;
    }
    match idna::domain_to_unicode(&domain) {
        (decoded, Ok(())) => fold(&decoded),
        (_, Err(_)) => domain,
    }
}

/// Whether a lower-case domain has a label that encodes an international name.
pub(super) fn has_encoded_label(domain: &[u8]) -> bool {
    domain.split(|&byte| byte == b'.').any(|label| label.starts_with(ENCODED_LABEL))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;
    use icu_normalizer::DecomposingNormalizer;
    use icu_properties::props::ChangesWhenNfkcCasefolded;
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
            ("ß", "ss"),
            ("ẞ", "ss"),
            ("ς", "σ"),
            ("ΟΔΟΣ", "οδοσ"),
            ("\u{130}", "i\u{307}"),
            ("e\u{301}", "é"),
            ("É", "é"),
            ("E\u{323}\u{302}", "ệ"),
            ("E\u{302}\u{323}", "ệ"),
            ("\u{3b1}\u{345}\u{301}", "άι"),
            ("\u{3b1}\u{301}\u{345}", "άι"),
            ("a\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}b", "ab"),
            ("a\u{ad}\u{34f}\u{fe0f}\u{e0100}\u{3164}\u{ffa0}\u{200e}b", "ab"),
            (" a\t\n\u{b}\u{c}\r\u{85}\u{a0}\u{2003}\u{2028}\u{3000}b ", "ab"),
            ("a\u{a8}", "ä"),
            ("＠﹫", "@@"),
            ("＋﹢⁺", "+++"),
            ("．", "."),
            ("\u{fdfa}", "صلىاللهعليهوسلم"),
            ("a\0\u{1}\u{1f}\u{7f}\u{80}\u{9f}b", "ab"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(fold(text), expected, "{text:?}");
        }
    }

    /// Unicode publishes which characters NFKC_Casefold changes: checks all 1,112,064.
    #[test]
    fn every_character_folds_as_unicode_publishes() {
        let changes = CodePointSetData::new::<ChangesWhenNfkcCasefolded>();
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let once = fold_once(&text);
            let changed = once != text;
            assert_eq!(changed, changes.contains(c) || WHITE_SPACE.contains(c) || c.is_control(), "{c:?}");
            if changed {
                let folded = fold(&text);
                assert_eq!(fold_once(&folded), folded, "{c:?}");
            }
        }
    }

    /// Text of any kind, with many characters for which one step undoes another.
    fn any_text() -> impl Strategy<Value = String> {
        let awkward = proptest::sample::select(vec![
            '\u{345}', '\u{301}', '\u{323}', '\u{34f}', '\u{a8}', '\u{37a}', '\u{fdfa}', '\u{130}', '\u{200d}',
            '\u{1160}', '\u{ac00}', '\u{11a8}', 'ᾳ', 'ς', 'ß', 'A', ' ',
        ]);
        proptest::collection::vec(prop_oneof![any::<char>(), awkward], 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in any_text()) {
            let folded = fold(&text);
            prop_assert_eq!(fold_once(&folded), folded);
        }

        #[test]
        fn equivalent_texts_fold_alike(text in any_text()) {
            let folded = fold(&text);
            prop_assert_eq!(&fold(&DecomposingNormalizer::new_nfd().normalize(&text)), &folded);
            prop_assert_eq!(&fold(&ComposingNormalizer::new_nfc().normalize(&text)), &folded);
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
            ("x.org\u{3002}", "x.org"),
            ("x\u{3002}org", "x.org"),
            ("bücher.de", "xn--bcher-kva.de"),
            ("bücher.de.", "xn--bcher-kva.de"),
            ("xn--bcher-kva.de", "xn--bcher-kva.de"),
            ("strasse.de", "strasse.de"),
            ("xn--strae-oqa.de", "strasse.de"),
            // Greek ends a word in another sigma, which IDNA 2008 encodes and folding does not keep.
            ("σασ.gr", "xn--mxa9ab.gr"),
            ("xn--mxa8ab.gr", "xn--mxa9ab.gr"),
            // A Persian name with a zero-width non-joiner, which folding removes.
            ("نامهای.com", "xn--mgba3gch31f.com"),
            ("xn--mgba3gch31f060k.com", "xn--mgba3gch31f.com"),
            // No ASCII form: broken encodings, and a leading combining mark.
            ("xn--a", "xn--a"),
            ("xn--", "xn--"),
            ("xn--a\u{3002}org", "xn--a.org"),
            ("\u{301}x.org.", "\u{301}x.org"),
            ("_dmarc.-x-.a--b.org", "_dmarc.-x-.a--b.org"),
            ("[127.0.0.1]", "[127.0.0.1]"),
            ("", ""),
            (".", ""),
        ];
        for (domain, expected) in cases {
            assert_eq!(fold_domain(domain), expected, "{domain:?}");
        }
    }

    /// Folded domains, many with labels that are encoded, broken or written right to left.
    fn any_domain() -> impl Strategy<Value = String> {
        let letter =
            proptest::sample::select("aäbßς-xn1\u{3b1}\u{5d0}\u{200d}\u{94d}\u{301}。.".chars().collect::<Vec<_>>());
        let label = prop_oneof![
            proptest::collection::vec(prop_oneof![letter, any::<char>()], 0..8).prop_map(String::from_iter),
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
    }
}
