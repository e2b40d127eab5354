//! Clocks and sleeping: arguments.
use crate::memory::user;
use crate::task::{self, process};
use crate::time;
use crate::time::clocks::Clock;
use crate::time::convert::{SECOND, read_timespec, timespec, timeval};
use ringo_abi::{Errno, SysResult};

const TIMER_ABSTIME: i32 = 1;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_THREAD_CPUTIME_ID: i32 = 3;

/// clock_gettime(2).
pub fn clock_gettime(clock: i32, at: usize) -> SysResult {
    let ns = Clock::from_number(clock)?.now();
    user::write(at, &timespec(ns)).map(|()| 0)
}

/// clock_getres(2).
pub fn clock_getres(clock: i32, at: usize) -> SysResult {
    Clock::from_number(clock)?;
    if at != 0 {
        user::write(at, &timespec(Clock::resolution(clock)))?;
    }
    Ok(0)
}

/// clock_settime(2): the host's clock is the clock.
pub fn clock_settime(clock: i32, at: usize) -> SysResult {
    let clock = Clock::from_number(clock)?;
    read_timespec(at)?;
    match clock {
        Clock::Wall => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

/// gettimeofday(2).
pub fn gettimeofday(tv: usize, tz: usize) -> SysResult {
    if tv != 0 {
        user::write(tv, &timeval(time::realtime()))?;
    }
    if tz != 0 {
        user::write(tz, &[0u32; 2])?;
    }
    Ok(0)
}

/// settimeofday(2).
pub fn settimeofday(_tv: usize, _tz: usize) -> SysResult {
    Err(Errno::EPERM)
}

/// time(2).
pub fn time(at: usize) -> SysResult {
    let seconds = time::realtime() / SECOND;
    if at != 0 {
        user::write(at, &seconds)?;
    }
    Ok(seconds as usize)
}

/// adjtimex(2): the clock is not adjusted here.
pub fn adjtimex(buf: usize) -> SysResult {
    clock_adjtime(0, buf)
}

/// clock_adjtime(2).
pub fn clock_adjtime(clock: i32, buf: usize) -> SysResult {
    /// sizeof(struct timex), and TIME_ERROR: not synchronised (by us).
    const SIZE: usize = 208;
    const TIME_ERROR: usize = 5;
    const STA_UNSYNC: i32 = 0x40;
    const TICK_US: i64 = 10_000;
    if clock != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let modes: u32 = user::read(buf)?;
    if modes != 0 {
        return Err(Errno::EPERM);
    }
    let mut timex = [0u8; SIZE];
    timex[40..44].copy_from_slice(&STA_UNSYNC.to_ne_bytes());
    let [seconds, micros] = timeval(time::realtime());
    timex[72..80].copy_from_slice(&seconds.to_ne_bytes());
    timex[80..88].copy_from_slice(&micros.to_ne_bytes());
    timex[88..96].copy_from_slice(&TICK_US.to_ne_bytes());
    user::copy_out(buf, &timex)?;
    Ok(TIME_ERROR)
}

/// nanosleep(2).
pub fn nanosleep(request: usize, left: usize) -> SysResult {
    clock_nanosleep(CLOCK_MONOTONIC, 0, request, left)
}

/// clock_nanosleep(2). A sleep that a signal without a handler interrupted goes on to the same deadline.
pub fn clock_nanosleep(clock: i32, flags: i32, request: usize, left: usize) -> SysResult {
    if clock < 0 {
        // A process's or a thread's: whose comes to light only after the time was looked at.
        read_timespec(request)?;
    }
    let by = Clock::for_timer(clock)?;
    // A thread cannot wait for its own time to pass.
    if clock == CLOCK_THREAD_CPUTIME_ID {
        return Err(Errno::EOPNOTSUPP);
    }
    let time = read_timespec(request)?;
    let thread = task::current();
    let absolute = flags & TIMER_ABSTIME != 0;
    let until = match thread.restart.take() {
        None if absolute => time,
        None => by.now().saturating_add(time),
        Some(interrupted) => interrupted,
    };
    loop {
        match task::sleep_until(by.to_boot(until)) {
            // A CPU clock runs no faster than this, but may be slower.
            Ok(()) if by.now() >= until => return Ok(0),
            Ok(()) => {}
            Err(_) if absolute => return Err(Errno::ERESTARTNOHAND),
            Err(_) => {
                if left != 0 {
                    user::write(left, &timespec(until.saturating_sub(by.now())))?;
                }
                return Err(thread.restart.note(until));
            }
        }
    }
}

/// times(2), in ticks of 10 ms.
pub fn times(at: usize) -> SysResult {
    const TICK: u64 = 10_000_000;
    if at != 0 {
        // All of it counts as the program's own.
        user::write(at, &[process().cpu_time() / TICK, 0, 0, 0])?;
    }
    Ok((time::now() / TICK) as usize)
}
