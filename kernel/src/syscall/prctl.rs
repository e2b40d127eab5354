//! prctl(2): what a thread and the process may set about themselves. Most of it is kept and told, as there is nobody else
//! in the machine whom it would concern.
use crate::memory::user;
use crate::task::{self, process};
use core::sync::atomic::{AtomicBool, Ordering};
use linux_raw_sys::prctl as pr;
use ringo_abi::{Errno, SysResult};

/// Whether others may trace the process and read its memory.
static DUMPABLE: AtomicBool = AtomicBool::new(true);
/// Whether orphans become its children.
static SUBREAPER: AtomicBool = AtomicBool::new(false);
/// PR_SET_THP_DISABLE, which huge pages here do not ask: they cost the program nothing.
static NO_HUGE_PAGES: AtomicBool = AtomicBool::new(false);

const DEFAULT_SLACK_NS: u64 = 50_000;

fn told(flag: &AtomicBool) -> SysResult {
    Ok(usize::from(flag.load(Ordering::Relaxed)))
}

fn kept(flag: &AtomicBool, value: usize) -> SysResult {
    flag.store(value != 0, Ordering::Relaxed);
    Ok(0)
}

/// prctl(2).
pub fn prctl(option: u32, a: usize, b: usize, c: usize, d: usize) -> SysResult {
    /// PR_TIMING_STATISTICAL, PR_TSC_ENABLE, PR_MCE_KILL_DEFAULT: the only ones there are here.
    const TIMING: usize = 0;
    const TSC: u32 = 1;
    const MCE: usize = 2;
    let rest = [b, c, d];
    let no_more = rest == [0; 3];
    let thread = task::current();
    match option {
        pr::PR_SET_NAME => set_name(a),
        pr::PR_GET_NAME => {
            let name = *thread.name.lock();
            user::copy_out(a, &name).map(|()| 0)
        }
        // As a kernel without CONFIG_ANON_VMA_NAME: Go then stops naming its mappings, a call for each of which it makes.
        pr::PR_SET_VMA => Err(Errno::EINVAL),
        pr::PR_SET_PDEATHSIG if a <= 64 => {
            let signal = &thread.attributes.death_signal;
            signal.store(a as i32, Ordering::Relaxed);
            Ok(0)
        }
        pr::PR_GET_PDEATHSIG => {
            let signal = thread.attributes.death_signal.load(Ordering::Relaxed);
            user::write(a, &signal).map(|()| 0)
        }
        pr::PR_GET_DUMPABLE => told(&DUMPABLE),
        pr::PR_SET_DUMPABLE if a <= 1 => kept(&DUMPABLE, a),
        pr::PR_GET_KEEPCAPS => told(&task::credentials().keep_capabilities),
        pr::PR_SET_KEEPCAPS if a <= 1 => kept(&task::credentials().keep_capabilities, a),
        pr::PR_GET_SECUREBITS => Ok(0),
        pr::PR_SET_SECUREBITS | pr::PR_CAPBSET_DROP | pr::PR_SET_MM => Err(Errno::EPERM),
        pr::PR_GET_IO_FLUSHER | pr::PR_SET_IO_FLUSHER => Err(Errno::EPERM),
        pr::PR_GET_TIMING => Ok(TIMING),
        pr::PR_SET_TIMING if a == TIMING => Ok(0),
        pr::PR_GET_TSC => user::write(a, &TSC).map(|()| 0),
        pr::PR_SET_TSC if a == TSC as usize => Ok(0),
        pr::PR_GET_TIMERSLACK => Ok(thread.attributes.timer_slack.load(Ordering::Relaxed) as usize),
        pr::PR_SET_TIMERSLACK => {
            let slack = match a as u64 {
                0 => DEFAULT_SLACK_NS,
                slack => slack,
            };
            let current = &thread.attributes.timer_slack;
            current.store(slack, Ordering::Relaxed);
            Ok(0)
        }
        pr::PR_MCE_KILL_GET if a == 0 && no_more => Ok(MCE),
        pr::PR_SET_NO_NEW_PRIVS if a == 1 && no_more => kept(&process().no_new_privileges, 1),
        pr::PR_GET_NO_NEW_PRIVS if a == 0 && no_more => told(&process().no_new_privileges),
        pr::PR_GET_SECCOMP => Ok(0),
        pr::PR_SET_THP_DISABLE if no_more => kept(&NO_HUGE_PAGES, a),
        pr::PR_GET_THP_DISABLE if a == 0 && no_more => told(&NO_HUGE_PAGES),
        pr::PR_GET_TID_ADDRESS => {
            let address = thread.clear_child_tid.load(Ordering::Relaxed);
            user::write(a, &address).map(|()| 0)
        }
        pr::PR_CAPBSET_READ if a <= 40 => Ok(0),
        pr::PR_CAP_AMBIENT => ambient(a, rest),
        pr::PR_SET_CHILD_SUBREAPER => kept(&SUBREAPER, a),
        pr::PR_GET_CHILD_SUBREAPER => {
            let on = i32::from(SUBREAPER.load(Ordering::Relaxed));
            user::write(a, &on).map(|()| 0)
        }
        _ => Err(Errno::EINVAL),
    }
}

fn set_name(at: usize) -> SysResult {
    let mut name = [0; 16];
    for (index, slot) in name[..15].iter_mut().enumerate() {
        match user::read::<u8>(at.wrapping_add(index))? {
            0 => break,
            byte => *slot = byte,
        }
    }
    *task::current().name.lock() = name;
    Ok(0)
}

/// PR_CAP_AMBIENT: there are no capabilities to hand on.
fn ambient(what: usize, [capability, ..]: [usize; 3]) -> SysResult {
    const LAST_CAPABILITY: usize = 40;
    match what as u32 {
        pr::PR_CAP_AMBIENT_CLEAR_ALL if capability == 0 => Ok(0),
        _ if capability > LAST_CAPABILITY => Err(Errno::EINVAL),
        pr::PR_CAP_AMBIENT_IS_SET | pr::PR_CAP_AMBIENT_LOWER => Ok(0),
        pr::PR_CAP_AMBIENT_RAISE => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}
