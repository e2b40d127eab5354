//! The executable: finding it, and saying in plain words why one can't run.
//!
//! The checks here are those that have advice to give (built with cgo, for another system, not built at all); then come those
//! that the kernel loads with.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

use crate::launch::World;

/// An executable that was read and may be tried.
pub struct Program {
    /// Absolute, without symbolic links.
    pub path: PathBuf,
    /// The file.
    pub bytes: Vec<u8>,
    /// Its mode, owner and so on.
    pub metadata: std::fs::Metadata,
}

/// Finds what the user typed and reads it.
pub fn read(typed: &OsStr, world: World) -> Result<Program> {
    let shown = typed.to_string_lossy();
    let found = find(typed, world)?;
    let path = found
        .canonicalize()
        .with_context(|| format!("{shown}: can't be read"))?;
    let mut file = File::options()
        .read(true)
        // A pipe without a writer would keep us waiting.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(&path)
        .with_context(|| format!("{shown}: can't be read"))?;
    let metadata = file
        .metadata()
        .with_context(|| format!("{shown}: can't be read"))?;
    ensure!(
        !metadata.is_dir(),
        "{shown}: is a directory; build the program in it first: CGO_ENABLED=0 go build -o prog {shown}"
    );
    ensure!(metadata.is_file(), "{shown}: is not a regular file");
    let mut bytes = Vec::with_capacity(metadata.len() as usize + 1);
    file.read_to_end(&mut bytes)
        .with_context(|| format!("{shown}: can't be read"))?;
    Ok(Program {
        path,
        bytes,
        metadata,
    })
}

fn find(typed: &OsStr, world: World) -> Result<PathBuf> {
    let shown = typed.to_string_lossy();
    ensure!(!typed.is_empty(), "the program's name is empty");
    let path = Path::new(typed);
    if typed.as_encoded_bytes().contains(&b'/') {
        return match path.metadata() {
            Ok(_) => Ok(path.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!(
                    "{shown}: no such file; a Go program is built with: CGO_ENABLED=0 go build -o {shown} ."
                )
            }
            Err(error) => Err(error).with_context(|| format!("{shown}: can't be read")),
        };
    }
    // `ringo run hello` means the file right here, if there is one; exec looks as execvp does, then here.
    let here = Some(path.to_owned()).filter(|p| p.is_file());
    let in_path = || {
        let variable = std::env::var_os("PATH")?;
        std::env::split_paths(&variable)
            .map(|dir| dir.join(path))
            .find(|candidate| {
                candidate
                    .metadata()
                    .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
            })
    };
    let found = match world {
        World::Own => here.or_else(in_path),
        World::Host => in_path().or(here),
    };
    found
        .or_else(|| Some(path.to_owned()).filter(|p| p.is_dir()))
        .with_context(|| format!("{shown}: no such program in the current directory or in PATH"))
}

/// Says why these bytes can't run, if they can't. `shown` is the name as typed.
pub fn check(bytes: &[u8], shown: &str) -> Result<()> {
    explain(bytes).map_err(|reason| anyhow!("{shown}: {reason}"))
}

/// Says that the file is not marked as a program, if it isn't: execve(2) would not start it, either.
pub fn check_permission(program: &Program, shown: &str) -> Result<()> {
    let allowed = rustix::fs::access(&program.path, rustix::fs::Access::EXEC_OK);
    ensure!(
        allowed.is_ok(),
        "{shown}: permission denied: it is not marked as a program: chmod +x {shown}"
    );
    Ok(())
}

const REBUILD: &str = "rebuild with GOOS=linux GOARCH=amd64 CGO_ENABLED=0 go build";

/// The reason, to follow the program's name.
pub fn explain(bytes: &[u8]) -> Result<(), String> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(explain_other(bytes));
    }
    let truncated = || "is a truncated or damaged ELF file".to_owned();
    match bytes.get(4).map(|&class| elf::FileClass(class)) {
        Some(elf::ELFCLASS64) => {}
        Some(_) => return Err(format!("is a 32-bit program; {REBUILD}")),
        None => return Err(truncated()),
    }
    if bytes.get(5).map(|&order| elf::DataEncoding(order)) != Some(elf::ELFDATA2LSB) {
        return Err(format!("is a big-endian program; {REBUILD}"));
    }
    let header = elf::FileHeader64::<LE>::parse(bytes).map_err(|_| truncated())?;
    let machine = header.e_machine(LE);
    if machine != elf::EM_X86_64 {
        let name = match machine {
            elf::EM_AARCH64 => "arm64".to_owned(),
            elf::EM_RISCV => "riscv64".to_owned(),
            elf::EM_LOONGARCH => "loong64".to_owned(),
            other => format!("machine {}", other.0),
        };
        return Err(format!("is built for {name}, not amd64; {REBUILD}"));
    }
    match bytes.get(7).map(|&system| elf::OsAbi(system)) {
        Some(elf::ELFOSABI_SYSV | elf::ELFOSABI_GNU) => {}
        Some(elf::ELFOSABI_FREEBSD) => return Err(format!("is a FreeBSD program; {REBUILD}")),
        _ => return Err(format!("is not a Linux program; {REBUILD}")),
    }
    match header.e_type(LE) {
        elf::ET_EXEC | elf::ET_DYN => {}
        elf::ET_REL => return Err("is an object file: link it to a program first".into()),
        elf::ET_CORE => return Err("is a core dump".into()),
        _ => return Err("is not an executable".into()),
    }
    let segments = header.program_headers(LE, bytes).map_err(|_| truncated())?;
    if !segments.iter().any(|s| s.p_type(LE) == elf::PT_LOAD) {
        return Err("is an ELF file without anything to load".into());
    }
    for segment in segments {
        let end = segment.p_offset(LE).checked_add(segment.p_filesz(LE));
        if segment.p_type(LE) == elf::PT_LOAD && end.is_none_or(|end| end > bytes.len() as u64) {
            return Err("is truncated: its segments reach beyond the end of the file".into());
        }
        // A static PIE built by Go names an interpreter, too; only a needed library makes it dynamic.
        let entries = segment.dynamic(LE, bytes).map_err(|_| truncated())?;
        let needed = entries
            .unwrap_or(&[])
            .iter()
            .take_while(|d| d.tag(LE) != elf::DT_NULL);
        if needed.clone().any(|d| d.tag(LE) == elf::DT_NEEDED) {
            return Err(if is_go(bytes) {
                "is built with cgo: rebuild with CGO_ENABLED=0".into()
            } else {
                "is dynamically linked, and not a Go program; Ringo runs static Go programs".into()
            });
        }
    }
    // The kernel's own parser: what it will not load is known before a VM is started.
    ringo_elf::Image::parse(bytes)
        .map(drop)
        .map_err(|error| format!("is {error}"))
}

fn explain_other(bytes: &[u8]) -> String {
    let starts = |magics: &[&[u8]]| magics.iter().any(|magic| bytes.starts_with(magic));
    if bytes.is_empty() {
        "is empty".into()
    } else if starts(&[b"#!"]) {
        "is a script; Ringo runs the Go program itself".into()
    } else if starts(&[b"MZ"]) {
        format!("is a Windows program; {REBUILD}")
    } else if starts(&[
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
        b"\xfe\xed\xfa\xcf",
    ]) {
        format!("is a macOS program; {REBUILD}")
    } else if starts(&[b"\0asm"]) {
        format!("is WebAssembly; {REBUILD}")
    } else if starts(&[b"!<arch>"]) {
        "is an archive of object files; is its package not `main`?".into()
    } else if memchr::memmem::find(&bytes[..bytes.len().min(1 << 16)], b"\npackage ").is_some()
        || starts(&[b"package "])
    {
        "is Go source: build it first with CGO_ENABLED=0 go build".into()
    } else {
        "is not an executable (no ELF file)".into()
    }
}

/// Does the file carry Go's build information or its line table?
fn is_go(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"\xff Go buildinf:").is_some()
        || memchr::memmem::find(bytes, b"runtime.main").is_some()
}

/// Permission bits and owner for the bundle.
pub fn bundle_metadata(metadata: &std::fs::Metadata) -> ringo_bundle::Metadata {
    ringo_bundle::Metadata {
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime_ns: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(bytes: &[u8]) -> String {
        explain(bytes).expect_err("a reason")
    }

    fn header(class: u8, elf::Machine(machine): elf::Machine, kind: u16) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..8].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1, 1, 0]);
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[20] = 1;
        bytes[32] = 64;
        bytes[52] = 64;
        bytes[54] = 56;
        bytes
    }

    #[test]
    fn what_is_no_elf_file_is_named() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"#!/bin/sh\n", "script"),
            (b"MZ\x90\0", "Windows"),
            (b"\xcf\xfa\xed\xfe\x07", "macOS"),
            (b"// hello\npackage main\n", "source"),
            (b"hello", "not an executable"),
            (b"\x7fELF", "damaged"),
        ] {
            assert!(reason(bytes).contains(word), "{}", reason(bytes));
        }
    }

    #[test]
    fn what_is_another_elf_file_is_named() {
        assert!(reason(&header(1, elf::EM_386, 2)).contains("32-bit"));
        assert!(reason(&header(2, elf::EM_AARCH64, 2)).contains("arm64"));
        assert!(reason(&header(2, elf::EM_X86_64, 1)).contains("object file"));
        assert!(reason(&header(2, elf::EM_X86_64, 4)).contains("core"));
        assert!(reason(&header(2, elf::EM_X86_64, 2)).contains("without anything to load"));
    }

    #[test]
    fn a_dynamic_program_is_refused() {
        let Ok(bytes) = std::fs::read("/bin/ls") else {
            return;
        };
        assert!(reason(&bytes).contains("dynamically linked"));
        assert!(reason(&bytes[..5000]).contains("truncated"));
    }

    proptest::proptest! {
        #[test]
        fn damage_never_panics(position in 0usize..20_000, value: u8, cut in 0usize..200_000) {
            let mut bytes = std::fs::read("/bin/ls").unwrap_or_default();
            if let Some(byte) = bytes.get_mut(position) { *byte = value; }
            bytes.truncate(cut);
            let _ = explain(&bytes);
        }
    }
}
