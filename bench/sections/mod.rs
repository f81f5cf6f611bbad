//! The measurements. Each writes one page of results.

mod accuracy;
mod comparison;
mod growth;
mod scenarios;
mod sizes;
mod steps;
mod turn;

use std::path::Path;

use crate::machine::Machine;
use crate::scale::Scale;

/// One page of results.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    /// All peers on a million addresses and a million emails.
    Comparison,
    /// A locked email under attack, and the sign-in preset.
    Scenarios,
    /// The greatest number of attempts that fit into a window.
    Accuracy,
    /// Time, memory and storage by the number of identities.
    Sizes,
    /// The same, up to ten million addresses and emails.
    Large,
}

impl Section {
    /// The sections and their names.
    const NAMED: &[(&str, Self)] = &[
        ("comparison", Self::Comparison),
        ("scenarios", Self::Scenarios),
        ("accuracy", Self::Accuracy),
        ("sizes", Self::Sizes),
        ("large", Self::Large),
    ];

    /// The sections that `make bench` runs.
    pub(crate) const USUAL: &[Self] = &[Self::Comparison, Self::Scenarios, Self::Accuracy, Self::Sizes];

    /// Returns the section of this name.
    pub(crate) fn named(word: &str) -> Option<Self> {
        let (_, section) = Self::NAMED.iter().find(|(name, _)| *name == word)?;
        Some(*section)
    }

    /// Returns all names, with commas.
    pub(crate) fn names() -> String {
        let names: Vec<_> = Self::NAMED.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    }

    /// Runs the measurement and writes its page.
    pub(crate) fn run(self, machine: &Machine, scale: &Scale, folder: &Path) {
        match self {
            Self::Comparison => comparison::run(machine, scale, folder),
            Self::Scenarios => scenarios::run(machine, scale, folder),
            Self::Accuracy => accuracy::run(machine, scale, folder),
            Self::Sizes => sizes::run(machine, scale, &scale.sizes, "sizes", folder),
            Self::Large => sizes::run(machine, scale, &scale.large, "large", folder),
        }
    }
}
