//! At a terminal: settings, size, Ctrl-C, Ctrl-D, and its state afterwards.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use common::{program, ringo, text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

struct Terminal {
    master: File,
    slave: File,
    child: Child,
    _directory: tempfile::TempDir,
}

fn start(script: &[&str]) -> Terminal {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&master)
        .and_then(|()| unlockpt(&master))
        .expect("a pseudo-terminal");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let name = std::path::PathBuf::from(name.to_str().expect("UTF-8"));
    let slave = File::options()
        .read(true)
        .write(true)
        .open(name)
        .expect("its other end");
    tcsetwinsize(
        &slave,
        Winsize {
            ws_row: 30,
            ws_col: 90,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )
    .expect("a size");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = ringo();
    let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
    command
        .args(["run", "--engine", "tcg"])
        .arg(program(directory.path()))
        .args(script)
        .stdin(end())
        .stdout(end())
        .stderr(end());
    // A session of its own, with this as its terminal: Ctrl-C needs one.
    let own_session = || {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        Ok(())
    };
    // SAFETY: two system calls, neither of which allocates or locks.
    unsafe { command.pre_exec(own_session) };
    let child = command.spawn().expect("ringo starts");
    Terminal {
        master: File::from(master),
        slave,
        child,
        _directory: directory,
    }
}

/// A test that fails leaves no VM behind.
impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    fn read_until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(end.as_bytes()) {
            let mut fds = [PollFd::new(&self.master, PollFlags::IN)];
            let limit = Timespec {
                tv_sec: 60,
                tv_nsec: 0,
            };
            let ready = poll(&mut fds, Some(&limit)).expect("poll");
            assert!(ready > 0, "nothing for a minute after {:?}", text(&seen));
            self.master.read_exact(&mut byte).expect("the terminal");
            seen.push(byte[0]);
        }
        text(&seen)
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.master.write_all(keys).expect("the terminal");
    }

    fn local_modes(&self) -> LocalModes {
        tcgetattr(self.slave.as_fd()).expect("settings").local_modes
    }
}

#[test]
fn the_program_finds_a_terminal_with_its_size() {
    let mut terminal = start(&["show:streams", "out:.", "exit:0"]);
    let shown = terminal.read_until("Flags(8).");
    assert!(
        shown.contains("Terminal { device: Stdin") && shown.contains("rows: 30, cols: 90"),
        "{shown}"
    );
    assert_eq!(shown.matches("device: Stdin").count(), 3);
    assert_eq!(terminal.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn raw_mode_is_set_for_the_program_and_undone_after_it() {
    let mut terminal = start(&["raw", "signals", "exit:3"]);
    let before = terminal.local_modes();
    assert!(before.contains(LocalModes::ICANON | LocalModes::ECHO));
    assert!(
        terminal
            .read_until("\n")
            .contains("TermiosAck { stream: Stdin, errno: 0 }")
    );
    assert!(
        !terminal
            .local_modes()
            .intersects(LocalModes::ICANON | LocalModes::ECHO)
    );
    let pid = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(pid, rustix::process::Signal::USR2).expect("kill");
    assert_eq!(terminal.child.wait().expect("it ends").code(), Some(3));
    assert_eq!(terminal.local_modes(), before);
}

#[test]
fn ctrl_c_and_a_new_size_are_signals() {
    let mut terminal = start(&["out:up\n", "signals", "exit:0"]);
    terminal.read_until("up\r\n");
    terminal.type_in(b"\x03");
    terminal.read_until("2\r\n");
    let size = Winsize {
        ws_row: 10,
        ws_col: 20,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal.master, size).expect("a size");
    terminal.read_until("28\r\n");
    terminal.child.kill().expect("kill");
    terminal.child.wait().expect("it ends");
}

#[test]
fn ctrl_d_ends_one_read_but_not_the_terminal() {
    // The end of file takes back what was asked for: the guest asks again.
    let all = "credit:4294967295";
    let mut terminal = start(&[all, "take:3", "eof:3", all, "take:3", "exit:0"]);
    terminal.type_in(b"ab\n\x04");
    terminal.read_until("<eof>");
    terminal.type_in(b"cd\n");
    terminal.read_until("cd\r\ncd\r\n");
    assert_eq!(terminal.child.wait().expect("it ends").code(), Some(0));
}
