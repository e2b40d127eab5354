//! Socket filters: classic BPF (Linux Documentation/networking/filter.rst, net/core/filter.c).
//!
//! A [`Filter`] is a program that was checked once: each jump goes forward and stays inside, each constant is one the operation
//! takes, no scratch word is read that may not have been written, and the last instruction returns. So [`Filter::run`] ends
//! after at most as many steps as there are instructions, and a load from beyond the packet drops it.
//!
//! Not known: netlink attributes, the offset of the payload, and headers below the packet's own (SKF_NET_OFF, SKF_LL_OFF).
use alloc::vec::Vec;
use ringo_abi::Errno;

/// BPF_MAXINSNS.
pub const LENGTH_MAX: usize = 4096;
/// struct sock_filter.
pub const SIZE: usize = 8;
/// BPF_MEMWORDS.
const WORDS: usize = 16;

/// Classes, sizes, modes, operations and sources, as linux/bpf_common.h and linux/filter.h have them.
const LD: u16 = 0;
const LDX: u16 = 1;
const ST: u16 = 2;
const STX: u16 = 3;
const ALU: u16 = 4;
const JMP: u16 = 5;
const RET: u16 = 6;
const MISC: u16 = 7;
const W: u16 = 0;
const H: u16 = 0x08;
const B: u16 = 0x10;
const IMM: u16 = 0;
const ABS: u16 = 0x20;
const IND: u16 = 0x40;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const MSH: u16 = 0xa0;
const ADD: u16 = 0;
const SUB: u16 = 0x10;
const MUL: u16 = 0x20;
const DIV: u16 = 0x30;
const OR: u16 = 0x40;
const AND: u16 = 0x50;
const LSH: u16 = 0x60;
const RSH: u16 = 0x70;
const NEG: u16 = 0x80;
const MOD: u16 = 0x90;
const XOR: u16 = 0xa0;
const JA: u16 = 0;
const JEQ: u16 = 0x10;
const JGT: u16 = 0x20;
const JGE: u16 = 0x30;
const JSET: u16 = 0x40;
const X: u16 = 0x08;
const A: u16 = 0x10;
const TAX: u16 = 0;
const TXA: u16 = 0x80;

/// Loads from a place in the packet.
const AT: [u16; 3] = [LD | ABS | W, LD | ABS | H, LD | ABS | B];
/// What has to do with a word of scratch memory.
const SCRATCH: [u16; 4] = [LD | MEM, LDX | MEM, ST, STX];
/// What takes any constant.
const ANY: [u16; 12] = [
    LD | IND | W,
    LD | IND | H,
    LD | IND | B,
    LD | IMM,
    LD | LEN,
    LDX | IMM,
    LDX | LEN,
    LDX | MSH | B,
    RET,
    RET | A,
    MISC | TAX,
    MISC | TXA,
];

/// SKF_AD_OFF: loads from here on ask what is known beside the packet's bytes.
const BESIDE: u32 = 0xffff_f000;
/// SKF_AD_PROTOCOL and so on, from there.
const PROTOCOL: u32 = 0;
const PACKET_TYPE: u32 = 4;
const INTERFACE: u32 = 8;
const MARK: u32 = 20;
const QUEUE: u32 = 24;
const HARDWARE: u32 = 28;
const HASH: u32 = 32;
const CPU: u32 = 36;
const XOR_X: u32 = 40;
const VLAN_TAG: u32 = 44;
const VLAN_PRESENT: u32 = 48;
const RANDOM: u32 = 56;
const VLAN_PROTOCOL: u32 = 60;

/// A packet, and what is known beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The header that the filter sees first.
    pub header: &'a [u8],
    /// What follows it.
    pub data: &'a [u8],
    /// ETH_P_*.
    pub protocol: u16,
    /// The interface it came by.
    pub interface: u32,
    /// ARPHRD_*.
    pub hardware: u16,
    /// The CPU this happens on.
    pub cpu: u32,
    /// Gives random numbers.
    pub random: fn() -> u32,
}

impl Packet<'_> {
    fn length(&self) -> usize {
        self.header.len() + self.data.len()
    }

    /// `size` bytes at `at`, big-endian.
    fn load(&self, at: u32, size: usize) -> Option<u32> {
        let at = at as usize;
        let mut value = 0;
        for at in at..at.checked_add(size)? {
            let byte = match at.checked_sub(self.header.len()) {
                None => self.header[at],
                Some(at) => *self.data.get(at)?,
            };
            value = value << 8 | u32::from(byte);
        }
        Some(value)
    }

    fn beside(&self, what: u32, a: u32, x: u32) -> Option<u32> {
        Some(match what {
            PROTOCOL => u32::from(self.protocol),
            INTERFACE => self.interface,
            HARDWARE => u32::from(self.hardware),
            CPU => self.cpu,
            XOR_X => a ^ x,
            RANDOM => (self.random)(),
            // For this host; no mark, one queue, no hash, no VLAN.
            PACKET_TYPE | MARK | QUEUE | HASH | VLAN_TAG | VLAN_PRESENT | VLAN_PROTOCOL => 0,
            _ => return None,
        })
    }
}

/// struct sock_filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

impl Instruction {
    fn decode(bytes: [u8; SIZE]) -> Self {
        let [c0, c1, if_true, if_false, k0, k1, k2, k3] = bytes;
        Self {
            code: u16::from_ne_bytes([c0, c1]),
            if_true,
            if_false,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        }
    }

    /// How many bytes a load takes from the packet.
    const fn width(self) -> usize {
        match self.code & 0x18 {
            W => 4,
            H => 2,
            _ => 1,
        }
    }

    /// The operation of the class ALU or JMP, and whether its operand is X.
    const fn operation(self) -> (u16, bool) {
        (self.code & 0xf0, self.code & X != 0)
    }

    /// Whether there is such an instruction and it takes this constant, with so many instructions behind it.
    fn is_valid(self, behind: usize) -> bool {
        let k = self.k;
        let inside = |offset: u32| (offset as usize) < behind;
        match self.code {
            // Above: distances from headers below, and what is known beside the packet.
            code if AT.contains(&code) && k > i32::MAX as u32 => k
                .checked_sub(BESIDE)
                .is_some_and(|what| EMPTY.beside(what, 0, 0).is_some()),
            code if SCRATCH.contains(&code) => (k as usize) < WORDS,
            code if AT.contains(&code) || ANY.contains(&code) => true,
            code if code & 7 == ALU && code >> 8 == 0 => match self.operation() {
                (DIV | MOD, false) => k != 0,
                (LSH | RSH, false) => k < 32,
                (NEG, x) => !x,
                (operation, _) => operation <= XOR,
            },
            code if code & 7 == JMP && code >> 8 == 0 => match self.operation() {
                (JA, x) => !x && inside(k),
                (JEQ | JGT | JGE | JSET, _) => {
                    inside(self.if_true.into()) && inside(self.if_false.into())
                }
                _ => false,
            },
            _ => false,
        }
    }
}

const EMPTY: Packet<'static> = Packet {
    header: &[],
    data: &[],
    protocol: 0,
    interface: 0,
    hardware: 0,
    cpu: 0,
    random: || 0,
};

/// See the module's head.
#[derive(PartialEq, Eq, Debug)]
pub struct Filter(Vec<Instruction>);

impl Filter {
    /// Reads and checks a program: an array of struct sock_filter.
    ///
    /// # Errors
    /// EINVAL for one that Linux does not take either, or that asks for what is not known here.
    pub fn new(bytes: &[u8]) -> Result<Self, Errno> {
        let (instructions, rest) = bytes.as_chunks::<SIZE>();
        if !rest.is_empty() || !(1..=LENGTH_MAX).contains(&instructions.len()) {
            return Err(Errno::EINVAL);
        }
        let program: Vec<_> = instructions
            .iter()
            .map(|&bytes| Instruction::decode(bytes))
            .collect();
        let valid = |(at, each): (usize, &Instruction)| each.is_valid(program.len() - at - 1);
        let returns = program.last().is_some_and(|last| last.code & 7 == RET);
        if !program.iter().enumerate().all(valid) || !returns || !reads_what_it_wrote(&program) {
            return Err(Errno::EINVAL);
        }
        Ok(Self(program))
    }

    /// How many bytes of the packet to keep, at most; 0 to drop it.
    pub fn run(&self, packet: &Packet<'_>) -> u32 {
        self.steps(packet).unwrap_or(0)
    }

    /// None if it divided by zero or loaded from beyond the packet.
    fn steps(&self, packet: &Packet<'_>) -> Option<u32> {
        let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; WORDS]);
        let mut rest = self.0.iter();
        loop {
            let it = *rest.next()?;
            let k = it.k;
            match it.code & 7 {
                LD => {
                    a = match it.code & 0xe0 {
                        IMM => k,
                        ABS if k >= BESIDE => packet.beside(k - BESIDE, a, x)?,
                        ABS => packet.load(k, it.width())?,
                        IND => packet.load(k.wrapping_add(x), it.width())?,
                        MEM => *memory.get(k as usize)?,
                        _ => packet.length() as u32,
                    }
                }
                LDX => {
                    x = match it.code & 0xe0 {
                        IMM => k,
                        MEM => *memory.get(k as usize)?,
                        MSH => (packet.load(k, 1)? & 0xf) << 2,
                        _ => packet.length() as u32,
                    }
                }
                ST => *memory.get_mut(k as usize)? = a,
                STX => *memory.get_mut(k as usize)? = x,
                ALU => {
                    let (operation, by_x) = it.operation();
                    a = compute(operation, a, if by_x { x } else { k })?;
                }
                JMP => {
                    let (operation, by_x) = it.operation();
                    let operand = if by_x { x } else { k };
                    let skip = match operation {
                        JA => k as usize,
                        JEQ if a == operand => it.if_true.into(),
                        JGT if a > operand => it.if_true.into(),
                        JGE if a >= operand => it.if_true.into(),
                        JSET if a & operand != 0 => it.if_true.into(),
                        _ => usize::from(it.if_false),
                    };
                    if skip > 0 {
                        rest.nth(skip - 1)?;
                    }
                }
                RET if it.code & A != 0 => return Some(a),
                RET => return Some(k),
                _ if it.code & TXA != 0 => a = x,
                _ => x = a,
            }
        }
    }
}

fn compute(operation: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        ADD => a.wrapping_add(operand),
        SUB => a.wrapping_sub(operand),
        MUL => a.wrapping_mul(operand),
        DIV => a.checked_div(operand)?,
        MOD => a.checked_rem(operand)?,
        OR => a | operand,
        AND => a & operand,
        LSH => a.wrapping_shl(operand),
        RSH => a.wrapping_shr(operand),
        XOR => a ^ operand,
        _ => a.wrapping_neg(),
    })
}

/// Whether, on whatever way, each scratch word is written before it is read: per instruction, the words that were written on
/// all ways to it (check_load_and_stores).
fn reads_what_it_wrote(program: &[Instruction]) -> bool {
    let mut written = alloc::vec![u16::MAX; program.len()];
    written[0] = 0;
    for (at, it) in program.iter().enumerate() {
        let mut words = written[at];
        let mut to = |skip: u32, words: u16| {
            if let Some(there) = written.get_mut(at + 1 + skip as usize) {
                *there &= words;
            }
        };
        match it.code & 7 {
            ST | STX => {
                words |= 1 << it.k;
                to(0, words);
            }
            LD | LDX if it.code & 0xe0 == MEM && words & 1 << it.k == 0 => return false,
            JMP if it.operation().0 == JA => to(it.k, words),
            JMP => {
                to(it.if_true.into(), words);
                to(it.if_false.into(), words);
            }
            RET => {}
            _ => to(0, words),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Result<Filter, Errno> {
        let mut bytes = Vec::new();
        for &(code, if_true, if_false, k) in instructions {
            bytes.extend_from_slice(&code.to_ne_bytes());
            bytes.extend_from_slice(&[if_true, if_false]);
            bytes.extend_from_slice(&k.to_ne_bytes());
        }
        Filter::new(&bytes)
    }

    fn run(instructions: &[(u16, u8, u8, u32)], data: &[u8]) -> u32 {
        let packet = Packet {
            header: &[1, 2, 3, 4],
            data,
            protocol: 0x800,
            ..EMPTY
        };
        program(instructions).unwrap().run(&packet)
    }

    #[test]
    fn loads_cross_from_the_header_into_the_data() {
        let load = |code, k| run(&[(LD | code, 0, 0, k), (RET | A, 0, 0, 0)], &[5, 6]);
        assert_eq!(load(ABS | W, 0), 0x0102_0304);
        assert_eq!(load(ABS | W, 2), 0x0304_0506);
        assert_eq!(load(ABS | H, 3), 0x0405);
        assert_eq!(load(ABS | B, 5), 6);
        assert_eq!(load(LEN, 0), 6);
        assert_eq!(load(ABS | W, BESIDE + PROTOCOL), 0x800);
    }

    #[test]
    fn a_load_from_beyond_the_packet_drops_it() {
        for (code, k) in [
            (ABS | W, 3),
            (ABS | B, 6),
            (IND | B, u32::MAX),
            (IND | H, 5),
        ] {
            assert_eq!(run(&[(LD | code, 0, 0, k), (RET, 0, 0, 9)], &[5, 6]), 0);
        }
    }

    #[test]
    fn dividing_by_zero_drops_the_packet() {
        let by_x = [
            (LD | IMM, 0, 0, 7),
            (ALU | DIV | X, 0, 0, 0),
            (RET, 0, 0, 9),
        ];
        assert_eq!(run(&by_x, &[]), 0);
    }

    #[test]
    fn jumps_skip_what_they_say() {
        let jump = |code, k| {
            let jump = (JMP | code, 1, 0, k);
            let program = [
                (LD | ABS | B, 0, 0, 4),
                jump,
                (RET, 0, 0, 1),
                (RET, 0, 0, 2),
            ];
            run(&program, &[8])
        };
        assert_eq!(jump(JEQ, 8), 2);
        assert_eq!(jump(JEQ, 7), 1);
        assert_eq!(jump(JGT, 7), 2);
        assert_eq!(jump(JGE, 9), 1);
        assert_eq!(jump(JSET, 12), 2);
    }

    #[test]
    fn the_length_of_a_header_and_scratch_memory() {
        let program = [
            (LDX | MSH | B, 0, 0, 4),
            (STX, 0, 0, 15),
            (LD | MEM, 0, 0, 15),
            (RET | A, 0, 0, 0),
        ];
        assert_eq!(run(&program, &[0x45]), 20);
    }

    #[test]
    fn what_could_go_wrong_is_refused() {
        let end = (RET, 0, 0, 0);
        assert!(program(&[]).is_err());
        assert!(program(&[(LD | IMM, 0, 0, 0)]).is_err(), "no return");
        for wrong in [
            (RET | X, 0, 0, 0),
            (ALU | DIV, 0, 0, 0),
            (ALU | RSH, 0, 0, 32),
            (ALU | XOR | 0x10, 0, 0, 1),
            (JMP | JA, 0, 0, 1),
            (JMP | JEQ, 1, 0, 0),
            (JMP | JA, 0, 0, u32::MAX),
            (ST, 0, 0, 16),
            (LD | MEM, 0, 0, 0),
            (LD | ABS | W, 0, 0, BESIDE - 1),
            (0x100, 0, 0, 0),
        ] {
            assert!(program(&[wrong, end]).is_err(), "{wrong:?}");
        }
        let written_on_one_way = [
            (JMP | JEQ, 0, 1, 0),
            (ST, 0, 0, 3),
            (LD | MEM, 0, 0, 3),
            end,
        ];
        assert!(program(&written_on_one_way).is_err());
    }
}
