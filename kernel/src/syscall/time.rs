//! Time. (Stand-in.)
use crate::memory::user;
use ringo_abi::SysResult;
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
