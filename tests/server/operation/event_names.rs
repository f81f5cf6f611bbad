//! `authlimit.events` decides whether events hold addresses and emails in clear text.

use super::events::{policy, refuse};
use crate::support::listener::Listener;
use crate::support::replies::{EMAIL, IP, check, ok, send};
use crate::support::{Save, Server, command};
use redis::Value;

#[test]
fn full_publishes_address_and_email_as_received_and_no_publishes_nothing() {
    let server = Server::builder().arg("notify-keyspace-events", "KEA").start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "PAIR 1/1h");
    ok(&mut client, "CONFIG SET authlimit.events no");
    refuse(&mut client, IP, " Alice@EXAMPLE.com ");
    let heard = listener.heard(&mut client);
    let messages: Vec<_> = heard.iter().map(|heard| heard.message.clone()).collect();
    assert!(!messages.iter().any(|message| message.starts_with(b"authlimit.")), "{messages:?}");
    assert_eq!(server.info("authlimit_events").as_deref(), Some("0"));
    // Once events are on, the next refusal is the first that is published.
    ok(&mut client, "CONFIG SET authlimit.events full");
    assert!(!check(&mut client, "::ffff:203.0.113.7", " Alice@EXAMPLE.com ").allowed);
    let event = listener.event(&mut client);
    assert_eq!(event.text("ip"), "::ffff:203.0.113.7");
    assert_eq!(event.text("email"), " Alice@EXAMPLE.com ");
    let ids = (event.text("ip_id"), event.text("email_id"));
    ok(&mut client, "CONFIG SET authlimit.events hashed");
    refuse(&mut client, "203.0.113.8", EMAIL);
    let event = listener.event(&mut client);
    assert_eq!(event.text("email_id"), ids.1, "the same mailbox");
    assert_ne!(event.text("ip_id"), ids.0);
    assert!(event.field("ip").is_null() && event.field("email").is_null());
}

#[test]
fn hostile_keys_and_emails_make_valid_messages_of_bounded_length() {
    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    ok(&mut client, "CONFIG SET authlimit.events full");
    let huge = vec![b'x'; 10 << 20];
    let emails: [&[u8]; 7] = [
        b"\xff\xfe\0@x.org",
        b"\"},{\"event\":\"forged\"\r\n\r\n*1\r\n$4\r\nPING\r\n",
        "\u{202e}moc.x@\u{fffd}\u{1F600}".as_bytes(),
        b"\\\"\\u0000\x01\x1f\x7f",
        &huge,
        "\u{1F600}".repeat(1_000).leak().as_bytes(),
        b"x@\xed\xa0\x80",
    ];
    let keys: [&[u8]; 5] = [b"", b"\0", b"\xff\xfe*", b"a\r\nb\"c\\", "{\u{e9}}".as_bytes()];
    for key in keys {
        let policy: [&[u8]; 4] = [b"AUTHLIMIT.POLICY", key, b"PAIR", b"1/1h"];
        assert_eq!(command(&mut client, &policy), Ok(Value::Okay));
        for email in emails {
            let words: [&[u8]; 4] = [b"AUTHLIMIT.CHECK", key, IP.as_bytes(), email];
            for _ in 0..2 {
                command(&mut client, &words).expect("a verdict");
            }
            let event = listener.event(&mut client);
            assert_eq!(event.channel, [b"authlimit:", key].concat());
            assert_eq!(event.text("limiter"), String::from_utf8_lossy(key));
            let cut = &email[..email.len().min(320)];
            assert_eq!(event.text("email"), String::from_utf8_lossy(cut));
            assert_eq!(event.text("event"), "authn_login_fail_max");
            assert!(event.message.len() < 4_000, "{}", event.message.len());
        }
    }
    assert!(server.alive());
}

#[test]
fn with_full_no_clear_text_is_stored_or_logged_or_replicated() {
    let mut server = Server::builder().arg("appendonly", "yes").start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    ok(&mut client, "CONFIG SET authlimit.events full");
    policy(&mut client, "PAIR 1/1h LOCK 2h EMAIL 1/1h");
    refuse(&mut client, IP, EMAIL);
    assert_eq!(listener.events(&mut client).len(), 2);
    send(&mut client, "AUTHLIMIT.TOP login EMAIL").expect("rows");
    let dump = send(&mut client, "DUMP login").expect("bytes");
    ok(&mut client, "SAVE");
    server.rewrite_aof();
    refuse(&mut client, IP, "second@example.com");
    let Value::BulkString(dump) = dump else { panic!("{dump:?}") };
    let names = [IP, EMAIL, "second@example.com"];
    for name in names {
        assert!(!dump.windows(name.len()).any(|part| part == name.as_bytes()), "{name}");
        assert!(!server.grep_log(name.as_bytes()), "{name}");
        assert!(!server.grep_files(name.as_bytes()), "{name}");
    }
    server.shutdown(Save::Yes);
    for name in names {
        assert!(!server.grep_files(name.as_bytes()), "{name}");
    }
    server.start_again();
    let mut client = server.connect();
    assert_eq!(send(&mut client, "AUTHLIMIT.TOP login EMAIL"), Ok(Value::Array(vec![])));
}

#[test]
fn with_hashed_no_clear_text_is_in_any_message_or_reply() {
    let server = Server::builder().arg("notify-keyspace-events", "KEA").start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    policy(&mut client, "PAIR 1/1h LOCK 2h EMAIL 1/1h IP 1/1h EMAILS-PER-IP 1/1h");
    refuse(&mut client, IP, EMAIL);
    assert!(!check(&mut client, IP, "second@example.com").allowed);
    let heard = listener.heard(&mut client);
    assert!(heard.len() > 8, "{heard:?}");
    let mut texts: Vec<String> =
        heard.iter().map(|heard| String::from_utf8_lossy(&heard.message).into_owned()).collect();
    for line in [
        "AUTHLIMIT.TOP login IP",
        "AUTHLIMIT.TOP login EMAIL",
        "AUTHLIMIT.INFO login",
        "INFO everything",
        "SLOWLOG GET -1",
    ] {
        texts.push(format!("{:?}", send(&mut client, line).expect("an answer")));
    }
    for text in texts {
        for name in [IP, "alice", "second@", "example.com"] {
            assert!(!text.contains(name), "{name} is in {text}");
        }
    }
}
