//! The page on the stored format says what the files that write it say.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that is surprised has failed, as it should"
)]

use std::fs;
use std::path::Path;

use authlimit::limiter::{CHUNK_BYTES, Listing};

/// Reads a file of this repository.
#[track_caller]
fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a constant in a source file.
#[track_caller]
fn constant(source: &str, name: &str) -> u64 {
    let begin = format!("const {name}: ");
    let line = source
        .lines()
        .map(|line| line.trim_start().trim_start_matches("pub(crate) "))
        .find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("no constant {name}"));
    let value = line.split("= ").nth(1).expect("it has a value");
    value.trim_end_matches(';').parse().expect("a number")
}

/// The page, in one line.
fn page() -> String {
    let page = file("src/redis/format.md");
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_files_that_the_page_names_are_there() {
    let page = page();
    let names: Vec<&str> = page
        .split('`')
        .filter(|name| name.starts_with("src/") || name.starts_with("tests/"))
        .collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        assert!(path.exists(), "{name}");
    }
}

#[test]
fn versions_and_codes_are_those_of_the_source() {
    let page = page();
    let says = |words: String| assert!(page.contains(&words), "the page does not say: {words}");
    let header = file("src/redis/header.rs");
    let native = file("src/redis/native_type.rs");
    let persistence = file("src/redis/persistence.rs");
    let message = file("src/redis/message.rs");
    says(format!(
        "the bytes of format version {}.",
        constant(&header, "VERSION")
    ));
    says(format!(
        "its encoding version {}.",
        constant(&native, "ENCODING_VERSION")
    ));
    let part = |name| constant(&persistence, name);
    let (logs, locks, lists) = (part("LOGS"), part("LOCKS"), part("LISTS"));
    says(format!(
        "a number: {logs} logs, {locks} locks, {lists} lists"
    ));
    says(format!("the number {}.", part("END")));
    let code = |name| constant(&message, name);
    let build = ["CREATE", "LOGS", "LOCKS", "LISTS"].map(code);
    assert_eq!(build, [1, 2, 3, 4]);
    says("Codes 1 to 4 build a limiter".to_owned());
    says(format!(
        "The others, {} to {},",
        code("ADMIT"),
        code("TIME_PASSED")
    ));
    // The last code is the greatest there is.
    let table = message.lines().filter(|line| line.starts_with("//! | "));
    let codes = table.filter_map(|line| line.split('|').nth(1)?.trim().parse::<u64>().ok());
    assert_eq!(codes.max(), Some(code("TIME_PASSED")));
}

#[test]
fn sizes_are_those_of_the_source() {
    let page = page();
    let chunk = file("src/limiter/chunk.rs");
    let head = constant(&chunk, "RECORD_HEAD");
    let lock = constant(&chunk, "LOCK_RECORD");
    let words = format!(
        "a log ({head} bytes and 8 or 16 for each attempt), a lock ({lock} bytes) or a list entry ({} bytes)",
        Listing::BYTES
    );
    assert!(page.contains(&words), "{words}");
    let words = format!("a string of at most {} KiB", CHUNK_BYTES / 1024);
    assert!(page.contains(&words), "{words}");
}
