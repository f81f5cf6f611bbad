//! Peers that are commands: of the server, of this module, and of redis-cell.

use super::peer::{Kind, Login, Peer, Quota};
use super::resp::{CommandWriter, key, subjects};
use crate::report::count;

/// The key of the module's limiter.
pub(crate) const KEY: &str = "login";

/// Returns `PING`, `GET` and `INCR`: they show what the server itself costs.
pub(crate) fn yardsticks(identities: u32) -> Vec<Peer> {
    let ping = |_: &Login<'_>, out: &mut Vec<u8>| {
        CommandWriter::new(1, out).word(b"PING");
    };
    let get = move |login: &Login<'_>, out: &mut Vec<u8>| {
        // Alternates between the key of the address and the key of the email.
        let [address, email] = subjects(login);
        let (prefix, identity) = if login.serial.is_multiple_of(2) { address } else { email };
        CommandWriter::new(2, out).word(b"GET").word(&key(prefix, identity));
    };
    let incr = |login: &Login<'_>, out: &mut Vec<u8>| {
        for (prefix, identity) in subjects(login) {
            CommandWriter::new(2, out).word(b"INCR").word(&key(prefix, identity));
        }
    };
    let get_name = format!("GET of {} keys", count(2 * identities));
    let peers = [
        Peer::new("PING", Kind::Yardstick, "ping", ping),
        Peer::new(get_name.leak(), Kind::Yardstick, "get", get),
        Peer { calls: 2, ..Peer::new("INCR of both keys", Kind::Yardstick, "incr", incr) },
    ];
    peers.into_iter().map(|peer| Peer { admits: Box::new(|_| true), ..peer }).collect()
}

/// Returns the module with a policy.
pub(crate) fn module(name: &'static str, policy: &str) -> Peer {
    let write = |login: &Login<'_>, out: &mut Vec<u8>| {
        CommandWriter::new(4, out).word(b"AUTHLIMIT.CHECK").word(KEY.as_bytes()).word(login.address).word(login.email);
    };
    Peer {
        prepare: vec!["AUTHLIMIT.POLICY".into(), KEY.into(), policy.into()],
        ..Peer::new(name, Kind::Module, "authlimit.check", write)
    }
}

/// Returns the module with one rule for the address and one for the email.
pub(crate) fn two_subjects(quota: Quota) -> Peer {
    let Quota { limit, window } = quota;
    module("authlimit, IP and EMAIL", &format!("IP {limit}/{window}s EMAIL {limit}/{window}s"))
}

/// Returns `INCREX` of Redis 8.8, which takes one key per call: a fixed window that begins with its first attempt.
pub(super) fn increx(quota: Quota) -> Peer {
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        for (prefix, identity) in subjects(login) {
            CommandWriter::new(7, out)
                .word(b"INCREX")
                .word(&key(prefix, identity))
                .word(b"UBOUND")
                .number(quota.limit.into())
                .word(b"EX")
                .number(quota.window.into())
                .word(b"ENX");
        }
    };
    Peer {
        calls: 2,
        // The reply is the count and by how much it was increased.
        admits: Box::new(|[_, increase]| increase == 1),
        ..Peer::new("INCREX, twice", Kind::OneSubject, "increx", write)
    }
}

/// Returns `CL.THROTTLE` of redis-cell, which takes one key per call.
pub(super) fn redis_cell(quota: Quota, path: String) -> Peer {
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        for (prefix, identity) in subjects(login) {
            CommandWriter::new(5, out)
                .word(b"CL.THROTTLE")
                .word(&key(prefix, identity))
                .number(u64::from(quota.limit) - 1)
                .number(quota.limit.into())
                .number(quota.window.into());
        }
    };
    Peer {
        calls: 2,
        admits: Box::new(|[limited, _]| limited == 0),
        module: Some(path),
        ..Peer::new("redis-cell, twice", Kind::OneSubject, "cl.throttle", write)
    }
}
