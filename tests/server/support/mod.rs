//! What every test of a real server uses: servers that start and end with the test, and clients to talk to them.
//!
//! A test file begins with one sentence that says which concern it checks, the one lint that a test cannot live
//! with, and this module:
//!
//! ```ignore
//! //! Attempts are admitted up to the limit and no further.
//! #![allow(clippy::arithmetic_side_effects, reason = "a test that overflows has failed, as it should")]
//!
//! mod support;
//!
//! use support::{Server, verdict};
//!
//! #[test]
//! fn the_first_attempt_is_admitted() {
//!     let server = Server::start();
//!     let mut client = server.connect();
//!     let verdict = verdict(&mut client, &["AUTHLIMIT.CHECK", "login", "203.0.113.7", "alice@example.com"]);
//!     assert!(verdict.allowed, "{verdict:?}");
//! }
//! ```
//!
//! `clippy.toml` lets a `#[test]` function unwrap, expect, index and panic; a helper function beside it may too if the
//! file's `allow` names `clippy::unwrap_used`, `expect_used`, `indexing_slicing` or `panic` as well.
//!
//! Four things come from the environment: `AUTHLIMIT_MODULE`, the module to load (otherwise the one that cargo built
//! together with the running test); `AUTHLIMIT_REDIS_SERVER`, the server to load it into (otherwise `redis-server`);
//! `AUTHLIMIT_STORM`, how many commands a storm has (see `storm`); and `TMPDIR`, where the servers' folders go.
//! `make test` gives the release build, and runs every file that says `mod support;` on three servers: the machine's own,
//! and those that `tests/servers` brings. One file on one of these:
//!
//! ```sh
//! AUTHLIMIT_REDIS_SERVER="$(tests/servers valkey-9)" cargo test --test replication
//! ```
//!
//! A test that expects something else of another server says why.

mod builder;
mod client;
pub(crate) mod cluster;
pub(crate) mod dump;
mod files;
pub(crate) mod hostile;
pub(crate) mod listener;
pub(crate) mod lists;
pub(crate) mod load;
mod port;
mod random;
mod replica;
pub(crate) mod replies;
pub(crate) mod rules;
mod server;
pub(crate) mod snapshot;
pub(crate) mod storm;

use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use {
    builder::{Builder, module_path},
    client::{Verdict, batch, command, digest, raw_command, verdict},
    random::Random,
    replica::{PAUSE, are_the_same, change_places, replica_of, wait_for_replica},
    server::{Save, Server},
};

/// Returns where the repository is.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a text file of the repository.
#[track_caller]
pub(crate) fn page(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// How long anything may take before a test calls it stuck: far beyond what is ever needed, on a busy machine too.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);

/// Does something again until its outcome is the expected one: for what needs several commands within a short window,
/// for which a busy machine is too slow now and then. Whatever it does has to start afresh each time.
#[track_caller]
pub(crate) fn retry_until_equal<T: PartialEq + Debug>(expected: T, mut outcome: impl FnMut() -> T) {
    const TRIES: usize = 50;
    let mut last = outcome();
    for _ in 1..TRIES {
        if last == expected {
            return;
        }
        last = outcome();
    }
    assert_eq!(last, expected, "after {TRIES} tries");
}

/// Waits until something is so, and panics with its description if it is not within the deadline.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !so() {
        let waited = started.elapsed();
        assert!(waited < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        // Soon at first, and seldom where it takes long: asking takes time from what is waited for.
        let pause = (waited / 10).clamp(Duration::from_millis(1), Duration::from_millis(50));
        std::thread::sleep(pause);
    }
}
