//! The limiter at a key.

use crate::limiter::Limiter;
use crate::redis::call::CommandCall;
use crate::redis::error::CommandError;
use crate::redis::limiters;
use crate::redis::native_type;
use crate::redis::server::string_bytes;
use redis_module::raw;
use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// To change what is there, or to create it.
const READ_WRITE: u32 = raw::REDISMODULE_READ | raw::REDISMODULE_WRITE;

/// An opened key, closed when dropped. It ends before the call does.
pub(crate) struct LimiterKey<'c> {
    /// Null for a key opened for reading that does not exist.
    handle: *mut raw::RedisModuleKey,
    call: PhantomData<&'c CommandCall<'c>>,
}

/// A key opened for changing.
pub(crate) struct WritableLimiterKey<'c>(LimiterKey<'c>);

impl CommandCall<'_> {
    /// Opens the limiter's key for reading.
    pub(crate) fn open_key(&self) -> Result<LimiterKey<'_>, CommandError> {
        self.open(raw::REDISMODULE_READ)
    }

    /// Opens the limiter's key for changing what is there, or for creating it.
    pub(crate) fn open_writable_key(&self) -> Result<WritableLimiterKey<'_>, CommandError> {
        self.open(READ_WRITE).map(WritableLimiterKey)
    }

    /// Opens the key to replace whatever it holds by a limiter, as the primary did: the value may have expired there
    /// and not here.
    pub(crate) fn open_key_to_replace(&self) -> Result<WritableLimiterKey<'_>, CommandError> {
        let name = self.key_name()?;
        // SAFETY: as in `open`.
        let key = unsafe { LimiterKey::open_any(self.ctx, name, READ_WRITE) };
        Ok(WritableLimiterKey(key))
    }

    /// Opens the limiter's key.
    fn open(&self, mode: u32) -> Result<LimiterKey<'_>, CommandError> {
        let name = self.key_name()?;
        // SAFETY: context and string are those of the running callback, which the call does not outlive.
        unsafe { LimiterKey::open(self.ctx, name, mode) }
    }
}

impl LimiterKey<'_> {
    /// Opens a key in the database of the context.
    ///
    /// # Safety
    /// Context and name must be those of a running callback, which the key must not outlive, and the mode one of the
    /// API's.
    unsafe fn open(
        ctx: *mut raw::RedisModuleCtx,
        name: *mut raw::RedisModuleString,
        mode: u32,
    ) -> Result<Self, CommandError> {
        // SAFETY: the caller's promises are passed on.
        let key = unsafe { Self::open_any(ctx, name, mode) };
        key.check_type()?;
        Ok(key)
    }

    /// Opens a key without checking the type of its value.
    ///
    /// # Safety
    /// As for `open`.
    unsafe fn open_any(ctx: *mut raw::RedisModuleCtx, name: *mut raw::RedisModuleString, mode: u32) -> Self {
        let mode = c_int::try_from(mode).unwrap_or_default();
        // SAFETY: by the caller's promises.
        let handle = unsafe { api!(RedisModule_OpenKey(ctx, name, mode)) };
        Self { handle: handle.unwrap_or(std::ptr::null_mut()).cast(), call: PhantomData }
    }

    /// Whether there is a limiter at a key of the context's database, without counting as an access.
    ///
    /// # Safety
    /// Context and name must be those of a running callback.
    pub(super) unsafe fn is_at(ctx: *mut raw::RedisModuleCtx, name: *mut raw::RedisModuleString) -> bool {
        let mode = raw::REDISMODULE_READ | raw::REDISMODULE_OPEN_KEY_NOTOUCH;
        // SAFETY: the caller's promises are passed on; the key is closed at once.
        unsafe { Self::open(ctx, name, mode) }.is_ok_and(|key| key.limiter().is_some())
    }

    /// The limiter, if there is one.
    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        // SAFETY: the value is a limiter (`value` says why), which lives in the keyspace as long as the key is open,
        // and is changed only through `&mut` of this key.
        self.value().map(|value| unsafe { value.as_ref() })
    }

    /// The pointer in the keyspace. It comes from [`WritableLimiterKey::put`] or from a callback of the type, so it is
    /// a boxed `Limiter`: `check_type` has made sure that it is of our type.
    fn value(&self) -> Option<NonNull<Limiter>> {
        if self.handle.is_null() {
            return None;
        }
        // SAFETY: the handle is that of an open key; of an empty one the value is null.
        let value = unsafe { api!(RedisModule_ModuleTypeGetValue(self.handle)) }?;
        NonNull::new(value.cast())
    }

    /// Refuses a key that holds something other than a limiter.
    fn check_type(&self) -> Result<(), CommandError> {
        if self.handle.is_null() {
            return Ok(());
        }
        // SAFETY: the handle is that of an open key.
        let kind = unsafe { api!(RedisModule_KeyType(self.handle)) };
        if kind == c_int::try_from(raw::REDISMODULE_KEYTYPE_EMPTY).ok() {
            return Ok(());
        }
        // SAFETY: the handle is that of an open key; null for a type that is not a module's.
        let of = unsafe { api!(RedisModule_ModuleTypeGetType(self.handle)) };
        if of == Some(native_type::raw_type()) { Ok(()) } else { Err(CommandError::WrongType) }
    }
}

impl WritableLimiterKey<'_> {
    /// Opens a key in the database of the context, without counting as an access.
    ///
    /// # Safety
    /// Context and name must be those of a running callback, which the key must not outlive.
    pub(super) unsafe fn open_quietly(
        ctx: *mut raw::RedisModuleCtx,
        name: *mut raw::RedisModuleString,
    ) -> Result<Self, CommandError> {
        let mode = READ_WRITE | raw::REDISMODULE_OPEN_KEY_NOTOUCH;
        // SAFETY: the caller's promises are passed on.
        unsafe { LimiterKey::open(ctx, name, mode) }.map(Self)
    }

    /// Frees the tables that a policy change has left over, in a thread of its own: that may take long.
    pub(crate) fn free_retired_tables(&mut self) {
        let Some(retired) = self.limiter_mut().and_then(Limiter::take_retired_tables) else { return };
        // If there can be no thread, the closure is dropped here, which frees them.
        let _ = std::thread::Builder::new().spawn(move || drop(retired));
    }

    /// The limiter, if there is one, to change.
    pub(crate) fn limiter_mut(&mut self) -> Option<&mut Limiter> {
        // SAFETY: as for `limiter`; `&mut self` makes this the only reference.
        self.0.value().map(|mut value| unsafe { value.as_mut() })
    }

    /// Puts `limiter` at the key, replacing what was there.
    ///
    /// # Errors
    /// [`CommandError::Internal`] if the server does not take it.
    pub(crate) fn put(&mut self, limiter: Limiter) -> Result<(), CommandError> {
        let value = limiters::into_raw(Box::new(limiter));
        let (handle, kind) = (self.0.handle, native_type::raw_type());
        // SAFETY: the handle is that of a key open for writing; the type is ours, and its callbacks take the value for
        // what it is. The server owns the value from here on.
        let status = unsafe { api!(RedisModule_ModuleTypeSetValue(handle, kind, value.cast())) };
        if status != Some(0) {
            // SAFETY: the server has not taken the value, so it is still this function's.
            drop(unsafe { limiters::from_raw(value) });
            return Err(CommandError::Internal);
        }
        self.register();
        Ok(())
    }

    /// Registers this key in the index of limiters.
    fn register(&self) {
        // SAFETY: the handle is that of an open key.
        let db = unsafe { api!(RedisModule_GetDbIdFromModuleKey(self.0.handle)) };
        // SAFETY: as above; the name lives as long as the key is open.
        let name = unsafe { api!(RedisModule_GetKeyNameFromModuleKey(self.0.handle)) };
        if let (Some(db), Some(name)) = (db, name) {
            // SAFETY: as above.
            limiters::register(db, unsafe { string_bytes(name) });
        }
    }
}

impl Drop for LimiterKey<'_> {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the handle is open, and no reference into it outlives `self`.
            unsafe { api!(RedisModule_CloseKey(self.handle)) };
        }
    }
}
