//! What was measured: nanoseconds per operation by case and side, a value a run; and instructions, which one run tells.

use std::collections::HashMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Who ran it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A Linux process.
    Linux,
    /// Ringo.
    Ring0,
    /// A Linux process whose calls return at once; where instructions are counted, in ring 0.
    Limit,
    /// A process of a Linux guest.
    LinuxGuest,
}

impl Side {
    /// Each, in the order of their discriminants.
    pub const ALL: [Side; 4] = [Side::Linux, Side::Ring0, Side::Limit, Side::LinuxGuest];

    /// For the progress bar.
    pub fn doing(self) -> &'static str {
        match self {
            Side::Linux => "on Linux",
            Side::Ring0 => "in ring 0",
            Side::Limit => "the limit",
            Side::LinuxGuest => "in a Linux guest",
        }
    }

    /// Its name in JSON.
    fn key(self) -> &'static str {
        match self {
            Side::Linux => "linux",
            Side::Ring0 => "ring0",
            Side::Limit => "limit",
            Side::LinuxGuest => "linux_guest",
        }
    }
}

/// What a run's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Nanoseconds,
    Instructions,
}

/// One case.
#[derive(Default)]
pub struct Case {
    /// Nanoseconds, a value a run.
    times: [Vec<f64>; 4],
    /// Instructions.
    counts: [Option<f64>; 4],
}

/// All cases, in the order in which they came.
#[derive(Default)]
pub struct Results {
    order: Vec<String>,
    cases: HashMap<String, Case>,
}

impl Results {
    /// Takes the output of one run: lines `NAME<tab>VALUE`.
    pub fn add(&mut self, output: &str, side: Side, unit: Unit) -> Result<()> {
        for line in output.lines() {
            let (name, value) = line
                .split_once('\t')
                .with_context(|| format!("not a result: {line}"))?;
            let value: f64 = value
                .trim()
                .parse()
                .with_context(|| format!("not a result: {line}"))?;
            let case = self.case(name);
            match unit {
                Unit::Nanoseconds => case.times[side as usize].push(value),
                Unit::Instructions => case.counts[side as usize] = Some(value),
            }
        }
        Ok(())
    }

    fn case(&mut self, name: &str) -> &mut Case {
        if !self.cases.contains_key(name) {
            self.order.push(name.to_owned());
        }
        self.cases.entry(name.to_owned()).or_default()
    }

    /// Takes those of another measurement as well.
    pub fn join(&mut self, others: Results) {
        for name in &others.order {
            let from = &others.cases[name];
            let case = self.case(name);
            for side in 0..Side::ALL.len() {
                case.times[side].extend_from_slice(&from.times[side]);
                case.counts[side] = from.counts[side].or(case.counts[side]);
            }
        }
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

    /// An object a case: every single measurement, and what follows from them.
    pub fn json(&self) -> Value {
        let object = |(name, case): (&str, &Case)| {
            let mut object = json!({ "case": name });
            for side in Side::ALL {
                if let Some(time) = case.time(side) {
                    object[format!("{}_ns", side.key())] = json!(time);
                    object[format!("{}_runs", side.key())] = json!(case.times[side as usize]);
                }
                if let Some(count) = case.count(side) {
                    object[format!("{}_instructions", side.key())] = json!(count);
                }
            }
            if let Some(ratio) = case.ratio(Side::Linux) {
                let (low, high) = case.interval();
                object["ratio"] = json!(ratio);
                object["ratio_low"] = json!(low);
                object["ratio_high"] = json!(high);
            }
            object
        };
        self.iter().map(object).collect::<Vec<_>>().into()
    }

    /// The same from such objects.
    pub fn from_json(cases: &Value) -> Result<Results> {
        let mut results = Results::default();
        for object in cases.as_array().context("no list of cases")? {
            let case = results.case(object["case"].as_str().context("a case has no name")?);
            for side in Side::ALL {
                let runs = object[format!("{}_runs", side.key())].as_array();
                case.times[side as usize] = runs
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_f64)
                    .collect();
                case.counts[side as usize] =
                    object[format!("{}_instructions", side.key())].as_f64();
            }
        }
        Ok(results)
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
    /// The median of a side's runs, if it ran.
    pub fn time(&self, side: Side) -> Option<f64> {
        let times = &self.times[side as usize];
        (!times.is_empty()).then(|| median(times))
    }

    /// A side's instructions, if they were counted.
    pub fn count(&self, side: Side) -> Option<f64> {
        self.counts[side as usize]
    }

    /// How many times as long that side takes as ring 0.
    pub fn ratio(&self, side: Side) -> Option<f64> {
        Some(self.time(side)? / self.time(Side::Ring0)?)
    }

    /// How many times as many instructions.
    pub fn count_ratio(&self, side: Side) -> Option<f64> {
        Some(self.count(side)? / self.count(Side::Ring0)?)
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
                draw(&self.times[Side::Linux as usize]) / draw(&self.times[Side::Ring0 as usize])
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
            .add("b\t200.5\na\t10\n", Side::Linux, Unit::Nanoseconds)
            .expect("results");
        results
            .add("b\t100.25\na\t20\n", Side::Ring0, Unit::Nanoseconds)
            .expect("results");
        let ratios: Vec<_> = results
            .iter()
            .map(|(name, case)| (name.to_owned(), case.ratio(Side::Linux)))
            .collect();
        assert_eq!(
            ratios,
            [("b".to_owned(), Some(2.0)), ("a".to_owned(), Some(0.5))]
        );
        let bad = results.add("panic: oh\n", Side::Ring0, Unit::Nanoseconds);
        assert!(bad.is_err());
    }

    #[test]
    fn what_was_written_is_read_again() {
        let mut results = Results::default();
        for (line, side, unit) in [
            ("a\t3", Side::Linux, Unit::Nanoseconds),
            ("a\t5", Side::Linux, Unit::Nanoseconds),
            ("a\t2", Side::Ring0, Unit::Nanoseconds),
            ("a\t40", Side::Ring0, Unit::Instructions),
            ("b\t320", Side::LinuxGuest, Unit::Instructions),
        ] {
            results.add(line, side, unit).expect("a result");
        }
        let json = results.json();
        let again = Results::from_json(&json).expect("cases");
        assert_eq!(again.json(), json);
        assert_eq!(
            (json[0]["ratio"].as_f64(), json[1].get("ratio")),
            (Some(2.0), None)
        );
    }

    #[test]
    fn runs_of_two_measurements_count_together() {
        let mut results = Results::default();
        let mut others = Results::default();
        for (to, text) in [(&mut results, "a\t1\n"), (&mut others, "a\t3\nb\t7\n")] {
            to.add(text, Side::Linux, Unit::Nanoseconds)
                .expect("results");
        }
        others
            .add("a\t50", Side::Ring0, Unit::Instructions)
            .expect("a result");
        results.join(others);
        let found: Vec<_> = results
            .iter()
            .map(|(name, case)| (name, case.time(Side::Linux), case.count(Side::Ring0)))
            .collect();
        assert_eq!(
            found,
            [("a", Some(2.0), Some(50.0)), ("b", Some(7.0), None)]
        );
    }

    #[test]
    fn the_interval_holds_the_ratio_and_grows_with_the_spread() {
        let case = |ring0: &[f64]| Case {
            times: [
                vec![10.0, 10.0, 10.0],
                ring0.to_vec(),
                Vec::new(),
                Vec::new(),
            ],
            ..Case::default()
        };
        assert_eq!(case(&[5.0, 5.0, 5.0]).interval(), (2.0, 2.0));
        let (low, high) = case(&[4.0, 5.0, 8.0]).interval();
        assert!(low < 2.0 && high > 2.0, "{low} {high}");
    }
}
