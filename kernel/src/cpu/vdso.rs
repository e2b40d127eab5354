//! The code of the vDSO (time/vdso.rs maps it): clocks without entering the kernel.
//!
//! C functions of the System V ABI; they use no stack and only registers a call may change. The code is copied into
//! the vDSO's page, [`CODE_OFFSET`] from its start; the data page lies in the page before. Time is counted as in
//! time/clock.rs. Every word of the data is valid by itself, so there is no sequence counter: what is constant is set
//! before the program starts, and wall time is one word.
use super::percpu::offset;
use core::arch::global_asm;
use ringo_vdso::{CODE_OFFSET, Symbol};

/// The data page's words.
pub mod word {
    /// TSC at time 0.
    pub const BASE: usize = 0;
    /// Nanoseconds a tick, times 2^32.
    pub const MULT: usize = 1;
    /// Wall time at time 0, ns since the epoch.
    pub const WALL: usize = 2;
}

global_asm!(
    r#"
    .pushsection .rodata.vdso, "a"
    .balign 16
    .global ringo_vdso_clock_gettime, ringo_vdso_gettimeofday, ringo_vdso_time, ringo_vdso_getcpu, ringo_vdso_end

    // The data page, a page before the image.
    .set .Lvdso_data, ringo_vdso_clock_gettime - {code} - 4096

    // R8 + nanoseconds since boot -> RAX. Changes RDX. Not read before what the program did so far (lfence).
    .macro vdso_nanoseconds
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, [rip + .Lvdso_data + {base}]
    mul qword ptr [rip + .Lvdso_data + {mult}]
    shrd rax, rdx, 32
    add rax, r8
    .endm

    // RAX / 10^9 -> RDX; RAX mod 10^9 -> RAX. Changes R9. The quotient is (n >> 9) * m >> 75, exact for every n.
    .macro vdso_divide
    mov r9, rax
    shr rax, 9
    movabs rdx, 0x44b82fa09b5a53
    mul rdx
    shr rdx, 11
    imul rax, rdx, 1000000000
    sub r9, rax
    mov rax, r9
    .endm

    // int clock_gettime(edi: clockid_t, rsi: struct timespec *)
ringo_vdso_clock_gettime:
    xor r8d, r8d
    cmp edi, 1
    je 3f
    test edi, edi
    je 2f
    cmp edi, 11
    ja 4f
    // MONOTONIC_RAW 4, MONOTONIC_COARSE 6, BOOTTIME 7
    mov eax, 0xd0
    bt eax, edi
    jc 3f
    // REALTIME_COARSE 5, TAI 11
    mov eax, 0x820
    bt eax, edi
    jnc 4f
2:
    mov r8, [rip + .Lvdso_data + {wall}]
3:
    vdso_nanoseconds
    vdso_divide
    mov [rsi], rdx
    mov [rsi + 8], rax
    xor eax, eax
    ret
4:
    mov eax, 228
    syscall
    ret

    // int gettimeofday(rdi: struct timeval *, rsi: struct timezone *)
    .balign 16
ringo_vdso_gettimeofday:
    test rdi, rdi
    jz 2f
    mov r8, [rip + .Lvdso_data + {wall}]
    vdso_nanoseconds
    vdso_divide
    mov [rdi], rdx
    // Microseconds: n * ceil(2^38 / 1000) >> 38, exact below 10^9.
    imul rax, rax, 274877907
    shr rax, 38
    mov [rdi + 8], rax
2:
    test rsi, rsi
    jz 3f
    mov qword ptr [rsi], 0
3:
    xor eax, eax
    ret

    // time_t time(rdi: time_t *)
    .balign 16
ringo_vdso_time:
    mov r8, [rip + .Lvdso_data + {wall}]
    vdso_nanoseconds
    vdso_divide
    mov rax, rdx
    test rdi, rdi
    jz 2f
    mov [rdi], rax
2:
    ret

    // int getcpu(rdi: unsigned *cpu, rsi: unsigned *node): the CPU's own data is at hand.
    .balign 16
ringo_vdso_getcpu:
    test rdi, rdi
    jz 2f
    mov rax, gs:[{id}]
    mov [rdi], eax
2:
    test rsi, rsi
    jz 3f
    mov dword ptr [rsi], 0
3:
    xor eax, eax
    ret
ringo_vdso_end:
    .popsection
    "#,
    base = const word::BASE * 8,
    mult = const word::MULT * 8,
    wall = const word::WALL * 8,
    code = const CODE_OFFSET,
    id = const offset::ID,
);

unsafe extern "C" {
    static ringo_vdso_clock_gettime: u8;
    static ringo_vdso_gettimeofday: u8;
    static ringo_vdso_time: u8;
    static ringo_vdso_getcpu: u8;
    static ringo_vdso_end: u8;
}

/// The code's bytes, and where its functions lie in them.
pub fn code() -> (&'static [u8], [Symbol; 4]) {
    let start = &raw const ringo_vdso_clock_gettime as usize;
    let ends = [
        &raw const ringo_vdso_gettimeofday as usize - start,
        &raw const ringo_vdso_time as usize - start,
        &raw const ringo_vdso_getcpu as usize - start,
        &raw const ringo_vdso_end as usize - start,
    ];
    let names = [
        "__vdso_clock_gettime",
        "__vdso_gettimeofday",
        "__vdso_time",
        "__vdso_getcpu",
    ];
    let mut offset = 0;
    let symbols = core::array::from_fn(|index| {
        let symbol = Symbol {
            name: names[index],
            offset,
            size: ends[index] - offset,
        };
        offset = ends[index];
        symbol
    });
    // SAFETY: the labels frame read-only data of the kernel.
    let bytes = unsafe { core::slice::from_raw_parts(start as *const u8, ends[3]) };
    (bytes, symbols)
}
