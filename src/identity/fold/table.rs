//! What replaces a character. `make fold-table` writes the rows; `tests/databases/fold_table.rs` says of what.

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

/// Appends what replaces a character.
pub(super) fn push_folded(c: char, folded: &mut String) {
    if matches!(c, '!'..='~') {
        folded.push(c.to_ascii_lowercase());
        return;
    }
    let code = u32::from(c);
    let row = ROWS.get(ROWS.partition_point(|(_, last, _)| *last < code));
    match row.filter(|(first, _, _)| *first <= code) {
        None => folded.push(c),
        Some((_, _, Text(text))) => folded.push_str(text),
        Some((first, _, Series(start))) => {
            let replacement = code.checked_sub(*first).and_then(|at| at.checked_add(u32::from(*start)));
            folded.push(replacement.and_then(char::from_u32).unwrap_or(c));
        }
    }
}
