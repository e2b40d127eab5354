//! Resource limits (getrlimit(2)). RLIMIT_NOFILE is enforced (fs/fd.rs); the others are kept and shown.
use super::process;
use crate::sync::SpinLock;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// RLIM_INFINITY.
pub const INFINITY: u64 = u64::MAX;
const COUNT: usize = abi::RLIM_NLIMITS as usize;

/// Soft and hard.
static LIMITS: SpinLock<[[u64; 2]; COUNT]> = SpinLock::new(at_start());

const fn at_start() -> [[u64; 2]; COUNT] {
    let mut limits = [[INFINITY; 2]; COUNT];
    limits[abi::RLIMIT_STACK as usize] = [8 << 20, INFINITY];
    limits[abi::RLIMIT_CORE as usize] = [0, INFINITY];
    limits[abi::RLIMIT_MEMLOCK as usize] = [8 << 20, 8 << 20];
    limits[abi::RLIMIT_MSGQUEUE as usize] = [819_200, 819_200];
    limits[abi::RLIMIT_NICE as usize] = [0, 0];
    limits[abi::RLIMIT_RTPRIO as usize] = [0, 0];
    limits
}

/// Soft and hard limit of a resource.
///
/// # Errors
/// EINVAL.
pub fn get(resource: u32) -> Result<[u64; 2], Errno> {
    let at = resource as usize;
    if at >= COUNT {
        return Err(Errno::EINVAL);
    }
    if resource == abi::RLIMIT_NOFILE {
        let [soft, hard] = &process().nofile;
        return Ok([soft.load(Ordering::Relaxed), hard.load(Ordering::Relaxed)]);
    }
    Ok(LIMITS.lock()[at])
}

/// Sets them.
///
/// # Errors
/// EINVAL if soft is above hard, EPERM for raising the hard limit without being root.
pub fn set(resource: u32, [soft, hard]: [u64; 2]) -> Result<(), Errno> {
    /// /proc/sys/fs/nr_open.
    const MAX_FILES: u64 = crate::fs::fd::MAX as u64;
    let [_, old_hard] = get(resource)?;
    if soft > hard {
        return Err(Errno::EINVAL);
    }
    let files = resource == abi::RLIMIT_NOFILE;
    if files && hard > MAX_FILES || hard > old_hard && !super::credentials().privileged() {
        return Err(Errno::EPERM);
    }
    if files {
        process().nofile[0].store(soft, Ordering::Relaxed);
        process().nofile[1].store(hard, Ordering::Relaxed);
    } else {
        LIMITS.lock()[resource as usize] = [soft, hard];
    }
    Ok(())
}
