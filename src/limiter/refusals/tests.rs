//! Each refusal is one event, and the most refused are counted.
#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::identity::Secret;
use crate::limiter::{AttemptRequest, Effect, Limiter, List, ListKey, ListTarget, UnlockTarget};
use crate::policy::{Capacity, Cost, Policy};
use RefusalEventKind::{Lock, Refusal, Spray};

const MINUTE: u64 = 60_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + millis).unwrap()
}

/// A limiter, and the events of its refusals.
struct Monitored {
    limiter: Limiter,
}

impl Monitored {
    fn new(words: &str) -> Self {
        let policy = Policy::from_text(words).unwrap();
        Self { limiter: Limiter::new(policy, Secret::from_bytes([1; 16])) }
    }

    /// Checks, and returns the events: kind, rule and wait.
    fn check(&mut self, millis: u64, ip: &str, email: &str) -> Vec<(RefusalEventKind, usize, u64)> {
        let received = AttemptRequest { ip: ip.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
        let attempt = self.limiter.attempt(&received).unwrap();
        let capacity = Capacity::nearest(1_000_000);
        let decision = self.limiter.decide(&attempt, at(millis), capacity, |_: &Effect| ());
        if !decision.verdict.allowed {
            self.limiter.count_refusal(&attempt, None, at(millis));
        }
        let events = self.limiter.refusal_events(&attempt, &decision, at(millis));
        let events = events.events.iter();
        events.map(|b| (b.kind, b.rule, b.wait.get())).collect()
    }
}

#[test]
fn a_repeated_refusal_is_one_event() {
    let mut monitored = Monitored::new("PAIR 2/15m");
    assert_eq!(monitored.check(0, "1.2.3.4", "a@x.org"), []);
    assert_eq!(monitored.check(MINUTE, "1.2.3.4", "a@x.org"), []);
    let wait = 13 * MINUTE;
    let events = monitored.check(2 * MINUTE, "1.2.3.4", "a@x.org");
    assert_eq!(events, [(Refusal, 0, wait)]);
    for millis in 2 * MINUTE..2 * MINUTE + 10_000 {
        assert_eq!(monitored.check(millis, "1.2.3.4", "a@x.org"), []);
    }
    assert_eq!(monitored.check(15 * MINUTE - 1, "1.2.3.4", "a@x.org"), []);
    // The first has left: one is admitted, and the next refusal is an event again.
    assert_eq!(monitored.check(15 * MINUTE, "1.2.3.4", "a@x.org"), []);
    let events = monitored.check(15 * MINUTE, "1.2.3.4", "a@x.org");
    assert_eq!(events, [(Refusal, 0, MINUTE)]);
}

#[test]
fn each_rule_and_identity_has_its_own_event() {
    let mut monitored = Monitored::new("IP 2/15m EMAIL 2/1h PAIR 1/1m SHADOW");
    monitored.check(0, "1.2.3.4", "a@x.org");
    monitored.check(0, "1.2.3.4", "a@x.org");
    let events = monitored.check(0, "1.2.3.4", "a@x.org");
    let hour = 60 * MINUTE;
    assert_eq!(events, [(Refusal, 0, 15 * MINUTE), (Refusal, 1, hour)]);
    assert_eq!(monitored.check(0, "1.2.3.4", "b@x.org"), []);
    assert_eq!(monitored.check(5, "1.2.3.5", "a@x.org"), [], "the email's event was published");
}

#[test]
fn a_lock_is_an_event_when_it_begins_and_not_while_it_lasts() {
    let mut monitored = Monitored::new("PAIR 2/1m LOCK 5m");
    assert_eq!(monitored.check(0, "1.2.3.4", "a@x.org"), []);
    let events = monitored.check(1, "1.2.3.4", "a@x.org");
    assert_eq!(events, [(Lock, 0, 5 * MINUTE)], "of the admitted attempt that takes the last of the quota");
    for minute in 1..=4 {
        assert_eq!(monitored.check(minute * MINUTE, "1.2.3.4", "a@x.org"), []);
    }
    let open = 5 * MINUTE + 1;
    assert_eq!(monitored.check(open, "1.2.3.4", "a@x.org"), [], "admitted");
    let events = monitored.check(open, "1.2.3.4", "a@x.org");
    assert_eq!(events, [(Lock, 0, 5 * MINUTE)]);
}

#[test]
fn a_spray_and_its_lock_are_two_events() {
    let mut monitored = Monitored::new("EMAILS-PER-IP 2/15m LOCK 30m IPS-PER-EMAIL 1/1h");
    monitored.check(0, "1.2.3.4", "a@x.org");
    let events = monitored.check(0, "1.2.3.4", "b@x.org");
    assert_eq!(events, [(Lock, 0, 30 * MINUTE), (Spray, 0, 30 * MINUTE)]);
    assert_eq!(monitored.check(1, "1.2.3.4", "d@x.org"), []);
    let events = monitored.check(1, "1.2.3.5", "a@x.org");
    assert_eq!(events, [(Spray, 1, 60 * MINUTE - 1)]);
}

#[test]
fn shadow_rules_and_the_lists_make_no_events() {
    let mut monitored = Monitored::new("PAIR 1/15m LOCK 1h SHADOW");
    for _ in 0..10 {
        assert_eq!(monitored.check(0, "1.2.3.4", "a@x.org"), []);
    }
    let target = ListTarget::Email(monitored.limiter.email_id(b"b@x.org"));
    let key = ListKey { list: List::Deny, target };
    let added = monitored.limiter.list_add(key, None, at(0), |_| ());
    assert_eq!(added, Ok(true));
    assert_eq!(monitored.check(0, "1.2.3.4", "b@x.org"), []);
    let top = monitored.limiter.most_refused(TopSubject::Emails, 10, at(0));
    assert_eq!(top.len(), 1, "but the refusal is counted: {top:?}");
}

#[test]
fn after_an_unlock_or_a_policy_change_a_refusal_is_an_event_again() {
    let mut monitored = Monitored::new("PAIR 1/15m EMAIL 1/1h");
    monitored.check(0, "1.2.3.4", "a@x.org");
    assert_eq!(monitored.check(0, "1.2.3.4", "a@x.org").len(), 2);
    assert_eq!(monitored.check(0, "1.2.3.4", "a@x.org"), []);
    let email = monitored.limiter.email_id(b"a@x.org");
    monitored.limiter.unlock(UnlockTarget::Email(email), at(0), |_| ());
    monitored.check(0, "1.2.3.5", "a@x.org");
    let events = monitored.check(0, "1.2.3.5", "a@x.org");
    assert_eq!(events, [(Refusal, 0, 15 * MINUTE), (Refusal, 1, 60 * MINUTE)]);
    let policy = Policy::from_text("EMAIL 1/1h").unwrap();
    monitored.limiter.change_policy(policy, at(0), |_| ());
    let events = monitored.check(0, "1.2.3.5", "a@x.org");
    assert_eq!(events, [(Refusal, 0, 60 * MINUTE)]);
}

#[test]
fn an_attack_by_more_than_the_filter_holds_makes_fewer_events() {
    let mut monitored = Monitored::new("EMAIL 1/1h IP 100000/1h");
    let (mut events, rounds) = (0, 3);
    for round in 0..=rounds {
        for n in 0..6_000 {
            events += monitored.check(round, "1.2.3.4", &format!("{n}@x.org")).len();
        }
    }
    assert_eq!(events, filter::REMEMBERED);
    let top = monitored.limiter.most_refused(TopSubject::Addresses, 10, at(0));
    assert_eq!(top[0].refusals, 6_000 * rounds as u32);
}

#[test]
fn refusals_are_not_in_the_digest() {
    let mut monitored = Monitored::new("PAIR 1/15m");
    monitored.check(0, "1.2.3.4", "a@x.org");
    let (before, bytes) = (monitored.limiter.digest(), monitored.limiter.bytes());
    assert!(monitored.check(0, "1.2.3.4", "a@x.org").len() == 1);
    assert_eq!(monitored.limiter.digest(), before);
    assert!(monitored.limiter.bytes() > bytes, "but it is memory");
    monitored.limiter.forget_refusals();
    assert_eq!(monitored.limiter.bytes(), bytes);
}

#[test]
fn reclaiming_frees_the_memory_once_the_waits_are_over_and_the_counts_have_faded() {
    let mut monitored = Monitored::new("EMAIL 1/1m IP 100000/1h");
    for n in 0..6_000 {
        let email = format!("{}@x.org", n % 3_000);
        monitored.check(n / 100, "1.2.3.4", &email);
    }
    let reclaim = |monitored: &mut Monitored, millis| {
        while !monitored.limiter.reclaim(Some(at(millis)), |_| ()).is_round_done {}
    };
    reclaim(&mut monitored, 30_000);
    assert_eq!(monitored.check(30_000, "1.2.3.4", "1@x.org"), [], "known");
    let with_waits = monitored.limiter.monitor.as_ref().map_or(0, |w| w.bytes());
    assert!(with_waits > 3_000 * 16, "{with_waits}");
    reclaim(&mut monitored, MINUTE + 100);
    let faded = monitored.limiter.monitor.as_ref().map_or(0, |w| w.bytes());
    assert!(faded > 0 && faded < 10_000, "only the counters: {faded}");
    let top = monitored.limiter.most_refused(TopSubject::Addresses, 1, at(MINUTE));
    assert_eq!(top[0].refusals, 3_001);
    // Counts of 3001 are halved to nothing in two hours; the attempts are over by then, too.
    reclaim(&mut monitored, 130 * MINUTE);
    assert!(monitored.limiter.monitor.is_none());
}
