//! Replicas and clusters.

mod catch_up;
mod cluster;
mod failover;
mod replica;
mod scripts;
