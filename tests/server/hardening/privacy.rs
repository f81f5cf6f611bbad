//! The server shows nobody whom a command was about.

use crate::support::replies::{EMAIL, IP, ok, send};
use crate::support::storm::{Storm, secrets};
use crate::support::{Builder, DEADLINE, Server, command};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

/// The commands that take an address and an email.
const ATTEMPTS: [&str; 4] = ["CHECK", "PEEK", "RESET", "REFUND"];

/// Sends each command that takes an address and an email, once as it should be and once in error.
fn speak_of_alice(server: &Server) {
    let mut client = server.connect();
    for name in ATTEMPTS {
        let name = format!("AUTHLIMIT.{name}");
        command(&mut client, &[&name, "login", IP, EMAIL]).expect("a proper command");
        let error = command(&mut client, &[&name, "login", IP, EMAIL, "COST", "x"]);
        error.expect_err("an improper command");
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
    speak_of_alice(&server);
    assert!(send(&mut server.connect(), "ECHO the-end").is_ok());
    let shown: Vec<String> =
        lines.map(|line| line.expect("the monitor goes on")).take_while(|line| !line.contains("the-end")).collect();
    for line in shown {
        assert!(!line.contains(EMAIL) && !line.contains(IP), "{line}");
    }
}

#[test]
fn the_slow_log_shows_no_email_and_no_address() {
    let server = Server::builder().arg("slowlog-log-slower-than", "0").start();
    speak_of_alice(&server);
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 5/1h");
    let log = send(&mut client, "SLOWLOG GET -1").unwrap();
    let shown = format!("{log:?}");
    assert!(shown.contains("POLICY"), "nothing is logged: {shown}");
    assert!(!shown.contains(EMAIL) && !shown.contains(IP), "{shown}");
}

/// All that a server sends to a replica: what it holds, then what `happen` does, up to a mark.
fn replication_stream(server: &Server, happen: impl FnOnce()) -> Vec<u8> {
    const MARK: &[u8] = b"the-end-of-the-stream";
    let mut replica = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("it listens");
    replica.set_read_timeout(Some(DEADLINE)).expect("a time above zero");
    replica.write_all(b"PSYNC ? -1\r\n").expect("it listens");
    let (mut stream, mut part) = (Vec::new(), vec![0; 1 << 16]);
    // With its first word the server has begun the stream.
    let len = replica.read(&mut part).expect("PSYNC is answered");
    stream.extend_from_slice(&part[..len]);
    assert!(stream.starts_with(b"+FULLRESYNC"), "{}", stream.escape_ascii());
    happen();
    let mark = [b"SET".as_slice(), b"mark", MARK];
    assert_eq!(command(&mut server.connect(), &mark), Ok(redis::Value::Okay));
    let mut searched = 0;
    while !stream[searched..].windows(MARK.len()).any(|end| end == MARK) {
        searched = stream.len().saturating_sub(MARK.len());
        let len = replica.read(&mut part).expect("the stream goes on");
        assert!(len > 0, "the server ended the stream");
        stream.extend_from_slice(&part[..len]);
    }
    stream
}

/// Has a server send its file to replicas as one, so that these need not say when they have read it.
fn by_file(server: Builder) -> Builder {
    server.arg("repl-diskless-sync", "no")
}

/// Checks that a replication stream holds nobody's email or address.
fn streams_nobody(server: Builder) {
    let server = by_file(server).start();
    let mut client = server.connect();
    Storm::new(71).send(&mut client, 1_500);
    let stream = replication_stream(&server, || {
        Storm::new(72).send(&mut client, 1_500);
    });
    let has = |bytes: &[u8]| stream.windows(bytes.len()).any(|part| part == bytes);
    // So that this test would find them: the limiters as a file, and the effects after it.
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
    streams_nobody(Server::builder());
}

#[test]
fn the_replication_stream_under_a_hash_key_holds_neither_them_nor_the_key() {
    let key = "00112233445566778899aabbccddeeff";
    streams_nobody(Server::builder().arg("authlimit.hash-key", key));
    let server = by_file(Server::builder().arg("authlimit.hash-key", key)).start();
    let mut client = server.connect();
    let stream = replication_stream(&server, || {
        Storm::new(73).send(&mut client, 200);
    });
    assert!(!stream.windows(key.len()).any(|part| part == key.as_bytes()));
}
