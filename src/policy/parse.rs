//! From words to a policy.

use super::error::PolicyError;
use super::limit::Limit;
use super::options::{GivenOptions, OptionWord};
use super::preset::Preset;
use super::rule::Rule;
use super::subject::Subject;
use super::window::Window;
use super::{MAX_RULES, Policy};

/// Reads a policy; what [`Policy::parse`] does.
pub(super) fn policy<I, W>(words: I) -> Result<Policy, PolicyError>
where
    I: IntoIterator<Item = W>,
    W: AsRef<[u8]>,
{
    Draft::read(words)?.finish()
}

/// A word that something begins with.
enum Keyword {
    Subject(Subject),
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
        let mut words = (1_usize..).zip(words);
        while let Some((position, word)) = words.next() {
            let keyword =
                Keyword::from_word(word.as_ref()).ok_or(PolicyError::UnknownWord { position })?;
            match keyword {
                Keyword::Subject(subject) => {
                    let (at, value) = words
                        .next()
                        .ok_or(PolicyError::RuleValueMissing { position })?;
                    let rule = read_rule(subject, at, value.as_ref())?;
                    draft.add_rule(PlacedRule { position, rule })?;
                }
                Keyword::Option(option) => {
                    draft.check_first(option, position)?;
                    let (at, value) = words
                        .next()
                        .ok_or(PolicyError::OptionValueMissing { position, option })?;
                    draft.set_option(option, at, value.as_ref())?;
                }
                Keyword::Preset => {
                    let (at, name) = words
                        .next()
                        .ok_or(PolicyError::PresetNameMissing { position })?;
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
    fn set_option(
        &mut self,
        option: OptionWord,
        position: usize,
        value: &[u8],
    ) -> Result<(), PolicyError> {
        self.outright
            .set(option, value)
            .map_err(|_| PolicyError::OptionValue { position, option })
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
        Ok(Policy {
            rules: self.rules.into_iter().map(|placed| placed.rule).collect(),
            options: self.outright.over(self.from_presets).or_default(),
        })
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

/// Reads the rule for `subject` whose `limit/window` is the word at `position`.
fn read_rule(subject: Subject, position: usize, value: &[u8]) -> Result<Rule, PolicyError> {
    let (limit, window) = split_slash(value).ok_or(PolicyError::RuleValueShape { position })?;
    let limit = Limit::parse(limit).map_err(|fault| PolicyError::Limit { position, fault })?;
    let window = Window::parse(window).map_err(|fault| PolicyError::Window { position, fault })?;
    Ok(Rule::new(subject, limit, window))
}

/// Reads the preset whose name is the word at `position`.
fn read_preset(position: usize, name: &[u8]) -> Result<Preset, PolicyError> {
    Preset::from_name(name).ok_or(PolicyError::UnknownPreset { position })
}

/// What comes before and after the first `/`; None if there is none.
fn split_slash(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = value.splitn(2, |&byte| byte == b'/');
    Some((parts.next()?, parts.next()?))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::cell::Cell;

    use crate::identity::{Ipv6Prefix, PlusTags};
    use crate::policy::{MAX_RULES, OptionWord, Policy, PolicyError, Preset};

    /// The policy that `text` spells, printed.
    fn printed(text: &str) -> String {
        Policy::from_text(text).unwrap().to_string()
    }

    /// What is wrong with `text`.
    fn fault(text: &str) -> PolicyError {
        Policy::from_text(text).unwrap_err()
    }

    #[test]
    fn words_are_read_in_any_case_and_printed_in_one() {
        assert_eq!(
            printed("iP 50/15M email 20/1H plus-TAGS Strip pair 5/900s ipv6-prefix 56"),
            "IP 50/15m EMAIL 20/1h PAIR 5/900s IPV6-PREFIX 56 PLUS-TAGS strip"
        );
    }

    #[test]
    fn options_at_their_default_are_not_printed() {
        assert_eq!(printed("IPV6-PREFIX 64 PLUS-TAGS keep IP 1/1s"), "IP 1/1s");
    }

    #[test]
    fn text_is_parted_by_ascii_white_space() {
        assert_eq!(printed("\t IP\n5/1h \r\n PAIR  1/1s "), "IP 5/1h PAIR 1/1s");
    }

    #[test]
    fn one_subject_and_window_may_have_several_limits() {
        let words = "IP 5/1h IP 6/1h IP 5/60m";
        assert_eq!(printed(words), words);
    }

    #[test]
    fn a_preset_expands_where_it_stands() {
        for preset in Preset::EVERY {
            assert_eq!(
                printed(&format!("preset {}", preset.name())),
                preset.words()
            );
        }
        assert_eq!(
            printed("PAIR 1/1s PRESET otp PAIR 2/1s"),
            format!("PAIR 1/1s {} PAIR 2/1s", Preset::Otp.words())
        );
    }

    #[test]
    fn an_option_given_outright_wins_over_a_preset() {
        for text in [
            "PLUS-TAGS keep PRESET signup",
            "PRESET signup PLUS-TAGS keep",
        ] {
            let options = Policy::from_text(text).unwrap().options();
            assert_eq!(options.plus_tags, PlusTags::Keep, "{text}");
        }
        let options = Policy::from_text("IPV6-PREFIX 48 PRESET signup")
            .unwrap()
            .options();
        assert_eq!(Some(options.ipv6_prefix), Ipv6Prefix::new(48));
        assert_eq!(options.plus_tags, PlusTags::Strip);
    }

    #[test]
    fn two_presets_may_give_the_same_option() {
        assert_eq!(
            printed("PRESET signup PRESET reset"),
            "IP 10/1h EMAIL 3/1h IP 10/15m EMAIL 3/15m EMAIL 10/24h PLUS-TAGS strip"
        );
    }

    #[test]
    fn an_option_given_outright_twice_is_an_error() {
        let option = OptionWord::PlusTags;
        assert_eq!(
            fault("PLUS-TAGS keep PRESET signup PLUS-TAGS keep"),
            PolicyError::OptionTwice {
                position: 5,
                option
            }
        );
        // Found before the value is, so that a policy ending here is not asked for one.
        assert_eq!(
            fault("IP 1/1s PLUS-TAGS keep PLUS-TAGS"),
            PolicyError::OptionTwice {
                position: 5,
                option
            }
        );
    }

    #[test]
    fn faults_of_a_preset_are_at_the_word_preset() {
        assert_eq!(
            fault("PAIR 5/15m PRESET signin"),
            PolicyError::RepeatedRule { position: 3 }
        );
        assert_eq!(
            fault("PRESET signin PAIR 5/15m"),
            PolicyError::RepeatedRule { position: 3 }
        );
        let rules: String = (1..MAX_RULES).map(|n| format!("PAIR {n}/1s ")).collect();
        assert_eq!(
            fault(&format!("{rules}PRESET signup")),
            PolicyError::TooManyRules { position: 63 }
        );
    }

    #[test]
    fn hostile_words_are_errors() {
        let words: [&[u8]; 8] = [
            b"",
            b"\0",
            b"IP\0",
            b"\x80",
            b"\xff\xfe",
            "\u{100}".as_bytes(),
            b"--",
            b"IP 5/1h",
        ];
        for word in words {
            let shown = word.escape_ascii();
            let begin = Policy::parse([word]);
            assert_eq!(
                begin,
                Err(PolicyError::UnknownWord { position: 1 }),
                "{shown}"
            );
            for before in [b"IP".as_slice(), b"IPV6-PREFIX", b"PLUS-TAGS", b"PRESET"] {
                if word != b"IP 5/1h" {
                    assert!(Policy::parse([before, word]).is_err(), "{shown}");
                }
            }
        }
    }

    #[test]
    fn a_word_of_a_megabyte_is_an_error() {
        for byte in [b'0', b'9', b'A', b'/', b'm', 0, 0xff] {
            let huge = vec![byte; 1 << 20];
            let as_limit = [&huge, b"/1h".as_slice()].concat();
            let as_window = [b"1/".as_slice(), &huge].concat();
            let as_number = [b"1/".as_slice(), &huge, b"h"].concat();
            assert!(Policy::parse([&huge]).is_err());
            for before in [b"IP".as_slice(), b"IPV6-PREFIX", b"PLUS-TAGS", b"PRESET"] {
                for value in [&huge, &as_limit, &as_window, &as_number] {
                    assert!(Policy::parse([before, value]).is_err());
                }
            }
        }
    }

    #[test]
    fn words_without_end_are_read_no_further_than_the_rules_go() {
        let endless = [["IP", "5/1h"], ["PRESET", "otp"]];
        for words in endless {
            let taken = Cell::new(0_usize);
            let counted = words.iter().cycle().inspect(|_| taken.set(taken.get() + 1));
            let fault = Policy::parse(counted).unwrap_err();
            assert!(matches!(fault, PolicyError::TooManyRules { .. }));
            assert!(taken.get() <= 2 * (MAX_RULES + 1));
        }
    }
}
