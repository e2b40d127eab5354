//! A standard stream that is a regular file on the host: `prog <in >out`.
//!
//! Position, size, O_APPEND and contents are the host's, shared with whoever has the same open file there: the shell's next
//! command goes on reading where this one stopped. What is written at the position goes through the stream's port like any
//! output, and is told to have failed at the next write; everything else is asked of the command and waits for its answer,
//! which comes when what was written before is in the file (drivers/files.rs).
//! Standard input is read ahead for programs that read little at a time; the host's position still moves by what the program
//! has read and no more (`Peek`, `Advance`), though not before it asks for something else, stops or ends.
//! Opened by name (/dev/stdout), it is another open file of the same file, as on Linux; its bytes travel as requests.
//! Locks: what was read ahead (sleeping), then those of drivers/files.rs.
use super::{FileOps, OpenFile, Stat, stdio};
use crate::drivers::{console, files};
use crate::memory::user::{self, UserIo};
use crate::sync::SleepMutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl::FIONREAD;
use ringo_abi::{Errno, SysResult};
use ringo_control::{FILE_READ_MAX, FILE_WRITE_MAX, FileStat, FileWork, Stream};

/// One open file of the host.
struct HostStream {
    handle: u32,
    /// Which stream it is; none if it was opened by name.
    stream: Option<Stream>,
    /// What is written at the position goes through this port; without one it goes as requests.
    port: Option<Stream>,
    /// What was read ahead, if that may be.
    ahead: Option<SleepMutex<Ahead>>,
}

#[derive(Default)]
struct Ahead {
    data: Vec<u8>,
    /// Bytes of it that the program has.
    used: usize,
    /// What was asked for last: doubled each time.
    window: usize,
    /// The file ended there.
    short: bool,
}

/// Reads of this size go past what is read ahead.
const LARGE: usize = 64 << 10;
const FIRST_WINDOW: usize = 16 << 10;
const LAST_WINDOW: usize = 128 << 10;

/// The open file of a stream, whose output goes through a port; with `waits` it does not. With `ahead` it is read ahead.
pub(super) fn open(stream: Stream, port: Stream, waits: bool, ahead: bool) -> Arc<dyn FileOps> {
    files::init();
    stdio::opened(port);
    Arc::new(HostStream {
        handle: stream as u32,
        stream: Some(port),
        port: (stream != Stream::Stdin && !waits).then_some(port),
        ahead: ahead.then(SleepMutex::default),
    })
}

fn buffer(length: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(length)
        .map_err(|_| Errno::ENOMEM)?;
    Ok(buffer)
}

/// Writes by requests, and waits for each to be done.
///
/// # Errors
/// The host's, EFAULT, ENOMEM; each only if nothing was written.
pub(super) fn write_all(handle: u32, io: &mut UserIo, offset: Option<u64>) -> SysResult {
    let mut data = buffer(io.remaining().min(FILE_WRITE_MAX))?;
    let mut done = 0;
    while io.remaining() > 0 {
        data.resize(io.remaining().min(FILE_WRITE_MAX), 0);
        let step = io.copy_in(&mut data).and_then(|count| {
            let work = FileWork::Write {
                offset: offset.map(|offset| offset.saturating_add(done as u64)),
                bytes: &data[..count],
            };
            files::ask(handle, work, &mut Vec::new()).map(|written| (written as usize, count))
        });
        match step {
            Ok((written, count)) => {
                done += written;
                if written < count {
                    break;
                }
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

impl HostStream {
    fn ask(&self, work: FileWork<'_>) -> Result<u64, Errno> {
        files::ask(self.handle, work, &mut Vec::new())
    }

    fn host_stat(&self) -> Result<FileStat, Errno> {
        let mut data = buffer(FileStat::LEN)?;
        files::ask(self.handle, FileWork::Stat, &mut data)?;
        FileStat::from_bytes(&data).ok_or(Errno::EIO)
    }

    /// Reads once; `data` has the bytes.
    fn read_once(&self, io: &mut UserIo, offset: Option<u64>, data: &mut Vec<u8>) -> SysResult {
        let length = io.remaining().min(FILE_READ_MAX) as u32;
        files::ask(self.handle, FileWork::Read { offset, length }, data)?;
        let result = io.copy_out(data);
        let copied = *result.as_ref().unwrap_or(&0);
        if copied < data.len() && offset.is_none() {
            // Bad memory: what did not arrive was not read.
            let back = -((data.len() - copied) as i64);
            self.ask(FileWork::Seek {
                offset: back,
                whence: abi::SEEK_CUR as u8,
            })?;
        }
        result
    }

    /// Reads without looking at what was read ahead.
    fn read_past(&self, io: &mut UserIo, offset: Option<u64>) -> SysResult {
        let mut data = buffer(io.remaining().min(FILE_READ_MAX))?;
        let mut done = 0;
        while io.remaining() > 0 {
            let wanted = io.remaining().min(FILE_READ_MAX);
            let at = offset.map(|offset| offset.saturating_add(done as u64));
            match self.read_once(io, at, &mut data) {
                Ok(count) => {
                    done += count;
                    if count < wanted {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Reads what was read ahead, and more of that.
    fn read_ahead(&self, ahead: &mut Ahead, io: &mut UserIo) -> SysResult {
        let mut done = 0;
        while io.remaining() > 0 {
            if ahead.used == ahead.data.len() {
                if done > 0 && ahead.short {
                    break;
                }
                match self.fetch(ahead) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(errno) if done == 0 => return Err(errno),
                    Err(_) => break,
                }
            }
            match io.copy_out(&ahead.data[ahead.used..]) {
                Ok(count) => {
                    ahead.used += count;
                    files::owe(count);
                    done += count;
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Reads ahead from the position on; gives how much is there.
    fn fetch(&self, ahead: &mut Ahead) -> SysResult {
        let window = (ahead.window * 2).clamp(FIRST_WINDOW, LAST_WINDOW);
        if ahead.data.capacity() < window {
            ahead.data = buffer(window)?;
        }
        ahead.used = 0;
        let length = window as u32;
        let result = files::ask(self.handle, FileWork::Peek { length }, &mut ahead.data);
        if result.is_err() {
            ahead.data.clear();
        }
        ahead.window = window;
        ahead.short = ahead.data.len() < window;
        result.map(|_| ahead.data.len())
    }
}

impl FileOps for HostStream {
    fn read(&self, _file: &OpenFile, io: &mut UserIo, offset: Option<u64>) -> SysResult {
        if let (Some(ahead), None) = (&self.ahead, offset) {
            let mut ahead = ahead.lock();
            if ahead.used < ahead.data.len() || io.remaining() < LARGE {
                return self.read_ahead(&mut ahead, io);
            }
            return self.read_past(io, None);
        }
        self.read_past(io, offset)
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, offset: Option<u64>) -> SysResult {
        if let (Some(port), None) = (self.port, offset) {
            return stdio::write(port, file, io);
        }
        write_all(self.handle, io, offset)
    }

    fn ioctl(&self, file: &OpenFile, request: u32, argument: usize) -> SysResult {
        match request {
            FIONREAD => {
                let left = self.host_stat()?.size.saturating_sub(self.position(file)?);
                user::write(argument, &(left.min(i32::MAX as u64) as u32)).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn seekable(&self) -> bool {
        true
    }

    fn seek(&self, _file: &OpenFile, offset: i64, whence: u32) -> SysResult {
        let whence = u8::try_from(whence).map_err(|_| Errno::EINVAL)?;
        let mut ahead = self.ahead.as_ref().map(SleepMutex::lock);
        if let Some(ahead) = &mut ahead {
            **ahead = Ahead::default();
        }
        self.ask(FileWork::Seek { offset, whence })
            .map(|at| at as usize)
    }

    fn position(&self, file: &OpenFile) -> Result<u64, Errno> {
        self.seek(file, 0, abi::SEEK_CUR).map(|at| at as u64)
    }

    fn set_position(&self, file: &OpenFile, at: u64) -> Result<(), Errno> {
        let at = i64::try_from(at).map_err(|_| Errno::EINVAL)?;
        self.seek(file, at, abi::SEEK_SET).map(drop)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let stat = self.host_stat()?;
        Ok(Stat {
            device: stat.dev,
            inode: stat.ino,
            mode: stat.mode as u32,
            links: stat.nlink as u32,
            uid: stat.uid as u32,
            gid: stat.gid as u32,
            size: stat.size,
            blocks: stat.blocks,
            block_size: stat.blksize as u32,
            atime: stat.times[0],
            mtime: stat.times[1],
            ctime: stat.times[2],
            ..Stat::default()
        })
    }

    fn truncate(&self, length: u64) -> Result<(), Errno> {
        self.ask(FileWork::Truncate(length)).map(drop)
    }

    fn allocate(&self, mode: u32, offset: u64, length: u64) -> Result<(), Errno> {
        self.ask(FileWork::Allocate {
            mode,
            offset,
            length,
        })
        .map(drop)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.ask(FileWork::Sync)?;
        let failed = self
            .port
            .and_then(|port| console()?.output(port).take_error());
        failed.map_or(Ok(()), Err)
    }

    fn set_flags(&self, flags: u32) -> Result<(), Errno> {
        self.ask(FileWork::Append(flags & abi::O_APPEND != 0))
            .map(drop)
    }

    fn reopen(&self, _file: &OpenFile, flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
        let handle = self.ask(FileWork::Reopen { flags })?;
        Ok(Arc::new(Self {
            handle: u32::try_from(handle).map_err(|_| Errno::EIO)?,
            stream: None,
            port: None,
            ahead: None,
        }))
    }

    fn release(&self, _file: &OpenFile) {
        match self.stream {
            Some(port) => stdio::closed(port),
            None => files::send(self.handle, FileWork::Close),
        }
    }

    fn name(&self) -> Vec<u8> {
        let name = match self.handle {
            0 => "/dev/stdin",
            2 => "/dev/stderr",
            _ => "/dev/stdout",
        };
        name.as_bytes().to_vec()
    }
}
