//! Who is compared: plain commands as a yardstick, the module, and the ways a limiter is made without it. Each writes
//! a login in its own commands; the scripts are the files beside this one, called by their hash.

mod others;
mod words;

use std::env;

use crate::measure::Machine;
use crate::support::{Server, command};
use words::{Words, key};

/// How many attempts an address and an email may each make in the window, for every peer alike; so many that none of
/// the random logins is refused, since a refusal is other work than an admission.
pub(crate) const LIMIT: u32 = 100;

/// The window of the comparison, in seconds.
pub(crate) const WINDOW: u32 = 3600;

/// The key of the module's limiter: five letters, as `login`.
pub(crate) const KEY: &str = "login";

/// Who tries to log in, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    /// The address, as text.
    pub(crate) address: &'a [u8],
    /// The email.
    pub(crate) email: &'a [u8],
    /// The client's clock, in milliseconds.
    pub(crate) now: u64,
    /// A number that no other login of this load has.
    pub(crate) serial: u64,
}

/// The first integers of a reply, 0 where there are fewer.
pub(crate) type Figures = [i64; 2];

/// What a peer is, for choosing whom to compare with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A plain command, which limits nothing.
    Yardstick,
    /// This module.
    Module,
    /// A script that decides about address and email in one call.
    DualScript,
    /// A script or command that is called once for the address and once for the email.
    OneSubject,
}

/// Writes the commands of a login.
type Writer = Box<dyn Fn(&Login<'_>, &mut Vec<u8>)>;

/// One of those compared.
pub(crate) struct Peer {
    /// Its name in tables and charts.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) kind: Kind,
    /// How many commands a login takes.
    pub(crate) calls: usize,
    /// What `INFO commandstats` calls the command.
    pub(crate) statistics: &'static str,
    /// The script, if it is one.
    pub(crate) script: Option<&'static str>,
    /// Writes a login's commands.
    pub(crate) write: Writer,
    /// Whether a reply with these first two integers says that the attempt may go ahead.
    pub(crate) admits: Box<dyn Fn(Figures) -> bool>,
    /// What brings it into being: a module to load, or nothing.
    module: Option<String>,
    /// What to send a new server before the first login.
    prepare: Vec<String>,
}

/// The limit and the window that peers are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// Attempts per window.
    pub(crate) limit: u32,
    /// The window, in seconds.
    pub(crate) window: u32,
}

/// The quota of the comparison.
pub(crate) const QUOTA: Quota = Quota { limit: LIMIT, window: WINDOW };

impl Peer {
    /// A server for this peer alone, pinned to its core, with the script or module loaded and nothing counted.
    pub(crate) fn start(&self, machine: &Machine, settings: &[(&str, &str)]) -> Server {
        let mut builder = match (self.kind, &self.module) {
            (Kind::Module, _) => Server::builder(),
            (_, None) => Server::builder().without_module(),
            (_, Some(path)) => Server::builder().without_module().arg("loadmodule", &format!("\"{path}\"")),
        };
        for (name, value) in settings {
            builder = builder.arg(name, value);
        }
        let server = machine.start(builder);
        self.prepare(&server);
        server
    }

    /// Gives a server what the peer needs before the first login.
    pub(crate) fn prepare(&self, server: &Server) {
        let mut client = server.connect();
        if let Some(script) = self.script {
            command(&mut client, &["SCRIPT", "LOAD", script]).expect("the script is one");
        }
        if !self.prepare.is_empty() {
            command(&mut client, &self.prepare).expect("the server is prepared");
        }
    }

    /// A peer that admits by a first integer of 1.
    fn new(
        name: &'static str,
        kind: Kind,
        calls: usize,
        statistics: &'static str,
        write: impl Fn(&Login<'_>, &mut Vec<u8>) + 'static,
    ) -> Self {
        Self {
            name,
            kind,
            calls,
            statistics,
            script: None,
            write: Box::new(write),
            admits: Box::new(|[allowed, _]| allowed == 1),
            module: None,
            prepare: Vec::new(),
        }
    }

    /// A script that has address and email as its keys, and its quota as its arguments.
    fn dual_script(name: &'static str, script: &'static str, quota: Quota) -> Self {
        let Quota { limit, window } = quota;
        let milliseconds = u64::from(window) * 1000;
        let sha = sha_of(script);
        let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
            Words::new(10, out)
                .word(b"EVALSHA")
                .word(sha.as_bytes())
                .number(2)
                .word(&key(b"a:", login.address))
                .word(&key(b"e:", login.email))
                .number(limit.into())
                .number(milliseconds)
                .number(limit.into())
                .number(milliseconds)
                .number(login.serial);
        };
        Self { script: Some(script), ..Self::new(name, Kind::DualScript, 1, "evalsha", write) }
    }
}

/// `PING`, `GET` and `INCR`: what the server itself costs.
pub(crate) fn yardsticks(identities: u32) -> Vec<Peer> {
    let get = move |login: &Login<'_>, out: &mut Vec<u8>| {
        // One key per call: an address's and an email's in turn.
        let key = match login.serial % 2 {
            0 => key(b"a:", login.address),
            _ => key(b"e:", login.email),
        };
        Words::new(2, out).word(b"GET").word(&key);
    };
    let incr = |login: &Login<'_>, out: &mut Vec<u8>| {
        Words::new(2, out).word(b"INCR").word(&key(b"a:", login.address));
        Words::new(2, out).word(b"INCR").word(&key(b"e:", login.email));
    };
    let keys = format!("GET of {} keys", crate::report::count(2 * identities));
    let ping = |_: &Login<'_>, out: &mut Vec<u8>| {
        Words::new(1, out).word(b"PING");
    };
    vec![
        Peer { admits: Box::new(|_| true), ..Peer::new("PING", Kind::Yardstick, 1, "ping", ping) },
        Peer { admits: Box::new(|_| true), ..Peer::new(keys.leak(), Kind::Yardstick, 1, "get", get) },
        Peer { admits: Box::new(|_| true), ..Peer::new("INCR of both keys", Kind::Yardstick, 2, "incr", incr) },
    ]
}

/// The module with a policy.
pub(crate) fn module(name: &'static str, policy: &str) -> Peer {
    let write = |login: &Login<'_>, out: &mut Vec<u8>| {
        Words::new(4, out).word(b"AUTHLIMIT.CHECK").word(KEY.as_bytes()).word(login.address).word(login.email);
    };
    Peer {
        prepare: vec!["AUTHLIMIT.POLICY".into(), KEY.into(), policy.into()],
        ..Peer::new(name, Kind::Module, 1, "authlimit.check", write)
    }
}

/// The module with a rule for the address and one for the email.
pub(crate) fn two_subjects(quota: Quota) -> Peer {
    let Quota { limit, window } = quota;
    module("authlimit, IP and EMAIL", &format!("IP {limit}/{window}s EMAIL {limit}/{window}s"))
}

/// The sliding counter packed in a string.
pub(crate) fn packed(quota: Quota) -> Peer {
    Peer::dual_script("Lua: packed counter", include_str!("packed.lua"), quota)
}

/// Every way to limit, those of them that this server has.
pub(crate) fn limiters(quota: Quota, machine: &Machine) -> Vec<Peer> {
    let mut peers = vec![
        two_subjects(quota),
        packed(quota),
        others::two_counters(quota),
        Peer::dual_script("Lua: log in a ZSET", include_str!("log.lua"), quota),
        Peer::dual_script("Lua: GCRA", include_str!("gcra.lua"), quota),
        others::sliding_window(quota),
        others::fixed_window(quota),
    ];
    if machine.has_command("INCREX") {
        peers.push(others::increx(quota));
    }
    if let Ok(path) = env::var("AUTHLIMIT_BENCH_REDIS_CELL") {
        peers.push(others::redis_cell(quota, path));
    }
    peers
}

/// The hash by which a server calls a script.
fn sha_of(script: &str) -> String {
    redis::Script::new(script).get_hash().to_owned()
}
