//! Peers that are Lua scripts, called by their hash.

use super::peer::{Kind, Login, Peer, Quota};
use super::resp::{CommandWriter, counter, key, subjects};

/// Returns the sliding counter, packed into a string.
pub(crate) fn packed(quota: Quota) -> Peer {
    dual_script("Lua: packed counter", include_str!("packed.lua"), quota)
}

/// Returns the sliding log in a sorted set.
pub(super) fn log(quota: Quota) -> Peer {
    dual_script("Lua: log in a ZSET", include_str!("log.lua"), quota)
}

/// Returns the generic cell rate algorithm.
pub(super) fn gcra(quota: Quota) -> Peer {
    dual_script("Lua: GCRA", include_str!("gcra.lua"), quota)
}

/// Makes a peer of a script that takes the address and the email as its keys and the quota as its arguments.
fn dual_script(name: &'static str, script: &'static str, quota: Quota) -> Peer {
    let Quota { limit, window } = quota;
    let milliseconds = u64::from(window) * 1000;
    let sha = sha_of(script);
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        let mut words = CommandWriter::new(10, out).word(b"EVALSHA").word(sha.as_bytes()).number(2);
        for (prefix, identity) in subjects(login) {
            words = words.word(&key(prefix, identity));
        }
        for _ in 0..2 {
            words = words.number(limit.into()).number(milliseconds);
        }
        words.number(login.serial);
    };
    Peer { script: Some(script), ..Peer::new(name, Kind::DualScript, "evalsha", write) }
}

/// Returns the sliding counter on two plain counters per subject, by the client's clock.
pub(super) fn two_counters(quota: Quota) -> Peer {
    let Quota { limit, window } = quota;
    let milliseconds = u64::from(window) * 1000;
    let script = include_str!("incr.lua");
    let sha = sha_of(script);
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        let number = login.now / milliseconds;
        let weight = 1.0 - (login.now % milliseconds) as f64 / milliseconds as f64;
        let weight = format!("{weight:.4}");
        let mut words = CommandWriter::new(13, out).word(b"EVALSHA").word(sha.as_bytes()).number(4);
        for (prefix, identity) in subjects(login) {
            words = words.word(&counter(prefix, identity, number)).word(&counter(prefix, identity, number - 1));
        }
        for _ in 0..2 {
            words = words.number(limit.into()).number(milliseconds).word(weight.as_bytes());
        }
    };
    Peer { script: Some(script), ..Peer::new("Lua: two INCR counters", Kind::DualScript, "evalsha", write) }
}

/// Returns the sliding window of Upstash's library, which takes one subject per call.
pub(super) fn sliding_window(quota: Quota) -> Peer {
    let Quota { limit, window } = quota;
    let milliseconds = u64::from(window) * 1000;
    let script = include_str!("sliding_window.lua");
    let sha = sha_of(script);
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        let number = login.now / milliseconds;
        for (prefix, identity) in subjects(login) {
            CommandWriter::new(10, out)
                .word(b"EVALSHA")
                .word(sha.as_bytes())
                .number(3)
                .word(&counter(prefix, identity, number))
                .word(&counter(prefix, identity, number - 1))
                .word(b"")
                .number(limit.into())
                .number(login.now)
                .number(milliseconds)
                .number(1);
        }
    };
    Peer {
        calls: 2,
        script: Some(script),
        admits: Box::new(|[remaining, _]| remaining >= 0),
        ..Peer::new("Upstash's script, twice", Kind::OneSubject, "evalsha", write)
    }
}

/// Returns the fixed window of rate-limiter-flexible, which takes one subject per call.
pub(super) fn fixed_window(quota: Quota) -> Peer {
    let script = include_str!("fixed_window.lua");
    let sha = sha_of(script);
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        for (prefix, identity) in subjects(login) {
            CommandWriter::new(6, out)
                .word(b"EVALSHA")
                .word(sha.as_bytes())
                .number(1)
                .word(&key(prefix, identity))
                .number(1)
                .number(quota.window.into());
        }
    };
    Peer {
        calls: 2,
        script: Some(script),
        // The client compares the count with the limit.
        admits: Box::new(move |[count, _]| count <= i64::from(quota.limit)),
        ..Peer::new("rate-limiter-flexible, twice", Kind::OneSubject, "evalsha", write)
    }
}

/// Returns the hash of a script, by which it is called.
fn sha_of(script: &str) -> String {
    redis::Script::new(script).get_hash().to_owned()
}
