//! redis-cli, as a person uses it, and the sessions that the pages show.

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

/// A redis-cli that talks to one server and prints as it does to a person.
pub(crate) struct Cli {
    folder: TempDir,
}

impl Cli {
    /// Makes a redis-cli of the server's.
    pub(crate) fn of(server: &Server) -> Self {
        let folder = TempDir::with_prefix("authlimit-test-").expect("a temporary folder");
        let cli = Self { folder };
        let real = find("redis-cli");
        let script = format!("#!/bin/sh\nexec '{}' -p {} --no-raw \"$@\"\n", real.display(), server.port());
        let path = cli.folder.path().join("redis-cli");
        fs::write(&path, script).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        cli
    }

    /// Runs a line as a person's shell would, and returns what is printed.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        self.run_with(line, "")
    }

    /// Types lines at redis-cli's own prompt, which knows quotes, and returns what is printed.
    #[track_caller]
    pub(crate) fn type_in(&self, lines: &str) -> String {
        self.run_with("redis-cli", lines)
    }

    /// Runs a line of the shell with this input.
    #[track_caller]
    fn run_with(&self, line: &str, input: &str) -> String {
        let mut path = OsString::from(self.folder.path());
        path.push(":");
        path.push(env::var_os("PATH").expect("there is one"));
        let mut child = Command::new("sh")
            .args(["-c", line])
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        // A line that reads no input may have ended by now.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{line}: {output:?}");
        assert!(output.stderr.is_empty(), "{line}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Finds a program.
fn find(program: &str) -> PathBuf {
    let path = env::var_os("PATH").expect("there is one");
    let found = env::split_paths(&path).map(|folder| folder.join(program));
    let mut found = found.filter(|path| path.is_file());
    found.next().unwrap_or_else(|| panic!("no {program}: run make deps"))
}

/// Types a page's sessions, and checks that each line prints what the page shows.
#[track_caller]
pub(crate) fn goes_as_it_is_shown(path: &str, server: &Server) {
    let cli = Cli::of(server);
    let page = page(path);
    let mut lines = 0;
    for block in blocks(&page, "console") {
        // Each line that begins with a prompt is followed by what it prints.
        for shown in block.strip_prefix("$ ").expect("a prompt").split("\n$ ") {
            let (line, printed) = shown.split_once('\n').unwrap_or((shown, ""));
            assert!(line.starts_with("redis-cli "), "{line}");
            let really = cli.run(line);
            let (really, shown) = (without_chance(&really), without_chance(printed));
            assert_eq!(really, shown, "{path}: {line}");
            lines += 1;
        }
    }
    assert!(lines > 3, "{path}: only {lines} lines were found");
}

/// Replaces what is another at each time: times, sizes and ids.
pub(crate) fn without_chance(text: &str) -> String {
    let mut of_size = false;
    let lines = text.lines().map(|line| {
        let (name, number) = line.rsplit_once(' ').unwrap_or(("", line));
        let is_size = std::mem::replace(&mut of_size, number == "\"bytes\"");
        if is_size { format!("{name} <size>") } else { without_times_and_ids(line) }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Replaces each number of four digits or more, which is a time, and each id by a word.
fn without_times_and_ids(line: &str) -> String {
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
