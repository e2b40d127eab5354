//! The PIT (8254), used once: to measure the TSC where no hypervisor tells its frequency.
use super::{msr, port};

const FREQUENCY: u64 = 1_193_182;
const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 2 (counts down and starts over).
const MODE: u8 = 0b0011_0100;
const LATCH_CHANNEL_0: u8 = 0;
/// How long to measure, in counts: 10 ms.
const COUNTS: u64 = FREQUENCY / 100;
/// What to assume on a machine without a PIT: a wrong clock beats none.
const FALLBACK_HERTZ: u64 = 2_000_000_000;

/// The TSC's frequency in Hz. Reads the counter itself: not every machine wires the speaker port to channel 2.
pub fn measure_tsc() -> u64 {
    port::outb(COMMAND, MODE);
    // 0 means 65536.
    port::outb(CHANNEL_0, 0);
    port::outb(CHANNEL_0, 0);
    let first = wait_for_change(read());
    let start = msr::rdtsc();
    let mut polls = 0u32;
    loop {
        let counts = u64::from(first.wrapping_sub(read()));
        let ticks = msr::rdtsc() - start;
        if counts >= COUNTS {
            return ticks * FREQUENCY / counts;
        }
        polls += 1;
        if polls > 1_000_000 {
            return FALLBACK_HERTZ;
        }
    }
}

/// The counter, right after it stepped (or as it is, if it stands still).
fn wait_for_change(before: u16) -> u16 {
    (0..100_000)
        .map(|_| read())
        .find(|&count| count != before)
        .unwrap_or(before)
}

fn read() -> u16 {
    port::outb(COMMAND, LATCH_CHANNEL_0);
    let low = port::inb(CHANNEL_0);
    u16::from(low) | u16::from(port::inb(CHANNEL_0)) << 8
}
