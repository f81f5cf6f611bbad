//! ACL: users are limited to their commands and key patterns.

use crate::support::replies::{EMAIL, IP, elements, ok, send, text, texts};
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

/// The commands that can switch a limiter off.
const DANGEROUS: [&str; 5] = ["ALLOW", "DENY", "POLICY", "UNLOCK", "EFFECT"];

/// Returns the names of the module's commands in lower case, each with its flags and categories.
fn commands_with_categories(server: &Server) -> Vec<(String, Vec<String>, Vec<String>)> {
    let mut client = server.connect();
    let names = texts(&send(&mut client, "COMMAND LIST FILTERBY MODULE authlimit").expect("a list"));
    let mut info = |name: &String| {
        let reply = send(&mut client, &format!("COMMAND INFO {name}")).expect("an answer");
        let info = elements(&elements(&reply)[0]);
        (name.to_lowercase(), texts(&info[2]), texts(&info[6]))
    };
    names.iter().map(&mut info).collect()
}

#[test]
fn every_command_is_in_the_categories_of_its_flags() {
    let server = Server::start();
    if category(&server).is_none() {
        eprintln!("skipped: this server has no categories of modules");
        return;
    }
    for (name, flags, mut categories) in commands_with_categories(&server) {
        let has = |flag: &str| flags.iter().any(|known| known == flag);
        let is_dangerous = DANGEROUS.iter().any(|dangerous| name.ends_with(&format!(".{}", dangerous.to_lowercase())));
        let mut expected = vec![
            "@authlimit",
            if has("fast") { "@fast" } else { "@slow" },
            if has("readonly") { "@read" } else { "@write" },
        ];
        expected.extend(is_dangerous.then_some("@dangerous"));
        expected.sort_unstable();
        categories.sort();
        assert_eq!(categories, expected, "{name}");
    }
}

/// A call of every command that a client may use.
const LINES: [&str; 11] = [
    "CHECK limit:login 192.0.2.1 a@b.c",
    "PEEK limit:login 192.0.2.1 a@b.c",
    "RESET limit:login 192.0.2.1 a@b.c",
    "REFUND limit:login 192.0.2.1 a@b.c",
    "POLICY limit:login IP 5/1h",
    "INFO limit:login",
    "UNLOCK limit:login EMAIL a@b.c",
    "TOP limit:login IP",
    "ALLOW limit:login ADD 192.0.2.2",
    "DENY limit:login ADD 192.0.2.2",
    "LIST limit:login DENY",
];

/// Returns which commands a user may use.
fn permitted(server: &Server, user: &str, password: &str) -> Vec<&'static str> {
    let mut client = server.connect();
    ok(&mut client, &format!("AUTH {user} {password}"));
    let mut may = |line: &str| match send(&mut client, &format!("AUTHLIMIT.{line}")) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.starts_with("NOPERM"), "{user}: {line}: {error}");
            false
        }
    };
    let lines = LINES.into_iter().filter(|line| may(line));
    lines.map(|line| line.split(' ').next().expect("a name")).collect()
}

#[test]
fn standard_categories_decide_about_the_commands_too() {
    let server = Server::start();
    if category(&server).is_none() {
        eprintln!("skipped: this server has no categories of modules");
        return;
    }
    let mut admin = server.connect();
    ok(&mut admin, "AUTHLIMIT.POLICY limit:login PRESET signin");
    let users: [(&str, &[&str]); 5] = [
        ("+@all -@write -@dangerous", &["PEEK", "INFO", "TOP", "LIST"]),
        ("-@all +@read", &["PEEK", "INFO", "TOP", "LIST"]),
        ("+@all -@dangerous", &["CHECK", "PEEK", "RESET", "REFUND", "INFO", "TOP", "LIST"]),
        ("-@all +@fast", &["CHECK", "PEEK"]),
        ("-@all +@dangerous", &["POLICY", "UNLOCK", "ALLOW", "DENY"]),
    ];
    for (rules, expected) in users {
        ok(&mut admin, &format!("ACL SETUSER somebody reset on nopass %RW~* {rules}"));
        assert_eq!(permitted(&server, "somebody", "x"), expected, "{rules}");
    }
    // The key of a command for reading needs permission for reading only.
    ok(&mut admin, "ACL SETUSER somebody reset on nopass %R~* +@all");
    assert_eq!(permitted(&server, "somebody", "x"), ["PEEK", "INFO", "TOP", "LIST"]);
}

/// Returns the line of the operations page that creates a user.
#[track_caller]
fn line_of(page: &str, user: &str) -> String {
    let begin = format!("ACL SETUSER {user} ");
    let found = page.lines().find(|line| line.starts_with(&begin));
    found.unwrap_or_else(|| panic!("no line creates {user}")).to_owned()
}

#[test]
fn the_page_takes_every_writing_command_away_by_name_where_there_are_no_categories() {
    let line = line_of(&page("docs/operations.md"), "monitor");
    let server = Server::start();
    let mut admin = server.connect();
    for (name, flags, _) in commands_with_categories(&server) {
        let is_taken_away = line.split(' ').any(|word| word.strip_prefix('-') == Some(&name));
        let is_for_clients = name != "authlimit.effect";
        assert_eq!(is_taken_away, is_for_clients && flags.iter().any(|flag| flag == "write"), "{name}");
    }
    ok(&mut admin, "AUTHLIMIT.POLICY limit:login PRESET signin");
    ok(&mut admin, &line);
    assert_eq!(permitted(&server, "monitor", "monitor-password"), ["PEEK", "INFO", "TOP", "LIST"]);
    let mut monitor = server.connect();
    ok(&mut monitor, "AUTH monitor monitor-password");
    for line in ["SET limit:login x", "CONFIG GET *", "AUTHLIMIT.INFO other"] {
        let error = send(&mut monitor, line).expect_err("not permitted");
        assert!(error.starts_with("NOPERM"), "{line}: {error}");
    }
}

#[test]
fn the_users_of_the_operations_page_can_do_their_work_and_nothing_else() {
    let page = page("docs/operations.md");
    let server = Server::start();
    let mut admin = server.connect();
    for user in ["app", "support"] {
        ok(&mut admin, &line_of(&page, user));
    }
    ok(&mut admin, "AUTHLIMIT.POLICY limit:login PRESET signin");
    ok(&mut admin, "AUTHLIMIT.POLICY other PRESET signin");
    let work: [(&str, &[&str]); 2] = [
        ("app", &["CHECK KEY IP EMAIL", "PEEK KEY IP EMAIL", "RESET KEY IP EMAIL", "REFUND KEY IP EMAIL"]),
        ("support", &["INFO KEY", "UNLOCK KEY EMAIL EMAIL", "TOP KEY EMAIL COUNT 5"]),
    ];
    let rest = ["POLICY KEY IP 5/1h", "ALLOW KEY ADD IP", "DENY KEY LIST", "LIST KEY DENY", "EFFECT KEY x"];
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
