//! Capacities: how many identities a limiter keeps.

use std::fmt;
use std::num::NonZeroU32;

use super::number::{self, NumberFault};

/// How many identities of each subject a limiter keeps at most: 1 to 1 000 000 000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Capacity(NonZeroU32);

impl Capacity {
    /// The largest capacity.
    pub const MAX: u32 = 1_000_000_000;

    /// The capacity of `count` identities per subject.
    ///
    /// # Errors
    ///
    /// [`NumberFault::Zero`] for 0, [`NumberFault::TooLarge`] above [`Capacity::MAX`].
    pub fn new(count: u32) -> Result<Self, NumberFault> {
        let count = NonZeroU32::new(count).ok_or(NumberFault::Zero)?;
        if count.get() > Self::MAX {
            return Err(NumberFault::TooLarge);
        }
        Ok(Self(count))
    }

    /// The capacity nearest to `count` identities.
    #[must_use]
    pub fn nearest(count: u32) -> Self {
        Self(NonZeroU32::new(count.min(Self::MAX)).unwrap_or(NonZeroU32::MIN))
    }

    /// Reads a capacity from decimal digits.
    ///
    /// # Errors
    ///
    /// The [`NumberFault`] that keeps `text` from being a capacity.
    pub fn parse(text: &[u8]) -> Result<Self, NumberFault> {
        Self::new(number::whole(text)?)
    }

    /// The number of identities per subject, 1 to [`Capacity::MAX`].
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Capacity {
    /// Writes the number in decimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Capacity, NumberFault};

    #[test]
    fn the_range_is_1_to_a_billion() {
        assert_eq!(Capacity::new(0), Err(NumberFault::Zero));
        assert_eq!(Capacity::new(1).unwrap().get(), 1);
        assert_eq!(Capacity::new(1_000_000_000).unwrap().get(), Capacity::MAX);
        assert_eq!(Capacity::new(1_000_000_001), Err(NumberFault::TooLarge));
    }

    #[test]
    fn what_is_read_is_what_is_printed() {
        assert_eq!(Capacity::parse(b"250000").unwrap().to_string(), "250000");
        for text in ["", "0", "07", "+5", "1e6", "10k", "1.5", "1000000001", "99999999999"] {
            assert!(Capacity::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
