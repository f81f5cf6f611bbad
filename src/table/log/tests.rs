//! A log behaves as a plain list, and takes no more memory than it says.

#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::identity::Tag;
use crate::table::entry::{AttemptEntry, DistinctEntry};
use crate::table::time::Timestamp;
use proptest::prelude::*;
use std::collections::VecDeque;

fn entry(at: u64, tag: u32) -> AttemptEntry {
    AttemptEntry::new(Timestamp::from_millis(at).unwrap(), Tag::from_raw(tag))
}

#[test]
fn a_log_takes_24_bytes_of_its_slot_and_one_of_a_distinct_count_32() {
    assert_eq!(size_of::<Log<AttemptEntry>>(), 24);
    assert_eq!(size_of::<Log<DistinctEntry>>(), 32);
}

#[test]
fn rings_fill_the_allocators_size_classes() {
    let capacities: Vec<_> = [3, 4, 5, 6, 7, 15, 16, 17, 20, 21, 33, 40, 41, 100_000].map(ring_capacity).to_vec();
    assert_eq!(capacities, [4, 4, 6, 6, 8, 16, 16, 20, 20, 24, 40, 40, 48, 114_688]);
}

#[derive(Clone, Debug)]
enum Step {
    Push { gap: u64, tag: u32, count: usize },
    Leave { share: usize },
    Remove { tag: u32, first: usize, at_most: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5_u64, 0..4_u32, 1..6_usize)
            .prop_map(|(gap, tag, count)| Step::Push { gap, tag, count }),
        2 => (0..12_usize).prop_map(|share| Step::Leave { share }),
        1 => (0..4_u32, 0..8_usize, prop_oneof![1..4_usize, Just(usize::MAX)])
            .prop_map(|(tag, first, at_most)| Step::Remove { tag, first, at_most }),
    ]
}

proptest! {
    #[test]
    fn behaves_as_a_plain_list(steps in proptest::collection::vec(step(), 1..200)) {
        let (mut log, mut list, mut now) = (Log::default(), VecDeque::new(), 1_000);
        for step in steps {
            match step {
                Step::Push { gap, tag, count } => {
                    now += gap;
                    log.push(entry(now, tag), count);
                    list.extend(std::iter::repeat_n(entry(now, tag), count));
                }
                Step::Leave { share } => {
                    let first = list.len() * share / 10;
                    log.drop_before(first);
                    list.drain(..first.min(list.len()));
                }
                Step::Remove { tag, first, at_most } => {
                    let tag = Tag::from_raw(tag);
                    let mut left = at_most;
                    let before = list.len();
                    let mut index = list.len();
                    list = list.iter().rev().filter(|entry| {
                        index -= 1;
                        let goes = index >= first && left > 0 && entry.tag() == tag;
                        left -= usize::from(goes);
                        !goes
                    }).copied().collect::<Vec<_>>().into_iter().rev().collect();
                    prop_assert_eq!(log.remove(tag, first, at_most), before - list.len());
                }
            }
            prop_assert_eq!(log.len(), list.len());
            prop_assert_eq!(log.is_empty(), list.is_empty());
            prop_assert!(log.iter_from(0).eq(list.iter().copied()));
            for window in [0, 3, 10] {
                let cutoff = Cutoff::from_millis(now - window);
                let first = list.iter().filter(|s| cutoff.has_passed(s.at())).count();
                prop_assert_eq!(log.first_after(cutoff), first);
                prop_assert_eq!(log.is_expired(cutoff), first == list.len());
            }
            if list.len() <= Log::<AttemptEntry>::INLINE && log.heap_bytes() > 0 {
                prop_assert!(matches!(log, Log::Spilled(_)));
            }
        }
    }
}
