//! The ways of the matrix: every way of storing and loading limiters, and every way of replicating them.
//!
//! Time changes a limiter, too: the timer reclaims expired entries. So the tests stop the clocks of limiters that they
//! compare. A replica of a server that does not exist never advances the clocks of its limiters. On a primary with
//! replicas, the tests pause writes, which stops the timer.

use std::fs::File;
use std::io::Write;

use redis::{Connection, Value};

use super::workloads::Workload;
use crate::support::replies::{EMAIL, IP, ok, send, texts};
use crate::support::snapshot::Snapshot;
use crate::support::storm::secrets;
use crate::support::{PAUSE, Save, Server, command, replica_of, wait_for_replica, wait_until};

/// Stops the clocks of a server's limiters, so that no attempt expires: makes it a replica of a server that does not
/// exist. Clients may still write.
#[track_caller]
fn stop_time(server: &Server) {
    let mut client = server.connect();
    ok(&mut client, "CONFIG SET replica-read-only no");
    ok(&mut client, "REPLICAOF 127.0.0.1 1");
}

/// Stops the clocks of a server's limiters from its next start on.
fn stop_time_at_next_start(server: &Server) {
    let path = server.folder().join("redis.conf");
    let mut conf = File::options().append(true).open(path).expect("redis.conf is writable");
    writeln!(conf, "replicaof 127.0.0.1 1\nreplica-read-only no").expect("redis.conf is writable");
}

/// Lets the clocks of a server's limiters advance again.
fn resume_time(server: &Server) {
    ok(&mut server.connect(), "REPLICAOF NO ONE");
}

/// Takes a snapshot of all limiters of a server.
#[track_caller]
fn snapshot(server: &Server, workload: &dyn Workload) -> Snapshot {
    let mut client = server.connect();
    workload.check_known_answers(&mut client);
    let mut keys = texts(&command(&mut client, &["KEYS", "*"]).expect("KEYS answers"));
    keys.sort();
    let mut limiter = |key: &String| {
        let questions = workload.questions(key);
        Snapshot::of_limiter(&mut client, key, key, &questions)
    };
    Snapshot(keys.iter().map(&mut limiter).collect())
}

/// Runs the next part of a workload, stops time, and takes a snapshot.
#[track_caller]
fn put_and_stop(server: &Server, workload: &mut dyn Workload) -> Snapshot {
    workload.put(&mut server.connect());
    stop_time(server);
    snapshot(server, workload)
}

/// Checks that a server's limiters equal a snapshot.
#[track_caller]
fn assert_holds(server: &Server, workload: &dyn Workload, expected: &Snapshot, what: &str) {
    snapshot(server, workload).assert_same(expected, what);
}

/// Checks that replicas have the same limiters as their primary, which does not change during the check.
#[track_caller]
fn assert_replicas_hold(primary: &Server, replicas: &[&Server], workload: &dyn Workload) {
    let mut client = primary.connect();
    ok(&mut client, PAUSE);
    let expected = snapshot(primary, workload);
    for replica in replicas {
        wait_for_replica(primary, replica);
        snapshot(replica, workload).assert_same(&expected, "the replica");
        assert_no_secret_in_log(replica);
    }
    snapshot(primary, workload).assert_same(&expected, "the paused primary");
    ok(&mut client, "CLIENT UNPAUSE");
}

/// Checks that no file and no log contains an email, address or device.
#[track_caller]
fn assert_no_secret_stored(server: &Server) {
    for secret in secrets().into_iter().chain([IP.as_bytes(), EMAIL.as_bytes()]) {
        let shown = secret.escape_ascii();
        assert!(!server.grep_files(secret), "{shown} is in a file");
    }
    assert_no_secret_in_log(server);
}

/// Checks that the log contains no email, address or device.
#[track_caller]
fn assert_no_secret_in_log(server: &Server) {
    for secret in secrets() {
        let shown = secret.escape_ascii();
        assert!(!server.grep_log(secret), "{shown} is in the log");
    }
}

/// `SHUTDOWN SAVE` and a restart from the RDB file, twice.
pub(super) fn rdb_file(workload: &mut dyn Workload) {
    let mut server = Server::start();
    stop_time_at_next_start(&server);
    for _ in 0..2 {
        let expected = put_and_stop(&server, workload);
        server.restart(Save::Yes);
        assert_holds(&server, workload, &expected, "the RDB file");
        resume_time(&server);
    }
    assert_no_secret_stored(&server);
}

/// `BGSAVE`, then a crash and a restart.
pub(super) fn background_save(workload: &mut dyn Workload) {
    let mut server = Server::start();
    stop_time_at_next_start(&server);
    let expected = put_and_stop(&server, workload);
    assert!(send(&mut server.connect(), "BGSAVE").is_ok());
    wait_until("the file is saved", || server.info("rdb_bgsave_in_progress").as_deref() == Some("0"));
    assert_eq!(server.info("rdb_last_bgsave_status").as_deref(), Some("ok"));
    server.kill_9();
    server.start_again();
    assert_holds(&server, workload, &expected, "the RDB file");
    assert_no_secret_stored(&server);
}

/// `DEBUG RELOAD`, which saves and loads without a restart, twice.
pub(super) fn debug_reload(workload: &mut dyn Workload) {
    let server = Server::start();
    let mut client = server.connect();
    for _ in 0..2 {
        let expected = put_and_stop(&server, workload);
        ok(&mut client, "DEBUG RELOAD");
        assert_holds(&server, workload, &expected, "DEBUG RELOAD");
        resume_time(&server);
    }
    assert_no_secret_stored(&server);
}

/// An append-only file that is never rewritten: after a restart, and after more writes and a crash.
pub(super) fn aof(workload: &mut dyn Workload, preamble: &str) {
    let mut server = Server::builder().aof(preamble).start();
    stop_time_at_next_start(&server);
    workload.put(&mut server.connect());
    let expected = put_and_stop(&server, workload);
    server.restart(Save::No);
    assert_holds(&server, workload, &expected, "the append-only file");
    crash_and_read_aof(server, workload);
}

/// An append-only file that is rewritten twice, with more writes after each rewrite: loaded by `DEBUG LOADAOF`, after a
/// restart, and after a crash.
pub(super) fn rewritten_aof(workload: &mut dyn Workload, preamble: &str) {
    let mut server = Server::builder().aof(preamble).start();
    stop_time_at_next_start(&server);
    for _ in 0..2 {
        workload.put(&mut server.connect());
        server.rewrite_aof();
    }
    // Writes after a rewrite are appended to the new file.
    let expected = put_and_stop(&server, workload);
    ok(&mut server.connect(), "DEBUG LOADAOF");
    assert_holds(&server, workload, &expected, "DEBUG LOADAOF");
    server.restart(Save::No);
    assert_holds(&server, workload, &expected, "the append-only file");
    // Rewrite it once more, from the loaded limiters.
    server.rewrite_aof();
    server.restart(Save::No);
    assert_holds(&server, workload, &expected, "the rewritten file");
    crash_and_read_aof(server, workload);
}

/// Writes more to a server that has loaded its append-only file, kills and restarts it, and then stores the same
/// limiters in an RDB file instead.
#[track_caller]
fn crash_and_read_aof(mut server: Server, workload: &mut dyn Workload) {
    resume_time(&server);
    let expected = put_and_stop(&server, workload);
    server.kill_9();
    server.start_again();
    assert_holds(&server, workload, &expected, "the file after a crash");
    assert_no_secret_stored(&server);
    let mut client = server.connect();
    ok(&mut client, "CONFIG SET appendonly no");
    ok(&mut client, "CONFIG REWRITE");
    server.restart(Save::Yes);
    assert_holds(&server, workload, &expected, "an RDB file instead");
    assert_no_secret_stored(&server);
}

/// `DUMP`, and `RESTORE` to another key and over the limiter itself.
pub(super) fn dump(workload: &mut dyn Workload) {
    let server = frozen(workload);
    let mut client = server.connect();
    let expected = snapshot(&server, workload);
    for limiter in &expected.0 {
        let Ok(Value::BulkString(dump)) = command(&mut client, &["DUMP", &limiter.key]) else {
            panic!("DUMP {} failed", limiter.key);
        };
        for secret in secrets() {
            let is_in_dump = dump.windows(secret.len()).any(|part| part == secret);
            assert!(!is_in_dump, "{}", secret.escape_ascii());
        }
        for key in ["restored", &limiter.key] {
            let words = [b"RESTORE".as_slice(), key.as_bytes(), b"0", &dump, b"REPLACE"];
            assert_eq!(command(&mut client, &words), Ok(Value::Okay), "{key}");
        }
        assert_is_copied(&mut client, workload, &expected, &limiter.key, "restored");
    }
}

/// `COPY` to another key.
pub(super) fn copy(workload: &mut dyn Workload) {
    let server = frozen(workload);
    let mut client = server.connect();
    let expected = snapshot(&server, workload);
    for limiter in &expected.0 {
        let words = ["COPY", &limiter.key, "copied", "REPLACE"];
        assert_eq!(command(&mut client, &words), Ok(Value::Int(1)));
        assert_is_copied(&mut client, workload, &expected, &limiter.key, "copied");
    }
}

/// Returns a server that has run a workload, with stopped time. Clients may still write.
#[track_caller]
fn frozen(workload: &mut dyn Workload) -> Server {
    let mut server = Server::start();
    stop_time_at_next_start(&server);
    workload.put(&mut server.connect());
    let expected = put_and_stop(&server, workload);
    server.restart(Save::Yes);
    assert_holds(&server, workload, &expected, "the RDB file");
    server
}

/// Checks that a limiter and its copy under another key both equal the limiter's snapshot.
#[track_caller]
fn assert_is_copied(client: &mut Connection, workload: &dyn Workload, expected: &Snapshot, key: &str, copy: &str) {
    let limiter = expected.0.iter().find(|limiter| limiter.key == key);
    let expected = Snapshot(vec![limiter.expect("the limiter exists").clone()]);
    for at in [key, copy] {
        let questions = workload.questions(key);
        let found = Snapshot::of_limiter(client, key, at, &questions);
        Snapshot(vec![found]).assert_same(&expected, at);
    }
}

/// A replica that joins an empty primary, one that joins under load, and both after they lose their connection.
pub(super) fn replicas(workload: &mut dyn Workload) {
    let primary = Server::start();
    let early = replica_of(&primary);
    let mut client = primary.connect();
    workload.put(&mut client);
    assert_replicas_hold(&primary, &[&early], workload);
    workload.put(&mut client);
    let late = Server::builder().replica_of(&primary).start();
    workload.put(&mut client);
    let both = [&early, &late];
    assert_replicas_hold(&primary, &both, workload);
    workload.put(&mut client);
    assert_replicas_hold(&primary, &both, workload);
    // Check again after the timer of each server has reclaimed expired entries.
    workload.wait_until_reclaimed(&mut client);
    assert_replicas_hold(&primary, &both, workload);
    let killed = send(&mut client, "CLIENT KILL TYPE replica");
    assert!(matches!(killed, Ok(Value::Int(1..))), "{killed:?}");
    workload.put(&mut client);
    assert_replicas_hold(&primary, &both, workload);
}

/// A replica that replicates a replica.
pub(super) fn replica_of_a_replica(workload: &mut dyn Workload) {
    let primary = Server::start();
    let middle = replica_of(&primary);
    let mut client = primary.connect();
    workload.put(&mut client);
    wait_for_replica(&primary, &middle);
    let last = replica_of(&middle);
    workload.put(&mut client);
    ok(&mut client, PAUSE);
    let expected = snapshot(&primary, workload);
    wait_for_replica(&primary, &middle);
    wait_for_replica(&middle, &last);
    for replica in [&middle, &last] {
        snapshot(replica, workload).assert_same(&expected, "the replica");
    }
}

/// A replica that crashes and restarts.
pub(super) fn replica_that_was_away(workload: &mut dyn Workload) {
    let primary = Server::start();
    let mut replica = replica_of(&primary);
    let mut client = primary.connect();
    workload.put(&mut client);
    replica.kill_9();
    workload.put(&mut client);
    replica.start_again();
    assert_replicas_hold(&primary, &[&replica], workload);
}

/// A replica that is promoted after its primary crashed, and then has a replica of its own.
pub(super) fn replica_that_takes_over(workload: &mut dyn Workload) {
    let mut primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    workload.put(&mut client);
    ok(&mut client, PAUSE);
    let expected = snapshot(&primary, workload);
    wait_for_replica(&primary, &replica);
    primary.kill_9();
    let mut client = replica.connect();
    ok(&mut client, PAUSE);
    ok(&mut client, "REPLICAOF NO ONE");
    let found = snapshot(&replica, workload);
    found.assert_same(&expected, "the new primary");
    ok(&mut client, "CLIENT UNPAUSE");
    let next = Server::builder().replica_of(&replica).start();
    workload.put(&mut client);
    assert_replicas_hold(&replica, &[&next], workload);
}

/// A replica that restarts from its own append-only file, without its primary. It writes the replication stream to the
/// file as received.
pub(super) fn aof_of_a_replica(workload: &mut dyn Workload, preamble: &str) {
    let primary = Server::start();
    workload.put(&mut primary.connect());
    let mut replica = Server::builder().aof(preamble).replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    workload.put(&mut primary.connect());
    ok(&mut primary.connect(), PAUSE);
    let expected = snapshot(&primary, workload);
    wait_for_replica(&primary, &replica);
    replica.wait_for_aof();
    stop_time_at_next_start(&replica);
    drop(primary);
    replica.restart(Save::No);
    let found = snapshot(&replica, workload);
    found.assert_same(&expected, "the replica's file");
    assert_no_secret_stored(&replica);
}
