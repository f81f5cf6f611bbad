//! Keywords: the fixed words of the policy language.

/// A closed set of words, one for each value of an enum.
pub trait Keyword: Copy + 'static {
    /// Every value, in the order in which policies and error messages list them.
    const ALL: &'static [Self];

    /// The word of this value, as a policy prints it.
    #[must_use]
    fn word(self) -> &'static str;

    /// The value of `word`, in upper or lower case.
    #[must_use]
    fn from_word(word: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| word.eq_ignore_ascii_case(value.word().as_bytes()))
    }

    /// All words, in the order of [`Keyword::ALL`].
    #[must_use]
    fn all_words() -> Vec<&'static str> {
        Self::ALL.iter().map(|value| value.word()).collect()
    }

    /// All words as an error message offers them, such as `LOCK, SHADOW or COUNT-DENIED`.
    #[must_use]
    fn choices() -> String {
        let words = Self::all_words();
        let (last, rest) = words.split_last().unwrap_or((&"", &[]));
        format!("{} or {last}", rest.join(", "))
    }
}
