//! What the program hands to socket calls: addresses, control data, netlink requests.
use ringo_abi::Errno;
use ringo_net::sockaddr::{self, Address, UnixName};
use ringo_net::{control, netlink};

/// See [`crate::Target`]. The first byte says what the rest is.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, rest)) => address(rest),
        Some((1, rest)) => messages(rest),
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

fn requests(bytes: &[u8]) {
    let mut room = bytes.len();
    for request in netlink::requests(bytes) {
        room = room
            .checked_sub(netlink::HEADER + request.body.len())
            .expect("more than there is");
        let _ = (request.family(), request.index());
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
    let lists = [(1, control), (2, dump.clone()), (2, dump.repeat(2))];
    addresses
        .chain(lists)
        .map(|(kind, bytes)| [&[kind], &bytes[..]].concat())
        .collect()
}
