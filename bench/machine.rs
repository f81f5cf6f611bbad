//! The machine that the server and the client share: its cores, what runs on it, and a lock that keeps other work away.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use redis::Value;
use rustix::fs::FlockOperation;

use crate::server_process::{Server, command};

/// The core that servers run on.
const SERVER_CORE: usize = 0;

/// The core that the client runs on, if there are two.
const CLIENT_CORE: usize = 1;

/// Commands of the newest servers that a peer uses.
const OPTIONAL_COMMANDS: [&str; 1] = ["INCREX"];

/// The versions of everything that takes part in a measurement.
#[derive(Debug)]
pub(crate) struct Versions {
    /// `Redis` or `Valkey`.
    pub(crate) server: &'static str,
    /// The server's version.
    pub(crate) server_version: String,
    /// The module's version and commit.
    pub(crate) module: String,
    /// The server's memory allocator.
    pub(crate) allocator: String,
    /// The processor.
    pub(crate) cpu: String,
    /// The number of its cores.
    pub(crate) cores: usize,
}

/// Starts servers on their core, and knows what they are.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The versions of everything that takes part.
    pub(crate) versions: Versions,
    /// Those of [`OPTIONAL_COMMANDS`] that the server has.
    commands: Vec<&'static str>,
}

impl Machine {
    /// Starts a server to learn its version, and pins this process to the client's core.
    pub(crate) fn probe() -> Self {
        pin(CLIENT_CORE);
        let server = Server::start(&[]);
        let mut client = server.connect();
        let known = |name: &&str| {
            let reply = command(&mut client, &["COMMAND", "INFO", name]);
            matches!(reply, Value::Array(rows) if rows.iter().any(|row| *row != Value::Nil))
        };
        let commands = OPTIONAL_COMMANDS.into_iter().filter(known).collect();
        let field = |name: &str| server.info(name);
        let (name, version) = match field("valkey_version") {
            Some(version) => ("Valkey", version),
            None => ("Redis", field("redis_version").expect("every server has a version")),
        };
        let versions = Versions {
            server: name,
            server_version: version,
            module: format!("{} at {}", env!("CARGO_PKG_VERSION"), commit()),
            allocator: field("mem_allocator").unwrap_or_default(),
            cpu: cpu_model(),
            cores: core_count(),
        };
        Self { versions, commands }
    }

    /// Returns whether the server has one of the [`OPTIONAL_COMMANDS`].
    pub(crate) fn has_command(&self, name: &str) -> bool {
        self.commands.contains(&name)
    }

    /// Starts a server with these settings on the servers' core.
    pub(crate) fn start(&self, settings: &[(&str, &str)]) -> Server {
        on_server_core(|| Server::start(settings))
    }

    /// Starts a server again on the servers' core.
    pub(crate) fn restart(&self, server: &mut Server) {
        on_server_core(|| server.restart());
    }
}

/// Starts a process on the servers' core. Its threads and children inherit the core.
fn on_server_core<R>(start: impl FnOnce() -> R) -> R {
    pin(SERVER_CORE);
    let started = start();
    pin(CLIENT_CORE);
    started
}

/// Pins this thread, and the processes that it starts, to one core, if there are two.
fn pin(core: usize) {
    if core_count() < 2 {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(core);
        if let Err(error) = rustix::thread::sched_setaffinity(None, &cores) {
            eprintln!("not pinned to core {core}: {error}");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
}

/// Returns the number of cores that this process could use before it was pinned.
fn core_count() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| available_parallelism().map_or(1, usize::from))
}

/// Returns the last commit that changed the module's source, with a plus if there are changes since.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).args(["--", ":/src"]).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
        let output = command.output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    match git(&["log", "-1", "--format=%h"]) {
        Some(hash) if !hash.is_empty() => {
            let changes = git(&["status", "--porcelain"]).unwrap_or_default();
            format!("{hash}{}", if changes.is_empty() { "" } else { "+" })
        }
        _ => "an unknown commit".to_owned(),
    }
}

/// Returns the system's name for the processor.
fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("an unknown processor", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}

/// How long [`Quiet`] holds the lock before others may have it.
const HOLD: Duration = Duration::from_secs(100);

/// Keeps other work off the machine: holds an exclusive lock on the file that `AUTHLIMIT_BENCH_LOCK` names, if builds on
/// this machine take the same lock. Does nothing without that variable.
#[derive(Debug)]
pub(crate) struct Quiet {
    file: Option<File>,
    since: Instant,
}

impl Quiet {
    /// Waits for the lock.
    pub(crate) fn wait() -> Self {
        let open = |path| File::options().create(true).append(true).open(path).expect("the lock file can be opened");
        let mut quiet = Self { file: env::var_os("AUTHLIMIT_BENCH_LOCK").map(open), since: Instant::now() };
        quiet.lock(FlockOperation::LockExclusive);
        quiet
    }

    /// Gives the lock to others for once if it was held for long. Call it while nothing is being timed.
    pub(crate) fn rest(&mut self) {
        if self.since.elapsed() > HOLD {
            self.lock(FlockOperation::Unlock);
            // Enough time for another process to take it.
            sleep(Duration::from_millis(100));
            self.lock(FlockOperation::LockExclusive);
        }
    }

    /// Locks or unlocks the file.
    fn lock(&mut self, operation: FlockOperation) {
        if let Some(file) = &self.file {
            rustix::fs::flock(file, operation).expect("the file can be locked");
        }
        self.since = Instant::now();
    }
}
