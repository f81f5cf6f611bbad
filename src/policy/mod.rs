//! The policy language: what a limiter counts, how many attempts it admits, and in what time.
//!
//! A [`Policy`] is read from words and prints as words that read back to an equal policy. Case does not matter.
//!
//! ```text
//! policy   = ( rule | option | PRESET name ) ...     1 to MAX_RULES rules
//! rule     = subject limit/window modifier ...       PAIR 5/15m LOCK 15m..24h SHADOW
//! subject  = IP | EMAIL | PAIR | EMAILS-PER-IP | IPS-PER-EMAIL | ALL | DEVICE
//! modifier = LOCK time | LOCK first..longest | SHADOW | COUNT-DENIED
//! option   = CAPACITY n | IPV6-PREFIX 32..128 | PLUS-TAGS keep|strip
//! ```
//!
//! - Modifiers directly follow their rule's `limit/window`, in any order, each at most once, on any subject.
//! - The first time of a lock is at least its rule's window, or the policy was stored by an older version.
//! - A preset stands for its [words](Preset::words), at the place where it is named.
//! - An option of the policy itself wins over a preset's, in whatever order they come; of two presets, the later wins.
//!   The same option twice is an error.
//! - A subject may have several rules (`EMAIL 20/1h EMAIL 50/24h`); two rules of one subject, limit and
//!   window that differ in nothing but `LOCK` and `SHADOW` are an error.
//! - A policy with rules for `DEVICE` only is an error: no rule would count an attempt without a device.
//!
//! # To add a word
//!
//! | word | file | what |
//! |---|---|---|
//! | subject | `rule.rs` | a variant of [`Subject`], its place in `ALL`, an arm in each method |
//! | modifier | `rule.rs` | a variant of [`ModifierWord`], its place in `ALL`, its arms; a field of `Modifiers` |
//! | | `parse.rs` | in `read_rule`, what follows the word |
//! | option | `options.rs` | a variant of [`OptionWord`], its place in `ALL`, its arms; a field of [`Options`] |
//! | preset | `options.rs` | a variant of [`Preset`], its place in `ALL`, its arms |
//!
//! The parser, the printed form, the error messages and the lists in `COMMAND DOCS` follow [`Keyword::ALL`]; only the
//! syntax of a modifier or option is in `commands/policy.rs`. What the word means is in `limiter`: the compiler names
//! each `match` on a subject (`==` is used for `PAIR` and `DEVICE` in `limiter::ledger`), and `evaluate` applies the
//! modifiers. Then show the word in the grammar above and in `docs/policies.md`: a test compares them.

#![forbid(unsafe_code)]

mod error;
mod keyword;
mod options;
mod parse;
mod quantity;
mod rule;

use std::fmt;

pub use error::PolicyError;
pub use keyword::Keyword;
pub use options::{OptionWord, Options, Preset};
pub use quantity::{
    Bounded, Capacity, Cost, Limit, Lock, LockError, Millis, NumberError, Unit, Window, WindowError, digits,
};
pub use rule::{Counting, Enforcement, MAX_RULES, ModifierWord, Rule, RuleKey, Subject};

/// What one limiter enforces: its rules, and how it tells identities apart.
///
/// It has 1 to [`MAX_RULES`] rules, no two of them equal, and not all for `DEVICE`. It prints as the words that
/// [`Policy::parse`] reads back to an equal policy: the rules in their order, then the options that differ from their
/// default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    rules: Box<[Rule]>,
    options: Options,
}

impl Policy {
    /// The 1 to [`MAX_RULES`] rules, in the order in which they were given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The options.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options
    }

    /// Whether `subject` has a rule.
    #[must_use]
    pub fn has_subject(&self, subject: Subject) -> bool {
        self.rules.iter().any(|rule| rule.subject() == subject)
    }

    /// Whether a rule needs the attempt's address, so that it must not be empty.
    #[must_use]
    pub fn needs_address(&self) -> bool {
        self.rules.iter().any(|rule| rule.subject().needs_address())
    }

    /// Whether a rule needs the attempt's email, so that it must not be empty.
    #[must_use]
    pub fn needs_email(&self) -> bool {
        self.rules.iter().any(|rule| rule.subject().needs_email())
    }
}

impl fmt::Display for Policy {
    /// Writes the policy's words, separated by single spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for rule in &self.rules {
            write!(f, "{separator}{rule}")?;
            separator = " ";
        }
        self.options.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;
