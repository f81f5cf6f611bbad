//! The engine against hostile bytes: stored chunks that are damaged, forged or random.
//!
//! `PROPTEST_CASES` sets the number of random cases per property; the default is small enough for every build.

use crate::model::Request;
use crate::model::run::{attempt, large_capacity, time};
use crate::model::steps::{EMAILS, IPS, all_requests, any_request};
use crate::model::support::{NOW, cases, entry_bytes, limiter, records, request, restored};
use authlimit::format::{ChunkError, ListEntryError, Part};
use authlimit::identity::Cidr;
use authlimit::limiter::{Limiter, List, ListKey, ListTarget};
use authlimit::policy::Millis;
use authlimit::table::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::HashMap;

/// One mutation of the bytes of a chunk.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Overwrite(Index, [u8; 8]),
    Cut(Index),
    Repeat(Index, Index),
    Insert(Index, u8),
}

/// Any mutation.
fn any_damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        2 => (any::<Index>(), any::<[u8; 8]>()).prop_map(|(at, bytes)| Damage::Overwrite(at, bytes)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
    ]
}

impl Damage {
    /// Applies the mutation to `bytes`.
    fn apply(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        match self {
            Self::Flip(at, bits) => bytes[at.index(len)] ^= bits,
            Self::Overwrite(at, with) => {
                let at = at.index(len);
                let room = with.len().min(len - at);
                bytes[at..at + room].copy_from_slice(&with[..room]);
            }
            Self::Cut(at) => bytes.truncate(at.index(len)),
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
            Self::Insert(at, byte) => bytes.insert(at.index(len), *byte),
        }
    }
}

/// A record of a chunk of logs: an id and its entries.
fn record(id: u64, entries: &[u64]) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend((entries.len() as u32).to_le_bytes());
    bytes.extend(entries.iter().flat_map(|entry| entry.to_le_bytes()));
    bytes
}

/// Checks that the logs of `limiter` are sorted, no later than its latest time, and within the count of identities.
fn assert_sane(limiter: &Limiter) {
    let latest = limiter.metadata().latest;
    let mut logs: HashMap<(u8, u64), Vec<Timestamp>> = HashMap::new();
    for (part, chunk) in limiter.chunks() {
        let Part::Logs(table) = part else { continue };
        for (id, entries) in records(&chunk, entry_bytes(limiter, table)) {
            assert!(!entries.is_empty());
            logs.entry((table, id)).or_default().extend(entries.iter().map(|entry| entry.at()));
        }
    }
    for times in logs.values() {
        assert!(times.is_sorted() && *times.last().unwrap() <= latest);
    }
    for (index, usage) in (0..).zip(limiter.usage()) {
        let identities = logs.keys().filter(|(table, _)| *table == index).count();
        assert!(usage.identities >= identities);
    }
}

/// A limiter that has counted these attempts, each with its gap in milliseconds after the one before, and has entries
/// on both lists.
pub(crate) fn limiter_with(attempts: &[(Request, u64)]) -> Limiter {
    let mut limiter = limiter(
        "IP 30/1h EMAIL 30/1h PAIR 30/1h LOCK 1h PAIR 2/1m LOCK 1m..1h SHADOW EMAILS-PER-IP 9/1h ALL 50/1m COUNT-DENIED",
    );
    let mut clock = NOW;
    for (request, gap) in attempts {
        clock += gap;
        if let Some(attempt) = attempt(&limiter, request) {
            limiter.check(&attempt, time(clock), large_capacity(), |_| {});
        }
    }
    for network in ["192.0.2.0/24", "2001:db8:ffff::/48"] {
        let network = ListTarget::Cidr(Cidr::parse(network.as_bytes()).unwrap());
        let ttl = Some(Millis::new(3_600_000));
        limiter.list_add(ListKey { list: List::Allow, target: network }, ttl, time(clock), |_| {}).unwrap();
    }
    let email = ListTarget::Email(limiter.email_id(b"friend@x.org"));
    limiter.list_add(ListKey { list: List::Deny, target: email }, None, time(clock), |_| {}).unwrap();
    limiter
}

/// Checks that `bytes` load or are refused, and that a limiter that loaded them stays consistent.
pub(crate) fn check_load(original: &Limiter, part: Part, bytes: &[u8]) -> Result<(), ChunkError> {
    let mut limiter = Limiter::from_metadata(original.metadata()).unwrap();
    limiter.load_chunk(part, bytes)?;
    assert_sane(&limiter);
    assert_eq!(restored(&limiter).digest(), limiter.digest());
    for request in all_requests() {
        if let Some(attempt) = attempt(&limiter, &request) {
            limiter.check(&attempt, time(NOW + 1_000), large_capacity(), |_| {});
            limiter.reset(&attempt, time(NOW + 2_000), |_| {});
        }
    }
    assert_sane(&limiter);
    assert_eq!(restored(&limiter).digest(), limiter.digest());
    Ok(())
}

proptest! {
    #![proptest_config(cases(64))]

    /// Damaged chunks load or are refused, and never leave a limiter inconsistent.
    #[test]
    fn damaged_chunks_load_consistently_or_are_refused(
        attempts in vec((any_request(false), 0..100_u64), 1..60),
        damages in vec(vec(any_damage(), 1..6), 8),
    ) {
        let limiter = limiter_with(&attempts);
        for (part, chunk) in limiter.chunks() {
            check_load(&limiter, part, &chunk).unwrap();
            for damage in &damages {
                let mut bytes = chunk.clone();
                damage.iter().for_each(|damage| damage.apply(&mut bytes));
                let _ = check_load(&limiter, part, &bytes);
            }
        }
    }

    /// Random bytes load or are refused, too.
    #[test]
    fn random_bytes_load_consistently_or_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        for part in [Part::Logs(0), Part::LogsV1(3), Part::Locks(2), Part::LocksV1(2), Part::Unlocks, Part::Lists] {
            let _ = check_load(&limiter_with(&[]), part, &bytes);
        }
    }

    /// A truncated chunk is refused, unless it ends between two records.
    #[test]
    fn a_chunk_truncated_within_a_record_is_refused(attempts in vec((any_request(false), 0..100_u64), 1..30)) {
        let limiter = limiter_with(&attempts);
        for (part, chunk) in limiter.chunks() {
            let lengths = match part {
                Part::Logs(table) => {
                    let entry_bytes = entry_bytes(&limiter, table);
                    let records = records(&chunk, entry_bytes);
                    records.iter().map(|(_, entries)| 12 + entry_bytes * entries.len()).collect()
                }
                Part::Locks(_) => vec![38; chunk.len() / 38],
                Part::Unlocks => vec![24; chunk.len() / 24],
                Part::LogsV1(_) | Part::LocksV1(_) => panic!("format 1 is no longer written"),
                Part::Lists => vec![27; chunk.len() / 27],
            };
            let truncated = match part {
                Part::Lists => ChunkError::List(ListEntryError::Truncated),
                _ => ChunkError::Truncated,
            };
            let mut ends = vec![0];
            for length in lengths {
                ends.push(ends[ends.len() - 1] + length);
            }
            for end in 0..=chunk.len() {
                let expected = if ends.contains(&end) { Ok(()) } else { Err(truncated) };
                let mut empty = Limiter::from_metadata(limiter.metadata()).unwrap();
                prop_assert_eq!(empty.load_chunk(part, &chunk[..end]), expected);
            }
        }
    }
}

/// Each kind of forged log has its own error.
#[test]
fn each_kind_of_forged_log_has_its_own_error() {
    let limiter = limiter_with(&[(request(IPS[0], EMAILS[0]), 0)]);
    let entry = |at: u64| at << 22;
    let forged = |chunk: Vec<u8>| check_load(&limiter, Part::Logs(0), &chunk);
    assert_eq!(forged(record(1, &[entry(NOW)])), Ok(()));
    assert_eq!(forged(record(1, &[])), Err(ChunkError::EmptyLog));
    assert_eq!(forged(record(1, &[7])), Err(ChunkError::NoTime));
    assert_eq!(forged(record(1, &[entry(NOW + 1)])), Err(ChunkError::FromTheFuture));
    assert_eq!(forged(record(1, &[entry(NOW), entry(NOW - 1)])), Err(ChunkError::OutOfOrder));
    let twice = [record(1, &[entry(NOW)]), record(1, &[entry(NOW - 1)])].concat();
    assert_eq!(forged(twice), Err(ChunkError::OutOfOrder));
    let skewed = (0..20_000_u64).flat_map(|id| record(id << 20, &[entry(NOW)])).collect();
    assert_eq!(forged(skewed), Err(ChunkError::Skewed));
    let mut claims_too_many = record(1, &[entry(NOW)]);
    claims_too_many[8..12].fill(0xff);
    assert_eq!(forged(claims_too_many), Err(ChunkError::Truncated));
    let mut small = limiter_of_two_subjects();
    let foreign = small.load_chunk(Part::Logs(2), &record(1, &[entry(NOW)]));
    assert_eq!(foreign, Err(ChunkError::ForeignTable));
}

/// Each kind of forged lock has its own error.
#[test]
fn each_kind_of_forged_lock_has_its_own_error() {
    let limiter = limiter_with(&[(request(IPS[0], EMAILS[0]), 0)]);
    // Each of the two PAIR rules has its own lock.
    let forged = |chunk: Vec<u8>| check_load(&limiter, Part::Locks(2), &chunk);
    assert_eq!(forged(lock(0, 1, 0, [NOW, 60_000, NOW])), Ok(()));
    assert_eq!(forged(lock(1, 255, 7, [NOW + 60_000, 60_000, NOW - 1])), Ok(()));
    let forgeries = [
        ("a rule that is not there", lock(2, 1, 0, [NOW, 1, NOW])),
        ("no strike", lock(0, 0, 0, [NOW, 1, NOW])),
        ("no tag", lock(0, 1, 1 << 22, [NOW, 1, NOW])),
        ("no end", lock(0, 1, 0, [0, 1, NOW])),
        ("no length", lock(0, 1, 0, [NOW, 0, NOW])),
        ("a length above the longest", lock(0, 1, 0, [NOW, 2_592_000_001, NOW])),
        ("a beginning in the future", lock(0, 1, 0, [NOW + 2, 1, NOW])),
        ("an attempt in the future", lock(0, 1, 0, [NOW, 1, NOW + 1])),
    ];
    for (what, forgery) in forgeries {
        assert_eq!(forged(forgery), Err(ChunkError::ForeignLock), "{what}");
    }
    let mut small = limiter_of_two_subjects();
    let locks = lock(0, 1, 0, [NOW, 1, 1]);
    assert_eq!(small.load_chunk(Part::Locks(0), &locks), Err(ChunkError::ForeignLock));
    assert_eq!(small.load_chunk(Part::Locks(2), &locks), Err(ChunkError::ForeignTable));
    let unlock = [7_u64, NOW, NOW].map(u64::to_le_bytes).concat();
    assert_eq!(small.load_chunk(Part::Unlocks, &unlock), Err(ChunkError::ForeignUnlock));
}

/// Unlocks with times that none has are refused.
#[test]
fn forged_unlocks_are_refused() {
    let limiter = limiter_with(&[(request(IPS[0], EMAILS[0]), 0)]);
    let forged = |times: [u64; 2]| {
        let unlock = [7_u64, times[0], times[1]].map(u64::to_le_bytes).concat();
        check_load(&limiter, Part::Unlocks, &unlock)
    };
    assert_eq!(forged([NOW, NOW]), Ok(()));
    for times in [[NOW + 1, NOW + 2], [NOW, NOW - 1], [0, NOW], [NOW, 0]] {
        assert_eq!(forged(times), Err(ChunkError::ForeignUnlock));
    }
}

/// A record of a lock on identity 1; the times are its end, its length, and when an attempt was counted last.
fn lock(rule: u8, strikes: u8, tag: u32, times: [u64; 3]) -> Vec<u8> {
    let mut bytes = 1_u64.to_le_bytes().to_vec();
    bytes.extend([rule, strikes]);
    bytes.extend(tag.to_le_bytes());
    bytes.extend(times.into_iter().flat_map(u64::to_le_bytes));
    bytes
}

/// A limiter with two subjects and no locks.
fn limiter_of_two_subjects() -> Limiter {
    limiter("IP 1/1s EMAIL 1/1s")
}
