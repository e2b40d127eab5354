//! What the processor says of itself (CPUID; Intel SDM 2A "CPUID", AMD APM 3 app. E): name, caches, topology, features.
//!
//! For /proc/cpuinfo and /sys/devices/system/cpu. Instructions are asked when somebody reads those files: under a
//! hypervisor each CPUID costs a microsecond or more. All CPUs are taken to be like the one that asks.
use super::percpu::{self, cpu};
use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use core::sync::atomic::Ordering;

/// First leaf of the extended functions.
const EXTENDED: u32 = 0x8000_0000;

/// A leaf, or zeros if the processor has none of this number.
pub fn leaf(number: u32, sub: u32) -> CpuidResult {
    let highest = __cpuid(number & EXTENDED).eax;
    if number > highest {
        return CpuidResult {
            eax: 0,
            ebx: 0,
            ecx: 0,
            edx: 0,
        };
    }
    __cpuid_count(number, sub)
}

/// The four bytes of each register, as text.
fn text<const N: usize>(registers: &[u32]) -> [u8; N] {
    let mut text = [0; N];
    for (slot, register) in text.chunks_exact_mut(4).zip(registers) {
        slot.copy_from_slice(&register.to_le_bytes());
    }
    text
}

/// The processor.
pub struct Identity {
    /// "GenuineIntel", "AuthenticAMD".
    pub vendor: [u8; 12],
    /// See [`Identity::brand`].
    brand: [u8; 48],
    /// Family, model, stepping, as they are written in decimal.
    pub signature: (u32, u32, u32),
    /// The highest basic leaf.
    pub highest_leaf: u32,
    /// Bytes of a line of CLFLUSH.
    pub line: u32,
    /// Bits of a physical and of a virtual address.
    pub address_bits: (u32, u32),
    /// Entries of the second-level TLB for small pages, where leaf 0x80000006 tells.
    pub tlb_entries: u32,
    /// Advanced power management (leaf 0x80000007).
    pub power: u32,
}

impl Identity {
    /// Asks the processor.
    pub fn read() -> Self {
        let (vendor, basic) = (leaf(0, 0), leaf(1, 0));
        let family = basic.eax >> 8 & 15;
        let extended = family == 6 || family == 15;
        let model = basic.eax >> 4 & 15 | if extended { basic.eax >> 12 & 0xf0 } else { 0 };
        let family = family
            + if family == 15 {
                basic.eax >> 20 & 0xff
            } else {
                0
            };
        let mut brand = [0; 48];
        for (part, slot) in brand.chunks_exact_mut(16).enumerate() {
            let found = leaf(EXTENDED + 2 + part as u32, 0);
            slot.copy_from_slice(&text::<16>(&[found.eax, found.ebx, found.ecx, found.edx]));
        }
        let (tlb, sizes) = (leaf(EXTENDED + 6, 0).ebx, leaf(EXTENDED + 8, 0).eax);
        Self {
            vendor: text(&[vendor.ebx, vendor.edx, vendor.ecx]),
            brand,
            signature: (family, model, basic.eax & 15),
            highest_leaf: vendor.eax,
            line: (basic.ebx >> 8 & 0xff) * 8,
            address_bits: match sizes {
                0 => (36, 48),
                sizes => (sizes & 0xff, sizes >> 8 & 0xff),
            },
            tlb_entries: (tlb >> 16 & 0xfff) + (tlb & 0xfff),
            power: leaf(EXTENDED + 7, 0).edx,
        }
    }

    /// The marketing name, without spaces around it.
    pub fn brand(&self) -> &[u8] {
        let end = self.brand.iter().position(|&byte| byte == 0);
        self.brand[..end.unwrap_or(48)].trim_ascii()
    }

    /// Whether AMD's leaves are the ones that tell.
    fn is_amd(&self) -> bool {
        matches!(&self.vendor, b"AuthenticAMD" | b"HygonGenuine")
    }
}

/// A cache.
pub struct Cache {
    /// "Data", "Instruction", "Unified".
    pub kind: &'static str,
    /// 1, 2, 3.
    pub level: u32,
    /// Bytes of a line.
    pub line: u32,
    /// Ways of associativity.
    pub ways: u32,
    /// Sets.
    pub sets: u32,
    /// CPUs with APIC ids that are alike above this bit share it.
    shift: u32,
}

impl Cache {
    /// The cache with this index, from the nearest on; none behind the last.
    pub fn read(index: u32) -> Option<Self> {
        const INTEL: u32 = 4;
        const AMD: u32 = EXTENDED + 0x1d;
        /// AMD's "topology extensions", which that leaf is one of.
        const TOPOLOGY: u32 = 1 << 22;
        if leaf(EXTENDED + 1, 0).ecx & TOPOLOGY != 0 {
            Self::deterministic(leaf(AMD, index))
        } else {
            Self::deterministic(leaf(INTEL, index)).or_else(|| Self::older(index))
        }
    }

    /// From the leaf that tells everything.
    fn deterministic(found: CpuidResult) -> Option<Self> {
        let kind = match found.eax & 31 {
            1 => "Data",
            2 => "Instruction",
            3 => "Unified",
            _ => return None,
        };
        let sharers = (found.eax >> 14 & 0xfff) + 1;
        Some(Self {
            kind,
            level: found.eax >> 5 & 7,
            line: (found.ebx & 0xfff) + 1,
            ways: (found.ebx >> 22 & 0x3ff) + 1,
            sets: found.ecx.wrapping_add(1),
            shift: sharers.next_power_of_two().trailing_zeros(),
        })
    }

    /// From AMD's older leaves 0x80000005 and 0x80000006, which say nothing of sharing: the third level is a package's.
    fn older(index: u32) -> Option<Self> {
        /// Ways by their code.
        const WAYS: [u32; 16] = [0, 1, 2, 3, 4, 6, 8, 0, 16, 0, 32, 48, 64, 96, 128, 0];
        let (first, others) = (leaf(EXTENDED + 5, 0), leaf(EXTENDED + 6, 0));
        let coded = |register: u32| WAYS[(register >> 12 & 15) as usize];
        let (kind, level, kib, ways, line) = match index {
            0 => (
                "Data",
                1,
                first.ecx >> 24,
                first.ecx >> 16 & 0xff,
                first.ecx,
            ),
            1 => (
                "Instruction",
                1,
                first.edx >> 24,
                first.edx >> 16 & 0xff,
                first.edx,
            ),
            2 => (
                "Unified",
                2,
                others.ecx >> 16,
                coded(others.ecx),
                others.ecx,
            ),
            3 => (
                "Unified",
                3,
                (others.edx >> 18) * 512,
                coded(others.edx),
                others.edx,
            ),
            _ => return None,
        };
        let line = line & 0xff;
        if kib == 0 || ways == 0 || line == 0 {
            return None;
        }
        let shift = if level == 3 {
            Topology::read().package_bits
        } else {
            0
        };
        Some(Self {
            kind,
            level,
            line,
            ways,
            sets: (kib << 10) / (line * ways),
            shift,
        })
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        u64::from(self.line) * u64::from(self.ways) * u64::from(self.sets)
    }

    /// Its number among those of its level.
    pub fn id(&self, cpu: usize) -> u32 {
        apic_id(cpu) >> self.shift
    }

    /// The CPUs that share `of`'s, a bit each.
    pub fn sharers(&self, of: usize) -> u64 {
        cpus_where(|cpu| self.id(cpu) == self.id(of))
    }
}

/// What Linux calls "cache size": the largest that Intel's leaf tells, AMD's second level.
pub fn cache_size(identity: &Identity) -> u64 {
    let second = u64::from(leaf(EXTENDED + 6, 0).ecx >> 16) << 10;
    if identity.is_amd() {
        return second;
    }
    let largest = (0..8)
        .map_while(Cache::read)
        .map(|cache| cache.size())
        .max();
    largest.unwrap_or(second)
}

/// A CPU's local APIC's id.
pub fn apic_id(id: usize) -> u32 {
    cpu(id).apic_id.load(Ordering::Relaxed)
}

fn cpus_where(condition: impl Fn(usize) -> bool) -> u64 {
    (0..percpu::cpu_count())
        .filter(|&cpu| condition(cpu))
        .fold(0, |set, cpu| set | 1 << cpu)
}

/// Where a CPU is, by the parts of its APIC id.
#[derive(Clone, Copy)]
pub struct Topology {
    thread_bits: u32,
    package_bits: u32,
}

impl Topology {
    /// Asks the processor (leaf 0xb). Without an answer each CPU is a core of one package.
    pub fn read() -> Self {
        const LEVELS: u32 = 0xb;
        let mut topology = Self {
            thread_bits: 0,
            package_bits: u32::BITS - 1,
        };
        for level in 0..4 {
            let found = leaf(LEVELS, level);
            match found.ecx >> 8 & 0xff {
                1 => topology.thread_bits = found.eax & 31,
                2 => topology.package_bits = found.eax & 31,
                _ => break,
            }
        }
        topology
    }

    /// Which package.
    pub fn package(&self, cpu: usize) -> u32 {
        apic_id(cpu) >> self.package_bits
    }

    /// Which core of its package.
    pub fn core(&self, cpu: usize) -> u32 {
        (apic_id(cpu) & ((1 << self.package_bits) - 1)) >> self.thread_bits
    }

    /// The CPUs of its package, a bit each.
    pub fn package_cpus(&self, of: usize) -> u64 {
        cpus_where(|cpu| self.package(cpu) == self.package(of))
    }

    /// The CPUs of its core.
    pub fn core_cpus(&self, of: usize) -> u64 {
        cpus_where(|cpu| self.package(cpu) == self.package(of) && self.core(cpu) == self.core(of))
    }

    /// How many cores its package has.
    pub fn cores(&self, of: usize) -> u32 {
        let package = self.package_cpus(of);
        let first_of_core = |cpu: &usize| self.core_cpus(*cpu).trailing_zeros() as usize == *cpu;
        (0..percpu::cpu_count())
            .filter(|cpu| package >> cpu & 1 != 0)
            .filter(first_of_core)
            .count() as u32
    }
}
