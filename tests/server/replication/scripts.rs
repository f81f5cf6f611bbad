//! Scripts, functions and transactions replicate their effects exactly once.

use crate::support::replies::{CHECK, EMAIL, IP, ok, send};
use crate::support::storm::Storm;
use crate::support::{Save, Server, assert_replicas_match, command, digest, replica_of, verdict, wait_for_replica};
use redis::Value;

#[test]
fn a_replica_matches_after_transactions_scripts_and_key_commands() {
    let primary = Server::start();
    let replica = replica_of(&primary);
    let mut client = primary.connect();
    Storm::new(13).send(&mut client, 200);
    ok(&mut client, "MULTI");
    for _ in 0..7 {
        assert!(command(&mut client, &CHECK).is_ok());
    }
    assert!(send(&mut client, "EXEC").is_ok());
    let script = "for i = 1, 7 do redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2]) end";
    let words = ["EVAL", script, "1", "login", "203.0.113.8", "bob@example.com"];
    assert_eq!(command(&mut client, &words), Ok(Value::Nil));
    assert_eq!(send(&mut client, "COPY login copy"), Ok(Value::Int(1)));
    ok(&mut client, "RENAME copy renamed");
    command(&mut client, &["AUTHLIMIT.CHECK", "renamed", "203.0.113.7", "carol@example.com"]).expect("a valid command");
    assert_replicas_match(&primary, &[&replica]);
    let expected = digest(&mut client, "renamed");
    assert_eq!(digest(&mut replica.connect(), "renamed"), expected);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn a_replica_and_its_aof_match_after_functions_scripts_and_transactions() {
    const LIBRARY: &str = "#!lua name=guard
        local function attempt(keys, args)
            local first = redis.call('AUTHLIMIT.CHECK', keys[1], args[1], args[2])
            if first[1] == 0 then return 0 end
            local second = redis.call('AUTHLIMIT.CHECK', keys[2], args[1], args[2])
            if second[1] == 0 then
                redis.call('AUTHLIMIT.REFUND', keys[1], args[1], args[2])
            end
            return second[1]
        end
        redis.register_function('attempt', attempt)";
    const SCRIPT: &str = "redis.call('AUTHLIMIT.POLICY', KEYS[1], 'EMAIL', '9/1h', 'PAIR', '2/1h', 'LOCK', '1h')
        redis.call('AUTHLIMIT.DENY', KEYS[1], 'ADD', '192.0.2.66')
        for i = 1, 4 do redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2]) end
        redis.call('AUTHLIMIT.CHECK', KEYS[1], '203.0.113.9', ARGV[2])
        return redis.call('AUTHLIMIT.UNLOCK', KEYS[1], 'EMAIL', ARGV[2])";
    let primary = Server::start();
    let mut replica =
        Server::builder().replica_of(&primary).arg("appendonly", "yes").arg("appendfsync", "always").start();
    wait_for_replica(&primary, &replica);
    let mut client = primary.connect();

    ok(&mut client, "AUTHLIMIT.POLICY byip IP 100/1h");
    ok(&mut client, "AUTHLIMIT.POLICY byemail EMAIL 3/1h");
    let loaded = command(&mut client, &["FUNCTION", "LOAD", LIBRARY]);
    assert!(loaded.is_ok(), "{loaded:?}");
    let call = ["FCALL", "attempt", "2", "byip", "byemail", IP, EMAIL];
    let admitted = (0..5).filter(|_| command(&mut client, &call) == Ok(Value::Int(1)));
    assert_eq!(admitted.count(), 3);
    let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", "byip", IP, EMAIL]);
    assert_eq!(peeked.remaining, 96, "attempts refused by the second limiter are refunded at the first");

    let unlocked = command(&mut client, &["EVAL", SCRIPT, "1", "scripted", IP, EMAIL]);
    assert!(matches!(unlocked, Ok(Value::Int(1..))), "{unlocked:?}");

    // One transaction with every command that writes, including a refused attempt and an error.
    ok(&mut client, "MULTI");
    let lines = [
        "AUTHLIMIT.POLICY transacted PAIR 2/1h LOCK 1h..4h",
        "AUTHLIMIT.CHECK transacted 203.0.113.7 alice@example.com",
        "AUTHLIMIT.CHECK transacted 203.0.113.7 alice@example.com COST 2",
        "AUTHLIMIT.CHECK transacted 203.0.113.7 bob@example.com COST 2",
        "AUTHLIMIT.REFUND transacted 203.0.113.7 bob@example.com",
        "AUTHLIMIT.RESET transacted 203.0.113.7 alice@example.com",
        "AUTHLIMIT.CHECK transacted unknown alice@example.com",
        "AUTHLIMIT.ALLOW transacted ADD 198.51.100.0/24 TTL 3600",
        "COPY transacted copied",
    ];
    for line in lines {
        let queued = send(&mut client, line);
        assert_eq!(queued, Ok(Value::SimpleString("QUEUED".to_owned())), "{line}");
    }
    let Ok(Value::Array(replies)) = send(&mut client, "EXEC") else {
        panic!("EXEC failed");
    };
    assert_eq!(replies.len(), lines.len());
    // A discarded transaction leaves no trace.
    ok(&mut client, "MULTI");
    assert!(send(&mut client, "AUTHLIMIT.CHECK given-up 203.0.113.7 alice@example.com").is_ok());
    ok(&mut client, "DISCARD");

    let keys = ["byip", "byemail", "scripted", "transacted", "copied"];
    wait_for_replica(&primary, &replica);
    let expected = keys.map(|key| digest(&mut client, key));
    let there = |replica: &Server| {
        let mut client = replica.connect();
        assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(5)));
        keys.map(|key| digest(&mut client, key))
    };
    assert_eq!(there(&replica), expected);
    // The replica's own append-only file, loaded without the primary, has the same limiters.
    replica.wait_for_aof();
    ok(&mut replica.connect(), "REPLICAOF NO ONE");
    ok(&mut replica.connect(), "CONFIG REWRITE");
    replica.restart(Save::No);
    assert_eq!(there(&replica), expected);
}
