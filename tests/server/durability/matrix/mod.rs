//! Whatever is put into limiters is the same after every way of storing it, and on every replica.
//!
//! Each workload ([`workloads`]) goes through each way ([`ways`]), and every such pair is a test. One of them, all of
//! one way, and all of one workload:
//!
//! ```sh
//! cargo test --test server matrix::rdb_file::storm
//! cargo test --test server matrix::rdb_file
//! cargo test --test server lists
//! ```
//!
//! `AUTHLIMIT_STORM` sets how many commands a storm has; `make storm` sends very many.

mod ways;
mod workloads;

use workloads::{Chunks, LongLists, Storming};

/// Makes a test of each pair of a way and a workload.
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
