//! The page on the formats says what the code does.

use super::chunk::LOG_HEAD_BYTES;
use super::lock::{LOCK_BYTES, LOCK_BYTES_V1, UNLOCK_BYTES};
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
    let code = |part: Part| part.code().0;
    let [lists, logs, locks, unlocks] = [Part::Lists, Part::Logs(0), Part::Locks(0), Part::Unlocks].map(code);
    assert_says(&format!("a number: {lists} lists, {logs} logs, {locks} locks, {unlocks} unlocks"));
    let [logs, locks] = [Part::LogsV1(0), Part::LocksV1(0)].map(code);
    assert_says(&format!("in format 1: {logs} logs, {locks} locks"));
    assert_says(&format!("the number {END_OF_CHUNKS}."));
}

#[test]
fn sizes_are_those_of_the_code() {
    assert_says(&format!(
        "a log ({LOG_HEAD_BYTES} bytes and 8 or 24 for each attempt), a lock ({LOCK_BYTES} bytes), an unlock \
         ({UNLOCK_BYTES} bytes) or a list entry ({} bytes)",
        list_entry::RECORD_BYTES
    ));
    assert_says(&format!("16 for an attempt of a distinct count, and {LOCK_BYTES_V1} for a lock"));
    assert_says(&format!("a string of at most {} KiB", CHUNK_BYTES / 1024));
}
