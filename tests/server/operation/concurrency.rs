//! Concurrent commands, transactions and scripts never admit more attempts than the limit.

use std::sync::{Barrier, mpsc};
use std::thread;

use crate::support::replies::{CHECK, PEEK, RESET};
use crate::support::rules::start_with;
use crate::support::{Server, command, verdict};
use redis::{Connection, PushKind, Value};

const CLIENTS: usize = 50;
const ATTEMPTS_EACH: usize = 20;
const LIMIT: usize = 137;

/// Starts many clients at the same moment. Each makes its attempts and returns how many were admitted.
/// Checks that the sum is exactly the limit.
#[track_caller]
fn run_concurrently(server: &Server, attempts: impl Fn(&mut Connection) -> usize + Sync) {
    let start = &Barrier::new(CLIENTS);
    let attempts = &attempts;
    let clients: Vec<Connection> = (0..CLIENTS).map(|_| server.connect()).collect();
    let admitted: usize = thread::scope(|scope| {
        let running: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || {
                    start.wait();
                    attempts(&mut client)
                })
            })
            .collect();
        running.into_iter().map(|client| client.join().expect("no client fails")).sum()
    });
    assert_eq!(admitted, LIMIT);
    let mut client = server.connect();
    let verdict = verdict(&mut client, &PEEK);
    assert_eq!((verdict.allowed, verdict.remaining), (false, 0));
    let forgiven = command(&mut client, &RESET);
    assert_eq!(forgiven, Ok(Value::Int(LIMIT as i64)));
}

/// Counts the admitted attempts in the verdicts of a transaction.
#[track_caller]
fn admitted(verdicts: &[Value]) -> usize {
    let allowed = |verdict: &Value| match verdict {
        Value::Array(fields) if fields.len() == 6 => fields[0] == Value::Int(1),
        _ => panic!("not a verdict: {verdict:?}"),
    };
    verdicts.iter().filter(|verdict| allowed(verdict)).count()
}

/// Runs a transaction, and returns whether it was executed.
#[track_caller]
fn transaction_succeeds(client: &mut Connection) -> bool {
    assert_eq!(command(client, &["MULTI"]), Ok(Value::Okay));
    let queued = command(client, &["SET", "went", "through"]);
    assert_eq!(queued, Ok(Value::SimpleString("QUEUED".to_owned())));
    match command(client, &["EXEC"]) {
        Ok(Value::Array(replies)) => replies == [Value::Okay],
        Ok(Value::Nil) => false,
        other => panic!("EXEC: {other:?}"),
    }
}

#[test]
fn a_thousand_parallel_checks_admit_exactly_the_limit() {
    let (server, _) = start_with("PAIR 137/1h");
    run_concurrently(&server, |client| (0..ATTEMPTS_EACH).filter(|_| verdict(client, &CHECK).allowed).count());
}

#[test]
fn a_thousand_parallel_checks_admit_exactly_the_lowest_of_several_limits() {
    let (server, _) = start_with("IP 200/1h EMAIL 137/1d PAIR 150/1h");
    run_concurrently(&server, |client| (0..ATTEMPTS_EACH).filter(|_| verdict(client, &CHECK).allowed).count());
}

#[test]
fn parallel_transactions_admit_exactly_the_limit() {
    const EACH: usize = 4;
    let (server, _) = start_with("PAIR 137/1h");
    run_concurrently(&server, |client| {
        let mut count = 0;
        for _ in 0..ATTEMPTS_EACH / EACH {
            assert_eq!(command(client, &["MULTI"]), Ok(Value::Okay));
            for _ in 0..EACH {
                let queued = command(client, &CHECK);
                assert_eq!(queued, Ok(Value::SimpleString("QUEUED".to_owned())));
            }
            match command(client, &["EXEC"]) {
                Ok(Value::Array(verdicts)) => count += admitted(&verdicts),
                other => panic!("EXEC: {other:?}"),
            }
        }
        count
    });
}

#[test]
fn parallel_scripts_admit_exactly_the_limit() {
    const SCRIPT: &str = "local admitted = 0
        for i = 1, 4 do
            admitted = admitted + redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2])[1]
        end
        return admitted";
    let (server, _) = start_with("PAIR 137/1h");
    let [_, key, ip, email] = CHECK;
    run_concurrently(&server, |client| {
        (0..ATTEMPTS_EACH / 4)
            .map(|_| match command(client, &["EVAL", SCRIPT, "1", key, ip, email]) {
                Ok(Value::Int(count)) => usize::try_from(count).expect("not negative"),
                other => panic!("EVAL: {other:?}"),
            })
            .sum()
    });
}

#[test]
fn a_script_gets_the_error_of_the_command() {
    let server = Server::start();
    let mut client = server.connect();
    let script = "return redis.pcall('AUTHLIMIT.CHECK', KEYS[1], 'unknown', ARGV[1])";
    let error = command(&mut client, &["EVAL", script, "1", "login", "a@b.c"]).unwrap_err();
    assert!(error.starts_with("BADIP the ip is not one bare "), "{error}");
}

#[test]
fn only_commands_that_change_a_watched_limiter_abort_the_transaction() {
    let (server, _) = start_with("PAIR 1/1h");
    let (mut watcher, mut other) = (server.connect(), server.connect());
    let mut succeeds_after = |what: &[&str]| {
        assert_eq!(command(&mut watcher, &["WATCH", "login"]), Ok(Value::Okay));
        let reply = command(&mut other, what);
        assert!(reply.is_ok(), "{reply:?}");
        transaction_succeeds(&mut watcher)
    };
    let refund = [&["AUTHLIMIT.REFUND"], &CHECK[1..]].concat();
    let policy = ["AUTHLIMIT.POLICY", "login", "PAIR", "1/2h"];
    assert!(succeeds_after(&PEEK), "PEEK");
    assert!(succeeds_after(&RESET), "RESET of nothing");
    assert!(succeeds_after(&refund), "REFUND of nothing");
    assert!(!succeeds_after(&CHECK), "an admitted CHECK");
    assert!(succeeds_after(&CHECK), "a refused CHECK");
    assert!(succeeds_after(&["AUTHLIMIT.INFO", "login"]), "INFO");
    assert!(!succeeds_after(&refund), "REFUND");
    assert!(!succeeds_after(&CHECK), "an admitted CHECK");
    assert!(!succeeds_after(&RESET), "RESET");
    assert!(!succeeds_after(&policy), "POLICY");
    assert!(succeeds_after(&policy), "the same POLICY again");
}

#[test]
fn creating_a_limiter_under_a_watched_key_aborts_the_transaction() {
    let server = Server::start();
    let (mut watcher, mut other) = (server.connect(), server.connect());
    for creates in [false, true] {
        assert_eq!(command(&mut watcher, &["WATCH", "login"]), Ok(Value::Okay));
        verdict(&mut other, if creates { &CHECK } else { &PEEK });
        assert_eq!(transaction_succeeds(&mut watcher), !creates);
    }
}

#[test]
fn only_commands_that_change_a_limiter_invalidate_a_client_side_cache() {
    let (server, _) = start_with("PAIR 1/1h");
    let (mut caching, mut other) = (server.connect_resp3(), server.connect());
    let (sender, pushes) = mpsc::channel();
    caching.set_push_sender(sender);
    let tracking = command(&mut caching, &["CLIENT", "TRACKING", "ON"]);
    assert_eq!(tracking, Ok(Value::Okay));
    let mut invalidated_after = |what: &[&str]| {
        verdict(&mut caching, &PEEK);
        let reply = command(&mut other, what);
        assert!(reply.is_ok(), "{reply:?}");
        // An invalidation arrives before the reply to PING.
        assert!(command(&mut caching, &["PING"]).is_ok());
        pushes.try_iter().any(|push| push.kind == PushKind::Invalidate)
    };
    assert!(!invalidated_after(&PEEK), "PEEK");
    assert!(!invalidated_after(&RESET), "RESET of nothing");
    assert!(invalidated_after(&CHECK), "an admitted CHECK");
    assert!(!invalidated_after(&CHECK), "a refused CHECK");
    assert!(invalidated_after(&RESET), "RESET");
}
