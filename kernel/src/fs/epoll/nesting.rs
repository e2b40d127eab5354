//! Instances that watch instances: in no circle, and in no long chain.
//!
//! An event goes up a chain of instances, and a wait down, by recursion; so the longest chain that a new watch would make
//! is measured in both directions, as Linux does since 6.18 (and had to learn: below alone does not bound it). `NESTING` is
//! held while that is done and the watch is added. An instance that is met on several ways is looked at once.
use super::Epoll;
use super::ready::Core;
use crate::sync::SleepMutex;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use ringo_abi::Errno;

/// How many watches a chain of instances may have (EP_MAX_NESTS).
const MAX: usize = 4;

pub(super) static NESTING: SleepMutex<()> = SleepMutex::new(());

/// Instances that were looked at, with the length of the longest chain from there.
type Seen = BTreeMap<usize, usize>;

fn id(core: &Core) -> usize {
    core::ptr::from_ref(core).addr()
}

/// Fails if `outer` may not watch `inner`. `NESTING` is held.
pub(super) fn check(outer: &Epoll, inner: &Epoll) -> Result<(), Errno> {
    let below = below(inner, id(&outer.core), &mut Seen::new())?;
    let above = above(&outer.core, &mut Seen::new());
    if below + 1 + above > MAX {
        return Err(Errno::ELOOP);
    }
    Ok(())
}

/// The longest chain of watches that begins at this instance; ELOOP if the instance `outer` is on one.
fn below(epoll: &Epoll, outer: usize, seen: &mut Seen) -> Result<usize, Errno> {
    let own = id(&epoll.core);
    if own == outer {
        return Err(Errno::ELOOP);
    }
    if let Some(&length) = seen.get(&own) {
        return Ok(length);
    }
    let watched: Vec<_> = epoll
        .interest
        .lock()
        .values()
        .filter_map(|item| item.file.upgrade())
        .filter(|file| file.ops.downcast::<Epoll>().is_some())
        .collect();
    let mut length = 0;
    for file in watched {
        if let Some(inner) = file.ops.downcast::<Epoll>() {
            length = length.max(1 + below(inner, outer, seen)?);
        }
    }
    seen.insert(own, length);
    Ok(length)
}

/// The longest chain of watches that ends at this instance.
fn above(core: &Core, seen: &mut Seen) -> usize {
    if let Some(&length) = seen.get(&id(core)) {
        return length;
    }
    let mut outer: Vec<Arc<Core>> = Vec::new();
    core.queue.for_each(|observer| {
        let observer: &dyn Any = observer;
        if let Some(item) = observer.downcast_ref::<super::Item>() {
            outer.push(item.core.clone());
        }
    });
    let lengths = outer.iter().map(|core| 1 + above(core, seen));
    let length = lengths.max().unwrap_or(0);
    seen.insert(id(core), length);
    length
}
