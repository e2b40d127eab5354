//! Areas that grow downwards (MAP_GROWSDOWN), as a stack does when something below it is touched.
use super::paging::PAGE;
use super::space::{Backing, Inner, LOWEST};
use crate::task::limits;
use linux_raw_sys::general::RLIMIT_STACK;

/// What stays free below (Linux's stack_guard_gap): a stack must not grow into its neighbour unnoticed.
const GAP: usize = 256 * PAGE;

impl Inner {
    /// Lets the area above `address`, where nothing is, reach down to it. False if there is none that grows, or may.
    #[cold]
    pub fn grow_down(&mut self, address: usize) -> bool {
        let page = address / PAGE * PAGE;
        let Some((&start, area)) = self.areas.range(address..).next() else {
            return false;
        };
        let limit = limits::get(RLIMIT_STACK).map_or(0, |[soft, _]| soft);
        let anonymous = matches!(area.backing, Backing::Anonymous);
        if !area.grows_down || !anonymous || page < LOWEST || (area.end - page) as u64 > limit {
            return false;
        }
        let near = self.areas.range(..address).next_back();
        let blocked = near.is_some_and(|(_, below)| {
            page - below.end < GAP && !below.grows_down && below.protection != 0
        });
        if blocked || self.may_map(start - page, 0, 0).is_err() {
            return false;
        }
        if let Some(area) = self.take(start) {
            self.insert(page, area);
        }
        true
    }
}
