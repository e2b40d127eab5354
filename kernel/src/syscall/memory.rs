//! Memory: arguments (mmap(2) and its family).
use crate::fs::fd;
use crate::memory::kernel_table;
use crate::memory::paging::{HUGE_PAGE, PAGE};
use crate::memory::remap::Move;
use crate::memory::space::{
    Backing, PROT_EXEC, PROT_READ, PROT_WRITE, Request, exceeds_memory, space,
};
use crate::memory::user::{self, USER_END};
use crate::sync::SleepMutex;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

const MAP_TYPE: u32 = 0xf;
/// The flags that MAP_SHARED_VALIDATE allows: all there are but MAP_SYNC, which needs persistent memory.
const MAP_KNOWN: u32 = MAP_TYPE
    | abi::MAP_FIXED
    | abi::MAP_ANONYMOUS
    | abi::MAP_GROWSDOWN
    | abi::MAP_DENYWRITE
    | abi::MAP_EXECUTABLE
    | abi::MAP_LOCKED
    | abi::MAP_NORESERVE
    | abi::MAP_POPULATE
    | abi::MAP_NONBLOCK
    | abi::MAP_STACK
    | abi::MAP_HUGETLB
    | abi::MAP_FIXED_NOREPLACE
    | abi::MAP_UNINITIALIZED;
const PROT_KNOWN: u32 = PROT_READ | PROT_WRITE | PROT_EXEC;

/// mmap(2).
pub fn mmap(
    addr: usize,
    length: usize,
    prot: u32,
    flags: u32,
    fd: i32,
    offset: usize,
) -> SysResult {
    if !offset.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let anonymous = flags & abi::MAP_ANONYMOUS != 0;
    if !anonymous {
        fd::usable(fd)?;
    }
    if length == 0 {
        return Err(Errno::EINVAL);
    }
    if length > USER_END {
        return Err(Errno::ENOMEM);
    }
    let no_replace = flags & abi::MAP_FIXED_NOREPLACE != 0;
    let fixed = flags & abi::MAP_FIXED != 0;
    if fixed || no_replace {
        // The place is looked at before the file and the kind, as in Linux.
        space().check_place(addr, length, no_replace)?;
    }
    if !anonymous {
        // Files and sockets have a largest offset; what has no size only must not wrap.
        let largest = match fd::usable(fd)?.ops.stat()?.mode & abi::S_IFMT {
            abi::S_IFREG | abi::S_IFSOCK => i64::MAX as usize,
            _ => usize::MAX,
        };
        if offset > largest - length {
            return Err(Errno::EOVERFLOW);
        }
    }
    let grows_down = flags & abi::MAP_GROWSDOWN != 0;
    let shared = match flags & MAP_TYPE {
        abi::MAP_PRIVATE => false,
        abi::MAP_SHARED if !grows_down => true,
        abi::MAP_SHARED_VALIDATE if !anonymous => true,
        _ => return Err(Errno::EINVAL),
    };
    if flags & MAP_TYPE == abi::MAP_SHARED_VALIDATE && flags & !MAP_KNOWN != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    // No huge page pool, as on a Linux that was given none.
    if flags & abi::MAP_HUGETLB != 0 {
        return Err(if anonymous && !offset.is_multiple_of(HUGE_PAGE) {
            Errno::EINVAL
        } else {
            Errno::ENOMEM
        });
    }
    let no_reserve = flags & abi::MAP_NORESERVE != 0;
    let backing = if anonymous && shared {
        if prot != 0 && !no_reserve && exceeds_memory(length) {
            return Err(Errno::ENOMEM);
        }
        let source = crate::fs::memfd::zeros()?;
        Backing::File { source, page: 0 }
    } else if anonymous {
        Backing::Anonymous
    } else {
        crate::fs::map_source(fd, prot, shared, offset as u64 / PAGE as u64)?
    };
    let start = space().map(Request {
        address: addr,
        length,
        protection: prot & PROT_KNOWN,
        shared,
        fixed,
        no_replace,
        no_reserve,
        backing,
        name: "",
    })?;
    if grows_down {
        let end = start + length.next_multiple_of(PAGE);
        let mut inner = space().lock();
        inner.change(start, end, |area| area.grows_down = true);
    }
    if flags & (abi::MAP_POPULATE | abi::MAP_LOCKED) != 0 {
        // As on Linux, what cannot be populated is left to faults.
        let _ = space().populate(
            start,
            start + length.next_multiple_of(PAGE),
            prot & PROT_WRITE != 0,
        );
    }
    Ok(start)
}

/// munmap(2).
pub fn munmap(addr: usize, length: usize) -> SysResult {
    space().unmap(addr, length).map(|()| 0)
}

/// mprotect(2).
pub fn mprotect(addr: usize, length: usize, prot: usize) -> SysResult {
    const KNOWN: u32 = PROT_KNOWN | abi::PROT_SEM | abi::PROT_GROWSDOWN | abi::PROT_GROWSUP;
    const GROWS: usize = (abi::PROT_GROWSDOWN | abi::PROT_GROWSUP) as usize;
    if prot & GROWS == GROWS || !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    if length == 0 {
        return Ok(0);
    }
    let end = addr.wrapping_add(rounded(length));
    if end <= addr {
        return Err(Errno::ENOMEM);
    }
    if prot & !(KNOWN as usize) != 0 {
        return Err(Errno::EINVAL);
    }
    if end > USER_END && prot & GROWS == 0 {
        return Err(Errno::ENOMEM);
    }
    let prot = prot as u32;
    let (mut start, mut size) = (addr, length);
    match prot & (abi::PROT_GROWSDOWN | abi::PROT_GROWSUP) {
        0 => {}
        abi::PROT_GROWSDOWN => {
            // The change reaches down to where the stack begins.
            let inner = space().lock();
            let mut areas = inner.areas_in(addr, end.min(USER_END));
            let (first, area) = areas.next().ok_or(Errno::ENOMEM)?;
            if !area.grows_down {
                return Err(Errno::EINVAL);
            }
            (start, size) = (first, end - first);
        }
        // Nothing grows upwards on this machine.
        _ if space().lock().covered_until(addr, end.min(USER_END)) > addr => {
            return Err(Errno::EINVAL);
        }
        _ => return Err(Errno::ENOMEM),
    }
    space().protect(start, size, prot & PROT_KNOWN).map(|()| 0)
}

/// pkey_mprotect(2): without a key, or with the one that everything has, it is mprotect.
pub fn pkey_mprotect(addr: usize, length: usize, prot: usize, key: i32) -> SysResult {
    if matches!(key, -1 | 0) {
        mprotect(addr, length, prot)
    } else {
        Err(Errno::EINVAL)
    }
}

/// pkey_alloc(2): as on a CPU without protection keys.
pub fn pkey_alloc(flags: u32, rights: u32) -> SysResult {
    /// PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE.
    const KNOWN: u32 = 3;
    if flags != 0 || rights & !KNOWN != 0 {
        Err(Errno::EINVAL)
    } else {
        Err(Errno::ENOSPC)
    }
}

/// pkey_free(2).
pub fn pkey_free(_key: i32) -> SysResult {
    Err(Errno::EINVAL)
}

/// The page-aligned range of a call: EINVAL if it starts in a page or wraps.
fn range(addr: usize, length: usize) -> Result<(usize, usize), Errno> {
    let length = length.checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL)?;
    let end = addr.checked_add(length).ok_or(Errno::EINVAL)?;
    if !addr.is_multiple_of(PAGE) {
        Err(Errno::EINVAL)
    } else {
        Ok((addr, end))
    }
}

/// madvise(2).
pub fn madvise(addr: usize, length: usize, advice: u32) -> SysResult {
    let known = matches!(
        advice,
        abi::MADV_NORMAL..=abi::MADV_DONTNEED
            | abi::MADV_FREE..=abi::MADV_DOFORK
            | abi::MADV_MERGEABLE..=abi::MADV_COLLAPSE
    );
    if !known {
        return Err(Errno::EINVAL);
    }
    let (start, end) = range(addr, length)?;
    if start == end {
        return Ok(0);
    }
    if advice == abi::MADV_REMOVE {
        let mapped = space().remove(start, end.min(USER_END))? && end <= USER_END;
        return if mapped { Ok(0) } else { Err(Errno::ENOMEM) };
    }
    let mut inner = space().lock();
    let mapped = end <= USER_END && inner.covered_until(start, end) == end;
    match advice {
        abi::MADV_DONTNEED | abi::MADV_DONTNEED_LOCKED => inner.discard(start, end.min(USER_END)),
        abi::MADV_NOHUGEPAGE | abi::MADV_HUGEPAGE => {
            inner.may_split()?;
            let small = advice == abi::MADV_NOHUGEPAGE;
            inner.change(start, end.min(USER_END), |area| area.small_pages = small);
        }
        abi::MADV_POPULATE_READ | abi::MADV_POPULATE_WRITE if mapped => {
            drop(inner);
            let write = advice == abi::MADV_POPULATE_WRITE;
            let wanted = if write { PROT_WRITE } else { PROT_READ };
            if !space().lock().allows(start, end, wanted) {
                return Err(Errno::EINVAL);
            }
            space()
                .populate(start, end, write)
                .map_err(|_| Errno::EFAULT)?;
        }
        // Hints: MADV_FREE may keep the pages, the rest changes nothing that can be seen.
        _ => {}
    }
    if mapped { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// mincore(2).
pub fn mincore(addr: usize, length: usize, vec: usize) -> SysResult {
    if !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let length = length.checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    if !user::in_range(addr, length) {
        return Err(Errno::ENOMEM);
    }
    if !user::in_range(vec, length / PAGE) {
        return Err(Errno::EFAULT);
    }
    for chunk in (0..length).step_by(PAGE * 256) {
        let (start, end) = (addr + chunk, addr + length.min(chunk + PAGE * 256));
        let mut bytes = [0u8; 256];
        let mapped = {
            let inner = space().lock();
            let mapped = inner.covered_until(start, end);
            for (index, page) in (start..mapped).step_by(PAGE).enumerate() {
                let there = kernel_table().lookup(page).is_some() || inner.shows_resident(page);
                bytes[index] = u8::from(there);
            }
            mapped
        };
        // What comes before a hole is told first.
        user::copy_out(
            vec.wrapping_add(chunk / PAGE),
            &bytes[..(mapped - start) / PAGE],
        )?;
        if mapped != end {
            return Err(Errno::ENOMEM);
        }
    }
    Ok(0)
}

/// mremap(2).
pub fn mremap(old: usize, old_size: usize, new_size: usize, flags: u32, new: usize) -> SysResult {
    const KNOWN: u32 = abi::MREMAP_MAYMOVE | abi::MREMAP_FIXED | abi::MREMAP_DONTUNMAP;
    let fixed = flags & abi::MREMAP_FIXED != 0;
    let moves = flags & abi::MREMAP_MAYMOVE != 0;
    let leaves = flags & abi::MREMAP_DONTUNMAP != 0;
    let (old_length, new_length) = (rounded(old_size), rounded(new_size));
    if flags & !KNOWN != 0 || !old.is_multiple_of(PAGE) || new_length == 0 || new_length > USER_END
    {
        return Err(Errno::EINVAL);
    }
    // The new address is looked at even where it is no more than a hint.
    if fixed || leaves {
        let overlaps = old.wrapping_add(old_length) > new && new.saturating_add(new_length) > old;
        if new > USER_END - new_length
            || !new.is_multiple_of(PAGE)
            || !moves
            || leaves && old_length != new_length
            || overlaps
        {
            return Err(Errno::EINVAL);
        }
    }
    let target = match (fixed, moves) {
        _ if leaves => Move::Leaving(fixed.then_some(new)),
        (true, _) => Move::To(new),
        (false, true) => Move::Anywhere,
        (false, false) => Move::Never,
    };
    space().remap(old, old_size, new_size, target)
}

/// msync(2): files live in memory, so there is nothing to write back.
pub fn msync(addr: usize, length: usize, flags: u32) -> SysResult {
    const KNOWN: u32 = abi::MS_ASYNC | abi::MS_INVALIDATE | abi::MS_SYNC;
    if flags & !KNOWN != 0 || flags & abi::MS_ASYNC != 0 && flags & abi::MS_SYNC != 0 {
        return Err(Errno::EINVAL);
    }
    if !addr.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL);
    }
    let start = addr;
    let end = start.checked_add(rounded(length)).ok_or(Errno::ENOMEM)?;
    if start == end {
        return Ok(0);
    }
    if space().lock().covered_until(start, end) == end {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}

/// The pages that [addr, addr + length) touches. A length so near the largest that rounding makes it 0 is 0, as in Linux.
fn pages_around(addr: usize, length: usize) -> Result<(usize, usize), Errno> {
    let start = addr / PAGE * PAGE;
    let size = rounded(length.wrapping_add(addr % PAGE));
    Ok((start, start.checked_add(size).ok_or(Errno::EINVAL)?))
}

/// PAGE_ALIGN of Linux, which wraps.
fn rounded(length: usize) -> usize {
    length.wrapping_add(PAGE - 1) / PAGE * PAGE
}

/// mlock(2): nothing is ever swapped out; the pages are made present, as the man page promises.
pub fn mlock(addr: usize, length: usize) -> SysResult {
    let (start, end) = pages_around(addr, length)?;
    if start == end {
        return Ok(0);
    }
    if end > USER_END || space().lock().covered_until(start, end) != end {
        return Err(Errno::ENOMEM);
    }
    space().populate(start, end, false)?;
    Ok(0)
}

/// mlock2(2).
pub fn mlock2(addr: usize, length: usize, flags: u32) -> SysResult {
    match flags {
        0 => mlock(addr, length),
        abi::MLOCK_ONFAULT => munlock(addr, length),
        _ => Err(Errno::EINVAL),
    }
}

/// munlock(2).
pub fn munlock(addr: usize, length: usize) -> SysResult {
    let (start, end) = pages_around(addr, length)?;
    if start == end || end <= USER_END && space().lock().covered_until(start, end) == end {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}

/// mlockall(2).
pub fn mlockall(flags: u32) -> SysResult {
    const KNOWN: u32 = abi::MCL_CURRENT | abi::MCL_FUTURE | abi::MCL_ONFAULT;
    if flags == 0 || flags & !KNOWN != 0 || flags == abi::MCL_ONFAULT {
        Err(Errno::EINVAL)
    } else {
        Ok(0)
    }
}

/// munlockall(2).
pub fn munlockall() -> SysResult {
    Ok(0)
}

/// brk(2): the address itself is the answer, the old break if it cannot be moved. The area is an ordinary mapping behind
/// the program's data and the stubs of its system calls.
pub fn brk(addr: usize) -> SysResult {
    static BREAK: SleepMutex<usize> = SleepMutex::new(0);
    let first = crate::program::first_break();
    let mut current = BREAK.lock();
    if *current == 0 {
        *current = first;
    }
    if addr < first || addr > USER_END - PAGE {
        return Ok(*current);
    }
    let (old_end, end) = (current.next_multiple_of(PAGE), addr.next_multiple_of(PAGE));
    let moved = if end > old_end {
        let more = Request {
            address: old_end,
            length: end - old_end,
            protection: PROT_READ | PROT_WRITE,
            shared: false,
            fixed: false,
            no_replace: true,
            no_reserve: false,
            backing: Backing::Anonymous,
            name: "[heap]",
        };
        space().map(more).is_ok()
    } else {
        end == old_end || space().unmap(end, old_end - end).is_ok()
    };
    if moved {
        *current = addr;
    }
    Ok(*current)
}
