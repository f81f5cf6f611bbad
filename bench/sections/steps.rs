//! The time of a check in the engine while a limiter grows, and of a step of reclaiming while it shrinks.
//!
//! On a server, some commands are slow because the machine did other work, and look like those that are slow because of
//! the table. But the machine delays another step in each run, and the table the same one. So the same limiter is
//! filled and emptied several times, and the shortest time of each step counts.

use std::time::{Duration, Instant};

use authlimit::identity::Secret;
use authlimit::limiter::{AttemptRequest, Limiter};
use authlimit::policy::{Capacity, Cost, Policy};
use authlimit::table::Timestamp;

use crate::identities::{Draw, Identities};

/// The number of runs.
const RUNS: usize = 3;

/// Any time, in milliseconds since 1970.
const NOW: u64 = 1_700_000_000_000;

/// The window of the rules.
const WINDOW: Duration = Duration::from_secs(60);

/// The slowest step of each kind.
pub(super) struct Slowest {
    /// The slowest check of a new address on a new email.
    pub(super) check: Duration,
    /// The slowest step of reclaiming. The timer does as many steps as its time allows.
    pub(super) reclaiming: Duration,
}

/// The shortest time of each step in all runs so far.
#[derive(Default)]
struct Shortest {
    times: Vec<Duration>,
}

impl Shortest {
    /// Runs step number `index` and measures its time.
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

    /// Returns the time of the slowest step.
    fn slowest(&self) -> Duration {
        *self.times.iter().max().expect("there are steps")
    }
}

/// Fills limiters with `identities` addresses and as many emails, and lets all of them expire.
pub(super) fn measure_steps(identities: u32) -> Slowest {
    let (mut checks, mut reclaiming) = (Shortest::default(), Shortest::default());
    // All are filled before the first is emptied, so that each grows into new memory.
    let mut limiters: Vec<Limiter> = (0..RUNS).map(|_| fill(identities, &mut checks)).collect();
    for limiter in &mut limiters {
        empty(limiter, &mut reclaiming);
    }
    Slowest { check: checks.slowest(), reclaiming: reclaiming.slowest() }
}

/// Fills a limiter with one attempt by each address on its email, and measures each check.
fn fill(identities: u32, times: &mut Shortest) -> Limiter {
    let policy = format!("IP 100/{0}s EMAIL 100/{0}s", WINDOW.as_secs());
    let policy = Policy::from_text(&policy).expect("a policy");
    // The same secret in each run, so that the same check makes the same segment grow.
    let mut limiter = Limiter::new(policy, Secret::from_bytes(*b"a bench's secret"));
    let (mut draw, capacity) = (Draw::once(identities), Capacity::nearest(u32::MAX));
    let clock = Timestamp::from_millis(NOW).expect("a time");
    for index in 0..identities as usize {
        let Identities { address, email } = draw.next();
        let request = AttemptRequest { ip: address.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
        let verdict = times.time(index, || {
            let attempt = limiter.attempt(&request).expect("an attempt");
            limiter.check(&attempt, clock, capacity, |_| {})
        });
        assert!(verdict.allowed, "each identity comes once");
    }
    limiter
}

/// Reclaims all of a limiter, and measures each step.
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
