//! Tests of the engine without a server: against a naive model, its replicas and stored copies, hostile bytes, and
//! attackers.
//!
//! `PROPTEST_CASES` sets the number of random cases per property; the default is small enough for every build.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails at the first unexpected result, also in helpers"
)]

mod answers;
mod attacks;
mod bytes;
mod model;
mod replica;
