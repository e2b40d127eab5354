//! Time is read while it is changed: no reader mixes two versions, and to nobody does it go back.
use crate::cpu::tsc::{Parameters, Which, Words, nanoseconds};
use crate::rig::{model, spawn};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The counter, which goes on with each look.
static TSC: AtomicU64 = AtomicU64::new(0);

fn tsc() -> u64 {
    TSC.fetch_add(1000, SeqCst)
}

/// In every version the parts are made from the base, so a mixture shows.
fn mark(base: u64) -> Parameters {
    Parameters {
        base,
        mult: 0,
        starts: [u128::from(base) << 64 | u128::from(base); 2],
    }
}

#[test]
fn a_reader_sees_one_version() {
    model(3, || {
        let words: &'static Words = Box::leak(Box::new(Words::new()));
        for _ in 0..2 {
            spawn(move || {
                for _ in 0..3 {
                    let time = words.read(Which::Wall, || 0);
                    assert_eq!(time as u64, (time >> 64) as u64, "two versions");
                }
            });
        }
        for base in 1..4 {
            words.change(|_| mark(base));
        }
    });
}

#[test]
fn time_does_not_go_back_when_its_rate_changes() {
    model(3, || {
        TSC.store(1 << 40, SeqCst);
        let words: &'static Words = Box::leak(Box::new(Words::new()));
        let rate = 1 << 34;
        words.change(|_| Parameters {
            base: 0,
            mult: rate,
            starts: [0; 2],
        });
        let last: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
        for _ in 0..2 {
            spawn(move || {
                for _ in 0..3 {
                    let before = last.load(SeqCst);
                    let now = nanoseconds(words.read(Which::Monotonic, tsc));
                    assert!(now >= before, "{now} after {before}");
                    last.fetch_max(now, SeqCst);
                }
            });
        }
        for change in [
            rate - (rate >> 11),
            rate + (rate >> 11),
            rate - (rate >> 11),
        ] {
            words.change(|old| old.with_rate(tsc(), change, 1 << 30));
        }
    });
}
