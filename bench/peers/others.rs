//! The peers that take more than a call of a script with two keys: other keys, or a call for each subject.

use super::words::{Words, counter, key};
use super::{Kind, Login, Peer, Quota, sha_of};

/// The identities of a login, with the prefixes of their keys.
fn subjects<'a>(login: &Login<'a>) -> [(&'static [u8], &'a [u8]); 2] {
    [(b"a:", login.address), (b"e:", login.email)]
}

/// The sliding counter on two plain counters per subject, by the client's clock.
pub(super) fn two_counters(quota: Quota) -> Peer {
    let Quota { limit, window } = quota;
    let milliseconds = u64::from(window) * 1000;
    let script = include_str!("incr.lua");
    let sha = sha_of(script);
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        let number = login.now / milliseconds;
        let weight = 1.0 - (login.now % milliseconds) as f64 / milliseconds as f64;
        let weight = format!("{weight:.4}");
        let mut words = Words::new(13, out).word(b"EVALSHA").word(sha.as_bytes()).number(4);
        for (prefix, identity) in subjects(login) {
            words = words.word(&counter(prefix, identity, number)).word(&counter(prefix, identity, number - 1));
        }
        for _ in 0..2 {
            words = words.number(limit.into()).number(milliseconds).word(weight.as_bytes());
        }
    };
    Peer { script: Some(script), ..Peer::new("Lua: two INCR counters", Kind::DualScript, 1, "evalsha", write) }
}

/// The sliding window of Upstash's library, which has a key per call.
pub(super) fn sliding_window(quota: Quota) -> Peer {
    let Quota { limit, window } = quota;
    let milliseconds = u64::from(window) * 1000;
    let script = include_str!("sliding_window.lua");
    let sha = sha_of(script);
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        let number = login.now / milliseconds;
        for (prefix, identity) in subjects(login) {
            Words::new(10, out)
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
        script: Some(script),
        admits: Box::new(|[remaining, _]| remaining >= 0),
        ..Peer::new("Upstash's script, twice", Kind::OneSubject, 2, "evalsha", write)
    }
}

/// The fixed window of rate-limiter-flexible, which has a key per call.
pub(super) fn fixed_window(quota: Quota) -> Peer {
    let script = include_str!("fixed_window.lua");
    let sha = sha_of(script);
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        for (prefix, identity) in subjects(login) {
            Words::new(6, out)
                .word(b"EVALSHA")
                .word(sha.as_bytes())
                .number(1)
                .word(&key(prefix, identity))
                .number(1)
                .number(quota.window.into());
        }
    };
    Peer {
        script: Some(script),
        // It is the client that compares with the limit.
        admits: Box::new(move |[count, _]| count <= i64::from(quota.limit)),
        ..Peer::new("rate-limiter-flexible, twice", Kind::OneSubject, 2, "evalsha", write)
    }
}

/// `INCREX` of Redis 8.8, which has a key per call: a fixed window that begins with its first attempt.
pub(super) fn increx(quota: Quota) -> Peer {
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        for (prefix, identity) in subjects(login) {
            Words::new(7, out)
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
        // The count, and by how much it was increased.
        admits: Box::new(|[_, increase]| increase == 1),
        ..Peer::new("INCREX, twice", Kind::OneSubject, 2, "increx", write)
    }
}

/// redis-cell's `CL.THROTTLE`, which has a key per call.
pub(super) fn redis_cell(quota: Quota, path: String) -> Peer {
    let write = move |login: &Login<'_>, out: &mut Vec<u8>| {
        for (prefix, identity) in subjects(login) {
            Words::new(5, out)
                .word(b"CL.THROTTLE")
                .word(&key(prefix, identity))
                .number(u64::from(quota.limit) - 1)
                .number(quota.limit.into())
                .number(quota.window.into());
        }
    };
    Peer {
        admits: Box::new(|[limited, _]| limited == 0),
        module: Some(path),
        ..Peer::new("redis-cell, twice", Kind::OneSubject, 2, "cl.throttle", write)
    }
}
