//! What replaces a character. `make fold-table` writes the rows; `tests/databases/fold_table.rs` says of what.

use std::ops::RangeInclusive;

use Target::{Series, Text};

/// What replaces the characters of a row.
#[derive(Clone, Copy)]
enum Target {
    /// The same text for all of them, which may be empty.
    Text(&'static str),
    /// This character for the first, the one after it for the second, and so on.
    Series(char),
}

/// The first and the last code point of each row, in order. What is in no row stays as it is.
static ROWS: &[(u32, u32, Target)] = &include!("table.in");

/// The Hangul syllables, which are computed (The Unicode Standard, section 3.12): each has a leading consonant, a
/// vowel, and perhaps a trailing consonant, in this order.
const SYLLABLES: RangeInclusive<u32> = 0xac00..=0xd7a3;
const VOWELS: u32 = 21;
const TRAILING: u32 = 28;

/// Appends what replaces a character.
pub(super) fn push_folded(c: char, folded: &mut String) {
    if matches!(c, '!'..='~') {
        folded.push(c.to_ascii_lowercase());
        return;
    }
    let code = u32::from(c);
    if SYLLABLES.contains(&code) {
        push_syllable(code.saturating_sub(*SYLLABLES.start()), folded);
        return;
    }
    let row = ROWS.get(ROWS.partition_point(|(_, last, _)| *last < code));
    match row.filter(|(first, _, _)| *first <= code) {
        None => folded.push(c),
        Some((_, _, Text(text))) => folded.push_str(text),
        Some((first, _, Series(start))) => push_later(*start, code.saturating_sub(*first), folded),
    }
}

/// Appends the letters of the syllable with this number.
fn push_syllable(number: u32, folded: &mut String) {
    let [leading, vowel, trailing] = [number / TRAILING / VOWELS, number / TRAILING % VOWELS, number % TRAILING];
    push_later('\u{1100}', leading, folded);
    push_later('\u{1161}', vowel, folded);
    if trailing > 0 {
        push_later('\u{11a7}', trailing, folded);
    }
}

/// Appends the character that is `distance` code points after `start`.
fn push_later(start: char, distance: u32, folded: &mut String) {
    folded.extend(u32::from(start).checked_add(distance).and_then(char::from_u32));
}
