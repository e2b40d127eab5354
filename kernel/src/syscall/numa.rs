//! Memory policies (mbind(2), set_mempolicy(2) and kin) on a machine with one node: every allowed one means the same.
use super::process::own;
use crate::memory::kernel_table;
use crate::memory::paging::PAGE;
use crate::memory::space::space;
use crate::memory::user::{self, USER_END};
use core::sync::atomic::{AtomicU32, Ordering};
use ringo_abi::{Errno, SysResult};

/// MPOL_*.
const DEFAULT: u32 = 0;
const PREFERRED: u32 = 1;
const INTERLEAVE: u32 = 3;
const LOCAL: u32 = 4;
const WEIGHTED_INTERLEAVE: u32 = 6;
/// MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES.
const STATIC: u32 = 1 << 15;
const RELATIVE: u32 = 1 << 14;
const FLAGS: u32 = STATIC | RELATIVE;
/// The most nodes a mask may have: a page of bits.
const MAX_NODES: usize = PAGE * 8;

/// set_mempolicy's, as get_mempolicy tells it; one for all threads, as it means nothing.
static POLICY: AtomicU32 = AtomicU32::new(DEFAULT);

/// Whether the mask of `max - 1` bits at `nodes` names the one node, and whether it names any.
fn read_nodes(nodes: usize, max: usize) -> Result<(bool, bool), Errno> {
    let bits = max.wrapping_sub(1);
    if nodes == 0 || bits == 0 || max == 0 {
        return Ok((false, false));
    }
    if bits > MAX_NODES {
        return Err(Errno::EINVAL);
    }
    let (mut first, mut any) = (false, false);
    for word in 0..bits.div_ceil(64) {
        let value: u64 = user::read(nodes.wrapping_add(word * 8))?;
        let valid = match bits - word * 64 {
            left @ ..64 => value & ((1 << left) - 1),
            _ => value,
        };
        // Up to 64 nodes are possible, of which one is there; more are an error.
        if word > 0 && valid != 0 {
            return Err(Errno::EINVAL);
        }
        first |= valid & 1 != 0;
        any |= valid != 0;
    }
    Ok((first, any))
}

/// Checks a policy with its nodes.
fn check(mode: u32, nodes: usize, max: usize) -> Result<(), Errno> {
    let (kind, flags) = (mode & !FLAGS, mode & FLAGS);
    if kind > WEIGHTED_INTERLEAVE || flags == FLAGS {
        return Err(Errno::EINVAL);
    }
    let (first, any) = read_nodes(nodes, max)?;
    let good = match kind {
        DEFAULT | LOCAL => !any && flags == 0,
        // Without nodes it means "local", which has no flags.
        PREFERRED => first || !any && flags == 0,
        _ => first,
    };
    if good { Ok(()) } else { Err(Errno::EINVAL) }
}

/// set_mempolicy(2).
pub fn set_mempolicy(mode: u32, nodes: usize, max: usize) -> SysResult {
    check(mode, nodes, max)?;
    POLICY.store(mode, Ordering::Relaxed);
    Ok(0)
}

/// get_mempolicy(2).
pub fn get_mempolicy(mode: usize, nodes: usize, max: usize, addr: usize, flags: u32) -> SysResult {
    const NODE: u32 = 1;
    const ADDR: u32 = 2;
    const MEMS_ALLOWED: u32 = 4;
    if nodes != 0 && max < 2 || flags & !(NODE | ADDR | MEMS_ALLOWED) != 0 {
        return Err(Errno::EINVAL);
    }
    let policy = POLICY.load(Ordering::Relaxed);
    let kind = policy & !FLAGS;
    let (told, node) = if flags & MEMS_ALLOWED != 0 {
        if flags != MEMS_ALLOWED {
            return Err(Errno::EINVAL);
        }
        (DEFAULT, true)
    } else if flags & ADDR != 0 {
        if addr >= USER_END || space().lock().area_at(addr).is_none() {
            return Err(Errno::EFAULT);
        }
        // The policy of an address is the default, and its node is number 0.
        (DEFAULT, false)
    } else if addr != 0 || flags & NODE != 0 && kind != INTERLEAVE && kind != WEIGHTED_INTERLEAVE {
        return Err(Errno::EINVAL);
    } else if flags & NODE != 0 {
        (0, true)
    } else {
        (policy, kind != DEFAULT && kind != LOCAL)
    };
    if mode != 0 {
        user::write(mode, &told)?;
    }
    if nodes != 0 {
        for word in 0..(max - 1).div_ceil(64).min(MAX_NODES / 64) {
            let value = u64::from(word == 0 && node);
            user::write(nodes.wrapping_add(word * 8), &value)?;
        }
    }
    Ok(0)
}

/// mbind(2).
pub fn mbind(
    addr: usize,
    length: usize,
    mode: u32,
    nodes: usize,
    max: usize,
    flags: u32,
) -> SysResult {
    const KNOWN: u32 = 7;
    check(mode, nodes, max)?;
    if flags & !KNOWN != 0 || !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let length = length.checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL)?;
    let end = addr.checked_add(length).ok_or(Errno::EINVAL)?;
    if length > 0 && (end > USER_END || space().lock().covered_until(addr, end) != end) {
        return Err(Errno::EFAULT);
    }
    Ok(0)
}

/// migrate_pages(2): no page could not be moved.
pub fn migrate_pages(pid: i32, max: usize, from: usize, to: usize) -> SysResult {
    read_nodes(from, max)?;
    let (target, _) = read_nodes(to, max)?;
    own(pid)?;
    if target { Ok(0) } else { Err(Errno::EINVAL) }
}

/// move_pages(2): tells the node of each page, or "moves" them to it.
pub fn move_pages(
    pid: i32,
    count: usize,
    pages: usize,
    nodes: usize,
    status: usize,
    flags: u32,
) -> SysResult {
    /// MPOL_MF_MOVE and MPOL_MF_MOVE_ALL.
    const KNOWN: u32 = 2 | 4;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    own(pid)?;
    for index in 0..count {
        let page: usize = user::read(pages.wrapping_add(index * 8))?;
        if nodes != 0 && user::read::<i32>(nodes.wrapping_add(index * 4))? != 0 {
            return Err(Errno::ENODEV);
        }
        let found = {
            let inner = space().lock();
            match inner.area_at(page) {
                None => -Errno::EFAULT.number(),
                Some(_) if kernel_table().lookup(page / PAGE * PAGE).is_none() => {
                    -Errno::ENOENT.number()
                }
                Some(_) => 0,
            }
        };
        user::write(status.wrapping_add(index * 4), &found)?;
    }
    Ok(0)
}
