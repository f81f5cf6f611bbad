//! The entries of the allow and deny lists as portable bytes, and back: for storage in chunks, for replication one
//! by one.
//!
//! A chunk is a run of records of 27 bytes, all numbers little-endian:
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

use crate::identity::{Cidr, Id};
use crate::limiter::access::{AccessLists, Entry, List, Listing};
use crate::limiter::time::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a record.
const RECORD: usize = 27;

/// What stands for the kinds of entries in a record; a number never changes nor comes back.
const IPV4_NETWORK: u8 = 1;
const IPV6_NETWORK: u8 = 2;
const EMAIL: u8 = 3;

/// What stands for no expiry in a record: no timestamp is 0.
const NEVER: u64 = 0;

/// Why the bytes of entries were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AccessChunkError {
    /// The bytes end within a record.
    #[error("a chunk of list entries ends in the middle of one")]
    Truncated,
    /// A list that is neither ALLOW nor DENY.
    #[error("a chunk has an entry of an unknown list")]
    UnknownList,
    /// An entry that is neither a network nor an email.
    #[error("a chunk has a list entry of an unknown kind")]
    UnknownKind,
    /// A network that is none, or not in the form it is written in.
    #[error("a chunk has a list entry that is not in canonical form")]
    NotCanonical,
    /// An expiry that is no time.
    #[error("a chunk has a list entry with an expiry out of range")]
    BadExpiry,
    /// An entry that its list has already.
    #[error("a chunk has a list entry that is there already")]
    Duplicate,
    /// More entries than the lists take.
    #[error("the chunks have more list entries than a limiter takes")]
    TooMany,
}

impl Listing {
    /// Bytes of [`Listing::to_bytes`].
    pub const BYTES: usize = RECORD;

    /// The record of this entry.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let (kind, prefix_len, value) = match self.entry {
            Entry::Cidr(cidr) => match cidr.first() {
                IpAddr::V4(ip) => (IPV4_NETWORK, cidr.prefix_len(), u128::from(ip.to_bits())),
                IpAddr::V6(ip) => (IPV6_NETWORK, cidr.prefix_len(), ip.to_bits()),
            },
            Entry::Email(id) => (EMAIL, 0, u128::from(id.raw())),
        };
        let expires = self.expires.map_or(NEVER, Timestamp::as_millis);
        let mut bytes = [self.list.code(), kind, prefix_len]
            .into_iter()
            .chain(expires.to_le_bytes())
            .chain(value.to_le_bytes());
        std::array::from_fn(|_| bytes.next().unwrap_or(0))
    }

    /// The entry of a record.
    ///
    /// # Errors
    /// [`AccessChunkError`] for bytes that [`Listing::to_bytes`] does not write.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, AccessChunkError> {
        let ([list, kind, prefix_len], rest) = split(bytes)?;
        let (expires, rest) = split(rest)?;
        let (value, _) = split(rest)?;
        let value = u128::from_le_bytes(*value);
        let expires = match u64::from_le_bytes(*expires) {
            NEVER => None,
            millis => Some(Timestamp::from_millis(millis).ok_or(AccessChunkError::BadExpiry)?),
        };
        let listing = Self {
            list: List::from_code(*list).ok_or(AccessChunkError::UnknownList)?,
            entry: read_entry(*kind, *prefix_len, value)?,
            expires,
        };
        // Whatever was not read, or read as something else, shows here.
        if listing.to_bytes() == *bytes {
            Ok(listing)
        } else {
            Err(AccessChunkError::NotCanonical)
        }
    }
}

/// The records of `listings` in chunks of at most `chunk_bytes`, but of one record at least; they are made one at a
/// time, so that saving needs little memory.
pub(crate) fn encode_entries(
    listings: impl Iterator<Item = Listing>,
    chunk_bytes: usize,
) -> impl Iterator<Item = Vec<u8>> {
    let records = (chunk_bytes / RECORD).max(1);
    let mut listings = listings.fuse();
    std::iter::from_fn(move || {
        let mut chunk = Vec::new();
        for listing in listings.by_ref().take(records) {
            chunk.extend(listing.to_bytes());
        }
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Adds the entries of a chunk to `lists`.
///
/// # Errors
/// [`AccessChunkError`] for bytes that [`encode_entries`] does not write from lists. They may then hold a part of
/// them and must be thrown away.
pub(crate) fn load_entries(lists: &mut AccessLists, chunk: &[u8]) -> Result<(), AccessChunkError> {
    let (records, rest) = chunk.as_chunks::<RECORD>();
    if !rest.is_empty() {
        return Err(AccessChunkError::Truncated);
    }
    for record in records {
        let Listing {
            list,
            entry,
            expires,
        } = Listing::from_bytes(record)?;
        // Before all times nothing has expired: what was written is read, and what is there is a duplicate.
        match lists.add(list, entry, expires, Timestamp::MIN) {
            Ok(true) => {}
            Ok(false) => return Err(AccessChunkError::Duplicate),
            Err(_) => return Err(AccessChunkError::TooMany),
        }
    }
    Ok(())
}

/// The first N bytes, and the rest.
fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), AccessChunkError> {
    bytes.split_first_chunk().ok_or(AccessChunkError::Truncated)
}

/// What a kind, a prefix length and a value are.
fn read_entry(kind: u8, prefix_len: u8, value: u128) -> Result<Entry, AccessChunkError> {
    let network = |first| Cidr::new(first, prefix_len).map(Entry::Cidr);
    let entry = match kind {
        IPV4_NETWORK => {
            let bits = u32::try_from(value).map_err(|_| AccessChunkError::NotCanonical)?;
            network(Ipv4Addr::from_bits(bits).into())
        }
        IPV6_NETWORK => network(Ipv6Addr::from_bits(value).into()),
        EMAIL => {
            let raw = u64::try_from(value).map_err(|_| AccessChunkError::NotCanonical)?;
            Ok(Entry::Email(Id::from_raw(raw)))
        }
        _ => return Err(AccessChunkError::UnknownKind),
    };
    entry.map_err(|_| AccessChunkError::NotCanonical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limiter::chunk::CHUNK_BYTES;
    use proptest::prelude::*;

    fn cidr(text: &str) -> Entry {
        Entry::Cidr(Cidr::parse(text.as_bytes()).unwrap())
    }

    fn listing(list: List, entry: Entry, expires: u64) -> Listing {
        let expires = Timestamp::from_millis(expires);
        Listing {
            list,
            entry,
            expires,
        }
    }

    fn some() -> Vec<Listing> {
        vec![
            listing(List::Allow, cidr("10.0.0.0/8"), 0),
            listing(List::Deny, cidr("10.0.0.0/8"), 0x0102_0304_0506),
            listing(List::Allow, cidr("0.0.0.0/0"), 1),
            listing(List::Deny, cidr("2001:db8::1"), 1 << 41),
            listing(List::Allow, cidr("::/0"), (1 << 42) - 1),
            listing(List::Deny, Entry::Email(Id::from_raw(u64::MAX)), 0),
            listing(List::Allow, Entry::Email(Id::from_raw(0)), 7),
        ]
    }

    fn lists_of(listings: &[Listing]) -> AccessLists {
        let mut lists = AccessLists::default();
        for l in listings {
            lists
                .add(l.list, l.entry, l.expires, Timestamp::MIN)
                .unwrap();
        }
        lists
    }

    /// Golden: files of this version have these bytes.
    #[test]
    fn a_record_has_these_bytes() {
        let cases = [
            (
                listing(List::Deny, cidr("10.32.0.0/11"), 0x0102_0304_0506),
                "02010b06050403020100000000200a000000000000000000000000",
            ),
            (
                listing(List::Allow, cidr("2001:db8::/32"), 0),
                "0102200000000000000000000000000000000000000000b80d0120",
            ),
            (
                listing(
                    List::Allow,
                    Entry::Email(Id::from_raw(0x0102_0304_0506_0708)),
                    1,
                ),
                "010300010000000000000008070605040302010000000000000000",
            ),
        ];
        for (listing, hex) in cases {
            let bytes: String = listing
                .to_bytes()
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            assert_eq!(bytes, hex);
        }
    }

    #[test]
    fn lists_come_back_from_chunks_of_any_size() {
        let lists = lists_of(&some());
        for chunk_bytes in [0, 1, RECORD, 2 * RECORD, 2 * RECORD + 1, CHUNK_BYTES] {
            let mut loaded = AccessLists::default();
            for chunk in encode_entries(lists.iter(), chunk_bytes) {
                assert!(chunk.len() <= chunk_bytes.max(RECORD));
                load_entries(&mut loaded, &chunk).unwrap();
            }
            assert!(loaded.iter().eq(lists.iter()));
            assert_eq!(loaded.len(), some().len());
        }
    }

    #[test]
    fn empty_lists_have_no_chunks() {
        let none = AccessLists::default();
        assert_eq!(encode_entries(none.iter(), CHUNK_BYTES).count(), 0);
        assert_eq!(load_entries(&mut AccessLists::default(), &[]), Ok(()));
    }

    #[test]
    fn bytes_that_no_entry_has_are_refused() {
        use AccessChunkError::*;
        let v4 = listing(List::Allow, cidr("10.0.0.0/8"), 0).to_bytes();
        let v6 = listing(List::Allow, cidr("2001:db8::/32"), 0).to_bytes();
        let email = listing(List::Allow, Entry::Email(Id::from_raw(5)), 0).to_bytes();
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
        for (record, at, byte, error) in cases {
            let mut bytes = record;
            bytes[at] = byte;
            assert_eq!(
                Listing::from_bytes(&bytes),
                Err(error),
                "byte {at} is {byte}"
            );
            let mut lists = AccessLists::default();
            assert_eq!(load_entries(&mut lists, &bytes), Err(error));
        }
    }

    #[test]
    fn cut_and_repeated_records_are_refused() {
        let chunk: Vec<u8> = some().iter().flat_map(Listing::to_bytes).collect();
        for len in (0..chunk.len()).filter(|len| len % RECORD != 0) {
            let outcome = load_entries(&mut AccessLists::default(), &chunk[..len]);
            assert_eq!(outcome, Err(AccessChunkError::Truncated));
        }
        let mut lists = lists_of(&some()[..1]);
        let outcome = load_entries(&mut lists, &chunk);
        assert_eq!(outcome, Err(AccessChunkError::Duplicate));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_would_be_written(bytes: [u8; RECORD], list in 0u8..4, kind in 0u8..5, few in 0u8..34, small: bool) {
            // Mostly near enough to a record to get past the first checks.
            let mut record = bytes;
            if small {
                record[..3].copy_from_slice(&[list, kind, few]);
                record[9..11].fill(0);
                record[15..].fill(0);
            }
            if let Ok(listing) = Listing::from_bytes(&record) {
                prop_assert_eq!(listing.to_bytes(), record);
            }
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut lists = AccessLists::default();
            let _ = load_entries(&mut lists, &bytes);
            prop_assert_eq!(lists.iter().count(), lists.len());
        }
    }
}
