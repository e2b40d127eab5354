//! Shared futexes: the one word that several mappings of a file show has one key.
use super::futex::{Key, Word};
use crate::memory::space;
use crate::memory::space::Backing;

/// The word at `address`, as everybody knows it who maps its page. Costs a look at the address space, which private futexes
/// do without.
pub fn shared(address: usize) -> Word {
    let inner = space().lock();
    let file = inner
        .area_at(address)
        .and_then(|(start, area)| match &area.backing {
            Backing::File { source, page } if area.shared => {
                let place = page * crate::memory::paging::PAGE as u64 + (address - start) as u64;
                Some((source.id(), place))
            }
            _ => None,
        });
    drop(inner);
    Word {
        address,
        key: Key::shared(address, file),
    }
}
