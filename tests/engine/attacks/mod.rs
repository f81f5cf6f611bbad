//! The engine against attackers: timed bursts, spraying, lock-out of other users, and the largest costs.

mod crowds;
mod forgiveness;
mod limits;
mod locks;
mod timing;
mod verdicts;

use crate::model::Request;
use crate::model::run::{large_capacity, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{limiter, request};
use authlimit::limiter::{AttemptRequest, Limiter};
use authlimit::policy::{Cost, Keyword, Subject};

/// The subjects that count attempts.
const SUBJECTS: [Subject; 5] = [Subject::Ip, Subject::Email, Subject::Pair, Subject::All, Subject::Device];

/// A request with a device.
fn by_device() -> Request {
    Request { device: Some("phone"), ..request(IPS[0], EMAILS[0]) }
}

/// A limiter with one rule for `subject`. DEVICE needs another rule, which gets a limit that is never reached.
fn limiter_for(subject: Subject, limit: usize, window: u64) -> Limiter {
    let another = if subject == Subject::Device { " PAIR 100000/1ms" } else { "" };
    limiter(&format!("{} {limit}/{window}ms{another}", subject.word()))
}

/// A request that `subject` counts.
fn request_for(subject: Subject) -> Request {
    if subject == Subject::Device { by_device() } else { request(IPS[0], EMAILS[0]) }
}

/// Email number n.
fn email_number(number: usize) -> String {
    format!("user{number}@x.org")
}

/// IP number n.
fn ip_number(number: usize) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

/// Checks an attempt and returns whether it was admitted.
fn check_text(limiter: &mut Limiter, ip: &str, email: &str, clock: u64) -> bool {
    let received = AttemptRequest { ip: ip.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
    let attempt = limiter.attempt(&received).unwrap();
    limiter.check(&attempt, time(clock), large_capacity(), |_| {}).allowed
}
