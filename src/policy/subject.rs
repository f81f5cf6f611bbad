//! Subjects: what a rule counts for.

use super::limit::Limit;

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
    /// `EMAILS-PER-IP`: the address that an attempt comes from, by how many different emails it is on.
    ///
    /// Against one address that tries one password on many accounts.
    EmailsPerIp,
    /// `IPS-PER-EMAIL`: the email that an attempt is on, by how many different addresses come for it.
    ///
    /// Against many addresses that share out one account's guesses.
    IpsPerEmail,
    /// `ALL`: the whole limiter, as one identity.
    All,
    /// `DEVICE`: the device that an attempt carries, which the application has authenticated.
    ///
    /// An attempt that carries one is counted for it, and not by the rules for `EMAIL` and `IPS-PER-EMAIL`, which
    /// anybody can fill from outside; one that carries none is not counted for it. So a policy has rules for another
    /// subject too. A rule in shadow takes the place of none: it would otherwise change what is refused.
    Device,
}

impl Subject {
    /// Every subject, in the order of their codes.
    pub const EVERY: [Self; 7] =
        [Self::Ip, Self::Email, Self::Pair, Self::EmailsPerIp, Self::IpsPerEmail, Self::All, Self::Device];

    /// The largest limit of a subject that counts different ones.
    ///
    /// Each attempt has to be looked up among them, so this bounds the work of one command.
    const MAX_DISTINCT: u32 = 1_000;

    /// The subject's word in a policy, in upper case.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ip => "IP",
            Self::Email => "EMAIL",
            Self::Pair => "PAIR",
            Self::EmailsPerIp => "EMAILS-PER-IP",
            Self::IpsPerEmail => "IPS-PER-EMAIL",
            Self::All => "ALL",
            Self::Device => "DEVICE",
        }
    }

    /// The subject of this word, in upper or lower case; None if there is none.
    #[must_use]
    pub fn from_word(word: &[u8]) -> Option<Self> {
        Self::EVERY.into_iter().find(|subject| word.eq_ignore_ascii_case(subject.word().as_bytes()))
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
            Self::EmailsPerIp => 4,
            Self::IpsPerEmail => 5,
            Self::All => 6,
            Self::Device => 7,
        }
    }

    /// The subject of this [code](Subject::code); None if there is none.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::EVERY.into_iter().find(|subject| subject.code() == code)
    }

    /// Whether a rule for the subject limits how many different ones an identity has, and not its attempts.
    ///
    /// One that is already among them takes nothing more of the limit.
    #[must_use]
    pub const fn is_distinct_count(self) -> bool {
        match self {
            Self::EmailsPerIp | Self::IpsPerEmail => true,
            Self::Ip | Self::Email | Self::Pair | Self::All | Self::Device => false,
        }
    }

    /// The largest limit that a rule for the subject may have.
    #[must_use]
    pub const fn max_limit(self) -> u32 {
        if self.is_distinct_count() { Self::MAX_DISTINCT } else { Limit::MAX }
    }

    /// Whether counting for the subject takes the attempt's address, alone or with something else.
    #[must_use]
    pub const fn needs_address(self) -> bool {
        match self {
            Self::Ip | Self::Pair | Self::EmailsPerIp | Self::IpsPerEmail => true,
            Self::Email | Self::All | Self::Device => false,
        }
    }

    /// Whether counting for the subject takes the attempt's email, alone or with something else.
    #[must_use]
    pub const fn needs_email(self) -> bool {
        match self {
            Self::Email | Self::Pair | Self::EmailsPerIp | Self::IpsPerEmail => true,
            Self::Ip | Self::All | Self::Device => false,
        }
    }

    /// Whether counting for the subject takes the attempt's device. An attempt without one is not counted for it.
    #[must_use]
    pub const fn needs_device(self) -> bool {
        match self {
            Self::Device => true,
            Self::Ip | Self::Email | Self::Pair | Self::EmailsPerIp | Self::IpsPerEmail | Self::All => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Subject;

    /// Whether counting for `subject` takes the attempt's address, email and device.
    fn needs(subject: Subject) -> [bool; 3] {
        [subject.needs_address(), subject.needs_email(), subject.needs_device()]
    }

    #[test]
    fn words_codes_and_needs_are_these_for_good() {
        let rows: Vec<_> = Subject::EVERY.into_iter().map(|s| (s.word(), s.code(), needs(s))).collect();
        assert_eq!(
            rows,
            [
                ("IP", 1, [true, false, false]),
                ("EMAIL", 2, [false, true, false]),
                ("PAIR", 3, [true, true, false]),
                ("EMAILS-PER-IP", 4, [true, true, false]),
                ("IPS-PER-EMAIL", 5, [true, true, false]),
                ("ALL", 6, [false, false, false]),
                ("DEVICE", 7, [false, false, true]),
            ]
        );
    }

    #[test]
    fn only_counts_of_different_ones_have_the_lower_limit() {
        for subject in Subject::EVERY {
            let distinct = matches!(subject, Subject::EmailsPerIp | Subject::IpsPerEmail);
            assert_eq!(subject.is_distinct_count(), distinct);
            assert_eq!(subject.max_limit(), if distinct { 1_000 } else { 100_000 });
        }
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
        let others: [&[u8]; 9] =
            [b"", b"I", b"IPS", b" IP", b"IP\0", "\u{131}p".as_bytes(), b"EMAILS-PER", b"EMAILS_PER_IP", b"DEVICES"];
        for word in others {
            assert_eq!(Subject::from_word(word), None);
        }
        assert_eq!(Subject::from_code(0), None);
        assert_eq!(Subject::from_code(8), None);
        assert_eq!(Subject::from_code(255), None);
    }
}
