//! What a check costs the engine by itself while a limiter grows, and a step of reclaiming while it shrinks.
//!
//! On a server some commands are slow because the machine was busy elsewhere, and nothing tells them from those that are
//! slow because of the table. But the machine delays another check in each run, and the table the same: so the same
//! limiter is filled and emptied several times, and of the same step the shortest time counts.

use std::time::{Duration, Instant};

use authlimit::identity::Secret;
use authlimit::limiter::{Cost, Limiter, Received, Timestamp};
use authlimit::policy::{Capacity, Policy};

use crate::identities::{Draw, Identities};

/// How often the same is done.
const RUNS: usize = 3;

/// Some day of our days, in milliseconds.
const NOW: u64 = 1_700_000_000_000;

/// How long attempts count.
const WINDOW: Duration = Duration::from_secs(60);

/// The slowest step of each kind.
pub(super) struct Slowest {
    /// Of all the checks of a new address on a new email.
    pub(super) check: Duration,
    /// Of all the steps of reclaiming, of which the timer does as many as its time allows.
    pub(super) reclaiming: Duration,
}

/// The shortest time of each step in all the runs so far.
#[derive(Default)]
struct Shortest {
    times: Vec<Duration>,
}

impl Shortest {
    /// Does step number `index` and times it.
    fn time<R>(&mut self, index: usize, step: impl FnOnce() -> R) -> R {
        let started = Instant::now();
        let result = step();
        let took = started.elapsed();
        match self.times.get_mut(index) {
            Some(shortest) => *shortest = took.min(*shortest),
            None => self.times.push(took),
        }
        result
    }

    /// The slowest step.
    fn slowest(&self) -> Duration {
        *self.times.iter().max().expect("there are steps")
    }
}

/// Grows limiters to so many addresses and as many emails, and lets all of it expire.
pub(super) fn measure(identities: u32) -> Slowest {
    let (mut checks, mut reclaiming) = (Shortest::default(), Shortest::default());
    // All are filled before one is emptied, so that each grows into memory that was not used before.
    let mut limiters: Vec<Limiter> = (0..RUNS).map(|_| fill(identities, &mut checks)).collect();
    for limiter in &mut limiters {
        empty(limiter, &mut reclaiming);
    }
    Slowest { check: checks.slowest(), reclaiming: reclaiming.slowest() }
}

/// A limiter with an attempt of each address and email, each of which was timed.
fn fill(identities: u32, times: &mut Shortest) -> Limiter {
    let policy = format!("IP 100/{0}s EMAIL 100/{0}s", WINDOW.as_secs());
    let policy = Policy::from_text(&policy).expect("a policy");
    // The same in each run, so that the same check makes the same segment grow.
    let mut limiter = Limiter::new(policy, Secret::from_bytes(*b"a bench's secret"));
    let (mut draw, capacity) = (Draw::once(identities), Capacity::nearest(u32::MAX));
    let clock = Timestamp::from_millis(NOW).expect("a time");
    for index in 0..identities as usize {
        let Identities { address, email } = draw.next();
        let received = Received { ip: address.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
        let verdict = times.time(index, || {
            let attempt = limiter.attempt(&received).expect("an attempt");
            limiter.check(&attempt, clock, capacity, |_| {})
        });
        assert!(verdict.allowed, "nobody comes twice");
    }
    limiter
}

/// Reclaims all of a limiter, a step at a time, each of which is timed.
fn empty(limiter: &mut Limiter, times: &mut Shortest) {
    let all_expired = NOW + WINDOW.as_millis() as u64;
    let clock = Timestamp::from_millis(all_expired).expect("a time");
    for index in 0.. {
        let step = times.time(index, || limiter.reclaim(Some(clock), |_| {}));
        if step.is_round_done && limiter.usage().all(|usage| usage.identities == 0) {
            break;
        }
    }
}
