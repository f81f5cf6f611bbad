//! In a cluster, a limiter is where its key is: it is found, moved and taken over with all that it has counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::cluster::{Cluster, is_primary, node_id};
use crate::support::load::{
    COUNTING, LIMITERS, LIMITING, assert_same_load, is_locked, prepare, under_load,
};
use crate::support::replies::{CHECK, EMAIL, IP, ok, send};
use crate::support::{Verdict, command, verdict, wait_for_replica, wait_until};
use redis::Value;

/// Returns a function that makes attempts through a client that knows the cluster.
fn client_of(cluster: &Cluster) -> impl FnMut(&[&str]) -> Verdict + Send + use<> {
    let mut client = cluster.client();
    move |words| verdict(&mut client, words)
}

/// Checks that a shard's replica has the same limiters as its primary.
#[track_caller]
fn replica_is_the_same(cluster: &Cluster, primary: usize) {
    let primary = &cluster.nodes()[primary];
    let replica = &cluster.nodes()[cluster.replica_of(cluster.owner(COUNTING))];
    assert_same_load(primary, replica);
}

/// Makes a replica the primary of its shard, with the old one's consent, and waits until everybody knows.
#[track_caller]
fn fail_over(cluster: &Cluster, replica: usize) {
    let replica = &cluster.nodes()[replica];
    ok(&mut replica.connect(), "CLUSTER FAILOVER");
    wait_until("the replica takes over", || is_primary(replica));
    cluster.wait_until_whole();
}

#[test]
fn every_limiter_is_on_one_shard_and_its_replica() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let mut shards = [0; 3];
    for tenant in 0..30 {
        let keys = ["login", "signup"].map(|name| format!("{{tenant{tenant}}}:{name}"));
        let owner = cluster.owner(&keys[0]);
        assert_eq!(cluster.owner(&keys[1]), owner, "one tenant is on one shard");
        for key in &keys {
            let words = ["AUTHLIMIT.CHECK", key, IP, EMAIL];
            let mut admitted = 0;
            while verdict(&mut client, &words).allowed {
                admitted += 1;
            }
            assert_eq!(admitted, 5, "{key}");
        }
        shards[owner] += keys.len();
    }
    for (shard, keys) in shards.into_iter().enumerate() {
        assert!(keys > 0, "shard {shard} has no limiter: {shards:?}");
        let (primary, replica) = (
            &cluster.nodes()[shard],
            &cluster.nodes()[cluster.replica_of(shard)],
        );
        wait_for_replica(primary, replica);
        for node in [primary, replica] {
            let count = send(&mut node.connect(), "DBSIZE");
            assert_eq!(count, Ok(Value::Int(i64::try_from(keys).expect("few"))));
        }
    }
}

#[test]
fn the_wrong_node_says_which_is_the_right_one() {
    let cluster = Cluster::start();
    let owner = cluster.owner("login");
    let moved = format!(
        "MOVED {} 127.0.0.1:{}",
        cluster.slot("login"),
        cluster.nodes()[owner].port()
    );
    let lines = [
        "CHECK login 203.0.113.7 alice@example.com",
        "PEEK login 203.0.113.7 alice@example.com",
        "RESET login 203.0.113.7 alice@example.com",
        "REFUND login 203.0.113.7 alice@example.com",
        "POLICY login IP 5/1h",
        "INFO login",
        "UNLOCK login EMAIL alice@example.com",
        "ALLOW login LIST",
        "DENY login ADD 192.0.2.66",
        "EFFECT login x",
    ];
    for (number, node) in cluster.nodes().iter().enumerate() {
        if number == owner {
            continue;
        }
        let mut client = node.connect();
        for line in lines {
            let reply = send(&mut client, &format!("AUTHLIMIT.{line}"));
            assert_eq!(reply, Err(moved.clone()), "{line}");
        }
        assert_eq!(send(&mut client, "DBSIZE"), Ok(Value::Int(0)));
    }

    // A replica that is asked as one answers questions, and sends attempts to its primary.
    let primary = &cluster.nodes()[owner];
    let replica = &cluster.nodes()[cluster.replica_of(owner)];
    assert!(verdict(&mut primary.connect(), &CHECK).allowed);
    wait_for_replica(primary, replica);
    let mut client = replica.connect();
    ok(&mut client, "READONLY");
    let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", "login", IP, EMAIL]);
    assert_eq!((peeked.allowed, peeked.remaining), (true, 4));
    assert!(send(&mut client, "AUTHLIMIT.INFO login").is_ok());
    assert_eq!(command(&mut client, &CHECK), Err(moved));
}

#[test]
fn while_a_slot_moves_each_limiter_is_where_the_answers_say() {
    let cluster = Cluster::start();
    let owner = cluster.owner("{acme}:gone");
    let next = (owner + 1) % 3;
    let (source, target) = (&cluster.nodes()[owner], &cluster.nodes()[next]);
    let slot = cluster.slot("{acme}:gone");
    let (mut at_source, mut at_target, mut client) =
        (source.connect(), target.connect(), cluster.client());
    let check = |key| ["AUTHLIMIT.CHECK", key, IP, EMAIL];
    for key in ["{acme}:gone", "{acme}:still-there"] {
        assert_eq!(verdict(&mut client, &check(key)).remaining, 4);
    }
    cluster.begin_move(slot, owner, next);
    cluster.move_key("{acme}:gone", owner, next);

    let ask = format!("ASK {slot} 127.0.0.1:{}", target.port());
    let moved = format!("MOVED {slot} 127.0.0.1:{}", source.port());
    // One that has moved, and one that does not exist: the source must not create it again.
    for key in ["{acme}:gone", "{acme}:new"] {
        assert_eq!(
            command(&mut at_source, &check(key)),
            Err(ask.clone()),
            "{key}"
        );
        assert_eq!(
            command(&mut at_target, &check(key)),
            Err(moved.clone()),
            "{key}"
        );
    }
    ok(&mut at_target, "ASKING");
    assert_eq!(verdict(&mut at_target, &check("{acme}:gone")).remaining, 3);
    assert_eq!(
        verdict(&mut at_source, &check("{acme}:still-there")).remaining,
        3
    );
    // A client that follows the answers sees nothing of this.
    assert_eq!(verdict(&mut client, &check("{acme}:gone")).remaining, 2);
    assert_eq!(verdict(&mut client, &check("{acme}:new")).remaining, 4);
    assert_eq!(
        verdict(&mut client, &check("{acme}:still-there")).remaining,
        2
    );
    cluster.move_key("{acme}:still-there", owner, next);
    cluster.end_move(slot, next);
    assert_eq!(cluster.owner("{acme}:gone"), next);
    for (key, remaining) in [
        ("{acme}:gone", 1),
        ("{acme}:new", 3),
        ("{acme}:still-there", 1),
    ] {
        assert_eq!(
            verdict(&mut client, &check(key)).remaining,
            remaining,
            "{key}"
        );
    }
    for node in [source, &cluster.nodes()[cluster.replica_of(owner)]] {
        wait_for_replica(source, &cluster.nodes()[cluster.replica_of(owner)]);
        assert_eq!(send(&mut node.connect(), "DBSIZE"), Ok(Value::Int(0)));
    }
}

#[test]
fn no_attempt_is_lost_while_limiters_go_from_shard_to_shard() {
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
                    // The clients are sent to the other node with one limiter, and not with the next.
                    progress.wait_for(50);
                }
                cluster.end_move(slot, to);
                progress.wait_for(50);
            }
        },
    );
    tally.is_what_was_counted(&mut client);
    // Had nobody been told to ask elsewhere, this would not have been the test it is meant to be.
    for node in &cluster.nodes()[..3] {
        assert!(
            node.info("cmdstat_asking").is_some(),
            "nobody was sent to {}",
            node.port()
        );
    }
    replica_is_the_same(&cluster, cluster.owner(COUNTING));
}

#[test]
fn no_attempt_is_lost_when_the_servers_move_a_slot_by_themselves() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    prepare(&mut client);
    // Valkey has this since 9.0, and Redis another command for it since 8.4: elsewhere, there is nothing to test.
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
                    let owns = |node: usize| {
                        send(
                            &mut cluster.nodes()[node].connect(),
                            &format!("TYPE {COUNTING}"),
                        )
                        .is_ok()
                    };
                    owns(to) && !owns(from)
                });
                progress.wait_for(50);
            }
        },
    );
    tally.is_what_was_counted(&mut client);
    replica_is_the_same(&cluster, cluster.owner(COUNTING));
    // The limiters came as commands, none of which may have been refused.
    for node in &cluster.nodes()[..3] {
        let effects = node
            .info("cmdstat_AUTHLIMIT.EFFECT")
            .expect("every node was a target");
        assert!(
            effects.ends_with("rejected_calls=0,failed_calls=0"),
            "{effects}"
        );
    }
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
    tally.is_what_was_counted(&mut client);
    replica_is_the_same(&cluster, cluster.owner(COUNTING));
}

#[test]
fn what_a_replica_has_confirmed_outlives_its_primary() {
    const LIMIT: usize = 3000;
    const CLIENTS: usize = 4;
    let mut cluster = Cluster::start();
    let mut client = cluster.client();
    prepare(&mut client);
    ok(
        &mut client,
        &format!("AUTHLIMIT.POLICY {LIMITING} PAIR {LIMIT}/1d"),
    );
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
                while redis::cmd(check[0])
                    .arg(&check[1..])
                    .query::<Value>(&mut client)
                    .is_ok()
                {
                    admitted.fetch_add(1, Ordering::Relaxed);
                    let replicas = redis::cmd("WAIT").arg(1).arg(0).query::<usize>(&mut client);
                    if replicas.is_ok_and(|replicas| replicas == 1) {
                        confirmed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        wait_until("the clients are at it", || {
            confirmed.load(Ordering::Relaxed) >= 200
        });
        cluster.nodes_mut()[owner].kill_9();
    });
    let (admitted, confirmed) = (
        admitted.load(Ordering::Relaxed),
        confirmed.load(Ordering::Relaxed),
    );
    assert!(admitted < LIMIT, "the limit was reached too soon");

    wait_until("the replica takes over", || {
        is_primary(&cluster.nodes()[heir])
    });
    cluster.wait_until_whole();
    let mut client = cluster.client();
    let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", LIMITING, IP, EMAIL]);
    let counted = LIMIT - usize::try_from(peeked.remaining).expect("never negative");
    // What was on its way when the primary died, one command of each client, may be counted and not be answered.
    assert!(
        confirmed <= counted && counted <= admitted + CLIENTS,
        "{confirmed} {counted} {admitted}"
    );

    let more: usize = thread::scope(|scope| {
        let running: Vec<_> = (0..CLIENTS)
            .map(|_| client_of(&cluster))
            .map(|mut client| {
                scope.spawn(move || (0..).take_while(|_| client(&check).allowed).count())
            })
            .collect();
        running
            .into_iter()
            .map(|client| client.join().expect("no client fails"))
            .sum()
    });
    assert_eq!(counted + more, LIMIT);
    is_locked(&mut client);

    // Who comes back is a replica of who took over.
    cluster.nodes_mut()[owner].start_again();
    cluster.wait_until_whole();
    assert_eq!(
        (cluster.owner(LIMITING), cluster.replica_of(heir)),
        (heir, owner)
    );
    replica_is_the_same(&cluster, heir);
}

/// As docs/cluster.md advises for a limiter too hot for one shard.
#[test]
fn a_split_limiter_holds_both_limits_and_gives_back_what_the_second_part_refused() {
    const EMAIL_LIMIT: usize = 50;
    const ADDRESS_LIMIT: usize = 2 * EMAIL_LIMIT - 10;
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let policies = [
        ("login-ip:{3}", format!("IP {ADDRESS_LIMIT}/1d")),
        ("login-email:{9}", format!("EMAIL {EMAIL_LIMIT}/1d")),
        ("login-email:{4}", format!("EMAIL {EMAIL_LIMIT}/1d")),
    ];
    for (limiter, policy) in &policies {
        ok(&mut client, &format!("AUTHLIMIT.POLICY {limiter} {policy}"));
    }
    assert_ne!(cluster.owner(policies[0].0), cluster.owner(policies[1].0));
    // Several clients for one account until it refuses, and then for another until the address does.
    let mut left = ADDRESS_LIMIT;
    for (limiter, email) in [
        ("login-email:{9}", EMAIL),
        ("login-email:{4}", "bob@example.com"),
    ] {
        let by_address = ["login-ip:{3}", IP, email];
        let by_email = [limiter, IP, email];
        let admitted: usize = thread::scope(|scope| {
            let clients = (0..4).map(|_| cluster.client());
            let running: Vec<_> = clients
                .map(|mut client| {
                    let mut allowed = move || {
                        let mut check = |words: &[&str; 3]| {
                            verdict(
                                &mut client,
                                &[&["AUTHLIMIT.CHECK"], words.as_slice()].concat(),
                            )
                            .allowed
                        };
                        if !check(&by_address) {
                            return false;
                        }
                        if !check(&by_email) {
                            let refund = [&["AUTHLIMIT.REFUND"], by_address.as_slice()].concat();
                            assert_eq!(command(&mut client, &refund), Ok(Value::Int(1)));
                            return false;
                        }
                        true
                    };
                    scope.spawn(move || (0..EMAIL_LIMIT).filter(|_| allowed()).count())
                })
                .collect();
            let counts = running
                .into_iter()
                .map(|client| client.join().expect("no client fails"));
            counts.sum()
        });
        assert_eq!(admitted, left.min(EMAIL_LIMIT), "{limiter}");
        left -= admitted;
        let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", "login-ip:{3}", IP, email]);
        assert_eq!(usize::try_from(peeked.remaining), Ok(left));
    }
    assert_eq!(left, 0);
}
