//! Extended attributes of files in RAM (xattr(7)): names in the classes user, trusted and security, with any bytes.
//!
//! They belong to the inode, which has none as a rule: then it costs a lock's look. `system.` attributes are access control
//! lists, which there are none of; generated files have no attributes at all. Listed from the last name to the first, as
//! tmpfs does it.
use super::access;
use super::inode::{Content, Inode};
use crate::memory::frames;
use crate::memory::spare::Spare;
use crate::sync::SleepMutex;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

/// The longest name, and the longest value and list.
pub const NAME_MAX: usize = 255;
/// See above.
pub const SIZE_MAX: usize = 65536;
/// All values of one inode.
const TOTAL_MAX: usize = 1 << 20;
/// What an attribute costs beside its bytes.
const OVERHEAD: usize = 64;

type Map = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// The attributes of an inode.
#[derive(Default)]
pub struct Attributes(SleepMutex<Option<Box<Map>>>);

/// How setxattr(2) treats an attribute that is there, or is not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Set it.
    Any,
    /// XATTR_CREATE: it must be new.
    Create,
    /// XATTR_REPLACE: it must be there.
    Replace,
}

/// Whether the name may be used on this inode: to read an attribute out of reach gives ENODATA, to write it (`writes`)
/// EPERM.
fn check(inode: &Inode, name: &[u8], writes: bool) -> Result<(), Errno> {
    let forbidden = if writes { Errno::EPERM } else { Errno::ENODATA };
    if matches!(inode.content, Content::Virtual(_) | Content::Descriptor(_)) {
        return Err(Errno::EOPNOTSUPP);
    }
    let dot = name.iter().position(|&byte| byte == b'.');
    let (class, rest) = name.split_at(dot.unwrap_or(name.len()));
    let rest = rest.len();
    match class {
        b"user" | b"trusted" | b"security" if rest == 0 => Err(Errno::EOPNOTSUPP),
        b"user" if rest > 0 && !matches!(inode.kind(), abi::S_IFREG | abi::S_IFDIR) => {
            Err(forbidden)
        }
        b"user" | b"trusted" | b"security" if rest == 1 => Err(Errno::EINVAL),
        b"user" => {
            let sticky = inode.is_directory() && inode.mode() & abi::S_ISVTX != 0;
            if writes && sticky && !access::owns(inode) {
                return Err(Errno::EPERM);
            }
            access::check(inode, if writes { access::WRITE } else { access::READ })
        }
        b"trusted" if !access::privileged() => Err(forbidden),
        b"security" if writes && !access::privileged() => Err(Errno::EPERM),
        b"trusted" | b"security" => Ok(()),
        b"system" if !writes && name.starts_with(b"system.posix_acl_") => Err(Errno::ENODATA),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

impl Attributes {
    /// Sets an attribute.
    ///
    /// # Errors
    /// EEXIST, ENODATA, ENOSPC; EPERM, EACCES, EOPNOTSUPP, EINVAL for the name.
    pub fn set(inode: &Inode, name: &[u8], value: &[u8], how: How) -> Result<(), Errno> {
        check(inode, name, true)?;
        let mut slot = inode.attributes.0.lock();
        let map = slot.get_or_insert_default();
        match (map.contains_key(name), how) {
            (true, How::Create) => return Err(Errno::EEXIST),
            (false, How::Replace) => return Err(Errno::ENODATA),
            _ => {}
        }
        let cost = |name: &[u8], value: &[u8]| name.len() + value.len() + OVERHEAD;
        let others = map.iter().filter(|(other, _)| &***other != name);
        let total: usize = others.map(|(name, value)| cost(name, value)).sum();
        if total + cost(name, value) > TOTAL_MAX {
            return Err(Errno::ENOSPC);
        }
        if !frames::has_unpromised(1 + cost(name, value).div_ceil(frames::FRAME)) {
            return Err(Errno::ENOSPC);
        }
        map.insert(name.into(), value.into());
        drop(slot);
        inode.changed();
        Ok(())
    }

    /// An attribute's value.
    ///
    /// # Errors
    /// ENODATA, ENOMEM; EACCES, EOPNOTSUPP, EINVAL for the name.
    pub fn get(inode: &Inode, name: &[u8]) -> Result<Vec<u8>, Errno> {
        check(inode, name, false)?;
        let slot = inode.attributes.0.lock();
        let value = slot.as_ref().and_then(|map| map.get(name));
        let value = value.ok_or(Errno::ENODATA)?;
        let mut copy = Vec::new();
        copy.spare(value.len())?;
        copy.extend_from_slice(value);
        Ok(copy)
    }

    /// The names that the caller may know of, each with a zero behind it.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn list(inode: &Inode) -> Result<Vec<u8>, Errno> {
        let slot = inode.attributes.0.lock();
        let mut names = Vec::new();
        let hidden = !access::privileged();
        for name in slot.iter().flat_map(|map| map.keys().rev()) {
            if !(hidden && name.starts_with(b"trusted.")) {
                names.spare(name.len() + 1)?;
                names.extend_from_slice(name);
                names.push(0);
            }
        }
        Ok(names)
    }

    /// Removes an attribute.
    ///
    /// # Errors
    /// As [`Attributes::set`].
    pub fn remove(inode: &Inode, name: &[u8]) -> SysResult {
        check(inode, name, true)?;
        let mut slot = inode.attributes.0.lock();
        let removed = slot.as_mut().and_then(|map| map.remove(name));
        drop(slot);
        removed.ok_or(Errno::ENODATA)?;
        inode.changed();
        Ok(0)
    }
}
