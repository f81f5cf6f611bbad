//! One counted attempt in 8 bytes.

use crate::identity::Tag;
use crate::limiter::time::Timestamp;

/// One counted attempt as a log keeps it: 42 bits of time above 22 bits of [`Tag`], so that stamps
/// in the order of their bits are in the order of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp(u64);

impl Stamp {
    /// What fills a slot that holds no attempt; no attempt has it, since no time is 0.
    pub(crate) const VACANT: Self = Self(0);

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
}
