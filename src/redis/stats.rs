//! Metrics: the section `authlimit` of `INFO`.
//!
//! Totals count what this server decided for its own clients since it started; effects that a replica receives are not
//! counted. Only `reclaimed` is counted on replicas, too.

use crate::limiter::{Binding, Decision, Effect, Limiter};
use crate::policy::Subject;
use crate::redis::guard::guarded;
use crate::redis::limiters;
use redis_module::{Context, raw};
use std::ffi::{CStr, c_int};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is counted. The order is that of [`TOTALS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Total {
    /// Attempts that CHECK admitted.
    Allowed,
    /// Attempts that it refused, by the binding rule's subject or list.
    RefusedIp,
    RefusedEmail,
    RefusedPair,
    RefusedEmailsPerIp,
    RefusedIpsPerEmail,
    RefusedAll,
    RefusedDevice,
    RefusedDeny,
    /// Locks that began, by rules that are not in shadow.
    Locks,
    /// RESETs that forgave something.
    Resets,
    /// REFUNDs that took something back.
    Refunds,
    /// UNLOCKs that cleared something.
    Unlocks,
    /// Identities that were removed to make room for others.
    Evicted,
    /// Commands that were answered with an error.
    Errors,
    /// Events that were published.
    Events,
    /// Events that were not published, since too many earlier ones were still waiting to end.
    EventsDropped,
    /// Identities that the timer has reclaimed.
    Reclaimed,
}

/// Every total, by the field's name.
const TOTALS: [(&CStr, Total); 18] = [
    (c"allowed", Total::Allowed),
    (c"refused_ip", Total::RefusedIp),
    (c"refused_email", Total::RefusedEmail),
    (c"refused_pair", Total::RefusedPair),
    (c"refused_emails_per_ip", Total::RefusedEmailsPerIp),
    (c"refused_ips_per_email", Total::RefusedIpsPerEmail),
    (c"refused_all", Total::RefusedAll),
    (c"refused_device", Total::RefusedDevice),
    (c"refused_deny", Total::RefusedDeny),
    (c"locks", Total::Locks),
    (c"resets", Total::Resets),
    (c"refunds", Total::Refunds),
    (c"unlocks", Total::Unlocks),
    (c"evicted", Total::Evicted),
    (c"errors", Total::Errors),
    (c"events", Total::Events),
    (c"events_dropped", Total::EventsDropped),
    (c"reclaimed", Total::Reclaimed),
];

/// The totals, at the place of each.
static COUNTS: [AtomicU64; TOTALS.len()] = [const { AtomicU64::new(0) }; TOTALS.len()];

/// Whether the server may evict a limiter that has no time to live, as last checked.
static EVICTABLE: AtomicBool = AtomicBool::new(false);

/// Stores whether the server may evict limiters; returns whether that is new.
pub(super) fn set_evictable(evictable: bool) -> bool {
    EVICTABLE.swap(evictable, Ordering::Relaxed) != evictable
}

/// Adds to a total. Commands and the timer run in one thread, so no addition is lost without a lock.
pub(crate) fn add(total: Total, more: u64) {
    if let Some(count) = COUNTS.get(total as usize) {
        let before = count.load(Ordering::Relaxed);
        count.store(before.saturating_add(more), Ordering::Relaxed);
    }
}

/// Counts a decision of CHECK.
pub(crate) fn count_decision(limiter: &Limiter, decision: &Decision) {
    let verdict = &decision.verdict;
    let total = if verdict.allowed { Total::Allowed } else { refused_by(limiter, verdict.binding) };
    add(total, 1);
    if !decision.tripping.is_empty() {
        add(Total::Locks, limiter.locks_begun(decision));
    }
}

/// Counts an effect.
pub(crate) fn count_effect(effect: &Effect) {
    match effect {
        Effect::Reset { .. } => add(Total::Resets, 1),
        Effect::Refund { .. } => add(Total::Refunds, 1),
        Effect::Unlock { .. } => add(Total::Unlocks, 1),
        Effect::Evict { .. } => add(Total::Evicted, 1),
        Effect::Admit { .. }
        | Effect::CountDenied { .. }
        | Effect::Lock { .. }
        | Effect::ListAdd { .. }
        | Effect::ListRemove { .. }
        | Effect::TimePassed { .. }
        | Effect::ChangePolicy { .. }
        | Effect::ClockSet { .. }
        | Effect::ClockRestored { .. } => {}
    }
}

/// The total of what refused.
fn refused_by(limiter: &Limiter, binding: Binding) -> Total {
    let rule = match binding {
        Binding::Rule(rule) => limiter.policy().rules().get(rule),
        Binding::Allow | Binding::Deny => None,
    };
    match rule.map(|rule| rule.subject()) {
        Some(Subject::Ip) => Total::RefusedIp,
        Some(Subject::Email) => Total::RefusedEmail,
        Some(Subject::Pair) => Total::RefusedPair,
        Some(Subject::EmailsPerIp) => Total::RefusedEmailsPerIp,
        Some(Subject::IpsPerEmail) => Total::RefusedIpsPerEmail,
        Some(Subject::All) => Total::RefusedAll,
        Some(Subject::Device) => Total::RefusedDevice,
        None => Total::RefusedDeny,
    }
}

/// The totals that are sums: of all verdicts, and of all refusals.
fn sums() -> (u64, u64) {
    let refusals = TOTALS.iter().zip(&COUNTS).filter(|((name, _), _)| {
        let name = name.to_bytes();
        name.starts_with(b"refused_")
    });
    let refused = refusals.map(|(_, count)| count.load(Ordering::Relaxed)).fold(0, u64::saturating_add);
    let allowed = COUNTS.get(Total::Allowed as usize).map_or(0, |count| count.load(Ordering::Relaxed));
    (allowed.saturating_add(refused), refused)
}

/// Registers the section with the server.
pub(crate) fn register_section(ctx: &Context) {
    // SAFETY: the context is that of the running load, and the callback has the signature that it is called with. It
    // replaces the one that the redis-module crate has registered.
    unsafe { api!(RedisModule_RegisterInfoFunc(ctx.ctx, Some(write_section))) };
}

/// Writes the section. The server puts `authlimit_` before each name.
unsafe extern "C" fn write_section(info: *mut raw::RedisModuleInfoCtx, for_crash_report: c_int) {
    guarded(|| {
        // SAFETY: the context is that of the running callback; no name is the module's own.
        let status = unsafe { api!(RedisModule_InfoAddSection(info, ptr::null())) };
        if status != Some(0) {
            return;
        }
        let field = |name: &CStr, number: u64| {
            // SAFETY: as above, and the name is a C string.
            unsafe { api!(RedisModule_InfoAddFieldULongLong(info, name.as_ptr(), number)) };
        };
        // A crashing server must not wait for a lock that it may hold itself.
        if for_crash_report == 0 {
            let size = limiters::size();
            field(c"limiters", size.limiters);
            field(c"identities", size.identities);
            field(c"bytes", size.bytes);
        }
        let (checks, refused) = sums();
        field(c"checks", checks);
        field(c"refused", refused);
        for ((name, _), count) in TOTALS.iter().zip(&COUNTS) {
            field(name, count.load(Ordering::Relaxed));
        }
        field(c"evictable", u64::from(EVICTABLE.load(Ordering::Relaxed)));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_total_has_its_own_field() {
        for (place, (name, total)) in TOTALS.iter().enumerate() {
            assert_eq!(place, *total as usize, "{name:?}");
            let others = TOTALS.iter().filter(|(other, _)| other == name);
            assert_eq!(others.count(), 1, "{name:?}");
        }
    }
}
