//! The server shows nobody whom a command was about.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that is surprised has failed, as it should"
)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use support::replies::{EMAIL, IP, ok, send};
use support::{DEADLINE, Server, command};

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
    let shown: Vec<String> = lines
        .map(|line| line.expect("the monitor goes on"))
        .take_while(|line| !line.contains("the-end"))
        .collect();
    for line in shown {
        assert!(!line.contains(EMAIL) && !line.contains(IP), "{line}");
    }
}

#[test]
fn the_slow_log_shows_no_email_and_no_address() {
    let server = Server::builder()
        .arg("slowlog-log-slower-than", "0")
        .start();
    speak_of_alice(&server);
    let mut client = server.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login IP 5/1h");
    let log = send(&mut client, "SLOWLOG GET -1").unwrap();
    let shown = format!("{log:?}");
    assert!(shown.contains("POLICY"), "nothing is logged: {shown}");
    assert!(!shown.contains(EMAIL) && !shown.contains(IP), "{shown}");
}
