//! Open files on their way over Unix sockets (SCM_RIGHTS).
//!
//! [`Rights`] holds them while they lie in a queue. Three things a program may do with them need care:
//! - A socket may lie in the queue of one that lies in the queue of another: dropped one inside the other they would need
//!   a kernel stack without end. So a thread that drops files drops those that come to light meanwhile afterwards.
//! - Sockets may lie in each other's queues and nowhere else. Nobody can reach them then, but each keeps the others
//!   ([`collect`], as Linux's net/unix/garbage.c): a socket all of whose references are in queues lives only if one of these
//!   queues belongs to a socket that lives. Asked when a Unix socket is closed, at a cost that is shared out over the
//!   closes.
//! - They may be more than the program may have open: then only a privileged one goes on (ETOOMANYREFS).
//!
//! A connection that nobody accepted so far counts as one that lives. Locks: `GRAPH` (sleeping), `DROPPING` (a leaf);
//! both only for messages that carry files.
use crate::fs::{OpenFile, fd};
use crate::memory::frames::check_spare;
use crate::net::events::Events;
use crate::net::socket::Socket;
use crate::sync::{PoolArc, PoolWeak, SleepMutex, SlotRef, SpinLock};
use crate::task;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use ringo_abi::Errno;

/// A socket, by the address of its events.
type Id = usize;

struct Bundle {
    files: Vec<SlotRef<OpenFile>>,
    /// Its number in the graph, if there are Unix sockets among the files.
    number: Option<u64>,
    /// The next one to be dropped.
    next: Option<Box<Bundle>>,
}

/// See the module's head.
#[derive(Default)]
pub struct Rights(Option<Box<Bundle>>);

/// Files in all queues.
static IN_FLIGHT: AtomicUsize = AtomicUsize::new(0);

impl Rights {
    /// These files, on their way to the socket with `holder`'s events.
    ///
    /// # Errors
    /// ETOOMANYREFS, ENOBUFS.
    pub fn new(files: &[SlotRef<OpenFile>], holder: &Arc<Events>) -> Result<Self, Errno> {
        if files.is_empty() {
            return Ok(Self(None));
        }
        let many = IN_FLIGHT.load(Ordering::Relaxed) > fd::limit();
        if many && !task::credentials().privileged() {
            return Err(Errno::ETOOMANYREFS);
        }
        check_spare().map_err(|_| Errno::ENOBUFS)?;
        let number = GRAPH.lock().enter(files, id(holder));
        IN_FLIGHT.fetch_add(files.len(), Ordering::Relaxed);
        Ok(Self(Some(Box::new(Bundle {
            files: files.to_vec(),
            number,
            next: None,
        }))))
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Takes the files out of the queue.
    pub fn take(&mut self) -> Vec<SlotRef<OpenFile>> {
        let Some(mut bundle) = self.0.take() else {
            return Vec::new();
        };
        bundle.leave();
        core::mem::take(&mut bundle.files)
    }

    /// References to the files, which stay in the queue.
    pub fn look(&self) -> Vec<SlotRef<OpenFile>> {
        let Some(bundle) = &self.0 else {
            return Vec::new();
        };
        // Not while somebody counts references.
        let _graph = GRAPH.lock();
        bundle.files.clone()
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        if let Some(mut bundle) = self.0.take() {
            bundle.leave();
            drop_in_turn(bundle);
        }
    }
}

impl Bundle {
    fn leave(&mut self) {
        IN_FLIGHT.fetch_sub(self.files.len(), Ordering::Relaxed);
        if let Some(number) = self.number.take() {
            GRAPH.lock().leave(number);
        }
    }
}

/// A thread that drops files, and what else it has to drop.
struct Dropping {
    thread: usize,
    rest: Option<Box<Bundle>>,
}

static DROPPING: SpinLock<Vec<Dropping>> = SpinLock::new(Vec::new());

/// Drops the files now, or leaves them to the drop that this thread is in.
fn drop_in_turn(mut bundle: Box<Bundle>) {
    let thread = core::ptr::from_ref(task::current()).addr();
    let own = |dropping: &Dropping| dropping.thread == thread;
    {
        let mut all = DROPPING.lock();
        if let Some(dropping) = all.iter_mut().find(|dropping| own(dropping)) {
            bundle.next = dropping.rest.take();
            dropping.rest = Some(bundle);
            return;
        }
        all.push(Dropping { thread, rest: None });
    }
    let mut next = Some(bundle);
    while let Some(mut bundle) = next {
        bundle.files.clear();
        drop(bundle);
        let mut all = DROPPING.lock();
        next = None;
        if let Some(index) = all.iter().position(own) {
            next = all[index].rest.take();
            if let Some(bundle) = &mut next {
                all[index].rest = bundle.next.take();
            } else {
                all.swap_remove(index);
            }
        }
    }
}

/// A Unix socket that lies in queues.
struct Lying {
    file: PoolWeak<OpenFile>,
    /// In how many.
    times: usize,
}

/// Who lies in whose queue.
struct Graph {
    sockets: BTreeMap<Id, Lying>,
    /// The queue's socket and the sockets in it, by number.
    bundles: BTreeMap<u64, (Id, Vec<Id>)>,
    last: u64,
    /// Unix sockets that were closed since circles were looked for.
    closes: usize,
}

static GRAPH: SleepMutex<Graph> = SleepMutex::new(Graph {
    sockets: BTreeMap::new(),
    bundles: BTreeMap::new(),
    last: 0,
    closes: 0,
});

fn id(events: &Arc<Events>) -> Id {
    Arc::as_ptr(events).addr()
}

fn unix_socket(file: &OpenFile) -> Option<&Socket> {
    let socket = file.ops.downcast::<Socket>()?;
    socket.unix().is_some().then_some(socket)
}

impl Graph {
    fn enter(&mut self, files: &[SlotRef<OpenFile>], holder: Id) -> Option<u64> {
        let mut ids = Vec::new();
        for file in files {
            let Some(socket) = unix_socket(file) else {
                continue;
            };
            let id = id(&socket.common.events);
            ids.push(id);
            let lying = self.sockets.entry(id).or_insert_with(|| Lying {
                file: PoolArc::downgrade(file),
                times: 0,
            });
            lying.times += 1;
        }
        if ids.is_empty() {
            return None;
        }
        self.last += 1;
        self.bundles.insert(self.last, (holder, ids));
        Some(self.last)
    }

    fn leave(&mut self, number: u64) {
        let Some((_, ids)) = self.bundles.remove(&number) else {
            return;
        };
        for id in ids {
            if let Some(lying) = self.sockets.get_mut(&id) {
                lying.times -= 1;
                if lying.times == 0 {
                    self.sockets.remove(&id);
                }
            }
        }
    }

    /// Whether it is worth a look: in a circle somebody's queue belongs to one that lies in a queue itself.
    fn is_due(&mut self) -> bool {
        if self.bundles.is_empty() {
            return false;
        }
        self.closes += 1;
        if self.closes * 4 < self.bundles.len() {
            return false;
        }
        self.closes = 0;
        let mut holders = self.bundles.values().map(|(holder, _)| holder);
        holders.any(|holder| self.sockets.contains_key(holder))
    }

    /// The sockets that only such ones keep.
    fn unreachable(&self) -> Vec<SlotRef<OpenFile>> {
        let mut lost: BTreeMap<Id, SlotRef<OpenFile>> = BTreeMap::new();
        for (&id, lying) in &self.sockets {
            if let Some(file) = lying.file.upgrade()
                // Beside this one just now.
                && PoolArc::references(&file) == lying.times + 1
            {
                lost.insert(id, file);
            }
        }
        let mut by_holder: BTreeMap<Id, Vec<&[Id]>> = BTreeMap::new();
        for (holder, ids) in self.bundles.values() {
            by_holder.entry(*holder).or_default().push(ids);
        }
        // What lies in the queue of one that is not lost is not lost either.
        let mut alive: Vec<Id> = by_holder.keys().copied().collect();
        alive.retain(|holder| !lost.contains_key(holder));
        while let Some(holder) = alive.pop() {
            for ids in by_holder.remove(&holder).unwrap_or_default() {
                alive.extend(ids.iter().filter(|id| lost.remove(id).is_some()));
            }
        }
        lost.into_values().collect()
    }
}

/// A Unix socket was closed: empties the queues of those that nobody can reach any more, which then close.
pub fn collect() {
    // As a rule there are none.
    if IN_FLIGHT.load(Ordering::Relaxed) == 0 {
        return;
    }
    let lost = {
        let mut graph = GRAPH.lock();
        if !graph.is_due() || check_spare().is_err() {
            return;
        }
        graph.unreachable()
    };
    for file in &lost {
        if let Some(unix) = unix_socket(file).and_then(Socket::unix) {
            unix.empty();
        }
    }
}
