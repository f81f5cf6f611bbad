//! Everything that can be wrong with a policy. Each message says what to write instead.

use thiserror::Error;

use super::keyword::Keyword;
use super::options::{OptionWord, Preset};
use super::quantity::{LockError, NumberError, WindowError};
use super::rule::{MAX_RULES, ModifierWord, Subject};

/// Why some words are not a policy.
///
/// `position` is the place of the word at fault, counted from 1, and `error` what is wrong with it. The type has no
/// room for client bytes, and the message is ASCII: it goes into replies and logs, where other bytes can do harm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[expect(missing_docs, reason = "their names say what the fields are")]
pub enum PolicyError {
    /// No word begins a rule.
    #[error("the policy has no rule: give at least one, for example PAIR 5/15m, or a PRESET")]
    NoRules,

    /// A word begins no rule, modifier, option or preset.
    #[error(
        "policy word {position}: expected a subject ({subjects}), after a rule one of its modifiers ({modifiers}), \
         an option ({options}), or PRESET",
        subjects = Subject::choices(),
        modifiers = ModifierWord::choices(),
        options = OptionWord::choices()
    )]
    UnknownWord { position: usize },

    /// The words end after a subject.
    #[error(
        "policy word {position}: a subject is followed by limit/window, for example PAIR 5/15m; \
         nothing follows this one"
    )]
    RuleValueMissing { position: usize },

    /// The word after a subject has no `/`.
    #[error(
        "policy word {position}: a subject is followed by limit/window, for example PAIR 5/15m; \
         this word has no slash"
    )]
    RuleValueShape { position: usize },

    /// The text before the `/` is not a limit.
    #[error(
        "policy word {position}: the limit {error}; it must be a whole number from 1 to {max}, \
         written as limit/window, for example 5/15m",
        max = subject.max_limit()
    )]
    Limit { position: usize, subject: Subject, error: NumberError },

    /// The limit is above the [largest](Subject::max_limit) of its rule's subject.
    #[error(
        "policy word {position}: the limit is too large for {word}; it must be a whole number from 1 to {max}, \
         written as limit/window, for example 5/15m",
        word = subject.word(),
        max = subject.max_limit()
    )]
    LimitAboveSubject { position: usize, subject: Subject },

    /// The text after the `/` is not a window.
    #[error(
        "policy word {position}: the window {error}; it must be a whole number with a unit \
         (ms, s, m, h or d), from 1ms to 30d, written as limit/window, for example 5/15m"
    )]
    Window { position: usize, error: WindowError },

    /// A modifier does not follow a rule: it begins the policy, or follows an option or a preset.
    #[error(
        "policy word {position}: {word} belongs after the limit/window of the rule that it is for, \
         for example {example}",
        word = modifier.word(),
        example = modifier.example()
    )]
    MisplacedModifier { position: usize, modifier: ModifierWord },

    /// The rule already has the modifier.
    #[error("policy word {position}: the rule has {word} already; give it once", word = modifier.word())]
    ModifierTwice { position: usize, modifier: ModifierWord },

    /// The words end after `LOCK`.
    #[error(
        "policy word {position}: LOCK is followed by one time or by first..longest, \
         for example LOCK 30m or LOCK 15m..24h; nothing follows this one"
    )]
    LockTimesMissing { position: usize },

    /// The word after `LOCK` is not a lock.
    #[error(
        "policy word {position}: {error}; LOCK is followed by one time or by first..longest, \
         each a whole number with a unit (ms, s, m, h or d), from 1ms to 30d, \
         for example LOCK 30m or LOCK 15m..24h"
    )]
    Lock { position: usize, error: LockError },

    /// The first lock is shorter than the window of its rule.
    #[error(
        "policy word {position}: the lock is shorter than the window of its rule, so it would end while the attempts \
         that began it still count; make it at least as long, for example PAIR 5/15m LOCK 15m..24h"
    )]
    LockBelowWindow { position: usize },

    /// There are more than [`MAX_RULES`] rules. The position is that of the first rule too many, or of the `PRESET` it
    /// comes from.
    #[error("policy word {position}: one rule too many; a policy has at most {max} rules", max = MAX_RULES)]
    TooManyRules { position: usize },

    /// A rule has the same subject, limit, window and `COUNT-DENIED` as an earlier one. The position is that of its
    /// subject, or of the `PRESET` it comes from.
    #[error(
        "policy word {position}: the policy already has this rule, perhaps with another LOCK or SHADOW; give it once"
    )]
    RepeatedRule { position: usize },

    /// A preset has a rule that refuses all that this added rule would refuse. The position is that of its subject.
    #[error(
        "policy word {position}: PRESET {name} has a stricter rule for {word}, so this one would refuse nothing; \
         to change that rule, write the preset out and change it there: {words}",
        name = preset.word(),
        word = subject.word(),
        words = preset.words()
    )]
    CoveredByPreset { position: usize, preset: Preset, subject: Subject },

    /// Every rule is for `DEVICE`, so that no rule would count an attempt without a device.
    #[error(
        "the policy has rules for DEVICE only, and would let everything through that carries no device: \
         give at least one for another subject, for example EMAIL 20/1h"
    )]
    OnlyDeviceRules,

    /// The words end after an option.
    #[error(
        "policy word {position}: {word} is followed by {expects}; nothing follows this one",
        word = option.word(),
        expects = option.expects()
    )]
    OptionValueMissing { position: usize, option: OptionWord },

    /// The word after an option is not a value of it.
    #[error("policy word {position}: {word} must be {expects}", word = option.word(), expects = option.expects())]
    OptionValue { position: usize, option: OptionWord },

    /// An option was given before, and not by a preset.
    #[error("policy word {position}: {word} is in the policy already; give it once", word = option.word())]
    OptionTwice { position: usize, option: OptionWord },

    /// The words end after `PRESET`.
    #[error(
        "policy word {position}: PRESET is followed by {names}; nothing follows this one",
        names = Preset::choices()
    )]
    PresetNameMissing { position: usize },

    /// The word after `PRESET` is not a preset.
    #[error("policy word {position}: the preset must be {names}, for example PRESET signin", names = Preset::choices())]
    UnknownPreset { position: usize },
}
