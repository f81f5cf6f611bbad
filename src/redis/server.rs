//! The server itself: its log, its clock, its strings and the state it is in.

use crate::redis::error::CommandError;
use crate::table::Timestamp;
use redis_module::raw;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

/// Writes a line at level `warning` to the server's log. The message must not contain any byte that a client sent.
pub(crate) fn log_warning(message: &str) {
    log(c"warning", message);
}

/// Writes a line at level `notice`, the server's usual one, to its log. As for `log_warning`, without client bytes.
pub(super) fn log_notice(message: &str) {
    log(c"notice", message);
}

/// Writes a line at a level to the server's log.
fn log(level: &CStr, message: &str) {
    // SAFETY: reads one pointer of the API table, which is filled in before any callback runs.
    let Some(log) = (unsafe { raw::RedisModule_Log }) else { return };
    // Our messages have no NUL; if one ever had, an empty line would be better than an aborted server.
    let message = CString::new(message).unwrap_or_default();
    // SAFETY: a null context is allowed; the format takes one C string, which outlives the call.
    unsafe { log(ptr::null_mut(), level.as_ptr(), c"%s".as_ptr(), message.as_ptr()) };
}

/// The server's current time; a command reads it once.
///
/// # Errors
/// [`CommandError::Clock`] if the clock is set to before 1970, or to within a year of the latest time that fits an
/// entry.
pub(super) fn clock() -> Result<Timestamp, CommandError> {
    // SAFETY: takes nothing. Since Redis 7.2; the same for a whole transaction or script.
    let cached = unsafe { api!(RedisModule_CachedMicroseconds()) }
        .and_then(|micros| u64::try_from(micros).ok())
        .map(|micros| Duration::from_micros(micros).as_millis());
    let millis = match cached {
        Some(millis) => u64::try_from(millis).ok(),
        // SAFETY: takes nothing.
        None => unsafe { api!(RedisModule_Milliseconds()) }.and_then(|millis| u64::try_from(millis).ok()),
    };
    millis.and_then(Timestamp::from_millis).filter(|clock| clock.is_plausible()).ok_or(CommandError::Clock)
}

/// The flags of a context; 0 on a server without this function.
pub(super) fn context_flags(ctx: *mut raw::RedisModuleCtx) -> u32 {
    // SAFETY: asks for nothing that a running callback's context does not have.
    let flags = unsafe { api!(RedisModule_GetContextFlags(ctx)) }.unwrap_or(0);
    u32::try_from(flags).unwrap_or(0)
}

/// Whether this server is a replica, including one that clients may write to.
pub(super) fn is_replica(ctx: *mut raw::RedisModuleCtx) -> bool {
    context_flags(ctx) & raw::REDISMODULE_CTX_FLAGS_SLAVE != 0
}

/// The bytes of a server string; none of a null one.
///
/// # Safety
/// The string must be null, or a server string that lives, unchanged, for `'a`.
pub(super) unsafe fn string_bytes<'a>(string: *const raw::RedisModuleString) -> &'a [u8] {
    let mut len = 0;
    if string.is_null() {
        return &[];
    }
    // SAFETY: the string is the server's, and the length is written to `len`.
    match unsafe { api!(RedisModule_StringPtrLen(string, &raw mut len)) } {
        // SAFETY: the server says that there are `len` bytes, which by the caller's promise do not change.
        Some(bytes) if !bytes.is_null() => unsafe { std::slice::from_raw_parts(bytes.cast(), len) },
        _ => &[],
    }
}

/// A server string, freed when dropped.
pub(super) struct OwnedString {
    ctx: *mut raw::RedisModuleCtx,
    string: *mut raw::RedisModuleString,
}

impl OwnedString {
    /// Copies bytes into a new server string; `None` if the server has none.
    ///
    /// # Safety
    /// The context must be that of a running callback, which the string must not outlive.
    pub(super) unsafe fn new(ctx: *mut raw::RedisModuleCtx, bytes: &[u8]) -> Option<Self> {
        let start = bytes.as_ptr().cast::<c_char>();
        // SAFETY: by the caller's promise; the server copies the bytes.
        let string = unsafe { api!(RedisModule_CreateString(ctx, start, bytes.len())) };
        string.filter(|string| !string.is_null()).map(|string| Self { ctx, string })
    }

    /// The string, which is not null, for as long as this lives.
    pub(super) fn as_ptr(&self) -> *mut raw::RedisModuleString {
        self.string
    }
}

impl Drop for OwnedString {
    fn drop(&mut self) {
        // SAFETY: the string was created in `new`, and nothing refers to it any more.
        unsafe { api!(RedisModule_FreeString(self.ctx, self.string)) };
    }
}
