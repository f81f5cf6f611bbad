//! The argument of `AUTHLIMIT.EFFECT`: sent to replicas, and written to the append-only file and its rewrite.
//!
//! One code byte, then fields of fixed width:
//!
//! | code | message | fields |
//! |---|---|---|
//! | 1 | create | a header (see `metadata`) |
//! | 2 | logs of format 1 | the table's index (1 byte), a chunk (see `chunk`) |
//! | 3 | locks of format 1 | the table's index (1), a chunk |
//! | 4 | lists | a chunk |
//! | 5 | admit | attempt |
//! | 6 | count denied | rules (4, a bit for each), attempt |
//! | 7 | reset | attempt |
//! | 8 | refund | attempt |
//! | 9 | lock of format 1 | at (8), table (1), rule (1), id (8), until (8), length (8) |
//! | 10 | evict | table (1), id (8) |
//! | 11 | unlock | at (8), which (1: 1 address, 2 email without its pairs, 3 address, email and their pair), the ids (8 each) |
//! | 12 | list add | at (8), one list entry (see `list_entry`) |
//! | 13 | list remove | one list entry, its expiry unused |
//! | 14 | change policy, as format 1 did | at (8), the policy in its own words |
//! | 15 | clock set | debt (8) |
//! | 16 | time passed | at (8) |
//! | 17 | logs | the table's index (1), a chunk |
//! | 18 | locks | the table's index (1), a chunk |
//! | 19 | unlocks | a chunk |
//! | 20 | lock | at (8), table (1), rule (1), id (8), length (8), strike (1), tag (4) |
//! | 21 | change policy | at (8), the policy in its own words |
//! | 22 | unlock more | at (8), which (1: 1 email with its pairs, 2 device, 3 `ALL`), its id (8, none for `ALL`) |
//! | 23 | clock restored | at (8) |
//!
//! An attempt is its log entry (8 bytes: time and tag), the address's id (8) and the email's id (8). If there is a
//! device or a cost other than 1, there follow which of them (1: 1 device, 2 cost, 3 both), the device's id (8) and the
//! cost (4).

use crate::format::bytes::{Reader, WriteFields};
use crate::format::chunk::Part;
use crate::format::list_entry;
use crate::format::metadata::{self, HeaderError};
use crate::identity::{HashKey, Id, Tag};
use crate::limiter::{AttemptIds, CarryOver, Effect, LimiterMetadata, RuleSet, UnlockTarget};
use crate::policy::{Cost, Policy, PolicyError};
use crate::table::{AttemptEntry, Timestamp};

const CREATE: u8 = 1;
const LOGS_V1: u8 = 2;
const LOCKS_V1: u8 = 3;
const LISTS: u8 = 4;
const ADMIT: u8 = 5;
const COUNT_DENIED: u8 = 6;
const RESET: u8 = 7;
const REFUND: u8 = 8;
const LOCK_V1: u8 = 9;
const EVICT: u8 = 10;
const UNLOCK: u8 = 11;
const LIST_ADD: u8 = 12;
const LIST_REMOVE: u8 = 13;
const CHANGE_POLICY_V1: u8 = 14;
const CLOCK_SET: u8 = 15;
const TIME_PASSED: u8 = 16;
const LOGS: u8 = 17;
const LOCKS: u8 = 18;
const UNLOCKS: u8 = 19;
const LOCK: u8 = 20;
const CHANGE_POLICY: u8 = 21;
const UNLOCK_MORE: u8 = 22;
const CLOCK_RESTORED: u8 = 23;

/// In an unlock of more: an email with its pairs, a device, `ALL`.
const EMAIL_WITH_PAIRS: u8 = 1;
const DEVICE: u8 = 2;
const ALL: u8 = 3;

/// In an attempt: a device follows. In an unlock: an address does.
const FIRST: u8 = 1;
/// In an attempt: a cost follows. In an unlock: an email.
const SECOND: u8 = 2;

/// A message that was read.
#[derive(Clone, PartialEq, Debug)]
pub enum Message<'a> {
    /// Puts a limiter that has counted nothing at the key, replacing what was there.
    Create(LimiterMetadata),
    /// Adds what a limiter has counted, as an AOF rewrite does.
    Chunk(Part, &'a [u8]),
    /// Changes the limiter.
    Effect(Effect),
}

/// Why a message was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MessageError {
    /// This version writes no such message.
    #[error("this authlimit does not know the effect: was it written by a newer version?")]
    Unknown,
    /// The header of a create message is invalid.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The new policy is invalid.
    #[error("the new policy is damaged: {0}")]
    Policy(#[from] PolicyError),
}

/// The bytes of a create message.
pub fn encode_create(metadata: &LimiterMetadata) -> Vec<u8> {
    let mut bytes = vec![CREATE];
    bytes.extend(metadata::encode(metadata));
    bytes
}

/// The bytes of a chunk message.
pub fn encode_chunk(part: Part, chunk: &[u8]) -> Vec<u8> {
    let mut bytes = match part {
        Part::Logs(table) => vec![LOGS, table],
        Part::Locks(table) => vec![LOCKS, table],
        Part::Lists => vec![LISTS],
        Part::Unlocks => vec![UNLOCKS],
        Part::LogsV1(table) => vec![LOGS_V1, table],
        Part::LocksV1(table) => vec![LOCKS_V1, table],
    };
    bytes.extend(chunk);
    bytes
}

/// Writes the bytes of an effect to `bytes`, which is cleared first.
pub fn encode_effect(effect: &Effect, bytes: &mut Vec<u8>) {
    bytes.clear();
    match effect {
        Effect::Admit { at, ids } => {
            bytes.push(ADMIT);
            write_attempt(*at, ids, bytes);
        }
        Effect::CountDenied { at, ids, rules } => {
            bytes.push(COUNT_DENIED);
            bytes.write_u32(rules.bits());
            write_attempt(*at, ids, bytes);
        }
        Effect::Reset { at, ids } => {
            bytes.push(RESET);
            write_attempt(*at, ids, bytes);
        }
        Effect::Refund { at, ids } => {
            bytes.push(REFUND);
            write_attempt(*at, ids, bytes);
        }
        Effect::Lock { .. } => write_lock(effect, bytes),
        Effect::Evict { table, id } => {
            bytes.extend([EVICT, *table]);
            bytes.write_id(*id);
        }
        Effect::Unlock { at, target } => write_unlock(*at, *target, bytes),
        Effect::ListAdd { at, entry } => {
            bytes.push(LIST_ADD);
            bytes.write_time(*at);
            list_entry::write(entry, bytes);
        }
        Effect::ListRemove { entry } => {
            bytes.push(LIST_REMOVE);
            list_entry::write(entry, bytes);
        }
        Effect::ChangePolicy { at, policy, carry_over } => {
            bytes.push(match carry_over {
                CarryOver::ByRule => CHANGE_POLICY,
                CarryOver::ByPlace => CHANGE_POLICY_V1,
            });
            bytes.write_time(*at);
            bytes.extend(policy.to_string().as_bytes());
        }
        Effect::TimePassed { at } => {
            bytes.push(TIME_PASSED);
            bytes.write_time(*at);
        }
        Effect::ClockSet { debt } => {
            bytes.push(CLOCK_SET);
            bytes.write_span(*debt);
        }
        Effect::ClockRestored { at } => {
            bytes.push(CLOCK_RESTORED);
            bytes.write_time(*at);
        }
    }
}

/// Writes a lock, of format 1 if its strike is not known.
fn write_lock(effect: &Effect, bytes: &mut Vec<u8>) {
    let Effect::Lock { at, table, rule, id, length, strikes, tag } = effect else { return };
    bytes.push(if strikes.is_some() { LOCK } else { LOCK_V1 });
    bytes.write_time(*at);
    bytes.extend([*table, *rule]);
    bytes.write_id(*id);
    if strikes.is_none() {
        bytes.write_time(at.plus(*length));
    }
    bytes.write_span(*length);
    if let Some(strikes) = strikes {
        bytes.write_u8(*strikes);
        bytes.write_u32(tag.raw());
    }
}

/// Writes an unlock.
fn write_unlock(at: Timestamp, target: UnlockTarget, bytes: &mut Vec<u8>) {
    let (code, which, ids) = match target {
        UnlockTarget::Address(address) => (UNLOCK, FIRST, [Some(address), None]),
        UnlockTarget::EmailAlone(email) => (UNLOCK, SECOND, [Some(email), None]),
        UnlockTarget::AddressAndEmail(address, email) => (UNLOCK, FIRST | SECOND, [Some(address), Some(email)]),
        UnlockTarget::Email(email) => (UNLOCK_MORE, EMAIL_WITH_PAIRS, [Some(email), None]),
        UnlockTarget::Device(device) => (UNLOCK_MORE, DEVICE, [Some(device), None]),
        UnlockTarget::All => (UNLOCK_MORE, ALL, [None, None]),
    };
    bytes.push(code);
    bytes.write_time(at);
    bytes.push(which);
    ids.iter().flatten().for_each(|id| bytes.write_id(*id));
}

/// Writes an attempt.
fn write_attempt(at: Timestamp, ids: &AttemptIds, bytes: &mut Vec<u8>) {
    bytes.write_u64(AttemptEntry::new(at, ids.tag).raw());
    bytes.write_id(ids.address);
    bytes.write_id(ids.email);
    let cost = Some(ids.cost).filter(|cost| *cost != Cost::ONE);
    let extras = which(ids.device.is_some(), cost.is_some());
    if extras != 0 {
        bytes.push(extras);
        ids.device.iter().for_each(|id| bytes.write_id(*id));
        cost.iter().for_each(|cost| bytes.write_u32(cost.get()));
    }
}

/// The byte that says which of two fields follow.
fn which(first: bool, second: bool) -> u8 {
    let first = if first { FIRST } else { 0 };
    let second = if second { SECOND } else { 0 };
    first | second
}

/// The message in `bytes`, on a server with this hash key, which only a create message needs.
///
/// # Errors
/// [`MessageError`] if this version writes no such message, or if the limiter is under another hash key.
pub fn decode(bytes: &[u8], hash_key: impl FnOnce() -> Option<HashKey>) -> Result<Message<'_>, MessageError> {
    let mut fields = Reader::new(bytes);
    match fields.u8() {
        Some(CREATE) => Ok(Message::Create(metadata::decode(fields.rest(), hash_key().as_ref())?)),
        Some(code @ (CHANGE_POLICY_V1 | CHANGE_POLICY)) => read_policy_change(code, fields),
        Some(code) => read_message(code, fields).ok_or(MessageError::Unknown),
        None => Err(MessageError::Unknown),
    }
}

/// A change of the policy of either format.
fn read_policy_change(code: u8, mut fields: Reader<'_>) -> Result<Message<'_>, MessageError> {
    let at = fields.time().ok_or(MessageError::Unknown)?;
    let words = str::from_utf8(fields.rest()).map_err(|_| MessageError::Unknown)?;
    let policy = Policy::from_text(words)?;
    let carry_over = if code == CHANGE_POLICY { CarryOver::ByRule } else { CarryOver::ByPlace };
    Ok(Message::Effect(Effect::ChangePolicy { at, policy, carry_over }))
}

/// The message of a code that neither creates a limiter nor changes its policy; `None` if the fields do not fit the code.
fn read_message(code: u8, mut fields: Reader<'_>) -> Option<Message<'_>> {
    let message = match code {
        LOGS => Message::Chunk(Part::Logs(fields.u8()?), fields.rest()),
        LOCKS => Message::Chunk(Part::Locks(fields.u8()?), fields.rest()),
        UNLOCKS => Message::Chunk(Part::Unlocks, fields.rest()),
        LOGS_V1 => Message::Chunk(Part::LogsV1(fields.u8()?), fields.rest()),
        LOCKS_V1 => Message::Chunk(Part::LocksV1(fields.u8()?), fields.rest()),
        LISTS => Message::Chunk(Part::Lists, fields.rest()),
        code => Message::Effect(read_effect(code, &mut fields)?),
    };
    fields.is_empty().then_some(message)
}

/// The effect of a code.
fn read_effect(code: u8, fields: &mut Reader<'_>) -> Option<Effect> {
    Some(match code {
        ADMIT => {
            let (at, ids) = read_attempt(fields)?;
            Effect::Admit { at, ids }
        }
        COUNT_DENIED => {
            let rules = RuleSet::from_bits(fields.u32()?);
            let (at, ids) = read_attempt(fields)?;
            Effect::CountDenied { at, ids, rules }
        }
        RESET => {
            let (at, ids) = read_attempt(fields)?;
            Effect::Reset { at, ids }
        }
        REFUND => {
            let (at, ids) = read_attempt(fields)?;
            Effect::Refund { at, ids }
        }
        LOCK_V1 | LOCK => read_lock(code, fields)?,
        EVICT => Effect::Evict { table: fields.u8()?, id: fields.id()? },
        UNLOCK | UNLOCK_MORE => {
            let (at, target) = (fields.time()?, read_unlock_target(code, fields)?);
            Effect::Unlock { at, target }
        }
        LIST_ADD => Effect::ListAdd { at: fields.time()?, entry: list_entry::read(fields).ok()? },
        LIST_REMOVE => Effect::ListRemove { entry: list_entry::read(fields).ok()? },
        CLOCK_SET => Effect::ClockSet { debt: fields.span()? },
        TIME_PASSED => Effect::TimePassed { at: fields.time()? },
        CLOCK_RESTORED => Effect::ClockRestored { at: fields.time()? },
        _ => return None,
    })
}

/// A lock of either format.
fn read_lock(code: u8, fields: &mut Reader<'_>) -> Option<Effect> {
    let (at, table, rule, id) = (fields.time()?, fields.u8()?, fields.u8()?, fields.id()?);
    let until = if code == LOCK_V1 { Some(fields.time()?) } else { None };
    let length = fields.span()?;
    if until.is_some_and(|until| until != at.plus(length)) {
        return None;
    }
    let (strikes, raw_tag) = if code == LOCK { (Some(fields.u8()?), fields.u32()?) } else { (None, 0) };
    let tag = Tag::from_raw(raw_tag);
    (tag.raw() == raw_tag).then_some(Effect::Lock { at, table, rule, id, length, strikes, tag })
}

/// What an unlock clears.
fn read_unlock_target(code: u8, fields: &mut Reader<'_>) -> Option<UnlockTarget> {
    Some(match (code, fields.u8()?) {
        (UNLOCK, FIRST) => UnlockTarget::Address(fields.id()?),
        (UNLOCK, SECOND) => UnlockTarget::EmailAlone(fields.id()?),
        (UNLOCK, which) if which == FIRST | SECOND => UnlockTarget::AddressAndEmail(fields.id()?, fields.id()?),
        (UNLOCK_MORE, EMAIL_WITH_PAIRS) => UnlockTarget::Email(fields.id()?),
        (UNLOCK_MORE, DEVICE) => UnlockTarget::Device(fields.id()?),
        (UNLOCK_MORE, ALL) => UnlockTarget::All,
        _ => return None,
    })
}

/// An attempt, which is all that is left.
fn read_attempt(fields: &mut Reader<'_>) -> Option<(Timestamp, AttemptIds)> {
    let entry = AttemptEntry::from_raw(fields.u64()?)?;
    let (address, email) = (fields.id()?, fields.id()?);
    let which = if fields.is_empty() { 0 } else { read_which(fields)? };
    let device = read_id_if(which & FIRST != 0, fields)?;
    // A cost of one is not written.
    let cost = match which & SECOND {
        0 => Cost::ONE,
        _ => Cost::new(fields.u32()?).ok().filter(|cost| *cost != Cost::ONE)?,
    };
    Some((entry.at(), AttemptIds { address, email, device, tag: entry.tag(), cost }))
}

/// The byte that says which of two fields follow; at least one does.
fn read_which(fields: &mut Reader<'_>) -> Option<u8> {
    fields.u8().filter(|which| (FIRST..=(FIRST | SECOND)).contains(which))
}

/// An id, if one follows. The outer `None` is for bytes that end too early.
fn read_id_if(follows: bool, fields: &mut Reader<'_>) -> Option<Option<Id>> {
    if follows { fields.id().map(Some) } else { Some(None) }
}

#[cfg(test)]
mod tests;
