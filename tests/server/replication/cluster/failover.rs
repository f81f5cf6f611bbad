//! Failover in a cluster: coordinated with the old primary, and after its crash.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{assert_replica_matches, client_of};
use crate::support::cluster::{Cluster, is_primary};
use crate::support::load::{COUNTING, LIMITING, is_locked, prepare, under_load};
use crate::support::replies::{EMAIL, IP, ok};
use crate::support::{verdict, wait_for_replica, wait_until};
use redis::Value;

/// Promotes a replica with a coordinated failover, and waits until all nodes know it.
#[track_caller]
fn fail_over(cluster: &Cluster, replica: usize) {
    let replica = &cluster.nodes()[replica];
    ok(&mut replica.connect(), "CLUSTER FAILOVER");
    wait_until("the replica takes over", || is_primary(replica));
    cluster.wait_until_stable();
}

#[test]
fn no_attempt_is_lost_in_a_coordinated_failover() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    prepare(&mut client);
    let tally = under_load(
        || client_of(&cluster),
        |progress| {
            for _ in 0..2 {
                fail_over(&cluster, cluster.replica_of(cluster.owner(COUNTING)));
                progress.wait_for(50);
            }
        },
    );
    tally.assert_counted_once(&mut client);
    assert_replica_matches(&cluster, cluster.owner(COUNTING));
}

#[test]
fn attempts_confirmed_by_wait_survive_a_crash_of_the_primary() {
    const LIMIT: usize = 3000;
    const CLIENTS: usize = 4;
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    prepare(&mut client);
    ok(&mut client, &format!("AUTHLIMIT.POLICY {LIMITING} PAIR {LIMIT}/1d"));
    let check = ["AUTHLIMIT.CHECK", LIMITING, IP, EMAIL];
    let owner = cluster.owner(LIMITING);
    let replica = cluster.replica_of(owner);
    // The replica must have the lock, too, before the primary crashes.
    wait_for_replica(&cluster.nodes()[owner], &cluster.nodes()[replica]);

    let (admitted, confirmed) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut client = cluster.nodes()[owner].connect();
            scope.spawn(move || {
                // Until the primary crashes. Replication is asynchronous, so the client waits for the replica.
                while redis::cmd(check[0]).arg(&check[1..]).query::<Value>(&mut client).is_ok() {
                    admitted.fetch_add(1, Ordering::Relaxed);
                    let replicas = redis::cmd("WAIT").arg(1).arg(0).query::<usize>(&mut client);
                    if replicas.is_ok_and(|replicas| replicas == 1) {
                        confirmed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        wait_until("enough attempts are confirmed", || confirmed.load(Ordering::Relaxed) >= 200);
        cluster.kill_primary(owner, replica);
    });
    let (admitted, confirmed) = (admitted.load(Ordering::Relaxed), confirmed.load(Ordering::Relaxed));
    assert!(admitted < LIMIT, "the limit was reached too soon");

    cluster.wait_until_stable();
    let mut client = cluster.client();
    let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", LIMITING, IP, EMAIL]);
    // PEEK counts its own attempt.
    assert!(peeked.allowed, "{peeked:?}");
    let counted = LIMIT - usize::try_from(peeked.remaining).expect("never negative") - 1;
    // The last command of each client may be counted but not answered when the primary crashes.
    assert!(confirmed <= counted && counted <= admitted + CLIENTS, "{confirmed} {counted} {admitted}");

    let more: usize = thread::scope(|scope| {
        let running: Vec<_> = (0..CLIENTS)
            .map(|_| client_of(&cluster))
            .map(|mut client| scope.spawn(move || (0..).take_while(|_| client(&check).allowed).count()))
            .collect();
        running.into_iter().map(|client| client.join().expect("a client does not panic")).sum()
    });
    assert_eq!(counted + more, LIMIT);
    is_locked(&mut client);

    // After its restart, the old primary replicates the new one.
    cluster.nodes_mut()[owner].start_again();
    cluster.wait_until_stable();
    assert_eq!((cluster.owner(LIMITING), cluster.replica_of(replica)), (replica, owner));
    assert_replica_matches(&cluster, replica);
}
