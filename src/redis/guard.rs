//! Wraps every callback of Redis: unwinding into C would end the server, so a panic stops here and becomes an error.

use crate::redis::server;
use std::panic::{self, AssertUnwindSafe};

/// Runs a callback; `None` if it panicked, which the hook has logged by then.
///
/// What the callback was changing may be left half-changed. That is bad for one limiter, but a dead server is worse for
/// all.
pub(crate) fn guarded<R>(callback: impl FnOnce() -> R) -> Option<R> {
    panic::catch_unwind(AssertUnwindSafe(callback)).ok()
}

/// Makes panics write one line to the server's log: where, but not what, since a panic's message may quote what a
/// client sent; and without a backtrace, since printing one has crashed a server.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        let place = info.location();
        let place = place.map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        server::log_warning(&format!("authlimit: internal error{place}; please report it with this line"));
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_here() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| panic!("no further")), None::<()>);
    }
}
