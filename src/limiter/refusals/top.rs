//! Who was refused most often recently, in bounded memory.
//!
//! A Space-Saving sketch (Metwally, Agrawal and El Abbadi, 2005): a fixed number of counters, where an identity without
//! a counter takes over the smallest one with its count. After N refusals no count is too high by more than N divided
//! by the number of counters, and none is too low; an identity that was refused more often than that has a counter. All
//! counts are halved every ten minutes, so that old refusals fade.

use crate::identity::{Id, MAX_NORMALISED_BYTES};
use crate::table::Timestamp;

/// How many identities have a counter.
pub(crate) const COUNTERS: usize = 128;

/// How long until all counts are halved.
const HALF_LIFE_MILLIS: u64 = 10 * 60 * 1_000;

/// The counters, each at the same slot in all three lists: a refusal looks through the ids alone.
#[derive(Clone, Default, Debug)]
pub(crate) struct TopCounters {
    ids: Vec<Id>,
    counts: Vec<u32>,
    clear_texts: Vec<Option<Box<[u8]>>>,
    /// The number of the half-life since the Unix epoch that the counts belong to.
    period: u64,
    /// No count is below this, and none before `cursor` is equal to it, so that the smallest is found without scanning
    /// all counts each time.
    smallest: u32,
    cursor: usize,
}

/// One of the identities that were refused most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MostRefused<'a> {
    /// The identity.
    pub id: Id,
    /// The address or email as received when its counting began, truncated to 320 bytes, if it was given.
    pub clear_text: Option<&'a [u8]>,
    /// About how many refusals lately.
    pub refusals: u32,
}

impl TopCounters {
    /// Counts a refusal of `id` at `now`, and remembers its clear text if given.
    pub(crate) fn count(&mut self, id: Id, clear_text: Option<&[u8]>, now: Timestamp) {
        self.fade(now);
        let slot = match self.slot_of(id) {
            Some(slot) => slot,
            None => self.slot_for(id),
        };
        if let Some(count) = self.counts.get_mut(slot) {
            *count = count.saturating_add(1);
        }
        if let Some(kept) = self.clear_texts.get_mut(slot)
            && kept.is_none()
        {
            *kept = clear_text.map(|clear_text| Box::from(truncated(clear_text)));
        }
    }

    /// The identities refused most often recently, most refusals first, at most `at_most` of them.
    pub(crate) fn top(&self, at_most: usize, now: Timestamp) -> Vec<MostRefused<'_>> {
        let shift = self.halvings(now);
        let counters = self.ids.iter().zip(&self.counts).zip(&self.clear_texts);
        let mut most: Vec<_> = counters
            .map(|((id, count), clear_text)| MostRefused {
                id: *id,
                clear_text: clear_text.as_deref(),
                refusals: halved(*count, shift),
            })
            .filter(|most| most.refusals > 0)
            .collect();
        most.sort_by_key(|most| (std::cmp::Reverse(most.refusals), most.id));
        most.truncate(at_most);
        most
    }

    /// Whether there are no counters.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Forgets all clear texts.
    pub(crate) fn forget_clear_text(&mut self) {
        self.clear_texts.iter_mut().for_each(|clear_text| *clear_text = None);
    }

    /// About how many bytes it takes besides its own size.
    pub(crate) fn bytes(&self) -> usize {
        let counter = size_of::<Id>().saturating_add(size_of::<u32>()).saturating_add(size_of::<Option<Box<[u8]>>>());
        let clear_texts = self.clear_texts.iter().flatten().map(|clear_text| clear_text.len());
        clear_texts.fold(counter.saturating_mul(self.ids.capacity()), usize::saturating_add)
    }

    /// The slot of the counter of `id`.
    fn slot_of(&self, id: Id) -> Option<usize> {
        /// How many ids are compared at once: without a branch for each, a few vector instructions.
        const AT_ONCE: usize = 8;
        let (groups, _) = self.ids.as_chunks::<AT_ONCE>();
        let has = |ids: &[Id; AT_ONCE]| ids.iter().fold(false, |found, known| found | (*known == id));
        // What is left after the groups is compared one by one.
        let group = groups.iter().position(has).unwrap_or(groups.len());
        let first = group.saturating_mul(AT_ONCE);
        let ids = self.ids.get(first..)?;
        let within = ids.iter().position(|known| *known == id)?;
        Some(first.saturating_add(within))
    }

    /// A counter for `id`: a new one, or the smallest, which it takes over with its count.
    fn slot_for(&mut self, id: Id) -> usize {
        if self.ids.len() < COUNTERS {
            self.ids.push(id);
            self.counts.push(0);
            self.clear_texts.push(None);
            return self.ids.len().saturating_sub(1);
        }
        let slot = self.smallest_slot();
        if let Some(known) = self.ids.get_mut(slot) {
            *known = id;
        }
        if let Some(clear_text) = self.clear_texts.get_mut(slot) {
            *clear_text = None;
        }
        slot
    }

    /// The slot of a smallest count.
    fn smallest_slot(&mut self) -> usize {
        let rest = self.counts.get(self.cursor..).unwrap_or_default();
        let found = rest.iter().position(|count| *count == self.smallest);
        self.cursor = match found {
            Some(slot) => self.cursor.saturating_add(slot),
            None => {
                let smallest = self.counts.iter().enumerate().min_by_key(|(_, c)| **c);
                let (slot, smallest) = smallest.map_or((0, 0), |(slot, count)| (slot, *count));
                self.smallest = smallest;
                slot
            }
        };
        self.cursor
    }

    /// Halves all counts as often as due, and drops the counters that reach zero.
    pub(crate) fn fade(&mut self, now: Timestamp) {
        let shift = self.halvings(now);
        if shift == 0 {
            return;
        }
        self.period = period(now);
        (self.smallest, self.cursor) = (0, 0);
        self.counts.iter_mut().for_each(|c| *c = halved(*c, shift));
        let mut slot = 0;
        while let Some(count) = self.counts.get(slot) {
            if *count > 0 {
                slot = slot.saturating_add(1);
            } else {
                self.ids.swap_remove(slot);
                self.counts.swap_remove(slot);
                self.clear_texts.swap_remove(slot);
            }
        }
    }

    /// How many halvings are due at `now`.
    fn halvings(&self, now: Timestamp) -> u64 {
        period(now).saturating_sub(self.period)
    }
}

/// The number of the half-life since the Unix epoch that `now` is in.
fn period(now: Timestamp) -> u64 {
    now.as_millis() / HALF_LIFE_MILLIS
}

/// A count halved `times` times.
fn halved(count: u32, times: u64) -> u32 {
    u32::try_from(times).ok().and_then(|times| count.checked_shr(times)).unwrap_or(0)
}

/// The first bytes of a text, at most as many as the longest email that is normalised has.
pub(crate) fn truncated(text: &[u8]) -> &[u8] {
    text.get(..MAX_NORMALISED_BYTES).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::arithmetic_side_effects)]

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(HALF_LIFE_MILLIS + millis).unwrap()
    }

    fn id(n: u64) -> Id {
        Id::from_raw(n)
    }

    fn counts(counters: &TopCounters, now: Timestamp) -> BTreeMap<u64, u32> {
        let top = counters.top(usize::MAX, now);
        top.iter().map(|m| (m.id.raw(), m.refusals)).collect()
    }

    #[test]
    fn few_are_counted_exactly_and_come_in_order() {
        let mut counters = TopCounters::default();
        for n in 1..=5 {
            for _ in 0..n {
                counters.count(id(n), None, at(0));
            }
        }
        let top = counters.top(3, at(0));
        let top_counts: Vec<_> = top.iter().map(|m| (m.id.raw(), m.refusals)).collect();
        assert_eq!(top_counts, [(5, 5), (4, 4), (3, 3)]);
    }

    #[test]
    fn counts_halve_every_ten_minutes_and_end() {
        let mut counters = TopCounters::default();
        for _ in 0..9 {
            counters.count(id(1), None, at(0));
        }
        counters.count(id(2), None, at(0));
        assert_eq!(counts(&counters, at(HALF_LIFE_MILLIS - 1))[&1], 9);
        let later = at(HALF_LIFE_MILLIS);
        assert_eq!(counts(&counters, later), BTreeMap::from([(1, 4)]));
        counters.count(id(3), None, later);
        assert_eq!(counters.ids.len(), 2, "nothing is left of the second");
        assert_eq!(counts(&counters, later), BTreeMap::from([(1, 4), (3, 1)]));
        let much_later = at(1_000 * HALF_LIFE_MILLIS);
        assert!(counts(&counters, much_later).is_empty());
        counters.count(id(4), None, much_later);
        assert_eq!(counts(&counters, much_later), BTreeMap::from([(4, 1)]));
    }

    #[test]
    fn a_clear_text_is_truncated_and_kept_as_long_as_its_counter() {
        let mut counters = TopCounters::default();
        counters.count(id(1), None, at(0));
        counters.count(id(1), Some(&[b'x'; 1_000]), at(0));
        counters.count(id(1), Some(b"later"), at(0));
        assert_eq!(counters.top(1, at(0))[0].clear_text, Some(&[b'x'; 320][..]));
        for n in 2..=2_000 {
            counters.count(id(n), Some(b"other"), at(0));
            counters.count(id(n), Some(b"other"), at(0));
        }
        let top = counters.top(usize::MAX, at(0));
        assert_eq!(top.len(), COUNTERS);
        assert!(top.iter().all(|most| most.clear_text == Some(b"other")));
        counters.forget_clear_text();
        let top = counters.top(usize::MAX, at(0));
        assert!(top.iter().all(|most| most.clear_text.is_none()));
    }

    #[test]
    fn a_flood_of_different_ones_takes_no_more_memory() {
        let mut counters = TopCounters::default();
        for n in 0..100_000 {
            counters.count(id(n), Some(&[b'x'; 10_000]), at(0));
        }
        assert_eq!(counters.ids.len(), COUNTERS);
        assert!(counters.bytes() < 64 * 1024, "{}", counters.bytes());
    }

    /// Refusals: mostly of a few, with a tail of many, as attacks are.
    fn refusals() -> impl Strategy<Value = Vec<u64>> {
        // From a seed: a strategy for each element would take most of the test's time.
        (any::<u64>(), 0..3_000_usize).prop_map(|(seed, len)| {
            let mut state = seed;
            let mut below = |bound: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % bound
            };
            (0..len)
                .map(|_| {
                    let bound = [8, 100, 2_000][below(3) as usize];
                    below(bound)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn counts_are_within_the_bound_of_an_exact_counter(refusals in refusals()) {
            let mut counters = TopCounters::default();
            let mut exact: BTreeMap<u64, u32> = BTreeMap::new();
            for who in &refusals {
                counters.count(id(*who), None, at(0));
                *exact.entry(*who).or_default() += 1;
            }
            let bound = (refusals.len() / COUNTERS) as u32;
            let top_counts = counts(&counters, at(0));
            for (who, count) in &top_counts {
                prop_assert!(*count >= exact[who], "{who}: {count} of {}", exact[who]);
                prop_assert!(*count <= exact[who] + bound, "{who}: {count} of {}", exact[who]);
            }
            for (who, count) in &exact {
                prop_assert!(*count <= bound || top_counts.contains_key(who), "{who}: {count}");
            }
        }

        #[test]
        fn faded_counts_are_within_the_bound_of_exactly_faded_ones(parts in proptest::collection::vec(refusals(), 1..4)) {
            let mut counters = TopCounters::default();
            let mut exact: BTreeMap<u64, f64> = BTreeMap::new();
            let (mut all, mut now) = (0.0, at(0));
            for (number, part) in parts.iter().enumerate() {
                now = at(number as u64 * HALF_LIFE_MILLIS);
                if number > 0 {
                    exact.values_mut().for_each(|count| *count /= 2.0);
                    all /= 2.0;
                }
                for who in part {
                    counters.count(id(*who), None, now);
                    *exact.entry(*who).or_default() += 1.0;
                    all += 1.0;
                }
            }
            // What halving rounds away is less than one in all.
            let bound = all / COUNTERS as f64;
            let top_counts = counts(&counters, now);
            for (who, count) in &top_counts {
                let (count, exact) = (f64::from(*count), exact[who]);
                prop_assert!(count > exact - 1.0, "{who}: {count} of {exact}");
                prop_assert!(count <= exact + bound, "{who}: {count} of {exact}");
            }
            for (who, count) in &exact {
                prop_assert!(*count <= bound + 1.0 || top_counts.contains_key(who), "{who}: {count}");
            }
        }
    }
}
