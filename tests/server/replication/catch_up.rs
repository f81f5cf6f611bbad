//! A replica catches up after a lost connection, or when it joins a primary under load, with every kind of sync.

use std::process::Command;

use crate::support::load::{assert_same_load, prepare, under_load};
use crate::support::replies::{CHECK, ok, send};
use crate::support::storm::{Storm, wait_until_reclaimed};
use crate::support::{Builder, Save, Server, Verdict, assert_replicas_match, replica_of, verdict, wait_for_replica};
use redis::Value;

/// Returns a function that sends attempts to a server.
fn client_of(server: &Server) -> impl FnMut(&[&str]) -> Verdict + Send + use<> {
    let mut client = server.connect();
    move |words| verdict(&mut client, words)
}

#[test]
fn a_replica_that_lost_its_connection_gets_a_partial_sync() {
    let primary = Server::start();
    let mut replica = replica_of(&primary);
    let mut storm = Storm::new(21);
    storm.send(&mut primary.connect(), 1_000);
    wait_for_replica(&primary, &replica);

    let killed = send(&mut primary.connect(), "CLIENT KILL TYPE replica");
    assert!(matches!(killed, Ok(Value::Int(1..))), "{killed:?}");
    storm.send(&mut primary.connect(), 1_000);
    assert_replicas_match(&primary, &[&replica]);
    assert_eq!(primary.number::<u64>("sync_partial_ok"), 1);

    // A replica that shuts down cleanly stores its replication offset in its RDB file.
    replica.shutdown(Save::Yes);
    storm.send(&mut primary.connect(), 1_000);
    replica.start_again();
    assert_replicas_match(&primary, &[&replica]);
    assert_eq!(primary.number::<u64>("sync_partial_ok"), 2);
    assert_eq!(primary.number::<u64>("sync_full"), 1);
}

#[test]
fn a_replica_that_missed_more_than_the_backlog_gets_a_full_sync() {
    // The minimum size.
    let primary = Server::builder().arg("repl-backlog-size", "16kb").start();
    let mut replica = replica_of(&primary);
    let mut storm = Storm::new(22);
    storm.send(&mut primary.connect(), 1_000);
    wait_for_replica(&primary, &replica);
    replica.shutdown(Save::Yes);
    storm.send(&mut primary.connect(), 3_000);
    replica.start_again();
    assert_replicas_match(&primary, &[&replica]);
    assert_eq!(primary.number::<u64>("sync_full"), 2);
}

/// Sends a signal to a server's process.
#[track_caller]
fn signal(server: &Server, name: &str) {
    // The shell's builtin: a minimal Debian has no `kill` program.
    let status = Command::new("sh").args(["-c", &format!("kill {name} {}", server.pid())]).status().expect("sh runs");
    assert!(status.success(), "kill {name}");
}

#[test]
fn a_replica_that_was_paused_for_longer_than_a_window_catches_up() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    let mut storm = Storm::new(44);
    storm.send(&mut client, 2_000);
    wait_for_replica(&primary, &replica);
    signal(&replica, "-STOP");
    storm.send(&mut client, 2_000);
    // Then all windows of two limiters have ended, and the primary has reclaimed their entries.
    wait_until_reclaimed(&mut client);
    storm.send(&mut client, 500);
    signal(&replica, "-CONT");
    assert_replicas_match(&primary, &[&replica]);
}

#[test]
fn a_replica_that_was_disconnected_for_longer_than_a_window_catches_up() {
    let primary = Server::start();
    let mut replica = replica_of(&primary);
    let mut client = primary.connect();
    let mut storm = Storm::new(45);
    storm.send(&mut client, 2_000);
    wait_for_replica(&primary, &replica);
    replica.shutdown(Save::Yes);
    storm.send(&mut client, 2_000);
    wait_until_reclaimed(&mut client);
    storm.send(&mut client, 500);
    replica.start_again();
    assert_replicas_match(&primary, &[&replica]);
    ok(&mut replica.connect(), "REPLICAOF NO ONE");
    storm.send(&mut client, 2_000);
    wait_until_reclaimed(&mut client);
    let back = format!("REPLICAOF 127.0.0.1 {}", primary.port());
    ok(&mut replica.connect(), &back);
    assert_replicas_match(&primary, &[&replica]);
}

/// Returns whether the server under test has a setting.
fn has_setting(setting: &str) -> bool {
    let server = Server::start();
    let reply = send(&mut server.connect(), &format!("CONFIG GET {setting}"));
    let pair: Vec<String> = redis::from_redis_value(reply.expect("a reply")).expect("text");
    !pair.is_empty()
}

/// Checks a full sync from a primary under load to a replica that has data of its own, both with these settings.
#[track_caller]
fn assert_full_sync_works(settings: &[(&str, &str)]) {
    let with = |builder: Builder| settings.iter().fold(builder, |builder, (name, value)| builder.arg(name, value));
    let primary = with(Server::builder()).start();
    Storm::new(24).send(&mut primary.connect(), 1_000);
    prepare(&mut primary.connect());
    let replica = with(Server::builder()).start();
    assert!(verdict(&mut replica.connect(), &CHECK).allowed);
    let tally = under_load(
        || client_of(&primary),
        |progress| {
            let line = format!("REPLICAOF 127.0.0.1 {}", primary.port());
            ok(&mut replica.connect(), &line);
            wait_for_replica(&primary, &replica);
            progress.wait_for(50);
        },
    );
    assert_replicas_match(&primary, &[&replica]);
    assert_same_load(&primary, &replica);
    ok(&mut replica.connect(), "REPLICAOF NO ONE");
    tally.assert_counted_once(&mut replica.connect());
}

#[test]
fn every_kind_of_full_sync_works() {
    for sync in ["yes", "no"] {
        for load in ["disabled", "on-empty-db", "swapdb"] {
            assert_full_sync_works(&[("repl-diskless-sync", sync), ("repl-diskless-load", load)]);
        }
    }
    // Dual-channel replication: a second connection for the RDB file, while the first streams new writes. Redis and
    // Valkey have it since 8.0, with different setting names, and only for diskless sync.
    for setting in ["repl-rdb-channel", "dual-channel-replication-enabled"] {
        if has_setting(setting) {
            for value in ["yes", "no"] {
                assert_full_sync_works(&[(setting, value), ("repl-diskless-sync", "yes")]);
            }
        }
    }
}
