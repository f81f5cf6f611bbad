//! The domain of an email, in the one form that its international and its ASCII spelling share.

use std::borrow::Cow;

use idna::AsciiDenyList;

use super::casefold;

/// The beginning of a label that encodes an international name in ASCII (RFC 5890, section 2.3.2.1).
const ENCODED_LABEL: &[u8] = b"xn--";

/// The ASCII form of a folded domain by UTS 46, or the domain itself if it has none; without trailing dots.
///
/// The rules are lenient, without restrictions on hyphens, lengths or ASCII characters, because no domain is refused
/// here. An encoded label is first decoded and folded: IDNA can encode what folding merges (`xn--strae-oqa` is
/// `straße` and not `strasse`), and both spellings reach one mailbox.
pub(super) fn canonical(folded: &str) -> String {
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
        (decoded, Ok(())) => casefold::fold(&decoded),
        (_, Err(_)) => domain,
    }
}

/// Whether a lower-case domain has a label that encodes an international name.
pub(super) fn has_encoded_label(domain: &[u8]) -> bool {
    domain.split(|&byte| byte == b'.').any(|label| label.starts_with(ENCODED_LABEL))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            assert_eq!(canonical(domain), expected, "{domain:?}");
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
        proptest::collection::vec(label, 0..4).prop_map(|labels| casefold::fold(&labels.join(".")))
    }

    proptest! {
        #[test]
        fn canonical_twice_is_canonical_once(domain in any_domain()) {
            let once = canonical(&domain);
            prop_assert_eq!(canonical(&casefold::fold(&once)), once);
        }
    }
}
