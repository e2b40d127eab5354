//! Crashes on purpose: `ringo.crash=panic|fault|stack|text|block|frames` on the kernel's command line turns system call 511
//! into one, so that tests see what a user would see of a kernel bug. Without it the call is unknown like any other.
use core::hint::black_box;
use core::sync::atomic::{AtomicU8, Ordering};

/// A number that Linux does not use.
const NUMBER: usize = 511;

static ARMED: AtomicU8 = AtomicU8::new(0);

/// Reads the command line.
pub fn arm(command_line: &[u8]) {
    let kind = command_line
        .split(|&byte| byte == b' ')
        .find_map(|word| word.strip_prefix(b"ringo.crash="));
    let kind = match kind {
        Some(b"panic") => 1,
        Some(b"fault") => 2,
        Some(b"stack") => 3,
        Some(b"text") => 4,
        Some(b"block") => 5,
        Some(b"frames") => 6,
        _ => 0,
    };
    ARMED.store(kind, Ordering::Relaxed);
}

/// Crashes if this unknown call is the one that shall.
pub fn on_unknown_call(number: usize) {
    if number != NUMBER {
        return;
    }
    match ARMED.load(Ordering::Relaxed) {
        1 => panic!("a test asked for this panic"),
        2 => crate::cpu::trap::read_nowhere(),
        3 => exhaust(0),
        4 => crate::cpu::trap::write_text(),
        5 => crate::cpu::trap::write_behind(&alloc::vec![0; 3 << 20]),
        6 => crate::cpu::trap::lose_frames(),
        _ => {}
    }
}

/// Calls itself until the stack ends.
#[allow(unconditional_recursion)]
fn exhaust(depth: usize) {
    let here = black_box([depth; 32]);
    exhaust(here[depth % 32] + 1);
    black_box(here);
}
