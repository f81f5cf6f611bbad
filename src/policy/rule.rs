//! Rules: a subject, and how many attempts on it are admitted in how long a time.

use std::fmt;

use super::limit::Limit;
use super::subject::Subject;
use super::window::Window;

/// One rule of a policy: in any [window](Rule::window), at most [limit](Rule::limit) attempts on each
/// identity of the [subject](Rule::subject) are admitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    subject: Subject,
    limit: Limit,
    window: Window,
    /// Made once, since every verdict of a check carries them.
    words: Box<str>,
}

impl Rule {
    /// The rule that admits `limit` attempts on `subject` in any `window`.
    #[must_use]
    pub fn new(subject: Subject, limit: Limit, window: Window) -> Self {
        let words = format!("{} {limit}/{window}", subject.word()).into_boxed_str();
        Self {
            subject,
            limit,
            window,
            words,
        }
    }

    /// What the rule counts for.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// How many attempts the rule admits in a window.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// The time over which the rule counts.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// The rule in the policy's own words, such as `EMAIL 20/1h`: ASCII, and different for different rules.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }
}

impl fmt::Display for Rule {
    /// Writes the rule's [words](Rule::words).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Unit;
    use super::{Limit, Rule, Subject, Window};

    #[test]
    fn a_rule_keeps_its_parts_and_has_words() {
        let limit = Limit::new(20).unwrap();
        let window = Window::new(60, Unit::Minute).unwrap();
        let rule = Rule::new(Subject::Email, limit, window);
        assert_eq!(rule.subject(), Subject::Email);
        assert_eq!(rule.limit(), limit);
        assert_eq!(rule.window(), window);
        assert_eq!(rule.words(), "EMAIL 20/60m");
        assert_eq!(rule.to_string(), rule.words());
    }
}
