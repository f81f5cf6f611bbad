//! What a peer is: the commands of a login, how to read the replies, and what its server needs.

use crate::machine::Machine;
use crate::server_process::{Server, command, module_path};

/// One login, as a peer writes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    /// The address, as text.
    pub(crate) address: &'a [u8],
    /// The email.
    pub(crate) email: &'a [u8],
    /// The client's time in milliseconds.
    pub(crate) now: u64,
    /// A number that no other login of this load has.
    pub(crate) serial: u64,
}

/// The first integers of a reply, 0 if there are fewer.
pub(crate) type ReplyIntegers = [i64; 2];

/// The kind of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A plain command, which limits nothing.
    Yardstick,
    /// This module.
    Module,
    /// A script that decides about the address and the email in one call.
    DualScript,
    /// A script or command that is called once for the address and once for the email.
    OneSubject,
}

/// The limit and window that a peer enforces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// Attempts per window.
    pub(crate) limit: u32,
    /// The window in seconds.
    pub(crate) window: u32,
}

/// Writes the commands of a login.
type Writer = Box<dyn Fn(&Login<'_>, &mut Vec<u8>)>;

/// One of the compared limiters or commands.
pub(crate) struct Peer {
    /// Its name in tables and charts.
    pub(crate) name: &'static str,
    /// Its kind.
    pub(crate) kind: Kind,
    /// The number of commands per login.
    pub(crate) calls: usize,
    /// The name of its command in `INFO commandstats`.
    pub(crate) statistics: &'static str,
    /// Its script, if it is one.
    pub(super) script: Option<&'static str>,
    /// Writes the commands of a login.
    pub(crate) write: Writer,
    /// Returns whether a reply with these first two integers admits the attempt.
    pub(crate) admits: Box<dyn Fn(ReplyIntegers) -> bool>,
    /// The path of another module that it needs.
    pub(super) module: Option<String>,
    /// A command to send to a new server.
    pub(super) prepare: Vec<String>,
}

impl Peer {
    /// Makes a peer that takes one call, and admits an attempt by a first integer of 1.
    pub(super) fn new(
        name: &'static str,
        kind: Kind,
        statistics: &'static str,
        write: impl Fn(&Login<'_>, &mut Vec<u8>) + 'static,
    ) -> Self {
        Self {
            name,
            kind,
            calls: 1,
            statistics,
            script: None,
            write: Box::new(write),
            admits: Box::new(|[allowed, _]| allowed == 1),
            module: None,
            prepare: Vec::new(),
        }
    }

    /// Starts a server for this peer alone and prepares it.
    pub(crate) fn start(&self, machine: &Machine, settings: &[(&str, &str)]) -> Server {
        let module = match self.kind {
            Kind::Module => Some(module_path().to_string_lossy().into_owned()),
            Kind::Yardstick | Kind::DualScript | Kind::OneSubject => self.module.clone(),
        };
        let mut settings = settings.to_vec();
        settings.extend(module.as_deref().map(|path| ("loadmodule", path)));
        let server = machine.start(&settings);
        self.prepare(&server);
        server
    }

    /// Loads the script and sends the command that the peer needs before the first login.
    pub(crate) fn prepare(&self, server: &Server) {
        let mut client = server.connect();
        if let Some(script) = self.script {
            command(&mut client, &["SCRIPT", "LOAD", script]);
        }
        if !self.prepare.is_empty() {
            command(&mut client, &self.prepare);
        }
    }
}
