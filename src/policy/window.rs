//! Windows: the time over which a rule counts.

use std::fmt;

use thiserror::Error;

use super::number::{self, NumberFault};

/// A span of time in whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Millis(u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// The span of `milliseconds`.
    #[must_use]
    pub const fn new(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The number of milliseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A unit of time that a window may be written in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Unit {
    /// `ms`.
    Millisecond,
    /// `s`.
    Second,
    /// `m`.
    Minute,
    /// `h`.
    Hour,
    /// `d`, always 24 hours.
    Day,
}

impl Unit {
    /// Every unit, the shortest first.
    pub const EVERY: [Self; 5] = [Self::Millisecond, Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// The letters that follow the number, in lower case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Millisecond => "ms",
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
        }
    }

    /// How long one of the unit is.
    #[must_use]
    pub const fn length(self) -> Millis {
        Millis(match self {
            Self::Millisecond => 1,
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        })
    }

    /// The unit of these letters, in upper or lower case; None if there is none.
    fn from_word(word: &[u8]) -> Option<Self> {
        Self::EVERY.into_iter().find(|unit| word.eq_ignore_ascii_case(unit.word().as_bytes()))
    }
}

/// Why some text is not a window.
///
/// It reads on from "the window", as in "the window has no unit".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WindowFault {
    /// What comes before the unit is not a whole number from 1.
    #[error(transparent)]
    Number(#[from] NumberFault),
    /// The number is not followed by a unit.
    #[error("has no unit")]
    UnitMissing,
    /// The letters after the number are no unit.
    #[error("has an unknown unit")]
    UnitUnknown,
    /// It is longer than [`Window::MAX`].
    #[error("is longer than 30 days")]
    TooLong,
}

/// The time over which a rule counts: 1 millisecond to 30 days.
///
/// It remembers how it was written, so that `60m` does not become `1h` in a reply; two windows are equal
/// if they are *written* alike. Compare [lengths](Window::length) to compare times.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    count: u32,
    unit: Unit,
}

impl Window {
    /// The longest window: 30 days.
    pub const MAX: Millis = Millis(2_592_000_000);

    /// The window of `count` times `unit`.
    ///
    /// # Errors
    ///
    /// [`NumberFault::Zero`] for a count of 0, [`WindowFault::TooLong`] above [`Window::MAX`].
    pub fn new(count: u32, unit: Unit) -> Result<Self, WindowFault> {
        if count == 0 {
            return Err(NumberFault::Zero.into());
        }
        let window = Self { count, unit };
        if window.length() > Self::MAX {
            return Err(WindowFault::TooLong);
        }
        Ok(window)
    }

    /// Reads a window from a whole number and a unit, such as `15m`.
    ///
    /// # Errors
    ///
    /// The [`WindowFault`] that keeps `text` from being a window.
    pub fn parse(text: &[u8]) -> Result<Self, WindowFault> {
        let (count, unit) = split_unit(text);
        let count = number::whole(count)?;
        if unit.is_empty() {
            return Err(WindowFault::UnitMissing);
        }
        let unit = Unit::from_word(unit).ok_or(WindowFault::UnitUnknown)?;
        Self::new(count, unit)
    }

    /// How long the window is: 1 ms to [`Window::MAX`].
    #[must_use]
    pub fn length(self) -> Millis {
        // Cannot saturate: 2^32 days are fewer than 2^64 milliseconds.
        Millis(u64::from(self.count).saturating_mul(self.unit.length().get()))
    }
}

impl fmt::Display for Window {
    /// Writes the number and the unit as they were read, the unit in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.word())
    }
}

/// Splits `text` before the letters at its end.
fn split_unit(text: &[u8]) -> (&[u8], &[u8]) {
    let before_letters = text.iter().rposition(|byte| !byte.is_ascii_alphabetic());
    let unit_start = before_letters.map_or(0, |last| last.saturating_add(1));
    text.split_at_checked(unit_start).unwrap_or((text, &[]))
}

#[cfg(test)]
mod tests {
    use super::{NumberFault, Unit, Window, WindowFault};

    #[test]
    fn each_unit_has_its_length_and_prints_as_written() {
        let rows: [(&str, u64); 8] = [
            ("1ms", 1),
            ("900s", 900_000),
            ("60m", 3_600_000),
            ("1h", 3_600_000),
            ("24h", 86_400_000),
            ("30d", 2_592_000_000),
            ("720h", 2_592_000_000),
            ("2592000000ms", 2_592_000_000),
        ];
        for (text, milliseconds) in rows {
            let window = Window::parse(text.as_bytes()).unwrap();
            assert_eq!(window.length().get(), milliseconds);
            assert_eq!(window.to_string(), text);
        }
    }

    #[test]
    fn the_unit_may_be_in_upper_case() {
        assert_eq!(Window::parse(b"15M").unwrap().to_string(), "15m");
        assert_eq!(Window::parse(b"15Ms").unwrap().to_string(), "15ms");
    }

    #[test]
    fn windows_are_equal_as_they_are_written() {
        let hour = Window::new(1, Unit::Hour).unwrap();
        let minutes = Window::new(60, Unit::Minute).unwrap();
        assert_ne!(hour, minutes);
        assert_eq!(hour.length(), minutes.length());
    }

    #[test]
    fn the_longest_window_is_30_days_of_the_longest_unit() {
        assert_eq!(Window::new(30, Unit::Day).unwrap().length(), Window::MAX);
        assert_eq!(Window::new(31, Unit::Day), Err(WindowFault::TooLong));
        assert_eq!(Window::new(u32::MAX, Unit::Day), Err(WindowFault::TooLong));
        let zero = Window::new(0, Unit::Day);
        assert_eq!(zero, Err(WindowFault::Number(NumberFault::Zero)));
    }

    #[test]
    fn anything_else_is_refused_for_its_own_reason() {
        use NumberFault::{Fraction, LeadingZero, Missing, NotDigits, Signed, TooLarge, Zero};
        use WindowFault::{Number, TooLong, UnitMissing, UnitUnknown};
        let rows: [(&[u8], WindowFault); 19] = [
            (b"", Number(Missing)),
            (b"m", Number(Missing)),
            (b"-5m", Number(Signed)),
            (b"+5m", Number(Signed)),
            (b"1.5h", Number(Fraction)),
            (b"1h30m", Number(NotDigits)),
            (b"5 m", Number(NotDigits)),
            (b"5m\0", Number(NotDigits)),
            (b"5m/2", Number(NotDigits)),
            (b"5\xb5s", Number(NotDigits)),
            (b"05m", Number(LeadingZero)),
            (b"0s", Number(Zero)),
            (b"5000000000ms", Number(TooLarge)),
            (b"15", UnitMissing),
            (b"15min", UnitUnknown),
            (b"1w", UnitUnknown),
            (b"31d", TooLong),
            (b"721h", TooLong),
            (b"2592000001ms", TooLong),
        ];
        for (text, fault) in rows {
            assert_eq!(Window::parse(text), Err(fault), "{}", text.escape_ascii());
        }
    }
}
