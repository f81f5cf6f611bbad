//! Where the limiters of this server are, for what is done with all of them while nobody asks.
//!
//! The server tells a module neither where a value lives nor when it goes. So each key is noted when
//! a limiter arrives at it (created, loaded, copied, renamed), and forgotten when it is next looked
//! at and no limiter is there any more.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of a database and a key in it.
pub(crate) type Place = (c_int, Box<[u8]>);

/// The places noted so far.
static PLACES: Mutex<BTreeSet<Place>> = Mutex::new(BTreeSet::new());

/// The places, for as long as the guard lives.
fn places() -> MutexGuard<'static, BTreeSet<Place>> {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a limiter is at a key.
pub(crate) fn note(db: c_int, key: &[u8]) {
    places().insert((db, key.into()));
}

/// Forgets a place where no limiter is any more.
pub(crate) fn forget(place: &Place) {
    places().remove(place);
}

/// How many places are noted.
pub(crate) fn len() -> usize {
    places().len()
}

/// The place after `place`, from the first if `None`; `None` after the last.
pub(crate) fn next_after(place: Option<&Place>) -> Option<Place> {
    let start = place.map_or(Bound::Unbounded, Bound::Excluded);
    let places = places();
    places.range((start, Bound::Unbounded)).next().cloned()
}

/// Two databases have changed places.
pub(crate) fn swap(one: c_int, other: c_int) {
    let mut places = places();
    let all = std::mem::take(&mut *places);
    *places = all
        .into_iter()
        .map(|(db, key)| match db {
            db if db == one => (other, key),
            db if db == other => (one, key),
            db => (db, key),
        })
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since there is one registry.
    #[test]
    fn places_are_noted_in_order_and_swapped() {
        note(0, b"b");
        note(0, b"a");
        note(1, b"c");
        swap(0, 2);
        let mut found = Vec::new();
        while let Some(place) = next_after(found.last()) {
            found.push(place);
        }
        let expected: [(c_int, &[u8]); 3] = [(1, b"c"), (2, b"a"), (2, b"b")];
        assert_eq!(found.len(), len());
        for (found, (db, key)) in found.iter().zip(expected) {
            assert_eq!((found.0, &*found.1), (db, key));
            forget(found);
        }
        assert_eq!(next_after(None), None);
    }
}
