//! Options: how a limiter tells one identity from another, and how many it keeps.

use std::fmt;

use super::capacity::Capacity;
use super::number;
use crate::identity::{Ipv6Prefix, PlusTags};

/// The options of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// `CAPACITY`: how many identities of each subject are kept, 1 to 1 000 000 000. None unless given: then
    /// the server's config `authlimit.capacity` holds, as it stands at the time.
    pub capacity: Option<Capacity>,
    /// `IPV6-PREFIX`: how many leading bits of an IPv6 address make one address, 32 to 128. 64 unless given.
    pub ipv6_prefix: Ipv6Prefix,
    /// `PLUS-TAGS`: whether `me+tag@x.org` is an email of its own or `me@x.org`. Kept unless given.
    pub plus_tags: PlusTags,
}

impl Options {
    /// Writes a space, the word and the value of each option that differs from its default.
    pub(super) fn write_changed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        if let Some(capacity) = self.capacity {
            write!(f, " {} {capacity}", OptionWord::Capacity)?;
        }
        if self.ipv6_prefix != default.ipv6_prefix {
            let bits = self.ipv6_prefix.bits();
            write!(f, " {} {bits}", OptionWord::Ipv6Prefix)?;
        }
        if self.plus_tags != default.plus_tags {
            let tags = plus_tags_word(self.plus_tags);
            write!(f, " {} {tags}", OptionWord::PlusTags)?;
        }
        Ok(())
    }
}

impl Default for Options {
    /// The options of a policy that gives none.
    fn default() -> Self {
        Self { capacity: None, ipv6_prefix: Ipv6Prefix::DEFAULT, plus_tags: PlusTags::default() }
    }
}

/// The word that begins an option in a policy. It prints as that word, in upper case.
///
/// To add an option: a variant and its arms here, and a field in [`Options`] and `GivenOptions` with its arms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptionWord {
    /// `CAPACITY n`.
    Capacity,
    /// `IPV6-PREFIX n`.
    Ipv6Prefix,
    /// `PLUS-TAGS keep|strip`.
    PlusTags,
}

impl OptionWord {
    /// Every option, in the order in which a policy prints them.
    pub const EVERY: [Self; 3] = [Self::Capacity, Self::Ipv6Prefix, Self::PlusTags];

    /// The option's word in a policy, in upper case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Capacity => "CAPACITY",
            Self::Ipv6Prefix => "IPV6-PREFIX",
            Self::PlusTags => "PLUS-TAGS",
        }
    }

    /// What the option's value has to be, with an example: the end of a sentence for whoever gave another.
    #[must_use]
    pub const fn expects(self) -> &'static str {
        match self {
            Self::Capacity => "a whole number from 1 to 1000000000, for example CAPACITY 5000000",
            Self::Ipv6Prefix => "a whole number from 32 to 128, for example IPV6-PREFIX 56",
            Self::PlusTags => "keep or strip, for example PLUS-TAGS strip",
        }
    }

    /// The option of this word, in upper or lower case; None if there is none.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::EVERY.into_iter().find(|option| word.eq_ignore_ascii_case(option.word().as_bytes()))
    }
}

impl fmt::Display for OptionWord {
    /// Writes the option's [word](OptionWord::word).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The options that some words gave: unlike in [`Options`], one not given is told from one given its default.
#[derive(Clone, Copy, Default)]
pub(super) struct GivenOptions {
    capacity: Option<Capacity>,
    ipv6_prefix: Option<Ipv6Prefix>,
    plus_tags: Option<PlusTags>,
}

/// An option's value is not one that the option takes.
pub(super) struct BadValue;

impl GivenOptions {
    /// Whether `option` was given.
    pub(super) fn has(&self, option: OptionWord) -> bool {
        match option {
            OptionWord::Capacity => self.capacity.is_some(),
            OptionWord::Ipv6Prefix => self.ipv6_prefix.is_some(),
            OptionWord::PlusTags => self.plus_tags.is_some(),
        }
    }

    /// Gives `option` the value that `text` spells.
    pub(super) fn set(&mut self, option: OptionWord, text: &[u8]) -> Result<(), BadValue> {
        match option {
            OptionWord::Capacity => self.capacity = Some(parse_capacity(text)?),
            OptionWord::Ipv6Prefix => self.ipv6_prefix = Some(parse_ipv6_prefix(text)?),
            OptionWord::PlusTags => self.plus_tags = Some(parse_plus_tags(text)?),
        }
        Ok(())
    }

    /// These options, and of the others those that are not among these.
    pub(super) fn over(self, others: Self) -> Self {
        Self {
            capacity: self.capacity.or(others.capacity),
            ipv6_prefix: self.ipv6_prefix.or(others.ipv6_prefix),
            plus_tags: self.plus_tags.or(others.plus_tags),
        }
    }

    /// These options, and the rest at their default.
    pub(super) fn or_default(self) -> Options {
        let default = Options::default();
        Options {
            capacity: self.capacity,
            ipv6_prefix: self.ipv6_prefix.unwrap_or(default.ipv6_prefix),
            plus_tags: self.plus_tags.unwrap_or(default.plus_tags),
        }
    }
}

/// Reads the value of `CAPACITY`.
fn parse_capacity(text: &[u8]) -> Result<Capacity, BadValue> {
    Capacity::parse(text).map_err(|_| BadValue)
}

/// Reads the value of `IPV6-PREFIX`.
fn parse_ipv6_prefix(text: &[u8]) -> Result<Ipv6Prefix, BadValue> {
    let bits = number::whole(text).map_err(|_| BadValue)?;
    let bits = u8::try_from(bits).map_err(|_| BadValue)?;
    Ipv6Prefix::new(bits).ok_or(BadValue)
}

/// Reads the value of `PLUS-TAGS`.
fn parse_plus_tags(text: &[u8]) -> Result<PlusTags, BadValue> {
    [PlusTags::Keep, PlusTags::Strip]
        .into_iter()
        .find(|&tags| text.eq_ignore_ascii_case(plus_tags_word(tags).as_bytes()))
        .ok_or(BadValue)
}

/// The value of `PLUS-TAGS` that stands for `tags`.
fn plus_tags_word(tags: PlusTags) -> &'static str {
    match tags {
        PlusTags::Keep => "keep",
        PlusTags::Strip => "strip",
    }
}

#[cfg(test)]
mod tests {
    use super::{OptionWord, parse_capacity, parse_ipv6_prefix, parse_plus_tags};
    use crate::identity::PlusTags;

    #[test]
    fn words_lead_back_to_their_option() {
        for option in OptionWord::EVERY {
            let lower = option.word().to_ascii_lowercase();
            assert_eq!(OptionWord::from_word(lower.as_bytes()), Some(option));
            assert!(option.expects().ends_with(|last: char| last.is_ascii_alphanumeric()));
            assert!(option.expects().contains(option.word()));
        }
        assert_eq!(OptionWord::from_word(b"PLUS"), None);
        assert_eq!(OptionWord::from_word(b""), None);
    }

    #[test]
    fn capacities_are_1_to_a_billion() {
        for (text, count) in [("1", 1), ("1000000000", 1_000_000_000)] {
            let capacity = parse_capacity(text.as_bytes()).ok();
            assert_eq!(capacity.map(|capacity| capacity.get()), Some(count));
        }
        for text in ["", "0", "1000000001", "1e6", "10M"] {
            assert!(parse_capacity(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn prefixes_are_32_to_128() {
        for (text, bits) in [("32", 32), ("64", 64), ("128", 128)] {
            let prefix = parse_ipv6_prefix(text.as_bytes()).ok();
            assert_eq!(prefix.map(|prefix| prefix.bits()), Some(bits));
        }
        for text in ["", "0", "31", "129", "256", "320", "064", "/64", "6.4"] {
            assert!(parse_ipv6_prefix(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn plus_tags_are_kept_or_stripped() {
        assert_eq!(parse_plus_tags(b"keep").ok(), Some(PlusTags::Keep));
        assert_eq!(parse_plus_tags(b"STRIP").ok(), Some(PlusTags::Strip));
        assert!(parse_plus_tags(b"").is_err());
        assert!(parse_plus_tags(b"kee").is_err());
    }
}
