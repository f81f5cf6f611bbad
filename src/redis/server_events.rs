//! Events of the server: keys that move, databases that are swapped, changes of its configuration.

use crate::redis::guard::guarded;
use crate::redis::key::LimiterKey;
use crate::redis::limiters;
use crate::redis::server::{self, string_bytes};
use crate::redis::stats;
use redis_module::raw;
use std::ffi::{CStr, c_char, c_int, c_void};

/// The keyspace events after which a key may hold a limiter that no command of ours has put there.
const ARRIVALS: [&CStr; 4] = [c"rename_to", c"move_to", c"copy_to", c"restore"];

/// The events after which a key of a replica may hold a limiter again that seemed to be gone: a replica hides what has
/// expired by its own clock, but its primary decides.
const REVIVALS: [&CStr; 2] = [c"expire", c"persist"];

/// Subscribes to all events. On a server without some of them, limiters are found again when they are next loaded.
pub(crate) fn subscribe(ctx: *mut raw::RedisModuleCtx) {
    let generic = raw::REDISMODULE_NOTIFY_GENERIC;
    // SAFETY: the context is that of the running load, and the callback has the API's signature.
    unsafe { api!(RedisModule_SubscribeToKeyspaceEvents(ctx, generic, Some(key_event))) };
    let callbacks: [(u64, raw::RedisModuleEventCallback); 2] = [
        (raw::REDISMODULE_EVENT_SWAPDB, Some(databases_swapped)),
        (raw::REDISMODULE_EVENT_CONFIG, Some(config_changed)),
    ];
    for (id, callback) in callbacks {
        let event = raw::RedisModuleEvent { id, dataver: 1 };
        // SAFETY: as above.
        unsafe { api!(RedisModule_SubscribeToServerEvent(ctx, event, callback)) };
    }
}

/// A key was created, renamed, deleted, or the like.
unsafe extern "C" fn key_event(
    ctx: *mut raw::RedisModuleCtx,
    _kind: c_int,
    event: *const c_char,
    key: *mut raw::RedisModuleString,
) -> c_int {
    guarded(|| {
        // SAFETY: the server passes a C string that outlives the call.
        let event = unsafe { CStr::from_ptr(event) };
        let is_revival = || REVIVALS.contains(&event) && server::is_replica(ctx);
        let may_arrive = ARRIVALS.contains(&event) || is_revival();
        // SAFETY: context and key are those of the running callback.
        if may_arrive && unsafe { LimiterKey::is_at(ctx, key) } {
            // SAFETY: the context is that of the running callback.
            let db = unsafe { api!(RedisModule_GetSelectedDb(ctx)) };
            // SAFETY: the key is the server's and outlives the call.
            limiters::register(db.unwrap_or(0), unsafe { string_bytes(key) });
        }
    });
    0
}

/// Two databases were swapped.
unsafe extern "C" fn databases_swapped(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    data: *mut c_void,
) {
    // SAFETY: the server passes this struct with this event, and it outlives the call.
    let Some(info) = (unsafe { data.cast::<raw::RedisModuleSwapDbInfo>().as_ref() }) else { return };
    guarded(|| limiters::swap(info.dbnum_first, info.dbnum_second));
}

/// The server's configuration was changed.
unsafe extern "C" fn config_changed(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    _data: *mut c_void,
) {
    guarded(|| refresh_eviction(ctx));
}

/// Checks whether the server may evict limiters when its memory is full, and logs a warning when that changes to yes:
/// with a limiter all its attempts are forgotten.
pub(crate) fn refresh_eviction(ctx: *mut raw::RedisModuleCtx) {
    let may_evict = has_limit_and_evicts_any_key(ctx);
    if stats::set_evictable(may_evict) && may_evict {
        server::log_warning(
            "authlimit: maxmemory-policy lets the server evict any key, limiters too, and with a limiter all its \
             attempts and locks are forgotten; noeviction or a volatile-* policy keeps them",
        );
    }
}

/// Whether there is a `maxmemory`, with an `allkeys-*` policy.
fn has_limit_and_evicts_any_key(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: the context is that of the running callback, the name a C string.
    let info = unsafe { api!(RedisModule_GetServerInfo(ctx, c"memory".as_ptr())) };
    let Some(info) = info.filter(|info| !info.is_null()) else {
        return false;
    };
    let is = |name: &CStr, test: fn(&[u8]) -> bool| {
        // SAFETY: the data was given above and is not freed yet, the name is a C string.
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
