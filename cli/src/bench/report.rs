//! The results as a table for a terminal, as a page for docs/performance.md, as JSON.

use serde_json::json;

use super::circumstances::Circumstances;
use super::results::{Case, Results, median};

/// A ratio whose interval is wider than this part of it is marked.
const WIDE: f64 = 0.3;

/// For a terminal.
pub fn table(results: &Results, circumstances: &Circumstances) -> String {
    let mut text = format!(
        "{:<28}{:>12}{:>12}{:>12}{:>9}   {}\n",
        "case", "Linux", "ring 0", "limit", "ratio", "95 % of it"
    );
    for (name, case) in results.iter().filter(|(_, case)| is_whole(case)) {
        text += &format!(
            "{name:<28}{:>12}{:>12}{:>12}{:>8.2}x   {}\n",
            duration(median(&case.linux)),
            duration(median(&case.ring0)),
            limit(case),
            case.ratio(),
            interval(case),
        );
    }
    text + &format!(
        "Medians of {} runs of either side, {} on {} CPUs; a ratio above 1 means that ring 0 took less time.\n",
        circumstances.runs,
        circumstances.engine.name(),
        circumstances.cpus
    )
}

/// For docs/performance.md.
pub fn markdown(results: &Results, circumstances: &Circumstances) -> String {
    let mut text = String::from(
        "# Performance\n\nThis page is written by `make bench`. The same executable (`go/bench`) ran as a Linux process and in ring 0,\n\
         alternating; the figures are medians of time per operation. *Limit* is the same source built so that the system call\n\
         returns at once: what is left is Go's own work. A ratio above 1 means that ring 0 took less time.\n\n",
    );
    for (what, value) in circumstances.lines() {
        text += &format!("- **{what}**: {value}\n");
    }
    text +=
        "\n| case | Linux | ring 0 | limit | ratio | 95 % of it |\n|---|---:|---:|---:|---:|---|\n";
    for (name, case) in results.iter().filter(|(_, case)| is_whole(case)) {
        text += &format!(
            "| {name} | {} | {} | {} | {:.2} | {} |\n",
            duration(median(&case.linux)),
            duration(median(&case.ring0)),
            limit(case),
            case.ratio(),
            interval(case),
        );
    }
    text
}

/// For programs: with every single measurement.
pub fn json(results: &Results, circumstances: &Circumstances) -> serde_json::Value {
    let cases: Vec<_> = results
        .iter()
        .filter(|(_, case)| is_whole(case))
        .map(|(name, case)| {
            let (low, high) = case.interval();
            json!({
                "case": name, "linux_ns": median(&case.linux), "ring0_ns": median(&case.ring0),
                "ratio": case.ratio(), "ratio_low": low, "ratio_high": high,
                "linux_runs": case.linux, "ring0_runs": case.ring0, "limit_runs": case.limit,
            })
        })
        .collect();
    let mut all = circumstances.json();
    all["cases"] = cases.into();
    all
}

/// Both sides have it.
fn is_whole(case: &Case) -> bool {
    !case.linux.is_empty() && !case.ring0.is_empty()
}

fn limit(case: &Case) -> String {
    if case.limit.is_empty() {
        String::new()
    } else {
        duration(median(&case.limit))
    }
}

fn interval(case: &Case) -> String {
    let (low, high) = case.interval();
    let wide = if high - low > WIDE * case.ratio() {
        " (wide)"
    } else {
        ""
    };
    format!("{low:.2} to {high:.2}{wide}")
}

fn duration(ns: f64) -> String {
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
    use crate::bench::results::Side;
    use crate::qemu::engine::Engine;

    fn some() -> (Results, Circumstances) {
        let mut results = Results::default();
        results
            .add("b\t200.5\nonly\t1\n", Side::Linux)
            .expect("results");
        results.add("b\t100.25\n", Side::Ring0).expect("results");
        (results, Circumstances::here(Engine::Tcg, 1, 1))
    }

    #[test]
    fn reports_have_the_cases_of_both_sides() {
        let (results, circumstances) = some();
        assert!(table(&results, &circumstances).contains("2.00x"));
        let page = markdown(&results, &circumstances);
        assert!(
            page.contains("| b | 200.5 ns | 100.2 ns |") && !page.contains("only"),
            "{page}"
        );
        assert_eq!(json(&results, &circumstances)["cases"][0]["ratio"], 2.0);
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration(9.0), "9.0 ns");
        assert_eq!(duration(1234.0), "1.23 µs");
        assert_eq!(duration(2.5e9), "2.50 s");
    }
}
