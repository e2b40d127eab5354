//! Times as the program writes them: struct timespec, timeval, itimerspec.
use crate::memory::user;
use ringo_abi::Errno;

/// Nanoseconds a second.
pub const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of (seconds, parts), `parts` being a `unit`-th of a second; saturating.
///
/// # Errors
/// EINVAL for negative times and parts that are a second or more.
pub fn to_ns([seconds, parts]: [i64; 2], unit: u64) -> Result<u64, Errno> {
    match (u64::try_from(seconds), u64::try_from(parts)) {
        (Ok(seconds), Ok(parts)) if parts < unit => Ok(seconds
            .saturating_mul(SECOND)
            .saturating_add(parts * (SECOND / unit))),
        _ => Err(Errno::EINVAL),
    }
}

/// struct timespec.
pub fn timespec(ns: u64) -> [u64; 2] {
    [ns / SECOND, ns % SECOND]
}

/// struct timeval.
pub fn timeval(ns: u64) -> [u64; 2] {
    [ns / SECOND, ns % SECOND / 1000]
}

/// Reads a struct timespec.
///
/// # Errors
/// EFAULT, EINVAL.
pub fn read_timespec(at: usize) -> Result<u64, Errno> {
    to_ns(user::read(at)?, SECOND)
}

/// Reads an optional relative timeout, as the deadline (ns since boot).
///
/// # Errors
/// EFAULT, EINVAL.
pub fn read_deadline(at: usize) -> Result<Option<u64>, Errno> {
    if at == 0 {
        return Ok(None);
    }
    Ok(Some(match read_timespec(at)? {
        0 => 0,
        ns => super::now().saturating_add(ns),
    }))
}

/// The deadline of a timeout in milliseconds; negative is none, 0 does not wait.
pub fn deadline_of_millis(millis: i32) -> Option<u64> {
    match u64::try_from(millis) {
        Err(_) => None,
        Ok(0) => Some(0),
        Ok(millis) => Some(super::now().saturating_add(millis * 1_000_000)),
    }
}
