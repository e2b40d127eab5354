//! Open files and directories: a [`Dentry`] is what its own open file does, so that open(2) makes no object but the
//! description.
use super::data::FileData;
use super::seals;
use crate::fs::inode::Content;
use crate::fs::{Dentry, FileOps, OpenFile, Stat, cache, file, memfd, notify};
use crate::memory::frames::FRAME;
use crate::memory::page::Page;
use crate::memory::space::MapSource;
use crate::memory::user::{self, UserIo};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// The position of a directory's first entry, after "." and "..".
const FIRST_ENTRY: u64 = 2;
/// The largest position.
const MAX: u64 = i64::MAX as u64;

impl Dentry {
    fn data(&self) -> Result<&FileData, Errno> {
        match &self.inode.content {
            Content::File(data) => Ok(data),
            Content::Directory(_) => Err(Errno::EISDIR),
            Content::Virtual(_) if self.inode.is_directory() => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The data of what is at least a file in RAM, as memory files are.
    fn sealable(&self) -> Result<&FileData, Errno> {
        self.data().map_err(|_| Errno::EINVAL)
    }

    /// fcntl(F_ADD_SEALS).
    fn add_seals(&self, file: &OpenFile, asked: u32) -> Result<(), Errno> {
        const ALL_WRITES: u32 = abi::F_SEAL_SHRINK | abi::F_SEAL_GROW | seals::WRITES;
        let data = self.sealable()?;
        if !file.writable() {
            return Err(Errno::EPERM);
        }
        if asked & !seals::KNOWN != 0 {
            return Err(Errno::EINVAL);
        }
        // What can be executed for good may not change either.
        let executable = asked & abi::F_SEAL_EXEC != 0 && self.inode.mode() & 0o111 != 0;
        let implied = if executable { ALL_WRITES } else { 0 };
        data.add_seals(asked | implied, self.source_id())
    }

    /// Whether a shared mapping may write to it.
    pub fn allows_writing(&self) -> bool {
        self.data()
            .map_or(true, |data| data.seals().forbid(seals::WRITES).is_ok())
    }

    fn source_id(&self) -> usize {
        Arc::as_ptr(&self.inode) as usize
    }

    /// truncate(2), permissions checked.
    ///
    /// # Errors
    /// EISDIR, EINVAL, EFBIG, EPERM.
    pub fn set_size(&self, length: u64) -> Result<(), Errno> {
        if matches!(self.inode.content, Content::Virtual(_)) && !self.inode.is_directory() {
            // As on Linux: generated files have no size to change.
            return Ok(());
        }
        let data = self.data()?;
        if data.lower().is_some() {
            // The page at the new end comes with those around it.
            cache::keep_file(self);
        }
        data.truncate(length, self.source_id())?;
        self.inode.drop_set_id();
        self.inode.modified();
        notify::file(self, abi::IN_MODIFY);
        Ok(())
    }
}

impl FileOps for Dentry {
    fn read(&self, file: &OpenFile, io: &mut UserIo, offset: Option<u64>) -> SysResult {
        let data = self.data()?;
        let done = match offset {
            Some(offset) => data.read(io, offset)?,
            None => {
                let mut position = file.position.lock();
                let done = data.read(io, *position)?;
                *position += done as u64;
                done
            }
        };
        if file.flags() & abi::O_NOATIME == 0 {
            self.inode.accessed();
        }
        if done > 0 {
            notify::file(self, abi::IN_ACCESS);
        }
        Ok(done)
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, offset: Option<u64>) -> SysResult {
        let data = self.data()?;
        let appending = io.appending(file.appending());
        if io.remaining() == 0 {
            // Nothing moves the position to the end.
            return Ok(0);
        }
        let done = match offset {
            // As on Linux, O_APPEND goes before the offset.
            Some(offset) => data.write(io, (!appending).then_some(offset))?.0,
            None => {
                let mut position = file.position.lock();
                let (done, end) = data.write(io, (!appending).then_some(*position))?;
                *position = end;
                done
            }
        };
        if done > 0 {
            self.inode.drop_set_id();
            self.inode.modified();
            notify::file(self, abi::IN_MODIFY);
        }
        Ok(done)
    }

    fn ioctl(&self, file: &OpenFile, request: u32, argument: usize) -> SysResult {
        match (request, &self.inode.content) {
            (linux_raw_sys::ioctl::FIONREAD, Content::File(data)) => {
                let left = data.size().saturating_sub(*file.position.lock());
                user::write(argument, &(left.min(i32::MAX as u64) as u32))?;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn call_flags(&self, _writes: bool) -> u32 {
        if self.inode.is_directory() {
            file::LOOP_FLAGS
        } else {
            file::CALL_FLAGS
        }
    }

    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> SysResult {
        let mut position = file.position.lock();
        let from = match (whence, &self.inode.content) {
            (abi::SEEK_SET, _) => 0,
            (abi::SEEK_CUR, _) => *position,
            (abi::SEEK_END, Content::File(data)) => data.size(),
            (abi::SEEK_DATA | abi::SEEK_HOLE, Content::File(data)) => {
                let at = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                *position = data.seek(at, whence == abi::SEEK_HOLE)?;
                return Ok(*position as usize);
            }
            _ => return Err(Errno::EINVAL),
        };
        let to = from
            .checked_add_signed(offset)
            .filter(|&to| to <= MAX)
            .ok_or(Errno::EINVAL)?;
        *position = to;
        Ok(to as usize)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        match &self.inode.content {
            Content::Descriptor(file) => file.ops.stat(),
            _ => Ok(self.inode.stat()),
        }
    }

    fn getdents(&self, file: &OpenFile, buffer: usize, length: usize) -> SysResult {
        if !self.inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if self.is_deleted() {
            return Err(Errno::ENOENT);
        }
        self.list()?;
        let mut position = file.position.lock();
        if *position == 0 || file.directory_end.load(Ordering::Relaxed) == 0 {
            // As on Linux: who makes names while reading comes to an end all the same.
            let end = self.entries_end().saturating_add(FIRST_ENTRY);
            file.directory_end.store(end, Ordering::Relaxed);
        }
        let end = file.directory_end.load(Ordering::Relaxed);
        let mut out = Entries::new(length, end);
        while let Some(next) = out.next(self, *position)? {
            *position = next;
        }
        user::copy_out(buffer, &out.bytes)?;
        if file.flags() & abi::O_NOATIME == 0 {
            self.inode.accessed();
        }
        notify::file(self, abi::IN_ACCESS);
        Ok(out.bytes.len())
    }

    fn truncate(&self, length: u64) -> Result<(), Errno> {
        self.set_size(length)
    }

    fn allocate(&self, mode: u32, offset: u64, length: u64) -> Result<(), Errno> {
        let data = self.data().map_err(|errno| match errno {
            Errno::EISDIR => errno,
            _ => Errno::ENODEV,
        })?;
        data.allocate(mode, offset, length, self.source_id())?;
        self.inode.modified();
        notify::file(self, abi::IN_MODIFY);
        Ok(())
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn map_source(&self) -> Result<Arc<dyn MapSource>, Errno> {
        let data = self.data().map_err(|_| Errno::ENODEV)?;
        data.set_mapped();
        Ok(self.arc())
    }

    fn control(&self, file: &OpenFile, command: u32, argument: usize) -> SysResult {
        match command {
            abi::F_GETPIPE_SZ | abi::F_SETPIPE_SZ => Err(Errno::EBADF),
            abi::F_GET_SEALS => Ok(self.sealable()?.seals().get() as usize),
            abi::F_ADD_SEALS => self.add_seals(file, argument as u32).map(|()| 0),
            _ => Err(Errno::EINVAL),
        }
    }

    fn dentry(&self) -> Option<Arc<Dentry>> {
        Some(self.arc())
    }

    fn release(&self, file: &OpenFile) {
        self.inode.locks.file_released(file);
        notify::closed(self, file);
    }

    fn name(&self) -> Vec<u8> {
        self.shown_path()
    }
}

impl MapSource for Dentry {
    fn page(&self, index: u64) -> Result<Option<Page>, Errno> {
        self.data()?.page_to_map(index)
    }

    fn id(&self) -> usize {
        self.source_id()
    }

    fn name(&self) -> Vec<u8> {
        self.shown_path()
    }

    fn identity(&self) -> (u64, u64) {
        (self.inode.file_system.device, self.inode.number)
    }

    fn page_at_hand(&self, index: u64) -> Option<Page> {
        self.data().ok()?.page_at_hand(index)
    }

    fn is_over_lower(&self) -> bool {
        self.data().is_ok_and(|data| data.lower().is_some())
    }

    fn is_memory(&self) -> bool {
        memfd::holds(&self.inode)
    }

    fn resident(&self, index: u64) -> bool {
        self.data().is_ok_and(|data| data.has_page(index))
    }

    fn punch(&self, first: u64, count: u64) -> Result<(), Errno> {
        const HOW: u32 = abi::FALLOC_FL_PUNCH_HOLE | abi::FALLOC_FL_KEEP_SIZE;
        const PAGE: u64 = FRAME as u64;
        self.allocate(HOW, first * PAGE, count * PAGE)
    }
}

/// Records of getdents64(2) in a buffer.
struct Entries {
    bytes: Vec<u8>,
    room: usize,
    /// The position after the last entry to be told.
    end: u64,
}

impl Entries {
    fn new(length: usize, end: u64) -> Self {
        Self {
            bytes: Vec::new(),
            // Enough for one call; the rest comes with the next.
            room: length.min(32 << 10),
            end,
        }
    }

    /// Adds the entry at `position`; gives the position after it, or None at the end or when it does not fit.
    fn next(&mut self, directory: &Dentry, position: u64) -> Result<Option<u64>, Errno> {
        let (next, name, inode, kind) = match position {
            0 => (1, b".".to_vec(), directory.inode.number, abi::S_IFDIR),
            1 => (
                2,
                b"..".to_vec(),
                directory.parent().inode.number,
                abi::S_IFDIR,
            ),
            _ => match directory.entry(position - FIRST_ENTRY) {
                Some(entry) if entry.next + FIRST_ENTRY > self.end => return Ok(None),
                Some(entry) => (
                    entry.next + FIRST_ENTRY,
                    entry.name,
                    entry.inode,
                    entry.kind,
                ),
                None => return Ok(None),
            },
        };
        // struct linux_dirent64: number, position, length, type, name.
        let length = (19 + name.len() + 1).next_multiple_of(8);
        if self.bytes.len() + length > self.room {
            return if self.bytes.is_empty() {
                Err(Errno::EINVAL)
            } else {
                Ok(None)
            };
        }
        let end = self.bytes.len() + length;
        self.bytes.extend_from_slice(&inode.to_le_bytes());
        self.bytes.extend_from_slice(&next.to_le_bytes());
        self.bytes.extend_from_slice(&(length as u16).to_le_bytes());
        self.bytes.push((kind >> 12) as u8);
        self.bytes.extend_from_slice(&name);
        self.bytes.resize(end, 0);
        Ok(Some(next))
    }
}
