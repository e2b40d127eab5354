//! From a path to a file (path_resolution(7), openat2(2)).
//!
//! One loop over the components; a symbolic link's target is put in front of what is left. The last component may be
//! missing: who creates files needs to know where. Cost: a look-up in one directory a component.
use super::access;
use super::inode::Link;
use super::{Dentry, fd, tree};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// The longest name.
pub const NAME_MAX: usize = 255;
/// The longest path, without its zero.
pub const PATH_MAX: usize = 4095;
/// Links followed in one walk.
const LINKS_MAX: u32 = 40;

/// How to walk.
#[derive(Clone, Copy, Default)]
pub struct How {
    /// Follow a symbolic link in the last component.
    pub follow: bool,
    /// openat2's RESOLVE_*.
    pub resolve: u32,
    /// The last component is a name to be made or removed: a link there is not followed, even before a slash.
    pub name: bool,
}

impl How {
    /// Following the last link, or not.
    pub const fn follow(follow: bool) -> Self {
        Self {
            follow,
            resolve: 0,
            name: false,
        }
    }

    /// To a name that will be made, moved or removed.
    pub const fn name() -> Self {
        Self {
            follow: false,
            resolve: 0,
            name: true,
        }
    }

    fn has(self, flags: u32) -> bool {
        self.resolve & flags != 0
    }
}

/// The last component.
#[derive(PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name(Vec<u8>),
    /// "." or a link to a file without name.
    Dot,
    /// "..".
    DotDot,
    /// Nothing but slashes.
    Root,
}

/// Where a path leads.
pub struct Found {
    /// The directory the last component is looked up in.
    pub parent: Arc<Dentry>,
    /// The last component.
    pub last: Last,
    /// What is there.
    pub dentry: Option<Arc<Dentry>>,
    /// The path ends with a slash.
    pub slash: bool,
}

impl Found {
    /// What is there.
    ///
    /// # Errors
    /// ENOENT; ENOTDIR if it is followed by a slash and no directory.
    pub fn existing(self) -> Result<Arc<Dentry>, Errno> {
        let dentry = self.dentry.ok_or(Errno::ENOENT)?;
        if self.slash && !dentry.inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(dentry)
    }
}

/// The directory that a *at call starts from: what its descriptor is, or the working directory.
///
/// # Errors
/// EBADF; ENOTDIR.
pub fn start(dirfd: i32) -> Result<Arc<Dentry>, Errno> {
    if dirfd == abi::AT_FDCWD {
        return Ok(tree::working());
    }
    fd::get(dirfd)?.ops.dentry().ok_or(Errno::ENOTDIR)
}

/// As [`start`], unless the path is absolute and needs none.
///
/// # Errors
/// EBADF; ENOTDIR; ENOENT for an empty path.
pub fn start_for(dirfd: i32, path: &[u8]) -> Result<Arc<Dentry>, Errno> {
    match path.first() {
        Some(b'/') => Ok(tree::root()),
        Some(_) => start(dirfd),
        // Whatever the descriptor is.
        None => Err(Errno::ENOENT),
    }
}

/// Finds what `path`, which starts at `dirfd`, leads to.
///
/// # Errors
/// As path_resolution(7).
pub fn lookup(dirfd: i32, path: Vec<u8>, follow: bool) -> Result<Arc<Dentry>, Errno> {
    let start = start_for(dirfd, &path)?;
    walk(start, path, How::follow(follow))?.existing()
}

/// Walks.
///
/// # Errors
/// As path_resolution(7); a missing last component is none.
pub fn walk(start: Arc<Dentry>, path: Vec<u8>, how: How) -> Result<Found, Errno> {
    let confined = how.has(abi::RESOLVE_BENEATH | abi::RESOLVE_IN_ROOT);
    let top = if confined {
        start.clone()
    } else {
        tree::root()
    };
    let mut current = start;
    let mut rest = path;
    let mut at = 0;
    let mut links = 0;
    if rest.is_empty() {
        return Err(Errno::ENOENT);
    }
    if rest[0] == b'/' {
        current = from_root(how, &top)?;
    }
    loop {
        at = skip_slashes(&rest, at);
        if at == rest.len() {
            return Ok(Found {
                parent: current.clone(),
                last: Last::Root,
                dentry: Some(current),
                slash: true,
            });
        }
        let end = rest[at..]
            .iter()
            .position(|&byte| byte == b'/')
            .map_or(rest.len(), |length| at + length);
        let name = &rest[at..end];
        let after = skip_slashes(&rest, end);
        let (is_last, slash) = (after == rest.len(), after > end);
        if !current.inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        access::check(&current.inode, access::EXECUTE)?;
        let special = match name {
            b"." => Some((current.clone(), Last::Dot)),
            b".." => Some((above(&current, &top, how)?, Last::DotDot)),
            _ => None,
        };
        if let Some((to, last)) = special {
            if is_last {
                return Ok(Found {
                    parent: to.clone(),
                    last,
                    dentry: Some(to),
                    slash,
                });
            }
            (current, at) = (to, after);
            continue;
        }
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let found = current.lookup_on_the_way(name, &rest[after..])?;
        let Some(next) = found else {
            if !is_last {
                return Err(Errno::ENOENT);
            }
            return Ok(Found {
                last: Last::Name(name.to_vec()),
                parent: current,
                dentry: None,
                slash,
            });
        };
        if next.inode.kind() == abi::S_IFLNK && (!is_last || how.follow || slash && !how.name) {
            links += 1;
            if links > LINKS_MAX || how.has(abi::RESOLVE_NO_SYMLINKS) {
                return Err(Errno::ELOOP);
            }
            match next.link()? {
                Link::Path(target) => {
                    rest = join(target, &rest[end..])?;
                    at = 0;
                    if rest[0] == b'/' {
                        current = from_root(how, &top)?;
                    }
                }
                Link::File(file) => {
                    if how.has(abi::RESOLVE_NO_MAGICLINKS) {
                        return Err(Errno::ELOOP);
                    }
                    if confined {
                        return Err(Errno::EXDEV);
                    }
                    if is_last {
                        return Ok(Found {
                            parent: current,
                            last: Last::Dot,
                            dentry: Some(file),
                            slash,
                        });
                    }
                    (current, at) = (file, after);
                }
            }
            continue;
        }
        if how.has(abi::RESOLVE_NO_XDEV)
            && !core::ptr::eq(next.inode.file_system, current.inode.file_system)
        {
            return Err(Errno::EXDEV);
        }
        if is_last {
            return Ok(Found {
                last: Last::Name(name.to_vec()),
                parent: current,
                dentry: Some(next),
                slash,
            });
        }
        (current, at) = (next, after);
    }
}

fn skip_slashes(path: &[u8], from: usize) -> usize {
    path[from..]
        .iter()
        .position(|&byte| byte != b'/')
        .map_or(path.len(), |length| from + length)
}

/// Where an absolute path starts.
fn from_root(how: How, top: &Arc<Dentry>) -> Result<Arc<Dentry>, Errno> {
    if how.has(abi::RESOLVE_BENEATH) {
        Err(Errno::EXDEV)
    } else {
        Ok(top.clone())
    }
}

/// "..".
fn above(current: &Arc<Dentry>, top: &Arc<Dentry>, how: How) -> Result<Arc<Dentry>, Errno> {
    if !Arc::ptr_eq(current, top) {
        return Ok(current.parent());
    }
    if how.has(abi::RESOLVE_BENEATH) {
        Err(Errno::EXDEV)
    } else {
        Ok(current.clone())
    }
}

/// A link's target and what came after the link, which is empty or begins with a slash.
fn join(mut target: Vec<u8>, rest: &[u8]) -> Result<Vec<u8>, Errno> {
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    if target.len() + rest.len() > 2 * PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    target.extend_from_slice(rest);
    Ok(target)
}
