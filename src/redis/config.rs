//! The module's configuration: `CONFIG GET`, `SET` and `REWRITE`, and module arguments.

use crate::identity::{HashKey, Secret};
use crate::limiter::Limiter;
use crate::policy::{Capacity, Policy, PolicyError};
use crate::redis::error::CommandError;
use crate::redis::instances;
use redis_module::configuration::{ConfigurationContext, ConfigurationValue, EnumConfigurationValue};
use redis_module::{RedisError, RedisString};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What `authlimit.default-policy` is to begin with.
pub(crate) const DEFAULT_POLICY_WORDS: &str = "PRESET signin";

/// `authlimit.default-policy`: the policy of a limiter that CHECK creates.
pub(crate) static DEFAULT_POLICY: StringConfig = StringConfig::new(|words| check_policy(words).map(|_| ()));

/// `authlimit.autocreate`: whether CHECK creates a limiter that is not there.
pub(crate) static AUTOCREATE: AtomicBool = AtomicBool::new(true);

/// `authlimit.capacity`: how many identities a subject holds where the policy says nothing.
pub(crate) static CAPACITY: AtomicI64 = AtomicI64::new(DEFAULT_CAPACITY);

/// `authlimit.events`: what is told of refusals.
pub(crate) static EVENTS: Events = Events(AtomicI32::new(EventDetail::Hashed as i32));

/// How much is told of refusals.
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

impl EventDetail {
    /// Every value, with its word.
    const EVERY: [(Self, &'static str); 3] = [(Self::No, "no"), (Self::Hashed, "hashed"), (Self::Full, "full")];

    /// The value of this word.
    pub(crate) fn from_word(word: &[u8]) -> Option<Self> {
        let mut every = Self::EVERY.into_iter();
        let found = every.find(|(_, known)| word.eq_ignore_ascii_case(known.as_bytes()));
        found.map(|(detail, _)| detail)
    }
}

impl TryFrom<i32> for EventDetail {
    type Error = RedisError;

    fn try_from(number: i32) -> Result<Self, RedisError> {
        let mut every = Self::EVERY.into_iter();
        let found = every.find(|(detail, _)| *detail as i32 == number);
        found.map(|(detail, _)| detail).ok_or(RedisError::Str("no such value"))
    }
}

impl From<EventDetail> for i32 {
    fn from(detail: EventDetail) -> Self {
        detail as Self
    }
}

impl EnumConfigurationValue for EventDetail {
    fn get_options(&self) -> (Vec<String>, Vec<i32>) {
        let every = Self::EVERY.into_iter();
        every.map(|(d, word)| (word.to_owned(), d as i32)).unzip()
    }
}

/// What is told of refusals, at present.
pub(crate) struct Events(AtomicI32);

impl Events {
    /// What is told.
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
            instances::forget_clear_text();
        }
        Ok(())
    }
}

/// What `authlimit.capacity` is to begin with: ten million identities.
pub(crate) const DEFAULT_CAPACITY: i64 = 10_000_000;

/// The present `authlimit.capacity`, which the server keeps within the range of one.
pub(crate) fn capacity() -> Capacity {
    let identities = CAPACITY.load(Ordering::Relaxed);
    Capacity::nearest(u32::try_from(identities).unwrap_or(u32::MAX))
}

/// A string config, as it was set.
pub(crate) struct StringConfig {
    /// Says what is wrong with words, if anything.
    check: fn(&[u8]) -> Result<(), RedisError>,
    words: Mutex<Option<Words>>,
}

/// A string of the server's.
struct Words(RedisString);

// SAFETY: what is in a `StringConfig` is used by callbacks alone, which the server calls from its main thread.
unsafe impl Send for Words {}

impl StringConfig {
    /// Nothing yet; the server sets every config before anybody looks at it.
    const fn new(check: fn(&[u8]) -> Result<(), RedisError>) -> Self {
        let words = Mutex::new(None);
        Self { check, words }
    }

    /// What `look` makes of the words.
    fn with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        look(words.as_ref().map_or(&[], |words| words.0.as_slice()))
    }
}

impl ConfigurationValue<RedisString> for StringConfig {
    /// What the server is shown. It copies that and frees nothing, so it must not be given a string of
    /// its own each time: that would never be freed. It is lent the one that is kept here, which the
    /// redis-module crate passes on as a pointer, without dropping it.
    fn get(&self, _: &ConfigurationContext) -> RedisString {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = || RedisString::create_from_slice(ptr::null_mut(), b"");
        words
            .as_ref()
            .map_or_else(nothing, |words| RedisString::from_redis_module_string(ptr::null_mut(), words.0.inner))
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

/// The words of a policy, if they are that.
pub(crate) fn check_policy(words: &[u8]) -> Result<&str, RedisError> {
    parse_policy(words).map_err(|error| RedisError::String(error.to_string()))?;
    str::from_utf8(words).map_err(|_| RedisError::Str("the policy is not ASCII"))
}

/// `authlimit.hash-key`: what the secrets of new limiters are derived from, so that no file and no
/// replication stream holds them; without it each is random and stored with its limiter.
pub(crate) static HASH_KEY: StringConfig = StringConfig::new(|bytes| match bytes {
    [] => Ok(()),
    bytes => HashKey::new(bytes).map(|_| ()).map_err(|error| RedisError::String(error.to_string())),
});

/// The present hash key; it was checked when it was set, and is empty where there is none.
pub(crate) fn hash_key() -> Option<HashKey> {
    HASH_KEY.with(|bytes| HashKey::new(bytes).ok())
}

/// A limiter with the default policy, for a key that has none.
///
/// # Errors
/// [`CommandError::NoAutocreate`] where `authlimit.autocreate` is `no`.
pub(crate) fn default_limiter(secret: Secret) -> Result<Limiter, CommandError> {
    if !AUTOCREATE.load(Ordering::Relaxed) {
        return Err(CommandError::NoAutocreate);
    }
    Ok(Limiter::new(DEFAULT_POLICY.with(parse_policy)?, secret))
}

/// What a command that creates no limiter goes by at a key that has none.
///
/// # Errors
/// As [`default_limiter`].
pub(crate) fn empty_default_limiter() -> Result<Limiter, CommandError> {
    // Nothing is kept under it, so the secret need not be one.
    default_limiter(Secret::from_bytes([0; 16]))
}

/// A new limiter's secret: derived from the hash key, or random where there is none.
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
