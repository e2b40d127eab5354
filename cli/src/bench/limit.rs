//! The limit: Ringo's benchmark built so that write(2) and getpid(2) return at once, without entering any kernel.
//!
//! Two files of Go's own sources are replaced for this build (`go build -overlay`): the instruction before which the
//! number is known gets a way around it. Nothing is installed, and ordinary builds are not affected.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The cases for which this means something.
pub const CASES: &[&str] = &[
    "syscall/getpid",
    "syscall/write-null",
    "mix/write-and-channels-1",
    "mix/write-and-channels-2",
    "mix/write-and-channels-n",
];

/// Where Go keeps its general system call, newest place first.
const GENERAL: [&str; 3] = [
    "src/internal/runtime/syscall/linux/asm_linux_amd64.s",
    "src/internal/runtime/syscall/asm_linux_amd64.s",
    "src/runtime/internal/syscall/asm_linux_amd64.s",
];
const WITHOUT_ERROR: &str = "src/syscall/asm_linux_amd64.s";

/// write(2), number 1, gives the count that RDX holds; the results still go to descriptors 0 to 2.
const GENERAL_WAY: &str = "\tCMPQ\tAX, $1\n\tJNE\tentering\n\tCMPQ\tDI, $2\n\tJLS\tentering\n\tMOVQ\tDX, AX\n\tJMP\tentered\nentering:\n\tSYSCALL\nentered:\n";
/// getpid(2), number 39, gives its own number.
const WITHOUT_ERROR_WAY: &str = "\tCMPQ\tAX, $39\n\tJEQ\tentered\n\tSYSCALL\nentered:\n";

/// Builds it below target/ and gives its path.
pub fn build() -> Result<PathBuf> {
    let root = PathBuf::from(go_root()?);
    let folder = std::env::current_dir()?.join("target/go/limit");
    std::fs::create_dir_all(&folder)?;
    let general = GENERAL
        .iter()
        .map(|place| root.join(place))
        .find(|path| path.exists())
        .context("this Go keeps its system calls where the limit's build does not look")?;
    let replaced = [
        (general, "TEXT \u{b7}Syscall6", GENERAL_WAY, "general.s"),
        (
            root.join(WITHOUT_ERROR),
            "TEXT \u{b7}rawSyscallNoError",
            WITHOUT_ERROR_WAY,
            "without_error.s",
        ),
    ];
    let mut overlay = serde_json::Map::new();
    for (original, function, way, name) in replaced {
        let text =
            std::fs::read_to_string(&original).with_context(|| original.display().to_string())?;
        let copy = folder.join(name);
        std::fs::write(&copy, around(&text, function, way)?)?;
        overlay.insert(
            path_text(&original)?,
            serde_json::Value::String(path_text(&copy)?),
        );
    }
    let list = folder.join("overlay.json");
    std::fs::write(&list, serde_json::json!({"Replace": overlay}).to_string())?;
    let program = folder.join("bench");
    let status = Command::new("go")
        .args(["-C", "go", "build", "-overlay"])
        .arg(&list)
        .arg("-o")
        .arg(&program)
        .arg("./bench")
        .env("CGO_ENABLED", "0")
        .status()?;
    ensure!(status.success(), "the limit's build of go/bench failed");
    Ok(program)
}

/// The first system call of a function gets a way around it.
fn around(text: &str, function: &str, way: &str) -> Result<String> {
    const CALL: &str = "\tSYSCALL\n";
    let Some(start) = text.find(function) else {
        bail!("Go's sources have no {function}");
    };
    let at = text[start..]
        .find(CALL)
        .map(|offset| start + offset)
        .with_context(|| format!("{function} makes no system call"))?;
    Ok(format!("{}{way}{}", &text[..at], &text[at + CALL.len()..]))
}

fn path_text(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .with_context(|| format!("{} is no UTF-8", path.display()))
}

fn go_root() -> Result<String> {
    let output = Command::new("go")
        .args(["env", "GOROOT"])
        .output()
        .context("go doesn't start: is Go installed, and in PATH?")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::around;

    #[test]
    fn only_the_named_function_is_changed() {
        let text = "TEXT a\n\tSYSCALL\n\tRET\nTEXT b\n\tSYSCALL\n\tRET\n";
        let changed = around(text, "TEXT b", "\tWAY\n").expect("it is there");
        assert_eq!(changed, "TEXT a\n\tSYSCALL\n\tRET\nTEXT b\n\tWAY\n\tRET\n");
        assert!(around(text, "TEXT c", "").is_err());
    }
}
