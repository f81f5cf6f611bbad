//! Key commands work on limiters: copy, rename, move, expire, flush.

use std::fs;

use crate::support::replies::{EMAIL, IP, ok, send};
use crate::support::rules::{checks, usage};
use crate::support::{Save, Server, Verdict, command, digest, verdict, wait_until};
use redis::{Connection, Value};

/// Sends CHECK or PEEK.
#[track_caller]
fn ask(client: &mut Connection, name: &str, key: &str) -> Verdict {
    verdict(client, &[name, key, IP, EMAIL])
}

/// The matrix tests that copies and restored dumps are equal to the original.
#[test]
fn a_copy_and_a_restored_dump_are_independent_of_the_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY addresses IP 30/1h");
    for key in ["login", "addresses"] {
        ask(&mut client, "AUTHLIMIT.CHECK", key);
        let original = digest(&mut client, key);
        let Ok(Value::BulkString(dump)) = command(&mut client, &["DUMP", key]) else {
            panic!("DUMP {key} failed");
        };
        let words = [b"RESTORE".as_slice(), b"restored", b"0", &dump, b"REPLACE"];
        assert_eq!(command(&mut client, &words), Ok(Value::Okay));
        let words = ["COPY", key, "copied", "REPLACE"];
        assert_eq!(command(&mut client, &words), Ok(Value::Int(1)));
        for other in ["restored", "copied"] {
            assert_eq!(digest(&mut client, other), original, "{other}");
            let there = ask(&mut client, "AUTHLIMIT.PEEK", key).remaining;
            let here = ask(&mut client, "AUTHLIMIT.CHECK", other).remaining;
            assert_eq!(here, there, "{other}: PEEK counts its own attempt");
            assert_eq!(digest(&mut client, key), original, "{other}");
        }
    }
}

#[test]
fn a_limiter_is_unchanged_after_a_rename_and_a_move_to_another_database() {
    let server = Server::start();
    let mut client = server.connect();
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    let before = digest(&mut client, "login");
    ok(&mut client, "RENAME login renamed");
    assert_eq!(digest(&mut client, "renamed"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining, 4);
    assert_eq!(send(&mut client, "MOVE renamed 1"), Ok(Value::Int(1)));
    ok(&mut client, "SELECT 1");
    assert_eq!(digest(&mut client, "renamed"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.CHECK", "renamed").remaining, 3);
}

#[test]
fn every_command_and_a_restart_keep_the_ttl_of_the_key() {
    let mut server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h");
    assert_eq!(send(&mut client, "PEXPIREAT login 4102444800000"), Ok(Value::Int(1)));
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    ask(&mut client, "AUTHLIMIT.PEEK", "login");
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 6/1h");
    send(&mut client, &format!("AUTHLIMIT.REFUND login {IP} {EMAIL}")).unwrap();
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    let before = digest(&mut client, "login");
    server.restart(Save::Yes);
    let mut client = server.connect();
    assert_eq!(send(&mut client, "PEXPIRETIME login"), Ok(Value::Int(4_102_444_800_000)));
    assert_eq!(digest(&mut client, "login"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining, 4);
}

#[test]
fn a_limiter_starts_empty_after_its_key_has_expired() {
    let mut server = Server::builder().aof("no").start();
    let mut client = server.connect();
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    assert_eq!(send(&mut client, "PEXPIRE login 1"), Ok(Value::Int(1)));
    wait_until("the key expires", || ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining == 4);
    assert_eq!(ask(&mut client, "AUTHLIMIT.CHECK", "login").remaining, 4);
    assert_eq!(send(&mut client, "TTL login"), Ok(Value::Int(-1)));
    let before = digest(&mut client, "login");
    server.restart(Save::No);
    assert_eq!(digest(&mut server.connect(), "login"), before);
}

#[test]
fn a_limiter_keeps_its_policy_after_all_attempts_have_expired() {
    for preamble in ["yes", "no"] {
        let mut server = Server::builder().aof(preamble).start();
        let mut client = server.connect();
        ok(&mut client, "AUTHLIMIT.POLICY login PAIR 3/20ms IP 9/30ms");
        ok(&mut client, "AUTHLIMIT.POLICY empty PAIR 3/1h");
        for _ in 0..3 {
            ask(&mut client, "AUTHLIMIT.CHECK", "login");
        }
        // Wait until they are reclaimed, too: until then, the limiter's clock advances and its digest changes.
        wait_until("the attempts expire", || usage(&mut client, "login", "identities") == [0, 0]);
        let both = |client: &mut Connection| (digest(client, "login"), digest(client, "empty"));
        let before = both(&mut client);
        ok(&mut client, "DEBUG RELOAD");
        assert_eq!(both(&mut client), before);
        server.rewrite_aof();
        server.restart(Save::No);
        let mut client = server.connect();
        assert_eq!(both(&mut client), before);
        let again = ask(&mut client, "AUTHLIMIT.CHECK", "login");
        assert_eq!((again.allowed, again.remaining), (true, 2));
        assert_eq!(again.rule, "PAIR 3/20ms");
    }
}

#[test]
fn the_server_does_not_start_with_a_limiter_of_a_newer_format_and_logs_the_reason() {
    // Disable the checksum, so that the test can change the file.
    let mut server = Server::builder().arg("rdbchecksum", "no").start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 3/1h");
    server.shutdown(Save::Yes);
    let path = server.folder().join("dump.rdb");
    let mut bytes = fs::read(&path).expect("the file is saved");
    let policy = bytes.windows(9).position(|part| part == b"PAIR 3/1h");
    // Before the policy are the version (2 bytes) and the policy's length (8 bytes).
    let version = policy.expect("the policy is stored as text") - 10;
    assert_eq!(bytes[version..version + 2], [2, 0]);
    bytes[version] = 7;
    fs::write(&path, bytes).expect("the file is writable");
    let log = server.try_start_again().expect_err("the limiter cannot be loaded");
    let reason = "cannot load a limiter: the limiter was stored by a newer authlimit, in format 7";
    assert!(log.contains(reason), "{log}");
}

#[test]
fn flushing_frees_the_memory_of_all_limiters() {
    let server = Server::start();
    let mut client = server.connect();
    let used = || server.number::<u64>("used_memory");
    for flush in ["FLUSHALL SYNC", "FLUSHALL ASYNC"] {
        let before = used();
        let attempts = (0..8_000).map(|n| format!("login {IP} user{n}@example.com"));
        ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1d");
        checks(&mut client, attempts);
        let filled = used();
        assert!(filled > before + 200_000, "{before} {filled}");
        ok(&mut client, flush);
        assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(0)));
        wait_until("the memory is freed", || used() < before + 100_000);
        assert_eq!(ask(&mut client, "AUTHLIMIT.CHECK", "login").remaining, 4);
    }
}
