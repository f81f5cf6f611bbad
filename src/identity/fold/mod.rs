//! Folding of text that is not plain ASCII: all that a database may take for the same text becomes one text; and a
//! domain in the one form that its international and its encoded spelling share. Plain ASCII is folded in `email`, with
//! the same result.

use icu_normalizer::{DecomposingNormalizer, DecomposingNormalizerBorrowed};
use idna::punycode;

mod table;

const NFD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizer::new_nfd();

/// The beginning of a label that encodes an international name in ASCII (RFC 5890, section 2.3.2.1).
const ENCODED_LABEL: &str = "xn--";

/// The longest label of a domain, in bytes (RFC 1035, section 2.3.4). Decoding takes the square of the length.
const MAX_LABEL_BYTES: usize = 63;

/// The primary level of a text by the Unicode Collation Algorithm (UTS 10), written as text.
///
/// It ignores case, accents and other marks, compatibility forms, invisible and control characters, white space, and
/// whose script's digits they are. The text is decomposed (NFD), and then each character is replaced by itself: the
/// work is linear in the length, the result has at most 11 times as many bytes as `text` (U+FDFA, three bytes, is 15
/// letters), and folding it again changes nothing. `table` says what replaces a character.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in NFD.normalize_iter(text.chars()) {
        table::push_folded(c, &mut folded);
    }
    folded
}

/// A folded domain with its encoded labels decoded and folded, and without trailing dots.
///
/// An encoded label may stand for what folding merges (`xn--bcher-kva` is `bücher`, and so `bucher`), and all spellings
/// reach one mailbox. No domain is refused here: a label that cannot be decoded stays as it is.
pub(super) fn fold_domain(folded: &str) -> String {
    let mut domain = String::with_capacity(folded.len());
    for label in folded.split('.') {
        match decode(label) {
            Some(decoded) => domain.push_str(&decoded),
            None => domain.push_str(label),
        }
        domain.push('.');
    }
    domain.truncate(domain.trim_end_matches('.').len());
    domain
}

/// The folded text that a label encodes. `None` if it encodes none, or one that is not a label or would be decoded
/// again: the canonical form must be its own canonical form.
fn decode(label: &str) -> Option<String> {
    let encoded = label.strip_prefix(ENCODED_LABEL).filter(|_| label.len() <= MAX_LABEL_BYTES)?;
    let decoded = fold(&punycode::decode_to_string(encoded)?);
    let is_label = !decoded.is_empty() && !decoded.contains(['.', '@']) && !decoded.starts_with(ENCODED_LABEL);
    is_label.then_some(decoded)
}

/// Whether a lower-case domain has a label that encodes an international name.
pub(super) fn has_encoded_label(domain: &[u8]) -> bool {
    domain.split(|&byte| byte == b'.').any(|label| label.starts_with(ENCODED_LABEL.as_bytes()))
}

#[cfg(test)]
mod tests;
