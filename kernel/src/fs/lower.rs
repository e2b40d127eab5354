//! What may lie below a directory or a file in RAM: a file system that is read and never changes.
//!
//! The tree in RAM is the upper layer and decides; what it does not know is asked of the lower one and kept: names become
//! dentries, pages become the file's. So nothing is ever copied up as a whole: a change of attributes, names or bytes is
//! made to what is in RAM, and what was not changed may be forgotten and asked for again (cache.rs). A directory that is
//! renamed takes what lies below it along.
//! Methods may block; callers hold no spin lock. The host's files (host/) are the one such file system.
use super::inode::Inode;
use crate::memory::page::Page;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use ringo_abi::Errno;

/// An entry of a directory below, not looked up so far.
pub struct Name {
    /// Its name.
    pub name: Box<[u8]>,
    /// Its inode's number.
    pub inode: u64,
    /// Its type as in S_IFMT; 0 if it has to be looked up to be known.
    pub kind: u32,
}

/// What a name is: None where there is nothing.
pub type Answer = Result<Option<Arc<Inode>>, Errno>;

/// A directory below.
pub trait LowerDirectory: Send + Sync {
    /// What each step of a path leads to, the first step being a name in this directory: as far as it can be told at once.
    /// The first step is always told: None where there is nothing.
    ///
    /// # Errors
    /// EIO, EACCES: of the first step.
    fn descend(&self, path: &[&[u8]]) -> Result<Vec<Option<Arc<Inode>>>, Errno>;

    /// What each name in this directory is; an error of one is that one's.
    ///
    /// # Errors
    /// EIO.
    fn lookup(&self, names: &[&[u8]]) -> Result<Vec<Answer>, Errno>;

    /// All names in this directory.
    ///
    /// # Errors
    /// EIO, EACCES, ENOMEM.
    fn list(&self) -> Result<Vec<Name>, Errno>;

    /// Opens files of this file system and reads those that are small: what open and read would, for all at once.
    ///
    /// # Errors
    /// EIO, EACCES, ENOMEM: each file's own.
    fn read_files(&self, files: &[&dyn LowerFile]) -> Vec<Result<Vec<Page>, Errno>>;

    /// Bytes and blocks, as stat(2) tells them while nothing was changed.
    fn size(&self) -> (u64, u64);
}

/// The bytes of a regular file below.
pub trait LowerFile: Send + Sync + Any {
    /// Makes sure it can be read.
    ///
    /// # Errors
    /// EACCES, EIO.
    fn open(&self) -> Result<(), Errno>;

    /// Whether it has been opened.
    fn is_open(&self) -> bool;

    /// How many pages to read when page `index` is missing: more while a file is read from front to back.
    fn window(&self, index: u64) -> usize;

    /// Up to `count` pages from page `index` on, at least one; behind the end zeros.
    ///
    /// # Errors
    /// EIO, also where the file is shorter than it was; EACCES, ENOMEM.
    fn read(&self, index: u64, count: usize) -> Result<Vec<Page>, Errno>;

    /// Blocks of 512 bytes in use.
    fn blocks(&self) -> u64;
}
