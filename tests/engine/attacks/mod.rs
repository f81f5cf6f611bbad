//! The engine against attackers: bursts at the worst moments, spraying, shutting others out, and the greatest costs.

mod crowds;
mod forgiveness;
mod limits;
mod locks;
mod timing;

use crate::model::Request;
use crate::model::run::{roomy, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{limiter, request};
use authlimit::limiter::{AttemptRequest, Limiter};
use authlimit::policy::{Cost, Keyword, Subject};

/// The subjects that count attempts, those of one and the same request.
const SUBJECTS: [Subject; 5] = [Subject::Ip, Subject::Email, Subject::Pair, Subject::All, Subject::Device];

/// A request that concerns every subject.
fn by_device() -> Request {
    Request { device: Some("phone"), ..request(IPS[0], EMAILS[0]) }
}

/// A limiter with one rule for `subject`, or with one more that never binds where that would be an error.
fn limiter_for(subject: Subject, limit: usize, window: u64) -> Limiter {
    let another = if subject == Subject::Device { " PAIR 100000/1ms" } else { "" };
    limiter(&format!("{} {limit}/{window}ms{another}", subject.word()))
}

/// A request that concerns `subject`.
fn request_for(subject: Subject) -> Request {
    if subject == Subject::Device { by_device() } else { request(IPS[0], EMAILS[0]) }
}

/// Email number n.
fn email_number(number: usize) -> String {
    format!("user{number}@x.org")
}

/// Address number n.
fn ip_number(number: usize) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

/// Whether an attempt is admitted; it is counted if so.
fn check_text(limiter: &mut Limiter, ip: &str, email: &str, clock: u64) -> bool {
    let received = AttemptRequest { ip: ip.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
    let attempt = limiter.attempt(&received).unwrap();
    limiter.check(&attempt, time(clock), roomy(), |_| {}).allowed
}
