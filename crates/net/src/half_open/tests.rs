use super::*;
use alloc::vec;
use proptest::prelude::*;
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, Ipv4Packet, TcpPacket};

const OPENING: Opening = Opening {
    sequence: 7,
    window: 1000,
    mss: Some(1460),
    scale: Some(7),
    sack: true,
};

fn entry(taker: u32, answered: u64) -> Entry<u32> {
    Entry {
        theirs: OPENING,
        ours: OPENING,
        seed: 1,
        answered,
        repeated: 0,
        asked_again: None,
        taker,
    }
}

#[test]
fn an_answer_is_repeated_five_times() {
    let mut table = Table::default();
    table.begin(1, entry(1, 0));
    let (mut times, mut gone) = (vec![], None);
    for second in 1..100 {
        let tick = table.tick(second * SECOND);
        if !tick.repeat.is_empty() {
            times.push(second);
        }
        if !tick.gone.is_empty() {
            gone = Some(second);
        }
    }
    assert_eq!((times, gone), (vec![1, 3, 7, 15, 31], Some(63)));
    assert!(table.is_empty());
}

#[test]
fn a_flood_pushes_out_what_is_oldest() {
    let mut table = Table::default();
    for key in 0..MOST as u32 {
        assert_eq!(table.begin(key, entry(key, 0)), None);
    }
    table.take(&0);
    assert_eq!(table.begin(5000, entry(5000, 0)), None);
    assert_eq!(
        table.begin(5001, entry(5001, 0)).map(|out| out.taker),
        Some(1)
    );
    assert!(table.get(&5000).is_some() && table.get(&1).is_none());
}

proptest! {
    #[test]
    fn it_stays_within_its_bounds(steps in proptest::collection::vec((0u8..3, 0u32..600), 0..3000)) {
        let mut table = Table::default();
        for (what, key) in steps {
            match what {
                0 | 1 => {
                    table.begin(key, entry(key, 0));
                    prop_assert_eq!(table.get(&key).map(|found| found.taker), Some(key));
                }
                _ => {
                    table.take(&key);
                }
            }
            prop_assert!(table.len() <= MOST && table.order.len() <= 2 * MOST);
        }
    }
}

/// Keeps the last packet that was sent.
struct Catch(Vec<u8>);

struct Token<'a>(&'a mut Vec<u8>);

impl TxToken for Token<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.0.resize(length, 0);
        f(self.0)
    }
}

struct Nothing;

impl RxToken for Nothing {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&[])
    }
}

impl Device for Catch {
    type RxToken<'a> = Nothing;
    type TxToken<'a> = Token<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Nothing, Token<'_>)> {
        None
    }

    fn transmit(&mut self, _now: Instant) -> Option<Token<'_>> {
        Some(Token(&mut self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}

#[test]
fn smoltcp_begins_with_the_number_that_was_foreseen() {
    for seed in [0, 1, 2, 0xdead_beef_0bad_cafe, u64::MAX] {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut device = Catch(Vec::new());
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        let ours = IpAddress::v4(10, 0, 2, 15);
        interface.update_ip_addrs(|all| all.push(IpCidr::new(ours, 24)).unwrap());
        let (mut receive, mut send) = ([0; 64], [0; 64]);
        let socket = Socket::new(
            SocketBuffer::new(&mut receive[..]),
            SocketBuffer::new(&mut send[..]),
        );
        let mut storage = [smoltcp::iface::SocketStorage::EMPTY];
        let mut sockets = SocketSet::new(&mut storage[..]);
        let handle = sockets.add(socket);
        let theirs = (IpAddress::v4(10, 0, 2, 2), 80);
        sockets
            .get_mut::<Socket>(handle)
            .connect(interface.context(), theirs, (ours, 4000))
            .unwrap();
        interface.poll(Instant::ZERO, &mut device, &mut sockets);
        let ip = Ipv4Packet::new_checked(&device.0[..]).unwrap();
        let segment = TcpPacket::new_checked(ip.payload()).unwrap();
        assert_eq!(
            segment.seq_number().0.cast_unsigned(),
            first_number(seed),
            "{seed}"
        );
    }
}

#[test]
fn who_asks_again_and_again_is_answered_twice_a_second() {
    let mut table = Table::default();
    table.begin(1, entry(1, 0));
    let answered = (0..100u64).filter(|at| table.answers_again(&1, at * SECOND / 50));
    assert_eq!(answered.count(), 4);
}
