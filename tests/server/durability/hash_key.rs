//! With `authlimit.hash-key`, no file and no replication stream contains the secrets that make ids, and only a server
//! with the same key loads the limiters.

use std::fs;
use std::path::PathBuf;

use crate::support::dump::{Dump, Part};
use crate::support::replies::{CHECK, EMAIL, IP, PEEK, ok, send};
use crate::support::storm::{Storm, secrets};
use crate::support::{Builder, Save, Server, command, digest, verdict, wait_for_replica, wait_until};
use authlimit::identity::HashKey;
use redis::{Connection, Value};

const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const OTHER_KEY: &str = "ffffffffffffffffffffffffffffffff";

/// The errors of servers without the key and with another key, for a limiter that was stored under the key.
const NONE_HERE: &str =
    "the limiter was stored under an authlimit.hash-key, and this server has none: set the same one";
const ANOTHER_HERE: &str = "the limiter was stored under another authlimit.hash-key: set the one it was stored under";

/// Returns a builder for a server with a hash key.
fn with_key(key: &str) -> Builder {
    Server::builder().arg("authlimit.hash-key", key)
}

/// Changes redis.conf for the next start.
#[track_caller]
fn rewrite_conf(server: &Server, old: &str, new: &str) {
    let path = server.folder().join("redis.conf");
    let conf = fs::read_to_string(&path).expect("redis.conf is readable");
    assert!(conf.contains(old), "{conf}");
    fs::write(path, conf.replace(old, new)).expect("redis.conf is writable");
}

/// Uses up three of the five attempts.
#[track_caller]
fn use_three(client: &mut Connection) {
    for _ in 0..3 {
        assert!(verdict(client, &CHECK).allowed);
    }
}

/// Returns the secret of a limiter, derived from [`KEY`] and the salt in its dump.
#[track_caller]
fn derived_secret(client: &mut Connection, key: &str) -> [u8; 16] {
    let Ok(Value::BulkString(dump)) = command(client, &["DUMP", key]) else {
        panic!("DUMP {key} failed");
    };
    let parts = Dump::parse(&dump).parts;
    let Some(Part::Text(header)) = parts.first() else {
        panic!("a dump starts with its header: {parts:?}");
    };
    // The version, the policy with its length, and the kind of secret: see src/format/format.md.
    let words = usize::from(header[2]) + 256 * usize::from(header[3]);
    let after = &header[10 + words..];
    assert_eq!(after[..4], [1, 0, 0, 0], "the secret is derived");
    let salt = after[4..20].try_into().expect("16 bytes");
    let hash_key = HashKey::new(KEY.as_bytes()).expect("the key is long enough");
    *hash_key.secret(salt).as_bytes()
}

/// Returns every file in a server's folder except redis.conf.
fn all_files(server: &Server) -> Vec<PathBuf> {
    let mut files = server.files();
    files.push(server.folder().join("server.log"));
    files
}

#[test]
fn the_key_cannot_be_changed_at_run_time_and_is_not_in_the_log() {
    let server = with_key(KEY).start();
    let mut client = server.connect();
    let error = command(&mut client, &["CONFIG", "SET", "authlimit.hash-key", OTHER_KEY]);
    assert!(error.unwrap_err().contains("immutable"));
    use_three(&mut client);
    for key in [KEY, OTHER_KEY] {
        assert!(!server.grep_log(key.as_bytes()), "{key}");
    }
}

#[test]
fn the_server_does_not_start_with_a_short_key_and_does_not_log_it() {
    let log = with_key("fifteen-bytes!!").try_start().expect_err("the key is too short");
    assert!(log.contains("a hash key must have at least 16 bytes"), "{log}");
    let lines: Vec<&str> =
        log.lines().filter(|line| line.contains("authlimit:") || line.contains("<authlimit>")).collect();
    for line in lines {
        assert!(!line.contains("fifteen"), "{line}");
    }
}

#[test]
fn a_restart_with_the_same_key_loads_rdb_and_aof() {
    for (appendonly, preamble) in [("no", "yes"), ("yes", "yes"), ("yes", "no")] {
        let mut server = with_key(KEY).arg("appendonly", appendonly).arg("aof-use-rdb-preamble", preamble).start();
        use_three(&mut server.connect());
        let before = digest(&mut server.connect(), "login");
        if appendonly == "yes" {
            server.rewrite_aof();
        }
        server.restart(Save::Yes);
        let mut client = server.connect();
        assert_eq!(digest(&mut client, "login"), before);
        let next = verdict(&mut client, &CHECK);
        assert_eq!((next.allowed, next.remaining), (true, 1));
    }
}

#[test]
fn a_server_with_no_key_or_another_key_does_not_start_and_logs_the_reason() {
    for (appendonly, preamble, rewrites) in
        [("no", "yes", false), ("yes", "yes", false), ("yes", "yes", true), ("yes", "no", true)]
    {
        let mut server = with_key(KEY).arg("appendonly", appendonly).arg("aof-use-rdb-preamble", preamble).start();
        use_three(&mut server.connect());
        if rewrites {
            server.rewrite_aof();
        }
        server.shutdown(Save::Yes);
        let mut now = KEY;
        for (key, reason) in [("\"\"", NONE_HERE), (OTHER_KEY, ANOTHER_HERE)] {
            rewrite_conf(&server, &hash_key_line(now), &hash_key_line(key));
            let log = server.try_start_again().expect_err("the limiter cannot be loaded");
            assert!(log.contains(reason), "{log}");
            now = key;
        }
        // Nothing is lost: with the right key, the limiter loads again.
        rewrite_conf(&server, &hash_key_line(now), &hash_key_line(KEY));
        server.start_again();
        assert_eq!(verdict(&mut server.connect(), &PEEK).remaining, 1);
    }
}

/// Returns the line of redis.conf that sets the hash key.
fn hash_key_line(key: &str) -> String {
    format!("authlimit.hash-key {key}\n")
}

#[test]
fn limiters_created_before_the_key_still_load_and_new_ones_use_the_key() {
    let mut server = Server::builder().arg("authlimit.hash-key", "").start();
    use_three(&mut server.connect());
    server.shutdown(Save::Yes);
    rewrite_conf(&server, "authlimit.hash-key \"\"\n", &hash_key_line(KEY));
    server.start_again();
    let mut client = server.connect();
    assert_eq!(verdict(&mut client, &PEEK).remaining, 1);
    assert!(command(&mut client, &["AUTHLIMIT.CHECK", "new", IP, EMAIL]).is_ok());
    derived_secret(&mut client, "new");
    server.restart(Save::Yes);
    let mut client = server.connect();
    assert_eq!(verdict(&mut client, &CHECK).remaining, 1);
    let new = ["AUTHLIMIT.PEEK", "new", IP, EMAIL];
    assert_eq!(verdict(&mut client, &new).remaining, 3);
}

#[test]
fn a_dump_is_restored_only_with_its_hash_key() {
    let server = with_key(KEY).start();
    let mut client = server.connect();
    use_three(&mut client);
    let Ok(Value::BulkString(dump)) = send(&mut client, "DUMP login") else {
        panic!("DUMP failed");
    };
    let words = [b"RESTORE".as_slice(), b"copy", b"0", &dump];
    assert_eq!(command(&mut client, &words), Ok(Value::Okay));
    assert_eq!(digest(&mut client, "copy"), digest(&mut client, "login"));
    for (other, reason) in [(Server::start(), NONE_HERE), (with_key(OTHER_KEY).start(), ANOTHER_HERE)] {
        let mut client = other.connect();
        let refused = Err("ERR Bad data format".to_owned());
        assert_eq!(command(&mut client, &words), refused);
        assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(0)));
        assert!(other.grep_log(reason.as_bytes()), "{}", other.log());
    }
}

#[test]
fn a_replica_with_the_same_key_replicates_and_one_with_another_key_logs_why_it_does_not() {
    let primary = with_key(KEY).start();
    let mut client = primary.connect();
    use_three(&mut client);
    let replica = with_key(KEY).replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let expected = digest(&mut client, "login");
    assert_eq!(digest(&mut replica.connect(), "login"), expected);
    assert_eq!(verdict(&mut replica.connect(), &PEEK).remaining, 1);

    // Servers differ in what follows: some retry, some exit.
    let mut other = with_key(OTHER_KEY).start();
    let follow = format!("REPLICAOF 127.0.0.1 {}", primary.port());
    ok(&mut other.connect(), &follow);
    wait_until("the reason is logged", || other.grep_log(ANOTHER_HERE.as_bytes()));
    other.kill_9();
    // The primary and its other replica are not affected.
    assert_eq!(verdict(&mut client, &CHECK).remaining, 1);
    wait_for_replica(&primary, &replica);
    assert_eq!(digest(&mut replica.connect(), "login"), digest(&mut client, "login"));
}

#[test]
fn a_replica_with_another_key_logs_why_it_does_not_apply_limiters_created_later() {
    let primary = with_key(KEY).start();
    let replica = with_key(OTHER_KEY).replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    let mut client = primary.connect();
    use_three(&mut client);
    wait_for_replica(&primary, &replica);
    assert!(replica.grep_log(ANOTHER_HERE.as_bytes()), "{}", replica.log());
    // No limiter is better than a wrong one.
    assert_eq!(send(&mut replica.connect(), "DBSIZE"), Ok(Value::Int(0)));
}

#[test]
fn no_file_except_redis_conf_contains_the_key_a_derived_secret_an_email_or_an_address() {
    for preamble in ["yes", "no"] {
        let server = with_key(KEY)
            .arg("appendonly", "yes")
            .arg("appendfsync", "always")
            .arg("aof-use-rdb-preamble", preamble)
            .start();
        let mut client = server.connect();
        Storm::new(51).send(&mut client, 1_000);
        server.rewrite_aof();
        Storm::new(52).send(&mut client, 1_000);
        ok(&mut client, "SAVE");
        let mut hidden: Vec<Vec<u8>> = secrets().into_iter().map(<[u8]>::to_vec).collect();
        hidden.push(KEY.as_bytes().to_vec());
        for key in ["quick", "subjects", "full"] {
            let secret = derived_secret(&mut client, key);
            hidden.push(secret[..8].to_vec());
            hidden.push(secret[8..].to_vec());
        }
        let files = all_files(&server);
        assert!(files.len() >= 3, "{files:?}");
        for path in files {
            let bytes = fs::read(&path).expect("the file is readable");
            for hidden in &hidden {
                let found = bytes.windows(hidden.len()).any(|part| part == hidden);
                assert!(!found, "{} is in {path:?}", hidden.escape_ascii());
            }
        }
        // Proves that the search works: redis.conf is the one file with the key.
        let conf = fs::read_to_string(server.folder().join("redis.conf")).expect("redis.conf is readable");
        assert!(conf.contains(KEY));
    }
}
