//! Starts replicas, waits until they have caught up, and compares them with their primary.

use super::replies::{ok, send};
use super::storm::snapshot;
use super::{Server, wait_until};
use redis::Value;

/// Stops the clocks of a primary's limiters for longer than any test takes: without writes, the timer does not run.
pub(crate) const PAUSE: &str = "CLIENT PAUSE 3600000 WRITE";

/// Starts a replica and waits until it has caught up with its primary.
#[track_caller]
pub(crate) fn replica_of(primary: &Server) -> Server {
    let replica = Server::builder().replica_of(primary).start();
    wait_for_replica(primary, &replica);
    replica
}

/// Checks that replicas have the same limiters of a storm as their primary, whose writes are paused for the check.
#[track_caller]
pub(crate) fn assert_replicas_match(primary: &Server, replicas: &[&Server]) {
    let mut client = primary.connect();
    ok(&mut client, PAUSE);
    let expected = snapshot(&mut client);
    for replica in replicas {
        wait_for_replica(primary, replica);
        let found = snapshot(&mut replica.connect());
        found.assert_same(&expected, "the replica");
    }
    ok(&mut client, "CLIENT UNPAUSE");
}

/// Waits until the replica has applied everything that the primary had executed at the time of the call.
#[track_caller]
pub(crate) fn wait_for_replica(primary: &Server, replica: &Server) {
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    // Read once: the primary's pings keep increasing its offset.
    let wanted = number(primary.info("master_repl_offset")).expect("every server has an offset");
    wait_until("the replica catches up", || {
        // Check the link first: while it is down, the offset may belong to the history of another primary.
        replica.info("master_link_status").as_deref() == Some("up")
            && number(replica.info("slave_repl_offset")).is_some_and(|offset| offset >= wanted)
    });
}

/// Swaps the roles of a primary and its replica with a coordinated failover, and waits for its end.
#[track_caller]
pub(crate) fn change_places(primary: &Server, replica: &Server) {
    let line = format!("FAILOVER TO 127.0.0.1 {}", replica.port());
    // A primary may take up to a second to see a new replica as online.
    wait_until("the replica is online", || match send(&mut primary.connect(), &line) {
        Ok(Value::Okay) => true,
        Err(error) if error.ends_with("not online.") => false,
        other => panic!("{line}: {other:?}"),
    });
    wait_until("primary and replica swap roles", || {
        replica.info("role").as_deref() == Some("master") && primary.info("master_link_status").as_deref() == Some("up")
    });
}
