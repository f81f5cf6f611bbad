//! Helpers for tests of hostile input.

use super::client::{command, verdict};
use super::replies::{EMAIL, IP, send};
use super::server::Server;
use redis::{Connection, Value};

/// Sends a command and checks its reply: anything but an error that is not plain text or comes from a panic.
#[track_caller]
pub(crate) fn endure<A: AsRef<[u8]>>(client: &mut Connection, words: &[A]) -> Result<Value, String> {
    endured(command(client, words))
}

/// Checks that an error reply is plain text and does not come from a panic.
#[track_caller]
pub(crate) fn endured(reply: Result<Value, String>) -> Result<Value, String> {
    if let Err(error) = &reply {
        let plain = error.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(plain && !error.contains("internal error"), "{error}");
    }
    reply
}

/// Checks that the server is alive, limits attempts, and has logged no internal error.
#[track_caller]
pub(crate) fn unharmed(server: &Server) {
    assert!(server.alive());
    assert!(!server.grep_log(b"internal error"), "{}", server.log());
    let mut client = server.connect();
    let words = [b"AUTHLIMIT.CHECK".as_slice(), b"afterwards", IP.as_bytes(), EMAIL.as_bytes()];
    for expected in [true, true, true, true, true, false] {
        assert_eq!(verdict(&mut client, &words).allowed, expected);
    }
    assert_eq!(send(&mut client, "DEL afterwards"), Ok(Value::Int(1)));
}
