#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::identity::Tag;
use crate::table::entry::AttemptEntry;
use crate::table::time::Timestamp;
use proptest::prelude::*;
use std::collections::HashMap;

/// Ids as a keyed hash would make them.
fn id(n: u64) -> Id {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Id::from_raw(x ^ (x >> 31))
}

fn entry(at: u64, tag: u32) -> AttemptEntry {
    AttemptEntry::new(Timestamp::from_millis(at).unwrap(), Tag::from_raw(tag))
}

fn add(table: &mut Table<AttemptEntry>, id: Id, entry: AttemptEntry, count: usize, cutoff: Cutoff) {
    table.record(id, cutoff, |log| log.push(entry, count));
}

/// Takes the logs in as a chunk's are.
fn load(table: &mut Table<AttemptEntry>, logs: &[(Id, Vec<AttemptEntry>)]) {
    let mut rest = logs;
    while !rest.is_empty() {
        let count = table.reserve(rest.iter().map(|(id, _)| *id));
        let (reserved, others) = rest.split_at(count);
        for (id, entries) in reserved {
            assert!(table.append(*id, entries.iter().copied()));
        }
        rest = others;
    }
}

/// What a table holds, as it is stored.
fn stored(table: &Table<AttemptEntry>) -> Vec<(Id, Vec<AttemptEntry>)> {
    let logs = table.iter();
    logs.map(|(id, log)| (id, log.iter_from(0).collect())).collect()
}

/// What `bytes`, `len` and the directory say must be what is there.
fn assert_sums(table: &Table<AttemptEntry>) {
    assert_eq!(table.len, table.iter().count());
    let logs: usize = table.iter().map(|(_, log)| log.heap_bytes()).sum();
    assert_eq!(table.log_bytes, logs);
    let slots: usize = table.segments.iter().map(Segment::slot_bytes).sum();
    assert_eq!(table.slot_bytes, slots);
    assert_eq!(table.directory.len(), 1 << table.depth);
    for (index, segment) in table.segments.iter().enumerate() {
        let Prefix { depth, bits } = segment.prefix;
        let shift = table.depth - depth;
        let entries = table.directory.iter().enumerate();
        let own = entries.filter(|(_, entry)| **entry as usize == index);
        assert!(own.clone().all(|(at, _)| at >> shift == bits as usize));
        assert_eq!(own.count(), 1 << shift);
        assert!(segment.iter().all(|(id, _)| leading_bits(id, depth) == bits as usize));
    }
}

/// Removes every entry with a tag; returns how many there were.
fn forgive(table: &mut Table<AttemptEntry>, id: Id, tag: Tag) -> usize {
    table.update(id, |log| log.remove(tag, 0, usize::MAX)).unwrap_or(0)
}

#[test]
fn grows_by_segments_and_stays_dense() {
    let mut table = Table::<AttemptEntry>::default();
    for n in 0..200_000 {
        add(&mut table, id(n), entry(n + 1, 0), 1, Cutoff::NEVER);
        if n > 2_000 && n % 997 == 0 {
            let per_identity = table.bytes() as f64 / table.len() as f64;
            assert!(per_identity < 50.0, "{per_identity} bytes at {n}");
        }
    }
    assert_sums(&table);
    assert!((0..200_000).all(|n| table.get(id(n)).unwrap().len() == 1));
    assert!((200_000..201_000).all(|n| table.get(id(n)).is_none()));
    assert!(table.segments.iter().all(|s| s.capacity() <= MAX_CAPACITY));
    assert!(!table.is_skewed());
}

#[test]
fn reclaims_expired_identities_instead_of_growing() {
    let mut table = Table::<AttemptEntry>::default();
    for n in 0..300_000_u64 {
        let cutoff = Cutoff::from_millis(n.saturating_sub(1_000));
        add(&mut table, id(n), entry(n + 1, 0), 1, cutoff);
    }
    assert_sums(&table);
    assert!(table.len() < 2_500, "{} identities held for 1000 live", table.len());
    assert!((299_500..300_000).all(|n| table.get(id(n)).is_some()));
}

#[test]
fn sweeping_an_expired_table_leaves_as_little_as_a_new_one() {
    let mut table = Table::<AttemptEntry>::default();
    for n in 0..100_000_u64 {
        add(&mut table, id(n), entry(n + 1, 0), 3, Cutoff::NEVER);
    }
    let full = table.bytes();
    let half = Cutoff::from_millis(50_000);
    let swept = |table: &mut Table<AttemptEntry>, cutoff| {
        let (mut segment, mut reclaimed) = (0, 0);
        while segment < table.segments() {
            let segments = table.segments();
            reclaimed += table.sweep(segment, cutoff);
            segment += usize::from(table.segments() == segments);
        }
        reclaimed
    };
    assert_eq!(swept(&mut table, half), 50_000);
    assert_sums(&table);
    assert!((50_000..100_000).all(|n| table.get(id(n)).is_some()));
    assert!(table.bytes() < full * 6 / 10);
    assert_eq!(swept(&mut table, Cutoff::from_millis(100_000)), 50_000);
    for _ in 0..20 {
        swept(&mut table, Cutoff::from_millis(100_000));
    }
    assert_sums(&table);
    assert_eq!((table.segments(), table.depth), (1, 0));
    assert!(table.bytes() < 1_000, "{} bytes left", table.bytes());
}

#[test]
fn frees_memory_when_identities_are_removed() {
    let mut table = Table::<AttemptEntry>::default();
    for n in 0..10_000 {
        add(&mut table, id(n), entry(1, 7), 3, Cutoff::NEVER);
    }
    let full = table.bytes();
    for n in 0..10_000 {
        assert_eq!(forgive(&mut table, id(n), Tag::from_raw(7)), 3);
    }
    assert_sums(&table);
    assert_eq!((table.len(), table.log_bytes), (0, 0));
    assert!(table.bytes() < full / 50);
}

#[test]
fn evicts_the_expired_then_the_least_dangerous_and_never_a_kept_one() {
    let mut table = Table::<AttemptEntry>::default();
    for n in 0..10_u64 {
        add(&mut table, id(n), entry(n + 1, 0), 3, Cutoff::NEVER);
    }
    add(&mut table, id(10), entry(20, 0), 1, Cutoff::NEVER);
    let nobody = |_| false;
    assert_eq!(table.eviction_candidate(id(99), Cutoff::NEVER, nobody), Some(id(10)));
    let kept = |kept| kept == id(10);
    assert_eq!(table.eviction_candidate(id(99), Cutoff::NEVER, kept), Some(id(0)));
    let expired = Cutoff::from_millis(3);
    let eviction_candidate = table.eviction_candidate(id(99), expired, nobody).unwrap();
    assert!((0..3).any(|n| eviction_candidate == id(n)));
    assert_eq!(table.eviction_candidate(id(99), Cutoff::NEVER, |_| true), None);
}

#[test]
fn forged_ids_are_noticed_and_never_hang_or_explode() {
    let mut table = Table::<AttemptEntry>::default();
    for n in 0..20_000_u64 {
        if table.is_skewed() {
            break;
        }
        add(&mut table, Id::from_raw(n << 20), entry(1, 0), 1, Cutoff::NEVER);
    }
    assert!(table.is_skewed());
    assert_sums(&table);
    assert!(table.bytes() < 20_000 * 64);
}

#[test]
fn a_loaded_table_is_as_dense_as_the_one_that_was_saved() {
    for identities in [1, 3, 100, 896, 897, 5_000, 150_000] {
        let mut saved = Table::<AttemptEntry>::default();
        for n in 0..identities {
            add(&mut saved, id(n), entry(n + 1, 0), 1, Cutoff::NEVER);
        }
        let logs = stored(&saved);
        let mut loaded = Table::default();
        // As many as fit a chunk.
        logs.chunks(3_276).for_each(|logs| load(&mut loaded, logs));
        assert_sums(&loaded);
        assert_eq!(loaded.len() as u64, identities);
        assert!((0..identities).all(|n| loaded.get(id(n)).unwrap().len() == 1));
        assert!(loaded.segments.iter().all(|s| s.capacity() <= MAX_CAPACITY));
        assert!(!loaded.is_skewed());
        let (loaded, saved) = (loaded.bytes(), saved.bytes());
        assert!(loaded <= saved + saved / 50, "{loaded} bytes, {saved} before");
    }
}

#[test]
fn slots_are_reserved_once_for_all_ids_of_one_segment() {
    let mut table = Table::<AttemptEntry>::default();
    assert_eq!(table.reserve((0..500).map(id)), 500);
    let slots = table.bytes();
    let run: Vec<_> = (0..500).map(|n| (id(n), vec![entry(1, 0)])).collect();
    load(&mut table, &run);
    assert_eq!((table.len(), table.bytes()), (500, slots));
    // The next run is split from these before it grows beyond what a segment may have.
    assert!(table.reserve((500..1_500).map(id)) < 1_000);
    assert_sums(&table);
    assert_eq!(table.segments(), 2);
    assert_eq!(table.reserve(std::iter::empty()), 0);
}

#[test]
fn a_loaded_segment_is_stored_as_the_same_bytes() {
    for identities in [1, 5, 60, 700] {
        let mut saved = Table::<AttemptEntry>::default();
        for n in 0..identities {
            add(&mut saved, id(n), entry(n + 1, 0), 1, Cutoff::NEVER);
        }
        let mut loaded = Table::default();
        load(&mut loaded, &stored(&saved));
        assert_eq!(stored(&loaded), stored(&saved));
        assert_eq!(loaded.bytes(), saved.bytes());
    }
}

#[test]
fn a_chunk_reserves_no_more_slots_than_it_has_records() {
    let mut table = Table::<AttemptEntry>::default();
    let same = vec![(id(1), vec![entry(1, 0)]); 3_000];
    for _ in 0..20 {
        load(&mut table, &same);
    }
    assert_eq!(table.len(), 1);
    assert!(table.bytes() - table.log_bytes() < 40_000);
    let mut table = Table::<AttemptEntry>::default();
    for n in 0..20 {
        let forged = (0..3_000).map(|at| (Id::from_raw((n * 3_000 + at) << 20), vec![entry(1, 0)]));
        load(&mut table, &forged.collect::<Vec<_>>());
    }
    assert!(table.is_skewed());
    assert_sums(&table);
    assert!(table.bytes() < 60_000 * 64);
}

proptest! {
    /// Records of one id in several pieces among them, and runs of ids that share many bits.
    #[test]
    fn loading_adds_up_to_a_map_of_lists(
        runs in proptest::collection::vec((0..40_u64, 0..4_000_u64, 1..900_u64), 1..12),
    ) {
        let mut table = Table::<AttemptEntry>::default();
        let mut map: HashMap<Id, Vec<AttemptEntry>> = HashMap::new();
        for (at, (prefix, from, count)) in runs.into_iter().enumerate() {
            let entry = entry(at as u64 + 1, 0);
            let ids = (from..from + count).map(|n| Id::from_raw(prefix << 58 | id(n).raw() >> 6));
            let logs: Vec<_> = ids.map(|id| (id, vec![entry])).collect();
            load(&mut table, &logs);
            for (id, entries) in logs {
                map.entry(id).or_default().extend(entries);
            }
        }
        assert_sums(&table);
        prop_assert_eq!(table.len(), map.len());
        for (id, list) in map {
            let log = table.get(id).unwrap();
            prop_assert!(log.iter_from(0).eq(list.iter().copied()));
            let newest = list.last().unwrap().at().as_millis();
            if newest > 1 {
                let older = [entry(newest - 1, 0)];
                prop_assert!(!table.append(id, older.into_iter()));
            }
        }
    }

    #[test]
    fn behaves_as_a_map_of_lists(
        steps in proptest::collection::vec((0..3_000_u64, 0..3_u32, 0..20_u8), 1..4_000),
    ) {
        let mut table = Table::<AttemptEntry>::default();
        let mut map: HashMap<u64, Vec<AttemptEntry>> = HashMap::new();
        for (at, (key, tag, action)) in steps.into_iter().enumerate() {
            let entry = entry(at as u64 + 1, tag);
            if action < 4 {
                let log = map.entry(key).or_default();
                let before = log.len();
                log.retain(|kept| kept.tag() != entry.tag());
                let removed = forgive(&mut table, id(key), entry.tag());
                prop_assert_eq!(removed, before - log.len());
            } else if action == 4 {
                // Now and then all that is older than the newest 2000 goes, a segment at a time.
                let cutoff = Cutoff::from_millis((at as u64).saturating_sub(2_000));
                let segment = key as usize % table.segments();
                table.sweep(segment, cutoff);
                map.retain(|n, log| {
                    let expired = log.last().is_none_or(|entry| cutoff.has_passed(entry.at()));
                    !expired || table.get(id(*n)).is_some()
                });
            } else {
                let count = 1 + usize::from(action % 3);
                map.entry(key).or_default().extend(vec![entry; count]);
                add(&mut table, id(key), entry, count, Cutoff::NEVER);
            }
        }
        map.retain(|_, log| !log.is_empty());
        assert_sums(&table);
        prop_assert_eq!(table.len(), map.len());
        for (key, list) in map {
            let log = table.get(id(key)).unwrap();
            prop_assert!(log.iter_from(0).eq(list.into_iter()));
        }
    }
}
