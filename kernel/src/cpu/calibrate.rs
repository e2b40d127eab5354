//! Measures one counter against another: the TSC against the PIT, the APIC's timer against the TSC.
//!
//! Whoever measures may be stopped at any instruction for as long as the host likes, so two readings that stand side by
//! side in the code may be far apart in time. Each reading of the slow counter therefore stands between two of the TSC,
//! and what is known is an interval: the wider the bracket, the less. A measurement keeps the tightest of several starts
//! and goes on until an end gives a bound that is small enough, or its time is up and the best one has to do.
//! A counter of 16 bits comes round in 55 ms; that it did, unseen, shows when an early part of the measurement and the
//! whole disagree. No hardware here: the readings are the caller's, so that tests can stop it where they like.

/// A look at the counter.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The TSC before it.
    pub before: u64,
    /// The counter, which counts up.
    pub count: u64,
    /// The TSC after it.
    pub after: u64,
}

/// `ticks` of the TSC are `counts` of the counter.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// TSC.
    pub ticks: u64,
    /// The counter.
    pub counts: u64,
    /// By how much the truth may differ, in millionths.
    pub ppm: u64,
}

/// What is measured, and how well.
pub struct Wanted<P: Fn(u64, u64) -> u64> {
    /// The counter comes round after as many.
    pub modulus: u64,
    /// How far a measurement has come, by (counts, ticks).
    pub progress: P,
    /// Progress at which the early part ends, at which the measurement may end, and at which it is given up.
    pub span: [u64; 3],
    /// Good enough.
    pub ppm: u64,
}

/// How many readings the start is chosen from, and how often to start over.
const STARTS: usize = 8;
const ATTEMPTS: usize = 16;
/// What is known no better than this cannot tell whether the counter came round, and is passed over.
const ROUGH_PPM: u64 = 5_000;
/// A counter that did not move for so many readings does not exist.
const PATIENCE: usize = 100_000;

impl Ratio {
    /// Between two looks.
    fn between(start: &Reading, end: &Reading, modulus: u64) -> Self {
        let counts = (end.count + modulus - start.count) % modulus;
        // At the earliest and latest possible instants of the looks.
        let least = end.before.saturating_sub(start.after);
        let most = end.after.saturating_sub(start.before);
        let ticks = least + (most - least) / 2;
        let ppm = |part: u64, whole: u64| part.saturating_mul(1_000_000) / whole.max(1);
        Self {
            ticks,
            counts,
            // A look sees whole counts: the time between two is up to one count more or less than their difference.
            ppm: ppm((most - least).div_ceil(2), ticks).saturating_add(ppm(1, counts)),
        }
    }

    /// Whether this one has fewer ticks a count: rounds that were missed only ever add ticks.
    fn is_fewer_ticks(&self, other: &Self) -> bool {
        let ticks = |one: &Self, counts: u64| u128::from(one.ticks) * u128::from(counts);
        ticks(self, other.counts) <= ticks(other, self.counts)
    }

    /// Whether both can be true.
    fn agrees(&self, other: &Self) -> bool {
        let (mine, theirs) = (
            u128::from(self.ticks) * u128::from(other.counts),
            u128::from(other.ticks) * u128::from(self.counts),
        );
        let allowed = u128::from(self.ppm.saturating_add(other.ppm));
        mine.abs_diff(theirs) * 1_000_000 <= mine.max(theirs) * allowed
    }
}

/// Measures with looks that `read` takes; none if the counter stands still, or the measurement was disturbed without end.
pub fn measure<P: Fn(u64, u64) -> u64>(
    mut read: impl FnMut() -> Reading,
    wanted: &Wanted<P>,
) -> Option<Ratio> {
    let [early, least, most] = wanted.span;
    let (mut best, mut rough): (Option<Ratio>, Option<Ratio>) = (None, None);
    let better = |one: &Ratio, than: Option<Ratio>| than.is_none_or(|than| one.ppm < than.ppm);
    for _ in 0..ATTEMPTS {
        let start = (0..STARTS)
            .map(|_| read())
            .min_by_key(|look| look.after - look.before)?;
        let mut first: Option<Ratio> = None;
        let mut still = 0;
        loop {
            let now = Ratio::between(&start, &read(), wanted.modulus);
            still = if now.counts == 0 { still + 1 } else { 0 };
            if still > PATIENCE {
                return None;
            }
            if now.ppm > ROUGH_PPM {
                continue;
            }
            let progress = (wanted.progress)(now.counts, now.ticks);
            if progress >= most {
                break;
            }
            match first {
                // The rest must be long enough to tell.
                None if (early..least / 2).contains(&progress) => {
                    first = Some(now);
                    rough = rough.filter(|rough| rough.is_fewer_ticks(&now)).or(first);
                }
                Some(first) if progress >= least => {
                    if !first.agrees(&now) {
                        break;
                    }
                    if better(&now, best) {
                        best = Some(now);
                    }
                    if now.ppm <= wanted.ppm {
                        return best;
                    }
                }
                _ => {}
            }
        }
    }
    best.or(rough)
}
