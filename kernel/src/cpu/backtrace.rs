//! Stack walks by frame pointers: the kernel's part, the place where the program entered it, the program's part.
//!
//! The kernel is compiled with frame pointers, and its entries leave RBP alone, so the kernel's chain ends with the program's
//! frame pointer; Go keeps them, too. What stands at the top of a thread's kernel stack depends on the way in: a trap frame, or
//! what the system-call entry pushed. The outermost return address tells which ([`entered_from`]).
//! Nothing here locks or faults: it runs inside traps (sampler.rs) and when the kernel is going down (panic.rs).
use super::entry;
use super::percpu::{PerCpu, this_cpu};
use super::trap::{self, TrapFrame};
use crate::memory::{kernel_table, peek, stack};
use core::sync::atomic::Ordering;

/// Where the program entered the kernel.
#[derive(Clone, Copy)]
pub struct Entered {
    /// The instruction it goes on with, or was interrupted at.
    pub rip: u64,
    /// Its stack.
    pub rsp: u64,
    /// Its frame pointer.
    pub base: usize,
}

impl From<&TrapFrame> for Entered {
    fn from(frame: &TrapFrame) -> Self {
        Self {
            rip: frame.rip,
            rsp: frame.rsp,
            base: frame.rbp as usize,
        }
    }
}

/// How a walk of the kernel's stack ended.
#[derive(Clone, Copy)]
pub struct Walked {
    /// How many addresses there were.
    pub count: usize,
    /// The frame pointer that the chain ended with: the program's, if it called.
    pub base: usize,
    /// The outermost address, if the chain was followed to its end.
    pub outermost: Option<u64>,
}

/// Return addresses of the calls that led here (or to `frame`), innermost first, on whatever kernel stack.
pub fn of_crash(frame: Option<&TrapFrame>, addresses: &mut [u64]) -> Walked {
    let mut count = 0;
    let mut base: usize;
    match frame {
        Some(frame) => {
            addresses[0] = frame.rip;
            count = 1;
            base = frame.rbp as usize;
        }
        // SAFETY: reads a register.
        None => unsafe {
            core::arch::asm!("mov {}, rbp", out(reg) base, options(nomem, nostack, preserves_flags))
        },
    }
    // A frame pointer moves up the same stack, by less than a stack's size.
    const STACK: usize = 32 * 1024;
    const LAST: usize = usize::MAX - 15;
    while count < addresses.len()
        && base.is_multiple_of(8)
        && (0xffff_8000_0000_0000..LAST).contains(&base)
        && is_mapped(base)
        && is_mapped(base + 8)
    {
        // SAFETY: both words are mapped.
        let (next, address) = unsafe { (*(base as *const usize), *((base + 8) as *const usize)) };
        if address == 0 {
            break;
        }
        addresses[count] = address as u64;
        count += 1;
        if next <= base || next - base > STACK {
            base = next;
            break;
        }
        base = next;
    }
    let outermost = (count > 0 && count < addresses.len()).then(|| addresses[count - 1]);
    Walked {
        count,
        base,
        outermost,
    }
}

/// Whether the kernel may read there: the chain of a crash may lead anywhere.
fn is_mapped(address: usize) -> bool {
    kernel_table().lookup(address).is_some()
}

/// The addresses from `frame` on, of kernel code that runs on the thread's own stack with this top; at most `most`.
pub fn of_thread(
    frame: &TrapFrame,
    stack_top: usize,
    most: usize,
    mut push: impl FnMut(u64),
) -> Walked {
    push(frame.rip);
    let (mut count, mut base) = (1, frame.rbp as usize);
    let mut outermost = frame.rip;
    // Upwards only.
    let mut lowest = frame.rsp as usize;
    while count < most
        && stack::holds(stack_top, lowest)
        && base.is_multiple_of(8)
        && (lowest..=stack_top - 16).contains(&base)
    {
        // SAFETY: between the stack pointer and the top of a thread's stack, which is mapped.
        let (next, address) = unsafe { (*(base as *const usize), *((base + 8) as *const u64)) };
        if address == 0 {
            break;
        }
        push(address);
        (count, outermost) = (count + 1, address);
        lowest = base + 16;
        base = next;
    }
    // The outermost function at its first instruction, before it has a frame: the address to return to is on top.
    let at = frame.rsp as usize;
    if count == 1
        && !by_system_call(outermost)
        && at.is_multiple_of(8)
        && stack::holds(stack_top, at)
    {
        // SAFETY: on the thread's stack, as above.
        outermost = unsafe { *(at as *const u64) };
    }
    Walked {
        count,
        base,
        outermost: (count < most).then_some(outermost),
    }
}

/// Whether this address lies in the system-call entry, whose pushes then stand at the top of the kernel stack. Its slow exit
/// makes a trap frame of them.
fn by_system_call(address: u64) -> bool {
    let [start, end] = [entry::syscall_entry, entry::syscall_exit_slow]
        .map(|symbol: unsafe extern "C" fn()| symbol as usize as u64);
    (start..end).contains(&address)
}

/// Where the running thread's program entered the kernel, after a walk that ended so; none for a thread of the kernel's own.
pub fn entered_from(walked: Walked) -> Option<Entered> {
    let cpu: &PerCpu = this_cpu();
    if !cpu.has_current() || cpu.current().tid() == 0 {
        return None;
    }
    let top = cpu.current().stack_top();
    let by_system_call = match walked.outermost {
        Some(address) => by_system_call(address),
        // Cut short: mostly right.
        None => cpu.keep_vectors.load(Ordering::Relaxed) == 0,
    };
    // SAFETY: the running thread's kernel stack, which has room for both.
    unsafe {
        if by_system_call {
            let rip = (top - entry::SAVED_RIP) as *const u64;
            return Some(Entered {
                rip: *rip,
                rsp: *rip.add(1),
                base: walked.base,
            });
        }
        Some(Entered::from(
            &*(trap::frame_address(top) as *const TrapFrame),
        ))
    }
}

/// The program's addresses from there on, innermost first, at most `most`; gives how many. Reads only what is mapped.
pub fn of_program(entered: Entered, most: usize, mut push: impl FnMut(u64)) -> usize {
    push(entered.rip);
    let (mut count, mut base) = (1, entered.base);
    while count < most {
        let next = peek::program_word(base);
        let address = peek::program_word(base.wrapping_add(8));
        let (Some(next), Some(address @ 1..)) = (next, address) else {
            break;
        };
        push(address);
        count += 1;
        // Callers' frames lie higher up.
        if next <= base as u64 {
            break;
        }
        base = next as usize;
    }
    count
}
