//! One reader and one writer for all bytes that are stored or sent: fixed width, little-endian.

use crate::identity::Id;
use crate::policy::Millis;
use crate::table::Timestamp;

/// About how many bytes a chunk has; none has more.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Appends fields to bytes.
pub(super) trait WriteFields {
    /// Appends a number of one byte.
    fn write_u8(&mut self, number: u8);
    /// Appends a number of four bytes.
    fn write_u32(&mut self, number: u32);
    /// Appends a number of eight bytes.
    fn write_u64(&mut self, number: u64);

    /// Appends an id.
    fn write_id(&mut self, id: Id) {
        self.write_u64(id.raw());
    }

    /// Appends a time, in milliseconds since the Unix epoch.
    fn write_time(&mut self, at: Timestamp) {
        self.write_u64(at.as_millis());
    }

    /// Appends a span of time, in milliseconds.
    fn write_span(&mut self, span: Millis) {
        self.write_u64(span.get());
    }
}

impl WriteFields for Vec<u8> {
    fn write_u8(&mut self, number: u8) {
        self.push(number);
    }

    fn write_u32(&mut self, number: u32) {
        self.extend(number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.extend(number.to_le_bytes());
    }
}

/// The bytes that are not read yet. Each method returns `None` if they end too early or are out of range.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `bytes` from the beginning.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all bytes are read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The next `len` bytes.
    pub(super) fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `N` bytes.
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// A number of one byte.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    /// A number of four bytes.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of eight bytes.
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of sixteen bytes.
    pub(super) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }

    /// An id.
    pub(super) fn id(&mut self) -> Option<Id> {
        self.u64().map(Id::from_raw)
    }

    /// A time.
    pub(super) fn time(&mut self) -> Option<Timestamp> {
        self.u64().and_then(Timestamp::from_millis)
    }

    /// A span of time, no longer than the greatest timestamp.
    pub(super) fn span(&mut self) -> Option<Millis> {
        self.u64().filter(|millis| *millis <= Timestamp::MAX.as_millis()).map(Millis::new)
    }
}
