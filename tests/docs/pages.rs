//! The project's own pages, taken apart: sections, code blocks and tables.

use std::fs;
use std::path::PathBuf;

pub(crate) use crate::support::{page, root};

/// Returns the paths of README.md and of every page in docs.
pub(crate) fn pages_of_the_manual() -> Vec<String> {
    let mut pages = markdown_in("docs");
    pages.insert(0, "README.md".to_owned());
    pages
}

/// Returns the paths of every page in a folder and the folders in it, those that tools fill left out.
pub(crate) fn markdown_in(folder: &str) -> Vec<String> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(root().join(folder)).expect("there is such a folder") {
        let entry = entry.expect("it can be read");
        let name = entry.file_name().into_string().expect("a plain name");
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

/// Returns a page's code blocks: the name after each opening fence, and what is inside.
pub(crate) fn every_block(page: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, opened)) = rest.split_once("\n```") {
        let (name, inside) = opened.split_once('\n').expect("a fence ends its line");
        let (inside, after) = inside.split_once("\n```").expect("a block has an end");
        blocks.push((name, inside));
        rest = after;
    }
    blocks
}

/// Returns what is inside a page's code blocks of this name.
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

/// Returns a page's sections of the second level: the heading of each, and what is below it.
pub(crate) fn sections(page: &str) -> Vec<(&str, &str)> {
    let sections = page.split("\n## ").skip(1);
    let parted = sections.map(|section| section.split_once('\n'));
    parted.map(|parts| parts.expect("a heading ends its line")).collect()
}

/// Returns the cells of each row below the header of every table whose first column is headed so.
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

/// Splits a row into its cells, in which a bar is written `\|`.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim_matches('|').replace("\\|", "\0");
    let cells = row.split('|');
    cells.map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// Returns what stands between backticks.
pub(crate) fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Returns the first word of what stands between backticks first.
#[track_caller]
pub(crate) fn first_word(cell: &str) -> &str {
    let words = quoted(cell)[0].split(' ').next();
    words.expect("a word")
}

/// Returns a text in one line, with single spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
