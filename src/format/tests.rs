//! The page on the formats says what the code does.

use super::chunk::{LOCK_BYTES, LOG_HEAD_BYTES};
use super::{CHUNK_BYTES, ENCODING_VERSION, END_OF_CHUNKS, Part, list_entry, metadata};

/// The page, in one line.
fn page() -> String {
    let page = include_str!("format.md");
    page.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Fails unless the page contains these words.
#[track_caller]
fn assert_says(words: &str) {
    assert!(page().contains(words), "the page does not say: {words}");
}

#[test]
fn versions_and_codes_are_those_of_the_code() {
    assert_says(&format!("the bytes of format version {}.", metadata::VERSION));
    assert_says(&format!("its encoding version {ENCODING_VERSION}."));
    let codes = [Part::Logs(0), Part::Locks(0), Part::Lists].map(|part| part.code().0);
    let [logs, locks, lists] = codes;
    assert_says(&format!("a number: {logs} logs, {locks} locks, {lists} lists"));
    assert_says(&format!("the number {END_OF_CHUNKS}."));
}

#[test]
fn sizes_are_those_of_the_code() {
    assert_says(&format!(
        "a log ({LOG_HEAD_BYTES} bytes and 8 or 16 for each attempt), a lock ({LOCK_BYTES} bytes) or a list entry ({} bytes)",
        list_entry::RECORD_BYTES
    ));
    assert_says(&format!("a string of at most {} KiB", CHUNK_BYTES / 1024));
}
