//! README.md and the pages in docs match the Makefile, the configuration and the benchmark results.

use std::collections::BTreeMap;

use crate::pages::{blocks, page, pages_of_the_manual, prose, quoted, table};
use crate::support::Server;
use crate::support::replies::send;

#[test]
fn every_make_target_in_the_pages_exists() {
    let makefile = page("Makefile");
    let mut targets = 0;
    for path in pages_of_the_manual() {
        let page = page(&path);
        let lines = blocks(&page, "sh");
        let in_blocks = lines.iter().flat_map(|block| block.lines());
        let prose = prose(&page);
        for line in in_blocks.chain(quoted(&prose)) {
            let Some(rest) = line.strip_prefix("make ") else {
                continue;
            };
            let target = rest.split(' ').next().expect("a word");
            let is_there = makefile.contains(&format!("\n{target}:"));
            assert!(is_there, "{path}: make {target}");
            targets += 1;
        }
    }
    assert!(targets > 2, "only {targets} targets were found");
}

#[test]
fn every_config_is_documented_with_its_default() {
    let server = Server::start();
    let reply = send(&mut server.connect(), "CONFIG GET authlimit.*").expect("an answer");
    let configs: BTreeMap<String, String> = redis::from_redis_value(reply).expect("pairs");
    assert!(configs.len() >= 3, "{configs:?}");
    let rows = table(&page("docs/configuration.md"), "config");
    let documented: BTreeMap<String, String> = rows
        .iter()
        .map(|row| {
            let value = quoted(&row[2])[0].trim_matches('"');
            (quoted(&row[0])[0].to_owned(), value.to_owned())
        })
        .collect();
    assert_eq!(documented, configs);
}

#[test]
fn the_readme_is_short_and_links_to_every_page() {
    let readme = page("README.md");
    let lines = readme.lines().count();
    assert!(lines <= 110, "{lines} lines: move something into docs");
    for path in pages_of_the_manual() {
        let link = format!("]({path})");
        assert!(path == "README.md" || readme.contains(&link), "{path}");
    }
}

#[test]
fn the_comparison_quotes_the_measured_results() {
    let measured = page("bench/results/redis-7.0.15/accuracy.md");
    let measured: BTreeMap<String, String> = measured
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            match cells.as_slice() {
                [name, _, times] if times.parse::<f64>().is_ok() => Some(((*name).to_owned(), (*times).to_owned())),
                _ => None,
            }
        })
        .collect();
    assert!(measured.len() > 5, "{measured:?}");
    let page = page("docs/alternatives.md");
    let quoted: BTreeMap<String, String> = page
        .lines()
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .filter_map(|cells: Vec<&str>| match cells.as_slice() {
            [name, times, _, _, _] if times.parse::<f64>().is_ok() => Some(((*name).to_owned(), (*times).to_owned())),
            _ => None,
        })
        .collect();
    assert_eq!(quoted, measured);
}
