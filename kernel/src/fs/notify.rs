//! Who hears of what happens to files: the link between the file systems and inotify(7).
//!
//! Every inode has [`Watchers`]. Two sticky bits make silence cheap: HEARD, that somebody watches or watched the inode or a
//! directory with a name of it, is all that reading and writing look at, with one load; WATCHED, that the inode itself is
//! or was watched, tells a directory to mark what it takes in. Marking happens after an entry is in its directory, and a
//! new watch first shows and then marks the entries, so that none is missed.
//! The list of watchers is a leaf lock; events are queued after it was given back.
use super::inode::{Content, Inode};
use super::inotify::Watch;
use super::{Dentry, OpenFile};
use crate::sync::SpinLock;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use linux_raw_sys::general as abi;

const HEARD: u8 = 1;
const WATCHED: u8 = 2;

/// What can only happen through an open file: not told of names that are gone, if IN_EXCL_UNLINK asks for that.
const BY_OPEN_FILE: u32 = abi::IN_OPEN | abi::IN_ACCESS | abi::IN_MODIFY | abi::IN_CLOSE;

/// The watches on one inode.
pub struct Watchers {
    state: AtomicU8,
    list: SpinLock<Vec<Arc<Watch>>>,
}

impl Watchers {
    /// None.
    pub const fn new() -> Self {
        Self {
            state: AtomicU8::new(0),
            list: SpinLock::new(Vec::new()),
        }
    }

    /// Whether anybody may want to hear of the inode.
    #[inline]
    pub fn heard(&self) -> bool {
        self.state.load(Ordering::Relaxed) != 0
    }

    /// Adds a watch.
    pub fn add(&self, watch: Arc<Watch>) {
        self.list.lock().push(watch);
        self.state.fetch_or(HEARD | WATCHED, Ordering::SeqCst);
    }

    /// Takes a watch away.
    pub fn remove(&self, watch: &Watch) {
        let gone = {
            let mut list = self.list.lock();
            let at = list.iter().position(|other| core::ptr::eq(&**other, watch));
            at.map(|at| list.remove(at))
        };
        drop(gone);
    }

    /// The watches there are now.
    pub fn snapshot(&self) -> Vec<Arc<Watch>> {
        if self.state.load(Ordering::Relaxed) & WATCHED == 0 {
            return Vec::new();
        }
        self.list.lock().clone()
    }
}

/// A number that joins the two halves of a rename.
pub fn cookie() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// Entries of a directory that is watched from now on are heard.
pub fn mark_entries(directory: &Inode) {
    if let Content::Directory(entries) = &directory.content {
        entries.for_each(|entry| hear(&entry.inode));
    }
}

/// An entry came into a directory.
#[inline]
pub fn entered(directory: &Inode, inode: &Inode) {
    if directory.watchers.state.load(Ordering::SeqCst) & WATCHED != 0 {
        hear(inode);
    }
}

fn hear(inode: &Inode) {
    inode.watchers.state.fetch_or(HEARD, Ordering::SeqCst);
}

fn with_kind(inode: &Inode, event: u32) -> u32 {
    if inode.is_directory() {
        event | abi::IN_ISDIR
    } else {
        event
    }
}

/// Something happened to the file of this name: its watchers hear of it, and those of its directory.
#[inline]
pub fn file(dentry: &Dentry, event: u32) {
    if dentry.inode.watchers.heard() {
        tell(dentry, event);
    }
}

#[cold]
fn tell(dentry: &Dentry, event: u32) {
    let event = with_kind(&dentry.inode, event);
    if !dentry.is_root() {
        let gone = event & BY_OPEN_FILE != 0 && dentry.is_deleted();
        for watch in dentry.parent().inode.watchers.snapshot() {
            if !(gone && watch.excludes_unlinked()) {
                watch.event(event, 0, &dentry.name());
            }
        }
    }
    for watch in dentry.inode.watchers.snapshot() {
        watch.event(event, 0, b"");
    }
}

/// Something happened to the inode, whatever its names.
#[inline]
pub fn inode(inode: &Inode, event: u32) {
    if inode.watchers.heard() {
        tell_inode(inode, event);
    }
}

#[cold]
fn tell_inode(inode: &Inode, event: u32) {
    // As on Linux, which never said of a directory that it is one here.
    let own = event & (abi::IN_DELETE_SELF | abi::IN_MOVE_SELF) != 0;
    let event = if own { event } else { with_kind(inode, event) };
    for watch in inode.watchers.snapshot() {
        watch.event(event, 0, b"");
    }
}

/// A name was made, removed or moved in a directory.
#[inline]
pub fn name(directory: &Inode, name: &[u8], entry: &Inode, event: u32, cookie: u32) {
    if directory.watchers.heard() {
        for watch in directory.watchers.snapshot() {
            watch.event(with_kind(entry, event), cookie, name);
        }
    }
}

/// The last name and the last use of the inode are gone, and with them the watches on it.
#[inline]
pub fn ended(inode: &Inode) {
    if inode.watchers.heard() {
        for watch in inode.watchers.snapshot() {
            watch.event(abi::IN_DELETE_SELF, 0, b"");
            watch.end(true);
        }
    }
}

/// The open file of this name was closed for the last time.
#[inline]
pub fn closed(dentry: &Dentry, open: &OpenFile) {
    if dentry.inode.watchers.heard() && open.flags() & abi::O_PATH == 0 {
        let event = if open.writable() {
            abi::IN_CLOSE_WRITE
        } else {
            abi::IN_CLOSE_NOWRITE
        };
        tell(dentry, event);
    }
}
