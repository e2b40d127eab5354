//! Trials with broken executables, made by changing a good one: each gets one clear line and exit code 125.

use libtest_mimic::Trial;

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    Vec::new()
}
