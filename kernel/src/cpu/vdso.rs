//! The code of the vDSO (time/vdso.rs maps it): clocks without entering the kernel.
//!
//! C functions of the System V ABI; they use no stack and only registers a call may change. The code is copied into
//! the vDSO's page, [`CODE_OFFSET`] from its start; the data page lies in the page before: tsc.rs has the words,
//! what is computed from them, and why a reader looks at the versions in this order.
use super::percpu::offset;
use super::tsc::offset as words;
use core::arch::global_asm;
use ringo_vdso::{CODE_OFFSET, Symbol};

global_asm!(
    r#"
    .pushsection .rodata.vdso, "a"
    .balign 16
    .global ringo_vdso_clock_gettime, ringo_vdso_gettimeofday, ringo_vdso_time, ringo_vdso_getcpu, ringo_vdso_end

    // The data page, a page before the image.
    .set .Lvdso_data, ringo_vdso_clock_gettime - {code} - 4096

    // Time of the clock at R9 (16 bytes a clock) -> seconds in RDX, a 2^64th in RAX. Changes R8. The TSC is not read before
    // what the program did so far (lfence).
    .macro vdso_time
2:  mov r8, [rip + .Lvdso_data + {end}]
    lfence
    rdtsc
    shl rdx, 32
    or rax, rdx
    sub rax, [rip + .Lvdso_data + {base}]
    mul qword ptr [rip + .Lvdso_data + {mult}]
    add rax, [r9]
    adc rdx, [r9 + 8]
    cmp r8, [rip + .Lvdso_data + {begin}]
    jne 2b
    .endm

    // int clock_gettime(edi: clockid_t, rsi: struct timespec *)
ringo_vdso_clock_gettime:
    cmp edi, 1
    ja 4f
3:  lea r9, [rip + .Lvdso_data + {starts}]
    shl edi, 4
    add r9, rdi
    vdso_time
    mov [rsi], rdx
    mov ecx, 1000000000
    mul rcx
    mov [rsi + 8], rdx
    xor eax, eax
    ret
4:  cmp edi, 11
    ja 6f
    // MONOTONIC_RAW 4, MONOTONIC_COARSE 6, BOOTTIME 7
    mov eax, 0xd0
    bt eax, edi
    jc 5f
    // REALTIME_COARSE 5, TAI 11
    mov eax, 0x820
    bt eax, edi
    jnc 6f
    xor edi, edi
    jmp 3b
5:  mov edi, 1
    jmp 3b
6:  mov eax, 228
    syscall
    ret

    // int gettimeofday(rdi: struct timeval *, rsi: struct timezone *)
    .balign 16
ringo_vdso_gettimeofday:
    test rdi, rdi
    jz 3f
    lea r9, [rip + .Lvdso_data + {starts}]
    vdso_time
    mov [rdi], rdx
    mov ecx, 1000000
    mul rcx
    mov [rdi + 8], rdx
3:
    test rsi, rsi
    jz 4f
    mov qword ptr [rsi], 0
4:
    xor eax, eax
    ret

    // time_t time(rdi: time_t *)
    .balign 16
ringo_vdso_time:
    lea r9, [rip + .Lvdso_data + {starts}]
    vdso_time
    mov rax, rdx
    test rdi, rdi
    jz 3f
    mov [rdi], rax
3:
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
    begin = const words::BEGIN,
    end = const words::END,
    base = const words::BASE,
    mult = const words::MULT,
    starts = const words::STARTS,
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
