//! COMMAND INFO, GETKEYS and DOCS: what redis-cli and client libraries read about each command.

use super::policy::PRESETS;
use crate::support::replies::{elements, entry, send, text, texts};
use crate::support::{Server, command};
use authlimit::policy::{Keyword, ModifierWord, Subject};
use redis::Value;

/// The commands that a client may send.
const COMMANDS: [&str; 11] =
    ["CHECK", "PEEK", "RESET", "REFUND", "POLICY", "INFO", "UNLOCK", "TOP", "ALLOW", "DENY", "LIST"];

#[test]
fn command_info_returns_arity_flags_and_the_key() {
    let server = Server::start();
    let mut client = server.connect();
    let hiding = ["skip_monitor", "skip_slowlog"];
    let expected: [(&str, i64, &[&str], bool); 12] = [
        ("CHECK", -4, &["write", "denyoom", "fast"], true),
        ("PEEK", -4, &["readonly", "fast"], true),
        ("RESET", -4, &["write"], true),
        ("REFUND", -4, &["write"], true),
        ("POLICY", -2, &["write", "denyoom"], false),
        ("INFO", 2, &["readonly"], false),
        ("UNLOCK", -3, &["write"], true),
        ("TOP", -3, &["readonly"], false),
        ("ALLOW", -3, &["write", "denyoom"], true),
        ("DENY", -3, &["write", "denyoom"], true),
        ("LIST", 3, &["readonly"], false),
        ("EFFECT", 3, &["write", "fast", "noscript"], true),
    ];
    for (name, arity, flags, is_hidden) in expected {
        let name = format!("AUTHLIMIT.{name}");
        let reply = command(&mut client, &["COMMAND", "INFO", &name]).unwrap();
        let info = elements(&elements(&reply)[0]);
        assert_eq!(text(&info[0]), name);
        assert_eq!(info[1], Value::Int(arity), "{name}");
        let mut returned = texts(&info[2]);
        // The server sets these two flags itself.
        returned.retain(|flag| !["module", "movablekeys"].contains(&flag.as_str()));
        // In Valkey the slow log is part of the command log.
        for flag in &mut returned {
            *flag = flag.replace("skip_commandlog", "skip_slowlog");
        }
        returned.sort();
        let hiding = hiding.iter().take(if is_hidden { 2 } else { 0 });
        let mut wanted: Vec<&str> = flags.iter().chain(hiding).copied().collect();
        wanted.sort_unstable();
        assert_eq!(returned, wanted, "{name}");
        let keys = [Value::Int(1), Value::Int(1), Value::Int(1)];
        assert_eq!(info[3..6], keys, "{name}");

        let depends_on_time = name != "AUTHLIMIT.POLICY";
        let tips: &[&str] = if depends_on_time { &["nondeterministic_output"] } else { &[] };
        assert_eq!(texts(&info[7]), tips, "{name}");

        let specs = elements(&info[8]);
        assert_eq!(specs.len(), 1, "{name}");
        let mut access = texts(&entry(&specs[0], "flags"));
        access.sort();
        let reads = flags.contains(&"readonly");
        let wanted: &[&str] = if reads { &["RO", "access"] } else { &["RW", "access", "update"] };
        assert_eq!(access, wanted, "{name}");
    }
}

#[test]
fn command_getkeys_finds_the_one_key() {
    let server = Server::start();
    let mut client = server.connect();
    let lines = [
        "CHECK login 1.2.3.4 a@b.c",
        "CHECK login 1.2.3.4 a@b.c COST 2",
        "PEEK login 1.2.3.4 a@b.c",
        "RESET login 1.2.3.4 a@b.c",
        "REFUND login 1.2.3.4 a@b.c",
        "POLICY login IP 5/1h EMAIL 5/1h",
        "INFO login",
        "TOP login IP COUNT 5",
        "LIST login DENY",
        "EFFECT login x",
    ];
    for line in lines {
        let keys = send(&mut client, &format!("COMMAND GETKEYS AUTHLIMIT.{line}"));
        assert_eq!(texts(&keys.unwrap()), ["login"], "{line}");
    }
}

#[test]
fn command_docs_describes_each_command_and_every_argument() {
    let server = Server::start();
    let mut client = server.connect_resp3();
    let arguments: [(&str, &[&str]); 11] = [
        ("CHECK", &["key", "ip", "email", "COST", "DEVICE"]),
        ("PEEK", &["key", "ip", "email", "COST", "DEVICE", "RULES"]),
        ("RESET", &["key", "ip", "email", "DEVICE"]),
        ("REFUND", &["key", "ip", "email", "COST", "DEVICE"]),
        ("POLICY", &["key", "rule", "PRESET", "CAPACITY", "IPV6-PREFIX", "PLUS-TAGS"]),
        ("INFO", &["key"]),
        ("UNLOCK", &["key", "IP", "EMAIL", "DEVICE", "ALL"]),
        ("TOP", &["key", "subject", "COUNT"]),
        ("ALLOW", &["key", "action"]),
        ("DENY", &["key", "action"]),
        ("LIST", &["key", "list"]),
    ];
    assert_eq!(arguments.map(|(name, _)| name), COMMANDS);
    for (name, wanted) in arguments {
        let name = format!("AUTHLIMIT.{name}");
        let reply = command(&mut client, &["COMMAND", "DOCS", &name]).unwrap();
        let docs = entry(&reply, &name);
        for field in ["summary", "complexity", "since"] {
            assert!(!text(&entry(&docs, field)).is_empty(), "{name}: {field}");
        }
        assert_eq!(text(&entry(&docs, "module")), "authlimit");
        let returned: Vec<String> = elements(&entry(&docs, "arguments"))
            .iter()
            .map(|argument| match argument {
                Value::Map(pairs) if pairs.iter().any(|(key, _)| text(key) == "token") => {
                    text(&entry(argument, "token"))
                }
                _ => text(&entry(argument, "name")),
            })
            .collect();
        assert_eq!(returned, wanted, "{name}");
    }
}

#[test]
fn command_docs_lists_every_word_of_a_policy() {
    let server = Server::start();
    let mut client = server.connect_resp3();
    let reply = send(&mut client, "COMMAND DOCS authlimit.policy").unwrap();
    let docs = format!("{:?}", entry(&reply, "AUTHLIMIT.POLICY"));
    let subjects = Subject::all_words();
    let modifiers = ModifierWord::all_words();
    let words = ["keep", "strip"].into_iter().chain(subjects).chain(modifiers).chain(PRESETS.map(|(name, _)| name));
    for word in words {
        // The debug form of a string in the reply.
        let shown = format!("{:?}", Value::BulkString(word.as_bytes().to_vec()));
        assert!(docs.contains(&shown), "{word} is not in {docs}");
    }
}
