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
    /// When it was seen last, in milliseconds since the Unix epoch; 0 in a vacant place.
    at_millis: u64,
    other: Id,
}

impl Sighting {
    /// That `other` was seen at `at`.
    pub(crate) const fn new(at: Timestamp, other: Id) -> Self {
        Self {
            at_millis: at.as_millis(),
            other,
        }
    }
}

impl Mark for Sighting {
    type Key = Id;
    type Inline = [Self; 1];

    const VACANT: Self = Self {
        at_millis: 0,
        other: Id::from_raw(0),
    };
    const NONE_INLINE: [Self; 1] = [Self::VACANT];
    const BYTES: usize = 16;

    fn at(self) -> Timestamp {
        Timestamp::from_millis(self.at_millis).unwrap_or(Timestamp::MIN)
    }

    fn key(self) -> Id {
        self.other
    }

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.extend(self.at_millis.to_le_bytes());
        bytes.extend(self.other.raw().to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (at, other) = bytes.split_first_chunk()?;
        let at = Timestamp::from_millis(u64::from_le_bytes(*at))?;
        let other = Id::from_raw(u64::from_le_bytes(other.try_into().ok()?));
        Some(Self::new(at, other))
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
        let sighting = Sighting::new(Timestamp::MAX, Id::from_raw(u64::MAX - 1));
        let mut bytes = Vec::new();
        sighting.write(&mut bytes);
        assert_eq!(bytes.len(), Sighting::BYTES);
        assert_eq!(Sighting::read(&bytes), Some(sighting));
        assert_eq!(sighting.key(), Id::from_raw(u64::MAX - 1));
        assert_eq!(Sighting::read(&[0; 16]), None);
    }
}
