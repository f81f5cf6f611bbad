//! UNLOCK.

use crate::support::replies::send;
use crate::support::rules::{admitted, check, checks, number, policy, remaining, rows};
use crate::support::{Server, digest};
use redis::Connection;
use std::thread::sleep;
use std::time::Duration;

/// Locks an address, an email and their pair.
#[track_caller]
fn lock(client: &mut Connection) {
    let rules = "IP 2/1h LOCK 2h EMAILS-PER-IP 1/1h EMAIL 2/1h LOCK 2h IPS-PER-EMAIL 1/1h PAIR 2/1h LOCK 2h";
    policy(client, &format!("login {rules}"));
    assert_eq!(admitted(&checks(client, ["login 10.0.0.1 a@x.org"; 3])), 2);
    // What was counted in the same millisecond as an UNLOCK may be later than it.
    sleep(Duration::from_millis(2));
    let left = remaining(client, "login 10.0.0.1 a@x.org");
    assert_eq!(left, vec![0; 5]);
}

#[test]
fn unlocking_an_address_clears_the_counts_by_address() {
    let server = Server::start();
    let mut client = server.connect();
    lock(&mut client);
    // The same address in another notation.
    let line = "AUTHLIMIT.UNLOCK login IP ::ffff:10.0.0.1";
    assert_eq!(number(&mut client, line), 2);
    let rows = rows(&mut client, "login 10.0.0.1 a@x.org");
    let left: Vec<i64> = rows.iter().map(|row| row.remaining).collect();
    assert_eq!(left, [2, 1, 0, 0, 0]);
    let locked: Vec<bool> = rows.iter().map(|row| row.locked_ms > 0).collect();
    assert_eq!(locked, [false, false, true, false, true]);
    assert!(check(&mut client, "login 10.0.0.1 b@x.org").allowed);
    assert_eq!(number(&mut client, "AUTHLIMIT.UNLOCK login IP 10.9.9.9"), 0);
}

#[test]
fn unlocking_an_email_clears_the_counts_by_email_and_its_pairs() {
    let server = Server::start();
    let mut client = server.connect();
    lock(&mut client);
    let line = "AUTHLIMIT.UNLOCK login EMAIL A@X.ORG";
    assert_eq!(number(&mut client, line), 3);
    assert_eq!(remaining(&mut client, "login 10.0.0.1 a@x.org"), vec![0, 0, 2, 1, 2]);
    assert_eq!(rows(&mut client, "login 10.0.0.1 a@x.org")[4].locked_ms, 0);
    assert!(check(&mut client, "login 10.0.0.2 a@x.org").allowed);
    // All pairs of an email count as one identity, also where there are none.
    assert_eq!(number(&mut client, "AUTHLIMIT.UNLOCK login EMAIL b@x.org"), 1);
    policy(&mut client, "login EMAIL 2/1h");
    assert_eq!(number(&mut client, "AUTHLIMIT.UNLOCK login EMAIL b@x.org"), 0);
}

#[test]
fn unlocking_address_and_email_clears_the_pair_too() {
    let server = Server::start();
    let mut client = server.connect();
    lock(&mut client);
    let line = "AUTHLIMIT.UNLOCK login EMAIL a@x.org IP 10.0.0.1";
    assert_eq!(number(&mut client, line), 5);
    assert_eq!(remaining(&mut client, "login 10.0.0.1 a@x.org"), vec![2, 1, 2, 1, 2]);
    assert!(check(&mut client, "login 10.0.0.1 a@x.org").allowed);
    assert_eq!(number(&mut client, "AUTHLIMIT.UNLOCK none EMAIL a@x.org"), 0);
    assert_eq!(number(&mut client, "EXISTS none"), 0);
}

#[test]
fn an_invalid_unlock_is_an_error_that_repeats_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    lock(&mut client);
    let before = digest(&mut client, "login");
    for words in [
        "",
        " IP",
        " EMAIL",
        " EMAIL ",
        " 10.0.0.1",
        " IP secret",
        " IP 10.0.0.1:80",
        " PAIR secret",
        " IP 10.0.0.1 EMAIL",
        " IP 10.0.0.1 IP 10.0.0.1",
        " EMAIL secret EMAIL secret",
    ] {
        let line = format!("AUTHLIMIT.UNLOCK login{words}");
        let error = send(&mut client, &line).expect_err(words);
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(digest(&mut client, "login"), before);
}
