//! Tables in Markdown, targets, and where they are written.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The versions of all that takes part in a measurement.
#[derive(Debug)]
pub(crate) struct Versions {
    /// `Redis` or `Valkey`.
    pub(crate) server: &'static str,
    /// Its version.
    pub(crate) server_version: String,
    /// The module's, and of which commit its source is.
    pub(crate) module: String,
    /// What the server allocates with.
    pub(crate) allocator: String,
    /// The kind of processor.
    pub(crate) cpu: String,
    /// How many cores of it.
    pub(crate) cores: usize,
}

/// One page of results.
#[derive(Debug)]
pub(crate) struct Page {
    folder: PathBuf,
    name: &'static str,
    text: String,
    targets: Vec<Target>,
}

/// How a figure must stand to its bound.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// A target and what was measured of it.
#[derive(Clone, Debug)]
struct Target {
    what: String,
    bound: Bound,
    measured: f64,
}

impl Page {
    /// Begins the page `name`.md of a server's results.
    pub(crate) fn new(folder: &Path, name: &'static str, title: &str, versions: &Versions) -> Self {
        let Versions { server, server_version, module, allocator, cpu, cores } = versions;
        let text = format!(
            "# {title}\n\n{server} {server_version} ({allocator}), authlimit {module}, {cpu}, {cores} cores: one for the \
             server, one for the client.\n"
        );
        Self { folder: folder.to_owned(), name, text, targets: Vec::new() }
    }

    /// Adds a paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        writeln!(self.text, "\n{text}").expect("a string takes text");
    }

    /// Adds a table; the first column is text, the others are figures.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
        let rule = format!("|---|{}\n", "---:|".repeat(head.len() - 1));
        let rows: String = rows.iter().map(|row| line(row)).collect();
        self.text += &format!("\n{}{rule}{rows}", line(&head));
    }

    /// Adds a chart that lies beside the page.
    pub(crate) fn chart(&mut self, file: &str, what: &str) {
        self.paragraph(&format!("![{what}]({file})"));
    }

    /// The file of a chart of this page.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        fs::create_dir_all(&self.folder).expect("the folder of the results can be made");
        self.folder.join(file)
    }

    /// Compares a figure with what it should be.
    pub(crate) fn target(&mut self, what: impl Into<String>, bound: Bound, measured: f64) {
        self.targets.push(Target { what: what.into(), bound, measured });
    }

    /// Writes the page, with its targets, and prints it.
    pub(crate) fn write(mut self) {
        if !self.targets.is_empty() {
            self.paragraph("## Targets");
            let rows: Vec<_> = self.targets.iter().map(Target::row).collect();
            self.table(&["target", "bound", "measured", "reached"], &rows);
        }
        let path = self.path(&format!("{}.md", self.name));
        fs::write(&path, &self.text).expect("the results can be written");
        println!("{}\nwritten to {}", self.text, path.display());
    }
}

impl Target {
    /// The target as a row of the table.
    fn row(&self) -> Vec<String> {
        let (bound, reached) = match self.bound {
            Bound::AtMost(most) => (format!("≤ {}", figure(most)), self.measured <= most),
            Bound::AtLeast(least) => (format!("≥ {}", figure(least)), self.measured >= least),
        };
        let reached = if reached { "yes" } else { "**no**" };
        vec![self.what.clone(), bound, figure(self.measured), reached.to_owned()]
    }
}

/// The middle of some figures; with an even number of them the mean of the two in the middle.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => figures[len / 2],
        len => (figures[len / 2 - 1] + figures[len / 2]) / 2.0,
    }
}

/// A figure with as many digits as mean something.
pub(crate) fn figure(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1e6 => format!("{:.2}M", figure / 1e6),
        large if large >= 10_000.0 => format!("{:.0}k", figure / 1e3),
        large if large >= 100.0 || large == 0.0 => format!("{figure:.0}"),
        large if large >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// A number of identities in short: 10k, 1M.
pub(crate) fn count(number: u32) -> String {
    match number {
        millions if millions >= 1_000_000 && millions % 1_000_000 == 0 => {
            format!("{}M", millions / 1_000_000)
        }
        thousands if thousands >= 1000 && thousands % 1000 == 0 => format!("{}k", thousands / 1000),
        few => few.to_string(),
    }
}

/// The last commit that changed the module's source, with a plus if it has been changed since.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .args(["--", ":/src"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    match git(&["log", "-1", "--format=%h"]) {
        Some(hash) if !hash.is_empty() => {
            let changes = git(&["status", "--porcelain"]).unwrap_or_default();
            format!("{hash}{}", if changes.is_empty() { "" } else { "+" })
        }
        _ => "an unknown commit".to_owned(),
    }
}

/// What the system calls the processor.
pub(crate) fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or("a processor without a name", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned()
}
