//! Full memory, background freeing and defragmentation: no partial counts, no blocking, no changed data.

use crate::support::replies::{CHECK, EMAIL, IP, PEEK, ok, send};
use crate::support::rules::{address, checks, start_with, usage};
use crate::support::{Save, Server, command, digest, verdict, wait_until};
use redis::{Connection, Value};

const WARNING: &str = "maxmemory-policy lets the server evict any key";

/// Checks one attempt for each identity, each with its own address, its own email and the given cost.
#[track_caller]
fn fill(client: &mut Connection, key: &str, identities: usize, cost: usize) {
    let attempts = (0..identities).map(|n| format!("{key} {} user{n}@x.org COST {cost}", address(n)));
    let all = checks(client, attempts);
    assert!(all.iter().all(|verdict| verdict.allowed));
}

/// Returns how often the log warns of eviction.
fn warnings(server: &Server) -> usize {
    server.log().matches(WARNING).count()
}

#[test]
fn when_memory_is_full_check_is_an_error_that_counts_nothing_and_reset_works() {
    let server = Server::builder().arg("maxmemory-policy", "noeviction").start();
    let mut client = server.connect();
    for _ in 0..3 {
        assert!(verdict(&mut client, &CHECK).allowed);
    }
    let before = digest(&mut client, "login");
    ok(&mut client, "CONFIG SET maxmemory 100000");
    for words in [CHECK, ["AUTHLIMIT.CHECK", "new", IP, EMAIL]] {
        let error = command(&mut client, &words).expect_err("the memory is full");
        assert!(error.starts_with("OOM command not allowed"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
    assert_eq!(send(&mut client, "EXISTS new"), Ok(Value::Int(0)));
    assert_eq!(verdict(&mut client, &PEEK).remaining, 1);
    let refund = ["AUTHLIMIT.REFUND", "login", IP, EMAIL];
    assert_eq!(command(&mut client, &refund), Ok(Value::Int(1)));
    let reset = ["AUTHLIMIT.RESET", "login", IP, EMAIL];
    assert_eq!(command(&mut client, &reset), Ok(Value::Int(2)));
    ok(&mut client, "CONFIG SET maxmemory 0");
    assert_eq!(verdict(&mut client, &CHECK).remaining, 4);
    ok(&mut client, "CONFIG SET maxmemory 100000");
    let unlock = ["AUTHLIMIT.UNLOCK", "login", "EMAIL", EMAIL, "IP", IP];
    assert!(matches!(command(&mut client, &unlock), Ok(Value::Int(1..))));
    assert_eq!(verdict(&mut client, &PEEK).remaining, 4);
    // A transaction is refused as a whole, and in a script only the call.
    ok(&mut client, "MULTI");
    assert!(command(&mut client, &CHECK).is_err());
    assert!(send(&mut client, "EXEC").unwrap_err().starts_with("EXECABORT"));
    let script = "return redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2])";
    let words = ["EVAL", script, "1", "login", IP, EMAIL];
    assert!(command(&mut client, &words).unwrap_err().contains("OOM"));
    assert_eq!(verdict(&mut client, &PEEK).remaining, 4);
}

#[test]
fn reclaiming_continues_when_memory_is_full() {
    let (_server, mut client) = start_with("EMAIL 3/200ms");
    fill(&mut client, "login", 2_000, 1);
    ok(&mut client, "CONFIG SET maxmemory 100000");
    wait_until("all identities are reclaimed", || usage(&mut client, "login", "identities") == [0]);
}

#[test]
fn a_maxmemory_policy_that_may_evict_limiters_is_logged_once() {
    let server = Server::builder().arg("maxmemory", "100mb").arg("maxmemory-policy", "allkeys-lru").start();
    assert_eq!(warnings(&server), 1, "{}", server.log());
    let mut client = server.connect();
    // No further warning after other changes, or after another such policy.
    for line in ["hz 20", "maxmemory 200mb", "maxmemory-policy allkeys-random"] {
        ok(&mut client, &format!("CONFIG SET {line}"));
        assert_eq!(warnings(&server), 1, "{line}");
    }
    // After a safe policy, an unsafe one is logged again.
    for line in ["maxmemory-policy noeviction", "maxmemory-policy allkeys-lru"] {
        ok(&mut client, &format!("CONFIG SET {line}"));
    }
    assert_eq!(warnings(&server), 2);

    let server = Server::builder().arg("maxmemory", "100mb").start();
    let mut client = server.connect();
    for line in ["maxmemory-policy volatile-lru", "maxmemory-policy noeviction", "hz 20"] {
        ok(&mut client, &format!("CONFIG SET {line}"));
        assert_eq!(warnings(&server), 0, "{line}");
    }
    ok(&mut client, "CONFIG SET maxmemory-policy allkeys-lfu");
    assert_eq!(warnings(&server), 1);
    ok(&mut client, "CONFIG SET hz 21");
    assert_eq!(warnings(&server), 1);
}

#[test]
fn without_maxmemory_there_is_no_eviction_warning() {
    let server = Server::builder().arg("maxmemory-policy", "allkeys-lru").start();
    assert_eq!(warnings(&server), 0, "{}", server.log());
    ok(&mut server.connect(), "CONFIG SET maxmemory 100mb");
    assert_eq!(warnings(&server), 1, "{}", server.log());
}

#[test]
fn a_big_limiter_is_freed_in_a_background_thread() {
    let server = Server::builder().arg("lazyfree-lazy-user-del", "yes").start();
    let mut client = server.connect();
    for line in ["UNLINK login", "DEL login", "FLUSHALL ASYNC"] {
        ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 10/1d");
        let before = (server.number::<i64>("lazyfreed_objects"), server.number::<i64>("used_memory"));
        fill(&mut client, "login", 20_000, 3);
        assert!(server.number::<i64>("used_memory") > before.1 + 1_000_000);
        assert!(send(&mut client, line).is_ok());
        wait_until("the background thread frees it", || server.number::<i64>("lazyfreed_objects") > before.0);
        wait_until("the memory is freed", || server.number::<i64>("used_memory") < before.1 + 500_000);
    }
    // A small limiter is freed by the main thread.
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 10/1d");
    fill(&mut client, "login", 10, 1);
    let before = server.number::<i64>("lazyfreed_objects");
    assert_eq!(send(&mut client, "UNLINK login"), Ok(Value::Int(1)));
    assert_eq!(server.number::<i64>("lazyfreed_objects"), before);
}

#[test]
fn a_policy_that_drops_a_big_subject_frees_it_in_the_background() {
    let server = Server::builder().arg("lazyfree-lazy-user-del", "no").start();
    let mut client = server.connect();
    // The CPU time of the main thread does not depend on how busy the machine is.
    let cpu_seconds = || {
        let seconds = |kind| server.number::<f64>(&format!("used_cpu_{kind}_main_thread"));
        seconds("user") + seconds("sys")
    };
    let mut seconds_of = |line: &str| {
        let policy = "EMAIL 100/1d IP 5/1d SHADOW";
        ok(&mut client, &format!("AUTHLIMIT.POLICY login {policy}"));
        // Each identity has a log with its own allocation, which is the most expensive to free.
        fill(&mut client, "login", 60_000, 30);
        let (memory, before) = (server.number::<i64>("used_memory"), cpu_seconds());
        assert!(send(&mut client, line).is_ok());
        let seconds = cpu_seconds() - before;
        wait_until("the memory is freed", || server.number::<i64>("used_memory") < memory - 5_000_000);
        seconds
    };
    let policy = seconds_of("AUTHLIMIT.POLICY login ALL 5/1d");
    let del = seconds_of("DEL login");
    assert!(policy < del / 2.0, "POLICY took {policy} s, DEL in the foreground {del} s");
}

#[test]
fn defragmentation_moves_limiters_and_changes_nothing() {
    let server = Server::builder()
        .arg("active-defrag-ignore-bytes", "1")
        .arg("active-defrag-threshold-lower", "0")
        .arg("active-defrag-cycle-min", "60")
        .arg("active-defrag-cycle-max", "75")
        .arg("hz", "100")
        .start();
    let mut client = server.connect();
    if let Err(error) = send(&mut client, "CONFIG SET activedefrag yes") {
        // Debian builds Redis with the system's jemalloc, which does not support defragmentation.
        assert!(error.contains("defragmentation"), "{error}");
        eprintln!("skipped: this server cannot defragment: {error}");
        return;
    }
    ok(&mut client, "CONFIG SET activedefrag no");
    // Fragment the memory: fill limiters in turn with logs of several sizes, then delete half of the limiters.
    let kept = ["kept0", "kept1", "kept2"];
    let gone = ["gone0", "gone1", "gone2"];
    for key in kept.iter().chain(&gone) {
        ok(&mut client, &format!("AUTHLIMIT.POLICY {key} EMAIL 100/1d PAIR 90/1d LOCK 1d EMAILS-PER-IP 9/1d"));
    }
    for part in 0..10 {
        for key in kept.iter().chain(&gone) {
            let attempts = (part * 500..(part + 1) * 500)
                .map(|n| format!("{key} {} user{n}@x.org COST {}", address(n), 1 + n % 40));
            checks(&mut client, attempts);
        }
    }
    let before = kept.map(|key| digest(&mut client, key));
    for key in gone {
        assert_eq!(send(&mut client, &format!("DEL {key}")), Ok(Value::Int(1)));
    }
    let hits = || server.number::<i64>("active_defrag_key_hits") + server.number::<i64>("active_defrag_hits");
    assert_eq!(hits(), 0);
    ok(&mut client, "CONFIG SET activedefrag yes");
    // The server handles attempts meanwhile.
    let mut n = 0;
    wait_until("memory is defragmented", || {
        n += 1;
        ok(&mut client, "CONFIG SET activedefrag yes");
        assert!(checks(&mut client, [format!("used 192.0.2.{} a@x.org", n % 200)])[0].limit > 0);
        server.number::<i64>("active_defrag_hits") > 100 && server.number::<i64>("active_defrag_key_hits") > 0
    });
    let after = kept.map(|key| digest(&mut client, key));
    assert_eq!(after, before);
    ok(&mut client, "DEBUG RELOAD");
    assert_eq!(kept.map(|key| digest(&mut client, key)), before);
}

#[test]
fn copying_moving_and_reloading_leave_a_big_limiter_unchanged() {
    let mut server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 100/1d LOCK 1d EMAILS-PER-IP 9/1d");
    fill(&mut client, "login", 5_000, 3);
    let expected = digest(&mut client, "login");
    let memory = |client: &mut Connection, key: &str| match send(client, &format!("MEMORY USAGE {key}")) {
        Ok(Value::Int(bytes)) => bytes,
        other => panic!("MEMORY USAGE: {other:?}"),
    };
    let bytes = memory(&mut client, "login");
    assert!(bytes > 5_000 * (24 + 16), "{bytes}");
    assert_eq!(send(&mut client, "COPY login copy"), Ok(Value::Int(1)));
    assert_eq!(digest(&mut client, "copy"), expected);
    assert!(memory(&mut client, "copy") <= bytes * 2);
    let text = send(&mut client, "OBJECT ENCODING login");
    assert!(text.is_ok(), "{text:?}");
    assert_eq!(send(&mut client, "MOVE copy 2"), Ok(Value::Int(1)));
    ok(&mut client, "DEBUG RELOAD");
    assert_eq!(digest(&mut client, "login"), expected);
    server.restart(Save::Yes);
    let mut client = server.connect();
    assert_eq!(digest(&mut client, "login"), expected);
    ok(&mut client, "SELECT 2");
    assert_eq!(digest(&mut client, "copy"), expected);
}
