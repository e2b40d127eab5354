//! getrandom(2): there is always entropy enough.
use crate::fs::dev::random;
use crate::memory::user::{RW_MAX, UserIo};
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// getrandom(2).
pub fn getrandom(buf: usize, count: usize, flags: u32) -> SysResult {
    const KNOWN: u32 = abi::GRND_NONBLOCK | abi::GRND_RANDOM | abi::GRND_INSECURE;
    const BOTH: u32 = abi::GRND_RANDOM | abi::GRND_INSECURE;
    if flags & !KNOWN != 0 || flags & BOTH == BOTH {
        return Err(Errno::EINVAL);
    }
    random::fill_user(&mut UserIo::single(buf, count.min(RW_MAX))?)
}
