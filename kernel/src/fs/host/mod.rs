//! The host's files, for `ringo exec`: read by 9P2000.L, written to in RAM.
//!
//! The whole tree is one overlay: what lies below (fs/lower.rs) is the host's, whatever changes stays in RAM and is gone
//! with the VM. The host is taken as unchanging while the program runs: what was learnt of it is not asked again, and a
//! file that is changed there meanwhile may show its old state, its new one, or EIO where it became shorter.
//! - client.rs: the conversation, fids, batches of requests. directory.rs, file.rs: what lies below.
//!
//! Owners, permissions and times are as on the host, inode numbers as the host's 9p server makes them (unlike in all of
//! its file systems). Two names of one file on the host are two files once one of them was changed, as with overlayfs.
//! Round trips are what costs (50 µs on the paravirtual KVM), so requests that do not depend on one another go together:
//! a path of any length takes two, opening a file one, each window of its data one.
mod client;
mod directory;
mod file;

use super::inode::{FileSystem, Inode};
use super::{Dentry, cache};
use crate::drivers::virtio::ninep::{Channel, Ninep};
use crate::drivers::virtio::{Device, kind};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use client::Client;
use ringo_abi::Errno;

/// OVERLAYFS_SUPER_MAGIC.
pub const MAGIC: u64 = 0x794c_7630;
/// The overlay. What is made in RAM gets numbers that no host's file has.
static OVERLAY: FileSystem = FileSystem::numbered_from(1 << 62, 0x1d, MAGIC, "overlay");

/// Starts the conversation with the host and gives the root of its files, for the program's user.
///
/// # Errors
/// ENODEV without such a device; EIO, EPROTO when the host does not speak the dialect.
pub fn mount(devices: Vec<Device>, uid: u32) -> Result<Arc<Dentry>, Errno> {
    let device = devices
        .into_iter()
        .find(|device| device.id == kind::NINEP)
        .ok_or(Errno::ENODEV)?;
    let channel: &'static dyn Channel = Ninep::start(device)?;
    let client: &'static Client = Box::leak(Box::new(Client::new(channel)));
    cache::init();
    let root: Arc<Inode> = directory::root(client, uid)?;
    Ok(Dentry::new(None, b"", root))
}
