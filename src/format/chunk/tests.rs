//! What a record of a chunk keeps.

use super::*;
use crate::identity::Tag;

#[test]
fn a_distinct_entry_keeps_the_whole_id() {
    let entry = DistinctEntry::new(Timestamp::MAX, Tag::from_raw(7), Id::from_raw(u64::MAX - 1));
    let mut bytes = Vec::new();
    entry.write(&mut bytes);
    assert_eq!(bytes.len(), DistinctEntry::BYTES);
    assert_eq!(DistinctEntry::read(&mut Reader::new(&bytes)), Some(entry));
    assert_eq!(entry.key(), Id::from_raw(u64::MAX - 1));
    assert_eq!(DistinctEntry::read(&mut Reader::new(&[0; 16])), None);
}
