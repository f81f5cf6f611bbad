//! The policy language: what a limiter counts, how many it lets through, and in how long a time.
//!
//! A [`Policy`] is read from words, as a client or a config gives them, and prints as words that read back
//! to an equal policy. Upper and lower case are the same in every word.
//!
//! ```text
//! policy   = ( rule | option | PRESET name ) ...     at least one rule, at most MAX_RULES
//! rule     = subject limit/window modifier ...       PAIR 5/15m LOCK 15m..24h SHADOW
//! subject  = IP | EMAIL | PAIR | EMAILS-PER-IP | IPS-PER-EMAIL | ALL | DEVICE
//! modifier = LOCK time | LOCK first..longest | SHADOW | COUNT-DENIED
//! option   = CAPACITY n | IPV6-PREFIX 32..128 | PLUS-TAGS keep|strip
//! ```
//!
//! - Modifiers follow their rule's `limit/window` at once, in any order, each at most once. Every modifier may stand
//!   on every subject's rule ([`ModifierWord`] says what each is for). One after an option or a preset is an error:
//!   nobody could tell which rule it is for.
//! - A preset stands for its words ([`Preset::words`]), at the place where it is named; rules and options may
//!   come before and after it.
//! - An option given outright wins over a preset's, whichever comes first; of two presets, the later wins.
//!   The same option given outright twice is an error: one of the two is a mistake, and nobody can tell which.
//! - Two rules may share a subject (`EMAIL 20/1h EMAIL 50/24h`), even a window; the very same rule twice, modifiers
//!   and all, is an error.
//! - Rules for `DEVICE` alone are an error: an attempt that carries no device would go by no rule at all.
//!
//! To read it: [`subject`](Subject), [`Limit`] and [`Window`] make a [`Rule`], with a [`Lock`] and other
//! [modifiers](ModifierWord) if it has any; `parse` turns words into rules and [`Options`]; [`PolicyError`] is every way in which that can fail.

#![forbid(unsafe_code)]

mod capacity;
mod error;
mod limit;
mod lock;
mod modifier;
mod number;
mod options;
mod parse;
mod preset;
mod rule;
mod subject;
mod window;

use std::fmt;

pub use capacity::Capacity;
pub use error::PolicyError;
pub use limit::Limit;
pub use lock::{Lock, LockFault};
pub use modifier::ModifierWord;
pub use number::NumberFault;
pub use options::{OptionWord, Options};
pub use preset::Preset;
pub use rule::{Counting, Enforcement, Rule};
pub use subject::Subject;
pub use window::{Millis, Unit, Window, WindowFault};

/// The most rules that one policy may have.
///
/// A check looks at each rule, so this bounds the work of one command.
pub const MAX_RULES: usize = 32;

/// What one limiter enforces: its rules, and how it tells identities apart.
///
/// It has at least one rule and at most [`MAX_RULES`], no two of them alike, and not all for `DEVICE`. It prints (`Display`) as the words
/// that [`Policy::parse`] reads back to an equal policy: the rules in their order, then the options that differ
/// from their default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    rules: Box<[Rule]>,
    options: Options,
}

impl Policy {
    /// Reads a policy from its words, one argument of a command each.
    ///
    /// Takes no more words than it needs to find the first fault, and keeps none of them.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] says which word is wrong, counting from 1, and what belongs there.
    pub fn parse<I, W>(words: I) -> Result<Self, PolicyError>
    where
        I: IntoIterator<Item = W>,
        W: AsRef<[u8]>,
    {
        parse::policy(words)
    }

    /// Reads a policy from one text, its words parted by ASCII white space, as a config value has it.
    ///
    /// # Errors
    ///
    /// As [`Policy::parse`].
    pub fn from_text(text: &str) -> Result<Self, PolicyError> {
        Self::parse(text.split_ascii_whitespace())
    }

    /// The rules in the order in which they were given: 1 to [`MAX_RULES`] of them.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The options, those not given at their default.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// The subjects that the rules count for, each once, in the order of their first rule.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> + '_ {
        self.rules
            .iter()
            .enumerate()
            .filter(|&(index, rule)| {
                let mut earlier = self.rules.iter().take(index);
                !earlier.any(|other| other.subject() == rule.subject())
            })
            .map(|(_, rule)| rule.subject())
    }

    /// Whether some rule counts for `subject`.
    #[must_use]
    pub fn has_subject(&self, subject: Subject) -> bool {
        self.rules.iter().any(|rule| rule.subject() == subject)
    }

    /// The longest window of the rules for `subject`: how long its attempts have to be kept.
    ///
    /// None if no rule counts for `subject`.
    #[must_use]
    pub fn longest_window(&self, subject: Subject) -> Option<Millis> {
        self.rules.iter().filter(|rule| rule.subject() == subject).map(|rule| rule.window().length()).max()
    }

    /// Whether some rule needs the attempt's address, so that it may not be left empty.
    #[must_use]
    pub fn needs_address(&self) -> bool {
        self.rules.iter().any(|rule| rule.subject().needs_address())
    }

    /// Whether some rule needs the attempt's email, so that it may not be left empty.
    #[must_use]
    pub fn needs_email(&self) -> bool {
        self.rules.iter().any(|rule| rule.subject().needs_email())
    }
}

impl fmt::Display for Policy {
    /// Writes the policy's words, parted by one space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for rule in &self.rules {
            write!(f, "{gap}{rule}")?;
            gap = " ";
        }
        // A policy has a rule, so each option follows something.
        self.options.write_changed(f)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;
