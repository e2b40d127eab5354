//! Signals (signal(7)).
//!
//! - mod.rs: sets, masks, actions. pending.rs: what was sent and not yet taken.
//! - send.rs: what a sender makes pending; notify.rs: which thread is told.
//! - deliver.rs: on the way out of the kernel, to a handler's frame or the default action; frame.rs: that frame.
//! - fault.rs: exceptions of the program.
//!
//! Locks: the actions', then a queue's; both leaves but for waking.
pub mod deliver;
pub mod fault;
pub mod frame;
mod notify;
mod pending;
mod send;

pub use deliver::{deliver, restart_call};
pub use pending::{Pending, queued};
pub use send::{force_current, send_by_call, send_process, send_thread, thread_ends};

use crate::fs::PollQueue;
use crate::sync::{SpinLock, WaitQueue};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use linux_raw_sys::general as abi;

/// A set of signals; bit n-1 is signal n.
pub type SignalSet = u64;
/// The highest signal.
pub const MAX_SIGNAL: i32 = 64;
/// Signals from here on are queued as often as they are sent.
pub const FIRST_REALTIME: i32 = 32;

/// What cannot be blocked or caught.
pub const UNBLOCKABLE: SignalSet = bit(abi::SIGKILL as i32) | bit(abi::SIGSTOP as i32);

/// The set with only `signo`.
#[inline]
pub const fn bit(signo: i32) -> SignalSet {
    1 << (signo - 1)
}

/// What a handler finds in siginfo_t.
#[derive(Clone, Copy, Debug, Default)]
pub struct SigInfo {
    /// si_signo.
    pub signo: i32,
    /// si_code: SI_USER, SI_TKILL, SI_TIMER, SEGV_MAPERR...
    pub code: i32,
    /// si_errno.
    pub errno: i32,
    /// The rest as the program sees it, from byte 16 on: si_addr; si_pid and si_uid; timer id, overrun, value...
    pub fields: [u64; 3],
    /// The POSIX timer whose signal this is, which goes on when it is taken.
    pub timer: Option<i32>,
}

impl SigInfo {
    fn new(signo: i32, code: i32, first_field: u64) -> Self {
        Self {
            signo,
            code,
            errno: 0,
            fields: [first_field, 0, 0],
            timer: None,
        }
    }

    /// Sent by the running thread, with kill(2) or tgkill(2): `code` is SI_USER or SI_TKILL.
    pub fn from_user(signo: i32, code: i32) -> Self {
        let uid = u64::from(super::credentials().user.real());
        Self::new(signo, code, super::PID as u64 | uid << 32)
    }

    /// Sent by whoever runs the command on the host: a process without a number here, of the user that the program began as.
    pub fn from_host(signo: i32) -> Self {
        let uid = u64::from(super::process().owner.load(Ordering::Relaxed));
        Self::new(signo, SI_USER, uid << 32)
    }

    /// From the kernel itself.
    pub fn from_kernel(signo: i32) -> Self {
        Self::new(signo, SI_KERNEL, 0)
    }

    /// For a fault at `address`.
    pub fn fault(signo: i32, code: i32, address: usize) -> Self {
        Self::new(signo, code, address as u64)
    }
}

/// si_code of a signal from the kernel without more to say.
pub const SI_KERNEL: i32 = 0x80;
/// si_code of kill(2).
pub const SI_USER: i32 = 0;
/// si_code of tgkill(2).
pub const SI_TKILL: i32 = -6;
/// si_code of a POSIX timer.
pub const SI_TIMER: i32 = -2;

/// struct kernel_sigaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action {
    /// SIG_DFL 0, SIG_IGN 1, or the handler.
    pub handler: usize,
    /// SA_*.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: usize,
    /// Blocked while it runs.
    pub mask: SignalSet,
}

/// SIG_DFL.
pub const SIG_DFL: usize = 0;
/// SIG_IGN.
pub const SIG_IGN: usize = 1;

/// What happens without a handler (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DefaultAction {
    /// Nothing.
    Ignore,
    /// The command on the host stops itself and the VM, as a shell's job control expects it.
    Stop,
    /// The program ends with 128 + the signal.
    Terminate,
}

/// The default action.
pub fn default_action(signo: i32) -> DefaultAction {
    match signo as u32 {
        abi::SIGCHLD | abi::SIGURG | abi::SIGWINCH | abi::SIGCONT => DefaultAction::Ignore,
        abi::SIGSTOP | abi::SIGTSTP | abi::SIGTTIN | abi::SIGTTOU => DefaultAction::Stop,
        _ => DefaultAction::Terminate,
    }
}

/// sigaltstack(2).
#[derive(Clone, Copy, Debug, Default)]
pub struct AltStack {
    /// Lowest address.
    pub base: usize,
    /// Bytes; 0 means disabled.
    pub size: usize,
    /// SS_AUTODISARM or 0.
    pub flags: u32,
}

impl AltStack {
    /// Whether `sp` is on it.
    pub fn contains(&self, sp: usize) -> bool {
        self.size != 0 && sp > self.base && sp - self.base <= self.size
    }
}

/// A thread's part.
pub struct ThreadSignals {
    mask: AtomicU64,
    /// The mask to put back once a signal was delivered (ppoll, sigsuspend); valid if the flag is set.
    saved_mask: AtomicU64,
    restore_mask: AtomicBool,
    /// For this thread alone.
    pub pending: Pending,
    /// The alternate stack.
    pub alt_stack: SpinLock<AltStack>,
    interruptible: AtomicBool,
    /// trapno, error code, cr2 of the last fault: what the frame's context shows.
    pub last_fault: [AtomicU64; 3],
}

impl ThreadSignals {
    /// Nothing blocked, nothing pending.
    pub const fn new() -> Self {
        Self {
            mask: AtomicU64::new(0),
            saved_mask: AtomicU64::new(0),
            restore_mask: AtomicBool::new(false),
            pending: Pending::new(),
            alt_stack: SpinLock::new(AltStack {
                base: 0,
                size: 0,
                flags: 0,
            }),
            interruptible: AtomicBool::new(false),
            last_fault: [const { AtomicU64::new(0) }; 3],
        }
    }

    /// As new: the thread's place is used again.
    pub fn reset(&self) {
        self.mask.store(0, Ordering::Relaxed);
        self.restore_mask.store(false, Ordering::Relaxed);
        self.interruptible.store(false, Ordering::Relaxed);
        self.pending.clear();
        *self.alt_stack.lock() = AltStack::default();
    }

    /// clone(2): the mask comes from the parent, pending signals and the alternate stack do not.
    pub fn inherit(&self, parent: &Self) {
        self.mask.store(parent.mask(), Ordering::Relaxed);
    }

    /// What is blocked.
    #[inline]
    pub fn mask(&self) -> SignalSet {
        self.mask.load(Ordering::SeqCst)
    }

    /// Blocks exactly `mask`. Only the thread itself does this; signals that are no longer blocked are then taken. Those
    /// for the process that are blocked now may have been announced to this thread alone: another is told.
    pub fn set_mask(&self, mask: SignalSet) {
        let old = self.mask.swap(mask & !UNBLOCKABLE, Ordering::SeqCst);
        self.deliverable();
        let handed_on = super::process().signals.pending.set() & mask & !UNBLOCKABLE & !old;
        if handed_on != 0 {
            notify::announce(handed_on);
        }
    }

    /// Blocks `mask` until the next signal was delivered or the call returns: see [`Self::end_temporary_mask`].
    pub fn set_temporary_mask(&self, mask: SignalSet) {
        self.saved_mask.store(self.mask(), Ordering::Relaxed);
        self.restore_mask.store(true, Ordering::Relaxed);
        self.set_mask(mask);
    }

    /// The call with a temporary mask is over. If a signal interrupted it, the mask stays until the handler's frame is
    /// built, which saves the old one.
    pub fn end_temporary_mask(&self, interrupted: bool) {
        if interrupted {
            super::set_pending();
        } else if self.restore_mask.swap(false, Ordering::Relaxed) {
            self.set_mask(self.saved_mask.load(Ordering::Relaxed));
        }
    }

    /// The mask a handler's frame shall put back.
    fn mask_for_frame(&self) -> SignalSet {
        if self.restore_mask.swap(false, Ordering::Relaxed) {
            self.saved_mask.load(Ordering::Relaxed)
        } else {
            self.mask()
        }
    }

    /// Whether the running thread has a signal to take. If so it will, on its way out: one for the process may have been
    /// announced to another thread only, and a call that returns because of it must not reach the program undelivered.
    #[inline]
    pub fn deliverable(&self) -> bool {
        let any = (self.pending.set() | super::process().signals.pending.set()) & !self.mask() != 0;
        if any {
            super::set_pending();
        }
        any
    }

    /// The thread will not take signals for a while: those for the process, which may have been announced to it alone, are
    /// announced to another.
    #[inline]
    pub fn hand_on(&self) {
        let mine = super::process().signals.pending.set() & !self.mask();
        if mine != 0 {
            notify::announce(mine);
        }
    }

    /// The thread sleeps such that a signal shall wake it.
    #[inline]
    pub fn set_interruptible(&self, on: bool) {
        self.interruptible.store(on, Ordering::SeqCst);
    }

    /// Whether it does.
    #[inline]
    pub fn interruptible(&self) -> bool {
        self.interruptible.load(Ordering::SeqCst)
    }
}

/// The process's part.
pub struct ProcessSignals {
    actions: SpinLock<[Action; MAX_SIGNAL as usize]>,
    /// For whichever thread does not block it.
    pub pending: Pending,
    /// Who waits for signals to become pending: signalfd, sigtimedwait. Woken at each arrival.
    pub arrivals: WaitQueue,
    /// Who polls signalfds. Told at each arrival.
    pub observers: PollQueue,
}

impl ProcessSignals {
    /// All default.
    pub const fn new() -> Self {
        Self {
            actions: SpinLock::new(
                [Action {
                    handler: 0,
                    flags: 0,
                    restorer: 0,
                    mask: 0,
                }; MAX_SIGNAL as usize],
            ),
            pending: Pending::new(),
            arrivals: WaitQueue::new(),
            observers: PollQueue::new(),
        }
    }

    /// The action for `signo` (1 to 64).
    pub fn action(&self, signo: i32) -> Action {
        self.actions.lock()[signo as usize - 1]
    }

    /// Sets the action. Pending signals that are ignored now are forgotten.
    pub fn set_action(&self, signo: i32, action: Action) {
        self.actions.lock()[signo as usize - 1] = action;
        if ignores(signo, &action) {
            self.pending.discard(bit(signo));
            super::thread::find(|thread| {
                thread.signals.pending.discard(bit(signo));
                false
            });
        }
    }
}

fn ignores(signo: i32, action: &Action) -> bool {
    action.handler == SIG_IGN
        || action.handler == SIG_DFL && default_action(signo) == DefaultAction::Ignore
}
