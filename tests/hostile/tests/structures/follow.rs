//! The clock that follows a host's: what is believed converges, and what programs see never jumps without need.
use crate::Steps;
#[path = "../../../../kernel/src/time/follow.rs"]
mod kernel;
#[path = "../../../../kernel/src/cpu/tsc.rs"]
mod tsc;
use kernel::{Change, Follower, Sample};
use tsc::{Parameters, Which, from_nanoseconds, mult_of, nanoseconds};

const SECOND: u64 = 1_000_000_000;
const EPOCH: u64 = 1_800_000_000 * SECOND;

/// A host whose TSC runs at `hertz`, and a guest that took it for another frequency.
struct Pair {
    hertz: u64,
    /// Since boot, by the host.
    ns: u64,
    /// What the host's wall clock was set by.
    set: i64,
    guest: Parameters,
    follower: Follower,
    next: u64,
}

impl Pair {
    fn new(hertz: u64, believed: u64) -> Self {
        let mult = mult_of(believed);
        let zero = Parameters {
            base: 0,
            mult,
            starts: [0; 2],
        };
        Self {
            hertz,
            ns: 5 * SECOND,
            set: 0,
            guest: zero,
            follower: Follower::new(mult),
            next: 4 * SECOND,
        }
    }

    fn tsc(&self, ns: u64) -> u64 {
        (u128::from(ns) * u128::from(self.hertz) / u128::from(SECOND)) as u64
    }

    fn host(&self, ns: u64) -> u64 {
        EPOCH.wrapping_add(ns).wrapping_add_signed(self.set)
    }

    fn shown(&self, which: Which) -> u64 {
        nanoseconds(self.guest.at(which, self.tsc(self.ns)))
    }

    fn error(&self) -> i64 {
        self.host(self.ns)
            .wrapping_sub(self.shown(Which::Wall))
            .cast_signed()
    }

    /// A question, whose answer takes `there` to be made and `back` to arrive.
    fn ask(&mut self, there: u64, back: u64) -> Change {
        let before = self.tsc(self.ns);
        let wall = self.host(self.ns + there);
        self.ns += there + back;
        let width = self.tsc(self.ns) - before;
        let sample = Sample {
            tsc: before + width / 2,
            wall,
            bound: (there + back).div_ceil(2) + 1,
        };
        let shown = nanoseconds(self.guest.at(Which::Wall, sample.tsc));
        let monotonic = self.shown(Which::Monotonic);
        let change = self.follower.follow(sample, shown, self.next);
        let now = self.tsc(self.ns);
        let guest = self.guest.with_rate(now, change.mult, self.hertz);
        self.guest = match change.step {
            0 => guest,
            step => guest.with_step(step),
        };
        let after = self.shown(Which::Monotonic);
        assert!((monotonic..=monotonic + 2).contains(&after), "a jump");
        change
    }

    fn pass(&mut self) {
        self.ns += self.next;
        self.next = (2 * self.next).min(64 * SECOND);
    }
}

#[test]
fn a_wrong_frequency_is_found_and_its_error_worked_off() {
    for (seed, ppm) in [(1, 3000), (2, -3000), (3, 150), (4, -40), (5, 0)] {
        let mut steps = Steps::new(seed);
        let hertz = 2_596_120_000;
        let mut pair = Pair::new(
            hertz,
            hertz.strict_add_signed(hertz.cast_signed() / 1_000_000 * ppm),
        );
        assert_ne!(
            pair.ask(100_000, 100_000).step,
            0,
            "the first answer is taken"
        );
        for round in 0..30 {
            pair.pass();
            let trip = 50_000 + steps.below(400_000) as u64;
            let change = pair.ask(trip, 50_000 + steps.below(400_000) as u64);
            assert_eq!(change.step, 0, "{ppm} ppm, round {round}");
        }
        let error = pair.error().unsigned_abs();
        assert!(error < 1_000_000, "{ppm} ppm: still off by {error} ns");
        let before = (pair.shown(Which::Monotonic), pair.ns);
        pair.ns += 60 * SECOND;
        let (shown, true_time) = (pair.shown(Which::Monotonic) - before.0, pair.ns - before.1);
        let off = shown.abs_diff(true_time) * 1_000_000_000 / true_time;
        assert!(
            off < 30_000,
            "{ppm} ppm: monotonic time is off by {off} ppb"
        );
    }
}

#[test]
fn late_answers_are_no_errors() {
    let hertz = 3_000_000_000;
    let mut steps = Steps::new(77);
    let mut pair = Pair::new(hertz, hertz);
    pair.ask(50_000, 50_000);
    for _ in 0..100 {
        pair.pass();
        // All of the delay on one side: half of it looks like an error.
        let late = steps.below(180_000_000) as u64;
        let (there, back) = if steps.below(2) == 0 {
            (late, 0)
        } else {
            (0, late)
        };
        assert_eq!(pair.ask(there, back).step, 0);
        let error = pair.error().unsigned_abs();
        assert!(error < 1_000_000, "off by {error} ns");
    }
}

#[test]
fn a_host_that_was_set_is_followed_at_once() {
    for set in [
        3600 * SECOND.cast_signed(),
        -3600 * SECOND.cast_signed(),
        200_000_000,
    ] {
        let mut pair = Pair::new(2_000_000_000, 2_000_100_000);
        pair.ask(50_000, 50_000);
        for _ in 0..10 {
            pair.pass();
            pair.ask(50_000, 50_000);
        }
        pair.set = set;
        pair.pass();
        assert_ne!(pair.ask(50_000, 50_000).step, 0);
        assert!(pair.error().unsigned_abs() < 200_000);
        for _ in 0..10 {
            pair.pass();
            assert_eq!(pair.ask(50_000, 50_000).step, 0);
            assert!(pair.error().unsigned_abs() < 1_000_000);
        }
    }
}

#[test]
fn a_small_step_of_the_host_is_slewed() {
    let mut pair = Pair::new(2_000_000_000, 2_000_000_000);
    pair.ask(50_000, 50_000);
    for _ in 0..8 {
        pair.pass();
        pair.ask(50_000, 50_000);
    }
    pair.set = -15_000_000;
    for _ in 0..30 {
        pair.pass();
        assert_eq!(pair.ask(50_000, 50_000).step, 0);
    }
    assert!(pair.error().unsigned_abs() < 2_000_000, "{}", pair.error());
}

#[test]
fn times_round_trip_and_rates_are_exact() {
    let mut steps = Steps::new(5);
    for _ in 0..10_000 {
        let ns = (steps.below(1 << 30) as u64) << steps.below(34) | steps.below(1 << 30) as u64;
        assert_eq!(nanoseconds(from_nanoseconds(ns)), ns);
    }
    // A century at 5 GHz is off by less than a tenth of a millionth of a millionth.
    let hertz = 5_000_000_000;
    let zero = Parameters {
        base: 0,
        mult: mult_of(hertz),
        starts: [0; 2],
    };
    let century = 100 * 365 * 86400;
    let shown = nanoseconds(zero.at(Which::Monotonic, century * hertz));
    assert!((century * SECOND).abs_diff(shown) <= century);
}
