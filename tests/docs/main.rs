//! The pages: what README.md and docs show is what a server does.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops at the first surprise, in its helper functions too"
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
