//! Events: a message and a keyspace notification when a rule begins to refuse.
//!
//! The message is JSON on the Pub/Sub channel `authlimit:` followed by the limiter's key, byte for byte:
//!
//! | field | value |
//! |---|---|
//! | `event` | the name in OWASP's Application Logging Vocabulary: `authn_login_lock` when a lock begins; `authn_login_fail_max` when a rule for `EMAIL`, `PAIR` or `DEVICE` begins to refuse; else `excess_rate_limit_exceeded` |
//! | `kind` | `refused`, `locked` or `spray`: the notification is `authlimit.refused`, ... |
//! | `level` | `WARN`, as in OWASP's vocabulary for all three |
//! | `at` | the server's time, in ms since the Unix epoch |
//! | `limiter` | its key; invalid UTF-8 is replaced by U+FFFD |
//! | `rule`, `subject` | the rule in the policy's words, and what it counts attempts by |
//! | `until` | when the rule would admit such an attempt again, without further attempts, in ms since the Unix epoch |
//! | `ip_id`, `email_id`, `device_id` | the keyed ids of the attempt in 16 hexadecimal digits |
//! | `ip`, `email` | only if `authlimit.events` is `full`: as received, truncated to 320 bytes, with U+FFFD for invalid UTF-8 |
//!
//! It is published on this server, and in a cluster on all of its nodes. It is not passed on to replicas: the
//! replication stream contains no address and no email. Replicas publish nothing.

use crate::identity::Id;
use crate::limiter::{
    Attempt, AttemptIds, AttemptRequest, ClearText, Decision, Limiter, RefusalEvent, RefusalEventKind, truncated,
};
use crate::policy::{Keyword, Rule, Subject};
use crate::redis::call::CommandCall;
use crate::redis::config::{EVENTS, EventDetail};
use crate::redis::server::{self, OwnedString};
use crate::redis::stats::{self, Total};
use crate::table::Timestamp;
use redis_module::raw;
use serde::Serialize;
use std::borrow::Cow;
use std::ffi::{CStr, c_int};

/// The beginning of the channel's name; the limiter's key follows.
const CHANNEL_PREFIX: &[u8] = b"authlimit:";

/// An event, to be published when the command has closed the key.
pub(crate) struct Event {
    kind: RefusalEventKind,
    message: Vec<u8>,
}

/// The fields of a message.
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

/// An attempt that was refused, or that began a lock.
pub(crate) struct Refusal<'a> {
    /// The attempt.
    pub(crate) attempt: &'a Attempt,
    /// The attempt as received.
    pub(crate) request: &'a AttemptRequest<'a>,
    /// What was decided.
    pub(crate) decision: &'a Decision,
    /// When, by the server's clock.
    pub(crate) clock: Timestamp,
}

impl CommandCall<'_> {
    /// Remembers an attempt that was refused or began a lock in `limiter`, and returns the events to publish. Publish
    /// them once the limiter's key is closed, since a subscriber may use the limiter at once.
    pub(crate) fn observe_refusal(&self, limiter: &mut Limiter, refusal: &Refusal<'_>) -> Vec<Event> {
        let detail = EVENTS.get();
        let AttemptRequest { ip, email, .. } = *refusal.request;
        let clear_text = (detail == EventDetail::Full).then_some(ClearText { ip, email });
        if !refusal.decision.verdict.allowed {
            limiter.count_refusal(refusal.attempt, clear_text, refusal.clock);
        }
        if detail == EventDetail::No {
            return Vec::new();
        }
        let found = limiter.refusal_events(refusal.attempt, refusal.decision, refusal.clock);
        stats::add(Total::EventsDropped, found.dropped);
        if found.events.is_empty() || server::is_replica(self.ctx) {
            return Vec::new();
        }
        let key = self.limiter_key();
        let rules = limiter.policy().rules();
        let events = found.events.iter().filter_map(|event| {
            let message = message(event, rules.get(event.rule)?, key, refusal, clear_text);
            Some(Event { kind: event.kind, message: serde_json::to_vec(&message).ok()? })
        });
        events.collect()
    }

    /// Publishes events to subscribers.
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
        // SAFETY: the context is that of the running callback, which the strings do not outlive.
        let strings = unsafe { (OwnedString::new(self.ctx, channel), OwnedString::new(self.ctx, message)) };
        if let (Some(channel), Some(message)) = strings {
            // SAFETY: as above; neither string is null.
            unsafe { api!(RedisModule_PublishMessage(self.ctx, channel.as_ptr(), message.as_ptr())) };
        }
    }

    /// Sends a keyspace notification for the limiter's key.
    fn notify(&self, event: &CStr) {
        let Ok(key) = self.key_name() else { return };
        let class: c_int = raw::REDISMODULE_NOTIFY_MODULE;
        // SAFETY: context and key are those of the running callback; the event is a C string.
        unsafe { api!(RedisModule_NotifyKeyspaceEvent(self.ctx, class, event.as_ptr(), key)) };
    }
}

/// The message of an event.
fn message<'a>(
    event: &RefusalEvent,
    rule: &'a Rule,
    key: &'a [u8],
    refusal: &Refusal<'_>,
    clear_text: Option<ClearText<'a>>,
) -> Message<'a> {
    let ids: &AttemptIds = &refusal.attempt.ids;
    let text = |bytes: &'a [u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(truncated(bytes)));
    Message {
        event: owasp_event(event.kind, rule.subject()),
        kind: word(event.kind),
        level: "WARN",
        at: refusal.clock.as_millis(),
        limiter: String::from_utf8_lossy(key),
        rule: rule.words(),
        subject: rule.subject().word(),
        until: refusal.clock.plus(event.wait).as_millis(),
        ip_id: ids.present_address().map(hex),
        email_id: ids.present_email().map(hex),
        device_id: ids.device.map(hex),
        ip: clear_text.and_then(|clear_text| text(clear_text.ip)),
        email: clear_text.and_then(|clear_text| text(clear_text.email)),
    }
}

/// The name of an event in OWASP's vocabulary.
fn owasp_event(kind: RefusalEventKind, subject: Subject) -> &'static str {
    match (kind, subject) {
        (RefusalEventKind::Lock, _) => "authn_login_lock",
        (RefusalEventKind::Refusal, Subject::Email | Subject::Pair | Subject::Device) => "authn_login_fail_max",
        (RefusalEventKind::Refusal | RefusalEventKind::Spray, _) => "excess_rate_limit_exceeded",
    }
}

/// The word for a kind of event in a message.
fn word(kind: RefusalEventKind) -> &'static str {
    match kind {
        RefusalEventKind::Refusal => "refused",
        RefusalEventKind::Lock => "locked",
        RefusalEventKind::Spray => "spray",
    }
}

/// The name of a kind of event in a keyspace notification.
fn notification(kind: RefusalEventKind) -> &'static CStr {
    match kind {
        RefusalEventKind::Refusal => c"authlimit.refused",
        RefusalEventKind::Lock => c"authlimit.locked",
        RefusalEventKind::Spray => c"authlimit.spray",
    }
}

/// An id as messages and AUTHLIMIT.TOP show it.
pub(crate) fn hex(id: Id) -> String {
    format!("{:016x}", id.raw())
}
