//! The entries of a log as bytes, and back, in the current format and in format 1.

use crate::format::bytes::{Reader, WriteFields};
use crate::format::chunk::ChunkError;
use crate::table::{AttemptEntry, DistinctEntry, LogEntry};

/// A log entry that can be stored.
pub(super) trait StoredEntry: LogEntry {
    /// How many bytes it takes.
    const BYTES: usize;
    /// How many bytes it took in format 1.
    const BYTES_V1: usize;

    /// Appends it to what is stored.
    fn write(self, bytes: &mut Vec<u8>);

    /// Reads one.
    fn read(bytes: &mut Reader<'_>) -> Result<Self, ChunkError>;

    /// Reads one of format 1.
    fn read_v1(bytes: &mut Reader<'_>) -> Result<Self, ChunkError>;
}

impl StoredEntry for AttemptEntry {
    const BYTES: usize = 8;
    const BYTES_V1: usize = 8;

    fn write(self, bytes: &mut Vec<u8>) {
        bytes.write_u64(self.raw());
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, ChunkError> {
        let raw = bytes.u64().ok_or(ChunkError::Truncated)?;
        Self::from_raw(raw).ok_or(ChunkError::NoTime)
    }

    fn read_v1(bytes: &mut Reader<'_>) -> Result<Self, ChunkError> {
        Self::read(bytes)
    }
}

/// Stands for no attempt with another tag: no attempt is 0.
const NO_ATTEMPT: u64 = 0;

impl StoredEntry for DistinctEntry {
    const BYTES: usize = 24;
    const BYTES_V1: usize = 16;

    fn write(self, bytes: &mut Vec<u8>) {
        let (last, earlier, other) = self.parts();
        last.write(bytes);
        bytes.write_u64(earlier.map_or(NO_ATTEMPT, AttemptEntry::raw));
        bytes.write_id(other);
    }

    fn read(bytes: &mut Reader<'_>) -> Result<Self, ChunkError> {
        let last = AttemptEntry::read(bytes)?;
        let earlier = match bytes.u64().ok_or(ChunkError::Truncated)? {
            NO_ATTEMPT => None,
            raw => Some(AttemptEntry::from_raw(raw).ok_or(ChunkError::NoTime)?),
        };
        let other = bytes.id().ok_or(ChunkError::Truncated)?;
        Self::from_parts(last, earlier, other).ok_or(ChunkError::OutOfOrder)
    }

    fn read_v1(bytes: &mut Reader<'_>) -> Result<Self, ChunkError> {
        let last = AttemptEntry::read(bytes)?;
        let other = bytes.id().ok_or(ChunkError::Truncated)?;
        Self::from_parts(last, None, other).ok_or(ChunkError::OutOfOrder)
    }
}

/// How the entries of a log are stored.
pub(super) struct EntryFormat<E> {
    pub(super) bytes: usize,
    read: fn(&mut Reader<'_>) -> Result<E, ChunkError>,
}

impl<E> Clone for EntryFormat<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for EntryFormat<E> {}

impl<E: StoredEntry> EntryFormat<E> {
    /// As they are written.
    pub(super) const CURRENT: Self = Self { bytes: E::BYTES, read: E::read };
    /// As format 1 wrote them.
    pub(super) const V1: Self = Self { bytes: E::BYTES_V1, read: E::read_v1 };

    /// The entries of a record.
    pub(super) fn entries(self, bytes: &[u8]) -> impl Iterator<Item = Result<E, ChunkError>> + Clone {
        bytes.chunks_exact(self.bytes).map(move |entry| (self.read)(&mut Reader::new(entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Id;
    use crate::identity::Tag;
    use crate::table::{Cutoff, Timestamp};

    #[test]
    fn a_distinct_entry_keeps_the_whole_id() {
        let seen = |at, tag| DistinctEntry::new(at, Tag::from_raw(tag), Id::from_raw(u64::MAX - 1));
        let entry = seen(Timestamp::MAX, 7).after(Some(seen(Timestamp::MIN, 8)), Cutoff::NEVER);
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        assert_eq!(bytes.len(), DistinctEntry::BYTES);
        assert_eq!(DistinctEntry::read(&mut Reader::new(&bytes)), Ok(entry));
        assert_eq!(entry.key(), Id::from_raw(u64::MAX - 1));
        assert_eq!(DistinctEntry::read(&mut Reader::new(&[0; 24])), Err(ChunkError::NoTime));
        // Both attempts have one tag.
        let (last, _) = bytes.split_at(8);
        let forged = [last, last, &[0; 8]].concat();
        assert_eq!(DistinctEntry::read(&mut Reader::new(&forged)), Err(ChunkError::OutOfOrder));
    }

    #[test]
    fn a_distinct_entry_of_format_1_has_one_attempt() {
        let entry = DistinctEntry::new(Timestamp::MAX, Tag::from_raw(7), Id::from_raw(9));
        let mut bytes = Vec::new();
        entry.write(&mut bytes);
        bytes.drain(8..16);
        assert_eq!(bytes.len(), DistinctEntry::BYTES_V1);
        assert_eq!(DistinctEntry::read_v1(&mut Reader::new(&bytes)), Ok(entry));
    }
}
