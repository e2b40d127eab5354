//! Capabilities: none to be seen and none to be had (capget(2), capset(2)).
use super::process::own;
use crate::memory::user;
use ringo_abi::{Errno, SysResult};

/// Whose capabilities are meant: the caller's, or one of our threads'.
fn check_target(header: usize) -> Result<(), Errno> {
    let pid: i32 = user::read(header.wrapping_add(4))?;
    if pid < 0 {
        return Err(Errno::EINVAL);
    }
    own(pid)
}

/// struct __user_cap_header_struct's versions, and how many words each has.
fn capability_words(header: usize) -> Result<usize, Errno> {
    const VERSION_1: u32 = 0x1998_0330;
    const VERSION_2: u32 = 0x2007_1026;
    const VERSION_3: u32 = 0x2008_0522;
    match user::read::<u32>(header)? {
        VERSION_1 => Ok(1),
        VERSION_2 | VERSION_3 => Ok(2),
        _ => {
            user::write(header, &VERSION_3)?;
            Err(Errno::EINVAL)
        }
    }
}

/// capget(2): none.
pub fn capget(header: usize, data: usize) -> SysResult {
    let words = match capability_words(header) {
        // "Which version?"
        Err(Errno::EINVAL) if data == 0 => return Ok(0),
        words => words?,
    };
    if data != 0 {
        check_target(header)?;
        user::zero(data, words * 12)?;
    }
    Ok(0)
}

/// capset(2): none can be had.
pub fn capset(header: usize, data: usize) -> SysResult {
    let words = capability_words(header)?;
    check_target(header)?;
    for word in 0..words {
        let sets: [u32; 3] = user::read(data.wrapping_add(word * 12))?;
        if sets != [0; 3] {
            return Err(Errno::EPERM);
        }
    }
    Ok(0)
}
