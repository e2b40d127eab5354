//! Names of Unix sockets: in the file system, and abstract ones outside of it.
//!
//! What a name leads to is a [`Node`], held weakly: a socket that is gone leaves a name that refuses.
use super::Node;
use crate::fs::inode::{Content, Inode};
use crate::fs::walk::{self, How, Last};
use crate::fs::{access, open, ram};
use crate::sync::SpinLock;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general::{AT_FDCWD, S_IFSOCK};
use ringo_abi::Errno;
use ringo_net::UnixName;

/// By type and name: each type has names of its own.
type Abstract = BTreeMap<(u32, Arc<[u8]>), Weak<Node>>;

static ABSTRACT: SpinLock<Abstract> = SpinLock::new(BTreeMap::new());

/// Gives a node its name; an unnamed one gets an abstract name that is free.
///
/// # Errors
/// EADDRINUSE; for paths as mknod(2).
pub fn bind(node: &Arc<Node>, name: &UnixName) -> Result<UnixName, Errno> {
    match name {
        UnixName::Unnamed => bind_any(node),
        UnixName::Abstract(bytes) => {
            let mut names = ABSTRACT.lock();
            let key = (node.kind, bytes.clone());
            if names
                .get(&key)
                .is_some_and(|other| other.strong_count() > 0)
            {
                return Err(Errno::EADDRINUSE);
            }
            names.insert(key, Arc::downgrade(node));
            Ok(name.clone())
        }
        UnixName::Path(path) => {
            bind_path(node, path)?;
            Ok(name.clone())
        }
    }
}

/// Five hexadecimal digits, as Linux chooses them.
fn bind_any(node: &Arc<Node>) -> Result<UnixName, Errno> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1 << 20 {
        let number = NEXT.fetch_add(1, Ordering::Relaxed) & 0xf_ffff;
        let name = UnixName::Abstract(alloc::format!("{number:05x}").into_bytes().into());
        if bind(node, &name).is_ok() {
            return Ok(name);
        }
    }
    Err(Errno::ENOSPC)
}

fn bind_path(node: &Arc<Node>, path: &[u8]) -> Result<(), Errno> {
    let path = path.to_vec();
    let start = walk::start_for(AT_FDCWD, &path)?;
    let found = walk::walk(start, path, How::follow(false))?;
    if found.dentry.is_some() {
        return Err(Errno::EADDRINUSE);
    }
    let Last::Name(name) = &found.last else {
        return Err(Errno::EADDRINUSE);
    };
    access::check_add(&found.parent)?;
    let any: Arc<dyn Any + Send + Sync> = node.clone();
    let owner = open::owner_in(&found.parent, S_IFSOCK | 0o777);
    let content = Content::Socket(SpinLock::new(Some(Arc::downgrade(&any))));
    let inode = Inode::new(found.parent.inode.file_system, owner, content);
    let made = ram::create(&found.parent, name, inode);
    made.map(drop).map_err(|errno| match errno {
        Errno::EEXIST => Errno::EADDRINUSE,
        other => other,
    })
}

/// The node of a name, for a socket of this type.
///
/// # Errors
/// ECONNREFUSED when there is none; for paths as stat(2), and EACCES, and EPROTOTYPE when it is of another type.
pub fn find(kind: u32, name: &UnixName) -> Result<Arc<Node>, Errno> {
    let node = match name {
        UnixName::Unnamed => return Err(Errno::EINVAL),
        UnixName::Abstract(bytes) => {
            let names = ABSTRACT.lock();
            names.get(&(kind, bytes.clone())).and_then(Weak::upgrade)
        }
        UnixName::Path(path) => {
            let dentry = walk::lookup(AT_FDCWD, path.to_vec(), true)?;
            access::check(&dentry.inode, access::WRITE)?;
            let Content::Socket(node) = &dentry.inode.content else {
                return Err(Errno::ECONNREFUSED);
            };
            let any = node.lock().as_ref().and_then(Weak::upgrade);
            any.and_then(|any| any.downcast().ok())
        }
    };
    let node = node.filter(|node| !node.is_dead());
    let node = node.ok_or(Errno::ECONNREFUSED)?;
    if node.kind == kind {
        Ok(node)
    } else {
        Err(Errno::EPROTOTYPE)
    }
}

/// A socket of this type with this name is closed.
pub fn release(kind: u32, name: &UnixName) {
    if let UnixName::Abstract(bytes) = name {
        ABSTRACT.lock().remove(&(kind, bytes.clone()));
    }
}
