//! A real server with its own process, folder and port, started and stopped by a test.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind::{NotFound, TimedOut, WouldBlock};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use redis::Connection;
use tempfile::TempDir;

use super::builder::Builder;
use super::files::{LOG, crash, info_field, tail};
use super::port::Port;
use super::{DEADLINE, command, wait_until};

/// The server's configuration file.
const CONFIG: &str = "redis.conf";

/// Whether a server saves its data when it shuts down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Save {
    /// `SHUTDOWN SAVE`: writes an RDB file.
    Yes,
    /// `SHUTDOWN NOSAVE`: leaves the files as they are.
    No,
}

/// A running server. Dropping it kills the server.
///
/// If the test has failed, the drop prints the end of the server's log. If the server or one of its child processes has
/// crashed, the drop fails the test.
#[derive(Debug)]
pub(crate) struct Server {
    binary: PathBuf,
    folder: TempDir,
    port: Port,
    /// Variables of the process.
    environment: Vec<(&'static str, PathBuf)>,
    /// None while the test has stopped the server.
    child: Option<Child>,
}

/// Why a server did not start.
enum StartError {
    /// Another process uses the port.
    PortTaken,
    /// The server exited; this is its log.
    Exited(String),
}

impl Server {
    /// Returns a builder for a server with the module.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a server with the module and default settings.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::builder().start()
    }

    /// Starts a server in its own folder, with the redis.conf that `config` returns. Returns the server's log if it
    /// exits during startup.
    pub(super) fn start_with(
        environment: &[(&'static str, PathBuf)],
        config: impl Fn(&Self) -> String,
    ) -> Result<Self, String> {
        let binary = env::var_os("AUTHLIMIT_REDIS_SERVER");
        let mut server = Self {
            binary: binary.unwrap_or_else(|| "redis-server".into()).into(),
            folder: TempDir::with_prefix("authlimit-test-").expect("a temporary folder"),
            port: Port::reserve(),
            environment: environment.to_vec(),
            child: None,
        };
        loop {
            // A file instead of arguments, because `CONFIG REWRITE` needs one.
            fs::write(server.folder().join(CONFIG), config(&server)).expect("the folder is writable");
            match server.launch() {
                Ok(()) => return Ok(server),
                Err(StartError::Exited(log)) => return Err(log),
                Err(StartError::PortTaken) => server.port = Port::reserve(),
            }
        }
    }

    /// Returns the port on the loopback interface.
    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// Returns the process id.
    #[track_caller]
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server is not running").id()
    }

    /// Returns the folder in which the server keeps its files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Connects a client that speaks RESP2.
    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        self.try_connect("", DEADLINE).expect("the server accepts clients")
    }

    /// Connects a client that speaks RESP3.
    #[track_caller]
    pub(crate) fn connect_resp3(&self) -> Connection {
        self.try_connect("?protocol=resp3", DEADLINE).expect("the server accepts clients")
    }

    /// Connects a client with a timeout for every command, so that a stuck server fails the test.
    fn try_connect(&self, options: &str, timeout: Duration) -> redis::RedisResult<Connection> {
        let address = format!("redis://{}:{}/{options}", Ipv4Addr::LOCALHOST, self.port());
        let client = redis::Client::open(address)?.get_connection_with_timeout(timeout)?;
        client.set_read_timeout(Some(timeout))?;
        client.set_write_timeout(Some(timeout))?;
        Ok(client)
    }

    /// Returns whether the process that the test started still answers.
    pub(crate) fn alive(&self) -> bool {
        self.child.is_some() && self.answers(DEADLINE)
    }

    /// Returns a field of `INFO everything`, such as `used_memory`.
    pub(crate) fn info(&self, field: &str) -> Option<String> {
        let text: String = redis::cmd("INFO").arg("everything").query(&mut self.connect()).expect("INFO answers");
        info_field(&text, field).map(str::to_owned)
    }

    /// Returns a field of `INFO everything` that is a number.
    #[track_caller]
    pub(crate) fn number<N: FromStr>(&self, field: &str) -> N {
        let text = self.info(field);
        let number = text.as_ref().and_then(|text| text.parse().ok());
        number.unwrap_or_else(|| panic!("{field}: {text:?}"))
    }

    /// Shuts down the server cleanly and waits until it has exited.
    #[track_caller]
    pub(crate) fn shutdown(&mut self, save: Save) {
        let mut client = self.connect();
        let word = if save == Save::Yes { "SAVE" } else { "NOSAVE" };
        // A server that shuts down closes the connection, so any reply means that it refused.
        if let Some(error) = redis::cmd("SHUTDOWN").arg(word).exec(&mut client).err()
            && error.is_io_error()
        {
            let mut child = self.child.take().expect("the server was running");
            let mut status = None;
            wait_until("the server exits", || {
                status = child.try_wait().expect("the server is a child process");
                status.is_some()
            });
            // A server that crashes during the shutdown also closes the connection.
            assert!(status.is_some_and(|status| status.success()), "{status:?}:\n{}", tail(&self.log(), 30));
        } else {
            panic!("SHUTDOWN {word} was refused:\n{}", tail(&self.log(), 10));
        }
    }

    /// Kills the server with SIGKILL, so that it cannot write anything more.
    pub(crate) fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the server is a child process");
            child.wait().expect("the server is a child process");
        }
    }

    /// Starts a stopped server again: same folder, same port, current redis.conf.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        if let Err(log) = self.try_start_again() {
            panic!("the server did not start again:\n{log}");
        }
    }

    /// Starts a stopped server again, or returns its log if it exits during startup.
    #[track_caller]
    pub(crate) fn try_start_again(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "the server is still running");
        let started = Instant::now();
        loop {
            match self.launch() {
                Ok(()) => return Ok(()),
                Err(StartError::Exited(log)) => return Err(log),
                // A foreign process uses the port and may soon release it.
                Err(StartError::PortTaken) => {
                    assert!(started.elapsed() < DEADLINE, "port {} stays in use", self.port());
                }
            }
        }
    }

    /// Shuts down the server cleanly and starts it again.
    #[track_caller]
    pub(crate) fn restart(&mut self, save: Save) {
        self.shutdown(save);
        self.start_again();
    }

    /// Rewrites the append-only file and waits for the end of the rewrite.
    #[track_caller]
    pub(crate) fn rewrite_aof(&self) {
        let started = command(&mut self.connect(), &["BGREWRITEAOF"]);
        assert!(started.is_ok(), "{started:?}");
        self.wait_for_aof();
        assert_eq!(self.info("aof_last_bgrewrite_status").as_deref(), Some("ok"), "{}", tail(&self.log(), 10));
    }

    /// Waits until no rewrite of the append-only file is running. A replica starts one after every full sync.
    #[track_caller]
    pub(crate) fn wait_for_aof(&self) {
        wait_until("the append-only file is rewritten", || {
            ["aof_rewrite_in_progress", "aof_rewrite_scheduled"]
                .iter()
                .all(|field| self.info(field).as_deref() == Some("0"))
        });
    }

    /// Starts the process and waits until it answers and has loaded its data.
    fn launch(&mut self) -> Result<(), StartError> {
        // Capture the output instead of a log file: panics and configuration errors do not reach a log file.
        let path = self.folder().join(LOG);
        let log = File::options().create(true).append(true).open(&path).expect("the folder is writable");
        let before = self.log_bytes().len();
        let child = Command::new(&self.binary)
            .arg(self.folder().join(CONFIG))
            .current_dir(self.folder())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the file handle can be cloned"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| match error.kind() {
                NotFound => panic!("no {}: run make deps, or set AUTHLIMIT_REDIS_SERVER", self.binary.display()),
                _ => panic!("cannot run {}: {error}", self.binary.display()),
            });
        self.child = Some(child);
        let started = Instant::now();
        while !self.answers(Duration::from_secs(1)) {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().expect("it is our child")) {
                self.child = None;
                let log = String::from_utf8_lossy(&self.log_bytes()[before..]).into_owned();
                return Err(match log.contains("Address already in use") {
                    true => StartError::PortTaken,
                    false => StartError::Exited(format!("{log}\n({status})")),
                });
            }
            assert!(started.elapsed() < DEADLINE, "the server does not answer:\n{}", tail(&self.log(), 30));
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Returns whether this server, not another process on the same port, answers and has loaded its data.
    fn answers(&self, timeout: Duration) -> bool {
        let info = self.try_connect("", timeout).and_then(|mut client| redis::cmd("INFO").query::<String>(&mut client));
        let pid = self.child.as_ref().map(|child| child.id().to_string());
        info.is_ok_and(|text| {
            info_field(&text, "process_id") == pid.as_deref() && info_field(&text, "loading") == Some("0")
        })
    }

    /// Returns whether the server has certainly exited. A server that is busy, stopped or asks for a password has not.
    fn is_gone(&self) -> bool {
        // Ask over the network: a crashed process and its open port exist for a moment after its clients were
        // disconnected. Any answer means that the server is alive.
        let address = (Ipv4Addr::LOCALHOST, self.port()).into();
        let answer = TcpStream::connect_timeout(&address, DEADLINE).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"PING\r\n")?;
            stream.read(&mut [0])
        });
        match answer {
            Ok(bytes) => bytes == 0,
            Err(error) => !matches!(error.kind(), WouldBlock | TimedOut),
        }
    }
}

impl Drop for Server {
    /// Kills the server, and panics if it had already exited.
    fn drop(&mut self) {
        let gone = self.child.is_some() && self.is_gone();
        self.kill_9();
        let log = fs::read(self.folder().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        if std::thread::panicking() {
            eprintln!("--- the end of the log of the server on port {}:\n{}\n---", self.port(), tail(&log, 30));
        } else if gone || crash(&log).is_some() {
            panic!("the server on port {}, or a child of it, crashed:\n{}", self.port(), tail(&log, 30));
        }
    }
}
