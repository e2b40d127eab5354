//! The bytes of a regular file.
//!
//! Pages by index in chunks of 64, absent ones being holes. A reader or writer takes a page's reference under a spin lock
//! and copies without it, so a copy may fault, even in a mapping of this very file. Writers, truncation and allocation
//! are one at a time (`writers`), which makes O_APPEND atomic; readers wait for nobody.
//! The size changes under the pages' lock, so a fault beyond a truncated end cannot bring a page back.
//! Lock order: position of the open file, `writers`, the address space, `pages`, frames.
//! Cost: O(log chunks) a page.
use super::seals::{self, Seals};
use crate::memory::frames::{self, FRAME};
use crate::memory::page::Page;
use crate::memory::space::space;
use crate::memory::user::UserIo;
use crate::sync::{SleepMutex, SpinLock};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

const CHUNK: usize = 64;
/// The largest size (MAX_LFS_FILESIZE).
const MAX_SIZE: u64 = i64::MAX as u64;
const PAGE: u64 = FRAME as u64;

type Chunk = [Option<Page>; CHUNK];

/// Page-aligned bytes in the bundle, which become the file's pages as they are asked for.
struct Base {
    phys: usize,
    pages: u64,
}

struct Pages {
    chunks: BTreeMap<u64, Box<Chunk>>,
    base: Base,
    /// Pages that are not holes.
    count: u64,
}

/// See the module's head.
pub struct FileData {
    size: AtomicU64,
    pages: SpinLock<Pages>,
    writers: SleepMutex<()>,
    /// Was ever mapped: truncation has to look.
    mapped: AtomicBool,
    seals: Seals,
}

fn split(index: u64) -> (u64, usize) {
    (index / CHUNK as u64, (index % CHUNK as u64) as usize)
}

impl Pages {
    fn get(&mut self, index: u64) -> Option<Page> {
        let (chunk, slot) = split(index);
        if let Some(page) = self
            .chunks
            .get(&chunk)
            .and_then(|chunk| chunk[slot].as_ref())
        {
            return Some(page.clone());
        }
        if index >= self.base.pages {
            return None;
        }
        let page = Page::adopt(self.base.phys + index as usize * FRAME)?;
        self.put(index, page.clone());
        Some(page)
    }

    /// Puts a page where none is.
    fn put(&mut self, index: u64, page: Page) {
        let (chunk, slot) = split(index);
        let chunk = self
            .chunks
            .entry(chunk)
            .or_insert_with(|| Box::new([const { None }; CHUNK]));
        chunk[slot] = Some(page);
    }

    /// Takes the pages of [from, to) out. The whole chunks among them are given to the caller, to be freed outside of the
    /// lock.
    fn remove(&mut self, from: u64, to: u64) -> BTreeMap<u64, Box<Chunk>> {
        // What was not adopted so far is adopted to be freed.
        for index in from..to.min(self.base.pages) {
            drop(self.get(index));
        }
        if to >= self.base.pages {
            self.base.pages = self.base.pages.min(from);
        }
        let (first, slot) = split(from);
        let (last, end) = split(to);
        for (chunk, slots) in [
            (first, slot..if first == last { end } else { CHUNK }),
            (last, 0..if first == last { 0 } else { end }),
        ] {
            if let Some(chunk) = self.chunks.get_mut(&chunk) {
                for page in &mut chunk[slots] {
                    self.count -= u64::from(page.take().is_some());
                }
            }
        }
        let whole = if slot == 0 { first } else { first + 1 };
        if whole >= last {
            return BTreeMap::new();
        }
        let mut removed = self.chunks.split_off(&whole);
        let mut rest = removed.split_off(&last);
        self.chunks.append(&mut rest);
        for chunk in removed.values() {
            self.count -= chunk.iter().flatten().count() as u64;
        }
        removed
    }

    /// A hole cannot be told from a page of the bundle that was not asked for yet: asks for all.
    fn adopt_all(&mut self) {
        for index in 0..self.base.pages {
            drop(self.get(index));
        }
        self.base.pages = 0;
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        for index in 0..self.base.pages {
            let (chunk, slot) = split(index);
            if self
                .chunks
                .get(&chunk)
                .is_none_or(|chunk| chunk[slot].is_none())
            {
                drop(Page::adopt(self.base.phys + index as usize * FRAME));
            }
        }
    }
}

impl FileData {
    /// An empty file.
    pub const fn new() -> Self {
        Self::in_bundle(0, 0)
    }

    /// `size` bytes at `phys`, page-aligned, which are nobody else's, with zeros up to the page's end.
    pub const fn in_bundle(phys: usize, size: u64) -> Self {
        let pages = size.div_ceil(PAGE);
        Self {
            size: AtomicU64::new(size),
            pages: SpinLock::new(Pages {
                chunks: BTreeMap::new(),
                base: Base { phys, pages },
                count: pages,
            }),
            writers: SleepMutex::new(()),
            mapped: AtomicBool::new(false),
            seals: Seals::none(),
        }
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
    /// EFAULT.
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
            let page = self.pages.lock().get(position / PAGE);
            let result = match page {
                Some(page) => page.copy_out(offset, wanted, io),
                None => io.zero(wanted),
            };
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
    /// EFAULT, ENOSPC, EFBIG, EPERM (sealed).
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
            self.clear_tail(size);
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
        let page = self.pages.lock().get(index);
        if let Some(page) = page {
            return page.copy_in(offset, wanted, io);
        }
        if frames::check_spare().is_err() {
            return Err(Errno::ENOSPC);
        }
        // Nobody sees the new page before it is filled.
        let fresh = Page::uninit().map_err(|_| Errno::ENOSPC)?;
        let got = fresh.copy_in(offset, wanted, io)?;
        fresh.clear(0, offset);
        fresh.clear(offset + got, FRAME);
        let mut pages = self.pages.lock();
        match pages.get(index) {
            None => {
                pages.put(index, fresh);
                pages.count += 1;
            }
            // A mapping of the file touched the hole meanwhile.
            Some(page) => {
                let mut bytes = [0; 64];
                for start in (offset..offset + got).step_by(bytes.len()) {
                    let bytes = &mut bytes[..(offset + got - start).min(64)];
                    fresh.read(start, bytes);
                    page.write(start, bytes);
                }
            }
        }
        Ok(got)
    }

    /// Zeroes what a mapping may have written behind the end, before the file grows over it.
    fn clear_tail(&self, size: u64) {
        let offset = (size % PAGE) as usize;
        if offset != 0
            && let Some(page) = self.pages.lock().get(size / PAGE)
        {
            page.clear(offset, FRAME);
        }
    }

    /// ftruncate(2). `id` is the map source's.
    ///
    /// # Errors
    /// EFBIG, EPERM (sealed).
    pub fn truncate(&self, length: u64, id: usize) -> Result<(), Errno> {
        if length > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _writers = self.writers.lock();
        let size = self.size();
        if length > size {
            self.seals.forbid(abi::F_SEAL_GROW)?;
            self.clear_tail(size);
            let _pages = self.pages.lock();
            self.size.store(length, Ordering::Release);
        } else if length < size {
            self.seals.forbid(abi::F_SEAL_SHRINK)?;
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
            self.clear_tail(length);
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
                self.punch(offset, end, id);
                return Ok(());
            }
            _ => return Err(Errno::EOPNOTSUPP),
        }
        if !keep_size && end > self.size() {
            self.seals.forbid(abi::F_SEAL_GROW)?;
            self.clear_tail(self.size());
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
            let mut pages = self.pages.lock();
            if pages.get(index).is_none() {
                if frames::check_spare().is_err() {
                    return Err(Errno::ENOSPC);
                }
                pages.put(index, Page::zeroed().map_err(|_| Errno::ENOSPC)?);
                pages.count += 1;
            }
        }
        Ok(())
    }

    /// Makes [from, to) a hole.
    fn punch(&self, from: u64, to: u64, id: usize) {
        let (first, last) = (from.div_ceil(PAGE), to / PAGE);
        let clear = |start: u64, end: u64| {
            if start < end
                && let Some(page) = self.pages.lock().get(start / PAGE)
            {
                let offset = (start % PAGE) as usize;
                page.clear(offset, offset + (end - start) as usize);
            }
        };
        if first > last {
            // Inside of one page.
            clear(from, to);
            return;
        }
        clear(from, first * PAGE);
        clear(last * PAGE, to);
        if first < last {
            let removed = {
                let mut pages = self.pages.lock();
                pages.adopt_all();
                pages.remove(first, last)
            };
            if self.mapped.load(Ordering::Acquire) {
                space().unmap_file(id, first, last, false);
            }
            drop(removed);
        }
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
        let mut pages = self.pages.lock();
        let mut index = at / PAGE;
        while index * PAGE < size {
            let (chunk, slot) = split(index);
            let absent = index >= pages.base.pages && !pages.chunks.contains_key(&chunk);
            if absent && !hole {
                // The next chunk there is.
                match pages.chunks.range(chunk..).next() {
                    Some((&next, _)) => index = next * CHUNK as u64,
                    None => break,
                }
                continue;
            }
            let _ = slot;
            if (absent || pages.get(index).is_none()) == hole {
                return Ok(at.max(index * PAGE));
            }
            index += 1;
        }
        if hole { Ok(size) } else { Err(Errno::ENXIO) }
    }

    /// The file will be mapped.
    pub fn set_mapped(&self) {
        self.mapped.store(true, Ordering::Release);
    }

    /// The frame of page `index` for a mapping, retained; a hole becomes a page. None past the end.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn frame(&self, index: u64) -> Result<Option<usize>, Errno> {
        let mut pages = self.pages.lock();
        if index >= self.size().div_ceil(PAGE) {
            return Ok(None);
        }
        if let Some(page) = pages.get(index) {
            return Ok(Some(page.into_phys()));
        }
        if frames::check_spare().is_err() {
            return Err(Errno::ENOMEM);
        }
        let page = Page::zeroed()?;
        pages.put(index, page.clone());
        pages.count += 1;
        Ok(Some(page.into_phys()))
    }
}

impl Default for FileData {
    fn default() -> Self {
        Self::new()
    }
}
