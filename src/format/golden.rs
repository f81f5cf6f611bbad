//! The engine against the golden append-only files: what was decided under any format version always gives the same
//! answers, and is stored again in the current one. The files are described in `tests/server/durability/golden.rs`.
#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows has failed, as it should")]

use crate::format::message::{self, Message};
use crate::identity::HashKey;
use crate::limiter::{AttemptRequest, Limiter};
use crate::policy::Cost;
use crate::table::Timestamp;
use std::collections::BTreeSet;

/// What the limiter `keyed` is stored under.
const HASH_KEY: &[u8] = b"the-hash-key-of-the-golden-files";

/// The files of versions 1 and 2.
const AOFS: [&[u8]; 2] = [include_bytes!("../../tests/golden/v1.aof"), include_bytes!("../../tests/golden/v2.aof")];

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

/// The messages of a file for the limiter at `key`, in order.
fn messages(aof: &'static [u8], key: &[u8]) -> Vec<&'static [u8]> {
    let all = commands(aof).into_iter();
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
fn a_golden_limiter_is_stored_again_in_the_current_format() {
    for aof in AOFS {
        for key in [b"plain", b"keyed"] {
            let messages = messages(aof, key);
            let (_, count) = limiter_of(&messages);
            assert!(count > 8, "{count}");
            let (limiter, _) = limiter_of(&messages[..count]);
            let stored = stored(&limiter);
            let again: Vec<&[u8]> = stored.iter().map(Vec::as_slice).collect();
            if aof == AOFS[1] {
                assert_eq!(again, messages[..count], "the current format is stored as the same bytes");
            }
            assert_eq!(limiter_of(&again).0.digest(), limiter.digest());
        }
    }
}

#[test]
fn the_golden_files_have_every_kind_of_message() {
    let version_2: Vec<u8> = (1..=23).filter(|code| ![2, 3, 9, 14].contains(code)).collect();
    for (aof, expected) in AOFS.into_iter().zip([(1..=16).collect(), version_2]) {
        for key in [b"plain", b"keyed"] {
            let kinds: BTreeSet<u8> = messages(aof, key).iter().map(|message| message[0]).collect();
            assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn every_effect_of_a_golden_file_is_written_as_the_same_bytes() {
    for golden in AOFS.map(|aof| [messages(aof, b"plain"), messages(aof, b"keyed")].concat()).concat() {
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
    for (aof, version) in AOFS.into_iter().zip(1..) {
        for key in [b"plain", b"keyed"] {
            let messages = messages(aof, key);
            let (_, count) = limiter_of(&messages);
            let (limiter, _) = limiter_of(&messages[..count]);
            let latest = limiter.metadata().latest;
            // The rules: IP 50, EMAIL 20, EMAIL 50, PAIR 5, EMAILS-PER-IP 15, IPS-PER-EMAIL 20, ALL 1000, DEVICE 10, IP
            // 200 COUNT-DENIED. Counted were 5 + 2 + 3 + 2 attempts, one more since version 2, and one that was
            // refused.
            let all = if version == 1 { 988 } else { 987 };
            let alice = remaining(&limiter, "203.0.113.7", "ALICE@example.com", latest);
            assert_eq!(alice, [45, 15, 45, 0, 14, 19, all, 10, 194]);
            let bob = remaining(&limiter, "2001:db8::99", "bob+x@example.com", latest);
            assert_eq!(bob, [48, 18, 48, 3, 14, 19, all, 10, 198]);
            let nobody = remaining(&limiter, "192.0.2.1", "nobody@example.com", latest);
            assert_eq!(nobody, [50, 20, 50, 5, 15, 20, all, 10, 200]);
            // A month later all is over.
            let later = Timestamp::from_millis(latest.as_millis() + 31 * 86_400_000).unwrap();
            let alice = remaining(&limiter, "203.0.113.7", "alice@example.com", later);
            assert_eq!(alice, [50, 20, 50, 5, 15, 20, 1000, 10, 200]);
        }
    }
}
