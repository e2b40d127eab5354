//! What the `ringo` command says while the program runs: signals, terminals, ends of streams, the time.
//!
//! [`receive`] runs where interrupts are handled, so it wakes and notes, and never blocks.
use crate::drivers::{console, control};
use crate::fs::{stdio, terminal};
use crate::task::signal::{SI_USER, SigInfo, send_process};
use crate::time;
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::general::SIGKILL;
use ringo_control::{ToGuest, ToHost};

/// A message arrived.
pub fn receive(message: ToGuest) {
    match message {
        ToGuest::Signal(number) => signal(number),
        ToGuest::WinSize { stream, size } => terminal::resized(stream, size),
        ToGuest::TermiosAck { stream, errno } => terminal::acknowledged(stream, errno),
        ToGuest::TermiosState { stream, termios } => terminal::changed(stream, termios),
        ToGuest::Clock { realtime_ns, .. } => {
            time::set_realtime(realtime_ns);
            TIME_KNOWN.store(true, Ordering::Release);
        }
        ToGuest::StreamFailed { stream, errno } => {
            if let Some(console) = console() {
                console.output(stream).failed(errno);
            }
        }
        ToGuest::StdinEof { after, errno } => {
            if let Some(console) = console() {
                console.input.end_at(after, errno);
            }
        }
        ToGuest::TtyEof { after, errno } => {
            if let Some(tty) = console().and_then(|console| console.tty.as_ref()) {
                tty.end_at(after, errno);
            }
        }
        ToGuest::Settled => stdio::settled(),
        // Taken where it arrives, with the bytes behind it.
        ToGuest::FileAnswer { .. } => {}
        ToGuest::Shutdown => signal(SIGKILL as u8),
    }
}

/// A signal from outside. The kernel lives, and says so.
fn signal(number: u8) {
    let info = SigInfo::from_host(i32::from(number));
    if (1..=crate::task::signal::MAX_SIGNAL).contains(&info.signo) {
        debug_assert_eq!(info.code, SI_USER);
        // A full queue has the signal already, or the program has worse troubles.
        let _ = send_process(info);
    }
    control::send(&ToHost::SignalTaken(number));
}

static TIME_KNOWN: AtomicBool = AtomicBool::new(false);

/// Without a clock from the hypervisor: takes `roughly` (ns since the epoch) for now, and asks the command.
pub fn ask_time(roughly: u64) {
    time::set_realtime(roughly);
    control::send(&ToHost::ClockQuery { id: 0 });
    ASKED.store(true, Ordering::Relaxed);
}

static ASKED: AtomicBool = AtomicBool::new(false);

/// Waits for the answer, a little while: without it the clock is late by what the machine took to start.
pub fn await_time() {
    const PATIENCE_NS: u64 = 100_000_000;
    let until = time::now() + PATIENCE_NS;
    while ASKED.load(Ordering::Relaxed)
        && !TIME_KNOWN.load(Ordering::Acquire)
        && time::now() < until
    {
        crate::cpu::interrupts::handle_noted();
        core::hint::spin_loop();
    }
}
