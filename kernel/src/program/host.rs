//! What the `ringo` command says while the program runs: signals, terminals, ends of streams, the time.
//!
//! [`receive`] runs where interrupts are handled, so it wakes and notes, and never blocks.
use crate::drivers::{console, control};
use crate::fs::{stdio, terminal};
use crate::task::signal::{SI_USER, SigInfo, send_process};
use crate::time;
use linux_raw_sys::general::SIGKILL;
use ringo_control::{ToGuest, ToHost};

/// A message arrived.
pub fn receive(message: ToGuest) {
    match message {
        ToGuest::Signal(number) => signal(number),
        ToGuest::WinSize { stream, size } => terminal::resized(stream, size),
        ToGuest::TermiosAck { stream, errno } => terminal::acknowledged(stream, errno),
        ToGuest::TermiosState { stream, termios } => terminal::changed(stream, termios),
        ToGuest::Clock { id, realtime_ns } => {
            time::host_clock::answered(id, realtime_ns);
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
