//! Names: a [`Dentry`] is an inode at a place in the tree.
//!
//! A directory in RAM holds the dentries of its entries, for good but for those that only repeat what is below (cache.rs);
//! so a rename moves a dentry, and what has the file open knows its new path. Dentries hold their parents, never the other way
//! round but through a directory's map, which is empty before the directory goes: no cycles stay.
//! Costs: paths and dropping the last name of removed directories go up step by step, in loops.
//! Locks: `place` is a leaf.
use super::inode::{Content, Entry, Inode, Link};
use super::{cache, notify};
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use ringo_abi::Errno;

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Box<[u8]>,
}

/// See the module's head.
pub struct Dentry {
    /// What the name stands for.
    pub inode: Arc<Inode>,
    /// Something is mounted here: it cannot be renamed or removed.
    pub mounted: AtomicBool,
    place: SpinLock<Place>,
    deleted: AtomicBool,
    /// Where the cache has it, if it is of what is below.
    pub places: cache::Places,
    me: Weak<Self>,
}

impl Dentry {
    /// `inode` as `name` in `parent`; without parent it is a root.
    pub fn new(parent: Option<&Arc<Self>>, name: &[u8], inode: Arc<Inode>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            inode,
            mounted: AtomicBool::new(false),
            place: SpinLock::new(Place {
                parent: parent.cloned(),
                name: name.into(),
            }),
            deleted: AtomicBool::new(false),
            places: cache::Places::new(),
            me: me.clone(),
        })
    }

    /// A counted reference to itself.
    pub fn arc(&self) -> Arc<Self> {
        match self.me.upgrade() {
            Some(me) => me,
            // Somebody calls a method on it, so it lives.
            None => unreachable!("a dentry in use is counted"),
        }
    }

    /// The directory it is in; a root is its own.
    pub fn parent(&self) -> Arc<Self> {
        let parent = self.place.lock().parent.clone();
        parent.unwrap_or_else(|| self.arc())
    }

    /// Whether it has no parent.
    pub fn is_root(&self) -> bool {
        self.place.lock().parent.is_none()
    }

    /// Its name in its directory.
    pub fn name(&self) -> Vec<u8> {
        self.place.lock().name.to_vec()
    }

    /// Moves it.
    pub fn set_place(&self, parent: &Arc<Self>, name: &[u8]) {
        let old = core::mem::replace(
            &mut *self.place.lock(),
            Place {
                parent: Some(parent.clone()),
                name: name.into(),
            },
        );
        drop(old);
    }

    /// It has no name any more.
    pub fn set_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    /// Whether its name was removed.
    pub fn is_deleted(&self) -> bool {
        let gone = match &self.inode.content {
            Content::Virtual(content) => content.gone(),
            _ => false,
        };
        gone || self.deleted.load(Ordering::Acquire)
    }

    /// The path from the root, and whether every name on it still exists.
    pub fn path(&self) -> (Vec<u8>, bool) {
        let mut names: Vec<Box<[u8]>> = Vec::new();
        let mut exists = true;
        let mut at = self.arc();
        loop {
            exists &= !at.is_deleted();
            let (parent, name) = {
                let place = at.place.lock();
                (place.parent.clone(), place.name.clone())
            };
            let Some(parent) = parent else {
                // A file without a place, such as a descriptor's, has a name instead of a path.
                if names.is_empty() && !name.is_empty() {
                    return (name.into_vec(), exists);
                }
                break;
            };
            names.push(name);
            at = parent;
        }
        if names.is_empty() {
            return (b"/".to_vec(), exists);
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        (path, exists)
    }

    /// The path as /proc/self/fd shows it.
    pub fn shown_path(&self) -> Vec<u8> {
        let (mut path, exists) = self.path();
        if !exists {
            path.extend_from_slice(b" (deleted)");
        }
        path
    }

    /// Whether `other` is this or lies below it.
    pub fn contains(&self, other: &Arc<Self>) -> bool {
        let mut at = other.clone();
        loop {
            if core::ptr::eq(&*at, self) {
                return true;
            }
            let parent = at.place.lock().parent.clone();
            match parent {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// The entry with this name.
    ///
    /// # Errors
    /// ENOTDIR; EIO, EACCES of a lower directory.
    pub fn lookup(&self, name: &[u8]) -> Result<Option<Arc<Self>>, Errno> {
        self.lookup_on_the_way(name, b"")
    }

    /// As [`Dentry::lookup`], where `rest` of a path is looked up next.
    ///
    /// # Errors
    /// As there.
    pub fn lookup_on_the_way(&self, name: &[u8], rest: &[u8]) -> Result<Option<Arc<Self>>, Errno> {
        match &self.inode.content {
            Content::Directory(directory) => directory.lookup(self, name, rest),
            Content::Virtual(content) => content.lookup(&self.arc(), name),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Makes sure that all entries are known.
    ///
    /// # Errors
    /// EIO, EACCES, ENOMEM of a lower directory.
    pub fn list(&self) -> Result<(), Errno> {
        match &self.inode.content {
            Content::Directory(directory) => directory.list(),
            _ => Ok(()),
        }
    }

    /// The first entry at or after `cursor`, without "." and "..", of those that are known.
    pub fn entry(&self, cursor: u64) -> Option<Entry> {
        match &self.inode.content {
            Content::Directory(directory) => directory.entry(cursor),
            Content::Virtual(content) => content.entry(cursor),
            _ => None,
        }
    }

    /// The position after the last entry there is now; generated ones are not numbered in the order in which they come.
    pub fn entries_end(&self) -> u64 {
        match &self.inode.content {
            Content::Directory(directory) => directory.end(),
            _ => u64::MAX,
        }
    }

    /// Where the link leads.
    ///
    /// # Errors
    /// EINVAL if it is not one.
    pub fn link(&self) -> Result<Link, Errno> {
        self.inode.link()
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        if self.is_deleted() && self.inode.links.load(Ordering::Relaxed) == 0 {
            notify::ended(&self.inode);
        }
        // Directories that were removed live by what was in them alone, each by the one below it: they go in a loop,
        // since there may be more of them than a kernel stack has room for.
        let mut parent = self.place.get_mut().parent.take();
        while let Some(mut last) = parent.and_then(Arc::into_inner) {
            parent = last.place.get_mut().parent.take();
        }
    }
}
