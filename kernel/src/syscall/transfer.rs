//! From file to file without the program's memory: sendfile(2), copy_file_range(2).
use super::file::check_end;
use crate::fs::pipe::end_of;
use crate::fs::{OpenFile, fd};
use crate::memory::user::{self, RW_MAX, UserIo};
use crate::task::{self, rest};
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// Bytes moved at once.
const CHUNK: usize = 64 << 10;

/// Where one side of a copy stands: at an offset in the program's memory, or at the file's position. Linux looks at the
/// offset's sign only after other things.
struct Side {
    at: u64,
    pointer: usize,
}

impl Side {
    fn new(file: &OpenFile, pointer: usize) -> Result<Self, Errno> {
        let at = if pointer == 0 {
            file.ops.position(file)?
        } else {
            user::read(pointer)?
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

/// Whether pages of the file can go to a pipe, and a pipe's to it: what has no type is an event descriptor or the like.
pub(super) fn is_spliced(file: &OpenFile) -> Result<bool, Errno> {
    let kind = file.ops.stat()?.mode & abi::S_IFMT;
    Ok(!matches!(kind, 0 | abi::S_IFDIR | abi::S_IFIFO))
}

/// Moves up to `count` bytes from `at` on; `write` says how many it took.
fn pump(
    input: &OpenFile,
    at: &mut u64,
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
            input.ops.read(input, io, Some(*at))
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
                *at += put as u64;
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
    if offset == 0 {
        return send(out, input, None, count);
    }
    let mut at: u64 = user::read(offset)?;
    let result = send(out, input, Some(&mut at), count);
    // Even if nothing was sent.
    user::write(offset, &at)?;
    result
}

/// sendfile(2) from `at` on, or from where the file stands.
fn send(out: i32, input: i32, at: Option<&mut u64>, count: usize) -> SysResult {
    let input = fd::usable(input)?;
    if !input.readable() {
        return Err(Errno::EBADF);
    }
    if at.is_some() && !input.ops.seekable() {
        return Err(Errno::ESPIPE);
    }
    let from = match &at {
        Some(at) => **at,
        None => input.ops.position(&input)?,
    };
    check_end(from, count)?;
    let output = fd::usable(out)?;
    if !output.writable() {
        return Err(Errno::EBADF);
    }
    let mut reached = from;
    let result = match end_of(&output) {
        Some(pipe) => pipe.fill_from(count.min(RW_MAX), output.nonblocking(), |io| {
            if count == 0 {
                return Ok(0);
            }
            if !is_spliced(&input)? {
                return Err(Errno::EINVAL);
            }
            let offset = input.ops.seekable().then_some(from);
            input.ops.read(&input, io, offset).inspect(|&got| {
                reached += got as u64;
            })
        }),
        None => send_through(&output, &input, &mut reached, count.min(RW_MAX)),
    };
    if result.is_ok_and(|done| done > 0) {
        match at {
            Some(at) => *at = reached,
            None if input.ops.seekable() => input.ops.set_position(&input, reached)?,
            None => {}
        }
    }
    super::file::end_move(&output, result)
}

/// sendfile(2) to what is no pipe.
fn send_through(output: &OpenFile, input: &OpenFile, at: &mut u64, count: usize) -> SysResult {
    // What has a position, if only one that is always 0.
    if output.appending() || input.ops.seek(input, 0, abi::SEEK_CUR).is_err() {
        return Err(Errno::EINVAL);
    }
    if count == 0 {
        return Ok(0);
    }
    if !is_spliced(input)? {
        return Err(Errno::EINVAL);
    }
    pump(input, at, count, |io| match is_spliced(output)? {
        true => output.ops.write(output, io, None),
        false => Err(Errno::EINVAL),
    })
}

/// copy_file_range(2): what each check comes before is part of the interface (vfs_copy_file_range).
pub fn copy_file_range(
    input: i32,
    input_offset: usize,
    out: i32,
    output_offset: usize,
    count: usize,
    flags: u32,
) -> SysResult {
    let (input, output) = (fd::usable(input)?, fd::usable(out)?);
    let mut from = Side::new(&input, input_offset)?;
    let mut to = Side::new(&output, output_offset)?;
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
    if source.device != target.device {
        return Err(Errno::EXDEV);
    }
    let wraps = |at: u64| at.checked_add(count as u64).is_none();
    if wraps(from.at) || wraps(to.at) {
        return Err(Errno::EOVERFLOW);
    }
    let left = usize::try_from(source.size.saturating_sub(from.at)).unwrap_or(usize::MAX);
    // Files of /proc have size 0 whatever they hold; Linux copies nothing from them, too.
    let count = count.min(left);
    if to.at == i64::MAX as u64 {
        return Err(Errno::EFBIG);
    }
    if source.inode == target.inode
        && from.at < to.at.saturating_add(count as u64)
        && to.at < from.at.saturating_add(count as u64)
    {
        return Err(Errno::EINVAL);
    }
    check_end(from.at, count)?;
    check_end(to.at, count)?;
    let done = pump(&input, &mut from.at, count.min(RW_MAX), |io| {
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
