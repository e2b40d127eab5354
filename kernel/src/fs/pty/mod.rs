//! Pseudo-terminals (pty(7), ptmx(4), ioctl_tty(2)): pairs of a master, which /dev/ptmx makes, and a slave, /dev/pts/N.
//!
//! What is written to the master is typed at the slave, what is written to the slave can be read from the master; between
//! them is the slave's line discipline (line.rs); end.rs has the files. It is not the discipline of the command's terminal
//! (terminal.rs), which is the host's. No pair is anybody's controlling terminal: there is one session, whose terminal is
//! the command's or none, and it cannot be changed (TIOCSCTTY is EPERM), so that typed signals and changed sizes signal
//! nobody.
//! A slave whose master is gone is hung up: it reads the end, and refuses the rest with EIO.
//! Locks: `PAIRS` (sleeping: a directory is changed under it), then a pair's state, a spin lock; the program's memory is
//! copied without it.
mod end;
mod line;

use self::line::Line;
use super::inode::{Content, Inode, Owner};
use super::{Dentry, FileOps, PollEvents, PollQueue, ram, terminal};
use crate::memory::user::{self, UserIo};
use crate::sync::{SleepMutex, SpinLock, Wait, WaitQueue};
use crate::time;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};
use ringo_control::Termios;

/// The most pairs (/proc/sys/kernel/pty/max).
const MOST: u32 = 4096;
/// Bytes that go between the program and a pair at a time.
const PIECE: usize = 512;
/// The slaves' numbers among devices.
const SLAVES: u64 = 136;
/// Their inodes' begin here, as in Linux's devpts.
const FIRST_INODE: u64 = 3;
const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

static PAIRS: SleepMutex<BTreeMap<u32, Arc<Pair>>> = SleepMutex::new(BTreeMap::new());

struct State {
    line: Line,
    /// Rows, columns, and pixels of both.
    size: [u16; 4],
    /// TIOCSPTLCK: the slave cannot be opened yet.
    locked: bool,
    /// Whether the master is open, how often the slave is, and whether it ever was.
    master: bool,
    slaves: usize,
    seen: bool,
}

/// Who waits at an end.
#[derive(Default)]
struct Waiters {
    readers: WaitQueue,
    writers: WaitQueue,
    poll: PollQueue,
}

impl Waiters {
    fn wake(&self, events: PollEvents) {
        if events.intersects(READABLE) {
            self.readers.wake_all();
        }
        if events.intersects(WRITABLE) {
            self.writers.wake_all();
        }
        self.poll.notify(events);
    }
}

struct Pair {
    number: u32,
    state: SpinLock<State>,
    master: Waiters,
    slave: Waiters,
}

/// An open end.
struct End {
    pair: Arc<Pair>,
    is_master: bool,
    dentry: Arc<Dentry>,
}

/// Opens /dev/ptmx: a new pair's master.
///
/// # Errors
/// ENOSPC when there are too many, ENOMEM.
pub fn open_master(dentry: Arc<Dentry>) -> Result<Arc<dyn FileOps>, Errno> {
    let mut pairs = PAIRS.lock();
    let free = |number: &u32| !pairs.contains_key(number) && !terminal::is_number(*number);
    let number = (0..MOST).find(free).ok_or(Errno::ENOSPC)?;
    let pair = Arc::new(Pair {
        number,
        state: SpinLock::new(State {
            line: Line::new()?,
            size: [0; 4],
            locked: true,
            master: true,
            slaves: 0,
            seen: false,
        }),
        master: Waiters::default(),
        slave: Waiters::default(),
    });
    let owner = Owner {
        mode: abi::S_IFCHR | 0o620,
        uid: crate::task::credentials().file_ids().0,
        gid: terminal::GROUP,
    };
    let device = super::dev::number(SLAVES, u64::from(number));
    let inode = Inode::numbered(
        &terminal::DEVPTS,
        FIRST_INODE + u64::from(number),
        owner,
        Content::Device(device),
        0,
    );
    let name = alloc::format!("{number}");
    ram::create(&terminal::directory()?, name.as_bytes(), inode)?;
    pairs.insert(number, pair.clone());
    Ok(Arc::new(End {
        pair,
        is_master: true,
        dentry,
    }))
}

/// Opens a slave, if `device` is one's number.
///
/// # Errors
/// ENXIO if not; EIO while it is locked, or without its master.
pub fn open_slave(device: u64, dentry: Arc<Dentry>) -> Result<Arc<dyn FileOps>, Errno> {
    let found = (0..MOST).find(|&number| super::dev::number(SLAVES, number.into()) == device);
    let number = found.ok_or(Errno::ENXIO)?;
    let pair = PAIRS.lock().get(&number).cloned().ok_or(Errno::EIO)?;
    {
        let mut state = pair.state.lock();
        if state.locked || !state.master {
            return Err(Errno::EIO);
        }
        state.slaves += 1;
        state.seen = true;
    }
    Ok(Arc::new(End {
        pair,
        is_master: false,
        dentry,
    }))
}

impl Pair {
    /// Whether the master reads no more: all slaves are gone.
    fn is_left(state: &State) -> bool {
        state.seen && state.slaves == 0
    }

    fn read_master(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        let ready = || {
            let state = self.state.lock();
            if state.line.shown() > 0 {
                return Some(Ok(()));
            }
            Self::is_left(&state).then_some(Err(Errno::EIO))
        };
        match ready() {
            Some(ready) => ready?,
            None if nonblocking => return Err(Errno::EAGAIN),
            None => self
                .master
                .readers
                .wait_until(Wait::interruptible(), ready)??,
        }
        let (mut piece, mut done) = ([0; PIECE], 0);
        while io.remaining() > 0 {
            let wanted = io.remaining().min(PIECE);
            let count = self.state.lock().line.show(&mut piece[..wanted]);
            if count == 0 {
                break;
            }
            done += io.copy_out(&piece[..count])?;
        }
        self.slave.wake(WRITABLE);
        Ok(done)
    }

    fn write_master(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        let room = || {
            let room = self.state.lock().line.typing_room();
            (room > 0).then_some(Ok(room))
        };
        self.write_with(&self.master, io, nonblocking, room, |line, bytes| {
            bytes.iter().for_each(|&byte| line.typed(byte));
            bytes.len()
        })
    }

    fn write_slave(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        let room = || {
            let state = self.state.lock();
            if !state.master {
                return Some(Err(Errno::EIO));
            }
            state.line.writing_room().then_some(Ok(PIECE))
        };
        self.write_with(&self.slave, io, nonblocking, room, Line::write)
    }

    /// Writes what there is `room` for, again and again.
    fn write_with(
        &self,
        end: &Waiters,
        io: &mut UserIo,
        nonblocking: bool,
        room: impl Fn() -> Option<Result<usize, Errno>>,
        write: impl Fn(&mut Line, &[u8]) -> usize,
    ) -> SysResult {
        let (mut piece, mut done) = ([0; PIECE], 0);
        while io.remaining() > 0 {
            let free = match room() {
                Some(free) => free,
                None if nonblocking => Err(Errno::EAGAIN),
                None => match end.writers.wait_until(Wait::interruptible(), &room) {
                    Ok(free) => free,
                    Err(errno) => Err(errno),
                },
            };
            let free = match free {
                Ok(free) => free.min(PIECE).min(io.remaining()),
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            };
            let count = io.copy_in(&mut piece[..free])?;
            let mut from = &piece[..count];
            while !from.is_empty() {
                let went = write(&mut self.state.lock().line, from);
                from = &from[went..];
                done += went;
                self.tell();
                // What was taken from the program already waits here for room.
                if !from.is_empty() {
                    end.writers
                        .wait_until(Wait::uninterruptible(), || room().is_some().then_some(()))?;
                    if room().is_some_and(|room| room.is_err()) {
                        return Ok(done);
                    }
                }
            }
            if count < free {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EFAULT)
                };
            }
        }
        Ok(done)
    }

    /// Tells both ends' readers what is there for them.
    fn tell(&self) {
        let (shown, typed) = {
            let state = self.state.lock();
            (state.line.shown() > 0, state.line.is_readable())
        };
        if shown {
            self.master.wake(READABLE);
        }
        if typed {
            self.slave.wake(READABLE);
        }
    }

    fn read_slave(&self, io: &mut UserIo, nonblocking: bool) -> SysResult {
        const TENTH: u64 = 100_000_000;
        let (mut piece, mut done) = ([0; PIECE], 0);
        let wanted = io.remaining();
        let patience = self.state.lock().line.patience(wanted);
        let after = |tenths: usize| time::now().saturating_add(tenths as u64 * TENTH);
        // Without a least number the time begins with the call, else with each byte.
        let mut deadline = match patience {
            Some((0, tenths)) => Some(after(tenths)),
            _ => None,
        };
        while io.remaining() > 0 {
            let room = io.remaining().min(PIECE);
            let (count, more, gone) = {
                let mut state = self.state.lock();
                let (count, more) = match patience {
                    None if !state.line.is_readable() => (0, true),
                    _ => state.line.read(&mut piece[..room]),
                };
                (count, more, !state.master)
            };
            if count > 0 {
                self.master.wake(WRITABLE);
            }
            done += io.copy_out(&piece[..count])?;
            let enough = patience.is_some_and(|(least, _)| done >= least.max(1));
            // A line ends what is read, whether or not its end is the file's.
            if !more || gone || enough && count < room {
                return Ok(done);
            }
            if count > 0 {
                if let Some((1.., tenths @ 1..)) = patience {
                    deadline = Some(after(tenths));
                }
                continue;
            }
            if done > 0 && patience.is_none() {
                return Ok(done);
            }
            if deadline.is_some_and(|deadline| time::now() >= deadline) {
                return Ok(done);
            }
            if nonblocking {
                return if done > 0 {
                    Ok(done)
                } else {
                    Err(Errno::EAGAIN)
                };
            }
            let how = Wait::interruptible().deadline(deadline);
            let ready = || {
                let state = self.state.lock();
                let any = match patience {
                    None => state.line.is_readable(),
                    Some(_) => state.line.readable() > 0,
                };
                (any || !state.master).then_some(state.master)
            };
            match self.slave.readers.wait_until(how, ready) {
                Ok(true) => {}
                Ok(false) if done == 0 => return Err(Errno::EIO),
                Ok(false) | Err(Errno::ETIMEDOUT) => return Ok(done),
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => return Ok(done),
            }
        }
        Ok(done)
    }

    fn set(&self, argument: usize, flush: bool, extended: bool) -> SysResult {
        let mut termios = [0; Termios::LEN];
        if extended {
            let mut bytes = [0; terminal::TERMIOS2_SIZE];
            user::copy_in(&mut bytes, argument)?;
            termios.copy_from_slice(&bytes[..Termios::LEN]);
        } else {
            user::copy_in(&mut termios, argument)?;
        }
        {
            let mut state = self.state.lock();
            if flush {
                state.line.flush(true, false);
            }
            state.line.set(Termios(termios));
        }
        self.tell();
        self.slave.wake(WRITABLE);
        Ok(0)
    }

    fn release(&self, is_master: bool) {
        if !is_master {
            let mut state = self.state.lock();
            state.slaves -= 1;
            let left = Self::is_left(&state);
            drop(state);
            if left {
                self.master.wake(READABLE | WRITABLE | PollEvents::HUP);
            }
            return;
        }
        let mut pairs = PAIRS.lock();
        pairs.remove(&self.number);
        {
            let mut state = self.state.lock();
            state.master = false;
            state.line.flush(true, true);
        }
        let name = alloc::format!("{}", self.number);
        if let Ok(directory) = terminal::directory()
            && let Ok(Some(entry)) = directory.lookup(name.as_bytes())
        {
            // It may have been removed by name.
            let _ = ram::unlink(&directory, name.as_bytes(), &entry);
        }
        drop(pairs);
        self.slave
            .wake(READABLE | WRITABLE | PollEvents::HUP | PollEvents::ERR);
    }
}
