//! Hostile bytes, huge words and keys of other types never harm the server, in any argument.

use crate::support::hostile::{endure, endured, unharmed};
use crate::support::replies::{ok, send};
use crate::support::{Server, batch, command, digest, raw_command, verdict, wait_until};
use redis::Value;

const IP: &[u8] = b"203.0.113.7";
const EMAIL: &[u8] = b"alice@example.com";

/// Valid calls of every command. The key comes first, and every option occurs.
pub(super) const CALLS: [&[&[u8]]; 16] = [
    &[b"AUTHLIMIT.CHECK", b"login", IP, EMAIL, b"COST", b"2"],
    &[b"AUTHLIMIT.CHECK", b"login", IP, EMAIL, b"DEVICE", b"phone"],
    &[b"AUTHLIMIT.PEEK", b"login", IP, EMAIL, b"COST", b"2"],
    &[b"AUTHLIMIT.PEEK", b"login", IP, EMAIL, b"RULES"],
    &[b"AUTHLIMIT.RESET", b"login", IP, EMAIL],
    &[b"AUTHLIMIT.REFUND", b"login", IP, EMAIL, b"COST", b"2"],
    &[
        b"AUTHLIMIT.POLICY",
        b"login",
        b"PAIR",
        b"5/15m",
        b"LOCK",
        b"15m..1h",
        b"DEVICE",
        b"9/1h",
        b"SHADOW",
        b"EMAILS-PER-IP",
        b"9/1h",
        b"COUNT-DENIED",
        b"PRESET",
        b"otp",
        b"CAPACITY",
        b"100",
        b"IPV6-PREFIX",
        b"56",
        b"PLUS-TAGS",
        b"strip",
    ],
    &[b"AUTHLIMIT.UNLOCK", b"login", b"IP", IP, b"EMAIL", EMAIL],
    &[b"AUTHLIMIT.ALLOW", b"login", b"ADD", b"192.0.2.0/24", b"TTL", b"9"],
    &[b"AUTHLIMIT.ALLOW", b"login", b"DEL", b"bob@example.com"],
    &[b"AUTHLIMIT.ALLOW", b"login", b"LIST"],
    &[b"AUTHLIMIT.DENY", b"login", b"ADD", b"2001:db8::/32"],
    &[b"AUTHLIMIT.DENY", b"login", b"LIST"],
    &[b"AUTHLIMIT.LIST", b"login", b"ALLOW"],
    &[b"AUTHLIMIT.INFO", b"login"],
    &[b"AUTHLIMIT.EFFECT", b"login", b"\x07\x01\0\0\0\0\0\0\0"],
];

/// Commands that create a key of each built-in type of Redis.
pub(super) const OTHER_TYPES: [&str; 8] = [
    "SET string x",
    "SET number 5",
    "RPUSH list x y",
    "SADD set x y",
    "ZADD zset 1 x",
    "HSET hash x y",
    "XADD stream * x y",
    "PFADD hyperloglog x",
];

/// Returns words that often break parsers.
fn hostile_words() -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = [
        b"".as_slice(),
        b"\0",
        b"a\0b",
        b"\r\n",
        b"+OK\r\n",
        b"%s%n%n",
        b"-1",
        b"0",
        b"18446744073709551616",
        b"\xff\xfe\x80",
        b"\xed\xa0\x80",
        "\u{100}".as_bytes(),
        "\u{10ffff}\u{202e}".as_bytes(),
        b"@",
        b"@@@@",
        b"%",
        b"::%",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    words.push((0x80..=0xff).collect());
    words.extend((0x80..=0xff).map(|byte| vec![byte]));
    words
}

/// Returns words of a megabyte, each of which could be slow to process.
fn huge_words() -> Vec<Vec<u8>> {
    const MEGABYTE: usize = 1 << 20;
    [b"a".as_slice(), b"\0", b"\xff", b"9", b"@", "\u{fdfa}".as_bytes(), "\u{301}".as_bytes()]
        .map(|part| part.repeat(MEGABYTE / part.len()))
        .to_vec()
}

#[test]
fn any_bytes_in_any_argument_get_a_reply() {
    let server = Server::start();
    let mut client = server.connect();
    for call in CALLS {
        for position in 1..call.len() {
            for hostile in hostile_words() {
                let mut words = call.to_vec();
                words[position] = &hostile;
                let _ = endure(&mut client, &words);
            }
        }
    }
    unharmed(&server);
}

#[test]
fn every_call_gets_exactly_one_reply() {
    let server = Server::start();
    let mut client = server.connect();
    for (number, call) in CALLS.iter().enumerate() {
        for len in 1..=call.len() {
            let number = number.to_string();
            let next: [&[u8]; 2] = [b"ECHO", number.as_bytes()];
            let replies = batch(&mut client, [&call[..len], &next]);
            assert_eq!(replies[1], Ok(Value::BulkString(number.into_bytes())), "{:?}", &call[..len]);
        }
    }
    unharmed(&server);
}

#[test]
fn a_megabyte_in_any_argument_gets_a_reply() {
    let server = Server::start();
    let mut client = server.connect();
    for hostile in huge_words() {
        for call in CALLS {
            for position in 1..call.len() {
                let mut words = call.to_vec();
                words[position] = &hostile;
                let _ = endure(&mut client, &words);
            }
        }
    }
    unharmed(&server);
}

#[test]
fn a_missing_and_an_extra_argument_get_a_reply() {
    let server = Server::start();
    let mut client = server.connect();
    for call in CALLS {
        for len in 1..call.len() {
            let _ = endure(&mut client, &call[..len]);
        }
        for position in 1..=call.len() {
            for extra in hostile_words() {
                let mut words = call.to_vec();
                words.insert(position, &extra);
                let _ = endure(&mut client, &words);
            }
        }
    }
    unharmed(&server);
}

#[test]
fn a_hundred_thousand_arguments_get_an_error() {
    let server = Server::start();
    let mut client = server.connect();
    // Packed here, because the client library is slower with so many words than the server.
    let pack = |words: &[&[u8]]| -> Vec<u8> {
        let pack = |word: &&[u8]| [format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat();
        words.iter().flat_map(pack).collect()
    };
    let mut is_error = |call: &[&[u8]], filler: &[&[u8]]| {
        let times = 100_000 / filler.len();
        let count = call.len() + times * filler.len();
        let filled = pack(filler).repeat(times);
        let packed = [format!("*{count}\r\n").as_bytes(), &pack(call), &filled].concat();
        endured(raw_command(&mut client, &packed)).is_err()
    };
    for call in CALLS {
        for filler in [b"x".as_slice(), b"PAIR", b"1/1s", b"COST"] {
            assert!(is_error(call, &[filler]));
        }
    }
    let rules: [&[u8]; 4] = [b"PAIR", b"5/15m", b"IP", b"6/15m"];
    assert!(is_error(&CALLS[6][..2], &rules));
    unharmed(&server);
}

#[test]
fn a_key_of_any_other_type_is_left_unchanged() {
    let server = Server::start();
    let mut client = server.connect();
    for line in OTHER_TYPES {
        assert!(send(&mut client, line).is_ok(), "{line}");
        let key = line.split(' ').nth(1).expect("a command has a key");
        let before = digest(&mut client, key);
        for call in CALLS {
            let mut words = call.to_vec();
            words[1] = key.as_bytes();
            let error = endure(&mut client, &words).unwrap_err();
            let is_effect_error = call[0] == b"AUTHLIMIT.EFFECT" && error.starts_with("BADEFFECT ");
            assert!(error.starts_with("WRONGTYPE ") || is_effect_error, "{line}: {error}");
        }
        assert_eq!(digest(&mut client, key), before, "{line}");
    }
    unharmed(&server);
}

#[test]
fn commands_of_other_types_leave_a_limiter_unchanged() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY limiter PAIR 5/15m");
    let before = digest(&mut client, "limiter");
    let lines = [
        "GET limiter",
        "APPEND limiter x",
        "INCR limiter",
        "SETRANGE limiter 1 x",
        "LPUSH limiter x",
        "SADD limiter x",
        "ZADD limiter 1 x",
        "HSET limiter x y",
        "XADD limiter * x y",
        "PFCOUNT limiter",
        "SORT limiter",
        "SUNIONSTORE limiter limiter",
    ];
    for line in lines {
        let error = send(&mut client, line).unwrap_err();
        assert!(error.starts_with("WRONGTYPE "), "{line}: {error}");
    }
    assert_eq!(digest(&mut client, "limiter"), before);
    unharmed(&server);
}

#[test]
fn a_limiter_s_key_may_be_any_bytes() {
    let server = Server::start();
    let mut client = server.connect();
    for key in hostile_words().into_iter().chain(huge_words()) {
        let attempt = |name: &'static [u8]| [name, &key, IP, EMAIL];
        let checked = verdict(&mut client, &attempt(b"AUTHLIMIT.CHECK"));
        assert_eq!((checked.allowed, checked.remaining), (true, 4));
        assert_eq!(command(&mut client, &attempt(b"AUTHLIMIT.REFUND")), Ok(Value::Int(1)));
        let policy = [b"AUTHLIMIT.POLICY".as_slice(), &key, b"PAIR", b"7/15m"];
        assert_eq!(command(&mut client, &policy), Ok(Value::Okay));
        let peeked = verdict(&mut client, &attempt(b"AUTHLIMIT.PEEK"));
        assert_eq!(peeked.remaining, 6);
        assert!(command(&mut client, &[b"AUTHLIMIT.INFO".as_slice(), &key]).is_ok());
    }
    ok(&mut client, "DEBUG RELOAD");
    unharmed(&server);
}

#[test]
fn any_bytes_are_accepted_as_an_email() {
    let server = Server::start();
    let mut client = server.connect();
    for email in hostile_words().into_iter().chain(huge_words()) {
        if !email.is_empty() {
            let words = [b"AUTHLIMIT.CHECK".as_slice(), b"login", IP, &email];
            ok(&mut client, "FLUSHALL");
            for expected in [4, 3] {
                assert_eq!(verdict(&mut client, &words).remaining, expected);
            }
        }
    }
    unharmed(&server);
}

#[test]
fn a_hundred_megabytes_of_emails_take_no_memory() {
    let server = Server::start();
    let mut client = server.connect();
    let memory = || server.number::<u64>("used_memory");
    let mut email = vec![b'a'; 1 << 20];
    let before = memory();
    for n in 0..100_u8 {
        email[..3].copy_from_slice(format!("{n:03}").as_bytes());
        let words = [b"AUTHLIMIT.CHECK".as_slice(), b"login", IP, &email];
        let _ = verdict(&mut client, &words);
    }
    drop(client);
    // The server keeps buffers for its clients, so allow the size of two emails.
    let bound = before + 2 * email.len() as u64;
    wait_until("the emails are freed", || memory() < bound);
}

#[test]
fn a_server_out_of_memory_rejects_check_and_accepts_reset() {
    let server = Server::start();
    let mut client = server.connect();
    let call = |name: &'static [u8]| [name, b"login".as_slice(), IP, EMAIL];
    assert!(verdict(&mut client, &call(b"AUTHLIMIT.CHECK")).allowed);
    ok(&mut client, "CONFIG SET maxmemory 1");
    for name in [b"AUTHLIMIT.CHECK".as_slice(), b"AUTHLIMIT.POLICY"] {
        let words = [name, b"login", IP, EMAIL];
        let error = command(&mut client, &words).unwrap_err();
        assert!(error.starts_with("OOM "), "{error}");
    }
    let peeked = verdict(&mut client, &call(b"AUTHLIMIT.PEEK"));
    assert_eq!(peeked.remaining, 3);
    let reset = command(&mut client, &call(b"AUTHLIMIT.RESET"));
    assert_eq!(reset, Ok(Value::Int(1)));
    let refund = command(&mut client, &call(b"AUTHLIMIT.REFUND"));
    assert_eq!(refund, Ok(Value::Int(0)));
}
