//! A replica holds what its primary holds, decides as it would, and can take its place.

use crate::support::replies::{CHECK, PEEK, ok, send};
use crate::support::{
    Random, Save, Server, are_the_same, command, digest, replica_of, secrets, snapshot, verdict,
    wait_for_replica, wait_until, workload,
};
use redis::Value;

/// How many commands a workload has.
const STEPS: usize = 2_000;

const EFFECT_REFUSED: &str =
    "ERR AUTHLIMIT.EFFECT is for replication and the append-only file only";

/// Returns how many bytes a primary has sent to its replicas.
fn offset(primary: &Server) -> u64 {
    let offset = primary.info("master_repl_offset").expect("INFO has it");
    offset.parse().expect("a number")
}

#[test]
fn a_replica_is_the_same_after_a_full_sync_and_after_every_command_since() {
    let primary = Server::start();
    let mut client = primary.connect();
    let mut random = Random::new(11);
    workload(&mut client, &mut random, STEPS);
    let replica = replica_of(&primary);
    are_the_same(&primary, &replica);
    for _ in 0..3 {
        workload(&mut client, &mut random, STEPS / 2);
        are_the_same(&primary, &replica);
    }
    for secret in secrets() {
        let shown = secret.escape_ascii();
        assert!(!primary.grep_log(secret), "{shown}");
        assert!(!replica.grep_log(secret), "{shown}");
    }
}

#[test]
fn a_replica_that_was_there_from_the_start_is_the_same() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    workload(&mut primary.connect(), &mut Random::new(12), STEPS);
    are_the_same(&primary, &replica);
}

#[test]
fn a_replica_is_the_same_after_transactions_scripts_and_key_commands() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    workload(&mut client, &mut Random::new(13), 200);
    ok(&mut client, "MULTI");
    for _ in 0..7 {
        assert!(command(&mut client, &CHECK).is_ok());
    }
    assert!(send(&mut client, "EXEC").is_ok());
    let script = "for i = 1, 7 do redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2]) end";
    let words = [
        "EVAL",
        script,
        "1",
        "login",
        "203.0.113.8",
        "bob@example.com",
    ];
    assert_eq!(command(&mut client, &words), Ok(Value::Nil));
    assert_eq!(send(&mut client, "COPY login copy"), Ok(Value::Int(1)));
    ok(&mut client, "RENAME copy renamed");
    command(
        &mut client,
        &[
            "AUTHLIMIT.CHECK",
            "renamed",
            "203.0.113.7",
            "carol@example.com",
        ],
    )
    .expect("a proper command");
    are_the_same(&primary, &replica);
    let expected = digest(&mut client, "renamed");
    assert_eq!(digest(&mut replica.connect(), "renamed"), expected);
}

#[test]
fn a_replica_answers_questions_and_refuses_attempts() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    for _ in 0..3 {
        verdict(&mut client, &CHECK);
    }
    wait_for_replica(&primary, &replica);
    let mut there = replica.connect();
    let peeked = verdict(&mut there, &PEEK);
    assert_eq!((peeked.allowed, peeked.remaining), (true, 2));
    assert!(send(&mut there, "AUTHLIMIT.INFO login").is_ok());
    let writing = [
        "CHECK login 203.0.113.7 alice@example.com",
        "CHECK new 203.0.113.7 alice@example.com",
        "RESET login 203.0.113.7 alice@example.com",
        "REFUND login 203.0.113.7 alice@example.com",
        "POLICY login IP 5/1h",
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
fn a_question_about_a_missing_limiter_creates_none_on_a_replica() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut there = replica.connect();
    assert_eq!(verdict(&mut there, &PEEK).remaining, 5);
    assert_eq!(send(&mut there, "DBSIZE"), Ok(Value::Int(0)));
}

#[test]
fn a_limiter_whose_key_has_expired_begins_anew_on_a_replica_too() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    assert!(verdict(&mut client, &CHECK).allowed);
    let before = digest(&mut client, "login");
    assert_eq!(send(&mut client, "PEXPIRE login 1"), Ok(Value::Int(1)));
    wait_until("the key has expired", || {
        verdict(&mut client, &CHECK).remaining == 4
    });
    wait_for_replica(&primary, &replica);
    let after = digest(&mut client, "login");
    assert_ne!(after, before);
    assert_eq!(digest(&mut replica.connect(), "login"), after);
}

#[test]
fn a_replica_of_a_replica_is_the_same() {
    let primary = Server::start();
    let middle = replica_of(&primary);
    let mut random = Random::new(14);
    workload(&mut primary.connect(), &mut random, STEPS / 2);
    wait_for_replica(&primary, &middle);
    let last = replica_of(&middle);
    workload(&mut primary.connect(), &mut random, STEPS);
    are_the_same(&primary, &middle);
    are_the_same(&middle, &last);
}

#[test]
fn a_promoted_replica_goes_on_with_the_same_counts() {
    let mut primary = Server::start();
    let mut client = primary.connect();
    let replica = replica_of(&primary);
    for _ in 0..3 {
        verdict(&mut client, &CHECK);
    }
    wait_for_replica(&primary, &replica);
    primary.kill_9();
    let mut client = replica.connect();
    ok(&mut client, "REPLICAOF NO ONE");
    let first = verdict(&mut client, &CHECK);
    assert_eq!((first.allowed, first.remaining), (true, 1));
    let reset = [&["AUTHLIMIT.RESET"], &CHECK[1..]].concat();
    assert!(verdict(&mut client, &CHECK).allowed);
    assert!(!verdict(&mut client, &CHECK).allowed);
    assert_eq!(command(&mut client, &reset), Ok(Value::Int(5)));
    workload(&mut client, &mut Random::new(15), STEPS / 2);

    let next = replica_of(&replica);
    are_the_same(&replica, &next);
}

#[test]
fn a_replica_that_was_away_catches_up() {
    let primary = Server::start();
    let mut replica = replica_of(&primary);
    let mut random = Random::new(16);
    workload(&mut primary.connect(), &mut random, STEPS / 2);
    replica.kill_9();
    workload(&mut primary.connect(), &mut random, STEPS / 2);
    replica.start_again();
    are_the_same(&primary, &replica);
    // And one that only lost the connection.
    assert!(matches!(
        send(&mut primary.connect(), "CLIENT KILL TYPE replica"),
        Ok(Value::Int(1..))
    ));
    workload(&mut primary.connect(), &mut random, STEPS / 2);
    are_the_same(&primary, &replica);
}

#[test]
fn a_replica_with_its_own_aof_restarts_to_the_same() {
    for preamble in ["yes", "no"] {
        let primary = Server::start();
        let mut random = Random::new(17);
        workload(&mut primary.connect(), &mut random, STEPS / 2);
        let mut replica = Server::builder()
            .replica_of(&primary)
            .arg("appendonly", "yes")
            .arg("appendfsync", "always")
            .arg("aof-use-rdb-preamble", preamble)
            .start();
        wait_for_replica(&primary, &replica);
        workload(&mut primary.connect(), &mut random, STEPS / 2);
        wait_for_replica(&primary, &replica);
        replica.wait_for_aof();
        let expected = snapshot(&mut primary.connect());
        // Nothing but its own file may tell it.
        ok(&mut replica.connect(), "REPLICAOF NO ONE");
        ok(&mut replica.connect(), "CONFIG REWRITE");
        drop(primary);
        replica.restart(Save::No);
        assert_eq!(snapshot(&mut replica.connect()), expected);
        for secret in secrets() {
            assert!(!replica.grep_files(secret), "{}", secret.escape_ascii());
        }
    }
}

#[test]
fn refused_attempts_and_questions_send_nothing_to_replicas() {
    let primary = Server::builder()
        // The primary's own pings would count, too.
        .arg("repl-ping-replica-period", "3600")
        .start();
    let mut client = primary.connect();
    while verdict(&mut client, &CHECK).allowed {}
    let replica = replica_of(&primary);
    // The replica says where it is once a second, and the primary may answer the first time.
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
    let before = offset(&primary);
    for _ in 0..20 {
        for line in silent {
            send(&mut client, &format!("AUTHLIMIT.{line}")).expect("a proper command");
        }
    }
    assert_eq!(offset(&primary), before);
    // So that this test would notice, had something been sent.
    let other = ["AUTHLIMIT.CHECK", "login", "203.0.113.7", "bob@example.com"];
    assert!(verdict(&mut client, &other).allowed);
    assert!(offset(&primary) > before);
}

#[test]
fn what_is_sent_to_replicas_holds_no_email_and_no_address() {
    // The replica's append-only file is the stream as it came.
    let primary = Server::start();
    let replica = Server::builder()
        .replica_of(&primary)
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
        .start();
    wait_for_replica(&primary, &replica);
    workload(&mut primary.connect(), &mut Random::new(18), STEPS);
    wait_for_replica(&primary, &replica);
    for secret in secrets() {
        assert!(!replica.grep_files(secret), "{}", secret.escape_ascii());
    }
}

#[test]
fn a_client_cannot_send_effects() {
    let server = Server::start();
    let mut client = server.connect();
    verdict(&mut client, &CHECK);
    let before = digest(&mut client, "login");
    // One that would be understood: it moves the limiter's clock by a millisecond.
    let message = b"\x07\x01\0\0\0\0\0\0\0";
    let words = [b"AUTHLIMIT.EFFECT".as_slice(), b"login", message];
    let refused = Err(EFFECT_REFUSED.to_owned());
    assert_eq!(command(&mut client, &words), refused);

    ok(&mut client, "MULTI");
    let queued = command(&mut client, &words);
    assert_eq!(queued, Ok(Value::SimpleString("QUEUED".to_owned())));
    let reply = format!("{:?}", send(&mut client, "EXEC"));
    assert!(
        reply.contains("for replication and the append-only file only"),
        "{reply}"
    );

    for call in ["call", "pcall"] {
        let script = format!("return redis.{call}('AUTHLIMIT.EFFECT', KEYS[1], ARGV[1])");
        let words = [
            b"EVAL".as_slice(),
            script.as_bytes(),
            b"1",
            b"login",
            message,
        ];
        let error = command(&mut client, &words).unwrap_err();
        assert!(error.contains("not allowed from script"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}

#[test]
fn a_client_of_a_writable_replica_cannot_send_effects_either() {
    let primary = Server::start();
    let replica = Server::builder()
        .replica_of(&primary)
        .arg("replica-read-only", "no")
        .start();
    verdict(&mut primary.connect(), &CHECK);
    wait_for_replica(&primary, &replica);
    let mut client = replica.connect();
    let before = digest(&mut client, "login");
    let words = [
        b"AUTHLIMIT.EFFECT".as_slice(),
        b"login",
        b"\x07\x01\0\0\0\0\0\0\0",
    ];
    assert_eq!(command(&mut client, &words), Err(EFFECT_REFUSED.to_owned()));
    assert_eq!(digest(&mut client, "login"), before);
}
