//! Limits: how many attempts a rule admits.

use std::fmt;
use std::num::NonZeroU32;

use super::number::{self, NumberFault};

/// How many attempts a rule admits in any one window: 1 to 100 000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Limit(NonZeroU32);

impl Limit {
    /// The largest limit. An identity's log may grow to as many attempts, 8 bytes each.
    pub const MAX: u32 = 100_000;

    /// The limit of `count` attempts.
    ///
    /// # Errors
    ///
    /// [`NumberFault::Zero`] for 0, [`NumberFault::TooLarge`] above [`Limit::MAX`].
    pub fn new(count: u32) -> Result<Self, NumberFault> {
        let count = NonZeroU32::new(count).ok_or(NumberFault::Zero)?;
        if count.get() > Self::MAX {
            return Err(NumberFault::TooLarge);
        }
        Ok(Self(count))
    }

    /// Reads a limit from decimal digits.
    ///
    /// # Errors
    ///
    /// The [`NumberFault`] that keeps `text` from being a limit.
    pub fn parse(text: &[u8]) -> Result<Self, NumberFault> {
        Self::new(number::whole(text)?)
    }

    /// The number of attempts, 1 to [`Limit::MAX`].
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Limit {
    /// Writes the number in decimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, NumberFault};

    #[test]
    fn the_range_is_1_to_100000() {
        assert_eq!(Limit::new(0), Err(NumberFault::Zero));
        assert_eq!(Limit::new(1).unwrap().get(), 1);
        assert_eq!(Limit::new(100_000).unwrap().get(), 100_000);
        assert_eq!(Limit::new(100_001), Err(NumberFault::TooLarge));
    }

    #[test]
    fn what_is_read_is_what_is_printed() {
        assert_eq!(Limit::parse(b"4096").unwrap().to_string(), "4096");
        assert_eq!(Limit::parse(b"0"), Err(NumberFault::Zero));
        assert_eq!(Limit::parse(b"100001"), Err(NumberFault::TooLarge));
        assert_eq!(Limit::parse(b"5 "), Err(NumberFault::NotDigits));
    }
}
