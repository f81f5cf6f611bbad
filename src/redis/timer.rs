//! Background maintenance: a timer reclaims what has expired.
//!
//! It visits all limiters in turn, with a time budget for each tick, so that no client waits for it longer than for a
//! slow command. On a primary it uses the clock; a replica reclaims what its primary's effects say has expired.

use crate::redis::error::CommandError;
use crate::redis::guard::guarded;
use crate::redis::key::WritableLimiterKey;
use crate::redis::limiters::{self, Location};
use crate::redis::replication::Replication;
use crate::redis::server::{self, OwnedString, context_flags};
use crate::redis::stats::{self, Total};
use redis_module::raw;
use std::ffi::{c_longlong, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one tick may take; the step in progress is finished.
const BUDGET: Duration = Duration::from_micros(400);

/// How long until the next tick, in milliseconds, after one that was busy reclaiming.
const BUSY_PERIOD: c_longlong = 4;

/// How long until the next tick, in milliseconds, otherwise.
const PERIOD: c_longlong = 100;

/// How many steps without anything to reclaim a tick does at one limiter before it continues with the next.
const IDLE_STEPS: usize = 8;

/// The location that was visited last.
static LAST: Mutex<Option<Location>> = Mutex::new(None);

/// Starts the timer.
pub(crate) fn start(ctx: *mut raw::RedisModuleCtx) {
    schedule(ctx, PERIOD);
}

/// Has the server call [`tick`] in `period` milliseconds.
fn schedule(ctx: *mut raw::RedisModuleCtx, period: c_longlong) {
    // SAFETY: the context is that of a running callback, and the data is unused.
    unsafe { api!(RedisModule_CreateTimer(ctx, period, Some(tick), ptr::null_mut())) };
}

/// The timer's callback.
unsafe extern "C" fn tick(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    let period = guarded(|| reclaim_some(ctx)).unwrap_or(PERIOD);
    schedule(ctx, period);
}

/// Reclaims for as long as the budget lasts; returns how long until the next tick.
fn reclaim_some(ctx: *mut raw::RedisModuleCtx) -> c_longlong {
    // While a client has paused writes or another server takes over, nothing may be replicated.
    //
    // SAFETY: takes nothing.
    let is_paused = unsafe { api!(RedisModule_AvoidReplicaTraffic()) }.unwrap_or(0) != 0;
    let loading = raw::REDISMODULE_CTX_FLAGS_LOADING | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING;
    if is_paused || context_flags(ctx) & loading != 0 {
        return PERIOD;
    }
    let started = Instant::now();
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let mut is_busy = false;
    for _ in 0..limiters::count() {
        let next = limiters::next_after(last.as_ref()).or_else(|| limiters::next_after(None));
        let Some(location) = next else { break };
        match reclaim_at(ctx, &location, started) {
            // It continues here next time.
            Ok(Outcome::OutOfTime) => return BUSY_PERIOD,
            Ok(Outcome::Done { any }) => is_busy |= any,
            Ok(Outcome::Gone) | Err(CommandError::WrongType) => {
                limiters::unregister(&location);
                is_busy = true;
            }
            // The clock is wrong; it may be set right.
            Err(_) => {}
        }
        *last = Some(location);
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
    /// A round is done, or the last few steps had nothing to reclaim.
    Done {
        /// Whether something was reclaimed.
        any: bool,
    },
    /// There may be more to reclaim.
    OutOfTime,
}

/// Reclaims at one limiter, until there is nothing more or the tick that began at `started` has used up its time.
fn reclaim_at(ctx: *mut raw::RedisModuleCtx, location: &Location, started: Instant) -> Result<Outcome, CommandError> {
    let (db, name) = location;
    // SAFETY: the context is that of the running callback.
    unsafe { api!(RedisModule_SelectDb(ctx, *db)) };
    // SAFETY: as above; the string does not outlive this function.
    let name = unsafe { OwnedString::new(ctx, name) }.ok_or(CommandError::Internal)?;
    // SAFETY: context and name are those of the running callback, which the key does not outlive.
    let mut key = unsafe { WritableLimiterKey::open_quietly(ctx, name.as_ptr()) }?;
    // SAFETY: as above.
    let replication = unsafe { Replication::new(ctx, name.as_ptr()) };
    let Some(limiter) = key.limiter_mut() else {
        return Ok(Outcome::Gone);
    };
    let is_primary = context_flags(ctx) & raw::REDISMODULE_CTX_FLAGS_MASTER != 0;
    let clock = if is_primary { Some(server::clock()?) } else { None };
    let (mut any, mut idle_steps) = (false, 0_usize);
    loop {
        let step = limiter.reclaim(clock, |effect| replication.replicate_silently(effect));
        if step.identities == 0 {
            idle_steps = idle_steps.saturating_add(1);
        } else {
            (any, idle_steps) = (true, 0);
            stats::add(Total::Reclaimed, step.identities as u64);
        }
        if step.is_round_done || idle_steps >= IDLE_STEPS {
            return Ok(Outcome::Done { any });
        }
        if started.elapsed() >= BUDGET {
            return Ok(Outcome::OutOfTime);
        }
    }
}
