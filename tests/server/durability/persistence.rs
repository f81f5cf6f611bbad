//! What a limiter holds outlives every way of storing it, and no email or address is stored with it.

use std::fs;

use crate::support::replies::{EMAIL, IP, ok, send};
use crate::support::rules::usage;
use crate::support::{
    Random, Save, Server, Verdict, command, digest, secrets, snapshot, verdict, wait_until,
    workload,
};
use redis::{Connection, Value};

/// How many commands a workload has.
const STEPS: usize = 3_000;

/// Sends CHECK or PEEK.
#[track_caller]
fn ask(client: &mut Connection, name: &str, key: &str) -> Verdict {
    verdict(client, &[name, key, IP, EMAIL])
}

/// Starts a server that keeps an append-only file.
fn server_with_aof(preamble: &str) -> Server {
    Server::builder()
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
        .arg("aof-use-rdb-preamble", preamble)
        // Rewritten only when a test says so.
        .arg("auto-aof-rewrite-percentage", "0")
        .start()
}

/// Checks that neither files nor log hold any email or address of a workload.
#[track_caller]
fn holds_no_secret(server: &Server) {
    for secret in secrets() {
        let shown = secret.escape_ascii();
        assert!(!server.grep_files(secret), "{shown} is in a file");
        assert!(!server.grep_log(secret), "{shown} is in the log");
    }
}

/// Returns how many bytes the append-only files have.
fn aof_size(server: &Server) -> u64 {
    let size = |path| fs::metadata(path).expect("the file is ours").len();
    server.files().iter().map(size).sum()
}

/// Fills a limiter with more identities than one chunk holds, and one log that is longer than a chunk.
#[track_caller]
fn fill(client: &mut Connection, key: &str) {
    ok(client, &format!("AUTHLIMIT.POLICY {key} PAIR 30000/1d"));
    let words = ["AUTHLIMIT.CHECK", key, IP, EMAIL, "COST", "20000"];
    assert!(verdict(client, &words).allowed);
    let mut pipeline = redis::pipe();
    for n in 0..5_000 {
        let email = format!("private{n}@confidential.example");
        pipeline.cmd("AUTHLIMIT.CHECK").arg(key).arg(IP).arg(email);
    }
    let replies: Vec<Value> = pipeline.query(client).expect("all are admitted");
    assert_eq!(replies.len(), 5_000);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_an_rdb_file() {
    let mut server = Server::start();
    let mut random = Random::new(1);
    for _ in 0..2 {
        workload(&mut server.connect(), &mut random, STEPS);
        let before = snapshot(&mut server.connect());
        server.restart(Save::Yes);
        assert_eq!(snapshot(&mut server.connect()), before);
    }
    holds_no_secret(&server);
}

#[test]
fn limiters_are_the_same_after_a_background_save_and_a_crash() {
    let mut server = Server::start();
    let mut client = server.connect();
    workload(&mut client, &mut Random::new(2), STEPS);
    let before = snapshot(&mut client);
    assert!(send(&mut client, "BGSAVE").is_ok());
    wait_until("the file is saved", || {
        server.info("rdb_bgsave_in_progress").as_deref() == Some("0")
    });
    assert_eq!(server.info("rdb_last_bgsave_status").as_deref(), Some("ok"));
    server.kill_9();
    server.start_again();
    assert_eq!(snapshot(&mut server.connect()), before);
    holds_no_secret(&server);
}

#[test]
fn limiters_are_the_same_after_debug_reload() {
    let server = Server::start();
    let mut client = server.connect();
    workload(&mut client, &mut Random::new(3), STEPS);
    let before = snapshot(&mut client);
    ok(&mut client, "DEBUG RELOAD");
    assert_eq!(snapshot(&mut client), before);
}

/// Runs workloads on a server with an append-only file, rewrites it where asked to, and restarts the server.
#[track_caller]
fn survives_in_the_aof(preamble: &str, rewrites: usize, seed: u64) {
    let mut server = server_with_aof(preamble);
    let mut random = Random::new(seed);
    for _ in 0..rewrites {
        workload(&mut server.connect(), &mut random, STEPS / 2);
        server.rewrite_aof();
    }
    // After a rewrite, what follows is appended to the new file.
    workload(&mut server.connect(), &mut random, STEPS / 2);
    let before = snapshot(&mut server.connect());
    server.restart(Save::No);
    assert_eq!(snapshot(&mut server.connect()), before);
    // A crash leaves the same file; and what was loaded goes on as before.
    workload(&mut server.connect(), &mut random, STEPS / 4);
    let before = snapshot(&mut server.connect());
    server.kill_9();
    server.start_again();
    assert_eq!(snapshot(&mut server.connect()), before);
    holds_no_secret(&server);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_an_aof() {
    survives_in_the_aof("yes", 0, 4);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_an_aof_without_rdb_preamble() {
    survives_in_the_aof("no", 0, 5);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_a_rewritten_aof() {
    survives_in_the_aof("yes", 2, 6);
}

#[test]
fn limiters_are_the_same_after_a_restart_from_a_rewritten_aof_without_rdb_preamble() {
    survives_in_the_aof("no", 2, 7);
}

#[test]
fn a_limiter_of_many_chunks_is_the_same_after_each_way_of_storing_it() {
    let mut server = server_with_aof("no");
    let mut client = server.connect();
    fill(&mut client, "login");
    let before = digest(&mut client, "login");
    let used = ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining;
    assert_eq!(used, 10_000);
    ok(&mut client, "DEBUG RELOAD");
    assert_eq!(digest(&mut client, "login"), before);
    server.rewrite_aof();
    server.restart(Save::No);
    let mut client = server.connect();
    assert_eq!(digest(&mut client, "login"), before);
    ok(&mut client, "CONFIG SET aof-use-rdb-preamble yes");
    server.rewrite_aof();
    ok(&mut client, "DEBUG LOADAOF");
    assert_eq!(digest(&mut client, "login"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining, used);
    holds_no_secret(&server);
}

#[test]
fn attempts_in_transactions_and_scripts_are_stored_once() {
    let mut server = server_with_aof("yes");
    let mut client = server.connect();
    ok(&mut client, "MULTI");
    for _ in 0..2 {
        send(&mut client, &format!("AUTHLIMIT.CHECK login {IP} {EMAIL}")).expect("queued");
    }
    send(&mut client, "EXEC").expect("both are admitted");
    let script = "return redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2])";
    let words = ["EVAL", script, "1", "login", IP, EMAIL];
    assert!(verdict(&mut client, &words).allowed);
    let before = digest(&mut client, "login");
    server.restart(Save::No);
    let mut client = server.connect();
    assert_eq!(digest(&mut client, "login"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining, 2);
    for secret in [IP, EMAIL] {
        assert!(!server.grep_files(secret.as_bytes()), "{secret}");
    }
}

#[test]
fn refused_attempts_and_questions_are_not_written_at_all() {
    let server = server_with_aof("yes");
    let mut client = server.connect();
    while ask(&mut client, "AUTHLIMIT.CHECK", "login").allowed {}
    let before = aof_size(&server);
    let silent = [
        format!("CHECK login {IP} {EMAIL}"),
        format!("PEEK login {IP} {EMAIL}"),
        format!("PEEK login {IP} {EMAIL} COST 2"),
        format!("PEEK none {IP} {EMAIL}"),
        format!("RESET none {IP} {EMAIL}"),
        format!("REFUND none {IP} {EMAIL}"),
        format!("RESET login {IP} bob@example.com"),
        format!("REFUND login {IP} bob@example.com"),
        "INFO login".to_owned(),
        "POLICY login PRESET signin".to_owned(),
    ];
    for _ in 0..20 {
        for line in &silent {
            send(&mut client, &format!("AUTHLIMIT.{line}")).expect("a proper command");
        }
        send(&mut client, "AUTHLIMIT.CHECK login unknown x").expect_err("an improper one");
    }
    assert_eq!(aof_size(&server), before);
    // So that this test would notice, had something been written.
    assert!(verdict(&mut client, &["AUTHLIMIT.CHECK", "login", IP, "bob@x.org"]).allowed);
    assert!(aof_size(&server) > before);
}

#[test]
fn a_copy_and_a_restored_dump_are_the_same_and_lead_their_own_lives() {
    let server = Server::start();
    let mut client = server.connect();
    workload(&mut client, &mut Random::new(8), STEPS);
    for key in ["login", "addresses", "{acme}:login", "mailboxes"] {
        let original = digest(&mut client, key);
        let Ok(Value::BulkString(dump)) = command(&mut client, &["DUMP", key]) else {
            panic!("{key} has no dump");
        };
        for secret in secrets() {
            let found = dump.windows(secret.len()).any(|part| part == secret);
            assert!(!found, "{}", secret.escape_ascii());
        }
        let words = [b"RESTORE".as_slice(), b"restored", b"0", &dump, b"REPLACE"];
        assert_eq!(command(&mut client, &words), Ok(Value::Okay));
        let words = ["COPY", key, "copied", "REPLACE"];
        assert_eq!(command(&mut client, &words), Ok(Value::Int(1)));
        for other in ["restored", "copied"] {
            assert_eq!(digest(&mut client, other), original, "{other}");
            let there = ask(&mut client, "AUTHLIMIT.PEEK", key).remaining;
            let here = ask(&mut client, "AUTHLIMIT.CHECK", other).remaining;
            assert_eq!(here, there - 1, "{other}");
            assert_eq!(digest(&mut client, key), original, "{other}");
        }
    }
}

#[test]
fn a_renamed_limiter_and_one_moved_to_another_database_are_the_same() {
    let server = Server::start();
    let mut client = server.connect();
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    let before = digest(&mut client, "login");
    ok(&mut client, "RENAME login renamed");
    assert_eq!(digest(&mut client, "renamed"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining, 5);
    assert_eq!(send(&mut client, "MOVE renamed 1"), Ok(Value::Int(1)));
    ok(&mut client, "SELECT 1");
    assert_eq!(digest(&mut client, "renamed"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.CHECK", "renamed").remaining, 3);
}

#[test]
fn an_expiry_of_the_key_is_kept_by_every_command_and_over_a_restart() {
    let mut server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h");
    assert_eq!(
        send(&mut client, "PEXPIREAT login 4102444800000"),
        Ok(Value::Int(1))
    );
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    ask(&mut client, "AUTHLIMIT.PEEK", "login");
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 6/1h");
    send(&mut client, &format!("AUTHLIMIT.REFUND login {IP} {EMAIL}")).unwrap();
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    let before = digest(&mut client, "login");
    server.restart(Save::Yes);
    let mut client = server.connect();
    assert_eq!(
        send(&mut client, "PEXPIRETIME login"),
        Ok(Value::Int(4_102_444_800_000))
    );
    assert_eq!(digest(&mut client, "login"), before);
    assert_eq!(ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining, 5);
}

#[test]
fn a_limiter_whose_key_has_expired_begins_anew() {
    let mut server = server_with_aof("no");
    let mut client = server.connect();
    ask(&mut client, "AUTHLIMIT.CHECK", "login");
    assert_eq!(send(&mut client, "PEXPIRE login 1"), Ok(Value::Int(1)));
    wait_until("the key expires", || {
        ask(&mut client, "AUTHLIMIT.PEEK", "login").remaining == 5
    });
    assert_eq!(ask(&mut client, "AUTHLIMIT.CHECK", "login").remaining, 4);
    assert_eq!(send(&mut client, "TTL login"), Ok(Value::Int(-1)));
    let before = digest(&mut client, "login");
    server.restart(Save::No);
    assert_eq!(digest(&mut server.connect(), "login"), before);
}

#[test]
fn a_limiter_of_which_all_attempts_have_expired_keeps_its_policy() {
    for preamble in ["yes", "no"] {
        let mut server = server_with_aof(preamble);
        let mut client = server.connect();
        ok(&mut client, "AUTHLIMIT.POLICY login PAIR 3/20ms IP 9/30ms");
        ok(&mut client, "AUTHLIMIT.POLICY empty PAIR 3/1h");
        for _ in 0..3 {
            ask(&mut client, "AUTHLIMIT.CHECK", "login");
        }
        // And are reclaimed: until then the limiter's time moves on.
        wait_until("the attempts expire", || {
            usage(&mut client, "login", "identities") == [0, 0]
        });
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
fn a_limiter_that_a_newer_authlimit_has_stored_keeps_the_server_from_starting_and_the_log_says_why()
{
    // Without a checksum, the file may be changed.
    let mut server = Server::builder().arg("rdbchecksum", "no").start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 3/1h");
    server.shutdown(Save::Yes);
    let path = server.folder().join("dump.rdb");
    let mut bytes = fs::read(&path).expect("the file is saved");
    let policy = bytes.windows(9).position(|part| part == b"PAIR 3/1h");
    // Before it are its length, of eight bytes, and the version, of two.
    let version = policy.expect("the policy is stored in its own words") - 10;
    assert_eq!(bytes[version..version + 2], [1, 0]);
    bytes[version] = 7;
    fs::write(&path, bytes).expect("the file is ours");
    let log = server.try_start_again().expect_err("it cannot be read");
    let reason = "cannot load a limiter: the limiter was stored by a newer authlimit, in format 7";
    assert!(log.contains(reason), "{log}");
}

#[test]
fn flushing_leaves_nothing_of_any_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    let used = || {
        let used = server.info("used_memory").expect("INFO has it");
        used.parse::<u64>().expect("a number")
    };
    for flush in ["FLUSHALL SYNC", "FLUSHALL ASYNC"] {
        let before = used();
        fill(&mut client, "login");
        let filled = used();
        assert!(filled > before + 200_000, "{before} {filled}");
        ok(&mut client, flush);
        assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(0)));
        wait_until("the memory is given back", || used() < before + 100_000);
        assert_eq!(ask(&mut client, "AUTHLIMIT.CHECK", "login").remaining, 4);
    }
}

/// The file has no command that deletes a value which had expired before the limiter came.
#[test]
fn an_expired_value_in_the_way_of_a_limiter_is_replaced_when_the_file_is_loaded() {
    let mut server = Server::builder().arg("appendonly", "yes").start();
    let mut client = server.connect();
    for words in [
        &["DEBUG", "SET-ACTIVE-EXPIRE", "0"][..],
        &["SET", "login", "x", "PX", "1"],
        // A server that sleeps does nothing else, and the value expires.
        &["DEBUG", "SLEEP", "0.01"],
        &["DEBUG", "RELOAD"],
    ] {
        assert!(command(&mut client, words).is_ok(), "{words:?}");
    }
    let check = ["AUTHLIMIT.CHECK", "login", "203.0.113.7", "a@x.org"];
    assert_eq!(verdict(&mut client, &check).remaining, 4);
    server.restart(Save::No);
    let verdict = verdict(&mut server.connect(), &check);
    assert_eq!(verdict.remaining, 3, "{verdict:?}");
}
