//! docs/commands.md tells of every command what the server itself tells of it, and what it answers.

use std::collections::BTreeSet;

use crate::cli::{Cli, goes_as_it_is_shown};
use crate::pages::{blocks, first_word, one_line, page, quoted, sections, table};
use crate::support::Server;
use crate::support::replies::{elements, entry, ok, send, text, texts};
use redis::Value;

/// The page.
const PAGE: &str = "docs/commands.md";

/// What people are told of and cannot call.
const INTERNAL: &str = "AUTHLIMIT.EFFECT";

/// The files whose errors a client can get.
const ERRORS: [&str; 6] = [
    "src/redis/error.rs",
    "src/identity/ip.rs",
    "src/identity/cidr.rs",
    "src/limiter/request.rs",
    "src/limiter/lists.rs",
    "src/policy/error.rs",
];

/// How the errors begin that no line of the page provokes: it would take a broken clock, a system without random
/// numbers, a defect of the module, a hundred thousand commands, or a line that nobody wants to read.
const NOT_PROVOKED: [&str; 5] = [
    "ERR policy word 65: one rule too many",
    "ERR the server's clock",
    "ERR the system has no random numbers",
    "ERR internal error",
    "ERR the limiter's allow and deny lists are full",
];

/// The error that the server words itself, and adds the command's name to.
const SERVER_GOES_ON: &str = "ERR wrong number of arguments";

/// One command as the server knows it.
struct Known {
    name: String,
    docs: Value,
    flags: BTreeSet<String>,
}

/// Asks the server for all commands of the module but the internal one.
fn known_commands() -> Vec<Known> {
    let server = Server::start();
    let mut client = server.connect();
    let list = send(&mut client, "COMMAND LIST FILTERBY MODULE authlimit");
    let names = texts(&list.expect("there is such a module"));
    let names = names.iter().map(|name| name.to_ascii_uppercase());
    let known: Vec<Known> = names
        .filter(|name| name != INTERNAL)
        .map(|name| {
            let docs = send(&mut client, &format!("COMMAND DOCS {name}")).expect("an answer");
            let info = send(&mut client, &format!("COMMAND INFO {name}")).expect("an answer");
            let info = elements(&elements(&info)[0]);
            Known { docs: entry(&docs, &name), flags: told_flags(texts(&info[2])), name }
        })
        .collect();
    assert!(known.len() >= 10, "there are {}", known.len());
    known
}

/// Returns the flags that are a command's own, by the names that Redis has for them.
fn told_flags(flags: Vec<String>) -> BTreeSet<String> {
    let own = flags.into_iter();
    let own = own.filter(|flag| !["module", "movablekeys"].contains(&flag.as_str()));
    // Valkey has a log of commands of which the slow log is one part.
    own.map(|flag| flag.replace("skip_commandlog", "skip_slowlog")).collect()
}

/// Returns the page's sections about a command: its name, and what is told of it.
fn told_commands(page: &str) -> Vec<(&str, &str)> {
    let sections = sections(page).into_iter();
    sections.filter(|(heading, _)| heading.starts_with("AUTHLIMIT.")).collect()
}

/// Returns the section about a command.
#[track_caller]
fn section_of<'a>(page: &'a str, name: &str) -> &'a str {
    let told = told_commands(page);
    let found = told.iter().find(|(heading, _)| *heading == name);
    found.unwrap_or_else(|| panic!("{name} has no section")).1
}

/// Returns the arguments of a command, or the parts of one; none if it has none.
fn parts(argument: &Value) -> Vec<Value> {
    let has_parts = field(argument, "arguments").is_some();
    let parts = has_parts.then(|| elements(&entry(argument, "arguments")));
    parts.unwrap_or_default()
}

/// Returns a field of an argument, if it has it.
fn field(argument: &Value, name: &str) -> Option<Value> {
    let fields = elements(argument);
    let mut fields = fields.chunks(2);
    let found = fields.find(|pair| text(&pair[0]) == name);
    found.map(|pair| pair[1].clone())
}

/// Writes an argument as `redis-cli` hints at it.
fn syntax(argument: &Value) -> String {
    let kind = text(&entry(argument, "type"));
    let token = field(argument, "token").map(|token| text(&token));
    let each = || parts(argument).iter().map(syntax).collect::<Vec<_>>();
    let value = match kind.as_str() {
        "pure-token" => None,
        "oneof" => Some(format!("<{}>", each().join(" | "))),
        "block" => Some(each().join(" ")),
        _ => Some(text(&entry(argument, "name"))),
    };
    let words: Vec<String> = token.into_iter().chain(value).collect();
    let words = words.join(" ");
    let flags = field(argument, "flags").map_or(Vec::new(), |flags| texts(&flags));
    let has = |flag: &str| flags.iter().any(|found| found == flag);
    match (has("optional"), has("multiple")) {
        (false, false) => words,
        (true, false) => format!("[{words}]"),
        (true, true) => format!("[{words} ...]"),
        (false, true) => format!("{words} ..."),
    }
}

/// Adds the words of an argument that a person has to know: its token, or its name if it has none, or its parts.
fn collect_words(argument: &Value, words: &mut BTreeSet<String>) {
    words.extend(field(argument, "token").map(|token| text(&token)));
    let parts = parts(argument);
    if parts.is_empty() && field(argument, "token").is_none() {
        words.insert(text(&entry(argument, "name")));
    }
    for part in &parts {
        collect_words(part, words);
    }
}

#[test]
fn every_command_has_a_section_and_nothing_else_has() {
    let page = page(PAGE);
    let mut told: Vec<&str> = told_commands(&page).iter().map(|(name, _)| *name).collect();
    told.sort_unstable();
    let known = known_commands();
    let mut names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(told, names);
    assert!(page.contains(&format!("`{INTERNAL}`")));
    let mut overview: Vec<_> = table(&page, "command").iter().map(|row| quoted(&row[0])[0].to_owned()).collect();
    overview.sort_unstable();
    assert_eq!(overview, names);
}

#[test]
fn summary_syntax_complexity_and_flags_are_the_servers_own() {
    let page = page(PAGE);
    for known in known_commands() {
        let Known { name, docs, flags } = known;
        let section = section_of(&page, &name);
        let summary = text(&entry(&docs, "summary"));
        let begins = one_line(section).starts_with(&format!("{summary}."));
        assert!(begins, "{name} is to begin with: {summary}.");

        let arguments = parts(&docs);
        let words: Vec<String> = arguments.iter().map(syntax).collect();
        let shown = blocks(section, "syntax");
        assert_eq!(one_line(shown[0]), format!("{name} {}", words.join(" ")), "{name}");

        let complexity = format!("Complexity: {}.", text(&entry(&docs, "complexity")));
        assert!(one_line(section).contains(&complexity), "{complexity}");
        let since = format!("Since {}.", text(&entry(&docs, "since")));
        assert!(section.contains(&since), "{since}");
        let line = one_line(section);
        let (_, told) = line.split_once("Flags: ").expect("there are flags");
        let (told, _) = told.split_once('.').expect("they end");
        let told: BTreeSet<String> = quoted(told).into_iter().map(str::to_owned).collect();
        assert_eq!(told, flags, "{name}");
    }
}

#[test]
fn every_word_of_every_argument_is_told_and_no_other() {
    let page = page(PAGE);
    for known in known_commands() {
        let mut words = BTreeSet::new();
        for argument in parts(&known.docs) {
            collect_words(&argument, &mut words);
        }
        let mut told = BTreeSet::new();
        for row in table(section_of(&page, &known.name), "argument") {
            told.extend(quoted(&row[0]).iter().map(|w| w.split(' ').next().expect("a word").to_owned()));
            assert!(row[1].len() > 8, "{row:?} tells nothing");
        }
        assert_eq!(told, words, "{}", known.name);
    }
}

#[test]
fn the_examples_go_as_they_are_shown() {
    goes_as_it_is_shown(PAGE, &Server::start());
    let page = page(PAGE);
    for (name, section) in told_commands(&page) {
        let shown = blocks(section, "console").join("\n");
        assert!(shown.contains(&format!("redis-cli {name} ")), "{name} has no example");
        assert!(section.contains("**Reply**"), "{name} has no reply");
    }
}

#[test]
fn each_error_is_what_its_example_is_answered_with() {
    let server = Server::start();
    let mut client = server.connect();
    let cli = Cli::of(&server);
    let mut shown = 0;
    for row in table(&page(PAGE), "error") {
        let (error, lines) = (quoted(&row[0])[0], quoted(&row[2]));
        if lines.is_empty() {
            let is_known = NOT_PROVOKED.iter().any(|begin| error.starts_with(begin));
            assert!(is_known, "{error} has no example");
            continue;
        }
        ok(&mut client, "FLUSHALL");
        ok(&mut client, "CONFIG SET authlimit.autocreate yes");
        let printed = cli.type_in(&lines.join("\n"));
        let (before, last) = printed.trim_end().rsplit_once('\n').unwrap_or(("", &printed));
        assert!(!before.contains("(error)"), "{lines:?}: {printed}");
        assert_eq!(last.trim_end(), format!("(error) {error}"), "{lines:?}");
        shown += 1;
    }
    assert!(shown > 30, "only {shown} errors were found");
}

#[test]
fn every_error_that_a_client_can_get_is_told() {
    let told: Vec<String> = table(&page(PAGE), "error").iter().map(|row| quoted(&row[0])[0].to_owned()).collect();
    let mut found = 0;
    for file in ERRORS {
        for message in messages(&page(file)) {
            // Of the internal command's errors an operator reads in the log.
            if message.contains(INTERNAL) && !message.contains("only") {
                continue;
            }
            let fragments = fixed_parts(&message);
            // What is nothing but another error's text is told where that is.
            if fragments.iter().all(|fixed| fixed.trim() == "ERR") {
                continue;
            }
            // So that no error is taken for a longer one that begins like it.
            let goes_on = message.ends_with('}') || message == SERVER_GOES_ON;
            let end = fragments.last().filter(|_| !goes_on);
            let is_told = told
                .iter()
                .any(|error| holds_in_order(error, &fragments) && end.is_none_or(|end| error.ends_with(end)));
            assert!(is_told, "{file}: not told: {message}");
            found += 1;
        }
    }
    assert!(found > 40, "only {found} messages were found");
}

/// Returns the text of every `#[error("...")]` in a file of the source.
fn messages(source: &str) -> Vec<String> {
    let parts = source.split("#[error(").skip(1);
    let texts = parts.filter_map(|part| part.trim_start().strip_prefix('"'));
    texts
        .map(|text| {
            let (text, _) = text.split_once('"').expect("a text has an end");
            // A backslash at the end of a line joins it with the next.
            let lines = text.split("\\\n").map(str::trim_start);
            lines.collect::<String>()
        })
        .collect()
}

/// Returns what stands between the placeholders of a message.
fn fixed_parts(message: &str) -> Vec<&str> {
    let parts = message.split('{');
    let parts = parts.map(|part| part.split_once('}').map_or(part, |(_, fixed)| fixed));
    parts.filter(|part| !part.is_empty()).collect()
}

/// Returns whether a text has these parts, one after the other.
fn holds_in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

#[test]
fn command_docs_have_every_word_of_a_policy() {
    use authlimit::policy::{Keyword, ModifierWord, OptionWord, Preset, Subject};
    let known = known_commands();
    let policy = known.iter().find(|known| known.name == "AUTHLIMIT.POLICY");
    let mut words = BTreeSet::new();
    for argument in parts(&policy.expect("it is there").docs) {
        collect_words(&argument, &mut words);
    }
    let subjects = Subject::all_words();
    let modifiers = ModifierWord::all_words();
    let options = OptionWord::all_words();
    let presets = Preset::all_words();
    for word in [&subjects[..], &modifiers, &options, &presets].concat() {
        assert!(words.contains(word), "{word}: {words:?}");
    }
}

#[test]
fn the_overview_names_each_commands_section() {
    let page = page(PAGE);
    for row in table(&page, "command") {
        let name = first_word(&row[0]);
        let anchor = format!("(#{})", name.to_ascii_lowercase().replace('.', ""));
        assert!(row[0].contains(&anchor), "{row:?}");
    }
}
