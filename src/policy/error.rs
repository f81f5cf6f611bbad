//! Everything that can be wrong with a policy, in words that tell its author what to write instead.

use thiserror::Error;

use super::MAX_RULES;
use super::number::NumberFault;
use super::options::OptionWord;
use super::window::WindowFault;

/// Why some words are not a policy.
///
/// `position` is the place of the word at fault, counting from 1. The message is ASCII and holds nothing of what
/// was sent: it goes into replies and logs, where foreign bytes can do harm (the type has no place to keep any).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PolicyError {
    /// There is no rule among the words.
    #[error("the policy has no rule: give at least one, for example PAIR 5/15m, or a PRESET")]
    NoRules,

    /// A word stands where a rule, an option or a preset has to begin, and begins none.
    #[error(
        "policy word {position}: expected a subject (IP, EMAIL or PAIR), \
         an option (IPV6-PREFIX or PLUS-TAGS), or PRESET"
    )]
    UnknownWord {
        /// The place of that word.
        position: usize,
    },

    /// The words end after a subject.
    #[error(
        "policy word {position}: a subject is followed by limit/window, for example PAIR 5/15m; \
         nothing follows this one"
    )]
    RuleValueMissing {
        /// The place of the subject.
        position: usize,
    },

    /// The word after a subject has no `/`.
    #[error(
        "policy word {position}: a subject is followed by limit/window, for example PAIR 5/15m; \
         this word has no slash"
    )]
    RuleValueShape {
        /// The place of the word after the subject.
        position: usize,
    },

    /// What comes before the `/` is not a limit.
    #[error(
        "policy word {position}: the limit {fault}; it must be a whole number from 1 to 100000, \
         written as limit/window, for example 5/15m"
    )]
    Limit {
        /// The place of the word that holds the limit.
        position: usize,
        /// What is wrong with the limit.
        fault: NumberFault,
    },

    /// What comes after the `/` is not a window.
    #[error(
        "policy word {position}: the window {fault}; it must be a whole number with a unit \
         (ms, s, m, h or d), from 1ms to 30d, written as limit/window, for example 5/15m"
    )]
    Window {
        /// The place of the word that holds the window.
        position: usize,
        /// What is wrong with the window.
        fault: WindowFault,
    },

    /// There are more than [`MAX_RULES`] rules.
    #[error("policy word {position}: one rule too many; a policy has at most {max} rules", max = MAX_RULES)]
    TooManyRules {
        /// The place of the subject of the first rule too many, or of the `PRESET` that brings it.
        position: usize,
    },

    /// A rule is there already, with the very same subject, limit and window.
    #[error("policy word {position}: the policy has this very rule already; give it once")]
    RepeatedRule {
        /// The place of the subject of the second one, or of the `PRESET` that brings it.
        position: usize,
    },

    /// The words end after an option.
    #[error(
        "policy word {position}: {option} is followed by {expects}; nothing follows this one",
        expects = option.expects()
    )]
    OptionValueMissing {
        /// The place of the option.
        position: usize,
        /// Which option it is.
        option: OptionWord,
    },

    /// The word after an option is not a value of it.
    #[error("policy word {position}: {option} must be {expects}", expects = option.expects())]
    OptionValue {
        /// The place of the word after the option.
        position: usize,
        /// Which option it is.
        option: OptionWord,
    },

    /// An option was given before. (One that a preset gave may be given again.)
    #[error("policy word {position}: {option} is in the policy already; give it once")]
    OptionTwice {
        /// The place of the second one.
        position: usize,
        /// Which option it is.
        option: OptionWord,
    },

    /// The words end after `PRESET`.
    #[error(
        "policy word {position}: PRESET is followed by signin, signup, reset or otp; nothing follows this one"
    )]
    PresetNameMissing {
        /// The place of `PRESET`.
        position: usize,
    },

    /// The word after `PRESET` names none.
    #[error(
        "policy word {position}: the preset must be signin, signup, reset or otp, for example PRESET signin"
    )]
    UnknownPreset {
        /// The place of the name.
        position: usize,
    },
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::PolicyError;
    use crate::policy::{Limit, MAX_RULES, OptionWord, Policy, Preset, Subject};

    /// The message that reading `text` ends with.
    fn message(text: &str) -> String {
        Policy::from_text(text).unwrap_err().to_string()
    }

    #[test]
    fn each_fault_has_this_message() {
        let rows = [
            (
                "",
                "the policy has no rule: give at least one, for example PAIR 5/15m, or a PRESET",
            ),
            (
                "PLUS-TAGS strip",
                "the policy has no rule: give at least one, for example PAIR 5/15m, or a PRESET",
            ),
            (
                "IP 5/1h NAME 5/1h",
                "policy word 3: expected a subject (IP, EMAIL or PAIR), \
                 an option (IPV6-PREFIX or PLUS-TAGS), or PRESET",
            ),
            (
                "IP 5/1h EMAIL",
                "policy word 3: a subject is followed by limit/window, for example PAIR 5/15m; \
                 nothing follows this one",
            ),
            (
                "IP EMAIL 5/1h",
                "policy word 2: a subject is followed by limit/window, for example PAIR 5/15m; \
                 this word has no slash",
            ),
            (
                "IP 5.5/1h",
                "policy word 2: the limit has a fraction; it must be a whole number from 1 to 100000, \
                 written as limit/window, for example 5/15m",
            ),
            (
                "IP 5/1h EMAIL 100001/1h",
                "policy word 4: the limit is too large; it must be a whole number from 1 to 100000, \
                 written as limit/window, for example 5/15m",
            ),
            (
                "IP 5/31d",
                "policy word 2: the window is longer than 30 days; it must be a whole number with a unit \
                 (ms, s, m, h or d), from 1ms to 30d, written as limit/window, for example 5/15m",
            ),
            (
                "IP 5/015m",
                "policy word 2: the window begins with a needless zero; it must be a whole number with a unit \
                 (ms, s, m, h or d), from 1ms to 30d, written as limit/window, for example 5/15m",
            ),
            (
                "IP 5/1h ip 5/1H",
                "policy word 3: the policy has this very rule already; give it once",
            ),
            (
                "IP 5/1h IPV6-PREFIX",
                "policy word 3: IPV6-PREFIX is followed by a whole number from 32 to 128, \
                 for example IPV6-PREFIX 56; nothing follows this one",
            ),
            (
                "IP 5/1h IPV6-PREFIX 129",
                "policy word 4: IPV6-PREFIX must be a whole number from 32 to 128, for example IPV6-PREFIX 56",
            ),
            (
                "PLUS-TAGS drop IP 5/1h",
                "policy word 2: PLUS-TAGS must be keep or strip, for example PLUS-TAGS strip",
            ),
            (
                "PLUS-TAGS keep IP 5/1h PLUS-TAGS keep",
                "policy word 5: PLUS-TAGS is in the policy already; give it once",
            ),
            (
                "IP 5/1h PRESET",
                "policy word 3: PRESET is followed by signin, signup, reset or otp; nothing follows this one",
            ),
            (
                "PRESET login",
                "policy word 2: the preset must be signin, signup, reset or otp, for example PRESET signin",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn one_rule_too_many_is_named_by_its_place() {
        let rules: Vec<_> = (1..=MAX_RULES + 1).map(|n| format!("IP {n}/1h")).collect();
        assert!(Policy::from_text(&rules[..MAX_RULES].join(" ")).is_ok());
        assert_eq!(
            message(&rules.join(" ")),
            "policy word 65: one rule too many; a policy has at most 32 rules"
        );
    }

    #[test]
    fn the_messages_name_everything_there_is() {
        let unknown_word = PolicyError::UnknownWord { position: 1 }.to_string();
        let begins = Subject::EVERY.map(Subject::word);
        for word in begins
            .into_iter()
            .chain(OptionWord::EVERY.map(OptionWord::word))
        {
            assert!(unknown_word.contains(word), "{word}");
        }
        let missing = PolicyError::PresetNameMissing { position: 1 }.to_string();
        let unknown = PolicyError::UnknownPreset { position: 1 }.to_string();
        for name in Preset::EVERY.map(Preset::name) {
            assert!(missing.contains(name) && unknown.contains(name), "{name}");
        }
        assert!(message("IP 0/1h").contains(&format!("from 1 to {}", Limit::MAX)));
    }
}
