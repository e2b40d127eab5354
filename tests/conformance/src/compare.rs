//! One package in one configuration: both sides' tests beside each other, and a second look at what differs.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::events::{Status, Test, Tests, top_level};
use crate::sides::{Bench, Selection, Side, top_levels};

/// A test that did not end alike.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Difference {
    pub test: String,
    pub linux: Status,
    pub ring0: Status,
    /// The end of what it said in ring 0.
    pub output: String,
}

/// How a package went in one configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Tests (subtests counted) that ended alike, by how they ended.
    pub passed: usize,
    pub skipped: usize,
    pub failed: usize,
    /// Differing, and again when run alone.
    pub differing: Vec<Difference>,
    /// Differing at first, alike when run alone.
    pub flaky: Vec<Difference>,
    /// The package's exit code on either side, if they differ although no test does.
    pub codes: Option<(i32, i32)>,
    /// Seconds of the whole package, on Linux and in ring 0.
    pub seconds: (f64, f64),
}

impl Verdict {
    /// Nothing differs but what a second run did not confirm.
    pub fn agrees(&self) -> bool {
        self.differing.is_empty() && self.codes.is_none()
    }
}

/// More tests than this are not run alone: something larger is wrong.
const SECOND_LOOKS: usize = 40;

/// Runs a package in ring 0 and compares it with what Linux said.
///
/// # Errors
/// If either side cannot be started at all.
pub fn judge(
    bench: &Bench,
    package: &str,
    (linux_side, linux): (Side, &crate::sides::Run),
    ring0_side: Side,
    skip: &[String],
) -> Result<Verdict> {
    // What is left out on this side only was run on Linux.
    let mut expected = linux.tests.clone();
    expected.retain(|name, _| !covered(skip, name));
    let ring0 = bench.run_all(package, ring0_side, skip, &expected)?;
    let mut verdict = Verdict {
        seconds: (linux.took.as_secs_f64(), ring0.took.as_secs_f64()),
        ..Verdict::default()
    };
    let first = differences(&expected, &ring0.tests);
    let suspects = top_levels(first.iter().map(|difference| &difference.test));
    let mut confirmed: Vec<Difference> = Vec::new();
    for suspect in &suspects {
        if suspects.len() > SECOND_LOOKS {
            break;
        }
        let only = std::slice::from_ref(suspect);
        let selection = Selection { only, skip };
        let again = bench.run(package, ring0_side, selection)?;
        let linux_again = bench.run(package, linux_side, selection)?;
        confirmed.extend(differences(&linux_again.tests, &again.tests));
    }
    let looked = suspects.len() <= SECOND_LOOKS;
    for difference in first {
        let stands = !looked || confirmed.iter().any(|c| c.test == difference.test);
        if stands {
            verdict.differing.push(difference);
        } else {
            verdict.flaky.push(difference);
        }
    }
    // A second look may find what the first did not: it counts.
    for difference in confirmed {
        if !verdict.differing.iter().any(|d| d.test == difference.test) {
            verdict.differing.push(difference);
        }
    }
    for (name, test) in &ring0.tests {
        let differs = |all: &[Difference]| all.iter().any(|d| d.test == *name);
        if differs(&verdict.differing) || differs(&verdict.flaky) {
            continue;
        }
        match test.status {
            Status::Pass => verdict.passed += 1,
            Status::Skip => verdict.skipped += 1,
            Status::Fail | Status::Unfinished | Status::Missing => verdict.failed += 1,
        }
    }
    let alike = verdict.differing.is_empty() && verdict.flaky.is_empty();
    if alike && linux.code != ring0.code {
        verdict.codes = Some((linux.code, ring0.code));
    }
    Ok(verdict)
}

/// What differs between two runs, in the order of names.
pub fn differences(linux: &Tests, ring0: &Tests) -> Vec<Difference> {
    let mut names: Vec<&String> = linux.keys().chain(ring0.keys()).collect();
    names.sort();
    names.dedup();
    let status = |test: Option<&Test>| test.map_or(Status::Missing, |test| test.status);
    names
        .into_iter()
        .map(|name| (name, linux.get(name), ring0.get(name)))
        .filter(|(_, linux, ring0)| status(*linux) != status(*ring0))
        .map(|(name, linux, ring0)| Difference {
            test: name.clone(),
            linux: status(linux),
            ring0: status(ring0),
            output: ring0.map_or_else(String::new, |test| tail(&test.output)),
        })
        .collect()
}

/// Those of the differences that explain the others: a failing subtest rather than its parents, a skipped or missing test
/// rather than the subtests it then does not run.
pub fn roots(all: &[Difference]) -> Vec<&Difference> {
    let below = |parent: &str, name: &str| {
        name.strip_prefix(parent)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    all.iter()
        .filter(|d| match d.ring0 {
            Status::Fail | Status::Unfinished => !all
                .iter()
                .any(|other| below(&d.test, &other.test) && other.ring0 == d.ring0),
            Status::Pass | Status::Skip | Status::Missing => !all
                .iter()
                .any(|other| below(&other.test, &d.test) && other.ring0 != Status::Pass),
        })
        .collect()
}

fn tail(text: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Is this test, or the test it is part of, among these names?
pub fn covered(names: &[String], test: &str) -> bool {
    names.iter().any(|name| {
        test == name
            || test
                .strip_prefix(name.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
            || name == top_level(test)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(of: &[(&str, Status)]) -> Tests {
        let test = |status| Test {
            status,
            output: String::new(),
        };
        of.iter()
            .map(|&(name, status)| (name.to_owned(), test(status)))
            .collect()
    }

    #[test]
    fn a_test_that_is_only_on_one_side_differs() {
        let all = differences(
            &tests(&[("A", Status::Pass), ("B", Status::Skip)]),
            &tests(&[("A", Status::Pass)]),
        );
        assert_eq!(all.len(), 1);
        assert_eq!(
            (all[0].linux, all[0].ring0),
            (Status::Skip, Status::Missing)
        );
    }

    #[test]
    fn the_root_of_a_failure_is_the_deepest_test_and_of_a_skip_the_highest() {
        let linux = tests(&[
            ("A", Status::Pass),
            ("A/x", Status::Pass),
            ("B", Status::Pass),
            ("B/y", Status::Pass),
        ]);
        let ring0 = tests(&[
            ("A", Status::Fail),
            ("A/x", Status::Fail),
            ("B", Status::Skip),
        ]);
        let all = differences(&linux, &ring0);
        let names: Vec<&str> = roots(&all).into_iter().map(|d| d.test.as_str()).collect();
        assert_eq!(names, ["A/x", "B"]);
    }
}
