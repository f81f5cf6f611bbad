//! Every later version reads what each format version has stored, and stores what the current one wrote as the same
//! bytes.
//!
//! A server with the first release of a format wrote the files in `tests/golden`. They never change.
//! [`make_golden_files`] created them; a new format version runs it once to create its own files:
//! `cargo test --test server make_golden_files -- --ignored`. `src/format/golden.rs` checks what the engine answers
//! from them, with the clock as an argument.

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::dump::FOOT_BYTES;
use crate::support::replies::{ok, policy, send};
use crate::support::rules::usage;
use crate::support::{Builder, Save, Server, command, digest, wait_until};
use redis::{Connection, Value};

/// The `authlimit.hash-key` under which the limiter `keyed` is stored.
const HASH_KEY: &str = "the-hash-key-of-the-golden-files";

/// The version that is written.
const CURRENT: u8 = 2;

/// The policy of both limiters of a version. In version 1 the lock is shorter than its window, which a new policy may
/// not have, and a stored one may.
fn golden_policy(version: u8) -> String {
    let lock = if version == 1 { "1h..30d" } else { "30d" };
    format!(
        "IP 50/30d EMAIL 20/30d EMAIL 50/30d PAIR 5/30d LOCK {lock} EMAILS-PER-IP 15/30d IPS-PER-EMAIL 20/30d \
         ALL 1000/30d DEVICE 10/30d IP 200/30d COUNT-DENIED IPV6-PREFIX 56 PLUS-TAGS strip"
    )
}

/// The number of identities of each subject of the policy, in the dumps of a version. Since version 2 an attempt with a
/// device counts for no pair.
fn identities(version: u8) -> [i64; 8] {
    let pairs = if version == 1 { 4 } else { 3 };
    [4, 3, pairs, 4, 3, 1, 1, 4]
}

/// The keys of the limiters.
const KEYS: [&str; 2] = ["plain", "keyed"];

/// Returns the path of a golden file.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Reads a golden file.
#[track_caller]
fn golden(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns a builder for a server that stops its limiters' clocks, so that the old golden attempts do not expire: it
/// replicates a server that does not exist.
fn with_stopped_time() -> Builder {
    Server::builder().arg("replicaof", "127.0.0.1 1").arg("replica-read-only", "no").arg("authlimit.hash-key", HASH_KEY)
}

/// Returns the digests recorded with the golden files, from the lines that start with `of`.
#[track_caller]
fn recorded_digests(of: &str) -> [String; 2] {
    let recorded = String::from_utf8(golden(&format!("v{CURRENT}.digests"))).expect("the file is text");
    KEYS.map(|key| {
        let begin = format!("{of} {key} ");
        let line = recorded.lines().find_map(|line| line.strip_prefix(&begin));
        line.expect("each limiter has a digest").to_owned()
    })
}

/// Checks that a server has the limiters of the golden files.
#[track_caller]
fn assert_golden_limiters(client: &mut Connection, version: u8, of: &str) {
    if version == CURRENT {
        let digests = KEYS.map(|key| digest(client, key));
        assert_eq!(digests, recorded_digests(of));
    }
    for key in KEYS {
        assert_eq!(policy(client, key), golden_policy(version));
    }
    // Check the permanent list entries.
    for (email, expected) in [("mallory@example.com", "DENY"), ("MALLORY@Example.com.", "DENY")] {
        for key in KEYS {
            let words = ["AUTHLIMIT.PEEK", key, "203.0.113.77", email];
            assert_eq!(crate::support::verdict(client, &words).rule, expected);
        }
    }
}

#[test]
fn a_restored_golden_dump_is_dumped_as_the_same_bytes() {
    let server = with_stopped_time().start();
    let mut client = server.connect();
    for version in 1..=CURRENT {
        for key in KEYS {
            let payload = golden(&format!("v{version}-{key}.dump"));
            let mut dump_of = |payload: &[u8]| {
                let words = [b"RESTORE".as_slice(), key.as_bytes(), b"0", payload, b"REPLACE"];
                assert_eq!(command(&mut client, &words), Ok(Value::Okay));
                let Ok(Value::BulkString(again)) = command(&mut client, &["DUMP", key]) else {
                    panic!("DUMP {key} failed");
                };
                again
            };
            let again = dump_of(&payload);
            // An older version is stored in the current one. The server adds the foot: its RDB version, and a checksum.
            let expected = if version == CURRENT { payload } else { dump_of(&again) };
            let body = |payload: &[u8]| payload[..payload.len() - FOOT_BYTES].to_vec();
            assert_eq!(body(&again), body(&expected), "{key} of version {version}");
            assert_eq!(usage(&mut client, key, "identities"), identities(version), "{key} of version {version}");
        }
        assert_golden_limiters(&mut client, version, "dump");
    }
}

#[test]
fn the_golden_rdb_file_is_loaded() {
    for version in 1..=CURRENT {
        let mut server = with_stopped_time().start();
        server.shutdown(Save::No);
        fs::write(server.folder().join("dump.rdb"), golden(&format!("v{version}.rdb")))
            .expect("the folder is writable");
        server.start_again();
        let mut client = server.connect();
        assert_golden_limiters(&mut client, version, "dump");
        assert_eq!(usage(&mut client, "keyed", "identities"), identities(version));
        // Check again after this version has saved the file.
        let digests = KEYS.map(|key| digest(&mut client, key));
        server.restart(Save::Yes);
        let mut client = server.connect();
        assert_golden_limiters(&mut client, version, "dump");
        assert_eq!(KEYS.map(|key| digest(&mut client, key)), digests);
    }
}

#[test]
fn the_golden_append_only_file_is_loaded() {
    for version in 1..=CURRENT {
        let mut server = with_stopped_time().start();
        server.shutdown(Save::No);
        // The server converts a single file, the layout before Redis 7.
        let aof = golden(&format!("v{version}.aof"));
        fs::write(server.folder().join("appendonly.aof"), aof).expect("the folder is writable");
        let conf = server.folder().join("redis.conf");
        let lines = fs::read_to_string(&conf).expect("redis.conf is readable");
        fs::write(&conf, lines.replace("appendonly no", "appendonly yes")).expect("redis.conf is writable");
        server.start_again();
        let mut client = server.connect();
        assert_golden_limiters(&mut client, version, "aof");
        let digests = KEYS.map(|key| digest(&mut client, key));
        for preamble in ["no", "yes"] {
            ok(&mut server.connect(), &format!("CONFIG SET aof-use-rdb-preamble {preamble}"));
            server.rewrite_aof();
            server.restart(Save::No);
            let mut client = server.connect();
            assert_golden_limiters(&mut client, version, "aof");
            assert_eq!(KEYS.map(|key| digest(&mut client, key)), digests);
        }
    }
}

/// Creates the golden files. Run it by hand, once for each version of the format.
#[test]
#[ignore = "golden files are made once for each version of the format"]
fn make_golden_files() {
    assert!(!path(&format!("v{CURRENT}.aof")).exists(), "golden files never change");
    fs::create_dir_all(path("")).expect("the repository is writable");
    let mut server = Server::builder()
        .arg("appendonly", "yes")
        .arg("aof-use-rdb-preamble", "no")
        .arg("authlimit.hash-key", "\"\"")
        .start();
    let mut client = server.connect();
    use_every_kind(&mut client, "plain");
    // A limiter stored without a hash key stays without one.
    server.rewrite_aof();
    server.shutdown(Save::Yes);
    let conf = server.folder().join("redis.conf");
    let lines = fs::read_to_string(&conf).expect("redis.conf is readable");
    let lines = lines.replace("hash-key \"\"", &format!("hash-key {HASH_KEY}"));
    fs::write(&conf, lines).expect("redis.conf is writable");
    server.start_again();
    let mut client = server.connect();
    use_every_kind(&mut client, "keyed");
    // Loading and saving again arranges the identities of a table in their lasting order.
    for _ in 0..3 {
        ok(&mut client, "DEBUG RELOAD");
    }
    let mut digests = String::new();
    for key in KEYS {
        let Ok(Value::BulkString(dump)) = command(&mut client, &["DUMP", key]) else {
            panic!("DUMP {key} failed");
        };
        fs::write(path(&format!("v{CURRENT}-{key}.dump")), dump).expect("tests/golden is writable");
        digests += &format!("dump {key} {}\n", digest(&mut client, key));
    }
    ok(&mut client, "SAVE");
    fs::copy(server.folder().join("dump.rdb"), path(&format!("v{CURRENT}.rdb"))).expect("tests/golden is writable");

    server.rewrite_aof();
    let mut aof = incremental_base(&server);
    for key in KEYS {
        use_every_effect(&mut client, key);
    }
    for path in server.files() {
        if path.to_string_lossy().ends_with(".incr.aof") {
            aof.extend(fs::read(path).expect("the file is readable"));
        }
    }
    for key in KEYS {
        // The effects of a time that no clock may show, which is restored, and of a clock set back by five seconds.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
        for (code, value) in [(23_u8, now), (15, 5_000)] {
            aof.extend(format!("*3\r\n$16\r\nAUTHLIMIT.EFFECT\r\n$5\r\n{key}\r\n$9\r\n").bytes());
            aof.push(code);
            aof.extend(value.to_le_bytes());
            aof.extend(b"\r\n");
        }
    }
    fs::write(path(&format!("v{CURRENT}.aof")), &aof).expect("tests/golden is writable");
    let mut reader = with_stopped_time().arg("appendonly", "yes").start();
    reader.shutdown(Save::No);
    fs::remove_dir_all(reader.folder().join("appendonlydir")).expect("the folder is writable");
    fs::write(reader.folder().join("appendonly.aof"), aof).expect("the folder is writable");
    reader.start_again();
    for key in KEYS {
        digests += &format!("aof {key} {}\n", digest(&mut reader.connect(), key));
    }
    fs::write(path(&format!("v{CURRENT}.digests")), digests).expect("tests/golden is writable");
}

/// Reads the base of a rewritten append-only file.
#[track_caller]
fn incremental_base(server: &Server) -> Vec<u8> {
    let base = server.files().into_iter().find(|path| path.to_string_lossy().ends_with(".base.aof"));
    fs::read(base.expect("a rewrite creates a base file")).expect("the file is readable")
}

/// Creates a limiter that stores data of every kind.
fn use_every_kind(client: &mut Connection, key: &str) {
    ok(client, &format!("AUTHLIMIT.POLICY {key} {}", golden_policy(CURRENT)));
    let lines = [
        // The fifth attempt is admitted and locks the pair; the sixth is refused.
        "CHECK KEY 203.0.113.7 alice@example.com",
        "CHECK KEY 203.0.113.7 alice@example.com",
        "CHECK KEY 203.0.113.7 Alice+news@example.com",
        "CHECK KEY ::ffff:203.0.113.7 alice@example.com",
        "CHECK KEY 203.0.113.7 alice@example.com",
        "CHECK KEY 203.0.113.7 alice@example.com",
        "CHECK KEY 2001:db8::7 bob@example.com COST 2",
        "CHECK KEY 203.0.113.8 alice@example.com DEVICE phone COST 3",
        "CHECK KEY 203.0.113.9 carol@example.com",
        "CHECK KEY 203.0.113.9 carol@example.com",
        "CHECK KEY 203.0.113.9 carol@example.com",
        "REFUND KEY 203.0.113.9 carol@example.com",
        // Two spellings of one email, and an email that was unlocked.
        "CHECK KEY 203.0.113.9 Carol@example.com",
        "UNLOCK KEY EMAIL frank@example.com",
        "ALLOW KEY ADD 198.51.100.0/24",
        "DENY KEY ADD mallory@example.com",
        "DENY KEY ADD 2001:db8:bad::/48 TTL 2592000",
    ];
    for line in lines {
        let line = format!("AUTHLIMIT.{}", line.replace("KEY", key));
        send(client, &line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

/// Causes every kind of effect on the limiter, except a clock that is set back.
fn use_every_effect(client: &mut Connection, key: &str) {
    let run = |client: &mut Connection, line: &str| {
        let line = format!("AUTHLIMIT.{}", line.replace("KEY", key));
        send(client, &line).unwrap_or_else(|error| panic!("{line}: {error}"));
    };
    run(client, "CHECK KEY 203.0.113.10 dave@example.com");
    run(client, "RESET KEY 203.0.113.10 dave@example.com");
    run(client, "CHECK KEY 203.0.113.9 carol@example.com COST 2");
    run(client, "REFUND KEY 203.0.113.9 carol@example.com COST 2");
    run(client, "UNLOCK KEY EMAIL bob@example.com IP 2001:db8::7");
    run(client, "UNLOCK KEY EMAIL alice@example.com");
    run(client, "UNLOCK KEY DEVICE phone");
    run(client, "UNLOCK KEY ALL");
    run(client, "ALLOW KEY ADD trent@example.com");
    run(client, "ALLOW KEY DEL trent@example.com");
    for _ in 0..6 {
        run(client, "CHECK KEY 203.0.113.11 erin@example.com");
    }
    run(client, "POLICY KEY EMAIL 3/1d LOCK 1d CAPACITY 2");
    for email in ["v", "w", "x", "y"] {
        run(client, &format!("CHECK KEY 203.0.113.12 {email}@example.com"));
    }
    run(client, "POLICY KEY IP 4/20ms EMAIL 3/30ms LOCK 30ms CAPACITY 2");
    run(client, "CHECK KEY 203.0.113.12 z@example.com");
    wait_until("the timer advances the limiter's clock", || usage(client, key, "identities").iter().sum::<i64>() == 0);
    run(client, &format!("POLICY KEY {}", golden_policy(CURRENT)));
    for _ in 0..6 {
        run(client, "CHECK KEY 203.0.113.7 alice@example.com");
    }
}
