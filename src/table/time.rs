//! Points in time.

use crate::policy::Millis;

/// A point in time: whole milliseconds since the Unix epoch, from 1 to 2^42 - 1 (May 2109), so that it fits 8 bytes
/// together with a [`Tag`](crate::identity::Tag).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(u64);

impl Timestamp {
    /// How many bits a timestamp takes.
    pub const BITS: u32 = 42;
    /// The earliest representable time: 1 ms after the Unix epoch.
    pub const MIN: Self = Self(1);
    /// The latest representable time, in May 2109.
    pub const MAX: Self = Self((1 << Self::BITS) - 1);

    /// The latest time that a clock may show: 366 days before [`Timestamp::MAX`]. A clock beyond it is broken, and a
    /// limiter that took it over would have no time left to let its attempts leave.
    pub const LAST_CLOCK: Self = Self(Self::MAX.0 - 366 * 86_400_000);

    /// The time `millis` milliseconds after the Unix epoch, or `None` outside 1..=2^42 - 1. A clock that far off must
    /// be an error: a truncated time would let attempts leave their window early.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Option<Self> {
        if millis >= Self::MIN.0 && millis <= Self::MAX.0 { Some(Self(millis)) } else { None }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whether a clock may show this time.
    #[must_use]
    pub const fn is_plausible(self) -> bool {
        self.0 <= Self::LAST_CLOCK.0
    }

    /// This time moved `span` into the past, at most to [`Timestamp::MIN`].
    #[must_use]
    pub fn minus(self, span: Millis) -> Self {
        Self(self.0.saturating_sub(span.get()).max(Self::MIN.0))
    }

    /// This time moved `span` into the future, at most to [`Timestamp::MAX`].
    #[must_use]
    pub fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.get()).min(Self::MAX.0))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Millis {
        Millis::new(self.0.saturating_sub(earlier.0))
    }
}

/// The newest moment that has left a window: an entry at or before it no longer counts, one after it does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Cutoff(u64);

impl Cutoff {
    /// Nothing has ever left: every entry counts.
    pub(crate) const NEVER: Self = Self(0);

    /// What has left a window of length `window` at `now`: an attempt at t leaves at exactly t + window.
    pub(crate) fn of(now: Timestamp, window: Millis) -> Self {
        Self(now.0.saturating_sub(window.get()))
    }

    /// What was made in an earlier millisecond than `at`.
    pub(crate) fn before(at: Timestamp) -> Self {
        Self(at.0.saturating_sub(1))
    }

    /// The cutoff at `millis`, as stored in a file: everything at or before it has left.
    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The cutoff in milliseconds since the Unix epoch, 0 for [`Cutoff::NEVER`].
    pub(crate) const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whether an entry made at `at` has left.
    pub(crate) fn has_passed(self, at: Timestamp) -> bool {
        at.0 <= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_do_not_fit_an_entry_are_refused() {
        assert_eq!(Timestamp::from_millis(0), None);
        assert_eq!(Timestamp::from_millis(1), Some(Timestamp::MIN));
        assert_eq!(Timestamp::from_millis((1 << 42) - 1), Some(Timestamp::MAX));
        assert_eq!(Timestamp::from_millis(1 << 42), None);
    }

    #[test]
    fn an_attempt_leaves_at_exactly_its_time_plus_the_window() {
        let at = Timestamp::from_millis(1_000).unwrap();
        let window = Millis::new(500);
        let just_before = Timestamp::from_millis(1_499).unwrap();
        let exactly = Timestamp::from_millis(1_500).unwrap();
        assert!(!Cutoff::of(just_before, window).has_passed(at));
        assert!(Cutoff::of(exactly, window).has_passed(at));
    }

    #[test]
    fn near_the_epoch_nothing_leaves() {
        assert_eq!(Cutoff::of(Timestamp::MIN, Millis::new(1_000)), Cutoff::NEVER);
    }
}
