//! (Stand-in.)
use crate::memory::user;
use ringo_abi::{Errno, SysResult};
/// write(2)
pub fn write(fd: i32, buf: usize, count: usize) -> SysResult {
    if !(1..=2).contains(&fd) {
        return Err(Errno::EBADF);
    }
    let mut b = alloc::vec![0u8; count];
    user::copy_in(&mut b, buf)?;
    for x in b {
        crate::cpu::port::outb(0x3f8, x);
    }
    Ok(count)
}
/// fcntl(2)
pub fn fcntl(fd: i32, _cmd: i32, _arg: usize) -> SysResult {
    if (0..=2).contains(&fd) {
        Ok(0)
    } else {
        Err(Errno::EBADF)
    }
}
/// nanosleep(2).
pub fn nanosleep(request: usize, _left: usize) -> SysResult {
    let [s, n]: [u64; 2] = user::read(request)?;
    crate::task::sleep_until(crate::time::now() + s * 1_000_000_000 + n)?;
    Ok(0)
}
/// clock_gettime(2).
pub fn clock_gettime(clock: i32, at: usize) -> SysResult {
    let ns = if clock == 0 {
        crate::time::realtime()
    } else {
        crate::time::now()
    };
    user::write(at, &[ns / 1_000_000_000, ns % 1_000_000_000])?;
    Ok(0)
}
