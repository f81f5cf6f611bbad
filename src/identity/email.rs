//! An email as received, brought to the one spelling that a limiter counts by.

use std::fmt;

use super::fold;

#[cfg(test)]
mod tests;

/// The longest email that is normalised, in bytes as received: 64 of local part, the `@`, and 255 of domain (RFC 5321,
/// section 4.5.3.1). No mailbox has a longer one, and its bytes are hashed as they are.
pub const MAX_NORMALISED_BYTES: usize = 320;

/// Whether `victim+tag@x.org` is the mailbox `victim@x.org` ("subaddressing", RFC 5233) or one of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlusTags {
    /// Every tag is a mailbox of its own: for applications that find an account by its exact email.
    #[default]
    Keep,
    /// The local part ends before its first `+`, unless it would be empty: one inbox, however it is tagged.
    Strip,
}

/// One email in the spelling that stands for all its spellings.
///
/// It borrows received bytes that are already canonical, so that an email of any length costs no copy.
#[derive(Clone)]
pub struct CanonicalEmail<'a>(Form<'a>);

/// What holds a canonical email. All but [`Form::AsReceived`] are normalised and equal if their bytes are.
#[derive(Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the common one, and saves the heap allocation that a box would be"
)]
enum Form<'a> {
    /// Canonical as received.
    Unchanged(&'a [u8]),
    /// Normalised from ASCII.
    Ascii(AsciiText),
    /// Normalised with the Unicode algorithms.
    Unicode(String),
    /// Too long or not UTF-8: the bytes as received.
    AsReceived(&'a [u8]),
}

impl<'a> CanonicalEmail<'a> {
    /// The canonical form of any bytes.
    ///
    /// Invalid UTF-8 stays as it is, and so does an email of more than [`MAX_NORMALISED_BYTES`], which is not read
    /// here at all: applications must refuse such an email. For every other email:
    ///
    /// 1. The whole is folded to the primary level of the Unicode Collation Algorithm, see [`fold::fold`]: what a
    ///    database's usual accent-insensitive collations find one account under is one text. For ASCII that means
    ///    lower case, without white space and control characters.
    /// 2. It is split at its last `@`. Without one, all of it is a local part.
    /// 3. The local part loses its plus-tag if `plus_tags` says so.
    /// 4. The encoded labels of the domain (`xn--`) are decoded and folded, and it loses all trailing dots, so that
    ///    the canonical form is its own canonical form.
    ///
    /// No email costs more than 20 plain ones: `make callgrind` counts the dearest.
    ///
    /// White space alone is accepted and is one identity: whether an email is empty, the caller decides by `raw`.
    #[must_use]
    pub fn of(raw: &'a [u8], plus_tags: PlusTags) -> CanonicalEmail<'a> {
        if raw.len() > MAX_NORMALISED_BYTES {
            return CanonicalEmail(Form::AsReceived(raw));
        }
        if is_plainly_canonical(raw, plus_tags) {
            return CanonicalEmail(Form::Unchanged(raw));
        }
        let Ok(text) = str::from_utf8(raw) else {
            return CanonicalEmail(Form::AsReceived(raw));
        };
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

    /// Whether the email was normalised. One that was not is never equal to one that was, even if their bytes are.
    #[must_use]
    pub fn is_normalised(&self) -> bool {
        !matches!(self.0, Form::AsReceived(_))
    }
}

impl PartialEq for CanonicalEmail<'_> {
    /// Whether both are one email to a limiter.
    fn eq(&self, other: &Self) -> bool {
        self.is_normalised() == other.is_normalised() && self.as_bytes() == other.as_bytes()
    }
}

impl Eq for CanonicalEmail<'_> {}

impl fmt::Debug for CanonicalEmail<'_> {
    /// Writes the length only: no email may get into a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CanonicalEmail")
            .field("normalised", &self.is_normalised())
            .field("bytes", &self.as_bytes().len())
            .finish()
    }
}

/// A fast test for bytes that are their own canonical form, as most emails are. `false` leaves it open.
fn is_plainly_canonical(raw: &[u8], plus_tags: PlusTags) -> bool {
    // Not `all`: without an early exit this is a few vector instructions for an email.
    let is_plain = |byte: u8| (b'!'..=b'~').contains(&byte) & !byte.is_ascii_uppercase();
    raw.iter().fold(true, |all, byte| all & is_plain(*byte))
        && raw.last() != Some(&b'.')
        && (plus_tags == PlusTags::Keep || !raw.contains(&b'+'))
        // In every encoded international domain.
        && !(raw.contains(&b'-') && raw.windows(2).any(|pair| pair == b"--"))
}

/// The canonical form of ASCII text, in one pass and without an allocation.
///
/// `None` leaves the text to [`unicode`]: it has other characters or an encoded international domain.
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
    (!fold::has_encoded_label(domain)).then_some(canonical)
}

/// The canonical form of any text. For ASCII it is that of [`ascii`].
fn unicode(text: &str, plus_tags: PlusTags) -> String {
    // Folded before it is split: a full-width `＠` or `＋` counts as one, and no mark may hide the end of the domain.
    let folded = fold::fold(text);
    let Some((local, domain)) = folded.rsplit_once('@') else {
        return without_tag(&folded, plus_tags).to_owned();
    };
    let mut canonical = without_tag(local, plus_tags).to_owned();
    canonical.push('@');
    canonical.push_str(&fold::fold_domain(domain));
    canonical
}

/// The local part up to its first `+`, or all of it if tags are kept or nothing would be left.
fn without_tag(local: &str, plus_tags: PlusTags) -> &str {
    match (plus_tags, local.split_once('+')) {
        (PlusTags::Strip, Some((mailbox, _))) if !mailbox.bytes().all(is_removed) => mailbox,
        _ => local,
    }
}

/// Whether an ASCII character is removed, as by [`fold::fold`].
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
    /// The empty text.
    const EMPTY: AsciiText = AsciiText { bytes: [0; MAX_NORMALISED_BYTES], len: 0 };

    /// Appends a text in lower case, without what [`is_removed`]. `None` if it does not fit.
    fn push_folded(&mut self, text: &str) -> Option<()> {
        for byte in text.bytes().filter(|&byte| !is_removed(byte)) {
            *self.bytes.get_mut(self.len)? = byte.to_ascii_lowercase();
            self.len = self.len.saturating_add(1);
        }
        Some(())
    }

    /// Removes every dot at the end. After an `@` those are the domain's.
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
