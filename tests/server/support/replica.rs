//! Replicas: started, caught up, and compared with their primary.

use super::{Server, snapshot, wait_until};

/// Starts a replica and waits until it has what its primary has.
#[track_caller]
pub(crate) fn replica_of(primary: &Server) -> Server {
    let replica = Server::builder().replica_of(primary).start();
    wait_for_replica(primary, &replica);
    replica
}

/// Checks that a replica has the same limiters as its primary, once it has caught up.
#[track_caller]
pub(crate) fn are_the_same(primary: &Server, replica: &Server) {
    wait_for_replica(primary, replica);
    let expected = snapshot(&mut primary.connect());
    assert_eq!(snapshot(&mut replica.connect()), expected);
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
