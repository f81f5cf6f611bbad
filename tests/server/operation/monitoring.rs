//! The Prometheus recipe: its script returns what redis_exporter expects, and its alerts use existing fields.

use crate::support::replies::{EMAIL, IP, check, elements, ok, send, text};
use crate::support::rules::start_with;
use crate::support::{Server, command, page};
use redis::{Connection, Value};
use std::collections::BTreeMap;

/// Reads a file of the recipe.
fn recipe(name: &str) -> String {
    page(&format!("examples/monitoring/{name}"))
}

/// Evaluates the script as redis_exporter does, and returns the names and values.
#[track_caller]
fn scrape(client: &mut Connection) -> BTreeMap<String, String> {
    // redis_exporter sends EVAL, the script, and 0 twice.
    let reply = command(client, &["EVAL", &recipe("authlimit.lua"), "0", "0"]);
    let reply = elements(&reply.expect("the script runs"));
    let strings = reply.iter().map(|value| match value {
        Value::BulkString(_) => text(value),
        other => panic!("not a string: {other:?}"),
    });
    let strings: Vec<String> = strings.collect();
    assert_eq!(strings.len() % 2, 0, "{strings:?}");
    let pairs = strings.chunks(2);
    pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

#[test]
fn the_script_returns_every_field_as_a_name_and_a_number() {
    let (_server, mut client) = start_with("PAIR 1/1h");
    for _ in 0..3 {
        check(&mut client, IP, EMAIL);
    }
    let scraped = scrape(&mut client);
    let section = text(&send(&mut client, "INFO authlimit").expect("a section"));
    let fields: BTreeMap<String, String> = section
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, number)| (name.to_owned(), number.to_owned()))
        .collect();
    assert!(fields.len() > 15, "{section}");
    assert_eq!(scraped, fields);
    assert_eq!(scraped["authlimit_checks"], "3");
    assert_eq!(scraped["authlimit_refused_pair"], "2");
    for number in scraped.values() {
        assert!(number.parse::<f64>().is_ok(), "{number}");
    }
}

#[test]
fn the_acl_user_of_the_recipe_may_run_the_script() {
    let server = Server::start();
    let mut client = server.connect();
    let readme = recipe("README.md");
    let line = readme.lines().find(|line| line.starts_with("ACL SETUSER"));
    ok(&mut client, line.expect("the recipe has an ACL user"));
    ok(&mut client, "AUTH exporter secret");
    assert!(!scrape(&mut client).is_empty());
    let denied = send(&mut client, "AUTHLIMIT.TOP login IP").expect_err("not permitted");
    assert!(denied.starts_with("NOPERM"), "{denied}");
}

#[test]
fn the_alerts_and_their_tests_use_existing_fields() {
    let server = Server::start();
    let scraped = scrape(&mut server.connect());
    for file in ["alerts.yml", "alerts_test.yml"] {
        let page = recipe(file);
        let keys: Vec<&str> =
            page.split("key=\"").skip(1).map(|rest| rest.split('"').next().expect("its end")).collect();
        assert!(keys.len() > 5, "{keys:?}");
        for key in keys {
            assert!(scraped.contains_key(key), "{file}: {key}");
        }
        let (_, patterns) = page.split_once("key=~\"").unwrap_or_default();
        if let Some((prefix, rest)) = patterns.split_once('(') {
            let (ends, _) = rest.split_once(')').expect("its end");
            for end in ends.split('|') {
                assert!(scraped.contains_key(&format!("{prefix}{end}")), "{end}");
            }
        }
    }
}

#[test]
fn the_documentation_lists_every_field_and_no_other() {
    let server = Server::start();
    let scraped = scrape(&mut server.connect());
    let page = page("docs/events.md");
    let (_, metrics) = page.split_once("## Metrics").expect("the section");
    let rows = metrics.lines().filter(|line| line.starts_with("| `authlimit_"));
    let mut documented = Vec::new();
    for row in rows {
        let cell = row.split('|').nth(1).expect("a cell");
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        for name in &names {
            // Further fields of a family are listed by suffix.
            documented.push(match name.strip_prefix('_') {
                Some(end) => format!("authlimit_refused_{end}"),
                None => (*name).to_owned(),
            });
        }
    }
    documented.sort_unstable();
    assert_eq!(documented, scraped.into_keys().collect::<Vec<_>>());
}
