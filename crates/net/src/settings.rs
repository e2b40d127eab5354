//! What the command says about the network: lines of a word and its value.
//!
//! ```text
//! address 192.0.2.7/24    ours, instead of DHCP       domains example.org lan  where names without dots are looked for
//! gateway 192.0.2.1       the way to the others       search example.org lan   the same, if the lease does not say
//! address 2001:db8::7/64  ours, and                   gateway 2001:db8::1      the way to the others of IPv6
//! nameserver 192.0.2.53   instead of the lease's      user                     the network is QEMU's own
//! ```
//!
//! The command checked them; what does not decode here is left out.
use alloc::string::String;
use arrayvec::ArrayVec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// So many name servers a resolver asks (MAXNS of resolv.h; Go's, too).
pub const SERVERS: usize = 3;

/// See the module's head.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Settings {
    /// Our address and how many bits of it name the network.
    pub address: Option<(Ipv4Addr, u8)>,
    /// The way to the others.
    pub gateway: Option<Ipv4Addr>,
    /// The same of IPv6.
    pub address6: Option<(Ipv6Addr, u8)>,
    /// See `address6`.
    pub gateway6: Option<Ipv6Addr>,
    /// Who is asked for names.
    pub servers: ArrayVec<IpAddr, SERVERS>,
    /// Where names without dots are looked for, separated by spaces; empty for nowhere.
    pub domains: Option<String>,
    /// The same, if the lease does not say.
    pub search: Option<String>,
    /// The network is QEMU's own, with its fixed addresses.
    pub user: bool,
}

impl Settings {
    /// Reads lines.
    pub fn read<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = Self::default();
        for line in lines {
            if let Ok(line) = core::str::from_utf8(line) {
                all.line(line);
            }
        }
        all
    }

    fn line(&mut self, line: &str) {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "address" => {
                self.address = prefix(value, 32).or(self.address);
                self.address6 = prefix(value, 128).or(self.address6);
            }
            "gateway" => {
                self.gateway = value.parse().ok().or(self.gateway);
                self.gateway6 = value.parse().ok().or(self.gateway6);
            }
            "nameserver" => {
                // A fourth would not be asked.
                let _ = value.parse().map(|server| self.servers.try_push(server));
            }
            "domains" => self.domains = Some(value.into()),
            "search" => self.search = Some(value.into()),
            "user" => self.user = true,
            _ => {}
        }
    }
}

/// An address and the length of its network's prefix, which is at most `longest`.
fn prefix<A: FromStr>(text: &str, longest: u8) -> Option<(A, u8)> {
    let (address, length) = text.split_once('/')?;
    let length = length.parse().ok().filter(|&length| length <= longest)?;
    Some((address.parse().ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Settings {
        Settings::read(lines.iter().map(|line| line.as_bytes()))
    }

    #[test]
    fn each_line_is_understood() {
        let all = read(&[
            "address 192.0.2.7/24",
            "gateway 192.0.2.1",
            "address 2001:db8::7/64",
            "gateway fe80::1",
            "nameserver 192.0.2.53",
            "nameserver 2001:db8::53",
            "search example.org lan",
            "domains a.example b.example",
            "user",
        ]);
        assert_eq!(all.address, Some(([192, 0, 2, 7].into(), 24)));
        assert_eq!(all.gateway, Some([192, 0, 2, 1].into()));
        let ours = "2001:db8::7".parse().unwrap();
        assert_eq!(all.address6, Some((ours, 64)));
        assert_eq!(all.gateway6, "fe80::1".parse().ok());
        let servers: [IpAddr; 2] = [
            [192, 0, 2, 53].into(),
            [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53].into(),
        ];
        assert_eq!(all.servers[..], servers);
        assert_eq!(all.search.as_deref(), Some("example.org lan"));
        assert_eq!(all.domains.as_deref(), Some("a.example b.example"));
        assert!(all.user);
        assert_eq!(read(&["domains"]).domains.as_deref(), Some(""));
    }

    #[test]
    fn what_does_not_decode_is_left_out() {
        let odd = [
            "address 192.0.2.7/33",
            "address x/1",
            "gateway",
            "nameserver 1",
            "?",
            "",
        ];
        assert_eq!(read(&odd), Settings::default());
        assert_eq!(Settings::read([&b"search \xff"[..]]), Settings::default());
    }

    #[test]
    fn no_more_servers_than_are_asked() {
        let four = ["nameserver 192.0.2.1"; 4];
        assert_eq!(read(&four).servers.len(), SERVERS);
    }
}
