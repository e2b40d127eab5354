//! Standard streams that are regular files: what the program does with them besides writing at the position happens here, on
//! our own descriptors, so that the position, the flags and the size are those the shell's other programs see.
//!
//! A thread of its own, for a disk may be slow; the main thread goes on with signals. Requests are served in their order,
//! each when the outputs that are files have what the program wrote before.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use ringo_bundle::StreamKind;
use ringo_control::{FILE_READ_MAX, FileRequest, FileStat, FileWork, Stream, TTY_HANDLE, Written};
use rustix::fs::{FallocateFlags, Mode, OFlags, SeekFrom};
use rustix::io::Errno;

use super::control::Guest;
use super::streams::{Progress, until_passed};
use crate::host::descriptor;
use crate::terminal;

/// As many files the program may have opened anew at a time.
const REOPENED_MAX: usize = 1024;
/// As many requests may wait: the kernel waits for the answer to each but those that close a file or move a position.
const WAITING_MAX: usize = 4 * REOPENED_MAX;

/// A request, with bytes of its own.
struct Request {
    handle: u32,
    written: Written,
    work: Work,
}

enum Work {
    Write { offset: Option<u64>, bytes: Vec<u8> },
    Other(FileWork<'static>),
}

/// The thread, from the session's side.
pub struct Files(Option<(SyncSender<Request>, JoinHandle<()>)>);

impl Files {
    /// Starts it, if a stream is a regular file.
    pub fn start(
        kinds: [StreamKind; 3],
        outputs: Arc<[Progress; 2]>,
        guest: Arc<Guest>,
    ) -> io::Result<Files> {
        let is_file = kinds.map(|kind| kind == StreamKind::File);
        let stdin = descriptor(Stream::Stdin);
        let tty = match kinds[0] {
            StreamKind::Terminal(_) => Some(stdin),
            _ => terminal::controlling(),
        };
        if !is_file.contains(&true) && tty.is_none() {
            return Ok(Files(None));
        }
        let (sender, requests) = sync_channel(WAITING_MAX);
        let server = Server {
            is_file,
            tty,
            outputs,
            guest,
            reopened: BTreeMap::new(),
            next: TTY_HANDLE + 1,
        };
        let thread = thread::Builder::new()
            .name("files".into())
            .spawn(move || server.run(&requests))?;
        Ok(Files(Some((sender, thread))))
    }

    /// Waits until everything that was asked for has happened, when the VM has gone.
    pub fn finish(&mut self) {
        if let Some((sender, thread)) = self.0.take() {
            drop(sender);
            let _ = thread.join();
        }
    }

    /// Hands a request to the thread. False if more wait than a kernel in its senses sends: what the VM says must not take the
    /// host's memory.
    #[must_use]
    pub fn serve(&self, request: FileRequest<'_>) -> bool {
        let work = match request.work {
            FileWork::Write { offset, bytes } => Work::Write {
                offset,
                bytes: bytes.to_vec(),
            },
            FileWork::Read { offset, length } => Work::Other(FileWork::Read { offset, length }),
            FileWork::Peek { length } => Work::Other(FileWork::Peek { length }),
            FileWork::Advance(bytes) => Work::Other(FileWork::Advance(bytes)),
            FileWork::Seek { offset, whence } => Work::Other(FileWork::Seek { offset, whence }),
            FileWork::Stat => Work::Other(FileWork::Stat),
            FileWork::Truncate(length) => Work::Other(FileWork::Truncate(length)),
            FileWork::Allocate {
                mode,
                offset,
                length,
            } => Work::Other(FileWork::Allocate {
                mode,
                offset,
                length,
            }),
            FileWork::Sync => Work::Other(FileWork::Sync),
            FileWork::Append(on) => Work::Other(FileWork::Append(on)),
            FileWork::Reopen { flags } => Work::Other(FileWork::Reopen { flags }),
            FileWork::Close => Work::Other(FileWork::Close),
        };
        let Some((sender, _)) = &self.0 else {
            return true;
        };
        let request = Request {
            handle: request.handle,
            written: request.written,
            work,
        };
        sender.try_send(request).is_ok()
    }
}

struct Server {
    is_file: [bool; 3],
    /// The terminal that we are at.
    tty: Option<BorrowedFd<'static>>,
    outputs: Arc<[Progress; 2]>,
    guest: Arc<Guest>,
    /// What the program opened by its name in /dev/fd, by handle.
    reopened: BTreeMap<u32, OwnedFd>,
    next: u32,
}

impl Server {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut buffer = Vec::new();
        while let Ok(request) = requests.recv() {
            let outputs = self.outputs.iter().zip(request.written);
            for ((output, bytes), is_file) in outputs.zip(&self.is_file[1..]) {
                // One that is none may take nothing for ever (Ctrl-S), and is no part of the order.
                if *is_file {
                    until_passed(output, bytes);
                }
            }
            match request.work {
                Work::Other(FileWork::Close) => {
                    self.reopened.remove(&request.handle);
                    continue;
                }
                Work::Other(FileWork::Advance(bytes)) => {
                    self.advance(request.handle, bytes);
                    continue;
                }
                _ => {}
            }
            buffer.clear();
            let result = self.work(request.handle, &request.work, &mut buffer);
            let result = result.unwrap_or_else(|error| -i64::from(error.raw_os_error()));
            self.guest.answer(result, &buffer);
        }
    }

    fn descriptor(&self, handle: u32) -> Result<BorrowedFd<'_>, Errno> {
        match u8::try_from(handle).ok().and_then(Stream::from_u8) {
            Some(stream) if self.is_file[stream as usize] => Ok(descriptor(stream)),
            Some(_) => Err(Errno::BADF),
            None if handle == TTY_HANDLE => self.tty.ok_or(Errno::BADF),
            None => self
                .reopened
                .get(&handle)
                .map(|fd| fd.as_fd())
                .ok_or(Errno::BADF),
        }
    }

    fn advance(&self, handle: u32, bytes: u64) {
        if let (Ok(fd), Ok(bytes)) = (self.descriptor(handle), i64::try_from(bytes)) {
            // The bytes were there to be peeked at.
            let _ = rustix::fs::seek(fd, SeekFrom::Current(bytes));
        }
    }

    /// The system call's result; what it reads is put into `data`.
    fn work(&mut self, handle: u32, work: &Work, data: &mut Vec<u8>) -> Result<i64, Errno> {
        let fd = self.descriptor(handle)?;
        let done = match *work {
            Work::Write { offset, ref bytes } => retry(|| match offset {
                Some(offset) => rustix::io::pwrite(fd, bytes, offset),
                None => rustix::io::write(fd, bytes),
            })?,
            Work::Other(FileWork::Read { offset, length }) => {
                data.resize((length as usize).min(FILE_READ_MAX), 0);
                let done = retry(|| match offset {
                    Some(offset) => rustix::io::pread(fd, &mut data[..], offset),
                    None => rustix::io::read(fd, &mut data[..]),
                });
                data.truncate(done.unwrap_or(0));
                done?
            }
            Work::Other(FileWork::Peek { length }) => {
                data.resize((length as usize).min(FILE_READ_MAX), 0);
                let at = rustix::fs::seek(fd, SeekFrom::Current(0))?;
                let done = retry(|| rustix::io::pread(fd, &mut data[..], at));
                data.truncate(done.unwrap_or(0));
                done?
            }
            Work::Other(FileWork::Stat) => {
                data.extend_from_slice(&stat(fd)?.to_bytes());
                0
            }
            Work::Other(FileWork::Seek { offset, whence }) => {
                return seek(fd, offset, whence);
            }
            Work::Other(FileWork::Truncate(length)) => {
                rustix::fs::ftruncate(fd, length)?;
                0
            }
            Work::Other(FileWork::Allocate {
                mode,
                offset,
                length,
            }) => {
                let mode = FallocateFlags::from_bits_retain(mode);
                rustix::fs::fallocate(fd, mode, offset, length)?;
                0
            }
            Work::Other(FileWork::Sync) => {
                rustix::fs::fsync(fd)?;
                0
            }
            Work::Other(FileWork::Append(on)) => {
                let mut flags = rustix::fs::fcntl_getfl(fd)?;
                flags.set(OFlags::APPEND, on);
                rustix::fs::fcntl_setfl(fd, flags)?;
                0
            }
            Work::Other(FileWork::Reopen { flags }) => {
                let file = reopen(fd, OFlags::from_bits_retain(flags))?;
                if self.reopened.len() >= REOPENED_MAX {
                    return Err(Errno::MFILE);
                }
                let handle = self.next;
                // Handles are not given twice: a program would have to open files for years.
                self.next = self.next.checked_add(1).ok_or(Errno::MFILE)?;
                self.reopened.insert(handle, file);
                return Ok(handle.into());
            }
            Work::Other(FileWork::Write { .. } | FileWork::Close | FileWork::Advance(_)) => {
                return Err(Errno::INVAL);
            }
        };
        Ok(done as i64)
    }
}

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn seek(fd: BorrowedFd<'_>, offset: i64, whence: u8) -> Result<i64, Errno> {
    let from_start = || u64::try_from(offset);
    let to = match whence {
        0 => SeekFrom::Start(from_start().map_err(|_| Errno::INVAL)?),
        1 => SeekFrom::Current(offset),
        2 => SeekFrom::End(offset),
        3 => SeekFrom::Data(from_start().map_err(|_| Errno::NXIO)?),
        4 => SeekFrom::Hole(from_start().map_err(|_| Errno::NXIO)?),
        _ => return Err(Errno::INVAL),
    };
    rustix::fs::seek(fd, to).map(|at| at as i64)
}

/// open(2) of /dev/fd/N, which on Linux is the file anew, with a position of its own. As a security matter the program gets
/// no access that its descriptor has not, whatever the file's permissions say. Who may only write gets a file to write to
/// also when asking for both, as programs do that create their output: reading from it fails then (EBADF).
fn reopen(fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let has = rustix::fs::fcntl_getfl(fd)? & OFlags::ACCMODE;
    let wanted = flags & OFlags::ACCMODE;
    let given = match (has, wanted) {
        (OFlags::RDWR, _) => wanted,
        (OFlags::WRONLY, OFlags::RDWR) => has,
        _ if has == wanted => wanted,
        _ => return Err(Errno::ACCESS),
    };
    let mut allowed = OFlags::APPEND;
    if given != OFlags::RDONLY {
        allowed |= OFlags::TRUNC;
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(
        path,
        given | (flags & allowed) | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

fn stat(fd: BorrowedFd<'_>) -> Result<FileStat, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    let time = |seconds: i64, ns: u64| {
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(ns as i64)
    };
    Ok(FileStat {
        dev: stat.st_dev,
        ino: stat.st_ino,
        mode: stat.st_mode.into(),
        nlink: stat.st_nlink,
        uid: stat.st_uid.into(),
        gid: stat.st_gid.into(),
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        blksize: stat.st_blksize as u64,
        times: [
            time(stat.st_atime, stat.st_atime_nsec),
            time(stat.st_mtime, stat.st_mtime_nsec),
            time(stat.st_ctime, stat.st_ctime_nsec),
        ],
    })
}
