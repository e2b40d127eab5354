//! epoll(7).
//!
//! An [`Item`] observes one open file for one epoll instance. When the file tells of an event the item asked for, it
//! puts itself on the instance's ready list and wakes one waiter; a wait looks only at that list, so its cost is that of
//! the ready items, whatever the number of those watched.
//!
//! An item ends with its open file: the file drops it from its queue ([`Watches`]) and leaves the key behind, which the
//! instance forgets at its next call. Nothing keeps the file alive meanwhile.
//! - ready.rs: the ready list. nesting.rs: instances that watch instances.
//!
//! Locks: NESTING (only to add an instance to an instance), `interest` (sleeping; held through a wait's scan, so that
//! EPOLL_CTL_MOD is one step for it), the file's PollQueue, `ready`. Adding A to B takes B's `interest` before A's.
mod nesting;
mod ready;

use super::poll::Observer;
use super::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon};
use crate::memory::spare::Spare;
use crate::memory::{frames, user};
use crate::sync::{PoolArc, PoolWeak, SleepMutex, SlotRef, SpinLock, Wait};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use linux_raw_sys::general as abi;
use nesting::NESTING;
use ready::Core;
use ringo_abi::{Errno, SysResult};

const ET: u32 = abi::EPOLLET;
const ONESHOT: u32 = abi::EPOLLONESHOT;
const WAKEUP: u32 = abi::EPOLLWAKEUP;
const EXCLUSIVE: u32 = abi::EPOLLEXCLUSIVE;
/// What is no event but a way to report events. An item with nothing else is disabled (EPOLLONESHOT fired).
const MODES: u32 = ET | ONESHOT | WAKEUP | EXCLUSIVE;
/// Told without being asked for.
const ALWAYS: u32 = abi::EPOLLERR | abi::EPOLLHUP;
/// What may stand beside EPOLLEXCLUSIVE.
const EXCLUSIVE_OK: u32 = abi::EPOLLIN | abi::EPOLLOUT | ALWAYS | WAKEUP | ET | EXCLUSIVE;
/// struct epoll_event, packed.
const EVENT_SIZE: usize = 12;

/// What an item is found by: descriptor and open file, as on Linux.
type Key = (i32, usize);

/// One file watched by one instance.
pub struct Item {
    me: Weak<Item>,
    core: Arc<Core>,
    file: PoolWeak<OpenFile>,
    key: Key,
    events: AtomicU32,
    data: AtomicU64,
    /// In the ready list; changed under its lock.
    listed: AtomicBool,
    /// Its file is gone, or is not watched any more; changed under the list's lock.
    ended: AtomicBool,
}

impl Item {
    /// What the file is ready for of what was asked. None when the file is gone.
    fn poll(&self) -> Option<u32> {
        let events = self.events.load(Ordering::Relaxed);
        let file = self.file.upgrade()?;
        Some(file.ops.poll(&file).bits() & events & !MODES)
    }

    fn list(&self) {
        if let Some(me) = self.me.upgrade() {
            self.core.push(me);
        }
    }
}

impl Observer for Item {
    fn notify(&self, events: PollEvents) {
        let wanted = self.events.load(Ordering::Relaxed);
        if wanted & !MODES == 0 || (!events.is_empty() && events.bits() & wanted == 0) {
            return;
        }
        if !self.listed.load(Ordering::SeqCst) {
            self.list();
        }
        self.core.announce();
    }
}

/// The items that watch one open file; dropped with it.
#[derive(Default)]
pub struct Watches {
    items: SpinLock<Vec<Arc<Item>>>,
    any: AtomicBool,
}

impl Watches {
    /// None.
    pub const fn new() -> Self {
        Self {
            items: SpinLock::new(Vec::new()),
            any: AtomicBool::new(false),
        }
    }

    fn add(&self, item: Arc<Item>) -> Result<(), Errno> {
        let mut items = self.items.lock();
        items.spare(1)?;
        items.push(item);
        self.any.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn remove(&self, item: &Arc<Item>) {
        self.items.lock().retain(|other| !Arc::ptr_eq(other, item));
    }

    /// The open file is gone.
    pub fn end(&self, ops: &dyn FileOps) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        for item in core::mem::take(&mut *self.items.lock()) {
            let core = item.core.clone();
            let key = item.key;
            core.end_item(&item);
            unobserve(ops, item);
            core.note_ended(key);
        }
    }
}

fn unobserve(ops: &dyn FileOps, item: Arc<Item>) {
    if let Some(queue) = ops.poll_queue() {
        let observer: Arc<dyn Observer> = item;
        queue.forget(&observer);
    }
}

/// An instance.
pub struct Epoll {
    core: Arc<Core>,
    interest: SleepMutex<BTreeMap<Key, Arc<Item>>>,
}

/// What EPOLL_CTL_ADD and _MOD are given.
#[derive(Clone, Copy)]
pub struct Request {
    /// EPOLL*.
    pub events: u32,
    /// Given back with the events.
    pub data: u64,
}

impl Epoll {
    /// An instance that watches nothing.
    pub fn new() -> Self {
        Self {
            core: Arc::new(Core::new()),
            interest: SleepMutex::new(BTreeMap::new()),
        }
    }

    /// Forgets the items whose files are gone.
    fn bury(&self, interest: &mut BTreeMap<Key, Arc<Item>>) {
        while let Some(key) = self.core.take_ended() {
            // The key may stand for a new file already.
            if interest
                .get(&key)
                .is_some_and(|item| item.ended.load(Ordering::SeqCst))
            {
                interest.remove(&key);
            }
        }
    }

    /// EPOLL_CTL_ADD.
    ///
    /// # Errors
    /// EEXIST, EPERM for files that are always ready, EINVAL, ELOOP, ENOMEM.
    pub fn add(&self, fd: i32, file: &SlotRef<OpenFile>, request: Request) -> Result<(), Errno> {
        let queue = file.ops.poll_queue().ok_or(Errno::EPERM)?;
        frames::check_spare()?;
        let inner = file.ops.downcast::<Epoll>();
        if request.events & EXCLUSIVE != 0
            && (inner.is_some() || request.events & !EXCLUSIVE_OK != 0)
        {
            return Err(Errno::EINVAL);
        }
        // Only adding an instance can close a circle; adds to it meanwhile must not.
        let _nesting = inner.map(|_| NESTING.lock());
        if let Some(inner) = inner {
            nesting::check(self, inner)?;
        }
        let mut interest = self.interest.lock();
        self.bury(&mut interest);
        let key = (fd, PoolArc::id(file));
        if interest.contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        self.core.make_room(interest.len() + 1)?;
        let item = Arc::new_cyclic(|me| Item {
            me: me.clone(),
            core: self.core.clone(),
            file: PoolArc::downgrade(file),
            key,
            events: AtomicU32::new(request.events | ALWAYS),
            data: AtomicU64::new(request.data),
            listed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        file.watches.add(item.clone())?;
        if let Err(errno) = queue.observe(item.clone()) {
            file.watches.remove(&item);
            return Err(errno);
        }
        interest.insert(key, item.clone());
        self.list_if_ready(&item);
        Ok(())
    }

    fn list_if_ready(&self, item: &Arc<Item>) {
        if item.poll().is_some_and(|events| events != 0) {
            self.core.push(item.clone());
            self.core.announce();
        }
    }

    /// EPOLL_CTL_MOD.
    ///
    /// # Errors
    /// ENOENT; EINVAL with or for EPOLLEXCLUSIVE.
    pub fn modify(&self, fd: i32, file: &SlotRef<OpenFile>, request: Request) -> Result<(), Errno> {
        let mut interest = self.interest.lock();
        self.bury(&mut interest);
        let item = interest
            .get(&(fd, PoolArc::id(file)))
            .ok_or(Errno::ENOENT)?;
        if (request.events | item.events.load(Ordering::Relaxed)) & EXCLUSIVE != 0 {
            return Err(Errno::EINVAL);
        }
        item.data.store(request.data, Ordering::Relaxed);
        // Before the file is asked: an event from here on finds the new mask.
        item.events.store(request.events | ALWAYS, Ordering::SeqCst);
        self.list_if_ready(item);
        Ok(())
    }

    /// EPOLL_CTL_DEL.
    ///
    /// # Errors
    /// ENOENT.
    pub fn remove(&self, fd: i32, file: &SlotRef<OpenFile>) -> Result<(), Errno> {
        let mut interest = self.interest.lock();
        self.bury(&mut interest);
        let item = interest
            .remove(&(fd, PoolArc::id(file)))
            .ok_or(Errno::ENOENT)?;
        self.detach(file, item);
        Ok(())
    }

    /// Takes an item off its living file.
    fn detach(&self, file: &OpenFile, item: Arc<Item>) {
        self.core.end_item(&item);
        file.watches.remove(&item);
        unobserve(&*file.ops, item);
    }

    /// Waits until there are events or the deadline (ns since boot; 0: does not wait) passes, and writes at most `max`
    /// of them at `to`.
    ///
    /// # Errors
    /// EINTR, EFAULT.
    pub fn wait(&self, to: usize, max: usize, deadline: Option<u64>) -> SysResult {
        loop {
            if self.core.has_ready() {
                let count = self.scan(to, max)?;
                if count > 0 {
                    return Ok(count);
                }
            }
            if deadline == Some(0) {
                return Ok(0);
            }
            let how = Wait::interruptible().deadline(deadline);
            match self
                .core
                .waiters
                .wait_until(how, || self.core.has_ready().then_some(()))
            {
                Ok(()) => {}
                Err(Errno::ETIMEDOUT) => return Ok(0),
                Err(_) => return Err(Errno::EINTR),
            }
        }
    }

    /// Reports what is ready; each listed item is looked at once.
    fn scan(&self, to: usize, max: usize) -> SysResult {
        let mut interest = self.interest.lock();
        self.bury(&mut interest);
        let mut count = 0;
        let mut result = Ok(());
        for _ in 0..self.core.ready_count() {
            if count == max {
                break;
            }
            let Some(item) = self.core.pop() else {
                break;
            };
            if item.ended.load(Ordering::SeqCst) {
                continue;
            }
            let Some(events) = item.poll().filter(|&events| events != 0) else {
                continue;
            };
            let mut event = [0; EVENT_SIZE];
            event[..4].copy_from_slice(&events.to_ne_bytes());
            event[4..].copy_from_slice(&item.data.load(Ordering::Relaxed).to_ne_bytes());
            result = user::copy_out(to.wrapping_add(count * EVENT_SIZE), &event);
            if result.is_err() {
                self.core.push(item);
                break;
            }
            count += 1;
            let mode = item.events.load(Ordering::Relaxed);
            if mode & ONESHOT != 0 {
                item.events.store(mode & MODES, Ordering::SeqCst);
            } else if mode & ET == 0 {
                self.core.push(item);
            }
        }
        drop(interest);
        // For whoever waits beside this thread: level-triggered items and those beyond `max`.
        if self.core.has_ready() {
            self.core.waiters.wake_one();
        }
        match result {
            Err(errno) if count == 0 => Err(errno),
            _ => Ok(count),
        }
    }
}

impl FileOps for Epoll {
    fn reads(&self) -> bool {
        false
    }

    fn writes(&self) -> bool {
        false
    }

    /// It has requests of its own since 6.9, none of them provided.
    fn ioctl(&self, _file: &OpenFile, _request: u32, _argument: usize) -> SysResult {
        Err(Errno::EINVAL)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        let _interest = self.interest.lock();
        for _ in 0..self.core.ready_count() {
            let Some(item) = self.core.pop() else {
                break;
            };
            if !item.ended.load(Ordering::SeqCst) && item.poll().is_some_and(|events| events != 0) {
                self.core.push(item);
                return PollEvents::IN | PollEvents::RDNORM;
            }
        }
        PollEvents::empty()
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(&self.core.queue)
    }

    /// As noop_llseek in Linux.
    fn seek(&self, _file: &OpenFile, _offset: i64, _whence: u32) -> SysResult {
        Ok(0)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(anon::stat())
    }

    fn release(&self, _file: &OpenFile) {
        let items = core::mem::take(&mut *self.interest.lock());
        self.core.close();
        for item in items.into_values() {
            // If the file is just ending, it takes the item off itself.
            if let Some(file) = item.file.upgrade() {
                self.detach(&file, item);
            }
        }
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:[eventpoll]".to_vec()
    }
}
