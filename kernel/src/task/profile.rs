//! The profile's samples on their way from the CPUs' rings (cpu/sampler.rs) to the command, over the control port.
//!
//! Each CPU passes its own on when there are enough for a message, on the way back to the program; the last thread passes
//! on what is left. The command turns addresses into functions and lines.
use crate::cpu::percpu::{cpu_count, this_cpu};
use crate::cpu::sampler::{self, LONGEST, Ring};
use crate::drivers::control;
use crate::sync::SpinLock;
use crate::time;
use ringo_control::{Addresses, Note, ToHost};

/// Words of a message: few enough for a kernel stack.
const MESSAGE: usize = 256;
const _: () = assert!(MESSAGE >= LONGEST);

/// Held by who takes samples out. Nobody waits for it but the one that does so last.
static SENDING: SpinLock<()> = SpinLock::new(());

/// Begins a profile of `hertz` samples a second of CPU time; 0 is none. Without memory there is none, and the command is told.
pub fn start(hertz: u32) {
    if hertz == 0 {
        return;
    }
    match sampler::start(cpu_count()) {
        Ok(()) => time::sampling::start(hertz),
        Err(_) => control::send(&ToHost::Noted(Note::NoProfile)),
    }
}

/// Passes this CPU's samples on if they fill a message.
#[inline]
pub fn pass_on() {
    if let Some(ring) = sampler::ring(this_cpu().id())
        && ring.len() >= MESSAGE
        && let Some(_sending) = SENDING.try_lock()
    {
        send(ring);
    }
}

/// The program has ended: no more samples, and all there are go to the command.
pub fn finish() {
    sampler::stop();
    let _sending = SENDING.lock();
    for ring in (0..cpu_count()).filter_map(sampler::ring) {
        send(ring);
    }
}

fn send(ring: &Ring) {
    let mut words = [0; MESSAGE];
    loop {
        let count = ring.take_out(&mut words);
        if count == 0 {
            return;
        }
        control::send(&ToHost::Samples {
            program_bias: crate::program::bias(),
            lost: ring.lost(),
            words: Addresses::Words(&words[..count]),
        });
    }
}
