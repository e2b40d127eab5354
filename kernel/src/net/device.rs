//! ioctl(2) on a socket: interfaces by the old way (netdevice(7)).
use super::interface::{self, Interface};
use crate::memory::user;
use crate::task;
use core::net::{IpAddr, Ipv4Addr};
use linux_raw_sys::ioctl;
use linux_raw_sys::net as abi;
use ringo_abi::{Errno, SysResult};

/// struct ifreq: a name of 16 bytes and a union of 24.
const REQUEST_SIZE: usize = 40;
const NAME_SIZE: usize = 16;
/// The first and the last of the requests that are about interfaces.
const FIRST: u32 = ioctl::SIOCGIFNAME;
const LAST: u32 = ioctl::SIOCGIFMAP + 0x10;

fn by_name(name: &[u8]) -> Result<Interface, Errno> {
    let end = name.iter().position(|&byte| byte == 0);
    let name = &name[..end.unwrap_or(name.len())];
    let mut all = interface::list().into_iter();
    all.find(|each| each.name.as_bytes() == name)
        .ok_or(Errno::ENODEV)
}

/// struct sockaddr_in in the union.
fn address(union: &mut [u8], ip: Ipv4Addr) {
    union[..2].copy_from_slice(&(abi::AF_INET as u16).to_ne_bytes());
    union[4..8].copy_from_slice(&ip.octets());
}

fn prefix(each: &Interface) -> u32 {
    let v4 = each.addresses.iter().find(|address| address.ip.is_ipv4());
    v4.map_or(0, |address| u32::from(address.prefix))
}

fn mask(each: &Interface) -> u32 {
    u32::MAX.checked_shl(32 - prefix(each)).unwrap_or(0)
}

/// Answers a request about interfaces.
///
/// # Errors
/// ENOTTY for requests of other kinds, ENODEV, EADDRNOTAVAIL, EPERM for what would change something, EFAULT.
pub fn ioctl(request: u32, argument: usize) -> SysResult {
    match request {
        ioctl::SIOCGIFCONF => return configuration(argument),
        FIRST..=LAST => {}
        _ => return Err(Errno::ENOTTY),
    }
    let mut bytes: [u8; REQUEST_SIZE] = user::read(argument)?;
    let (name, union) = bytes.split_at_mut(NAME_SIZE);
    if request == ioctl::SIOCGIFNAME {
        let index = union
            .first_chunk()
            .map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let each = interface::by_index(index)?;
        name.fill(0);
        name[..each.name.len()].copy_from_slice(each.name.as_bytes());
        return user::write(argument, &bytes).map(|()| 0);
    }
    let each = by_name(name)?;
    let ip = || each.ipv4().ok_or(Errno::EADDRNOTAVAIL);
    let number = |value: u32| value.to_ne_bytes();
    match request {
        ioctl::SIOCGIFINDEX => union[..4].copy_from_slice(&number(each.index)),
        ioctl::SIOCGIFFLAGS => union[..2].copy_from_slice(&(each.flags as u16).to_ne_bytes()),
        ioctl::SIOCGIFMTU => union[..4].copy_from_slice(&number(each.mtu)),
        ioctl::SIOCGIFTXQLEN => union[..4].copy_from_slice(&number(1000)),
        ioctl::SIOCGIFMETRIC => union[..4].fill(0),
        ioctl::SIOCGIFHWADDR => {
            let kind: u16 = if each.is_loopback() { 772 } else { 1 };
            union[..2].copy_from_slice(&kind.to_ne_bytes());
            union[2..8].copy_from_slice(&each.hardware);
        }
        ioctl::SIOCGIFADDR => address(union, ip()?),
        ioctl::SIOCGIFNETMASK => {
            ip()?;
            address(union, Ipv4Addr::from(mask(&each)));
        }
        ioctl::SIOCGIFBRDADDR => {
            let broadcast = u32::from(ip()?) | !mask(&each);
            let shown = if each.is_loopback() { 0 } else { broadcast };
            address(union, Ipv4Addr::from(shown));
        }
        ioctl::SIOCGIFDSTADDR => address(union, ip()?),
        // The even numbers set what the odd ones before them tell.
        _ if !task::credentials().privileged() => return Err(Errno::EPERM),
        _ => return Err(Errno::EOPNOTSUPP),
    }
    user::write(argument, &bytes).map(|()| 0)
}

/// SIOCGIFCONF: the interfaces with an IPv4 address.
fn configuration(argument: usize) -> SysResult {
    let [length, buffer]: [usize; 2] = user::read(argument)?;
    let room = usize::try_from(length as i32).map_err(|_| Errno::EINVAL)?;
    let mut written = 0;
    for each in interface::list() {
        for assigned in &each.addresses {
            let IpAddr::V4(ip) = assigned.ip else {
                continue;
            };
            if buffer != 0 {
                if written + REQUEST_SIZE > room {
                    break;
                }
                let mut bytes = [0; REQUEST_SIZE];
                bytes[..each.name.len()].copy_from_slice(each.name.as_bytes());
                address(&mut bytes[NAME_SIZE..], ip);
                user::write(buffer + written, &bytes)?;
            }
            written += REQUEST_SIZE;
        }
    }
    user::write(argument, &(written as i32)).map(|()| 0)
}
