//! What an operator is told when a rule begins to refuse: a message and a keyspace notification.
//!
//! The message is JSON on the Pub/Sub channel `authlimit:` and the limiter's key, byte for byte:
//!
//! | field | is |
//! |---|---|
//! | `event` | OWASP's word for it (Application Logging Vocabulary): `authn_login_lock` when a lock begins; `authn_login_fail_max` when a rule for `EMAIL`, `PAIR` or `DEVICE` begins to refuse; else `excess_rate_limit_exceeded` |
//! | `kind` | `refused`, `locked` or `spray`: the notification is `authlimit.refused`, ... |
//! | `level` | `WARN`, as OWASP has it for all three |
//! | `at` | the server's time, in ms since the Unix epoch |
//! | `limiter` | its key; what is no UTF-8 in it is U+FFFD |
//! | `rule`, `subject` | the rule in the policy's words, and what it counts for |
//! | `until` | when the rule would admit such an attempt again if nobody tries, in ms since the Unix epoch |
//! | `ip_id`, `email_id`, `device_id` | the keyed ids of the attempt in 16 hexadecimal digits |
//! | `ip`, `email` | only if `authlimit.events` is `full`: as received, cut at 320 bytes, what is no UTF-8 in it U+FFFD |
//!
//! It is published on this server, and in a cluster on all of its nodes, but it is not passed on to
//! replicas: the replication stream holds no address and no email. Nobody is told by a replica.

use crate::identity::Id;
use crate::limiter::{
    Attempt, Beginning, BeginningKind, Decision, Limiter, Names, Party, Received, Timestamp, cut,
};
use crate::policy::{Keyword, Rule, Subject};
use crate::redis::config::{EVENTS, EventDetail};
use crate::redis::session::Session;
use crate::redis::stats::{self, Total};
use redis_module::raw;
use serde::Serialize;
use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int};

/// What the channel's name begins with; the limiter's key follows.
const CHANNEL_PREFIX: &[u8] = b"authlimit:";

/// What is published when the command is done with the limiter.
pub(crate) struct Event {
    kind: BeginningKind,
    message: Vec<u8>,
}

/// A message's fields.
#[derive(Serialize)]
struct Message<'a> {
    event: &'static str,
    kind: &'static str,
    level: &'static str,
    at: u64,
    limiter: Cow<'a, str>,
    rule: &'a str,
    subject: &'static str,
    until: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Cow<'a, str>>,
}

/// A refused attempt, and what was received of it.
pub(crate) struct RefusedAttempt<'a> {
    /// The attempt.
    pub(crate) attempt: &'a Attempt,
    /// As received.
    pub(crate) received: &'a Received<'a>,
    /// What was decided.
    pub(crate) decision: &'a Decision,
}

impl Session<'_> {
    /// Remembers a refused attempt in `limiter`, and returns what there is to tell of it. To be published
    /// once the limiter is let go of, since whoever hears of it may use it.
    pub(crate) fn observe_refusal(
        &self,
        limiter: &mut Limiter,
        refused: &RefusedAttempt<'_>,
        clock: Timestamp,
    ) -> Vec<Event> {
        let detail = EVENTS.get();
        let names = (detail == EventDetail::Full).then_some(Names {
            ip: refused.received.ip,
            email: refused.received.email,
        });
        limiter.count_refusal(refused.attempt, names, clock);
        if detail == EventDetail::No {
            return Vec::new();
        }
        let beginnings = limiter.beginnings(refused.attempt, refused.decision, clock);
        stats::add(Total::EventsDropped, beginnings.untold);
        if beginnings.told.is_empty() || self.is_on_replica() {
            return Vec::new();
        }
        let key = self.limiter_key();
        let rules = limiter.policy().rules();
        let events = beginnings.told.iter().filter_map(|beginning| {
            let rule = rules.get(beginning.rule)?;
            let message = message(beginning, rule, key, refused, names, clock);
            Some(Event {
                kind: beginning.kind,
                message: serde_json::to_vec(&message).ok()?,
            })
        });
        events.collect()
    }

    /// Tells subscribers what has begun.
    pub(crate) fn publish(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let channel = [CHANNEL_PREFIX, self.limiter_key()].concat();
        for event in events {
            self.publish_bytes(&channel, &event.message);
            self.notify(notification(event.kind));
            stats::add(Total::Events, 1);
        }
    }

    /// Publishes a message to this server's subscribers, or the whole cluster's.
    fn publish_bytes(&self, channel: &[u8], message: &[u8]) {
        let channel = self.string(channel);
        let message = self.string(message);
        if let (Some(channel), Some(message)) = (channel, message) {
            // SAFETY: the context is that of the running callback; both strings have just been made.
            unsafe { api!(RedisModule_PublishMessage(self.ctx, channel, message)) };
        }
        for string in [channel, message].into_iter().flatten() {
            // SAFETY: made above, and not used again.
            unsafe { api!(RedisModule_FreeString(self.ctx, string)) };
        }
    }

    /// Sends a keyspace notification for the limiter's key.
    fn notify(&self, event: &CStr) {
        let Ok(key) = self.key_name() else { return };
        let class = raw::REDISMODULE_NOTIFY_MODULE;
        // SAFETY: context and key are those of the running callback; the event is a C string.
        unsafe {
            api!(RedisModule_NotifyKeyspaceEvent(
                self.ctx,
                class,
                event.as_ptr(),
                key
            ))
        };
    }

    /// The limiter's key, byte for byte; every command has one.
    fn limiter_key(&self) -> &[u8] {
        self.arguments().get(1).unwrap_or_default()
    }

    /// A string of the server's, to be freed by the caller.
    fn string(&self, bytes: &[u8]) -> Option<*mut raw::RedisModuleString> {
        let start = bytes.as_ptr().cast::<c_char>();
        // SAFETY: the context is that of the running callback; the server copies the bytes.
        let string = unsafe { api!(RedisModule_CreateString(self.ctx, start, bytes.len())) };
        string.filter(|string| !string.is_null())
    }

    /// Whether this server is a replica, one that clients may write to.
    fn is_on_replica(&self) -> bool {
        let replica = c_int::try_from(raw::REDISMODULE_CTX_FLAGS_SLAVE).unwrap_or_default();
        // SAFETY: the context is that of the running callback.
        let flags = unsafe { api!(RedisModule_GetContextFlags(self.ctx)) }.unwrap_or(0);
        flags & replica != 0
    }
}

/// The message of a beginning.
fn message<'a>(
    beginning: &Beginning,
    rule: &'a Rule,
    key: &'a [u8],
    refused: &RefusedAttempt<'_>,
    names: Option<Names<'a>>,
    clock: Timestamp,
) -> Message<'a> {
    let Party {
        address,
        email,
        device,
        ..
    } = refused.attempt.party;
    let present = |id| (id != Party::ABSENT).then(|| hex(id));
    let text = |bytes: &'a [u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(cut(bytes)));
    Message {
        event: vocabulary(beginning.kind, rule.subject()),
        kind: word(beginning.kind),
        level: "WARN",
        at: clock.as_millis(),
        limiter: String::from_utf8_lossy(key),
        rule: rule.words(),
        subject: rule.subject().word(),
        until: clock.plus(beginning.wait).as_millis(),
        ip_id: present(address),
        email_id: present(email),
        device_id: device.map(hex),
        ip: names.and_then(|names| text(names.ip)),
        email: names.and_then(|names| text(names.email)),
    }
}

/// OWASP's word for a beginning.
fn vocabulary(kind: BeginningKind, subject: Subject) -> &'static str {
    match (kind, subject) {
        (BeginningKind::Lock, _) => "authn_login_lock",
        (BeginningKind::Refusal, Subject::Email | Subject::Pair | Subject::Device) => {
            "authn_login_fail_max"
        }
        (BeginningKind::Refusal | BeginningKind::Spray, _) => "excess_rate_limit_exceeded",
    }
}

/// What a beginning is called in a message.
fn word(kind: BeginningKind) -> &'static str {
    match kind {
        BeginningKind::Refusal => "refused",
        BeginningKind::Lock => "locked",
        BeginningKind::Spray => "spray",
    }
}

/// What a beginning is called in a keyspace notification.
fn notification(kind: BeginningKind) -> &'static CStr {
    match kind {
        BeginningKind::Refusal => c"authlimit.refused",
        BeginningKind::Lock => c"authlimit.locked",
        BeginningKind::Spray => c"authlimit.spray",
    }
}

/// An id as messages and AUTHLIMIT.TOP show it.
pub(crate) fn hex(id: Id) -> String {
    format!("{:016x}", id.raw())
}
