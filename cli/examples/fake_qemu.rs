//! Stands in for QEMU and kernel in the command's tests: takes QEMU's arguments, speaks the guest's side of the
//! ports, and does what the program's arguments say, in order. tests/session.rs uses it.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::process::exit;

use ringo_bundle::{Bundle, Kind, StreamKind};
use ringo_control::*;

struct Guest {
    stdin: UnixStream,
    stdout: UnixStream,
    stderr: UnixStream,
    control: UnixStream,
    decoder: Decoder<64>,
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|a| a == name).expect("QEMU's option");
        args[at + 1].clone()
    };
    let port = |index: usize| {
        let prefix = format!("socket,id=port{index},fd=");
        let fd = args
            .iter()
            .find_map(|a| a.strip_prefix(&prefix))
            .expect("a port");
        // SAFETY: the descriptor was passed to this process for this purpose, and nothing else owns it.
        unsafe { UnixStream::from_raw_fd(fd.parse().expect("a number")) }
    };
    let mut guest = Guest {
        stdin: port(0),
        stdout: port(1),
        stderr: port(2),
        control: port(3),
        decoder: Decoder::new(),
    };
    assert!(
        fs::read(value("-kernel"))
            .expect("the kernel")
            .starts_with(b"\x7fELF")
    );
    let bytes = fs::read(value("-initrd")).expect("the bundle");
    let bundle = Bundle::parse(&bytes).expect("a sound bundle");
    let script: Vec<String> = bundle
        .config()
        .args
        .skip(1)
        .map(|a| String::from_utf8_lossy(a).into_owned())
        .collect();
    if script.first().is_some_and(|first| first == "die") {
        eprintln!("qemu-system-x86_64: the disk is on fire");
        exit(1);
    }
    guest.send(&ToHost::Booted {
        since_entry_ns: 1_000_000,
    });
    for step in &script {
        guest.step(step, &bundle, &args);
    }
    guest.send(&ToHost::Exit(ExitStatus::Code(0)));
    std::thread::sleep(std::time::Duration::from_secs(60));
}

impl Guest {
    fn send(&mut self, message: &ToHost<'_>) {
        let mut frame = vec![0; 4096];
        let n = encode(message, &mut frame).expect("it fits");
        self.control
            .write_all(&frame[..n])
            .expect("the command listens");
    }

    fn receive(&mut self) -> ToGuest {
        loop {
            if let Some(message) = self.decoder.next::<ToGuest>() {
                return message.expect("sound");
            }
            let mut bytes = [0; 32];
            let n = self.control.read(&mut bytes).expect("control");
            assert!(n > 0, "the command has gone");
            assert_eq!(self.decoder.feed(&bytes[..n]), n);
        }
    }

    fn print(&mut self, text: &str) {
        self.stdout.write_all(text.as_bytes()).expect("stdout");
    }

    fn step(&mut self, step: &str, bundle: &Bundle<'_>, qemu: &[String]) {
        let (verb, argument) = step.split_once(':').unwrap_or((step, ""));
        let number = || argument.parse::<u32>().expect("a number");
        match verb {
            "out" => self.print(argument),
            "err" => self.stderr.write_all(argument.as_bytes()).expect("stderr"),
            "exit" => self.send(&ToHost::Exit(ExitStatus::Code(number() as u8))),
            "killed" => self.send(&ToHost::Exit(ExitStatus::Signal(number() as u8))),
            "log" => self.send(&ToHost::Log(argument.as_bytes())),
            "stats" => self.send(&ToHost::Stats(argument.as_bytes())),
            "credit" => self.send(&ToHost::StdinCredit {
                bytes: number(),
                written: [0; 2],
            }),
            // Copies so many bytes of input.
            "take" => {
                let mut bytes = vec![0; number() as usize];
                self.stdin.read_exact(&mut bytes).expect("stdin");
                self.stdout.write_all(&bytes).expect("stdout");
            }
            // Copies input to its end, and says where the end was announced.
            "cat" => {
                let mut bytes = Vec::new();
                self.stdin.read_to_end(&mut bytes).expect("stdin");
                self.stdout.write_all(&bytes).expect("stdout");
                if let ToGuest::StdinEof { after, errno: 0 } = self.receive() {
                    assert_eq!(after, bytes.len() as u64);
                    self.print("<end>");
                }
            }
            // Waits for the announcement of an end after so many bytes.
            "eof" => {
                assert_eq!(
                    self.receive(),
                    ToGuest::StdinEof {
                        after: number().into(),
                        errno: 0
                    }
                );
                self.print("<eof>");
            }
            // So many MiB of output; says on stderr when nobody reads any more.
            "spew" => {
                let block = vec![b'x'; 1 << 20];
                for _ in 0..number() {
                    if self.stdout.write_all(&block).is_err() {
                        assert_eq!(
                            self.receive(),
                            ToGuest::StreamFailed {
                                stream: Stream::Stdout,
                                errno: 32
                            }
                        );
                        self.stderr.write_all(b"<gone>").expect("stderr");
                        self.send(&ToHost::Exit(ExitStatus::Signal(13)));
                    }
                }
            }
            // Reports signals until SIGUSR2.
            "signals" => loop {
                let message = self.receive();
                if let ToGuest::Signal(signal) = message {
                    self.send(&ToHost::SignalTaken(signal));
                    self.print(&format!("{signal}\n"));
                    if signal == 12 {
                        break;
                    }
                }
            },
            _ if verb.starts_with("keep") || verb == "discard" => self.leave(verb, argument),
            "deaf" => std::thread::sleep(std::time::Duration::from_secs(60)),
            "close" => {
                self.stdout.shutdown(Shutdown::Write).expect("stdout");
                self.send(&ToHost::Closed(Stream::Stdout));
            }
            "crash" => self.send(&ToHost::Crash(Crash {
                kind: CrashKind::Panic,
                cpu: 1,
                reason: b"assertion failed: sane\nrax=0",
                program_bias: 0,
                kernel: Addresses::Words(&[0xffff_ffff_c000_1000]),
                program: Addresses::Words(&[u64::from_str_radix(argument, 16).unwrap_or(1)]),
            })),
            "refuse" => self.send(&ToHost::Crash(Crash {
                kind: CrashKind::Refused,
                cpu: 0,
                reason: argument.as_bytes(),
                program_bias: 0,
                kernel: Addresses::Words(&[]),
                program: Addresses::Words(&[]),
            })),
            "clock" => {
                self.send(&ToHost::ClockQuery { id: 5 });
                let ToGuest::Clock { id: 5, realtime_ns } = self.receive() else {
                    panic!("no clock")
                };
                self.print(&format!("{realtime_ns}"));
            }
            "show" => self.show(argument, bundle, qemu),
            // Raw mode, as golang.org/x/term sets it.
            "raw" => {
                let StreamKind::Terminal(terminal) = bundle.config().streams[0] else {
                    panic!("no terminal")
                };
                let mut termios = terminal.termios;
                termios.0[12] &= !0o12;
                self.send(&ToHost::TermiosSet {
                    stream: Stream::Stdin,
                    when: WhenToSet::Now,
                    termios,
                });
                let answer = self.receive();
                self.print(&format!("{answer:?}\n"));
            }
            other => panic!("no step {other}"),
        }
    }

    /// What `--write` gets: `keep:PATH=TEXT` and so on; `keep@N` below place N.
    fn leave(&mut self, verb: &str, argument: &str) {
        let (path, text) = argument.split_once('=').unwrap_or((argument, ""));
        let (verb, root) = match verb.split_once('@') {
            Some((verb, root)) => (verb, root.parse().expect("a number")),
            None => (verb, 0),
        };
        let (path, text) = (path.as_bytes(), text.as_bytes());
        let place = Place { root, path };
        let mut send = |kept| self.send(&ToHost::Kept(kept));
        match verb {
            "keep-dir" => send(Kept::Directory {
                place,
                mode: 0o2755,
            }),
            "keep-link" => send(Kept::Symlink {
                place,
                target: text,
            }),
            "keep-fail" => send(Kept::Failed { errno: 5 }),
            "discard" => send(Kept::Discarded {
                count: argument[..1].parse().expect("a digit"),
                names: text,
            }),
            _ => {
                send(Kept::File {
                    place,
                    mode: 0o6644,
                    mtime_ns: 0,
                });
                send(Kept::Data {
                    offset: 0,
                    bytes: text,
                });
                if verb == "keep" {
                    let size = text.len() as u64;
                    send(Kept::End { size });
                }
            }
        }
    }

    fn show(&mut self, what: &str, bundle: &Bundle<'_>, qemu: &[String]) {
        let config = bundle.config();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = match what {
            "qemu" => qemu.join("\n"),
            "env" => config.env.map(|v| text(v) + "\n").collect(),
            "cwd" => text(config.cwd),
            "program" => format!("{} {}", text(config.program.path), bundle.program().len()),
            "streams" => format!("{:?} {:?}", config.streams, config.flags),
            "descriptors" => {
                let directory = std::fs::read_dir("/proc/self/fd").expect("procfs");
                directory
                    .filter_map(|entry| std::fs::read_link(entry.expect("an entry").path()).ok())
                    .map(|target| format!("{}\n", target.display()))
                    .collect()
            }
            "pid" => format!("{}", std::process::id()),
            _ => bundle
                .entries()
                .map(|entry| match entry.kind {
                    Kind::Directory => format!("d{:o} {}\n", entry.mode, text(entry.path)),
                    Kind::File(data) if data.len < 100 => {
                        format!(
                            "f{:o} {} {}\n",
                            entry.mode,
                            text(entry.path),
                            text(bundle.data(data))
                        )
                    }
                    Kind::File(data) => {
                        format!("f{:o} {} {}\n", entry.mode, text(entry.path), data.len)
                    }
                    Kind::Symlink(to) => format!("l {} {}\n", text(entry.path), text(to)),
                    Kind::HardLink(to) => format!("h {} {}\n", text(entry.path), text(to)),
                })
                .collect(),
        };
        self.print(&shown);
    }
}
