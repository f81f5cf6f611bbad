//! A real server, in its own process, folder and port, for as long as a test needs it.

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

/// The file that the server is configured by.
const CONFIG: &str = "redis.conf";

/// What a server that is shut down does with its data first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Save {
    /// `SHUTDOWN SAVE`: writes an RDB file.
    Yes,
    /// `SHUTDOWN NOSAVE`: leaves the files as they are.
    No,
}

/// A running server, which is killed when this is dropped.
///
/// If the test is failing then, the end of the server's log is printed; if the server, or a process of its own that
/// wrote a file, has crashed, a test that has not noticed fails.
#[derive(Debug)]
pub(crate) struct Server {
    binary: PathBuf,
    folder: TempDir,
    port: Port,
    /// None between an end that the test asked for and the next start.
    child: Option<Child>,
}

/// Why a server did not come up.
enum Refusal {
    /// Somebody else had the port.
    PortTaken,
    /// It ended by itself; what it logged.
    Ended(String),
}

impl Server {
    /// Begins the description of a server with the module in it.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a server with the module and nothing special.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::builder().start()
    }

    /// Starts a server in a folder of its own, with the redis.conf that `config` makes for it; otherwise returns what
    /// it logged before it ended by itself.
    pub(super) fn start_with(config: impl Fn(&Self) -> String) -> Result<Self, String> {
        let binary = env::var_os("AUTHLIMIT_REDIS_SERVER");
        let mut server = Self {
            binary: binary.unwrap_or_else(|| "redis-server".into()).into(),
            folder: TempDir::with_prefix("authlimit-test-").expect("a temporary folder"),
            port: Port::reserve(),
            child: None,
        };
        loop {
            // A file and not arguments, so that `CONFIG REWRITE` has something to rewrite.
            fs::write(server.folder().join(CONFIG), config(&server)).expect("the folder is ours");
            match server.launch() {
                Ok(()) => return Ok(server),
                Err(Refusal::Ended(log)) => return Err(log),
                Err(Refusal::PortTaken) => server.port = Port::reserve(),
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

    /// Connects a client whose every command has an answer within a time, so that a stuck server fails the test.
    fn try_connect(&self, options: &str, patience: Duration) -> redis::RedisResult<Connection> {
        let address = format!("redis://{}:{}/{options}", Ipv4Addr::LOCALHOST, self.port());
        let client = redis::Client::open(address)?.get_connection_with_timeout(patience)?;
        client.set_read_timeout(Some(patience))?;
        client.set_write_timeout(Some(patience))?;
        Ok(client)
    }

    /// Says whether the server still answers, and is the process that was started.
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

    /// Ends the server in good order and waits until it has.
    #[track_caller]
    pub(crate) fn shutdown(&mut self, save: Save) {
        let mut client = self.connect();
        let word = if save == Save::Yes { "SAVE" } else { "NOSAVE" };
        // A server that obeys closes the connection, so an answer of any kind is a refusal.
        if let Some(error) = redis::cmd("SHUTDOWN").arg(word).exec(&mut client).err()
            && error.is_io_error()
        {
            let mut child = self.child.take().expect("it was running just now");
            let mut status = None;
            wait_until("the server ends", || {
                status = child.try_wait().expect("it is our child");
                status.is_some()
            });
            // A server that crashed on its way out closes the connection as well.
            assert!(status.is_some_and(|status| status.success()), "{status:?}:\n{}", tail(&self.log(), 30));
        } else {
            panic!("SHUTDOWN {word} was refused:\n{}", tail(&self.log(), 10));
        }
    }

    /// Kills the server as a power cut would, leaving no time to write anything.
    pub(crate) fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
        }
    }

    /// Starts a server that was ended, in the same folder, on the same port, with redis.conf as it is now.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        if let Err(log) = self.try_start_again() {
            panic!("the server did not start again:\n{log}");
        }
    }

    /// Starts a server that was ended, or returns what it logged before it ended by itself.
    #[track_caller]
    pub(crate) fn try_start_again(&mut self) -> Result<(), String> {
        assert!(self.child.is_none(), "the server is still running");
        let started = Instant::now();
        loop {
            match self.launch() {
                Ok(()) => return Ok(()),
                Err(Refusal::Ended(log)) => return Err(log),
                // A program that is none of ours has the port; it may let go of it soon.
                Err(Refusal::PortTaken) => {
                    assert!(started.elapsed() < DEADLINE, "port {} is lost", self.port());
                }
            }
        }
    }

    /// Ends the server in good order and starts it again.
    #[track_caller]
    pub(crate) fn restart(&mut self, save: Save) {
        self.shutdown(save);
        self.start_again();
    }

    /// Rewrites the append-only file and waits until that is done.
    #[track_caller]
    pub(crate) fn rewrite_aof(&self) {
        let started = command(&mut self.connect(), &["BGREWRITEAOF"]);
        assert!(started.is_ok(), "{started:?}");
        self.wait_for_aof();
        assert_eq!(self.info("aof_last_bgrewrite_status").as_deref(), Some("ok"), "{}", tail(&self.log(), 10));
    }

    /// Waits until no rewrite of the append-only file is under way; a replica begins one after every full sync.
    #[track_caller]
    pub(crate) fn wait_for_aof(&self) {
        wait_until("the append-only file is rewritten", || {
            ["aof_rewrite_in_progress", "aof_rewrite_scheduled"]
                .iter()
                .all(|field| self.info(field).as_deref() == Some("0"))
        });
    }

    /// Starts the process and waits until it answers and has loaded its data.
    fn launch(&mut self) -> Result<(), Refusal> {
        // The log goes through the server's standard output: with it come panics and what the configuration's
        // parser says, neither of which reach a log file.
        let path = self.folder().join(LOG);
        let log = File::options().create(true).append(true).open(&path).expect("the folder is ours");
        let before = self.log_bytes().len();
        let child = Command::new(&self.binary)
            .arg(self.folder().join(CONFIG))
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
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
                    true => Refusal::PortTaken,
                    false => Refusal::Ended(format!("{log}\n({status})")),
                });
            }
            assert!(started.elapsed() < DEADLINE, "the server does not answer:\n{}", tail(&self.log(), 30));
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Says whether our server, not another's that happens to have the port, answers and has its data.
    fn answers(&self, patience: Duration) -> bool {
        let info =
            self.try_connect("", patience).and_then(|mut client| redis::cmd("INFO").query::<String>(&mut client));
        let pid = self.child.as_ref().map(|child| child.id().to_string());
        info.is_ok_and(|text| {
            info_field(&text, "process_id") == pid.as_deref() && info_field(&text, "loading") == Some("0")
        })
    }

    /// Says whether the server has certainly ended. One that is busy or stopped, or asks for a password, has not.
    fn is_gone(&self) -> bool {
        // Asked through the port: a process that has crashed is still there for a moment after its clients saw it go,
        // and so is its open port. An answer, whatever it says, is a sign of life.
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
    /// Ends the server, and complains if it has ended before.
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
