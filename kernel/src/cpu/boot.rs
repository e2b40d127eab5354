//! From the hypervisor's first instruction to Rust.
//!
//! PVH (Xen's docs/misc/pvh.pandoc): 32-bit protected mode, paging off, EBX = physical address of the start info. Page
//! tables and GDT are static data, so little runs here: the paravirtual KVM (kvm.rs) interprets every instruction at
//! about 1 µs until the interface is enabled, which happens before any loop or Rust. Static tables map the first GiB
//! (kernel at the top 1 GiB, direct map at 0xffff880000000000: the paravirtual KVM keeps slot 256 to itself, identity for these
//! few instructions) with 2 MiB pages, and 3 to 4 GiB uncached for the APICs and virtio-mmio. All entries have the user bit,
//! which that KVM wants.
//!
//! The other CPUs start in real mode at a page below 1 MiB (smp.rs copies `ap_trampoline` there) and join the same code.
use super::kvm::{MSR_ENABLE, MSR_SIGNATURE, SIGNATURE};
use core::arch::global_asm;

global_asm!(
    r#"
    .pushsection .note.pvh, "a"
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long pvh_entry_phys
    .popsection

    .set VIRT, 0xffffffffc0000000
    // CR4: PAE, OSFXSR, OSXMMEXCPT. EFER: SCE, LME, NXE. CR0: PE, MP, ET, NE, WP, PG.
    .set CR4_BITS, 0x620
    .set EFER_BITS, 0x901
    .set CR0_BITS, 0x80010033

    .pushsection .text.boot, "ax"
    .code32
    .global pvh_entry
pvh_entry:
    cld
    mov edi, ebx
    xor esi, esi
    // ESI = CPU number: 0 here, else from ap_entry.
boot_long_mode:
    mov eax, CR4_BITS
    mov cr4, eax
    mov eax, offset boot_pml4 - VIRT
    mov cr3, eax
    mov ecx, 0xc0000080
    xor edx, edx
    mov eax, EFER_BITS
    wrmsr
    mov eax, CR0_BITS
    mov cr0, eax
    lgdt [boot_gdt_pointer - VIRT]
    // ljmp 0x10:boot_long
    .byte 0xea
    .long boot_long - VIRT
    .word 0x10

    .code64
boot_long:
    mov eax, 0x18
    mov ss, eax
    mov ds, eax
    mov es, eax
    mov rax, offset boot_high
    jmp rax
boot_high:
    test esi, esi
    jnz 1f
    lea rsp, [rip + boot_stack_end]
    jmp 2f
1:  mov rsp, [rip + ap_stack]
2:  rdtsc
    shl rdx, 32
    or rax, rdx
    mov r12, rax
    xor r13d, r13d

    // KVM? "KVMK" in EBX of leaf 0x40000000.
    mov eax, 0x40000000
    cpuid
    cmp ebx, 0x4b4d564b
    jne boot_rust
    // A #GP gate in the boot IDT, for hypervisors without the MSR.
    lea rax, [rip + boot_general_protection]
    lea rdx, [rip + boot_idt + 13 * 16]
    mov [rdx], ax
    mov word ptr [rdx + 2], 0x10
    mov word ptr [rdx + 4], 0x8e00
    shr rax, 16
    mov [rdx + 6], ax
    shr rax, 16
    mov [rdx + 8], eax
    lidt [rip + boot_idt_pointer]
    mov ecx, {MSR_SIGNATURE}
    rdmsr
    cmp eax, {SIGNATURE}
    jne boot_rust
    // x2APIC, as the interface wants it.
    mov ecx, 0x1b
    rdmsr
    or eax, 0xc00
    wrmsr
    // Enable with this CPU's page. From the next instruction on the vCPU runs natively.
    mov eax, esi
    shl eax, 12
    lea rdx, [rip + {VIF_PAGES}]
    add rax, rdx
    mov rdx, VIRT
    sub rax, rdx
    or rax, 0x10
    xor edx, edx
    mov ecx, {MSR_ENABLE}
    wrmsr
    mov r13d, 1
boot_rust:
    xor ebp, ebp
    mov eax, edi
    mov edi, esi
    mov esi, eax
    mov rdx, r12
    mov ecx, r13d
    call {rust_entry}
    ud2

    // rdmsr of an MSR that is not there: reads 0, go on after it.
boot_general_protection:
    add rsp, 8
    add qword ptr [rsp], 2
    xor eax, eax
    xor edx, edx
    iretq

    // The other CPUs: real mode, CS = page << 8. Position independent, copied by smp.rs.
    .code16
    .global ap_trampoline, ap_trampoline_end
ap_trampoline:
    cli
    mov ax, cs
    mov ds, ax
    // lgdt [ap_gdt_pointer]
    .byte 0x66, 0x0f, 0x01, 0x16
    .word ap_gdt_pointer - ap_trampoline
    mov eax, cr0
    or al, 1
    mov cr0, eax
    // ljmp 0x08:ap_entry
    .byte 0x66, 0xea
    .long ap_entry - VIRT
    .word 0x08
    .balign 4
ap_gdt_pointer:
    .word 31
    .long boot_gdt - VIRT
ap_trampoline_end:

    .code32
ap_entry:
    mov eax, 0x18
    mov ds, eax
    mov es, eax
    mov ss, eax
    // One CPU at a time takes the next number; the others wait for the gate to open again. They only look, so that the
    // word's cache line stays with the one that works.
2:  cmp dword ptr [ap_gate - VIRT], 0
    jne 3f
    mov eax, 1
    xchg [ap_gate - VIRT], eax
    test eax, eax
    jz 4f
3:  pause
    jmp 2b
4:  mov esi, [ap_number - VIRT]
    test esi, esi
    jnz boot_long_mode
    // No more CPUs wanted.
    mov dword ptr [ap_gate - VIRT], 0
5:  hlt
    jmp 5b
    .code64
    .popsection

    .pushsection .data.boot, "aw"
    .balign 4096
    .global boot_pml4
boot_pml4:
    .quad boot_pdpt_low - VIRT + 7
    .zero 271 * 8
    .quad boot_pdpt_low - VIRT + 7
    .zero 238 * 8
    .quad boot_pdpt_high - VIRT + 7
boot_pdpt_low:
    .quad boot_pd - VIRT + 7
    .zero 2 * 8
    .quad boot_pd_devices - VIRT + 7
    .zero 508 * 8
boot_pdpt_high:
    .zero 511 * 8
    .quad boot_pd - VIRT + 7
boot_pd:
    .set address, 0
    .rept 512
    .quad address + 0x87
    .set address, address + 0x200000
    .endr
boot_pd_devices:
    .set address, 0xc0000000
    .rept 512
    .quad address + 0x9f
    .set address, address + 0x200000
    .endr
    .balign 16
boot_gdt:
    .quad 0
    // 0x08: 32-bit code, for the trampoline. 0x10: 64-bit code. 0x18: data.
    .quad 0x00cf9b000000ffff
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
boot_gdt_pointer:
    .word 31
    .quad boot_gdt - VIRT
    .balign 16
boot_idt:
    .zero 16 * 16
boot_idt_pointer:
    .word 255
    .quad boot_idt
    .balign 8
    .global ap_gate, ap_number, ap_stack
ap_gate:
    .long 1
ap_number:
    .long 0
ap_stack:
    .quad 0
    .popsection

    .pushsection .bss.boot, "aw", @nobits
    // Until memory works, see main.rs.
    .balign 16
    .zero 16384
boot_stack_end:
    .popsection
    "#,
    MSR_SIGNATURE = const MSR_SIGNATURE,
    MSR_ENABLE = const MSR_ENABLE,
    SIGNATURE = const SIGNATURE as u32,
    VIF_PAGES = sym super::kvm::VIF_PAGES,
    rust_entry = sym rust_entry,
);

/// On each CPU: `number` 0 for the first. `tsc` is the counter at entry.
extern "C" fn rust_entry(number: u32, start_info: u32, tsc: u64, paravirtual: u32) -> ! {
    if number == 0 {
        super::kvm::set_paravirtual(paravirtual != 0);
        super::percpu::install(0);
        crate::main(start_info as usize, tsc)
    }
    super::percpu::install(number as usize);
    super::smp::enter()
}
