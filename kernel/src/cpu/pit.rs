//! The PIT (8254), used once: to measure the TSC where no hypervisor tells its frequency.
use super::{msr, port};

const FREQUENCY: u64 = 1_193_182;
/// Gate and output of channel 2.
const CONTROL: u16 = 0x61;
const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// 20 ms.
const COUNT: u16 = (FREQUENCY / 50) as u16;

/// The TSC's frequency in Hz, from counting down 20 ms on channel 2.
pub fn measure_tsc() -> u64 {
    // Gate on, speaker off; mode 0: the output goes high at the end of the count.
    port::outb(CONTROL, port::inb(CONTROL) & !2 | 1);
    port::outb(COMMAND, 0b1011_0000);
    port::outb(CHANNEL_2, COUNT as u8);
    port::outb(CHANNEL_2, (COUNT >> 8) as u8);
    let start = msr::rdtsc();
    let mut polls = 0u32;
    while port::inb(CONTROL) & 0x20 == 0 {
        polls += 1;
        if polls > 10_000_000 {
            // No PIT: a plausible frequency beats no clock.
            return 2_000_000_000;
        }
    }
    (msr::rdtsc() - start) * FREQUENCY / u64::from(COUNT)
}
