//! The rewriting of system calls, in any bytes at any address.
//!
//! What was found is compared with the shapes written down a second time, as patterns. What was written instead is decoded by
//! a disassembler and run by a machine of a few registers: after a site's own instructions and after its jump and stub, every
//! register must be the same, and the kernel must be entered.
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register};
use ringo_elf::{STUB_SIZE, Site, SiteTable, scan};

/// About where the kernel's entry is.
pub const KERNEL_ENTRY: u64 = 0xffff_ffff_c020_0000;
/// Bytes of stubs that no input here exceeds.
pub const STUBS_MAX: u64 = 1 << 24;
/// Numbers of system calls are below.
const NUMBERS: u32 = 600;
/// What a pattern leaves open.
const ANY: u16 = 0x100;

/// See [`crate::Target`]. The first byte says where things lie, the rest is text.
pub fn run(bytes: &[u8]) {
    let Some((&place, text)) = bytes.split_first() else {
        return;
    };
    let address =
        [0x40_1000, 0x5555_5555_5000, 0x10_0000, 0x7fff_ffff_0000][usize::from(place & 3)];
    let base = match place >> 2 & 3 {
        0 => address - 0x8_0000,
        1 => address + 0x100_0000,
        2 => address + 0x7fff_0000, // In reach of some sites only.
        _ => address + 0x1_0000_0000,
    };
    let entry = [KERNEL_ENTRY, base + 0x7fff_fff0, 0x1000, !0xfff][usize::from(place >> 4 & 3)];
    check(text, address, base, entry);
}

/// Finds and rewrites the sites of `text`, which runs at `address`, with stubs at `base`.
pub fn check(text: &[u8], address: u64, base: u64, entry: u64) {
    let sites: Vec<Site> = scan(text, address).collect();
    let found: Vec<_> = sites
        .iter()
        .map(|s| (s.return_address() - address, s.displaced().len()))
        .collect();
    assert_eq!(found, expected(text));
    let table = SiteTable::new(base, sites.clone());
    assert!(SiteTable::size_for(sites.len()) as u64 <= STUBS_MAX);
    let mut patched = text.to_vec();
    let mut end = address;
    for (index, site) in sites.iter().enumerate() {
        assert!(site.address >= end, "sites overlap");
        end = site.return_address();
        let at = (site.address - address) as usize;
        assert_eq!(site.displaced(), &text[at..at + site.displaced().len()]);
        assert_eq!(table.by_return_address(end), Some(site));
        assert_eq!(table.by_stub(stub_address(base, index)), Some(site));
        assert_eq!(
            table.by_stub(stub_address(base, index) + STUB_SIZE as u64 - 1),
            Some(site)
        );
        let (Some((patch, length)), Some(stub)) = (table.patch(index), table.stub(index, entry))
        else {
            continue; // Out of reach: it stays as it was.
        };
        assert!(length <= site.len());
        patched[at..at + length].copy_from_slice(&patch[..length]);
        let changed = Memory {
            text: &patched,
            address,
            stub: &stub,
            stub_at: stub_address(base, index),
            header: table.header(entry),
            base,
        };
        let original = Memory { text, ..changed };
        assert_eq!(
            changed.call(site.address, entry),
            original.call(site.address, entry),
            "{site:x?}"
        );
    }
    let inside = |at: u64| {
        sites
            .iter()
            .any(|s| (s.address..s.return_address()).contains(&at))
    };
    for (at, (old, new)) in text.iter().zip(&patched).enumerate() {
        assert!(
            old == new || inside(address + at as u64),
            "a byte outside of a site changed"
        );
    }
    assert_eq!(table.by_stub(base), None);
    assert_eq!(table.by_stub(stub_address(base, sites.len())), None);
}

fn stub_address(base: u64, index: usize) -> u64 {
    base + ((index + 1) * STUB_SIZE) as u64
}

/// The shapes: whether a number ends it, what stands before the `syscall`, and after it.
const SHAPES: [(bool, &[u16], &[u16]); 5] = [
    (true, &[0xb8, ANY, ANY, ANY, ANY], &[]),
    (true, &[0x48, 0xc7, 0xc0, ANY, ANY, ANY, ANY], &[]),
    (
        false,
        &[0x48, 0x89, 0xdf],
        &[0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff],
    ),
    (false, &[0x48, 0x8b, 0x44, 0x24, ANY], &[]),
    (
        false,
        &[0x48, 0x8b, 0x44, 0x24, ANY, 0x41, 0x5c],
        &[0x41, 0x54],
    ),
];

/// Where the calls of `text` return to, and the bytes before each: the first shape counts that fits.
fn expected(text: &[u8]) -> Vec<(u64, usize)> {
    let calls = (0..text.len().saturating_sub(1)).filter(|&at| text[at..at + 2] == [0x0f, 0x05]);
    let shaped = calls.filter_map(|at| {
        let (before, after) = (&text[..at], &text[at + 2..]);
        let fits = |&(number, head, tail): &(bool, &[u16], &[u16])| {
            let Some((earlier, head_bytes)) = before.split_at_checked(at.wrapping_sub(head.len()))
            else {
                return false;
            };
            after.len() >= tail.len()
                && matches(head_bytes, head)
                && matches(&after[..tail.len()], tail)
                && (!number || is_number(before))
                && (head[0] != 0xb8 || !in_doubt(earlier))
        };
        let (_, head, _) = SHAPES.iter().find(|shape| fits(shape))?;
        Some((at as u64 + 2, head.len()))
    });
    shaped.collect()
}

fn matches(bytes: &[u8], pattern: &[u16]) -> bool {
    let same = |(&byte, &wanted): (&u8, &u16)| wanted == ANY || u16::from(byte) == wanted;
    bytes.iter().zip(pattern).all(same)
}

fn is_number(before: &[u8]) -> bool {
    let bytes = before.last_chunk().expect("a shape has four");
    u32::from_le_bytes(*bytes) < NUMBERS
}

/// Whether b8 behind these bytes could be an operand: the table in sites.rs, by other means.
fn in_doubt(before: &[u8]) -> bool {
    let Some(&last) = before.last() else {
        return false;
    };
    let on_stack = matches!(
        before,
        [
            ..,
            0x44 | 0x4c | 0x54 | 0x5c | 0x64 | 0x6c | 0x74 | 0x7c,
            0x24,
            _
        ]
    );
    let rex = (0x40..0x50).contains(&last) && !on_stack;
    let immediate = last == 0x81 || last == 0x69;
    let scaled = [0x84, 0x8c, 0x94, 0x9c, 0xa4, 0xac, 0xb4, 0xbc].contains(&last);
    rex || immediate || scaled
}

/// The program's text and a stub.
#[derive(Clone, Copy)]
struct Memory<'a> {
    text: &'a [u8],
    address: u64,
    stub: &'a [u8],
    stub_at: u64,
    header: [u8; STUB_SIZE],
    base: u64,
}

/// What a system call depends on and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registers {
    rax: u64,
    rbx: u64,
    rcx: u64,
    rdi: u64,
    r12: u64,
    rsp: u64,
}

impl Memory<'_> {
    /// The instruction at `at`.
    fn decode(&self, at: u64) -> Instruction {
        let text = at.wrapping_sub(self.address);
        let stub = at.wrapping_sub(self.stub_at);
        let bytes = if stub < STUB_SIZE as u64 {
            &self.stub[stub as usize..]
        } else {
            &self.text[text as usize..]
        };
        Decoder::with_ip(64, bytes, at, DecoderOptions::NONE).decode()
    }

    /// Runs from `at` until the kernel is entered at `entry`; gives the registers there.
    fn call(&self, mut at: u64, entry: u64) -> Registers {
        let mut registers = Registers {
            rax: 0xa1 << 56,
            rbx: 0xb1 << 56,
            rcx: 0xc1 << 56,
            rdi: 0xd1 << 56,
            r12: 0xe1 << 56,
            rsp: 0xc000_0000,
        };
        for _ in 0..8 {
            let instruction = self.decode(at);
            at = instruction.next_ip();
            match instruction.code() {
                Code::Syscall => {
                    registers.rcx = at;
                    return registers;
                }
                Code::Jmp_rel32_64 => at = instruction.near_branch_target(),
                Code::Jmp_rm64 => {
                    assert_eq!(instruction.op0_kind(), OpKind::Memory);
                    assert_eq!(
                        (
                            instruction.memory_base(),
                            instruction.memory_displacement64()
                        ),
                        (Register::RIP, self.base)
                    );
                    at =
                        u64::from_le_bytes(*self.header.first_chunk().expect("a header has eight"));
                }
                _ => registers.step(&instruction),
            }
            if at == entry {
                return registers;
            }
        }
        panic!("no end after eight instructions");
    }
}

impl Registers {
    fn of(&mut self, register: Register) -> &mut u64 {
        match register {
            Register::RAX | Register::EAX => &mut self.rax,
            Register::RBX => &mut self.rbx,
            Register::RCX => &mut self.rcx,
            Register::RDI => &mut self.rdi,
            Register::R12 => &mut self.r12,
            Register::RSP => &mut self.rsp,
            other => panic!("{other:?} has no part in a call"),
        }
    }

    /// The stack holds its own addresses.
    fn load(address: u64) -> u64 {
        address ^ 0x5a5a << 32
    }

    fn step(&mut self, instruction: &Instruction) {
        let target = instruction.op0_register();
        let value = match instruction.code() {
            Code::Mov_r32_imm32 => u64::from(instruction.immediate32()),
            Code::Mov_rm64_imm32 => instruction.immediate32to64() as u64,
            Code::Mov_r64_rm64 if instruction.op1_kind() == OpKind::Memory => {
                assert_eq!(
                    (instruction.memory_base(), instruction.memory_index()),
                    (Register::RSP, Register::None)
                );
                Self::load(self.rsp.wrapping_add(instruction.memory_displacement64()))
            }
            Code::Mov_rm64_r64 => *self.of(instruction.op1_register()),
            Code::Pop_r64 => {
                let value = Self::load(self.rsp);
                self.rsp += 8;
                value
            }
            Code::Lea_r64_m => {
                assert_eq!(instruction.memory_base(), Register::RIP);
                instruction.memory_displacement64()
            }
            other => panic!("{other:?} is in no site and no stub"),
        };
        *self.of(target) = value;
    }
}

/// See [`crate::Target`].
pub fn seeds() -> Vec<Vec<u8>> {
    let shapes: [&[u8]; 10] = [
        b"\xcc\xb8\xca\0\0\0\x0f\x05\xc3",
        b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05\xcd\x03",
        b"\x48\x89\xdf\x0f\x05\x48\x3d\x01\xf0\xff\xff",
        b"\x48\x8b\x44\x24\x08\x0f\x05\x48\x89\x44\x24\x28",
        b"\x48\x8b\x44\x24\x08\x41\x5c\x0f\x05\x41\x54",
        b"\x44\x8b\x4c\x24\x48\xb8\x09\0\0\0\x0f\x05\xc3",
        b"\x48\x81\xb8\x90\0\0\0\x0f\x05\0\0",
        b"\xc7\x84\xb8\x90\0\0\0\x0f\x05\0\0",
        b"\x49\xb8\x27\0\0\0\x0f\x05\0\0",
        b"\xe8\xf7\x0f\x05\0\xc7\x04\x24\0\x0f\x05\0",
    ];
    let one = |text: &&[u8]| [&[0u8], *text].concat();
    let all = |place: u8| [&[place], &shapes.concat()[..]].concat();
    shapes
        .iter()
        .map(one)
        .chain([0, 0x15, 0x3a, 0x2f].map(all))
        .collect()
}

/// The bytes around each site of an executable.
pub fn around_sites(bytes: &[u8]) -> Vec<Vec<u8>> {
    let Ok(image) = ringo_elf::Image::parse(bytes) else {
        return Vec::new();
    };
    let text = image
        .segments()
        .iter()
        .filter(|s| s.executable)
        .map(|s| image.data(s));
    let windows = text.flat_map(|text| {
        scan(text, 0).map(|site| {
            let from = site.address.saturating_sub(16) as usize;
            let to = (site.return_address() as usize + 16).min(text.len());
            [&[0], &text[from..to]].concat()
        })
    });
    windows.collect()
}
