//! Bar charts as SVG.

use std::path::Path;

use plotters::prelude::*;

/// How wide a chart is, in pixels.
const WIDTH: u32 = 900;

/// How high a bar and the gap below it are, in pixels.
const ROW: u32 = 30;

/// Where the bars begin, in pixels from the left: room for the names.
const LABELS: u32 = 230;

/// This module.
const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);

/// Everything else.
const OTHERS: RGBColor = RGBColor(0xb8, 0xbe, 0xc4);

/// Whose figure a bar shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The module's.
    Ours,
    /// A yardstick's or a peer's.
    Theirs,
}

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// What stands to the left of it.
    pub(crate) name: String,
    /// How long it is.
    pub(crate) value: f64,
    /// What stands to the right of it.
    pub(crate) label: String,
    /// Which colour it has.
    pub(crate) whose: Whose,
}

/// Draws horizontal bars, the first on top.
pub(crate) fn bars(path: &Path, title: &str, bars: &[Bar]) {
    draw(path, title, bars).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// As [`bars`], with what goes wrong returned.
fn draw(path: &Path, title: &str, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let height = 60 + ROW * u32::try_from(bars.len())?;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    // White, so that it can be read on a dark page, too.
    area.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&RGBColor(0x24, 0x29, 0x2f));
    area.draw(&Text::new(title.to_owned(), (16, 14), text(18)))?;
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    // Room for the figure at the end of the longest bar.
    let room = f64::from(WIDTH - LABELS - 110);
    for (row, bar) in (0..).zip(bars) {
        let top = 48 + i32::try_from(ROW)? * row;
        let left = i32::try_from(LABELS)?;
        let right = left + (room * bar.value / longest).round().max(1.0) as i32;
        let colour = if bar.whose == Whose::Ours { OURS } else { OTHERS };
        area.draw(&Rectangle::new([(left, top), (right, top + 20)], colour.filled()))?;
        area.draw(&Text::new(bar.name.clone(), (16, top + 3), text(14)))?;
        area.draw(&Text::new(bar.label.clone(), (right + 8, top + 3), text(14)))?;
    }
    area.present()?;
    Ok(())
}
