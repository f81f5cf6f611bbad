//! MONITOR, the slow log, the server's log and the replication stream hold no email and no address.

use crate::support::replies::{EMAIL, IP, ok, send};
use crate::support::storm::{Storm, secrets};
use crate::support::{Builder, DEADLINE, Server, command};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

/// The commands that take an address and an email.
const ATTEMPTS: [&str; 4] = ["CHECK", "PEEK", "RESET", "REFUND"];

/// Sends each command that takes an address and an email, once valid and once invalid.
fn send_attempts(server: &Server) {
    let mut client = server.connect();
    for name in ATTEMPTS {
        let name = format!("AUTHLIMIT.{name}");
        command(&mut client, &[&name, "login", IP, EMAIL]).expect("a valid command");
        let error = command(&mut client, &[&name, "login", IP, EMAIL, "COST", "x"]);
        error.expect_err("an invalid command");
    }
}

#[test]
fn monitor_shows_no_email_and_no_address() {
    let server = Server::start();
    let mut monitor = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    monitor.set_read_timeout(Some(DEADLINE)).unwrap();
    monitor.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(monitor).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "+OK");
    send_attempts(&server);
    assert!(send(&mut server.connect(), "ECHO the-end").is_ok());
    let shown: Vec<String> =
        lines.map(|line| line.expect("MONITOR continues")).take_while(|line| !line.contains("the-end")).collect();
    for line in shown {
        assert!(!line.contains(EMAIL) && !line.contains(IP), "{line}");
    }
}

#[test]
fn the_slow_log_shows_no_email_and_no_address() {
    let server = Server::builder().arg("slowlog-log-slower-than", "0").start();
    send_attempts(&server);
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 5/1h");
    let log = send(&mut client, "SLOWLOG GET -1").unwrap();
    let shown = format!("{log:?}");
    assert!(shown.contains("POLICY"), "nothing is logged: {shown}");
    assert!(!shown.contains(EMAIL) && !shown.contains(IP), "{shown}");
}

/// Returns all that a server sends to a replica: its data, then the writes of `write`, up to an end marker.
fn replication_stream(server: &Server, write: impl FnOnce()) -> Vec<u8> {
    const END_MARKER: &[u8] = b"the-end-of-the-stream";
    let mut replica = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("it listens");
    replica.set_read_timeout(Some(DEADLINE)).expect("a time above zero");
    replica.write_all(b"PSYNC ? -1\r\n").expect("it listens");
    let (mut stream, mut part) = (Vec::new(), vec![0; 1 << 16]);
    // With its first bytes the server has started the stream.
    let len = replica.read(&mut part).expect("PSYNC is answered");
    stream.extend_from_slice(&part[..len]);
    assert!(stream.starts_with(b"+FULLRESYNC"), "{}", stream.escape_ascii());
    write();
    let set_marker = [b"SET".as_slice(), b"mark", END_MARKER];
    assert_eq!(command(&mut server.connect(), &set_marker), Ok(redis::Value::Okay));
    let mut searched = 0;
    while !stream[searched..].windows(END_MARKER.len()).any(|end| end == END_MARKER) {
        searched = stream.len().saturating_sub(END_MARKER.len());
        let len = replica.read(&mut part).expect("the stream continues");
        assert!(len > 0, "the server ended the stream");
        stream.extend_from_slice(&part[..len]);
    }
    stream
}

/// Turns diskless replication off: it would require that a replica acknowledges the snapshot.
fn without_diskless_sync(server: Builder) -> Builder {
    server.arg("repl-diskless-sync", "no")
}

/// Checks that a replication stream holds no email and no address.
fn check_stream_has_no_secrets(server: Builder) {
    let server = without_diskless_sync(server).start();
    let mut client = server.connect();
    Storm::new(71).send(&mut client, 1_500);
    let stream = replication_stream(&server, || {
        Storm::new(72).send(&mut client, 1_500);
    });
    let has = |bytes: &[u8]| stream.windows(bytes.len()).any(|part| part == bytes);
    // The stream must hold the limiters as a file, and effects after it, or this test proves nothing.
    assert!(has(b"REDIS0") || has(b"VALKEY"), "no file");
    assert!(has(b"AUTHLIMIT.EFFECT") && has(b"{acme}:locks"), "no effects");
    for secret in secrets() {
        let shown = secret.escape_ascii();
        assert!(!has(secret), "{shown} is in the stream");
        assert!(!server.grep_log(secret), "{shown} is in the log");
    }
}

#[test]
fn the_replication_stream_holds_no_email_and_no_address() {
    check_stream_has_no_secrets(Server::builder());
}

#[test]
fn the_replication_stream_with_a_hash_key_holds_no_email_no_address_and_no_key() {
    let key = "00112233445566778899aabbccddeeff";
    check_stream_has_no_secrets(Server::builder().arg("authlimit.hash-key", key));
    let server = without_diskless_sync(Server::builder().arg("authlimit.hash-key", key)).start();
    let mut client = server.connect();
    let stream = replication_stream(&server, || {
        Storm::new(73).send(&mut client, 200);
    });
    assert!(!stream.windows(key.len()).any(|part| part == key.as_bytes()));
}
