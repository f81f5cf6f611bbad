//! What `AUTHLIMIT.EFFECT` carries: to replicas, into the append-only file, and out of its rewrite.
//!
//! One code byte, then fields of fixed width, all numbers little-endian:
//!
//! | code | message | fields |
//! |---|---|---|
//! | 1 | create | a header (see `header`) |
//! | 2 | chunk | the subject's code (1 byte), a chunk (see `limiter::chunk`) |
//! | 3 | admit | attempt |
//! | 4 | reset | attempt |
//! | 5 | refund | attempt |
//! | 6 | change policy | time (8 bytes), the policy in its own words |
//! | 7 | clock set back | lead in milliseconds (8 bytes) |
//!
//! An attempt is its stamp (8 bytes: time and tag), the address's id (8), the email's id (8), and its
//! cost (4), which is left out where it is 1.

use crate::identity::Id;
use crate::limiter::{Attempt, Cost, Effect, Genesis, Stamp, Timestamp};
use crate::policy::{Millis, Policy, Subject};
use crate::redis::header;

/// How many bytes a message mostly has: that of an attempt of cost 1.
pub(crate) const USUAL_BYTES: usize = 25;

const CREATE: u8 = 1;
const CHUNK: u8 = 2;
const ADMIT: u8 = 3;
const RESET: u8 = 4;
const REFUND: u8 = 5;
const CHANGE_POLICY: u8 = 6;
const CLOCK_SET_BACK: u8 = 7;

/// A message as it was read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Message<'a> {
    /// Puts a limiter without identities at the key, whatever limiter was there.
    Create(Genesis),
    /// Adds identities to the limiter, as an AOF rewrite does.
    Chunk(Subject, &'a [u8]),
    /// Changes the limiter.
    Effect(Effect),
}

/// The bytes of a create message.
pub(crate) fn encode_create(genesis: &Genesis) -> Vec<u8> {
    let mut bytes = vec![CREATE];
    bytes.extend(header::encode(genesis));
    bytes
}

/// The bytes of a chunk message.
pub(crate) fn encode_chunk(subject: Subject, chunk: &[u8]) -> Vec<u8> {
    let mut bytes = vec![CHUNK, subject.code()];
    bytes.extend(chunk);
    bytes
}

/// Writes the bytes of an effect to `bytes`, which is cleared first.
pub(crate) fn encode_effect(effect: &Effect, bytes: &mut Vec<u8>) {
    bytes.clear();
    match effect {
        Effect::Admit { at, attempt } => encode_attempt(ADMIT, *at, attempt, bytes),
        Effect::Reset { at, attempt } => encode_attempt(RESET, *at, attempt, bytes),
        Effect::Refund { at, attempt } => encode_attempt(REFUND, *at, attempt, bytes),
        Effect::ChangePolicy { at, policy } => {
            bytes.push(CHANGE_POLICY);
            bytes.extend(at.as_millis().to_le_bytes());
            bytes.extend(policy.to_string().as_bytes());
        }
        Effect::ClockSetBack { lead } => {
            bytes.push(CLOCK_SET_BACK);
            bytes.extend(lead.get().to_le_bytes());
        }
    }
}

/// Writes an attempt.
fn encode_attempt(code: u8, at: Timestamp, attempt: &Attempt, bytes: &mut Vec<u8>) {
    bytes.push(code);
    bytes.extend(Stamp::new(at, attempt.tag).raw().to_le_bytes());
    bytes.extend(attempt.address.raw().to_le_bytes());
    bytes.extend(attempt.email.raw().to_le_bytes());
    if attempt.cost != Cost::ONE {
        bytes.extend(attempt.cost.get().to_le_bytes());
    }
}

/// What a message says; `None` if it is none that this version writes.
pub(crate) fn decode(bytes: &[u8]) -> Option<Message<'_>> {
    let (code, fields) = bytes.split_first()?;
    Some(match *code {
        CREATE => Message::Create(header::decode(fields).ok()?),
        CHUNK => {
            let (subject, chunk) = fields.split_first()?;
            Message::Chunk(Subject::from_code(*subject)?, chunk)
        }
        CHANGE_POLICY => {
            let (at, words) = split_u64(fields)?;
            Message::Effect(Effect::ChangePolicy {
                at: Timestamp::from_millis(at)?,
                policy: Policy::from_text(str::from_utf8(words).ok()?).ok()?,
            })
        }
        CLOCK_SET_BACK => {
            let (lead, rest) = split_u64(fields)?;
            let plausible = rest.is_empty() && lead <= Timestamp::MAX.as_millis();
            let lead = plausible.then_some(Millis::new(lead))?;
            Message::Effect(Effect::ClockSetBack { lead })
        }
        code => {
            let (at, attempt) = decode_attempt(fields)?;
            Message::Effect(match code {
                ADMIT => Effect::Admit { at, attempt },
                RESET => Effect::Reset { at, attempt },
                REFUND => Effect::Refund { at, attempt },
                _ => return None,
            })
        }
    })
}

/// Reads an attempt, which takes all of `fields`.
fn decode_attempt(fields: &[u8]) -> Option<(Timestamp, Attempt)> {
    let (stamp, fields) = split_u64(fields)?;
    let (address, fields) = split_u64(fields)?;
    let (email, fields) = split_u64(fields)?;
    let cost = match fields {
        [] => Cost::ONE,
        cost => Cost::new(u32::from_le_bytes(cost.try_into().ok()?))?,
    };
    let stamp = Stamp::from_raw(stamp)?;
    let attempt = Attempt {
        address: Id::from_raw(address),
        email: Id::from_raw(email),
        tag: stamp.tag(),
        cost,
    };
    Some((stamp.at(), attempt))
}

/// The number at the beginning, and what follows it.
fn split_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Secret, Tag};
    use proptest::prelude::*;

    fn effects() -> impl Strategy<Value = Effect> {
        let at = (1..1_u64 << 42).prop_map(|at| Timestamp::from_millis(at).unwrap());
        let attempt = (any::<u64>(), any::<u64>(), any::<u32>(), 1..=100_000_u32).prop_map(
            |(address, email, tag, cost)| Attempt {
                address: Id::from_raw(address),
                email: Id::from_raw(email),
                tag: Tag::from_raw(tag),
                cost: Cost::new(cost).unwrap(),
            },
        );
        let policy = Policy::from_text("PAIR 5/15m IPV6-PREFIX 56").unwrap();
        (at, attempt, 0..5_u8).prop_map(move |(at, attempt, kind)| match kind {
            0 => Effect::Admit { at, attempt },
            1 => Effect::Reset { at, attempt },
            2 => Effect::Refund { at, attempt },
            3 => Effect::ChangePolicy {
                at,
                policy: policy.clone(),
            },
            _ => Effect::ClockSetBack {
                lead: Millis::new(at.as_millis()),
            },
        })
    }

    proptest! {
        #[test]
        fn effects_come_back_whole(effect in effects()) {
            let mut bytes = Vec::new();
            encode_effect(&effect, &mut bytes);
            prop_assert_eq!(decode(&bytes), Some(Message::Effect(effect)));
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn an_ordinary_attempt_takes_25_bytes() {
        let mut bytes = Vec::new();
        let attempt = Attempt {
            address: Id::from_raw(0x0807_0605_0403_0201),
            email: Id::from_raw(2),
            tag: Tag::from_raw(3),
            cost: Cost::ONE,
        };
        let at = Timestamp::from_millis(1).unwrap();
        encode_effect(&Effect::Admit { at, attempt }, &mut bytes);
        let mut expected = vec![3, 3, 0, 64, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        expected.extend(2_u64.to_le_bytes());
        assert_eq!(bytes, expected);
    }

    #[test]
    fn creating_and_chunks_come_back_whole() {
        let policy = Policy::from_text("PAIR 5/15m").unwrap();
        let limiter = crate::limiter::Limiter::new(policy, Secret::from_bytes([1; 16]));
        let genesis = limiter.genesis();
        let bytes = encode_create(&genesis);
        assert_eq!(decode(&bytes), Some(Message::Create(genesis)));
        let bytes = encode_chunk(Subject::Pair, b"abc");
        assert_eq!(decode(&bytes), Some(Message::Chunk(Subject::Pair, b"abc")));
    }
}
