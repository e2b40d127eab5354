//! What the user says about the network: which kind, which addresses; and what the VM is told of it.

use std::net::IpAddr;
use std::str::FromStr;

use crate::args::RunOptions;

/// The network of the VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Net {
    /// Loopback only.
    None,
    /// The host's, by QEMU's own address translation.
    User,
    /// A tap interface of the host, which is there already.
    Tap(String),
    /// A bridge of the host; a tap interface is made for it.
    Bridge(String),
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Net, String> {
        /// IFNAMSIZ less the zero.
        const LONGEST: usize = 15;
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match (kind, name) {
            ("none", "") => return Ok(Net::None),
            ("user", "") => return Ok(Net::User),
            ("tap" | "bridge", "") => return Err(format!("write it as {kind}:NAME")),
            ("tap" | "bridge", _) => {}
            _ => return Err("there are none, user, tap:NAME and bridge:NAME".into()),
        }
        let odd = |c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace();
        if name.len() > LONGEST || name.contains(odd) {
            return Err(format!("`{name}` cannot be the name of an interface"));
        }
        Ok(match kind {
            "tap" => Net::Tap(name.into()),
            _ => Net::Bridge(name.into()),
        })
    }
}

/// An address and how many bits of it name its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    pub address: IpAddr,
    pub length: u8,
}

impl Prefix {
    /// Whether an address is in the network.
    pub fn has(self, other: IpAddr) -> bool {
        let same = match (self.address, other) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                (ours.to_bits() ^ other.to_bits()).leading_zeros()
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                (ours.to_bits() ^ other.to_bits()).leading_zeros()
            }
            _ => return false,
        };
        same >= u32::from(self.length)
    }

    /// Whether a machine may have the address: not the network's own, nor everybody's.
    fn is_a_machine(self) -> bool {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.length))
                    .unwrap_or(0);
                let host = address.to_bits() & !mask;
                let of_network = self.length < 31 && (host == 0 || host == !mask);
                let [first, ..] = address.octets();
                first != 0 && first < 224 && !address.is_loopback() && !of_network
            }
            // The link-local one is made of the card's address.
            IpAddr::V6(address) => {
                let odd = address.is_multicast() || address.is_unicast_link_local();
                let host = u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
                let of_network = self.length < 127 && address.to_bits() & host == 0;
                let of_others = address.is_loopback() || address.to_ipv4_mapped().is_some();
                !odd && !of_network && !of_others
            }
        }
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        const FORM: &str = "write it as 192.168.1.20/24 or 2001:db8::20/64";
        let (address, length) = text.split_once('/').ok_or(FORM)?;
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = length.parse().ok();
        let prefix = Prefix {
            address,
            length: length
                .filter(|bits| (1..=longest).contains(bits))
                .ok_or(FORM)?,
        };
        if !prefix.is_a_machine() {
            return Err(format!(
                "{address} is no address for a machine of that network"
            ));
        }
        Ok(prefix)
    }
}

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// QEMU's range, and 24 bits of a hash of `name` and the host: the same each time, so that a DHCP server gives the same
    /// address again, and others elsewhere.
    pub fn for_interface(name: &str) -> Mac {
        let host = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        let host = host + &rustix::system::uname().nodename().to_string_lossy();
        // FNV-1a (draft-eastlake-fnv): the same on every version, unlike the standard library's.
        let hash = host
            .bytes()
            .chain([0])
            .chain(name.bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
        let [_, _, _, _, _, a, b, c] = (hash ^ hash >> 24).to_be_bytes();
        Mac([0x52, 0x54, 0, a, b, c])
    }
}

impl Mac {
    /// One nobody else has, from randomness.
    pub fn random(entropy: [u8; 32]) -> Mac {
        let [a, b, c, ..] = entropy;
        Mac([0x52, 0x54, 0, a, b, c])
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Mac, String> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2);
            *byte = part
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or("write it as 52:54:00:12:34:56")?;
        }
        if parts.next().is_some() {
            return Err("write it as 52:54:00:12:34:56".into());
        }
        if bytes[0] & 1 != 0 || bytes == [0; 6] {
            return Err("that is no address of one card".into());
        }
        Ok(Mac(bytes))
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A domain in which names without dots are looked for; it becomes a word of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

/// `--dns-search .`: nowhere.
const NOWHERE: &str = ".";

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Domain, String> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let good = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            (1..=63).contains(&label.len()) && label.bytes().all(plain)
        };
        match text {
            NOWHERE => Ok(Domain(text.to_owned())),
            _ if name.len() <= 253 && name.split('.').all(good) => Ok(Domain(name.to_owned())),
            _ => Err("write it as example.com, or `.` for none".into()),
        }
    }
}

/// Why options of the network do not go together.
pub fn contradiction(options: &RunOptions) -> Option<String> {
    let net = options.network();
    let shared = matches!(net, Net::Tap(_) | Net::Bridge(_));
    let given =
        |what: &[(&'static str, bool)]| what.iter().find(|(_, on)| *on).map(|(name, _)| *name);
    let addresses = [
        ("--ip", !options.ip.is_empty()),
        ("--gateway", !options.gateway.is_empty()),
    ];
    let any = [
        ("--pcap", options.pcap.is_some()),
        ("--dns", !options.dns.is_empty()),
        ("--dns-search", !options.dns_search.is_empty()),
        ("--mac", options.mac.is_some()),
    ];
    if net == Net::None && !options.publish.is_empty() {
        return Some("--publish needs a network; leave `--net none` out".to_owned());
    }
    if let Some(name) = given(&addresses).filter(|_| !shared) {
        return Some(format!(
            "{name} is for `--net tap:NAME` and `--net bridge:NAME`"
        ));
    }
    if let Some(name) = given(&any).filter(|_| net == Net::None) {
        return Some(format!(
            "{name} needs a network: `--net user`, or --publish"
        ));
    }
    if shared && !options.publish.is_empty() {
        let text = "--publish is for `--net user`: on a tap or bridge the program's ports are at its own address";
        return Some(text.to_owned());
    }
    if options.dns.len() > 3 {
        return Some("--dns: three are the most that programs ask".to_owned());
    }
    contradicting_addresses(options)
}

/// The one of these that is of IPv4 or IPv6; none if there are several.
fn of_family<T: Copy>(all: &[T], is_v4: impl Fn(T) -> bool, v4: bool) -> Result<Option<T>, ()> {
    let mut found = all.iter().copied().filter(|&each| is_v4(each) == v4);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(()),
    }
}

fn contradicting_addresses(options: &RunOptions) -> Option<String> {
    for v4 in [true, false] {
        let family = if v4 { "IPv4" } else { "IPv6" };
        let ip = of_family(&options.ip, |ip: Prefix| ip.address.is_ipv4(), v4);
        let gateway = of_family(&options.gateway, |ip: IpAddr| ip.is_ipv4(), v4);
        let (Ok(ip), Ok(gateway)) = (ip, gateway) else {
            return Some(format!(
                "--ip and --gateway can be given once for {family}, and once more for the other family"
            ));
        };
        let near = |gateway| matches!(gateway, IpAddr::V6(ip) if ip.is_unicast_link_local());
        match (ip, gateway) {
            (None, Some(gateway)) => {
                let how = if v4 { "by DHCP" } else { "from a router" };
                return Some(format!(
                    "--gateway {gateway} needs --ip of {family}: without it both come {how}"
                ));
            }
            (Some(ip), Some(gateway))
                if ip.address == gateway || !(ip.has(gateway) || near(gateway)) =>
            {
                return Some(format!(
                    "--gateway {gateway} is no other machine of the network of --ip"
                ));
            }
            _ => {}
        }
    }
    None
}

/// What the kernel is told (`ringo_net::settings`); nothing without a card.
pub fn settings(options: &RunOptions) -> Vec<Vec<u8>> {
    let net = options.network();
    let mut lines: Vec<String> = Vec::new();
    if net == Net::None {
        return Vec::new();
    }
    for ip in &options.ip {
        lines.push(format!("address {}/{}", ip.address, ip.length));
    }
    let gateways = options.gateway.iter();
    lines.extend(gateways.map(|gateway| format!("gateway {gateway}")));
    lines.extend(
        options
            .dns
            .iter()
            .map(|server: &IpAddr| format!("nameserver {server}")),
    );
    if !options.dns_search.is_empty() {
        let domains = options.dns_search.iter().map(|domain| &*domain.0);
        let domains: Vec<&str> = domains.filter(|name| *name != NOWHERE).collect();
        lines.push(format!("domains {}", domains.join(" ")));
    }
    if net == Net::User {
        lines.push("user".to_owned());
        // The host's resolver is asked, so its domains apply.
        let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        lines.extend(search(&host).map(|domains| format!("search {domains}")));
    }
    lines.into_iter().map(String::into_bytes).collect()
}

/// The domains of a resolv.conf(5); the last line with some counts.
fn search(text: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let known = matches!(words.next(), Some("search" | "domain"));
        known.then(|| words.collect::<Vec<_>>().join(" "))
    });
    lines
        .next_back()
        .filter(|domains| !domains.is_empty() && domains != ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_networks() {
        let net = |text: &str| text.parse::<Net>();
        assert_eq!(net("none"), Ok(Net::None));
        assert_eq!(net("user"), Ok(Net::User));
        assert_eq!(net("tap:t0"), Ok(Net::Tap("t0".into())));
        assert_eq!(net("bridge:br-lan"), Ok(Net::Bridge("br-lan".into())));
        for bad in [
            "",
            "tap",
            "tap:",
            "bridge",
            "user:x",
            "tap:a/b",
            "tap:sixteen-letters-",
            "host",
        ] {
            assert!(net(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_of_machines() {
        let prefix = |text: &str| text.parse::<Prefix>();
        let good = prefix("192.0.2.7/24").expect("it is good");
        let ip = |text: &str| text.parse().expect("an address");
        assert!(good.has(ip("192.0.2.1")) && !good.has(ip("192.0.3.1")));
        let six = prefix("2001:db8::7/64").expect("it is good");
        assert!(six.has(ip("2001:db8::1")) && !six.has(ip("2001:db8:1::1")));
        assert!(!six.has(ip("192.0.2.1")));
        assert!(prefix("10.0.0.1/31").is_ok() && prefix("10.0.0.1/32").is_ok());
        for bad in [
            "192.0.2.7",
            "192.0.2.0/24",
            "192.0.2.255/24",
            "127.0.0.1/8",
            "224.0.0.1/24",
            "0.0.0.1/24",
            "192.0.2.7/33",
            "192.0.2.7/0",
            "2001:db8::/64",
            "2001:db8::1/129",
            "fe80::1/64",
            "ff02::1/64",
            "::1/128",
            "::ffff:192.0.2.7/112",
            "x/24",
        ] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ethernet_addresses() {
        let mac = |text: &str| text.parse::<Mac>();
        assert_eq!(
            mac("52:54:00:12:34:5f").map(|mac| mac.to_string()),
            Ok("52:54:00:12:34:5f".into())
        );
        for bad in [
            "",
            "52:54:00:12:34",
            "53:54:00:12:34:56",
            "0:0:0:0:0:0",
            "52:54:00:12:34:56:78",
        ] {
            assert!(mac(bad).is_err(), "{bad}");
        }
        assert_eq!(Mac::for_interface("tap0"), Mac::for_interface("tap0"));
        assert_ne!(Mac::for_interface("tap0"), Mac::for_interface("tap1"));
        assert_eq!(Mac::for_interface("tap0").0[0] & 1, 0);
    }

    #[test]
    fn a_domain_holds_nothing_but_its_name() {
        let domain = |text: &str| text.parse::<Domain>().map(|domain| domain.0);
        for good in ["example.com", "a", "a-b_c.d9", "."] {
            assert_eq!(domain(good).as_deref(), Ok(good));
        }
        assert_eq!(domain("corp.example.").as_deref(), Ok("corp.example"));
        let long = "a".repeat(64);
        for bad in [
            "",
            "..",
            "a..b",
            "a b",
            "a,b",
            "a\nnameserver 192.0.2.6",
            &*long,
        ] {
            assert!(domain(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_last_domains_count() {
        let text =
            "# search no\nsearch a.example\nnameserver 127.0.0.53\nsearch  b.example c.example\n";
        assert_eq!(search(text).as_deref(), Some("b.example c.example"));
        assert_eq!(search("nameserver 1.2.3.4\nsearch .\n"), None);
    }
}
