//! A network of the tests' own: a namespace with a tap interface or a bridge, which is gone when the trial ends.
//!
//! Making one takes root; elsewhere those trials are ignored. Addresses are of 192.0.2.0/24, which is for examples
//! (RFC 5737), and nothing in the namespace leads out of it. A thread that [`Namespace::run`] starts is inside, and so are the
//! threads and programs that it starts.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The host's end, and the VM's.
pub const HOST: &str = "192.0.2.1";
pub const GUEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

pub struct Namespace {
    name: String,
}

/// Why there can be none here.
pub fn missing() -> Option<&'static str> {
    static MISSING: LazyLock<Option<&'static str>> = LazyLock::new(|| match Namespace::new() {
        Ok(namespace) => {
            let tap = namespace.ip("tuntap add tap0 mode tap");
            tap.err().map(|_| "no tap interface can be made here")
        }
        Err(_) => Some("no network namespace can be made here: that takes root and ip(8)"),
    });
    *MISSING
}

impl Namespace {
    /// An empty one, with loopback.
    pub fn new() -> Result<Namespace> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ringo-test-{}-{number}", std::process::id());
        run(&["netns", "add", &name])?;
        let made = Namespace { name };
        made.ip("link set lo up")?;
        Ok(made)
    }

    /// One with a tap interface `tap0` that has [`HOST`]'s address.
    pub fn with_tap() -> Result<Namespace> {
        let made = Namespace::new()?;
        made.ip("tuntap add tap0 mode tap")?;
        made.ip(&format!("address add {HOST}/24 dev tap0"))?;
        made.ip("link set tap0 up")?;
        Ok(made)
    }

    /// One with a bridge `br0` that has it.
    pub fn with_bridge() -> Result<Namespace> {
        let made = Namespace::new()?;
        made.ip("link add br0 type bridge forward_delay 0")?;
        made.ip(&format!("address add {HOST}/24 dev br0"))?;
        made.ip("link set br0 up")?;
        Ok(made)
    }

    /// ip(8) in it.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        let all: Vec<&str> = ["-n", &self.name]
            .into_iter()
            .chain(arguments.split(' '))
            .collect();
        run(&all)
    }

    /// Runs `work` in it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let place = File::open(format!("/run/netns/{}", self.name))?;
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || {
                use std::os::fd::AsFd;
                move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("the namespace cannot be entered")?;
                work()
            });
            inside.join().expect("it does not panic")
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(&["netns", "delete", &self.name]);
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    let ran = Command::new("ip")
        .args(arguments)
        .output()
        .context("ip(8) is not installed")?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "ip {}: {said}", arguments.join(" "));
    Ok(())
}
