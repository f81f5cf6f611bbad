//! What a server leaves behind: its files, and its log.

use std::fs;
use std::path::PathBuf;

use super::server::Server;

/// The file that a server's output goes to.
pub(super) const LOG: &str = "server.log";

impl Server {
    /// Returns all that the server has logged since it was first started, and all that it wrote to its standard error.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log_bytes()).into_owned()
    }

    /// Returns the paths of the RDB and AOF files, in order.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the folder is ours") {
                let path = entry.expect("the folder is ours").path();
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

    /// Returns how many bytes these files have.
    pub(crate) fn file_size(&self) -> u64 {
        let size = |path| fs::metadata(path).expect("the file is ours").len();
        self.files().iter().map(size).sum()
    }

    /// Says whether the bytes are anywhere in the RDB and AOF files, of which there must be some.
    #[track_caller]
    pub(crate) fn grep_files(&self, bytes: &[u8]) -> bool {
        let files = self.files();
        assert!(!files.is_empty(), "there are no files to look into");
        files.iter().any(|path| contains(&fs::read(path).expect("the file is ours"), bytes))
    }

    /// Says whether the bytes are anywhere in the log.
    pub(crate) fn grep_log(&self, bytes: &[u8]) -> bool {
        contains(&self.log_bytes(), bytes)
    }

    /// Returns the log as it is, which need not be text.
    pub(super) fn log_bytes(&self) -> Vec<u8> {
        fs::read(self.folder().join(LOG)).expect("the log is there from the start")
    }
}

/// Finds a field in the text that INFO answers with.
pub(super) fn info_field<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
}

/// Says whether some bytes are in others.
fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle.first().expect("there is something to look for");
    let mut rest = haystack;
    // By the first byte, since files of megabytes are searched by tests that nobody optimizes.
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Returns the number of the line at which a crash report begins; processes that write an RDB or AOF file report too.
pub(super) fn crash(log: &str) -> Option<usize> {
    log.lines().position(|line| line.contains("BUG REPORT START"))
}

/// Returns the last lines of a log, and of a crash its beginning, which is where the reason is.
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
