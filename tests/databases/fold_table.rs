//! Makes `src/identity/fold/table.in`: what each character is folded to. `make fold-table` writes it.
//!
//! The sources, each for what those before it leave as it is:
//!
//! 1. Unicode's properties, as in ICU4X: control characters, white space and default-ignorable code points go, and a
//!    digit of any script is its value.
//! 2. The primary weights of the Unicode Collation Algorithm, from `allkeys.txt` in Debian's package unicode-data: text
//!    of the same weights is one text. Accents and other marks have none, and go.
//! 3. The rules of PostgreSQL's `unaccent`, for what is not ASCII by then: they are CLDR's transliteration Latin-ASCII,
//!    and `þ` is `th`.
//! 4. NFKC_Casefold, for characters that are newer than `allkeys.txt`.
//!
//! At last, the combining marks go that these keep, such as vowel signs: their order would matter otherwise.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::{env, fs};

use icu_casemap::CaseMapper;
use icu_normalizer::DecomposingNormalizer;
use icu_properties::props::{
    CanonicalCombiningClass, DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup, WhiteSpace,
};
use icu_properties::{CodePointMapData, CodePointSetData};

use crate::collation_elements::PrimaryWeights;
use crate::throwaway;

/// The table, from the root of the repository.
const TABLE: &str = "src/identity/fold/table.in";

/// What the weights of UCA 4.0.0, those of `utf8mb4_unicode_ci`, merge and no later version does.
const UCA_4: [(char, &str); 5] =
    [('\u{6de}', ""), ('\u{9f4}', "1"), ('\u{9f5}', "2"), ('\u{9f6}', "3"), ('\u{9f7}', "4")];

/// The Hangul syllables, which the module computes.
const SYLLABLES: RangeInclusive<char> = '\u{ac00}'..='\u{d7a3}';

/// The longest line of the table.
const MAX_WIDTH: usize = 120;

/// Characters that follow each other, all folded to one text, or to characters that follow each other too.
struct Row {
    first: char,
    last: char,
    /// What the first one is folded to.
    text: String,
    is_series: bool,
}

impl Row {
    /// Takes the next character into the row, if it belongs there.
    fn takes(&mut self, c: char, folded: &str) -> bool {
        let is_next = |before: char, c: char| u32::from(before) + 1 == u32::from(c);
        if !is_next(self.last, c) {
            return false;
        }
        let is_single = self.first == self.last;
        let continues = match (single(&self.text), single(folded)) {
            (Some(start), Some(folded)) => {
                u32::from(folded).checked_sub(u32::from(start)) == Some(u32::from(c) - u32::from(self.first))
            }
            _ => false,
        };
        if (is_single || self.is_series) && continues {
            (self.last, self.is_series) = (c, true);
            true
        } else if !self.is_series && self.text == folded {
            self.last = c;
            true
        } else {
            false
        }
    }

    /// The row, as Rust source.
    fn source(&self) -> String {
        let text: String = self.text.chars().map(escape).collect();
        let target = if self.is_series { format!("Series('{text}')") } else { format!("Text(\"{text}\")") };
        format!("(0x{:x}, 0x{:x}, {target}),", u32::from(self.first), u32::from(self.last))
    }
}

/// The only character of a text.
fn single(text: &str) -> Option<char> {
    let mut characters = text.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// The sources.
struct Sources {
    weights: PrimaryWeights,
    unaccent: BTreeMap<char, String>,
}

/// The table in the tree is made of the sources, in these versions. With `AUTHLIMIT_WRITE_FOLD_TABLE`, it is written.
#[test]
#[ignore = "needs the packages of make test-databases"]
fn the_table_is_what_its_sources_give() {
    let sources = Sources::read();
    let table = sources.table();
    let path = format!("{}/{TABLE}", env!("CARGO_MANIFEST_DIR"));
    if env::var_os("AUTHLIMIT_WRITE_FOLD_TABLE").is_some() {
        fs::write(path, table).expect("the table can be written");
        return;
    }
    let committed = fs::read_to_string(path).expect("the table is in the tree");
    if committed.lines().next() == table.lines().next() {
        assert!(committed == table, "{TABLE} is not what its sources give: make fold-table");
    } else {
        println!("not compared: {TABLE} was made of other versions: {:?}", committed.lines().next());
    }
}

impl Sources {
    /// Reads the files of the Debian packages.
    fn read() -> Self {
        let text = fs::read_to_string("/usr/share/unicode/allkeys.txt").expect("unicode-data is installed");
        let weights = PrimaryWeights::parse(&text, |c| nfkc_casefold(c) == c.to_string());
        let rules = throwaway::newest("/usr/share/postgresql", "tsearch_data/unaccent.rules");
        let rules = fs::read_to_string(rules).expect("the rules are readable");
        let mut sources = Self { weights, unaccent: BTreeMap::new() };
        let folded: Vec<_> = rules.lines().filter_map(parse_rule).map(|(c, text)| (c, sources.fold(c), text)).collect();
        for (c, folded, text) in folded.into_iter().filter(|(_, folded, text)| !folded.is_ascii() && text.is_ascii()) {
            // A rule for one of the characters that are folded to one is a rule for all of them.
            sources.unaccent.entry(single(&folded).unwrap_or(c)).or_insert(text);
        }
        sources
    }

    /// The table, as Rust source.
    fn table(&self) -> String {
        let mut rows: Vec<Row> = Vec::new();
        for c in ('\0'..=char::MAX).filter(|c| !SYLLABLES.contains(c)) {
            let folded = self.fold(c);
            if folded != c.to_string() && !rows.last_mut().is_some_and(|row| row.takes(c, &folded)) {
                rows.push(Row { first: c, last: c, text: folded, is_series: false });
            }
        }
        let (version, rules) = (&self.weights.version, self.unaccent.len());
        let mut source = format!("// Written by make fold-table, of {version} and {rules} rules of unaccent.\n[");
        let mut width = MAX_WIDTH;
        for row in rows {
            let row = row.source();
            width += row.len() + 1;
            let gap = if width > MAX_WIDTH { "\n" } else { " " };
            width = if width > MAX_WIDTH { row.len() } else { width };
            source = source + gap + &row;
        }
        source + "\n]\n"
    }

    /// What a character is folded to, which is folded itself.
    fn fold(&self, c: char) -> String {
        let mut text = c.to_string();
        for _ in 0..10 {
            let next: String = nfd(&text).chars().map(|c| self.fold_once(c)).collect();
            if next == text {
                return text;
            }
            text = next;
        }
        panic!("{c:?} has no end: {text:?}");
    }

    /// One step for one character.
    fn fold_once(&self, c: char) -> String {
        if is_removed(c) {
            return String::new();
        }
        if let Some(digit) = digit(c) {
            return digit.to_string();
        }
        if let Some((_, text)) = UCA_4.iter().find(|(listed, _)| *listed == c) {
            return (*text).to_owned();
        }
        let same_weights = self.weights.same_weights(c);
        let to_ascii = same_weights.as_ref().filter(|text| text.is_ascii()).or(self.unaccent.get(&c));
        if let Some(text) = to_ascii.or(same_weights.as_ref()) {
            return text.clone();
        }
        let category = CodePointMapData::<GeneralCategory>::new().get(c);
        if GeneralCategoryGroup::Mark.contains(category)
            && category != GeneralCategory::SpacingMark
            && !self.weights.lists(c)
        {
            return String::new();
        }
        let folded = nfkc_casefold(c);
        if folded != c.to_string() {
            return folded;
        }
        let class = CodePointMapData::<CanonicalCombiningClass>::new().get(c);
        if class == CanonicalCombiningClass::NotReordered { c.to_string() } else { String::new() }
    }
}

/// A rule of `unaccent`: a character, and what replaces it, in quotes if it has spaces or quotes.
fn parse_rule(line: &str) -> Option<(char, String)> {
    let (c, text) = line.split_once('\t').unwrap_or((line, ""));
    let text = match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => text.to_owned(),
    };
    Some((single(c)?, text))
}

/// A character as in a string literal.
fn escape(c: char) -> String {
    if c.is_ascii() { c.escape_default().to_string() } else { c.escape_unicode().to_string() }
}

/// Whether a character is left out: the invisible ones, white space, and control characters, which some languages trim.
fn is_removed(c: char) -> bool {
    c.is_control()
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || CodePointSetData::new::<WhiteSpace>().contains(c)
}

/// The value of a decimal digit. The digits of a script follow each other, 0 first.
fn digit(c: char) -> Option<u32> {
    let digits = CodePointMapData::<GeneralCategory>::new();
    let is_digit = |c: u32| digits.get32(c) == GeneralCategory::DecimalNumber;
    is_digit(c.into()).then(|| (0..u32::from(c)).rev().take_while(|c| is_digit(*c)).count() as u32 % 10)
}

/// The canonical decomposition.
fn nfd(text: &str) -> String {
    DecomposingNormalizer::new_nfd().normalize(text).into_owned()
}

/// The compatibility decomposition, with case folded.
fn nfkc_casefold(c: char) -> String {
    let nfkd = |text: &str| DecomposingNormalizer::new_nfkd().normalize(text).into_owned();
    nfkd(&CaseMapper::new().fold_string(&nfkd(&c.to_string())))
}
