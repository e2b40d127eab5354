//! open(2): from a path and flags to an open file.
use super::access::{self, EXECUTE, READ, WRITE};
use super::inode::{Content, Inode, Owner};
use super::ram::{self, FileData};
use super::virtual_file::VirtualFile;
use super::walk::{self, Found, How, Last};
use super::{Dentry, FileOps, OpenFile, cache, dev, notify, tree};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// __O_TMPFILE, without the O_DIRECTORY that O_TMPFILE has in it.
const TMPFILE: u32 = abi::O_TMPFILE & !abi::O_DIRECTORY;
/// Flags that only say how to open; the description does not keep them.
const ONCE: u32 = abi::O_CREAT | abi::O_EXCL | abi::O_NOCTTY | abi::O_TRUNC | abi::O_CLOEXEC;

/// Flags O_PATH allows beside itself.
pub const BESIDE_PATH: u32 = abi::O_PATH | abi::O_DIRECTORY | abi::O_NOFOLLOW | abi::O_CLOEXEC;

/// What is wrong with flags whatever they are for: told before the path is looked at.
///
/// # Errors
/// EINVAL.
pub fn check_flags(flags: u32) -> Result<(), Errno> {
    let directory = flags & abi::O_DIRECTORY != 0;
    let creates_directory = directory && flags & abi::O_CREAT != 0;
    let bad_unnamed =
        flags & TMPFILE != 0 && (!directory || flags & abi::O_ACCMODE == abi::O_RDONLY);
    if creates_directory || bad_unnamed {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// Opens what `path` leads to from `dirfd`; [`check_flags`] is the caller's.
///
/// # Errors
/// As open(2).
pub fn open(
    dirfd: i32,
    path: Vec<u8>,
    flags: u32,
    mode: u32,
    resolve: u32,
) -> Result<OpenFile, Errno> {
    let creates = flags & abi::O_CREAT != 0;
    let exclusive = creates && flags & abi::O_EXCL != 0;
    let start = match resolve & abi::RESOLVE_IN_ROOT {
        0 => walk::start_for(dirfd, &path)?,
        // The descriptor's directory is the root, of absolute paths as well.
        _ => walk::start(dirfd)?,
    };
    let how = How {
        follow: flags & abi::O_NOFOLLOW == 0 && !exclusive,
        resolve,
        name: false,
    };
    if flags & TMPFILE != 0 {
        return open_unnamed(walk::walk(start, path, how)?, flags, mode);
    }
    let found = walk::walk(start, path, how)?;
    let slash = found.slash;
    if creates && slash {
        return Err(Errno::EISDIR);
    }
    if creates {
        let mut made = create(&found, flags, mode);
        // Somebody was faster, and perhaps it is gone again.
        while matches!(made, Err(Errno::EEXIST))
            && !exclusive
            && found.dentry.is_none()
            && let Last::Name(name) = &found.last
        {
            if let Some(dentry) = found.parent.lookup(name)? {
                return open_existing(dentry, false, flags);
            }
            made = create(&found, flags, mode);
        }
        if let Some(dentry) = made? {
            // Just made: its permissions do not bind its maker.
            return Ok(description(dentry, flags));
        }
    }
    open_existing(found.dentry.ok_or(Errno::ENOENT)?, slash, flags)
}

/// O_CREAT: makes the file if it is missing.
fn create(found: &Found, flags: u32, mode: u32) -> Result<Option<Arc<Dentry>>, Errno> {
    if let Some(dentry) = &found.dentry {
        return if flags & abi::O_EXCL != 0 {
            Err(Errno::EEXIST)
        } else if dentry.inode.is_directory() {
            Err(Errno::EISDIR)
        } else {
            Ok(None)
        };
    }
    let Last::Name(name) = &found.last else {
        return Err(Errno::EISDIR);
    };
    if found.slash {
        return Err(Errno::EISDIR);
    }
    if let Content::Virtual(_) = found.parent.inode.content {
        return Err(Errno::EACCES);
    }
    access::check_add(&found.parent)?;
    let inode = new_file(&found.parent, mode);
    ram::create(&found.parent, name, inode).map(Some)
}

/// An inode for a regular file in this directory.
fn new_file(parent: &Dentry, mode: u32) -> Arc<Inode> {
    let owner = owner_in(parent, abi::S_IFREG | mode & 0o7777);
    Inode::new(
        parent.inode.file_system,
        owner,
        Content::File(FileData::new()),
    )
}

/// The owner of something new in this directory, which may hand its group on.
pub fn owner_in(parent: &Dentry, mode: u32) -> Owner {
    let mut owner = Owner::process(mode);
    if parent.inode.mode() & abi::S_ISGID != 0 {
        owner.gid = parent.inode.owner().1;
        if mode & abi::S_IFMT == abi::S_IFDIR {
            owner.mode |= abi::S_ISGID;
        }
    }
    owner
}

/// O_TMPFILE.
fn open_unnamed(found: Found, flags: u32, mode: u32) -> Result<OpenFile, Errno> {
    let directory = found.existing()?;
    if !directory.inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    access::check_add(&directory)?;
    if !matches!(directory.inode.content, Content::Directory(_)) {
        return Err(Errno::EOPNOTSUPP);
    }
    let inode = new_file(&directory, mode);
    let name = alloc::format!("#{}", inode.number);
    let dentry = Dentry::new(Some(&directory), name.as_bytes(), inode);
    dentry.set_deleted();
    Ok(description(dentry, flags & !abi::O_TMPFILE))
}

fn open_existing(dentry: Arc<Dentry>, slash: bool, flags: u32) -> Result<OpenFile, Errno> {
    let inode = &dentry.inode;
    if (slash || flags & abi::O_DIRECTORY != 0) && !inode.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if flags & abi::O_PATH != 0 {
        return Ok(OpenFile::new(dentry, flags & !abi::O_CLOEXEC));
    }
    let mut wanted = match flags & abi::O_ACCMODE {
        abi::O_RDONLY => READ,
        abi::O_WRONLY => WRITE,
        _ => READ | WRITE,
    };
    if flags & abi::O_TRUNC != 0 {
        wanted |= WRITE;
    }
    match inode.kind() {
        abi::S_IFLNK => return Err(Errno::ELOOP),
        abi::S_IFDIR if wanted & WRITE != 0 => return Err(Errno::EISDIR),
        abi::S_IFSOCK => return Err(Errno::ENXIO),
        _ => {}
    }
    access::check(inode, wanted)?;
    if wanted & WRITE != 0 && tree::is_program(inode) {
        return Err(Errno::ETXTBSY);
    }
    if flags & abi::O_NOATIME != 0 && !access::owns(inode) {
        return Err(Errno::EPERM);
    }
    if let Content::File(data) = &inode.content
        && data.lower().is_some()
    {
        cache::keep_file(&dentry);
    }
    let ops: Arc<dyn FileOps> = match &inode.content {
        Content::Device(number) => dev::open(*number, &dentry, flags)?,
        Content::Virtual(_) if inode.kind() == abi::S_IFREG => {
            Arc::new(VirtualFile::new(dentry.clone()))
        }
        Content::Descriptor(file) => file.ops.reopen(file, flags)?,
        Content::Fifo(_) => super::pipe::fifo::open(&dentry, flags)?,
        Content::File(data) if flags & abi::O_TRUNC == 0 && wanted & READ != 0 => {
            ram::prepare_to_read(&dentry, data)?;
            dentry.clone()
        }
        _ => dentry.clone(),
    };
    let file = OpenFile::new(ops, kept(flags));
    notify::file(&dentry, abi::IN_OPEN);
    if flags & abi::O_TRUNC != 0 && matches!(inode.content, Content::File(_)) {
        dentry.set_size(0)?;
    }
    Ok(file)
}

fn kept(flags: u32) -> u32 {
    flags & !ONCE | abi::O_LARGEFILE
}

fn description(dentry: Arc<Dentry>, flags: u32) -> OpenFile {
    notify::file(&dentry, abi::IN_OPEN);
    OpenFile::new(dentry, kept(flags))
}

/// access(2) and faccessat2(2) on what was found: by the real ids, or by those that count for everything else.
///
/// # Errors
/// EACCES.
pub fn check_access(dentry: &Dentry, mode: u32, real_ids: bool) -> Result<(), Errno> {
    let wanted = mode & (READ | WRITE | EXECUTE);
    match wanted {
        0 => Ok(()),
        _ if real_ids => access::check_real(&dentry.inode, wanted),
        _ => access::check(&dentry.inode, wanted),
    }
}
