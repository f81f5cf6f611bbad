//! Helpers for tests against a real server: servers that start and stop with the test, and clients.
//!
//! A test file starts with one sentence about what it checks:
//!
//! ```ignore
//! //! Attempts are admitted up to the limit and no further.
//!
//! use crate::support::{Server, verdict};
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
//! Environment variables:
//!
//! - `AUTHLIMIT_MODULE`: the module to load. Default: the module that cargo built with the test.
//! - `AUTHLIMIT_REDIS_SERVER`: the server to start. Default: `redis-server`.
//! - `AUTHLIMIT_STORM`: the number of commands in a storm (see `storm`).
//! - `TMPDIR`: where the servers' folders are created.
//!
//! `make test` tests the release build. It runs the tests that start a server on three servers: the machine's own, and
//! the two that `tests/servers` downloads. To run one directory on one of these:
//!
//! ```sh
//! AUTHLIMIT_REDIS_SERVER="$(tests/servers valkey-9)" cargo test --test server replication
//! ```
//!
//! If a test expects different behaviour on another server, a comment explains why.

mod builder;
mod client;
mod clock;
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
    clock::Clock,
    random::Random,
    replica::{PAUSE, assert_replicas_match, change_places, replica_of, wait_for_replica},
    server::{Save, Server},
};

/// Returns the root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a text file of the repository.
#[track_caller]
pub(crate) fn page(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Timeout after which a test fails as stuck. Far longer than anything takes, even on a slow machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);

/// Retries until the outcome is the expected one. For tests that need several commands within a short window, for which
/// a slow machine sometimes takes too long. Each try must start from a clean state.
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

/// Waits until a condition is true; panics with its description after [`DEADLINE`].
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        let waited = started.elapsed();
        assert!(waited < DEADLINE, "timed out after {DEADLINE:?}: {what}");
        // Poll often at first and less often later: polling slows down what the test waits for.
        let pause = (waited / 10).clamp(Duration::from_millis(1), Duration::from_millis(50));
        std::thread::sleep(pause);
    }
}
