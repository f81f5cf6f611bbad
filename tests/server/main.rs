//! Tests of the module in a real server, over a socket.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic, also in its helper functions"
)]

mod commands;
mod durability;
mod hardening;
// The naive model of a limiter, which the engine is compared with as well.
#[allow(dead_code, reason = "the engine's tests use more of it")]
#[path = "../engine/model/mod.rs"]
mod model;
mod operation;
mod replication;
mod rules;
mod support;
