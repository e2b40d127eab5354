//! inotify(7): a queue of what happens to the files that an instance watches.
//!
//! A [`Watch`] belongs to an inode's list (notify.rs) and to its instance, and holds the inode; it ends when it is removed,
//! when its instance or its inode ends, or after one event with IN_ONESHOT. Nothing is queued for a watch after its
//! IN_IGNORED. An event equal to the last one in the queue is dropped, and too many are one IN_Q_OVERFLOW, as on Linux.
//! Locks: the instance's watches, then an inode's list; the queue, then its poll queue.
use super::inode::Inode;
use super::{FileOps, OpenFile, PollEvents, PollQueue, Stat, anon, file, notify};
use crate::memory::spare::Spare;
use crate::memory::user::{self, UserIo};
use crate::sync::{SpinLock, Wait, WaitQueue};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use linux_raw_sys::general as abi;
use linux_raw_sys::ioctl::FIONREAD;
use ringo_abi::{Errno, SysResult};

/// /proc/sys/fs/inotify/max_queued_events, max_user_instances and max_user_watches.
pub const MAX_QUEUED: usize = 16384;
/// See above.
pub const MAX_INSTANCES: usize = 128;
/// See above.
pub const MAX_WATCHES: usize = 65536;

/// struct inotify_event without the name; names are padded to multiples of it.
const HEADER: usize = 16;
/// The bits a mask may have.
const KNOWN: u32 = abi::IN_ALL_EVENTS
    | abi::IN_UNMOUNT
    | abi::IN_Q_OVERFLOW
    | abi::IN_IGNORED
    | abi::IN_ONLYDIR
    | abi::IN_DONT_FOLLOW
    | abi::IN_EXCL_UNLINK
    | abi::IN_MASK_CREATE
    | abi::IN_MASK_ADD
    | abi::IN_ISDIR
    | abi::IN_ONESHOT;
/// The bits a watch keeps.
const KEPT: u32 = abi::IN_ALL_EVENTS | abi::IN_EXCL_UNLINK | abi::IN_ONESHOT;

static INSTANCES: AtomicUsize = AtomicUsize::new(0);
static WATCHES: AtomicUsize = AtomicUsize::new(0);

#[derive(PartialEq, Eq)]
struct Event {
    watch: i32,
    mask: u32,
    cookie: u32,
    name: Box<[u8]>,
}

impl Event {
    /// Bytes of the name as it is read: zero-terminated and padded.
    fn name_size(&self) -> usize {
        match self.name.len() {
            0 => 0,
            length => (length + 1).next_multiple_of(HEADER),
        }
    }

    fn size(&self) -> usize {
        HEADER + self.name_size()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        for word in [
            self.watch.cast_unsigned(),
            self.mask,
            self.cookie,
            self.name_size() as u32,
        ] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(&self.name);
        bytes.resize(self.size(), 0);
        bytes
    }
}

/// The part of an instance that watches refer to.
struct Core {
    queue: SpinLock<VecDeque<Event>>,
    readers: WaitQueue,
    poll: PollQueue,
    watches: SpinLock<Table>,
}

struct Table {
    by_number: BTreeMap<i32, Arc<Watch>>,
    last: i32,
}

impl Core {
    /// Queues an event, if `allowed` says so under the queue's lock.
    fn push(&self, event: Event, allowed: impl FnOnce() -> bool) {
        let mut queue = self.queue.lock();
        if !allowed() || queue.back() == Some(&event) {
            return;
        }
        let overflow = || Event {
            watch: -1,
            mask: abi::IN_Q_OVERFLOW,
            cookie: 0,
            name: Box::default(),
        };
        // One place is kept for the last of these.
        if queue.len() < MAX_QUEUED && queue.spare(2).is_ok() {
            queue.push_back(event);
        } else if queue
            .back()
            .is_none_or(|last| last.mask != abi::IN_Q_OVERFLOW)
            && queue.len() < queue.capacity()
        {
            queue.push_back(overflow());
        } else {
            return;
        }
        drop(queue);
        self.readers.wake_one();
        self.poll.notify(PollEvents::IN | PollEvents::RDNORM);
    }

    fn is_empty(&self) -> bool {
        self.queue.lock().is_empty()
    }
}

/// One inode watched by one instance.
pub struct Watch {
    core: Arc<Core>,
    number: i32,
    inode: Arc<Inode>,
    mask: AtomicU32,
    /// Hears no more. Changed and looked at under the queue's lock: nothing follows IN_IGNORED.
    over: AtomicBool,
    /// IN_ONESHOT had its event.
    fired: AtomicBool,
}

impl Watch {
    /// IN_EXCL_UNLINK.
    pub fn excludes_unlinked(&self) -> bool {
        self.mask.load(Ordering::Relaxed) & abi::IN_EXCL_UNLINK != 0
    }

    /// Queues the event if it was asked for.
    pub fn event(&self, mask: u32, cookie: u32, name: &[u8]) {
        let wanted = self.mask.load(Ordering::Relaxed);
        if wanted & mask & abi::IN_ALL_EVENTS == 0 {
            return;
        }
        let event = Event {
            watch: self.number,
            mask,
            cookie,
            name: name.into(),
        };
        if wanted & abi::IN_ONESHOT != 0 {
            if !self.fired.swap(true, Ordering::AcqRel) {
                self.core.push(event, || !self.over());
                self.end(true);
            }
            return;
        }
        self.core.push(event, || !self.over());
    }

    fn over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Ends the watch, and tells so.
    pub fn end(&self, tells: bool) {
        let mut first = false;
        let ignored = Event {
            watch: self.number,
            mask: abi::IN_IGNORED,
            cookie: 0,
            name: Box::default(),
        };
        self.core.push(ignored, || {
            first = !self.over.swap(true, Ordering::AcqRel);
            first && tells
        });
        if first {
            let entry = self.core.watches.lock().by_number.remove(&self.number);
            self.inode.watchers.remove(self);
            WATCHES.fetch_sub(1, Ordering::Relaxed);
            // This may be the last reference but the caller's.
            drop(entry);
        }
    }
}

/// An instance.
pub struct Inotify {
    core: Arc<Core>,
}

impl Inotify {
    /// One that watches nothing.
    ///
    /// # Errors
    /// EMFILE when there are too many.
    pub fn new() -> Result<Self, Errno> {
        if INSTANCES.fetch_add(1, Ordering::Relaxed) >= MAX_INSTANCES {
            INSTANCES.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::EMFILE);
        }
        Ok(Self {
            core: Arc::new(Core {
                queue: SpinLock::new(VecDeque::new()),
                readers: WaitQueue::new(),
                poll: PollQueue::new(),
                watches: SpinLock::new(Table {
                    by_number: BTreeMap::new(),
                    last: 0,
                }),
            }),
        })
    }

    /// Checks what inotify_add_watch(2) was given, before the path is looked at.
    ///
    /// # Errors
    /// EINVAL.
    pub fn check_mask(mask: u32) -> Result<(), Errno> {
        const BOTH: u32 = abi::IN_MASK_ADD | abi::IN_MASK_CREATE;
        if mask & BOTH == BOTH {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// Whether the mask asks for anything, which Linux looks at first.
    ///
    /// # Errors
    /// EINVAL.
    pub fn check_events(mask: u32) -> Result<(), Errno> {
        if mask & KNOWN == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// Watches the inode, or changes what is watched of it; gives the watch's number.
    ///
    /// # Errors
    /// EEXIST, ENOSPC.
    pub fn watch(&self, inode: &Arc<Inode>, mask: u32) -> SysResult {
        let mut table = self.core.watches.lock();
        let ours = |watch: &&Arc<Watch>| Arc::ptr_eq(&watch.core, &self.core) && !watch.over();
        let of_inode = inode.watchers.snapshot();
        let existing = of_inode.iter().find(ours);
        if let Some(watch) = existing {
            if mask & abi::IN_MASK_CREATE != 0 {
                return Err(Errno::EEXIST);
            }
            if mask & abi::IN_MASK_ADD != 0 {
                watch.mask.fetch_or(mask & KEPT, Ordering::Relaxed);
            } else {
                watch.mask.store(mask & KEPT, Ordering::Relaxed);
            }
            return Ok(watch.number as usize);
        }
        if WATCHES.fetch_add(1, Ordering::Relaxed) >= MAX_WATCHES {
            WATCHES.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::ENOSPC);
        }
        let mut number = table.last;
        loop {
            number = number.checked_add(1).unwrap_or(1);
            if !table.by_number.contains_key(&number) {
                break;
            }
        }
        table.last = number;
        let watch = Arc::new(Watch {
            core: self.core.clone(),
            number,
            inode: inode.clone(),
            mask: AtomicU32::new(mask & KEPT),
            over: AtomicBool::new(false),
            fired: AtomicBool::new(false),
        });
        table.by_number.insert(number, watch.clone());
        inode.watchers.add(watch);
        drop(table);
        notify::mark_entries(inode);
        Ok(number as usize)
    }

    /// inotify_rm_watch(2).
    ///
    /// # Errors
    /// EINVAL.
    pub fn forget(&self, number: i32) -> SysResult {
        let watch = self.core.watches.lock().by_number.get(&number).cloned();
        watch.ok_or(Errno::EINVAL)?.end(true);
        Ok(0)
    }

    /// The first event, if it fits into `room` bytes.
    fn take(&self, room: usize) -> Option<Result<Event, Errno>> {
        let mut queue = self.core.queue.lock();
        if queue.front()?.size() > room {
            return Some(Err(Errno::EINVAL));
        }
        queue.pop_front().map(Ok)
    }
}

impl FileOps for Inotify {
    fn call_flags(&self, _writes: bool) -> u32 {
        file::LOOP_FLAGS
    }

    fn read(&self, file: &OpenFile, io: &mut UserIo, _offset: Option<u64>) -> SysResult {
        let mut next = self.take(io.remaining());
        if next.is_none() {
            if file.nonblocking() {
                return Err(Errno::EAGAIN);
            }
            let room = io.remaining();
            next = Some(
                self.core
                    .readers
                    .wait_until(Wait::interruptible(), || self.take(room))?,
            );
        }
        let mut done = 0;
        while let Some(event) = next {
            let event = match event {
                Ok(event) => event.encode(),
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            };
            if io.copy_out(&event)? < event.len() {
                return Err(Errno::EFAULT);
            }
            done += event.len();
            next = self.take(io.remaining());
        }
        if !self.core.is_empty() {
            self.core.readers.wake_one();
        }
        Ok(done)
    }

    fn poll(&self, _file: &OpenFile) -> PollEvents {
        if self.core.is_empty() {
            PollEvents::empty()
        } else {
            PollEvents::IN | PollEvents::RDNORM
        }
    }

    fn poll_queue(&self) -> Option<&PollQueue> {
        Some(&self.core.poll)
    }

    fn ioctl(&self, _file: &OpenFile, request: u32, argument: usize) -> SysResult {
        match request {
            FIONREAD => {
                let bytes: usize = self.core.queue.lock().iter().map(Event::size).sum();
                user::write(argument, &(bytes as u32)).map(|()| 0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn seek(&self, _file: &OpenFile, _offset: i64, _whence: u32) -> SysResult {
        Ok(0)
    }

    fn stat(&self) -> Result<Stat, Errno> {
        Ok(anon::stat())
    }

    fn release(&self, _file: &OpenFile) {
        let watches: Vec<Arc<Watch>> = self
            .core
            .watches
            .lock()
            .by_number
            .values()
            .cloned()
            .collect();
        for watch in watches {
            watch.end(false);
        }
        INSTANCES.fetch_sub(1, Ordering::Relaxed);
    }

    fn name(&self) -> Vec<u8> {
        b"anon_inode:inotify".to_vec()
    }
}
