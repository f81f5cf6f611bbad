//! After very many commands of all kinds, primary, replicas and every way of storing hold the same.
//!
//! `AUTHLIMIT_STORM` sets how many commands that is.

use std::fs::File;
use std::io::Write;
use std::process::Command;

use crate::support::replies::ok;
use crate::support::storm::{digests, storm, storm_steps, wait_for_calm};
use crate::support::{Builder, Random, Save, Server, command, secrets, wait_for_replica};
use redis::Value;

/// A port on which nothing answers.
const NOBODY: &str = "127.0.0.1 1";

/// Longer than any test takes.
const PAUSE: &str = "CLIENT PAUSE 600000 WRITE";

/// A server that keeps both kinds of files.
fn with_files(preamble: &str) -> Builder {
    Server::builder()
        .arg("appendonly", "yes")
        .arg("appendfsync", "everysec")
        .arg("aof-use-rdb-preamble", preamble)
        .arg("auto-aof-rewrite-percentage", "0")
}

/// Makes a server, from its next start on, a replica of nobody: its limiters' time stands still, and so do their
/// digests, however long ago their attempts expired.
fn stop_time(server: &Server) {
    let path = server.folder().join("redis.conf");
    let mut conf = File::options().append(true).open(path).expect("it is ours");
    writeln!(conf, "replicaof {NOBODY}\nreplica-read-only no").expect("the folder is ours");
}

/// Checks that the replicas have what the primary has, while nothing changes.
#[track_caller]
fn replicas_are_the_same(primary: &Server, replicas: &[&Server]) {
    let mut client = primary.connect();
    ok(&mut client, PAUSE);
    let expected = digests(&mut client);
    assert!(expected.len() >= 6, "{expected:?}");
    for replica in replicas {
        wait_for_replica(primary, replica);
        assert_eq!(digests(&mut replica.connect()), expected);
    }
    assert_eq!(digests(&mut client), expected, "nothing moves in a pause");
    ok(&mut client, "CLIENT UNPAUSE");
}

/// Checks that neither files nor log hold an email or address.
#[track_caller]
fn holds_no_secret(server: &Server) {
    for secret in secrets() {
        let shown = secret.escape_ascii();
        assert!(!server.grep_files(secret), "{shown} is in a file");
        assert!(!server.grep_log(secret), "{shown} is in the log");
    }
}

#[test]
fn replicas_hold_what_their_primary_holds() {
    let primary = Server::start();
    let early = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &early);
    let mut client = primary.connect();
    let (mut random, steps) = (Random::new(41), storm_steps() / 4);
    let outcome = storm(&mut client, &mut random, steps);
    // So that equality says something.
    assert!(outcome.admitted > steps / 10, "{outcome:?}");
    assert!(outcome.refused > steps / 20, "{outcome:?}");
    assert!(outcome.errors > 0, "{outcome:?}");
    replicas_are_the_same(&primary, &[&early]);
    storm(&mut client, &mut random, steps);
    let late = Server::builder().replica_of(&primary).start();
    storm(&mut client, &mut random, steps);
    replicas_are_the_same(&primary, &[&early, &late]);
    storm(&mut client, &mut random, steps);
    replicas_are_the_same(&primary, &[&early, &late]);
    // And when the timer has reclaimed what it can, on each of them by its own steps.
    wait_for_calm(&mut client);
    replicas_are_the_same(&primary, &[&early, &late]);
    let _ = command(&mut client, &["CLIENT", "KILL", "TYPE", "replica"]);
    storm(&mut client, &mut random, steps / 4);
    replicas_are_the_same(&primary, &[&early, &late]);
}

/// Sends a storm to a server with an append-only file, rewrites that in its middle, and checks every way of storing.
#[track_caller]
fn every_way_of_storing_keeps_all(preamble: &str, seed: u64) {
    let mut server = with_files(preamble).start();
    let mut client = server.connect();
    let (mut random, steps) = (Random::new(seed), storm_steps() / 2);
    storm(&mut client, &mut random, steps);
    server.rewrite_aof();
    storm(&mut client, &mut random, steps);

    ok(&mut client, PAUSE);
    let expected = digests(&mut client);
    ok(&mut client, "DEBUG RELOAD");
    assert_eq!(digests(&mut client), expected, "DEBUG RELOAD");
    let dumps: Vec<(String, Vec<u8>)> = expected
        .iter()
        .map(|(key, _)| match command(&mut client, &["DUMP", key]) {
            Ok(Value::BulkString(dump)) => (key.clone(), dump),
            other => panic!("DUMP {key}: {other:?}"),
        })
        .collect();

    stop_time(&server);
    server.kill_9();
    server.start_again();
    let mut client = server.connect();
    assert_eq!(digests(&mut client), expected, "the append-only file");
    server.rewrite_aof();
    server.restart(Save::Yes);
    let mut client = server.connect();
    assert_eq!(digests(&mut client), expected, "the rewritten one");
    holds_no_secret(&server);

    for (key, dump) in dumps {
        let words = [
            b"RESTORE".as_slice(),
            key.as_bytes(),
            b"0",
            &dump,
            b"REPLACE",
        ];
        assert_eq!(command(&mut client, &words), Ok(Value::Okay), "{key}");
    }
    assert_eq!(digests(&mut client), expected, "RESTORE");
    ok(&mut client, "CONFIG SET appendonly no");
    ok(&mut client, "CONFIG REWRITE");
    server.restart(Save::Yes);
    assert_eq!(digests(&mut server.connect()), expected, "the RDB file");
    holds_no_secret(&server);
}

#[test]
fn every_way_of_storing_keeps_all_with_rdb_preamble() {
    every_way_of_storing_keeps_all("yes", 42);
}

#[test]
fn every_way_of_storing_keeps_all_without_rdb_preamble() {
    every_way_of_storing_keeps_all("no", 43);
}

/// Sends a signal to a server's process.
#[track_caller]
fn signal(server: &Server, name: &str) {
    // The shell's own: a small Debian has no program of that name.
    let status = Command::new("sh")
        .args(["-c", &format!("kill {name} {}", server.pid())])
        .status()
        .expect("sh runs");
    assert!(status.success(), "kill {name}");
}

#[test]
fn a_replica_that_stood_still_for_longer_than_a_window_catches_up() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let mut client = primary.connect();
    let mut random = Random::new(44);
    storm(&mut client, &mut random, 2_000);
    wait_for_replica(&primary, &replica);
    signal(&replica, "-STOP");
    storm(&mut client, &mut random, 2_000);
    // Then all windows of two limiters have ended, and the primary has reclaimed what they held.
    wait_for_calm(&mut client);
    storm(&mut client, &mut random, 500);
    signal(&replica, "-CONT");
    replicas_are_the_same(&primary, &[&replica]);
}

#[test]
fn a_replica_that_was_cut_off_for_longer_than_a_window_catches_up() {
    let primary = Server::start();
    let mut replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let mut client = primary.connect();
    let mut random = Random::new(45);
    storm(&mut client, &mut random, 2_000);
    wait_for_replica(&primary, &replica);
    replica.shutdown(Save::Yes);
    storm(&mut client, &mut random, 2_000);
    wait_for_calm(&mut client);
    storm(&mut client, &mut random, 500);
    replica.start_again();
    replicas_are_the_same(&primary, &[&replica]);
    ok(&mut replica.connect(), "REPLICAOF NO ONE");
    storm(&mut client, &mut random, 2_000);
    wait_for_calm(&mut client);
    let back = format!("REPLICAOF 127.0.0.1 {}", primary.port());
    ok(&mut replica.connect(), &back);
    replicas_are_the_same(&primary, &[&replica]);
}
