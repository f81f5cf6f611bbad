//! TOP: the most refused identities, by id, and in clear text only with `authlimit.events full`.

use crate::support::listener::Listener;
use crate::support::replies::{EMAIL, IP, check, elements, ok, send};
use crate::support::rules::start_with;
use crate::support::{Server, command, wait_until};
use redis::{Connection, Value};

/// Sends TOP for the limiter `login`, and returns its rows.
#[track_caller]
fn top(client: &mut Connection, words: &str) -> Vec<(Vec<u8>, i64)> {
    let reply = send(client, &format!("AUTHLIMIT.TOP login {words}")).expect("rows");
    let rows = elements(&reply);
    rows.iter()
        .map(|row| match elements(row).as_slice() {
            [Value::BulkString(name), Value::Int(refusals)] => (name.clone(), *refusals),
            other => panic!("not a row: {other:?}"),
        })
        .collect()
}

/// Gets an email refused `times` times, under a policy that admits only its first attempt.
#[track_caller]
fn refuse(client: &mut Connection, ip: &str, email: &str, times: usize) {
    assert!(check(client, ip, email).allowed);
    for _ in 0..times {
        assert!(!check(client, ip, email).allowed);
    }
}

/// Starts a server with a limiter that admits one attempt on an email.
fn server() -> (Server, Connection) {
    start_with("EMAIL 1/1h IP 100000/1h")
}

#[test]
fn the_most_refused_come_first_with_their_ids() {
    let (server, mut client) = server();
    let mut listener = Listener::on(&server);
    assert_eq!(top(&mut client, "EMAIL"), []);
    for n in 1..=12 {
        refuse(&mut client, IP, &format!("{n}@x.org"), n);
    }
    let events = listener.events(&mut client);
    let id = |n: usize| events[n - 1].text("email_id").into_bytes();
    let rows = top(&mut client, "EMAIL");
    let expected: Vec<_> = (3..=12).rev().map(|n| (id(n), n as i64)).collect();
    assert_eq!(rows, expected);
    assert_eq!(top(&mut client, "email count 2"), expected[..2]);
    assert_eq!(top(&mut client, "EMAIL COUNT 100").len(), 12);
    let ip = events[0].text("ip_id").into_bytes();
    assert_eq!(top(&mut client, "IP"), [(ip, (1..=12).sum::<i64>())]);
}

#[test]
fn clear_text_is_returned_only_for_identities_refused_while_events_is_full() {
    let (_server, mut client) = server();
    refuse(&mut client, IP, EMAIL, 1);
    ok(&mut client, "CONFIG SET authlimit.events full");
    assert_eq!(top(&mut client, "EMAIL")[0].0.len(), 16, "no clear text yet");
    assert!(!check(&mut client, IP, "ALICE@example.com").allowed);
    assert_eq!(top(&mut client, "EMAIL"), [(b"ALICE@example.com".to_vec(), 2)]);
    assert_eq!(top(&mut client, "IP"), [(IP.as_bytes().to_vec(), 2)]);
    let other = ["AUTHLIMIT.POLICY", "other", "EMAIL", "1/1h"];
    command(&mut client, &other).expect("created");
    for _ in 0..2 {
        command(&mut client, &["AUTHLIMIT.CHECK", "other", IP, EMAIL]).expect("a verdict");
    }
    for word in ["hashed", "no"] {
        ok(&mut client, &format!("CONFIG SET authlimit.events {word}"));
        ok(&mut client, "CONFIG SET authlimit.events full");
        // Dropped clear text does not come back.
        assert_eq!(top(&mut client, "EMAIL")[0].0.len(), 16);
        assert_eq!(top(&mut client, "IP")[0].0.len(), 16);
        let reply = send(&mut client, "AUTHLIMIT.TOP other EMAIL").expect("rows");
        assert!(!format!("{reply:?}").contains(EMAIL), "{reply:?}");
        assert!(!check(&mut client, IP, EMAIL).allowed);
        assert_eq!(top(&mut client, "EMAIL")[0].0, EMAIL.as_bytes());
    }
}

#[test]
fn clear_text_may_be_any_bytes_and_is_truncated() {
    let (server, mut client) = server();
    ok(&mut client, "CONFIG SET authlimit.events full");
    let before: u64 = server.number("used_memory");
    let huge = vec![0xff_u8; 10 << 20];
    let odd: &[u8] = b"\0\r\n\xfe@x.org";
    for (email, times) in [(huge.as_slice(), 3), (odd, 2)] {
        let words: [&[u8]; 4] = [b"AUTHLIMIT.CHECK", b"login", IP.as_bytes(), email];
        for _ in 0..=times {
            command(&mut client, &words).expect("a verdict");
        }
    }
    let rows = top(&mut client, "EMAIL");
    assert_eq!(rows, [(huge[..320].to_vec(), 3), (odd.to_vec(), 2)]);
    wait_until("the huge arguments are freed", || server.number::<u64>("used_memory") < before + (4 << 20));
}

#[test]
fn a_flood_of_random_emails_takes_no_more_memory_and_does_not_displace_the_victim() {
    let (_server, mut client) = server();
    ok(&mut client, "CONFIG SET authlimit.events full");
    ok(&mut client, "AUTHLIMIT.POLICY login IP 1/1h EMAIL 1/1h");
    refuse(&mut client, IP, "victim@x.org", 2_000);
    let memory = |client: &mut Connection| match send(client, "MEMORY USAGE login") {
        Ok(Value::Int(bytes)) => bytes,
        other => panic!("{other:?}"),
    };
    let before = memory(&mut client);
    for part in 0..20 {
        let mut pipe = redis::pipe();
        for n in 0..1_000 {
            let email = format!("{part}-{n}-{}@x.org", "x".repeat(400));
            pipe.cmd("AUTHLIMIT.CHECK").arg("login").arg(IP).arg(email);
        }
        pipe.exec(&mut client).expect("it is answered");
    }
    let rows = top(&mut client, "EMAIL COUNT 100");
    assert_eq!(rows.len(), 100);
    // The count is exact: no other identity took over its counter.
    assert_eq!(rows[0], (b"victim@x.org".to_vec(), 2_000));
    assert_eq!(top(&mut client, "IP"), [(IP.as_bytes().to_vec(), 22_000)]);
    let grown = memory(&mut client) - before;
    assert!(grown < 100_000, "{grown}");
}

#[test]
fn top_is_empty_on_a_replica_and_after_a_restart() {
    let (mut primary, mut client) = server();
    let replica = Server::builder().replica_of(&primary).start();
    refuse(&mut client, IP, EMAIL, 3);
    let digest = crate::support::digest(&mut client, "login");
    crate::support::wait_for_replica(&primary, &replica);
    let mut there = replica.connect();
    assert_eq!(top(&mut there, "EMAIL"), []);
    assert_eq!(crate::support::digest(&mut there, "login"), digest);
    send(&mut client, "COPY login login2").expect("copied");
    let copied = send(&mut client, "AUTHLIMIT.TOP login2 IP");
    assert_eq!(copied, Ok(Value::Array(vec![])));
    ok(&mut client, "RENAME login2 login3");
    ok(&mut client, "RENAME login login2");
    ok(&mut client, "RENAME login2 login");
    assert_eq!(top(&mut client, "EMAIL")[0].1, 3, "a renamed limiter keeps its counts");
    primary.restart(crate::support::Save::Yes);
    let mut client = primary.connect();
    assert_eq!(top(&mut client, "EMAIL"), []);
    assert_eq!(crate::support::digest(&mut client, "login"), digest);
}

#[test]
fn errors_state_the_reason() {
    let (server, mut client) = server();
    let mut error = |line: &str| send(&mut client, line).expect_err("an error");
    let subject = "SYNTAX argument 2 must be IP or EMAIL";
    let count = "SYNTAX argument 4: COUNT must be a whole number from 1 to 100";
    assert_eq!(error("AUTHLIMIT.TOP login PAIR"), subject);
    for number in ["0", "101", "-1", "1x", "99999999999999999999999", "+1"] {
        assert_eq!(error(&format!("AUTHLIMIT.TOP login IP COUNT {number}")), count);
    }
    assert_eq!(error("AUTHLIMIT.TOP login IP COUNT"), count);
    assert!(error("AUTHLIMIT.TOP login IP TEN 1").contains("argument 3 is not an option"));
    assert!(error("AUTHLIMIT.TOP login IP COUNT 1 2").contains("wrong number"));
    assert!(error("AUTHLIMIT.TOP login").contains("wrong number"));
    assert!(error("AUTHLIMIT.TOP none IP").contains("no such limiter"));
    let mut client = server.connect();
    ok(&mut client, "SET text x");
    let error = send(&mut client, "AUTHLIMIT.TOP text IP").expect_err("not a limiter");
    assert!(error.starts_with("WRONGTYPE"), "{error}");
}
