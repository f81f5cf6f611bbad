//! What begins is told once, and who is refused most is known.
#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::identity::Secret;
use crate::limiter::{AttemptRequest, Effect, Limiter, List, ListKey, ListTarget};
use crate::policy::{Capacity, Cost, Policy};
use RefusalEventKind::{Lock, Refusal, Spray};

const MINUTE: u64 = 60_000;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + millis).unwrap()
}

/// A limiter, with a log of what it told.
struct Watched {
    limiter: Limiter,
}

impl Watched {
    fn new(words: &str) -> Self {
        let policy = Policy::from_text(words).unwrap();
        Self { limiter: Limiter::new(policy, Secret::from_bytes([1; 16])) }
    }

    /// Checks, and returns what began: its kind, the rule and the wait.
    fn check(&mut self, millis: u64, ip: &str, email: &str) -> Vec<(RefusalEventKind, usize, u64)> {
        let received = AttemptRequest { ip: ip.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
        let attempt = self.limiter.attempt(&received).unwrap();
        let capacity = Capacity::nearest(1_000_000);
        let decision = self.limiter.decide(&attempt, at(millis), capacity, |_: &Effect| ());
        if decision.verdict.allowed {
            return Vec::new();
        }
        self.limiter.count_refusal(&attempt, None, at(millis));
        let events = self.limiter.refusal_events(&attempt, &decision, at(millis));
        let told = events.events.iter();
        told.map(|b| (b.kind, b.rule, b.wait.get())).collect()
    }
}

#[test]
fn a_refusal_is_told_once_however_often_it_is_repeated() {
    let mut watched = Watched::new("PAIR 2/15m");
    assert_eq!(watched.check(0, "1.2.3.4", "a@x.org"), []);
    assert_eq!(watched.check(MINUTE, "1.2.3.4", "a@x.org"), []);
    let wait = 13 * MINUTE;
    let told = watched.check(2 * MINUTE, "1.2.3.4", "a@x.org");
    assert_eq!(told, [(Refusal, 0, wait)]);
    for millis in 2 * MINUTE..2 * MINUTE + 10_000 {
        assert_eq!(watched.check(millis, "1.2.3.4", "a@x.org"), []);
    }
    assert_eq!(watched.check(15 * MINUTE - 1, "1.2.3.4", "a@x.org"), []);
    // The first has left: one is admitted, and then it begins anew.
    assert_eq!(watched.check(15 * MINUTE, "1.2.3.4", "a@x.org"), []);
    let told = watched.check(15 * MINUTE, "1.2.3.4", "a@x.org");
    assert_eq!(told, [(Refusal, 0, MINUTE)]);
}

#[test]
fn every_rule_that_begins_to_refuse_is_told_and_each_identity() {
    let mut watched = Watched::new("IP 2/15m EMAIL 2/1h PAIR 1/1m SHADOW");
    watched.check(0, "1.2.3.4", "a@x.org");
    watched.check(0, "1.2.3.4", "a@x.org");
    let told = watched.check(0, "1.2.3.4", "a@x.org");
    let hour = 60 * MINUTE;
    assert_eq!(told, [(Refusal, 0, 15 * MINUTE), (Refusal, 1, hour)]);
    assert_eq!(watched.check(0, "1.2.3.4", "b@x.org"), []);
    assert_eq!(watched.check(5, "1.2.3.5", "a@x.org"), [], "the email is told");
}

#[test]
fn a_lock_is_told_when_it_begins_and_not_while_it_lasts() {
    let mut watched = Watched::new("PAIR 1/1m LOCK 5m");
    watched.check(0, "1.2.3.4", "a@x.org");
    let told = watched.check(1, "1.2.3.4", "a@x.org");
    assert_eq!(told, [(Lock, 0, 5 * MINUTE)]);
    for minute in 1..=4 {
        assert_eq!(watched.check(minute * MINUTE, "1.2.3.4", "a@x.org"), []);
    }
    let open = 5 * MINUTE + 1;
    assert_eq!(watched.check(open, "1.2.3.4", "a@x.org"), [], "admitted");
    let told = watched.check(open, "1.2.3.4", "a@x.org");
    assert_eq!(told, [(Lock, 0, 5 * MINUTE)]);
}

#[test]
fn a_lock_shorter_than_the_window_is_one_transition_with_it() {
    let mut watched = Watched::new("PAIR 1/15m LOCK 1m");
    watched.check(0, "1.2.3.4", "a@x.org");
    let told = watched.check(0, "1.2.3.4", "a@x.org");
    assert_eq!(told, [(Lock, 0, 15 * MINUTE)]);
    assert_eq!(watched.check(2 * MINUTE, "1.2.3.4", "a@x.org"), []);
}

#[test]
fn a_spray_is_told_and_its_lock_too() {
    let mut watched = Watched::new("EMAILS-PER-IP 2/15m LOCK 30m IPS-PER-EMAIL 1/1h");
    watched.check(0, "1.2.3.4", "a@x.org");
    watched.check(0, "1.2.3.4", "b@x.org");
    let told = watched.check(0, "1.2.3.4", "c@x.org");
    assert_eq!(told, [(Lock, 0, 30 * MINUTE), (Spray, 0, 30 * MINUTE)]);
    assert_eq!(watched.check(1, "1.2.3.4", "d@x.org"), []);
    let told = watched.check(1, "1.2.3.5", "a@x.org");
    assert_eq!(told, [(Spray, 1, 60 * MINUTE - 1)]);
}

#[test]
fn shadow_and_the_lists_tell_nothing() {
    let mut watched = Watched::new("PAIR 1/15m LOCK 1h SHADOW");
    for _ in 0..10 {
        assert_eq!(watched.check(0, "1.2.3.4", "a@x.org"), []);
    }
    let target = ListTarget::Email(watched.limiter.email_id(b"b@x.org"));
    let key = ListKey { list: List::Deny, target };
    let added = watched.limiter.list_add(key, None, at(0), |_| ());
    assert_eq!(added, Ok(true));
    assert_eq!(watched.check(0, "1.2.3.4", "b@x.org"), []);
    let top = watched.limiter.most_refused(TopSubject::Emails, 10, at(0));
    assert_eq!(top.len(), 1, "but the refusal is counted: {top:?}");
}

#[test]
fn what_is_unlocked_or_under_another_policy_begins_anew() {
    let mut watched = Watched::new("PAIR 1/15m EMAIL 1/1h");
    watched.check(0, "1.2.3.4", "a@x.org");
    assert_eq!(watched.check(0, "1.2.3.4", "a@x.org").len(), 2);
    assert_eq!(watched.check(0, "1.2.3.4", "a@x.org"), []);
    let email = watched.limiter.email_id(b"a@x.org");
    watched.limiter.unlock(None, Some(email), at(0), |_| ());
    watched.check(0, "1.2.3.5", "a@x.org");
    let told = watched.check(0, "1.2.3.5", "a@x.org");
    assert_eq!(told, [(Refusal, 0, 15 * MINUTE), (Refusal, 1, 60 * MINUTE)]);
    let policy = Policy::from_text("EMAIL 1/1h").unwrap();
    watched.limiter.change_policy(policy, at(0), |_| ());
    let told = watched.check(0, "1.2.3.5", "a@x.org");
    assert_eq!(told, [(Refusal, 0, 60 * MINUTE)]);
}

#[test]
fn an_attack_by_more_than_can_be_remembered_is_not_told_in_full() {
    let mut watched = Watched::new("EMAIL 1/1h IP 100000/1h");
    let (mut told, rounds) = (0, 3);
    for round in 0..=rounds {
        for n in 0..6_000 {
            told += watched.check(round, "1.2.3.4", &format!("{n}@x.org")).len();
        }
    }
    assert_eq!(told, filter::REMEMBERED);
    let top = watched.limiter.most_refused(TopSubject::Addresses, 10, at(0));
    assert_eq!(top[0].refusals, 6_000 * rounds as u32);
}

#[test]
fn nothing_of_it_is_in_the_digest() {
    let mut watched = Watched::new("PAIR 1/15m");
    watched.check(0, "1.2.3.4", "a@x.org");
    let (before, bytes) = (watched.limiter.digest(), watched.limiter.bytes());
    assert!(watched.check(0, "1.2.3.4", "a@x.org").len() == 1);
    assert_eq!(watched.limiter.digest(), before);
    assert!(watched.limiter.bytes() > bytes, "but it is memory");
    watched.limiter.forget_refusals();
    assert_eq!(watched.limiter.bytes(), bytes);
}

#[test]
fn reclaiming_gives_the_memory_back_once_the_waits_are_over_and_the_counts_have_faded() {
    let mut watched = Watched::new("EMAIL 1/1m IP 100000/1h");
    for n in 0..6_000 {
        let email = format!("{}@x.org", n % 3_000);
        watched.check(n / 100, "1.2.3.4", &email);
    }
    let reclaim = |watched: &mut Watched, millis| {
        while !watched.limiter.reclaim(Some(at(millis)), |_| ()).is_round_done {}
    };
    reclaim(&mut watched, 30_000);
    assert_eq!(watched.check(30_000, "1.2.3.4", "1@x.org"), [], "known");
    let with_waits = watched.limiter.monitor.as_ref().map_or(0, |w| w.bytes());
    assert!(with_waits > 3_000 * 16, "{with_waits}");
    reclaim(&mut watched, MINUTE + 100);
    let faded = watched.limiter.monitor.as_ref().map_or(0, |w| w.bytes());
    assert!(faded > 0 && faded < 10_000, "only the counters: {faded}");
    let top = watched.limiter.most_refused(TopSubject::Addresses, 1, at(MINUTE));
    assert_eq!(top[0].refusals, 3_001);
    // Counts of 3001 are halved to nothing in two hours; the attempts are over by then, too.
    reclaim(&mut watched, 130 * MINUTE);
    assert!(watched.limiter.monitor.is_none());
}
