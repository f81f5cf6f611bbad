//! A promoted replica continues with the counts of its primary.

use std::time::Instant;

use crate::support::load::{assert_same_load, prepare, under_load};
use crate::support::replies::{CHECK, RESET, ok};
use crate::support::storm::Storm;
use crate::support::{
    DEADLINE, Server, Verdict, assert_replicas_match, change_places, command, replica_of, verdict, wait_for_replica,
};
use redis::{Connection, Value};

#[test]
fn a_promoted_replica_has_the_same_counts() {
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
    assert!(verdict(&mut client, &CHECK).allowed);
    assert!(!verdict(&mut client, &CHECK).allowed);
    assert_eq!(command(&mut client, &RESET), Ok(Value::Int(5)));
}

/// Returns a function that sends attempts to the current primary among some servers.
fn client_of_the_primary(servers: &[&Server]) -> impl FnMut(&[&str]) -> Verdict + Send + use<> {
    let mut clients: Vec<Connection> = servers.iter().map(|server| server.connect()).collect();
    move |words| {
        let started = Instant::now();
        loop {
            // A replica refuses without counting, so a retry on the next server is safe. The primary stays first.
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

#[test]
fn no_attempt_is_lost_when_primary_and_replica_swap_roles() {
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
    tally.assert_counted_once(&mut first.connect());
    assert_same_load(&first, &second);
    // The role swaps needed no further full sync.
    assert_eq!(first.number::<u64>("sync_full"), 1);
    assert_eq!(second.number::<u64>("sync_full"), 0);
}

#[test]
fn a_chain_of_replicas_stays_in_sync_when_its_first_two_servers_swap_roles() {
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
    tally.assert_counted_once(&mut middle.connect());
    assert_same_load(&middle, &first);
    assert_same_load(&middle, &last);
    Storm::new(23).send(&mut middle.connect(), 1_000);
    assert_replicas_match(&middle, &[&first, &last]);
}
