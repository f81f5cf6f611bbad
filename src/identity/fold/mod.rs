//! Folding of text that is not plain ASCII: all that a database may take for the same text becomes one text; and a
//! domain in the one form that its international and its encoded spelling share. Plain ASCII is folded in `email`, with
//! the same result.

mod punycode;
mod table;

/// The beginning of a label that encodes an international name in ASCII (RFC 5890, section 2.3.2.1).
const ENCODED_LABEL: &str = "xn--";

/// The longest label of a domain, in bytes (RFC 1035, section 2.3.4). What is longer is not decoded.
const MAX_LABEL_BYTES: usize = 63;

/// After so many bytes of a folded domain, labels are not decoded any more, so that no email costs too much: a label
/// can encode 46 letters in 63 bytes, and each can fold to 33. No mailbox in use has such a domain, and databases do
/// not decode: a label that stays encoded is another spelling only for applications that decode it.
const MAX_DECODED_BYTES: usize = 128;

/// The primary level of a text by the Unicode Collation Algorithm (UTS 10), written as text.
///
/// It ignores case, accents and other marks, compatibility forms, invisible and control characters, white space, and
/// whose script's digits they are. Each character is replaced by itself, see `table`. So the work is linear in the
/// length, the result has at most 11 times as many bytes as `text` (U+FDFA, three bytes, is 15 letters), and folding it
/// again changes nothing.
///
/// Canonically equivalent texts fold alike, because marks go and composed characters are replaced as their parts are.
/// Combining letters (U+0363 is `a`) stay in the order in which they are written, as in MariaDB.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    text.chars().for_each(|c| table::push_folded(c, &mut folded));
    folded
}

/// A folded domain with its encoded labels decoded and folded, and without trailing dots.
///
/// An encoded label may stand for what folding merges (`xn--bcher-kva` is `bücher`, and so `bucher`), and all spellings
/// reach one mailbox. No domain is refused here: a label that cannot be decoded stays as it is, and so do those after
/// [`MAX_DECODED_BYTES`].
pub(super) fn fold_domain(folded: &str) -> String {
    let mut domain = String::with_capacity(folded.len());
    for label in folded.split('.') {
        let decoded = if domain.len() < MAX_DECODED_BYTES { decode(label) } else { None };
        domain.push_str(decoded.as_deref().unwrap_or(label));
        domain.push('.');
    }
    domain.truncate(domain.trim_end_matches('.').len());
    domain
}

/// The folded text that a label encodes. `None` if it encodes none, or one that is not a label or would be decoded
/// again: the canonical form must be its own canonical form.
fn decode(label: &str) -> Option<String> {
    let encoded = label.strip_prefix(ENCODED_LABEL).filter(|_| label.len() <= MAX_LABEL_BYTES)?;
    let mut decoded = String::with_capacity(label.len().saturating_mul(2));
    punycode::decode(encoded)?.into_iter().for_each(|c| table::push_folded(c, &mut decoded));
    let hides = |byte: u8| byte == b'.' || byte == b'@';
    let is_label = !decoded.is_empty() && !decoded.bytes().any(hides) && !decoded.starts_with(ENCODED_LABEL);
    is_label.then_some(decoded)
}

/// Whether a lower-case domain has a label that encodes an international name.
pub(super) fn has_encoded_label(domain: &[u8]) -> bool {
    domain.split(|&byte| byte == b'.').any(|label| label.starts_with(ENCODED_LABEL.as_bytes()))
}

#[cfg(test)]
mod tests;
