//! Files and directories in RAM (tmpfs(5)).
//!
//! - data.rs: the bytes of a regular file; pages.rs: page by page. Its frames are shared with mappings and, for files of
//!   the bundle, used where the bundle lies.
//! - directory.rs: the entries of a directory; names.rs: the operations on names.
//! - file.rs: open files and directories. seals.rs: what a memory file no longer allows.
//!
//! Both may lie over a lower directory or file (fs/lower.rs), of which they then keep what was asked for: fetch.rs for
//! pages, lower_names.rs for names.
mod data;
mod directory;
mod fetch;
mod file;
mod lower_names;
mod names;
mod pages;
pub mod seals;

pub use data::FileData;
pub use directory::Directory;
pub use fetch::prepare_to_read;
pub use lower_names::forget;
pub use names::{RenameHow, create, exchange_or_rename, link, mount, remove_directory, unlink};
pub use pages::clean_pages;

use super::inode::FileSystem;

/// TMPFS_MAGIC.
pub const MAGIC: u64 = 0x0102_1994;
/// The root.
pub static ROOT: FileSystem = FileSystem::new(0x19, MAGIC, "tmpfs");
