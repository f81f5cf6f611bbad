//! Everything that can be wrong with a policy, in words that tell its author what to write instead.

use thiserror::Error;

use super::MAX_RULES;
use super::lock::LockFault;
use super::modifier::ModifierWord;
use super::number::NumberFault;
use super::options::OptionWord;
use super::subject::Subject;
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
        "policy word {position}: expected a subject (IP, EMAIL, PAIR, EMAILS-PER-IP, IPS-PER-EMAIL, ALL or DEVICE), \
         after a rule one of its modifiers (LOCK, SHADOW or COUNT-DENIED), \
         an option (CAPACITY, IPV6-PREFIX or PLUS-TAGS), or PRESET"
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
        "policy word {position}: the limit {fault}; it must be a whole number from 1 to {max}, \
         written as limit/window, for example 5/15m",
        max = subject.max_limit()
    )]
    Limit {
        /// The place of the word that holds the limit.
        position: usize,
        /// What the rule counts for.
        subject: Subject,
        /// What is wrong with the limit.
        fault: NumberFault,
    },

    /// The limit is one, but above the [largest](Subject::max_limit) of its rule's subject.
    #[error(
        "policy word {position}: the limit is too large for {word}; it must be a whole number from 1 to {max}, \
         written as limit/window, for example 5/15m",
        word = subject.word(),
        max = subject.max_limit()
    )]
    LimitAboveSubject {
        /// The place of the word that holds the limit.
        position: usize,
        /// What the rule counts for.
        subject: Subject,
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

    /// A modifier does not follow a rule: it begins the policy, or comes after an option or a preset.
    #[error(
        "policy word {position}: {modifier} belongs behind the limit/window of the rule that it is for, \
         for example {example}",
        example = modifier.example()
    )]
    ModifierAstray {
        /// The place of the modifier.
        position: usize,
        /// Which modifier it is.
        modifier: ModifierWord,
    },

    /// A rule has a modifier already.
    #[error("policy word {position}: the rule has {modifier} already; give it once")]
    ModifierTwice {
        /// The place of the second one.
        position: usize,
        /// Which modifier it is.
        modifier: ModifierWord,
    },

    /// The words end after `LOCK`.
    #[error(
        "policy word {position}: LOCK is followed by one time or by first..longest, \
         for example LOCK 30m or LOCK 15m..24h; nothing follows this one"
    )]
    LockTimesMissing {
        /// The place of `LOCK`.
        position: usize,
    },

    /// The word after `LOCK` is not a lock's times.
    #[error(
        "policy word {position}: {fault}; LOCK is followed by one time or by first..longest, \
         each a whole number with a unit (ms, s, m, h or d), from 1ms to 30d, \
         for example LOCK 30m or LOCK 15m..24h"
    )]
    Lock {
        /// The place of the word after `LOCK`.
        position: usize,
        /// What is wrong with the times.
        fault: LockFault,
    },

    /// There are more than [`MAX_RULES`] rules.
    #[error("policy word {position}: one rule too many; a policy has at most {max} rules", max = MAX_RULES)]
    TooManyRules {
        /// The place of the subject of the first rule too many, or of the `PRESET` that brings it.
        position: usize,
    },

    /// A rule is there already, with the very same subject, limit, window and modifiers.
    ///
    /// With other modifiers it is another rule: `PAIR 5/15m PAIR 5/15m LOCK 1h SHADOW` tries out a lock.
    #[error("policy word {position}: the policy has this very rule already; give it once")]
    RepeatedRule {
        /// The place of the subject of the second one, or of the `PRESET` that brings it.
        position: usize,
    },

    /// Every rule is for `DEVICE`, so that an attempt without a device would be counted by none.
    #[error(
        "the policy has rules for DEVICE only, and would let everything through that carries no device: \
         give at least one for another subject, for example EMAIL 20/1h"
    )]
    OnlyDeviceRules,

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
        "policy word {position}: PRESET is followed by signin, signup, reset, otp or pci; nothing follows this one"
    )]
    PresetNameMissing {
        /// The place of `PRESET`.
        position: usize,
    },

    /// The word after `PRESET` names none.
    #[error("policy word {position}: the preset must be signin, signup, reset, otp or pci, for example PRESET signin")]
    UnknownPreset {
        /// The place of the name.
        position: usize,
    },
}
