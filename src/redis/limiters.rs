//! The limiters of this server, in two indexes: by key, for background maintenance, and by address, for what concerns
//! all of them at once.

use crate::limiter::Limiter;
use std::collections::{BTreeSet, HashSet};
use std::ffi::c_int;
use std::ops::Bound;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of a database, and a key in it.
pub(crate) type Location = (c_int, Box<[u8]>);

/// Where limiters are. The server tells a module neither where a value lives nor when it is deleted. So a key is
/// registered when a limiter arrives there (created, loaded, copied, renamed), and removed when it is next visited and
/// has no limiter any more.
static LOCATIONS: Mutex<BTreeSet<Location>> = Mutex::new(BTreeSet::new());

/// The locations, for as long as the guard lives.
fn locations() -> MutexGuard<'static, BTreeSet<Location>> {
    LOCATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers that a limiter is at a key.
pub(crate) fn register(db: c_int, key: &[u8]) {
    locations().insert((db, key.into()));
}

/// Removes a location that has no limiter any more.
pub(crate) fn unregister(location: &Location) {
    locations().remove(location);
}

/// How many locations are registered.
pub(crate) fn count() -> usize {
    locations().len()
}

/// The location after the given one, from the first if `None`; `None` after the last.
pub(crate) fn next_after(location: Option<&Location>) -> Option<Location> {
    let start = location.map_or(Bound::Unbounded, Bound::Excluded);
    let locations = locations();
    locations.range((start, Bound::Unbounded)).next().cloned()
}

/// Two databases were swapped.
pub(crate) fn swap(one: c_int, other: c_int) {
    let mut locations = locations();
    let all = std::mem::take(&mut *locations);
    let swapped = |(db, key)| match db {
        db if db == one => (other, key),
        db if db == other => (one, key),
        db => (db, key),
    };
    *locations = all.into_iter().map(swapped).collect();
}

/// Every limiter that a key or the server's own machinery holds, by its address.
static ADDRESSES: Mutex<Option<HashSet<Address>>> = Mutex::new(None);

/// A limiter's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Address(NonNull<Limiter>);

// SAFETY: the address alone may go anywhere; it is followed only in `each`, which says why it may be.
unsafe impl Send for Address {}

/// What all limiters are together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Size {
    /// How many there are.
    pub(crate) limiters: u64,
    /// How many identities they hold.
    pub(crate) identities: u64,
    /// How many bytes of memory they take.
    pub(crate) bytes: u64,
}

/// Passes a limiter to the server, which holds it by this address until it is freed.
pub(crate) fn into_raw(limiter: Box<Limiter>) -> *mut Limiter {
    let address = Box::into_raw(limiter);
    if let Some(limiter) = NonNull::new(address) {
        let mut addresses = ADDRESSES.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.get_or_insert_default().insert(Address(limiter));
    }
    address
}

/// Takes a limiter back from the server, in any thread.
///
/// # Safety
/// The address must come from [`into_raw`], and the server must give it up now.
pub(crate) unsafe fn from_raw(address: *mut Limiter) -> Box<Limiter> {
    if let Some(limiter) = NonNull::new(address) {
        let mut addresses = ADDRESSES.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.get_or_insert_default().remove(&Address(limiter));
    }
    // SAFETY: it was a box, and no one else has it any more: the caller's promise, and `each` is done with it.
    unsafe { Box::from_raw(address) }
}

/// Does something to each limiter. Call it from the server's main thread, while no limiter's key is open.
fn each(mut act: impl FnMut(&mut Limiter)) {
    let mut addresses = ADDRESSES.lock().unwrap_or_else(PoisonError::into_inner);
    for Address(limiter) in addresses.get_or_insert_default().iter() {
        let mut limiter = *limiter;
        // SAFETY: a limiter is used only in the main thread, by one command at a time, which is this one. Another
        // thread may only free it, and first takes it out of the set, which is locked here.
        act(unsafe { limiter.as_mut() });
    }
}

/// What all limiters are together, in the time of their number.
pub(crate) fn size() -> Size {
    let mut size = Size::default();
    each(|limiter| {
        let identities = limiter.usage().map(|usage| usage.identities);
        let identities = identities.fold(0_usize, usize::saturating_add);
        size.limiters = size.limiters.saturating_add(1);
        size.identities = size.identities.saturating_add(identities as u64);
        size.bytes = size.bytes.saturating_add(limiter.bytes() as u64);
    });
    size
}

/// Has every limiter forget addresses and emails in clear text.
pub(crate) fn forget_clear_text() {
    each(Limiter::forget_clear_text);
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::identity::Secret;
    use crate::policy::Policy;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// The only test of addresses, since there is one index.
    #[test]
    fn a_thread_that_frees_a_limiter_waits_until_no_one_uses_it() {
        const LIMITERS: usize = 8;
        let policy = Policy::parse([b"PAIR".as_slice(), b"5/1h"]).unwrap();
        let limiter = || Box::new(Limiter::new(policy.clone(), Secret::from_bytes([7; 16])));
        // As numbers, which may go to another thread.
        let addresses: Vec<usize> = (0..LIMITERS).map(|_| into_raw(limiter()) as usize).collect();
        let (begins, freed) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let mut visited = 0;
            each(|limiter| {
                if visited == 0 {
                    scope.spawn(|| {
                        begins.store(true, Ordering::SeqCst);
                        for address in &addresses {
                            // SAFETY: each address is that of a limiter above, and is given up once.
                            drop(unsafe { from_raw(*address as *mut Limiter) });
                            freed.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                    while !begins.load(Ordering::SeqCst) {
                        std::thread::yield_now();
                    }
                }
                // Without the lock the thread would free this limiter meanwhile.
                for _ in 0..100 {
                    std::thread::yield_now();
                    assert_eq!(limiter.usage().count(), 1);
                }
                assert_eq!(freed.load(Ordering::SeqCst), 0);
                visited += 1;
            });
            assert_eq!(visited, LIMITERS);
        });
        assert_eq!((freed.load(Ordering::SeqCst), size()), (LIMITERS, Size::default()));
    }

    /// The only test of locations, since there is one index.
    #[test]
    fn locations_are_kept_in_order_and_swapped() {
        register(0, b"b");
        register(0, b"a");
        register(1, b"c");
        swap(0, 2);
        let mut found = Vec::new();
        while let Some(location) = next_after(found.last()) {
            found.push(location);
        }
        let expected: [(c_int, &[u8]); 3] = [(1, b"c"), (2, b"a"), (2, b"b")];
        assert_eq!(found.len(), count());
        for (found, (db, key)) in found.iter().zip(expected) {
            assert_eq!((found.0, &*found.1), (db, key));
            unregister(found);
        }
        assert_eq!(next_after(None), None);
    }
}
