//! What was measured: nanoseconds per operation by case and side, a value a run.

use std::collections::HashMap;

use anyhow::{Context, Result};

/// Who ran it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A Linux process.
    Linux,
    /// Ringo.
    Ring0,
    /// A Linux process whose calls return at once.
    Limit,
}

impl Side {
    /// For the progress bar.
    pub fn doing(self) -> &'static str {
        match self {
            Side::Linux => "on Linux",
            Side::Ring0 => "in ring 0",
            Side::Limit => "the limit",
        }
    }
}

/// One case.
#[derive(Default)]
pub struct Case {
    pub linux: Vec<f64>,
    pub ring0: Vec<f64>,
    pub limit: Vec<f64>,
}

/// All cases, in the order in which they came.
#[derive(Default)]
pub struct Results {
    order: Vec<String>,
    cases: HashMap<String, Case>,
}

impl Results {
    /// Takes the output of one run: lines `NAME<tab>NANOSECONDS`.
    pub fn add(&mut self, output: &str, side: Side) -> Result<()> {
        for line in output.lines() {
            let (name, value) = line
                .split_once('\t')
                .with_context(|| format!("not a result: {line}"))?;
            let value: f64 = value
                .trim()
                .parse()
                .with_context(|| format!("not a result: {line}"))?;
            if !self.cases.contains_key(name) {
                self.order.push(name.to_owned());
            }
            let case = self.cases.entry(name.to_owned()).or_default();
            match side {
                Side::Linux => case.linux.push(value),
                Side::Ring0 => case.ring0.push(value),
                Side::Limit => case.limit.push(value),
            }
        }
        Ok(())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Name and values of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Case)> {
        self.order
            .iter()
            .map(|name| (name.as_str(), &self.cases[name]))
    }
}

/// The middle value; of an even number the mean of the two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len() / 2), sorted.len() % 2) {
        (None, _) => f64::NAN,
        (Some(&upper), 0) => (sorted[sorted.len() / 2 - 1] + upper) / 2.0,
        (Some(&middle), _) => middle,
    }
}

impl Case {
    /// How many times as long Linux takes, by the medians.
    pub fn ratio(&self) -> f64 {
        median(&self.linux) / median(&self.ring0)
    }

    /// The ratio's 95 % confidence interval, by bootstrap: both sides' runs are drawn again a thousand times. The
    /// drawing starts from the same seed each time, so equal runs give equal intervals.
    pub fn interval(&self) -> (f64, f64) {
        const DRAWS: usize = 1000;
        let mut random = Lcg(0x9e37_79b9_7f4a_7c15);
        let mut ratios: Vec<f64> = (0..DRAWS)
            .map(|_| {
                let mut draw = |values: &[f64]| {
                    let again: Vec<f64> = values
                        .iter()
                        .map(|_| values[random.below(values.len())])
                        .collect();
                    median(&again)
                };
                draw(&self.linux) / draw(&self.ring0)
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        (ratios[DRAWS / 40], ratios[DRAWS - 1 - DRAWS / 40])
    }
}

/// Knuth's linear congruential generator: enough to draw with.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn results_are_collected_by_case_and_side() {
        let mut results = Results::default();
        results
            .add("b\t200.5\na\t10\n", Side::Linux)
            .expect("results");
        results
            .add("b\t100.25\na\t20\n", Side::Ring0)
            .expect("results");
        let ratios: Vec<_> = results
            .iter()
            .map(|(name, case)| (name.to_owned(), case.ratio()))
            .collect();
        assert_eq!(ratios, [("b".to_owned(), 2.0), ("a".to_owned(), 0.5)]);
        assert!(results.add("panic: oh\n", Side::Ring0).is_err());
    }

    #[test]
    fn the_interval_holds_the_ratio_and_grows_with_the_spread() {
        let case = |ring0: &[f64]| Case {
            linux: vec![10.0, 10.0, 10.0],
            ring0: ring0.to_vec(),
            limit: Vec::new(),
        };
        assert_eq!(case(&[5.0, 5.0, 5.0]).interval(), (2.0, 2.0));
        let (low, high) = case(&[4.0, 5.0, 8.0]).interval();
        assert!(low < 2.0 && high > 2.0, "{low} {high}");
    }
}
