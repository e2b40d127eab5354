//! /sys/kernel/mm: how large pages are given.
use super::{directory, file, setting};
use crate::fs::virtual_tree::Listing;
use crate::memory::paging::HUGE_PAGE;

/// /sys/kernel/mm.
pub(super) static MM: Listing = Listing {
    items: &[
        directory(
            "hugepages",
            &Listing {
                items: &[directory("hugepages-2048kB", &POOL)],
                numbered: None,
            },
        ),
        directory("transparent_hugepage", &TRANSPARENT),
    ],
    numbered: None,
};

/// Huge pages are given wherever they fit and memory is ample, unless madvise(MADV_NOHUGEPAGE) forbids it.
static TRANSPARENT: Listing = Listing {
    items: &[
        setting("defrag", |out, _| {
            writeln!(out, "always defer defer+madvise madvise [never]")
        }),
        setting("enabled", |out, _| writeln!(out, "[always] madvise never")),
        file("hpage_pmd_size", |out, _| writeln!(out, "{HUGE_PAGE}")),
        setting("shmem_enabled", |out, _| {
            writeln!(out, "always within_size advise [never] deny force")
        }),
        setting("use_zero_page", |out, _| writeln!(out, "0")),
    ],
    numbered: None,
};

/// The pool that MAP_HUGETLB takes from, which is empty.
static POOL: Listing = Listing {
    items: &[
        file("free_hugepages", |out, _| writeln!(out, "0")),
        setting("nr_hugepages", |out, _| writeln!(out, "0")),
        setting("nr_overcommit_hugepages", |out, _| writeln!(out, "0")),
        file("resv_hugepages", |out, _| writeln!(out, "0")),
        file("surplus_hugepages", |out, _| writeln!(out, "0")),
    ],
    numbered: None,
};
