//! What a log keeps of one attempt: when it was counted, and enough to find it again.

use crate::identity::{Id, Tag};
use crate::table::time::{Cutoff, Timestamp};
use std::fmt::Debug;

/// What a log keeps of one attempt.
pub(crate) trait LogEntry: Copy + PartialEq + Debug {
    /// What distinguishes the entries of one log besides their time.
    type Key: Copy + PartialEq;
    /// The entries that are in a table's slot beside the id.
    type Inline: Copy + AsRef<[Self]> + AsMut<[Self]> + Debug;

    /// Fills a place that holds no entry. Its time is 0, which no entry has.
    const VACANT: Self;
    /// A slot's places without any entry.
    const NONE_INLINE: Self::Inline;

    /// When the attempt was counted.
    fn at(self) -> Timestamp;

    /// What distinguishes it from others.
    fn key(self) -> Self::Key;

    /// The same entry, as of `now` if its time is later.
    fn no_later_than(self, now: Timestamp) -> Self;
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

    fn no_later_than(self, now: Timestamp) -> Self {
        if self.at() > now { Self::new(now, self.tag()) } else { self }
    }
}

/// One email that an address tried, or one address that tried an email: what a distinct count keeps. It holds the whole
/// id: if two ids were mistaken for one, the second would be admitted beyond the limit.
///
/// It keeps the last time of each of its last two tags, which differ where an email is spelled in two ways. Whoever
/// owns one spelling gets back only what was spent on it; the entry then counts from the other one's last time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DistinctEntry {
    /// When it was seen last, and by whom.
    last: AttemptEntry,
    /// When another tag saw it last; vacant if none did.
    earlier: AttemptEntry,
    other: Id,
}

/// What forgiving leaves of a distinct entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Forgiven {
    /// Nothing.
    Whole,
    /// What another tag has seen.
    Partly(DistinctEntry),
}

impl DistinctEntry {
    /// `other` was seen at `at`, by an attempt with `tag`.
    pub(crate) const fn new(at: Timestamp, tag: Tag, other: Id) -> Self {
        Self { last: AttemptEntry::new(at, tag), earlier: AttemptEntry::VACANT, other }
    }

    /// The entry that is made of its stored fields; `None` if their times are not in order.
    pub(crate) fn from_parts(last: AttemptEntry, earlier: Option<AttemptEntry>, other: Id) -> Option<Self> {
        let is_ordered = earlier.is_none_or(|earlier| earlier.at() <= last.at() && earlier.tag() != last.tag());
        is_ordered.then_some(Self { last, earlier: earlier.unwrap_or(AttemptEntry::VACANT), other })
    }

    /// The last attempt, the last one with another tag, and the id that is counted: the fields that are stored.
    pub(crate) fn parts(self) -> (AttemptEntry, Option<AttemptEntry>, Id) {
        (self.last, self.earlier(Cutoff::NEVER), self.other)
    }

    /// What another tag has seen and `cutoff` has not passed.
    fn earlier(self, cutoff: Cutoff) -> Option<AttemptEntry> {
        Some(self.earlier).filter(|earlier| *earlier != AttemptEntry::VACANT && !cutoff.has_passed(earlier.at()))
    }

    /// This entry, which has one tag, once more after `known`. Of three tags the last stays, and the others become "of
    /// several", whom nobody's success forgives.
    pub(crate) fn after(self, known: Option<Self>, cutoff: Cutoff) -> Self {
        let Some(known) = known else { return self };
        let earlier = match known.earlier(cutoff) {
            earlier if known.last.tag() == self.last.tag() => earlier,
            Some(earlier) if earlier.tag() != self.last.tag() => {
                Some(AttemptEntry::new(known.last.at(), Tag::OF_SEVERAL)).filter(|_| self.last.tag() != Tag::OF_SEVERAL)
            }
            _ => Some(known.last),
        };
        Self { earlier: earlier.unwrap_or(AttemptEntry::VACANT), ..self }
    }

    /// What is left once the attempts with `tag` are forgiven; `None` if there are none that `cutoff` has not passed.
    pub(crate) fn forgiven(self, tag: Tag, cutoff: Cutoff) -> Option<Forgiven> {
        let earlier = self.earlier(cutoff);
        if self.last.tag().is_of(tag) {
            let left = earlier.map(|last| Self { last, earlier: AttemptEntry::VACANT, ..self });
            return Some(left.map_or(Forgiven::Whole, Forgiven::Partly));
        }
        let is_earlier = earlier.is_some_and(|earlier| earlier.tag().is_of(tag));
        is_earlier.then_some(Forgiven::Partly(Self { earlier: AttemptEntry::VACANT, ..self }))
    }
}

impl LogEntry for DistinctEntry {
    type Key = Id;
    type Inline = [Self; 1];

    const VACANT: Self = Self { last: AttemptEntry::VACANT, earlier: AttemptEntry::VACANT, other: Id::from_raw(0) };
    const NONE_INLINE: [Self; 1] = [Self::VACANT];

    fn at(self) -> Timestamp {
        self.last.at()
    }

    fn key(self) -> Id {
        self.other
    }

    fn no_later_than(self, now: Timestamp) -> Self {
        let earlier = self.earlier(Cutoff::NEVER).map_or(AttemptEntry::VACANT, |earlier| earlier.no_later_than(now));
        Self { last: self.last.no_later_than(now), earlier, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis).unwrap()
    }

    fn by(tag: u32, millis: u64) -> DistinctEntry {
        DistinctEntry::new(at(millis), Tag::from_raw(tag), Id::from_raw(1))
    }

    fn tag(raw: u32) -> Tag {
        Tag::from_raw(raw)
    }

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
    fn forgiving_one_of_two_tags_leaves_the_last_time_of_the_other() {
        let both = by(8, 20).after(Some(by(7, 10)), Cutoff::NEVER);
        assert_eq!(both.forgiven(tag(8), Cutoff::NEVER), Some(Forgiven::Partly(by(7, 10))));
        assert_eq!(both.forgiven(tag(7), Cutoff::NEVER), Some(Forgiven::Partly(by(8, 20))));
        assert_eq!(both.forgiven(tag(9), Cutoff::NEVER), None);
        let again = by(7, 30).after(Some(both), Cutoff::NEVER);
        assert_eq!(again.forgiven(tag(7), Cutoff::NEVER), Some(Forgiven::Partly(by(8, 20))));
        assert_eq!(by(7, 10).forgiven(tag(7), Cutoff::NEVER), Some(Forgiven::Whole));
    }

    #[test]
    fn of_three_tags_only_the_last_forgives() {
        let both = by(8, 20).after(Some(by(7, 10)), Cutoff::NEVER);
        let three = by(9, 30).after(Some(both), Cutoff::NEVER);
        for raw in [0, 7, 8] {
            assert_eq!(three.forgiven(tag(raw), Cutoff::NEVER), None);
        }
        let Some(Forgiven::Partly(left)) = three.forgiven(tag(9), Cutoff::NEVER) else { panic!() };
        assert_eq!(left, by(0, 20));
        assert_eq!(left.forgiven(tag(0), Cutoff::NEVER), None);
    }

    #[test]
    fn a_tag_that_has_left_the_window_no_longer_counts() {
        let both = by(8, 20).after(Some(by(7, 10)), Cutoff::NEVER);
        let left = Cutoff::from_millis(10);
        assert_eq!(both.forgiven(tag(8), left), Some(Forgiven::Whole));
        assert_eq!(both.forgiven(tag(7), left), None);
        assert_eq!(by(9, 30).after(Some(both), left).forgiven(tag(8), left), Some(Forgiven::Partly(by(9, 30))));
    }
}
