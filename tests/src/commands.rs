//! Trials that drive the `ringo` command itself: signals, closed streams, terminals, what it leaves behind.

use libtest_mimic::Trial;

/// Every trial of this kind.
pub fn trials() -> Vec<Trial> {
    Vec::new()
}
