//! The file of exclusions: tests that are run on neither side, one by one, with a reason each.
//!
//! A line is `PACKAGE TEST REASON...`. TEST is the whole name of a test, or of a subtest with slashes. There are no patterns:
//! whoever excludes a test says which.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Why a test may be excluded. The words are those the file uses.
pub const REASONS: &[(&str, &str)] = &[
    (
        "fork",
        "starts another process: Ringo runs one program, and fork and exec are ENOSYS",
    ),
    (
        "toolchain",
        "builds or inspects something with the go command, which is another process",
    ),
    (
        "host",
        "asks for something of this host that the VM has not",
    ),
    (
        EMULATION,
        "needs a feature that the CPU QEMU emulates has not: left out with TCG only",
    ),
    (
        "linux",
        "gives different results from one run to the next on Linux itself",
    ),
];

const EMULATION: &str = "emulation";

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    pub package: String,
    pub test: String,
    /// A word of [`REASONS`].
    pub reason: String,
    /// The rest of the line.
    pub note: String,
}

impl Exclusion {
    /// Holds with TCG, where it names a feature of the CPU that is missing there.
    pub fn emulated_only(&self) -> bool {
        self.reason == EMULATION
    }
}

/// Reads the file.
///
/// # Errors
/// Names the line that is incomplete, gives no known reason, or excludes a test twice.
pub fn read(file: &Path) -> Result<Vec<Exclusion>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    parse(&text).with_context(|| file.display().to_string())
}

fn parse(text: &str) -> Result<Vec<Exclusion>> {
    let mut all: Vec<Exclusion> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let (Some(package), Some(test), Some(reason)) = (words.next(), words.next(), words.next())
        else {
            bail!("line {}: write PACKAGE TEST REASON", index + 1);
        };
        ensure!(
            REASONS.iter().any(|(word, _)| *word == reason),
            "line {}: no such reason: {reason}",
            index + 1
        );
        ensure!(
            !all.iter().any(|e| e.package == package && e.test == test),
            "line {}: {package} {test} is excluded already",
            index + 1
        );
        all.push(Exclusion {
            package: package.to_owned(),
            test: test.to_owned(),
            reason: reason.to_owned(),
            note: words.collect::<Vec<_>>().join(" "),
        });
    }
    Ok(all)
}

/// The argument of `-test.run` or `-test.skip` that means exactly the tests of these names, with all their subtests.
///
/// testing splits a pattern at slashes, each part a regular expression for one level, and at the outermost `|` first.
pub fn pattern<'a>(tests: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let whole: Vec<String> = tests
        .into_iter()
        .map(|test| {
            let parts: Vec<String> = test.split('/').map(|p| format!("^{}$", quote(p))).collect();
            parts.join("/")
        })
        .collect();
    (!whole.is_empty()).then(|| whole.join("|"))
}

/// As regexp.QuoteMeta.
fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_s_own_file_is_well_formed() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("exclusions.txt");
        read(&file).expect("well-formed");
    }

    #[test]
    fn a_line_without_a_known_reason_is_refused() {
        assert!(parse("os TestA fork\n# remark\n\n").is_ok());
        assert!(parse("os TestA\n").is_err());
        assert!(parse("os TestA because\n").is_err());
        assert!(parse("os TestA fork\nos TestA fork\n").is_err());
    }

    #[test]
    fn patterns_name_whole_tests_only() {
        let both = pattern(["TestA", "TestB/x(1)"]);
        assert_eq!(both.as_deref(), Some(r"^TestA$|^TestB$/^x\(1\)$"));
        assert_eq!(pattern([]), None);
    }
}
