//! /proc/cpuinfo (Linux arch/x86/kernel/cpu/proc.c). What Linux derives from the model number (bugs, their mitigations)
//! is not known here and left empty.
use crate::cpu::features::each_feature;
use crate::cpu::identity::{Identity, Topology, apic_id, cache_size};
use crate::cpu::percpu;
use crate::fs::text::Text;
use crate::fs::virtual_tree::Numbers;
use crate::time;
use ringo_abi::Errno;

/// The lines that all CPUs have alike.
struct Common {
    identity: Identity,
    topology: Topology,
    cache_kib: u64,
    khz: u64,
    features: Text,
}

pub(super) fn cpuinfo(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    let identity = Identity::read();
    let mut features = Text::default();
    let mut short = Ok(());
    each_feature(|name| {
        if short.is_ok() {
            short = write!(features, " {name}");
        }
    });
    short?;
    let common = Common {
        cache_kib: cache_size(&identity) >> 10,
        identity,
        topology: Topology::read(),
        khz: time::tsc_hertz() / 1000,
        features,
    };
    (0..percpu::cpu_count()).try_for_each(|cpu| processor(out, cpu, &common))
}

fn processor(out: &mut Text, cpu: usize, common: &Common) -> Result<(), Errno> {
    let Common {
        identity,
        topology,
        cache_kib,
        khz,
        features,
    } = common;
    let (family, model, stepping) = identity.signature;
    write!(out, "processor\t: {cpu}\nvendor_id\t: ")?;
    out.put(&identity.vendor)?;
    write!(
        out,
        "\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: "
    )?;
    out.put(identity.brand())?;
    writeln!(out, "\nstepping\t: {stepping}")?;
    writeln!(out, "cpu MHz\t\t: {}.{:03}", khz / 1000, khz % 1000)?;
    if *cache_kib != 0 {
        writeln!(out, "cache size\t: {cache_kib} KB")?;
    }
    let siblings = topology.package_cpus(cpu).count_ones();
    writeln!(
        out,
        "physical id\t: {}\nsiblings\t: {siblings}",
        topology.package(cpu)
    )?;
    writeln!(
        out,
        "core id\t\t: {}\ncpu cores\t: {}",
        topology.core(cpu),
        topology.cores(cpu)
    )?;
    let apic = apic_id(cpu);
    writeln!(out, "apicid\t\t: {apic}\ninitial apicid\t: {apic}")?;
    writeln!(out, "fpu\t\t: yes\nfpu_exception\t: yes")?;
    writeln!(out, "cpuid level\t: {}\nwp\t\t: yes", identity.highest_leaf)?;
    out.put(b"flags\t\t:")?;
    out.append(features)?;
    // Twice the clock, where a loop takes one cycle.
    let (bogo, part) = (khz * 2 / 1000, khz * 2 % 1000 / 10);
    writeln!(out, "\nbugs\t\t:\nbogomips\t: {bogo}.{part:02}")?;
    if identity.tlb_entries != 0 {
        writeln!(out, "TLB size\t: {} 4K pages", identity.tlb_entries)?;
    }
    let line = identity.line;
    writeln!(out, "clflush size\t: {line}\ncache_alignment\t: {line}")?;
    let (physical, linear) = identity.address_bits;
    writeln!(
        out,
        "address sizes\t: {physical} bits physical, {linear} bits virtual"
    )?;
    power(out, identity.power)
}

/// The bits of leaf 0x80000007 that have names; bit 8, the invariant TSC, shows as nothing.
fn power(out: &mut Text, bits: u32) -> Result<(), Errno> {
    const NAMES: [&str; 15] = [
        " ts",
        " fid",
        " vid",
        " ttp",
        " tm",
        " stc",
        " 100mhzsteps",
        " hwpstate",
        "",
        " cpb",
        " eff_freq_ro",
        " proc_feedback",
        " acc_power",
        "",
        "",
    ];
    out.put(b"power management:")?;
    for (_, name) in NAMES
        .iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 != 0)
    {
        out.put(name.as_bytes())?;
    }
    out.put(b"\n\n")
}
