//! One trial: a named piece of work that succeeds or tells why not.
//!
//! Machines that tests run on are shared, and some things a program does are a matter of time. So a trial that fails runs
//! once more, alone: if it succeeds then, it counts as passed, and the end of the run names it with what went wrong the
//! first time ([`report`]), so that a rare bug does not hide. One that fails twice has failed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use anyhow::Result;
use libtest_mimic::{Failed, Trial};

/// Ordinary trials hold it for reading; one that measures time holds it for writing and so runs alone.
static QUIET: RwLock<()> = RwLock::new(());
/// Trials that failed, with the reason. Past [`ENOUGH`] of them the machine or the kernel is broken as a whole, and each
/// further one would only wait for its time limit.
static FAILED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
/// As many skipped trials with one reason are named.
const NAMED: usize = 20;
/// So many failures end the run: the trials left are not tried.
const ENOUGH: usize = 20;
/// Trials that succeeded at the second try: their names, and why the first one failed.
static UNSTEADY: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Trials that are not run here, with the reason.
static SKIPPED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Which run of the same trial this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    First,
    /// Nothing that the first one found out counts any more.
    Second,
}

/// A trial; `alone` keeps others from running beside it. With `skip`, the reason, it is not run.
pub fn trial(
    name: String,
    skip: Option<String>,
    alone: bool,
    work: impl Fn(Attempt) -> Result<()> + Send + 'static,
) -> Trial {
    let shown = name.clone();
    let ignored = skip.is_some();
    if let Some(why) = skip {
        list(&SKIPPED).push((name.clone(), why));
    }
    let run = move || -> Result<(), Failed> {
        if list(&FAILED).len() >= ENOUGH {
            return Err(Failed::from(format!("not tried: {ENOUGH} others failed")));
        }
        let first = if alone {
            let _alone = QUIET.write();
            work(Attempt::First)
        } else {
            let _together = QUIET.read();
            work(Attempt::First)
        };
        let Err(first) = first else { return Ok(()) };
        let _alone = QUIET.write();
        match work(Attempt::Second) {
            Ok(()) => {
                list(&UNSTEADY).push((shown.clone(), format!("{first:#}")));
                Ok(())
            }
            Err(second) => {
                let why = format!("{second:#}\nand the first time:\n{first:#}");
                list(&FAILED).push((shown.clone(), why.clone()));
                Err(Failed::from(why))
            }
        }
    };
    Trial::test(name, run).with_ignored_flag(ignored)
}

fn list(of: &'static Mutex<Vec<(String, String)>>) -> MutexGuard<'static, Vec<(String, String)>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says of the `selected` trials which were skipped and why, names those that succeeded at the second try only, and once more,
/// at the very end, those that failed: a log is often read from there. Counts come last (tools/test.sh adds them up).
pub fn report(selected: impl Fn(&str) -> bool) {
    let mut skipped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, why) in list(&SKIPPED).iter().filter(|(name, _)| selected(name)) {
        skipped.entry(why.clone()).or_default().push(name.clone());
    }
    for (why, names) in &skipped {
        println!("{} skipped: {why}", names.len());
        for name in names.iter().take(NAMED) {
            println!("    {name}");
        }
        if names.len() > NAMED {
            println!("    and {} more", names.len() - NAMED);
        }
    }
    for (name, why) in list(&UNSTEADY).iter() {
        println!("{name} succeeded at the second try only. The first:");
        show(why, 40);
    }
    println!("second tries: {}", list(&UNSTEADY).len());
    for (name, why) in list(&FAILED).iter().take(3) {
        println!("{name} FAILED:");
        show(why, 12);
    }
}

fn show(why: &str, lines: usize) {
    for line in why.lines().take(lines) {
        println!("    {line}");
    }
}
