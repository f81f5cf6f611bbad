//! The entries of the allow and deny lists as bytes, and back: in chunks for storage, one by one for replication.
//!
//! A chunk is a run of records of 27 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the list: 1 ALLOW, 2 DENY |
//! | 1 | the kind of entry: 1 IPv4 network, 2 IPv6 network, 3 email |
//! | 1 | the prefix length of a network; 0 for an email |
//! | 8 | when it expires, in milliseconds since the Unix epoch; 0 never |
//! | 16 | the first address of a network as a number, or the id of an email; the upper bytes are 0 |
//!
//! Every entry has exactly one such form, and anything else is refused.

use crate::format::bytes::{CHUNK_BYTES, Reader, WriteFields};
use crate::identity::{Cidr, Id};
use crate::limiter::{List, ListEntry, ListKey, ListTarget, Lists};
use crate::table::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a record.
pub(super) const RECORD_BYTES: usize = 27;

/// The codes of the lists in a record. A code never changes, and is never used again for something else.
const ALLOW: u8 = 1;
const DENY: u8 = 2;

/// The codes of the kinds of entries in a record, likewise.
const IPV4_NETWORK: u8 = 1;
const IPV6_NETWORK: u8 = 2;
const EMAIL: u8 = 3;

/// Stands for no expiry in a record: no timestamp is 0.
const NEVER: u64 = 0;

/// Why the bytes of entries were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListEntryError {
    /// The bytes end within a record.
    #[error("a chunk of list entries ends in the middle of one")]
    Truncated,
    /// A list that is neither ALLOW nor DENY.
    #[error("a chunk has an entry of an unknown list")]
    UnknownList,
    /// An entry that is neither a network nor an email.
    #[error("a chunk has a list entry of an unknown kind")]
    UnknownKind,
    /// An invalid network, or one in another form than the one that is written.
    #[error("a chunk has a list entry that is not in canonical form")]
    NotCanonical,
    /// An expiry that is not a time.
    #[error("a chunk has a list entry with an expiry out of range")]
    BadExpiry,
    /// An entry that its list has already.
    #[error("a chunk has a list entry that is there already")]
    Duplicate,
    /// More entries than the lists take.
    #[error("the chunks have more list entries than a limiter takes")]
    TooMany,
}

/// Appends the record of an entry.
pub(super) fn write(entry: &ListEntry, bytes: &mut Vec<u8>) {
    let ListKey { list, target } = entry.key;
    let (kind, prefix_len, value) = match target {
        ListTarget::Cidr(cidr) => match cidr.first() {
            IpAddr::V4(ip) => (IPV4_NETWORK, cidr.prefix_len(), u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (IPV6_NETWORK, cidr.prefix_len(), ip.to_bits()),
        },
        ListTarget::Email(id) => (EMAIL, 0, u128::from(id.raw())),
    };
    bytes.write_u8(match list {
        List::Allow => ALLOW,
        List::Deny => DENY,
    });
    bytes.write_u8(kind);
    bytes.write_u8(prefix_len);
    bytes.write_u64(entry.expires.map_or(NEVER, Timestamp::as_millis));
    bytes.extend(value.to_le_bytes());
}

/// The entry of the next record.
///
/// # Errors
/// [`ListEntryError`] for bytes that [`write`] does not write.
pub(super) fn read(bytes: &mut Reader<'_>) -> Result<ListEntry, ListEntryError> {
    use ListEntryError::{BadExpiry, NotCanonical, Truncated, UnknownKind, UnknownList};
    let record = bytes.slice(RECORD_BYTES).ok_or(Truncated)?;
    let mut fields = Reader::new(record);
    let (list, kind) = (fields.u8().ok_or(Truncated)?, fields.u8().ok_or(Truncated)?);
    let prefix_len = fields.u8().ok_or(Truncated)?;
    let expires = match fields.u64().ok_or(Truncated)? {
        NEVER => None,
        millis => Some(Timestamp::from_millis(millis).ok_or(BadExpiry)?),
    };
    let value = fields.u128().ok_or(Truncated)?;
    let list = match list {
        ALLOW => List::Allow,
        DENY => List::Deny,
        _ => return Err(UnknownList),
    };
    let network = |first| Cidr::new(first, prefix_len).map(ListTarget::Cidr).map_err(|_| NotCanonical);
    let target = match kind {
        IPV4_NETWORK => {
            let bits = u32::try_from(value).map_err(|_| NotCanonical)?;
            network(Ipv4Addr::from_bits(bits).into())?
        }
        IPV6_NETWORK => network(Ipv6Addr::from_bits(value).into())?,
        EMAIL => ListTarget::Email(Id::from_raw(u64::try_from(value).map_err(|_| NotCanonical)?)),
        _ => return Err(UnknownKind),
    };
    let entry = ListEntry { key: ListKey { list, target }, expires };
    // Rejects bytes that were ignored or misread.
    let mut rewritten = Vec::with_capacity(RECORD_BYTES);
    write(&entry, &mut rewritten);
    if rewritten == record { Ok(entry) } else { Err(NotCanonical) }
}

/// The entries that have not expired at `now`, as chunks.
pub(super) fn live_chunks(lists: &Lists, now: Timestamp) -> impl Iterator<Item = Vec<u8>> {
    chunks(lists.iter().filter(move |entry| entry.is_live(now)), CHUNK_BYTES)
}

/// The records of `entries` in chunks of at most `chunk_bytes`, but at least one record each. They are made one at a
/// time, so that saving needs little memory.
fn chunks(entries: impl Iterator<Item = ListEntry>, chunk_bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let records = (chunk_bytes / RECORD_BYTES).max(1);
    let mut entries = entries.fuse();
    std::iter::from_fn(move || {
        let mut chunk = Vec::new();
        entries.by_ref().take(records).for_each(|entry| write(&entry, &mut chunk));
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Adds the entries of a chunk to `lists`.
///
/// # Errors
/// [`ListEntryError`] for bytes that are not written from lists. They may then hold a part of them and must be dropped.
pub(super) fn load(lists: &mut Lists, chunk: &[u8]) -> Result<(), ListEntryError> {
    if !chunk.len().is_multiple_of(RECORD_BYTES) {
        return Err(ListEntryError::Truncated);
    }
    let mut bytes = Reader::new(chunk);
    while !bytes.is_empty() {
        // Before all times nothing has expired: what was written is read, and what is there is a duplicate.
        match lists.add(read(&mut bytes)?, Timestamp::MIN) {
            Ok(true) => {}
            Ok(false) => return Err(ListEntryError::Duplicate),
            Err(_) => return Err(ListEntryError::TooMany),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(entry: &ListEntry) -> [u8; RECORD_BYTES] {
        let mut bytes = Vec::new();
        write(entry, &mut bytes);
        bytes.try_into().unwrap()
    }

    fn read_one(record: &[u8; RECORD_BYTES]) -> Result<ListEntry, ListEntryError> {
        read(&mut Reader::new(record))
    }

    fn cidr(text: &str) -> ListTarget {
        ListTarget::Cidr(Cidr::parse(text.as_bytes()).unwrap())
    }

    fn entry(list: List, entry: ListTarget, expires: u64) -> ListEntry {
        let expires = Timestamp::from_millis(expires);
        ListEntry { key: ListKey { list, target: entry }, expires }
    }

    fn some() -> Vec<ListEntry> {
        vec![
            entry(List::Allow, cidr("10.0.0.0/8"), 0),
            entry(List::Deny, cidr("10.0.0.0/8"), 0x0102_0304_0506),
            entry(List::Allow, cidr("0.0.0.0/0"), 1),
            entry(List::Deny, cidr("2001:db8::1"), 1 << 41),
            entry(List::Allow, cidr("::/0"), (1 << 42) - 1),
            entry(List::Deny, ListTarget::Email(Id::from_raw(u64::MAX)), 0),
            entry(List::Allow, ListTarget::Email(Id::from_raw(0)), 7),
        ]
    }

    fn lists_of(entries: &[ListEntry]) -> Lists {
        let mut lists = Lists::default();
        for l in entries {
            lists.add(*l, Timestamp::MIN).unwrap();
        }
        lists
    }

    /// Golden: files of this version have these bytes.
    #[test]
    fn a_record_has_these_bytes() {
        let cases = [
            (
                entry(List::Deny, cidr("10.32.0.0/11"), 0x0102_0304_0506),
                "02010b06050403020100000000200a000000000000000000000000",
            ),
            (entry(List::Allow, cidr("2001:db8::/32"), 0), "0102200000000000000000000000000000000000000000b80d0120"),
            (
                entry(List::Allow, ListTarget::Email(Id::from_raw(0x0102_0304_0506_0708)), 1),
                "010300010000000000000008070605040302010000000000000000",
            ),
        ];
        for (entry, hex) in cases {
            let bytes: String = bytes_of(&entry).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(bytes, hex);
        }
    }

    #[test]
    fn lists_come_back_from_chunks_of_any_size() {
        let lists = lists_of(&some());
        for chunk_bytes in [0, 1, RECORD_BYTES, 2 * RECORD_BYTES, 2 * RECORD_BYTES + 1, CHUNK_BYTES] {
            let mut loaded = Lists::default();
            for chunk in chunks(lists.iter(), chunk_bytes) {
                assert!(chunk.len() <= chunk_bytes.max(RECORD_BYTES));
                load(&mut loaded, &chunk).unwrap();
            }
            assert!(loaded.iter().eq(lists.iter()));
            assert_eq!(loaded.len(), some().len());
        }
    }

    #[test]
    fn empty_lists_have_no_chunks() {
        let none = Lists::default();
        assert_eq!(chunks(none.iter(), CHUNK_BYTES).count(), 0);
        assert_eq!(load(&mut Lists::default(), &[]), Ok(()));
    }

    #[test]
    fn bytes_that_no_entry_has_are_refused() {
        use ListEntryError::*;
        let v4 = bytes_of(&entry(List::Allow, cidr("10.0.0.0/8"), 0));
        let v6 = bytes_of(&entry(List::Allow, cidr("2001:db8::/32"), 0));
        let email = bytes_of(&entry(List::Allow, ListTarget::Email(Id::from_raw(5)), 0));
        let mapped = u128::from_le_bytes(*b"\x00\x00\x00\x0a\xff\xff\0\0\0\0\0\0\0\0\0\0");
        let mut mapped_record = v6;
        mapped_record[2] = 104;
        mapped_record[11..].copy_from_slice(&mapped.to_le_bytes());
        let cases = [
            (v4, 0, 0, UnknownList),
            (v4, 0, 3, UnknownList),
            (v4, 1, 0, UnknownKind),
            (v4, 1, 4, UnknownKind),
            (v4, 2, 33, NotCanonical),
            (v4, 2, 6, NotCanonical),
            (v4, 10, 0xff, BadExpiry),
            (v4, 11, 1, NotCanonical),
            (v4, 26, 1, NotCanonical),
            (v6, 2, 129, NotCanonical),
            (v6, 2, 28, NotCanonical),
            (v6, 11, 1, NotCanonical),
            (email, 2, 1, NotCanonical),
            (email, 19, 1, NotCanonical),
            (mapped_record, 0, 1, NotCanonical),
        ];
        let mut two_faults = v4;
        two_faults[0] = 0;
        two_faults[10] = 0xff;
        assert_eq!(read_one(&two_faults), Err(BadExpiry), "the expiry is checked first");
        for (record, at, byte, error) in cases {
            let mut bytes = record;
            bytes[at] = byte;
            assert_eq!(read_one(&bytes), Err(error), "byte {at} is {byte}");
            let mut lists = Lists::default();
            assert_eq!(load(&mut lists, &bytes), Err(error));
        }
    }

    #[test]
    fn truncated_and_repeated_records_are_refused() {
        let chunk: Vec<u8> = some().iter().flat_map(bytes_of).collect();
        for len in (0..chunk.len()).filter(|len| len % RECORD_BYTES != 0) {
            let outcome = load(&mut Lists::default(), &chunk[..len]);
            assert_eq!(outcome, Err(ListEntryError::Truncated));
        }
        let mut lists = lists_of(&some()[..1]);
        let outcome = load(&mut lists, &chunk);
        assert_eq!(outcome, Err(ListEntryError::Duplicate));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(bytes: [u8; RECORD_BYTES], list in 0u8..4, kind in 0u8..5, few in 0u8..34, small: bool) {
            // Mostly near enough to a record to get past the first checks.
            let mut record = bytes;
            if small {
                record[..3].copy_from_slice(&[list, kind, few]);
                record[9..11].fill(0);
                record[15..].fill(0);
            }
            if let Ok(entry) = read_one(&record) {
                prop_assert_eq!(bytes_of(&entry), record);
            }
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut lists = Lists::default();
            let _ = load(&mut lists, &bytes);
            prop_assert_eq!(lists.iter().count(), lists.len());
        }
    }
}
