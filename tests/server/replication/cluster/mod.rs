//! In a cluster, a limiter is on the node that owns its key's slot. Clients find it there, and slot migrations and
//! failovers keep its counts.

mod failover;
mod routing;
mod slots;

use crate::support::cluster::Cluster;
use crate::support::load::{COUNTING, assert_same_load};
use crate::support::{Verdict, verdict};

/// Returns a function that sends attempts through a cluster client.
fn client_of(cluster: &Cluster) -> impl FnMut(&[&str]) -> Verdict + Send + use<> {
    let mut client = cluster.client();
    move |words| verdict(&mut client, words)
}

/// Checks that a shard's replica has the same limiters as its primary.
#[track_caller]
fn assert_replica_matches(cluster: &Cluster, primary: usize) {
    let primary = &cluster.nodes()[primary];
    let replica = &cluster.nodes()[cluster.replica_of(cluster.owner(COUNTING))];
    assert_same_load(primary, replica);
}
