//! The command with a stand-in for QEMU.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A small executable that passes the command's checks: 64-bit, static, one segment. It is never run.
pub fn program(directory: &Path) -> PathBuf {
    let mut elf = vec![0u8; 4096];
    elf[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    elf[16..24].copy_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
    elf[24..32].copy_from_slice(&0x40_0800u64.to_le_bytes());
    elf[32] = 64; // program headers
    elf[52] = 64;
    elf[54] = 56;
    elf[56] = 1;
    elf[64] = 1; // PT_LOAD, read and execute
    elf[68] = 5;
    elf[80..88].copy_from_slice(&0x40_0000u64.to_le_bytes());
    elf[88..96].copy_from_slice(&0x40_0000u64.to_le_bytes());
    for field in [96, 104] {
        elf[field..field + 8].copy_from_slice(&4096u64.to_le_bytes());
    }
    elf[112..120].copy_from_slice(&4096u64.to_le_bytes());
    let path = directory.join("prog");
    std::fs::write(&path, elf).expect("a temporary file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("its owner");
    path
}

/// The command under test, with the stand-in.
pub fn ringo() -> Command {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_ringo"));
    let fake = binary
        .parent()
        .expect("a directory")
        .join("examples/fake_qemu");
    assert!(fake.exists(), "build it first: cargo build --examples");
    let mut command = Command::new(binary);
    command.env("RINGO_QEMU", fake);
    command
}

/// `ringo run --engine tcg prog SCRIPT...`, to its end.
#[allow(dead_code)] // Each test file is a crate of its own.
pub fn run(options: &[&str], script: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = program(directory.path());
    ringo()
        .args(["run", "--engine", "tcg"])
        .args(options)
        .arg(program)
        .args(script)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("ringo starts")
}

#[allow(dead_code)]
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
