//! What a log keeps of an attempt: when, and enough to find it again.

use crate::identity::{Id, Tag};
use crate::limiter::time::Timestamp;
use std::fmt::Debug;

/// What a log keeps of one attempt.
pub(crate) trait Mark: Copy + PartialEq + Debug {
    /// What tells the marks of one log apart beside their time.
    type Key: Copy + PartialEq;
    /// As many marks as fit in a table's slot beside the id: 16 bytes.
    type Inline: Copy + AsRef<[Self]> + AsMut<[Self]> + Debug;

    /// What fills a place that holds no mark. No mark has its time, 0.
    const VACANT: Self;
    /// A slot's places with no mark in them.
    const NONE_INLINE: Self::Inline;
    /// How many bytes a stored mark takes.
    const BYTES: usize;

    /// When the attempt was counted.
    fn at(self) -> Timestamp;

    /// What tells it from others.
    fn key(self) -> Self::Key;

    /// Appends the mark to what is stored.
    fn write(self, bytes: &mut Vec<u8>);

    /// The mark that these [`Mark::BYTES`] bytes tell of; `None` if they have no time.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// One counted attempt as a log keeps it: 42 bits of time above 22 bits of [`Tag`], so that stamps
/// in the order of their bits are in the order of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp of an attempt at `at` with `tag`.
    #[must_use]
    pub const fn new(at: Timestamp, tag: Tag) -> Self {
        Self(at.as_millis() << Tag::BITS | tag.raw() as u64)
    }

    /// The stamp with these bits, or `None` if its time is 0 (a vacant or damaged one).
    #[must_use]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        if raw >> Tag::BITS == 0 {
            None
        } else {
            Some(Self(raw))
        }
    }

    /// The bits, as stored and replicated.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// When the attempt was counted.
    #[must_use]
    pub fn at(self) -> Timestamp {
        Timestamp::from_millis(self.0 >> Tag::BITS).unwrap_or(Timestamp::MIN)
    }

    /// Who made it on which email as spelled.
    #[must_use]
    pub const fn tag(self) -> Tag {
        Tag::from_raw(self.0 as u32)
    }
}

const _: () = assert!(Tag::BITS + Timestamp::BITS == u64::BITS);

impl Mark for Stamp {
    type Key = Tag;
    type Inline = [Self; 2];

    const VACANT: Self = Self(0);
    const NONE_INLINE: [Self; 2] = [Self::VACANT; 2];
    const BYTES: usize = 8;

    fn at(self) -> Timestamp {
        self.at()
    }

    fn key(self) -> Tag {
        self.tag()
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.0.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_raw(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

/// That the other party of an attempt was seen: what the log of a subject keeps that counts how many
/// different ones there are. The whole id, since of two that were taken for one the second would be
/// admitted beyond the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sighting {
    /// When it was seen last, and by which tag if always by the same one.
    last: Stamp,
    other: Id,
}

impl Sighting {
    /// Stands for several tags. That an attempt has it by chance, one in four million, only means
    /// that this sighting is not forgiven.
    const SEVERAL: Tag = Tag::from_raw(0);

    /// That `other` was seen at `at`, by an attempt with `tag`.
    pub(crate) const fn new(at: Timestamp, tag: Tag, other: Id) -> Self {
        Self {
            last: Stamp::new(at, tag),
            other,
        }
    }

    /// The same party seen once more. A sighting by two spellings of one email is neither's to
    /// forgive: whoever owns one of them would otherwise get back what was spent on the other.
    pub(crate) fn after(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if earlier.last.tag() != self.last.tag() => Self {
                last: Stamp::new(self.at(), Self::SEVERAL),
                ..self
            },
            _ => self,
        }
    }

    /// Whether it was always by attempts with `tag`.
    pub(crate) fn is_only_by(self, tag: Tag) -> bool {
        tag != Self::SEVERAL && self.last.tag() == tag
    }
}

impl Mark for Sighting {
    type Key = Id;
    type Inline = [Self; 1];

    const VACANT: Self = Self {
        last: Stamp::VACANT,
        other: Id::from_raw(0),
    };
    const NONE_INLINE: [Self; 1] = [Self::VACANT];
    const BYTES: usize = 16;

    fn at(self) -> Timestamp {
        self.last.at()
    }

    fn key(self) -> Id {
        self.other
    }

    fn write(self, bytes: &mut Vec<u8>) {
        self.last.write(bytes);
        bytes.extend(self.other.raw().to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (last, other) = bytes.split_at_checked(Stamp::BYTES)?;
        let other = Id::from_raw(u64::from_le_bytes(other.try_into().ok()?));
        let last = Stamp::read(last)?;
        Some(Self { last, other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_tag_come_back_whole() {
        for at in [Timestamp::MIN, Timestamp::MAX] {
            for tag in [0, 1, (1 << 22) - 1] {
                let stamp = Stamp::new(at, Tag::from_raw(tag));
                assert_eq!((stamp.at(), stamp.tag().raw()), (at, tag));
                assert_eq!(Stamp::from_raw(stamp.raw()), Some(stamp));
            }
        }
        assert_eq!(Stamp::from_raw(Stamp::VACANT.raw()), None);
    }

    #[test]
    fn a_sighting_keeps_the_whole_id() {
        let tag = Tag::from_raw(7);
        let sighting = Sighting::new(Timestamp::MAX, tag, Id::from_raw(u64::MAX - 1));
        let mut bytes = Vec::new();
        sighting.write(&mut bytes);
        assert_eq!(bytes.len(), Sighting::BYTES);
        assert_eq!(Sighting::read(&bytes), Some(sighting));
        assert_eq!(sighting.key(), Id::from_raw(u64::MAX - 1));
        assert_eq!(Sighting::read(&[0; 16]), None);
    }

    #[test]
    fn a_sighting_by_several_tags_is_nobodys() {
        let by = |tag| Sighting::new(Timestamp::MIN, Tag::from_raw(tag), Id::from_raw(1));
        assert!(by(7).after(Some(by(7))).is_only_by(Tag::from_raw(7)));
        let several = by(7).after(Some(by(8)));
        let again = by(7).after(Some(several));
        for tag in [0, 7, 8] {
            assert!(!several.is_only_by(Tag::from_raw(tag)));
            assert!(!again.is_only_by(Tag::from_raw(tag)));
        }
    }
}
