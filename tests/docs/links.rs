//! Every link in the pages of this repository leads to an existing file, folder or heading.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::pages::{markdown_in, page, pages_of_the_manual, prose, root};

/// Returns all pages that people read.
fn every_page() -> Vec<String> {
    let mut every = pages_of_the_manual();
    every.extend(["examples", "bench", "src"].into_iter().flat_map(markdown_in));
    every.extend(["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned));
    assert!(every.len() > 15, "{every:?}");
    every
}

/// Returns the targets of a page's links and images, ignoring code and comments.
fn targets(page: &str) -> Vec<String> {
    let text = prose(page);
    let shown = text.split("<!--").map(|part| part.split_once("-->").map_or(part, |(_, after)| after));
    let text = shown.collect::<String>();
    // Text between backticks is not a link.
    let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join("``");
    let parts = text.split("](").skip(1);
    let inline = parts.map(|part| part.split(')').next().expect("a closing parenthesis").to_owned());
    inline.collect()
}

/// Returns the anchors that GitHub generates for a page's headings.
fn anchors(page: &str) -> Vec<String> {
    let text = prose(page);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let anchors = headings.map(|heading| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let before = seen.entry(anchor.clone()).or_insert(0);
        *before += 1;
        match *before {
            1 => anchor,
            more => format!("{anchor}-{}", more - 1),
        }
    });
    anchors.collect()
}

/// Returns a path relative to the root of the repository, without `..`; `None` if it leads outside.
fn from_root(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in folder.join(target).components() {
        match component {
            Component::ParentDir if !path.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            other => path.push(other),
        }
    }
    Some(path)
}

#[test]
fn every_link_has_an_existing_target() {
    let mut links = 0;
    for path in every_page() {
        let folder = Path::new(&path).parent().expect("a file is in a folder");
        let text = page(&path);
        for target in targets(&text) {
            if target.contains("://") {
                assert!(target.starts_with("https://"), "{path}: {target}");
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let found = if file.is_empty() {
                PathBuf::from(&path)
            } else {
                let found = from_root(folder, file);
                found.unwrap_or_else(|| panic!("{path}: {target} leads out of the repository"))
            };
            assert!(root().join(&found).exists(), "{path}: no {target}");
            if !anchor.is_empty() {
                let there = anchors(&page(found.to_str().expect("a UTF-8 path")));
                assert!(there.iter().any(|known| known == anchor), "{path}: no heading {target} among {there:?}");
            }
            links += 1;
        }
    }
    assert!(links > 60, "only {links} links were found");
}

#[test]
fn anchors_match_those_of_github() {
    let page = "# `A.B` and, c-d\n\n## One\n\n```\n# no heading\n```\n\n## One\n";
    assert_eq!(anchors(page), ["ab-and-c-d", "one", "one-1"]);
}
