//! The peers' commands, written as the protocol has them.

use super::{Kind, Login, Peer, Quota, sha_of};

/// A command being written, word by word.
pub(super) struct Words<'a>(&'a mut Vec<u8>);

impl<'a> Words<'a> {
    /// Begins a command of so many words.
    pub(super) fn new(words: u64, out: &'a mut Vec<u8>) -> Self {
        out.push(b'*');
        decimal(words, out);
        out.extend_from_slice(b"\r\n");
        Self(out)
    }

    /// Writes a word.
    pub(super) fn word(self, word: &[u8]) -> Self {
        self.0.push(b'$');
        decimal(word.len() as u64, self.0);
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(word);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Writes a number.
    pub(super) fn number(self, number: u64) -> Self {
        let mut digits = Digits::default();
        digits.number(number);
        self.word(digits.as_bytes())
    }
}

/// Writes a number in decimal digits.
fn decimal(number: u64, out: &mut Vec<u8>) {
    let mut digits = Digits::default();
    digits.number(number);
    out.extend_from_slice(digits.as_bytes());
}

/// A key or a number on the stack: the client must never be what is measured.
#[derive(Clone, Copy)]
pub(super) struct Digits {
    bytes: [u8; 64],
    len: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self {
            bytes: [0; 64],
            len: 0,
        }
    }
}

impl Digits {
    /// Adds bytes.
    fn push(&mut self, more: &[u8]) {
        self.bytes[self.len..self.len + more.len()].copy_from_slice(more);
        self.len += more.len();
    }

    /// Adds a number in decimal digits.
    fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }

    /// What was added.
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl std::ops::Deref for Digits {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// The key of an identity.
pub(super) fn key(prefix: &[u8], identity: &[u8]) -> Digits {
    let mut key = Digits::default();
    key.push(prefix);
    key.push(identity);
    key
}

/// The key of an identity's counter for one window.
fn counter(prefix: &[u8], identity: &[u8], window: u64) -> Digits {
    let mut key = key(prefix, identity);
    key.push(b":");
    key.number(window);
    key
}

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
        let mut words = Words::new(13, out)
            .word(b"EVALSHA")
            .word(sha.as_bytes())
            .number(4);
        for (prefix, identity) in subjects(login) {
            words = words
                .word(&counter(prefix, identity, number))
                .word(&counter(prefix, identity, number - 1));
        }
        for _ in 0..2 {
            words = words
                .number(limit.into())
                .number(milliseconds)
                .word(weight.as_bytes());
        }
    };
    Peer {
        script: Some(script),
        ..Peer::new(
            "Lua: two INCR counters",
            Kind::DualScript,
            1,
            "evalsha",
            write,
        )
    }
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
        ..Peer::new(
            "Upstash's script, twice",
            Kind::OneSubject,
            2,
            "evalsha",
            write,
        )
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
        ..Peer::new(
            "rate-limiter-flexible, twice",
            Kind::OneSubject,
            2,
            "evalsha",
            write,
        )
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
        ..Peer::new(
            "redis-cell, twice",
            Kind::OneSubject,
            2,
            "cl.throttle",
            write,
        )
    }
}
