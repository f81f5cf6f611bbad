//! Runs a number of checks in the engine and nothing else, for callgrind to count the instructions. `make callgrind`
//! runs it with two numbers of checks: the difference is what the checks alone took.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, reason = "a benchmark stops at the first surprise")]

use std::env;
use std::hint::black_box;

use authlimit::identity::Secret;
use authlimit::limiter::{AttemptRequest, Limiter};
use authlimit::policy::{Capacity, Cost, Policy};
use authlimit::table::Timestamp;

mod identities;

use identities::{Draw, Identities};

/// The number of addresses and emails that have an attempt before the measured checks.
const IDENTITIES: u32 = 10_000;

/// Any time, in milliseconds since 1970.
const NOW: u64 = 1_700_000_000_000;

/// Checks attempts: the first argument is their number, the second one the policy. The third one, if there is one, is the
/// email of all of them.
fn main() {
    // Cargo adds the argument `--bench`.
    let mut words = env::args().skip(1).filter(|word| word != "--bench");
    let (Some(checks), Some(policy)) = (words.next(), words.next()) else {
        println!("usage: instructions CHECKS POLICY [EMAIL]; make callgrind runs this program");
        return;
    };
    let email = words.next();
    let checks: u32 = checks.parse().expect("a number of checks");
    let policy = Policy::from_text(&policy).expect("a policy");
    let mut limiter = Limiter::new(policy, Secret::from_bytes(*b"a bench's secret"));
    let mut fill = Draw::once(IDENTITIES);
    for _ in 0..IDENTITIES {
        let Identities { address, email } = fill.next();
        check(&mut limiter, address.as_bytes(), email.as_bytes());
    }
    let mut draw = Draw::pairs(IDENTITIES, 1);
    for _ in 0..checks {
        let identities = draw.next();
        let email = email.as_ref().map_or(identities.email.as_bytes(), String::as_bytes);
        check(&mut limiter, identities.address.as_bytes(), email);
    }
}

/// Checks one attempt, from its bytes to its verdict.
fn check(limiter: &mut Limiter, ip: &[u8], email: &[u8]) {
    let request = AttemptRequest { ip, email, device: None, cost: Cost::ONE };
    let clock = Timestamp::from_millis(NOW).expect("a time");
    let attempt = limiter.attempt(&request).expect("an attempt");
    let verdict = limiter.check(&attempt, clock, Capacity::nearest(u32::MAX), |effect| {
        black_box(effect);
    });
    black_box(verdict);
}
