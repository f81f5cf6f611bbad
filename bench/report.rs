//! Pages of results in Markdown: tables, charts, and targets.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::charts::{Bar, draw_bars};
use crate::machine::Versions;

/// One page of results.
#[derive(Debug)]
pub(crate) struct Page {
    folder: PathBuf,
    name: &'static str,
    text: String,
    targets: Vec<Target>,
}

/// The bound that a measured value should keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// A target and the value that was measured.
#[derive(Clone, Debug)]
struct Target {
    what: String,
    bound: Bound,
    measured: f64,
}

impl Page {
    /// Begins the page `name`.md in the folder of a server's results.
    pub(crate) fn new(folder: &Path, name: &'static str, title: &str, versions: &Versions) -> Self {
        let Versions { server, server_version, module, allocator, cpu, cores } = versions;
        let text = format!(
            "# {title}\n\n{server} {server_version} ({allocator}), authlimit {module}, {cpu}, {cores} cores: one for \
             the server, one for the client.\n"
        );
        Self { folder: folder.to_owned(), name, text, targets: Vec::new() }
    }

    /// Adds a paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        writeln!(self.text, "\n{text}").expect("writing to a string cannot fail");
    }

    /// Adds a table. Its first column is text, the others are numbers.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
        let rule = format!("|---|{}\n", "---:|".repeat(head.len() - 1));
        let rows: String = rows.iter().map(|row| line(row)).collect();
        self.text += &format!("\n{}{rule}{rows}", line(&head));
    }

    /// Draws a chart into a file of this page's folder, and adds it under `caption`.
    pub(crate) fn chart(&mut self, file: &str, title: &str, caption: &str, bars: &[Bar]) {
        draw_bars(&self.path(file), title, bars);
        self.paragraph(&format!("![{caption}]({file})"));
    }

    /// Compares a value with its target.
    pub(crate) fn target(&mut self, what: impl Into<String>, bound: Bound, measured: f64) {
        self.targets.push(Target { what: what.into(), bound, measured });
    }

    /// Writes the page with its targets, and prints it.
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

    /// Returns the path of a file of this page, in a folder that exists.
    fn path(&self, file: &str) -> PathBuf {
        fs::create_dir_all(&self.folder).expect("the folder of the results can be made");
        self.folder.join(file)
    }
}

impl Target {
    /// Returns the target's row in the table.
    fn row(&self) -> Vec<String> {
        let (bound, reached) = match self.bound {
            Bound::AtMost(most) => (format!("≤ {}", rounded(most)), self.measured <= most),
            Bound::AtLeast(least) => (format!("≥ {}", rounded(least)), self.measured >= least),
        };
        let reached = if reached { "yes" } else { "**no**" };
        vec![self.what.clone(), bound, rounded(self.measured), reached.to_owned()]
    }
}

/// Returns the median; of an even number of values, the mean of the two in the middle.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}

/// Formats a value with as many digits as are significant.
pub(crate) fn rounded(value: f64) -> String {
    match value.abs() {
        large if large >= 1e6 => format!("{:.2}M", value / 1e6),
        large if large >= 10_000.0 => format!("{:.0}k", value / 1e3),
        large if large >= 100.0 || large == 0.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Formats a number of identities briefly: 10k, 1M.
pub(crate) fn count(number: u32) -> String {
    match number {
        millions if millions >= 1_000_000 && millions % 1_000_000 == 0 => {
            format!("{}M", millions / 1_000_000)
        }
        thousands if thousands >= 1000 && thousands % 1000 == 0 => format!("{}k", thousands / 1000),
        few => few.to_string(),
    }
}
