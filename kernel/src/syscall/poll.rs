//! poll(2), select(2) and their variants with a signal mask: arguments.
use super::event::with_mask;
use crate::fs::{OpenFile, PollEvents, fd, poller};
use crate::memory::spare::{self, Spare};
use crate::memory::user;
use crate::sync::SlotRef;
use crate::task;
use crate::time;
use crate::time::convert::{SECOND, deadline_of_millis, read_timespec, timespec, timeval, to_ns};
use alloc::vec::Vec;
use ringo_abi::{Errno, SysResult};

/// struct pollfd: descriptor (4 bytes), events, revents (2 each).
const POLLFD: usize = 8;
const REVENTS: usize = 6;

/// What is told without being asked for.
const ALWAYS: PollEvents = PollEvents::ERR.union(PollEvents::HUP);

/// An entry of poll(2).
struct Entry {
    /// Index in the list of open files; None for a negative descriptor or one that is not open.
    file: Option<usize>,
    wanted: PollEvents,
    found: PollEvents,
}

/// The file behind a descriptor, unless it only names one.
fn pollable(fd: i32) -> Option<SlotRef<OpenFile>> {
    fd::usable(fd).ok()
}

fn poll_until(fds: usize, count: usize, deadline: Option<u64>) -> SysResult {
    if count > fd::limit() {
        return Err(Errno::EINVAL);
    }
    let mut entries: Vec<Entry> = spare::list(count)?;
    let mut files: Vec<SlotRef<OpenFile>> = spare::list(count)?;
    let mut all = PollEvents::empty();
    for index in 0..count {
        let [number, events]: [u32; 2] = user::read(fds.wrapping_add(index * POLLFD))?;
        let number = number.cast_signed();
        let wanted = PollEvents::from_bits_retain(events & 0xffff);
        let mut entry = Entry {
            file: None,
            wanted: wanted | ALWAYS,
            found: PollEvents::empty(),
        };
        match pollable(number) {
            Some(file) => {
                entry.file = Some(files.len());
                files.push(file);
                all |= wanted;
            }
            None if number >= 0 => entry.found = PollEvents::NVAL,
            None => {}
        }
        entries.push(entry);
    }
    let result = poller::wait(&files, all, deadline, || {
        let mut ready = 0;
        for entry in &mut entries {
            if let Some(file) = entry.file.map(|index| &files[index]) {
                entry.found = file.ops.poll(file) & entry.wanted;
            }
            ready += usize::from(!entry.found.is_empty());
        }
        ready
    });
    if !user::in_range(fds, count * POLLFD) {
        // As on Linux, even where nothing is to be written.
        return Err(Errno::EFAULT);
    }
    for (index, entry) in entries.iter().enumerate() {
        let revents = entry.found.bits() as u16;
        user::write(fds.wrapping_add(index * POLLFD + REVENTS), &revents)?;
    }
    result
}

/// poll(2). One that a signal without a handler interrupted goes on to the same deadline.
pub fn poll(fds: usize, count: u32, timeout: i32) -> SysResult {
    let thread = task::current();
    let interrupted = thread.restart.take();
    let deadline = interrupted.or_else(|| deadline_of_millis(timeout));
    let result = poll_until(fds, count as usize, deadline);
    match (result, deadline) {
        (Err(Errno::ERESTARTNOHAND), Some(deadline)) => Err(thread.restart.note(deadline)),
        _ => result,
    }
}

/// Which structure a timeout is, to be written back.
#[derive(Clone, Copy)]
enum Unit {
    Timespec,
    Timeval,
}

/// A timeout in the program's memory.
#[derive(Clone, Copy)]
struct Timeout {
    at: usize,
    unit: Unit,
    deadline: Option<u64>,
}

impl Timeout {
    fn read(at: usize, unit: Unit) -> Result<Self, Errno> {
        let ns = match unit {
            _ if at == 0 => None,
            Unit::Timespec => Some(read_timespec(at)?),
            Unit::Timeval => {
                let [seconds, micros]: [i64; 2] = user::read(at)?;
                // As in Linux, a second's worth of microseconds and more is allowed.
                let seconds = seconds.saturating_add(micros / 1_000_000);
                Some(to_ns([seconds, micros % 1_000_000], 1_000_000)?)
            }
        };
        let deadline = ns.map(|ns| match ns {
            0 => 0,
            ns => time::now().saturating_add(ns),
        });
        Ok(Self { at, unit, deadline })
    }

    /// Tells the program what is left; a call that could be restarted cannot if that fails.
    fn finish(self, result: SysResult) -> SysResult {
        let Some(deadline) = self.deadline.filter(|&deadline| deadline != 0) else {
            return result;
        };
        let left = deadline.saturating_sub(time::now());
        let left = match self.unit {
            Unit::Timespec => timespec(left.min(u64::MAX - SECOND)),
            Unit::Timeval => timeval(left),
        };
        match (user::write(self.at, &left), result) {
            (Err(_), Err(Errno::ERESTARTNOHAND)) => Err(Errno::EINTR),
            (_, result) => result,
        }
    }
}

/// ppoll(2).
pub fn ppoll(fds: usize, count: u32, timeout: usize, mask: usize, size: usize) -> SysResult {
    let timeout = Timeout::read(timeout, Unit::Timespec)?;
    with_mask(mask, size, || {
        timeout.finish(poll_until(fds, count as usize, timeout.deadline))
    })
}

/// What select's three sets ask for, and what fulfils each (fs/select.c).
const SETS: [PollEvents; 3] = [
    PollEvents::from_bits_retain(
        PollEvents::RDNORM.bits() | RDBAND | PollEvents::IN.bits() | ALWAYS.bits(),
    ),
    PollEvents::from_bits_retain(
        PollEvents::WRNORM.bits() | WRBAND | PollEvents::OUT.bits() | PollEvents::ERR.bits(),
    ),
    PollEvents::PRI,
];
const RDBAND: u32 = 0x80;
const WRBAND: u32 = 0x200;

/// A descriptor in some of the sets.
struct Selected {
    number: usize,
    /// A bit a set.
    sets: u8,
    found: u8,
}

/// The sets as words; a null pointer is an empty set.
fn read_sets(at: [usize; 3], words: usize) -> Result<[Vec<u64>; 3], Errno> {
    let mut sets: [Vec<u64>; 3] = [
        spare::list(words)?,
        spare::list(words)?,
        spare::list(words)?,
    ];
    for (set, at) in sets.iter_mut().zip(at) {
        for word in 0..words {
            set.push(match at {
                0 => 0,
                at => user::read(at.wrapping_add(word * 8))?,
            });
        }
    }
    Ok(sets)
}

fn select_until(count: i32, at: [usize; 3], deadline: Option<u64>) -> SysResult {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    // What lies behind the table's end is not looked at, as in Linux.
    let count = count.min(fd::table().size());
    let words = count.div_ceil(64);
    let mut sets = read_sets(at, words)?;
    let mut selected: Vec<Selected> = Vec::new();
    let mut files: Vec<SlotRef<OpenFile>> = Vec::new();
    let mut all = PollEvents::empty();
    for number in 0..count {
        let in_set = |set: &Vec<u64>| set[number / 64] >> (number % 64) & 1;
        let bits = (0..3).fold(0u8, |bits, set| bits | (in_set(&sets[set]) as u8) << set);
        if bits == 0 {
            continue;
        }
        files.spare(1)?;
        files.push(pollable(number as i32).ok_or(Errno::EBADF)?);
        for (_, events) in members(bits) {
            all |= events;
        }
        selected.spare(1)?;
        selected.push(Selected {
            number,
            sets: bits,
            found: 0,
        });
    }
    let result = poller::wait(&files, all, deadline, || {
        let mut ready = 0;
        for (entry, file) in selected.iter_mut().zip(&files) {
            let events = file.ops.poll(file);
            entry.found = members(entry.sets)
                .filter(|(_, wanted)| events.intersects(*wanted))
                .fold(0, |found, (set, _)| found | 1 << set);
            ready += entry.found.count_ones() as usize;
        }
        ready
    })?;
    for set in &mut sets {
        set.fill(0);
    }
    for entry in &selected {
        for (set, _) in members(entry.found) {
            sets[set][entry.number / 64] |= 1 << (entry.number % 64);
        }
    }
    for (set, at) in sets.iter().zip(at).filter(|(_, at)| *at != 0) {
        for (word, value) in set.iter().enumerate() {
            user::write(at + word * 8, value)?;
        }
    }
    Ok(result)
}

/// The sets a bit mask names, with their events.
fn members(bits: u8) -> impl Iterator<Item = (usize, PollEvents)> {
    SETS.into_iter()
        .enumerate()
        .filter(move |(set, _)| bits & 1 << set != 0)
}

/// select(2).
pub fn select(
    count: i32,
    read: usize,
    write: usize,
    exceptional: usize,
    timeout: usize,
) -> SysResult {
    let timeout = Timeout::read(timeout, Unit::Timeval)?;
    timeout.finish(select_until(
        count,
        [read, write, exceptional],
        timeout.deadline,
    ))
}

/// pselect6(2): the mask and its size lie in memory.
pub fn pselect6(
    count: i32,
    read: usize,
    write: usize,
    exceptional: usize,
    timeout: usize,
    mask: usize,
) -> SysResult {
    let [mask, size]: [usize; 2] = if mask == 0 { [0, 0] } else { user::read(mask)? };
    let timeout = Timeout::read(timeout, Unit::Timespec)?;
    with_mask(mask, size, || {
        timeout.finish(select_until(
            count,
            [read, write, exceptional],
            timeout.deadline,
        ))
    })
}
