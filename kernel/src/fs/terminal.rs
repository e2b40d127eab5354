//! Terminals: the host's, seen through the console's ports (tty_ioctl(4), termios(3)).
//!
//! The line discipline is the host's: the program's settings are applied to the real terminal by the `ringo` command, and
//! what is typed arrives as the host's read(2) gives it. The kernel keeps a copy of settings and size, so that asking costs
//! nothing; setting waits for the command's answer. Where standard input is another thing, the terminal that the command
//! was started at goes by the name of standard input here, and what is typed at it has a port of its own (/dev/tty).
//! Streams that are the same terminal share one [`Terminal`].
//! Locks: `REQUEST` (sleeping: one request to the command at a time), then a terminal's state.
use super::inode::{Content, FileSystem, Inode, Owner};
use super::{
    Dentry, FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, host_stream, ram, stdio,
};
use crate::drivers::{console, control};
use crate::memory::user::{self, UserIo};
use crate::sync::{SleepMutex, SpinLock, Wait, WaitQueue};
use crate::task::PID;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl;
use ringo_abi::{Errno, SysResult};
use ringo_control::{Stream, TTY_HANDLE, Termios, ToHost, WhenToSet, WinSize};

/// The first pseudo-terminal: the number fstat(2) shows.
pub const DEVICE: u64 = super::dev::number(136, 0);
/// /dev/tty's.
const TTY_DEVICE: u64 = super::dev::number(5, 0);
/// Their inodes'.
const INODE: u64 = 3;
const TTY_INODE: u64 = 9;
/// struct termios2: two speeds behind struct termios and its padding.
pub(super) const TERMIOS2_SIZE: usize = 44;
/// The group that terminals belong to (tty).
pub(super) const GROUP: u32 = 5;

struct State {
    termios: Termios,
    size: WinSize,
    /// TIOCSPGRP: kept and told again.
    group: i32,
}

/// One terminal, named by the lowest stream that is it.
static TERMINALS: [SpinLock<Option<State>>; 3] = [const { SpinLock::new(None) }; 3];
static REQUEST: SleepMutex<()> = SleepMutex::new(());
static ANSWERED: WaitQueue = WaitQueue::new();
/// The answer to the request that is under way: errno, or this.
static ANSWER: AtomicU32 = AtomicU32::new(NO_ANSWER);
const NO_ANSWER: u32 = u32::MAX;

/// By output port: the terminal that it leads to, plus one.
static SHOWN: [AtomicU8; 3] = [const { AtomicU8::new(0) }; 3];

/// The output port that shows a terminal what is written to it; none if both lead elsewhere.
fn port_to(device: Stream) -> Option<Stream> {
    [Stream::Stdout, Stream::Stderr]
        .into_iter()
        .find(|&port| SHOWN[port as usize].load(Ordering::Relaxed) == device as u8 + 1)
}

/// An open file of a terminal.
struct Terminal {
    /// Which one.
    device: Stream,
    /// The port of the standard stream it is; none for /dev/tty.
    stream: Option<Stream>,
    inode: u64,
}

/// The open file of a standard stream that is a terminal.
pub(super) fn open_stream(
    stream: Stream,
    port: Stream,
    terminal: ringo_bundle::Terminal,
) -> Arc<dyn FileOps> {
    let device = terminal.device;
    remember(terminal);
    if stream != Stream::Stdin {
        SHOWN[port as usize].store(device as u8 + 1, Ordering::Relaxed);
    }
    if stream == Stream::Stdin
        && let Some(console) = console()
    {
        console.input.set_terminal();
    }
    stdio::opened(port);
    Arc::new(Terminal {
        device,
        stream: Some(port),
        inode: INODE,
    })
}

/// The terminal of the session, where standard input is another thing: it goes by that name.
pub(super) fn set_controlling(terminal: ringo_bundle::Terminal) {
    remember(terminal);
}

fn remember(terminal: ringo_bundle::Terminal) {
    TERMINALS[terminal.device as usize]
        .lock()
        .get_or_insert(State {
            termios: terminal.termios,
            size: terminal.size,
            group: PID,
        });
}

/// The terminal of the session: the lowest stream that is one.
fn controlling() -> Option<Stream> {
    Stream::ALL
        .into_iter()
        .find(|&stream| TERMINALS[stream as usize].lock().is_some())
}

/// Its device number, and the process group in its foreground.
pub fn session() -> Option<(u64, i32)> {
    let group = with_state(controlling()?, |state| state.group)?;
    Some((DEVICE, group))
}

/// The file system of pseudo-terminals; its magic is DEVPTS_SUPER_MAGIC.
pub(super) static DEVPTS: FileSystem = FileSystem::new(0x18, 0x1cd1, "devpts");

/// What is mounted at /dev/pts.
pub fn mounted() -> &'static FileSystem {
    &DEVPTS
}

/// Whether a number in /dev/pts is the command's terminal.
pub(super) fn is_number(number: u32) -> bool {
    number == 0 && controlling().is_some()
}

/// The directory /dev/pts.
///
/// # Errors
/// ENOENT when somebody removed it.
pub(super) fn directory() -> Result<Arc<Dentry>, Errno> {
    let dev = super::tree::root().lookup(b"dev")?.ok_or(Errno::ENOENT)?;
    dev.lookup(b"pts")?.ok_or(Errno::ENOENT)
}

/// Makes /dev/pts, and gives the terminal its name there.
///
/// # Errors
/// ENOMEM.
pub(super) fn publish() -> Result<(), Errno> {
    let root = super::tree::root();
    let Some(dev) = root.lookup(b"dev")? else {
        return Ok(());
    };
    let directory = Inode::new(
        &DEVPTS,
        Owner::root(abi::S_IFDIR | 0o755),
        Content::Directory(ram::Directory::default()),
    );
    ram::mount(&dev, b"pts", directory)?;
    if controlling().is_none() {
        return Ok(());
    }
    let (uid, gid) = crate::task::credentials().file_ids();
    let owner = Owner {
        mode: abi::S_IFCHR | 0o620,
        uid,
        gid,
    };
    let inode = Inode::numbered(&DEVPTS, INODE, owner, Content::Device(DEVICE), 0);
    if let Some(pts) = dev.lookup(b"pts")? {
        ram::create(&pts, b"0", inode)?;
    }
    Ok(())
}

/// /dev/tty, or the terminal by its own name.
///
/// # Errors
/// ENXIO without a terminal.
pub fn open_tty(by_own_name: bool) -> Result<Arc<dyn FileOps>, Errno> {
    let device = controlling().ok_or(Errno::ENXIO)?;
    Ok(Arc::new(Terminal {
        device,
        stream: None,
        inode: if by_own_name { INODE } else { TTY_INODE },
    }))
}

/// The terminal that a stream is, by its own or another stream's name.
fn with_state<R>(device: Stream, f: impl FnOnce(&mut State) -> R) -> Option<R> {
    TERMINALS[device as usize].lock().as_mut().map(f)
}

/// The size changed.
pub fn resized(stream: Stream, size: WinSize) {
    with_state(stream, |state| state.size = size);
}

/// The settings changed behind the program's back.
pub fn changed(stream: Stream, termios: Termios) {
    with_state(stream, |state| state.termios = termios);
}

/// The command's answer.
pub fn acknowledged(_stream: Stream, errno: u16) {
    ANSWER.store(u32::from(errno), Ordering::Release);
    ANSWERED.wake_all();
}

/// Sends a request and waits for its answer. `REQUEST` is held.
fn ask(message: &ToHost<'_>) -> Result<(), Errno> {
    ANSWER.store(NO_ANSWER, Ordering::Release);
    control::send(message);
    let answer = ANSWERED.wait_until(Wait::uninterruptible(), || {
        match ANSWER.load(Ordering::Acquire) {
            NO_ANSWER => None,
            answer => Some(answer),
        }
    })?;
    match Errno::from_number(answer as i32) {
        None => Ok(()),
        Some(errno) => Err(errno),
    }
}

impl Terminal {
    /// Through which port what is written goes.
    fn port(&self) -> Option<Stream> {
        match self.stream {
            Some(port) if port != Stream::Stdin => Some(port),
            _ => port_to(self.device),
        }
    }

    fn state<R>(&self, f: impl FnOnce(&mut State) -> R) -> Result<R, Errno> {
        with_state(self.device, f).ok_or(Errno::EIO)
    }

    fn set(&self, when: WhenToSet, termios: Termios) -> SysResult {
        let _request = REQUEST.lock();
        if let Some(console) = console() {
            // Also for Now: what was written before is for the old settings, and a terminal of Linux has it by then.
            console.output(Stream::Stdout).drain();
            console.output(Stream::Stderr).drain();
            if when == WhenToSet::Flush {
                console.typed().discard();
            }
        }
        ask(&ToHost::TermiosSet {
            stream: self.device,
            when,
            termios,
        })?;
        self.state(|state| state.termios = termios).map(|()| 0)
    }

    /// struct termios2, with the speeds that c_cflag names.
    fn read_termios2(at: usize) -> Result<Termios, Errno> {
        let mut bytes = [0; TERMIOS2_SIZE];
        user::copy_in(&mut bytes, at)?;
        let mut termios = [0; Termios::LEN];
        termios.copy_from_slice(&bytes[..Termios::LEN]);
        Ok(Termios(termios))
    }

    fn read_termios(at: usize) -> Result<Termios, Errno> {
        let mut bytes = [0; Termios::LEN];
        user::copy_in(&mut bytes, at)?;
        Ok(Termios(bytes))
    }

    fn flush(&self, queue: usize) -> SysResult {
        let _request = REQUEST.lock();
        let queue = u8::try_from(queue).ok().filter(|&queue| queue <= 2);
        let queue = queue.ok_or(Errno::EINVAL)?;
        if queue != 1
            && let Some(console) = console()
        {
            console.typed().discard();
        }
        ask(&ToHost::TermiosFlush {
            stream: self.device,
            queue,
        })
        .map(|()| 0)
    }

    fn set_size(&self, at: usize) -> SysResult {
        let [rows, cols, xpixel, ypixel]: [u16; 4] = user::read(at)?;
        let size = WinSize {
            rows,
            cols,
            xpixel,
            ypixel,
        };
        let _request = REQUEST.lock();
        ask(&ToHost::WinSizeSet {
            stream: self.device,
            size,
        })?;
        self.state(|state| state.size = size).map(|()| 0)
    }
}

/// struct termios2, with the speed that pseudo-terminals have.
pub(super) fn termios2(termios: Termios) -> [u8; TERMIOS2_SIZE] {
    let mut bytes = [0; TERMIOS2_SIZE];
    bytes[..Termios::LEN].copy_from_slice(&termios.0);
    for speed in [36, 40] {
        bytes[speed..speed + 4].copy_from_slice(&38_400u32.to_ne_bytes());
    }
    bytes
}

impl FileOps for Terminal {
    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        if self.device != Stream::Stdin {
            // Its input belongs to the host's other programs: only standard input's terminal is read through the port.
            return Err(Errno::EIO);
        }
        let console = console().ok_or(Errno::EIO)?;
        console.typed().read(io, file.nonblocking())
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        match self.port() {
            Some(port) => stdio::write(port, file, io),
            // Both outputs lead elsewhere: the command writes to the terminal itself.
            None => host_stream::write_all(TTY_HANDLE, io, None),
        }
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let mut events = match self.port() {
            Some(port) => stdio::poll(port, port),
            None => PollEvents::OUT | PollEvents::WRNORM,
        };
        if self.device == Stream::Stdin
            && console().is_some_and(|console| console.typed().is_readable())
        {
            events |= PollEvents::IN | PollEvents::RDNORM;
        }
        events
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        // Of all ports: it is read through one and written through another.
        Some(crate::drivers::terminal_poll())
    }

    fn ioctl(&self, _file: &OpenFile, request: u32, argument: usize) -> SysResult {
        match request {
            ioctl::TCGETS => {
                let termios = self.state(|state| state.termios)?;
                user::copy_out(argument, &termios.0).map(|()| 0)
            }
            ioctl::TCGETS2 => {
                let termios = self.state(|state| state.termios)?;
                user::copy_out(argument, &termios2(termios)).map(|()| 0)
            }
            ioctl::TCSETS => self.set(WhenToSet::Now, Self::read_termios(argument)?),
            ioctl::TCSETSW => self.set(WhenToSet::Drain, Self::read_termios(argument)?),
            ioctl::TCSETSF => self.set(WhenToSet::Flush, Self::read_termios(argument)?),
            ioctl::TCSETS2 => self.set(WhenToSet::Now, Self::read_termios2(argument)?),
            ioctl::TCSETSW2 => self.set(WhenToSet::Drain, Self::read_termios2(argument)?),
            ioctl::TCSETSF2 => self.set(WhenToSet::Flush, Self::read_termios2(argument)?),
            ioctl::TIOCGWINSZ => {
                let size = self.state(|state| state.size)?;
                let words = [size.rows, size.cols, size.xpixel, size.ypixel];
                user::write(argument, &words).map(|()| 0)
            }
            ioctl::TIOCSWINSZ => self.set_size(argument),
            ioctl::TCFLSH => self.flush(argument),
            // Wait for output to be written, break: nothing more than that.
            ioctl::TCSBRK | ioctl::TCSBRKP => {
                if let (Some(console), Some(port)) = (console(), self.port()) {
                    console.output(port).drain();
                }
                Ok(0)
            }
            ioctl::TCXONC => Ok(0),
            ioctl::TIOCGPGRP => {
                let group = self.state(|state| state.group)?;
                user::write(argument, &group).map(|()| 0)
            }
            ioctl::TIOCSPGRP => match user::read::<i32>(argument)? {
                PID => self.state(|state| state.group = PID).map(|()| 0),
                ..0 => Err(Errno::EINVAL),
                _ => Err(Errno::ESRCH),
            },
            ioctl::TIOCGSID => user::write(argument, &PID).map(|()| 0),
            ioctl::TIOCSCTTY | ioctl::TIOCNOTTY => Ok(0),
            ioctl::FIONREAD => {
                let available = console().map_or(0, |console| console.typed().available());
                user::write(argument, &(available as u32)).map(|()| 0)
            }
            ioctl::TIOCOUTQ => user::write(argument, &0u32).map(|()| 0),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn stat(&self) -> Result<Stat, Errno> {
        let (uid, gid) = crate::task::credentials().file_ids();
        let now = anon::now();
        Ok(Stat {
            device: 0x18,
            inode: self.inode,
            mode: abi::S_IFCHR | 0o620,
            links: 1,
            uid,
            gid,
            rdev: if self.inode == TTY_INODE {
                TTY_DEVICE
            } else {
                DEVICE
            },
            block_size: 1024,
            atime: now,
            mtime: now,
            ctime: now,
            ..Stat::default()
        })
    }

    fn reopen(&self, file: &OpenFile, _flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
        if let Some(stream) = self.stream {
            stdio::opened(stream);
        }
        Ok(file.ops.clone())
    }

    fn release(&self, _file: &OpenFile) {
        if let Some(stream) = self.stream {
            stdio::closed(stream);
        }
    }

    fn name(&self) -> Vec<u8> {
        match self.inode {
            TTY_INODE => b"/dev/tty".to_vec(),
            _ => b"/dev/pts/0".to_vec(),
        }
    }
}
