//! Quantities: how many, and for how long.
//!
//! Every number in a policy has one spelling (no sign, no leading zero), so that a policy prints as it was read.

use std::fmt;
use std::num::NonZeroU32;

use thiserror::Error;

use super::keyword::Keyword;

/// Why a text is not a whole number.
///
/// The message continues the name of the quantity: "the limit" + "has a sign".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NumberError {
    /// The text is empty.
    #[error("has no number")]
    Missing,
    /// It begins with `+` or `-`.
    #[error("has a sign")]
    Signed,
    /// It has a decimal point or comma.
    #[error("has a fraction")]
    Fraction,
    /// It has another character that is not a digit.
    #[error("has something other than digits in its number")]
    NotDigits,
    /// It begins with a zero that adds nothing, as in `05`.
    #[error("has a leading zero")]
    LeadingZero,
    /// It is 0.
    #[error("is zero")]
    Zero,
    /// It is above the largest number allowed here.
    #[error("is too large")]
    TooLarge,
}

/// Reads a number in decimal digits, with or without leading zeros.
///
/// # Errors
///
/// Any [`NumberError`] but [`NumberError::LeadingZero`] and [`NumberError::Zero`].
pub fn digits(text: &[u8]) -> Result<u32, NumberError> {
    match text {
        [] => return Err(NumberError::Missing),
        [b'+' | b'-', ..] => return Err(NumberError::Signed),
        _ => {}
    }
    let append = |number: u32, digit: &u8| number.checked_mul(10)?.checked_add(u32::from(digit & 0xf));
    match text.iter().find(|byte| !byte.is_ascii_digit()) {
        Some(b'.' | b',') => Err(NumberError::Fraction),
        Some(_) => Err(NumberError::NotDigits),
        None => text.iter().try_fold(0, append).ok_or(NumberError::TooLarge),
    }
}

/// Reads a number from 1, in decimal digits without leading zeros.
///
/// # Errors
///
/// The [`NumberError`] that says what `text` is instead.
pub(super) fn whole(text: &[u8]) -> Result<u32, NumberError> {
    match (digits(text), text) {
        (Ok(_) | Err(NumberError::TooLarge), [b'0', _, ..]) => Err(NumberError::LeadingZero),
        (Ok(0), _) => Err(NumberError::Zero),
        (number, _) => number,
    }
}

/// A whole number from 1 to `MAX`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bounded<const MAX: u32>(NonZeroU32);

/// How many attempts a rule admits in any one window. An identity's log may hold as many entries, 8 bytes each.
pub type Limit = Bounded<100_000>;

/// How many identities of each subject a limiter keeps at most.
pub type Capacity = Bounded<1_000_000_000>;

/// How many ordinary attempts one attempt counts as: at most the largest [`Limit`].
pub type Cost = Bounded<100_000>;

impl<const MAX: u32> Bounded<MAX> {
    /// The smallest number: 1.
    pub const ONE: Self = Self(NonZeroU32::MIN);
    /// The largest number: `MAX`.
    pub const MAX: Self = Self::nearest(MAX);

    /// The number `count`.
    ///
    /// # Errors
    ///
    /// [`NumberError::Zero`] for 0, [`NumberError::TooLarge`] above `MAX`.
    pub const fn new(count: u32) -> Result<Self, NumberError> {
        match NonZeroU32::new(count) {
            None => Err(NumberError::Zero),
            Some(_) if count > MAX => Err(NumberError::TooLarge),
            Some(count) => Ok(Self(count)),
        }
    }

    /// The number in the range that is nearest to `count`.
    #[must_use]
    pub const fn nearest(count: u32) -> Self {
        match NonZeroU32::new(if count < MAX { count } else { MAX }) {
            None => Self::ONE,
            Some(count) => Self(count),
        }
    }

    /// Reads the number with [`whole`].
    ///
    /// # Errors
    ///
    /// As [`whole`] and [`Bounded::new`].
    pub fn parse(text: &[u8]) -> Result<Self, NumberError> {
        Self::new(whole(text)?)
    }

    /// The number, 1 to `MAX`.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl<const MAX: u32> fmt::Display for Bounded<MAX> {
    /// Writes the number in decimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

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

/// A unit of time.
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

impl Keyword for Unit {
    const ALL: &'static [Self] = &[Self::Millisecond, Self::Second, Self::Minute, Self::Hour, Self::Day];

    fn word(self) -> &'static str {
        match self {
            Self::Millisecond => "ms",
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
        }
    }
}

impl Unit {
    /// The length of one unit.
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
}

/// Why a text is not a window.
///
/// The message continues "the window", as in "the window has no unit".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum WindowError {
    /// The text before the unit is not a whole number from 1.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// No letters follow the number.
    #[error("has no unit")]
    UnitMissing,
    /// The letters after the number are not a [`Unit`].
    #[error("has an unknown unit")]
    UnitUnknown,
    /// It is longer than [`Window::MAX`].
    #[error("is longer than 30 days")]
    TooLong,
}

/// The time over which a rule counts: 1 millisecond to 30 days.
///
/// It keeps its spelling, so that `60m` does not become `1h` in a reply. Two windows are equal if they are *spelled*
/// alike; compare their [lengths](Window::length) to compare times.
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
    /// [`NumberError::Zero`] for a count of 0, [`WindowError::TooLong`] above [`Window::MAX`].
    pub fn new(count: u32, unit: Unit) -> Result<Self, WindowError> {
        let window = Self { count, unit };
        match window.length() {
            Millis::ZERO => Err(NumberError::Zero.into()),
            length if length > Self::MAX => Err(WindowError::TooLong),
            _ => Ok(window),
        }
    }

    /// Reads a whole number and a unit, such as `15m`.
    ///
    /// # Errors
    ///
    /// The [`WindowError`] that says what `text` is instead.
    pub fn parse(text: &[u8]) -> Result<Self, WindowError> {
        let (count, unit) = split_unit(text);
        let count = whole(count)?;
        if unit.is_empty() {
            return Err(WindowError::UnitMissing);
        }
        let unit = Unit::from_word(unit).ok_or(WindowError::UnitUnknown)?;
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
    /// Writes the window as it was read, the unit in lower case.
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

/// Why a text is not a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LockError {
    /// The only time, or the one before the `..`, is invalid.
    #[error("the lock {0}")]
    First(#[source] WindowError),
    /// The time after the `..` is invalid.
    #[error("the longest lock {0}")]
    Longest(#[source] WindowError),
    /// The time after the `..` is shorter than the one before.
    #[error("the longest lock is shorter than the first")]
    Shrinking,
}

/// How long a rule locks: `30m` always, or `15m..24h`, where each lock lasts twice as long as the one before, from
/// [`first`](Lock::first) to [`longest`](Lock::longest).
///
/// It keeps its spelling: two locks are equal if they are *spelled* alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lock {
    first: Window,
    /// `None` for a lock of one time.
    longest: Option<Window>,
}

impl Lock {
    /// Reads what follows the word `LOCK`: one time such as `30m`, or two such as `15m..24h`.
    ///
    /// # Errors
    ///
    /// The [`LockError`] that says what `text` is instead.
    pub fn parse(text: &[u8]) -> Result<Self, LockError> {
        let (first, longest) = split_dots(text);
        let first = Window::parse(first).map_err(LockError::First)?;
        let longest = longest.map(Window::parse).transpose().map_err(LockError::Longest)?;
        if longest.is_some_and(|longest| longest.length() < first.length()) {
            return Err(LockError::Shrinking);
        }
        Ok(Self { first, longest })
    }

    /// How long the first lock lasts: 1 ms to [`Window::MAX`].
    #[must_use]
    pub fn first(self) -> Millis {
        self.first.length()
    }

    /// How long a lock lasts at most: [`Lock::first`] to [`Window::MAX`].
    #[must_use]
    pub fn longest(self) -> Millis {
        self.longest.unwrap_or(self.first).length()
    }
}

impl fmt::Display for Lock {
    /// Writes the times as they were read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.longest {
            None => self.first.fmt(f),
            Some(longest) => write!(f, "{}..{longest}", self.first),
        }
    }
}

/// Splits `text` at its first `..`.
fn split_dots(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let dots = text.windows(2).position(|pair| pair == b"..");
    match dots.and_then(|at| text.split_at_checked(at)) {
        None => (text, None),
        Some((before, rest)) => (before, rest.strip_prefix(b"..")),
    }
}
