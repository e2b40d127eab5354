//! Files and directories in RAM (tmpfs(5)).
//!
//! - data.rs: the bytes of a regular file, page by page; its frames are shared with mappings and, for files of the
//!   bundle, used where the bundle lies.
//! - directory.rs: the entries of a directory, and the operations on two of them.
//! - file.rs: open files and directories. seals.rs: what a memory file no longer allows.
mod data;
mod directory;
mod file;
pub mod seals;

pub use data::FileData;
pub use directory::{
    Directory, RenameHow, create, exchange_or_rename, link, mount, remove_directory, unlink,
};

use super::inode::FileSystem;

/// TMPFS_MAGIC.
pub const MAGIC: u64 = 0x0102_1994;
/// The root.
pub static ROOT: FileSystem = FileSystem::new(0x19, MAGIC, "tmpfs");
