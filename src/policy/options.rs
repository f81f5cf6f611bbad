//! Options: how a limiter tells identities apart, and how many it keeps. Presets: policies by name.

use std::fmt;

use super::keyword::Keyword;
use super::quantity::{Capacity, whole};
use crate::identity::{Ipv6Prefix, PlusTags};

/// The options of a policy. Prints as the words of those that differ from their default, each after a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// `CAPACITY`: how many identities of each subject are kept. `None`: as many as the server's config
    /// `authlimit.capacity` says at the time.
    pub capacity: Option<Capacity>,
    /// `IPV6-PREFIX`: how many leading bits of an IPv6 address make one identity. The default is 64.
    pub ipv6_prefix: Ipv6Prefix,
    /// `PLUS-TAGS`: whether `me+tag@x.org` is an email of its own (the default) or `me@x.org`.
    pub plus_tags: PlusTags,
}

/// The word of an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptionWord {
    /// `CAPACITY n`.
    Capacity,
    /// `IPV6-PREFIX n`.
    Ipv6Prefix,
    /// `PLUS-TAGS keep|strip`.
    PlusTags,
}

impl Keyword for OptionWord {
    /// In the order in which a policy prints them.
    const ALL: &'static [Self] = &[Self::Capacity, Self::Ipv6Prefix, Self::PlusTags];

    fn word(self) -> &'static str {
        match self {
            Self::Capacity => "CAPACITY",
            Self::Ipv6Prefix => "IPV6-PREFIX",
            Self::PlusTags => "PLUS-TAGS",
        }
    }
}

impl OptionWord {
    /// What the option's value must be, with an example: the end of an error message.
    #[must_use]
    pub const fn expects(self) -> &'static str {
        match self {
            Self::Capacity => "a whole number from 1 to 1000000000, for example CAPACITY 5000000",
            Self::Ipv6Prefix => "a whole number from 32 to 128, for example IPV6-PREFIX 56",
            Self::PlusTags => "keep or strip, for example PLUS-TAGS strip",
        }
    }
}

impl Keyword for PlusTags {
    const ALL: &'static [Self] = &[Self::Keep, Self::Strip];

    fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Strip => "strip",
        }
    }
}

impl Options {
    /// Sets `option` to the value that `text` spells, or returns `None` if the option has no such value.
    pub(super) fn set(&mut self, option: OptionWord, text: &[u8]) -> Option<()> {
        match option {
            OptionWord::Capacity => self.capacity = Some(Capacity::parse(text).ok()?),
            OptionWord::Ipv6Prefix => self.ipv6_prefix = Ipv6Prefix::new(u8::try_from(whole(text).ok()?).ok()?)?,
            OptionWord::PlusTags => self.plus_tags = PlusTags::from_word(text)?,
        }
        Some(())
    }

    /// The value of `option` as a policy prints it, or `None` if it is the default.
    fn changed(self, option: OptionWord) -> Option<String> {
        let default = Self::default();
        match option {
            OptionWord::Capacity => self.capacity.map(|capacity| capacity.to_string()),
            OptionWord::Ipv6Prefix => {
                (self.ipv6_prefix != default.ipv6_prefix).then(|| self.ipv6_prefix.bits().to_string())
            }
            OptionWord::PlusTags => (self.plus_tags != default.plus_tags).then(|| self.plus_tags.word().to_owned()),
        }
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &option in OptionWord::ALL {
            if let Some(value) = self.changed(option) {
                write!(f, " {} {value}", option.word())?;
            }
        }
        Ok(())
    }
}

/// A policy by name: `PRESET signin` stands for its [words](Preset::words), and further rules and options may follow.
///
/// The figures follow three published bounds; `docs/policies.md` explains them.
///
/// - **OWASP ASVS 4.0.3, 2.2.1**: at most 100 failed attempts per hour on one account. (ASVS 5.0 gives no figure.)
/// - **NIST SP 800-63B, 5.2.2**: at most 100 consecutive failed attempts on one account. No sliding window meets this
///   indefinitely; an application that must meet it also counts the failures since the last success.
/// - **PCI DSS 4.0, 8.3.4**: after at most 10 invalid attempts, a lock of at least 30 minutes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preset {
    /// `signin`: for the endpoint that takes a password. The default policy of a limiter.
    ///
    /// Within OWASP (20 of 100 per hour), and within NIST (50 per day) for two days of uninterrupted guessing. Not
    /// within PCI DSS.
    #[default]
    Signin,
    /// `signup`: for the endpoint that creates an account. All plus-tags of a mailbox count as one.
    ///
    /// It keeps one address from creating accounts in bulk, and a mailbox from being flooded. No bound applies, except
    /// OWASP's where the endpoint reveals whether an email is known.
    Signup,
    /// `reset`: for the endpoint that mails a password-reset link. All plus-tags of a mailbox count as one.
    ///
    /// Within OWASP, and within NIST (10 per day) for ten days. PCI DSS does not cover it.
    Reset,
    /// `otp`: for the endpoint that takes a one-time code.
    ///
    /// Within OWASP (5 per 15 minutes), and within NIST (20 per day) for five days: a guesser of six digits has a
    /// chance of 1 in 50,000 per day and valid code. Not within PCI DSS.
    Otp,
    /// `pci`: for the endpoint that takes a password where cards are handled.
    ///
    /// It limits guesses at one account only: add rules against one address that tries many, as in `PRESET pci IP
    /// 50/15m`. The preset counts the 10 attempts of any 30 minutes, so slower guessing is never locked; to count
    /// longer, use a longer window, such as `EMAIL 10/24h LOCK 24h`. Within OWASP; within NIST for 5 hours only.
    Pci,
}

impl Keyword for Preset {
    const ALL: &'static [Self] = &[Self::Signin, Self::Signup, Self::Reset, Self::Otp, Self::Pci];

    fn word(self) -> &'static str {
        match self {
            Self::Signin => "signin",
            Self::Signup => "signup",
            Self::Reset => "reset",
            Self::Otp => "otp",
            Self::Pci => "pci",
        }
    }
}

impl Preset {
    /// The words that the preset stands for: a whole policy, separated by single spaces.
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
}
