//! What the hypervisor hands over (PVH start info, Xen's include/public/arch-x86/hvm/start_info.h), and the last steps
//! of booting.
use super::load::{self, LoadError};
use super::stack;
use crate::cpu::{percpu, smp};
use crate::drivers::{self, virtio, virtio::Device};
use crate::memory::page::BundleFrames;
use crate::memory::{self, phys_to_virt};
use crate::{klog, task, time};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use ringo_bundle::{BundleError, Contents, Flags, Header, PAGE};
use ringo_control::ToHost;
use ringo_net::settings::Settings;
use spin::Once;

/// The start info, read.
pub struct BootInfo {
    /// Physical address and length of the bundle.
    pub bundle: (usize, usize),
    /// Usable RAM: start and end.
    pub ram: ArrayVec<(usize, usize), 16>,
    /// The kernel's command line, as far as it fits.
    pub command_line: ArrayVec<u8, 4096>,
}

const MAGIC: u32 = 0x336e_c578;
const RAM: u32 = 1;

/// A value in physical memory below 1 GiB, which boot.rs mapped.
fn value<T: Copy>(phys: usize) -> T {
    // SAFETY: the hypervisor's tables, read through the direct map; T is plain data.
    unsafe { (phys_to_virt(phys) as *const T).read_unaligned() }
}

/// 4 KiB: not on a stack.
static BOOT: Once<BootInfo> = Once::new();

/// Reads the start info at this physical address, which is then known to all.
pub fn read(start_info: usize) -> &'static BootInfo {
    BOOT.call_once(|| BootInfo::read(start_info))
}

impl BootInfo {
    fn read(start_info: usize) -> Self {
        assert!(value::<u32>(start_info) == MAGIC, "not started by PVH");
        let version: u32 = value(start_info + 4);
        let modules: u32 = value(start_info + 12);
        let mut info = Self {
            bundle: (0, 0),
            ram: ArrayVec::new(),
            command_line: ArrayVec::new(),
        };
        if modules > 0 {
            let module: u64 = value(start_info + 16);
            let [address, size]: [u64; 2] = value(module as usize);
            info.bundle = (address as usize, size as usize);
        }
        let mut text = value::<u64>(start_info + 24) as usize;
        while text != 0 && !info.command_line.is_full() {
            match value::<u8>(text) {
                0 => break,
                byte => info.command_line.push(byte),
            }
            text += 1;
        }
        assert!(version >= 1, "no memory map in the start info");
        let (map, entries): (u64, u32) = (value(start_info + 40), value(start_info + 48));
        for index in 0..entries as usize {
            let at = map as usize + index * 24;
            let [start, size]: [u64; 2] = value(at);
            if value::<u32>(at + 16) == RAM && !info.ram.is_full() {
                info.ram.push((start as usize, (start + size) as usize));
            }
        }
        info
    }

    /// [start, end) of the bundle in physical memory.
    pub fn bundle_range(&self) -> (usize, usize) {
        (self.bundle.0, self.bundle.0 + self.bundle.1)
    }

    /// Whether the machine is QEMU's microvm, which names its devices on the command line.
    pub fn is_microvm(&self) -> bool {
        const KEY: &[u8] = b"virtio_mmio.device=";
        self.command_line.windows(KEY.len()).any(|at| at == KEY)
    }
}

/// Everything after memory, time and the first CPU, up to the program's first thread.
pub fn start() {
    let Some(boot) = BOOT.get() else { return };
    let others = smp::begin();
    crate::crash_test::arm(&boot.command_line);
    drivers::control::set_receiver(super::host::receive);
    let devices = match drivers::init(&boot.command_line) {
        Ok(devices) => devices,
        Err(reason) => drivers::power::fail(reason),
    };
    others.finish();
    if let Err(error) = start_program(boot, devices) {
        drivers::power::fail(&alloc::format!("{error}"));
    }
}

/// Bytes of the bundle.
///
/// # Safety
/// They lie in the bundle, and nobody writes them while the slice is used.
unsafe fn bundle_bytes<'a>(phys: usize, length: u64) -> &'a [u8] {
    // SAFETY: the bundle is in the direct map; else the caller's promise.
    unsafe { core::slice::from_raw_parts(phys_to_virt(phys) as *const u8, length as usize) }
}

/// Takes the host's randomness at `phys` out of the bundle: whoever found it there could compute what it made.
fn take_entropy(phys: usize) -> [u8; 32] {
    let place = phys_to_virt(phys) as *mut [u8; 32];
    // SAFETY: inside the bundle, in the direct map; no reference leads there yet.
    unsafe {
        let entropy = place.read_volatile();
        place.write_volatile([0; 32]);
        entropy
    }
}

/// Takes the bundle apart: its metadata, which stay as they are for ever, the frames of its files' data, which become the
/// files' own, and the host's randomness.
fn open_bundle(
    (phys, length): (usize, usize),
) -> Result<(Contents<'static>, BundleFrames, [u8; 32]), BundleError> {
    let first = (length as u64).min(PAGE);
    // SAFETY: the bundle's header, which nobody writes.
    let header = Header::read(unsafe { bundle_bytes(phys, first) }, length as u64)?;
    let at = header.entropy_offset().ok_or(BundleError::BadConfig)?;
    let entropy = take_entropy(phys + at as usize);
    let metadata = phys + header.metadata_offset() as usize;
    // SAFETY: inside of the bundle, as `Header::read` checked. Data ends where these bytes begin, so that no file gets them.
    let metadata: &'static [u8] = unsafe { bundle_bytes(metadata, header.metadata_len()) };
    let contents = Contents::parse(&header, metadata)?;
    // SAFETY: files' data do not reach into the metadata, as `Contents::parse` checked; only files take pages.
    Ok((contents, unsafe { BundleFrames::new(phys) }, entropy))
}

/// Loads the bundle's program and makes its first thread runnable.
fn start_program(boot: &BootInfo, devices: Vec<Device>) -> Result<(), LoadError> {
    let (contents, frames, entropy) =
        open_bundle(boot.bundle).map_err(|error| LoadError::Bundle(alloc::format!("{error}")))?;
    let config = contents.config();
    drivers::control::set_verbose(config.flags.contains(Flags::VERBOSE));
    klog!(
        "{} CPUs, {} frames free, {} us after entry",
        percpu::cpu_count(),
        memory::frames::counts().0,
        time::now() / 1000
    );
    time::report();
    super::stats::set_wanted(config.flags.contains(Flags::STATS));
    task::profile::start(config.profile_hertz);
    if !time::host_clock::ask_hypervisor() {
        time::set_realtime(config.started_ns);
    }
    crate::fs::dev::random::seed(&entropy);
    task::process().set_up(config);
    let (mut cards, devices): (Vec<_>, Vec<_>) = devices
        .into_iter()
        .partition(|device| device.id == virtio::kind::NET);
    crate::fs::init(&contents, frames, devices)?;
    if let Some(card) = cards.pop()
        && let Err(error) = crate::net::ip::init(card, Settings::read(config.network))
    {
        klog!("the network card cannot be used: {error:?}");
    }
    let program = config.program;
    let image = frames.from(program.data.offset);
    // SAFETY: inside of the bundle, as was checked. Whoever writes to the program gets copies of these pages, and no file
    // with the same data is written before the program runs.
    let bytes = unsafe { bundle_bytes(image.phys(), program.data.len) };
    let loaded = load::load(bytes, image, program.path)?;
    let (patched, found) = super::site_counts();
    klog!(
        "{patched}/{found} system-call sites rewritten, {} us after entry",
        time::now() / 1000
    );
    let mut random = [0; 16];
    crate::fs::dev::random::fill(&mut random);
    let stack = stack::build(
        &stack::Start {
            args: config.args,
            env: config.env,
            path: program.path,
            random,
            vdso: time::vdso::map(),
            ids: (config.uid, config.gid),
        },
        loaded,
    )?;
    time::host_clock::await_answer();
    time::host_clock::start();
    drivers::control::send(&ToHost::Booted {
        since_entry_ns: time::now(),
    });
    super::stats::program_starts();
    task::start_program(loaded.entry, stack, program.path)?;
    Ok(())
}
