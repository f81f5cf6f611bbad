//! Whether the server may evict a limiter when its memory is full: an operator should know, since
//! then attempts are forgotten.

use crate::redis::log::{self, Level};
use redis_module::raw;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether it may, as last seen.
static MAY_EVICT: AtomicBool = AtomicBool::new(false);

/// Whether the server may evict a limiter that has no time to live.
pub(crate) fn may_evict_limiters() -> bool {
    MAY_EVICT.load(Ordering::Relaxed)
}

/// Looks at the server's settings, and warns in the log when it has begun to be so.
pub(crate) fn look(ctx: *mut raw::RedisModuleCtx) {
    let may_evict = has_limit_and_evicts_any_key(ctx);
    if may_evict && !MAY_EVICT.swap(may_evict, Ordering::Relaxed) {
        log::write(
            Level::Warning,
            "authlimit: maxmemory-policy lets the server evict any key, limiters too, and with a limiter \
             all its attempts and locks are forgotten; noeviction or a volatile-* policy keeps them",
        );
    }
    MAY_EVICT.store(may_evict, Ordering::Relaxed);
}

/// Whether there is a `maxmemory`, and an `allkeys-*` policy for it.
fn has_limit_and_evicts_any_key(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the context is that of the running callback, the name a C string.
    let info = unsafe { api!(RedisModule_GetServerInfo(ctx, c"memory".as_ptr())) };
    let Some(info) = info.filter(|info| !info.is_null()) else {
        return false;
    };
    let is = |name: &CStr, test: fn(&[u8]) -> bool| {
        // SAFETY: the data was given above and not freed yet, the name is a C string.
        let value = unsafe { api!(RedisModule_ServerInfoGetFieldC(info, name.as_ptr())) };
        // SAFETY: the value is a C string that lives as long as the data.
        let value = value.filter(|v| !v.is_null()).map(|v| unsafe { CStr::from_ptr(v) });
        value.is_some_and(|value| test(value.to_bytes()))
    };
    let may_evict =
        is(c"maxmemory", |bytes| bytes != b"0") && is(c"maxmemory_policy", |policy| policy.starts_with(b"allkeys"));
    // SAFETY: the data was given above, and nothing refers to it any more.
    unsafe { api!(RedisModule_FreeServerInfo(ctx, info)) };
    may_evict
}
