//! Targets for what is stored and replicated: headers, chunks and messages.

use crate::bytes::{check_load, limiter_with};
use crate::model::Request;
use crate::model::run::{attempt, large_capacity, time};
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, request, restored};
use authlimit::format::Part;
use authlimit::format::message::{self, Message};
use authlimit::identity::HashKey;
use authlimit::limiter::{Effect, Limiter};
use std::sync::LazyLock;

/// A limiter that has counted, locked and listed.
static LIMITER: LazyLock<Limiter> = LazyLock::new(|| {
    let pairs = IPS.into_iter().zip(EMAILS).filter(|(ip, _)| !ip.is_empty());
    let attempts: Vec<(Request, u64)> = pairs.map(|(ip, email)| (request(ip, email), 7)).collect();
    limiter_with(&attempts.repeat(4))
});

/// The code of a message that creates a limiter.
const CREATE: u8 = 1;

/// A chunk of the part that the first byte selects: it is refused, or loads into a limiter that works and is stored the
/// same.
pub fn chunk(bytes: &[u8]) {
    let Some((part, bytes)) = bytes.split_first() else { return };
    let table = part % 8;
    let part = match part / 8 % 6 {
        0 => Part::Logs(table),
        1 => Part::Locks(table),
        2 => Part::LogsV1(table),
        3 => Part::LocksV1(table),
        4 => Part::Unlocks,
        _ => Part::Lists,
    };
    let _ = check_load(&LIMITER, part, bytes);
}

/// A limiter's header: it is refused, or makes a limiter that works and is stored the same.
pub fn header(bytes: &[u8]) {
    message(&[&[CREATE], bytes].concat());
}

/// A message of the replication stream or the append-only file: it is refused, or is encoded to a message that means
/// the same, and leaves a limiter that works and is stored the same.
pub fn message(bytes: &[u8]) {
    let Ok(message) = decode(bytes) else { return };
    let encoded = encode(&message);
    assert!(is_in_words(&message) || encoded == bytes, "the message is written with other bytes");
    assert_eq!(decode(&encoded), Ok(message.clone()));
    let limiter = match message {
        Message::Create(metadata) => Limiter::from_metadata(metadata).ok(),
        Message::Chunk(part, chunk) => {
            let _ = check_load(&LIMITER, part, chunk);
            None
        }
        Message::Effect(effect) => applied(effect),
    };
    limiter.into_iter().for_each(check_works);
}

/// The message in `bytes`, on a server with a hash key.
fn decode(bytes: &[u8]) -> Result<Message<'_>, message::MessageError> {
    message::decode(bytes, || HashKey::new(b"a key of the operator's").ok())
}

/// The bytes of a message.
fn encode(message: &Message<'_>) -> Vec<u8> {
    match message {
        Message::Create(metadata) => message::encode_create(metadata),
        Message::Chunk(part, chunk) => message::encode_chunk(*part, chunk),
        Message::Effect(effect) => {
            let mut bytes = Vec::new();
            message::encode_effect(effect, &mut bytes);
            bytes
        }
    }
}

/// Whether a message has a policy, which may be in other words than its own.
fn is_in_words(message: &Message<'_>) -> bool {
    matches!(message, Message::Create(_) | Message::Effect(Effect::ChangePolicy { .. }))
}

/// The limiter after `effect`, unless it is refused.
fn applied(effect: Effect) -> Option<Limiter> {
    let mut limiter = LIMITER.clone();
    limiter.apply(effect).ok()?;
    Some(limiter)
}

/// Checks that a limiter is stored the same, before and after attempts.
fn check_works(mut limiter: Limiter) {
    assert_eq!(restored(&limiter).digest(), limiter.digest());
    for (ip, email) in IPS.into_iter().zip(EMAILS) {
        let Some(attempt) = attempt(&limiter, &request(ip, email)) else { continue };
        let before = limiter.clone();
        let mut replica = restored(&limiter);
        let mut effects = Vec::new();
        let verdict = limiter.check(&attempt, time(NOW), large_capacity(), |effect| effects.push(effect.clone()));
        assert_eq!(verdict.allowed, before.peek(&attempt, time(NOW)).allowed);
        effects.into_iter().for_each(|effect| replica.apply(effect).expect("what a primary sends is valid"));
        assert_eq!(replica.digest(), limiter.digest());
    }
    assert_eq!(restored(&limiter).digest(), limiter.digest());
}
