//! A Linux guest with the benchmark as its first process: the kernel, its initramfs, what it says.
//!
//! The kernel is Debian's for clouds, which tools/setup.sh puts into .cache/linux-guest, or the one that
//! RINGO_LINUX_KERNEL names. It gets its own defaults, but for two: its clock is the TSC, as Ringo's is, and it does not
//! report each fault of its first process.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::qemu::engine::Engine;
use crate::qemu::{self, linux};

/// go/bench says so when it has done all (go/bench/guest.go).
const END: &str = "bench: end of the guest";
const COMMAND_LINE: &str = "console=ttyS0 quiet loglevel=0 panic=-1 clocksource=tsc tsc=reliable sysctl.debug.exception-trace=0";
/// Where tools/setup.sh puts the kernel.
const FOLDER: &str = ".cache/linux-guest";
/// How long it may take to boot. Emulated it needs seconds; where KVM interprets it, for ever.
const BOOT: Duration = Duration::from_secs(300);

/// A Linux kernel that can be started.
pub struct LinuxGuest {
    kernel: PathBuf,
}

impl LinuxGuest {
    /// The one that is here.
    pub fn find() -> Result<LinuxGuest> {
        if let Some(kernel) = std::env::var_os("RINGO_LINUX_KERNEL") {
            return Ok(LinuxGuest {
                kernel: kernel.into(),
            });
        }
        let entries = Path::new(FOLDER).read_dir().into_iter().flatten().flatten();
        let mut kernels: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| {
                path.file_name()
                    .is_some_and(|name| name.as_encoded_bytes().starts_with(b"vmlinuz-"))
            })
            .collect();
        kernels.sort();
        let kernel = kernels.pop().context(
            "no kernel for the Linux guest: `tools/setup.sh linux-guest` fetches Debian's, or set RINGO_LINUX_KERNEL",
        )?;
        Ok(LinuxGuest { kernel })
    }

    /// What it is, for the page.
    pub fn describe(&self) -> String {
        let name = self
            .kernel
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        format!(
            "{}, its default mitigations; {COMMAND_LINE}",
            name.trim_start_matches("vmlinuz-")
        )
    }

    /// Boots it with the program as its first process, and with this card if there is one; gives its serial line.
    pub fn start(
        &self,
        machine: &Machine,
        program: &Path,
        arguments: &[String],
        card: Option<OwnedFd>,
    ) -> Result<(Ends, ChildStdout)> {
        let mut initramfs = qemu::anonymous_file("linux-initramfs")?;
        let modules = match card {
            Some(_) => modules()?,
            None => Vec::new(),
        };
        write_initramfs(&mut initramfs, &std::fs::read(program)?, &modules)?;
        let arguments = format!("{COMMAND_LINE} -- -init {}", arguments.join(" "));
        let config = linux::Config {
            engine: machine.engine,
            cpus: machine.cpus,
            memory: machine.memory,
            icount: machine.icount,
            kernel: &self.kernel,
            arguments: &arguments,
            card,
        };
        let (child, console) = linux::start(config, initramfs)?;
        Ok((Ends(child), console))
    }

    /// Boots it with the program as its first process, and returns what that printed.
    pub fn measure(
        &self,
        machine: &Machine,
        program: &Path,
        arguments: &[String],
    ) -> Result<String> {
        let (_child, console) = self.start(machine, program, arguments, None)?;
        listen(BufReader::new(console))
    }
}

/// What it runs on.
#[derive(Clone, Copy)]
pub struct Machine {
    pub engine: Engine,
    pub cpus: u32,
    pub memory: u64,
    pub icount: bool,
}

/// A child that does not outlive this.
pub struct Ends(pub Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program's lines up to its end.
fn listen(mut console: impl BufRead + Send + 'static) -> Result<String> {
    let (sender, lines) = channel();
    // It ends with QEMU, whose end of the pipe closes.
    std::thread::spawn(move || {
        let mut line = Vec::new();
        while console.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    let mut output = String::new();
    let booting = Instant::now();
    loop {
        // Only the boot has a time limit: how long cases take is their affair.
        let patience = if output.is_empty() {
            BOOT.saturating_sub(booting.elapsed())
        } else {
            Duration::MAX
        };
        match lines.recv_timeout(patience) {
            Ok(line) if line == END => return Ok(output),
            Ok(line) if line.contains("Kernel panic") => bail!("the Linux guest fell: {line}"),
            // What the kernel says, or what it runs on, has no tab.
            Ok(line) if line.contains('\t') => output += &format!("{line}\n"),
            Ok(line) if line.starts_with("bench: ") => bail!("in the Linux guest: {line}"),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => bail!(
                "the Linux guest said nothing for {} s: Linux does not boot on every KVM; try --engine tcg",
                BOOT.as_secs()
            ),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the Linux guest ended before its program")
            }
        }
    }
}

/// The drivers of a network card, name and content, in the order in which they are loaded; none if the kernel has them.
fn modules() -> Result<Vec<(String, Vec<u8>)>> {
    if std::env::var_os("RINGO_LINUX_KERNEL").is_some() {
        return Ok(Vec::new());
    }
    let folder = Path::new(FOLDER).join("modules");
    let mut all = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        all.push((name, std::fs::read(entry.path())?));
    }
    ensure!(
        !all.is_empty(),
        "no drivers for the Linux guest's card: `tools/setup.sh linux-guest` fetches them"
    );
    all.sort();
    Ok(all)
}

/// An initramfs in cpio's "newc" form (Linux: Documentation/driver-api/early-userspace/buffer-format.rst): the program as
/// /init, the devices without which there is no output, and modules.
fn write_initramfs(
    out: &mut File,
    program: &[u8],
    modules: &[(String, Vec<u8>)],
) -> std::io::Result<()> {
    const DIRECTORY: u32 = 0o040_755;
    const DEVICE: u32 = 0o020_666;
    const FILE: u32 = 0o100_644;
    const PROGRAM: u32 = 0o100_755;
    let mut archive = Vec::with_capacity(program.len() + 4096);
    let mut inode = 0;
    let mut entry = |name: &str, mode: u32, device: (u32, u32), data: &[u8]| {
        inode += 1;
        let length = u32::try_from(data.len()).map_err(std::io::Error::other)?;
        let fields = [
            inode,
            mode,
            0,
            0,
            1,
            0,
            length,
            0,
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0,
        ];
        archive.extend_from_slice(b"070701");
        for field in fields {
            write!(archive, "{field:08x}")?;
        }
        archive.extend_from_slice(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(data);
        archive.resize(archive.len().next_multiple_of(4), 0);
        Ok::<(), std::io::Error>(())
    };
    entry("dev", DIRECTORY, (0, 0), &[])?;
    entry("dev/console", DEVICE, (5, 1), &[])?;
    entry("dev/null", DEVICE, (1, 3), &[])?;
    entry("modules", DIRECTORY, (0, 0), &[])?;
    for (name, data) in modules {
        entry(&format!("modules/{name}"), FILE, (0, 0), data)?;
    }
    entry("init", PROGRAM, (0, 0), program)?;
    entry("TRAILER!!!", 0, (0, 0), &[])?;
    out.write_all(&archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_lines_are_taken_up_to_its_end() {
        let said = "Linux version\r\nsyscall/getpid\t326.5\r\nbench: end of the guest\r\nx\t1\n";
        let output = listen(std::io::Cursor::new(said)).expect("it came to its end");
        assert_eq!(output, "syscall/getpid\t326.5\n");
    }

    #[test]
    fn a_guest_that_falls_is_an_error() {
        for said in [
            "Kernel panic - not syncing: no init\n",
            "bench: mount: no\n",
            "a\t1\n",
        ] {
            assert!(listen(std::io::Cursor::new(said)).is_err(), "{said}");
        }
    }

    #[test]
    fn every_part_of_the_initramfs_begins_at_a_multiple_of_four() {
        let mut file = qemu::anonymous_file("test").expect("a memory file");
        let modules = [("a.ko".to_owned(), b"odd".to_vec())];
        write_initramfs(&mut file, b"\x7fELF", &modules).expect("written");
        let archive = std::fs::read(format!(
            "/proc/self/fd/{}",
            std::os::fd::AsRawFd::as_raw_fd(&file)
        ))
        .expect("read");
        let starts: Vec<usize> = (0..archive.len() - 6)
            .filter(|&at| archive[at..].starts_with(b"070701"))
            .collect();
        assert_eq!(starts.len(), 7);
        assert!(starts.iter().all(|at| at % 4 == 0) && archive.len() % 4 == 0);
    }
}
