//! One trial: a named piece of work that succeeds or tells why not.
//!
//! Machines that tests run on are shared, and some things a program does are a matter of time. So a trial that fails runs
//! once more, alone: if it succeeds then, it counts as passed, and the end of the run names it with what went wrong the
//! first time ([`report`]), so that a rare bug does not hide. One that fails twice has failed.

use std::sync::{Mutex, PoisonError, RwLock};

use anyhow::Result;
use libtest_mimic::{Failed, Trial};

/// Ordinary trials hold it for reading; one that measures time holds it for writing and so runs alone.
static QUIET: RwLock<()> = RwLock::new(());
/// Trials that succeeded at the second try: their names, and why the first one failed.
static UNSTEADY: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Which run of the same trial this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    First,
    /// Nothing that the first one found out counts any more.
    Second,
}

/// A trial; `alone` keeps others from running beside it.
pub fn trial(
    name: String,
    ignored: bool,
    alone: bool,
    work: impl Fn(Attempt) -> Result<()> + Send + 'static,
) -> Trial {
    let shown = name.clone();
    let run = move || -> Result<(), Failed> {
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
                let mut unsteady = UNSTEADY.lock().unwrap_or_else(PoisonError::into_inner);
                unsteady.push((shown.clone(), format!("{first:#}")));
                Ok(())
            }
            Err(second) => Err(Failed::from(format!(
                "{second:#}\nand the first time:\n{first:#}"
            ))),
        }
    };
    Trial::test(name, run).with_ignored_flag(ignored)
}

/// Names the trials that succeeded at the second try only.
pub fn report() {
    let unsteady = UNSTEADY.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, why) in unsteady.iter() {
        println!("{name} succeeded at the second try only. The first:");
        for line in why.lines().take(40) {
            println!("    {line}");
        }
    }
}
