//! Takes out of two outputs what differs between any two runs, and shows what still differs.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use similar::TextDiff;

use crate::execute::Outcome;

/// What a case wants taken out before its outputs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalise {
    /// Nothing: byte for byte.
    Nothing,
    /// A Go traceback: addresses, goroutine and thread numbers, offsets, register values, waiting times.
    Traceback,
    /// As Traceback, and only the lines up to the first goroutine's frames: which other goroutines a dump shows, and in
    /// which order, is chance.
    FirstGoroutine,
    /// A dump of all goroutines on a signal: its first line, and that the main goroutine is in it. What each was doing is
    /// chance.
    Dump,
    /// The last line of standard error before the first goroutine that starts with `fatal error`: how much was in use when
    /// memory ran out is nobody's promise.
    FatalLine,
    /// How long something took: `12ms`, `1.5s`.
    Times,
    /// Only the exit code and standard output count.
    StdoutOnly,
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($text).expect("a constant pattern"));
    };
}
pattern!(HEX, r"0x[0-9a-f]+");
pattern!(GOROUTINE, r"goroutine \d+( gp=\S+)?( m=\S+)?( mp=\S+)?");
pattern!(CREATED, r"in goroutine \d+");
pattern!(WAIT, r"\[([^\],]+)(, [^\]]+)?\]:");
pattern!(REGISTER, r"(?m)^(r[a-z0-9]{1,2}|rflags|cs|fs|gs) +0x.*\n");
pattern!(TIME, r"\b\d+(\.\d+)?(ns|µs|ms|s)\b");
pattern!(PID, r"(PC|pc|sigcode|m|pid)=(0x[0-9a-f]+|\d+)");

fn traceback(text: &str) -> String {
    let text = REGISTER.replace_all(text, "");
    let text = HEX.replace_all(&text, "0xX");
    let text = GOROUTINE.replace_all(&text, "goroutine N");
    let text = CREATED.replace_all(&text, "in goroutine N");
    let text = WAIT.replace_all(&text, "[$1]:");
    PID.replace_all(&text, "$1=N").into_owned()
}

fn first_goroutine(text: &str) -> String {
    let mut kept = String::new();
    let mut goroutines = 0;
    for line in text.lines() {
        goroutines += usize::from(line.starts_with("goroutine "));
        if goroutines > 1 || (goroutines == 1 && line.is_empty()) {
            break;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

impl Normalise {
    /// Standard error in the form in which it is compared.
    fn stderr<'a>(self, bytes: &'a [u8]) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(bytes);
        match self {
            Normalise::Nothing => text,
            Normalise::Traceback => traceback(&text).into(),
            Normalise::FirstGoroutine => first_goroutine(&traceback(&text)).into(),
            Normalise::Dump => {
                let first = text.lines().next().unwrap_or("");
                format!("{first}\n{}\n", text.contains("\ngoroutine 1 ")).into()
            }
            Normalise::FatalLine => text
                .lines()
                .find(|line| line.starts_with("fatal error"))
                .unwrap_or(&text)
                // Who notices first, the runtime's pages or its address space, differs with what sets the limit.
                .replace("fatal error: runtime: ", "fatal error: ")
                .into(),
            Normalise::Times => TIME.replace_all(&text, "TIME").into_owned().into(),
            Normalise::StdoutOnly => "".into(),
        }
    }
}

fn show(what: &str, linux: &str, ringo: &str, out: &mut String) {
    if linux == ringo {
        return;
    }
    let diff = TextDiff::from_lines(linux, ringo)
        .unified_diff()
        .context_radius(2)
        .header("linux", "ringo")
        .to_string();
    const ENOUGH: usize = 6000;
    let mut end = diff.len().min(ENOUGH);
    while !diff.is_char_boundary(end) {
        end -= 1;
    }
    let more = if diff.len() > end {
        "\n... and more\n"
    } else {
        ""
    };
    out.push_str(&format!("{what} differs:\n{}{more}", &diff[..end]));
}

/// Nothing if the two runs say the same, else a report to read.
pub fn difference(normalise: Normalise, linux: &Outcome, ringo: &Outcome) -> Option<String> {
    let mut report = String::new();
    if linux.code != ringo.code {
        report.push_str(&format!(
            "exit code: linux {}, ringo {}\n",
            linux.code, ringo.code
        ));
    }
    show(
        "standard output",
        &String::from_utf8_lossy(&linux.stdout),
        &String::from_utf8_lossy(&ringo.stdout),
        &mut report,
    );
    show(
        "standard error",
        &normalise.stderr(&linux.stderr),
        &normalise.stderr(&ringo.stderr),
        &mut report,
    );
    if report.is_empty() && linux.stdout != ringo.stdout {
        report.push_str("standard output differs in bytes that are not text\n");
    }
    if normalise == Normalise::StdoutOnly && !report.is_empty() {
        report.push_str(&format!(
            "standard error of ringo was:\n{}",
            String::from_utf8_lossy(&ringo.stderr)
        ));
    }
    (!report.is_empty()).then_some(report)
}
