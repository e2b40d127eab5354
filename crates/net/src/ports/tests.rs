use super::*;

fn bound(ip: &str) -> Bound {
    Bound {
        ip: ip.parse().unwrap(),
        remote: None,
        v6_only: false,
        reuse: false,
        reuse_port: false,
        listening: false,
    }
}

fn from() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

fn best(ports: &Ports<u8>, to: &str) -> Option<u8> {
    let found = ports.best(80, to.parse().unwrap(), from(), 0, |_| true);
    found.map(|entry| entry.value)
}

#[test]
fn any_address_of_ipv6_covers_ipv4_unless_told_not_to() {
    let four = bound("127.0.0.1");
    let mut six = bound("::");
    assert!(six.overlaps(&four) && four.overlaps(&six));
    six.v6_only = true;
    assert!(!six.overlaps(&four) && !four.overlaps(&six));
    assert!(!bound("::1").overlaps(&bound("0.0.0.0")));
}

#[test]
fn a_bound_port_is_in_use_until_it_is_released() {
    let mut ports = Ports::default();
    let id = ports
        .claim(80, bound("0.0.0.0"), Rule::Stream, 1, 0)
        .unwrap();
    assert_eq!(
        ports.claim(80, bound("127.0.0.1"), Rule::Stream, 2, 0),
        Err(Errno::EADDRINUSE)
    );
    assert_eq!(ports.release(80, id), Some(1));
    assert!(ports.is_free(80));
    assert!(
        ports
            .claim(80, bound("127.0.0.1"), Rule::Stream, 2, 0)
            .is_ok()
    );
}

#[test]
fn reuse_of_an_address_stops_at_a_listener() {
    let mut ports = Ports::default();
    let reuse = Bound {
        reuse: true,
        ..bound("127.0.0.1")
    };
    let first = ports.claim(80, reuse, Rule::Stream, 1, 0).unwrap();
    let second = ports.claim(80, reuse, Rule::Stream, 2, 0).unwrap();
    ports.entry(80, first).unwrap().bound.listening = true;
    assert!(!ports.still_allowed(80, second, Rule::Stream));
    assert!(ports.claim(80, reuse, Rule::Stream, 3, 0).is_err());
    assert!(ports.claim(80, reuse, Rule::Datagram, 3, 0).is_ok());
}

#[test]
fn the_most_specific_socket_gets_the_packet() {
    let mut ports = Ports::default();
    ports
        .claim(80, bound("0.0.0.0"), Rule::Datagram, 1, 0)
        .unwrap();
    let six = Bound {
        v6_only: true,
        ..bound("::")
    };
    ports.claim(80, six, Rule::Datagram, 2, 0).unwrap();
    assert_eq!(best(&ports, "127.0.0.1"), Some(1));
    assert_eq!(best(&ports, "::1"), Some(2));
    let mut ports = Ports::default();
    let reuse = |ip| Bound {
        reuse: true,
        ..bound(ip)
    };
    ports
        .claim(80, reuse("127.0.0.1"), Rule::Datagram, 1, 0)
        .unwrap();
    ports.claim(80, reuse("::"), Rule::Datagram, 2, 0).unwrap();
    assert_eq!(best(&ports, "127.0.0.1"), Some(1));
    assert_eq!(best(&ports, "127.0.0.2"), Some(2));
    let connected = Bound {
        remote: Some(from()),
        ..reuse("127.0.0.1")
    };
    ports.claim(80, connected, Rule::Datagram, 3, 0).unwrap();
    assert_eq!(best(&ports, "127.0.0.1"), Some(3));
}

#[test]
fn the_last_one_bound_is_preferred_though_an_earlier_one_closes() {
    let mut ports = Ports::default();
    let reuse = Bound {
        reuse: true,
        ..bound("127.0.0.1")
    };
    let mut claim = |value| ports.claim(80, reuse, Rule::Datagram, value, 0).unwrap();
    let first = claim(1);
    claim(2);
    claim(3);
    assert_eq!(ports.release(80, first), Some(1));
    assert_eq!(best(&ports, "127.0.0.1"), Some(3));
}

#[test]
fn sockets_that_share_a_port_all_get_some() {
    let mut ports = Ports::default();
    let shared = Bound {
        reuse_port: true,
        ..bound("127.0.0.1")
    };
    for value in 0..4 {
        ports.claim(80, shared, Rule::Stream, value, 0).unwrap();
    }
    let to = "127.0.0.1".parse().unwrap();
    let mut seen = [false; 4];
    for hash in 0..4 {
        let entry = ports.best(80, to, from(), hash, |_| true).unwrap();
        seen[entry.value as usize] = true;
    }
    assert_eq!(seen, [true; 4]);
}

#[test]
fn a_closed_connection_keeps_its_port_for_a_minute() {
    let mut ports: Ports<u8> = Ports::default();
    let ip = "127.0.0.1".parse().unwrap();
    ports.add_user(80, ip, true);
    ports.remove_user(80, ip, true, true, 10);
    assert!(
        ports
            .claim(80, bound("0.0.0.0"), Rule::Stream, 1, 20)
            .is_err()
    );
    let reuse = Bound {
        reuse: true,
        ..bound("0.0.0.0")
    };
    let id = ports.claim(80, reuse, Rule::Stream, 1, 20).unwrap();
    ports.release(80, id);
    assert!(
        ports
            .claim(80, bound("0.0.0.0"), Rule::Stream, 1, 10 + TIME_WAIT)
            .is_ok()
    );
}

#[test]
fn closed_connections_do_not_pile_up() {
    let mut ports: Ports<u8> = Ports::default();
    let ip = "127.0.0.1".parse().unwrap();
    for port in 1..=5000 {
        ports.add_user(port, ip, false);
        ports.remove_user(port, ip, false, true, 0);
    }
    assert_eq!(ports.ports.len(), MAX_WAITING);
    ports.add_user(1, ip, false);
    ports.remove_user(1, ip, false, false, TIME_WAIT + 1);
    assert!(ports.ports.is_empty());
}
