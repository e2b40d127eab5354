//! End-to-end tests: real Go programs, each run once as a Linux process and once per engine and CPU count in ring 0.
//!
//! Linux is the oracle: standard output, standard error and the exit code must be the same byte for byte, after the
//! case's own normaliser has taken out what differs between any two runs (addresses, goroutine numbers).
//!
//! * `table.rs` lists the cases, `third.rs` those with programs nobody here wrote; `commands.rs` has those that drive the
//!   `ringo` command itself; `malformed.rs` those with broken executables; `crashes.rs` those of the kernel's own fall.
//! * `case.rs` is the shape of a case, `execute.rs` starts programs under a time limit, `compare.rs` normalises and
//!   shows differences, `go.rs` builds the programs with every Go version in `tools/go-versions`.
//! * `icount.rs` guards what operations cost, in instructions.
//! * `trial.rs`: a trial that fails gets a second try, alone, and is named at the end.
//!
//! A trial's name is `engine-cpus/case`, or `engine-cpus/go-version/case`: `make test` runs all of them,
//! `tools/test.sh kvm-2/files` those whose name contains that. A machine without a working /dev/kvm reports the
//! kvm trials as skipped.

mod case;
mod commands;
mod compare;
mod crashes;
mod crowd;
mod execute;
mod go;
mod icount;
mod lossy;
mod machine;
mod malformed;
mod overlay;
mod processors;
mod table;
mod third;
mod trial;
mod wire;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    for case in table::cases().into_iter().chain(third::cases()) {
        trials.extend(case.trials());
    }
    trials.extend(commands::trials());
    trials.extend(wire::trials());
    trials.extend(lossy::trials());
    trials.extend(crowd::trials());
    trials.extend(processors::trials());
    trials.extend(malformed::trials());
    trials.extend(crashes::trials());
    trials.extend(icount::trials());
    let listing = arguments.list;
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !listing {
        let (filter, exact) = (arguments.filter.clone(), arguments.exact);
        trial::report(|name| match &filter {
            Some(filter) if exact => name == filter,
            Some(filter) => name.contains(filter.as_str()),
            None => true,
        });
    }
    conclusion.exit();
}
