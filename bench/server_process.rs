//! A server that runs for a measurement, in its own process and folder, and clients to talk to it.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::{Connection, RedisResult, Value};
use tempfile::TempDir;

/// The settings of every server. A measurement may set them again.
const SETTINGS: [(&str, &str); 4] =
    [("bind", "127.0.0.1"), ("save", ""), ("appendonly", "no"), ("rdbcompression", "no")];

/// The file in the server's folder that holds its standard output.
const LOG: &str = "server.log";

/// How long a server may take to answer. Anything slower is an error.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    settings: Vec<(String, String)>,
    process: Child,
}

impl Server {
    /// Starts the server that `AUTHLIMIT_REDIS_SERVER` names, with settings of redis.conf, and waits until it answers.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("authlimit-bench-").expect("a temporary folder can be made");
        let port = free_port();
        let settings = SETTINGS.iter().chain(settings);
        let settings: Vec<_> = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let process = launch(folder.path(), port, &settings);
        let mut server = Self { folder, port, settings, process };
        server.wait_until_ready();
        server
    }

    /// Kills the server and starts it again with the same settings: it loads the files that it has written.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = launch(self.folder(), self.port, &self.settings);
        self.wait_until_ready();
    }

    /// Returns the port on the loopback interface.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder that the server writes its files to.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns what the server has logged so far.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.folder().join(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Connects a client.
    pub(crate) fn connect(&self) -> Connection {
        self.try_connect().expect("the server accepts clients")
    }

    /// Returns a field of `INFO everything`, such as `used_memory`.
    pub(crate) fn info(&self, field: &str) -> Option<String> {
        let text: String =
            redis::cmd("INFO").arg("everything").query(&mut self.connect()).expect("the server answers INFO");
        info_field(&text, field).map(str::to_owned)
    }

    /// Connects a client, or returns why that failed.
    fn try_connect(&self) -> RedisResult<Connection> {
        let address = format!("redis://{}:{}", Ipv4Addr::LOCALHOST, self.port);
        let client = redis::Client::open(address)?.get_connection_with_timeout(TIMEOUT)?;
        client.set_read_timeout(Some(TIMEOUT))?;
        client.set_write_timeout(Some(TIMEOUT))?;
        Ok(client)
    }

    /// Waits until the server has loaded its data, and panics with its log if it ends instead.
    fn wait_until_ready(&mut self) {
        wait_until("the server answers", || {
            let ended = self.process.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the server did not start:\n{}", self.log());
            let info = self.try_connect().and_then(|mut client| redis::cmd("INFO").query::<String>(&mut client));
            info.is_ok_and(|info| info_field(&info, "loading") == Some("0"))
        });
    }

    /// Ends the process.
    fn kill(&mut self) {
        self.process.kill().expect("it is our child");
        self.process.wait().expect("it is our child");
    }
}

impl Drop for Server {
    /// Ends the process, and prints the end of the log if the measurement has failed.
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of the server's log:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

/// Starts a server process in a folder.
fn launch(folder: &Path, port: u16, settings: &[(String, String)]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join(LOG)).expect("the folder is ours");
    let server = env::var_os("AUTHLIMIT_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    let mut command = Command::new(&server);
    command.args(["--port", &port.to_string()]);
    for (name, value) in settings {
        command.args([&format!("--{name}"), value]);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
    command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}; try make deps", server.display()))
}

/// Returns a port that no program listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Returns the module to measure: `AUTHLIMIT_MODULE`, or the one that cargo built together with this program.
pub(crate) fn module_path() -> PathBuf {
    let built = || {
        let name = format!("{}authlimit{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
        env::current_exe().expect("a program has a path").with_file_name(name)
    };
    let path = env::var_os("AUTHLIMIT_MODULE").map_or_else(built, PathBuf::from);
    path.canonicalize().unwrap_or_else(|error| panic!("no module at {}: {error}", path.display()))
}

/// Sends a command and returns the reply. Panics if the server answers with an error.
pub(crate) fn command<A: AsRef<[u8]>>(client: &mut Connection, words: &[A]) -> Value {
    let mut command = redis::Cmd::new();
    for word in words {
        command.arg(word.as_ref());
    }
    command.query(client).unwrap_or_else(|error| {
        let name = words.first().map_or_else(Default::default, |word| String::from_utf8_lossy(word.as_ref()));
        panic!("{name}: {error}")
    })
}

/// Waits until a condition holds, and panics with its description after a minute.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "waited {TIMEOUT:?} until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Returns a field of the text of an `INFO` reply.
fn info_field<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
}
