//! Byte ranges with owners: the arithmetic of record locks.
//!
//! An owner's ranges never overlap; locking or unlocking a part cuts what it had there. Few locks on a file are the rule,
//! so a list is enough.
use alloc::vec::Vec;

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The process (F_SETLK).
    Process,
    /// An open file description (F_OFD_SETLK).
    File(usize),
}

/// One locked range; `last` is part of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First byte.
    pub first: u64,
    /// Last byte.
    pub last: u64,
    /// A write lock.
    pub exclusive: bool,
    /// Who has it.
    pub owner: Owner,
}

impl Range {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// The locked ranges of a file.
pub struct Ranges(Vec<Range>);

impl Ranges {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The ranges themselves, for whoever makes room for more: locking or unlocking one needs at most two places.
    pub const fn list(&mut self) -> &mut Vec<Range> {
        &mut self.0
    }

    /// A lock that `wanted` cannot be held with; the first one in the file.
    pub fn conflict(&self, wanted: Range) -> Option<Range> {
        self.0
            .iter()
            .filter(|held| {
                held.owner != wanted.owner
                    && held.meets(&wanted)
                    && (held.exclusive || wanted.exclusive)
            })
            .min_by_key(|held| held.first)
            .copied()
    }

    /// Takes the range out of what its owner holds.
    pub fn unlock(&mut self, range: Range) {
        let mut cut = Vec::new();
        self.0.retain(|held| {
            if held.owner != range.owner || !held.meets(&range) {
                return true;
            }
            if held.first < range.first {
                cut.push(Range {
                    last: range.first - 1,
                    ..*held
                });
            }
            if held.last > range.last {
                cut.push(Range {
                    first: range.last + 1,
                    ..*held
                });
            }
            false
        });
        self.0.append(&mut cut);
    }

    /// Locks the range, joined with neighbours of the same kind.
    pub fn lock(&mut self, mut range: Range) {
        self.unlock(range);
        self.0.retain(|held| {
            let joins = held.owner == range.owner && held.exclusive == range.exclusive;
            if joins && held.last.checked_add(1) == Some(range.first) {
                range.first = held.first;
                return false;
            }
            if joins && range.last.checked_add(1) == Some(held.first) {
                range.last = held.last;
                return false;
            }
            true
        });
        self.0.push(range);
    }

    /// Takes all of an owner's ranges out.
    pub fn release(&mut self, owner: Owner) {
        self.0.retain(|held| held.owner != owner);
    }
}
