//! Regular files of the host: opened at the first read, read in windows.
//!
//! A file that is read from front to back is read in windows that double, up to 512 KiB; elsewhere 64 KiB come with the
//! page that is asked for. The device writes the data straight into the frames that become the file's pages.
use super::client::{Client, Fid};
use crate::fs::lower::LowerFile;
use crate::memory::frames::{self, FRAME};
use crate::memory::page::Page;
use crate::sync::SleepMutex;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;
use ringo_ninep::{Attributes, Open, Read};

/// Pages of the smallest and of the largest window.
const SMALLEST: u32 = 16;
const LARGEST: u32 = 128;

/// See the module's head.
pub struct HostFile {
    client: &'static Client,
    fid: Fid,
    size: u64,
    blocks: u64,
    /// Whether `fid` is open.
    open: SleepMutex<bool>,
    /// The page behind the last window: a miss there goes on reading.
    next: AtomicU64,
    /// Pages of the last window.
    window: AtomicU32,
}

impl HostFile {
    /// The file that `fid` stands for.
    pub fn new(client: &'static Client, fid: Fid, attributes: &Attributes) -> Self {
        Self {
            client,
            fid,
            size: attributes.size,
            blocks: attributes.blocks,
            open: SleepMutex::new(false),
            next: AtomicU64::new(0),
            window: AtomicU32::new(SMALLEST),
        }
    }

    /// Fills a block of frames from page `index` on; as many pages as hold what was wanted.
    fn read_block(&self, index: u64, count: usize) -> Result<Vec<Page>, Errno> {
        let from = index * FRAME as u64;
        let wanted = (self.size.saturating_sub(from)).min((count * FRAME) as u64) as usize;
        let mut done = 0;
        let mut pages = Vec::with_capacity(count);
        // More than one turn only if the host gives less than there is.
        while done < wanted {
            let request = Read {
                fid: self.fid.number(),
                offset: from + done as u64,
                count: (wanted - done) as u32,
            };
            let mut batch = self.client.batch();
            let number = batch.add_read(&request)?;
            batch.send()?;
            let got = batch.reply(number, &request)? as usize;
            let data = batch.take_data(number).ok_or(Errno::EIO)?;
            // Whole pages of it, or all.
            let last = done + got == wanted;
            let whole = if last {
                got.div_ceil(FRAME)
            } else {
                got / FRAME
            };
            if whole == 0 {
                // The file is shorter than it was, or the host gives it in crumbs.
                return if pages.is_empty() {
                    Err(Errno::EIO)
                } else {
                    Ok(pages)
                };
            }
            pages.extend(data.into_pages().take(whole));
            if last && let Some(page) = pages.last() {
                page.clear((done + got - 1) % FRAME + 1, FRAME);
            }
            done += if last { got } else { whole * FRAME };
        }
        Ok(pages)
    }
}

impl LowerFile for HostFile {
    fn open(&self) -> Result<(), Errno> {
        let mut open = self.open.lock();
        if *open {
            return Ok(());
        }
        let request = Open {
            fid: self.fid.number(),
            flags: abi::O_RDONLY,
        };
        let mut batch = self.client.batch();
        let index = batch.add(&request)?;
        batch.send()?;
        batch.reply(index, &request)?;
        *open = true;
        Ok(())
    }

    fn window(&self, index: u64) -> usize {
        let goes_on = self.next.load(Ordering::Relaxed) == index;
        let pages = match goes_on {
            true => (self.window.load(Ordering::Relaxed) * 2).min(LARGEST),
            false => SMALLEST,
        };
        self.window.store(pages, Ordering::Relaxed);
        pages as usize
    }

    fn read(&self, index: u64, count: usize) -> Result<Vec<Page>, Errno> {
        let most = (self.client.data_max() / FRAME).min(LARGEST as usize);
        // A small machine, or one short of memory, reads less ahead.
        let room = (frames::counts().0 / 16).max(1);
        let mut count = count.min(most).min(room).max(1);
        loop {
            match self.read_block(index, count) {
                // No such block of frames: a smaller one.
                Err(Errno::ENOMEM) if count > 1 => count /= 2,
                Ok(pages) => {
                    self.next
                        .store(index + pages.len() as u64, Ordering::Relaxed);
                    return Ok(pages);
                }
                Err(errno) => return Err(errno),
            }
        }
    }

    fn blocks(&self) -> u64 {
        self.blocks
    }
}
