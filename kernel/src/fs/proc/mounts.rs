//! What is mounted: /proc/PID/mountinfo, mounts and mountstats. Nothing is ever mounted or unmounted while the program
//! runs.
use crate::fs::inode::FileSystem;
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::fs::{Dentry, proc, ram, sys, terminal, tree};
use arrayvec::ArrayVec;
use ringo_abi::Errno;

/// One mount.
struct Mount {
    id: u32,
    parent: u32,
    file_system: &'static FileSystem,
    at: &'static str,
    source: &'static str,
    /// Of the mount.
    options: &'static str,
    /// Of the file system.
    super_options: &'static str,
}

/// The mount that has no file of ours: pipes, sockets and the like.
const KERNEL_MOUNT: u32 = 15;
const ROOT_MOUNT: u32 = 21;

fn mounted() -> ArrayVec<Mount, 6> {
    let root = tree::root().inode.file_system;
    let mount = |id, parent, file_system: &'static FileSystem, at, options| Mount {
        id,
        parent,
        file_system,
        at,
        source: file_system.kind,
        options,
        super_options: "rw",
    };
    const ORDINARY: &str = "rw,relatime";
    const CONFINED: &str = "rw,nosuid,nodev,noexec,relatime";
    let mut all = ArrayVec::from_iter([
        mount(ROOT_MOUNT, 1, root, "/", ORDINARY),
        mount(22, ROOT_MOUNT, &proc::TREE.file_system, "/proc", CONFINED),
        mount(23, ROOT_MOUNT, &sys::TREE.file_system, "/sys", CONFINED),
        mount(
            24,
            23,
            &sys::CONTROL_GROUPS.file_system,
            "/sys/fs/cgroup",
            CONFINED,
        ),
    ]);
    // Over the host's files /dev is one of its own.
    if root.device != ram::ROOT.device {
        all.push(mount(
            25,
            ROOT_MOUNT,
            &ram::ROOT,
            "/dev",
            "rw,nosuid,relatime",
        ));
    }
    let dev = all.iter().find(|mount| mount.at == "/dev");
    let parent = dev.map_or(ROOT_MOUNT, |mount| mount.id);
    all.push(mount(
        26,
        parent,
        terminal::mounted(),
        "/dev/pts",
        "rw,nosuid,noexec,relatime",
    ));
    all
}

/// The id of the mount that a file is on.
pub fn id_of(dentry: Option<&Dentry>) -> u32 {
    let Some(dentry) = dentry else {
        return KERNEL_MOUNT;
    };
    let device = dentry.inode.file_system.device;
    mounted()
        .iter()
        .find(|mount| mount.file_system.device == device)
        .map_or(KERNEL_MOUNT, |mount| mount.id)
}

pub(super) fn mountinfo(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    for mount in mounted() {
        let device = mount.file_system.device;
        writeln!(
            out,
            "{} {} {}:{} / {} {} - {} {} {}",
            mount.id,
            mount.parent,
            device >> 8 & 0xfff,
            device & 0xff,
            mount.at,
            mount.options,
            mount.file_system.kind,
            mount.source,
            mount.super_options
        )?;
    }
    Ok(())
}

pub(super) fn mounts(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    for mount in mounted() {
        writeln!(
            out,
            "{} {} {} {} 0 0",
            mount.source, mount.at, mount.file_system.kind, mount.options
        )?;
    }
    Ok(())
}

pub(super) fn mountstats(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    for mount in mounted() {
        writeln!(
            out,
            "device {} mounted on {} with fstype {}",
            mount.source, mount.at, mount.file_system.kind
        )?;
    }
    Ok(())
}
