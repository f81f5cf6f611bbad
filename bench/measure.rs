//! What a server tells about itself, and the machine that it and the client share.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use rustix::fs::FlockOperation;

use crate::report::{Versions, commit, cpu_model};
use crate::support::{Builder, Server, command, wait_until};

/// The core that servers run on.
const SERVER_CORE: usize = 0;

/// The core that the client runs on, where there are two.
const CLIENT_CORE: usize = 1;

/// Where servers are started and how they are told apart.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The versions of all that takes part.
    pub(crate) versions: Versions,
    /// The commands of the server, without any module, that the peers ask for.
    commands: Vec<String>,
}

impl Machine {
    /// Looks at the server that `AUTHLIMIT_REDIS_SERVER` names, and pins this process to its core.
    pub(crate) fn probe() -> Self {
        pin(CLIENT_CORE);
        let server = Server::start();
        let mut client = server.connect();
        let known = |name: &&str| {
            let reply = command(&mut client, &["COMMAND", "INFO", *name]);
            matches!(reply, Ok(Value::Array(rows)) if rows.iter().any(|row| *row != Value::Nil))
        };
        let commands = ["INCREX"].into_iter().filter(known).map(str::to_owned);
        let commands = commands.collect();
        let field = |name: &str| server.info(name);
        let (name, version) = match field("valkey_version") {
            Some(version) => ("Valkey", version),
            None => ("Redis", field("redis_version").expect("every server has one")),
        };
        Self {
            versions: Versions {
                server: name,
                server_version: version,
                module: format!("{} at {}", env!("CARGO_PKG_VERSION"), commit()),
                allocator: field("mem_allocator").unwrap_or_default(),
                cpu: cpu_model(),
                cores: available_parallelism_of_machine(),
            },
            commands,
        }
    }

    /// Whether the server has a command of its own.
    pub(crate) fn has_command(&self, name: &str) -> bool {
        self.commands.iter().any(|command| command == name)
    }

    /// Starts a server on the core of servers.
    pub(crate) fn start(&self, builder: Builder) -> Server {
        // Its threads and children inherit where it was started.
        pin(SERVER_CORE);
        let server = builder.start();
        pin(CLIENT_CORE);
        server
    }

    /// Starts an ended server again, on the core of servers.
    pub(crate) fn start_again(&self, server: &mut Server) {
        pin(SERVER_CORE);
        server.start_again();
        pin(CLIENT_CORE);
    }
}

/// Has this thread, and the processes that it starts, run on one core only, where there are two.
fn pin(core: usize) {
    if available_parallelism_of_machine() < 2 {
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

/// How many cores there are, however few of them this thread may use.
fn available_parallelism_of_machine() -> usize {
    use std::sync::OnceLock;
    static CORES: OnceLock<usize> = OnceLock::new();
    // Asked once, before this thread was pinned.
    *CORES.get_or_init(|| available_parallelism().map_or(1, usize::from))
}

/// How long others are kept off the machine before they have their turn.
const QUIET: Duration = Duration::from_secs(100);

/// Keeps others off the machine while it is held: an exclusive lock of the file that `AUTHLIMIT_BENCH_LOCK` names, for
/// machines on which builds take the same lock. Without it, nothing.
#[derive(Debug)]
pub(crate) struct Quiet {
    file: Option<File>,
    since: Instant,
}

impl Quiet {
    /// Waits for the lock.
    pub(crate) fn wait() -> Self {
        let open = |path| {
            let mut options = File::options();
            options.create(true).append(true).open(path)
        };
        let path = env::var_os("AUTHLIMIT_BENCH_LOCK");
        let mut quiet =
            Self { file: path.map(|path| open(path).expect("the lock's file can be opened")), since: Instant::now() };
        quiet.lock(FlockOperation::LockExclusive);
        quiet
    }

    /// Lets others have their turn, if they have waited long; call it where nothing is being timed.
    pub(crate) fn rest(&mut self) {
        if self.since.elapsed() > QUIET {
            self.lock(FlockOperation::Unlock);
            // Time for one of those who wait to take it.
            sleep(Duration::from_millis(100));
            self.lock(FlockOperation::LockExclusive);
        }
    }

    /// Locks or unlocks the file, if there is one.
    fn lock(&mut self, operation: FlockOperation) {
        if let Some(file) = &self.file {
            rustix::fs::flock(file, operation).expect("the file can be locked");
        }
        self.since = Instant::now();
    }
}

/// Forgets what the server has counted of commands so far.
pub(crate) fn reset_statistics(client: &mut Connection) {
    command(client, &["CONFIG", "RESETSTAT"]).expect("the server obeys");
}

/// How many microseconds the server has spent in a command since [`reset_statistics`], by its own count.
pub(crate) fn server_time(client: &mut Connection, name: &str) -> f64 {
    let text: String = redis::cmd("INFO").arg("commandstats").query(client).expect("the server answers");
    // Servers differ in whether they keep the capitals of a module's command.
    let prefix = format!("cmdstat_{name}:");
    let line = text.lines().find(|line| line.to_lowercase().starts_with(&prefix));
    let mut fields = line.into_iter().flat_map(|line| line.split([':', ',']));
    let usec = fields.find_map(|field| field.strip_prefix("usec="));
    usec.and_then(|usec| usec.parse().ok()).unwrap_or_else(|| panic!("no time of {name} in INFO commandstats"))
}

/// The bytes that the server has allocated, once all clients but the one that asks are gone: their buffers count, too.
pub(crate) fn used_memory(server: &Server) -> f64 {
    wait_until("the load's connections are closed", || server.info("connected_clients").as_deref() == Some("1"));
    number(server, "used_memory")
}

/// A number that `INFO` tells.
pub(crate) fn number(server: &Server, field: &str) -> f64 {
    let text = server.info(field);
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number {field} in INFO"))
}

/// How often a command took how long at most, in microseconds, since [`reset_statistics`]: the server's histogram, whose
/// steps double.
pub(crate) fn server_times(client: &mut Connection, name: &str) -> BTreeMap<i64, i64> {
    let reply = command(client, &["LATENCY", "HISTOGRAM", name]).expect("from Redis 7.0 on");
    let mut buckets = BTreeMap::new();
    let mut before = 0;
    for pair in histogram(&reply).chunks(2) {
        if let [Value::Int(limit), Value::Int(sum)] = pair {
            buckets.insert(*limit, sum - before);
            before = *sum;
        }
    }
    buckets
}

/// The innermost array of a reply to `LATENCY HISTOGRAM`: limits and cumulative counts in turn.
fn histogram(reply: &Value) -> &[Value] {
    match reply {
        Value::Array(values) if values.iter().all(|value| matches!(value, Value::Int(_))) => values,
        Value::Array(values) => values.iter().map(histogram).find(|found| !found.is_empty()).unwrap_or(&[]),
        _ => &[],
    }
}
