//! How the clock follows the host's: what to change, given what the host said.
//!
//! An answer of the host is an interval: it was made some time between the question and its arrival. So only what the
//! intervals leave no doubt about is acted on; on a host that lets everybody wait, nothing is better than noise.
//!
//! - The frequency is what this answer and an earlier one, the anchor, leave open nearest to what was believed so far.
//! - An error of the wall clock up to [`STEP_NS`] is worked off until the next answer by a rate that differs by no more
//!   than [`SLEW_PPM`] from the frequency, as adjtime(3) and NTP do; a larger one is a step of the wall clock alone (the
//!   host's was set, or slept). Monotonic time never goes back, and never jumps.
//!
//! No clock here, and no lock: tests drive it with hosts of their own. Source: RFC 5905 for the limits.

/// Up to here the clock is not stepped but runs faster or slower, which then takes 40 s.
pub const STEP_NS: u64 = 20_000_000;
/// By how much at most.
pub const SLEW_PPM: i64 = 500;
/// How far the frequency may be from what was measured at boot.
const TRIM_PPM: u64 = 5000;
/// An anchor is given up after so long: the host's own clock is being trimmed, too.
const ANCHOR_NS: u64 = 300_000_000_000;
/// Shorter than this says nothing about the frequency.
const SHORT_NS: u64 = 2_000_000_000;

/// An answer: the host's clock showed `wall`, give or take `bound` ns, when the TSC was `tsc`.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// TSC.
    pub tsc: u64,
    /// Nanoseconds since the epoch.
    pub wall: u64,
    /// Nanoseconds.
    pub bound: u64,
}

/// What is to be done: the wall clock set by so much, and the rate from now on (cpu/tsc.rs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Nanoseconds.
    pub step: i64,
    /// Seconds a tick, times 2^64.
    pub mult: u64,
}

/// What is believed.
pub struct Follower {
    measured: u64,
    frequency: u64,
    anchor: Option<Sample>,
}

impl Follower {
    /// With the rate measured at boot.
    pub const fn new(mult: u64) -> Self {
        Self {
            measured: mult,
            frequency: mult,
            anchor: None,
        }
    }

    /// The clock has not been shown to anybody: the next answer sets it.
    pub fn forget(&mut self) {
        self.anchor = None;
    }

    /// An answer, while the clock here shows `wall`; the next one comes after `next` ns.
    pub fn follow(&mut self, sample: Sample, wall: u64, next: u64) -> Change {
        let error = sample.wall.wrapping_sub(wall).cast_signed();
        let certain = error.unsigned_abs().saturating_sub(sample.bound);
        let Some(anchor) = self.anchor.filter(|_| certain <= STEP_NS) else {
            self.anchor = Some(sample);
            return Change {
                step: error,
                mult: self.frequency,
            };
        };
        self.learn(&anchor, &sample);
        let certain = certain.cast_signed() * error.signum();
        let ppm = (certain * 1_000_000 / next.max(1).cast_signed()).clamp(-SLEW_PPM, SLEW_PPM);
        let mult = i128::from(self.frequency) * i128::from(1_000_000 + ppm) / 1_000_000;
        Change {
            step: 0,
            mult: mult as u64,
        }
    }

    /// What two answers say about the frequency.
    fn learn(&mut self, anchor: &Sample, sample: &Sample) {
        let elapsed = sample.wall.saturating_sub(anchor.wall);
        let ticks = sample.tsc.saturating_sub(anchor.tsc).max(1);
        let doubt = sample.bound + anchor.bound;
        // Nanoseconds a tick, as `mult` has it.
        let rate = |ns: u64| (u128::from(ns) << 64) / 1_000_000_000 / u128::from(ticks);
        let trim = self.measured / 1_000_000 * TRIM_PPM;
        let (least, most) = (
            u128::from(self.measured - trim),
            u128::from(self.measured + trim),
        );
        if elapsed > SHORT_NS && doubt < elapsed {
            let (low, high) = (rate(elapsed - doubt), rate(elapsed + doubt));
            // Out of all reason: one of the clocks was set in between.
            if high >= least && low <= most {
                let within = u128::from(self.frequency).clamp(low, high);
                self.frequency = within.clamp(least, most) as u64;
            }
        }
        if elapsed > ANCHOR_NS || sample.bound < anchor.bound / 2 {
            self.anchor = Some(*sample);
        }
    }
}
