//! Bar charts as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

/// The width of a chart, in pixels.
const WIDTH: u32 = 900;

/// The height of a bar with the gap below it, in pixels.
const ROW: u32 = 30;

/// The left end of the bars, in pixels: the names are left of it.
const LABELS: u32 = 230;

/// The colour of this module's bars.
const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);

/// The colour of all other bars.
const OTHERS: RGBColor = RGBColor(0xb8, 0xbe, 0xc4);

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// The text to the left of it.
    pub(crate) name: String,
    /// Its length.
    pub(crate) value: f64,
    /// The text to the right of it.
    pub(crate) label: String,
    /// Whether it is this module's, and has its colour.
    pub(crate) is_ours: bool,
}

/// Draws horizontal bars into a file, the first one at the top.
pub(crate) fn draw_bars(path: &Path, title: &str, bars: &[Bar]) {
    try_draw_bars(path, title, bars).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// As [`draw_bars`], but returns errors.
fn try_draw_bars(path: &Path, title: &str, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let height = 60 + ROW * u32::try_from(bars.len())?;
    let area = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    // White, so that the chart can be read on a dark page too.
    area.fill(&WHITE)?;
    let text = |size: u32| ("sans-serif", size).into_font().color(&RGBColor(0x24, 0x29, 0x2f));
    area.draw(&Text::new(title.to_owned(), (16, 14), text(18)))?;
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    // Leave space for the label at the end of the longest bar.
    let space = f64::from(WIDTH - LABELS - 110);
    for (row, bar) in (0..).zip(bars) {
        let top = 48 + i32::try_from(ROW)? * row;
        let left = i32::try_from(LABELS)?;
        let right = left + (space * bar.value / longest).round().max(1.0) as i32;
        let colour = if bar.is_ours { OURS } else { OTHERS };
        area.draw(&Rectangle::new([(left, top), (right, top + 20)], colour.filled()))?;
        area.draw(&Text::new(bar.name.clone(), (16, top + 3), text(14)))?;
        area.draw(&Text::new(bar.label.clone(), (right + 8, top + 3), text(14)))?;
    }
    area.present()?;
    Ok(())
}
