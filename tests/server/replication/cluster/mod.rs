//! In a cluster, a limiter is where its key is: it is found, moved and taken over with all that it has counted.

mod failover;
mod routing;
mod slots;

use crate::support::cluster::Cluster;
use crate::support::load::{COUNTING, assert_same_load};
use crate::support::{Verdict, verdict};

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
