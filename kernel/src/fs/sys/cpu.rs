//! /sys/devices/system: CPUs and the one memory node.
use super::{directory, file};
use crate::cpu::percpu;
use crate::fs::text::Text;
use crate::fs::virtual_tree::{Kind, Listing, Numbered, Numbers};
use ringo_abi::Errno;

/// /sys/devices/system.
pub(super) static SYSTEM: Listing = Listing {
    items: &[directory("cpu", &CPUS)],
    numbered: None,
};

/// /sys/devices/system/cpu.
static CPUS: Listing = Listing {
    items: &[
        file("isolated", |out, _| writeln!(out)),
        file("kernel_max", |out, _| {
            writeln!(out, "{}", percpu::MAX_CPUS - 1)
        }),
        file("offline", |out, _| writeln!(out)),
        file("online", all),
        file("possible", all),
        file("present", all),
    ],
    numbered: Some(&Numbered {
        prefix: "cpu",
        place: 0,
        next: |_, from| ((from as usize) < percpu::cpu_count()).then_some(from),
        exists: |_, number| (number as usize) < percpu::cpu_count(),
        mode: |_| 0o755,
        kind: Kind::Directory(&CPU),
    }),
};

static CPU: Listing = Listing {
    items: &[],
    numbered: None,
};

/// All CPUs: they are online from the start and stay so.
fn all(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.list(0..percpu::cpu_count())?;
    writeln!(out)
}
