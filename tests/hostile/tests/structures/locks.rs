//! Record locks against what each owner holds of each byte.
use crate::Steps;
use crate::ranges::{Owner, Range, Ranges};

/// The file: 16 bytes, all that lies between, the last 16.
const CELLS: usize = 33;
const OWNERS: [Owner; 3] = [Owner::Process, Owner::File(1), Owner::File(2)];

fn first(cell: usize) -> u64 {
    match cell {
        0..=16 => cell as u64,
        _ => u64::MAX - (CELLS - 1 - cell) as u64,
    }
}

fn last(cell: usize) -> u64 {
    if cell == 16 {
        first(17) - 1
    } else {
        first(cell)
    }
}

/// For each owner and cell: nothing, a read lock or a write lock.
type Model = [[Option<bool>; CELLS]; 3];

/// The longest range of one kind of lock around a cell.
fn run(model: &Model, owner: usize, cell: usize) -> Option<Range> {
    let held = &model[owner];
    let exclusive = held[cell]?;
    let same = |cell: &usize| held[*cell] == Some(exclusive);
    let from = (0..=cell).rev().take_while(same).last()?;
    let to = (cell..CELLS).take_while(same).last()?;
    Some(Range {
        first: first(from),
        last: last(to),
        exclusive,
        owner: OWNERS[owner],
    })
}

/// The locks that stand in the way, those that begin first.
fn conflicts(model: &Model, wanted: &Range, cells: std::ops::RangeInclusive<usize>) -> Vec<Range> {
    let others = (0..OWNERS.len()).filter(|&owner| OWNERS[owner] != wanted.owner);
    let pairs = others.flat_map(|owner| cells.clone().map(move |cell| (owner, cell)));
    let runs = pairs.filter_map(|(owner, cell)| run(model, owner, cell));
    let mut all: Vec<_> = runs
        .filter(|held| held.exclusive || wanted.exclusive)
        .collect();
    let begin = all.iter().map(|held| held.first).min();
    all.retain(|held| Some(held.first) == begin);
    all
}

#[test]
fn record_locks_are_what_each_owner_holds_of_each_byte() {
    let mut steps = Steps::new(7);
    let (mut ranges, mut model): (_, Model) = (Ranges::new(), [[None; CELLS]; 3]);
    for _ in 0..100_000 {
        let owner = steps.below(3);
        let (a, b) = (steps.below(CELLS), steps.below(CELLS));
        let cells = a.min(b)..=a.max(b);
        let exclusive = steps.below(2) == 0;
        let range = Range {
            first: first(*cells.start()),
            last: last(*cells.end()),
            exclusive,
            owner: OWNERS[owner],
        };
        match steps.below(16) {
            0 => {
                ranges.release(OWNERS[owner]);
                model[owner] = [None; CELLS];
            }
            1..=6 => {
                ranges.unlock(range);
                model[owner][cells.clone()].fill(None);
            }
            _ => {
                ranges.lock(range);
                model[owner][cells.clone()].fill(Some(exclusive));
            }
        }
        let probe = Range {
            owner: OWNERS[steps.below(3)],
            exclusive: steps.below(2) == 0,
            ..range
        };
        let found = ranges.conflict(probe);
        let expected = conflicts(&model, &probe, cells);
        match found {
            Some(found) => assert!(expected.contains(&found), "{found:?}, not {expected:?}"),
            None => assert!(expected.is_empty(), "none, not {expected:?}"),
        }
    }
}
