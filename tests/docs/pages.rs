//! Parses the project's pages: sections, code blocks and tables.

use std::fs;
use std::path::PathBuf;

pub(crate) use crate::support::{page, root};

/// Returns the paths of README.md and of every page in docs.
pub(crate) fn pages_of_the_manual() -> Vec<String> {
    let mut pages = markdown_in("docs");
    pages.insert(0, "README.md".to_owned());
    pages
}

/// Returns the paths of all pages in a folder and its subfolders, except folders that tools generate.
pub(crate) fn markdown_in(folder: &str) -> Vec<String> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(root().join(folder)).expect("the folder exists") {
        let entry = entry.expect("a readable entry");
        let name = entry.file_name().into_string().expect("a UTF-8 name");
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            if !name.starts_with('.') && !["node_modules", "target"].contains(&&*name) {
                pages.extend(markdown_in(&path));
            }
        } else if PathBuf::from(&name).extension() == Some("md".as_ref()) {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}

/// Returns a page's code blocks: the name after each opening fence, and the content.
pub(crate) fn every_block(page: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (name, inside) = opened.split_once('\n').expect("a newline after the opening fence");
        let (inside, after) = inside.split_once("\n```").expect("a closing fence");
        blocks.push((name, inside));
        rest = after;
    }
    blocks
}

/// Returns the content of a page's code blocks with this name.
pub(crate) fn blocks<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let blocks = every_block(page).into_iter();
    let named = blocks.filter(|(found, _)| *found == name);
    named.map(|(_, inside)| inside).collect()
}

/// Returns a page without its code blocks.
pub(crate) fn prose(page: &str) -> String {
    let parts = page.split("\n```").step_by(2);
    parts.collect::<Vec<_>>().join("\n")
}

/// Returns a page's second-level sections: the heading and the text of each.
pub(crate) fn sections(page: &str) -> Vec<(&str, &str)> {
    let sections = page.split("\n## ").skip(1);
    let parted = sections.map(|section| section.split_once('\n'));
    parted.map(|parts| parts.expect("a newline after the heading")).collect()
}

/// Returns the cells of each row of every table whose first column has this heading.
#[track_caller]
pub(crate) fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let header = format!("| {heading} |");
    let mut rows = Vec::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with(&header) {
            lines.next();
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
        }
    }
    assert!(!rows.is_empty(), "there is no table {header}");
    rows
}

/// Splits a row into its cells. A bar inside a cell is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim_matches('|').replace("\\|", "\0");
    let cells = row.split('|');
    cells.map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// Returns the text between each pair of backticks.
pub(crate) fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Returns the first word of the first text between backticks.
#[track_caller]
pub(crate) fn first_word(cell: &str) -> &str {
    let words = quoted(cell)[0].split(' ').next();
    words.expect("a word")
}

/// Returns a text as one line with single spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
