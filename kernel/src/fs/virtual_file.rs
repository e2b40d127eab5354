//! Open files of /proc and /sys: the text is made at the first read and stays the same for the reads after it, until one
//! starts at the beginning again (as seq_file does it in Linux).
use super::inode::Content;
use super::text::Text;
use super::{Dentry, FileOps, OpenFile, Stat};
use crate::memory::user::UserIo;
use crate::sync::SleepMutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// See the module's head.
pub struct VirtualFile {
    dentry: Arc<Dentry>,
    text: SleepMutex<Option<Text>>,
}

impl VirtualFile {
    /// The open file of this name.
    pub fn new(dentry: Arc<Dentry>) -> Self {
        Self {
            dentry,
            text: SleepMutex::new(None),
        }
    }

    fn read_at(&self, io: &mut UserIo, offset: u64) -> SysResult {
        let Content::Virtual(content) = &self.dentry.inode.content else {
            return Err(Errno::EIO);
        };
        let mut text = self.text.lock();
        if offset == 0 || text.is_none() {
            *text = Some(content.text()?);
        }
        text.as_ref()
            .map_or(Ok(0), |text| text.copy_out(offset, io))
    }
}

impl FileOps for VirtualFile {
    fn read(&self, file: &OpenFile, io: &mut UserIo, offset: Option<u64>) -> SysResult {
        if let Some(offset) = offset {
            return self.read_at(io, offset);
        }
        let mut position = file.position.lock();
        let done = self.read_at(io, *position)?;
        *position += done as u64;
        Ok(done)
    }

    fn write(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        let Content::Virtual(content) = &self.dentry.inode.content else {
            return Err(Errno::EIO);
        };
        // No file takes more than a name or a number: what comes behind is taken along unread.
        let all = io.remaining();
        let mut text = [0; 256];
        let length = all.min(text.len());
        let got = io.copy_in(&mut text[..length])?;
        let stored = content.store(&text[..got])?;
        Ok(if stored == text.len() { all } else { stored })
    }

    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, file: &OpenFile, offset: i64, whence: u32) -> SysResult {
        let mut position = file.position.lock();
        let from = match whence {
            abi::SEEK_SET => 0,
            abi::SEEK_CUR => *position,
            _ => return Err(Errno::EINVAL),
        };
        let to = from
            .checked_add_signed(offset)
            .filter(|&to| to <= i64::MAX as u64)
            .ok_or(Errno::EINVAL)?;
        *position = to;
        Ok(to as usize)
    }

    fn truncate(&self, length: u64) -> Result<(), Errno> {
        self.dentry.set_size(length)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(self.dentry.inode.stat())
    }

    fn dentry(&self) -> Option<Arc<Dentry>> {
        Some(self.dentry.clone())
    }

    fn release(&self, file: &OpenFile) {
        self.dentry.inode.locks.file_released(file);
        super::notify::closed(&self.dentry, file);
    }

    fn name(&self) -> Vec<u8> {
        self.dentry.shown_path()
    }
}
