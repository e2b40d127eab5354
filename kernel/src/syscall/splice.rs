//! splice(2), tee(2), vmsplice(2): arguments.
use super::file::{check_end, with_sigpipe};
use super::transfer::is_spliced;
use crate::fs::pipe::{end_of, pour};
use crate::fs::{OpenFile, fd};
use crate::memory::user::{self, RW_MAX, UserIo};
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
    /// An offset for a file that has none comes to light only when the modes were looked at.
    fn new(file: &'a OpenFile, pointer: usize, at: Option<u64>) -> Result<Self, Errno> {
        if at.is_some() && !file.ops.seekable() {
            return Err(Errno::EINVAL);
        }
        Ok(Self { file, pointer, at })
    }

    /// Where it stands, for a check of the range.
    fn start(&self) -> Result<u64, Errno> {
        self.at
            .map_or_else(|| self.file.ops.position(self.file), Ok)
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
    let (input, output) = (fd::usable(input)?, fd::usable(output)?);
    let (from, to) = (end_of(&input), end_of(&output));
    if from.is_some() && input_offset != 0 || to.is_some() && output_offset != 0 {
        return Err(Errno::ESPIPE);
    }
    let offset = |pointer: usize| match pointer {
        0 => Ok(None),
        _ => user::read::<u64>(pointer).map(Some),
    };
    let (write_at, read_at) = (offset(output_offset)?, offset(input_offset)?);
    if !input.readable() || !output.writable() {
        return Err(Errno::EBADF);
    }
    let (wanted, count) = (count, count.min(RW_MAX));
    let waits = |file: &OpenFile| flags & NONBLOCK == 0 && !file.nonblocking();
    match (from, to) {
        (Some(from), Some(to)) => {
            let waits = waits(&input) && waits(&output);
            with_sigpipe(&output, pour(from, to, count, !waits, false))
        }
        (Some(from), None) => {
            let mut side = Side::new(&output, output_offset, write_at)?;
            if output.appending() {
                return Err(Errno::EINVAL);
            }
            check_end(side.start()?, wanted)?;
            if !is_spliced(&output)? {
                return Err(Errno::EINVAL);
            }
            let result = from.drain(count, !waits(&input), |io| side.write(io));
            if result.is_ok() {
                side.store()?;
            }
            with_sigpipe(&output, result)
        }
        (None, Some(to)) => {
            let mut side = Side::new(&input, input_offset, read_at)?;
            check_end(side.start()?, wanted)?;
            let result = to.fill_from(count, !waits(&output), |io| match is_spliced(&input)? {
                true => side.read(io),
                false => Err(Errno::EINVAL),
            });
            if result.is_ok() {
                side.store()?;
            }
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
