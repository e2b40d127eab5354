//! Files without a name: pipes, sockets, event descriptors. They get inode numbers of their own file systems, as
//! pipefs, sockfs and anon_inodefs give them.
use super::Stat;
use crate::time;
use core::sync::atomic::{AtomicU64, Ordering};
use linux_raw_sys::general::{S_IFIFO, S_IFSOCK};

/// Device numbers of the file systems, as fstat(2) shows them.
const ANON_DEVICE: u64 = 0x0e;
const PIPE_DEVICE: u64 = 0x0f;
const SOCKET_DEVICE: u64 = 0x08;
const BLOCK: u32 = 4096;

/// Every anonymous inode is the same one: its number.
const ANON_INODE: u64 = 1;

/// A number no other anonymous file has.
pub fn next_inode() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// fstat(2) of an "anon_inode:" file: no type, as Linux has it.
pub fn stat() -> Stat {
    Stat {
        device: ANON_DEVICE,
        inode: ANON_INODE,
        mode: 0o600,
        links: 1,
        block_size: BLOCK,
        ..Stat::default()
    }
}

/// fstat(2) of a pipe made at `created` (ns since the epoch).
pub fn pipe_stat(inode: u64, created: i64, owner: (u32, u32)) -> Stat {
    Stat {
        device: PIPE_DEVICE,
        inode,
        mode: S_IFIFO | 0o600,
        links: 1,
        uid: owner.0,
        gid: owner.1,
        block_size: BLOCK,
        atime: created,
        mtime: created,
        ctime: created,
        ..Stat::default()
    }
}

/// Now, as stat times are kept.
pub fn now() -> i64 {
    time::realtime() as i64
}

/// fstat(2) of a socket made at `created`.
pub fn socket_stat(inode: u64, created: i64, owner: (u32, u32)) -> Stat {
    Stat {
        device: SOCKET_DEVICE,
        mode: S_IFSOCK | 0o777,
        ..pipe_stat(inode, created, owner)
    }
}
