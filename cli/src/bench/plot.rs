//! Pictures of the results, as SVG: how the cases compare, and what operations cost as there are more of their kind.
//!
//! Bars reach from 1, "as long as Linux", to a case's ratio, on a logarithmic axis: twice as fast and half as fast are
//! equally long. What is drawn is what results.rs has; nothing is smoothed or left out but cases that one side lacks.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::results::{Results, Side};

type Sheet<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const FONT: &str = "sans-serif";
const FASTER: RGBColor = RGBColor(0x2a, 0x7f, 0x62);
const SLOWER: RGBColor = RGBColor(0xb5, 0x53, 0x3c);
const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// A colour for each kind of operation.
const KINDS: [RGBColor; 6] = [
    RGBColor(0x1f, 0x6f, 0xb4),
    RGBColor(0xd0, 0x6b, 0x0c),
    RGBColor(0x2a, 0x7f, 0x62),
    RGBColor(0x9a, 0x3c, 0x8c),
    RGBColor(0xb5, 0x53, 0x3c),
    RGBColor(0x55, 0x55, 0x55),
];

/// Writes ratios.svg and scale.svg into `folder`, those of them for which there are results.
pub fn write(results: &Results, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, picture) in [
        ("ratios.svg", ratios(results)),
        ("scale.svg", scale(results)),
    ] {
        if let Some(text) = picture? {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// Draws on a sheet of that size, and gives the SVG.
fn picture(size: (u32, u32), draw: impl FnOnce(&Sheet<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let sheet = SVGBackend::with_string(&mut text, size).into_drawing_area();
        sheet.fill(&WHITE).map_err(failed)?;
        draw(&sheet)?;
        sheet.present().map_err(failed)?;
    }
    Ok(text)
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("drawing: {error}")
}

/// A bar a case.
fn ratios(results: &Results) -> Result<Option<String>> {
    const ROW: u32 = 17;
    let cases: Vec<(&str, f64)> = results
        .iter()
        .filter(|(name, _)| !name.starts_with("scale/"))
        .filter_map(|(name, case)| Some((name, case.ratio(Side::Linux)?)))
        .filter(|(_, ratio)| ratio.is_finite() && *ratio > 0.0)
        .collect();
    if cases.is_empty() {
        return Ok(None);
    }
    let low = cases.iter().fold(0.5, |low: f64, case| low.min(case.1)) * 0.8;
    let high = cases.iter().fold(2.0, |high: f64, case| high.max(case.1)) * 1.6;
    let count = cases.len();
    // The first case is to stand at the top, where the axis ends.
    let name = |row: &SegmentValue<usize>| match row {
        SegmentValue::CenterOf(row) if *row < count => cases[count - 1 - row].0.to_owned(),
        _ => String::new(),
    };
    let ratio_text = |ratio: &f64| {
        if *ratio >= 1.0 {
            format!("{ratio:.0}×")
        } else {
            format!("{ratio}×")
        }
    };
    let draw = |sheet: &Sheet<'_>| {
        let mut chart = ChartBuilder::on(sheet)
            .caption("How many times as long Linux takes", (FONT, 15))
            .margin(10)
            .margin_right(24)
            .x_label_area_size(26)
            .y_label_area_size(190)
            .build_cartesian_2d((low..high).log_scale(), (0..count - 1).into_segmented())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .y_labels(count)
            .y_label_formatter(&name)
            .x_label_formatter(&ratio_text)
            .label_style((FONT, 12))
            .bold_line_style(RGBColor(0xdd, 0xdd, 0xdd))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(failed)?;
        let bars = cases.iter().rev().enumerate().map(|(row, &(_, ratio))| {
            let color = if ratio < 1.0 { SLOWER } else { FASTER };
            let corners = [
                (1.0, SegmentValue::Exact(row)),
                (ratio, SegmentValue::Exact(row + 1)),
            ];
            let mut bar = Rectangle::new(corners, color.filled());
            bar.set_margin(3, 3, 0, 0);
            bar
        });
        chart.draw_series(bars).map_err(failed)?;
        let figures = cases.iter().rev().enumerate().map(|(row, &(_, ratio))| {
            let at = (ratio.max(1.0), SegmentValue::CenterOf(row));
            EmptyElement::at(at)
                + Text::new(
                    format!("{ratio:.2}"),
                    (4, -5),
                    (FONT, 11).into_font().color(&GREY),
                )
        });
        chart.draw_series(figures).map_err(failed)?;
        Ok(())
    };
    picture((760, 70 + ROW * count as u32), draw).map(Some)
}

/// Who, and time by count.
type Curve = (Side, Vec<(f64, f64)>);

/// Of `scale/KIND-COUNT` the kinds, and for each side a point a count.
fn scaled(results: &Results) -> BTreeMap<&str, Vec<Curve>> {
    let mut kinds: BTreeMap<&str, Vec<Curve>> = BTreeMap::new();
    for (name, case) in results.iter() {
        let parts = name
            .strip_prefix("scale/")
            .and_then(|name| name.rsplit_once('-'));
        let Some((kind, count)) = parts.and_then(|(kind, count)| Some((kind, count.parse().ok()?)))
        else {
            continue;
        };
        for side in [Side::Linux, Side::Ring0] {
            let Some(time) = case.time(side).filter(|&time| time > 0.0) else {
                continue;
            };
            let sides = kinds.entry(kind).or_default();
            match sides.iter_mut().find(|(known, _)| *known == side) {
                Some((_, points)) => points.push((count, time)),
                None => sides.push((side, vec![(count, time)])),
            }
        }
    }
    kinds
}

/// Time over count, both logarithmic.
fn scale(results: &Results) -> Result<Option<String>> {
    let kinds = scaled(results);
    let points = || kinds.values().flatten().flat_map(|(_, points)| points);
    if points().next().is_none() {
        return Ok(None);
    }
    let low = points().fold(f64::MAX, |low, point| low.min(point.1)) / 2.0;
    // Room for the legend above.
    let high = points().fold(0.0, |high: f64, point| high.max(point.1)) * 16.0;
    let last = points().fold(100.0, |last: f64, point| last.max(point.0));
    let time_text = |ns: &f64| super::report::duration(*ns);
    let draw = |sheet: &Sheet<'_>| {
        let mut chart = ChartBuilder::on(sheet)
            .caption(
                "Time of an operation beside so many of its kind",
                (FONT, 15),
            )
            .margin(10)
            .margin_right(24)
            .x_label_area_size(30)
            .y_label_area_size(70)
            .build_cartesian_2d((8f64..last * 1.25).log_scale(), (low..high).log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_label_formatter(&|count| format!("{count:.0}"))
            .y_label_formatter(&time_text)
            .label_style((FONT, 12))
            .bold_line_style(RGBColor(0xdd, 0xdd, 0xdd))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(failed)?;
        for (color, (kind, sides)) in KINDS.iter().cycle().zip(&kinds) {
            for (side, points) in sides {
                let (who, style) = match side {
                    Side::Linux => ("Linux", color.mix(0.45).stroke_width(1)),
                    _ => ("ring 0", color.stroke_width(2)),
                };
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), style).point_size(3))
                    .map_err(failed)?
                    .label(format!("{kind}, {who}"))
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .label_font((FONT, 12))
            .draw()
            .map_err(failed)?;
        Ok(())
    };
    picture((760, 480), draw).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Unit;

    fn some(lines: &str) -> Results {
        let mut results = Results::default();
        for side in [Side::Linux, Side::Ring0] {
            results
                .add(lines, side, Unit::Nanoseconds)
                .expect("results");
        }
        results
    }

    #[test]
    fn every_case_with_both_sides_has_a_bar() {
        let mut results = some("a/b\t10\nc/d\t20\n");
        results
            .add("lonely\t1\n", Side::Linux, Unit::Nanoseconds)
            .expect("a result");
        let text = ratios(&results).expect("drawn").expect("a picture");
        assert!(
            text.starts_with("<svg") && text.contains("a/b") && text.contains("c/d"),
            "{text}"
        );
        assert!(!text.contains("lonely"));
    }

    #[test]
    fn one_case_is_enough() {
        assert!(ratios(&some("a\t10\n")).expect("drawn").is_some());
        assert!(scale(&some("scale/x-10\t10\n")).expect("drawn").is_some());
    }

    #[test]
    fn counts_are_read_from_the_names() {
        let results = some("scale/futex-wake-10\t5\nscale/futex-wake-100\t6\nscale/mmap-10\t7\n");
        let kinds = scaled(&results);
        assert_eq!(kinds["futex-wake"][1].1, [(10.0, 5.0), (100.0, 6.0)]);
        assert_eq!(kinds["mmap"].len(), 2);
        let text = scale(&results).expect("drawn").expect("a picture");
        assert!(text.contains("futex-wake, ring 0") && text.contains("mmap, Linux"));
    }

    #[test]
    fn without_results_there_is_no_picture() {
        assert!(ratios(&Results::default()).expect("nothing").is_none());
        assert!(scale(&some("a\t1\n")).expect("nothing").is_none());
    }
}
