//! The engine against the golden append-only file: what was decided under format version 1 always gives the same
//! answers, and is stored again in the current format. The files are described in `tests/server/durability/golden.rs`.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows has failed, as it should")]

use crate::format::message::{self, Message};
use crate::identity::HashKey;
use crate::limiter::{AttemptRequest, Limiter};
use crate::policy::Cost;
use crate::table::Timestamp;
use std::collections::BTreeSet;

/// What the limiter `keyed` is stored under.
const HASH_KEY: &[u8] = b"the-hash-key-of-the-golden-files";

/// The file.
const AOF: &[u8] = include_bytes!("../../tests/golden/v1.aof");

/// Takes the next line of a file, without its end.
fn take_line<'a>(file: &mut &'a [u8]) -> &'a str {
    let end = file.windows(2).position(|end| end == b"\r\n").unwrap();
    let line = str::from_utf8(&file[..end]).unwrap();
    *file = &file[end + 2..];
    line
}

/// The commands of an append-only file, as words.
fn commands(mut file: &'static [u8]) -> Vec<Vec<&'static [u8]>> {
    let mut commands = Vec::new();
    while !file.is_empty() {
        let line = take_line(&mut file);
        if line.starts_with('#') {
            continue;
        }
        let count: usize = line.strip_prefix('*').unwrap().parse().unwrap();
        let mut words = Vec::new();
        for _ in 0..count {
            let len = take_line(&mut file).strip_prefix('$').unwrap();
            let len: usize = len.parse().unwrap();
            words.push(&file[..len]);
            file = &file[len + 2..];
        }
        commands.push(words);
    }
    commands
}

/// The messages for the limiter at `key`, in order.
fn messages(key: &[u8]) -> Vec<&'static [u8]> {
    let all = commands(AOF).into_iter();
    let ours = all.filter_map(|words| match words.as_slice() {
        [b"AUTHLIMIT.EFFECT", to, message] if *to == key => Some(*message),
        _ => None,
    });
    ours.collect()
}

/// A limiter that was sent some messages, and how many of them, from the first, only say what it held.
fn limiter_of(messages: &[&[u8]]) -> (Limiter, usize) {
    let (mut limiter, mut stored) = (None, 0);
    for message in messages {
        let message = message::decode(message, || HashKey::new(HASH_KEY).ok()).unwrap();
        match (message, &mut limiter) {
            (Message::Create(metadata), _) => {
                limiter = Some(Limiter::from_metadata(metadata).unwrap());
                stored = 1;
            }
            (Message::Chunk(part, chunk), Some(limiter)) => {
                limiter.load_chunk(part, chunk).unwrap();
                stored += 1;
            }
            (Message::Effect(effect), Some(limiter)) => limiter.apply(effect).unwrap(),
            (_, None) => panic!("a limiter begins with its creation"),
        }
    }
    (limiter.unwrap(), stored)
}

/// What a limiter stores, as messages.
fn stored(limiter: &Limiter) -> Vec<Vec<u8>> {
    let mut messages = vec![message::encode_create(&limiter.metadata())];
    messages.extend(limiter.chunks().map(|(part, chunk)| message::encode_chunk(part, &chunk)));
    messages
}

/// How many attempts each rule has left, at `clock`.
fn remaining(limiter: &Limiter, ip: &str, email: &str, clock: Timestamp) -> Vec<u32> {
    let received = AttemptRequest { ip: ip.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
    let attempt = limiter.attempt(&received).unwrap();
    let rules = limiter.rule_statuses(&attempt, clock);
    rules.map(|rule| rule.remaining).collect()
}

#[test]
fn a_golden_limiter_is_stored_again_as_format_2_and_loads_from_it() {
    for key in [b"plain", b"keyed"] {
        let messages = messages(key);
        let (_, count) = limiter_of(&messages);
        assert!(count > 8, "{count}");
        let (limiter, _) = limiter_of(&messages[..count]);
        let stored = stored(&limiter);
        assert_eq!(stored.len(), count);
        let again: Vec<&[u8]> = stored.iter().map(Vec::as_slice).collect();
        assert_eq!(limiter_of(&again).0.digest(), limiter.digest());
    }
}

#[test]
fn a_golden_file_has_every_kind_of_message() {
    for key in [b"plain", b"keyed"] {
        let kinds: BTreeSet<u8> = messages(key).iter().map(|message| message[0]).collect();
        assert_eq!(kinds, (1..=16).collect());
    }
}

#[test]
fn every_effect_of_a_golden_file_is_written_as_the_same_bytes() {
    for golden in [messages(b"plain"), messages(b"keyed")].concat() {
        if let Message::Effect(effect) = message::decode(golden, || None)
            .unwrap_or_else(|_| message::decode(golden, || HashKey::new(HASH_KEY).ok()).unwrap())
        {
            let mut bytes = Vec::new();
            message::encode_effect(&effect, &mut bytes);
            assert_eq!(bytes, golden);
        }
    }
}

#[test]
fn what_a_golden_limiter_answers() {
    for key in [b"plain", b"keyed"] {
        let messages = messages(key);
        let (_, count) = limiter_of(&messages);
        let (limiter, _) = limiter_of(&messages[..count]);
        let latest = limiter.metadata().latest;
        // The rules: IP 50, EMAIL 20, EMAIL 50, PAIR 5, EMAILS-PER-IP 15, IPS-PER-EMAIL 20, ALL 1000, DEVICE 10, IP 200
        // COUNT-DENIED. Counted were 5 + 2 + 3 + 2 attempts, and one that was refused.
        let alice = remaining(&limiter, "203.0.113.7", "ALICE@example.com", latest);
        assert_eq!(alice, [45, 15, 45, 0, 14, 19, 988, 10, 194]);
        let bob = remaining(&limiter, "2001:db8::99", "bob+x@example.com", latest);
        assert_eq!(bob, [48, 18, 48, 3, 14, 19, 988, 10, 198]);
        let nobody = remaining(&limiter, "192.0.2.1", "nobody@example.com", latest);
        assert_eq!(nobody, [50, 20, 50, 5, 15, 20, 988, 10, 200]);
        // A month later all is over.
        let later = Timestamp::from_millis(latest.as_millis() + 31 * 86_400_000).unwrap();
        let alice = remaining(&limiter, "203.0.113.7", "alice@example.com", later);
        assert_eq!(alice, [50, 20, 50, 5, 15, 20, 1000, 10, 200]);
    }
}
