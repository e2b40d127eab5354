//! The program's standard streams, as far as they are no terminals or regular files (host_stream.rs): what they are on the
//! host decides what fstat(2) says; the bytes flow through the console's ports (drivers/out_port.rs, in_port.rs).
//!
//! Several descriptors may share a stream's open file. When the last one of a stream is closed while the program goes on,
//! the command closes its own end, too.
use super::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, dev, fd, host_stream, terminal};
use crate::drivers::{console, control};
use crate::memory::user::{self, UserIo};
use crate::sync::{SleepMutex, Wait, WaitQueue};
use crate::task::process;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl::FIONREAD;
use ringo_abi::{Errno, SysResult};
use ringo_bundle::{Config, Flags, StreamKind};
use ringo_control::{Stream, ToHost};

const READABLE: PollEvents = PollEvents::IN.union(PollEvents::RDNORM);
const WRITABLE: PollEvents = PollEvents::OUT.union(PollEvents::WRNORM);

/// A pipe, socket or device of the host.
struct HostStream {
    stream: Stream,
    /// Through which port its bytes go: standard error may share standard output's.
    port: Stream,
    /// S_IF*.
    kind: u32,
    inode: u64,
    created: i64,
}

/// Installs descriptors 0 to 2.
///
/// # Errors
/// ENOMEM.
pub fn init(config: &Config<'static>) -> Result<(), Errno> {
    let one_output = config.flags.contains(Flags::ONE_OUTPUT);
    let two_places = config.flags.contains(Flags::TWO_PLACES);
    if let Some(controlling) = config.controlling {
        terminal::set_controlling(controlling);
    }
    for stream in Stream::ALL {
        let flags = config.stream_flags[stream as usize];
        let port = if stream == Stream::Stderr && one_output {
            Stream::Stdout
        } else {
            stream
        };
        let ops: Arc<dyn FileOps> = match config.streams[stream as usize] {
            StreamKind::Closed => continue,
            StreamKind::Null => dev::open_null()?,
            StreamKind::Terminal(of) => terminal::open_stream(stream, port, of),
            StreamKind::Pipe => host_stream(stream, port, abi::S_IFIFO),
            StreamKind::File => {
                let waits = stream == Stream::Stderr && two_places;
                let ahead = stream == Stream::Stdin
                    && flags & abi::O_ACCMODE == abi::O_RDONLY
                    && config.flags.contains(Flags::READ_AHEAD);
                host_stream::open(stream, port, waits, ahead)
            }
            StreamKind::Socket => host_stream(stream, port, abi::S_IFSOCK),
            StreamKind::Device => host_stream(stream, port, abi::S_IFCHR),
        };
        let file = fd::open_file(OpenFile::new(ops, flags));
        fd::table().replace(stream as i32, fd::limit().max(3), file, false)?;
    }
    Ok(())
}

fn host_stream(stream: Stream, port: Stream, kind: u32) -> Arc<dyn FileOps> {
    opened(port);
    Arc::new(HostStream {
        stream,
        port,
        kind,
        inode: anon::next_inode(),
        created: anon::now(),
    })
}

/// Open files a port has.
static USERS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

/// One more file sends its bytes through this port.
pub(super) fn opened(port: Stream) {
    USERS[port as usize].fetch_add(1, Ordering::Relaxed);
}

/// One less; the last one closes the command's end, too.
pub(super) fn closed(port: Stream) {
    let last = USERS[port as usize].fetch_sub(1, Ordering::AcqRel) == 1;
    if !last || process().exiting() {
        return;
    }
    if let Some(console) = console()
        && port != Stream::Stdin
    {
        console.output(port).drain();
    }
    control::send(&ToHost::Closed(port));
}

/// Reads from the host.
pub(super) fn read(file: &OpenFile, io: &mut UserIo) -> SysResult {
    let console = console().ok_or(Errno::EIO)?;
    console.input.read(io, file.nonblocking())
}

/// Writes to the host.
pub(super) fn write(port: Stream, file: &OpenFile, io: &mut UserIo) -> SysResult {
    let console = console().ok_or(Errno::EIO)?;
    console.output(port).write(io, file.nonblocking())
}

/// What a stream is ready for.
pub(super) fn poll(stream: Stream, port: Stream) -> PollEvents {
    let Some(console) = console() else {
        return PollEvents::ERR;
    };
    let mut events = PollEvents::empty();
    if stream == Stream::Stdin {
        events.set(READABLE, console.input.is_readable());
    } else {
        let output = console.output(port);
        events.set(WRITABLE, output.is_writable());
        events.set(PollEvents::ERR, output.is_gone());
    }
    events
}

/// Who is told of a stream's readiness.
pub(super) fn poll_queue(stream: Stream, port: Stream) -> Option<&'static PollQueue> {
    let console = console()?;
    Some(if stream == Stream::Stdin {
        &console.input.poll
    } else {
        &console.output(port).poll
    })
}

/// One question at a time.
static SETTLING: SleepMutex<()> = SleepMutex::new(());
static ANSWERED: WaitQueue = WaitQueue::new();
static SETTLED: AtomicBool = AtomicBool::new(false);

/// Waits until what was written so far has been passed on.
///
/// # Errors
/// What the host could not write.
fn settle(port: Stream) -> Result<(), Errno> {
    let console = console().ok_or(Errno::EIO)?;
    if port == Stream::Stdin {
        return Ok(());
    }
    {
        let _settling = SETTLING.lock();
        SETTLED.store(false, Ordering::Release);
        control::send(&ToHost::Settle {
            written: crate::drivers::written(),
        });
        // An uninterruptible wait without a deadline has no error.
        let _ = ANSWERED.wait_until(Wait::uninterruptible(), || {
            SETTLED.load(Ordering::Acquire).then_some(())
        });
    }
    console.output(port).take_error().map_or(Ok(()), Err)
}

/// The command's answer.
pub fn settled() {
    SETTLED.store(true, Ordering::Release);
    ANSWERED.wake_all();
}

impl FileOps for HostStream {
    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        if self.stream != Stream::Stdin {
            // Opened for reading and writing on the host, but its bytes flow one way here.
            return Err(Errno::EBADF);
        }
        read(file, io)
    }

    fn write(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        if self.stream == Stream::Stdin {
            return Err(Errno::EBADF);
        }
        let done = write(self.port, file, io)?;
        // A device has its own mind on each write; pipes take them as they come.
        if self.kind == abi::S_IFCHR {
            settle(self.port)?;
        }
        Ok(done)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        poll(self.stream, self.port)
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        poll_queue(self.stream, self.port)
    }

    fn ioctl(&self, _file: &OpenFile, request: u32, argument: usize) -> SysResult {
        match request {
            FIONREAD if self.stream == Stream::Stdin => {
                let available = console().map_or(0, |console| console.input.available());
                user::write(argument, &(available as u32)).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(Stat {
            mode: self.kind | 0o600,
            ..anon::pipe_stat(
                self.inode,
                self.created,
                crate::task::credentials().file_ids(),
            )
        })
    }

    fn reopen(&self, file: &OpenFile, flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
        let writes = flags & abi::O_ACCMODE != abi::O_RDONLY;
        if self.kind == abi::S_IFSOCK {
            return Err(Errno::ENXIO);
        }
        // Its bytes flow one way only.
        if writes == (self.stream == Stream::Stdin) {
            return Err(Errno::EACCES);
        }
        opened(self.port);
        Ok(file.ops.clone())
    }

    fn release(&self, _file: &OpenFile) {
        closed(self.port);
    }

    fn name(&self) -> Vec<u8> {
        match self.kind {
            abi::S_IFSOCK => alloc::format!("socket:[{}]", self.inode),
            abi::S_IFCHR => {
                alloc::format!("/dev/std{}", ["in", "out", "err"][self.stream as usize])
            }
            _ => alloc::format!("pipe:[{}]", self.inode),
        }
        .into_bytes()
    }
}
