//! What was taken from below and can be asked for again: names with their attributes, and pages of files.
//!
//! Names are bounded by number: a new one beyond the bound makes the oldest ones go that are as they are below and that
//! nobody uses. Pages fill the memory that nothing else wants; when frames are short (memory/reclaim.rs) the files that
//! were fetched from first give pages back. What was changed is never given back: it exists nowhere else.
//! Locks: two leaves, and a directory's entries or a file's pages taken without either held; [`give_pages_back`] may be
//! called under any spin lock and only tries them.
use super::inode::Content;
use super::{Dentry, ram};
use crate::memory::{frames, reclaim};
use crate::sync::SpinLock;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use spin::Once;

/// Bytes a name is reckoned to cost, with dentry, inode and its place in the directory.
const COST: usize = 1024;
/// The part of memory that names may take: one in so many.
const PART: usize = 32;
/// Old names looked at for each new one beyond the bound.
const STEPS: usize = 4;

/// Oldest first; names that are gone stay until they are looked at.
static DENTRIES: SpinLock<VecDeque<Weak<Dentry>>> = SpinLock::new(VecDeque::new());
/// Regular files whose pages may be given back, in the order of their first fetch.
static FILES: SpinLock<VecDeque<Weak<Dentry>>> = SpinLock::new(VecDeque::new());

/// How many names are kept.
fn bound() -> usize {
    static BOUND: Once<usize> = Once::new();
    *BOUND.call_once(|| {
        let memory = frames::counts().1 * frames::FRAME;
        (memory / PART / COST).max(256)
    })
}

/// To be called once, before anything is kept.
pub fn init() {
    bound();
    reclaim::register(give_pages_back);
}

/// A dentry was made of what is below.
pub fn keep_dentry(dentry: &Arc<Dentry>) {
    if let Content::File(_) = dentry.inode.content {
        FILES.lock().push_back(Arc::downgrade(dentry));
    }
    let mut old = [const { None }; STEPS];
    {
        let mut dentries = DENTRIES.lock();
        dentries.push_back(Arc::downgrade(dentry));
        let beyond = dentries.len().saturating_sub(bound());
        for slot in old.iter_mut().take(beyond) {
            *slot = dentries.pop_front();
        }
    }
    for old in old.into_iter().flatten() {
        if let Some(dentry) = old.upgrade()
            && !ram::forget(&dentry)
        {
            // In use or changed: looked at again when it has become the oldest once more.
            DENTRIES.lock().push_back(old);
        }
    }
}

/// Gives up to `goal` frames back; how many.
fn give_pages_back(goal: usize) -> usize {
    // More than asked for: who asks will ask again soon.
    let goal = goal.max(256);
    let Some(mut files) = FILES.try_lock() else {
        return 0;
    };
    let mut freed = 0;
    for _ in 0..files.len() {
        let Some(file) = files.pop_front() else {
            break;
        };
        let Some(dentry) = file.upgrade() else {
            continue;
        };
        if let Content::File(data) = &dentry.inode.content {
            freed += data.evict(goal - freed);
        }
        drop(dentry);
        if freed >= goal {
            files.push_front(file);
            break;
        }
        files.push_back(file);
    }
    freed
}
