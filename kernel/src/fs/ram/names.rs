//! The operations on names: create, link, unlink, rmdir, rename, mount.
//!
//! Each changes the entries of its directories (directory.rs) under their spin locks. What changes two directories or
//! looks into one that is to go (rename, rmdir) holds `TREE` as well, and only under it are two of the spin locks nested;
//! so their order does not matter. Where a name may be below (fs/lower.rs) that is asked for first, without a spin lock.
//! ESTALE says that a name stands for something else than the look-up found: who looked it up does so again.
use super::directory::{Entries, Known, directory};
use crate::fs::inode::Inode;
use crate::fs::{Dentry, notify};
use crate::memory::frames::check_unpromised;
use crate::sync::{SleepMutex, SpinGuard};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

static TREE: SleepMutex<()> = SleepMutex::new(());

/// The entries of a directory, locked.
fn entries(at: &Dentry) -> Result<SpinGuard<'_, Entries>, Errno> {
    Ok(directory(at)?.entries.lock())
}

/// Gives a new inode its name.
///
/// # Errors
/// EEXIST; ENOENT when the directory was removed; ENOSPC when memory is short.
pub fn create(parent: &Arc<Dentry>, name: &[u8], inode: Arc<Inode>) -> Result<Arc<Dentry>, Errno> {
    let dentry = add(parent, name, inode)?;
    notify::name(&parent.inode, name, &dentry.inode, abi::IN_CREATE, 0);
    Ok(dentry)
}

fn add(parent: &Arc<Dentry>, name: &[u8], inode: Arc<Inode>) -> Result<Arc<Dentry>, Errno> {
    check_unpromised().map_err(|_| Errno::ENOSPC)?;
    let is_directory = inode.is_directory();
    let dentry = Dentry::new(Some(parent), name, inode);
    let mut entries = loop {
        let entries = entries(parent)?;
        if entries.dead {
            return Err(Errno::ENOENT);
        }
        match entries.known(name) {
            Known::Here(_) => return Err(Errno::EEXIST),
            Known::No => break entries,
            Known::Ask => {}
        }
        drop(entries);
        if parent.lookup(name)?.is_some() {
            return Err(Errno::EEXIST);
        }
    };
    dentry
        .inode
        .links
        .fetch_add(if is_directory { 2 } else { 1 }, Ordering::Relaxed);
    let none = entries.insert(name, dentry.clone());
    debug_assert!(none.is_none(), "the name was free");
    drop(entries);
    if is_directory {
        parent.inode.links.fetch_add(1, Ordering::Relaxed);
    }
    notify::entered(&parent.inode, &dentry.inode);
    parent.inode.modified();
    Ok(dentry)
}

/// Puts the root of another file system in the place of `name`, whatever is there.
///
/// # Errors
/// ENOTDIR.
pub fn mount(parent: &Arc<Dentry>, name: &[u8], root: Arc<Inode>) -> Result<(), Errno> {
    let dentry = Dentry::new(Some(parent), name, root);
    dentry.mounted.store(true, Ordering::Relaxed);
    let replaced = {
        let mut entries = entries(parent)?;
        entries.insert(name, dentry)
    };
    let had_directory = replaced.is_some_and(|old| old.inode.is_directory());
    if !had_directory {
        parent.inode.links.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// link(2): another name.
///
/// # Errors
/// EEXIST; ENOENT when the directory was removed; ENOSPC when memory is short.
pub fn link(parent: &Arc<Dentry>, name: &[u8], inode: &Arc<Inode>) -> Result<(), Errno> {
    add(parent, name, inode.clone())?;
    inode.changed();
    notify::inode(inode, abi::IN_ATTRIB);
    notify::name(&parent.inode, name, inode, abi::IN_CREATE, 0);
    Ok(())
}

/// unlink(2) of `victim`, which a look-up found.
///
/// # Errors
/// ESTALE; EBUSY for a mount point.
pub fn unlink(parent: &Arc<Dentry>, name: &[u8], victim: &Arc<Dentry>) -> Result<(), Errno> {
    if victim.mounted.load(Ordering::Relaxed) {
        return Err(Errno::EBUSY);
    }
    let removed = {
        let mut entries = entries(parent)?;
        if !entries.is(name, victim) {
            return Err(Errno::ESTALE);
        }
        entries.remove(name)
    };
    gone(victim);
    parent.inode.modified();
    notify::inode(&victim.inode, abi::IN_ATTRIB);
    removal_told(parent, name, victim);
    drop(removed);
    Ok(())
}

/// Tells of a removed name, after the end of what had it: unless somebody has it open, the directory's and the caller's
/// references are all there are.
fn removal_told(parent: &Dentry, name: &[u8], victim: &Arc<Dentry>) {
    let unused = Arc::strong_count(victim) <= 2;
    if unused && victim.inode.links.load(Ordering::Relaxed) == 0 {
        notify::ended(&victim.inode);
    }
    notify::name(&parent.inode, name, &victim.inode, abi::IN_DELETE, 0);
}

/// A dentry lost its name.
fn gone(dentry: &Dentry) {
    dentry.set_deleted();
    let names = if dentry.inode.is_directory() { 2 } else { 1 };
    dentry.inode.fewer_links(names);
    dentry.inode.changed();
}

/// Marks an empty directory as removed. `TREE` is held.
fn kill(directory: &Dentry) -> Result<(), Errno> {
    let mut entries = entries(directory)?;
    if !entries.is_empty() || !entries.complete {
        return Err(Errno::ENOTEMPTY);
    }
    entries.dead = true;
    Ok(())
}

/// rmdir(2) of `victim`, which a look-up found.
///
/// # Errors
/// ENOTDIR, ENOTEMPTY, ESTALE, EBUSY for a mount point.
pub fn remove_directory(
    parent: &Arc<Dentry>,
    name: &[u8],
    victim: &Arc<Dentry>,
) -> Result<(), Errno> {
    if victim.mounted.load(Ordering::Relaxed) {
        return Err(Errno::EBUSY);
    }
    let _tree = TREE.lock();
    if !entries(parent)?.is(name, victim) {
        return Err(Errno::ESTALE);
    }
    directory(victim)?.list()?;
    // Under TREE nobody else removes the directory; somebody may fill it until it is marked.
    kill(victim)?;
    let removed = entries(parent)?.remove(name);
    gone(victim);
    parent.inode.fewer_links(1);
    parent.inode.modified();
    removal_told(parent, name, victim);
    drop(removed);
    Ok(())
}

/// What renameat2(2) shall do about the new name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RenameHow {
    /// Replace what has it.
    Replace,
    /// Fail if something has it.
    NoReplace,
    /// Swap the two.
    Exchange,
}

/// rename(2) of `from.1` in `from.0` to `to.1` in `to.0`. Permissions are checked by then.
///
/// # Errors
/// As renameat2(2).
pub fn exchange_or_rename(
    from: (&Arc<Dentry>, &[u8]),
    to: (&Arc<Dentry>, &[u8]),
    how: RenameHow,
) -> Result<(), Errno> {
    let _tree = TREE.lock();
    loop {
        match try_rename(from, to, how) {
            Err(Errno::ESTALE) => {}
            outcome => return outcome,
        }
    }
}

/// `TREE` is held.
fn try_rename(
    from: (&Arc<Dentry>, &[u8]),
    to: (&Arc<Dentry>, &[u8]),
    how: RenameHow,
) -> Result<(), Errno> {
    directory(from.0)?;
    directory(to.0)?;
    let moved = from.0.lookup(from.1)?.ok_or(Errno::ENOENT)?;
    let replaced = to.0.lookup(to.1)?;
    if let Some(replaced) = &replaced {
        if how == RenameHow::NoReplace {
            return Err(Errno::EEXIST);
        }
        if Arc::ptr_eq(&replaced.inode, &moved.inode) {
            return Ok(());
        }
    } else if how == RenameHow::Exchange {
        return Err(Errno::ENOENT);
    }
    let busy = |dentry: &Dentry| dentry.mounted.load(Ordering::Relaxed);
    if busy(&moved) || replaced.as_deref().is_some_and(busy) {
        return Err(Errno::EBUSY);
    }
    if moved.contains(to.0) {
        return Err(Errno::EINVAL);
    }
    if let Some(replaced) = &replaced
        && replaced.contains(from.0)
    {
        return Err(if how == RenameHow::Exchange {
            Errno::EINVAL
        } else {
            Errno::ENOTEMPTY
        });
    }
    match (how, replaced) {
        (RenameHow::Exchange, Some(other)) => exchange(from, to, &moved, &other),
        (_, replaced) => replace(from, to, &moved, replaced),
    }
}

fn replace(
    from: (&Arc<Dentry>, &[u8]),
    to: (&Arc<Dentry>, &[u8]),
    moved: &Arc<Dentry>,
    replaced: Option<Arc<Dentry>>,
) -> Result<(), Errno> {
    let moves_directory = moved.inode.is_directory();
    if let Some(replaced) = &replaced {
        match (moves_directory, replaced.inode.is_directory()) {
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            (true, true) => {
                directory(replaced)?.list()?;
                kill(replaced)?;
            }
            (false, false) => {}
        }
    }
    let same = Arc::ptr_eq(from.0, to.0);
    let (mut old, mut new) = {
        let first = entries(from.0)?;
        let second = if same { None } else { Some(entries(to.0)?) };
        (first, second)
    };
    if !old.is(from.1, moved) {
        return Err(Errno::ESTALE);
    }
    let into = new.as_deref_mut().unwrap_or(&mut old);
    if into.dead {
        return Err(Errno::ENOENT);
    }
    // A name that appeared or went since the look-up is treated as if it had been there then, but for a directory.
    let now_there = into.here(to.1);
    if let Some(there) = &now_there
        && !replaced
            .as_ref()
            .is_some_and(|replaced| Arc::ptr_eq(there, replaced))
        && (there.inode.is_directory() || moves_directory)
    {
        return Err(Errno::EEXIST);
    }
    old.remove(from.1);
    let into = new.as_deref_mut().unwrap_or(&mut old);
    let removed = into.insert(to.1, moved.clone());
    moved.set_place(to.0, to.1);
    drop(new);
    drop(old);
    if let Some(removed) = &removed {
        gone(removed);
    }
    if moves_directory {
        let replaced_directory = removed
            .as_ref()
            .is_some_and(|removed| removed.inode.is_directory());
        from.0.inode.fewer_links(1);
        if !replaced_directory {
            to.0.inode.links.fetch_add(1, Ordering::Relaxed);
        }
    }
    notify::entered(&to.0.inode, &moved.inode);
    settle(from.0, to.0, moved);
    move_told(from, to, moved, removed.as_deref());
    Ok(())
}

/// Tells of a move.
fn move_told(
    from: (&Arc<Dentry>, &[u8]),
    to: (&Arc<Dentry>, &[u8]),
    moved: &Dentry,
    replaced: Option<&Dentry>,
) {
    let (cookie, entry) = (notify::cookie(), &moved.inode);
    notify::name(&from.0.inode, from.1, entry, abi::IN_MOVED_FROM, cookie);
    notify::name(&to.0.inode, to.1, entry, abi::IN_MOVED_TO, cookie);
    if let Some(replaced) = replaced {
        notify::inode(&replaced.inode, abi::IN_ATTRIB);
    }
    notify::inode(entry, abi::IN_MOVE_SELF);
}

fn exchange(
    from: (&Arc<Dentry>, &[u8]),
    to: (&Arc<Dentry>, &[u8]),
    a: &Arc<Dentry>,
    b: &Arc<Dentry>,
) -> Result<(), Errno> {
    let same = Arc::ptr_eq(from.0, to.0);
    let mut first = entries(from.0)?;
    let mut second = if same { None } else { Some(entries(to.0)?) };
    let there = second.as_deref().unwrap_or(&first).is(to.1, b);
    if !first.is(from.1, a) || !there {
        return Err(Errno::ESTALE);
    }
    // Both are held by the caller, too.
    drop(first.insert(from.1, b.clone()));
    let into = second.as_deref_mut().unwrap_or(&mut first);
    drop(into.insert(to.1, a.clone()));
    a.set_place(to.0, to.1);
    b.set_place(from.0, from.1);
    drop(second);
    drop(first);
    match (a.inode.is_directory(), b.inode.is_directory()) {
        (true, false) => {
            from.0.inode.fewer_links(1);
            to.0.inode.links.fetch_add(1, Ordering::Relaxed);
        }
        (false, true) => {
            from.0.inode.links.fetch_add(1, Ordering::Relaxed);
            to.0.inode.fewer_links(1);
        }
        _ => {}
    }
    notify::entered(&to.0.inode, &a.inode);
    notify::entered(&from.0.inode, &b.inode);
    settle(from.0, to.0, a);
    b.inode.changed();
    move_told(from, to, a, None);
    move_told(to, from, b, None);
    Ok(())
}

fn settle(from: &Dentry, to: &Dentry, moved: &Dentry) {
    from.inode.modified();
    to.inode.modified();
    moved.inode.changed();
}
