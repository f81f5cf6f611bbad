//! Replicas of a cluster that take over, with the old primary's consent and after its end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{client_of, replica_is_the_same};
use crate::support::cluster::{Cluster, is_primary};
use crate::support::load::{COUNTING, LIMITING, is_locked, prepare, under_load};
use crate::support::replies::{EMAIL, IP, ok};
use crate::support::{verdict, wait_for_replica, wait_until};
use redis::Value;

/// Makes a replica the primary of its shard, with the old one's consent, and waits until everybody knows.
#[track_caller]
fn fail_over(cluster: &Cluster, replica: usize) {
    let replica = &cluster.nodes()[replica];
    ok(&mut replica.connect(), "CLUSTER FAILOVER");
    wait_until("the replica takes over", || is_primary(replica));
    cluster.wait_until_stable();
}

#[test]
fn no_attempt_is_lost_when_a_replica_takes_over() {
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
    replica_is_the_same(&cluster, cluster.owner(COUNTING));
}

#[test]
fn what_a_replica_has_confirmed_outlives_its_primary() {
    const LIMIT: usize = 3000;
    const CLIENTS: usize = 4;
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    prepare(&mut client);
    ok(&mut client, &format!("AUTHLIMIT.POLICY {LIMITING} PAIR {LIMIT}/1d"));
    let check = ["AUTHLIMIT.CHECK", LIMITING, IP, EMAIL];
    let owner = cluster.owner(LIMITING);
    let heir = cluster.replica_of(owner);
    // The lock, too, has to be there before the end.
    wait_for_replica(&cluster.nodes()[owner], &cluster.nodes()[heir]);

    let (admitted, confirmed) = (&AtomicUsize::new(0), &AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let mut client = cluster.nodes()[owner].connect();
            scope.spawn(move || {
                // Until the primary is no more: replication does not wait for replicas, unless a client does.
                while redis::cmd(check[0]).arg(&check[1..]).query::<Value>(&mut client).is_ok() {
                    admitted.fetch_add(1, Ordering::Relaxed);
                    let replicas = redis::cmd("WAIT").arg(1).arg(0).query::<usize>(&mut client);
                    if replicas.is_ok_and(|replicas| replicas == 1) {
                        confirmed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        wait_until("the clients are at it", || confirmed.load(Ordering::Relaxed) >= 200);
        cluster.kill_primary(owner, heir);
    });
    let (admitted, confirmed) = (admitted.load(Ordering::Relaxed), confirmed.load(Ordering::Relaxed));
    assert!(admitted < LIMIT, "the limit was reached too soon");

    cluster.wait_until_stable();
    let mut client = cluster.client();
    let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", LIMITING, IP, EMAIL]);
    let counted = LIMIT - usize::try_from(peeked.remaining).expect("never negative");
    // What was on its way when the primary died, one command of each client, may be counted and not be answered.
    assert!(confirmed <= counted && counted <= admitted + CLIENTS, "{confirmed} {counted} {admitted}");

    let more: usize = thread::scope(|scope| {
        let running: Vec<_> = (0..CLIENTS)
            .map(|_| client_of(&cluster))
            .map(|mut client| scope.spawn(move || (0..).take_while(|_| client(&check).allowed).count()))
            .collect();
        running.into_iter().map(|client| client.join().expect("no client fails")).sum()
    });
    assert_eq!(counted + more, LIMIT);
    is_locked(&mut client);

    // Who comes back is a replica of who took over.
    cluster.nodes_mut()[owner].start_again();
    cluster.wait_until_stable();
    assert_eq!((cluster.owner(LIMITING), cluster.replica_of(heir)), (heir, owner));
    replica_is_the_same(&cluster, heir);
}
