//! What was taken from below and can be asked for again: names with their attributes, and pages of files.
//!
//! Names are bounded by number: a new one beyond the bound makes the oldest ones go that are as they are below and that
//! nobody uses. Pages fill the memory that nothing else wants; when frames are short (memory/reclaim.rs) the files that
//! were opened first give pages back. What was changed is never given back: it exists nowhere else.
//! Each dentry notes its places in the two lists ([`Places`]) and leaves them when it is dropped, so they hold no more
//! than lives. They are maps by a number that only grows: no allocation grows with their length.
//! Locks: the two lists, leaves; a directory's entries or a file's pages are taken without either. [`give_pages_back`]
//! may be called under any spin lock: it only tries them, and drops no name, which may tell watchers or give up a fid. Of a
//! name that nobody else holds any more it leaves the rest to the next call from outside ([`drop_left_over`]).
use super::inode::Content;
use super::{Dentry, ram};
use crate::memory::{frames, reclaim};
use crate::sync::SpinLock;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::Once;

/// Bytes a name is reckoned to cost, with dentry, inode and its place in the directory.
const COST: usize = 1024;
/// The part of memory that names may take: one in so many.
const PART: usize = 32;
/// Old names looked at for each new one beyond the bound.
const STEPS: usize = 4;

/// Names from below, oldest first.
static NAMES: SpinLock<List> = SpinLock::new(List::new());
/// Regular files whose pages may be given back, in the order in which they were first opened.
static FILES: SpinLock<List> = SpinLock::new(List::new());

/// Dentries by the number of their place; numbers begin at 1.
struct List {
    members: BTreeMap<u64, Weak<Dentry>>,
    last: u64,
}

impl List {
    const fn new() -> Self {
        Self {
            members: BTreeMap::new(),
            last: 0,
        }
    }

    /// Gives a dentry the last place.
    fn append(&mut self, dentry: &Arc<Dentry>, place: &AtomicU64) {
        self.last += 1;
        self.members.insert(self.last, Arc::downgrade(dentry));
        place.store(self.last, Ordering::Relaxed);
    }
}

/// A dentry's places in the lists; 0 is none. Changed under the list's lock.
#[derive(Default)]
pub struct Places {
    name: AtomicU64,
    file: AtomicU64,
}

impl Places {
    /// In neither list.
    pub const fn new() -> Self {
        Self {
            name: AtomicU64::new(0),
            file: AtomicU64::new(0),
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for (list, place) in [(&NAMES, &mut self.name), (&FILES, &mut self.file)] {
            let place = *place.get_mut();
            if place != 0 {
                list.lock().members.remove(&place);
            }
        }
    }
}

/// Names that giving pages back was left with when their last other user dropped them.
static LEFT_OVER: SpinLock<ArrayVec<Dentry, LEFT_OVER_MOST>> = SpinLock::new(ArrayVec::new_const());
/// It takes two CPUs and a moment for one to be left over.
const LEFT_OVER_MOST: usize = 8;

/// Drops what [`give_pages_back`] was left with. The caller holds no spin lock.
fn drop_left_over() {
    // One by one: dropping a name may come back here.
    loop {
        let name = LEFT_OVER.lock().pop();
        if name.is_none() {
            return;
        }
    }
}

/// Drops a reference under whatever locks the caller holds.
fn leave(dentry: Arc<Dentry>) {
    let Some(name) = Arc::into_inner(dentry) else {
        return;
    };
    if let Err(full) = LEFT_OVER.lock().try_push(name) {
        // Lost rather than dropped where a drop may wait for the caller.
        core::mem::forget(full.element());
    }
}

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
    drop_left_over();
    let mut old = [const { None }; STEPS];
    {
        let mut names = NAMES.lock();
        names.append(dentry, &dentry.places.name);
        let beyond = names.members.len().saturating_sub(bound());
        for slot in old.iter_mut().take(beyond) {
            *slot = names.members.pop_first();
        }
    }
    for (_, old) in old.into_iter().flatten() {
        // One that is just being dropped is out of the list already.
        if let Some(dentry) = old.upgrade()
            && !ram::forget(&dentry)
        {
            // In use or changed: looked at again when it has become the oldest once more.
            NAMES.lock().append(&dentry, &dentry.places.name);
        }
    }
}

/// A regular file is opened: pages of it that come from below may be given back from now on.
pub fn keep_file(dentry: &Dentry) {
    let place = &dentry.places.file;
    if place.load(Ordering::Relaxed) != 0 {
        return;
    }
    drop_left_over();
    let mut files = FILES.lock();
    if place.load(Ordering::Relaxed) == 0 {
        files.append(&dentry.arc(), place);
    }
}

/// Gives up to `goal` frames back; how many. Goes on where it ended the last time, and looks at each file once.
fn give_pages_back(goal: usize) -> usize {
    static HAND: AtomicU64 = AtomicU64::new(0);
    // More than asked for: who asks will ask again soon.
    let goal = goal.max(256);
    let first = HAND.load(Ordering::Relaxed);
    let mut freed = 0;
    for mut places in [first..u64::MAX, 0..first] {
        while freed < goal {
            let Some(files) = FILES.try_lock() else {
                return freed;
            };
            let Some((&place, file)) = files.members.range(places.clone()).next() else {
                break;
            };
            let file = file.upgrade();
            drop(files);
            places.start = place + 1;
            HAND.store(place, Ordering::Relaxed);
            let Some(dentry) = file else { continue };
            if let Content::File(data) = &dentry.inode.content {
                freed += data.evict(goal - freed);
            }
            leave(dentry);
        }
    }
    freed
}
