//! What each fuzz target checks: a function of bytes that panics if a property does not hold.
//!
//! The properties, the operations of a limiter and the model are those of the engine's tests. Only here bytes that
//! libFuzzer mutates select them, by which code they reach, instead of a random generator. `tests/corpus.rs` runs every
//! file of the corpora without libFuzzer.
#![allow(dead_code, unused_imports, reason = "the engine's tests use more of their modules")]

#[path = "../../tests/engine/answers.rs"]
mod answers;
#[path = "../../tests/engine/bytes.rs"]
mod bytes;
#[path = "../../tests/engine/model/mod.rs"]
mod model;
#[path = "../../tests/engine/replica.rs"]
mod replica;

mod identities;
mod limiters;
mod stored;

pub use identities::{identity, policy};
pub use limiters::limiter;
pub use stored::{chunk, header, message};
