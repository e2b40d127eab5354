//! The end of the VM: the command learns how it ended, and ends QEMU.
use super::console::console;
use super::control;
use crate::cpu::{apic, port};
use ringo_control::{Addresses, Crash, CrashKind, ExitStatus, ToHost};

/// QEMU's debug console, where words go that come before the control port, and its exit device.
const DEBUG_CONSOLE: u16 = 0xe9;
const DEBUG_EXIT: u16 = 0xf4;

/// Ends with the program's status, after everything it wrote has reached the host. `stats` is a JSON object or empty.
/// The calling thread may block.
pub fn exit(status: ExitStatus, stats: &str) -> ! {
    if let Some(console) = console() {
        let outputs = [ringo_control::Stream::Stdout, ringo_control::Stream::Stderr]
            .map(|stream| console.output(stream));
        if !outputs.iter().all(|output| output.flush()) {
            control::send(&ToHost::Ending(status));
        }
        for output in outputs {
            output.drain();
        }
        if !stats.is_empty() {
            control::send(&ToHost::Stats(stats.as_bytes()));
        }
        super::files::settle();
        control::send(&ToHost::Exit(status));
        console.control.drain();
    } else {
        off();
    }
    crate::cpu::trap::halt_forever()
}

/// Ends because Ringo could not do what was asked; the text tells the user why. The other CPUs are stopped first: one that
/// went on might end the VM in another way, or hold the control port.
pub fn fail(reason: &str) -> ! {
    apic::stop_others();
    last_words(CrashKind::Refused, reason, 0, &[], &[])
}

/// Ends with a kernel bug.
pub fn crash(kind: CrashKind, reason: &str, bias: u64, kernel: &[u64], program: &[u64]) -> ! {
    last_words(kind, reason, bias, kernel, program)
}

fn last_words(kind: CrashKind, reason: &str, bias: u64, kernel: &[u64], program: &[u64]) -> ! {
    let Some(console) = console() else {
        for byte in reason.bytes().chain([b'\n']) {
            port::outb(DEBUG_CONSOLE, byte);
        }
        off()
    };
    console.control.send_last(&ToHost::Crash(Crash {
        kind,
        cpu: crate::cpu::percpu::this_cpu().id() as u32,
        reason: reason.as_bytes(),
        program_bias: bias,
        kernel: Addresses::Words(kernel),
        program: Addresses::Words(program),
    }));
    crate::cpu::trap::halt_forever()
}

fn off() -> ! {
    // QEMU ends with 3: 1 is what it ends with by itself.
    port::outb(DEBUG_EXIT, 1);
    crate::cpu::trap::halt_forever()
}
