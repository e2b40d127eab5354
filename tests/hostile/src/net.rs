//! What the program hands to socket calls: addresses, control data, netlink requests.
use ringo_abi::Errno;
use ringo_net::autoconf::Autoconf;
use ringo_net::filter::{Filter, Packet};
use ringo_net::groups::Groups;
use ringo_net::packet::{Discovery, Icmp6, Membership};
use ringo_net::settings::{SERVERS, Settings};
use ringo_net::sockaddr::{self, Address, UnixName};
use ringo_net::{autoconf, control, netlink, packet, reassembly, search};
use std::net::IpAddr;

/// See [`crate::Target`]. The first byte says what the rest is.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => address(rest),
        Some((1, rest)) => messages(rest),
        Some((3, rest)) => names(rest),
        Some((4, rest)) => checksum(rest),
        Some((5, rest)) => came(rest),
        Some((6, rest)) => filter(rest),
        Some((_, rest)) => requests(rest),
        None => {}
    }
}

fn address(bytes: &[u8]) {
    let Ok(address) = sockaddr::decode(bytes) else {
        return;
    };
    let out = sockaddr::encode(&address);
    assert!(out[..2] == bytes[..2], "another family");
    // The longest path has its zero outside of struct sockaddr_un.
    let longest = matches!(&address, Address::Unix(UnixName::Path(path)) if path.len() == 108);
    if !longest {
        assert_eq!(sockaddr::decode(&out).as_ref(), Ok(&address));
    }
    if let Address::Inet(inet) = address {
        let canonical = sockaddr::canonical(inet);
        assert_eq!(sockaddr::canonical(sockaddr::mapped(canonical)), canonical);
        assert_eq!(canonical.port(), inet.port());
    }
}

fn messages(bytes: &[u8]) {
    let mut writer = control::Writer::new(bytes.len() + 8);
    let mut read = Vec::new();
    let mut room = bytes.len();
    for message in control::messages(bytes) {
        let Ok(message) = message else {
            assert_eq!(message, Err(Errno::EINVAL));
            break;
        };
        room = room
            .checked_sub(16 + message.data.len())
            .expect("more data than there is");
        writer.put(message.level, message.kind, message.data);
        read.push(message);
    }
    assert!(!writer.truncated());
    let again: Vec<_> = control::messages(writer.bytes())
        .map(|m| m.expect("just written"))
        .collect();
    assert_eq!(again, read);
}

/// Options of DHCP become lines of a file: whatever they are, no other line comes of them.
fn names(bytes: &[u8]) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_. ".contains(c);
    for name in [search::domain(bytes), search::list(bytes)]
        .into_iter()
        .flatten()
    {
        assert!(!name.is_empty() && name.len() <= 256 && name.chars().all(plain));
    }
    let lines = bytes.split(|&byte| byte == b'\n');
    assert!(Settings::read(lines).servers.len() <= SERVERS);
}

/// A filter that was taken ends, whatever the packet: here its own bytes.
fn filter(bytes: &[u8]) {
    let Ok(filter) = Filter::new(bytes) else {
        return;
    };
    let (header, data) = bytes.split_at(bytes.len() / 2);
    filter.run(&Packet {
        header,
        data,
        protocol: 0x800,
        interface: 1,
        hardware: 772,
        cpu: 0,
        random: || 1,
    });
}

/// The checksum of a segment that is filled in is right.
fn checksum(bytes: &[u8]) {
    let mut packet = bytes.to_vec();
    let Some(start) = packet::fill_tcp_checksum(&mut packet, false) else {
        assert_eq!(packet, bytes);
        return;
    };
    assert!(usize::from(start) + packet::CHECKSUM_AT + 2 <= packet.len());
    if let Ok(ip) = packet::ip(&packet)
        && ip.whole.len() == packet.len()
        && packet::tcp(&ip).is_ok()
    {
        assert!(packet::tcp_checksum(&ip));
    }
}

/// A packet of IP from the network: what it says of neighbours, routers and errors.
fn came(bytes: &[u8]) {
    let ip = match packet::ip(bytes) {
        Ok(ip) => ip,
        Err(packet::Drop::Fragment) => {
            if let Ok(piece) = packet::fragment(bytes) {
                let _ = reassembly::Table::default().take(&piece, 0);
            }
            return;
        }
        Err(_) => return,
    };
    if let Some(plain) = ip.without_extensions().filter(|_| ip.is_extended()) {
        let again = packet::ip(&plain).expect("nothing in it has changed");
        assert_eq!((again.from, again.to), (ip.from, ip.to));
        // Its protocol may be one that is an extension again behind what was skipped.
        assert!(again.payload.len() <= ip.payload.len());
    }
    let _ = packet::icmp(&ip);
    if let Ok(Membership::Query(query)) = packet::igmp(&ip) {
        let mut groups = Groups::default();
        let group = "239.1.2.3".parse().expect("an address");
        groups.join(group, 0, 7);
        groups.asked(&query, 0, u32::MAX);
        assert!(groups.due() <= query.within.max(1_000_000_000));
    }
    // Whatever its checksum.
    let mut sealed = bytes.to_vec();
    if let (IpAddr::V6(from), IpAddr::V6(to)) = (ip.from, ip.to)
        && ip.payload.len() >= 4
    {
        let at = ip.whole.len() - ip.payload.len();
        let end = ip.whole.len();
        packet::seal_icmp6(&mut sealed[at..end], from, to);
    }
    let Ok(ip) = packet::ip(&sealed) else { return };
    if let Ok(Icmp6::Discovery(Discovery::Router(advert))) = packet::icmp6(&ip) {
        let mut conf = Autoconf::new([2, 0, 0, 0, 0, 1], None, None);
        conf.begin(0);
        conf.advertised(&advert, 1);
        let _ = conf.tick(1);
        assert!(conf.due() > 1 && conf.addresses().len() <= autoconf::ADDRESSES);
    }
}

/// An advertisement with a prefix, a server and a size.
fn advertisement() -> Vec<u8> {
    let header = packet::Header {
        from: "fe80::1".parse().expect("an address"),
        to: packet::ALL_NODES.into(),
        protocol: 58,
        ttl: packet::NEIGHBOURS_ONLY,
        tos: 0,
    };
    let mut out = vec![0; packet::IPV6_HEADER];
    out.extend([134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([3, 4, 64, 0xc0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x20, 1]);
    out.extend([0; 14]);
    out.extend([25, 3, 0, 0, 0, 0, 0, 9, 0x20, 1]);
    out.extend([1; 14]);
    out.extend([5, 1, 0, 0, 0, 0, 5, 120]);
    packet::write_ip(&mut out, &header, None);
    out
}

fn requests(bytes: &[u8]) {
    let mut room = bytes.len();
    for request in netlink::requests(bytes) {
        room = room
            .checked_sub(netlink::HEADER + request.body.len())
            .expect("more than there is");
        let _ = (request.family(), request.index());
        let data: usize = netlink::attributes(request.body)
            .map(|(_, data)| 4 + data.len())
            .sum();
        assert!(data <= request.body.len());
        let answers = [
            (netlink::done(&request, 7), netlink::DONE),
            (netlink::error(&request, 7, None), netlink::ERROR),
            (
                netlink::error(&request, 7, Some(Errno::EPERM)),
                netlink::ERROR,
            ),
        ];
        for (answer, kind) in &answers {
            let mut list = netlink::requests(answer);
            let read = list.next().expect("an answer is a message");
            assert_eq!((read.kind, read.sequence), (*kind, request.sequence));
            assert!(list.next().is_none() && answer.len().is_multiple_of(4));
        }
    }
}

/// See [`crate::Target`].
pub fn seeds() -> Vec<Vec<u8>> {
    let addresses = [
        Address::Unspecified,
        Address::Inet("127.0.0.1:80".parse().expect("an address")),
        Address::Inet("[::ffff:1.2.3.4]:80".parse().expect("an address")),
        Address::Unix(UnixName::Path(b"/tmp/s"[..].into())),
        Address::Unix(UnixName::Abstract(b"s\0"[..].into())),
        Address::Netlink { port: 1, groups: 2 },
        Address::Other(77),
    ];
    let addresses = addresses
        .iter()
        .map(|address| (0, sockaddr::encode(address)));
    let mut writer = control::Writer::new(256);
    writer.put(1, 1, &[3, 0, 0, 0]);
    writer.put(1, 2, &[0; 12]);
    let mut dump = netlink::Message::new(18, netlink::REQUEST | netlink::DUMP, 1, 0);
    dump.put(&[0; 16]).text(3, "lo");
    let (control, dump) = (writer.bytes().to_vec(), dump.finish());
    // A load of the first word, a jump over one instruction, two returns: codes, steps of jumps, constants.
    let filter = [
        [0x20, 0, 0, 0, 0, 0, 0, 0],
        [0x15, 0, 0, 1, 0, 0, 0, 0],
        [6, 0, 0, 0, 9, 0, 0, 0],
        [6, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let lists = [
        (1, control),
        (2, dump.clone()),
        (2, dump.repeat(2)),
        (6, filter),
    ];
    let ends = ["192.0.2.1:80", "192.0.2.2:81"].map(|text| text.parse().expect("an address"));
    let opening = packet::Opening {
        sequence: 1,
        window: 1,
        mss: Some(1460),
        scale: Some(7),
        sack: true,
    };
    let names = [
        (
            3,
            b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04".to_vec(),
        ),
        (
            3,
            b"address 192.0.2.7/24\nnameserver 192.0.2.53\nsearch lan".to_vec(),
        ),
        (4, opening.packet(ends[0], ends[1])),
        (5, advertisement()),
        (
            5,
            packet::old_report(ends[0].ip(), ends[1].ip(), false).expect("two of IPv4"),
        ),
        (5, opening.packet(ends[0], ends[1])),
    ];
    addresses
        .chain(lists)
        .chain(names)
        .map(|(kind, bytes)| [&[kind], &bytes[..]].concat())
        .collect()
}
