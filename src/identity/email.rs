//! An email as received, brought to the one spelling that a limiter counts by.

use std::fmt;

use super::{casefold, domain};

#[cfg(test)]
mod tests;

/// The longest email that is normalised, in bytes as received: 64 of local part, the `@`, and 255 of domain (RFC
/// 5321, section 4.5.3.1). A longer one is no mailbox, and its bytes are hashed as they are.
pub const MAX_NORMALISED_BYTES: usize = 320;

/// Whether `victim+tag@x.org` is the mailbox `victim@x.org` ("subaddressing", RFC 5233) or one of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlusTags {
    /// Every tag is a mailbox of its own: right where an account is found by its exact email.
    #[default]
    Keep,
    /// The local part ends before its first `+`, unless it would be empty then: one inbox however it is tagged.
    Strip,
}

/// One email in the spelling that all its spellings share; a limiter's key and never an address to send to.
///
/// It borrows the received bytes where it leaves them as they are, so that an email of any length costs no copy.
#[derive(Clone)]
pub struct CanonicalEmail<'a>(Form<'a>);

/// What a canonical email is held in. How it came about, by the short way or the long one, shows nowhere.
#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one, and is here to save the heap allocation that a box would be"
)]
enum Form<'a> {
    /// Normal as received.
    Unchanged(&'a [u8]),
    /// Normalised, and ASCII before and after.
    Ascii(AsciiText),
    /// Normalised, by way of the Unicode algorithms.
    Unicode(String),
    /// Too long or not UTF-8: the very bytes.
    AsReceived(&'a [u8]),
}

impl<'a> CanonicalEmail<'a> {
    /// The canonical form of any bytes.
    ///
    /// Invalid UTF-8 is left as it is, and so is more than [`MAX_NORMALISED_BYTES`], but for white space and
    /// invisible characters at its ends: an application that trims what it is given would find the same account
    /// behind any amount of such padding, and each amount would be a fresh identity here. Otherwise:
    ///
    /// 1. The whole is folded: NFKC_Casefold (The Unicode Standard, section 3.13), which ignores case,
    ///    compatibility forms and default-ignorable characters, and all white space and control characters left
    ///    out. For ASCII that is: lower case without those.
    /// 2. It is split at its last `@`. Without one, all of it is a local part.
    /// 3. The local part, in NFC, loses its plus-tag as `plus_tags` says, `@` or not.
    /// 4. The domain becomes its ASCII form by UTS 46 if it has one, and loses its trailing dots (more than one is
    ///    no domain, and dropping all makes the canonical form its own canonical form).
    ///
    /// Emptiness is for the caller to judge, by `raw`: white space alone is accepted here, and is one identity.
    #[must_use]
    pub fn of(raw: &'a [u8], plus_tags: PlusTags) -> CanonicalEmail<'a> {
        if is_plainly_canonical(raw, plus_tags) {
            return CanonicalEmail(Form::Unchanged(raw));
        }
        let Ok(text) = str::from_utf8(raw) else {
            return CanonicalEmail(Form::AsReceived(raw));
        };
        let text = if text.len() > MAX_NORMALISED_BYTES { text.trim_matches(casefold::is_removed) } else { text };
        if text.len() > MAX_NORMALISED_BYTES {
            return CanonicalEmail(Form::AsReceived(text.as_bytes()));
        }
        CanonicalEmail(match ascii(text, plus_tags) {
            Some(short) => Form::Ascii(short),
            None => Form::Unicode(unicode(text, plus_tags)),
        })
    }

    /// The canonical spelling, or the received bytes of an email that was not normalised.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Unchanged(raw) => raw,
            Form::Ascii(text) => text.as_bytes(),
            Form::Unicode(text) => text.as_bytes(),
            Form::AsReceived(raw) => raw,
        }
    }

    /// Whether [`as_bytes`](Self::as_bytes) is a normal form. Bytes that were left as received are never the same
    /// email as a normalised one, even if the bytes are.
    #[must_use]
    pub fn is_normalised(&self) -> bool {
        !matches!(self.0, Form::AsReceived(_))
    }
}

impl PartialEq for CanonicalEmail<'_> {
    /// Whether two are one email to a limiter.
    fn eq(&self, other: &Self) -> bool {
        self.is_normalised() == other.is_normalised() && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for CanonicalEmail<'_> {}

impl fmt::Debug for CanonicalEmail<'_> {
    /// Prints the length only: no email may find its way into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalEmail")
            .field("normalised", &self.is_normalised())
            .field("bytes", &self.as_bytes().len())
            .finish()
    }
}

/// Whether these bytes are their own canonical form, which can be seen of most emails without making it.
/// `false` says nothing.
fn is_plainly_canonical(raw: &[u8], plus_tags: PlusTags) -> bool {
    // Not `all`: without an early end this is a few vector instructions for an email.
    let is_plain = |byte: u8| (b'!'..=b'~').contains(&byte) & !byte.is_ascii_uppercase();
    raw.len() <= MAX_NORMALISED_BYTES
        && raw.iter().fold(true, |all, byte| all & is_plain(*byte))
        && raw.last() != Some(&b'.')
        && (plus_tags == PlusTags::Keep || !raw.contains(&b'+'))
        // Of an encoded international domain.
        && !(raw.contains(&b'-') && raw.windows(2).any(|pair| pair == b"--"))
}

/// The canonical form of ASCII text, in one pass and without touching the heap. `None` if the text has other
/// characters or an encoded international domain, which are for [`unicode`].
fn ascii(text: &str, plus_tags: PlusTags) -> Option<AsciiText> {
    if !text.is_ascii() {
        return None;
    }
    let mut canonical = AsciiText::EMPTY;
    let Some((local, domain)) = text.rsplit_once('@') else {
        canonical.push_folded(without_tag(text, plus_tags))?;
        return Some(canonical);
    };
    canonical.push_folded(without_tag(local, plus_tags))?;
    canonical.push_folded("@")?;
    let domain_start = canonical.len;
    canonical.push_folded(domain)?;
    canonical.drop_trailing_dots();
    let domain = canonical.as_bytes().get(domain_start..)?;
    (!domain::has_encoded_label(domain)).then_some(canonical)
}

/// The canonical form of any text: by the same rules as [`ascii`], by which it gives the same for the same text.
fn unicode(text: &str, plus_tags: PlusTags) -> String {
    // All of it first: a full-width `＠` or `＋` must count as one, and no mark may hide the end of the domain.
    let folded = casefold::fold(text);
    let Some((local, domain)) = folded.rsplit_once('@') else {
        return without_tag(&folded, plus_tags).to_owned();
    };
    let mut canonical = without_tag(local, plus_tags).to_owned();
    canonical.push('@');
    canonical.push_str(&domain::canonical(domain));
    canonical
}

/// The local part up to its first `+`, or all of it if tags are kept or nothing would be left of it.
fn without_tag(local: &str, plus_tags: PlusTags) -> &str {
    match (plus_tags, local.split_once('+')) {
        (PlusTags::Strip, Some((mailbox, _))) if !mailbox.bytes().all(is_removed) => mailbox,
        _ => local,
    }
}

/// Whether an ASCII character is left out: white space and control characters, as [`casefold`] has it.
fn is_removed(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_control()
}

/// Up to [`MAX_NORMALISED_BYTES`] of folded ASCII, on the stack.
#[derive(Clone)]
struct AsciiText {
    bytes: [u8; MAX_NORMALISED_BYTES],
    len: usize,
}

impl AsciiText {
    /// No text yet.
    const EMPTY: AsciiText = AsciiText { bytes: [0; MAX_NORMALISED_BYTES], len: 0 };

    /// Appends a text in lower case and without what is left out; `None` if it does not fit.
    fn push_folded(&mut self, text: &str) -> Option<()> {
        for byte in text.bytes().filter(|&byte| !is_removed(byte)) {
            *self.bytes.get_mut(self.len)? = byte.to_ascii_lowercase();
            self.len = self.len.saturating_add(1);
        }
        Some(())
    }

    /// Takes away every dot that the text ends in. After an `@` those are the domain's.
    fn drop_trailing_dots(&mut self) {
        while self.as_bytes().ends_with(b".") {
            self.len = self.len.saturating_sub(1);
        }
    }

    /// The text so far.
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
