//! An open end of a pair: the file, and what ioctl(2) asks of it (ioctl_tty(2)).
use super::{End, Pair, READABLE, SLAVES, WRITABLE, open_slave};
use crate::fs::{
    Dentry, FileOps, OpenFile, PollEvents, PollQueue, Stat, dev, fd, notify, terminal,
};
use crate::memory::user::{self, UserIo};
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl;
use ringo_abi::{Errno, SysResult};

impl End {
    /// What only the master knows.
    fn master_ioctl(&self, request: u32, argument: usize) -> SysResult {
        let pair = &self.pair;
        match request {
            ioctl::TIOCGPTN => user::write(argument, &pair.number).map(|()| 0),
            ioctl::TIOCSPTLCK => {
                pair.state.lock().locked = user::read::<i32>(argument)? != 0;
                Ok(0)
            }
            ioctl::TIOCGPTLCK => {
                let locked = i32::from(pair.state.lock().locked);
                user::write(argument, &locked).map(|()| 0)
            }
            ioctl::TIOCGPTPEER => {
                let flags = argument as u32;
                let name = alloc::format!("{}", pair.number);
                let entry = terminal::directory()?.lookup(name.as_bytes())?;
                let device = dev::number(SLAVES, pair.number.into());
                let ops = open_slave(device, entry.ok_or(Errno::EIO)?)?;
                let file = OpenFile::new(ops, flags & !(abi::O_CLOEXEC | abi::O_NOCTTY));
                fd::install(file, flags & abi::O_CLOEXEC != 0).map(|fd| fd as usize)
            }
            // The group in the foreground: none.
            ioctl::TIOCGPGRP => user::write(argument, &0i32).map(|()| 0),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn flush(&self, queue: usize) -> SysResult {
        if queue > 2 {
            return Err(Errno::EINVAL);
        }
        // What one end reads is what the other wrote.
        let (read, written) = (queue != 1, queue != 0);
        let (typed, shown) = match self.is_master {
            true => (written, read),
            false => (read, written),
        };
        self.pair.state.lock().line.flush(typed, shown);
        self.pair.master.wake(WRITABLE);
        self.pair.slave.wake(WRITABLE);
        Ok(0)
    }
}

impl FileOps for End {
    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        match self.is_master {
            true => self.pair.read_master(io, file.nonblocking()),
            false => self.pair.read_slave(io, file.nonblocking()),
        }
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        match self.is_master {
            true => self.pair.write_master(io, file.nonblocking()),
            false => self.pair.write_slave(io, file.nonblocking()),
        }
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let state = self.pair.state.lock();
        let mut events = PollEvents::empty();
        if self.is_master {
            events.set(READABLE, state.line.shown() > 0);
            events.set(WRITABLE, state.line.typing_room() > 0);
            events.set(PollEvents::HUP, Pair::is_left(&state));
        } else if state.master {
            events.set(READABLE, state.line.is_readable());
            events.set(WRITABLE, state.line.writing_room());
        } else {
            events = READABLE | WRITABLE | PollEvents::ERR | PollEvents::HUP;
        }
        events
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(match self.is_master {
            true => &self.pair.master.poll,
            false => &self.pair.slave.poll,
        })
    }

    fn ioctl(&self, _file: &OpenFile, request: u32, argument: usize) -> SysResult {
        let pair = &self.pair;
        if !self.is_master && !pair.state.lock().master {
            return Err(match request {
                ioctl::TIOCSPGRP => Errno::ENOTTY,
                _ => Errno::EIO,
            });
        }
        match request {
            ioctl::TCGETS => {
                let termios = pair.state.lock().line.termios();
                user::copy_out(argument, &termios.0).map(|()| 0)
            }
            ioctl::TCGETS2 => {
                let termios = pair.state.lock().line.termios();
                user::copy_out(argument, &terminal::termios2(termios)).map(|()| 0)
            }
            ioctl::TCSETS | ioctl::TCSETSW => pair.set(argument, false, false),
            ioctl::TCSETSF => pair.set(argument, true, false),
            ioctl::TCSETS2 | ioctl::TCSETSW2 => pair.set(argument, false, true),
            ioctl::TCSETSF2 => pair.set(argument, true, true),
            ioctl::TIOCGWINSZ => {
                let size = pair.state.lock().size;
                user::write(argument, &size).map(|()| 0)
            }
            ioctl::TIOCSWINSZ => {
                let size = user::read(argument)?;
                pair.state.lock().size = size;
                Ok(0)
            }
            ioctl::TCFLSH => self.flush(argument),
            ioctl::TCXONC => {
                match argument {
                    0 | 1 => pair.state.lock().line.stop(argument == 0),
                    2 | 3 => return Ok(0),
                    _ => return Err(Errno::EINVAL),
                }
                pair.slave.wake(WRITABLE);
                Ok(0)
            }
            ioctl::TCSBRK | ioctl::TCSBRKP => Ok(0),
            ioctl::FIONREAD => {
                let state = pair.state.lock();
                let count = match self.is_master {
                    true => state.line.shown(),
                    false => state.line.readable(),
                };
                drop(state);
                user::write(argument, &(count as u32)).map(|()| 0)
            }
            ioctl::TIOCOUTQ => user::write(argument, &0u32).map(|()| 0),
            ioctl::TIOCSCTTY => Err(Errno::EPERM),
            _ if self.is_master => self.master_ioctl(request, argument),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(self.dentry.inode.stat())
    }

    fn dentry(&self) -> Option<Arc<Dentry>> {
        Some(self.dentry.clone())
    }

    fn release(&self, file: &OpenFile) {
        self.dentry.inode.locks.file_released(file);
        notify::closed(&self.dentry, file);
        self.pair.release(self.is_master);
    }

    fn name(&self) -> Vec<u8> {
        self.dentry.shown_path()
    }
}
