//! What a log keeps of one attempt: when it was counted, and enough to find it again.

use crate::identity::{Id, Tag};
use crate::table::time::Timestamp;
use std::fmt::Debug;

/// What a log keeps of one attempt.
pub(crate) trait LogEntry: Copy + PartialEq + Debug {
    /// What distinguishes the entries of one log besides their time.
    type Key: Copy + PartialEq;
    /// As many entries as fit in a table's slot beside the id: 16 bytes.
    type Inline: Copy + AsRef<[Self]> + AsMut<[Self]> + Debug;

    /// Fills a place that holds no entry. Its time is 0, which no entry has.
    const VACANT: Self;
    /// A slot's places without any entry.
    const NONE_INLINE: Self::Inline;

    /// When the attempt was counted.
    fn at(self) -> Timestamp;

    /// What distinguishes it from others.
    fn key(self) -> Self::Key;
}

/// One counted attempt: 42 bits of time above 22 bits of [`Tag`], so that entries in the order of their bits are in the
/// order of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttemptEntry(u64);

impl AttemptEntry {
    /// The entry of an attempt at `at` with `tag`.
    #[must_use]
    pub const fn new(at: Timestamp, tag: Tag) -> Self {
        Self(at.as_millis() << Tag::BITS | tag.raw() as u64)
    }

    /// The entry with these bits, or `None` if its time is 0 (a vacant or damaged one).
    #[must_use]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        if raw >> Tag::BITS == 0 { None } else { Some(Self(raw)) }
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

    /// The address and the email as spelled that it was made with.
    #[must_use]
    pub const fn tag(self) -> Tag {
        Tag::from_raw(self.0 as u32)
    }
}

const _: () = assert!(Tag::BITS + Timestamp::BITS == u64::BITS);

impl LogEntry for AttemptEntry {
    type Key = Tag;
    type Inline = [Self; 2];

    const VACANT: Self = Self(0);
    const NONE_INLINE: [Self; 2] = [Self::VACANT; 2];

    fn at(self) -> Timestamp {
        self.at()
    }

    fn key(self) -> Tag {
        self.tag()
    }
}

/// One email that an address tried, or one address that tried an email: what a distinct count keeps. It holds the whole
/// id: if two ids were mistaken for one, the second would be admitted beyond the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DistinctEntry {
    /// When it was seen last, with the tag if it was always the same one.
    last: AttemptEntry,
    other: Id,
}

impl DistinctEntry {
    /// Stands for several tags. An attempt has it by chance once in four million; its entry is then not forgiven.
    const SEVERAL: Tag = Tag::from_raw(0);

    /// `other` was seen at `at`, by an attempt with `tag`.
    pub(crate) const fn new(at: Timestamp, tag: Tag, other: Id) -> Self {
        Self { last: AttemptEntry::new(at, tag), other }
    }

    /// The entry that is made of its two stored fields.
    pub(crate) const fn from_parts(last: AttemptEntry, other: Id) -> Self {
        Self { last, other }
    }

    /// The last attempt, and the id that is counted: the fields that are stored.
    pub(crate) const fn parts(self) -> (AttemptEntry, Id) {
        (self.last, self.other)
    }

    /// This entry once more, after `earlier`. If two spellings of one email were seen, neither can forgive the entry:
    /// the owner of one spelling must not get back what was spent on the other.
    pub(crate) fn after(self, earlier: Option<Self>) -> Self {
        match earlier {
            Some(earlier) if earlier.last.tag() != self.last.tag() => {
                Self { last: AttemptEntry::new(self.at(), Self::SEVERAL), ..self }
            }
            _ => self,
        }
    }

    /// Whether it was always by attempts with `tag`.
    pub(crate) fn is_only_by(self, tag: Tag) -> bool {
        tag != Self::SEVERAL && self.last.tag() == tag
    }
}

impl LogEntry for DistinctEntry {
    type Key = Id;
    type Inline = [Self; 1];

    const VACANT: Self = Self { last: AttemptEntry::VACANT, other: Id::from_raw(0) };
    const NONE_INLINE: [Self; 1] = [Self::VACANT];

    fn at(self) -> Timestamp {
        self.last.at()
    }

    fn key(self) -> Id {
        self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_tag_come_back_whole() {
        for at in [Timestamp::MIN, Timestamp::MAX] {
            for tag in [0, 1, (1 << 22) - 1] {
                let entry = AttemptEntry::new(at, Tag::from_raw(tag));
                assert_eq!((entry.at(), entry.tag().raw()), (at, tag));
                assert_eq!(AttemptEntry::from_raw(entry.raw()), Some(entry));
            }
        }
        assert_eq!(AttemptEntry::from_raw(AttemptEntry::VACANT.raw()), None);
    }

    #[test]
    fn an_entry_by_several_tags_belongs_to_no_tag() {
        let by = |tag| DistinctEntry::new(Timestamp::MIN, Tag::from_raw(tag), Id::from_raw(1));
        assert!(by(7).after(Some(by(7))).is_only_by(Tag::from_raw(7)));
        let several = by(7).after(Some(by(8)));
        let again = by(7).after(Some(several));
        for tag in [0, 7, 8] {
            assert!(!several.is_only_by(Tag::from_raw(tag)));
            assert!(!again.is_only_by(Tag::from_raw(tag)));
        }
    }
}
