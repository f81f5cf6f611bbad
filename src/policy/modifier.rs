//! Modifiers: the words after a rule's figures that change what it does.

use std::fmt;

/// The word of a modifier, which follows a rule's `limit/window`. It prints as that word, in upper case.
///
/// Each applies to the rule before it, whatever the rule's subject, and may be combined with the others: a rule
/// with `LOCK` and `SHADOW` reports the locks that there would be.
///
/// To add one: a variant and its arms here, a field in [`Rule`](super::Rule), and an arm in `parse::rule`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModifierWord {
    /// `LOCK d` or `LOCK d..max`: the rule shuts when it refuses, see [`Lock`](super::Lock).
    ///
    /// A lock ends no window early: it makes a wait longer only where it outlasts what the window still asks for.
    /// On a rule for `ALL` it shuts the limiter to everybody, which is then in anybody's power to bring about.
    Lock,
    /// `SHADOW`: the rule counts and reports, and never refuses, see [`Enforcement`](super::Enforcement).
    Shadow,
    /// `COUNT-DENIED`: the rule also counts what other rules refused, see [`Counting`](super::Counting).
    ///
    /// It changes nothing where no other rule can refuse.
    CountDenied,
}

impl ModifierWord {
    /// Every modifier, in the order in which a rule prints them.
    pub const EVERY: [Self; 3] = [Self::Lock, Self::Shadow, Self::CountDenied];

    /// The modifier's word in a policy, in upper case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Lock => "LOCK",
            Self::Shadow => "SHADOW",
            Self::CountDenied => "COUNT-DENIED",
        }
    }

    /// A rule that has the modifier.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Lock => "PAIR 5/15m LOCK 15m..24h",
            Self::Shadow => "EMAIL 20/1h SHADOW",
            Self::CountDenied => "IP 50/15m COUNT-DENIED",
        }
    }

    /// The modifier of this word, in upper or lower case; None if there is none.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::EVERY.into_iter().find(|modifier| word.eq_ignore_ascii_case(modifier.word().as_bytes()))
    }
}

impl fmt::Display for ModifierWord {
    /// Writes the modifier's [word](ModifierWord::word).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::ModifierWord;
    use crate::policy::Policy;

    #[test]
    fn words_lead_back_to_their_modifier() {
        for modifier in ModifierWord::EVERY {
            let lower = modifier.word().to_ascii_lowercase();
            assert_eq!(ModifierWord::from_word(lower.as_bytes()), Some(modifier));
        }
        assert_eq!(ModifierWord::from_word(b"LOCKED"), None);
        assert_eq!(ModifierWord::from_word(b"COUNT_DENIED"), None);
        assert_eq!(ModifierWord::from_word(b""), None);
    }

    #[test]
    fn each_example_is_a_rule_with_its_modifier() {
        for modifier in ModifierWord::EVERY {
            let example = modifier.example();
            assert!(example.contains(modifier.word()), "{example}");
            let policy = Policy::from_text(example).unwrap();
            assert_eq!(policy.to_string(), example);
        }
    }
}
