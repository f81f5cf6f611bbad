//! Configures and starts a server: its redis.conf, its module and the module's arguments.

use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::clock::Clock;
use super::server::Server;

/// Default lines of redis.conf. A test may override them.
const SETTINGS: &[(&str, &str)] = &[
    ("bind", "127.0.0.1"),
    ("save", ""),
    ("appendonly", "no"),
    // Compression would hide an email in a dump from the search for it.
    ("rdbcompression", "no"),
    // Otherwise the primary delays a full sync by five seconds, to serve more replicas with one child.
    ("repl-diskless-sync-delay", "0"),
    // A slow machine must not time out a replica. A replica that has died closes its connection.
    ("repl-timeout", "3600"),
    ("enable-debug-command", "local"),
    ("enable-module-command", "local"),
];

/// The configuration of a server that is not started yet.
#[derive(Clone, Default, Debug)]
pub(crate) struct Builder {
    without_module: bool,
    module_args: Vec<String>,
    settings: Vec<(String, String)>,
    environment: Vec<(&'static str, PathBuf)>,
}

/// Returns the path of the module under test: `AUTHLIMIT_MODULE`, or the module that cargo built with this test.
pub(crate) fn module_path() -> PathBuf {
    let path = env::var_os("AUTHLIMIT_MODULE").map_or_else(
        // Not target/<profile>/ one level up: only `cargo build` updates that copy, so it may be stale.
        || {
            let name = format!("{}authlimit{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
            env::current_exe().expect("a test has a path").with_file_name(name)
        },
        PathBuf::from,
    );
    path.canonicalize().unwrap_or_else(|error| panic!("no module at {}: {error}", path.display()))
}

impl Builder {
    /// Adds a line to redis.conf. The value may have several words; quote words that contain spaces.
    pub(crate) fn arg(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Enables the append-only file, with an fsync before every reply. Only a test starts a rewrite.
    pub(crate) fn aof(self, preamble: &str) -> Self {
        self.arg("appendonly", "yes")
            .arg("appendfsync", "always")
            .arg("aof-use-rdb-preamble", preamble)
            .arg("auto-aof-rewrite-percentage", "0")
    }

    /// Makes the server a replica of another server.
    pub(crate) fn replica_of(self, primary: &Server) -> Self {
        self.arg("replicaof", &format!("{} {}", Ipv4Addr::LOCALHOST, primary.port()))
    }

    /// Sets the arguments of the module in the `loadmodule` line.
    pub(crate) fn module_args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.module_args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Makes the server show a clock that the test drives.
    pub(crate) fn clock(mut self, clock: &Clock) -> Self {
        self.environment = clock.environment();
        self
    }

    /// Starts without the module, for a test that loads it later with `MODULE LOAD`.
    pub(crate) fn without_module(mut self) -> Self {
        self.without_module = true;
        self
    }

    /// Starts the server and waits until it answers; panics if it exits.
    #[track_caller]
    pub(crate) fn start(self) -> Server {
        match self.try_start() {
            Ok(server) => server,
            Err(log) => panic!("the server did not start:\n{log}"),
        }
    }

    /// Starts the server, or returns its log if it exits during startup.
    pub(crate) fn try_start(self) -> Result<Server, String> {
        Server::start_with(&self.environment, |server| self.config(server))
    }

    /// Returns the text of redis.conf.
    fn config(&self, server: &Server) -> String {
        let mut lines =
            vec![format!("port {}", server.port()), format!("dir {}", quoted(&server.folder().to_string_lossy()))];
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.iter().copied().chain(settings) {
            lines.push(format!("{name} {}", if value.is_empty() { "\"\"" } else { value }));
        }
        if !self.without_module {
            let words =
                [module_path().to_string_lossy().into_owned()].into_iter().chain(self.module_args.iter().cloned());
            let words: Vec<String> = words.map(|word| quoted(&word)).collect();
            lines.push(format!("loadmodule {}", words.join(" ")));
        }
        lines.join("\n") + "\n"
    }
}

/// Quotes a word for redis.conf.
fn quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for character in word.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted + "\""
}
