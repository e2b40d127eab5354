//! What is seen of a program from outside: how long until it runs and until it is gone, and what it costs while it idles.
//!
//! - `start/main`: from the start of the command to the first line of main.main; `start/exit`: to the command's end. On
//!   Linux the command is the program, in ring 0 it is `ringo run` with all of QEMU.
//! - `idle/cpu-in-1s`: CPU time that the program takes in a second in which it waits for a timer; in ring 0 QEMU's and ours
//!   (the kernel counts in ticks of 10 ms, so it idles for ten seconds).

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// The cases' names.
pub const CASES: &[&str] = &["start/main", "start/exit", "idle/cpu-in-1s"];
const IDLE_SECONDS: u32 = 10;
/// USER_HZ, which x86-64 has fixed.
const TICK_NS: f64 = 1e7;

/// Measures those of them that are wanted with the program that `line` starts; gives lines as the program itself does.
pub fn measure(line: &[OsString], wanted: impl Fn(&str) -> bool) -> Result<String> {
    let mut output = String::new();
    if wanted("start/main") || wanted("start/exit") {
        let (main, exit) = start(line)?;
        output += &format!("start/main\t{main}\nstart/exit\t{exit}\n");
    }
    if wanted("idle/cpu-in-1s") {
        let both = used_by(line, IDLE_SECONDS)? - used_by(line, 0)?;
        output += &format!(
            "idle/cpu-in-1s\t{}\n",
            both.max(0.0) / f64::from(IDLE_SECONDS)
        );
    }
    Ok(output)
}

/// Nanoseconds to its first line, and to its end.
fn start(line: &[OsString]) -> Result<(u128, u128)> {
    let begin = Instant::now();
    let mut child = command(line, "-hello").stdout(Stdio::piped()).spawn()?;
    let mut first = String::new();
    let stdout = child.stdout.take().context("no standard output")?;
    BufReader::new(stdout).read_line(&mut first)?;
    let main = begin.elapsed().as_nanos();
    let status = child.wait()?;
    let exit = begin.elapsed().as_nanos();
    ensure!(
        status.success() && first == "hello\n",
        "the program did not start: {status}"
    );
    Ok((main, exit))
}

/// CPU time in ns of a run that idles for so many seconds.
fn used_by(line: &[OsString], seconds: u32) -> Result<f64> {
    let before = childrens_ticks()?;
    let status = command(line, &format!("-idle={seconds}s")).status()?;
    ensure!(
        status.success(),
        "the program that idles ended with {status}"
    );
    Ok((childrens_ticks()? - before) as f64 * TICK_NS)
}

fn command(line: &[OsString], argument: &str) -> Command {
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).arg(argument).stdin(Stdio::null());
    command
}

/// cutime and cstime of proc_pid_stat(5): all children that were waited for, and theirs.
fn childrens_ticks() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    ticks(&text).context("/proc/self/stat is not as proc_pid_stat(5) has it")
}

fn ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    Some(fields.get(13)?.parse::<u64>().ok()? + fields.get(14)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_childrens_ticks_are_the_sixteenth_and_seventeenth_field() {
        let stat = "7 (a) b) R 3 4 5 6 7 8 9 10 11 12 13 14 150 160 17";
        assert_eq!(ticks(stat), Some(310));
        assert_eq!(ticks("7 (short) R 3"), None);
    }

    #[test]
    fn a_start_has_a_first_line_before_its_end() {
        let shell = |script: &str| ["sh", "-c", script].map(OsString::from).to_vec();
        let (main, exit) = start(&shell("echo hello; sleep 0.05")).expect("it starts");
        assert!(main < exit);
        assert!(start(&shell("exit 3")).is_err());
    }
}
