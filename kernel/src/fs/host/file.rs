//! Regular files of the host: opened at the first read, read in windows.
//!
//! A file that is read from front to back is read in windows that double, up to 512 KiB; elsewhere 64 KiB come with the
//! page that is asked for, and small files come together ([`read_together`]). The device writes the data straight into the
//! frames that become the file's pages.
use super::client::{Batch, Client, Fid};
use crate::fs::lower::LowerFile;
use crate::memory::frames::{self, FRAME};
use crate::memory::page::Page;
use crate::sync::{SleepGuard, SleepMutex};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
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
    /// Whether `fid` is open; changed under the lock.
    open: AtomicBool,
    opening: SleepMutex<()>,
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
            open: AtomicBool::new(false),
            opening: SleepMutex::new(()),
            next: AtomicU64::new(0),
            window: AtomicU32::new(SMALLEST),
        }
    }

    fn open_request(&self) -> Open {
        Open {
            fid: self.fid.number(),
            flags: abi::O_RDONLY,
        }
    }

    /// Reads a block of frames from page `index` on: as many pages as hold what was wanted.
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
            let more = received(&mut batch, number, &request)?;
            if more.is_empty() {
                // The file is shorter than it was, or the host gives it in crumbs.
                return if pages.is_empty() {
                    Err(Errno::EIO)
                } else {
                    Ok(pages)
                };
            }
            done += more.len() * FRAME;
            pages.extend(more);
        }
        Ok(pages)
    }
}

/// The whole pages that came for a request, or all of them, with zeros behind the end.
fn received(batch: &mut Batch, number: usize, request: &Read) -> Result<Vec<Page>, Errno> {
    let got = batch.reply(number, request)?;
    let data = batch.take_data(number).ok_or(Errno::EIO)?;
    let all = got == request.count;
    let got = got as usize;
    let whole = if all {
        got.div_ceil(FRAME)
    } else {
        got / FRAME
    };
    let pages: Vec<Page> = data.into_pages().take(whole).collect();
    if all && let Some(page) = pages.last() {
        page.clear((got - 1) % FRAME + 1, FRAME);
    }
    Ok(pages)
}

/// Opens the files, all of this client's, and reads the small ones whole.
pub fn read_together(
    client: &'static Client,
    files: &[&dyn LowerFile],
) -> Vec<Result<Vec<Page>, Errno>> {
    fn of_host(file: &dyn LowerFile) -> Option<&HostFile> {
        (file as &dyn Any).downcast_ref()
    }
    let mut files: Vec<Reading> = files
        .iter()
        .map(|file| Reading::new(of_host(*file)))
        .collect();
    let outcome = open_all(client, &mut files).and_then(|()| read_all(client, &mut files));
    files
        .into_iter()
        .map(|reading| match outcome {
            Ok(()) => reading.pages,
            Err(errno) => Err(errno),
        })
        .collect()
}

/// One of the files that are read together.
struct Reading<'a> {
    file: Option<&'a HostFile>,
    /// While it is being opened.
    opening: Option<SleepGuard<'a, ()>>,
    /// Its request in the batch.
    number: usize,
    pages: Result<Vec<Page>, Errno>,
}

impl<'a> Reading<'a> {
    fn new(file: Option<&'a HostFile>) -> Self {
        Self {
            file,
            opening: None,
            number: 0,
            pages: Ok(Vec::new()),
        }
    }
}

fn open_all(client: &'static Client, files: &mut [Reading]) -> Result<(), Errno> {
    let mut batch = client.batch();
    for reading in files.iter_mut() {
        if let Some(file) = reading.file
            && !file.is_open()
            // One that somebody else opens just now does that alone.
            && let Some(opening) = file.opening.try_lock()
            && !file.is_open()
        {
            reading.number = batch.add(&file.open_request())?;
            reading.opening = Some(opening);
        }
    }
    batch.send()?;
    for reading in files {
        if let Some(file) = reading.file
            && let Some(_opening) = reading.opening.take()
        {
            match batch.reply(reading.number, &file.open_request()) {
                Ok(_) => file.open.store(true, Ordering::Release),
                Err(errno) => reading.pages = Err(errno),
            }
        }
    }
    Ok(())
}

fn read_all(client: &'static Client, files: &mut [Reading]) -> Result<(), Errno> {
    let mut batch = client.batch();
    let mut requests: Vec<(usize, usize, Read)> = Vec::new();
    for (index, reading) in files.iter().enumerate() {
        if let Some(file) = reading.file
            && file.is_open()
            && (1..=u64::from(SMALLEST) * FRAME as u64).contains(&file.size)
        {
            let request = Read {
                fid: file.fid.number(),
                offset: 0,
                count: file.size as u32,
            };
            requests.push((index, batch.add_read(&request)?, request));
        }
    }
    batch.send()?;
    for (index, number, request) in requests {
        // What cannot be read now fails when it is wanted.
        if let Ok(pages) = received(&mut batch, number, &request) {
            files[index].pages = Ok(pages);
        }
    }
    Ok(())
}

impl LowerFile for HostFile {
    fn open(&self) -> Result<(), Errno> {
        let _one = self.opening.lock();
        if self.is_open() {
            return Ok(());
        }
        let request = self.open_request();
        let mut batch = self.client.batch();
        let index = batch.add(&request)?;
        batch.send()?;
        batch.reply(index, &request)?;
        self.open.store(true, Ordering::Release);
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
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
