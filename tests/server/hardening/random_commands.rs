//! Random commands get a reply and never harm the server.

use super::arguments::{CALLS, OTHER_TYPES};
use crate::support::hostile::{endure, unharmed};
use crate::support::replies::{ok, send};
use crate::support::{Random, Server};

/// Returns a word for fuzzing: mostly one that some command knows.
#[expect(clippy::too_many_lines, reason = "one line for each kind of word")]
fn fuzz_word(random: &mut Random) -> Vec<u8> {
    const KNOWN: &[&[u8]] = &[
        b"login",
        b"other",
        b"string",
        b"list",
        b"stream",
        b"COST",
        b"PRESET",
        b"signin",
        b"otp",
        b"IP",
        b"EMAIL",
        b"PAIR",
        b"IPV6-PREFIX",
        b"PLUS-TAGS",
        b"strip",
        b"keep",
        b"RULES",
        b"DEVICE",
        b"EMAILS-PER-IP",
        b"IPS-PER-EMAIL",
        b"ALL",
        b"LOCK",
        b"SHADOW",
        b"COUNT-DENIED",
        b"CAPACITY",
        b"1ms..1h",
        b"ADD",
        b"DEL",
        b"LIST",
        b"TTL",
        b"10.0.0.0/8",
        b"::/0",
        b"1",
        b"3",
        b"0",
        b"-1",
        b"64",
        b"100000",
        b"100001",
        b"5/15m",
        b"1/1ms",
        b"100000/30d",
        b"5/",
        b"/5m",
        b"/",
        b"203.0.113.7",
        b"198.51.100.1",
        b"::1",
        b"2001:db8::1",
        b"fe80::1%eth0",
        b"1.2.3.4:80",
        b"unknown",
        b"alice@example.com",
        b"Bob@Example.com",
        b"@",
        b"a@b@c",
    ];
    if random.one_in(4) {
        let len = match random.below(20) {
            0 => 5_000,
            len => len,
        };
        return random.bytes(len);
    }
    let mut word = random.pick(KNOWN).to_vec();
    if random.one_in(8) && !word.is_empty() {
        let position = random.below(word.len());
        word[position] ^= 1 << random.below(8);
    }
    word
}

#[test]
fn thousands_of_random_commands_get_a_reply() {
    let server = Server::start();
    let mut client = server.connect();
    for line in OTHER_TYPES {
        assert!(send(&mut client, line).is_ok(), "{line}");
    }
    let mut random = Random::new(21);
    let mut successes = 0;
    for _ in 0..6_000 {
        let call = *random.pick(&CALLS);
        let mut words: Vec<Vec<u8>> = call.iter().map(|word| word.to_vec()).collect();
        for _ in 0..random.below(4) {
            let word = fuzz_word(&mut random);
            let position = 1 + random.below(words.len());
            match random.below(3) {
                0 => words.insert(position, word),
                _ if position == words.len() => words.push(word),
                1 => words[position] = word,
                _ => {
                    words.remove(position);
                }
            }
        }
        successes += u32::from(endure(&mut client, &words).is_ok());
    }
    // Some commands succeed and some fail, so fuzzing reaches both paths.
    assert!((500..5_500).contains(&successes), "{successes}");
    ok(&mut client, "DEBUG RELOAD");
    unharmed(&server);
}
