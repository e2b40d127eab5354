//! Timers: arguments.
use crate::fs::timerfd::TimerFd;
use crate::fs::{OpenFile, fd};
use crate::memory::user;
use crate::task::signal::MAX_SIGNAL;
use crate::task::thread;
use crate::time::clocks::Clock;
use crate::time::convert::{SECOND, timeval, to_ns};
use crate::time::interval::{Setting, read_itimerspec, write_itimerspec};
use crate::time::posix::{self, Notify};
use alloc::sync::Arc;
use linux_raw_sys::general as abi;
use ringo_abi::{Errno, SysResult};

const MICROS: u64 = 1_000_000;
const TIMER_ABSTIME: i32 = 1;

fn write_itimerval(at: usize, setting: Setting) -> Result<(), Errno> {
    // What is left of a microsecond is a microsecond: not "disarmed".
    let first = setting.first.div_ceil(1000) * 1000;
    user::write(at, &[timeval(setting.interval), timeval(first)])
}

/// getitimer(2).
pub fn getitimer(which: u32, at: usize) -> SysResult {
    write_itimerval(at, posix::itimer(which)?.left()).map(|()| 0)
}

/// setitimer(2).
pub fn setitimer(which: u32, new: usize, old: usize) -> SysResult {
    let setting = if new == 0 {
        Setting::default()
    } else {
        let [is, ius, fs, fus]: [i64; 4] = user::read(new)?;
        Setting {
            interval: to_ns([is, ius], MICROS)?,
            first: to_ns([fs, fus], MICROS)?,
        }
    };
    let before = posix::itimer(which)?.set(setting, false, || ());
    if old != 0 {
        write_itimerval(old, before)?;
    }
    Ok(0)
}

/// alarm(2): gives the seconds that were left, to the nearest, but not 0 while there was an alarm.
pub fn alarm(seconds: u32) -> SysResult {
    let setting = Setting {
        first: u64::from(seconds) * SECOND,
        interval: 0,
    };
    let before = posix::itimer(0)?.set(setting, false, || ());
    let rounded = before.first.saturating_add(SECOND / 2) / SECOND;
    Ok(rounded.max(u64::from(before.first > 0)) as usize)
}

/// struct sigevent's head: value, signal, kind, thread.
fn parse_event(event: [u64; 8]) -> Result<(Notify, u64), Errno> {
    let [value, signal_kind, tid, ..] = event;
    let (signo, kind) = (signal_kind as i32, (signal_kind >> 32) as u32);
    let notify = match kind {
        abi::SIGEV_NONE => return Ok((Notify::Nothing, value)),
        abi::SIGEV_SIGNAL | abi::SIGEV_THREAD => Notify::Process(signo),
        abi::SIGEV_THREAD_ID if thread::by_tid(tid as i32).is_some() => {
            Notify::Thread(tid as i32, signo)
        }
        _ => return Err(Errno::EINVAL),
    };
    if (1..=MAX_SIGNAL).contains(&signo) {
        Ok((notify, value))
    } else {
        Err(Errno::EINVAL)
    }
}

/// timer_create(2).
pub fn timer_create(clock: i32, event: usize, id: usize) -> SysResult {
    // struct sigevent is 64 bytes, all of which must be there.
    let event: Option<[u64; 8]> = match event {
        0 => None,
        at => Some(user::read(at)?),
    };
    let clock = Clock::for_timer(clock)?;
    let event = event.map(parse_event).transpose()?;
    let made = posix::create(clock, event)?;
    if let Err(errno) = user::write(id, &made) {
        posix::delete(made)?;
        return Err(errno);
    }
    Ok(0)
}

/// timer_settime(2).
pub fn timer_settime(id: i32, flags: i32, new: usize, old: usize) -> SysResult {
    if new == 0 {
        return Err(Errno::EINVAL);
    }
    let setting = read_itimerspec(new)?;
    let before = posix::find(id)?.set(setting, flags & TIMER_ABSTIME != 0);
    if old != 0 {
        write_itimerspec(old, before)?;
    }
    Ok(0)
}

/// timer_gettime(2).
pub fn timer_gettime(id: i32, at: usize) -> SysResult {
    write_itimerspec(at, posix::find(id)?.left()).map(|()| 0)
}

/// timer_getoverrun(2).
pub fn timer_getoverrun(id: i32) -> SysResult {
    Ok(posix::find(id)?.overrun() as usize)
}

/// timer_delete(2).
pub fn timer_delete(id: i32) -> SysResult {
    posix::delete(id).map(|()| 0)
}

/// timerfd_create(2).
pub fn timerfd_create(clock: u32, flags: u32) -> SysResult {
    let usable = matches!(
        clock,
        abi::CLOCK_REALTIME | abi::CLOCK_MONOTONIC | abi::CLOCK_BOOTTIME
    );
    if flags & !(abi::O_NONBLOCK | abi::O_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if matches!(clock, abi::CLOCK_REALTIME_ALARM | abi::CLOCK_BOOTTIME_ALARM) {
        return Err(Errno::EPERM);
    }
    if !usable {
        return Err(Errno::EINVAL);
    }
    let ops = Arc::new(TimerFd::new(Clock::from_number(clock as i32)?));
    let file = OpenFile::new(ops, abi::O_RDWR | flags & abi::O_NONBLOCK);
    fd::install(file, flags & abi::O_CLOEXEC != 0).map(|fd| fd as usize)
}

/// timerfd_settime(2).
pub fn timerfd_settime(fd: i32, flags: u32, new: usize, old: usize) -> SysResult {
    const ABSTIME: u32 = 1;
    const CANCEL_ON_SET: u32 = 2;
    let setting = read_itimerspec(new)?;
    if flags & !(ABSTIME | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = fd::usable(fd)?;
    let timer = file.ops.downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    let before = timer.set(setting, flags & ABSTIME != 0);
    if old != 0 {
        write_itimerspec(old, before)?;
    }
    Ok(0)
}

/// timerfd_gettime(2).
pub fn timerfd_gettime(fd: i32, at: usize) -> SysResult {
    let file = fd::usable(fd)?;
    let timer = file.ops.downcast::<TimerFd>().ok_or(Errno::EINVAL)?;
    write_itimerspec(at, timer.left()).map(|()| 0)
}
