//! From words to a policy.

mod rule;

use super::error::PolicyError;
use super::modifier::ModifierWord;
use super::options::{GivenOptions, OptionWord};
use super::preset::Preset;
use super::rule::Rule;
use super::subject::Subject;
use super::{MAX_RULES, Policy};

/// Reads a policy; what [`Policy::parse`] does.
pub(super) fn policy<I, W>(words: I) -> Result<Policy, PolicyError>
where
    I: IntoIterator<Item = W>,
    W: AsRef<[u8]>,
{
    Draft::read(words)?.finish()
}

/// A word that is of the language wherever it stands, unlike a value.
enum Keyword {
    Subject(Subject),
    Modifier(ModifierWord),
    Option(OptionWord),
    Preset,
}

impl Keyword {
    /// The keyword that `word` is, in upper or lower case; None if it is none.
    fn from_word(word: &[u8]) -> Option<Self> {
        if word.eq_ignore_ascii_case(b"PRESET") {
            return Some(Self::Preset);
        }
        Subject::from_word(word)
            .map(Self::Subject)
            .or_else(|| ModifierWord::from_word(word).map(Self::Modifier))
            .or_else(|| OptionWord::from_word(word).map(Self::Option))
    }
}

/// A rule, and the place of the word that brought it.
struct PlacedRule {
    position: usize,
    rule: Rule,
}

/// A policy being read: what the words said so far, not yet checked as a whole.
#[derive(Default)]
struct Draft {
    rules: Vec<PlacedRule>,
    outright: GivenOptions,
    from_presets: GivenOptions,
}

impl Draft {
    /// Reads all words, or up to the first that is wrong where it stands.
    fn read<I, W>(words: I) -> Result<Self, PolicyError>
    where
        I: IntoIterator<Item = W>,
        W: AsRef<[u8]>,
    {
        let mut draft = Self::default();
        let mut words = (1_usize..).zip(words).peekable();
        while let Some((position, word)) = words.next() {
            let keyword = Keyword::from_word(word.as_ref()).ok_or(PolicyError::UnknownWord { position })?;
            match keyword {
                Keyword::Subject(subject) => {
                    let rule = rule::read(subject, position, &mut words)?;
                    draft.add_rule(PlacedRule { position, rule })?;
                }
                Keyword::Modifier(modifier) => {
                    return Err(PolicyError::ModifierAstray { position, modifier });
                }
                Keyword::Option(option) => {
                    draft.check_first(option, position)?;
                    let (at, value) = words.next().ok_or(PolicyError::OptionValueMissing { position, option })?;
                    draft.set_option(option, at, value.as_ref())?;
                }
                Keyword::Preset => {
                    let (at, name) = words.next().ok_or(PolicyError::PresetNameMissing { position })?;
                    draft.add_preset(position, read_preset(at, name.as_ref())?)?;
                }
            }
        }
        Ok(draft)
    }

    /// Adds a rule, unless there are as many as may be.
    ///
    /// Counting here, and not at the end, keeps a hundred thousand words from becoming as many rules.
    fn add_rule(&mut self, rule: PlacedRule) -> Result<(), PolicyError> {
        if self.rules.len() >= MAX_RULES {
            let position = rule.position;
            return Err(PolicyError::TooManyRules { position });
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Checks that `option` was not given outright before.
    fn check_first(&self, option: OptionWord, position: usize) -> Result<(), PolicyError> {
        if self.outright.has(option) {
            return Err(PolicyError::OptionTwice { position, option });
        }
        Ok(())
    }

    /// Gives `option` the value in the word at `position`.
    fn set_option(&mut self, option: OptionWord, position: usize, value: &[u8]) -> Result<(), PolicyError> {
        self.outright.set(option, value).map_err(|_| PolicyError::OptionValue { position, option })
    }

    /// Adds what the words of `preset` say, all at the place of the word `PRESET`.
    fn add_preset(&mut self, position: usize, preset: Preset) -> Result<(), PolicyError> {
        let inner = Self::read(preset.words().split_ascii_whitespace())?;
        for PlacedRule { rule, .. } in inner.rules {
            self.add_rule(PlacedRule { position, rule })?;
        }
        self.from_presets = inner.outright.over(self.from_presets);
        Ok(())
    }

    /// Checks what only the whole can show, and makes the policy.
    fn finish(self) -> Result<Policy, PolicyError> {
        if self.rules.is_empty() {
            return Err(PolicyError::NoRules);
        }
        self.check_repeats()?;
        self.check_without_device()?;
        Ok(Policy {
            rules: self.rules.into_iter().map(|placed| placed.rule).collect(),
            options: self.outright.over(self.from_presets).or_default(),
        })
    }

    /// Checks that some rule counts an attempt that carries no device.
    ///
    /// Whoever leaves the device away would otherwise leave the limit behind.
    fn check_without_device(&self) -> Result<(), PolicyError> {
        if self.rules.iter().all(|placed| placed.rule.subject().needs_device()) {
            return Err(PolicyError::OnlyDeviceRules);
        }
        Ok(())
    }

    /// Checks that no rule is there twice.
    fn check_repeats(&self) -> Result<(), PolicyError> {
        let repeated = self.rules.iter().enumerate().find(|&(index, placed)| {
            let mut earlier = self.rules.iter().take(index);
            earlier.any(|other| other.rule == placed.rule)
        });
        match repeated {
            None => Ok(()),
            Some((_, &PlacedRule { position, .. })) => Err(PolicyError::RepeatedRule { position }),
        }
    }
}

/// Reads the preset whose name is the word at `position`.
fn read_preset(position: usize, name: &[u8]) -> Result<Preset, PolicyError> {
    Preset::from_name(name).ok_or(PolicyError::UnknownPreset { position })
}
