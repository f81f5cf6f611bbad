//! How a limiter's memory is moved, a little at a time, for a server that defragments its own.

use crate::limiter::limiter::Limiter;

/// What moves a block of memory to where it fragments the rest less.
pub trait Mover {
    /// Moves a block, or gives it back where it is.
    fn relocate<T>(&mut self, block: Box<[T]>) -> Box<[T]>;

    /// Whether to go on another time.
    fn should_stop(&mut self) -> bool;
}

/// How far moving has come, as a number that a server can keep: the table's index above the
/// segment's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RelocateCursor(u64);

impl RelocateCursor {
    /// How many bits the segment's index has.
    const SEGMENT_BITS: u32 = 48;

    /// The cursor that [`raw`](Self::raw) gave; any number is one.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// The indices of the next table and segment.
    fn position(self) -> (usize, usize) {
        let table = self.0 >> Self::SEGMENT_BITS;
        let segment = self.0 & (u64::MAX >> (u64::BITS - Self::SEGMENT_BITS));
        let index = |number| usize::try_from(number).unwrap_or(usize::MAX);
        (index(table), index(segment))
    }

    /// The cursor to a segment of a table.
    fn at(table: usize, segment: usize) -> Self {
        Self((table as u64) << Self::SEGMENT_BITS | segment as u64)
    }
}

impl Limiter {
    /// Lets `mover` move the memory of the tables from `from` on, until it wants to stop; returns
    /// where to go on, or `None` if all is done. Locks and lists, which are few, stay where they are.
    pub fn relocate(
        &mut self,
        from: RelocateCursor,
        mover: &mut impl Mover,
    ) -> Option<RelocateCursor> {
        let (mut index, mut segment) = from.position();
        while let Some(table) = self.ledger.tables.get_mut(index) {
            if segment >= table.logs.segments() {
                (index, segment) = (index.saturating_add(1), 0);
                continue;
            }
            table.logs.relocate(segment, mover);
            segment = segment.saturating_add(1);
            if mover.should_stop() {
                return Some(RelocateCursor::at(index, segment));
            }
        }
        None
    }
}
