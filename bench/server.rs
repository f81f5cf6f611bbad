//! Measures on a real server what a login costs: with the module, with plain commands, and with other limiters.
//!
//! `bench/README.md` says how to run this and how to read the results.
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
mod machine;
mod peers;
mod report;
mod scale;
mod sections;
mod server_process;
mod statistics;

use std::env;
use std::path::{Path, PathBuf};

use machine::Machine;
use scale::Scale;
use sections::Section;

/// Runs the sections that the arguments name, or those of `make bench`.
fn main() {
    // Cargo adds the argument `--bench`.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let (smoke, names): (Vec<_>, Vec<_>) = words.iter().partition(|word| *word == "smoke");
    let scale = if smoke.is_empty() { Scale::full() } else { Scale::smoke() };
    let named: Vec<Section> = names.into_iter().map(|name| section(name)).collect();
    let machine = Machine::probe();
    let folder = results_folder(&scale, &machine);
    for section in if named.is_empty() { Section::USUAL } else { &named } {
        section.run(&machine, &scale, &folder);
    }
}

/// Returns the section of this name.
fn section(name: &str) -> Section {
    Section::named(name)
        .unwrap_or_else(|| panic!("the sections are {}; smoke makes all of them short", Section::names()))
}

/// Returns the folder for the results: one of the repository, or a temporary one for a smoke run.
fn results_folder(scale: &Scale, machine: &Machine) -> PathBuf {
    let versions = &machine.versions;
    let server = format!("{}-{}", versions.server.to_lowercase(), versions.server_version);
    if scale.is_published {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("results").join(server)
    } else {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench").join(server)
    }
}
