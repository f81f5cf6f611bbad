//! The data type of a limiter, and the callbacks by which the server handles its values.
//!
//! Each callback goes through the guard. Values are boxes of [`Limiter`], made by
//! [`put`](crate::redis::key::WritableLimiterKey::put), by loading or by copying, and unmade here.

use crate::format::ENCODING_VERSION;
use crate::limiter::Limiter;
use crate::redis::defrag;
use crate::redis::guard::guarded;
use crate::redis::instances;
use crate::redis::persistence;
use redis_module::native_types::RedisType;
use redis_module::raw;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// The data type. Its name is what `TYPE` says and what an RDB file knows it by.
pub(crate) static LIMITER_TYPE: RedisType = RedisType::new(
    "authlimit",
    ENCODING_VERSION,
    raw::RedisModuleTypeMethods {
        version: raw::REDISMODULE_TYPE_METHOD_VERSION as u64,
        rdb_load: Some(rdb_load),
        rdb_save: Some(rdb_save),
        aof_rewrite: Some(aof_rewrite),
        mem_usage: Some(mem_usage),
        digest: Some(digest),
        free: Some(free),
        copy: Some(copy),
        aux_load: None,
        aux_save: None,
        aux_save_triggers: 0,
        free_effort: Some(free_effort),
        unlink: None,
        defrag: Some(defrag),
        mem_usage2: None,
        free_effort2: None,
        unlink2: None,
        copy2: None,
        aux_save2: None,
    },
);

/// The type as the module API knows it; null before it is registered.
pub(crate) fn raw_type() -> *mut raw::RedisModuleType {
    LIMITER_TYPE.raw_type.try_borrow().map_or(ptr::null_mut(), |raw_type| *raw_type)
}

/// The limiter that a callback was given.
///
/// # Safety
/// `value` must be a value of this type, and `'a` end with the callback.
unsafe fn limiter<'a>(value: *const c_void) -> &'a Limiter {
    // SAFETY: values of this type are boxes of a limiter.
    unsafe { &*value.cast::<Limiter>() }
}

/// Loads a limiter from an RDB file, a replication stream or `RESTORE`.
unsafe extern "C" fn rdb_load(rdb: *mut raw::RedisModuleIO, encoding_version: c_int) -> *mut c_void {
    guarded(|| persistence::load(rdb, encoding_version))
        .flatten()
        .map_or(ptr::null_mut(), |limiter| instances::into_raw(Box::new(limiter)).cast())
}

/// Saves a limiter to an RDB file, a replication stream or for `DUMP`.
unsafe extern "C" fn rdb_save(rdb: *mut raw::RedisModuleIO, value: *mut c_void) {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| persistence::save(rdb, limiter));
}

/// Writes the commands that rebuild a limiter to a new append-only file.
unsafe extern "C" fn aof_rewrite(aof: *mut raw::RedisModuleIO, key: *mut raw::RedisModuleString, value: *mut c_void) {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| persistence::rewrite(aof, key, limiter));
}

/// Bytes of memory a limiter takes, for `MEMORY USAGE`.
unsafe extern "C" fn mem_usage(value: *const c_void) -> usize {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| limiter.bytes()).unwrap_or(0)
}

/// Adds a limiter to a digest, for `DEBUG DIGEST`.
unsafe extern "C" fn digest(digest: *mut raw::RedisModuleDigest, value: *mut c_void) {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    let Some(bytes) = guarded(|| limiter.digest().to_le_bytes()) else {
        return;
    };
    let element = bytes.as_ptr().cast::<c_char>();
    // SAFETY: the digest is the running callback's, and the length is the bytes'.
    unsafe { api!(RedisModule_DigestAddStringBuffer(digest, element, bytes.len())) };
    // SAFETY: as above.
    unsafe { api!(RedisModule_DigestEndSequence(digest)) };
}

/// What freeing a limiter costs, by which the server decides whether to do it in another thread.
unsafe extern "C" fn free_effort(_key: *mut raw::RedisModuleString, value: *const c_void) -> usize {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| limiter.blocks()).unwrap_or(1)
}

/// Moves a limiter's memory, for active defragmentation.
unsafe extern "C" fn defrag(
    ctx: *mut raw::RedisModuleDefragCtx,
    _key: *mut raw::RedisModuleString,
    value: *mut *mut c_void,
) -> c_int {
    // SAFETY: the server passes where it keeps a value of this type, and uses it itself only after
    // this call.
    let limiter = unsafe { &mut *(*value).cast::<Limiter>() };
    guarded(|| defrag::defragment(ctx, limiter)).unwrap_or(0)
}

/// Frees a limiter, in whichever thread the server does that.
unsafe extern "C" fn free(value: *mut c_void) {
    // SAFETY: the server passes a value of this type, gives it up, and holds no reference to it.
    let limiter = unsafe { instances::from_raw(value.cast::<Limiter>()) };
    guarded(|| drop(limiter));
}

/// Copies a limiter, for `COPY`.
unsafe extern "C" fn copy(
    _from: *mut raw::RedisModuleString,
    _to: *mut raw::RedisModuleString,
    value: *const c_void,
) -> *mut c_void {
    // SAFETY: the server passes a value of this type.
    let limiter = unsafe { limiter(value) };
    guarded(|| {
        let mut copied = Box::new(limiter.clone());
        copied.forget_refusals();
        instances::into_raw(copied).cast()
    })
    .unwrap_or(ptr::null_mut())
}
