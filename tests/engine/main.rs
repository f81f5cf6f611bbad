//! The engine, without a server: against a naive model, against its own replicas and stored copies, against hostile
//! bytes, and against attackers.
//!
//! `PROPTEST_CASES` sets how many random cases each property is tried with; the default is few enough for every build.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise, in its helper functions too"
)]

mod answers;
mod attacks;
mod bytes;
mod model;
mod replica;
