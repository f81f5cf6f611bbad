//! Which node serves a limiter, and how a client finds it.

use std::thread;

use crate::support::cluster::Cluster;
use crate::support::replies::{CHECK, EMAIL, IP, ok, send};
use crate::support::{command, verdict, wait_for_replica};
use redis::Value;

#[test]
fn every_limiter_is_on_one_shard_and_its_replica() {
    let cluster = Cluster::start();
    let mut client = cluster.client();
    let mut shards = [0; 3];
    for tenant in 0..30 {
        let keys = ["login", "signup"].map(|name| format!("{{tenant{tenant}}}:{name}"));
        let owner = cluster.owner(&keys[0]);
        assert_eq!(cluster.owner(&keys[1]), owner, "all limiters of a tenant are on one shard");
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
        let (primary, replica) = (&cluster.nodes()[shard], &cluster.nodes()[cluster.replica_of(shard)]);
        wait_for_replica(primary, replica);
        for node in [primary, replica] {
            let count = send(&mut node.connect(), "DBSIZE");
            assert_eq!(count, Ok(Value::Int(i64::try_from(keys).expect("few"))));
        }
    }
}

#[test]
fn a_node_without_the_slot_answers_with_moved() {
    let cluster = Cluster::start();
    let owner = cluster.owner("login");
    let moved = format!("MOVED {} 127.0.0.1:{}", cluster.slot("login"), cluster.nodes()[owner].port());
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
        "LIST login DENY",
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

    // After READONLY, a replica answers reads, and redirects attempts to its primary.
    let primary = &cluster.nodes()[owner];
    let replica = &cluster.nodes()[cluster.replica_of(owner)];
    assert!(verdict(&mut primary.connect(), &CHECK).allowed);
    wait_for_replica(primary, replica);
    let mut client = replica.connect();
    ok(&mut client, "READONLY");
    let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", "login", IP, EMAIL]);
    assert_eq!((peeked.allowed, peeked.remaining), (true, 3));
    assert!(send(&mut client, "AUTHLIMIT.INFO login").is_ok());
    assert_eq!(command(&mut client, &CHECK), Err(moved));
}

/// As docs/cluster.md advises if one shard cannot handle the load of a limiter.
#[test]
fn a_split_limiter_enforces_both_limits_and_refunds_what_the_second_part_refused() {
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
    // Several clients try one account until its limit, and then another account until the address's limit.
    let mut left = ADDRESS_LIMIT;
    for (limiter, email) in [("login-email:{9}", EMAIL), ("login-email:{4}", "bob@example.com")] {
        let by_address = ["login-ip:{3}", IP, email];
        let by_email = [limiter, IP, email];
        let admitted: usize = thread::scope(|scope| {
            let clients = (0..4).map(|_| cluster.client());
            let running: Vec<_> = clients
                .map(|mut client| {
                    let mut allowed = move || {
                        let mut check = |words: &[&str; 3]| {
                            verdict(&mut client, &[&["AUTHLIMIT.CHECK"], words.as_slice()].concat()).allowed
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
            let counts = running.into_iter().map(|client| client.join().expect("a client does not panic"));
            counts.sum()
        });
        assert_eq!(admitted, left.min(EMAIL_LIMIT), "{limiter}");
        left -= admitted;
        let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", "login-ip:{3}", IP, email]);
        // PEEK counts its own attempt, if that is allowed.
        assert_eq!(usize::try_from(peeked.remaining + i64::from(peeked.allowed)), Ok(left));
    }
    assert_eq!(left, 0);
}
