//! What a test binary says under `-test.v=test2json`, read test by test.
//!
//! testing marks its own lines with a SYN byte (0x16), so that what the tests print cannot be taken for them;
//! cmd/internal/test2json is the reader whose rules these are. A marked line may begin in the middle of another one that lacks
//! its newline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Status {
    Pass,
    Skip,
    Fail,
    /// It began, and the binary ended before it did.
    Unfinished,
    /// It never began.
    Missing,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Skip => "skip",
            Status::Fail => "fail",
            Status::Unfinished => "unfinished",
            Status::Missing => "missing",
        }
    }
}

/// One test, subtest, example or fuzz seed.
#[derive(Clone, Debug)]
pub struct Test {
    pub status: Status,
    /// What it printed, as far as testing says whose it was.
    pub output: String,
}

/// All tests of a run, by name (`TestA/sub`).
pub type Tests = BTreeMap<String, Test>;

const MARK: char = '\u{16}';

/// Reads the standard output of a test binary.
pub fn parse(stdout: &[u8]) -> Tests {
    let text = String::from_utf8_lossy(stdout);
    let mut reader = Reader::default();
    for line in text.split_inclusive('\n') {
        // What precedes the mark is a test's own unfinished line; what follows it is testing's.
        for (index, part) in line.split(MARK).enumerate() {
            if index == 0 {
                reader.output(part);
            } else {
                reader.marked(part);
            }
        }
    }
    reader.tests
}

/// The top-level test a name belongs to.
pub fn top_level(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// Some names carry a pointer's value, which is another one in every run: `0x1a9b837240a0` becomes `0x...`.
fn without_addresses(name: &str) -> String {
    const SHORTEST: usize = 9;
    let mut plain = String::new();
    let mut rest = name;
    while let Some(at) = rest.find("0x") {
        let (before, digits) = (&rest[..at + 2], &rest[at + 2..]);
        let end = digits
            .find(|c: char| !c.is_ascii_hexdigit())
            .unwrap_or(digits.len());
        plain.push_str(before);
        plain.push_str(if end < SHORTEST {
            &digits[..end]
        } else {
            "..."
        });
        rest = &digits[end..];
    }
    plain.push_str(rest);
    plain
}

/// Reader of one run's lines; `current` is the test whose output the unmarked ones are.
#[derive(Default)]
struct Reader {
    tests: Tests,
    current: String,
}

impl Reader {
    fn output(&mut self, text: &str) {
        if let Some(test) = self.tests.get_mut(&self.current) {
            test.output.push_str(text);
        }
    }

    fn marked(&mut self, line: &str) {
        let line = line.trim_end_matches('\n');
        let indented = line.trim_start_matches(' ');
        if let Some(rest) = indented.strip_prefix("=== ") {
            let (action, name) = rest.split_once(' ').unwrap_or((rest, ""));
            let name = &without_addresses(name.trim());
            if action == "RUN" {
                self.entry(name);
            }
            if matches!(action, "RUN" | "NAME" | "CONT") {
                name.clone_into(&mut self.current);
            }
            return;
        }
        let ended = [
            ("PASS", Status::Pass),
            ("FAIL", Status::Fail),
            ("SKIP", Status::Skip),
        ]
        .into_iter()
        .find_map(|(word, status)| {
            let rest = indented
                .strip_prefix("--- ")?
                .strip_prefix(word)?
                .strip_prefix(": ")?;
            Some((
                rest.rsplit_once(" (").map_or(rest, |(name, _)| name),
                status,
            ))
        });
        match ended {
            Some((name, status)) => {
                let name = &without_addresses(name);
                self.entry(name).status = status;
                name.clone_into(&mut self.current);
            }
            // PASS, FAIL, exit status and the like: the package's, not a test's.
            None => self.output(line),
        }
    }

    fn entry(&mut self, name: &str) -> &mut Test {
        self.tests.entry(name.to_owned()).or_insert(Test {
            status: Status::Unfinished,
            output: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statuses(text: &str) -> Vec<(String, Status)> {
        parse(text.as_bytes())
            .into_iter()
            .map(|(name, test)| (name, test.status))
            .collect()
    }

    #[test]
    fn tests_and_subtests_are_told_apart() {
        let text = "\u{16}=== RUN   TestA\n\u{16}=== RUN   TestA/x_(1)\n\u{16}    --- SKIP: TestA/x_(1) (0.00s)\n\
                    \u{16}--- PASS: TestA (1.50s)\n\u{16}=== NAME  \nPASS\n";
        let expected = [("TestA", Status::Pass), ("TestA/x_(1)", Status::Skip)];
        assert_eq!(statuses(text), expected.map(|(n, s)| (n.to_owned(), s)));
    }

    #[test]
    fn what_a_test_prints_is_never_a_result() {
        let text = "\u{16}=== RUN   TestA\n--- FAIL: TestA (0.00s)\n--- PASS: TestB (0.00s)\n\u{16}--- PASS: TestA (0.00s)\n";
        assert_eq!(statuses(text), [("TestA".to_owned(), Status::Pass)]);
    }

    #[test]
    fn a_mark_may_follow_an_unfinished_line() {
        let text = "\u{16}=== RUN   TestA\nno newline\u{16}--- FAIL: TestA (0.00s)\n    a_test.go:1: why\n";
        let tests = parse(text.as_bytes());
        assert_eq!(tests["TestA"].status, Status::Fail);
        assert_eq!(tests["TestA"].output, "no newline    a_test.go:1: why\n");
    }

    #[test]
    fn a_crash_leaves_the_running_test_unfinished() {
        let text =
            "\u{16}=== RUN   TestA\n\u{16}=== PAUSE TestA\n\u{16}=== RUN   TestB\npanic: no\n";
        let tests = parse(text.as_bytes());
        assert_eq!(tests["TestA"].status, Status::Unfinished);
        assert_eq!(tests["TestB"].status, Status::Unfinished);
        assert_eq!(tests["TestB"].output, "panic: no\n");
    }

    #[test]
    fn addresses_are_not_part_of_a_name() {
        assert_eq!(
            without_addresses("TestAs/(0x1a9b837240a0,_0xff)"),
            "TestAs/(0x...,_0xff)"
        );
        assert_eq!(without_addresses("Test0x"), "Test0x");
    }

    #[test]
    fn output_goes_to_the_test_that_is_named() {
        let text = "\u{16}=== RUN   TestA\n\u{16}=== RUN   TestB\n\u{16}=== NAME  TestA\nfrom A\n\u{16}=== CONT  TestB\nfrom B\n";
        let tests = parse(text.as_bytes());
        assert_eq!(tests["TestA"].output, "from A\n");
        assert_eq!(tests["TestB"].output, "from B\n");
    }
}
