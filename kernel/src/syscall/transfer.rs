//! From file to file without the program's memory: sendfile(2), copy_file_range(2).
use super::file::check_end;
use crate::fs::{OpenFile, fd};
use crate::memory::user::{self, RW_MAX, UserIo};
use crate::task::{self, rest};
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// Bytes moved at once.
const CHUNK: usize = 64 << 10;

/// Where one side of a copy stands: at an offset in the program's memory, or at the file's position.
struct Side {
    at: u64,
    pointer: usize,
}

impl Side {
    fn new(file: &OpenFile, pointer: usize) -> Result<Self, Errno> {
        let at = if pointer == 0 {
            file.ops.position(file)?
        } else {
            let at: i64 = user::read(pointer)?;
            u64::try_from(at).map_err(|_| Errno::EINVAL)?
        };
        Ok(Self { at, pointer })
    }

    fn store(&self, file: &OpenFile) -> Result<(), Errno> {
        if self.pointer == 0 {
            file.ops.set_position(file, self.at)
        } else {
            user::write(self.pointer, &self.at)
        }
    }
}

/// Moves up to `count` bytes from `from.at` on; `write` says how many it took.
fn pump(
    input: &OpenFile,
    from: &mut Side,
    count: usize,
    mut write: impl FnMut(&mut UserIo) -> SysResult,
) -> SysResult {
    let mut buffer: Vec<u8> = Vec::new();
    buffer
        .try_reserve_exact(count.min(CHUNK))
        .map_err(|_| Errno::ENOMEM)?;
    buffer.resize(count.min(CHUNK), 0);
    let mut done = 0;
    while done < count {
        // As on Linux, where the pipe in between is looked at for signals.
        if task::signal_pending() {
            if done == 0 {
                return Err(Errno::ERESTARTSYS);
            }
            break;
        }
        let wanted = (count - done).min(CHUNK);
        let step = user::with_kernel_buffer(&mut buffer[..wanted], |io| {
            input.ops.read(input, io, Some(from.at))
        })
        .and_then(|got| {
            if got == 0 {
                return Ok((0, 0));
            }
            let put = user::with_kernel_buffer(&mut buffer[..got], &mut write)?;
            Ok((got, put))
        });
        match step {
            Ok((got, put)) => {
                from.at += put as u64;
                done += put;
                if put < got || got == 0 {
                    break;
                }
                if done % rest::BYTES == 0 && !rest::rest() {
                    break;
                }
            }
            Err(errno) if done == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// sendfile(2).
pub fn sendfile(out: i32, input: i32, offset: usize, count: usize) -> SysResult {
    let (input, output) = (fd::usable(input)?, fd::usable(out)?);
    if !input.readable() || !output.writable() {
        return Err(Errno::EBADF);
    }
    if !input.ops.seekable() {
        return Err(if offset == 0 {
            Errno::EINVAL
        } else {
            Errno::ESPIPE
        });
    }
    if output.appending() {
        return Err(Errno::EINVAL);
    }
    let mut from = Side::new(&input, offset)?;
    if input.ops.stat()?.mode & abi::S_IFMT == abi::S_IFDIR {
        return Err(Errno::EINVAL);
    }
    check_end(from.at, count)?;
    let result = pump(&input, &mut from, count.min(RW_MAX), |io| {
        output.ops.write(&output, io, None)
    });
    if result.is_ok() {
        from.store(&input)?;
    }
    super::file::end_move(&output, result)
}

/// copy_file_range(2).
pub fn copy_file_range(
    input: i32,
    input_offset: usize,
    out: i32,
    output_offset: usize,
    count: usize,
    flags: u32,
) -> SysResult {
    let (input, output) = (fd::usable(input)?, fd::usable(out)?);
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let (source, target) = (input.ops.stat()?, output.ops.stat()?);
    let kind = |mode: u32| mode & abi::S_IFMT;
    if kind(source.mode) == abi::S_IFDIR || kind(target.mode) == abi::S_IFDIR {
        return Err(Errno::EISDIR);
    }
    if kind(source.mode) != abi::S_IFREG || kind(target.mode) != abi::S_IFREG {
        return Err(Errno::EINVAL);
    }
    if !input.readable() || !output.writable() || output.appending() {
        return Err(Errno::EBADF);
    }
    let mut from = Side::new(&input, input_offset)?;
    let mut to = Side::new(&output, output_offset)?;
    let count = count.min(RW_MAX);
    let left = usize::try_from(source.size.saturating_sub(from.at)).unwrap_or(usize::MAX);
    // Files of /proc have size 0 whatever they hold; Linux copies nothing from them, too.
    let count = count.min(left);
    if source.device == target.device
        && source.inode == target.inode
        && from.at < to.at.saturating_add(count as u64)
        && to.at < from.at.saturating_add(count as u64)
    {
        return Err(Errno::EINVAL);
    }
    let done = pump(&input, &mut from, count, |io| {
        let put = output.ops.write(&output, io, Some(to.at))?;
        to.at += put as u64;
        Ok(put)
    });
    let done = super::file::end_move(&output, done)?;
    if done > 0 {
        from.store(&input)?;
        to.store(&output)?;
    }
    Ok(done)
}
