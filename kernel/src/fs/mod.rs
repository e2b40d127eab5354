//! Files: what a descriptor stands for, and the trees that paths walk through.
//!
//! A descriptor number finds an [`OpenFile`] in the table of `fd.rs` without a lock; the open file holds flags and
//! position and hands every operation to its [`FileOps`]: a RAM file, a pipe, a device, an epoll instance. Readiness is
//! told through `poll.rs`'s [`PollQueue`].
//!
//! - Names: dentry.rs (a name), inode.rs (what it stands for), walk.rs (from path to name), open.rs, access.rs (who may),
//!   tree.rs (root, working directory, mounts), xattr.rs; populate.rs makes the tree at boot.
//! - File systems: ram/ above what lower.rs describes, which host/ brings from the host; cache.rs can give that up. dev/;
//!   proc/ and sys/ are generated, by virtual_tree.rs, virtual_file.rs and text.rs. keep.rs sends to the host what stays.
//! - Objects without a name (anon.rs): pipe/, epoll/, eventfd.rs, signalfd.rs, timerfd.rs, pidfd.rs, memfd.rs, inotify.rs,
//!   which notify.rs tells. poller.rs: poll(2) and select(2).
//! - Standard streams: stdio.rs, terminal.rs, host_stream.rs; pty/: pseudo-terminals. lock.rs with ranges.rs: advisory locks.
//!
//! Order of locks: docs/architecture.md.
pub mod access;
pub mod anon;
mod cache;
mod dentry;
pub mod dev;
pub mod epoll;
pub mod eventfd;
pub mod fd;
pub mod file;
pub mod host;
mod host_stream;
pub mod inode;
pub mod inotify;
pub mod keep;
pub mod lock;
pub mod lower;
pub mod memfd;
pub mod notify;
pub mod open;
pub mod pidfd;
pub mod pipe;
pub mod poll;
pub mod poller;
mod populate;
pub mod proc;
mod pty;
pub mod ram;
mod ranges;
pub mod signalfd;
pub mod stdio;
mod sys;
pub mod terminal;
mod text;
pub mod timerfd;
pub mod tree;
mod virtual_file;
mod virtual_tree;
pub mod walk;
pub mod xattr;

pub use dentry::Dentry;
pub use file::{FileOps, OpenFile, Stat};
pub use poll::{PollEvents, PollQueue};

use crate::drivers::virtio::Device;
use crate::memory::file_map::ReadOnly;
use crate::memory::page::BundleFrames;
use crate::memory::space::Backing;
use alloc::sync::Arc;
use alloc::vec::Vec;
use inode::Content;
use ringo_abi::Errno;
use ringo_bundle::{Contents, Flags};

/// Why there is no tree.
#[derive(Debug)]
pub enum InitError {
    /// The host's files cannot be had.
    Host(Errno),
    /// Something of the tree could not be made.
    Tree(populate::Failure),
    /// ENOMEM.
    Streams(Errno),
}

/// Makes what the program finds at its start: the tree of the bundle, whose data are `frames`, and descriptors 0 to 2.
/// `devices` are those that hold files.
///
/// # Errors
/// What cannot be made.
pub fn init(
    contents: &Contents<'static>,
    frames: BundleFrames,
    devices: Vec<Device>,
) -> Result<(), InitError> {
    let config = contents.config();
    let root = if config.flags.contains(Flags::HOST_ROOT) {
        Some(host::mount(devices, config.uid).map_err(InitError::Host)?)
    } else {
        None
    };
    populate::tree(contents, frames, root).map_err(InitError::Tree)?;
    keep::init(config);
    stdio::init(config).map_err(InitError::Streams)?;
    terminal::publish().map_err(InitError::Streams)
}

/// What mmap(2) of a descriptor shows.
///
/// # Errors
/// EBADF; EACCES when the descriptor's mode does not allow it, EPERM when a seal does not; ENODEV when the file cannot be
/// mapped.
pub fn map_source(fd: i32, protection: u32, shared: bool, page: u64) -> Result<Backing, Errno> {
    use crate::memory::space::PROT_WRITE;
    let file = fd::usable(fd)?;
    let writes = protection & PROT_WRITE != 0;
    if !file.readable() || shared && writes && !file.writable() {
        return Err(Errno::EACCES);
    }
    if !shared && dev::is_zero(&file) {
        return Ok(Backing::Anonymous);
    }
    let mut source = file.ops.map_source()?;
    if shared {
        let dentry = file.ops.dentry();
        let sealed = dentry
            .as_ref()
            .is_some_and(|dentry| !dentry.allows_writing());
        if sealed && writes {
            return Err(Errno::EPERM);
        }
        if sealed || !file.writable() {
            source = Arc::new(ReadOnly(source));
        } else if let Some(dentry) = dentry
            && let Content::File(data) = &dentry.inode.content
        {
            // Now, or after mprotect(2).
            data.set_written_unseen();
        }
    }
    Ok(Backing::File { source, page })
}
