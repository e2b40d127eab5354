//! The names Linux gives the processor's features (arch/x86/include/asm/cpufeatures.h), in the order in which it shows
//! them: a word of 32 names a register of CPUID. An empty name is not shown.
use super::fpu;
use super::identity::leaf;

/// A register of a leaf.
#[derive(Clone, Copy)]
enum Register {
    A,
    B,
    C,
    D,
}
use Register::{A, B, C, D};

struct Word {
    leaf: u32,
    sub: u32,
    register: Register,
    /// By bit, separated by spaces; "-" for one that is not shown.
    names: &'static str,
}

const fn word(leaf: u32, sub: u32, register: Register, names: &'static str) -> Word {
    Word {
        leaf,
        sub,
        register,
        names,
    }
}

const BEFORE: &[Word] = &[
    word(
        1,
        0,
        D,
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts acpi mmx fxsr sse \
         sse2 ss ht tm ia64 pbe",
    ),
    word(
        0x8000_0001,
        0,
        D,
        "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow",
    ),
];

const AFTER: &[Word] = &[
    word(
        1,
        0,
        C,
        "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid dca sse4_1 sse4_2 \
         x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor",
    ),
    word(
        0x8000_0001,
        0,
        C,
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - lwp \
         fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc mwaitx - -",
    ),
    word(
        7,
        0,
        B,
        "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f avx512dq rdseed adx \
         smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd sha_ni avx512bw avx512vl",
    ),
    word(0xd, 1, A, "xsaveopt xsavec xgetbv1 xsaves"),
    word(7, 1, A, "- - - - avx_vnni avx512_bf16"),
    word(
        0x8000_0008,
        0,
        B,
        "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd",
    ),
    word(
        6,
        0,
        A,
        "dtherm ida arat - pln - pts hwp hwp_notify hwp_act_window hwp_epp hwp_pkg_req",
    ),
    word(
        7,
        0,
        C,
        "- avx512vbmi umip - - waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme \
         avx512_vpopcntdq - - - - - - - rdpid - - cldemote - movdiri movdir64b enqcmd",
    ),
    word(0x8000_0007, 0, B, "overflow_recov succor - smca"),
    word(
        7,
        0,
        D,
        "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - tsxldtrk - pconfig \
         arch_lbr ibt - - avx512_fp16 - - - - flush_l1d arch_capabilities",
    ),
];

/// Features that need vector registers the kernel does not save.
fn usable(name: &str) -> bool {
    const AVX: u64 = 4;
    const AVX512: u64 = 0xe0;
    match name {
        "avx" | "avx2" | "fma" | "f16c" | "fma4" | "xop" | "vaes" | "vpclmulqdq" | "avx_vnni" => {
            fpu::components() & AVX != 0
        }
        name if name.starts_with("avx512") => fpu::components() & AVX512 == AVX512,
        _ => true,
    }
}

fn each(word: &Word, visit: &mut impl FnMut(&'static str)) {
    let found = leaf(word.leaf, word.sub);
    let bits = match word.register {
        A => found.eax,
        B => found.ebx,
        C => found.ecx,
        D => found.edx,
    };
    for (bit, name) in word.names.split(' ').enumerate() {
        if bits >> bit & 1 != 0 && name != "-" && usable(name) {
            visit(name);
        }
    }
}

/// Whether the processor says that its TSC runs at one rate and never stops.
pub fn has_invariant_tsc() -> bool {
    leaf(0x8000_0007, 0).edx & 1 << 8 != 0
}

/// Calls `visit` with the name of each feature the processor has and programs can use.
pub fn each_feature(mut visit: impl FnMut(&'static str)) {
    for word in BEFORE {
        each(word, &mut visit);
    }
    // What Linux concludes rather than reads.
    if has_invariant_tsc() {
        visit("constant_tsc");
        visit("nopl");
        visit("nonstop_tsc");
    } else {
        visit("nopl");
    }
    visit("cpuid");
    for word in AFTER {
        each(word, &mut visit);
    }
}
