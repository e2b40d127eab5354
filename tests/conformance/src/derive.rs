//! Derives the exclusions: each package on Linux as it is, and without fork. A test that then ends otherwise needs it, in
//! ring 0 as well.

use anyhow::Result;

use crate::compare::{Difference, covered, differences, roots};
use crate::events::{Status, Test, Tests};
use crate::exclusions::Exclusion;
use crate::sides::{Bench, Selection, Side, top_levels};

/// Prints what a package's lines in the file of exclusions should be: `+` for one to add, `-` for one that nothing derives, ` `
/// for one that is right already.
pub fn derive(bench: &Bench, package: &str, cpus: u32, written: &[Exclusion]) -> Result<()> {
    let linux = bench.run_all(package, Side::Linux { cpus }, &[], &Tests::new())?;
    let written: Vec<&Exclusion> = written.iter().filter(|e| e.package == package).collect();
    let mut without = bench.run_all(package, Side::WithoutFork, &[], &linux.tests)?;
    // One that panics takes others with it that were under way: each shows alone what it does.
    let unfinished =
        |(name, test): (&String, &Test)| (test.status == Status::Unfinished).then(|| name.clone());
    let unfinished: Vec<String> = without.tests.iter().filter_map(unfinished).collect();
    for test in top_levels(&unfinished) {
        let only = std::slice::from_ref(&test);
        let alone = bench.run(package, Side::WithoutFork, Selection { only, skip: &[] })?;
        without.tests.extend(alone.tests);
    }
    let all = differences(&linux.tests, &without.tests);
    let mut derived: Vec<String> = Vec::new();
    for difference in roots(&all) {
        let known = written.iter().any(|e| e.test == difference.test);
        let sign = if known { ' ' } else { '+' };
        let (reason, why) = explain(difference);
        let change = format!("{}->{}", difference.linux.name(), difference.ring0.name());
        println!(
            "{sign} {package} {} {reason}   # {change}: {why}",
            difference.test
        );
        derived.push(difference.test.clone());
    }
    for exclusion in written.iter().filter(|e| !covered(&derived, &e.test)) {
        let there = if linux.tests.contains_key(&exclusion.test) {
            "nothing derives it"
        } else {
            "no such test"
        };
        println!(
            "- {package} {} {}   # {there}",
            exclusion.test, exclusion.reason
        );
    }
    Ok(())
}

fn explain(difference: &Difference) -> (&'static str, String) {
    let line = difference
        .output
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
        .to_owned();
    let text = &difference.output;
    let builds = [
        "go build",
        "go tool",
        "go run",
        "go command",
        "GoTool",
        "'go'",
    ];
    let reason = if builds.iter().any(|word| text.contains(word)) {
        "toolchain"
    } else {
        "fork"
    };
    (reason, line)
}
