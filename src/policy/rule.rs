//! Rules: a subject, how many attempts on it are admitted in how long a time, and what happens beyond that.

use std::fmt;

use super::limit::Limit;
use super::lock::Lock;
use super::modifier::ModifierWord;
use super::subject::Subject;
use super::window::Window;

/// One rule of a policy: in any [window](Rule::window), at most [limit](Rule::limit) attempts on each
/// identity of the [subject](Rule::subject) are admitted.
///
/// For a subject that [counts different ones](Subject::is_distinct_count), the limit is how many of them an identity
/// may have in a window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    subject: Subject,
    limit: Limit,
    window: Window,
    lock: Option<Lock>,
    enforcement: Enforcement,
    counting: Counting,
    /// Made once, since every verdict of a check carries them.
    words: Box<str>,
}

/// Whether a rule refuses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Enforcement {
    /// It refuses what is beyond its limit.
    #[default]
    Enforced,
    /// `SHADOW`: it counts and reports what it would have refused, and never refuses.
    Shadow,
}

/// Which attempts a rule counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Counting {
    /// Those that every rule admitted.
    #[default]
    AdmittedOnly,
    /// `COUNT-DENIED`: those too that this rule admitted and another refused.
    AlsoDenied,
}

impl Rule {
    /// The rule that admits `limit` attempts on `subject` in any `window`, with no modifier.
    ///
    /// Reading a policy refuses a `limit` above [`Subject::max_limit`]; this takes any.
    #[must_use]
    pub fn new(subject: Subject, limit: Limit, window: Window) -> Self {
        Self {
            subject,
            limit,
            window,
            lock: None,
            enforcement: Enforcement::default(),
            counting: Counting::default(),
            words: Box::default(),
        }
        .worded()
    }

    /// The same rule, shutting for `lock` when it refuses.
    #[must_use]
    pub fn with_lock(mut self, lock: Lock) -> Self {
        self.lock = Some(lock);
        self.worded()
    }

    /// The same rule, never refusing.
    #[must_use]
    pub fn in_shadow(mut self) -> Self {
        self.enforcement = Enforcement::Shadow;
        self.worded()
    }

    /// The same rule, also counting what other rules refused.
    #[must_use]
    pub fn counting_denied(mut self) -> Self {
        self.counting = Counting::AlsoDenied;
        self.worded()
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

    /// For how long the rule shuts when it refuses; None if it does not.
    #[must_use]
    pub fn lock(&self) -> Option<Lock> {
        self.lock
    }

    /// Whether the rule refuses.
    #[must_use]
    pub fn enforcement(&self) -> Enforcement {
        self.enforcement
    }

    /// Which attempts the rule counts.
    #[must_use]
    pub fn counting(&self) -> Counting {
        self.counting
    }

    /// Whether the rule was given `modifier`.
    #[must_use]
    pub fn has(&self, modifier: ModifierWord) -> bool {
        match modifier {
            ModifierWord::Lock => self.lock.is_some(),
            ModifierWord::Shadow => self.enforcement == Enforcement::Shadow,
            ModifierWord::CountDenied => self.counting == Counting::AlsoDenied,
        }
    }

    /// The rule in the policy's own words, such as `EMAIL 20/1h` or `PAIR 5/15m LOCK 15m..24h SHADOW`: ASCII, and
    /// different for different rules.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The same rule, with the words that its parts ask for.
    fn worded(mut self) -> Self {
        let mut words = format!("{} {}/{}", self.subject.word(), self.limit, self.window);
        for modifier in ModifierWord::EVERY {
            if self.has(modifier) {
                words.push(' ');
                words.push_str(&self.modifier_words(modifier));
            }
        }
        self.words = words.into_boxed_str();
        self
    }

    /// The word of `modifier`, and what this rule gives it.
    fn modifier_words(&self, modifier: ModifierWord) -> String {
        match self.lock {
            Some(lock) if modifier == ModifierWord::Lock => lock.to_string(),
            _ => modifier.to_string(),
        }
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
    use super::{Counting, Enforcement, Limit, Lock, ModifierWord, Rule, Subject, Window};

    /// The rule `EMAIL 20/60m`.
    fn plain() -> Rule {
        let limit = Limit::new(20).unwrap();
        let window = Window::new(60, Unit::Minute).unwrap();
        Rule::new(Subject::Email, limit, window)
    }

    #[test]
    fn a_rule_keeps_its_parts_and_has_words() {
        let rule = plain();
        assert_eq!(rule.subject(), Subject::Email);
        assert_eq!(rule.limit().get(), 20);
        assert_eq!(rule.window().to_string(), "60m");
        assert_eq!(rule.lock(), None);
        assert_eq!(rule.enforcement(), Enforcement::Enforced);
        assert_eq!(rule.counting(), Counting::AdmittedOnly);
        assert_eq!(rule.words(), "EMAIL 20/60m");
        assert_eq!(rule.to_string(), rule.words());
    }

    #[test]
    fn modifiers_are_kept_and_printed_in_one_order() {
        let lock = Lock::parse(b"15m..24h").unwrap();
        let rule = plain().counting_denied().in_shadow().with_lock(lock);
        assert_eq!(rule.lock(), Some(lock));
        assert_eq!(rule.enforcement(), Enforcement::Shadow);
        assert_eq!(rule.counting(), Counting::AlsoDenied);
        assert_eq!(rule.words(), "EMAIL 20/60m LOCK 15m..24h SHADOW COUNT-DENIED");
        assert!(ModifierWord::EVERY.iter().all(|&modifier| rule.has(modifier)));
    }

    #[test]
    fn each_modifier_makes_another_rule() {
        let lock = Lock::parse(b"30m").unwrap();
        let rows = [
            (plain().with_lock(lock), "EMAIL 20/60m LOCK 30m"),
            (plain().in_shadow(), "EMAIL 20/60m SHADOW"),
            (plain().counting_denied(), "EMAIL 20/60m COUNT-DENIED"),
        ];
        for (rule, words) in rows {
            assert_eq!(rule.words(), words);
            assert_ne!(rule, plain());
        }
    }
}
