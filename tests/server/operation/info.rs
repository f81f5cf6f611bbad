//! The module's section in INFO: counters and sizes, all of them whole numbers.

use crate::support::replies::{EMAIL, IP, RESET, check, ok, send, text};
use crate::support::rules::start_with;
use crate::support::{Server, command, wait_until};
use redis::{Connection, Value};
use std::collections::BTreeMap;

/// Returns the fields of the section, without the prefix of their names.
#[track_caller]
fn fields(client: &mut Connection) -> BTreeMap<String, u64> {
    let section = send(client, "INFO authlimit").expect("a section");
    let section = text(&section);
    let mut lines = section.lines();
    assert_eq!(lines.next(), Some("# authlimit"), "{section}");
    lines
        .map(|line| {
            let (name, number) = line.split_once(':').expect("a field");
            let name = name.strip_prefix("authlimit_").expect("the module's name");
            (name.to_owned(), number.parse().expect("a whole number"))
        })
        .collect()
}

/// Returns the counters that changed between two readings, each with its difference.
fn changed(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    assert!(before.keys().eq(after.keys()));
    let sizes = ["limiters", "identities", "bytes"];
    let pairs = after.iter().filter(|(name, _)| !sizes.contains(&name.as_str()));
    pairs.map(|(name, number)| (name.clone(), number - before[name])).filter(|(_, change)| *change != 0).collect()
}

/// Sends lines, and returns the counters that they changed.
#[track_caller]
fn changes(client: &mut Connection, lines: &[&str]) -> Vec<(String, u64)> {
    let before = fields(client);
    for line in lines {
        let _ = send(client, line);
    }
    changed(&before, &fields(client))
}

/// Returns names and numbers in the form of [`changes`].
fn sorted(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    let mut pairs: Vec<_> = pairs.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
    pairs.sort();
    pairs
}

#[test]
fn all_counters_of_a_new_server_are_zero() {
    let server = Server::start();
    let mut client = server.connect();
    let fields = fields(&mut client);
    assert!(fields.values().all(|number| *number == 0), "{fields:?}");
    for name in [
        "limiters",
        "identities",
        "bytes",
        "checks",
        "allowed",
        "refused",
        "refused_ip",
        "refused_email",
        "refused_pair",
        "refused_emails_per_ip",
        "refused_ips_per_email",
        "refused_all",
        "refused_device",
        "refused_deny",
        "locks",
        "resets",
        "refunds",
        "unlocks",
        "evicted",
        "errors",
        "events",
        "events_dropped",
        "reclaimed",
        "evictable",
    ] {
        assert!(fields.contains_key(name), "{name}");
    }
}

#[test]
fn every_decision_increments_its_counters() {
    let server = Server::start();
    let mut client = server.connect();
    let cases = [
        ("IP 1/1h", "", "refused_ip"),
        ("EMAIL 1/1h", "", "refused_email"),
        ("PAIR 1/1h", "", "refused_pair"),
        ("ALL 1/1h", "", "refused_all"),
        ("EMAIL 9/1h DEVICE 1/1h", " DEVICE d", "refused_device"),
    ];
    for (words, option, field) in cases {
        ok(&mut client, "FLUSHALL");
        ok(&mut client, &format!("AUTHLIMIT.POLICY login {words}"));
        let attempt = format!("AUTHLIMIT.CHECK login {IP} {EMAIL}{option}");
        let changes = changes(&mut client, &[&attempt, &attempt, &attempt]);
        let expected = [("allowed", 1), ("checks", 3), ("events", 1), ("refused", 2), (field, 2)];
        assert_eq!(changes, sorted(&expected), "{words}");
    }
    ok(&mut client, "FLUSHALL");
    ok(&mut client, "AUTHLIMIT.POLICY login EMAILS-PER-IP 1/1h LOCK 2h");
    let lines = [
        "AUTHLIMIT.CHECK login 1.2.3.4 a@x.org",
        "AUTHLIMIT.CHECK login 1.2.3.4 b@x.org",
        "AUTHLIMIT.CHECK login 1.2.3.4 c@x.org",
    ];
    let expected =
        [("allowed", 1), ("checks", 3), ("events", 2), ("locks", 1), ("refused", 2), ("refused_emails_per_ip", 2)];
    assert_eq!(changes(&mut client, &lines), sorted(&expected));
    ok(&mut client, "AUTHLIMIT.POLICY login IPS-PER-EMAIL 1/1h");
    let lines = [
        "AUTHLIMIT.CHECK login 1.2.3.4 z@x.org",
        "AUTHLIMIT.CHECK login 1.2.3.5 z@x.org",
        "AUTHLIMIT.DENY login ADD 1.2.3.6",
        "AUTHLIMIT.CHECK login 1.2.3.6 y@x.org",
        "AUTHLIMIT.PEEK login 1.2.3.6 y@x.org",
    ];
    let before = fields(&mut client);
    for line in lines {
        send(&mut client, line).expect("a reply");
    }
    let after = fields(&mut client);
    for (field, change) in
        [("checks", 3), ("allowed", 1), ("refused_ips_per_email", 1), ("refused_deny", 1), ("refused", 2)]
    {
        assert_eq!(after[field] - before[field], change, "{field}");
    }
}

#[test]
fn resets_refunds_unlocks_evictions_and_errors_are_counted() {
    let (_server, mut client) = start_with("PAIR 5/1h CAPACITY 1");
    check(&mut client, IP, EMAIL);
    assert_eq!(changes(&mut client, &[&RESET.join(" "), &RESET.join(" ")]), sorted(&[("resets", 1)]));
    check(&mut client, IP, EMAIL);
    let refund = format!("AUTHLIMIT.REFUND login {IP} {EMAIL}");
    assert_eq!(changes(&mut client, &[&refund, &refund]), sorted(&[("refunds", 1)]));
    check(&mut client, IP, EMAIL);
    let unlock = format!("AUTHLIMIT.UNLOCK login IP {IP} EMAIL {EMAIL}");
    let before = fields(&mut client);
    send(&mut client, &unlock).expect("a number");
    send(&mut client, &unlock).expect("a number");
    assert_eq!(fields(&mut client)["unlocks"], before["unlocks"] + 1);
    check(&mut client, IP, EMAIL);
    check(&mut client, IP, "other@x.org");
    assert_eq!(fields(&mut client)["evicted"], 1);
    let wrong = ["AUTHLIMIT.CHECK login 1.2.3.4:80 a@x.org", "AUTHLIMIT.POLICY login X", "AUTHLIMIT.TOP none IP"];
    assert_eq!(changes(&mut client, &wrong), sorted(&[("errors", 3)]));
}

#[test]
fn limiters_are_counted_as_they_are_created_and_deleted() {
    let mut server = Server::start();
    let mut client = server.connect();
    let has = |client: &mut Connection, limiters: u64, identities: u64| {
        wait_until("the counts are right", || {
            let fields = fields(client);
            assert_eq!(fields["bytes"] > 0, fields["limiters"] > 0);
            (fields["limiters"], fields["identities"]) == (limiters, identities)
        });
    };
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h EMAIL 9/1h");
    has(&mut client, 1, 0);
    check(&mut client, IP, EMAIL);
    has(&mut client, 1, 2);
    send(&mut client, "COPY login other").expect("copied");
    has(&mut client, 2, 4);
    ok(&mut client, "RENAME other third");
    has(&mut client, 2, 4);
    let Ok(Value::BulkString(dump)) = send(&mut client, "DUMP login") else { panic!("no dump") };
    let restore: [&[u8]; 5] = [b"RESTORE", b"third", b"0", &dump, b"REPLACE"];
    assert_eq!(command(&mut client, &restore), Ok(Value::Okay));
    has(&mut client, 2, 4);
    send(&mut client, "UNLINK third").expect("gone");
    has(&mut client, 1, 2);
    server.restart(crate::support::Save::Yes);
    let mut client = server.connect();
    has(&mut client, 1, 2);
    ok(&mut client, "FLUSHALL ASYNC");
    has(&mut client, 0, 0);
    for n in 0..500 {
        let key = format!("{n}");
        command(&mut client, &["AUTHLIMIT.CHECK", &key, IP, EMAIL]).expect("a verdict");
    }
    assert_eq!(fields(&mut client)["limiters"], 500);
    ok(&mut client, "FLUSHALL ASYNC");
    has(&mut client, 0, 0);
}

#[test]
fn a_replica_counts_what_it_holds_and_no_decisions() {
    let primary = Server::start();
    let replica = Server::builder().replica_of(&primary).start();
    let mut client = primary.connect();
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 1/1h LOCK 2h");
    for _ in 0..3 {
        check(&mut client, IP, EMAIL);
    }
    wait_until("the link is up", || replica.info("master_link_status").as_deref() == Some("up"));
    crate::support::wait_for_replica(&primary, &replica);
    let mut there = fields(&mut replica.connect());
    assert!(there.remove("bytes").is_some_and(|bytes| bytes > 0));
    there.retain(|_, number| *number != 0);
    let expected = [("identities", 1), ("limiters", 1)];
    assert_eq!(there.into_iter().collect::<Vec<_>>(), sorted(&expected));
}

#[test]
fn the_section_is_in_info_modules_and_info_everything() {
    let server = Server::start();
    let mut client = server.connect();
    for line in ["INFO modules", "INFO everything", "INFO all authlimit"] {
        let section = text(&send(&mut client, line).expect("a text"));
        assert!(section.contains("authlimit_checks:0"), "{line}: {section}");
    }
    let default = text(&send(&mut client, "INFO").expect("a text"));
    assert!(!default.contains("authlimit_checks"), "{default}");
}
