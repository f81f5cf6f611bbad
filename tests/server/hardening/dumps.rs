//! RESTORE refuses a tampered dump or restores a usable limiter. It never harms the server.

use crate::support::dump::{Dump, FOOT_BYTES, HEAD_BYTES, Part, crc64, mutate_bytes, sealed};
use crate::support::hostile::{endure, unharmed};
use crate::support::replies::{EMAIL, IP, ok, send};
use crate::support::{Random, Server, command, digest, verdict};
use redis::{Connection, Value};

/// Sends every kind of command to a limiter, whatever it contains.
#[track_caller]
fn send_every_command(client: &mut Connection, key: &str) {
    let attempts: [&[u8]; 4] = [b"AUTHLIMIT.PEEK", b"AUTHLIMIT.CHECK", b"AUTHLIMIT.REFUND", b"AUTHLIMIT.RESET"];
    for _ in 0..2 {
        for name in attempts {
            let _ = endure(client, &[name, key.as_bytes(), IP.as_bytes(), EMAIL.as_bytes()]);
        }
    }
    let lines = [
        "AUTHLIMIT.INFO KEY",
        "MEMORY USAGE KEY",
        "DEBUG DIGEST-VALUE KEY",
        "DUMP KEY",
        "COPY KEY copy REPLACE",
        "AUTHLIMIT.POLICY KEY IP 3/1s PAIR 100000/30d",
        "AUTHLIMIT.CHECK KEY 203.0.113.7 alice@example.com",
        "DUMP KEY",
        "DEL KEY copy",
    ];
    for line in lines {
        let reply = send(client, &line.replace("KEY", key));
        assert!(reply.is_ok(), "{line}: {reply:?}");
    }
}

/// Creates a limiter with attempts of several identities and costs, and returns its dump.
#[track_caller]
fn dump_of_a_used_limiter(client: &mut Connection) -> Vec<u8> {
    ok(
        client,
        "AUTHLIMIT.POLICY used IP 90/1h EMAIL 20/1h EMAIL 50/24h PAIR 9/15m LOCK 1h..3h \
         EMAILS-PER-IP 90/1h IP 5/1h SHADOW COUNT-DENIED PLUS-TAGS strip",
    );
    for n in 0..40 {
        for cost in ["1", "3"] {
            let line = format!("AUTHLIMIT.CHECK used 203.0.113.{} user{n}@example.com COST {cost}", n % 7);
            assert!(send(client, &line).is_ok());
        }
    }
    let others = [
        "AUTHLIMIT.CHECK used 203.0.113.0 user0@example.com COST 9",
        "AUTHLIMIT.DENY used ADD 192.0.2.0/24 TTL 9000",
        "AUTHLIMIT.ALLOW used ADD bob@example.com",
    ];
    for line in others {
        assert!(send(client, line).is_ok(), "{line}");
    }
    match send(client, "DUMP used") {
        Ok(Value::BulkString(dump)) => dump,
        other => panic!("DUMP: {other:?}"),
    }
}

/// Sends RESTORE. Uses the limiter if it was restored, and returns whether it was.
#[track_caller]
fn restore(client: &mut Connection, payload: &[u8]) -> bool {
    let words = [b"RESTORE".as_slice(), b"restored", b"0", payload];
    let restored = endure(client, &words);
    match &restored {
        Ok(reply) => assert_eq!(*reply, Value::Okay),
        Err(error) => assert_eq!(error, "ERR Bad data format"),
    }
    if restored.is_ok() {
        send_every_command(client, "restored");
    }
    restored.is_ok()
}

#[test]
fn the_dump_parser_of_these_tests_round_trips() {
    assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    let server = Server::start();
    let mut client = server.connect();
    let dump = dump_of_a_used_limiter(&mut client);
    let version = &dump[dump.len() - FOOT_BYTES..][..2];
    let body = &dump[..dump.len() - FOOT_BYTES];
    assert_eq!(sealed(body.to_vec(), version), dump);
    let parsed = Dump::parse(&dump);
    assert!(matches!(
        parsed.parts.as_slice(),
        [Part::Text(_), Part::Number(_), Part::Number(_), Part::Text(_), .., Part::Number(0)]
    ));
    let rebuilt = sealed(parsed.body(), version);
    let words = [b"RESTORE".as_slice(), b"restored", b"0", &rebuilt];
    assert_eq!(command(&mut client, &words), Ok(Value::Okay));
    assert_eq!(digest(&mut client, "restored"), digest(&mut client, "used"));
}

#[test]
fn mutated_dumps_are_refused_or_restored() {
    let server = Server::start();
    let mut client = server.connect();
    let dump = dump_of_a_used_limiter(&mut client);
    let version = &dump[dump.len() - FOOT_BYTES..][..2];
    let original = Dump::parse(&dump);
    let mut random = Random::new(22);
    let mut restored = 0;
    for _ in 0..1_000 {
        let mut mutant = original.clone();
        for _ in 0..=random.below(2) {
            mutant.mutate(&mut random);
        }
        restored += u32::from(restore(&mut client, &sealed(mutant.body(), version)));
    }
    assert!((10..990).contains(&restored), "{restored}");
    unharmed(&server);
}

#[test]
fn dumps_with_random_bytes_are_refused_or_restored() {
    let server = Server::start();
    let mut client = server.connect();
    let dump = dump_of_a_used_limiter(&mut client);
    let version = &dump[dump.len() - FOOT_BYTES..][..2];
    let body = &dump[..dump.len() - FOOT_BYTES];
    let (head, rest) = body.split_at(HEAD_BYTES);
    let mut random = Random::new(23);
    for _ in 0..500 {
        let mut mutant = rest.to_vec();
        mutate_bytes(&mut mutant, &mut random);
        restore(&mut client, &sealed([head, &mutant].concat(), version));
    }
    for len in 0..rest.len().min(300) {
        let cut = [head, &rest[..len]].concat();
        assert!(!restore(&mut client, &sealed(cut, version)), "cut to {len}");
    }
    unharmed(&server);
}

#[test]
fn a_dump_with_forged_identities_neither_hangs_the_server_nor_fills_its_memory() {
    let server = Server::start();
    let mut client = server.connect();
    let dump = dump_of_a_used_limiter(&mut client);
    let version = &dump[dump.len() - FOOT_BYTES..][..2];
    let original = Dump::parse(&dump);
    let Part::Text(chunk) = &original.parts[3] else {
        panic!("the fourth part is a chunk");
    };
    let attempt_entry = chunk[12..20].to_vec();
    let used = || server.number::<usize>("used_memory");
    // Identities as an attacker would choose them: they all collide in the table, whichever bits select the place.
    let forgeries: [fn(u64) -> u64; 4] = [|n| n, |n| n << 48, |n| 0xdead_beef_0000_0000 | n, |n| n.reverse_bits()];
    for forge in forgeries {
        let mut forged = original.clone();
        forged.parts.truncate(1);
        for chunk in 0..10 {
            let mut bytes = Vec::new();
            for n in chunk * 3_000..(chunk + 1) * 3_000 {
                bytes.extend(forge(n).to_le_bytes());
                bytes.extend(1_u32.to_le_bytes());
                bytes.extend(&attempt_entry);
            }
            forged.parts.extend_from_slice(&original.parts[1..3]);
            forged.parts.push(Part::Text(bytes));
        }
        forged.parts.push(Part::Number(0));
        let payload = sealed(forged.body(), version);
        let before = used();
        let words = [b"RESTORE".as_slice(), b"restored", b"0", &payload];
        if endure(&mut client, &words).is_ok() {
            let after = used();
            assert!(after < before + 10 * payload.len(), "{before} {after}");
            send_every_command(&mut client, "restored");
        }
    }
    unharmed(&server);
}

#[test]
fn a_dump_with_a_log_beyond_every_limit_is_refused_or_restored() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY used PAIR 100000/1h");
    let words = ["AUTHLIMIT.CHECK", "used", "203.0.113.7", "a@b.c", "COST", "100000"];
    assert!(verdict(&mut client, &words).allowed);
    let Ok(Value::BulkString(dump)) = send(&mut client, "DUMP used") else {
        panic!("DUMP returned no bytes");
    };
    let version = &dump[dump.len() - FOOT_BYTES..][..2];
    let mut longer = Dump::parse(&dump);
    let chunks = longer.parts[1..longer.parts.len() - 1].to_vec();
    for _ in 0..3 {
        longer.parts.splice(1..1, chunks.clone());
    }
    restore(&mut client, &sealed(longer.body(), version));
    unharmed(&server);
}

#[test]
fn generic_key_commands_work_on_a_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    dump_of_a_used_limiter(&mut client);
    let memory = send(&mut client, "MEMORY USAGE used");
    let Ok(Value::Int(memory)) = memory else {
        panic!("MEMORY USAGE: {memory:?}");
    };
    // 40 emails, 40 pairs and 7 addresses have 160 attempts each.
    assert!((3 * 160 * 8..100_000).contains(&memory), "{memory}");
    ok(&mut client, "SET text x");
    let lines = [
        ("TYPE used", "authlimit"),
        ("OBJECT ENCODING used", "raw"),
        ("OBJECT REFCOUNT used", "1"),
        ("OBJECT IDLETIME used", ""),
        ("DEBUG OBJECT used", ""),
        ("TOUCH used", "1"),
        ("EXISTS used", "1"),
    ];
    for (line, expected) in lines {
        let reply = send(&mut client, line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let value: String = redis::from_redis_value(reply).expect("text");
        assert!(value == expected || expected.is_empty(), "{line}: {value}");
    }
    let scanned = send(&mut client, "SCAN 0 COUNT 100 TYPE authlimit").unwrap();
    let (_, keys): (String, Vec<String>) = redis::from_redis_value(scanned).expect("keys");
    assert_eq!(keys, ["used"]);
    unharmed(&server);
}
