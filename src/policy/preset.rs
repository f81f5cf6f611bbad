//! Presets: policies by name, for those who would rather not choose figures.
//!
//! The figures are set against three published bounds:
//!
//! - **OWASP ASVS 4.0.3, 2.2.1**: no more than 100 failed attempts per hour on a single account. (ASVS 5.0 asks
//!   for such a control without a figure.)
//! - **NIST SP 800-63B, 5.2.2**: no more than 100 consecutive failed attempts on a single account. A window
//!   forgets, so no rule meets this to the letter for ever: to do so, an application also counts an account's
//!   failures since its last success, and disables its authenticator at 100.
//! - **PCI DSS 4.0, 8.3.4**: a lock of at least 30 minutes, or until the user's identity is confirmed, after at
//!   most 10 invalid attempts. A preset of windows alone does not meet it; `pci` is the one with a lock.

/// A policy by name: `PRESET signin`.
///
/// A preset is nothing but [words](Preset::words): it may be followed by further rules and options.
///
/// To add one: a variant, its place in [`Preset::EVERY`], and one arm in each of the methods below.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preset {
    /// `signin`: for the endpoint that takes a password. What a limiter has unless told otherwise.
    ///
    /// 20 attempts per hour on an account lie within OWASP ASVS (100 per hour). 50 per day lie within NIST
    /// SP 800-63B (100 in a row) for the first two days of unbroken guessing, see the head of this file.
    /// It is not within PCI DSS, which allows 10 attempts and then asks for a lock.
    #[default]
    Signin,
    /// `signup`: for the endpoint that creates an account, counting all plus-tags of a mailbox as one.
    ///
    /// No account is there to guess at, so none of the three bounds speaks of it; the figures keep one address
    /// from making accounts in bulk, and one mailbox from being flooded. They lie within OWASP ASVS (100 per hour)
    /// where the endpoint tells whether an email is known.
    Signup,
    /// `reset`: for the endpoint that mails a password-reset link, counting all plus-tags of a mailbox as one.
    ///
    /// 10 per day on a mailbox lie within OWASP ASVS (100 per hour), and within NIST SP 800-63B (100 in a row)
    /// for ten days. PCI DSS speaks of logging in and not of this.
    Reset,
    /// `otp`: for the endpoint that takes a one-time code.
    ///
    /// NIST SP 800-63B asks for its bound (100 in a row) wherever a code has less than 64 bits: 20 per day lie
    /// within it for five days, and give a guesser of six digits a chance of 1 in 50 000 per day and valid code.
    /// 5 per 15 minutes lie within OWASP ASVS (100 per hour). It is not within PCI DSS, which asks for a lock.
    Otp,
    /// `pci`: for the endpoint that takes a password where cards are handled.
    ///
    /// PCI DSS v4.0, 8.3.4: an account is locked after at most 10 attempts, and stays so for at least 30 minutes.
    /// The 10 are those of any 30 minutes; somebody slower than one in 3 minutes is never locked out, so whoever has
    /// to count without a window takes a longer one, such as `EMAIL 10/24h LOCK 30m`. 10 per 30 minutes
    /// lie within OWASP ASVS (100 per hour), not within NIST SP 800-63B (100 in a row) for longer than 5 hours.
    ///
    /// It speaks of accounts alone: add rules against one address that tries many, as in `PRESET pci IP 50/15m`.
    Pci,
}

impl Preset {
    /// Every preset.
    pub const EVERY: [Self; 5] = [Self::Signin, Self::Signup, Self::Reset, Self::Otp, Self::Pci];

    /// The preset's name in a policy, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signin => "signin",
            Self::Signup => "signup",
            Self::Reset => "reset",
            Self::Otp => "otp",
            Self::Pci => "pci",
        }
    }

    /// The words that the preset stands for: a whole policy, parted by single spaces.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Signin => "IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m",
            Self::Signup => "IP 10/1h EMAIL 3/1h PLUS-TAGS strip",
            Self::Reset => "IP 10/15m EMAIL 3/15m EMAIL 10/24h PLUS-TAGS strip",
            Self::Otp => "IP 30/15m EMAIL 5/15m EMAIL 20/24h",
            Self::Pci => "EMAIL 10/30m LOCK 30m",
        }
    }

    /// The preset of this name, in upper or lower case; None if there is none.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::EVERY.into_iter().find(|preset| name.eq_ignore_ascii_case(preset.name().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::Preset;
    use crate::policy::Policy;

    #[test]
    fn every_preset_is_a_policy_that_prints_as_its_words() {
        for preset in Preset::EVERY {
            let policy = Policy::from_text(preset.words()).unwrap();
            assert_eq!(policy.to_string(), preset.words());
        }
    }

    #[test]
    fn a_name_in_any_case_leads_back_to_its_preset() {
        for preset in Preset::EVERY {
            let upper = preset.name().to_ascii_uppercase();
            assert_eq!(Preset::from_name(upper.as_bytes()), Some(preset));
            assert_eq!(Preset::from_name(preset.name().as_bytes()), Some(preset));
        }
        assert_eq!(Preset::from_name(b"sign-in"), None);
        assert_eq!(Preset::from_name(b""), None);
    }

    #[test]
    fn no_preset_names_a_preset() {
        // Reading one would otherwise read itself without end.
        for preset in Preset::EVERY {
            assert!(!preset.words().contains("PRESET"));
        }
    }
}
