//! Signals as a readable descriptor.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use anyhow::Result;
use signal_hook::consts::*;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

/// All that kill(1) can send and a process can catch, but those that mean this process alone (SIGCHLD, SIGPIPE) and
/// those that say it is broken (SIGSEGV and its like).
const CAUGHT: [i32; 21] = [
    SIGHUP, SIGINT, SIGQUIT, SIGTRAP, SIGABRT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCONT,
    SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO,
    30, // SIGPWR (signal(7)), for which signal-hook has no name
];

/// Real-time signals, but for those that libc keeps to itself.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// Catches signals from its creation on.
pub struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    /// Installs the handlers.
    pub fn catch() -> Result<Signals> {
        let (read, write) = UnixStream::pair()?;
        // Ignored by our parent (nohup), ignored by us.
        let (_, ignored) = crate::host::umask_and_ignored_signals();
        let wanted = CAUGHT
            .into_iter()
            .chain(REAL_TIME)
            .filter(|signal| ignored & (1 << (signal - 1)) == 0);
        Ok(Signals(SignalDelivery::with_pipe(
            read, write, SignalOnly, wanted,
        )?))
    }

    /// Becomes readable when there are some.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }

    /// Takes them.
    pub fn pending(&mut self) -> Vec<i32> {
        self.0.pending().collect()
    }
}
