//! Tests of the module in a real server, over a socket.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic, also in its helper functions"
)]

mod commands;
mod durability;
mod hardening;
mod operation;
mod replication;
mod rules;
mod support;
