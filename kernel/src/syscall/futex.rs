//! futex(2): arguments.
use crate::memory::user;
use crate::task::futex::Word;
use crate::task::shared_word::shared;
use crate::task::{self, futex};
use crate::time;
use crate::time::convert::read_timespec;
use ringo_abi::{Errno, SysResult};

const WAIT: i32 = 0;
const WAKE: i32 = 1;
const REQUEUE: i32 = 3;
const CMP_REQUEUE: i32 = 4;
const WAKE_OP: i32 = 5;
const WAIT_BITSET: i32 = 9;
const WAKE_BITSET: i32 = 10;
const PRIVATE_FLAG: i32 = 128;
const CLOCK_REALTIME: i32 = 256;

/// futex(2).
pub fn futex(
    uaddr: usize,
    op: i32,
    val: u32,
    timeout: usize,
    uaddr2: usize,
    val3: u32,
) -> SysResult {
    let command = op & !(PRIVATE_FLAG | CLOCK_REALTIME);
    let known = matches!(
        command,
        WAIT | WAKE | REQUEUE | CMP_REQUEUE | WAKE_OP | WAIT_BITSET | WAKE_BITSET
    );
    // A wait that a signal without a handler interrupted goes on to the same deadline.
    let restart = &task::current().restart;
    let deadline = match command {
        WAIT | WAIT_BITSET => match restart.take() {
            // Looked at before everything else, as in Linux.
            None => deadline(timeout, command == WAIT, op & CLOCK_REALTIME != 0)?,
            interrupted => interrupted,
        },
        _ => None,
    };
    if !known || op & CLOCK_REALTIME != 0 && command != WAIT_BITSET {
        return Err(Errno::ENOSYS);
    }
    if matches!(command, WAIT_BITSET | WAKE_BITSET) && val3 == 0 {
        return Err(Errno::EINVAL);
    }
    let negative = (val | timeout as u32) >> 31 != 0;
    if matches!(command, REQUEUE | CMP_REQUEUE) && negative {
        return Err(Errno::EINVAL);
    }
    check(uaddr)?;
    let word = word(op, uaddr)?;
    match command {
        WAIT | WAIT_BITSET => {
            let bitset = if command == WAIT { u32::MAX } else { val3 };
            let result = futex::wait(word, val, deadline, bitset);
            if let (Err(Errno::ERESTART_RESTARTBLOCK), Some(deadline)) = (result, deadline) {
                restart.note(deadline);
            }
            result
        }
        WAKE => Ok(futex::wake(word, count(val), u32::MAX)),
        WAKE_BITSET => Ok(futex::wake(word, count(val), val3)),
        REQUEUE | CMP_REQUEUE => {
            check(uaddr2)?;
            let target = self::word(op, uaddr2)?;
            let (wake, moves) = (val, timeout as u32);
            let expected = (command == CMP_REQUEUE).then_some(val3);
            let (woken, moved) =
                futex::requeue(word, target, wake as usize, moves as usize, expected)?;
            Ok(woken + moved)
        }
        WAKE_OP => {
            check(uaddr2)?;
            let words = [word, self::word(op, uaddr2)?];
            wake_op(words, count(val), count(timeout as u32), val3)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// The futex at `address`. One that others could share is known by its page, which must be there.
fn word(op: i32, address: usize) -> Result<Word, Errno> {
    if op & PRIVATE_FLAG != 0 {
        return Ok(address.into());
    }
    user::read::<u32>(address)?;
    Ok(shared(address))
}

fn check(address: usize) -> Result<(), Errno> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    // As Linux checks words: by where they begin.
    if address <= user::USER_END {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// How many to wake: Linux takes the number as signed, and wakes one for 0 or less.
fn count(val: u32) -> usize {
    (val as i32).max(1) as usize
}

/// The timeout as ns since boot; FUTEX_WAIT's is relative, the others' absolute.
fn deadline(timeout: usize, relative: bool, realtime: bool) -> Result<Option<u64>, Errno> {
    if timeout == 0 {
        return Ok(None);
    }
    let ns = read_timespec(timeout)?;
    let now = time::now();
    Ok(Some(if relative {
        now.saturating_add(ns)
    } else if realtime {
        now.saturating_add(ns.saturating_sub(time::realtime()))
    } else {
        ns
    }))
}

/// FUTEX_WAKE_OP: an atomic operation on the second word, then wake-ups on both. The word is changed by this CPU while no
/// other kernel code can; the program's own atomics on it are respected by compare-and-swap in user memory.
fn wake_op([first, second]: [Word; 2], wake: usize, wake2: usize, operation: u32) -> SysResult {
    let (op, compare) = (operation >> 28 & 0xf, operation >> 24 & 0xf);
    let mut argument = ((operation >> 12 & 0xfff) << 20) as i32 >> 20;
    let comparand = ((operation & 0xfff) << 20) as i32 >> 20;
    if op & 8 != 0 {
        argument = 1i32.wrapping_shl(argument as u32);
    }
    if op & 7 > 4 || compare > 5 {
        return Err(Errno::ENOSYS);
    }
    let old = user::update_u32(second.address, |value| {
        let (value, argument) = (value, argument as u32);
        match op & 7 {
            0 => argument,
            1 => value.wrapping_add(argument),
            2 => value | argument,
            3 => value & !argument,
            _ => value ^ argument,
        }
    })? as i32;
    let mut woken = futex::wake(first, wake, u32::MAX);
    let holds = match compare {
        0 => old == comparand,
        1 => old != comparand,
        2 => old < comparand,
        3 => old <= comparand,
        4 => old > comparand,
        _ => old >= comparand,
    };
    if holds {
        woken += futex::wake(second, wake2, u32::MAX);
    }
    Ok(woken)
}
