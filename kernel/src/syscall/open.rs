//! Opening files by name: open(2), creat(2), openat(2), openat2(2).
use super::path::path;
use crate::fs;
use crate::fs::fd::Reserved;
use crate::memory::user;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// open(2).
pub fn open(name: usize, flags: u32, mode: u32) -> SysResult {
    openat(abi::AT_FDCWD, name, flags, mode)
}

/// creat(2).
pub fn creat(name: usize, mode: u32) -> SysResult {
    openat(
        abi::AT_FDCWD,
        name,
        abi::O_CREAT | abi::O_WRONLY | abi::O_TRUNC,
        mode,
    )
}

/// openat(2).
pub fn openat(dirfd: i32, name: usize, flags: u32, mode: u32) -> SysResult {
    let flags = match flags & abi::O_PATH {
        0 => flags,
        _ => flags & fs::open::BESIDE_PATH,
    };
    open_with(dirfd, name, flags, mode, 0)
}

fn open_with(dirfd: i32, name: usize, flags: u32, mode: u32, resolve: u32) -> SysResult {
    fs::open::check_flags(flags)?;
    let path = path(name)?;
    let descriptor = Reserved::new()?;
    let file = fs::open::open(dirfd, path, flags, mode, resolve)?;
    Ok(descriptor.install(file, flags & abi::O_CLOEXEC != 0) as usize)
}

/// openat2(2).
pub fn openat2(dirfd: i32, name: usize, how: usize, size: usize) -> SysResult {
    const SIZE: usize = 24;
    const RESOLVE: u64 = 0x3f;
    const CREATES: u64 = (abi::O_CREAT | (abi::O_TMPFILE & !abi::O_DIRECTORY)) as u64;
    if size < SIZE {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let [flags, mode, resolve]: [u64; 3] = user::read(how)?;
    let mut rest = [0; 64];
    for at in (SIZE..size).step_by(rest.len()) {
        let rest = &mut rest[..(size - at).min(64)];
        user::copy_in(rest, how + at)?;
        if rest.iter().any(|&byte| byte != 0) {
            return Err(Errno::E2BIG);
        }
    }
    let both = (abi::RESOLVE_BENEATH | abi::RESOLVE_IN_ROOT) as u64;
    let bad_mode = mode & !0o7777 != 0 || mode != 0 && flags & CREATES == 0;
    if flags > u64::from(u32::MAX) || resolve & !RESOLVE != 0 || resolve & both == both || bad_mode
    {
        return Err(Errno::EINVAL);
    }
    open_with(dirfd, name, flags as u32, mode as u32, resolve as u32)
}
