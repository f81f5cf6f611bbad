//! The files and the log of a server.

use std::fs;
use std::path::PathBuf;

use super::server::Server;

/// The file that receives a server's output.
pub(super) const LOG: &str = "server.log";

impl Server {
    /// Returns the log and the standard error of the server since its first start.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log_bytes()).into_owned()
    }

    /// Returns the paths of the RDB and AOF files, in order.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the folder is readable") {
                let path = entry.expect("the folder is readable").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rdb" || extension == "aof") {
                    files.push(path);
                }
            }
        }
        files.sort();
        files
    }

    /// Returns the total size of the RDB and AOF files, in bytes.
    pub(crate) fn file_size(&self) -> u64 {
        let size = |path| fs::metadata(path).expect("the file is readable").len();
        self.files().iter().map(size).sum()
    }

    /// Returns whether any RDB or AOF file contains the bytes; panics if there are no such files.
    #[track_caller]
    pub(crate) fn grep_files(&self, bytes: &[u8]) -> bool {
        let files = self.files();
        assert!(!files.is_empty(), "there are no files to search");
        files.iter().any(|path| contains(&fs::read(path).expect("the file is readable"), bytes))
    }

    /// Returns whether the log contains the bytes.
    pub(crate) fn grep_log(&self, bytes: &[u8]) -> bool {
        contains(&self.log_bytes(), bytes)
    }

    /// Returns the raw log, which may not be valid UTF-8.
    pub(super) fn log_bytes(&self) -> Vec<u8> {
        fs::read(self.folder().join(LOG)).expect("the log exists from the start")
    }
}

/// Returns a field of the reply to INFO.
pub(super) fn info_field<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
}

/// Returns whether `haystack` contains `needle`.
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle.first().expect("the needle is not empty");
    let mut rest = haystack;
    // Searching for the first byte keeps this fast in unoptimized builds, on files of megabytes.
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Returns the line number at which a crash report starts. Child processes that write RDB or AOF files report, too.
pub(super) fn crash(log: &str) -> Option<usize> {
    log.lines().position(|line| line.contains("BUG REPORT START"))
}

/// Returns the last lines of a log. If the server crashed, also the start of the crash report, which has the reason.
pub(super) fn tail(log: &str, count: usize) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let end = lines.len().saturating_sub(count);
    match crash(log) {
        Some(line) => {
            let report = &lines[line.saturating_sub(10)..lines.len().min(line + 40)];
            format!("{}\n...\n{}", report.join("\n"), lines[end..].join("\n"))
        }
        None => lines[end..].join("\n"),
    }
}
