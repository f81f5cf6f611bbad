//! What a record of a chunk keeps.

use super::*;
use crate::identity::Tag;

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
