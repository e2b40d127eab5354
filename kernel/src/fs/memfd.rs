//! memfd_create(2): a file in RAM that no directory knows, and that may be sealed.
use super::inode::{Content, FileSystem, Inode, Owner};
use super::ram::{FileData, MAGIC};
use super::{Dentry, OpenFile};
use crate::memory::space::MapSource;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// The longest name; more is EINVAL.
pub const NAME_MAX: usize = 249;

/// Linux keeps these on a mount of tmpfs of its own.
static MEMORY: FileSystem = FileSystem::new(1, MAGIC, "tmpfs");

/// Flags of memfd_create(2), which are looked at before the name.
///
/// # Errors
/// EINVAL for flags that do not go together; ENOSYS for huge pages, of which there is no pool.
pub fn check_flags(flags: u32) -> Result<(), Errno> {
    const KNOWN: u32 =
        abi::MFD_CLOEXEC | abi::MFD_ALLOW_SEALING | abi::MFD_NOEXEC_SEAL | abi::MFD_EXEC;
    const EITHER: u32 = abi::MFD_NOEXEC_SEAL | abi::MFD_EXEC;
    if flags & abi::MFD_HUGETLB != 0 {
        return Err(Errno::ENOSYS);
    }
    if flags & !KNOWN != 0 || flags & EITHER == EITHER {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// A new, empty file, open for reading and writing. `name` is for /proc/self/fd only.
///
/// # Errors
/// EINVAL for flags that do not go together; ENOSYS for huge pages, of which there is no pool.
pub fn create(name: &[u8], flags: u32) -> Result<OpenFile, Errno> {
    check_flags(flags)?;
    let data = FileData::new();
    let permissions = if flags & abi::MFD_NOEXEC_SEAL != 0 {
        data.seals().set(abi::F_SEAL_EXEC);
        0o666
    } else {
        0o777
    };
    if flags & abi::MFD_ALLOW_SEALING != 0 && flags & abi::MFD_NOEXEC_SEAL == 0 {
        data.seals().set(0);
    }
    // As on Linux, the umask does not matter: there is no directory that others could find it in.
    let (uid, gid) = crate::task::credentials().file_ids();
    let owner = Owner {
        mode: abi::S_IFREG | permissions,
        uid,
        gid,
    };
    let mut shown: Vec<u8> = b"/memfd:".to_vec();
    shown.extend_from_slice(name);
    let file = unnamed(&shown, owner, data);
    Ok(OpenFile::new(file, abi::O_RDWR | abi::O_LARGEFILE))
}

/// Whether a file is memory of this kind.
pub fn holds(inode: &Inode) -> bool {
    inode.file_system.device == MEMORY.device
}

fn unnamed(shown: &[u8], owner: Owner, data: FileData) -> Arc<Dentry> {
    let inode = Inode::new(&MEMORY, owner, Content::File(data));
    let dentry = Dentry::new(None, shown, inode);
    dentry.set_deleted();
    dentry
}

/// What a shared mapping of no file shows: memory that keeps its bytes whatever madvise(2) takes out of page tables. As
/// on Linux it is a file, without end here.
///
/// # Errors
/// ENOMEM.
pub fn zeros() -> Result<Arc<dyn MapSource>, Errno> {
    let data = FileData::new();
    data.set_mapped();
    data.truncate(i64::MAX as u64, 0)
        .map_err(|_| Errno::ENOMEM)?;
    Ok(unnamed(
        b"/dev/zero",
        Owner::root(abi::S_IFREG | 0o777),
        data,
    ))
}
