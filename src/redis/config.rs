//! The module's configuration: `CONFIG GET`, `SET` and `REWRITE`, and module arguments.

use crate::identity::{HashKey, Secret};
use crate::limiter::Limiter;
use crate::policy::{Capacity, Policy, PolicyError};
use crate::redis::error::CommandError;
use crate::redis::instances;
use redis_module::configuration::{
    ConfigurationContext, ConfigurationValue, EnumConfigurationValue,
};
use redis_module::{RedisError, RedisString};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What `authlimit.default-policy` is to begin with.
pub(crate) const DEFAULT_POLICY_WORDS: &str = "PRESET signin";

/// `authlimit.default-policy`: the policy of a limiter that CHECK creates.
pub(crate) static DEFAULT_POLICY: DefaultPolicy = DefaultPolicy {
    words: Mutex::new(String::new()),
    shown: Shown::nothing(),
};

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
    const EVERY: [(Self, &'static str); 3] = [
        (Self::No, "no"),
        (Self::Hashed, "hashed"),
        (Self::Full, "full"),
    ];

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
        found
            .map(|(detail, _)| detail)
            .ok_or(RedisError::Str("no such value"))
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
            instances::forget_names();
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

/// A string config as it was set, for `CONFIG GET` to give the same back.
struct Shown(Mutex<Option<Words>>);

/// A string of the server's.
struct Words(RedisString);

// SAFETY: what is in a `Shown` is used by the callbacks of configs alone, which the server calls from its main thread.
unsafe impl Send for Words {}

impl Shown {
    /// Nothing yet; the server sets every config before it shows one.
    const fn nothing() -> Self {
        Self(Mutex::new(None))
    }

    /// Keeps what was set.
    fn set(&self, words: RedisString) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Words(words));
    }

    /// What the server is shown. It copies that and frees nothing, so it must not be given a string of
    /// its own each time: that would never be freed. It is lent the one that is kept here, which the
    /// redis-module crate passes on as a pointer, without dropping it.
    fn lend(&self) -> RedisString {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = || RedisString::create_from_slice(ptr::null_mut(), b"");
        shown.as_ref().map_or_else(nothing, |words| {
            RedisString::from_redis_module_string(ptr::null_mut(), words.0.inner)
        })
    }
}

/// A policy as an operator wrote it.
pub(crate) struct DefaultPolicy {
    words: Mutex<String>,
    shown: Shown,
}

impl DefaultPolicy {
    /// The policy; it was checked when it was set.
    fn policy(&self) -> Result<Policy, PolicyError> {
        Policy::from_text(&self.words.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ConfigurationValue<RedisString> for DefaultPolicy {
    fn get(&self, _: &ConfigurationContext) -> RedisString {
        self.shown.lend()
    }

    fn set(&self, _: &ConfigurationContext, words: RedisString) -> Result<(), RedisError> {
        let policy = check_policy(words.as_slice())?.to_owned();
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = policy;
        self.shown.set(words);
        Ok(())
    }
}

/// The words of a policy, if they are that.
pub(crate) fn check_policy(words: &[u8]) -> Result<&str, RedisError> {
    let parsed = Policy::parse(
        words
            .split(u8::is_ascii_whitespace)
            .filter(|w| !w.is_empty()),
    );
    parsed.map_err(|error| RedisError::String(error.to_string()))?;
    str::from_utf8(words).map_err(|_| RedisError::Str("the policy is not ASCII"))
}

/// `authlimit.hash-key`: what the secrets of new limiters are derived from, so that no file and no
/// replication stream holds them; without it each is random and stored with its limiter.
pub(crate) static HASH_KEY: HashKeyConfig = HashKeyConfig {
    key: Mutex::new(None),
    shown: Shown::nothing(),
};

/// The present hash key.
pub(crate) fn hash_key() -> Option<HashKey> {
    let key = HASH_KEY.key.lock().unwrap_or_else(PoisonError::into_inner);
    key.clone()
}

/// The hash key as the server's configuration; empty where there is none.
pub(crate) struct HashKeyConfig {
    key: Mutex<Option<HashKey>>,
    shown: Shown,
}

impl ConfigurationValue<RedisString> for HashKeyConfig {
    fn get(&self, _: &ConfigurationContext) -> RedisString {
        self.shown.lend()
    }

    fn set(&self, _: &ConfigurationContext, bytes: RedisString) -> Result<(), RedisError> {
        let key = match bytes.as_slice() {
            [] => None,
            bytes => {
                Some(HashKey::new(bytes).map_err(|error| RedisError::String(error.to_string()))?)
            }
        };
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = key;
        self.shown.set(bytes);
        Ok(())
    }
}

/// A limiter with the default policy, for a key that has none.
///
/// # Errors
/// [`CommandError::NoAutocreate`] where `authlimit.autocreate` is `no`.
pub(crate) fn default_limiter(secret: Secret) -> Result<Limiter, CommandError> {
    if !AUTOCREATE.load(Ordering::Relaxed) {
        return Err(CommandError::NoAutocreate);
    }
    Ok(Limiter::new(DEFAULT_POLICY.policy()?, secret))
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
