//! Which commands are written to the append-only file, and which are not.

use crate::support::replies::{CHECK, EMAIL, IP, PEEK, ok, send};
use crate::support::{Save, Server, command, digest, verdict};
use std::fs;

#[test]
fn attempts_in_transactions_and_scripts_are_stored_once() {
    let mut server = Server::builder().aof("yes").start();
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
    assert_eq!(verdict(&mut client, &PEEK).remaining, 1);
    for secret in [IP, EMAIL] {
        assert!(!server.grep_files(secret.as_bytes()), "{secret}");
    }
}

#[test]
fn refused_attempts_and_reads_are_not_written_to_the_aof() {
    let server = Server::builder().aof("yes").start();
    let mut client = server.connect();
    while verdict(&mut client, &CHECK).allowed {}
    let before = server.file_size();
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
            send(&mut client, &format!("AUTHLIMIT.{line}")).expect("a valid command");
        }
        send(&mut client, "AUTHLIMIT.CHECK login unknown x").expect_err("an invalid command");
    }
    assert_eq!(server.file_size(), before);
    // Proves that this test would detect a write.
    assert!(verdict(&mut client, &["AUTHLIMIT.CHECK", "login", IP, "bob@x.org"]).allowed);
    assert!(server.file_size() > before);
}

/// The file contains no DEL for a value that had expired before the limiter was created under its key.
#[test]
fn loading_the_aof_replaces_an_expired_value_under_the_key_of_a_limiter() {
    let mut server = Server::builder().arg("appendonly", "yes").start();
    let mut client = server.connect();
    for words in [
        &["DEBUG", "SET-ACTIVE-EXPIRE", "0"][..],
        &["SET", "login", "x", "PX", "1"],
        // The value expires while the server sleeps.
        &["DEBUG", "SLEEP", "0.01"],
        &["DEBUG", "RELOAD"],
    ] {
        assert!(command(&mut client, words).is_ok(), "{words:?}");
    }
    assert_eq!(verdict(&mut client, &CHECK).remaining, 4);
    server.restart(Save::No);
    let verdict = verdict(&mut server.connect(), &CHECK);
    assert_eq!(verdict.remaining, 3, "{verdict:?}");
}

#[test]
fn an_append_only_file_with_a_flipped_bit_in_a_lock_is_refused_with_the_reason() {
    let mut server = Server::builder().aof("no").start();
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 1/15m LOCK 15m..24h");
    send(&mut client, &format!("AUTHLIMIT.CHECK login {IP} {EMAIL}")).expect("the attempt is admitted");
    server.shutdown(Save::No);
    let file = server.files().into_iter().find(|path| path.to_string_lossy().ends_with(".incr.aof"));
    let file = file.expect("the attempt is in a file");
    let mut bytes = fs::read(&file).expect("the file is readable");
    // The message of a lock has 32 bytes, of which the first is its code. The length of the lock begins at byte 19.
    let lock = bytes.windows(6).position(|part| part == b"$32\r\n\x14").expect("the lock is in the file") + 5;
    bytes[lock + 19 + 4] ^= 0x40;
    fs::write(&file, bytes).expect("the file is writable");
    let log = server.try_start_again().expect_err("the file is refused");
    assert!(log.contains("the effect is a lock that no rule of the limiter's policy makes"), "{log}");
}
