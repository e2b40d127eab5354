//! The bytes of a regular file.
//!
//! Pages by index (pages.rs), absent ones being holes or pages of a lower file (fetch.rs). A reader or writer takes a
//! page's reference under a spin lock and copies without it, so a copy may fault, even in a mapping of this very file.
//! Writers, truncation and allocation are one at a time (`writers`), which makes O_APPEND atomic; readers wait for nobody.
//! The size changes under the pages' lock, so a fault beyond a truncated end cannot bring a page back.
//! Lock order: position of the open file, `writers`, the address space, fetch.rs's, `pages`, frames.
//! Cost: O(log chunks) a page.
use super::pages::{Base, Pages, Slot};
use super::seals::{self, Seals};
use crate::fs::lower::LowerFile;
use crate::memory::frames::{self, FRAME};
use crate::memory::page::{BundleFrames, Page};
use crate::memory::space::space;
use crate::memory::user::UserIo;
use crate::sync::{SleepMutex, SpinLock};
use crate::task::rest;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// The largest size (MAX_LFS_FILESIZE).
const MAX_SIZE: u64 = i64::MAX as u64;
pub(super) const PAGE: u64 = FRAME as u64;

/// See the module's head.
pub struct FileData {
    size: AtomicU64,
    pub(super) pages: SpinLock<Pages>,
    /// Where the pages below come from.
    pub(super) lower: Option<Box<dyn LowerFile>>,
    writers: SleepMutex<()>,
    /// Was ever mapped: truncation has to look.
    mapped: AtomicBool,
    /// Was ever mapped to be written to through the mapping: no page can be known to be as it is below.
    written_unseen: AtomicBool,
    seals: Seals,
}

impl FileData {
    /// An empty file.
    pub const fn new() -> Self {
        Self::in_bundle(BundleFrames::EMPTY, 0)
    }

    /// `size` bytes of the lower file.
    pub fn over(lower: Box<dyn LowerFile>, size: u64) -> Self {
        Self {
            lower: Some(lower),
            ..Self::based(Base::Lower, size)
        }
    }

    /// `size` bytes of the bundle, page-aligned, with zeros up to the page's end.
    pub const fn in_bundle(frames: BundleFrames, size: u64) -> Self {
        Self::based(Base::Bundle(frames), size)
    }

    const fn based(base: Base, size: u64) -> Self {
        Self {
            size: AtomicU64::new(size),
            pages: SpinLock::new(Pages::of(base, size.div_ceil(PAGE))),
            lower: None,
            writers: SleepMutex::new(()),
            mapped: AtomicBool::new(false),
            written_unseen: AtomicBool::new(false),
            seals: Seals::none(),
        }
    }

    /// The lower file, if there is one.
    pub fn lower(&self) -> Option<&dyn LowerFile> {
        self.lower.as_deref()
    }

    /// Bytes.
    #[inline]
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Pages that are not holes.
    pub fn pages(&self) -> u64 {
        self.pages.lock().count
    }

    /// What is forbidden.
    pub fn seals(&self) -> &Seals {
        &self.seals
    }

    /// F_ADD_SEALS. `id` is the map source's.
    ///
    /// # Errors
    /// EPERM when no more may be added; EBUSY for F_SEAL_WRITE while a shared mapping could write.
    pub fn add_seals(&self, seals: u32, id: usize) -> Result<(), Errno> {
        let _writers = self.writers.lock();
        self.seals.forbid(abi::F_SEAL_SEAL)?;
        let stops_writing = seals & !self.seals.get() & abi::F_SEAL_WRITE != 0;
        if stops_writing && self.mapped.load(Ordering::Acquire) && space().writes_to_file(id) {
            return Err(Errno::EBUSY);
        }
        self.seals.add(seals)
    }

    /// Reads from `at` on.
    ///
    /// # Errors
    /// EFAULT; EIO, EACCES and ENOMEM where a page has to be fetched.
    pub fn read(&self, io: &mut UserIo, at: u64) -> SysResult {
        let left = self.size().saturating_sub(at);
        let count = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(io.remaining());
        let mut done = 0;
        while done < count {
            let position = at + done as u64;
            let offset = (position % PAGE) as usize;
            let wanted = (FRAME - offset).min(count - done);
            let result = self
                .page(position / PAGE, false)
                .and_then(|page| match page {
                    Some(page) => page.copy_out(offset, wanted, io),
                    None => io.zero(wanted),
                });
            match result {
                Ok(got) => {
                    done += got;
                    if got < wanted {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes at `at`, or at the end without; gives how much, and where that ended.
    ///
    /// # Errors
    /// EFAULT, ENOSPC, EFBIG, EPERM (sealed); EIO, EACCES and ENOMEM where a page has to be fetched.
    pub fn write(&self, io: &mut UserIo, at: Option<u64>) -> Result<(usize, u64), Errno> {
        let _writers = self.writers.lock();
        let size = self.size();
        let at = at.unwrap_or(size);
        let count = io.remaining();
        if count == 0 {
            return Ok((0, at));
        }
        let room = usize::try_from(MAX_SIZE.saturating_sub(at)).unwrap_or(usize::MAX);
        if room == 0 {
            return Err(Errno::EFBIG);
        }
        io.truncate(room);
        let mut count = count.min(room);
        if self.seals.get() & !abi::F_SEAL_SEAL != 0 {
            self.seals.forbid(seals::WRITES)?;
            if at + count as u64 > size && self.seals.forbid(abi::F_SEAL_GROW).is_err() {
                // As on Linux, which looks page by page: what fills pages of the file goes.
                count = (size / PAGE * PAGE).saturating_sub(at) as usize;
                if count == 0 {
                    return Err(Errno::EPERM);
                }
                io.truncate(count);
            }
        }
        if at > size {
            self.clear_tail(size)?;
        }
        let mut done = 0;
        while done < count {
            let position = at + done as u64;
            let wanted = (FRAME - (position % PAGE) as usize).min(count - done);
            match self.write_page(position, wanted, io) {
                Ok(got) => {
                    done += got;
                    let end = at + done as u64;
                    if end > self.size() {
                        let _pages = self.pages.lock();
                        self.size.store(end, Ordering::Release);
                    }
                    if got < wanted {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok((done, at + done as u64))
    }

    /// Writes inside of one page.
    fn write_page(&self, position: u64, wanted: usize, io: &mut UserIo) -> SysResult {
        let (index, offset) = (position / PAGE, (position % PAGE) as usize);
        let mut slot = self.pages.lock().get_to_write(index);
        if matches!(slot, Slot::Below) && wanted < FRAME {
            slot = self.page(index, true)?.map_or(Slot::Hole, Slot::Page);
        }
        if let Slot::Page(page) = slot {
            return page.copy_in(offset, wanted, io);
        }
        if frames::check_unpromised().is_err() {
            return Err(Errno::ENOSPC);
        }
        // Nobody sees the new page before it is filled.
        let fresh = Page::uninit().map_err(|_| Errno::ENOSPC)?;
        let got = fresh.copy_in(offset, wanted, io)?;
        if matches!(slot, Slot::Below) && got < wanted {
            // The program's memory ended early: the rest stays as it is below.
            if let Some(page) = self.page(index, true)? {
                page.copy_part(&fresh, offset, offset + got);
                return Ok(got);
            }
        }
        fresh.clear(0, offset);
        fresh.clear(offset + got, FRAME);
        let mut pages = self.pages.lock();
        match pages.get_to_write(index) {
            Slot::Hole => {
                pages.put(index, fresh);
                pages.count += 1;
            }
            Slot::Below => pages.put(index, fresh),
            // A mapping of the file touched the page meanwhile.
            Slot::Page(page) => page.copy_part(&fresh, offset, offset + got),
        }
        Ok(got)
    }

    /// Zeroes what a mapping may have written behind the end, or what is there below, before the file grows over it.
    fn clear_tail(&self, size: u64) -> Result<(), Errno> {
        let offset = (size % PAGE) as usize;
        if offset != 0
            && let Some(page) = self.page(size / PAGE, true)?
        {
            page.clear(offset, FRAME);
        }
        Ok(())
    }

    /// ftruncate(2). `id` is the map source's.
    ///
    /// # Errors
    /// EFBIG, EPERM (sealed); EIO, EACCES and ENOMEM where a page has to be fetched.
    pub fn truncate(&self, length: u64, id: usize) -> Result<(), Errno> {
        if length > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _writers = self.writers.lock();
        let size = self.size();
        if length > size {
            self.seals.forbid(abi::F_SEAL_GROW)?;
            self.clear_tail(size)?;
            let _pages = self.pages.lock();
            self.size.store(length, Ordering::Release);
        } else if length < size {
            self.seals.forbid(abi::F_SEAL_SHRINK)?;
            // The page that will be cut must be there before others go: later nothing may fail.
            if !length.is_multiple_of(PAGE) {
                self.page(length / PAGE, true)?;
            }
            let first = length.div_ceil(PAGE);
            let removed = {
                let mut pages = self.pages.lock();
                self.size.store(length, Ordering::Release);
                pages.remove(first, u64::MAX / PAGE)
            };
            if self.mapped.load(Ordering::Acquire) {
                space().unmap_file(id, first, u64::MAX, true);
            }
            drop(removed);
            self.clear_tail(length)?;
        }
        Ok(())
    }

    /// fallocate(2). `id` is the map source's.
    ///
    /// # Errors
    /// EOPNOTSUPP, EINVAL, EFBIG, ENOSPC, EPERM (sealed).
    pub fn allocate(&self, mode: u32, offset: u64, length: u64, id: usize) -> Result<(), Errno> {
        let end = offset + length;
        if end > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _writers = self.writers.lock();
        let keep_size = mode & abi::FALLOC_FL_KEEP_SIZE != 0;
        match mode & !abi::FALLOC_FL_KEEP_SIZE {
            0 => self.fill(offset, end)?,
            abi::FALLOC_FL_PUNCH_HOLE if keep_size => {
                self.seals.forbid(seals::WRITES)?;
                return self.punch(offset, end, id);
            }
            _ => return Err(Errno::EOPNOTSUPP),
        }
        if !keep_size && end > self.size() {
            self.seals.forbid(abi::F_SEAL_GROW)?;
            self.clear_tail(self.size())?;
            let _pages = self.pages.lock();
            self.size.store(end, Ordering::Release);
        }
        Ok(())
    }

    /// Gives the holes in [from, to) pages of zeros.
    fn fill(&self, from: u64, to: u64) -> Result<(), Errno> {
        let free = frames::counts().0 as u64;
        if (to - from) / PAGE > self.pages() + free {
            return Err(Errno::ENOSPC);
        }
        for index in from / PAGE..to.div_ceil(PAGE) {
            if index % (rest::BYTES as u64 / PAGE) == 0 && !rest::rest() {
                return Err(Errno::EINTR);
            }
            let mut pages = self.pages.lock();
            if matches!(pages.get(index), Slot::Hole) {
                if frames::check_unpromised().is_err() {
                    return Err(Errno::ENOSPC);
                }
                pages.put(index, Page::zeroed().map_err(|_| Errno::ENOSPC)?);
                pages.count += 1;
            }
        }
        Ok(())
    }

    /// Makes [from, to) a hole.
    fn punch(&self, from: u64, to: u64, id: usize) -> Result<(), Errno> {
        let (first, last) = (from.div_ceil(PAGE), to / PAGE);
        let clear = |start: u64, end: u64| {
            if start < end
                && let Some(page) = self.page(start / PAGE, true)?
            {
                let offset = (start % PAGE) as usize;
                page.clear(offset, offset + (end - start) as usize);
            }
            Ok::<_, Errno>(())
        };
        if first > last {
            // Inside of one page.
            return clear(from, to);
        }
        clear(from, first * PAGE)?;
        clear(last * PAGE, to)?;
        let middle = self.pages.lock().base_end();
        if last < middle {
            return self.blank(first, last);
        }
        if first < last {
            while self.pages.lock().adopt_some() {}
            let removed = self.pages.lock().remove(first, last);
            if self.mapped.load(Ordering::Acquire) {
                space().unmap_file(id, first, last, false);
            }
            drop(removed);
        }
        Ok(())
    }

    /// Zeroes the pages [first, last) where they cannot become holes: before the end of what comes from below.
    fn blank(&self, first: u64, last: u64) -> Result<(), Errno> {
        for index in first..last {
            let mut pages = self.pages.lock();
            match pages.get_to_write(index) {
                Slot::Page(page) => page.clear(0, FRAME),
                Slot::Below => {
                    if frames::check_unpromised().is_err() {
                        return Err(Errno::ENOSPC);
                    }
                    pages.put(index, Page::zeroed().map_err(|_| Errno::ENOSPC)?);
                }
                Slot::Hole => {}
            }
        }
        Ok(())
    }

    /// lseek's SEEK_DATA and SEEK_HOLE: the first position from `at` on that is one.
    ///
    /// # Errors
    /// ENXIO past the end.
    pub fn seek(&self, at: u64, hole: bool) -> Result<u64, Errno> {
        let size = self.size();
        if at >= size {
            return Err(Errno::ENXIO);
        }
        let end = size.div_ceil(PAGE);
        match self.pages.lock().find(at / PAGE, end, hole) {
            Some(index) => Ok(at.max(index * PAGE)),
            None if hole => Ok(size),
            None => Err(Errno::ENXIO),
        }
    }

    /// Whether page `index` is no hole.
    pub fn has_page(&self, index: u64) -> bool {
        matches!(self.pages.lock().get(index), Slot::Page(_))
    }

    /// As [`FileData::page_to_map`], of a page that is in memory.
    pub fn page_at_hand(&self, index: u64) -> Option<Page> {
        let mut pages = self.pages.lock();
        if index >= self.size().div_ceil(PAGE) {
            return None;
        }
        match pages.get(index) {
            Slot::Page(page) => Some(page),
            Slot::Hole | Slot::Below => None,
        }
    }

    /// The file will be mapped.
    pub fn set_mapped(&self) {
        self.mapped.store(true, Ordering::Release);
    }

    /// It will be written to by a shared mapping, which nobody sees.
    pub fn set_written_unseen(&self) {
        self.written_unseen.store(true, Ordering::Release);
    }

    /// Whether all that was written to it was noted.
    pub fn writes_are_seen(&self) -> bool {
        !self.written_unseen.load(Ordering::Acquire)
    }

    /// Page `index` for a mapping; a hole becomes a page. None past the end.
    ///
    /// # Errors
    /// ENOMEM; EIO, EACCES where it has to be fetched.
    pub fn page_to_map(&self, index: u64) -> Result<Option<Page>, Errno> {
        loop {
            let mut pages = self.pages.lock();
            if index >= self.size().div_ceil(PAGE) {
                return Ok(None);
            }
            match pages.get(index) {
                Slot::Page(page) => return Ok(Some(page)),
                Slot::Hole => {
                    let page = Page::zeroed_for_fault()?;
                    pages.put(index, page.clone());
                    pages.count += 1;
                    return Ok(Some(page));
                }
                Slot::Below => {}
            }
            drop(pages);
            self.fetch(index)?;
        }
    }
}

impl Default for FileData {
    fn default() -> Self {
        Self::new()
    }
}
