//! The host's side of a card on a tap interface or a bridge (linux/Documentation/networking/tuntap.rst, netdevice(7)).
//!
//! The descriptor is opened here and handed down, so that QEMU needs no privilege and may start no other program. A tap
//! interface that belongs to the user takes no privilege; one for a bridge takes CAP_NET_ADMIN, or QEMU's helper, which is
//! setuid root where it is installed and asks /etc/qemu/bridge.conf.

use std::fs::OpenOptions;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketType,
};

/// Where distributions have QEMU's helper.
const HELPERS: [&str; 4] = [
    "/usr/lib/qemu/qemu-bridge-helper",
    "/usr/libexec/qemu-bridge-helper",
    "/usr/local/libexec/qemu-bridge-helper",
    "/usr/lib64/qemu/qemu-bridge-helper",
];
/// Of linux/sockios.h; libc has it not.
const SIOCBRADDIF: libc::Ioctl = 0x89a2;
/// The names of our tap interfaces: the system counts them.
const OURS: &str = "ringo%d";

/// Whether the host's kernel and the card share work on packets (IFF_VNET_HDR): large segments, checksums left out. QEMU writes
/// captures with that header and without those checksums, so not with --pcap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Shared,
    Apart,
}

/// A tap interface, ready for QEMU.
pub struct Tap {
    pub descriptor: OwnedFd,
    /// Its name, where we know it.
    pub name: Option<String>,
}

/// struct ifreq with what is said about the interface.
fn request(name: &str) -> libc::ifreq {
    let mut name_field = [0; libc::IFNAMSIZ];
    for (to, byte) in name_field
        .iter_mut()
        .zip(name.bytes().take(libc::IFNAMSIZ - 1))
    {
        *to = byte as libc::c_char;
    }
    libc::ifreq {
        ifr_name: name_field,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_map: libc::__c_anonymous_ifru_map {
                mem_start: 0,
                mem_end: 0,
                base_addr: 0,
                irq: 0,
                dma: 0,
                port: 0,
            },
        },
    }
}

/// One of the requests below.
#[allow(unsafe_code)]
fn ioctl(fd: BorrowedFd<'_>, number: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: the numbers used in this file read and write one struct ifreq.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), number, request) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn socket() -> Result<OwnedFd> {
    rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)
        .context("no sockets from the host")
}

fn exists(name: &str) -> Result<bool> {
    Ok(rustix::net::netdevice::name_to_index(socket()?, name).is_ok())
}

/// Opens a tap interface; the system makes it if there is none of this name.
fn attach(name: &str, work: Work) -> io::Result<Tap> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    let mut request = request(name);
    let shared = match work {
        Work::Shared => libc::IFF_VNET_HDR,
        Work::Apart => 0,
    };
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | shared) as libc::c_short;
    ioctl(device.as_fd(), libc::TUNSETIFF, &mut request)?;
    let name = request.ifr_name.iter().take_while(|&&byte| byte != 0);
    let name = name.map(|&byte| char::from(byte as u8)).collect();
    rustix::fs::fcntl_setfl(&device, rustix::fs::OFlags::NONBLOCK)?;
    Ok(Tap {
        descriptor: device.into(),
        name: Some(name),
    })
}

/// The tap interface of this name, which the user has made.
pub fn tap(name: &str, work: Work) -> Result<Tap> {
    if !exists(name)? {
        bail!(
            "there is no interface {name}: make it with `sudo ip tuntap add {name} mode tap user $USER` and \
             `sudo ip link set {name} up`, and give it an address or a bridge"
        );
    }
    attach(name, work).map_err(|error| match error.raw_os_error() {
        Some(libc::EBUSY) => anyhow!("another program uses the tap interface {name}"),
        Some(libc::EPERM) => anyhow!(
            "the tap interface {name} is not yours: `sudo ip tuntap del {name} mode tap`, then \
             `sudo ip tuntap add {name} mode tap user $USER`; or run this as root"
        ),
        Some(libc::EINVAL) => {
            anyhow!("{name} is no tap interface of one queue: `ip tuntap` lists those")
        }
        Some(libc::ENOENT) => anyhow!("the host has no /dev/net/tun: `sudo modprobe tun`"),
        Some(libc::EACCES) => anyhow!("/dev/net/tun may not be opened: its mode should be 0666"),
        _ => anyhow!("the tap interface {name} cannot be opened: {error}"),
    })
}

/// A new tap interface in a bridge; it is gone when QEMU ends.
pub fn bridge(name: &str, work: Work) -> Result<Tap> {
    if !exists(name)? {
        bail!("there is no bridge {name}: `ip link show type bridge` lists those there are");
    }
    match join(name, work) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => by_helper(name, work),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            bail!("{name} is no bridge")
        }
        other => other.with_context(|| format!("no tap interface for the bridge {name}")),
    }
}

/// Makes the interface ourselves.
#[allow(unsafe_code)]
fn join(bridge: &str, work: Work) -> io::Result<Tap> {
    let tap = attach(OURS, work)?;
    let socket = socket().map_err(io::Error::other)?;
    let name = tap.name.clone().unwrap_or_default();
    // Packets of a bridge are as large as its smallest port takes.
    let mut whole = request(bridge);
    ioctl(socket.as_fd(), libc::SIOCGIFMTU, &mut whole)?;
    let mut port = request(&name);
    port.ifr_ifru = whole.ifr_ifru;
    ioctl(socket.as_fd(), libc::SIOCSIFMTU, &mut port)?;
    let index = rustix::net::netdevice::name_to_index(&socket, &name)?;
    let mut add = request(bridge);
    add.ifr_ifru.ifru_ifindex = index as libc::c_int;
    ioctl(socket.as_fd(), SIOCBRADDIF, &mut add)?;
    let mut up = request(&name);
    ioctl(socket.as_fd(), libc::SIOCGIFFLAGS, &mut up)?;
    // SAFETY: SIOCGIFFLAGS has filled this field.
    let flags = unsafe { up.ifr_ifru.ifru_flags };
    up.ifr_ifru.ifru_flags = flags | libc::IFF_UP as libc::c_short;
    ioctl(socket.as_fd(), libc::SIOCSIFFLAGS, &mut up)?;
    Ok(tap)
}

/// Has QEMU's helper make it; the descriptor comes through a socket.
fn by_helper(bridge: &str, work: Work) -> Result<Tap> {
    let advice = format!(
        "a tap interface for the bridge {bridge} takes privilege: run this as root; or allow QEMU's helper, \
         with the line `allow {bridge}` in /etc/qemu/bridge.conf and `sudo chmod u+s` for it; or make a tap \
         interface that is yours (`sudo ip tuntap add tap0 mode tap user $USER`, `sudo ip link set tap0 \
         master {bridge} up`) and use --net tap:tap0"
    );
    let Some(helper) = HELPERS.iter().map(Path::new).find(|path| path.is_file()) else {
        bail!("{advice}; QEMU's helper is not installed");
    };
    let (ours, theirs) =
        std::os::unix::net::UnixStream::pair().context("no sockets from the host")?;
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty())?;
    let ran = Command::new(helper)
        .args((work == Work::Shared).then_some("--use-vnet"))
        .arg(format!("--br={bridge}"))
        .arg(format!("--fd={}", theirs.as_raw_fd()))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} doesn't start", helper.display()))?;
    drop(theirs);
    if !ran.status.success() {
        bail!(
            "{advice}. The helper says: {}",
            String::from_utf8_lossy(&ran.stderr).trim()
        );
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::net::recvmsg(
        &ours,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )
    .context("QEMU's bridge helper gave no answer")?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(Tap {
        descriptor: descriptor.context("QEMU's bridge helper gave no interface")?,
        name: None,
    })
}
