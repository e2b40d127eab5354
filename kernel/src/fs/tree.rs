//! The one tree: its root, the working directory, and what /proc and stat say of mounts.
use super::Dentry;
use super::inode::Inode;
use crate::sync::SpinLock;
use alloc::sync::Arc;
use ringo_abi::Errno;
use spin::Once;

static ROOT: Once<Arc<Dentry>> = Once::new();
static WORKING: SpinLock<Option<Arc<Dentry>>> = SpinLock::new(None);

/// The root directory.
pub fn root() -> Arc<Dentry> {
    match ROOT.get() {
        Some(root) => root.clone(),
        None => unreachable!("paths are looked up after the tree was made"),
    }
}

/// Sets the root, once.
pub fn set_root(root: Arc<Dentry>) {
    ROOT.call_once(|| root);
}

/// The working directory.
pub fn working() -> Arc<Dentry> {
    let working = WORKING.lock().clone();
    working.unwrap_or_else(root)
}

/// chdir(2), with permission to search checked by the caller.
///
/// # Errors
/// ENOTDIR.
pub fn set_working(directory: Arc<Dentry>) -> Result<(), Errno> {
    if !directory.inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let old = WORKING.lock().replace(directory);
    drop(old);
    Ok(())
}

static PROGRAM: Once<Arc<Dentry>> = Once::new();

/// Names the running program's file: its pages are executed where they are, so nobody may write to it.
pub fn set_program(file: Arc<Dentry>) {
    PROGRAM.call_once(|| file);
}

/// The running program's file.
pub fn program() -> Option<&'static Arc<Dentry>> {
    PROGRAM.get()
}

/// Whether this is the running program's file.
pub fn is_program(inode: &Arc<Inode>) -> bool {
    program().is_some_and(|program| Arc::ptr_eq(&program.inode, inode))
}
