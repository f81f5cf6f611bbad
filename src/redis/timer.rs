//! What the server does with its limiters while nobody asks: reclaims what has expired.
//!
//! A timer goes round all limiters, with a budget of time at each tick, so that no client waits for
//! it longer than for a slow command. On a primary it goes by the clock; a replica reclaims what its
//! primary's effects say has expired.

use crate::redis::call::{Replication, clock, context_flags};
use crate::redis::error::CommandError;
use crate::redis::guard::guarded;
use crate::redis::key::WritableLimiterKey;
use crate::redis::limiters::{self, Place};
use redis_module::raw;
use std::ffi::{c_char, c_longlong, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one tick may take; the step that it is at then is finished.
const BUDGET: Duration = Duration::from_micros(400);

/// How long until the next tick, in milliseconds, after one that ran out of time reclaiming.
const BUSY_PERIOD: c_longlong = 4;

/// How long until the next tick, in milliseconds, otherwise.
const PERIOD: c_longlong = 100;

/// How many steps a tick does at a limiter where there is nothing to reclaim, before it goes on to
/// the next.
const IDLE_STEPS: usize = 8;

/// The place that was visited last.
static LAST: Mutex<Option<Place>> = Mutex::new(None);

/// How many identities were reclaimed here since the server started.
static RECLAIMED: AtomicU64 = AtomicU64::new(0);

/// Starts the timer.
pub(crate) fn start(ctx: *mut raw::RedisModuleCtx) {
    schedule(ctx, PERIOD);
}

/// How many identities ticks have reclaimed since the server started.
pub(crate) fn reclaimed() -> u64 {
    RECLAIMED.load(Ordering::Relaxed)
}

/// Has the server call [`tick`] in so many milliseconds.
fn schedule(ctx: *mut raw::RedisModuleCtx, period: c_longlong) {
    // SAFETY: the context is that of a running callback, and the data is not looked at.
    unsafe { api!(RedisModule_CreateTimer(ctx, period, Some(tick), ptr::null_mut())) };
}

/// What the timer calls.
unsafe extern "C" fn tick(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    let period = guarded(|| reclaim_some(ctx)).unwrap_or(PERIOD);
    schedule(ctx, period);
}

/// Reclaims for as long as the budget lasts; returns how long until the next time.
fn reclaim_some(ctx: *mut raw::RedisModuleCtx) -> c_longlong {
    // While a client has paused writes or another server takes over, nothing may be replicated.
    // SAFETY: takes nothing.
    let is_paused = unsafe { api!(RedisModule_AvoidReplicaTraffic()) }.unwrap_or(0) != 0;
    let loading = raw::REDISMODULE_CTX_FLAGS_LOADING | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING;
    if is_paused || context_flags(ctx) & loading != 0 {
        return PERIOD;
    }
    let started = Instant::now();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let mut is_busy = false;
    for _ in 0..limiters::len() {
        let Some(place) = limiters::next_after(last.as_ref()).or_else(|| limiters::next_after(None)) else {
            break;
        };
        match reclaim_at(ctx, &place, started) {
            // It goes on here next time.
            Ok(Outcome::OutOfTime) => return BUSY_PERIOD,
            Ok(Outcome::Done { any }) => is_busy |= any,
            Ok(Outcome::Gone) | Err(CommandError::WrongType) => {
                limiters::forget(&place);
                is_busy = true;
            }
            // The clock is wrong; it may be set right.
            Err(_) => {}
        }
        *last = Some(place);
        if started.elapsed() >= BUDGET {
            break;
        }
    }
    if is_busy { BUSY_PERIOD } else { PERIOD }
}

/// How a visit at one limiter has ended.
enum Outcome {
    /// There is none any more.
    Gone,
    /// A round is done, or there was nothing in the last few steps.
    Done {
        /// Whether something was reclaimed.
        any: bool,
    },
    /// There may be more to reclaim.
    OutOfTime,
}

/// Reclaims at one limiter, until there is nothing more or the tick that began at `started` has used
/// up its time.
fn reclaim_at(ctx: *mut raw::RedisModuleCtx, place: &Place, started: Instant) -> Result<Outcome, CommandError> {
    let (db, name) = place;
    // SAFETY: the context is that of the running callback.
    unsafe { api!(RedisModule_SelectDb(ctx, *db)) };
    let bytes = name.as_ptr().cast::<c_char>();
    // SAFETY: the context is that of the running callback, which frees the string when it ends; the
    // length is the name's.
    let name = unsafe { api!(RedisModule_CreateString(ctx, bytes, name.len())) };
    let name = name.unwrap_or(ptr::null_mut());
    let outcome = reclaim_key(ctx, name, started);
    // SAFETY: the string was made above, and nothing refers to it any more.
    unsafe { api!(RedisModule_FreeString(ctx, name)) };
    outcome
}

/// As [`reclaim_at`], for the key of this name in the database of the context.
fn reclaim_key(
    ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
    started: Instant,
) -> Result<Outcome, CommandError> {
    // SAFETY: context and name are those of the running callback, which the key does not outlive.
    let mut key = unsafe { WritableLimiterKey::open_quietly(ctx, name) }?;
    // SAFETY: as above.
    let replication = unsafe { Replication::for_timer(ctx, name) };
    let Some(limiter) = key.limiter_mut() else {
        return Ok(Outcome::Gone);
    };
    let is_primary = context_flags(ctx) & raw::REDISMODULE_CTX_FLAGS_MASTER != 0;
    let clock = if is_primary { Some(clock()?) } else { None };
    let (mut any, mut idle_steps) = (false, 0_usize);
    loop {
        let step = limiter.reclaim(clock, |effect| replication.replicate_silently(effect));
        if step.identities == 0 {
            idle_steps = idle_steps.saturating_add(1);
        } else {
            (any, idle_steps) = (true, 0);
            RECLAIMED.fetch_add(step.identities as u64, Ordering::Relaxed);
        }
        if step.is_round_done || idle_steps >= IDLE_STEPS {
            return Ok(Outcome::Done { any });
        }
        if started.elapsed() >= BUDGET {
            return Ok(Outcome::OutOfTime);
        }
    }
}
