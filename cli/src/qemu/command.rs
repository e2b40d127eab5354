//! QEMU's command line.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::PathBuf;

use anyhow::{Result, bail};
use ringo_control::port;

use super::engine::Engine;
use super::{Config, Link};
use crate::args::{Machine, Publish};

/// Where QEMU is.
pub fn program() -> Result<PathBuf> {
    const NAME: &str = "qemu-system-x86_64";
    if let Some(chosen) = std::env::var_os("RINGO_QEMU") {
        return Ok(chosen.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(NAME))
        .find(|file| file.is_file());
    // Red Hat's place and name for it.
    match found.or_else(|| Some(PathBuf::from("/usr/libexec/qemu-kvm")).filter(|p| p.is_file())) {
        Some(file) => Ok(file),
        None => bail!(
            "{NAME} is not installed: `apt install qemu-system-x86` (Debian, Ubuntu), \
             `dnf install qemu-kvm` (Fedora), `pacman -S qemu-system-x86` (Arch)"
        ),
    }
}

/// One instruction is one nanosecond, and time goes straight on to the next timer when nothing runs.
pub const ICOUNT: &str = "shift=0,sleep=off";

/// What QEMU inherits.
pub struct Files {
    pub kernel: RawFd,
    pub bundle: RawFd,
    /// In the order stdin, stdout, stderr, control.
    pub ports: [RawFd; 4],
    pub tty: Option<RawFd>,
    pub capture: Option<RawFd>,
}

/// All of the arguments.
pub fn arguments(config: &Config, files: &Files) -> Vec<String> {
    let Files {
        kernel,
        bundle,
        ports,
        tty,
        capture,
    } = *files;
    let mut arguments = Arguments::default();
    let pci = config.machine == Machine::Q35;
    arguments.option("-machine", machine(config));
    arguments.option("-cpu", cpu(config.engine));
    arguments.option(
        "-smp",
        processors(config.engine, config.cpus, config.icount),
    );
    arguments.option("-m", format!("{}k", config.memory >> 10));
    if config.icount {
        arguments.option("-icount", ICOUNT);
    }
    for flag in ["-nodefaults", "-no-user-config", "-no-reboot"] {
        arguments.flag(flag);
    }
    arguments.option("-display", "none");
    arguments.option("-sandbox", "on,spawn=deny,elevateprivileges=deny");
    arguments.option("-kernel", format!("/proc/self/fd/{kernel}"));
    arguments.option("-initrd", format!("/proc/self/fd/{bundle}"));
    // QEMU appends the places of the virtio devices.
    arguments.option("-append", kernel_command_line(tty.is_some()));
    arguments.option("-global", "virtio-mmio.force-legacy=false");
    // What the kernel says before its ports are there (only that it cannot go on) comes out as QEMU's own words.
    arguments.option("-debugcon", "file:/dev/stderr");
    // The kernel's last resort: a write to this port ends QEMU.
    arguments.option("-device", "isa-debug-exit,iobase=0xf4,iosize=4");

    let bus = if pci { "pci" } else { "device" };
    let names = [port::STDIN, port::STDOUT, port::STDERR, port::CONTROL];
    let always = names.into_iter().zip(port::NUMBERS).zip(ports);
    let tty = tty.map(|fd| ((port::TTY, port::TTY_NUMBER), fd));
    let max = port::TTY_NUMBER + u32::from(tty.is_some());
    arguments.option("-device", format!("virtio-serial-{bus},max_ports={max}"));
    for (index, ((name, number), fd)) in always.chain(tty).enumerate() {
        arguments.option("-chardev", format!("socket,id=port{index},fd={fd}"));
        arguments.option(
            "-device",
            format!("virtserialport,chardev=port{index},name={name},nr={number}"),
        );
    }
    if config.host_files {
        // remap: inode numbers stay unique across the host's file systems.
        arguments.option(
            "-fsdev",
            "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        );
        arguments.option(
            "-device",
            format!("virtio-9p-{bus},fsdev=host,mount_tag=host"),
        );
    }
    if let Some(card) = &config.card {
        let link = match &card.link {
            Link::User(publish) => user_network(publish),
            Link::Tap(tap) => tap_network(tap),
        };
        arguments.option("-netdev", link);
        // No option ROM: nobody boots from this card.
        let rom = if pci { ",romfile=" } else { "" };
        let mac = card
            .mac
            .map(|mac| format!(",mac={mac}"))
            .unwrap_or_default();
        arguments.option("-device", format!("virtio-net-{bus},netdev=net{mac}{rom}"));
        if let Some(fd) = capture {
            let file = format!("/proc/self/fd/{fd}");
            arguments.option(
                "-object",
                format!("filter-dump,id=capture,netdev=net,file={file}"),
            );
        }
    }
    arguments.0
}

/// The guest's CPUs. Of a machine that can have no more than one, QEMU leaves barriers out of what it emulates (mfence before
/// 8.0, locked instructions still), although its devices run beside that CPU: now and then a notification or an interrupt is
/// missed, and with it everything stops. So there is room for a second one.
pub fn processors(engine: Engine, cpus: u32, icount: bool) -> String {
    match (engine, cpus) {
        (Engine::Tcg, 1) if !icount => "1,maxcpus=2".to_owned(),
        _ => cpus.to_string(),
    }
}

/// The model of the guest's CPUs.
pub fn cpu(engine: Engine) -> &'static str {
    match engine {
        // On AMD hosts QEMU 7.2 can't set the MSR behind arch-capabilities, which means nothing to this guest anyway.
        // migratable=off shows the invariant TSC.
        Engine::Kvm => "host,migratable=off,-arch-capabilities",
        Engine::Tcg => "max",
    }
}

/// The network that QEMU makes up: the guest gets 10.0.2.15 by DHCP, 10.0.2.2 is the host; fec0::/64, and the host fec0::2.
fn user_network(publish: &[Publish]) -> String {
    let mut text = "user,id=net".to_owned();
    for port in publish {
        let protocol = if port.udp { "udp" } else { "tcp" };
        let address = port.address.map(|ip| ip.to_string()).unwrap_or_default();
        text += &format!(
            ",hostfwd={protocol}:{address}:{}-:{}",
            port.host, port.guest
        );
    }
    text
}

/// RINGO_KERNEL_ARGS is for people who work on the kernel (docs/architecture.md).
fn kernel_command_line(tty: bool) -> String {
    let mut line = std::env::var("RINGO_KERNEL_ARGS").unwrap_or_default();
    if tty {
        line = format!("{line} {}", ringo_control::TTY_WORD);
    }
    line
}

fn machine(config: &Config) -> String {
    let accelerator = match config.engine {
        Engine::Kvm => "accel=kvm",
        Engine::Tcg => "accel=tcg",
    };
    match config.machine {
        // What the kernel doesn't use costs start-up time: no ACPI tables, serial port, CMOS clock or 8259. The PIT stays:
        // without a clock from KVM it is what the TSC is measured by.
        Machine::Microvm => format!(
            "microvm,{accelerator},acpi=off,isa-serial=off,rtc=off,pic=off,pit=on,x-option-roms=off,\
             auto-kernel-cmdline=on"
        ),
        Machine::Q35 => q35(config.engine),
    }
}

/// A q35 with what a server's VM has no use for left out.
pub fn q35(engine: Engine) -> String {
    let accelerator = engine.name();
    format!("q35,accel={accelerator},usb=off,vmport=off,hpet=off,smbus=off,sata=off")
}

/// The host's end of a card at a tap interface.
pub fn tap_network(tap: &OwnedFd) -> String {
    format!("tap,id=net,fd={}", tap.as_raw_fd())
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn flag(&mut self, flag: &str) {
        self.0.push(flag.to_owned());
    }

    fn option(&mut self, name: &str, value: impl Into<String>) {
        self.0.push(name.to_owned());
        self.0.push(value.into());
    }
}
