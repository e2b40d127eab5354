//! Floating-point and vector state (Intel SDM 1 ch. 13).
//!
//! The kernel uses none of it, so it only moves when threads are switched. After a voluntary switch at one of Go's own
//! sites only MXCSR and the x87 control word must come back, and X15 be zero (Go's ABI); an interrupted thread gets
//! everything back by XSAVE and XRSTOR, and so does one with an x87 exception pending. A signal's handler starts with the
//! initial state, as on Linux. Areas are allocated with the thread, never on a switch.
use crate::memory::user;
use alloc::vec::Vec;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use ringo_abi::Errno;
use spin::Once;

/// Bytes of an XSAVE area with all enabled components; 0 before `init_cpu`.
static AREA_SIZE: AtomicUsize = AtomicUsize::new(0);
static COMPONENTS: AtomicUsize = AtomicUsize::new(0);
static HAS_AVX: AtomicBool = AtomicBool::new(false);

/// x87, SSE, AVX, AVX-512 (three parts): what Go code can use.
const WANTED: u64 = 0b1110_0111;
const DEFAULT_MXCSR: u32 = 0x1f80;
const DEFAULT_CONTROL: u16 = 0x37f;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Block([u8; 64]);

/// A thread's saved state.
pub struct FpuState {
    area: Once<UnsafeCell<Vec<Block>>>,
    control: UnsafeCell<(u32, u16)>,
}

// SAFETY: only the CPU that switches the thread out or in touches it; the scheduler orders these.
unsafe impl Sync for FpuState {}
// SAFETY: plain bytes.
unsafe impl Send for FpuState {}

/// Turns the units on for this CPU, with every component that Go can use.
pub fn init_cpu() {
    // SAFETY: the bits are set only where CPUID has the feature; OSXSAVE before xsetbv.
    unsafe {
        let (mut cr0, mut cr4): (usize, usize);
        asm!("mov {}, cr0", out(reg) cr0, options(nomem, nostack));
        asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack));
        // Monitor co-processor on, emulation and task-switched off, native error reporting.
        cr0 = cr0 & !0b1100 | 0b10_0010;
        // OSFXSR, OSXMMEXCPT, OSXSAVE, FSGSBASE.
        cr4 |= 1 << 9 | 1 << 10 | 1 << 16 | 1 << 18;
        asm!("mov cr0, {}", in(reg) cr0, options(nostack));
        asm!("mov cr4, {}", in(reg) cr4, options(nostack));
        let leaf = __cpuid_count(0xd, 0);
        let wanted = (u64::from(leaf.edx) << 32 | u64::from(leaf.eax)) & WANTED;
        asm!("xsetbv", in("ecx") 0, in("eax") wanted as u32, in("edx") (wanted >> 32) as u32, options(nomem, nostack));
        COMPONENTS.store(wanted as usize, Ordering::Relaxed);
        HAS_AVX.store(wanted & 4 != 0, Ordering::Relaxed);
    }
    // The size with what is enabled now.
    AREA_SIZE.store(__cpuid_count(0xd, 0).ebx as usize, Ordering::Relaxed);
    reset();
}

/// None if the CPU has what the kernel needs of it, else what to tell the user.
pub fn missing_feature() -> Option<&'static str> {
    if __cpuid(1).ecx & 1 << 26 == 0 {
        return Some("this CPU has no XSAVE, which Ringo needs");
    }
    if __cpuid_count(7, 0).ebx & 1 == 0 {
        return Some("this CPU has no FSGSBASE, which Ringo needs");
    }
    None
}

/// Bytes of an image.
pub fn area_size() -> usize {
    AREA_SIZE.load(Ordering::Relaxed)
}

/// The enabled components (XCR0).
pub fn components() -> u64 {
    COMPONENTS.load(Ordering::Relaxed) as u64
}

/// An image with nothing in it but the control words: what XRSTOR makes the initial state of.
#[repr(C, align(64))]
struct InitialImage {
    control: u16,
    zero: [u16; 11],
    mxcsr: u32,
    rest: [u32; 137],
}
/// Bytes of the legacy part and the header behind it.
const HEADER_END: usize = 576;
const _: () = assert!(size_of::<InitialImage>() == HEADER_END);
const _: () = assert!(core::mem::offset_of!(InitialImage, mxcsr) == 24);

static INITIAL: InitialImage = InitialImage {
    control: DEFAULT_CONTROL,
    zero: [0; 11],
    mxcsr: DEFAULT_MXCSR,
    rest: [0; 137],
};

/// The state of a new program, and of a signal's handler: all registers zero, exceptions masked.
pub fn reset() {
    // SAFETY: the header says that all components are in their initial state, so nothing behind it is read.
    unsafe { xrstor((&raw const INITIAL).cast()) };
}

/// What `si_code` says of the x87 exception (vector 16) or the SIMD one that was just raised; none if its cause is gone
/// (Linux arch/x86/kernel/fpu/core.c, fpu__exception_code). The registers must be those of the thread that raised it.
pub fn exception_code(vector: u64) -> Option<i32> {
    const FLTDIV: i32 = 3;
    const FLTOVF: i32 = 4;
    const FLTUND: i32 = 5;
    const FLTRES: i32 = 6;
    const FLTINV: i32 = 7;
    let (mxcsr, control) = control();
    let raised = if vector == 16 {
        u32::from(status() & !control)
    } else {
        mxcsr & !(mxcsr >> 7)
    };
    // Invalid, division by zero, overflow, denormal or underflow, precision.
    let codes = [
        (0x01, FLTINV),
        (0x04, FLTDIV),
        (0x08, FLTOVF),
        (0x12, FLTUND),
        (0x20, FLTRES),
    ];
    let found = codes.into_iter().find(|(bits, _)| raised & bits != 0);
    found.map(|(_, code)| code)
}

/// The x87 status word.
fn status() -> u16 {
    let status: u16;
    // SAFETY: reads a register; does not wait for exceptions.
    unsafe { asm!("fnstsw ax", out("ax") status, options(nomem, nostack)) };
    status
}

fn set_control(mxcsr: u32, control: u16) {
    // SAFETY: values that came from stmxcsr/fnstcw or the defaults.
    unsafe {
        asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, readonly));
        asm!("fldcw [{}]", in(reg) &raw const control, options(nostack, readonly));
    }
}

fn control() -> (u32, u16) {
    let (mut mxcsr, mut control) = (0u32, 0u16);
    // SAFETY: stores to locals.
    unsafe {
        asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack));
        asm!("fnstcw [{}]", in(reg) &raw mut control, options(nostack));
    }
    (mxcsr, control)
}

/// Stores the registers as they are to the program's memory at `at`: 64-byte aligned, [`area_size`] bytes, whose header
/// (bytes 512 to 575) is zero. False if it cannot be written.
pub fn save_to_program(at: usize) -> bool {
    if !at.is_multiple_of(64) || !user::in_range(at, area_size()) {
        return false;
    }
    // SAFETY: the range is the program's; a fault there is served, or ends in the fix-up.
    unsafe { fpu_xsave(at, components() as u32, (components() >> 32) as u32) == 0 }
}

/// Loads the registers from an image in the program's memory. False if it cannot be read or the CPU refuses it; then they
/// hold nothing of use.
pub fn restore_from_program(at: usize) -> bool {
    if !at.is_multiple_of(64) || !user::in_range(at, area_size()) {
        return false;
    }
    // SAFETY: as above; a refused image is a #GP, which ends in the fix-up.
    unsafe { fpu_xrstor(at, components() as u32, (components() >> 32) as u32) == 0 }
}

global_asm!(
    r#"
    .pushsection .text
    // fpu_xsave(rdi = image, esi:edx = components) -> eax = 0, or 1 if it was not stored.
    .global fpu_xsave, fpu_xsave_access, fpu_xrstor, fpu_xrstor_access, fpu_fixup
fpu_xsave:
    mov eax, esi
    mov ecx, 1
fpu_xsave_access:
    xsave64 [rdi]
    xor ecx, ecx
    mov eax, ecx
    ret
    // fpu_xrstor(rdi = image, esi:edx = components) -> eax = 0, or 1 if it was not loaded.
fpu_xrstor:
    mov eax, esi
    mov ecx, 1
fpu_xrstor_access:
    xrstor64 [rdi]
    xor ecx, ecx
fpu_fixup:
    mov eax, ecx
    ret
    .popsection
    "#
);

unsafe extern "C" {
    fn fpu_xsave(image: usize, low: u32, high: u32) -> u32;
    fn fpu_xsave_access();
    fn fpu_xrstor(image: usize, low: u32, high: u32) -> u32;
    fn fpu_xrstor_access();
    fn fpu_fixup();
}

/// Where to go on after a fault at `rip` that cannot be served, if that is one of the instructions here that may fault.
pub fn fixup(rip: usize) -> Option<usize> {
    let ours = rip == fpu_xsave_access as *const () as usize
        || rip == fpu_xrstor_access as *const () as usize;
    ours.then_some(fpu_fixup as *const () as usize)
}

/// # Safety
/// `area` is 64-byte aligned and holds what xsave wrote there, or [`INITIAL`].
unsafe fn xrstor(area: *const Block) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("xrstor64 [{}]", in(reg) area, in("eax") components() as u32, in("edx") (components() >> 32) as u32, options(nostack, readonly));
    }
}

/// # Safety
/// `area` is 64-byte aligned and large enough.
unsafe fn xsave(area: *mut Block) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("xsave64 [{}]", in(reg) area, in("eax") components() as u32, in("edx") (components() >> 32) as u32, options(nostack));
    }
}

/// Whether an x87 exception waits for the program's next x87 instruction. The kernel's own, loading the next thread's
/// control word, must not raise it.
#[inline]
fn is_pending(control: u16) -> bool {
    const EXCEPTIONS: u16 = 0x3f;
    const SUMMARY: u16 = 0x80;
    control & EXCEPTIONS != EXCEPTIONS && status() & SUMMARY != 0
}

impl FpuState {
    /// Without an area: see [`FpuState::prepare`].
    pub const fn new() -> Self {
        Self {
            area: Once::new(),
            control: UnsafeCell::new((DEFAULT_MXCSR, DEFAULT_CONTROL)),
        }
    }

    /// Allocates the area, once for each place in the thread arena, and sets the defaults.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn prepare(&self) -> Result<(), Errno> {
        self.area.try_call_once(|| {
            let mut area = Vec::new();
            let blocks = area_size().div_ceil(64);
            area.try_reserve_exact(blocks).map_err(|_| Errno::ENOMEM)?;
            area.resize(blocks, Block([0; 64]));
            Ok::<_, Errno>(UnsafeCell::new(area))
        })?;
        // SAFETY: the thread does not run yet.
        unsafe { *self.control.get() = control() };
        Ok(())
    }

    /// The running thread leaves the CPU. `all`: its vector registers matter. Gives whether everything was saved.
    #[inline]
    pub fn save(&self, all: bool) -> bool {
        let words = control();
        let pending = is_pending(words.1);
        let all = all || pending;
        if all {
            if let Some(area) = self.area.get() {
                // SAFETY: our own area, aligned and large enough (see `prepare`).
                unsafe { xsave((*area.get()).as_mut_ptr()) };
            }
            // Who left by a call gets no x87 registers back, so these must be empty for it; and no exception be pending.
            // SAFETY: changes the x87 state, which was saved.
            unsafe { asm!("fninit", options(nomem, nostack)) };
        } else {
            // SAFETY: only this CPU touches a running thread's state.
            unsafe { *self.control.get() = words };
        }
        all
    }

    /// The thread is back. `all` as it was given to [`FpuState::save`].
    #[inline]
    pub fn restore(&self, all: bool) {
        if all {
            if let Some(area) = self.area.get() {
                // SAFETY: the image is what xsave wrote.
                unsafe { xrstor((*area.get()).as_ptr()) };
            }
            return;
        }
        // SAFETY: as in `save`.
        let (mxcsr, control) = unsafe { *self.control.get() };
        set_control(mxcsr, control);
        // Go wants X15 zero after its system calls; clean upper halves spare SSE code a penalty.
        // SAFETY: vector registers are free at Go's own sites.
        unsafe {
            if HAS_AVX.load(Ordering::Relaxed) {
                asm!("vzeroupper", options(nomem, nostack));
            }
            asm!("xorps xmm15, xmm15", options(nomem, nostack));
        }
    }
}
