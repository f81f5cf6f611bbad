//! So many checks of the engine and nothing else, for callgrind to count the instructions of: `make callgrind` runs it
//! with two numbers of checks, of which the difference is what the checks alone took.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, reason = "a benchmark stops at the first surprise")]

use std::env;
use std::hint::black_box;

use authlimit::identity::Secret;
use authlimit::limiter::{Cost, Limiter, Received, Timestamp};
use authlimit::policy::{Capacity, Policy};

mod identities;

use identities::{Draw, Identities};

/// How many addresses and emails have an attempt before the first check that counts.
const IDENTITIES: u32 = 10_000;

/// Some day of our days, in milliseconds.
const NOW: u64 = 1_700_000_000_000;

/// Checks as many attempts as the first argument says, by the policy of the second.
fn main() {
    // Cargo adds `--bench` of its own.
    let mut words = env::args().skip(1).filter(|word| word != "--bench");
    let (Some(checks), Some(policy)) = (words.next(), words.next()) else {
        println!("two arguments: how many checks, and by which policy; make callgrind gives them");
        return;
    };
    let checks: u32 = checks.parse().expect("a number of checks");
    let policy = Policy::from_text(&policy).expect("a policy");
    let mut limiter = Limiter::new(policy, Secret::from_bytes(*b"a bench's secret"));
    let mut fill = Draw::once(IDENTITIES);
    for _ in 0..IDENTITIES {
        check(&mut limiter, fill.next());
    }
    let mut draw = Draw::pairs(IDENTITIES, 1);
    for _ in 0..checks {
        check(&mut limiter, draw.next());
    }
}

/// Checks an attempt, from its bytes to its verdict.
fn check(limiter: &mut Limiter, identities: Identities) {
    let received = Received {
        ip: identities.address.as_bytes(),
        email: identities.email.as_bytes(),
        device: None,
        cost: Cost::ONE,
    };
    let clock = Timestamp::from_millis(NOW).expect("a time");
    let attempt = limiter.attempt(&received).expect("an attempt");
    let verdict = limiter.check(&attempt, clock, Capacity::nearest(u32::MAX), |effect| {
        black_box(effect);
    });
    black_box(verdict);
}
