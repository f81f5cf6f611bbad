//! Locks: for how long a rule that refused stays shut.

use std::fmt;

use thiserror::Error;

use super::modifier::ModifierWord;
use super::window::{Millis, Window, WindowFault};

/// For how long a rule shuts when it refuses: `LOCK 30m`, or `LOCK 15m..24h`.
///
/// The first time lasts [`first`](Lock::first), and each further time twice the one before, up to
/// [`longest`](Lock::longest). `LOCK 30m` has both alike: it is always 30 minutes.
///
/// It remembers how it was written; two locks are equal if they are *written* alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lock {
    first: Window,
    /// None for a lock written as one time.
    longest: Option<Window>,
}

/// Why some text is not a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LockFault {
    /// The only time, or the one before the `..`, is none.
    #[error("the lock {0}")]
    First(#[source] WindowFault),
    /// What comes after the `..` is not a time.
    #[error("the longest lock {0}")]
    Longest(#[source] WindowFault),
    /// The time after the `..` is shorter than the one before.
    #[error("the longest lock is shorter than the first")]
    Shrinking,
}

impl Lock {
    /// The lock that always lasts `length`.
    #[must_use]
    pub const fn fixed(length: Window) -> Self {
        Self { first: length, longest: None }
    }

    /// The lock that lasts `first`, then twice as long each time, up to `longest`.
    ///
    /// # Errors
    ///
    /// [`LockFault::Shrinking`] if `longest` is shorter than `first`.
    pub fn doubling(first: Window, longest: Window) -> Result<Self, LockFault> {
        if longest.length() < first.length() {
            return Err(LockFault::Shrinking);
        }
        Ok(Self { first, longest: Some(longest) })
    }

    /// Reads what follows the word `LOCK`: one time such as `30m`, or two such as `15m..24h`.
    ///
    /// # Errors
    ///
    /// The [`LockFault`] that keeps `text` from being a lock.
    pub fn parse(text: &[u8]) -> Result<Self, LockFault> {
        let (first, longest) = split_dots(text);
        let first = Window::parse(first).map_err(LockFault::First)?;
        match longest {
            None => Ok(Self::fixed(first)),
            Some(longest) => {
                let longest = Window::parse(longest).map_err(LockFault::Longest)?;
                Self::doubling(first, longest)
            }
        }
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
    /// Writes the word `LOCK` and the times as they were read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", ModifierWord::Lock, self.first)?;
        match self.longest {
            None => Ok(()),
            Some(longest) => write!(f, "..{longest}"),
        }
    }
}

/// What comes before and after the first `..`; all and None if there is none.
fn split_dots(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let dots = text.windows(2).position(|pair| pair == b"..");
    match dots.and_then(|at| text.split_at_checked(at)) {
        None => (text, None),
        Some((before, rest)) => (before, rest.strip_prefix(b"..")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::number::NumberFault;
    use super::{Lock, LockFault, Window, WindowFault};

    #[test]
    fn a_lock_has_its_lengths_and_prints_as_written() {
        let rows: [(&str, u64, u64); 6] = [
            ("30m", 1_800_000, 1_800_000),
            ("1ms", 1, 1),
            ("15m..24h", 900_000, 86_400_000),
            ("60m..1h", 3_600_000, 3_600_000),
            ("5s..5s", 5_000, 5_000),
            ("1ms..30d", 1, Window::MAX.get()),
        ];
        for (text, first, longest) in rows {
            let lock = Lock::parse(text.as_bytes()).unwrap();
            assert_eq!(lock.first().get(), first, "{text}");
            assert_eq!(lock.longest().get(), longest, "{text}");
            assert_eq!(lock.to_string(), format!("LOCK {text}"));
        }
        assert_eq!(Lock::parse(b"15M..1D").unwrap().to_string(), "LOCK 15m..1d");
    }

    #[test]
    fn locks_are_equal_as_they_are_written() {
        let hour = Window::parse(b"1h").unwrap();
        let minutes = Window::parse(b"60m").unwrap();
        assert_eq!(Lock::parse(b"1h"), Ok(Lock::fixed(hour)));
        assert_ne!(Lock::fixed(hour), Lock::fixed(minutes));
        assert_ne!(Ok(Lock::fixed(hour)), Lock::doubling(hour, hour));
    }

    #[test]
    fn anything_else_is_refused_for_its_own_reason() {
        use LockFault::{First, Longest, Shrinking};
        use NumberFault::{Fraction, Missing, NotDigits, Zero};
        use WindowFault::{Number, TooLong, UnitMissing, UnitUnknown};
        let rows: [(&[u8], LockFault); 16] = [
            (b"", First(Number(Missing))),
            (b"..", First(Number(Missing))),
            (b"..24h", First(Number(Missing))),
            (b"SHADOW", First(Number(Missing))),
            (b"0s", First(Number(Zero))),
            (b"15", First(UnitMissing)),
            (b"31d", First(TooLong)),
            (b"15m.24h", First(Number(NotDigits))),
            (b"15m-24h", First(Number(NotDigits))),
            (b"15..24h", First(UnitMissing)),
            (b"15m..", Longest(Number(Missing))),
            (b"15m...24h", Longest(Number(Fraction))),
            (b"15m..24h..48h", Longest(Number(NotDigits))),
            (b"15m..1w", Longest(UnitUnknown)),
            (b"15m..31d", Longest(TooLong)),
            (b"15m..899s", Shrinking),
        ];
        for (text, fault) in rows {
            assert_eq!(Lock::parse(text), Err(fault), "{}", text.escape_ascii());
        }
    }
}
