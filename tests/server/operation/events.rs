//! Refusal events: published once when a refusal starts, in clear text only with `authlimit.events full`.

use crate::support::listener::Listener;
use crate::support::replies::{CHECK, EMAIL, IP, check, ok, send};
use crate::support::{Server, command, wait_until};
use redis::{Connection, ConnectionLike, Value};

/// Sets the policy of `login`.
#[track_caller]
pub(super) fn policy(client: &mut Connection, words: &str) {
    ok(client, &format!("AUTHLIMIT.POLICY login {words}"));
}

/// Makes two attempts under a policy that admits one, so that the second is refused.
#[track_caller]
pub(super) fn refuse(client: &mut Connection, ip: &str, email: &str) {
    assert!(check(client, ip, email).allowed);
    assert!(!check(client, ip, email).allowed);
}

/// Returns the server's time in ms.
#[track_caller]
fn time(client: &mut Connection) -> u64 {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query(client).expect("a time");
    seconds * 1_000 + micros / 1_000
}

#[test]
fn a_refusal_is_one_message_and_one_notification() {
    let server = Server::builder().arg("notify-keyspace-events", "KEd").start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "PAIR 1/1h");
    let before = time(&mut client);
    refuse(&mut client, IP, EMAIL);
    let after = time(&mut client);
    let heard = listener.heard(&mut client);
    let channels: Vec<_> = heard.iter().map(|heard| String::from_utf8_lossy(&heard.channel).into_owned()).collect();
    assert_eq!(channels, ["authlimit:login", "__keyspace@0__:login", "__keyevent@0__:authlimit.refused"]);
    assert_eq!(heard[1].message, b"authlimit.refused");
    assert_eq!(heard[2].message, b"login");
    let event = &heard[0];
    for (name, value) in [
        ("event", "authn_login_fail_max"),
        ("kind", "refused"),
        ("level", "WARN"),
        ("limiter", "login"),
        ("rule", "PAIR 1/1h"),
        ("subject", "PAIR"),
    ] {
        assert_eq!(event.text(name), value, "{name}");
    }
    let at = event.field("at").as_u64().expect("a time");
    let until = event.field("until").as_u64().expect("a time");
    assert!((before..=after).contains(&at), "{before} {at} {after}");
    let hour = 3_600_000;
    assert!((before + hour..=at + hour).contains(&until), "{until}");
    for name in ["ip_id", "email_id"] {
        let id = event.text(name);
        assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()));
    }
    assert!(event.field("ip").is_null() && event.field("email").is_null());
}

#[test]
fn each_kind_of_refusal_has_its_event_name() {
    let server = Server::builder().arg("notify-keyspace-events", "Ed").start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    let cases = [
        ("IP 1/1h", "excess_rate_limit_exceeded", "refused"),
        ("ALL 1/1h", "excess_rate_limit_exceeded", "refused"),
        ("EMAIL 1/1h", "authn_login_fail_max", "refused"),
        ("PAIR 1/1h LOCK 2h..1d", "authn_login_lock", "locked"),
        ("IP 1/1h LOCK 1h", "authn_login_lock", "locked"),
    ];
    for (words, event, kind) in cases {
        ok(&mut client, "FLUSHALL");
        policy(&mut client, words);
        refuse(&mut client, IP, EMAIL);
        let heard = listener.heard(&mut client);
        assert_eq!(heard.len(), 2, "{words}: {heard:?}");
        assert_eq!(heard[0].text("event"), event);
        assert_eq!(heard[0].text("kind"), kind);
        assert_eq!(heard[0].text("rule"), words);
        let notification = format!("__keyevent@0__:authlimit.{kind}");
        assert_eq!(heard[1].channel, notification.as_bytes());
    }
}

#[test]
fn a_spray_attack_publishes_a_spray_event_and_a_lock_event() {
    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "EMAILS-PER-IP 2/1h LOCK 2h IPS-PER-EMAIL 1/1h");
    check(&mut client, IP, "a@x.org");
    check(&mut client, IP, "b@x.org");
    for n in 0..20 {
        assert!(!check(&mut client, IP, &format!("{n}@x.org")).allowed);
    }
    let kinds: Vec<_> =
        listener.events(&mut client).iter().map(|event| (event.text("kind"), event.text("event"))).collect();
    let expected = |kind: &str, event: &str| (kind.to_owned(), event.to_owned());
    assert_eq!(kinds, [expected("locked", "authn_login_lock"), expected("spray", "excess_rate_limit_exceeded")]);
    assert!(!check(&mut client, "203.0.113.8", "a@x.org").allowed);
    let event = listener.event(&mut client);
    assert_eq!(event.text("subject"), "IPS-PER-EMAIL");
    assert_eq!(event.text("kind"), "spray");
}

#[test]
fn a_million_refusals_of_one_identity_publish_one_message() {
    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "PAIR 5/1h LOCK 2h IP 100/1h");
    // Without replies: reading a million of them would take most of the time.
    let reply = |word: &str| redis::cmd("CLIENT").arg("REPLY").arg(word).get_packed_command();
    client.send_packed_command(&reply("OFF")).expect("it is sent");
    let checks = redis::cmd(CHECK[0]).arg(&CHECK[1..]).get_packed_command();
    let checks = checks.repeat(1_000);
    for _ in 0..1_000 {
        client.send_packed_command(&checks).expect("it is sent");
    }
    let answered = client.req_packed_command(&reply("ON"));
    assert_eq!(answered, Ok(Value::Okay));
    assert_eq!(listener.event(&mut client).text("kind"), "locked");
    assert_eq!(server.info("authlimit_refused").as_deref(), Some("999995"));
    assert_eq!(server.info("authlimit_events").as_deref(), Some("1"));
}

#[test]
fn a_refusal_is_published_again_only_after_the_wait_it_announced() {
    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "PAIR 1/300ms");
    let mut published: Vec<(u64, u64)> = Vec::new();
    wait_until("four events are published", || {
        for _ in 0..50 {
            check(&mut client, IP, EMAIL);
        }
        for event in listener.events(&mut client) {
            let at = event.field("at").as_u64().expect("a time");
            published.push((at, event.field("until").as_u64().expect("a time")));
        }
        published.len() >= 4
    });
    for pair in published.windows(2) {
        assert!(pair[1].0 >= pair[0].1, "{published:?}");
    }
}

#[test]
fn shadow_rules_and_lists_publish_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "PAIR 1/1h LOCK 2h SHADOW");
    ok(&mut client, "CONFIG SET authlimit.events full");
    for _ in 0..5 {
        assert!(check(&mut client, IP, EMAIL).allowed);
    }
    send(&mut client, "AUTHLIMIT.DENY login ADD 198.51.100.0/24").expect("it is added");
    assert!(!check(&mut client, "198.51.100.1", EMAIL).allowed);
    assert_eq!(listener.heard(&mut client), []);
    send(&mut client, "AUTHLIMIT.PEEK login 203.0.113.7 a@x.org").expect("a verdict");
    assert_eq!(listener.heard(&mut client), []);
}

#[test]
fn transactions_scripts_and_functions_publish_events_too() {
    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "PAIR 1/1h");
    let attempt = |email: &str| format!("AUTHLIMIT.CHECK login {IP} {email}");
    ok(&mut client, "MULTI");
    for _ in 0..3 {
        send(&mut client, &attempt("multi@x.org")).expect("queued");
    }
    let replies = send(&mut client, "EXEC").expect("executed");
    assert!(matches!(replies, Value::Array(replies) if replies.len() == 3));
    listener.event(&mut client);

    let script = "for i = 1, 3 do redis.call('AUTHLIMIT.CHECK', KEYS[1], ARGV[1], ARGV[2]) end";
    let call = ["EVAL", script, "1", "login", IP, "script@x.org"];
    command(&mut client, &call).expect("the script runs");
    listener.event(&mut client);

    let library = "#!lua name=test\nredis.register_function('thrice', function(keys, args) for i = 1, 3 do redis.call('AUTHLIMIT.CHECK', keys[1], args[1], args[2]) end end)";
    command(&mut client, &["FUNCTION", "LOAD", library]).expect("it loads");
    let call = ["FCALL", "thrice", "1", "login", IP, "function@x.org"];
    command(&mut client, &call).expect("the function runs");
    listener.event(&mut client);
}

#[test]
fn a_client_that_subscribes_and_checks_gets_intact_replies() {
    let server = Server::start();
    let mut client = server.connect_resp3();
    policy(&mut client, "PAIR 1/1h");
    let mut subscribe = redis::cmd("SUBSCRIBE");
    let subscribe = subscribe.arg("authlimit:login").get_packed_command();
    client.send_packed_command(&subscribe).expect("it is sent");
    for n in 0..20 {
        let email = format!("{n}@x.org");
        assert!(check(&mut client, IP, &email).allowed);
        assert!(!check(&mut client, IP, &email).allowed);
        assert!(!check(&mut client, IP, &email).allowed);
    }
}

#[test]
fn replicas_restarts_and_copies_publish_nothing_by_themselves() {
    let mut primary = Server::builder().arg("appendonly", "yes").start();
    let replica = Server::builder().replica_of(&primary).start();
    wait_until("the replica is there", || replica.info("master_link_status").as_deref() == Some("up"));
    let mut client = primary.connect();
    let (mut here, mut there) = (Listener::on(&primary), Listener::on(&replica));
    policy(&mut client, "PAIR 1/1h LOCK 2h");
    refuse(&mut client, IP, EMAIL);
    here.event(&mut client);
    crate::support::wait_for_replica(&primary, &replica);
    let mut at_replica = replica.connect();
    assert_eq!(there.heard(&mut at_replica), []);
    send(&mut at_replica, "AUTHLIMIT.PEEK login 203.0.113.7 alice@example.com").expect("a verdict");
    assert_eq!(there.heard(&mut at_replica), []);
    // A writable replica decides by itself and publishes nothing.
    ok(&mut at_replica, "CONFIG SET replica-read-only no");
    assert!(!check(&mut at_replica, IP, EMAIL).allowed);
    refuse(&mut at_replica, IP, "other@x.org");
    assert_eq!(there.heard(&mut at_replica), []);

    primary.shutdown(crate::support::Save::No);
    primary.start_again();
    let mut client = primary.connect();
    let mut here = Listener::on(&primary);
    assert_eq!(here.heard(&mut client), [], "loading the file publishes nothing");
    // Only memory holds what was published: after a restart, an active lock is published as a refusal.
    assert!(!check(&mut client, IP, EMAIL).allowed);
    assert_eq!(here.event(&mut client).text("kind"), "refused");
    send(&mut client, "COPY login other").expect("copied");
    command(&mut client, &["AUTHLIMIT.CHECK", "other", IP, EMAIL]).expect("a verdict");
    assert_eq!(here.event(&mut client).text("limiter"), "other");
}

#[test]
fn a_flood_of_identities_publishes_a_bounded_number_of_messages_and_hides_no_other_rule() {
    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "EMAIL 1/1h IP 100000/1h EMAILS-PER-IP 1000/1h SHADOW");
    for _ in 0..3 {
        for part in 0..6 {
            let mut pipe = redis::pipe();
            for n in 0..1_000 {
                let email = format!("{}@x.org", part * 1_000 + n);
                pipe.cmd("AUTHLIMIT.CHECK").arg("login").arg(IP).arg(email);
            }
            pipe.exec(&mut client).expect("it is answered");
        }
    }
    assert_eq!(listener.events(&mut client).len(), 4_096);
    let dropped = server.info("authlimit_events_dropped").expect("a number");
    assert_eq!(dropped, (2 * (6_000 - 4_096)).to_string());
    policy(&mut client, "EMAIL 1/1h IP 2/1h");
    assert!(!check(&mut client, IP, "new@x.org").allowed);
    assert_eq!(listener.event(&mut client).text("subject"), "IP");
}

#[test]
fn the_setting_accepts_only_its_three_words() {
    let server = Server::builder().module_args(["events", "full"]).start();
    let mut client = server.connect();
    let get = |client: &mut Connection| -> Vec<String> {
        redis::from_redis_value(send(client, "CONFIG GET authlimit.events").expect("a value")).expect("a pair")
    };
    assert_eq!(get(&mut client)[1], "full");
    for word in ["no", "hashed", "full"] {
        ok(&mut client, &format!("CONFIG SET authlimit.events {word}"));
        assert_eq!(get(&mut client)[1], word);
    }
    for word in ["yes", "1", "fully"] {
        assert!(send(&mut client, &format!("CONFIG SET authlimit.events {word}")).is_err());
        assert_eq!(get(&mut client)[1], "full");
    }
    let log = Server::builder().module_args(["events", "some"]).try_start().expect_err("not a value");
    assert!(log.contains("events must be no, hashed or full"), "{log}");
}
