//! Kernel bugs: collect addresses, tell the command, stop. The command turns addresses into names (the image stays
//! small) and ends with 125. Nothing here allocates or takes a lock: the heap or a lock may be what is broken.
use crate::cpu::{apic, backtrace, percpu::this_cpu, trap::TrapFrame};
use core::fmt::Write;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ringo_control::CrashKind;

const MAX_FRAMES: usize = 48;

/// The CPU that a crash was met on first, and 1.
static STOPPING: AtomicUsize = AtomicUsize::new(0);
static AGAIN: AtomicBool = AtomicBool::new(false);

/// A panic is under way.
pub fn stopping() -> bool {
    STOPPING.load(Ordering::Relaxed) != 0
}

/// Text of fixed size; what does not fit is cut.
pub struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Text {
    /// Nothing.
    pub const fn new() -> Self {
        Self {
            bytes: [0; 512],
            length: 0,
        }
    }

    /// What was written, up to the last whole character.
    pub fn as_str(&self) -> &str {
        match core::str::from_utf8(&self.bytes[..self.length]) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&self.bytes[..error.valid_up_to()]).unwrap_or(""),
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let room = self.bytes.len() - self.length;
        let taken = &text.as_bytes()[..text.len().min(room)];
        self.bytes[self.length..self.length + taken.len()].copy_from_slice(taken);
        self.length += taken.len();
        Ok(())
    }
}

#[panic_handler]
fn on_panic(info: &PanicInfo) -> ! {
    let mut reason = Text::new();
    let _ = write!(reason, "{}", info.message());
    if let Some(place) = info.location() {
        let _ = write!(reason, " ({}:{})", place.file(), place.line());
    }
    stop(CrashKind::Panic, &reason, None)
}

/// An exception that the kernel should not have raised.
pub fn trap(frame: &TrapFrame) -> ! {
    let mut reason = Text::new();
    let name = match frame.vector {
        2 => "NMI",
        6 => "invalid opcode",
        8 => "double fault",
        13 => "general protection fault",
        14 => "page fault",
        18 => "machine check",
        _ => "exception",
    };
    let address = if frame.vector == 14 || frame.vector == 8 {
        crate::cpu::kvm::fault_address()
    } else {
        0
    };
    let _ = write!(
        reason,
        "{name} (vector {}, error {:#x}) in the kernel at {:#x}, address {address:#x}, rsp {:#x}",
        frame.vector, frame.error, frame.rip, frame.rsp
    );
    if frame.vector == 18 {
        crate::cpu::machine_check::describe(&mut reason);
    }
    if crate::memory::stack::is_guard(address as usize) {
        let _ = write!(reason, ": its stack is exhausted");
    }
    let kind = match frame.vector {
        8 => CrashKind::DoubleFault,
        2 | 18 => CrashKind::Hardware,
        _ => CrashKind::Fault,
    };
    stop(kind, &reason, Some(frame))
}

fn stop(kind: CrashKind, reason: &Text, frame: Option<&TrapFrame>) -> ! {
    let me = this_cpu().id() + 1;
    let first = STOPPING.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst);
    match first {
        Ok(_) => {}
        // What is told of a crash crashed itself: the words without the addresses, or nothing if even that was tried.
        Err(cpu) if cpu == me && !AGAIN.swap(true, Ordering::SeqCst) => {
            crate::drivers::power::crash(kind, reason.as_str(), 0, &[], &[])
        }
        Err(_) => crate::cpu::trap::halt_forever(),
    }
    apic::stop_others();
    let mut kernel = [0u64; MAX_FRAMES];
    let mut program = [0u64; MAX_FRAMES];
    let walked = backtrace::of_crash(frame, &mut kernel);
    let mut callers = 0;
    if let Some(entered) = backtrace::entered_from(walked) {
        let mut slots = program.iter_mut();
        callers = backtrace::of_program(entered, MAX_FRAMES, |address| {
            if let Some(slot) = slots.next() {
                *slot = address;
            }
        });
    }
    crate::drivers::power::crash(
        kind,
        reason.as_str(),
        crate::program::bias(),
        &kernel[..walked.count],
        &program[..callers],
    )
}
