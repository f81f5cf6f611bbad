//! Who was refused most lately, in bounded memory.
//!
//! A Space-Saving sketch (Metwally, Agrawal and El Abbadi, 2005): so many counters, and an identity that
//! has none takes over the smallest with what it has counted. After N refusals no count is too high by more
//! than N divided by the number of counters, none is too low, and whoever was refused more often than that
//! has a counter. So that old refusals fade, all counts are halved at every full ten minutes.

use crate::identity::{Id, MAX_NORMALISED_BYTES};
use crate::limiter::time::Timestamp;

/// How many identities have a counter.
pub(crate) const COUNTERS: usize = 128;

/// How long until all counts are halved.
const HALF_LIFE_MILLIS: u64 = 10 * 60 * 1_000;

/// The counters, each at the same place in all three lists: a refusal looks through the ids alone.
#[derive(Clone, Default, Debug)]
pub(crate) struct Sketch {
    ids: Vec<Id>,
    counts: Vec<u32>,
    names: Vec<Option<Box<[u8]>>>,
    /// In which half-life since the Unix epoch the counts are.
    period: u64,
    /// No count is below this, and none before `cursor` is equal to it: so the smallest is found without
    /// looking at all of them each time.
    smallest: u32,
    cursor: usize,
}

/// One of those who were refused most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MostRefused<'a> {
    /// Who.
    pub id: Id,
    /// As received when the counting began, cut at 320 bytes; only if a name was given along.
    pub name: Option<&'a [u8]>,
    /// About how often lately.
    pub refusals: u32,
}

impl Sketch {
    /// Counts a refusal of `id` at `now`, and remembers its name if there is one.
    pub(crate) fn count(&mut self, id: Id, name: Option<&[u8]>, now: Timestamp) {
        self.fade(now);
        let place = match self.place_of(id) {
            Some(place) => place,
            None => self.place_for(id),
        };
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
        if let Some(kept) = self.names.get_mut(place)
            && kept.is_none()
        {
            *kept = name.map(|name| Box::from(cut(name)));
        }
    }

    /// Those refused most lately, the most refused first, at most `at_most` of them.
    pub(crate) fn top(&self, at_most: usize, now: Timestamp) -> Vec<MostRefused<'_>> {
        let shift = self.halvings(now);
        let counters = self.ids.iter().zip(&self.counts).zip(&self.names);
        let mut most: Vec<_> = counters
            .map(|((id, count), name)| MostRefused {
                id: *id,
                name: name.as_deref(),
                refusals: halved(*count, shift),
            })
            .filter(|most| most.refusals > 0)
            .collect();
        most.sort_by_key(|most| (std::cmp::Reverse(most.refusals), most.id));
        most.truncate(at_most);
        most
    }

    /// Whether nobody has a counter.
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Forgets all names.
    pub(crate) fn forget_names(&mut self) {
        self.names.iter_mut().for_each(|name| *name = None);
    }

    /// About how many bytes it takes beside its own size.
    pub(crate) fn bytes(&self) -> usize {
        let counter = size_of::<Id>()
            .saturating_add(size_of::<u32>())
            .saturating_add(size_of::<Option<Box<[u8]>>>());
        let names = self.names.iter().flatten().map(|name| name.len());
        names.fold(
            counter.saturating_mul(self.ids.capacity()),
            usize::saturating_add,
        )
    }

    /// The place of the counter of `id`.
    fn place_of(&self, id: Id) -> Option<usize> {
        /// So many are compared at once: without a branch for each, that is a few vector instructions.
        const AT_ONCE: usize = 8;
        let (groups, _) = self.ids.as_chunks::<AT_ONCE>();
        let has = |ids: &[Id; AT_ONCE]| {
            ids.iter()
                .fold(false, |found, known| found | (*known == id))
        };
        // What is left behind the groups is looked through one by one.
        let group = groups.iter().position(has).unwrap_or(groups.len());
        let first = group.saturating_mul(AT_ONCE);
        let ids = self.ids.get(first..)?;
        let within = ids.iter().position(|known| *known == id)?;
        Some(first.saturating_add(within))
    }

    /// A counter for `id`: a new one, or the smallest, which it takes over with what that has counted.
    fn place_for(&mut self, id: Id) -> usize {
        if self.ids.len() < COUNTERS {
            self.ids.push(id);
            self.counts.push(0);
            self.names.push(None);
            return self.ids.len().saturating_sub(1);
        }
        let place = self.smallest_place();
        if let Some(known) = self.ids.get_mut(place) {
            *known = id;
        }
        if let Some(name) = self.names.get_mut(place) {
            *name = None;
        }
        place
    }

    /// The place of a smallest count.
    fn smallest_place(&mut self) -> usize {
        let rest = self.counts.get(self.cursor..).unwrap_or_default();
        let found = rest.iter().position(|count| *count == self.smallest);
        self.cursor = match found {
            Some(place) => self.cursor.saturating_add(place),
            None => {
                let smallest = self.counts.iter().enumerate().min_by_key(|(_, c)| **c);
                let (place, smallest) = smallest.map_or((0, 0), |(place, count)| (place, *count));
                self.smallest = smallest;
                place
            }
        };
        self.cursor
    }

    /// Halves all counts as often as it is time to, and drops the counters that have come to nothing.
    pub(crate) fn fade(&mut self, now: Timestamp) {
        let shift = self.halvings(now);
        if shift == 0 {
            return;
        }
        self.period = period(now);
        (self.smallest, self.cursor) = (0, 0);
        self.counts.iter_mut().for_each(|c| *c = halved(*c, shift));
        let mut place = 0;
        while let Some(count) = self.counts.get(place) {
            if *count > 0 {
                place = place.saturating_add(1);
            } else {
                self.ids.swap_remove(place);
                self.counts.swap_remove(place);
                self.names.swap_remove(place);
            }
        }
    }

    /// How many halvings are due at `now`.
    fn halvings(&self, now: Timestamp) -> u64 {
        period(now).saturating_sub(self.period)
    }
}

/// In which half-life since the Unix epoch `now` is.
fn period(now: Timestamp) -> u64 {
    now.as_millis() / HALF_LIFE_MILLIS
}

/// A count halved so many times.
fn halved(count: u32, times: u64) -> u32 {
    u32::try_from(times)
        .ok()
        .and_then(|times| count.checked_shr(times))
        .unwrap_or(0)
}

/// The beginning of a name, no longer than what the longest email that is normalised has.
pub(crate) fn cut(name: &[u8]) -> &[u8] {
    name.get(..MAX_NORMALISED_BYTES).unwrap_or(name)
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

    fn counts(sketch: &Sketch, now: Timestamp) -> BTreeMap<u64, u32> {
        let top = sketch.top(usize::MAX, now);
        top.iter().map(|m| (m.id.raw(), m.refusals)).collect()
    }

    #[test]
    fn few_are_counted_exactly_and_come_in_order() {
        let mut sketch = Sketch::default();
        for n in 1..=5 {
            for _ in 0..n {
                sketch.count(id(n), None, at(0));
            }
        }
        let top = sketch.top(3, at(0));
        let told: Vec<_> = top.iter().map(|m| (m.id.raw(), m.refusals)).collect();
        assert_eq!(told, [(5, 5), (4, 4), (3, 3)]);
    }

    #[test]
    fn counts_halve_every_ten_minutes_and_end() {
        let mut sketch = Sketch::default();
        for _ in 0..9 {
            sketch.count(id(1), None, at(0));
        }
        sketch.count(id(2), None, at(0));
        assert_eq!(counts(&sketch, at(HALF_LIFE_MILLIS - 1))[&1], 9);
        let later = at(HALF_LIFE_MILLIS);
        assert_eq!(counts(&sketch, later), BTreeMap::from([(1, 4)]));
        sketch.count(id(3), None, later);
        assert_eq!(sketch.ids.len(), 2, "nothing is left of the second");
        assert_eq!(counts(&sketch, later), BTreeMap::from([(1, 4), (3, 1)]));
        let much_later = at(1_000 * HALF_LIFE_MILLIS);
        assert!(counts(&sketch, much_later).is_empty());
        sketch.count(id(4), None, much_later);
        assert_eq!(counts(&sketch, much_later), BTreeMap::from([(4, 1)]));
    }

    #[test]
    fn a_name_is_cut_kept_and_gone_with_its_counter() {
        let mut sketch = Sketch::default();
        sketch.count(id(1), None, at(0));
        sketch.count(id(1), Some(&[b'x'; 1_000]), at(0));
        sketch.count(id(1), Some(b"later"), at(0));
        assert_eq!(sketch.top(1, at(0))[0].name, Some(&[b'x'; 320][..]));
        for n in 2..=2_000 {
            sketch.count(id(n), Some(b"other"), at(0));
            sketch.count(id(n), Some(b"other"), at(0));
        }
        let top = sketch.top(usize::MAX, at(0));
        assert_eq!(top.len(), COUNTERS);
        assert!(top.iter().all(|most| most.name == Some(b"other")));
        sketch.forget_names();
        let top = sketch.top(usize::MAX, at(0));
        assert!(top.iter().all(|most| most.name.is_none()));
    }

    #[test]
    fn a_flood_of_different_ones_takes_no_more_memory() {
        let mut sketch = Sketch::default();
        for n in 0..100_000 {
            sketch.count(id(n), Some(&[b'x'; 10_000]), at(0));
        }
        assert_eq!(sketch.ids.len(), COUNTERS);
        assert!(sketch.bytes() < 64 * 1024, "{}", sketch.bytes());
    }

    /// Refusals: mostly of a few, with a tail of many, as attacks are.
    fn refusals() -> impl Strategy<Value = Vec<u64>> {
        let who = prop_oneof![0..8_u64, 0..100_u64, 0..2_000_u64];
        proptest::collection::vec(who, 0..3_000)
    }

    proptest! {
        #[test]
        fn counts_are_within_the_bound_of_an_exact_counter(refusals in refusals()) {
            let mut sketch = Sketch::default();
            let mut exact: BTreeMap<u64, u32> = BTreeMap::new();
            for who in &refusals {
                sketch.count(id(*who), None, at(0));
                *exact.entry(*who).or_default() += 1;
            }
            let bound = (refusals.len() / COUNTERS) as u32;
            let told = counts(&sketch, at(0));
            for (who, count) in &told {
                prop_assert!(*count >= exact[who], "{who}: {count} of {}", exact[who]);
                prop_assert!(*count <= exact[who] + bound, "{who}: {count} of {}", exact[who]);
            }
            for (who, count) in &exact {
                prop_assert!(*count <= bound || told.contains_key(who), "{who}: {count}");
            }
        }

        #[test]
        fn faded_counts_are_within_the_bound_of_exactly_faded_ones(parts in proptest::collection::vec(refusals(), 1..4)) {
            let mut sketch = Sketch::default();
            let mut exact: BTreeMap<u64, f64> = BTreeMap::new();
            let (mut all, mut now) = (0.0, at(0));
            for (number, part) in parts.iter().enumerate() {
                now = at(number as u64 * HALF_LIFE_MILLIS);
                if number > 0 {
                    exact.values_mut().for_each(|count| *count /= 2.0);
                    all /= 2.0;
                }
                for who in part {
                    sketch.count(id(*who), None, now);
                    *exact.entry(*who).or_default() += 1.0;
                    all += 1.0;
                }
            }
            // What halving rounds away is less than one in all.
            let bound = all / COUNTERS as f64;
            let told = counts(&sketch, now);
            for (who, count) in &told {
                let (count, exact) = (f64::from(*count), exact[who]);
                prop_assert!(count > exact - 1.0, "{who}: {count} of {exact}");
                prop_assert!(count <= exact + bound, "{who}: {count} of {exact}");
            }
            for (who, count) in &exact {
                prop_assert!(*count <= bound + 1.0 || told.contains_key(who), "{who}: {count}");
            }
        }
    }
}
