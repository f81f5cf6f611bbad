//! A clock that a test drives.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::root;

/// The clock of a server that was started with it: it stands still until the test sets it.
#[derive(Debug)]
pub(crate) struct Clock {
    folder: TempDir,
    file: File,
}

impl Clock {
    /// Creates a clock that shows this time, in milliseconds since the Unix epoch.
    #[track_caller]
    pub(crate) fn new(millis: u64) -> Self {
        let folder = TempDir::with_prefix("authlimit-clock-").expect("a temporary folder");
        let file = File::create(folder.path().join("time")).expect("the folder is writable");
        let clock = Self { folder, file };
        clock.set(millis);
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(clock.library());
        let status = compiler.arg(root().join("tests/server/support/clock.c")).status();
        assert!(status.expect("cc runs").success());
        clock
    }

    /// Sets the clock.
    #[track_caller]
    pub(crate) fn set(&self, millis: u64) {
        self.file.write_all_at(&millis.to_ne_bytes(), 0).expect("the file is writable");
    }

    /// Returns the environment that makes a server show this clock.
    pub(super) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("LD_PRELOAD", self.library()), ("AUTHLIMIT_TEST_CLOCK", self.folder.path().join("time"))]
    }

    /// Returns the path of the library that the server loads.
    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }
}
