//! The kernel's half of `--stats`: figures at the program's end, as a JSON object.
use super::site_counts;
use crate::cpu::percpu::{self, PerCpu};
use crate::drivers::virtio::ninep;
use crate::memory::{frames, space};
use crate::net::{ip, tcp};
use crate::sync::contention;
use crate::{task, time};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static WANTED: AtomicBool = AtomicBool::new(false);
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Whether the user wants them.
pub fn set_wanted(on: bool) {
    WANTED.store(on, Ordering::Relaxed);
    if on {
        contention::count();
    }
}

/// The program's first instruction follows.
pub fn program_starts() {
    STARTED.store(time::now(), Ordering::Relaxed);
}

/// The object, or nothing if nobody wants it.
pub fn json() -> String {
    if !WANTED.load(Ordering::Relaxed) {
        return String::new();
    }
    let (patched, found) = site_counts();
    let sum = |counter: fn(&PerCpu) -> &AtomicU64| -> u64 {
        (0..percpu::cpu_count())
            .map(|id| counter(percpu::cpu(id)).load(Ordering::Relaxed))
            .sum()
    };
    let (free, total) = frames::counts();
    let peak = space().lock().resident_peak;
    let (requests, trips) = ninep::counts();
    alloc::format!(
        "{{\"sites\":\"{patched}/{found}\",\"syscalls\":{},\"switches\":{},\"interrupts\":{},\"halts\":{},\
         \"interrupts_sent\":{},\"timer_arms\":{},\"program_ns\":{},\"cpu_ns\":{},\
         \"memory_total_bytes\":{},\"memory_used_bytes\":{},\"program_peak_bytes\":{},\"threads\":{},\
         \"host_requests\":{requests},\"host_trips\":{trips},\"lock_waits\":{}{}}}",
        sum(|cpu| &cpu.syscalls),
        sum(|cpu| &cpu.switches),
        sum(|cpu| &cpu.interrupts),
        sum(|cpu| &cpu.halts),
        sum(|cpu| &cpu.ipis),
        sum(|cpu| &cpu.timer_arms),
        time::now() - STARTED.load(Ordering::Relaxed),
        task::process().cpu_time(),
        total * frames::FRAME,
        (total - free) * frames::FRAME,
        peak * frames::FRAME,
        task::thread::count(),
        locks(),
        network(),
    )
}

/// Where locks were waited for: the place that took one, how often it was not free, turns of the waiting loop, and how often
/// the thread slept.
fn locks() -> String {
    let mut places = BTreeMap::<_, [u64; 3]>::new();
    for each in contention::counts().filter(|each| each.waits > 0) {
        let place = each.place.map(|place| (place.file(), place.line()));
        let sums = places.entry(place).or_default();
        for (sum, more) in sums.iter_mut().zip([each.waits, each.spins, each.sleeps]) {
            *sum += more;
        }
    }
    let mut out = String::from("{");
    for (at, (place, [waits, spins, sleeps])) in places.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let (file, line) = place.unwrap_or(("others", 0));
        let file = file.strip_prefix("kernel/src/").unwrap_or(file);
        // Writing to a String does not fail.
        let _ = write!(
            out,
            "{comma}\"{file}:{line}\":{{\"waits\":{waits},\"spins\":{spins},\"sleeps\":{sleeps}}}"
        );
    }
    out.push('}');
    out
}

/// Packets, if there is a network card.
fn network() -> String {
    let Some(network) = ip::network() else {
        return String::new();
    };
    let nic = network.nic;
    let (in_frames, in_bytes) = nic.received.so_far();
    let (out_frames, out_bytes) = nic.sent.so_far();
    let counts = &ip::COUNTS;
    alloc::format!(
        ",\"net_in_packets\":{in_frames},\"net_in_bytes\":{in_bytes},\"net_out_packets\":{out_frames},\
         \"net_out_bytes\":{out_bytes},\"net_notifications\":{},\"net_connections\":{},\"net_dropped\":{{\"malformed\":{},\"checksum\":{},\
         \"fragment\":{},\"protocol\":{},\"not_ours\":{},\"no_socket\":{},\"no_neighbour\":{},\"forged\":{},\"full\":{},\"no_room_to_send\":{},\"unconfirmed\":{},\"errors_withheld\":{}}},\
         \"net_retransmits\":{},\"net_resets_in\":{},\"net_resets_out\":{},\"net_given_up\":{},\"net_pieces\":{}",
        nic.notifications.load(Ordering::Relaxed),
        tcp::count(),
        counts.malformed.get(),
        counts.checksum.get(),
        counts.fragment.get(),
        counts.protocol.get(),
        counts.not_ours.get(),
        counts.no_socket.get(),
        counts.no_neighbour.get(),
        counts.forged.get(),
        counts.full.get(),
        nic.dropped.load(Ordering::Relaxed),
        counts.unconfirmed.get(),
        counts.withheld.get(),
        counts.repeated.get(),
        counts.reset_in.get(),
        counts.reset_out.get(),
        counts.given_up.get(),
        counts.pieces.get(),
    )
}
