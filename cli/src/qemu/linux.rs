//! A Linux kernel as the guest, for comparison: the same QEMU, machine and CPU as Ringo's, its console a pipe. With a card the
//! machine is a q35: on a microvm that kernel finds no card.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use super::engine::Engine;
use super::{command, prepare_child};

/// What kind of machine.
pub struct Config<'a> {
    pub engine: Engine,
    pub cpus: u32,
    pub memory: u64,
    pub icount: bool,
    /// A bzImage.
    pub kernel: &'a Path,
    /// A network card, at this tap interface.
    pub card: Option<OwnedFd>,
    /// Behind the first `--` they are its first process's.
    pub arguments: &'a str,
}

/// Starts it with an initramfs; what it says on its serial line can be read from the pipe. The child dies with this thread.
pub fn start(config: Config<'_>, initramfs: File) -> Result<(Child, ChildStdout)> {
    let initramfs = OwnedFd::from(initramfs);
    let program = command::program()?;
    let mut qemu = Command::new(&program);
    let accelerator = config.engine.name();
    let machine = match config.card {
        None => format!(
            "microvm,accel={accelerator},acpi=off,isa-serial=on,rtc=on,pic=on,pit=on,x-option-roms=off,auto-kernel-cmdline=on"
        ),
        Some(_) => command::q35(config.engine),
    };
    qemu.args(["-machine", &machine])
        .args(["-cpu", command::cpu(config.engine)])
        .args([
            "-smp",
            &command::processors(config.engine, config.cpus, config.icount),
        ])
        .args(["-m", &format!("{}k", config.memory >> 10)])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-display",
            "none",
        ])
        .args(["-sandbox", "on,spawn=deny,elevateprivileges=deny"])
        .args(["-serial", "stdio", "-append", config.arguments])
        .arg("-kernel")
        .arg(config.kernel)
        .args([
            "-initrd",
            &format!("/proc/self/fd/{}", initramfs.as_raw_fd()),
        ]);
    if config.icount {
        qemu.args(["-icount", command::ICOUNT]);
    }
    let mut keep = vec![initramfs.as_raw_fd()];
    if let Some(tap) = &config.card {
        keep.push(tap.as_raw_fd());
        qemu.args(["-netdev", &command::tap_network(tap)])
            .args(["-device", "virtio-net-pci,netdev=net,romfile="]);
    }
    qemu.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    prepare_child(&mut qemu, keep);
    let mut child = qemu
        .spawn()
        .with_context(|| format!("{} doesn't start", program.display()))?;
    let console = child.stdout.take().expect("it is piped");
    Ok((child, console))
}
