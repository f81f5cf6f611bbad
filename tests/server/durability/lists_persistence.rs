//! The allow and deny lists outlive a restart, and are the same on a replica.

use crate::support::lists::{decided_by, listed, policy, put, start};
use crate::support::replies::send;
use crate::support::{Save, Server, digest, wait_for_replica, wait_until};
use redis::Connection;

/// Adds ten thousand networks to both lists, a few emails, and entries that end.
#[track_caller]
fn fill(client: &mut Connection) {
    let mut pipeline = redis::pipe();
    for n in 0..10_000 {
        let entry = match n % 4 {
            0 => format!("2001:db8:{n:x}::/48"),
            _ => format!("10.{}.{}.0/24", n >> 8, n & 255),
        };
        let name = ["AUTHLIMIT.ALLOW", "AUTHLIMIT.DENY"][n / 5_000];
        let call = pipeline.cmd(name).arg("login").arg("ADD").arg(entry);
        if n % 3 == 0 {
            call.arg("TTL").arg(100_000 + n);
        }
    }
    for n in 0..100 {
        let call = pipeline.cmd("AUTHLIMIT.DENY").arg("login").arg("ADD");
        call.arg(format!("private{n}@confidential.example"));
    }
    let new: Vec<i64> = pipeline.query(client).expect("they are proper");
    assert_eq!(new, vec![1; 10_100]);
}

/// Says who decides some attempts, and how many entries there are.
#[track_caller]
fn decisions(client: &mut Connection) -> (Vec<String>, [usize; 2], [i64; 2]) {
    let attempts = [
        ("10.0.1.9", "a@x.org"),
        ("10.39.14.1", "a@x.org"),
        ("10.0.0.1", "a@x.org"),
        ("2001:db8:4::1", "a@x.org"),
        ("2001:db8:270c::1", "a@x.org"),
        ("192.0.2.1", "Private42@Confidential.example"),
        ("192.0.2.1", "private100@confidential.example"),
    ];
    let words = attempts.map(|(ip, email)| decided_by(client, ip, email));
    let (allow, deny) = (listed(client, "ALLOW"), listed(client, "DENY"));
    let networks = [allow.0.len(), deny.0.len()];
    (words.to_vec(), networks, [allow.1, deny.1])
}

/// What the lists that `fill` makes decide.
fn expected() -> (Vec<String>, [usize; 2], [i64; 2]) {
    let rule = "PAIR 2/1h";
    let words = ["ALLOW", "DENY", rule, "ALLOW", "DENY", "DENY", rule];
    (words.map(str::to_owned).to_vec(), [5_000, 5_000], [0, 100])
}

/// Checks that neither files nor log hold any email of the lists.
#[track_caller]
fn holds_no_email(server: &Server) {
    for part in ["rivate4", "onfidential"] {
        assert!(!server.grep_files(part.as_bytes()), "{part} is in a file");
        assert!(!server.grep_log(part.as_bytes()), "{part} is in the log");
    }
}

#[test]
fn ten_thousand_networks_decide_as_a_few_do() {
    let (_server, mut client) = start();
    fill(&mut client);
    assert_eq!(decisions(&mut client), expected());
}

#[test]
fn lists_are_the_same_after_a_restart_from_an_rdb_file() {
    let (mut server, mut client) = start();
    fill(&mut client);
    let before = digest(&mut client, "login");
    server.restart(Save::Yes);
    let mut client = server.connect();
    assert_eq!(digest(&mut client, "login"), before);
    assert_eq!(decisions(&mut client), expected());
    holds_no_email(&server);
}

#[test]
fn lists_are_the_same_after_a_restart_from_an_aof_rewritten_or_not() {
    for preamble in ["yes", "no"] {
        for rewritten in [false, true] {
            let mut server = Server::builder()
                .arg("appendonly", "yes")
                .arg("aof-use-rdb-preamble", preamble)
                .arg("auto-aof-rewrite-percentage", "0")
                .start();
            let mut client = server.connect();
            policy(&mut client);
            fill(&mut client);
            if rewritten {
                server.rewrite_aof();
            }
            // What comes after the rewrite is kept as well.
            put(&mut client, "DENY ADD 172.16.0.0/12");
            put(&mut client, "DENY DEL 172.16.0.0/12");
            let before = digest(&mut client, "login");
            server.restart(Save::No);
            let mut client = server.connect();
            assert_eq!(
                digest(&mut client, "login"),
                before,
                "{preamble} {rewritten}"
            );
            assert_eq!(decisions(&mut client), expected());
            holds_no_email(&server);
        }
    }
}

#[test]
fn lists_are_the_same_on_a_replica_whenever_it_joins() {
    let (primary, mut client) = start();
    let early = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &early);
    fill(&mut client);
    let late = Server::builder().replica_of(&primary).start();
    put(&mut client, "DENY ADD 172.16.0.0/12 TTL 1000");
    put(&mut client, "DENY DEL 10.39.15.0/24");
    put(&mut client, "ALLOW ADD 10.0.1.0/24");
    put(&mut client, "DENY DEL PRIVATE7@confidential.example");
    let before = digest(&mut client, "login");
    for replica in [&early, &late] {
        wait_for_replica(&primary, replica);
        let mut client = replica.connect();
        assert_eq!(digest(&mut client, "login"), before);
        assert_eq!(decided_by(&mut client, "172.16.0.1", "a@x.org"), "DENY");
        let email = "private7@confidential.example";
        assert_eq!(decided_by(&mut client, "192.0.2.1", email), "PAIR 2/1h");
    }
}

#[test]
fn a_change_of_policy_keeps_the_lists() {
    let (_server, mut client) = start();
    put(&mut client, "DENY ADD 10.0.0.0/8 TTL 1000");
    put(&mut client, "ALLOW ADD alice@x.org");
    send(&mut client, "AUTHLIMIT.POLICY login IP 9/1h IPV6-PREFIX 48").unwrap();
    assert_eq!(decided_by(&mut client, "10.0.0.1", "b@x.org"), "DENY");
    assert_eq!(decided_by(&mut client, "11.0.0.1", "alice@x.org"), "ALLOW");
}

#[test]
fn removing_an_entry_that_has_ended_leaves_primary_and_replica_the_same() {
    let (primary, mut client) = start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_for_replica(&primary, &replica);
    put(&mut client, "DENY ADD 10.0.0.1 TTL 1");
    wait_until("the entry ends", || {
        listed(&mut client, "DENY").0.is_empty()
    });
    assert_eq!(put(&mut client, "DENY DEL 10.0.0.1"), 0);
    wait_for_replica(&primary, &replica);
    let on_replica = digest(&mut replica.connect(), "login");
    assert_eq!(digest(&mut client, "login"), on_replica);
}
