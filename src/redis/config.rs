//! The module's configuration: `CONFIG GET`, `SET` and `REWRITE`, and module arguments.

use crate::identity::{HashKey, Secret};
use crate::limiter::Limiter;
use crate::policy::{Capacity, Keyword, Policy, PolicyError};
use crate::redis::error::CommandError;
use crate::redis::limiters;
use redis_module::configuration::{ConfigurationContext, ConfigurationValue, EnumConfigurationValue};
use redis_module::{RedisError, RedisString};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The default of `authlimit.default-policy`.
pub(crate) const DEFAULT_POLICY_WORDS: &str = "PRESET signin";

/// `authlimit.default-policy`: the policy of a limiter that CHECK creates.
pub(crate) static DEFAULT_POLICY: StringConfig = StringConfig::new(|words| check_policy(words).map(|_| ()));

/// `authlimit.autocreate`: whether CHECK creates a limiter that does not exist.
pub(crate) static AUTOCREATE: AtomicBool = AtomicBool::new(true);

/// The default of `authlimit.capacity`: ten million identities.
pub(crate) const DEFAULT_CAPACITY: i64 = 10_000_000;

/// `authlimit.capacity`: how many identities a subject holds where the policy does not say.
pub(crate) static CAPACITY: AtomicI64 = AtomicI64::new(DEFAULT_CAPACITY);

/// `authlimit.events`: what is published about refusals.
pub(crate) static EVENTS: Events = Events(AtomicI32::new(EventDetail::Hashed as i32));

/// How much is published about refusals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub(crate) enum EventDetail {
    /// Nothing.
    No = 0,
    /// Keyed ids instead of addresses and emails.
    Hashed = 1,
    /// Addresses and emails as received, too, which AUTHLIMIT.TOP then remembers.
    Full = 2,
}

impl Keyword for EventDetail {
    const ALL: &'static [Self] = &[Self::No, Self::Hashed, Self::Full];

    fn word(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Hashed => "hashed",
            Self::Full => "full",
        }
    }
}

impl TryFrom<i32> for EventDetail {
    type Error = RedisError;

    fn try_from(number: i32) -> Result<Self, RedisError> {
        let found = Self::ALL.iter().copied().find(|detail| *detail as i32 == number);
        found.ok_or(RedisError::Str("no such value"))
    }
}

impl From<EventDetail> for i32 {
    fn from(detail: EventDetail) -> Self {
        detail as Self
    }
}

impl EnumConfigurationValue for EventDetail {
    fn get_options(&self) -> (Vec<String>, Vec<i32>) {
        Self::ALL.iter().map(|detail| (detail.word().to_owned(), *detail as i32)).unzip()
    }
}

/// The present value of `authlimit.events`.
pub(crate) struct Events(AtomicI32);

impl Events {
    /// What is published.
    pub(crate) fn get(&self) -> EventDetail {
        EventDetail::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(EventDetail::No)
    }
}

impl ConfigurationValue<EventDetail> for Events {
    fn get(&self, _: &ConfigurationContext) -> EventDetail {
        self.get()
    }

    fn set(&self, _: &ConfigurationContext, detail: EventDetail) -> Result<(), RedisError> {
        self.0.store(detail as i32, Ordering::Relaxed);
        if detail != EventDetail::Full {
            limiters::forget_clear_text();
        }
        Ok(())
    }
}

/// The present `authlimit.capacity`, which the server keeps within its range.
pub(crate) fn capacity() -> Capacity {
    let identities = CAPACITY.load(Ordering::Relaxed);
    Capacity::nearest(u32::try_from(identities).unwrap_or(u32::MAX))
}

/// A string config.
pub(crate) struct StringConfig {
    /// Validates a new value.
    check: fn(&[u8]) -> Result<(), RedisError>,
    words: Mutex<Option<Words>>,
}

/// A server string.
struct Words(RedisString);

// SAFETY: a `StringConfig` is used only by callbacks, which the server calls from its main thread.
unsafe impl Send for Words {}

impl StringConfig {
    /// No value yet; the server sets every config before it is read.
    const fn new(check: fn(&[u8]) -> Result<(), RedisError>) -> Self {
        let words = Mutex::new(None);
        Self { check, words }
    }

    /// Applies `read` to the value.
    fn with<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        read(words.as_ref().map_or(&[], |words| words.0.as_slice()))
    }
}

impl ConfigurationValue<RedisString> for StringConfig {
    /// The value, for the server, which copies it and frees nothing. A new string each time would leak, so it is lent
    /// the string that is kept here. The redis-module crate passes it on as a pointer, without dropping it.
    fn get(&self, _: &ConfigurationContext) -> RedisString {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        // Redis also asks for the value before it sets the first one.
        let nothing = || Words(RedisString::create_from_slice(ptr::null_mut(), b""));
        RedisString::from_redis_module_string(ptr::null_mut(), words.get_or_insert_with(nothing).0.inner)
    }

    fn set(&self, _: &ConfigurationContext, words: RedisString) -> Result<(), RedisError> {
        (self.check)(words.as_slice())?;
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = Some(Words(words));
        Ok(())
    }
}

/// The policy of these words.
fn parse_policy(words: &[u8]) -> Result<Policy, PolicyError> {
    let words = words.split(u8::is_ascii_whitespace);
    Policy::parse(words.filter(|word| !word.is_empty()))
}

/// The words of a policy, if they are valid.
pub(crate) fn check_policy(words: &[u8]) -> Result<&str, RedisError> {
    parse_policy(words).map_err(|error| RedisError::String(error.to_string()))?;
    str::from_utf8(words).map_err(|_| RedisError::Str("the policy is not ASCII"))
}

/// `authlimit.hash-key`: the secrets of new limiters are derived from it, so that no file and no replication stream
/// contains them. Without it each secret is random and stored with its limiter.
pub(crate) static HASH_KEY: StringConfig = StringConfig::new(|bytes| match bytes {
    [] => Ok(()),
    bytes => HashKey::new(bytes).map(|_| ()).map_err(|error| RedisError::String(error.to_string())),
});

/// The present hash key, if one is set.
pub(crate) fn hash_key() -> Option<HashKey> {
    HASH_KEY.with(|bytes| HashKey::new(bytes).ok())
}

/// A new limiter with the default policy.
///
/// # Errors
/// [`CommandError::NoAutocreate`] where `authlimit.autocreate` is `no`.
pub(crate) fn default_limiter(secret: Secret) -> Result<Limiter, CommandError> {
    if !AUTOCREATE.load(Ordering::Relaxed) {
        return Err(CommandError::NoAutocreate);
    }
    Ok(Limiter::new(DEFAULT_POLICY.with(parse_policy)?, secret))
}

/// An empty limiter with the default policy, for commands that do not create one.
///
/// # Errors
/// As [`default_limiter`].
pub(crate) fn empty_default_limiter() -> Result<Limiter, CommandError> {
    // Nothing is stored under it, so it needs no secret.
    default_limiter(Secret::from_bytes([0; 16]))
}

/// A new limiter's secret: derived from the hash key, or random without one.
///
/// # Errors
/// [`CommandError::Random`] if the system has no random numbers.
pub(crate) fn new_secret() -> Result<Secret, CommandError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| CommandError::Random)?;
    Ok(match hash_key() {
        Some(key) => key.secret(random),
        None => Secret::from_bytes(random),
    })
}
