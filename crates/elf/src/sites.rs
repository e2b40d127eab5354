//! The system-call sites of Go code.
//!
//! Go's assembler writes `syscall` in few shapes, the same since 1.21 in runtime, syscall and golang.org/x/sys. Each is
//! found by its exact bytes; a bare search for 0f 05 would also hit the middle of calls and constants. A site is the
//! `syscall` together with the instruction before it, which does not depend on its position: the two make room for a
//! five-byte jump, and the return address stays the one after `syscall`, in the program's own text.
//!
//! | bytes | instruction before | where |
//! |---|---|---|
//! | b8 nn nn 00 00 0f 05 | mov eax, number | nearly all |
//! | 48 c7 c0 nn nn 00 00 0f 05 | mov rax, number | up to 1.26; sigreturn |
//! | 48 89 df 0f 05 48 3d 01 f0 ff ff | mov rdi, rbx | Syscall6 |
//! | 48 8b 44 24 dd 0f 05 | mov rax, [rsp+dd] | rawSyscallNoError, x/sys |
//! | 48 8b 44 24 dd 41 5c 0f 05 41 54 | mov rax, [rsp+dd]; pop r12 | rawVforkSyscall |
//!
//! The first shape is short enough to come up inside of other instructions that compilers write: it is taken only where the
//! byte before leaves no doubt that b8 is an opcode ([`may_be_operand`]). A site that is missed is only slower.
//! tests/objdump.rs compares what is found with a disassembler's view of real programs, and that no branch leads into it.

/// The most bytes of a site before its `syscall`.
pub(crate) const BEFORE_MAX: usize = 7;
/// Numbers above are not system calls.
const NUMBER_MAX: u32 = 600;

/// One site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Address of the first instruction that is replaced.
    pub address: u64,
    /// Bytes before the `syscall` that are replaced with it.
    pub before: [u8; BEFORE_MAX],
    /// How many of them.
    pub before_len: u8,
    /// The call's number, where the instruction before says it.
    pub number: Option<u32>,
}

impl Site {
    /// Where the call returns to.
    pub fn return_address(&self) -> u64 {
        self.address + u64::from(self.before_len) + 2
    }

    /// Bytes that are replaced.
    pub fn len(&self) -> usize {
        usize::from(self.before_len) + 2
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The instructions before the `syscall`.
    pub fn displaced(&self) -> &[u8] {
        &self.before[..usize::from(self.before_len)]
    }
}

/// Finds the sites in `text`, which runs at `address`, in ascending order.
pub fn scan(text: &[u8], address: u64) -> impl Iterator<Item = Site> + '_ {
    let mut from = 0;
    core::iter::from_fn(move || {
        while let Some(step) = memchr::memchr(0x05, text.get(from..)?) {
            let second = from + step;
            from = second + 1;
            let Some(at) = second.checked_sub(1).filter(|&at| text[at] == 0x0f) else {
                continue;
            };
            if let Some((before_len, number)) = shape(text, at) {
                let mut before = [0; BEFORE_MAX];
                before[..before_len].copy_from_slice(&text[at - before_len..at]);
                let address = address.wrapping_add((at - before_len) as u64);
                return Some(Site {
                    address,
                    before,
                    before_len: before_len as u8,
                    number,
                });
            }
        }
        None
    })
}

/// The shape around the `0f 05` at `at`: bytes before it, and the number.
fn shape(text: &[u8], at: usize) -> Option<(usize, Option<u32>)> {
    let before = &text[..at];
    let after = &text[at + 2..];
    let tail = |count: usize| {
        before
            .len()
            .checked_sub(count)
            .map(|start| &before[start..])
    };
    if let Some(&[0xb8, a, b, c, d]) = tail(5) {
        let number = u32::from_le_bytes([a, b, c, d]);
        // `48 c7 c0` ends in c0, never in b8, so the two cannot be confused.
        if number < NUMBER_MAX && !may_be_operand(&before[..at - 5]) {
            return Some((5, Some(number)));
        }
    }
    if let Some(&[0x48, 0xc7, 0xc0, a, b, c, d]) = tail(7) {
        let number = u32::from_le_bytes([a, b, c, d]);
        if number < NUMBER_MAX {
            return Some((7, Some(number)));
        }
    }
    if tail(3) == Some(&[0x48, 0x89, 0xdf])
        && after.starts_with(&[0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff])
    {
        return Some((3, None));
    }
    if let Some(&[0x48, 0x8b, 0x44, 0x24, _]) = tail(5) {
        return Some((5, None));
    }
    if let Some(&[0x48, 0x8b, 0x44, 0x24, _, 0x41, 0x5c]) = tail(7)
        && after.starts_with(&[0x41, 0x54])
    {
        return Some((7, None));
    }
    None
}

/// Whether the b8 that follows `before` may be no opcode of its own. What compilers write so, with a field's offset or an
/// element's where the number would be:
///
/// | bytes | instruction |
/// |---|---|
/// | 81 b8 dd dd 00 00 0f 05 00 00 | cmp dword [rax+dddd], 1295; 69 is imul |
/// | c7 84 b8 dd dd 00 00 0f 05 00 00 | mov dword [rax+rdi*4+dddd], 1295; likewise all with ModRM 10xxx100 |
/// | 48 b8 nn nn 00 00 0f 05 00 00 | mov rax, 0x50f_0000_nnnn; likewise all with REX before |
/// | 41 b8 nn nn 00 00 0f 05 | mov r8d, nnnn, and a call whose number was loaded before |
fn may_be_operand(before: &[u8]) -> bool {
    match *before {
        // Like a REX prefix, but the displacement of [rsp+dd].
        [.., mod_rm, 0x24, 0x40..=0x4f] if mod_rm & 0xc7 == 0x44 => false,
        [.., 0x40..=0x4f | 0x69 | 0x81] => true,
        [.., mod_rm] => mod_rm & 0xc7 == 0x84,
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn sites(text: &[u8]) -> Vec<Site> {
        scan(text, 0x1000).collect()
    }

    #[test]
    fn a_number_before_the_call_is_found() {
        let found = sites(&[0x90, 0xb8, 0xca, 0, 0, 0, 0x0f, 0x05, 0xc3]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].address, found[0].number, found[0].return_address()),
            (0x1001, Some(202), 0x1008)
        );
    }

    #[test]
    fn the_general_call_is_found_only_with_its_comparison() {
        assert_eq!(
            sites(&[
                0x48, 0x89, 0xdf, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff
            ])[0]
                .len(),
            5
        );
        assert!(sites(&[0x48, 0x89, 0xdf, 0x0f, 0x05, 0x90, 0x90]).is_empty());
    }

    #[test]
    fn bytes_inside_other_instructions_are_left_alone() {
        // call +0x50f07; movl $0x50f00, (rsp)
        assert!(
            sites(&[
                0xe8, 0xf7, 0x0f, 0x05, 0x00, 0xc7, 0x04, 0x24, 0x00, 0x0f, 0x05, 0x00
            ])
            .is_empty()
        );
    }

    #[test]
    fn operands_that_look_like_a_number_and_a_call_are_left_alone() {
        let tail = [0xb8, 0x90, 0, 0, 0, 0x0f, 0x05, 0, 0];
        let before: [&[u8]; 9] = [
            &[0x81],
            &[0x48, 0x81],
            &[0x66, 0x81],
            &[0x69],
            &[0xc7, 0x84],
            &[0x81, 0xbc],
            &[0x48],
            &[0x49],
            &[0x8b, 0x44, 0x24, 0x08, 0x41],
        ];
        for before in before {
            assert!(sites(&[before, &tail].concat()).is_empty(), "{before:x?}");
        }
    }

    #[test]
    fn a_number_behind_a_stack_operand_is_found() {
        // mov r9d, [rsp+0x48]; mov eax, 9; syscall
        let code = [0x44, 0x8b, 0x4c, 0x24, 0x48, 0xb8, 9, 0, 0, 0, 0x0f, 0x05];
        assert_eq!(sites(&code)[0].number, Some(9));
    }

    proptest::proptest! {
        #[test]
        fn sites_never_overlap_and_never_leave_the_text(text in proptest::collection::vec(
            proptest::sample::select(std::vec![0x0fu8, 0x05, 0xb8, 0, 1, 0x48, 0xc7, 0xc0, 0x89, 0xdf, 0x8b, 0x44, 0x24]), 0..200)) {
            let mut end = 0x1000;
            for site in sites(&text) {
                proptest::prop_assert!(site.address >= end);
                end = site.return_address();
                proptest::prop_assert!(end <= 0x1000 + text.len() as u64);
            }
        }
    }
}
