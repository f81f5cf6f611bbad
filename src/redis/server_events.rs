//! What the server tells the module of: keys that move, databases that change places, changes of its
//! configuration.

use crate::redis::call::{context_flags, string_bytes};
use crate::redis::eviction;
use crate::redis::guard::guarded;
use crate::redis::key::LimiterKey;
use crate::redis::limiters;
use redis_module::raw;
use std::ffi::{CStr, c_char, c_int, c_void};

/// The keyspace events after which a key may hold a limiter that no command of ours has put there.
const ARRIVALS: [&CStr; 4] = [c"rename_to", c"move_to", c"copy_to", c"restore"];

/// Those after which a key of a replica may hold one again that had seemed to be gone: a replica hides what has
/// expired by its own clock, but it is its primary who decides.
const REVIVALS: [&CStr; 2] = [c"expire", c"persist"];

/// Subscribes to all of it. On a server that has not all of these events, limiters are found again
/// when they are next loaded.
pub(crate) fn subscribe(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: the context is that of the running load, and the callback has the API's signature.
    unsafe { api!(RedisModule_SubscribeToKeyspaceEvents(ctx, raw::REDISMODULE_NOTIFY_GENERIC, Some(key_event))) };
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
        let is_revival = || {
            let replica = raw::REDISMODULE_CTX_FLAGS_SLAVE;
            REVIVALS.contains(&event) && context_flags(ctx) & replica != 0
        };
        let may_arrive = ARRIVALS.contains(&event) || is_revival();
        // SAFETY: context and key are those of the running callback.
        if may_arrive && unsafe { LimiterKey::is_at(ctx, key) } {
            // SAFETY: the context is that of the running callback.
            let db = unsafe { api!(RedisModule_GetSelectedDb(ctx)) };
            // SAFETY: the key is the server's and outlives the call.
            limiters::note(db.unwrap_or(0), unsafe { string_bytes(key) });
        }
    });
    0
}

/// Two databases have changed places.
unsafe extern "C" fn databases_swapped(
    _ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    data: *mut c_void,
) {
    // SAFETY: the server passes this struct with this event, and it outlives the call.
    let Some(info) = (unsafe { data.cast::<raw::RedisModuleSwapDbInfo>().as_ref() }) else {
        return;
    };
    guarded(|| limiters::swap(info.dbnum_first, info.dbnum_second));
}

/// The server's configuration was changed.
unsafe extern "C" fn config_changed(
    ctx: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    _subevent: u64,
    _data: *mut c_void,
) {
    guarded(|| eviction::look(ctx));
}
