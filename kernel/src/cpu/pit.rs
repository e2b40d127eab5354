//! The PIT (8254), used once: to measure the TSC where no hypervisor tells its frequency (calibrate.rs).
use super::calibrate::{Ratio, Reading, Wanted, measure};
use super::{msr, port};

const FREQUENCY: u64 = 1_193_182;
const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte, mode 2 (counts down and starts over).
const MODE: u8 = 0b0011_0100;
const LATCH_CHANNEL_0: u8 = 0;
/// What to assume on a machine without a PIT: a wrong clock beats none.
const FALLBACK_HERTZ: u64 = 2_000_000_000;

/// The TSC's frequency in Hz, and by how many millionths it may be wrong. Takes 10 ms; on a host that keeps interrupting,
/// up to 80 ms of the counter.
pub fn measure_tsc() -> (u64, u64) {
    port::outb(COMMAND, MODE);
    // 0 means 65536.
    port::outb(CHANNEL_0, 0);
    port::outb(CHANNEL_0, 0);
    // Until the first step the counter holds nothing of use.
    let fresh = read().count;
    for _ in 0..1000 {
        if read().count != fresh {
            break;
        }
    }
    let wanted = Wanted {
        modulus: 1 << 16,
        progress: |counts, _| counts,
        span: [FREQUENCY / 1000, FREQUENCY / 100, FREQUENCY / 50],
        ppm: 200,
    };
    match measure(read, &wanted) {
        Some(Ratio { ticks, counts, ppm }) => (ticks * FREQUENCY / counts, ppm),
        None => (FALLBACK_HERTZ, 1_000_000),
    }
}

/// Reads the counter itself: not every machine wires the speaker port to channel 2. It stands still from the latch on.
fn read() -> Reading {
    let before = msr::rdtsc();
    port::outb(COMMAND, LATCH_CHANNEL_0);
    let after = msr::rdtsc();
    let low = port::inb(CHANNEL_0);
    let left = u16::from(low) | u16::from(port::inb(CHANNEL_0)) << 8;
    Reading {
        before,
        count: u64::from(!left),
        after,
    }
}
