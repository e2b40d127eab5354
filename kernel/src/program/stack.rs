//! The first thread's stack as the kernel hands it over (System V ABI AMD64, 3.4.1): argc, argv, envp, auxv, strings.
use super::load::Loaded;
use crate::memory::paging::PAGE;
use crate::memory::space::{Backing, PROT_READ, PROT_WRITE, Request, space};
use crate::memory::user;
use alloc::vec::Vec;
use linux_raw_sys::auxvec as abi;
use ringo_abi::Errno;
use ringo_bundle::Strings;
use spin::Once;
use zerocopy::IntoBytes;

/// One past the stack's highest address.
const TOP: usize = 0x7fff_ffff_e000;
/// Its size, as `ulimit -s` has it: backed as it is touched.
pub const SIZE: usize = 8 << 20;

/// Words beside the pointers to strings: the count, two ends, the auxiliary vector.
const AUXILIARY_WORDS: usize = 64;

/// What the program is started with.
pub struct Start<'a> {
    /// argv.
    pub args: Strings<'a>,
    /// KEY=VALUE each.
    pub env: Strings<'a>,
    /// AT_EXECFN: the path of the file.
    pub path: &'a [u8],
    /// AT_RANDOM.
    pub random: [u8; 16],
    /// AT_SYSINFO_EHDR, if there is one.
    pub vdso: Option<usize>,
    /// User and group.
    pub ids: (u32, u32),
}

/// Where things are that /proc shows, [start, end) each.
pub struct Layout {
    /// The strings of argv.
    pub args: (usize, usize),
    /// Those of the environment.
    pub env: (usize, usize),
    /// The stack pointer at the start.
    pub pointer: usize,
    /// The auxiliary vector, as it was.
    pub auxiliary: Vec<u8>,
}

static LAYOUT: Once<Layout> = Once::new();

/// The layout of the first stack; none while booting.
pub fn layout() -> Option<&'static Layout> {
    LAYOUT.get()
}

/// Maps and fills the stack; gives the stack pointer.
///
/// # Errors
/// ENOMEM; E2BIG if arguments and environment are larger than a quarter of the stack.
pub fn build(start: &Start<'_>, loaded: &Loaded) -> Result<usize, Errno> {
    space().map(Request {
        address: TOP - SIZE,
        length: SIZE,
        protection: PROT_READ | PROT_WRITE,
        shared: false,
        fixed: true,
        no_replace: false,
        no_reserve: false,
        backing: Backing::Anonymous,
        name: "[stack]",
    })?;
    space().keep_small(TOP - SIZE, TOP);
    let (args, args_length) = measure(start.args);
    let (env, env_length) = measure(start.env);
    let total = args_length + env_length + start.path.len() + 64;
    if total + (args + env) * 8 > SIZE / 4 {
        return Err(Errno::E2BIG);
    }
    // Strings at the top, then the vectors that point at them.
    let strings_at = (TOP - total) & !15;
    let mut strings: Vec<u8> = Vec::new();
    let mut words: Vec<usize> = Vec::new();
    strings
        .try_reserve_exact(total)
        .and_then(|()| words.try_reserve_exact(args + env + AUXILIARY_WORDS))
        .map_err(|_| Errno::ENOMEM)?;
    let mut put = |bytes: &[u8], terminated: bool| {
        let at = strings_at + strings.len();
        strings.extend_from_slice(bytes);
        if terminated {
            strings.push(0);
        }
        at
    };
    let random = put(&start.random, false);
    let platform = put(b"x86_64", true);
    let path = put(start.path, true);
    words.push(args);
    words.extend(start.args.map(|arg| put(arg, true)));
    words.push(0);
    words.extend(start.env.map(|variable| put(variable, true)));
    words.push(0);
    let vectors = words.len();
    for (kind, value) in auxiliary(start, loaded, random, platform, path) {
        words.extend([kind as usize, value]);
    }
    words.extend([abi::AT_NULL as usize, 0]);
    let sp = (strings_at - words.len() * 8) & !15;
    // Arguments come behind the path, and the environment behind them.
    let args_at = path + start.path.len() + 1;
    let env_at = args_at + args_length;
    LAYOUT.call_once(|| Layout {
        args: (args_at, env_at),
        env: (env_at, env_at + env_length),
        pointer: sp,
        auxiliary: words[vectors..].as_bytes().to_vec(),
    });
    user::copy_out(strings_at, &strings)?;
    user::copy_out(sp, words.as_bytes())?;
    // The runtime takes 64 KiB below for g0: spare it the faults.
    space().populate((sp - (64 << 10)) / PAGE * PAGE, TOP, true)?;
    Ok(sp)
}

/// How many strings there are, and their bytes with the ends.
fn measure(list: Strings<'_>) -> (usize, usize) {
    list.fold((0, 0), |(count, bytes), string| {
        (count + 1, bytes + string.len() + 1)
    })
}

/// The auxiliary vector (getauxval(3)).
fn auxiliary(
    start: &Start<'_>,
    loaded: &Loaded,
    random: usize,
    platform: usize,
    path: usize,
) -> Vec<(u32, usize)> {
    const PROGRAM_HEADER_SIZE: usize = 56;
    /// Ticks a second of times(2) and /proc.
    const CLOCK_TICKS: usize = 100;
    let (uid, gid) = (start.ids.0 as usize, start.ids.1 as usize);
    let mut vector: Vec<(u32, usize)> = Vec::new();
    if let Some(vdso) = start.vdso {
        vector.push((abi::AT_SYSINFO_EHDR, vdso));
    }
    vector.extend([
        (abi::AT_HWCAP, core::arch::x86_64::__cpuid(1).edx as usize),
        (abi::AT_PAGESZ, PAGE),
        (abi::AT_CLKTCK, CLOCK_TICKS),
        (abi::AT_PHDR, loaded.headers.0),
        (abi::AT_PHENT, PROGRAM_HEADER_SIZE),
        (abi::AT_PHNUM, loaded.headers.1),
        (abi::AT_BASE, 0),
        (abi::AT_FLAGS, 0),
        (abi::AT_ENTRY, loaded.entry),
        (abi::AT_UID, uid),
        (abi::AT_EUID, uid),
        (abi::AT_GID, gid),
        (abi::AT_EGID, gid),
        (abi::AT_SECURE, 0),
        (abi::AT_RANDOM, random),
        (abi::AT_HWCAP2, 2),
        (abi::AT_EXECFN, path),
        (abi::AT_PLATFORM, platform),
        (abi::AT_MINSIGSTKSZ, crate::cpu::fpu::area_size() + 1024),
    ]);
    vector
}
