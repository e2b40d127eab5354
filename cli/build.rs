//! Builds the kernel for its bare target and leaves two files in OUT_DIR:
//!
//! - `kernel.elf`, what QEMU loads: the executable cut off behind its last segment (headers stay, sections go);
//! - `kernel.debug.gz`, the whole executable, for the backtrace of a crash.
//!
//! The kernel has its own target directory, so that the two cargo processes don't wait for one another's lock.
//! `RINGO_KERNEL=FILE` takes an executable that was built elsewhere.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let manifest = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let workspace = manifest
        .parent()
        .ok_or("the manifest's directory has no parent")?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    println!("cargo::rerun-if-env-changed=RINGO_KERNEL");
    let built = match std::env::var_os("RINGO_KERNEL") {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo::rerun-if-changed={}", path.display());
            path
        }
        None => build(workspace, &out)?,
    };
    let elf = fs::read(&built).map_err(|e| format!("{}: {e}", built.display()))?;
    fs::write(
        out.join("kernel.elf"),
        loadable(&elf).ok_or("the kernel is not a 64-bit ELF file")?,
    )?;
    let mut gz = flate2::write::GzEncoder::new(
        fs::File::create(out.join("kernel.debug.gz"))?,
        flate2::Compression::default(),
    );
    gz.write_all(&elf)?;
    gz.finish()?;
    Ok(())
}

fn build(workspace: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    for input in [
        "kernel/src",
        "kernel/Cargo.toml",
        "kernel/build.rs",
        "crates/abi/src",
        "crates/bundle/src",
        "crates/control/src",
        "crates/elf/src",
        "crates/ninep/src",
        "crates/net/src",
        "crates/vdso/src",
        "Cargo.toml",
        "Cargo.lock",
        ".cargo/config.toml",
    ] {
        if workspace.join(input).exists() {
            // Relative to this package: a target directory that was copied or moved with its sources stays right.
            println!("cargo::rerun-if-changed=../{input}");
        }
    }
    for entry in fs::read_dir(workspace.join("kernel"))?.flatten() {
        // Linker scripts and assembly beside the manifest.
        if entry.path().is_file() {
            println!(
                "cargo::rerun-if-changed=../kernel/{}",
                entry.file_name().display()
            );
        }
    }
    // OUT_DIR is TARGET/PROFILE/build/ringo-HASH/out.
    let target = out
        .ancestors()
        .nth(4)
        .ok_or("OUT_DIR is not where cargo puts it")?
        .join("kernel");
    const TRIPLE: &str = "x86_64-unknown-none";
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(workspace)
        .args([
            "build",
            "--quiet",
            "--package",
            "ringo-kernel",
            "--release",
            "--target",
            TRIPLE,
        ])
        .arg("--target-dir")
        .arg(&target)
        // Flags and wrappers of the build around this one (clippy, coverage, the host's RUSTFLAGS) are not the kernel's.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CLIPPY_ARGS")
        .env_remove("CARGO_BUILD_TARGET");
    let status = cargo.status()?;
    if !status.success() {
        return Err(format!(
            "the kernel did not build ({status}). If the target is missing: rustup target add {TRIPLE}"
        )
        .into());
    }
    Ok(target.join(TRIPLE).join("release/ringo-kernel"))
}

/// The file without what no segment needs, and without a section table.
fn loadable(elf: &[u8]) -> Option<Vec<u8>> {
    let u16_at = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    let u64_at = |at: usize| Some(u64::from_le_bytes(elf.get(at..at + 8)?.try_into().ok()?));
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (u64_at(32)? as usize, u16_at(54)?, u16_at(56)?);
    let mut end = table + usize::from(size) * usize::from(count);
    for index in 0..usize::from(count) {
        let header = table + index * usize::from(size);
        end = end.max((u64_at(header + 8)? + u64_at(header + 32)?) as usize);
    }
    let mut image = elf.get(..end)?.to_vec();
    image[40..48].fill(0); // e_shoff
    image[58..64].fill(0); // e_shentsize, e_shnum, e_shstrndx
    Some(image)
}
