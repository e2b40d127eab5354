//! Writes docs/syscalls.md from the table of system calls:
//!
//! ```text
//! cargo run -q -p ringo-abi --example syscalls > docs/syscalls.md
//! ```
use ringo_abi::{SYSCALLS, Support, absent_syscalls};
use std::fmt::Write;

#[allow(dead_code)] // The test that compares takes this file as a module.
fn main() {
    print!("{}", document());
}

/// The document's text.
pub fn document() -> String {
    let mut calls: Vec<_> = SYSCALLS.iter().collect();
    calls.sort_by_key(|call| call.number);
    let full = calls
        .iter()
        .filter(|call| call.support == Support::Full)
        .count();
    let mut text = format!(
        "# System calls\n\n\
         <!-- Made by `cargo run -q -p ringo-abi --example syscalls > docs/syscalls.md`. Do not edit. -->\n\n\
         The kernel has {} of Linux's x86-64 system calls: {full} as Linux has them, {} with the limit that the table\n\
         names. The others return ENOSYS, as a Linux without them would; `ringo run -v` names each that a program tried.\n\
         The table is `crates/abi/src/table.rs`: dispatch, `ringo doctor` and this page are made from it.\n\n\
         ## Provided\n\n\
         `family` is the file in `kernel/src/syscall/` where the call begins.\n\n\
         | number | call | family | limit |\n|---:|---|---|---|\n",
        calls.len(),
        calls.len() - full,
    );
    for call in calls {
        let limit = match call.support {
            Support::Full => "",
            Support::Partial(why) => why,
        };
        line(
            &mut text,
            &[&call.number.to_string(), call.name, call.family, limit],
        );
    }
    text.push_str("\n## Not provided\n\n| number | call | why |\n|---:|---|---|\n");
    for call in absent_syscalls() {
        line(&mut text, &[&call.number.to_string(), call.name, call.why]);
    }
    text
}

fn line(text: &mut String, cells: &[&str]) {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
