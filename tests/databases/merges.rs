//! What is compared: characters that a database takes for ASCII text.

use authlimit::identity::{CanonicalEmail, PlusTags};

/// A character that the database takes for an ASCII text, in any text around it.
pub(crate) struct Merge {
    pub(crate) c: char,
    pub(crate) text: String,
}

impl Merge {
    /// Whether it is compared: the text has only what most emails have. Not the hyphen, which `unaccent` makes of the
    /// soft hyphen (U+00AD) that all others ignore, and not brackets, which some collations sort where other languages
    /// have letters.
    pub(crate) fn is_compared(&self) -> bool {
        self.text.chars().all(|c| c.is_ascii_alphanumeric() || "._+@".contains(c))
    }
}

/// A merge that the module does not follow.
struct Exception {
    /// What the name of the database's function or collation contains.
    name: &'static str,
    characters: &'static str,
    text: &'static str,
}

/// All exceptions. docs/security.md names them.
const EXCEPTIONS: [Exception; 3] = [
    // These collations of MySQL compare character by character. All others, SQL Server's, Unicode's case folding and
    // upper case take ß for ss. It cannot be both: s and ss would be one text, also in ASCII.
    Exception { name: "_general_ci", characters: "ß", text: "s" },
    // Swedish sorts ü as y. Everywhere else it is u.
    Exception { name: "latin1_swedish_ci", characters: "üÜ", text: "y" },
    // An error in the rules of PostgreSQL 15. It is h.
    Exception { name: "unaccent", characters: "ℌ", text: "x" },
];

/// Fails unless the module merges what the database does, in the local part and in the domain, but for the exceptions.
pub(crate) fn expect_merged(name: &str, least: usize, merges: &[Merge]) {
    let merges: Vec<&Merge> = merges.iter().filter(|merge| merge.is_compared()).collect();
    println!("{name}: {} characters", merges.len());
    assert!(merges.len() >= least, "{name}: {} characters only", merges.len());
    let is_excepted = |Merge { c, text }: &Merge| {
        EXCEPTIONS.iter().any(|exception| {
            name.contains(exception.name) && exception.characters.contains(*c) && exception.text == *text
        })
    };
    let is_merged = |Merge { c, text }: &Merge| {
        are_one(&format!("v{c}w@x.org"), &format!("v{text}w@x.org"))
            && are_one(&format!("v@x{c}y.org"), &format!("v@x{text}y.org"))
    };
    let apart = merges.iter().filter(|merge| !is_excepted(merge) && !is_merged(merge));
    let apart: Vec<String> =
        apart.map(|Merge { c, text }| format!("U+{:04X} {c} is {text:?}", u32::from(*c))).collect();
    assert!(apart.is_empty(), "{name} takes these for one, and the module does not: {apart:#?}");
}

/// Whether two emails are one to the module.
fn are_one(one: &str, other: &str) -> bool {
    CanonicalEmail::of(one.as_bytes(), PlusTags::Keep) == CanonicalEmail::of(other.as_bytes(), PlusTags::Keep)
}

/// The ASCII text that the module folds a character to, if it is one.
pub(crate) fn folded(c: char) -> Option<String> {
    let email = format!("v{c}w");
    let canonical = CanonicalEmail::of(email.as_bytes(), PlusTags::Keep);
    let text = str::from_utf8(canonical.as_bytes()).expect("it was UTF-8").strip_prefix('v')?.strip_suffix('w')?;
    text.is_ascii().then(|| text.to_owned())
}

/// The text of hexadecimal digits of UTF-8, if it is ASCII.
pub(crate) fn ascii(digits: &str) -> Option<String> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    String::from_utf8(bytes?).ok().filter(|text| text.is_ascii())
}
