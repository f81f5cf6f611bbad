//! Replicas: started, caught up, and compared with their primary.

use super::replies::{ok, send};
use super::snapshot::Lists;
use super::storm::snapshot;
use super::{Server, wait_until};
use redis::Value;

/// Stops the time of a primary's limiters, for longer than any test takes.
pub(crate) const PAUSE: &str = "CLIENT PAUSE 3600000 WRITE";

/// Starts a replica and waits until it has what its primary has.
#[track_caller]
pub(crate) fn replica_of(primary: &Server) -> Server {
    let replica = Server::builder().replica_of(primary).start();
    wait_for_replica(primary, &replica);
    replica
}

/// Checks that replicas have what their primary has of a storm, while nothing changes.
#[track_caller]
pub(crate) fn are_the_same(primary: &Server, replicas: &[&Server]) {
    let mut client = primary.connect();
    ok(&mut client, PAUSE);
    let expected = snapshot(&mut client, Lists::LeftOut);
    for replica in replicas {
        wait_for_replica(primary, replica);
        let found = snapshot(&mut replica.connect(), Lists::LeftOut);
        found.assert_same(&expected, "the replica");
    }
    ok(&mut client, "CLIENT UNPAUSE");
}

/// Waits until the replica has applied everything that the primary had done when this was called.
#[track_caller]
pub(crate) fn wait_for_replica(primary: &Server, replica: &Server) {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    // Later offsets of the primary do not matter, and its pings to replicas would make "equal" a moving target.
    let wanted = number(primary.info("master_repl_offset")).expect("every server has an offset");
    wait_until("the replica catches up", || {
        // The link first: while it is down, the offset may be one in the history of another primary.
        replica.info("master_link_status").as_deref() == Some("up")
            && number(replica.info("slave_repl_offset")).is_some_and(|offset| offset >= wanted)
    });
}

/// Lets a primary and its replica change places, and waits until they have.
#[track_caller]
pub(crate) fn change_places(primary: &Server, replica: &Server) {
    let line = format!("FAILOVER TO 127.0.0.1 {}", replica.port());
    // A replica that has just come is up to a second from being one to its primary.
    wait_until("the replica is online", || match send(&mut primary.connect(), &line) {
        Ok(Value::Okay) => true,
        Err(error) if error.ends_with("not online.") => false,
        other => panic!("{line}: {other:?}"),
    });
    wait_until("they change places", || {
        replica.info("role").as_deref() == Some("master") && primary.info("master_link_status").as_deref() == Some("up")
    });
}
