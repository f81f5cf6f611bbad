//! What databases and languages take for one email, the module takes for one: every code point is compared with real
//! servers. `make test-databases` installs them and runs these tests, which `cargo test` ignores.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails at the first unexpected result, also in helpers"
)]

mod collation_elements;
mod fold_table;
mod mariadb;
mod merges;
mod postgresql;
mod python;
mod throwaway;
