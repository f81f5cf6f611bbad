//! An RDB file that somebody tampered with is refused or is loaded, and never crashes, hangs or fills the server.

use std::fs;

use crate::support::dump::{Dump, FOOT_BYTES, Part, mutate_bytes, sealed};
use crate::support::hostile::unharmed;
use crate::support::replies::{ok, send};
use crate::support::rules::{address, checks};
use crate::support::{Random, Save, Server, command};
use redis::Value;

/// How many tampered files are tried.
const FILES: usize = 20;

/// A payload takes at most so many times its own size of memory, and while it is read.
const FACTOR: usize = 10;

/// What a server without any data takes at most.
const EMPTY_SERVER: usize = 3_000_000;

/// Makes a limiter of a few thousand identities, with locks and lists.
fn fill(server: &Server) {
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 90/1d EMAIL 20/1d LOCK 1h PAIR 9/1d EMAILS-PER-IP 90/1d");
    checks(&mut client, (0..2_000).map(|n| format!("login {} user{n}@x.org COST {}", address(n % 500), 1 + n % 9)));
    for n in 0..50 {
        let line = format!("AUTHLIMIT.DENY login ADD 192.0.{n}.0/24");
        assert!(send(&mut client, &line).is_ok());
    }
}

/// Returns the bytes of memory that a server has taken at most.
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
    // From the limiter's first own byte to the end of the file's data.
    let start = find(&original, b"IP 90/1d") - 10;
    let mut random = Random::new(81);
    let (mut refused, mut loaded) = (0, 0);
    for n in 0..FILES {
        let (head, rest) = original.split_at(start);
        let mut rest = rest.to_vec();
        match n % 4 {
            // The beginning, with the header and the first lengths.
            0 => {
                let mut first = rest[..200].to_vec();
                mutate_bytes(&mut first, &mut random);
                rest.splice(..200, first);
            }
            // Cut short, as by a full disk.
            1 => rest.truncate(random.below(rest.len())),
            _ => {
                let at = random.below(rest.len() - 100);
                let bytes = random.bytes(8);
                rest.splice(at..at + 8, bytes);
            }
        }
        fs::write(&path, [head, &rest].concat()).expect("the folder is ours");
        // A server that hangs fails the test in here, and one that crashes below.
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
    fs::write(&path, original).expect("the folder is ours");
    server.start_again();
    unharmed(&server);
}

/// Returns where some bytes are.
#[track_caller]
fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let found = bytes.windows(wanted.len()).position(|part| part == wanted);
    found.expect("they are there")
}

#[test]
fn a_payload_takes_memory_in_proportion_and_a_truncated_one_leaves_none_taken() {
    let server = Server::start();
    fill(&server);
    let mut client = server.connect();
    let Ok(Value::BulkString(dump)) = send(&mut client, "DUMP login") else {
        panic!("DUMP has an answer");
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
            // All chunks but the end, or half of one.
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
    crate::support::wait_until("what was read of them is given back", || used() < before + dump.len());
    assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(0)));
    unharmed(&server);
}
