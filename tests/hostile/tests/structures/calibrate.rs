//! Measuring a clock on a machine that is stopped at any time, for any time.
use crate::Steps;
#[path = "../../../../kernel/src/cpu/calibrate.rs"]
mod kernel;
use kernel::{Ratio, Reading, Wanted, measure};

const FREQUENCY: u64 = 1_193_182;
const HERTZ: u64 = 2_345_678_901;

/// A TSC and a PIT that it drives, looked at by a processor that loses the host's for a while with each look, by chance.
struct Machine {
    steps: Steps,
    tsc: u64,
    /// One look in so many is interrupted, for up to so many microseconds.
    one_in: usize,
    longest_us: usize,
}

impl Machine {
    fn pass(&mut self, ns: u64) {
        self.tsc += ns * HERTZ / 1_000_000_000;
        if self.steps.below(self.one_in) == 0 {
            let us = self.steps.below(self.longest_us) as u64;
            self.tsc += us * HERTZ / 1_000_000;
        }
    }

    fn look(&mut self) -> Reading {
        let before = self.tsc;
        self.pass(300);
        let count = (u128::from(self.tsc) * u128::from(FREQUENCY) / u128::from(HERTZ)) as u16;
        self.pass(300);
        let after = self.tsc;
        self.pass(1000);
        Reading {
            before,
            count: count.into(),
            after,
        }
    }
}

fn hertz(machine: &mut Machine) -> (u64, u64) {
    let wanted = Wanted {
        modulus: 1 << 16,
        progress: |counts, _| counts,
        span: [FREQUENCY / 1000, FREQUENCY / 100, FREQUENCY / 50],
        ppm: 200,
    };
    let Ratio { ticks, counts, ppm } = measure(|| machine.look(), &wanted).expect("a counter");
    (ticks * FREQUENCY / counts, ppm)
}

#[test]
fn the_bound_holds_however_often_the_machine_is_stopped() {
    for seed in 1..2000 {
        let mut steps = Steps::new(seed);
        let mut machine = Machine {
            tsc: steps.below(1 << 30) as u64,
            one_in: 2000 + steps.below(100_000),
            longest_us: 1 + steps.below(200_000),
            steps,
        };
        let (found, ppm) = hertz(&mut machine);
        let off = found.abs_diff(HERTZ) * 1_000_000 / HERTZ;
        assert!(off <= ppm + 1, "seed {seed}: off by {off} ppm, said {ppm}");
        assert!(ppm <= 5_000, "seed {seed}: within {ppm} ppm");
    }
}

#[test]
fn few_interruptions_cost_no_precision() {
    for seed in 1..500 {
        let mut machine = Machine {
            steps: Steps::new(seed),
            tsc: 0,
            one_in: 3000,
            longest_us: 8000,
        };
        let (found, ppm) = hertz(&mut machine);
        assert!(ppm <= 200, "seed {seed}: within {ppm} ppm");
        assert!(found.abs_diff(HERTZ) * 1_000_000 / HERTZ <= 200);
    }
}

#[test]
fn a_counter_that_stands_still_is_none() {
    let mut tsc = 0;
    let still = || {
        tsc += 1000;
        Reading {
            before: tsc,
            count: 7,
            after: tsc + 100,
        }
    };
    let wanted = Wanted {
        modulus: 1 << 16,
        progress: |counts, _| counts,
        span: [10, 100, 200],
        ppm: 200,
    };
    assert!(measure(still, &wanted).is_none());
}
