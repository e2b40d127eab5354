//! Resource limits (getrlimit(2)). RLIMIT_NOFILE (fs/fd.rs), RLIMIT_AS (memory/commit.rs) and, for what grows downwards,
//! RLIMIT_STACK (memory/grow.rs) are enforced; the others are kept and shown.
use super::process;
use crate::sync::SpinLock;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general as abi;
use ringo_abi::Errno;

/// RLIM_INFINITY.
pub const INFINITY: u64 = u64::MAX;
const COUNT: usize = abi::RLIM_NLIMITS as usize;

/// Soft and hard.
static LIMITS: SpinLock<[[u64; 2]; COUNT]> = SpinLock::new(at_start());

/// RLIMIT_AS's soft limit once more: each mapping asks for it.
static ADDRESS_SPACE: AtomicU64 = AtomicU64::new(INFINITY);

/// How many bytes the program may map (RLIMIT_AS).
pub fn address_space() -> u64 {
    ADDRESS_SPACE.load(Ordering::Relaxed)
}

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
        let mut limits = LIMITS.lock();
        limits[resource as usize] = [soft, hard];
        if resource == abi::RLIMIT_AS {
            ADDRESS_SPACE.store(soft, Ordering::Relaxed);
        }
    }
    Ok(())
}
