//! The rewritten system-call sites, looked up when a signal or a restart meets one. Written once before the program
//! starts, read without locks afterwards.
use crate::cpu::entry;
use crate::cpu::trap::TrapFrame;

/// The site whose call returns to `address`: where to jump to make the call again. None for an unpatched one.
pub fn site_before(_address: usize) -> Option<usize> {
    None
}

/// If the thread stands in a stub or at the kernel's entry, puts it back to the site in the program's text: the stub's
/// instructions can be executed again. So signals only ever show addresses of the program.
pub fn settle(frame: &mut TrapFrame) {
    if frame.rip as usize == entry::syscall_entry as *const () as usize
        && let Some(site) = site_before(frame.rcx as usize)
    {
        frame.rip = site as u64;
    }
}
