//! Limiters are the same after every way of storing them, and on every replica.
//!
//! Every pair of a workload ([`workloads`]) and a way of storing ([`ways`]) is a test. To run one pair, all workloads
//! of one way, or one workload in all ways:
//!
//! ```sh
//! cargo test --test server matrix::rdb_file::storm
//! cargo test --test server matrix::rdb_file
//! cargo test --test server lists
//! ```
//!
//! `AUTHLIMIT_STORM` sets the number of commands in a storm. `make storm` runs storms with very many commands.

mod ways;
mod workloads;

use workloads::{Chunks, LongLists, Storming};

/// Defines a test for each pair of a way and a workload.
macro_rules! matrix {
    ($($name:ident: $way:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn storm() {
                $way(&mut Storming::new(stringify!($name)));
            }

            #[test]
            fn lists() {
                $way(&mut LongLists::default());
            }

            #[test]
            fn chunks() {
                $way(&mut Chunks::default());
            }
        }
    )*};
}

matrix! {
    rdb_file: ways::rdb_file;
    background_save: ways::background_save;
    debug_reload: ways::debug_reload;
    aof: |workload| ways::aof(workload, "yes");
    aof_without_preamble: |workload| ways::aof(workload, "no");
    rewritten_aof: |workload| ways::rewritten_aof(workload, "yes");
    rewritten_aof_without_preamble: |workload| ways::rewritten_aof(workload, "no");
    dump: ways::dump;
    copy: ways::copy;
    replicas: ways::replicas;
    replica_of_a_replica: ways::replica_of_a_replica;
    replica_that_was_away: ways::replica_that_was_away;
    replica_that_takes_over: ways::replica_that_takes_over;
    aof_of_a_replica: |workload| ways::aof_of_a_replica(workload, "yes");
    aof_of_a_replica_without_preamble: |workload| ways::aof_of_a_replica(workload, "no");
}
