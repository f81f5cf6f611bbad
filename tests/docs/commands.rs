//! docs/commands.md matches COMMAND DOCS and COMMAND INFO, and its examples and errors match real replies.

use std::collections::BTreeSet;

use crate::cli::{Cli, assert_sessions_match};
use crate::pages::{blocks, first_word, one_line, page, quoted, sections, table};
use crate::support::Server;
use crate::support::replies::{elements, entry, ok, send, text, texts};
use redis::Value;

/// The page.
const PAGE: &str = "docs/commands.md";

/// The internal command: documented, but no client may call it.
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

/// Prefixes of the errors without an example: they need a broken clock, a system without random numbers, a bug in the
/// module, a hundred thousand commands, or an unreadably long line.
const NOT_PROVOKED: [&str; 5] = [
    "BADPOLICY policy word 65: one rule too many",
    "SYSTEM the server's clock",
    "SYSTEM the system has no random numbers",
    "INTERNAL internal error",
    "LISTFULL the limiter's allow and deny lists are full",
];

/// The server's own error, to which it appends the command's name.
const COMMAND_NAME_FOLLOWS: &str = "wrong number of arguments";

/// One command as the server describes it.
struct ServerCommand {
    name: String,
    docs: Value,
    flags: BTreeSet<String>,
}

/// Returns all commands of the module except the internal one, as the server describes them.
fn known_commands() -> Vec<ServerCommand> {
    let server = Server::start();
    let mut client = server.connect();
    let list = send(&mut client, "COMMAND LIST FILTERBY MODULE authlimit");
    let names = texts(&list.expect("the module is loaded"));
    let names = names.iter().map(|name| name.to_ascii_uppercase());
    let known: Vec<ServerCommand> = names
        .filter(|name| name != INTERNAL)
        .map(|name| {
            let docs = send(&mut client, &format!("COMMAND DOCS {name}")).expect("an answer");
            let info = send(&mut client, &format!("COMMAND INFO {name}")).expect("an answer");
            let info = elements(&elements(&info)[0]);
            ServerCommand { docs: entry(&docs, &name), flags: own_flags(texts(&info[2])), name }
        })
        .collect();
    assert!(known.len() >= 10, "only {} commands", known.len());
    known
}

/// Returns the flags that the module sets on a command, by their Redis names.
fn own_flags(flags: Vec<String>) -> BTreeSet<String> {
    let own = flags.into_iter();
    let own = own.filter(|flag| !["module", "movablekeys"].contains(&flag.as_str()));
    // Valkey's command log includes the slow log.
    own.map(|flag| flag.replace("skip_commandlog", "skip_slowlog")).collect()
}

/// Returns the page's sections about commands: the command's name and the section's text.
fn documented_commands(page: &str) -> Vec<(&str, &str)> {
    let sections = sections(page).into_iter();
    sections.filter(|(heading, _)| heading.starts_with("AUTHLIMIT.")).collect()
}

/// Returns the section about a command.
#[track_caller]
fn section_of<'a>(page: &'a str, name: &str) -> &'a str {
    let documented = documented_commands(page);
    let found = documented.iter().find(|(heading, _)| *heading == name);
    found.unwrap_or_else(|| panic!("{name} has no section")).1
}

/// Returns the arguments of a command, or the nested arguments of one; empty if there are none.
fn parts(argument: &Value) -> Vec<Value> {
    let has_parts = field(argument, "arguments").is_some();
    let parts = has_parts.then(|| elements(&entry(argument, "arguments")));
    parts.unwrap_or_default()
}

/// Returns a field of an argument, if present.
fn field(argument: &Value, name: &str) -> Option<Value> {
    let fields = elements(argument);
    let mut fields = fields.chunks(2);
    let found = fields.find(|pair| text(&pair[0]) == name);
    found.map(|pair| pair[1].clone())
}

/// Formats an argument in the syntax of the hints of `redis-cli`.
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

/// Collects the words of an argument that the page must explain: its token, else its name, and those of its parts.
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
fn every_command_has_a_section_and_every_section_has_a_command() {
    let page = page(PAGE);
    let mut documented: Vec<&str> = documented_commands(&page).iter().map(|(name, _)| *name).collect();
    documented.sort_unstable();
    let known = known_commands();
    let mut names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(documented, names);
    assert!(page.contains(&format!("`{INTERNAL}`")));
    let mut overview: Vec<_> = table(&page, "command").iter().map(|row| quoted(&row[0])[0].to_owned()).collect();
    overview.sort_unstable();
    assert_eq!(overview, names);
}

#[test]
fn summary_syntax_complexity_and_flags_match_command_docs() {
    let page = page(PAGE);
    for known in known_commands() {
        let ServerCommand { name, docs, flags } = known;
        let section = section_of(&page, &name);
        let summary = text(&entry(&docs, "summary"));
        let starts_with_summary = one_line(section).starts_with(&format!("{summary}."));
        assert!(starts_with_summary, "the section of {name} must start with: {summary}.");

        let arguments = parts(&docs);
        let words: Vec<String> = arguments.iter().map(syntax).collect();
        let shown = blocks(section, "syntax");
        assert_eq!(one_line(shown[0]), format!("{name} {}", words.join(" ")), "{name}");

        let complexity = format!("Complexity: {}.", text(&entry(&docs, "complexity")));
        assert!(one_line(section).contains(&complexity), "{complexity}");
        let since = format!("Since {}.", text(&entry(&docs, "since")));
        assert!(section.contains(&since), "{since}");
        let line = one_line(section);
        let (_, documented) = line.split_once("Flags: ").expect("the section lists flags");
        let (documented, _) = documented.split_once('.').expect("the flags end with a period");
        let documented: BTreeSet<String> = quoted(documented).into_iter().map(str::to_owned).collect();
        assert_eq!(documented, flags, "{name}");
    }
}

#[test]
fn the_argument_tables_list_exactly_the_arguments_of_command_docs() {
    let page = page(PAGE);
    for known in known_commands() {
        let mut words = BTreeSet::new();
        for argument in parts(&known.docs) {
            collect_words(&argument, &mut words);
        }
        let mut documented = BTreeSet::new();
        for row in table(section_of(&page, &known.name), "argument") {
            documented.extend(quoted(&row[0]).iter().map(|w| w.split(' ').next().expect("a word").to_owned()));
            assert!(row[1].len() > 8, "{row:?} has no description");
        }
        assert_eq!(documented, words, "{}", known.name);
    }
}

#[test]
fn the_examples_print_what_the_page_shows() {
    assert_sessions_match(PAGE, &Server::start());
    let page = page(PAGE);
    for (name, section) in documented_commands(&page) {
        let shown = blocks(section, "console").join("\n");
        assert!(shown.contains(&format!("redis-cli {name} ")), "{name} has no example");
        assert!(section.contains("**Reply**"), "{name} has no reply");
    }
}

#[test]
fn each_example_of_an_error_returns_that_error() {
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
        ok(&mut client, "CONFIG RESETSTAT");
        let printed = cli.type_in(&lines.join("\n"));
        let (before, last) = printed.trim_end().rsplit_once('\n').unwrap_or(("", &printed));
        assert!(!before.contains("(error)"), "{lines:?}: {printed}");
        assert_eq!(last.trim_end(), format!("(error) {error}"), "{lines:?}");
        let (word, _) = error.split_once(' ').expect("an error has a first word");
        let (words, expected) = (counted_words(&server), BTreeSet::from(["ERR".to_owned(), word.to_owned()]));
        assert!(words.contains(word) && words.is_subset(&expected), "{lines:?}: {words:?}");
        shown += 1;
    }
    assert!(shown > 30, "only {shown} errors were found");
}

/// Returns the first words of the errors that the server has counted. When redis-cli connects, it tries commands that
/// an older server answers with `ERR`.
fn counted_words(server: &Server) -> BTreeSet<String> {
    let info = text(&send(&mut server.connect(), "INFO errorstats").expect("an answer"));
    let words = info.lines().filter_map(|line| line.strip_prefix("errorstat_")?.split_once(':'));
    words.map(|(word, _)| word.to_owned()).collect()
}

#[test]
fn the_first_word_of_every_error_is_explained() {
    let page = page(PAGE);
    let used: BTreeSet<String> = table(&page, "error").iter().map(|row| first_word(&row[0]).to_owned()).collect();
    let explained: BTreeSet<String> = table(&page, "word").iter().map(|row| first_word(&row[0]).to_owned()).collect();
    assert_eq!(used, explained);
}

#[test]
fn every_error_a_client_can_get_is_documented() {
    let documented: Vec<String> = table(&page(PAGE), "error").iter().map(|row| quoted(&row[0])[0].to_owned()).collect();
    let mut found = 0;
    for file in ERRORS {
        for message in messages(&page(file)) {
            // Most errors of the internal command only reach the server's log.
            if message.contains(INTERNAL) && !message.contains("only") {
                continue;
            }
            let fragments = fixed_parts(&message);
            // A message that only wraps another error is documented with that error.
            if fragments.is_empty() {
                continue;
            }
            // The end must match too, so that a longer error with the same start does not count.
            let is_open_ended = message.ends_with('}') || message == COMMAND_NAME_FOLLOWS;
            let end = fragments.last().filter(|_| !is_open_ended);
            let is_documented = documented
                .iter()
                .any(|error| contains_in_order(error, &fragments) && end.is_none_or(|end| error.ends_with(end)));
            assert!(is_documented, "{file}: not documented: {message}");
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
            let (text, _) = text.split_once('"').expect("a closing quote");
            // A backslash at the end of a line joins it with the next.
            let lines = text.split("\\\n").map(str::trim_start);
            lines.collect::<String>()
        })
        .collect()
}

/// Returns the fixed text between the placeholders of a message.
fn fixed_parts(message: &str) -> Vec<&str> {
    let parts = message.split('{');
    let parts = parts.map(|part| part.split_once('}').map_or(part, |(_, fixed)| fixed));
    parts.filter(|part| !part.is_empty()).collect()
}

/// Returns whether a text contains these parts in this order.
fn contains_in_order(text: &str, parts: &[&str]) -> bool {
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
fn command_docs_list_every_word_of_a_policy() {
    use authlimit::policy::{Keyword, ModifierWord, OptionWord, Preset, Subject};
    let known = known_commands();
    let policy = known.iter().find(|known| known.name == "AUTHLIMIT.POLICY");
    let mut words = BTreeSet::new();
    for argument in parts(&policy.expect("AUTHLIMIT.POLICY exists").docs) {
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
fn the_overview_links_to_each_commands_section() {
    let page = page(PAGE);
    for row in table(&page, "command") {
        let name = first_word(&row[0]);
        let anchor = format!("(#{})", name.to_ascii_lowercase().replace('.', ""));
        assert!(row[0].contains(&anchor), "{row:?}");
    }
}
