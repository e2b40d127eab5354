//! The entries of a directory in RAM.
//!
//! By name for look-up and by a number that only grows for reading: the position in a directory is the number to go on
//! at, so entries that come and go never make another one show twice or not at all. What replaces an entry takes over its
//! number: who reads meanwhile finds the one or the other. A directory may lie over a lower one
//! (fs/lower.rs): then its map also says what is below and was not looked up, what was removed, and what is known not to
//! be there; lower_names.rs asks.
//! Lock: one spin lock a directory. The operations on names (names.rs) say when two are held.
use crate::fs::Dentry;
use crate::fs::inode::{Content, Entry};
use crate::fs::lower::{LowerDirectory, Name};
use crate::sync::SpinLock;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// Names known not to be there, before the lower directory is listed instead of being asked for each.
const MAX_ABSENT: usize = 32;
/// Names asked for at once, when a directory is looked through in order.
const MAX_AHEAD: usize = 30;
/// Names looked up one by one before the lower directory is listed: the next ones are known by then, and come along.
const MAX_SINGLE: u32 = 8;
/// But not a directory that is longer, in bytes.
const MAX_LISTED: u64 = 128 << 10;
/// Files read at once, when all of a directory are.
const MAX_READ_AHEAD: usize = 16;

/// What a name is.
enum State {
    /// It has a dentry.
    Here(Arc<Dentry>),
    /// It is below and was not looked up: its inode's number and type.
    Below(u64, u32),
    /// It is below and was removed.
    Gone,
    /// It is not below either.
    Absent,
}

struct Named {
    state: State,
    /// Its position; only if it is `Here` or `Below`.
    number: u64,
    /// The lower directory has this name.
    below: bool,
}

impl Named {
    /// Its type as in S_IFMT; 0 if that is not known.
    fn kind(&self) -> u32 {
        match &self.state {
            State::Here(dentry) => dentry.inode.kind(),
            State::Below(_, kind) => *kind,
            State::Gone | State::Absent => 0,
        }
    }
}

/// What the map knows of a name.
pub(super) enum Known {
    /// There it is.
    Here(Arc<Dentry>),
    /// It is not there.
    No,
    /// The lower directory has to be asked.
    Ask,
}

pub(super) struct Entries {
    by_name: BTreeMap<Arc<[u8]>, Named>,
    by_number: BTreeMap<u64, Arc<[u8]>>,
    next: u64,
    absent: usize,
    /// Names that were asked for one by one.
    single: u32,
    /// Every name below is in the map, or there is nothing below.
    pub complete: bool,
    /// Removed: takes no entries any more.
    pub dead: bool,
}

impl Entries {
    const fn new(complete: bool) -> Self {
        Self {
            by_name: BTreeMap::new(),
            by_number: BTreeMap::new(),
            next: 0,
            absent: 0,
            single: 0,
            complete,
            dead: false,
        }
    }

    pub fn known(&self, name: &[u8]) -> Known {
        match self.by_name.get(name).map(|named| &named.state) {
            Some(State::Here(dentry)) => Known::Here(dentry.clone()),
            Some(State::Below(..)) => Known::Ask,
            Some(State::Gone | State::Absent) => Known::No,
            None if self.complete => Known::No,
            None => Known::Ask,
        }
    }

    /// The dentry with this name. A name that would have to be asked for has none yet.
    pub fn here(&self, name: &[u8]) -> Option<Arc<Dentry>> {
        match self.known(name) {
            Known::Here(dentry) => Some(dentry),
            Known::No | Known::Ask => None,
        }
    }

    /// Whether the name is this dentry's.
    pub fn is(&self, name: &[u8], dentry: &Arc<Dentry>) -> bool {
        matches!(self.known(name), Known::Here(found) if Arc::ptr_eq(&found, dentry))
    }

    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// Sets what a name is, at a position of its own if it was not there before; gives the dentry it had.
    fn set(&mut self, name: &[u8], state: State, below: Option<bool>) -> Option<Arc<Dentry>> {
        let shown = matches!(state, State::Here(_) | State::Below(..));
        self.absent += usize::from(matches!(state, State::Absent));
        let (key, old) = match self.by_name.remove_entry(name) {
            Some((key, old)) => (key, Some(old)),
            None => (Arc::from(name), None),
        };
        let had_below = old.as_ref().is_some_and(|old| old.below);
        let old_number = old.as_ref().map(|old| old.number);
        let (was_shown, old) = match old.map(|old| old.state) {
            Some(State::Here(dentry)) => (true, Some(dentry)),
            Some(State::Below(..)) => (true, None),
            Some(State::Absent) => {
                self.absent -= 1;
                (false, None)
            }
            Some(State::Gone) | None => (false, None),
        };
        let number = match old_number {
            Some(number) if was_shown => number,
            _ => self.next,
        };
        match (was_shown, shown) {
            (true, false) => drop(self.by_number.remove(&number)),
            (false, true) => {
                self.next += 1;
                self.by_number.insert(number, key.clone());
            }
            _ => {}
        }
        let named = Named {
            state,
            number,
            below: below.unwrap_or(had_below),
        };
        self.by_name.insert(key, named);
        old
    }

    /// Gives a name to a dentry; gives the one that had it.
    pub fn insert(&mut self, name: &[u8], dentry: Arc<Dentry>) -> Option<Arc<Dentry>> {
        self.set(name, State::Here(dentry), None)
    }

    /// Takes a dentry's name away; what is below it stays hidden.
    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<Dentry>> {
        match self.by_name.get(name) {
            Some(named) if named.below => self.set(name, State::Gone, None),
            Some(_) => {
                let removed = self.set(name, State::Gone, None);
                self.by_name.remove(name);
                removed
            }
            None => None,
        }
    }

    /// Notes what the lower directory has under this name, unless something happened to it meanwhile: then that counts.
    /// An entry that was listed keeps its position.
    pub fn adopt(&mut self, name: &[u8], dentry: &Arc<Dentry>) -> Option<Arc<Dentry>> {
        match self.by_name.get_mut(name) {
            Some(named) => match &named.state {
                State::Here(there) => Some(there.clone()),
                State::Below(..) => {
                    named.state = State::Here(dentry.clone());
                    Some(dentry.clone())
                }
                State::Gone | State::Absent => None,
            },
            // Listed without it: what is below does not change, so this cannot be.
            None if self.complete => None,
            None => {
                self.set(name, State::Here(dentry.clone()), Some(true));
                Some(dentry.clone())
            }
        }
    }

    /// Notes that the lower directory has no such name. False if there are enough of those: list it instead.
    pub fn adopt_absent(&mut self, name: &[u8]) -> bool {
        match self.by_name.get(name).map(|named| &named.state) {
            Some(State::Below(..)) => {
                // Listed, and gone when it was looked up: as a file that vanished.
                self.set(name, State::Gone, None);
            }
            None if !self.complete => {
                self.set(name, State::Absent, Some(false));
            }
            _ => {}
        }
        self.absent <= MAX_ABSENT
    }

    /// Forgets what is known not to be there.
    pub fn forget_absent(&mut self) {
        self.by_name
            .retain(|_, named| !matches!(named.state, State::Absent));
        self.absent = 0;
    }

    /// Takes the names of the lower directory in.
    pub fn complete(&mut self, names: Vec<Name>) {
        if self.complete {
            return;
        }
        for Name { name, inode, kind } in names {
            match self.by_name.get_mut(&*name) {
                Some(named) if !matches!(named.state, State::Absent) => named.below = true,
                _ => drop(self.set(&name, State::Below(inode, kind), Some(true))),
            }
        }
        self.forget_absent();
        self.complete = true;
    }

    /// The names before (latest first) and after `name`, a few of them.
    fn around(
        &self,
        name: &[u8],
    ) -> (
        impl Iterator<Item = &Named>,
        impl Iterator<Item = (&Arc<[u8]>, &Named)>,
    ) {
        const NEAR: usize = 4 * MAX_AHEAD;
        let before = (Bound::Unbounded, Bound::Excluded(name));
        let after = (Bound::Excluded(name), Bound::Unbounded);
        let named = |(_, named)| named;
        (
            self.by_name
                .range::<[u8], _>(before)
                .rev()
                .take(NEAR)
                .map(named),
            self.by_name.range::<[u8], _>(after).take(NEAR),
        )
    }

    /// Names of its kind that are likely to be looked up after `name`, one that was listed and not looked up: twice as many
    /// as were looked up directly before it, and as many as can be after the first of all: who begins there goes on.
    pub fn names_ahead(&self, name: &[u8]) -> Vec<Arc<[u8]>> {
        let Some(kind) = self.by_name.get(name).map(Named::kind) else {
            return Vec::new();
        };
        let (before, after) = self.around(name);
        let mut before = before.filter(|named| named.kind() == kind).peekable();
        let count = match before.peek() {
            Some(_) => {
                2 * before
                    .take_while(|named| matches!(named.state, State::Here(_)))
                    .take(MAX_AHEAD / 2)
                    .count()
            }
            None => MAX_AHEAD,
        };
        after
            .filter(|(_, named)| named.kind() == kind)
            .take_while(|(_, named)| matches!(named.state, State::Below(..)))
            .take(count)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Files that are likely to be read after `name`: twice as many that follow, and were not read so far, as were opened
    /// directly before it.
    pub fn files_ahead(&self, name: &[u8]) -> Vec<Arc<Dentry>> {
        let (before, after) = self.around(name);
        let lower = |named: &Named| match &named.state {
            State::Here(dentry) => dentry.inode.lower_file_is_open(),
            _ => None,
        };
        let count = before
            .filter(|named| named.kind() == abi::S_IFREG)
            .take_while(|named| lower(named) == Some(true))
            .take(MAX_READ_AHEAD / 2)
            .count();
        after
            .filter(|(_, named)| named.kind() == abi::S_IFREG)
            .take_while(|(_, named)| lower(named) == Some(false))
            .take(2 * count)
            .filter_map(|(_, named)| match &named.state {
                State::Here(dentry) => Some(dentry.clone()),
                _ => None,
            })
            .collect()
    }

    /// Forgets a dentry that can be asked for again.
    pub fn forget(&mut self, name: &[u8]) {
        let Some(named) = self.by_name.get_mut(name) else {
            return;
        };
        if let State::Here(dentry) = &named.state {
            let inode = &dentry.inode;
            if self.complete {
                named.state = State::Below(inode.number, inode.kind());
            } else {
                self.by_number.remove(&named.number);
                self.by_name.remove(name);
            }
        }
    }

    fn entry(&self, cursor: u64) -> Option<Entry> {
        let (&number, name) = self.by_number.range(cursor..).next()?;
        let (inode, kind) = match &self.by_name.get(name)?.state {
            State::Here(dentry) => (dentry.inode.number, dentry.inode.kind()),
            State::Below(inode, kind) => (*inode, *kind),
            State::Gone | State::Absent => return None,
        };
        Some(Entry {
            next: number + 1,
            name: name.to_vec(),
            inode,
            kind,
        })
    }
}

/// The entries of a directory.
pub struct Directory {
    pub(super) entries: SpinLock<Entries>,
    pub(super) lower: Option<Box<dyn LowerDirectory>>,
}

impl Directory {
    /// An empty one.
    pub const fn new() -> Self {
        Self {
            entries: SpinLock::new(Entries::new(true)),
            lower: None,
        }
    }

    /// What the lower directory holds.
    pub fn over(lower: Box<dyn LowerDirectory>) -> Self {
        Self {
            entries: SpinLock::new(Entries::new(false)),
            lower: Some(lower),
        }
    }

    /// The entry with this name. `rest` is what of a path follows it.
    ///
    /// # Errors
    /// EIO, EACCES of the lower directory.
    pub fn lookup(
        &self,
        at: &Dentry,
        name: &[u8],
        rest: &[u8],
    ) -> Result<Option<Arc<Dentry>>, Errno> {
        let ahead = {
            let mut entries = self.entries.lock();
            match entries.known(name) {
                Known::Here(dentry) => return Ok(Some(dentry)),
                Known::No => return Ok(None),
                Known::Ask if entries.complete => entries.names_ahead(name),
                Known::Ask => {
                    entries.single += 1;
                    let many = entries.single == MAX_SINGLE;
                    drop(entries);
                    // One that may not be listed is asked for each.
                    if many && self.is_short() && self.list().is_ok() {
                        return self.lookup(at, name, rest);
                    }
                    Vec::new()
                }
            }
        };
        self.ask(at, name, rest, &ahead)
    }

    fn is_short(&self) -> bool {
        let lower = self.lower.as_ref();
        lower.is_some_and(|lower| lower.size().0 <= MAX_LISTED)
    }

    /// Calls `f`, which must not block, for every entry that was looked up.
    pub fn for_each(&self, mut f: impl FnMut(&Dentry)) {
        for named in self.entries.lock().by_name.values() {
            if let State::Here(dentry) = &named.state {
                f(dentry);
            }
        }
    }

    /// The first entry at or after `cursor` that was looked up, and the position behind it.
    pub fn next_known(&self, cursor: u64) -> Option<(u64, Arc<Dentry>)> {
        let entries = self.entries.lock();
        entries
            .by_number
            .range(cursor..)
            .find_map(|(&number, name)| match &entries.by_name.get(name)?.state {
                State::Here(dentry) => Some((number + 1, dentry.clone())),
                _ => None,
            })
    }

    /// Whether the lower directory has this inode by this name.
    pub fn has_below(&self, name: &[u8], inode: u64) -> bool {
        let Some(lower) = &self.lower else {
            return false;
        };
        let answers = lower.lookup(&[name]);
        answers.is_ok_and(|answers| {
            let mut found = answers.into_iter().flatten().flatten();
            found.next().is_some_and(|found| found.number == inode)
        })
    }

    /// The first entry at or after `cursor`; the names of the lower directory have been taken in by [`Directory::list`].
    pub fn entry(&self, cursor: u64) -> Option<Entry> {
        self.entries.lock().entry(cursor)
    }

    /// The position after the last entry.
    pub fn end(&self) -> u64 {
        self.entries.lock().next
    }

    /// Bytes and blocks as stat(2) tells them; `pristine` if nothing was changed.
    pub fn size(&self, pristine: bool) -> (u64, u64) {
        match &self.lower {
            Some(lower) if pristine => lower.size(),
            _ => (4096, 8),
        }
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

/// The entries of a dentry that must be a directory in RAM; names of generated ones cannot be changed.
pub(super) fn directory(at: &Dentry) -> Result<&Directory, Errno> {
    match &at.inode.content {
        Content::Directory(directory) => Ok(directory),
        Content::Virtual(_) => Err(Errno::EPERM),
        _ => Err(Errno::ENOTDIR),
    }
}
