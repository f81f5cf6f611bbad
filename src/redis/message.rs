//! What `AUTHLIMIT.EFFECT` carries: to replicas, into the append-only file, and out of its rewrite.
//!
//! One code byte, then fields of fixed width, all numbers little-endian:
//!
//! | code | message | fields |
//! |---|---|---|
//! | 1 | create | a header (see `header`) |
//! | 2 | logs | the table's index (1 byte), a chunk (see `limiter::chunk`) |
//! | 3 | locks | the table's index (1), a chunk |
//! | 4 | lists | a chunk |
//! | 5 | admit | attempt |
//! | 6 | count denied | rules (4, a bit for each), attempt |
//! | 7 | reset | attempt |
//! | 8 | refund | attempt |
//! | 9 | lock | at (8), table (1), rule (1), id (8), until (8), length (8) |
//! | 10 | evict | table (1), id (8) |
//! | 11 | unlock | at (8), which (1: 1 address, 2 email, 3 both), the ids (8 each) |
//! | 12 | list add | at (8), one list entry (see `limiter::access_chunk`) |
//! | 13 | list remove | one list entry, its end without meaning |
//! | 14 | change policy | at (8), the policy in its own words |
//! | 15 | clock set back | lead (8) |
//! | 16 | time passed | at (8) |
//!
//! Times and lengths are in milliseconds. An attempt is its stamp (8 bytes: time and tag), the
//! address's id (8), the email's id (8), and where there is a device or a cost other than 1, which of
//! them (1: 1 device, 2 cost, 3 both), the device's id (8) and the cost (4).

use crate::identity::{HashKey, Id};
use crate::limiter::{Cost, Effect, Genesis, Listing, Part, Party, RuleSet, Stamp, Timestamp};
use crate::policy::{Millis, Policy};
use crate::redis::header::{self, HeaderError};

const CREATE: u8 = 1;
const LOGS: u8 = 2;
const LOCKS: u8 = 3;
const LISTS: u8 = 4;
const ADMIT: u8 = 5;
const COUNT_DENIED: u8 = 6;
const RESET: u8 = 7;
const REFUND: u8 = 8;
const LOCK: u8 = 9;
const EVICT: u8 = 10;
const UNLOCK: u8 = 11;
const LIST_ADD: u8 = 12;
const LIST_REMOVE: u8 = 13;
const CHANGE_POLICY: u8 = 14;
const CLOCK_SET_BACK: u8 = 15;
const TIME_PASSED: u8 = 16;

/// In an attempt: a device follows. In an unlock: an address.
const FIRST: u8 = 1;
/// In an attempt: a cost follows. In an unlock: an email.
const SECOND: u8 = 2;

/// A message as it was read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Message<'a> {
    /// Puts a limiter that has counted nothing at the key, whatever limiter was there.
    Create(Genesis),
    /// Adds what a limiter has counted, as an AOF rewrite does.
    Chunk(Part, &'a [u8]),
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
pub(crate) fn encode_chunk(part: Part, chunk: &[u8]) -> Vec<u8> {
    let mut bytes = match part {
        Part::Logs(table) => vec![LOGS, table],
        Part::Locks(table) => vec![LOCKS, table],
        Part::Access => vec![LISTS],
    };
    bytes.extend(chunk);
    bytes
}

/// Writes the bytes of an effect to `bytes`, which is cleared first.
pub(crate) fn encode_effect(effect: &Effect, bytes: &mut Vec<u8>) {
    bytes.clear();
    match effect {
        Effect::Admit { at, party } => {
            bytes.push(ADMIT);
            encode_attempt(*at, party, bytes);
        }
        Effect::CountDenied { at, party, rules } => {
            bytes.push(COUNT_DENIED);
            bytes.extend(rules.bits().to_le_bytes());
            encode_attempt(*at, party, bytes);
        }
        Effect::Reset { at, party } => {
            bytes.push(RESET);
            encode_attempt(*at, party, bytes);
        }
        Effect::Refund { at, party } => {
            bytes.push(REFUND);
            encode_attempt(*at, party, bytes);
        }
        Effect::Lock {
            at,
            table,
            rule,
            id,
            until,
            length,
        } => {
            bytes.push(LOCK);
            encode_time(*at, bytes);
            bytes.extend([*table, *rule]);
            encode_id(*id, bytes);
            encode_time(*until, bytes);
            bytes.extend(length.get().to_le_bytes());
        }
        Effect::Evict { table, id } => {
            bytes.extend([EVICT, *table]);
            encode_id(*id, bytes);
        }
        Effect::Unlock { at, address, email } => {
            bytes.push(UNLOCK);
            encode_time(*at, bytes);
            bytes.push(which(address.is_some(), email.is_some()));
            address
                .iter()
                .chain(email)
                .for_each(|id| encode_id(*id, bytes));
        }
        Effect::ListAdd { at, entry } => {
            bytes.push(LIST_ADD);
            encode_time(*at, bytes);
            bytes.extend(entry.to_bytes());
        }
        Effect::ListRemove { entry } => {
            bytes.push(LIST_REMOVE);
            bytes.extend(entry.to_bytes());
        }
        Effect::ChangePolicy { at, policy } => {
            bytes.push(CHANGE_POLICY);
            encode_time(*at, bytes);
            bytes.extend(policy.to_string().as_bytes());
        }
        Effect::TimePassed { at } => {
            bytes.push(TIME_PASSED);
            encode_time(*at, bytes);
        }
        Effect::ClockSetBack { lead } => {
            bytes.push(CLOCK_SET_BACK);
            bytes.extend(lead.get().to_le_bytes());
        }
    }
}

/// Writes an attempt.
fn encode_attempt(at: Timestamp, party: &Party, bytes: &mut Vec<u8>) {
    bytes.extend(Stamp::new(at, party.tag).raw().to_le_bytes());
    encode_id(party.address, bytes);
    encode_id(party.email, bytes);
    let cost = Some(party.cost).filter(|cost| *cost != Cost::ONE);
    let extras = which(party.device.is_some(), cost.is_some());
    if extras != 0 {
        bytes.push(extras);
        party.device.iter().for_each(|id| encode_id(*id, bytes));
        bytes.extend(cost.iter().flat_map(|cost| cost.get().to_le_bytes()));
    }
}

/// The byte that says which of two things follow.
fn which(first: bool, second: bool) -> u8 {
    let first = if first { FIRST } else { 0 };
    let second = if second { SECOND } else { 0 };
    first | second
}

/// Writes a time.
fn encode_time(at: Timestamp, bytes: &mut Vec<u8>) {
    bytes.extend(at.as_millis().to_le_bytes());
}

/// Writes an id.
fn encode_id(id: Id, bytes: &mut Vec<u8>) {
    bytes.extend(id.raw().to_le_bytes());
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum MessageError {
    /// No authlimit of this version writes them.
    #[error(
        "the effect is of a kind or form that this authlimit does not know: is the other one newer?"
    )]
    Unknown,
    /// The header of a create message is wrong.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// What a message says, on a server with this hash key, which only a create message needs.
///
/// # Errors
/// [`MessageError`] if it is none that this version writes, or is of a limiter under another hash key.
pub(crate) fn decode(
    bytes: &[u8],
    hash_key: impl FnOnce() -> Option<HashKey>,
) -> Result<Message<'_>, MessageError> {
    match bytes.split_first() {
        Some((&CREATE, header)) => {
            let genesis = header::decode(header, hash_key().as_ref())?;
            Ok(Message::Create(genesis))
        }
        Some((&code, fields)) => decode_other(code, fields).ok_or(MessageError::Unknown),
        None => Err(MessageError::Unknown),
    }
}

/// What a message says that creates no limiter.
fn decode_other(code: u8, fields: &[u8]) -> Option<Message<'_>> {
    let mut fields = Fields(fields);
    let message = match code {
        LOGS => Message::Chunk(Part::Logs(fields.byte()?), fields.rest()),
        LOCKS => Message::Chunk(Part::Locks(fields.byte()?), fields.rest()),
        LISTS => Message::Chunk(Part::Access, fields.rest()),
        code => Message::Effect(decode_effect(code, &mut fields)?),
    };
    fields.0.is_empty().then_some(message)
}

/// What an effect's fields say.
fn decode_effect(code: u8, fields: &mut Fields<'_>) -> Option<Effect> {
    Some(match code {
        ADMIT => {
            let (at, party) = fields.attempt()?;
            Effect::Admit { at, party }
        }
        COUNT_DENIED => {
            let rules = RuleSet::from_bits(u32::from_le_bytes(fields.take()?));
            let (at, party) = fields.attempt()?;
            Effect::CountDenied { at, party, rules }
        }
        RESET => {
            let (at, party) = fields.attempt()?;
            Effect::Reset { at, party }
        }
        REFUND => {
            let (at, party) = fields.attempt()?;
            Effect::Refund { at, party }
        }
        LOCK => Effect::Lock {
            at: fields.time()?,
            table: fields.byte()?,
            rule: fields.byte()?,
            id: fields.id()?,
            until: fields.time()?,
            length: fields.span()?,
        },
        EVICT => Effect::Evict {
            table: fields.byte()?,
            id: fields.id()?,
        },
        UNLOCK => {
            let at = fields.time()?;
            let which = fields.which()?;
            let address = if which & FIRST != 0 {
                Some(fields.id()?)
            } else {
                None
            };
            let email = if which & SECOND != 0 {
                Some(fields.id()?)
            } else {
                None
            };
            Effect::Unlock { at, address, email }
        }
        TIME_PASSED => Effect::TimePassed { at: fields.time()? },
        LIST_ADD => Effect::ListAdd {
            at: fields.time()?,
            entry: fields.list_entry()?,
        },
        LIST_REMOVE => Effect::ListRemove {
            entry: fields.list_entry()?,
        },
        CHANGE_POLICY => Effect::ChangePolicy {
            at: fields.time()?,
            policy: Policy::from_text(str::from_utf8(fields.rest()).ok()?).ok()?,
        },
        CLOCK_SET_BACK => Effect::ClockSetBack {
            lead: fields.span()?,
        },
        _ => return None,
    })
}

/// The bytes of a message that were not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next `N` bytes.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// All that is left.
    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// The next byte.
    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    /// A byte that says which of two things follow; at least one does.
    fn which(&mut self) -> Option<u8> {
        self.byte()
            .filter(|which| (FIRST..=(FIRST | SECOND)).contains(which))
    }

    /// An id.
    fn id(&mut self) -> Option<Id> {
        self.take().map(u64::from_le_bytes).map(Id::from_raw)
    }

    /// A time.
    fn time(&mut self) -> Option<Timestamp> {
        Timestamp::from_millis(u64::from_le_bytes(self.take()?))
    }

    /// A span of time.
    fn span(&mut self) -> Option<Millis> {
        let millis = u64::from_le_bytes(self.take()?);
        (millis <= Timestamp::MAX.as_millis()).then_some(Millis::new(millis))
    }

    /// A list entry.
    fn list_entry(&mut self) -> Option<Listing> {
        Listing::from_bytes(&self.take()?).ok()
    }

    /// An attempt, which is all that is left.
    fn attempt(&mut self) -> Option<(Timestamp, Party)> {
        let stamp = Stamp::from_raw(u64::from_le_bytes(self.take()?))?;
        let (address, email) = (self.id()?, self.id()?);
        let (mut device, mut cost) = (None, Cost::ONE);
        if !self.0.is_empty() {
            let which = self.which()?;
            if which & FIRST != 0 {
                device = Some(self.id()?);
            }
            if which & SECOND != 0 {
                cost = Cost::new(u32::from_le_bytes(self.take()?)).ok()?;
            }
        }
        let party = Party {
            address,
            email,
            device,
            tag: stamp.tag(),
            cost,
        };
        Some((stamp.at(), party))
    }
}

#[cfg(test)]
mod tests;
