//! The program's system calls, rewritten to jump to the kernel (crates/elf has the shapes and the code).
//!
//! The table is written once before the program starts, and read without locks when a signal or a restart meets a site.
use crate::cpu::entry;
use crate::cpu::trap::TrapFrame;
use crate::memory::paging::PAGE;
use crate::memory::space::{Backing, PROT_EXEC, PROT_READ, PROT_WRITE, Request, TOP, space};
use crate::memory::spare::Spare;
use crate::memory::user;
use alloc::vec::Vec;
use ringo_abi::Errno;
use ringo_elf::{Image, STUB_SIZE, Site, SiteTable, scan};
use spin::Once;

struct Sites {
    table: SiteTable,
    patched: usize,
    /// Where the stubs end.
    end: usize,
}

static SITES: Once<Sites> = Once::new();

/// The system calls in the executable segments, by the addresses they will have.
///
/// # Errors
/// ENOMEM.
pub fn find(image: &Image<'_>, bias: u64) -> Result<Vec<Site>, Errno> {
    let text = image.segments().iter().filter(|segment| segment.executable);
    let mut found = Vec::new();
    for site in text.flat_map(|segment| scan(image.data(segment), segment.address + bias)) {
        found.spare(1)?;
        found.push(site);
    }
    Ok(found)
}

/// Rewrites the sites that were found; their pages are writable now.
///
/// # Errors
/// ENOMEM.
pub fn rewrite(image: &Image<'_>, bias: u64, found: Vec<Site>) -> Result<(), Errno> {
    let size = SiteTable::size_for(found.len()).next_multiple_of(PAGE);
    let (start, end) = image.span();
    let (start, end) = ((start + bias) as usize, (end + bias) as usize);
    // Next to the program, so that a jump reaches: behind it if there is room, since profilers take the first executable
    // mapping for the program.
    let base = if end + size <= TOP {
        end
    } else {
        start.saturating_sub(size)
    };
    space().map(Request {
        address: base,
        length: size,
        protection: PROT_READ | PROT_WRITE,
        shared: false,
        fixed: true,
        no_replace: false,
        no_reserve: false,
        backing: Backing::Anonymous,
        name: "[syscalls]",
    })?;
    space().populate(base, base + size, true)?;
    let kernel_entry = entry::syscall_entry as *const () as u64;
    let table = SiteTable::new(base as u64, found);
    user::copy_out(base, &table.header(kernel_entry))?;
    let mut patched = 0;
    for index in 0..table.sites().len() {
        let (Some(stub), Some((patch, length))) =
            (table.stub(index, kernel_entry), table.patch(index))
        else {
            continue;
        };
        user::copy_out(base + (index + 1) * STUB_SIZE, &stub)?;
        let at = table.sites()[index].address as usize;
        user::copy_out(at, &patch[..length])?;
        patched += 1;
    }
    space().protect(base, size, PROT_READ | PROT_EXEC)?;
    let end = base + size;
    SITES.call_once(|| Sites {
        table,
        patched,
        end,
    });
    Ok(())
}

/// (rewritten, found).
pub fn counts() -> (usize, usize) {
    SITES
        .get()
        .map_or((0, 0), |sites| (sites.patched, sites.table.sites().len()))
}

/// Where the stubs end: nothing of the program's lies between its data and there.
pub fn end() -> usize {
    SITES.get().map_or(0, |sites| sites.end)
}

/// The site whose call returns to `address`: where to jump to make the call again. None for an unpatched one.
pub fn site_before(address: usize) -> Option<usize> {
    Some(
        SITES
            .get()?
            .table
            .by_return_address(address as u64)?
            .address as usize,
    )
}

/// Whether the thread stands in a stub or at the kernel's entry: it makes a call, and the kernel does not know yet.
pub fn in_call(frame: &TrapFrame) -> bool {
    let at = |entry: unsafe extern "C" fn()| frame.rip == entry as *const () as u64;
    let in_stub = |sites: &Sites| sites.table.by_stub(frame.rip).is_some();
    at(entry::syscall_entry) || at(entry::lstar_entry) || SITES.get().is_some_and(in_stub)
}

/// If the thread stands in a stub or at the kernel's entry, puts it back to the site in the program's text: the stub's
/// instructions can be executed again. So signals only ever show addresses of the program.
pub fn settle(frame: &mut TrapFrame) {
    if frame.rip == entry::lstar_entry as *const () as u64 {
        // A `syscall` that was not rewritten, rolled back from the entry's first instructions.
        frame.rip = frame.rcx.wrapping_sub(2);
        return;
    }
    let Some(sites) = SITES.get() else { return };
    let site = if frame.rip == entry::syscall_entry as *const () as u64 {
        sites.table.by_return_address(frame.rcx)
    } else {
        sites.table.by_stub(frame.rip)
    };
    // Popping again is the one thing that cannot be repeated (rawVforkSyscall); its caller blocks all signals anyway.
    if let Some(site) = site
        && !site.displaced().ends_with(&[0x41, 0x5c])
    {
        frame.rip = site.address;
    }
}
