//! From words to a [`Policy`].

use std::iter::{self, Peekable};

use super::Policy;
use super::error::PolicyError;
use super::keyword::Keyword;
use super::options::{OptionWord, Options, Preset};
use super::quantity::{Limit, Lock, Millis, Window};
use super::rule::{Counting, Enforcement, MAX_RULES, ModifierWord, Modifiers, Rule, Subject};

impl Policy {
    /// Reads a new policy from its words, such as the arguments of a command.
    ///
    /// It stops at the first wrong word, and keeps none of the words.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] says which word is wrong, counted from 1, and what to write instead.
    pub fn parse<I, W>(words: I) -> Result<Self, PolicyError>
    where
        I: IntoIterator<Item = W>,
        W: AsRef<[u8]>,
    {
        Draft::read_policy(words, Age::New)
    }

    /// Reads a policy that was stored, from words that ASCII white space separates. It may be one that a later version
    /// refuses as a new policy: a lock may be shorter than its rule's window, and two rules may differ in their
    /// modifiers only.
    ///
    /// # Errors
    ///
    /// As [`Policy::parse`], but for that.
    pub fn from_text(text: &str) -> Result<Self, PolicyError> {
        Draft::read_policy(text.split_ascii_whitespace(), Age::Stored)
    }
}

/// Where words come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The policy itself.
    Policy,
    /// A preset that the policy names.
    Preset(Preset),
}

/// Whether a policy is new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    /// It is to be set.
    New,
    /// It was set earlier, perhaps by an older version.
    Stored,
}

/// A rule with where it comes from.
struct DraftRule {
    /// The position of its subject, or of the `PRESET` that it comes from.
    position: usize,
    source: Source,
    rule: Rule,
}

/// What the words read so far say, not yet checked as a whole.
struct Draft {
    age: Age,
    rules: Vec<DraftRule>,
    options: Options,
    /// The options that the policy itself gave: a preset does not change them.
    given: Vec<OptionWord>,
}

impl Draft {
    /// Reads a policy from its words.
    fn read_policy<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>, age: Age) -> Result<Policy, PolicyError> {
        let mut draft = Self { age, rules: Vec::new(), options: Options::default(), given: Vec::new() };
        draft.read((1..).zip(words), Source::Policy)?;
        draft.finish()
    }

    /// Reads words, each with its position, up to the first that is wrong where it stands.
    fn read<W: AsRef<[u8]>>(
        &mut self,
        words: impl Iterator<Item = (usize, W)>,
        source: Source,
    ) -> Result<(), PolicyError> {
        let mut words = words.peekable();
        while let Some((position, word)) = words.next() {
            let word = word.as_ref();
            if let Some(subject) = Subject::from_word(word) {
                let rule = read_rule(subject, position, &mut words, self.age)?;
                // Checked here and not at the end, so that no number of words makes more rules than this.
                if self.rules.len() >= MAX_RULES {
                    return Err(PolicyError::TooManyRules { position });
                }
                self.rules.push(DraftRule { position, source, rule });
            } else if let Some(modifier) = ModifierWord::from_word(word) {
                return Err(PolicyError::MisplacedModifier { position, modifier });
            } else if let Some(option) = OptionWord::from_word(word) {
                self.read_option(option, position, words.next(), source)?;
            } else if word.eq_ignore_ascii_case(b"PRESET") {
                let (at, name) = words.next().ok_or(PolicyError::PresetNameMissing { position })?;
                let preset = Preset::from_word(name.as_ref()).ok_or(PolicyError::UnknownPreset { position: at })?;
                // All its words are at the position of the word PRESET.
                self.read(iter::repeat(position).zip(preset.words().split_ascii_whitespace()), Source::Preset(preset))?;
            } else {
                return Err(PolicyError::UnknownWord { position });
            }
        }
        Ok(())
    }

    /// Reads the value of the option at `position`, which is the next word.
    fn read_option<W: AsRef<[u8]>>(
        &mut self,
        option: OptionWord,
        position: usize,
        next: Option<(usize, W)>,
        source: Source,
    ) -> Result<(), PolicyError> {
        match (source, self.given.contains(&option)) {
            (Source::Policy, true) => return Err(PolicyError::OptionTwice { position, option }),
            (Source::Policy, false) => self.given.push(option),
            (Source::Preset(_), true) => return Ok(()),
            (Source::Preset(_), false) => {}
        }
        let (position, value) = next.ok_or(PolicyError::OptionValueMissing { position, option })?;
        self.options.set(option, value.as_ref()).ok_or(PolicyError::OptionValue { position, option })
    }

    /// Checks what only the whole policy shows, and makes it.
    fn finish(self) -> Result<Policy, PolicyError> {
        if self.rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        for (index, DraftRule { position, rule, .. }) in self.rules.iter().enumerate() {
            let is_same = |earlier: &DraftRule| match self.age {
                Age::New => earlier.rule.key() == rule.key(),
                Age::Stored => earlier.rule == *rule,
            };
            if self.rules.iter().take(index).any(is_same) {
                return Err(PolicyError::RepeatedRule { position: *position });
            }
        }
        self.rules.iter().try_for_each(|rule| self.check_against_presets(rule))?;
        // A client could otherwise escape every limit by leaving the device out.
        if self.rules.iter().all(|draft| draft.rule.subject().needs_device()) {
            return Err(PolicyError::OnlyDeviceRules);
        }
        Ok(Policy { rules: self.rules.into_iter().map(|draft| draft.rule).collect(), options: self.options })
    }

    /// Refuses a rule of the policy itself that a preset's rule covers: whoever adds it expects that it replaces that
    /// one.
    fn check_against_presets(&self, added: &DraftRule) -> Result<(), PolicyError> {
        let covering = self.rules.iter().find_map(|draft| match draft.source {
            Source::Preset(preset) if draft.rule.covers(&added.rule) => Some(preset),
            _ => None,
        });
        match covering {
            Some(preset) if added.source == Source::Policy => {
                let (position, subject) = (added.position, added.rule.subject());
                Err(PolicyError::CoveredByPreset { position, preset, subject })
            }
            _ => Ok(()),
        }
    }
}

/// Reads the rule whose `subject` is at `position`: `limit/window` and all modifiers that follow.
fn read_rule<W: AsRef<[u8]>>(
    subject: Subject,
    position: usize,
    words: &mut Peekable<impl Iterator<Item = (usize, W)>>,
    age: Age,
) -> Result<Rule, PolicyError> {
    let (at, value) = words.next().ok_or(PolicyError::RuleValueMissing { position })?;
    let (limit, window) = read_limit_and_window(subject, at, value.as_ref())?;
    let mut modifiers = Modifiers::default();
    while let Some((position, modifier)) = next_modifier(words) {
        if modifiers.has(modifier) {
            return Err(PolicyError::ModifierTwice { position, modifier });
        }
        match modifier {
            ModifierWord::Lock => {
                let shortest = if age == Age::New { window.length() } else { Millis::ZERO };
                modifiers.lock = Some(read_lock(position, words.next(), shortest)?);
            }
            ModifierWord::Shadow => modifiers.enforcement = Enforcement::Shadow,
            ModifierWord::CountDenied => modifiers.counting = Counting::AlsoDenied,
        }
    }
    Ok(Rule::new(subject, limit, window, modifiers))
}

/// Reads the `limit/window` at `position`.
fn read_limit_and_window(subject: Subject, position: usize, value: &[u8]) -> Result<(Limit, Window), PolicyError> {
    let mut parts = value.splitn(2, |&byte| byte == b'/');
    let (Some(limit), Some(window)) = (parts.next(), parts.next()) else {
        return Err(PolicyError::RuleValueShape { position });
    };
    let limit = Limit::parse(limit).map_err(|error| PolicyError::Limit { position, subject, error })?;
    if limit.get() > subject.max_limit() {
        return Err(PolicyError::LimitAboveSubject { position, subject });
    }
    let window = Window::parse(window).map_err(|error| PolicyError::Window { position, error })?;
    Ok((limit, window))
}

/// Takes the next word if it is a modifier, and leaves any other.
fn next_modifier<W: AsRef<[u8]>>(
    words: &mut Peekable<impl Iterator<Item = (usize, W)>>,
) -> Option<(usize, ModifierWord)> {
    let (position, word) = words.peek()?;
    let found = (*position, ModifierWord::from_word(word.as_ref())?);
    words.next();
    Some(found)
}

/// Reads the times of the `LOCK` at `position`, which are the next word. The first must be at least `shortest`.
fn read_lock<W: AsRef<[u8]>>(position: usize, next: Option<(usize, W)>, shortest: Millis) -> Result<Lock, PolicyError> {
    let (position, times) = next.ok_or(PolicyError::LockTimesMissing { position })?;
    let lock = Lock::parse(times.as_ref()).map_err(|error| PolicyError::Lock { position, error })?;
    if lock.first() < shortest { Err(PolicyError::LockBelowWindow { position }) } else { Ok(lock) }
}
