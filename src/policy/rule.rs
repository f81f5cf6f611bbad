//! Rules: what a rule counts, how many attempts it admits in what time, and its modifiers.

use std::fmt;

use super::keyword::Keyword;
use super::quantity::{Limit, Lock, Millis, Window};

/// The most rules that one policy may have. A check looks at each, so this bounds the work of one command.
pub const MAX_RULES: usize = 32;

/// What a rule counts attempts by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// `IP`: the address that an attempt comes from.
    Ip,
    /// `EMAIL`: the email that an attempt is on.
    Email,
    /// `PAIR`: the address and the email together.
    Pair,
    /// `EMAILS-PER-IP`: how many different emails an address tries. Against password spraying from one address.
    EmailsPerIp,
    /// `IPS-PER-EMAIL`: how many different addresses try an email. Against guessing distributed over a botnet.
    IpsPerEmail,
    /// `ALL`: the whole limiter, as one identity.
    All,
    /// `DEVICE`: the device that an attempt carries, which the application has authenticated.
    ///
    /// An attempt with a device counts by `DEVICE` instead of `EMAIL`, `IPS-PER-EMAIL` and `PAIR`, which strangers can
    /// fill; one without a device does not count by `DEVICE`. A `DEVICE` rule with `SHADOW` replaces nothing, because a
    /// shadow rule must not change what is refused.
    Device,
}

impl Keyword for Subject {
    const ALL: &'static [Self] =
        &[Self::Ip, Self::Email, Self::Pair, Self::EmailsPerIp, Self::IpsPerEmail, Self::All, Self::Device];

    fn word(self) -> &'static str {
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
}

impl Subject {
    /// The largest limit of a distinct count. Each attempt is looked up in the log, so this bounds the work of a check.
    const MAX_DISTINCT: u32 = 1_000;

    /// The number that stands for the subject in files and on the replication link: a released one never changes.
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

    /// The subject with this [code](Subject::code).
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|subject| subject.code() == code)
    }

    /// Whether a rule limits how many different ones an identity has, instead of how many attempts.
    ///
    /// One that the log already has takes nothing more of the limit.
    #[must_use]
    pub const fn is_distinct_count(self) -> bool {
        match self {
            Self::EmailsPerIp | Self::IpsPerEmail => true,
            Self::Ip | Self::Email | Self::Pair | Self::All | Self::Device => false,
        }
    }

    /// The largest limit of a rule for the subject.
    #[must_use]
    pub const fn max_limit(self) -> u32 {
        if self.is_distinct_count() { Self::MAX_DISTINCT } else { Limit::MAX.get() }
    }

    /// Whether counting needs the attempt's address, alone or with something else.
    #[must_use]
    pub const fn needs_address(self) -> bool {
        match self {
            Self::Ip | Self::Pair | Self::EmailsPerIp | Self::IpsPerEmail => true,
            Self::Email | Self::All | Self::Device => false,
        }
    }

    /// Whether counting needs the attempt's email, alone or with something else.
    #[must_use]
    pub const fn needs_email(self) -> bool {
        match self {
            Self::Email | Self::Pair | Self::EmailsPerIp | Self::IpsPerEmail => true,
            Self::Ip | Self::All | Self::Device => false,
        }
    }

    /// Whether counting needs the attempt's device. An attempt without one is not counted.
    #[must_use]
    pub const fn needs_device(self) -> bool {
        match self {
            Self::Device => true,
            Self::Ip | Self::Email | Self::Pair | Self::EmailsPerIp | Self::IpsPerEmail | Self::All => false,
        }
    }
}

/// The word of a modifier, which follows a rule's `limit/window` and applies to that rule only.
///
/// A rule may have several: with `LOCK` and `SHADOW` it reports the locks that it would start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ModifierWord {
    /// `LOCK d` or `LOCK d..max`: the rule refuses for the time of a [`Lock`].
    ///
    /// A lock never ends a window early: it only lengthens a wait that is shorter than the lock. On a rule for `ALL` it
    /// locks everybody out, and anybody can cause that.
    Lock,
    /// `SHADOW`: the rule counts and reports, and never refuses. See [`Enforcement`].
    Shadow,
    /// `COUNT-DENIED`: the rule also counts attempts that other rules refused. See [`Counting`].
    CountDenied,
}

impl Keyword for ModifierWord {
    /// In the order in which a rule prints them.
    const ALL: &'static [Self] = &[Self::Lock, Self::Shadow, Self::CountDenied];

    fn word(self) -> &'static str {
        match self {
            Self::Lock => "LOCK",
            Self::Shadow => "SHADOW",
            Self::CountDenied => "COUNT-DENIED",
        }
    }
}

impl ModifierWord {
    /// A rule that has the modifier.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::Lock => "PAIR 5/15m LOCK 15m..24h",
            Self::Shadow => "EMAIL 20/1h SHADOW",
            Self::CountDenied => "IP 50/15m COUNT-DENIED",
        }
    }
}

/// Whether a rule refuses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Enforcement {
    /// It refuses what is above its limit.
    #[default]
    Enforced,
    /// `SHADOW`: it counts and reports what it would have refused, and never refuses.
    Shadow,
}

/// Which attempts a rule counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Counting {
    /// Those that every rule admitted.
    #[default]
    AdmittedOnly,
    /// `COUNT-DENIED`: also those that this rule admitted and another refused.
    AlsoDenied,
}

/// The modifiers of one rule. Prints as their words, each after a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Modifiers {
    pub(super) lock: Option<Lock>,
    pub(super) enforcement: Enforcement,
    pub(super) counting: Counting,
}

impl Modifiers {
    /// Whether `modifier` is among them.
    pub(super) fn has(self, modifier: ModifierWord) -> bool {
        match modifier {
            ModifierWord::Lock => self.lock.is_some(),
            ModifierWord::Shadow => self.enforcement == Enforcement::Shadow,
            ModifierWord::CountDenied => self.counting == Counting::AlsoDenied,
        }
    }
}

impl fmt::Display for Modifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for modifier in ModifierWord::ALL.iter().copied().filter(|&modifier| self.has(modifier)) {
            write!(f, " {}", modifier.word())?;
            if let (ModifierWord::Lock, Some(lock)) = (modifier, self.lock) {
                write!(f, " {lock}")?;
            }
        }
        Ok(())
    }
}

/// One rule: in any [window](Rule::window), each identity of the [subject](Rule::subject) is admitted at most
/// [limit](Rule::limit) attempts, or has at most as many different ones for a
/// [distinct count](Subject::is_distinct_count).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    subject: Subject,
    limit: Limit,
    window: Window,
    modifiers: Modifiers,
    /// Built once, because every verdict contains them.
    words: Box<str>,
}

impl Rule {
    /// The rule of these parts. The parser has checked `limit` against [`Subject::max_limit`].
    pub(super) fn new(subject: Subject, limit: Limit, window: Window, modifiers: Modifiers) -> Self {
        let words = format!("{} {limit}/{window}{modifiers}", subject.word()).into_boxed_str();
        Self { subject, limit, window, modifiers, words }
    }

    /// What the rule counts attempts by.
    #[must_use]
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// How many attempts the rule admits in a window.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// The time over which the rule counts.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// How long the rule locks, if it does.
    #[must_use]
    pub fn lock(&self) -> Option<Lock> {
        self.modifiers.lock
    }

    /// Whether the rule refuses.
    #[must_use]
    pub fn enforcement(&self) -> Enforcement {
        self.modifiers.enforcement
    }

    /// Which attempts the rule counts.
    #[must_use]
    pub fn counting(&self) -> Counting {
        self.modifiers.counting
    }

    /// Whether this rule refuses whatever `other` would refuse, so that `other` adds nothing to it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // A modifier that lets some attempts pass this rule must be considered here.
        let Modifiers { lock: _, enforcement, counting: _ } = self.modifiers;
        let refuses_as_much = enforcement == Enforcement::Enforced
            && self.subject == other.subject
            && self.limit <= other.limit
            && self.window.length() >= other.window.length();
        let Modifiers { lock, enforcement, counting } = other.modifiers;
        // At an equal limit, the last admitted attempt begins the other rule's lock.
        let adds_a_lock = lock.is_some() && self.limit == other.limit;
        let adds_something = adds_a_lock || enforcement == Enforcement::Shadow || counting == Counting::AlsoDenied;
        refuses_as_much && !adds_something
    }

    /// What makes it the same rule in another policy.
    #[must_use]
    pub fn key(&self) -> RuleKey {
        let (limit, window) = (self.limit, self.window.length());
        RuleKey { subject: self.subject, limit, window, counting: self.modifiers.counting }
    }

    /// The rule in the policy's own words, such as `EMAIL 20/1h` or `PAIR 5/15m LOCK 15m..24h SHADOW`: ASCII, and
    /// different for different rules.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }
}

/// What makes a rule the same one in another policy: what it counts, and how many in what time. No two rules of a new
/// policy have the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RuleKey {
    subject: Subject,
    limit: Limit,
    /// However it is spelled.
    window: Millis,
    counting: Counting,
}

impl fmt::Display for Rule {
    /// Writes the rule's [words](Rule::words).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
