//! A replica that takes over, catches up or is filled anew, by whichever way the server has, holds what its primary
//! held.

use std::time::Instant;

use crate::support::load::{LIMITERS, prepare, under_load};
use crate::support::replies::{CHECK, EMAIL, IP, ok, send};
use crate::support::{
    Builder, DEADLINE, Random, Save, Server, Verdict, are_the_same, command, digest, replica_of,
    verdict, wait_for_replica, wait_until, workload,
};
use redis::{Connection, Value};

/// How many commands a workload has.
const STEPS: usize = 1_000;

/// Checks that a replica has the same limiters of a load as its primary, once it has caught up.
#[track_caller]
fn have_the_same_load(primary: &Server, replica: &Server) {
    wait_for_replica(primary, replica);
    for limiter in LIMITERS {
        let expected = digest(&mut primary.connect(), limiter);
        assert_eq!(
            digest(&mut replica.connect(), limiter),
            expected,
            "{limiter}"
        );
    }
}

/// Returns a number that INFO tells.
#[track_caller]
fn number(server: &Server, field: &str) -> u64 {
    let text = server
        .info(field)
        .unwrap_or_else(|| panic!("INFO has no {field}"));
    text.parse().expect("a number")
}

/// Returns a function that makes attempts at whichever of some servers is the primary.
fn client_of_the_primary(servers: &[&Server]) -> impl FnMut(&[&str]) -> Verdict + Send + use<> {
    let mut clients: Vec<Connection> = servers.iter().map(|server| server.connect()).collect();
    move |words| {
        let started = Instant::now();
        loop {
            // A replica refuses, having counted nothing, so to ask again is safe; the one that answers is kept first.
            match command(&mut clients[0], words) {
                Err(error) if error.starts_with("READONLY ") => {
                    assert!(started.elapsed() < DEADLINE, "no server is the primary");
                    clients.rotate_left(1);
                }
                Err(error) => panic!("{words:?}: {error}"),
                Ok(reply) => return Verdict::from_reply(&reply).expect("a verdict"),
            }
        }
    }
}

/// Lets a primary and its replica change places, and waits until they have.
#[track_caller]
fn change_places(primary: &Server, replica: &Server) {
    let line = format!("FAILOVER TO 127.0.0.1 {}", replica.port());
    // A replica that has just come is up to a second from being one to its primary.
    wait_until("the replica is online", || {
        match send(&mut primary.connect(), &line) {
            Ok(Value::Okay) => true,
            Err(error) if error.ends_with("not online.") => false,
            other => panic!("{line}: {other:?}"),
        }
    });
    wait_until("they change places", || {
        replica.info("role").as_deref() == Some("master")
            && primary.info("master_link_status").as_deref() == Some("up")
    });
}

#[test]
fn no_attempt_is_lost_when_primary_and_replica_change_places() {
    let first = Server::start();
    let second = replica_of(&first);
    prepare(&mut first.connect());
    let tally = under_load(
        || client_of_the_primary(&[&first, &second]),
        |progress| {
            for _ in 0..2 {
                change_places(&first, &second);
                progress.wait_for(50);
                change_places(&second, &first);
                progress.wait_for(50);
            }
        },
    );
    tally.is_what_was_counted(&mut first.connect());
    have_the_same_load(&first, &second);
    // The places changed, and nothing was copied anew.
    assert_eq!(number(&first, "sync_full"), 1);
    assert_eq!(number(&second, "sync_full"), 0);
}

#[test]
fn a_chain_of_replicas_goes_on_when_its_first_two_change_places() {
    let first = Server::start();
    let middle = replica_of(&first);
    let last = replica_of(&middle);
    prepare(&mut first.connect());
    let tally = under_load(
        || client_of_the_primary(&[&first, &middle]),
        |progress| {
            change_places(&first, &middle);
            progress.wait_for(50);
        },
    );
    tally.is_what_was_counted(&mut middle.connect());
    have_the_same_load(&middle, &first);
    have_the_same_load(&middle, &last);
    workload(&mut middle.connect(), &mut Random::new(23), STEPS);
    are_the_same(&middle, &first);
    are_the_same(&middle, &last);
}

#[test]
fn a_replica_that_lost_its_connection_is_sent_only_what_it_missed() {
    let primary = Server::start();
    let mut replica = replica_of(&primary);
    let mut random = Random::new(21);
    workload(&mut primary.connect(), &mut random, STEPS);
    wait_for_replica(&primary, &replica);

    let killed = send(&mut primary.connect(), "CLIENT KILL TYPE replica");
    assert!(matches!(killed, Ok(Value::Int(1..))), "{killed:?}");
    workload(&mut primary.connect(), &mut random, STEPS);
    are_the_same(&primary, &replica);
    assert_eq!(number(&primary, "sync_partial_ok"), 1);

    // One that ends in good order knows from its file where it was.
    replica.shutdown(Save::Yes);
    workload(&mut primary.connect(), &mut random, STEPS);
    replica.start_again();
    are_the_same(&primary, &replica);
    assert_eq!(number(&primary, "sync_partial_ok"), 2);
    assert_eq!(number(&primary, "sync_full"), 1);
}

#[test]
fn a_replica_that_missed_too_much_is_filled_anew() {
    // The least that there can be.
    let primary = Server::builder().arg("repl-backlog-size", "16kb").start();
    let mut replica = replica_of(&primary);
    let mut random = Random::new(22);
    workload(&mut primary.connect(), &mut random, STEPS);
    wait_for_replica(&primary, &replica);
    replica.shutdown(Save::Yes);
    workload(&mut primary.connect(), &mut random, 3 * STEPS);
    replica.start_again();
    are_the_same(&primary, &replica);
    assert_eq!(number(&primary, "sync_full"), 2);
}

/// Says whether the servers of this test run know a setting.
fn is_known(setting: &str) -> bool {
    let server = Server::start();
    let reply = send(&mut server.connect(), &format!("CONFIG GET {setting}"));
    let pair: Vec<String> = redis::from_redis_value(reply.expect("an answer")).expect("text");
    !pair.is_empty()
}

/// Fills a replica that has data of its own from a primary in use, both with these settings.
#[track_caller]
fn is_filled_by(settings: &[(&str, &str)]) {
    let with = |builder: Builder| {
        settings
            .iter()
            .fold(builder, |builder, (name, value)| builder.arg(name, value))
    };
    let primary = with(Server::builder()).start();
    workload(&mut primary.connect(), &mut Random::new(24), STEPS);
    prepare(&mut primary.connect());
    let replica = with(Server::builder()).start();
    assert!(verdict(&mut replica.connect(), &CHECK).allowed);
    let tally = under_load(
        || client_of_the_primary(&[&primary]),
        |progress| {
            let line = format!("REPLICAOF 127.0.0.1 {}", primary.port());
            ok(&mut replica.connect(), &line);
            wait_for_replica(&primary, &replica);
            progress.wait_for(50);
        },
    );
    are_the_same(&primary, &replica);
    have_the_same_load(&primary, &replica);
    ok(&mut replica.connect(), "REPLICAOF NO ONE");
    tally.is_what_was_counted(&mut replica.connect());
}

#[test]
fn a_replica_is_filled_by_whichever_way_there_is() {
    for through in ["yes", "no"] {
        for load in ["disabled", "on-empty-db", "swapdb"] {
            is_filled_by(&[
                ("repl-diskless-sync", through),
                ("repl-diskless-load", load),
            ]);
        }
    }
    // A second connection for the file, while the first goes on with what happens: Redis has it since 8.0 and Valkey
    // since 8.0, each by its own name, and only where nothing goes through the disk.
    for setting in ["repl-rdb-channel", "dual-channel-replication-enabled"] {
        if is_known(setting) {
            for way in ["yes", "no"] {
                is_filled_by(&[(setting, way), ("repl-diskless-sync", "yes")]);
            }
        }
    }
}

#[test]
fn a_replica_is_the_same_after_functions_scripts_and_transactions() {
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
    const SCRIPT: &str =
        "redis.call('AUTHLIMIT.POLICY', KEYS[1], 'EMAIL', '9/1h', 'PAIR', '2/1h', 'LOCK', '1h')
        redis.call('AUTHLIMIT.DENY', KEYS[1], 'ADD', '192.0.2.66')
        for i = 1, 4 do redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2]) end
        redis.call('AUTHLIMIT.CHECK', KEYS[1], '203.0.113.9', ARGV[2])
        return redis.call('AUTHLIMIT.UNLOCK', KEYS[1], 'EMAIL', ARGV[2])";
    let primary = Server::start();
    let mut replica = Server::builder()
        .replica_of(&primary)
        .arg("appendonly", "yes")
        .arg("appendfsync", "always")
        .start();
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
    assert_eq!(
        peeked.remaining, 97,
        "what the second refused is refunded at the first"
    );

    let unlocked = command(&mut client, &["EVAL", SCRIPT, "1", "scripted", IP, EMAIL]);
    assert!(matches!(unlocked, Ok(Value::Int(1..))), "{unlocked:?}");

    // One transaction of every command that changes something, a refused one and an error among them.
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
        assert_eq!(
            queued,
            Ok(Value::SimpleString("QUEUED".to_owned())),
            "{line}"
        );
    }
    let Ok(Value::Array(replies)) = send(&mut client, "EXEC") else {
        panic!("the transaction did not go through");
    };
    assert_eq!(replies.len(), lines.len());
    // One that is given up leaves nothing.
    ok(&mut client, "MULTI");
    assert!(
        send(
            &mut client,
            "AUTHLIMIT.CHECK given-up 203.0.113.7 alice@example.com"
        )
        .is_ok()
    );
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
    // Nor does its own file, read without the primary, tell anything else.
    replica.wait_for_aof();
    ok(&mut replica.connect(), "REPLICAOF NO ONE");
    ok(&mut replica.connect(), "CONFIG REWRITE");
    replica.restart(Save::No);
    assert_eq!(there(&replica), expected);
}
