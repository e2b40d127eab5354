//! Beyond loopback: a server that is published to the host, and a program that dials out to it.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;

use super::{end_of, finish, on, ours, ringo_run, text};
use crate::machine::{Engine, ringo};

pub fn trials() -> Vec<Trial> {
    let mut all = on(&Engine::ALL, "published-server", published_server);
    all.extend(on(&Engine::ALL, "dials-out", dials_out));
    all.extend(on(&Engine::ALL, "dials-out-v6", dials_out_v6));
    all.extend(on(&[Engine::Kvm], "capture", capture));
    all.extend(on(&[Engine::Kvm], "exec-resolver", exec_resolver));
    all.extend(on(&[Engine::Kvm], "silent-network", silent_network));
    all
}

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// A running server, and for each port of the program the address that leads to it.
pub struct Server {
    child: Child,
    ports: Vec<(u16, SocketAddr)>,
}

impl Server {
    fn start(engine: Engine) -> Result<Self> {
        let mut command = ringo_run(engine, &["--cpus", "2"]);
        let mut ports = Vec::new();
        // All at once, so that they differ.
        let free = [7u16, 80, 81, 99].map(|guest| (guest, TcpListener::bind("127.0.0.1:0")));
        for (guest, listener) in free {
            let host = listener?.local_addr()?;
            ports.push((guest, host));
            command.args(["--publish", &format!("{host}:{guest}")]);
        }
        let host = ports[0].1;
        command.args(["--publish", &format!("{host}:7/udp")]);
        Self::begin(engine, command, ports)
    }

    /// Starts it with this command, whose ports are reached so.
    pub fn begin(
        engine: Engine,
        mut command: Command,
        ports: Vec<(u16, SocketAddr)>,
    ) -> Result<Self> {
        let child = command
            .arg(ours("outside")?)
            .arg("serve")
            .stdin(Stdio::null())
            .spawn()?;
        let mut server = Self { child, ports };
        server.await_echo(engine)?;
        Ok(server)
    }

    fn address(&self, guest: u16) -> SocketAddr {
        let host = self.ports.iter().find(|(port, _)| *port == guest);
        host.expect("it is one of ours").1
    }

    fn connect(&self, guest: u16) -> Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address(guest), LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(stream)
    }

    /// QEMU takes connections before anybody listens in the VM.
    fn await_echo(&mut self, engine: Engine) -> Result<()> {
        let end = Instant::now() + LIMIT * engine.patience();
        while Instant::now() < end {
            if self.child.try_wait()?.is_some() {
                bail!("the server has ended");
            }
            let answer = self.connect(7).and_then(|stream| echo(stream, b"?"));
            if answer.is_ok_and(|answer| answer == b"?") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the server does not answer")
    }

    pub fn end(mut self) -> Result<()> {
        drop(self.connect(99)?);
        let code = end_of(&mut self.child, LIMIT)?;
        ensure!(code == 0, "exit code {code}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends `data`, ends, and gives what comes back until the other side ends.
fn echo(mut stream: TcpStream, data: &[u8]) -> Result<Vec<u8>> {
    let mut writer = stream.try_clone()?;
    let mut back = Vec::new();
    std::thread::scope(|scope| -> Result<()> {
        let sent = scope.spawn(move || -> std::io::Result<()> {
            writer.write_all(data)?;
            writer.shutdown(Shutdown::Write)
        });
        stream.read_to_end(&mut back)?;
        sent.join().expect("it does not panic")?;
        Ok(())
    })?;
    Ok(back)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 65_536 % 251) as u8).collect()
}

pub fn talk(server: &Server) -> Result<()> {
    let large = pattern(32 << 20);
    let back = echo(server.connect(7)?, &large).context("32 MiB both ways")?;
    ensure!(back == large, "{} bytes came back, or others", back.len());

    // A sum that only comes after our end: half of the connection is closed then.
    let sum = echo(server.connect(80)?, b"hello").context("half-closed")?;
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    ensure!(text(&sum) == HELLO, "{}", text(&sum));

    // A few at a time: QEMU's queue of connections that wait is short.
    std::thread::scope(|scope| -> Result<()> {
        let work = |number: usize| -> Result<()> {
            for round in 0..12 {
                let data = pattern(1 + number * 997 + round * 4099);
                let back = echo(server.connect(7)?, &data)?;
                ensure!(
                    back == data,
                    "{number}: {} bytes of {}",
                    back.len(),
                    data.len()
                );
            }
            Ok(())
        };
        let workers: Vec<_> = (0..8)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        for worker in workers {
            worker.join().expect("it does not panic")?;
        }
        Ok(())
    })?;

    // A hundred open at once, used in turn.
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(server.connect(7)?);
    }
    for round in [b"one", b"two"] {
        for stream in &mut streams {
            stream.write_all(round)?;
        }
        for stream in &mut streams {
            let mut back = [0; 3];
            stream.read_exact(&mut back)?;
            ensure!(&back == round, "{back:?}");
        }
    }
    drop(streams);

    // A server that closes with unread data resets.
    let mut stream = server.connect(81)?;
    stream.write_all(b"nobody reads this")?;
    let ended = stream.read(&mut [0; 8]);
    ensure!(!matches!(ended, Ok(1..)), "{ended:?}");

    let any = match server.address(7) {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.connect(server.address(7))?;
    for length in [1, 1000, 1452] {
        let data = pattern(length);
        socket.send(&data)?;
        let mut back = [0; 2048];
        let count = socket.recv(&mut back)?;
        ensure!(back[..count] == data, "a datagram of {length}: {count}");
    }
    Ok(())
}

fn published_server(engine: Engine) -> Result<()> {
    let server = Server::start(engine)?;
    talk(&server)?;
    server.end()
}

/// The kinds of Ethernet frames in a capture.
pub fn frames(bytes: &[u8]) -> Result<Vec<u16>> {
    let word = |at: usize| -> Result<usize> {
        let word = bytes.get(at..at + 4).context("the file is cut short")?;
        Ok(u32::from_le_bytes(word.try_into()?) as usize)
    };
    ensure!(
        word(0)? == 0xa1b2_c3d4 && word(20)? == 1,
        "no Ethernet frames"
    );
    let (mut at, mut kinds) = (24, Vec::new());
    while at < bytes.len() {
        let length = word(at + 8)?;
        let kind = bytes.get(at + 28..at + 30).context("no frame")?;
        kinds.push(u16::from_be_bytes(kind.try_into()?));
        at += 16 + length;
    }
    Ok(kinds)
}

/// --pcap writes what pcap-savefile(5) says: a header, and each frame behind its own.
fn capture(engine: Engine) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("frames, all of them.pcap");
    let mut command = ringo_run(engine, &["--net", "user", "--pcap"]);
    command.arg(&file).arg(ours("outside")?);
    command.args(["dial", "10.0.2.2:1"]);
    finish(command, engine)?;
    let bytes = std::fs::read(&file)?;
    let kinds = frames(&bytes)?;
    ensure!(
        kinds.contains(&0x806) && kinds.contains(&0x800),
        "{kinds:x?}"
    );
    Ok(())
}

fn dials_out(engine: Engine) -> Result<()> {
    dials(engine, "127.0.0.1:0", "10.0.2.2", "10.0.2.15")
}

/// The user network's IPv6: the host's loopback address is at fec0::2.
fn dials_out_v6(engine: Engine) -> Result<()> {
    let ours = "fec0::5054:ff:fe12:3456";
    dials(engine, "[::1]:0", "[fec0::2]", ours)
}

/// Dials a listener at the host's address `bind`, which is `host` to the program, from `guest`.
fn dials(engine: Engine, bind: &str, host: &str, guest: &str) -> Result<()> {
    let listener = TcpListener::bind(bind)?;
    let port = listener.local_addr()?.port();
    let echoes = std::thread::spawn(move || -> Result<usize> {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(LIMIT * 6))?;
        // A slow reader at first: the program's side fills up.
        std::thread::sleep(Duration::from_millis(300));
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        ensure!(all == pattern(16 << 20), "{} bytes, or others", all.len());
        stream.write_all(&all)?;
        Ok(all.len())
    });
    let mut command = ringo_run(engine, &["--cpus", "2", "--net", "user"]);
    command
        .arg(ours("outside")?)
        .args(["dial", &format!("{host}:{port}")]);
    let outcome = finish(command, engine)?;
    let said = text(&outcome.stdout);
    ensure!(outcome.code == 0, "{said}{}", text(&outcome.stderr));
    echoes.join().expect("it does not panic")?;
    for part in [
        "16777216 bytes came back, <nil>",
        &format!("{guest} {host}:{port}"),
        "eth0 [10.0.2.15/24 fec0::5054:ff:fe12:3456/64 fe80::5054:ff:fe12:3456/64]",
        "connection refused",
    ] {
        ensure!(said.contains(part), "no {part:?} in: {said}");
    }
    Ok(())
}

/// The host's own resolver may be at one of its loopback addresses: a program with its files sees another.
fn exec_resolver(engine: Engine) -> Result<()> {
    let mut command = Command::new(ringo());
    command.args(["exec", "--engine", engine.name(), "--net", "user"]);
    command.args(["--dns", "10.0.2.77", "--dns-search", "a.test"]);
    command.args(["--dns-search=b.test"]).arg(ours("outside")?);
    command.arg("names");
    let said = text(&finish(command, engine)?.stdout);
    let lines = said.lines();
    let about = lines.filter(|line| line.starts_with("nameserver") || line.starts_with("search"));
    let expected = ["search a.test b.test", "nameserver 10.0.2.77"];
    ensure!(about.eq(expected), "{said}");
    Ok(())
}

/// The user network's addresses are known: where its server does not answer, they are taken.
fn silent_network(engine: Engine) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("qemu");
    // The card is on a hub that nobody else is on.
    let text_of_it =
        "#!/bin/bash\nexec qemu-system-x86_64 \"${@/#user,id=net*/hubport,id=net,hubid=0}\"\n";
    std::fs::write(&script, text_of_it)?;
    std::fs::set_permissions(&script, Permissions::from_mode(0o755))?;
    let mut command = ringo_run(engine, &["--net", "user"]);
    command.env("RINGO_QEMU", &script);
    command.arg(ours("outside")?).arg("names");
    let said = text(&finish(command, engine)?.stdout);
    for part in [
        "eth0 [10.0.2.15/24 fe80::",
        "#MANUAL\n",
        "nameserver 10.0.2.3\n",
    ] {
        ensure!(said.contains(part), "no {part:?} in: {said}");
    }
    Ok(())
}
