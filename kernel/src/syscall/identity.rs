//! User and group ids of the calling thread (credentials(7)).
use crate::memory::{spare, user};
use crate::task::credentials;
use crate::task::credentials::Ids;
use alloc::vec::Vec;
use ringo_abi::{Errno, SysResult};

fn write_three(at: [usize; 3], ids: &Ids) -> SysResult {
    let [real, effective, saved, _] = ids.all();
    for (at, id) in at.into_iter().zip([real, effective, saved]) {
        user::write(at, &id)?;
    }
    Ok(0)
}

/// getuid(2).
pub fn getuid() -> SysResult {
    Ok(credentials().user.real() as usize)
}

/// geteuid(2).
pub fn geteuid() -> SysResult {
    Ok(credentials().user.effective() as usize)
}

/// getgid(2).
pub fn getgid() -> SysResult {
    Ok(credentials().group.real() as usize)
}

/// getegid(2).
pub fn getegid() -> SysResult {
    Ok(credentials().group.effective() as usize)
}

/// getresuid(2).
pub fn getresuid(real: usize, effective: usize, saved: usize) -> SysResult {
    write_three([real, effective, saved], &credentials().user)
}

/// getresgid(2).
pub fn getresgid(real: usize, effective: usize, saved: usize) -> SysResult {
    write_three([real, effective, saved], &credentials().group)
}

/// setuid(2).
pub fn setuid(id: u32) -> SysResult {
    let who = credentials();
    who.user.set(id, who.privileged()).map(|()| 0)
}

/// setgid(2).
pub fn setgid(id: u32) -> SysResult {
    let who = credentials();
    who.group.set(id, who.privileged()).map(|()| 0)
}

/// setreuid(2).
pub fn setreuid(real: u32, effective: u32) -> SysResult {
    let who = credentials();
    who.user
        .set_two(real, effective, who.privileged())
        .map(|()| 0)
}

/// setregid(2).
pub fn setregid(real: u32, effective: u32) -> SysResult {
    let who = credentials();
    who.group
        .set_two(real, effective, who.privileged())
        .map(|()| 0)
}

/// setresuid(2).
pub fn setresuid(real: u32, effective: u32, saved: u32) -> SysResult {
    let who = credentials();
    who.user
        .set_three([real, effective, saved], who.privileged())
        .map(|()| 0)
}

/// setresgid(2).
pub fn setresgid(real: u32, effective: u32, saved: u32) -> SysResult {
    let who = credentials();
    who.group
        .set_three([real, effective, saved], who.privileged())
        .map(|()| 0)
}

/// setfsuid(2).
pub fn setfsuid(id: u32) -> SysResult {
    let who = credentials();
    Ok(who.user.set_file(id, who.privileged()) as usize)
}

/// setfsgid(2).
pub fn setfsgid(id: u32) -> SysResult {
    let who = credentials();
    Ok(who.group.set_file(id, who.privileged()) as usize)
}

/// getgroups(2).
pub fn getgroups(count: i32, list: usize) -> SysResult {
    let groups = credentials().groups();
    if count < 0 || count != 0 && groups.len() > count as usize {
        return Err(Errno::EINVAL);
    }
    if count != 0 {
        for (index, group) in groups.iter().enumerate() {
            user::write(list.wrapping_add(index * 4), group)?;
        }
    }
    Ok(groups.len())
}

/// setgroups(2).
pub fn setgroups(count: usize, list: usize) -> SysResult {
    /// NGROUPS_MAX.
    const MOST: usize = 65536;
    let who = credentials();
    if !who.privileged() {
        return Err(Errno::EPERM);
    }
    // An int: the upper half says nothing.
    let count = count as u32 as usize;
    if count > MOST {
        return Err(Errno::EINVAL);
    }
    // Twice: as they are read, and as they are kept.
    spare::check_bytes(2 * count * size_of::<u32>())?;
    let mut groups: Vec<u32> = spare::list(count)?;
    for index in 0..count {
        groups.push(user::read(list.wrapping_add(index * 4))?);
    }
    groups.sort_unstable();
    who.set_groups(groups.into());
    Ok(0)
}
