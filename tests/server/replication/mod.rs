//! Replicas and clusters.

mod cluster;
mod failover;
mod replica;
