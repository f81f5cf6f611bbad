//! What a primary and its copies have in common, whatever either happens not to have reclaimed yet.

#![allow(clippy::arithmetic_side_effects)]

use super::*;
use crate::format::{ChunkError, Part};
use crate::identity::{Cidr, Id, Secret, Tag};
use crate::policy::{Capacity, Cost, Millis, Policy};
use crate::table::Timestamp;
use proptest::prelude::*;

/// A primary and a replica that is sent its effects.
struct Both {
    primary: Limiter,
    replica: Limiter,
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis).unwrap()
}

fn received(cost: u32) -> AttemptRequest<'static> {
    AttemptRequest { ip: b"192.0.2.1", email: b"a@x.org", device: None, cost: Cost::new(cost).unwrap() }
}

/// A limiter made of what is stored of another one.
fn reloaded(limiter: &Limiter) -> Limiter {
    let mut loaded = Limiter::from_metadata(limiter.metadata()).unwrap();
    for (part, chunk) in limiter.chunks() {
        loaded.load_chunk(part, &chunk).unwrap();
    }
    loaded
}

impl Both {
    fn new(words: &str) -> Self {
        let policy = Policy::from_text(words).unwrap();
        let primary = Limiter::new(policy, Secret::from_bytes([7; 16]));
        Self { replica: primary.clone(), primary }
    }

    /// The replica starts again from what the primary has saved.
    fn resync(&mut self) {
        self.replica = reloaded(&self.primary);
    }

    fn check(&mut self, cost: u32, millis: u64) -> Verdict {
        let attempt = self.primary.attempt(&received(cost)).unwrap();
        self.primary.check(&attempt, at(millis), Capacity::nearest(u32::MAX), |e| {
            self.replica.apply(e.clone()).unwrap();
        })
    }

    fn unlock(&mut self, millis: u64) -> usize {
        let ip = self.primary.attempt(&received(1)).unwrap().ids.address;
        self.primary.unlock(UnlockTarget::Address(ip), at(millis), |e| {
            self.replica.apply(e.clone()).unwrap();
        })
    }

    #[track_caller]
    fn assert_alike(&self) {
        assert_eq!(self.primary.digest(), self.replica.digest());
        assert_eq!(self.primary.digest(), reloaded(&self.primary).digest());
    }
}

#[test]
fn unlocking_an_identity_without_live_attempts_changes_nothing() {
    let mut both = Both::new("IP 5/1s");
    both.check(1, 0);
    assert_eq!(both.unlock(2_000), 0);
    both.assert_alike();
}

#[test]
fn a_lock_that_is_over_is_not_unlocked() {
    let mut both = Both::new("IP 1/100ms LOCK 100ms");
    both.check(1, 0);
    both.check(1, 1);
    both.check(1, 1_000);
    both.check(1, 2_000);
    both.resync();
    assert_eq!(both.unlock(3_000), 0);
    both.assert_alike();
}

#[test]
fn removing_an_entry_that_has_expired_changes_nothing() {
    let mut both = Both::new("IP 5/1s");
    let target = ListTarget::Cidr(Cidr::parse(b"10.0.0.0/8").unwrap());
    let key = ListKey { list: List::Deny, target };
    let ttl = Some(Millis::new(1_000));
    let Both { primary, replica } = &mut both;
    primary.list_add(key, ttl, at(0), |e| replica.apply(e.clone()).unwrap()).unwrap();
    assert!(!primary.list_remove(key, at(2_000), |e| replica.apply(e.clone()).unwrap()));
    both.assert_alike();
}

/// What is forgotten may still be in memory here and not on the replica.
#[test]
fn strikes_that_are_forgotten_stay_so() {
    let mut both = Both::new("IP 1/100ms LOCK 100ms..1h");
    both.check(1, 0);
    let target = ListTarget::Cidr(Cidr::parse(b"10.0.0.0/8").unwrap());
    let key = ListKey { list: List::Deny, target };
    let Both { primary, replica } = &mut both;
    primary.list_add(key, None, at(10_000), |e| replica.apply(e.clone()).unwrap()).unwrap();
    both.resync();
    let policy = Policy::from_text("IP 1/100ms LOCK 100ms..1h EMAIL 9/30d").unwrap();
    let Both { primary, replica } = &mut both;
    primary.change_policy(policy, at(10_000), |e| replica.apply(e.clone()).unwrap());
    assert_eq!(both.check(1, 20_000).retry_after, Some(Millis::new(100)));
    both.assert_alike();
    assert_eq!(both.primary.totals()[0].locks, 2);
}

/// A rule in shadow has locks of its own, which INFO does not count.
#[test]
fn locks_in_shadow_are_not_counted() {
    let mut both = Both::new("IP 1/100ms SHADOW LOCK 100ms IP 50/100ms");
    both.check(1, 0);
    assert_eq!(both.primary.totals()[0].locks, 0);
}

/// What is accepted as an effect can be stored and loaded again.
#[test]
fn effects_that_no_policy_has_are_refused() {
    let mut limiter = Both::new("IP 1/1m LOCK 1m..1h EMAIL 5/1h PAIR 3/1h COUNT-DENIED").primary;
    let id = Id::from_raw(7);
    let lock = |table, rule, length, strikes| Effect::Lock {
        at: at(0),
        table,
        rule,
        id,
        length: Millis::new(length),
        strikes,
        tag: Tag::OF_SEVERAL,
    };
    let digest = limiter.digest();
    let years = 8 * 365 * 86_400_000;
    for forged in [lock(0, 0, years, Some(1)), lock(0, 0, 59_999, Some(1)), lock(0, 0, 60_000, Some(0))] {
        assert_eq!(limiter.apply(forged), Err(EffectError::ForeignLock));
    }
    for forged in [lock(1, 0, 60_000, Some(1)), lock(0, 1, 60_000, None), lock(9, 0, 60_000, None)] {
        assert_eq!(limiter.apply(forged), Err(EffectError::ForeignLock));
    }
    assert_eq!(limiter.apply(Effect::Evict { table: 3, id }), Err(EffectError::ForeignTable));
    let ids = limiter.attempt(&received(1)).unwrap().ids;
    for bits in [1, 2, 1 << 3, 1 << 31, u32::MAX] {
        let denied = Effect::CountDenied { at: at(0), ids, rules: RuleSet::from_bits(bits) };
        assert_eq!(limiter.apply(denied), Err(EffectError::ForeignRule));
    }
    assert_eq!(limiter.digest(), digest);
    limiter.apply(lock(0, 0, 3_600_000, Some(200))).unwrap();
    assert_eq!(reloaded(&limiter).digest(), limiter.digest());
}

/// The timer may be the first to see such a limiter: it reclaims nothing by the time that was wrong.
#[test]
fn reclaiming_a_limiter_with_an_impossible_time_forgets_nothing() {
    let mut both = Both::new("IP 2/1h");
    let broken = Timestamp::MAX.minus(Millis::new(1_000));
    let ids = both.primary.attempt(&received(2)).unwrap().ids;
    both.primary.apply(Effect::Admit { at: broken, ids }).unwrap();
    both.resync();
    let Both { primary, replica } = &mut both;
    while !primary.reclaim(Some(at(0)), |e| replica.apply(e.clone()).unwrap()).is_round_done {}
    both.assert_alike();
    assert!(!both.check(1, 1).allowed);
}

/// A message that moves a healthy limiter's time forward, which no server sends, leaves what can be loaded again.
#[test]
fn a_forged_restoring_of_the_clock_leaves_what_can_be_loaded() {
    let mut limiter = Both::new("PAIR 5/30d LOCK 30d").primary;
    let email = limiter.attempt(&received(1)).unwrap().ids.email;
    limiter.unlock(UnlockTarget::Email(email), at(0), |_| {});
    for days in [1, 30, 200] {
        let mut forged = limiter.clone();
        forged.apply(Effect::ClockRestored { at: at(days * 86_400_000) }).unwrap();
        assert_eq!(reloaded(&forged).digest(), forged.digest());
    }
}

/// UNLOCK of an email clears a lock of its pair for good, also one that an earlier policy made longer than any is now.
#[test]
fn an_unlocked_pair_stays_unlocked_under_a_policy_with_shorter_locks() {
    let mut both = Both::new("PAIR 1/100ms LOCK 1h");
    both.check(1, 0);
    let policy = Policy::from_text("PAIR 1/100ms LOCK 100ms").unwrap();
    let email = both.primary.attempt(&received(1)).unwrap().ids.email;
    let Both { primary, replica } = &mut both;
    primary.change_policy(policy, at(10), |e| replica.apply(e.clone()).unwrap());
    assert_eq!(primary.unlock(UnlockTarget::Email(email), at(20), |e| replica.apply(e.clone()).unwrap()), 1);
    both.resync();
    let attempt = both.primary.attempt(&received(1)).unwrap();
    for later in [30, 1_000, 3_000_000] {
        assert!(both.primary.peek(&attempt, at(later)).allowed, "{later}");
    }
}

/// A clock near the end of its range is never taken over, and a limiter that was stored with such a time takes the
/// clock's: what it has counted since counts as of now, and nothing is refused for ever.
#[test]
fn a_limiter_with_an_impossible_time_takes_the_clocks() {
    let mut both = Both::new("IP 2/1h LOCK 1h..2h PAIR 9/1h LOCK 1h EMAILS-PER-IP 5/1h");
    let broken = Timestamp::MAX.minus(Millis::new(1_000));
    let ids = both.primary.attempt(&received(2)).unwrap().ids;
    for limiter in [&mut both.primary, &mut both.replica] {
        limiter.apply(Effect::Admit { at: at(0), ids }).unwrap();
        limiter.apply(Effect::Admit { at: broken, ids }).unwrap();
        // The first one is long forgotten, and must not begin again.
        for (table, at, id) in [(1, at(0), Id::from_raw(9)), (0, broken, ids.address)] {
            let (length, strikes, tag) = (Millis::new(3_600_000), Some(1), ids.tag);
            limiter.apply(Effect::Lock { at, table, rule: 0, id, length, strikes, tag }).unwrap();
        }
    }
    both.resync();
    let refused = both.check(1, 0);
    // The time was too near the end of its range for the whole lock.
    assert_eq!((refused.allowed, refused.retry_after), (false, Some(Millis::new(3_600_000))));
    both.assert_alike();
    assert!(both.check(1, 3_600_000).allowed);
    both.assert_alike();
}

#[test]
fn a_rule_that_an_attempt_does_not_concern_has_not_admitted_it() {
    let mut both = Both::new("IP 5/1s DEVICE 5/1s");
    both.check(1, 0);
    let allowed: Vec<_> = both.primary.totals().iter().map(|t| t.allowed).collect();
    assert_eq!(allowed, [1, 0]);
}

#[test]
fn a_lock_that_begins_in_the_future_is_refused() {
    let mut both = Both::new("IP 1/1s LOCK 100ms");
    both.check(1, 0);
    both.check(1, 1);
    let (part, chunk) = both.primary.chunks().find(|(part, _)| matches!(part, Part::Locks(_))).unwrap();
    let mut later = Limiter::from_metadata(both.primary.metadata()).unwrap();
    let mut forged = chunk.clone();
    let until = at(102).as_millis();
    forged[10..18].copy_from_slice(&until.to_le_bytes());
    assert_eq!(later.load_chunk(part, &forged), Err(ChunkError::ForeignLock));
    later.load_chunk(part, &chunk).unwrap();
}

#[test]
fn a_lock_that_is_over_protects_no_identity_from_eviction() {
    let mut limiter = Both::new("IP 1/100ms LOCK 100ms CAPACITY 2").primary;
    let mut check = |ip: &[u8], millis| {
        let attempt = limiter.attempt(&AttemptRequest { ip, ..received(1) }).unwrap();
        limiter.check(&attempt, at(millis), Capacity::nearest(u32::MAX), |_| {});
        limiter.usage().next().unwrap().identities
    };
    let mut held = 0;
    for ip in [b"192.0.2.1", b"192.0.2.2", b"192.0.2.3", b"192.0.2.4"] {
        check(ip, 0);
        held = check(ip, 1);
    }
    assert_eq!(held, 4, "a locked identity stays");
    let held = check(b"192.0.2.5", 10_000);
    assert_eq!(held, 3, "those whose lock is over do");
}

#[test]
fn a_table_shrinks_to_a_lowered_capacity() {
    let mut limiter = Both::new("IP 5/1h CAPACITY 100").primary;
    let roomy = Capacity::nearest(u32::MAX);
    let check = |limiter: &mut Limiter, n: u64| {
        let ip = format!("192.0.{}.{}", n / 256, n % 256);
        let received = AttemptRequest { ip: ip.as_bytes(), ..received(1) };
        let attempt = limiter.attempt(&received).unwrap();
        assert!(limiter.check(&attempt, at(n), roomy, |_| {}).allowed);
        limiter.usage().next().unwrap().identities
    };
    assert_eq!((0..200).map(|n| check(&mut limiter, n)).last(), Some(100));
    let policy = Policy::from_text("IP 5/1h CAPACITY 50").unwrap();
    limiter.change_policy(policy, at(200), |_| {});
    assert_eq!((200..260).map(|n| check(&mut limiter, n)).last(), Some(50));
}

#[test]
fn owning_one_spelling_of_an_email_forgives_no_addresses_of_another() {
    let mut limiter = Both::new("IPS-PER-EMAIL 2/1s").primary;
    let mut guesses = 0;
    for n in 0..50 {
        let ip = format!("192.0.2.{n}");
        let attempt = |limiter: &Limiter, email| {
            let received = AttemptRequest { ip: ip.as_bytes(), email, ..received(1) };
            limiter.attempt(&received).unwrap()
        };
        let guess = attempt(&limiter, b"victim@x.org");
        let own = attempt(&limiter, b"Victim@x.org");
        let roomy = Capacity::nearest(u32::MAX);
        guesses += u32::from(limiter.check(&guess, at(n), roomy, |_| {}).allowed);
        limiter.check(&own, at(n), roomy, |_| {});
        limiter.reset(&own, at(n), |_| {});
    }
    assert_eq!(guesses, 2);
}

const POLICIES: [&str; 5] = [
    "IP 3/50ms LOCK 50ms..1s PAIR 2/100ms LOCK 100ms",
    "EMAIL 2/100ms SHADOW LOCK 100ms EMAIL 5/20ms COUNT-DENIED LOCK 20ms..1s IP 2/300ms",
    "IPS-PER-EMAIL 1/100ms LOCK 100ms EMAILS-PER-IP 2/1s ALL 8/100ms",
    "PAIR 1/50ms LOCK 1s EMAIL 3/10ms LOCK 10ms..80ms EMAIL 2/10ms LOCK 1s",
    "EMAIL 2/1s DEVICE 2/50ms LOCK 50ms IPV6-PREFIX 56",
];

/// One command with a request and a number for what else it takes, after a wait; a wait below 0 sets the clock back.
type Step = (u8, u8, u8, i64);

impl Both {
    fn step(&mut self, (command, who, number, _): Step, clock: u64) {
        let emails: [&[u8]; 3] = [b"a@x.org", b"A@x.org", b"b@x.org"];
        let ips: [&[u8]; 2] = [b"192.0.2.1", b"2001:db8::1"];
        let has_device = self.primary.policy().to_string().contains("DEVICE");
        let mut received = AttemptRequest {
            ip: ips[usize::from(who & 1)],
            email: emails[usize::from(who >> 1) % 3],
            device: (has_device && number & 1 == 1).then_some(b"d"),
            cost: Cost::new(u32::from(number / 64) + 1).unwrap(),
        };
        let Self { primary, replica } = self;
        if primary.attempt(&received).is_err() {
            received.cost = Cost::ONE;
        }
        let attempt = primary.attempt(&received).unwrap();
        let (address, email) = (attempt.ids.address, attempt.ids.email);
        let target = match number & 2 {
            0 => ListTarget::Email(email),
            _ => ListTarget::Cidr(Cidr::parse(b"192.0.2.0/24").unwrap()),
        };
        let key = ListKey { list: List::ALL[usize::from(number & 1)], target };
        let ttl = (number & 4 == 0).then_some(Millis::new(u64::from(number)));
        let send = |effect: &Effect| replica.apply(effect.clone()).unwrap();
        let clock = at(clock);
        match command {
            0 => _ = primary.reset(&attempt, clock, send),
            1 => _ = primary.refund(&attempt, clock, send),
            2 => {
                let target = match number & 3 {
                    0 => UnlockTarget::AddressAndEmail(address, email),
                    1 => UnlockTarget::All,
                    2 => UnlockTarget::Device(primary.device_id(b"d")),
                    _ => UnlockTarget::Address(address),
                };
                _ = primary.unlock(target, clock, send);
            }
            3 => _ = primary.unlock(UnlockTarget::Email(email), clock, send),
            4 => _ = primary.list_add(key, ttl, clock, send),
            5 | 6 => _ = primary.list_remove(key, clock, send),
            7 => {
                let policy = Policy::from_text(POLICIES[usize::from(number) % 5]).unwrap();
                primary.change_policy(policy, clock, send);
            }
            8 => self.resync(),
            _ => _ = primary.check(&attempt, clock, Capacity::nearest(2), send),
        }
    }
}

proptest! {
    #[test]
    fn a_replica_and_a_reloaded_copy_are_as_the_primary_after_every_command(
        first in 0..5_usize,
        steps in proptest::collection::vec(
            (0..30_u8, any::<u8>(), any::<u8>(), prop_oneof![
                4 => 0..5_i64, 3 => 0..200_i64, 1 => 500..3_000_i64, 1 => -2_000..0_i64,
            ]),
            1..150,
        ),
    ) {
        let mut both = Both::new(POLICIES[first]);
        let mut clock = 100_000_i64;
        for step in steps {
            clock += step.3;
            both.step(step, clock.unsigned_abs());
            prop_assert_eq!(both.primary.digest(), both.replica.digest(), "{:?}", step);
            let mut loaded = reloaded(&both.primary);
            prop_assert_eq!(both.primary.digest(), loaded.digest(), "{:?}", step);
            let later = at(clock.unsigned_abs() + u64::from(step.2) * 8);
            let (mut primary, attempt) = (both.primary.clone(), received(1));
            let attempt = primary.attempt(&attempt).unwrap();
            let roomy = Capacity::nearest(u32::MAX);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            prop_assert_eq!(
                primary.check(&attempt, later, roomy, |e| ours.push(e.clone())),
                loaded.check(&attempt, later, roomy, |e| theirs.push(e.clone()))
            );
            prop_assert_eq!(ours, theirs);
        }
    }
}

/// However many identities an attacker locks, identities and locks stay below twice the capacity, here and on a
/// replica.
#[test]
fn locked_identities_are_bounded_too() {
    let mut both = Both::new("EMAIL 1/1s LOCK 24h CAPACITY 50");
    for n in 0..1_000_u64 {
        let email = format!("victim{n}@x.org");
        let received = AttemptRequest { email: email.as_bytes(), ..received(1) };
        let attempt = both.primary.attempt(&received).unwrap();
        for _ in 0..2 {
            let Both { primary, replica } = &mut both;
            primary.check(&attempt, at(n * 100), Capacity::nearest(u32::MAX), |e| {
                replica.apply(e.clone()).unwrap();
            });
        }
        assert!(both.primary.peek(&attempt, at(n * 100)).retry_after > Some(Millis::new(1_000)));
    }
    both.assert_alike();
    let table = &both.primary.ledger.tables[0];
    assert!(table.logs.len() <= 100, "{}", table.logs.len());
    assert!((50..=100).contains(&table.locks.len()), "{}", table.locks.len());
}
