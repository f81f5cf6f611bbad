//! Subjects: what a rule counts for.

/// What a rule counts for.
///
/// To add one: a variant, its place in [`Subject::EVERY`], and one arm in each of the methods below.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// `IP`: the address that an attempt comes from.
    Ip,
    /// `EMAIL`: the email that an attempt is on.
    Email,
    /// `PAIR`: this address on this email.
    Pair,
}

impl Subject {
    /// Every subject, in the order of their codes.
    pub const EVERY: [Self; 3] = [Self::Ip, Self::Email, Self::Pair];

    /// The subject's word in a policy, in upper case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ip => "IP",
            Self::Email => "EMAIL",
            Self::Pair => "PAIR",
        }
    }

    /// The subject of this word, in upper or lower case; None if there is none.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::EVERY
            .into_iter()
            .find(|subject| word.eq_ignore_ascii_case(subject.word().as_bytes()))
    }

    /// The number that stands for the subject in files and on the replication link.
    ///
    /// Data written by older versions holds these: one that has been released never changes its meaning.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Ip => 1,
            Self::Email => 2,
            Self::Pair => 3,
        }
    }

    /// The subject of this [code](Subject::code); None if there is none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::EVERY
            .into_iter()
            .find(|subject| subject.code() == code)
    }

    /// Whether the subject is told by the attempt's address, alone or with something else.
    #[must_use]
    pub const fn needs_address(self) -> bool {
        match self {
            Self::Ip | Self::Pair => true,
            Self::Email => false,
        }
    }

    /// Whether the subject is told by the attempt's email, alone or with something else.
    #[must_use]
    pub const fn needs_email(self) -> bool {
        match self {
            Self::Email | Self::Pair => true,
            Self::Ip => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Subject;

    #[test]
    fn words_codes_and_needs_are_these_for_good() {
        let rows: Vec<_> = Subject::EVERY
            .into_iter()
            .map(|s| (s.word(), s.code(), s.needs_address(), s.needs_email()))
            .collect();
        assert_eq!(
            rows,
            [
                ("IP", 1, true, false),
                ("EMAIL", 2, false, true),
                ("PAIR", 3, true, true),
            ]
        );
    }

    #[test]
    fn a_word_in_any_case_and_a_code_lead_back_to_the_subject() {
        for subject in Subject::EVERY {
            let word = subject.word();
            assert_eq!(Subject::from_word(word.as_bytes()), Some(subject));
            let lower = word.to_ascii_lowercase();
            assert_eq!(Subject::from_word(lower.as_bytes()), Some(subject));
            assert_eq!(Subject::from_code(subject.code()), Some(subject));
        }
    }

    #[test]
    fn other_words_and_codes_are_no_subject() {
        let others: [&[u8]; 6] = [b"", b"I", b"IPS", b" IP", b"IP\0", "\u{131}p".as_bytes()];
        for word in others {
            assert_eq!(Subject::from_word(word), None);
        }
        assert_eq!(Subject::from_code(0), None);
        assert_eq!(Subject::from_code(4), None);
        assert_eq!(Subject::from_code(255), None);
    }
}
