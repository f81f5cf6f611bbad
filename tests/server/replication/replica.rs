//! What a replica answers, and what its primary sends to it.

use crate::support::lists::{self, listed, put};
use crate::support::replies::{CHECK, PEEK, ok, send};
use crate::support::rules::{check, number, rows};
use crate::support::{Server, command, digest, replica_of, verdict, wait_for_replica, wait_until};
use redis::Value;

const EFFECT_REFUSED: &str = "BADEFFECT AUTHLIMIT.EFFECT is for replication and the append-only file only";

#[test]
fn a_replica_answers_reads_and_refuses_writes() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    for _ in 0..3 {
        verdict(&mut client, &CHECK);
    }
    put(&mut client, "DENY ADD bob@example.com");
    wait_for_replica(&primary, &replica);
    let mut there = replica.connect();
    let peeked = verdict(&mut there, &PEEK);
    assert_eq!((peeked.allowed, peeked.remaining), (true, 1));
    assert!(send(&mut there, "AUTHLIMIT.INFO login").is_ok());
    assert_eq!(listed(&mut there, "DENY"), (vec![], 1));
    let writing = [
        "CHECK login 203.0.113.7 alice@example.com",
        "CHECK new 203.0.113.7 alice@example.com",
        "RESET login 203.0.113.7 alice@example.com",
        "REFUND login 203.0.113.7 alice@example.com",
        "POLICY login IP 5/1h",
        "ALLOW login ADD 192.0.2.66",
        "ALLOW login LIST",
        "EFFECT login x",
    ];
    for line in writing {
        let error = send(&mut there, &format!("AUTHLIMIT.{line}")).unwrap_err();
        assert!(error.starts_with("READONLY "), "{line}: {error}");
    }
    assert_eq!(digest(&mut there, "login"), digest(&mut client, "login"));
    assert_eq!(send(&mut there, "DBSIZE"), Ok(Value::Int(1)));
}

#[test]
fn peek_on_a_replica_does_not_create_a_missing_limiter() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut there = replica.connect();
    assert_eq!(verdict(&mut there, &PEEK).remaining, 4);
    assert_eq!(send(&mut there, "DBSIZE"), Ok(Value::Int(0)));
}

#[test]
fn refused_attempts_and_reads_are_not_replicated() {
    let primary = Server::builder()
        // The primary's pings would increase its offset, too.
        .arg("repl-ping-replica-period", "3600")
        .start();
    let mut client = primary.connect();
    while verdict(&mut client, &CHECK).allowed {}
    let replica = replica_of(&primary);
    // Replicas report their offset once a second. The primary may reply to the first report.
    wait_for_replica(&primary, &replica);
    let silent = [
        "CHECK login 203.0.113.7 alice@example.com",
        "PEEK login 203.0.113.7 alice@example.com",
        "RESET login 203.0.113.7 bob@example.com",
        "REFUND login 203.0.113.7 bob@example.com",
        "PEEK none 203.0.113.7 alice@example.com",
        "INFO login",
        "POLICY login PRESET signin",
    ];
    let before = primary.number::<u64>("master_repl_offset");
    for _ in 0..20 {
        for line in silent {
            send(&mut client, &format!("AUTHLIMIT.{line}")).expect("a valid command");
        }
    }
    assert_eq!(primary.number::<u64>("master_repl_offset"), before);
    // Proves that this test would detect replication.
    let other = ["AUTHLIMIT.CHECK", "login", "203.0.113.7", "bob@example.com"];
    assert!(verdict(&mut client, &other).allowed);
    assert!(primary.number::<u64>("master_repl_offset") > before);
}

#[test]
fn a_limiter_starts_empty_on_a_replica_too_after_its_key_has_expired() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    assert!(verdict(&mut client, &CHECK).allowed);
    let before = digest(&mut client, "login");
    assert_eq!(send(&mut client, "PEXPIRE login 1"), Ok(Value::Int(1)));
    wait_until("the key has expired", || verdict(&mut client, &CHECK).remaining == 4);
    wait_for_replica(&primary, &replica);
    let after = digest(&mut client, "login");
    assert_ne!(after, before);
    assert_eq!(digest(&mut replica.connect(), "login"), after);
}

#[test]
fn primary_and_replica_match_after_unlock_of_an_email_without_recent_attempts() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 5/20ms");
    let attempt = "login 10.0.0.1 a@x.org";
    assert!(check(&mut client, attempt).allowed);
    wait_until("the attempt leaves the window", || rows(&mut client, attempt)[0].reset_ms == 0);
    let unlocked = number(&mut client, "AUTHLIMIT.UNLOCK login EMAIL a@x.org");
    assert_eq!(unlocked, 0);
    wait_for_replica(&primary, &replica);
    let on_replica = digest(&mut replica.connect(), "login");
    assert_eq!(digest(&mut client, "login"), on_replica);
}

#[test]
fn primary_and_replica_match_after_the_removal_of_an_expired_list_entry() {
    let (primary, mut client) = lists::start();
    let replica = replica_of(&primary);
    put(&mut client, "DENY ADD 10.0.0.1 TTL 1");
    wait_until("the entry expires", || listed(&mut client, "DENY").0.is_empty());
    assert_eq!(put(&mut client, "DENY DEL 10.0.0.1"), 0);
    wait_for_replica(&primary, &replica);
    let on_replica = digest(&mut replica.connect(), "login");
    assert_eq!(digest(&mut client, "login"), on_replica);
}

#[test]
fn a_client_cannot_send_effects() {
    let server = Server::start();
    let mut client = server.connect();
    verdict(&mut client, &CHECK);
    let before = digest(&mut client, "login");
    // A valid effect: it advances the limiter's clock by a millisecond.
    let message = b"\x07\x01\0\0\0\0\0\0\0";
    let words = [b"AUTHLIMIT.EFFECT".as_slice(), b"login", message];
    let refused = Err(EFFECT_REFUSED.to_owned());
    assert_eq!(command(&mut client, &words), refused);

    ok(&mut client, "MULTI");
    let queued = command(&mut client, &words);
    assert_eq!(queued, Ok(Value::SimpleString("QUEUED".to_owned())));
    let reply = format!("{:?}", send(&mut client, "EXEC"));
    assert!(reply.contains("for replication and the append-only file only"), "{reply}");

    for call in ["call", "pcall"] {
        let script = format!("return redis.{call}('AUTHLIMIT.EFFECT', KEYS[1], ARGV[1])");
        let words = [b"EVAL".as_slice(), script.as_bytes(), b"1", b"login", message];
        let error = command(&mut client, &words).unwrap_err();
        assert!(error.contains("not allowed from script"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn a_client_of_a_writable_replica_cannot_send_effects() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).arg("replica-read-only", "no").start();
    verdict(&mut primary.connect(), &CHECK);
    wait_for_replica(&primary, &replica);
    let mut client = replica.connect();
    let before = digest(&mut client, "login");
    let words = [b"AUTHLIMIT.EFFECT".as_slice(), b"login", b"\x07\x01\0\0\0\0\0\0\0"];
    assert_eq!(command(&mut client, &words), Err(EFFECT_REFUSED.to_owned()));
    assert_eq!(digest(&mut client, "login"), before);
}
