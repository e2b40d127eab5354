//! Devices without hardware: null(4), zero(4), full(4), random(4), tty(4), ptmx(4).
//!
//! A device file's open file is a [`Device`]: a small function a direction. Writing to /dev/null is as short as it gets:
//! no lock, no copy, no look at the bytes.
pub mod random;

use super::{Dentry, FileOps, OpenFile, Stat, memfd, pty};
use crate::memory::space::MapSource;
use crate::memory::user::{self, UserIo};
use crate::task::{self, rest};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::ioctl;
use ringo_abi::{Errno, SysResult};

/// makedev(3).
pub const fn number(major: u64, minor: u64) -> u64 {
    minor & 0xff | (major & 0xfff) << 8 | (minor & !0xff) << 12
}

/// The devices there are: name, number, permissions.
pub const DEVICES: &[(&str, u64, u32)] = &[
    ("null", number(1, 3), 0o666),
    ("zero", number(1, 5), 0o666),
    ("full", number(1, 7), 0o666),
    ("random", number(1, 8), 0o666),
    ("urandom", number(1, 9), 0o666),
    ("tty", number(5, 0), 0o666),
    ("ptmx", number(5, 2), 0o666),
];

struct Null(Arc<Dentry>);
struct Zero(Arc<Dentry>);
struct Full(Arc<Dentry>);
struct Random(Arc<Dentry>);

/// What an open file of device `number` does.
///
/// # Errors
/// ENXIO without such a device, or without a terminal for /dev/tty.
pub fn open(number: u64, dentry: &Arc<Dentry>, _flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
    const NULL: u64 = DEVICES[0].1;
    const ZERO: u64 = DEVICES[1].1;
    const FULL: u64 = DEVICES[2].1;
    const RANDOM: u64 = DEVICES[3].1;
    const URANDOM: u64 = DEVICES[4].1;
    const TTY: u64 = DEVICES[5].1;
    const PTMX: u64 = DEVICES[6].1;
    let dentry = dentry.clone();
    Ok(match number {
        NULL => Arc::new(Null(dentry)),
        ZERO => Arc::new(Zero(dentry)),
        FULL => Arc::new(Full(dentry)),
        RANDOM | URANDOM => Arc::new(Random(dentry)),
        TTY => return super::terminal::open_tty(false),
        PTMX => return pty::open_master(dentry),
        super::terminal::DEVICE if super::terminal::is_number(0) => {
            return super::terminal::open_tty(true);
        }
        _ => return pty::open_slave(number, dentry),
    })
}

/// The open file of /dev/null, for standard streams that are it.
///
/// # Errors
/// ENOENT if the tree has none.
pub fn open_null() -> Result<Arc<dyn FileOps>, Errno> {
    let path = b"/dev/null".to_vec();
    let null = super::walk::walk(super::tree::root(), path, super::walk::How::follow(true))?;
    Ok(Arc::new(Null(null.existing()?)))
}

/// What all of them have in common.
macro_rules! device {
    () => {
        fn seekable(&self) -> bool {
            true
        }

        fn seek(&self, _file: &OpenFile, _offset: i64, _whence: u32) -> SysResult {
            Ok(0)
        }

        fn stat(&self) -> Result<Stat, Errno> {
            Ok(self.0.inode.stat())
        }

        fn dentry(&self) -> Option<Arc<Dentry>> {
            Some(self.0.clone())
        }

        fn release(&self, file: &OpenFile) {
            self.0.inode.locks.file_released(file);
            super::notify::closed(&self.0, file);
        }

        fn name(&self) -> Vec<u8> {
            self.0.shown_path()
        }
    };
}

/// Zeros for the program. A signal ends it early, as on Linux: there is no end of them.
fn zeros(io: &mut UserIo) -> SysResult {
    let mut done = 0;
    while io.remaining() > 0 {
        let wanted = io.remaining().min(rest::BYTES);
        match io.zero(wanted) {
            Ok(count) => {
                done += count;
                if count < wanted || task::signal_pending() {
                    break;
                }
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

impl FileOps for Null {
    fn read(&self, _file: &OpenFile, _io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Ok(0)
    }

    fn write(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Ok(io.remaining())
    }

    device!();
}

impl FileOps for Zero {
    fn read(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        zeros(io)
    }

    fn write(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Ok(io.remaining())
    }

    /// Each shared mapping is a memory of its own.
    fn map_source(&self) -> Result<Arc<dyn MapSource>, Errno> {
        memfd::zeros()
    }

    device!();
}

/// Whether this is /dev/zero: a private mapping of it is anonymous memory.
pub fn is_zero(file: &OpenFile) -> bool {
    file.ops.downcast::<Zero>().is_some()
}

impl FileOps for Full {
    fn read(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        zeros(io)
    }

    fn write(&self, _file: &OpenFile, _io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Err(Errno::ENOSPC)
    }

    device!();
}

impl FileOps for Random {
    fn read(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        random::fill_user(io)
    }

    /// random(4): how many bits of entropy there are; who has the privilege may add to them, which changes nothing.
    fn ioctl(&self, _file: &OpenFile, request: u32, argument: usize) -> SysResult {
        match request {
            ioctl::RNDGETENTCNT => user::write(argument, &random::BITS).map(|()| 0),
            ioctl::RNDADDTOENTCNT
            | ioctl::RNDADDENTROPY
            | ioctl::RNDZAPENTCNT
            | ioctl::RNDCLEARPOOL
            | ioctl::RNDRESEEDCRNG => match task::credentials().privileged() {
                true => Ok(0),
                false => Err(Errno::EPERM),
            },
            _ => Err(Errno::EINVAL),
        }
    }

    /// What is written is taken for entropy; there is enough of it.
    fn write(&self, _file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        Ok(io.remaining())
    }

    device!();
}
