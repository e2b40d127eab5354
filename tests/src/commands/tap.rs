//! A VM on a tap interface and in a bridge, in a namespace (`namespace.rs`): addresses given and by DHCP, name servers.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::namespace::{self, GUEST, HOST, Namespace};
use super::network::{Server, frames, talk};
use super::{finish, host, on, ours, ringo_run, text};
use crate::machine::Engine;

pub fn trials() -> Vec<Trial> {
    let mut all = vec![host("no-such-interface", no_such_interface)];
    let possible = namespace::missing().is_none();
    let mut add = |trials: Vec<Trial>| {
        all.extend(trials.into_iter().map(|trial| {
            let ignored = !possible || trial.has_ignored_flag();
            trial.with_ignored_flag(ignored)
        }));
    };
    add(on(&Engine::ALL, "tap-server", tap_server));
    add(on(&Engine::ALL, "tap-server-v6", tap_server_v6));
    add(on(&[Engine::Kvm], "tap-addresses", tap_addresses));
    add(on(&Engine::ALL, "bridge-dhcp", bridge_dhcp));
    add(on(&[Engine::Kvm], "tap-static-stays", tap_static_stays));
    add(on(&[Engine::Kvm], "tap-without-dhcp", tap_without_dhcp));
    add(on(&[Engine::Kvm], "tap-capture", tap_capture));
    all
}

const STATIC: [&str; 6] = [
    "--net",
    "tap:tap0",
    "--ip",
    "192.0.2.2/24",
    "--gateway",
    HOST,
];

/// What is published to the host's clients is as well served to a tap interface.
fn tap_server(engine: Engine) -> Result<()> {
    let namespace = Namespace::with_tap()?;
    namespace.run(|| {
        let mut command = ringo_run(engine, &["--cpus", "2"]);
        command.args(STATIC);
        let ports = [7, 80, 81, 99].map(|port| (port, SocketAddr::new(GUEST, port)));
        let server = Server::begin(engine, command, ports.to_vec())?;
        talk(&server)?;
        server.end()
    })
}

/// The same by IPv6, with an address that was given beside one of IPv4.
fn tap_server_v6(engine: Engine) -> Result<()> {
    let namespace = Namespace::with_tap()?;
    namespace.ip("address add 2001:db8::1/64 dev tap0 nodad")?;
    namespace.run(|| {
        let mut command = ringo_run(engine, &["--cpus", "2"]);
        command.args(STATIC);
        command.args(["--ip", "2001:db8::2/64", "--gateway", "2001:db8::1"]);
        let guest = "2001:db8::2".parse()?;
        let ports = [7, 80, 81, 99].map(|port| (port, SocketAddr::new(guest, port)));
        let server = Server::begin(engine, command, ports.to_vec())?;
        talk(&server)?;
        server.end()
    })
}

fn contains(said: &str, parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(said.contains(part), "no {part:?} in: {said}");
    }
    Ok(())
}

fn tap_addresses(engine: Engine) -> Result<()> {
    let namespace = Namespace::with_tap()?;
    let said = namespace.run(|| {
        let mut command = ringo_run(engine, &STATIC);
        command.args(["--dns", "192.0.2.53", "--dns", "2001:db8::53", "--mac"]);
        command.args(["52:54:00:00:00:77", "--ip", "2001:db8::2/64"]);
        command.arg(ours("outside")?);
        command.arg("names");
        finish(command, engine)
    })?;
    contains(
        &text(&said.stdout),
        &[
            "/etc/resolv.conf: <nil>\n#MANUAL\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n",
            "192.0.2.2\tringo\n2001:db8::2\tringo\n",
            // The default route, by 192.0.2.1.
            "eth0\t00000000\t010200C0\t0003\t",
            "eth0 [192.0.2.2/24 2001:db8::2/64 fe80::5054:ff:fe00:77/64] 52:54:00:00:00:77\n",
        ],
    )
}

/// An answer of a DHCP server to `request` (RFC 2131): offers and confirms [`GUEST`].
fn dhcp_answer(request: &[u8]) -> Option<Vec<u8>> {
    const OPTIONS: usize = 240;
    let mut options = request.get(OPTIONS..)?;
    let mut kind = None;
    while let [code @ 1..=254, length, rest @ ..] = options {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if *code == 53 {
            kind = value.first().copied();
        }
        options = rest;
    }
    let kind = match kind? {
        // DISCOVER: OFFER. REQUEST: ACK.
        1 => 2,
        3 => 5,
        _ => return None,
    };
    let mut answer = vec![0; OPTIONS];
    answer[..4].copy_from_slice(&[2, 1, 6, 0]);
    answer[4..8].copy_from_slice(&request[4..8]);
    answer[16..20].copy_from_slice(&[192, 0, 2, 2]);
    answer[28..44].copy_from_slice(&request[28..44]);
    answer[236..240].copy_from_slice(&[99, 130, 83, 99]);
    let mut option = |code: u8, value: &[u8]| {
        answer.extend([code, value.len() as u8]);
        answer.extend(value);
    };
    option(53, &[kind]);
    option(54, &[192, 0, 2, 1]);
    option(51, &3600_u32.to_be_bytes());
    option(1, &[255, 255, 255, 0]);
    option(3, &[192, 0, 2, 1]);
    option(6, &[192, 0, 2, 53, 192, 0, 2, 54]);
    option(15, b"example.org");
    option(119, b"\x03lan\x07example\x03org\x00\x04test\xc0\x04");
    answer.push(255);
    Some(answer)
}

/// Runs `work` beside a server of DHCP that answers, and that asks each machine a few times a second whether it would not like
/// to ask.
fn beside_dhcp<T>(offer: Offer, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let server = UdpSocket::bind("0.0.0.0:67").context("DHCP's port")?;
    server.set_broadcast(true)?;
    server.set_read_timeout(Some(Duration::from_millis(100)))?;
    let (end, ended) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 1500];
            while ended.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                if offer == Offer::Forced {
                    let _ = server.send_to(b"who wants an address?", "192.0.2.255:68");
                }
                let Ok((length, _)) = server.recv_from(&mut bytes) else {
                    continue;
                };
                if let Some(answer) = dhcp_answer(&bytes[..length]) {
                    let _ = server.send_to(&answer, "192.0.2.255:68");
                }
            }
        });
        let outcome = work();
        drop(end);
        outcome
    })
}

/// Whether a server of DHCP waits until it is asked.
#[derive(Clone, Copy, PartialEq)]
enum Offer {
    Asked,
    Forced,
}

/// An address that was given stays, whatever a server on the link says; it would give [`GUEST`].
fn tap_static_stays(engine: Engine) -> Result<()> {
    const GIVEN: &str = "192.0.2.7";
    let namespace = Namespace::with_tap()?;
    namespace.run(|| {
        let mut command = ringo_run(engine, &["--net", "tap:tap0", "--ip", "192.0.2.7/24"]);
        command.args(["--gateway", HOST]);
        let guest = GIVEN.parse()?;
        let ports = [7, 80, 81, 99].map(|port| (port, SocketAddr::new(guest, port)));
        beside_dhcp(Offer::Forced, || {
            let server = Server::begin(engine, command, ports.to_vec())?;
            // A server that was believed would have been by now.
            std::thread::sleep(Duration::from_secs(1));
            talk(&server)?;
            server.end()
        })
    })
}

fn bridge_dhcp(engine: Engine) -> Result<()> {
    let namespace = Namespace::with_bridge()?;
    let said = namespace.run(|| {
        beside_dhcp(Offer::Asked, || {
            let mut command = ringo_run(engine, &["--net", "bridge:br0"]);
            command.arg(ours("outside")?);
            command.arg("names");
            finish(command, engine)
        })
    })?;
    contains(
        &text(&said.stdout),
        &[
            "#PROTO: DHCP\ndomain example.org\nsearch lan.example.org test.example.org\n\
             nameserver 192.0.2.53\nnameserver 192.0.2.54\nbootserver 192.0.2.1\n",
            "eth0\t00000000\t010200C0\t0003\t",
            "eth0 [192.0.2.2/24 fe80::",
        ],
    )
}

/// Nobody answers: the program runs all the same, and hears at last that there is no way.
fn tap_without_dhcp(engine: Engine) -> Result<()> {
    let namespace = Namespace::with_tap()?;
    let outcome = namespace.run(|| {
        let mut command = ringo_run(engine, &["--net", "tap:tap0"]);
        command.arg(ours("outside")?).args(["dial", "192.0.2.1:9"]);
        finish(command, engine)
    })?;
    ensure!(outcome.code == 1, "exit code {}", outcome.code);
    contains(&text(&outcome.stderr), &["network is unreachable"])
}

/// A capture has frames and nothing before them.
fn tap_capture(engine: Engine) -> Result<()> {
    let namespace = Namespace::with_tap()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("frames.pcap");
    let outcome = namespace.run(|| {
        let mut command = ringo_run(engine, &STATIC);
        command.arg("--pcap").arg(&file).arg(ours("outside")?);
        command.args(["dial", "192.0.2.1:9"]);
        finish(command, engine)
    })?;
    contains(&text(&outcome.stderr), &["connection refused"])?;
    let kinds = frames(&std::fs::read(&file)?)?;
    let known = |kind: &u16| [0x800, 0x806, 0x86dd].contains(kind);
    ensure!(
        kinds.iter().all(known) && kinds.contains(&0x806),
        "{kinds:x?}"
    );
    Ok(())
}

fn no_such_interface() -> Result<()> {
    for (net, part) in [
        ("tap:ringo-none", "ip tuntap add ringo-none mode tap"),
        ("bridge:ringo-none", "there is no bridge ringo-none"),
        ("tap:lo", "lo is no tap interface"),
    ] {
        let mut command = ringo_run(Engine::Tcg, &["--net", net]);
        command.arg(ours("hello")?);
        let outcome = finish(command, Engine::Tcg)?;
        let said = text(&outcome.stderr);
        // Who may not open tap interfaces hears of that.
        let refused = net == "tap:lo" && said.contains("/dev/net/tun");
        ensure!(outcome.code == 125, "{net}: exit code {}", outcome.code);
        ensure!(said.contains(part) || refused, "{net}: {said}");
    }
    Ok(())
}
