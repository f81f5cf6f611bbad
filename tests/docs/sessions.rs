//! The sessions, configurations and commands shown in README.md and docs match a real server. The modules `commands`,
//! `policies` and `links` test the rest of the pages.

use std::collections::BTreeMap;

use crate::cli::{Cli, assert_sessions_match, mask_varying_values};
use crate::pages::{blocks, every_block, one_line, page, pages_of_the_manual, prose, quoted};
use crate::support::Server;
use crate::support::cluster::Cluster;
use crate::support::listener::Listener;
use crate::support::replies::{ok, send};

/// The pages whose sessions run on a fresh server in a test below.
const SESSIONS: [&str; 2] = ["README.md", "docs/configuration.md"];

/// The pages whose sessions other tests run.
const OTHER_SESSIONS: [&str; 3] = ["docs/cluster.md", "docs/commands.md", "docs/events.md"];

#[test]
fn the_sessions_print_what_the_pages_show() {
    for page in SESSIONS {
        assert_sessions_match(page, &Server::start());
    }
}

#[test]
fn the_cluster_sessions_print_what_the_page_shows() {
    let cluster = Cluster::start();
    assert_sessions_match("docs/cluster.md", &cluster.nodes()[0]);
}

#[test]
fn an_event_matches_the_example() {
    let page = page("docs/events.md");
    let shown = blocks(&page, "console");
    let [shown] = shown.as_slice() else {
        panic!("{} sessions", shown.len());
    };
    let lines: Vec<&str> = shown.lines().collect();
    let [typed, kind, channel, message] = lines.as_slice() else {
        panic!("{shown}");
    };
    let channel_name = typed.strip_prefix("$ redis-cli SUBSCRIBE ");
    let channel_name = channel_name.expect("the line is a SUBSCRIBE");
    assert_eq!(*kind, "1) \"message\"");
    assert_eq!(*channel, format!("2) \"{channel_name}\""));

    let server = Server::start();
    let mut client = server.connect();
    let mut listener = Listener::on(&server);
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 5/15m LOCK 15m..24h");
    for _ in 0..6 {
        let checked = send(&mut client, "AUTHLIMIT.CHECK login 203.0.113.7 alice@example.com");
        assert!(checked.is_ok(), "{checked:?}");
    }
    let event = listener.event(&mut client);
    assert_eq!(event.channel, channel_name.as_bytes());
    let actual = String::from_utf8(event.message).expect("text");
    let actual = format!("3) \"{}\"", actual.replace('"', "\\\""));
    assert_eq!(mask_varying_values(&actual), mask_varying_values(message));
}

#[test]
fn every_code_block_is_of_a_tested_kind() {
    for path in pages_of_the_manual() {
        for (kind, inside) in every_block(&page(&path)) {
            let is_tested = match kind {
                "console" => [&SESSIONS[..], &OTHER_SESSIONS].concat().contains(&&*path),
                "conf" => true,
                // tests/docs/commands.rs compares it with COMMAND DOCS.
                "syntax" => path == "docs/commands.md",
                // tests/server/hardening/acl.rs tests what these users may do.
                "acl" => path == "docs/operations.md",
                // .github/workflows/build.yml and packaging/test-deb run these installations.
                "sh" | "text" if path == "docs/install.md" => true,
                "sh" => inside.lines().all(|line| line.starts_with("make ")),
                "" => inside.lines().all(|line| line.starts_with("AUTHLIMIT.POLICY ")),
                _ => false,
            };
            assert!(is_tested, "{path}: no test runs this block: {kind}\n{inside}");
        }
    }
}

#[test]
fn every_policy_in_a_block_is_accepted() {
    let server = Server::start();
    let cli = Cli::of(&server);
    let mut lines = 0;
    for path in pages_of_the_manual() {
        for line in blocks(&page(&path), "").iter().flat_map(|b| b.lines()) {
            assert_eq!(cli.type_in(line).trim_end(), "OK", "{path}: {line}");
            lines += 1;
        }
    }
    assert!(lines > 8, "only {lines} lines were found");
}

#[test]
fn every_command_in_the_text_is_accepted() {
    let server = Server::start();
    let cli = Cli::of(&server);
    let mut lines = 0;
    for path in pages_of_the_manual() {
        let page = page(&path);
        // Create the limiters with the policies from the page.
        cli.type_in(&format!("FLUSHALL\n{}", blocks(&page, "").join("\n")));
        // tests/docs/commands.rs tests the tables of errors.
        let mut is_error = false;
        let prose = prose(&page);
        let lines_without_errors = prose.lines().filter(|line| {
            is_error = line.starts_with("| error |") || is_error && line.starts_with('|');
            !is_error
        });
        let text: String = lines_without_errors.flat_map(|line| [line, "\n"]).collect();
        for words in quoted(&text) {
            let words = one_line(words);
            let is_command = words.starts_with("AUTHLIMIT.") && words.contains(' ');
            // The syntax of a command is not a command.
            let is_syntax = words.split(' ').nth(1) == Some("key");
            if is_syntax || !is_command && !words.starts_with("ACL SETUSER ") {
                continue;
            }
            let line = words.replace("<ip>", "203.0.113.7").replace("<email>", "alice@example.com");
            let printed = cli.type_in(&line);
            assert!(!printed.contains("(error)"), "{path}: {line}: {printed}");
            lines += 1;
        }
    }
    assert!(lines > 6, "only {lines} lines were found");
}

#[test]
fn a_server_starts_with_each_configuration_and_reports_its_values() {
    let mut shown = 0;
    for path in pages_of_the_manual() {
        for block in blocks(&page(&path), "conf") {
            let mut builder = Server::builder();
            let mut settings = BTreeMap::new();
            for line in block.lines() {
                let words = words(line);
                if let [name, value] = words.as_slice() {
                    if name != "loadmodule" {
                        builder = builder.arg(name, &format!("\"{value}\""));
                        settings.insert(name.clone(), value.clone());
                    }
                    continue;
                }
                let [command, _, args @ ..] = words.as_slice() else {
                    panic!("{path}: {line}");
                };
                assert_eq!(command, "loadmodule", "{path}: {line}");
                builder = builder.module_args(args.to_vec());
                for pair in args.chunks(2) {
                    settings.insert(format!("authlimit.{}", pair[0]), pair[1].clone());
                }
            }
            let server = builder.start();
            let mut client = server.connect();
            for (name, value) in settings {
                let reply = send(&mut client, &format!("CONFIG GET {name}")).expect("an answer");
                let pair: Vec<String> = redis::from_redis_value(reply).expect("a pair");
                assert_eq!(pair, [name, value], "{path}");
                shown += 1;
            }
        }
    }
    assert!(shown > 5, "only {shown} settings were found");
}

/// Splits a line of redis.conf into words. Quotes group several words into one value.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
