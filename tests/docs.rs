//! What README.md and the pages in docs show is what a server does, and they leave nothing out.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that is surprised has failed, as it should"
)]

mod support;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use authlimit::policy::{ModifierWord, OptionWord, Policy, Preset, Subject};
use redis::Value;
use support::Server;
use support::cluster::Cluster;
use support::replies::send;
use tempfile::TempDir;

/// Reads a file of this repository.
fn page(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns what is between the fences of a page's code blocks that begin so, such as "```console".
fn blocks<'a>(page: &'a str, fence: &str) -> Vec<&'a str> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (name, inside) = opened.split_once('\n').expect("a fence ends its line");
        let (inside, after) = inside.split_once("\n```").expect("a block has an end");
        if format!("```{name}") == fence {
            blocks.push(inside);
        }
        rest = after;
    }
    blocks
}

/// Returns the cells of each row below the header of the table whose first column is headed so.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let header = format!("| {heading} |");
    let lines = page.lines().skip_while(|line| !line.starts_with(&header));
    let rows: Vec<_> = lines
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "there is no table {header}");
    rows
}

/// Splits a row into its cells, in which a bar is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim_matches('|').replace("\\|", "\0");
    let cells = row.split('|');
    cells.map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// Returns what stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A redis-cli that talks to one server and prints as it does to a person.
struct Cli {
    folder: TempDir,
}

impl Cli {
    /// Makes a redis-cli of the server's.
    fn of(server: &Server) -> Self {
        let folder = TempDir::with_prefix("authlimit-test-").expect("a temporary folder");
        let cli = Self { folder };
        let real = find("redis-cli");
        let script = format!(
            "#!/bin/sh\nexec '{}' -p {} --no-raw \"$@\"\n",
            real.display(),
            server.port()
        );
        let path = cli.folder.path().join("redis-cli");
        fs::write(&path, script).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
        cli
    }

    /// Runs a line as a person's shell would, and returns what is printed.
    #[track_caller]
    fn run(&self, line: &str) -> String {
        let mut path = OsString::from(self.folder.path());
        path.push(":");
        path.push(env::var_os("PATH").expect("there is one"));
        let output = Command::new("sh")
            .args(["-c", line])
            .env("PATH", path)
            .output()
            .expect("there is a shell");
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
    found
        .next()
        .unwrap_or_else(|| panic!("no {program}: run make deps"))
}

/// Replaces each number of four digits or more, which is a time, by a word.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    let mut digits = String::new();
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_digit() {
            digits.push(character);
        } else {
            out.push_str(if digits.len() < 4 { &digits } else { "<time>" });
            digits.clear();
            out.push(character);
        }
    }
    out.trim_end().to_owned()
}

/// Types a page's sessions, and checks that each line prints what the page shows.
#[track_caller]
fn goes_as_it_is_shown(path: &str, server: &Server) {
    let cli = Cli::of(server);
    let page = page(path);
    let mut lines = 0;
    for block in blocks(&page, "```console") {
        // Each line that begins with a prompt is followed by what it prints.
        for shown in block.strip_prefix("$ ").expect("a prompt").split("\n$ ") {
            let (line, printed) = shown.split_once('\n').unwrap_or((shown, ""));
            assert!(line.starts_with("redis-cli "), "{line}");
            let really = cli.run(line);
            assert_eq!(without_times(&really), without_times(printed), "{line}");
            lines += 1;
        }
    }
    assert!(lines > 5, "only {lines} lines were found");
}

#[test]
fn the_readmes_first_session_goes_as_it_is_shown() {
    goes_as_it_is_shown("README.md", &Server::start());
}

#[test]
fn the_sessions_in_a_cluster_go_as_they_are_shown() {
    let cluster = Cluster::start();
    goes_as_it_is_shown("docs/cluster.md", &cluster.nodes()[0]);
}

#[test]
fn the_worked_policies_are_accepted_as_they_stand() {
    let server = Server::start();
    let mut client = server.connect();
    let page = page("docs/policies.md");
    let lines: Vec<&str> = blocks(&page, "```")
        .iter()
        .flat_map(|block| block.lines())
        .collect();
    assert!(lines.len() > 8, "only {lines:?} were found");
    for line in lines {
        assert!(line.starts_with("AUTHLIMIT.POLICY "), "{line}");
        assert_eq!(send(&mut client, line), Ok(Value::Okay), "{line}");
    }
}

#[test]
fn the_worked_policies_quote_the_rules_that_they_set() {
    // The tables and the words of presets, in backticks on a line of their own or in a first column.
    let page = page("docs/policies.md");
    let set: String = blocks(&page, "```").join("\n");
    for row in table(&page, "rule") {
        let rule = quoted(&row[0])[0];
        assert!(set.contains(rule), "{rule} is in no policy of the page");
    }
    for preset in [Preset::Signup, Preset::Reset, Preset::Otp] {
        let words = format!("`{}`", preset.words());
        assert!(page.contains(&words), "{words}");
    }
}

#[test]
fn every_example_of_the_readmes_tables_is_accepted() {
    let server = Server::start();
    let mut client = server.connect();
    let readme = page("README.md");
    for row in table(&readme, "command") {
        for line in quoted(&row[2]) {
            let reply = send(&mut client, line);
            assert!(reply.is_ok(), "{line}: {reply:?}");
        }
    }
    for heading in ["subject", "modifier", "option"] {
        for row in table(&readme, heading) {
            let name = quoted(&row[0])[0].split(' ').next().expect("a word");
            for policy in quoted(&row[2]) {
                let line = format!("AUTHLIMIT.POLICY example {policy}");
                assert_eq!(send(&mut client, &line), Ok(Value::Okay), "{line}");
                assert!(policy.contains(name), "{policy} is no example of {name}");
            }
        }
    }
}

#[test]
fn the_readme_has_every_command_and_no_other() {
    let server = Server::start();
    let reply = send(
        &mut server.connect(),
        "COMMAND LIST FILTERBY MODULE authlimit",
    );
    let names: Vec<String> =
        redis::from_redis_value(reply.expect("there is such a module")).expect("names");
    assert!(names.len() >= 10, "{names:?}");
    let readme = page("README.md");
    let rows = table(&readme, "command");
    for name in &names {
        let name = name.to_ascii_uppercase();
        // Of the internal one people are told, and get no row.
        if name == "AUTHLIMIT.EFFECT" {
            assert!(readme.contains(&format!("`{name}`")));
            continue;
        }
        let row = rows.iter().find(|row| {
            let words = quoted(&row[0])[0];
            words.split(' ').next() == Some(name.as_str())
        });
        let row = row.unwrap_or_else(|| panic!("{name} is not in the table of commands"));
        assert!(quoted(&row[2])[0].starts_with(&name), "{row:?}");
    }
    assert_eq!(rows.len(), names.len() - 1);
}

#[test]
fn the_readme_has_every_option_of_every_command() {
    let server = Server::start();
    let mut client = server.connect();
    for row in table(&page("README.md"), "command") {
        let words = quoted(&row[0])[0];
        let name = words.split(' ').next().expect("a word");
        let docs = send(&mut client, &format!("COMMAND DOCS {name}")).expect("it is there");
        for token in tokens(&docs) {
            // What a policy is made of has tables of its own.
            if name != "AUTHLIMIT.POLICY" {
                let found = words.split([' ', '[', ']', '|']).any(|word| word == token);
                assert!(found, "{token} is not in {words}");
            }
        }
    }
}

/// Returns all tokens in a reply of COMMAND DOCS.
fn tokens(docs: &Value) -> Vec<String> {
    let Value::Array(fields) = docs else {
        return Vec::new();
    };
    let named = fields.windows(2).filter_map(|pair| match pair {
        [Value::BulkString(name), Value::BulkString(token)] if name == b"token" => {
            Some(String::from_utf8_lossy(token).into_owned())
        }
        _ => None,
    });
    named.chain(fields.iter().flat_map(tokens)).collect()
}

/// Checks that the first column of a table, in which a name may have a value after it, is these names and no others.
#[track_caller]
fn assert_names(heading: &str, mut names: Vec<&str>) {
    let readme = page("README.md");
    let rows = table(&readme, heading);
    let mut told: Vec<&str> = rows
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .map(|words| words.split(' ').next().expect("a word"))
        .collect();
    told.sort_unstable();
    told.dedup();
    names.sort_unstable();
    assert_eq!(told, names);
}

#[test]
fn the_readme_has_every_subject_and_modifier_and_no_other() {
    assert_names("subject", Subject::EVERY.map(Subject::word).to_vec());
    assert_names(
        "modifier",
        ModifierWord::EVERY.map(ModifierWord::word).to_vec(),
    );
}

#[test]
fn the_readme_has_every_option_of_a_policy_and_no_other() {
    let mut names = OptionWord::EVERY.map(OptionWord::word).to_vec();
    names.push("PRESET");
    assert_names("option", names);
}

#[test]
fn the_readme_has_every_preset_with_its_words() {
    assert_names("preset", Preset::EVERY.map(Preset::name).to_vec());
    for row in table(&page("README.md"), "preset") {
        let preset = Preset::from_name(quoted(&row[0])[0].as_bytes()).expect("it is one");
        assert_eq!(quoted(&row[1]), [preset.words()]);
    }
}

#[test]
fn command_docs_have_every_word_of_a_policy() {
    let server = Server::start();
    let docs = send(&mut server.connect(), "COMMAND DOCS AUTHLIMIT.POLICY");
    let tokens = tokens(&docs.expect("it is there"));
    let subjects = Subject::EVERY.map(Subject::word);
    let modifiers = ModifierWord::EVERY.map(ModifierWord::word);
    let options = OptionWord::EVERY.map(OptionWord::word);
    let presets = Preset::EVERY.map(Preset::name);
    for word in [&subjects[..], &modifiers, &options, &presets].concat() {
        assert!(
            tokens.iter().any(|token| token == word),
            "{word}: {tokens:?}"
        );
    }
}

#[test]
fn the_readme_has_every_config_with_its_value_to_begin_with() {
    let server = Server::start();
    let reply = send(&mut server.connect(), "CONFIG GET authlimit.*").expect("an answer");
    let configs: Vec<(String, String)> = redis::from_redis_value(reply).expect("pairs");
    assert!(configs.len() >= 3, "{configs:?}");
    assert_names(
        "config",
        configs.iter().map(|(name, _)| name.as_str()).collect(),
    );
    for row in table(&page("README.md"), "config") {
        let name = quoted(&row[0])[0];
        let value = configs.iter().find(|(config, _)| config == name);
        let value = value.map(|(_, value)| value.as_str());
        assert_eq!(value, Some(quoted(&row[2])[0].trim_matches('"')), "{name}");
    }
}

#[test]
fn the_readmes_module_arguments_are_accepted() {
    let readme = page("README.md");
    let line = readme
        .split('`')
        .find(|words| words.starts_with("loadmodule "));
    let line = line.expect("there is one").replace('\n', " ");
    // Redis reads the quotes; here there is one quoted argument.
    let (before, quoted) = line.split_once('"').expect("a quoted argument");
    let (quoted, after) = quoted.split_once('"').expect("its end");
    let mut args: Vec<&str> = before.split_whitespace().skip(2).collect();
    args.push(quoted);
    args.extend(after.split_whitespace());
    let server = Server::builder().module_args(args).start();
    let reply = send(&mut server.connect(), "CONFIG GET authlimit.default-policy");
    let pair: Vec<String> = redis::from_redis_value(reply.expect("an answer")).expect("a pair");
    assert_eq!(pair[1], quoted);
    Policy::from_text(quoted).expect("it is a policy");
}

#[test]
fn the_files_that_the_pages_link_to_are_there() {
    let pages = [
        ("README.md", ""),
        ("docs/policies.md", "docs/"),
        ("docs/cluster.md", "docs/"),
        ("docs/operations.md", "docs/"),
        ("docs/events.md", "docs/"),
        ("docs/install.md", "docs/"),
        ("examples/monitoring/README.md", "examples/monitoring/"),
    ];
    for (path, folder) in pages {
        let page = page(path);
        for part in page.split("](").skip(1) {
            let target = part.split(')').next().expect("a link has an end");
            if !target.contains("://") {
                let found = Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join(folder)
                    .join(target);
                assert!(found.exists(), "{path} links to {target}");
            }
        }
    }
}
