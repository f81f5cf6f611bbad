//! README.md and the pages in docs match what a real server does.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails at the first unexpected result, also in helpers"
)]

mod cli;
mod commands;
mod links;
mod manual;
mod pages;
mod policies;
mod sessions;
#[path = "../server/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests of the server use the rest")]
mod support;
