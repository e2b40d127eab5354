//! Pages of a lower file: fetched when they are missed, given back when memory is short.
//!
//! A miss fetches a window of pages at once. Fetches of one part of a file are one at a time, by locks that all files
//! share, so that threads that miss the same page wait for one answer; different parts are fetched side by side.
//! Small files that are opened one after the other are read together, before they are asked for.
//! A page is given back only if it is as it is below and nobody else holds its frame.
use super::data::{FileData, PAGE};
use super::pages::Slot;
use crate::fs::inode::Content;
use crate::fs::lower::LowerFile;
use crate::fs::{Dentry, cache};
use crate::memory::page::Page;
use crate::memory::{frames, reclaim, space};
use crate::sync::SleepMutex;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// Pages per lock: no window is larger.
const PART: u64 = 128;

static FETCHING: [SleepMutex<()>; 16] = [const { SleepMutex::new(()) }; 16];

/// What can be fetched again must not take the last eighth of memory: the program gets its own in large pieces only while
/// memory is ample.
fn leave_room() {
    let (free, total) = frames::counts();
    let wanted = total / 8 + PART as usize;
    if free < wanted {
        reclaim::reclaim(wanted - free);
    }
}

impl FileData {
    /// Page `index`, fetched if need be; None for a hole. To write to it, say so.
    ///
    /// # Errors
    /// EIO, EACCES, ENOMEM.
    pub(super) fn page(&self, index: u64, to_write: bool) -> Result<Option<Page>, Errno> {
        loop {
            let slot = {
                let mut pages = self.pages.lock();
                if to_write {
                    pages.get_to_write(index)
                } else {
                    pages.get(index)
                }
            };
            match slot {
                Slot::Page(page) => return Ok(Some(page)),
                Slot::Hole => return Ok(None),
                Slot::Below => self.fetch_anyhow(index)?,
            }
        }
    }

    /// As [`FileData::fetch`], at the cost of mapped pages if need be. Not for faults, which hold the address space.
    fn fetch_anyhow(&self, index: u64) -> Result<(), Errno> {
        match self.fetch(index) {
            Err(Errno::ENOMEM) if space().lock().unmap_forgettable() => self.fetch(index),
            outcome => outcome,
        }
    }

    /// Fetches page `index` and what is likely to be asked for next.
    ///
    /// # Errors
    /// EIO, EACCES, ENOMEM.
    pub(super) fn fetch(&self, index: u64) -> Result<(), Errno> {
        let Some(lower) = self.lower() else {
            // Only pages over a lower file are below.
            return Err(Errno::EIO);
        };
        let part = (core::ptr::from_ref(self).addr() / 64) as u64 + index / PART;
        let _one = FETCHING[(part % FETCHING.len() as u64) as usize].lock();
        let most = lower.window(index).clamp(1, PART as usize);
        let within = most.min((PART - index % PART) as usize);
        let count = self.pages.lock().missing_below(index, within);
        if count == 0 {
            return Ok(());
        }
        lower.open()?;
        leave_room();
        frames::check_spare()?;
        let fresh = lower.read(index, count)?;
        if fresh.is_empty() {
            return Err(Errno::EIO);
        }
        let mut pages = self.pages.lock();
        for (index, page) in (index..).zip(fresh) {
            pages.put_clean(index, page);
        }
        drop(pages);
        Ok(())
    }

    /// Gives up to `goal` pages back that can be fetched again; how many. Takes no lock that is held.
    pub fn evict(&self, goal: usize) -> usize {
        if self.lower.is_none() || !self.writes_are_seen() {
            return 0;
        }
        self.pages
            .try_lock()
            .map_or(0, |mut pages| pages.evict(goal))
    }

    /// Blocks of 512 bytes, as stat(2) tells them; `pristine` if nothing was changed.
    pub fn blocks(&self, pristine: bool) -> u64 {
        match self.lower() {
            Some(lower) if pristine => lower.blocks(),
            _ => self.pages() * (PAGE / 512),
        }
    }
}

/// open(2) to read: so that it fails there and not at the first read. When the files of a directory are opened one after
/// the other, the next ones are read along with this one.
///
/// # Errors
/// EACCES, EIO, ENOMEM.
pub fn prepare_to_read(dentry: &Dentry, data: &FileData) -> Result<(), Errno> {
    let Some(lower) = data.lower() else {
        return Ok(());
    };
    if lower.is_open() || data.pages.lock().missing_below(0, 1) == 0 {
        return Ok(());
    }
    let parent = dentry.parent();
    let Content::Directory(directory) = &parent.inode.content else {
        return lower.open();
    };
    let (free, total) = frames::counts();
    let ahead = match &directory.lower {
        Some(_) if free > total / 4 => directory.entries.lock().files_ahead(&dentry.name()),
        _ => Vec::new(),
    };
    let (Some(from), false) = (&directory.lower, ahead.is_empty()) else {
        return lower.open();
    };
    for other in &ahead {
        cache::keep_file(other);
    }
    let others = ahead.iter().filter_map(|other| match &other.inode.content {
        Content::File(data) => Some(data),
        _ => None,
    });
    let all: Vec<&FileData> = core::iter::once(data).chain(others).collect();
    let lowers: Vec<&dyn LowerFile> = all.iter().filter_map(|data| data.lower()).collect();
    let mut outcome = Ok(());
    for (index, (data, pages)) in all.iter().zip(from.read_files(&lowers)).enumerate() {
        match pages {
            Ok(pages) => {
                let mut kept = data.pages.lock();
                (0..)
                    .zip(pages)
                    .for_each(|(index, page)| kept.put_clean(index, page));
            }
            // Another one's error is told when that is opened.
            Err(errno) if index == 0 => outcome = Err(errno),
            Err(_) => {}
        }
    }
    outcome
}
