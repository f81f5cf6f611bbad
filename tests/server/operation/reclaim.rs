//! Reclaiming: every server frees expired identities in the background, with no visible effect but less memory.

use std::thread;
use std::time::Duration;

use crate::support::replies::{ok, send};
use crate::support::rules::{address, checks, usage};
use crate::support::{PAUSE, Save, Server, change_places, command, digest, wait_for_replica, wait_until};
use redis::{Connection, Value};

/// A policy with short windows and locks for every kind of subject.
const SHORT: &str = "IP 900/60ms EMAIL 3/50ms LOCK 50ms PAIR 2/40ms EMAILS-PER-IP 900/60ms \
                     IPS-PER-EMAIL 9/60ms ALL 90000/50ms DEVICE 5/40ms";

/// Checks one attempt for each identity, each with its own address and its own email.
#[track_caller]
fn fill(client: &mut Connection, key: &str, identities: usize) {
    let attempts = (0..identities).map(|n| format!("{key} {} user{n}@x.org", address(n)));
    checks(client, attempts);
}

/// Returns whether a limiter holds no identities.
fn is_empty(client: &mut Connection, key: &str) -> bool {
    usage(client, key, "identities").iter().sum::<i64>() == 0
}

/// Waits until a limiter holds no identities.
#[track_caller]
fn wait_until_empty(client: &mut Connection, key: &str) {
    wait_until("all identities are reclaimed", || is_empty(client, key));
}

#[test]
fn an_idle_server_and_its_replica_reclaim_all_that_has_expired() {
    // The replication backlog takes memory, too.
    let small = || Server::builder().arg("repl-backlog-size", "16kb");
    let primary = small().start();
    let replica = small().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let (mut client, mut there) = (primary.connect(), replica.connect());
    ok(&mut client, "AUTHLIMIT.POLICY login IP 900/1h EMAIL 3/1h PAIR 2/1h LOCK 1h");
    ok(&mut client, "AUTHLIMIT.POLICY kept IP 9000/1d");
    fill(&mut client, "kept", 50);
    let before = (primary.number::<i64>("used_memory"), replica.number::<i64>("used_memory"));
    fill(&mut client, "login", 30_000);
    wait_for_replica(&primary, &replica);
    let filled = (primary.number::<i64>("used_memory"), replica.number::<i64>("used_memory"));
    assert!(filled.0 > before.0 + 1_000_000, "{before:?} {filled:?}");
    assert!(filled.1 > before.1 + 1_000_000, "{before:?} {filled:?}");
    // All of it expires within a second.
    ok(&mut client, "AUTHLIMIT.POLICY login IP 900/1s EMAIL 3/900ms PAIR 2/800ms LOCK 1s");
    wait_until_empty(&mut client, "login");
    wait_until_empty(&mut there, "login");
    // A table's directory of a few KiB and the server's own buffers may stay.
    let near = |before: i64, filled: i64, now: i64| now - before < (filled - before) / 5;
    wait_until("the primary's memory is freed", || near(before.0, filled.0, primary.number::<i64>("used_memory")));
    wait_until("the replica's memory is freed", || near(before.1, filled.1, replica.number::<i64>("used_memory")));
    assert_eq!(usage(&mut client, "kept", "identities"), [50]);
    wait_for_replica(&primary, &replica);
    for key in ["login", "kept"] {
        assert_eq!(digest(&mut there, key), digest(&mut client, key), "{key}");
    }
}

#[test]
fn primary_and_replica_stay_the_same_during_reclaiming() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let (mut client, mut there) = (primary.connect(), replica.connect());
    ok(&mut client, &format!("AUTHLIMIT.POLICY login {SHORT}"));
    for round in 0..12 {
        fill(&mut client, "login", 300 * (round % 4));
        ok(&mut client, PAUSE);
        wait_for_replica(&primary, &replica);
        let expected = digest(&mut client, "login");
        assert_eq!(digest(&mut there, "login"), expected, "round {round}");
        ok(&mut client, "CLIENT UNPAUSE");
        // After a second without attempts the timer uses the clock.
        if round % 4 == 3 {
            wait_until_empty(&mut client, "login");
        }
    }
    wait_until_empty(&mut there, "login");
    assert_eq!(digest(&mut there, "login"), digest(&mut client, "login"));
}

/// Commands of Redis that move the limiter `login`, then the database and the key where it is afterwards.
const MOVES: [(&[&str], u8, &str); 8] = [
    (&["RENAME login there"], 0, "there"),
    (&["MOVE login 3"], 3, "login"),
    (&["SWAPDB 0 5"], 5, "login"),
    (&["COPY login there", "DEL login"], 0, "there"),
    (&["COPY login there DB 7", "DEL login"], 7, "there"),
    (&["AUTHLIMIT.POLICY there IP 5/1h", "RENAME login there"], 0, "there"),
    (&["MOVE login 3", "SELECT 3", "RENAME login b", "SELECT 0"], 3, "b"),
    (&["DEBUG RELOAD"], 0, "login"),
];

#[test]
fn limiters_are_reclaimed_wherever_they_are_moved() {
    let check_reclaimed = |lines: &[&str], db: u8, key: &str| {
        let server = Server::start();
        let mut client = server.connect();
        // Again if the machine was so slow that all was reclaimed before the check.
        wait_until(&format!("{lines:?}: the moved limiter holds identities"), || {
            ok(&mut client, "SELECT 0");
            ok(&mut client, "FLUSHALL");
            ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 3/400ms IP 900/300ms");
            fill(&mut client, "login", 200);
            for line in lines {
                send(&mut client, line).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
            ok(&mut client, &format!("SELECT {db}"));
            !is_empty(&mut client, key)
        });
        wait_until_empty(&mut client, key);
    };
    // In parallel, because most of the time is spent waiting for the timer.
    thread::scope(|scope| {
        for (lines, db, key) in MOVES {
            scope.spawn(move || check_reclaimed(lines, db, key));
        }
    });
}

#[test]
fn limiters_are_reclaimed_after_restoring_restarting_and_flushing() {
    let mut server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 3/400ms");
    fill(&mut client, "login", 200);
    let Ok(Value::BulkString(dump)) = send(&mut client, "DUMP login") else {
        panic!("DUMP returned no bytes");
    };
    ok(&mut client, "FLUSHALL");
    let words = [b"RESTORE".as_slice(), b"there", b"0", &dump];
    assert_eq!(command(&mut client, &words), Ok(Value::Okay));
    wait_until_empty(&mut client, "there");
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 3/2s");
    fill(&mut client, "login", 200);
    server.restart(Save::Yes);
    let mut client = server.connect();
    wait_until_empty(&mut client, "login");
    // After a flush, the timer must ignore the limiters that are gone.
    fill(&mut client, "login", 200);
    ok(&mut client, "FLUSHALL ASYNC");
    ok(&mut client, "SET login text");
    ok(&mut client, "AUTHLIMIT.POLICY other EMAIL 3/50ms");
    fill(&mut client, "other", 200);
    wait_until_empty(&mut client, "other");
    assert_eq!(send(&mut client, "TYPE login"), Ok(Value::SimpleString("string".into())));
}

#[test]
fn a_limiter_moved_by_a_script_or_transaction_is_reclaimed_too() {
    let server = Server::start();
    let mut client = server.connect();
    let keys = ["there", "renamed"];
    wait_until("the moved limiters hold identities", || {
        ok(&mut client, "FLUSHALL");
        ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 3/300ms");
        fill(&mut client, "login", 100);
        ok(&mut client, "MULTI");
        for line in ["RENAME login there", "COPY there copy"] {
            assert!(send(&mut client, line).is_ok());
        }
        assert!(send(&mut client, "EXEC").is_ok());
        let script = "return redis.call('RENAME', KEYS[1], KEYS[2])";
        let words = ["EVAL", script, "2", "copy", "renamed"];
        assert!(command(&mut client, &words).is_ok());
        keys.iter().all(|key| !is_empty(&mut client, key))
    });
    for key in keys {
        wait_until_empty(&mut client, key);
    }
}

#[test]
fn a_replica_reclaims_a_limiter_that_had_expired_by_its_own_clock() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let (mut client, mut there) = (primary.connect(), replica.connect());
    // Again if the machine was so slow that the key really expired.
    wait_until("the limiter does not expire", || {
        ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 3/5s");
        fill(&mut client, "login", 200);
        let mut extend_ttl = || send(&mut client, "PEXPIRE login 2000") == Ok(Value::Int(1));
        extend_ttl();
        wait_for_replica(&primary, &replica);
        // The replica receives nothing for longer than the limiter's TTL, and its timer runs before it reads
        // again.
        thread::scope(|scope| {
            let asleep = scope.spawn(|| ok(&mut there, "DEBUG SLEEP 3"));
            while !asleep.is_finished() {
                extend_ttl();
                thread::sleep(Duration::from_millis(50));
            }
        });
        send(&mut client, "PERSIST login") == Ok(Value::Int(1))
    });
    wait_for_replica(&primary, &replica);
    wait_until_empty(&mut client, "login");
    wait_until_empty(&mut replica.connect(), "login");
}

#[test]
fn nothing_is_replicated_while_writes_are_paused() {
    let primary = Server::builder().arg("repl-ping-replica-period", "3600").start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let mut client = primary.connect();
    ok(&mut client, &format!("AUTHLIMIT.POLICY login {SHORT}"));
    wait_until("the pause starts with something to reclaim", || {
        ok(&mut client, "CLIENT UNPAUSE");
        fill(&mut client, "login", 300);
        ok(&mut client, PAUSE);
        !is_empty(&mut client, "login")
    });
    let offset = primary.number::<i64>("master_repl_offset");
    let before = digest(&mut client, "login");
    // Longer than the timer waits before it uses the clock. Uptime is counted by the server's own timer.
    let uptime = || primary.number::<i64>("uptime_in_seconds");
    let started = uptime();
    wait_until("the timer could have run", || uptime() >= started + 3);
    assert_eq!(primary.number::<i64>("master_repl_offset"), offset);
    assert_eq!(digest(&mut client, "login"), before);
    ok(&mut client, "CLIENT UNPAUSE");
    wait_until_empty(&mut client, "login");
    assert!(primary.number::<i64>("master_repl_offset") > offset);
    wait_for_replica(&primary, &replica);
    let after = digest(&mut client, "login");
    assert_eq!(digest(&mut replica.connect(), "login"), after);
}

#[test]
fn a_primary_that_becomes_a_replica_reclaims_as_a_replica() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let (mut client, mut there) = (primary.connect(), replica.connect());
    ok(&mut client, &format!("AUTHLIMIT.POLICY login {SHORT}"));
    fill(&mut client, "login", 2_000);
    change_places(&primary, &replica);
    fill(&mut there, "login", 2_000);
    wait_until_empty(&mut there, "login");
    wait_until_empty(&mut client, "login");
    wait_for_replica(&replica, &primary);
    assert_eq!(digest(&mut there, "login"), digest(&mut client, "login"));
}

#[test]
fn reclaiming_does_not_abort_a_transaction_that_watches_the_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, &format!("AUTHLIMIT.POLICY login {SHORT}"));
    fill(&mut client, "login", 300);
    ok(&mut client, "WATCH login");
    wait_until_empty(&mut server.connect(), "login");
    ok(&mut client, "MULTI");
    assert!(send(&mut client, "AUTHLIMIT.CHECK login 192.0.2.1 alice@x.org").is_ok());
    assert!(matches!(send(&mut client, "EXEC"), Ok(Value::Array(replies)) if replies.len() == 1));
    // For comparison: an attempt does abort it.
    ok(&mut client, "WATCH login");
    fill(&mut server.connect(), "login", 1);
    ok(&mut client, "MULTI");
    assert!(send(&mut client, "AUTHLIMIT.CHECK login 192.0.2.1 alice@x.org").is_ok());
    assert_eq!(send(&mut client, "EXEC"), Ok(Value::Nil));
}

#[test]
fn reclaiming_does_not_make_a_key_look_used() {
    let server = Server::start();
    let mut client = server.connect();
    // Long enough for the key to be idle for seconds when its attempts expire.
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 3/3s");
    fill(&mut client, "login", 300);
    // Read the total of all limiters: AUTHLIMIT.INFO would count as a use of this key.
    wait_until("it is reclaimed", || server.number::<i64>("authlimit_identities") == 0);
    match send(&mut client, "OBJECT IDLETIME login") {
        Ok(Value::Int(seconds)) => assert!(seconds >= 2, "{seconds}"),
        other => panic!("OBJECT IDLETIME: {other:?}"),
    }
    assert!(is_empty(&mut client, "login"));
}

#[test]
fn five_thousand_limiters_are_all_reclaimed() {
    let server = Server::start();
    let mut client = server.connect();
    let words = ["CONFIG", "SET", "authlimit.default-policy", "EMAIL 3/50ms"];
    assert_eq!(command(&mut client, &words), Ok(Value::Okay));
    let attempts = (0..5_000).map(|n| format!("limiter{n} 192.0.2.7 user@x.org"));
    assert_eq!(checks(&mut client, attempts).len(), 5_000);
    wait_until("all of them are empty", || {
        assert!(send(&mut client, "PING").is_ok());
        (0..5_000).step_by(619).all(|n| is_empty(&mut client, &format!("limiter{n}")))
    });
    // The empty limiters still exist.
    assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(5_000)));
}
