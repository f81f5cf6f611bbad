//! ACL: users are limited to their commands and key patterns.

use crate::support::replies::{EMAIL, IP, elements, ok, send, text};
use crate::support::{Server, page, verdict};
use redis::Value;

#[test]
fn an_acl_user_is_limited_to_its_commands_and_key_patterns() {
    let server = Server::start();
    let mut admin = server.connect();
    ok(&mut admin, "ACL SETUSER app on nopass ~acme:* +authlimit.check +authlimit.peek");
    let mut client = server.connect();
    ok(&mut client, "AUTH app x");
    let mut denied = |line: &str| {
        let error = send(&mut client, line).expect_err("not permitted");
        assert!(error.starts_with("NOPERM"), "{line}: {error}");
    };
    denied(&format!("AUTHLIMIT.CHECK other {IP} {EMAIL}"));
    denied(&format!("AUTHLIMIT.PEEK other {IP} {EMAIL}"));
    denied(&format!("AUTHLIMIT.RESET acme:login {IP} {EMAIL}"));
    denied("AUTHLIMIT.POLICY acme:login IP 5/1h");
    let allowed = verdict(&mut client, &["AUTHLIMIT.CHECK", "acme:login", IP, EMAIL]);
    assert!(allowed.allowed, "{allowed:?}");
}

/// Returns the commands of the category `@authlimit`, or `None` if the server has no categories of modules.
fn category(server: &Server) -> Option<Vec<String>> {
    match send(&mut server.connect(), "ACL CAT authlimit") {
        Ok(commands) => Some(elements(&commands).iter().map(text).collect()),
        Err(error) => {
            assert!(error.contains("Unknown category"), "{error}");
            None
        }
    }
}

#[test]
fn all_commands_are_in_a_category_of_their_own() {
    let server = Server::start();
    let Some(mut commands) = category(&server) else {
        eprintln!("skipped: this server has no categories of modules");
        return;
    };
    let mut client = server.connect();
    let all = send(&mut client, "COMMAND LIST FILTERBY MODULE authlimit").expect("a list");
    let mut all: Vec<String> = elements(&all).iter().map(text).collect();
    let lower = |names: &mut Vec<String>| {
        names.iter_mut().for_each(|name| name.make_ascii_lowercase());
        names.sort();
    };
    lower(&mut all);
    lower(&mut commands);
    assert_eq!(commands, all);
    ok(&mut client, "ACL SETUSER limits on nopass ~* +@authlimit");
    let mut limited = server.connect();
    ok(&mut limited, "AUTH limits x");
    let allowed = verdict(&mut limited, &["AUTHLIMIT.CHECK", "login", IP, EMAIL]);
    assert!(allowed.allowed, "{allowed:?}");
    assert!(send(&mut limited, "AUTHLIMIT.INFO login").is_ok());
    let error = send(&mut limited, "SET login x").expect_err("not permitted");
    assert!(error.starts_with("NOPERM"), "{error}");
    ok(&mut client, "ACL SETUSER others on nopass ~* +@all -@authlimit");
    ok(&mut limited, "AUTH others x");
    ok(&mut limited, "SET text x");
    let error = send(&mut limited, "AUTHLIMIT.INFO login").expect_err("not permitted");
    assert!(error.starts_with("NOPERM"), "{error}");
}

#[test]
fn the_users_of_the_operations_page_can_do_their_work_and_nothing_else() {
    let page = page("docs/operations.md");
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("ACL SETUSER")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let server = Server::start();
    let mut admin = server.connect();
    for line in lines {
        ok(&mut admin, line);
    }
    ok(&mut admin, "AUTHLIMIT.POLICY limit:login PRESET signin");
    ok(&mut admin, "AUTHLIMIT.POLICY other PRESET signin");
    let work: [(&str, &[&str]); 2] = [
        ("app", &["CHECK KEY IP EMAIL", "PEEK KEY IP EMAIL", "RESET KEY IP EMAIL", "REFUND KEY IP EMAIL"]),
        ("support", &["INFO KEY", "UNLOCK KEY EMAIL EMAIL", "TOP KEY EMAIL COUNT 5"]),
    ];
    let rest = ["POLICY KEY IP 5/1h", "ALLOW KEY ADD IP", "DENY KEY LIST", "EFFECT KEY x"];
    let everything = work.iter().flat_map(|(_, lines)| *lines).chain(&rest);
    let everything: Vec<&str> = everything.copied().collect();
    for (user, own) in work {
        let mut client = server.connect();
        ok(&mut client, &format!("AUTH {user} {user}-password"));
        for line in &everything {
            for key in ["limit:login", "other"] {
                let words = line.replacen("KEY", key, 1).replace(" IP", &format!(" {IP}"));
                let words = match words.strip_suffix(" EMAIL") {
                    Some(words) => format!("{words} {EMAIL}"),
                    None => words,
                };
                let reply = send(&mut client, &format!("AUTHLIMIT.{words}"));
                if own.contains(line) && key == "limit:login" {
                    assert!(reply.is_ok(), "{user}: {words}: {reply:?}");
                } else {
                    let error = reply.expect_err("not permitted");
                    assert!(error.starts_with("NOPERM"), "{user}: {words}: {error}");
                }
            }
        }
        for line in ["GET limit:login", "DEL limit:login", "CONFIG GET *", "KEYS *"] {
            let error = send(&mut client, line).expect_err("not permitted");
            assert!(error.starts_with("NOPERM"), "{user}: {line}: {error}");
        }
    }
    assert_eq!(send(&mut admin, "DBSIZE"), Ok(Value::Int(2)));
}
