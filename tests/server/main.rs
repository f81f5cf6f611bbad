//! The module in a real server, over a socket.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise, in its helper functions too"
)]

mod commands;
mod durability;
mod hardening;
mod operation;
mod replication;
mod rules;
mod support;
