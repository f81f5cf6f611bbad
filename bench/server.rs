//! What a login costs: the module against plain commands and against the ways to limit without it, on a real server.
//!
//! `bench/README.md` says how to run it and how to read what it writes.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark stops at the first surprise"
)]

mod charts;
mod identities;
mod load;
mod measure;
mod peers;
mod report;
mod sections;
#[path = "../tests/server/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
mod support;

use std::env;
use std::path::{Path, PathBuf};

use measure::Machine;
use sections::{Scale, Section};

/// Runs the sections that the arguments name, or those of `make bench`.
fn main() {
    // Cargo adds `--bench` of its own.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let scale = if words.iter().any(|word| word == "smoke") {
        Scale::smoke()
    } else {
        Scale::full()
    };
    let named: Vec<Section> = words
        .iter()
        .filter(|word| *word != "smoke")
        .map(|word| {
            Section::named(word).unwrap_or_else(|| {
                panic!(
                    "the sections are {}, and smoke makes all of them short",
                    Section::names()
                )
            })
        })
        .collect();
    let machine = Machine::probe();
    let folder = results_folder(&scale, &machine);
    let sections = if named.is_empty() {
        Section::USUAL
    } else {
        &named
    };
    for section in sections {
        section.run(&machine, &scale, &folder);
    }
}

/// Where the pages go: those of a server into a folder of the repository, those of a smoke run away.
fn results_folder(scale: &Scale, machine: &Machine) -> PathBuf {
    let versions = &machine.versions;
    let server = format!(
        "{}-{}",
        versions.server.to_lowercase(),
        versions.server_version
    );
    if scale.is_for_keeps {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("bench/results")
            .join(server)
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("bench")
            .join(server)
    }
}
