//! Slot migration, and the limiters in the slots.

use super::{assert_replica_matches, client_of};
use crate::support::cluster::{Cluster, node_id};
use crate::support::load::{COUNTING, LIMITERS, prepare, under_load};
use crate::support::replies::{EMAIL, IP, ok, send};
use crate::support::{command, verdict, wait_for_replica, wait_until};
use redis::Value;

#[test]
fn during_a_slot_migration_redirects_lead_to_each_limiter() {
    let cluster = Cluster::start();
    let owner = cluster.owner("{acme}:gone");
    let next = (owner + 1) % 3;
    let (source, target) = (&cluster.nodes()[owner], &cluster.nodes()[next]);
    let slot = cluster.slot("{acme}:gone");
    let (mut at_source, mut at_target, mut client) = (source.connect(), target.connect(), cluster.client());
    let check = |key| ["AUTHLIMIT.CHECK", key, IP, EMAIL];
    for key in ["{acme}:gone", "{acme}:still-there"] {
        assert_eq!(verdict(&mut client, &check(key)).remaining, 4);
    }
    cluster.begin_move(slot, owner, next);
    cluster.move_key("{acme}:gone", owner, next);

    let ask = format!("ASK {slot} 127.0.0.1:{}", target.port());
    let moved = format!("MOVED {slot} 127.0.0.1:{}", source.port());
    // One limiter that has moved, and one that does not exist. The source must create neither.
    for key in ["{acme}:gone", "{acme}:new"] {
        assert_eq!(command(&mut at_source, &check(key)), Err(ask.clone()), "{key}");
        assert_eq!(command(&mut at_target, &check(key)), Err(moved.clone()), "{key}");
    }
    ok(&mut at_target, "ASKING");
    assert_eq!(verdict(&mut at_target, &check("{acme}:gone")).remaining, 3);
    assert_eq!(verdict(&mut at_source, &check("{acme}:still-there")).remaining, 3);
    // A client that follows redirects does not notice the migration.
    assert_eq!(verdict(&mut client, &check("{acme}:gone")).remaining, 2);
    assert_eq!(verdict(&mut client, &check("{acme}:new")).remaining, 4);
    assert_eq!(verdict(&mut client, &check("{acme}:still-there")).remaining, 2);
    cluster.move_key("{acme}:still-there", owner, next);
    cluster.end_move(slot, next);
    assert_eq!(cluster.owner("{acme}:gone"), next);
    for (key, remaining) in [("{acme}:gone", 1), ("{acme}:new", 3), ("{acme}:still-there", 1)] {
        assert_eq!(verdict(&mut client, &check(key)).remaining, remaining, "{key}");
    }
    for node in [source, &cluster.nodes()[cluster.replica_of(owner)]] {
        wait_for_replica(source, &cluster.nodes()[cluster.replica_of(owner)]);
        assert_eq!(send(&mut node.connect(), "DBSIZE"), Ok(Value::Int(0)));
    }
}

#[test]
fn no_attempt_is_lost_while_limiters_move_between_shards() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    prepare(&mut client);
    let slot = cluster.slot(COUNTING);
    let tally = under_load(
        || client_of(&cluster),
        |progress| {
            for _ in 0..6 {
                let from = cluster.owner(COUNTING);
                let to = (from + 1) % 3;
                cluster.begin_move(slot, from, to);
                progress.wait_for(50);
                for limiter in LIMITERS {
                    cluster.move_key(limiter, from, to);
                    // The source redirects clients for the limiters that have moved, and serves the others.
                    progress.wait_for(50);
                }
                cluster.end_move(slot, to);
                progress.wait_for(50);
            }
        },
    );
    tally.assert_counted_once(&mut client);
    // Proves that clients followed ASK redirects to every node during the migrations.
    for node in &cluster.nodes()[..3] {
        assert!(node.info("cmdstat_asking").is_some(), "no client was redirected to {}", node.port());
    }
    assert_replica_matches(&cluster, cluster.owner(COUNTING));
}

#[test]
fn no_attempt_is_lost_in_an_atomic_slot_migration() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    prepare(&mut client);
    // Valkey has this since 9.0. Redis has another command for it since 8.4. Skip the test on other servers.
    let words = ["CLUSTER", "GETSLOTMIGRATIONS"];
    if let Err(error) = command(&mut cluster.nodes()[0].connect(), &words) {
        assert!(error.contains("unknown subcommand"), "{error}");
        return;
    }
    let slot = cluster.slot(COUNTING);
    let tally = under_load(
        || client_of(&cluster),
        |progress| {
            for _ in 0..3 {
                let from = cluster.owner(COUNTING);
                let to = (from + 1) % 3;
                let target = node_id(&mut cluster.nodes()[to].connect());
                let line = format!("CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {target}");
                ok(&mut cluster.nodes()[from].connect(), &line);
                wait_until("every primary knows where the slot is", || {
                    let owns =
                        |node: usize| send(&mut cluster.nodes()[node].connect(), &format!("TYPE {COUNTING}")).is_ok();
                    owns(to) && !owns(from)
                });
                progress.wait_for(50);
            }
        },
    );
    tally.assert_counted_once(&mut client);
    assert_replica_matches(&cluster, cluster.owner(COUNTING));
    // The migration sends limiters as commands. No node may have rejected one.
    for node in &cluster.nodes()[..3] {
        let effects = node.info("cmdstat_AUTHLIMIT.EFFECT").expect("every node was a target");
        assert!(effects.ends_with("rejected_calls=0,failed_calls=0"), "{effects}");
    }
}
