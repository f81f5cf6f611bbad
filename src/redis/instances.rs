//! The limiters of this process by address, so that all of them can be told of and seen to without looking up
//! a key. (`registry` knows by their keys those that the timer visits.)

use crate::limiter::Limiter;
use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// Every limiter that a key or the server's own machinery holds, by its address.
static LIMITERS: Mutex<Option<HashSet<Registered>>> = Mutex::new(None);

/// A limiter's address.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Registered(NonNull<Limiter>);

// SAFETY: the address alone may go anywhere; it is followed only in `each`, which says why it may be.
unsafe impl Send for Registered {}

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

/// Hands a limiter over to the server, which holds it by this address until it is freed.
pub(crate) fn into_raw(limiter: Box<Limiter>) -> *mut Limiter {
    let address = Box::into_raw(limiter);
    if let Some(registered) = NonNull::new(address) {
        let mut limiters = LIMITERS.lock().unwrap_or_else(PoisonError::into_inner);
        limiters.get_or_insert_default().insert(Registered(registered));
    }
    address
}

/// Takes a limiter back from the server, in whichever thread that is.
///
/// # Safety
/// The address must be one that [`into_raw`] has given and that the server gives up now.
pub(crate) unsafe fn from_raw(address: *mut Limiter) -> Box<Limiter> {
    if let Some(registered) = NonNull::new(address) {
        let mut limiters = LIMITERS.lock().unwrap_or_else(PoisonError::into_inner);
        limiters.get_or_insert_default().remove(&Registered(registered));
    }
    // SAFETY: it was a box, and nobody else has it any more: the caller's promise, and `each` is done with it.
    unsafe { Box::from_raw(address) }
}

/// Does something to each limiter. To be called from the server's main thread, and by nobody who has one open.
fn each(mut act: impl FnMut(&mut Limiter)) {
    let mut limiters = LIMITERS.lock().unwrap_or_else(PoisonError::into_inner);
    for Registered(limiter) in limiters.get_or_insert_default().iter() {
        let mut limiter = *limiter;
        // SAFETY: a limiter is used only in the main thread, by one command at a time, which is this; another
        // thread may only free it, and takes it out of the set, which is locked here, first.
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

/// Has every limiter forget the names of the most refused.
pub(crate) fn forget_clear_text() {
    each(Limiter::forget_clear_text);
}
