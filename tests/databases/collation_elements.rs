//! Primary weights of the Unicode Collation Algorithm (UTS 10), read from its file `allkeys.txt` (DUCET).

use std::collections::{BTreeMap, BTreeSet};

/// The primary weights of characters, those of 0 left out: none at all for an ignorable character.
pub(crate) struct PrimaryWeights {
    /// The line that tells the version.
    pub(crate) version: String,
    /// By character.
    of: BTreeMap<char, Vec<u16>>,
    /// The character that stands for all with the same weights.
    representative: BTreeMap<Vec<u16>, char>,
    /// What adds nothing to the weights of some ASCII letter before it, as U+00B7 in Catalan `l·`.
    absorbed: BTreeSet<char>,
}

impl PrimaryWeights {
    /// Reads the text of `allkeys.txt`. Only a character that `is_stable` stands for others.
    pub(crate) fn parse(text: &str, is_stable: impl Fn(char) -> bool) -> Self {
        let version = text.lines().next().unwrap_or_default().trim_start_matches("# ").to_owned();
        let mut of = BTreeMap::new();
        let mut contractions = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with(['#', '@'])) {
            let Some((characters, elements)) = line.split_once(';') else { continue };
            let characters: Vec<char> = characters.split_whitespace().filter_map(parse_character).collect();
            let weights = parse_weights(elements.split('#').next().unwrap_or_default());
            match characters[..] {
                [c] => drop(of.insert(c, weights)),
                [first, second] if first.is_ascii() => contractions.push((first, second, weights)),
                _ => {}
            }
        }
        let mut representative = BTreeMap::new();
        for (c, weights) in of.iter().filter(|(c, _)| is_stable(**c)) {
            representative.entry(weights.clone()).or_insert(*c);
        }
        let absorbed =
            contractions.into_iter().filter(|(first, _, weights)| of.get(first) == Some(weights)).map(|(_, c, _)| c);
        let absorbed = absorbed.collect();
        Self { version, of, representative, absorbed }
    }

    /// The text that has the primary weights of a character and stands for all such texts. `None` if the character
    /// stands for itself, or has no weights.
    pub(crate) fn same_weights(&self, c: char) -> Option<String> {
        if self.absorbed.contains(&c) {
            return Some(String::new());
        }
        let weights = self.of.get(&c)?;
        let each = self.text_of(weights);
        let text = each.or_else(|| self.representative.get(weights).map(char::to_string))?;
        (text != c.to_string()).then_some(text)
    }

    /// The text of the characters that have one weight each, or are ideographs.
    fn text_of(&self, mut weights: &[u16]) -> Option<String> {
        let mut text = String::new();
        while let [first, rest @ ..] = weights {
            let (c, rest) = match (self.representative.get(&vec![*first]), rest) {
                (Some(c), rest) => (*c, rest),
                (None, [second, rest @ ..]) => (ideograph(*first, *second)?, rest),
                _ => return None,
            };
            text.push(c);
            weights = rest;
        }
        Some(text)
    }

    /// Whether the file lists a character.
    pub(crate) fn lists(&self, c: char) -> bool {
        self.of.contains_key(&c)
    }
}

/// The ideograph of two weights, which the file does not list (UTS 10, section 10.1.3).
fn ideograph(first: u16, second: u16) -> Option<char> {
    let high = match first {
        0xfb40..=0xfb7f => first - 0xfb40,
        0xfb80..=0xfbbf => first - 0xfb80,
        _ => return None,
    };
    char::from_u32(u32::from(high) << 15 | u32::from(second & 0x7fff))
}

/// The character of a code point in hexadecimal digits.
fn parse_character(digits: &str) -> Option<char> {
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

/// The primary weights above 0 of elements as in `[.20D6.0020.0002][*0482.0020.0002]`.
fn parse_weights(elements: &str) -> Vec<u16> {
    let primary = |element: &str| u16::from_str_radix(element.get(1..5)?, 16).ok().filter(|weight| *weight > 0);
    elements.split('[').filter_map(primary).collect()
}
