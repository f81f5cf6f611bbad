//! Runs redis-cli as a person would, and checks the sessions shown in the pages.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::pages::{blocks, page};
use crate::support::Server;

/// A redis-cli that talks to one server and prints as on a terminal.
pub(crate) struct Cli {
    folder: TempDir,
}

impl Cli {
    /// Creates a redis-cli for this server.
    pub(crate) fn of(server: &Server) -> Self {
        let folder = TempDir::with_prefix("authlimit-test-").expect("a temporary folder");
        let cli = Self { folder };
        let real = find("redis-cli");
        let script = format!("#!/bin/sh\nexec '{}' -p {} --no-raw \"$@\"\n", real.display(), server.port());
        let path = cli.folder.path().join("redis-cli");
        fs::write(&path, script).expect("the folder is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file can be made executable");
        cli
    }

    /// Runs a shell command line and returns its output.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        self.run_with(line, "")
    }

    /// Types lines at redis-cli's own prompt, which understands quotes, and returns the output.
    #[track_caller]
    pub(crate) fn type_in(&self, lines: &str) -> String {
        self.run_with("redis-cli", lines)
    }

    /// Runs a shell command line with this standard input.
    #[track_caller]
    fn run_with(&self, line: &str, input: &str) -> String {
        let mut path = OsString::from(self.folder.path());
        path.push(":");
        path.push(env::var_os("PATH").expect("PATH is set"));
        let mut child = Command::new("sh")
            .args(["-c", line])
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // The command may have exited without reading its input.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("the command ends");
        assert!(output.status.success(), "{line}: {output:?}");
        assert!(output.stderr.is_empty(), "{line}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

/// Finds a program in PATH.
fn find(program: &str) -> PathBuf {
    let path = env::var_os("PATH").expect("PATH is set");
    let found = env::split_paths(&path).map(|folder| folder.join(program));
    let mut found = found.filter(|path| path.is_file());
    found.next().unwrap_or_else(|| panic!("no {program}: run make deps"))
}

/// Runs a page's sessions and checks that each line prints what the page shows.
#[track_caller]
pub(crate) fn assert_sessions_match(path: &str, server: &Server) {
    let cli = Cli::of(server);
    let page = page(path);
    let mut lines = 0;
    for block in blocks(&page, "console") {
        // A line with a prompt is followed by its output.
        for shown in block.strip_prefix("$ ").expect("a prompt").split("\n$ ") {
            let (line, printed) = shown.split_once('\n').unwrap_or((shown, ""));
            assert!(line.starts_with("redis-cli "), "{line}");
            let actual = cli.run(line);
            let (actual, shown) = (mask_varying_values(&actual), mask_varying_values(printed));
            assert_eq!(actual, shown, "{path}: {line}");
            lines += 1;
        }
    }
    assert!(lines > 3, "{path}: only {lines} lines were found");
}

/// Replaces what differs between runs: times, sizes and ids.
pub(crate) fn mask_varying_values(text: &str) -> String {
    let mut size_follows = false;
    let lines = text.lines().map(|line| {
        let (name, number) = line.rsplit_once(' ').unwrap_or(("", line));
        let is_size = std::mem::replace(&mut size_follows, number == "\"bytes\"");
        if is_size { format!("{name} <size>") } else { mask_times_and_ids(line) }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Replaces each number of four digits or more, which is a time, and each id with a placeholder.
fn mask_times_and_ids(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for character in line.chars().chain(['\n']) {
        if character.is_ascii_alphanumeric() {
            word.push(character);
            continue;
        }
        let is_id = word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        match word.as_str() {
            _ if is_id => out.push_str("<id>"),
            number if digits >= 4 && digits == number.len() => out.push_str("<time>"),
            other => out.push_str(other),
        }
        word.clear();
        out.push(character);
    }
    out.trim_end().to_owned()
}
