//! splice(2), tee(2), vmsplice(2): arguments.
use super::file::{check_end, with_sigpipe};
use crate::fs::pipe::{end_of, pour};
use crate::fs::{OpenFile, fd};
use crate::memory::user::{self, RW_MAX, UserIo};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

const NONBLOCK: u32 = 2;
/// SPLICE_F_MOVE, _NONBLOCK, _MORE, _GIFT.
const KNOWN: u32 = 15;

/// The other side of a splice: a file at an offset in the program's memory, or at its own position.
struct Side<'a> {
    file: &'a OpenFile,
    pointer: usize,
    at: Option<u64>,
}

impl<'a> Side<'a> {
    fn new(file: &'a OpenFile, pointer: usize) -> Result<Self, Errno> {
        let kind = file.ops.stat()?.mode & abi::S_IFMT;
        // What has no type is an event descriptor or the like, which Linux cannot splice.
        if kind == 0 || kind == abi::S_IFDIR {
            return Err(Errno::EINVAL);
        }
        let at = match pointer {
            0 => None,
            _ if !file.ops.seekable() => return Err(Errno::EINVAL),
            _ => {
                let at: i64 = user::read(pointer)?;
                Some(u64::try_from(at).map_err(|_| Errno::EINVAL)?)
            }
        };
        Ok(Self { file, pointer, at })
    }

    fn advance(&mut self, result: SysResult) -> SysResult {
        if let (Some(at), Ok(count)) = (&mut self.at, result) {
            *at += count as u64;
        }
        result
    }

    fn read(&mut self, io: &mut UserIo) -> SysResult {
        let result = self.file.ops.read(self.file, io, self.at);
        self.advance(result)
    }

    fn write(&mut self, io: &mut UserIo) -> SysResult {
        let result = self.file.ops.write(self.file, io, self.at);
        self.advance(result)
    }

    fn store(&self) -> Result<(), Errno> {
        match self.at {
            Some(at) => user::write(self.pointer, &at),
            None => Ok(()),
        }
    }
}

/// splice(2).
pub fn splice(
    input: i32,
    input_offset: usize,
    output: i32,
    output_offset: usize,
    count: usize,
    flags: u32,
) -> SysResult {
    if count == 0 {
        return Ok(0);
    }
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let (input, output) = (fd::get(input)?, fd::get(output)?);
    if !input.readable() || !output.writable() {
        return Err(Errno::EBADF);
    }
    let (wanted, count) = (count, count.min(RW_MAX));
    let (from, to) = (end_of(&input), end_of(&output));
    if from.is_some() && input_offset != 0 || to.is_some() && output_offset != 0 {
        return Err(Errno::ESPIPE);
    }
    let waits = |file: &OpenFile| flags & NONBLOCK == 0 && !file.nonblocking();
    match (from, to) {
        (Some(from), Some(to)) => {
            let waits = waits(&input) && waits(&output);
            with_sigpipe(&output, pour(from, to, count, !waits, false))
        }
        (Some(from), None) => {
            let mut side = Side::new(&output, output_offset)?;
            if output.appending() {
                return Err(Errno::EINVAL);
            }
            let result = from.drain(count, !waits(&input), |io| side.write(io));
            side.store()?;
            with_sigpipe(&output, result)
        }
        (None, Some(to)) => {
            let mut side = Side::new(&input, input_offset)?;
            check_end(side.at.unwrap_or(0), wanted)?;
            let result = to.fill_from(count, !waits(&output), |io| side.read(io));
            side.store()?;
            with_sigpipe(&output, result)
        }
        (None, None) => Err(Errno::EINVAL),
    }
}

/// tee(2).
pub fn tee(input: i32, output: i32, count: usize, flags: u32) -> SysResult {
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    if count == 0 {
        return Ok(0);
    }
    let (input, output) = (fd::get(input)?, fd::get(output)?);
    if !input.readable() || !output.writable() {
        return Err(Errno::EBADF);
    }
    let (Some(from), Some(to)) = (end_of(&input), end_of(&output)) else {
        return Err(Errno::EINVAL);
    };
    let nonblocking = flags & NONBLOCK != 0 || input.nonblocking() || output.nonblocking();
    with_sigpipe(
        &output,
        pour(from, to, count.min(RW_MAX), nonblocking, true),
    )
}

/// vmsplice(2): into a pipe's writing end, or out of its reading one.
pub fn vmsplice(fd: i32, iov: usize, count: usize, flags: u32) -> SysResult {
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let file = fd::get(fd)?;
    if !file.readable() && !file.writable() {
        return Err(Errno::EBADF);
    }
    let mut io = UserIo::vector(iov, count)?;
    if io.remaining() == 0 {
        return Ok(0);
    }
    let end = end_of(&file).ok_or(Errno::EBADF)?;
    let nonblocking = flags & NONBLOCK != 0;
    if file.writable() {
        with_sigpipe(&file, end.give(&mut io, nonblocking))
    } else {
        end.get(&mut io, nonblocking)
    }
}
