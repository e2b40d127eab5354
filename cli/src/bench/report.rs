//! The results as a table for a terminal, as a page for docs/performance.md, as JSON.
//!
//! A column is shown if any case has something for it.

use anyhow::{Context, Result};
use serde_json::Value;

use super::circumstances::Circumstances;
use super::results::{Case, Results, Side};

/// A ratio whose interval is wider than this part of it is marked.
const WIDE: f64 = 0.3;

/// One column: its head, and what a case has for it.
struct Column {
    head: &'static str,
    cell: fn(&Case) -> Option<String>,
}

const COLUMNS: &[Column] = &[
    Column {
        head: "Linux",
        cell: |case| case.time(Side::Linux).map(duration),
    },
    Column {
        head: "ring 0",
        cell: |case| case.time(Side::Ring0).map(duration),
    },
    Column {
        head: "limit",
        cell: |case| case.time(Side::Limit).map(duration),
    },
    Column {
        head: "ratio",
        cell: |case| case.ratio(Side::Linux).map(times),
    },
    Column {
        head: "95 % of it",
        cell: interval,
    },
    Column {
        head: "Linux guest",
        cell: |case| case.time(Side::LinuxGuest).map(duration),
    },
    Column {
        head: "guest's ratio",
        cell: |case| case.ratio(Side::LinuxGuest).map(times),
    },
    Column {
        head: "instructions",
        cell: |case| case.count(Side::Ring0).map(count),
    },
    Column {
        head: "the limit's",
        cell: |case| case.count(Side::Limit).map(count),
    },
    Column {
        head: "Linux guest's",
        cell: |case| case.count(Side::LinuxGuest).map(count),
    },
    Column {
        head: "their ratio",
        cell: |case| case.count_ratio(Side::LinuxGuest).map(times),
    },
];

/// Heads and rows of what there is to show; the first column is the case's name.
fn grid(results: &Results) -> Vec<Vec<String>> {
    let shown: Vec<&Column> = COLUMNS
        .iter()
        .filter(|column| {
            results
                .iter()
                .any(|(_, case)| (column.cell)(case).is_some())
        })
        .collect();
    let head = std::iter::once("case").chain(shown.iter().map(|column| column.head));
    let mut rows = vec![head.map(str::to_owned).collect()];
    // What ring 0 didn't run is no comparison.
    for (name, case) in results
        .iter()
        .filter(|(_, case)| case.time(Side::Ring0).is_some() || case.count(Side::Ring0).is_some())
    {
        let cells = shown
            .iter()
            .map(|column| (column.cell)(case).unwrap_or_default());
        rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    rows
}

/// For a terminal.
pub fn table(results: &Results, circumstances: &Circumstances) -> String {
    let rows = grid(results);
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in &rows {
        text += &format!("{:<width$}", row[0], width = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            text += &format!("  {cell:>width$}");
        }
        text.push('\n');
    }
    text + &circumstances.summary()
}

/// For docs/performance.md.
pub fn markdown(results: &Results, circumstances: &Circumstances) -> String {
    let mut text = String::from(INTRODUCTION);
    for (what, value) in circumstances.lines() {
        text += &format!("- **{what}**: {value}\n");
    }
    text += PICTURES;
    let rows = grid(results);
    text += &format!(
        "\n| {} |\n|---|{}\n",
        rows[0].join(" | "),
        "---:|".repeat(rows[0].len() - 1)
    );
    for row in &rows[1..] {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text
}

/// Where tools/bench.sh has them drawn.
const PICTURES: &str = "
![Ratios of all cases](performance/ratios.svg)

![How costs grow with how many there are](performance/scale.svg)
";

const INTRODUCTION: &str = "\
# Performance

This page is written by `make bench`. The same executable (`go/bench`) ran as a Linux process and in ring 0,
alternating; the figures are medians of time per operation. *Limit* is the same source built so that the system call
returns at once: what is left is Go's own work. A ratio above 1 means that ring 0 took less time.

*Instructions* are a guest's, kernel and program together, for one operation, on one CPU, counted by QEMU (`-icount
shift=0,sleep=off`): they are the same within about 2 % on any machine at any load. Beside them those of a Linux guest, Debian's
kernel for clouds with the program as its first process under the same QEMU. Time in which nothing runs counts as if
it were instructions, so the figures of cases that sleep are their waiting.

An interval marked *wide* spans more than 30 % of its ratio: read it as \"about\". `NAME/p50` and `NAME/p99` are percentiles of single
operations, of the `-error` cases by how much a timer was late. `scale/KIND-COUNT` is one operation beside so many of its kind.
`start/*` begins with the command, in ring 0 `ringo run` and QEMU; `idle/cpu-in-1s` is the CPU time of a program that waits for a
timer, QEMU's in ring 0, in each second.

`net-tap/*` is a server in a VM with a tap interface, its clients on the host (wrk with 64 connections for `http-1k-64`), beside the
same server as a Linux process behind a pair of virtual Ethernet interfaces; `net-tap-tcg/*` the same emulated, beside the Linux guest
on the same QEMU (a q35). The server has all CPUs but one, which is the clients' and QEMU's.

";

/// For programs, and for `--from`.
pub fn json(results: &Results, circumstances: &Circumstances) -> Value {
    let mut all = circumstances.json();
    all["cases"] = results.json();
    all
}

/// What [`json`] wrote.
pub fn from_json(text: &str) -> Result<(Results, Circumstances)> {
    let all: Value = serde_json::from_str(text).context("not JSON")?;
    Ok((
        Results::from_json(&all["cases"])?,
        Circumstances::from_json(&all),
    ))
}

fn interval(case: &Case) -> Option<String> {
    let ratio = case.ratio(Side::Linux)?;
    let (low, high) = case.interval();
    let wide = if high - low > WIDE * ratio {
        " (wide)"
    } else {
        ""
    };
    Some(format!("{low:.2} to {high:.2}{wide}"))
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// Three or four digits say as much as is the same in every run.
fn count(instructions: f64) -> String {
    match instructions {
        _ if instructions < 10_000.0 => format!("{instructions:.0}"),
        _ if instructions < 1e6 => format!("{:.1} k", instructions / 1e3),
        _ => format!("{:.2} M", instructions / 1e6),
    }
}

/// With a unit.
pub fn duration(ns: f64) -> String {
    match ns {
        _ if ns < 1e3 => format!("{ns:.1} ns"),
        _ if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        _ if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Unit;
    use crate::qemu::engine::Engine;

    fn some() -> (Results, Circumstances) {
        let mut results = Results::default();
        for (line, side, unit) in [
            ("b\t200.5\nonly\t1", Side::Linux, Unit::Nanoseconds),
            ("b\t100.25", Side::Ring0, Unit::Nanoseconds),
            ("b\t59.4", Side::Ring0, Unit::Instructions),
        ] {
            results.add(line, side, unit).expect("results");
        }
        (results, Circumstances::here(Engine::Tcg, 1, 1))
    }

    #[test]
    fn reports_have_the_cases_of_ring_0_and_the_columns_with_figures() {
        let (results, circumstances) = some();
        let page = markdown(&results, &circumstances);
        assert!(
            page.contains("| case | Linux | ring 0 | ratio | 95 % of it | instructions |\n"),
            "{page}"
        );
        assert!(
            page.contains("| b | 200.5 ns | 100.2 ns | 2.00 | 2.00 to 2.00 | 59 |\n"),
            "{page}"
        );
        assert!(!table(&results, &circumstances).contains("only"));
    }

    #[test]
    fn json_gives_the_same_page_again() {
        let (results, circumstances) = some();
        let text = json(&results, &circumstances).to_string();
        let (again, there) = from_json(&text).expect("what was just written");
        assert_eq!(markdown(&again, &there), markdown(&results, &circumstances));
        assert!(from_json("{}").is_err());
    }

    #[test]
    fn figures_have_units() {
        assert_eq!(duration(9.0), "9.0 ns");
        assert_eq!(duration(1234.0), "1.23 µs");
        assert_eq!(duration(2.5e9), "2.50 s");
        assert_eq!(count(39.6), "40");
        assert_eq!(count(33_900_000.0), "33.90 M");
    }
}
