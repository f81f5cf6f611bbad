//! From words to one rule: what follows its subject.

use std::iter::Peekable;

use crate::policy::error::PolicyError;
use crate::policy::limit::Limit;
use crate::policy::lock::Lock;
use crate::policy::modifier::ModifierWord;
use crate::policy::rule::Rule;
use crate::policy::subject::Subject;
use crate::policy::window::Window;

/// Reads the rule whose `subject` is the word at `position`; `words` are those after it, each with its place.
///
/// Takes `limit/window` and all modifiers that follow, and leaves the word after them.
pub(super) fn read<W>(
    subject: Subject,
    position: usize,
    words: &mut Peekable<impl Iterator<Item = (usize, W)>>,
) -> Result<Rule, PolicyError>
where
    W: AsRef<[u8]>,
{
    let (at, value) = words.next().ok_or(PolicyError::RuleValueMissing { position })?;
    let mut rule = read_figures(subject, at, value.as_ref())?;
    while let Some((position, modifier)) = next_modifier(words) {
        if rule.has(modifier) {
            return Err(PolicyError::ModifierTwice { position, modifier });
        }
        rule = match modifier {
            ModifierWord::Lock => rule.with_lock(read_lock(position, words.next())?),
            ModifierWord::Shadow => rule.in_shadow(),
            ModifierWord::CountDenied => rule.counting_denied(),
        };
    }
    Ok(rule)
}

/// Reads the rule for `subject` whose `limit/window` is the word at `position`.
fn read_figures(subject: Subject, position: usize, value: &[u8]) -> Result<Rule, PolicyError> {
    let (limit, window) = split_slash(value).ok_or(PolicyError::RuleValueShape { position })?;
    let limit = read_limit(subject, position, limit)?;
    let window = Window::parse(window).map_err(|fault| PolicyError::Window { position, fault })?;
    Ok(Rule::new(subject, limit, window))
}

/// Reads the limit of a rule for `subject`, in the word at `position`.
fn read_limit(subject: Subject, position: usize, text: &[u8]) -> Result<Limit, PolicyError> {
    match Limit::parse(text) {
        Ok(limit) if limit.get() <= subject.max_limit() => Ok(limit),
        Ok(_) => Err(PolicyError::LimitAboveSubject { position, subject }),
        Err(fault) => Err(PolicyError::Limit { position, subject, fault }),
    }
}

/// Takes the next word if it is a modifier, and leaves any other.
fn next_modifier<W>(words: &mut Peekable<impl Iterator<Item = (usize, W)>>) -> Option<(usize, ModifierWord)>
where
    W: AsRef<[u8]>,
{
    let &(position, ref word) = words.peek()?;
    let modifier = ModifierWord::from_word(word.as_ref())?;
    words.next();
    Some((position, modifier))
}

/// Reads the lock whose word `LOCK` is at `position`, and whose times are the word after it.
fn read_lock<W>(position: usize, next: Option<(usize, W)>) -> Result<Lock, PolicyError>
where
    W: AsRef<[u8]>,
{
    let (at, times) = next.ok_or(PolicyError::LockTimesMissing { position })?;
    Lock::parse(times.as_ref()).map_err(|fault| PolicyError::Lock { position: at, fault })
}

/// What comes before and after the first `/`; None if there is none.
fn split_slash(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = value.splitn(2, |&byte| byte == b'/');
    Some((parts.next()?, parts.next()?))
}
