//! A tampered RDB file is refused or loaded. It never crashes or hangs the server, nor fills its memory.

use std::fs;

use crate::support::dump::{Dump, FOOT_BYTES, Part, mutate_bytes, sealed};
use crate::support::hostile::unharmed;
use crate::support::replies::{ok, send};
use crate::support::rules::{address, checks};
use crate::support::{Random, Save, Server, command};
use redis::Value;

/// The number of tampered files that are tried.
const FILES: usize = 20;

/// A payload may take at most this many times its own size in memory, also while it is read.
const FACTOR: usize = 10;

/// The most memory that a server without data takes, in bytes.
const EMPTY_SERVER: usize = 3_000_000;

/// Creates a limiter with a few thousand identities, locks and lists.
fn fill(server: &Server) {
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 90/1d EMAIL 20/1d LOCK 1d PAIR 9/1d EMAILS-PER-IP 90/1d");
    checks(&mut client, (0..2_000).map(|n| format!("login {} user{n}@x.org COST {}", address(n % 500), 1 + n % 9)));
    for n in 0..50 {
        let line = format!("AUTHLIMIT.DENY login ADD 192.0.{n}.0/24");
        assert!(send(&mut client, &line).is_ok());
    }
}

/// Returns the peak memory of a server, in bytes.
#[track_caller]
fn peak(server: &Server) -> usize {
    server.number("used_memory_peak")
}

#[test]
fn tampered_files_are_refused_or_loaded_at_start_up() {
    let mut server = Server::builder().arg("rdbchecksum", "no").start();
    fill(&server);
    server.shutdown(Save::Yes);
    let path = server.folder().join("dump.rdb");
    let original = fs::read(&path).expect("the file is saved");
    // Tamper with everything from the limiter's first byte on.
    let start = find(&original, b"IP 90/1d") - 10;
    let mut random = Random::new(81);
    let (mut refused, mut loaded) = (0, 0);
    for n in 0..FILES {
        let (head, rest) = original.split_at(start);
        let mut rest = rest.to_vec();
        match n % 4 {
            // The start, with the header and the first lengths.
            0 => {
                let mut first = rest[..200].to_vec();
                mutate_bytes(&mut first, &mut random);
                rest.splice(..200, first);
            }
            // Truncated, as by a full disk.
            1 => rest.truncate(random.below(rest.len())),
            _ => {
                let at = random.below(rest.len() - 100);
                let bytes = random.bytes(8);
                rest.splice(at..at + 8, bytes);
            }
        }
        fs::write(&path, [head, &rest].concat()).expect("the folder is writable");
        // A server that hangs fails the test in this call, one that crashes fails it below.
        match server.try_start_again() {
            Ok(()) => {
                loaded += 1;
                let mut client = server.connect();
                assert!(send(&mut client, "AUTHLIMIT.INFO login").is_ok());
                let most = EMPTY_SERVER + FACTOR * original.len();
                assert!(peak(&server) < most, "{} {most}", peak(&server));
                server.shutdown(Save::No);
            }
            Err(log) => {
                refused += 1;
                assert!(!log.contains("internal error"), "{log}");
                assert!(!log.contains("BUG REPORT"), "{log}");
                assert!(log.contains("authlimit: cannot load a limiter"), "{log}");
            }
        }
    }
    assert!(refused >= FILES / 4, "{refused} refused, {loaded} loaded");
    fs::write(&path, original).expect("the folder is writable");
    server.start_again();
    unharmed(&server);
}

/// Returns the position of `wanted` in `bytes`.
#[track_caller]
fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let found = bytes.windows(wanted.len()).position(|part| part == wanted);
    found.expect("the bytes are found")
}

#[test]
fn a_payload_takes_memory_in_proportion_and_a_truncated_one_is_freed() {
    let server = Server::start();
    fill(&server);
    let mut client = server.connect();
    let Ok(Value::BulkString(dump)) = send(&mut client, "DUMP login") else {
        panic!("DUMP returned no bytes");
    };
    ok(&mut client, "FLUSHALL");
    let version = &dump[dump.len() - FOOT_BYTES..][..2];
    let original = Dump::parse(&dump);
    let used = || server.number::<usize>("used_memory");
    let before = used();
    let mut random = Random::new(82);
    for round in 0..200 {
        let mut mutant = original.clone();
        if round % 2 == 0 {
            // Cut off the end, and a part of the last chunk that is left.
            let keep = 1 + random.below(mutant.parts.len() - 1);
            mutant.parts.truncate(keep);
            if let Some(Part::Text(text)) = mutant.parts.last_mut() {
                text.truncate(random.below(text.len() + 1));
            }
        } else {
            mutant.mutate(&mut random);
        }
        let payload = sealed(mutant.body(), version);
        let words = [b"RESTORE".as_slice(), b"restored", b"0", &payload];
        let reply = command(&mut client, &words);
        if round % 2 == 0 {
            assert_eq!(reply, Err("ERR Bad data format".to_owned()));
        }
        ok(&mut client, "FLUSHALL");
    }
    let most = before + FACTOR * dump.len();
    assert!(peak(&server) < most, "{} {most}", peak(&server));
    crate::support::wait_until("the memory of the payloads is freed", || used() < before + dump.len());
    assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(0)));
    unharmed(&server);
}
