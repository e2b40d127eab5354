//! What the program leaves to the host (`--write`): at its end everything that it made or changed below the places that the
//! command named is sent over the control port ([`Kept`]).
//!
//! Changed is what does not stand for a file of the host as that is (`Inode::is_pristine`), or, where nothing lies below,
//! what has a change time after the program's start. A directory of the host's that was moved is sent as a whole. What was
//! removed is not told: nothing on the host goes away. Files written elsewhere are counted if the command wants to know.
//!
//! Runs once, on the thread that ends the program; it may block (pages of the host's are fetched). Costs: a look at every
//! name the kernel knows below the places, a copy of what changed.
use super::Dentry;
use super::inode::{Content, Inode, Link};
use super::ram::FileData;
use super::tree;
use super::walk::{How, walk};
use crate::drivers::control;
use crate::memory::user;
use alloc::sync::Arc;
use alloc::vec::Vec;
use ringo_abi::Errno;
use ringo_bundle::{Config, Flags, Strings};
use ringo_control::{Kept, PIECE, Place, ToHost};
use spin::Once;

/// Names that are told of what is not kept, and how many bytes of them.
const NAMES: usize = 3;
const NAMES_LENGTH: usize = 1024;
/// As far as a path can be opened on the host.
const LONGEST: usize = 4000;

struct Wanted {
    places: Strings<'static>,
    /// Tell what is discarded, unless it lies in a place for temporary files: this one, or the usual ones.
    tell_discarded: bool,
    temporary: Option<&'static [u8]>,
    started: i64,
}

static WANTED: Once<Wanted> = Once::new();

/// Notes what is to be kept. The tree is as the program finds it.
pub(super) fn init(config: &Config<'static>) {
    let tell_discarded = config.flags.contains(Flags::TELL_DISCARDED);
    if config.kept.len() == 0 && !tell_discarded {
        return;
    }
    WANTED.call_once(|| Wanted {
        places: config.kept,
        tell_discarded,
        temporary: { config.env }.find_map(|v| v.strip_prefix(b"TMPDIR=")),
        started: config.started_ns.cast_signed(),
    });
}

/// Sends what the command asked for. The program has ended.
pub fn send() {
    let Some(wanted) = WANTED.get() else {
        return;
    };
    let mut kept: Vec<Arc<Dentry>> = Vec::new();
    for (root, path) in wanted.places.enumerate() {
        let Some(top) = find(path) else {
            continue;
        };
        let send = |dentry: &Dentry, path: &[u8]| {
            let root = root as u16;
            send_one(dentry, Place { root, path });
        };
        Walk {
            wanted,
            visit: send,
        }
        .all(&top);
        kept.push(top);
    }
    if wanted.tell_discarded {
        tell_discarded(wanted, &kept);
    }
}

fn find(path: &[u8]) -> Option<Arc<Dentry>> {
    walk(tree::root(), path.to_vec(), How::follow(true))
        .ok()?
        .dentry
}

/// A visit to all that changed below a place.
struct Walk<F> {
    wanted: &'static Wanted,
    /// Gets the path below the place.
    visit: F,
}

/// A directory on the way down.
struct Step {
    at: Arc<Dentry>,
    /// How much of the path leads here.
    path: usize,
    /// All that is in it counts, not only what changed.
    whole: bool,
    cursor: u64,
}

impl<F: FnMut(&Dentry, &[u8])> Walk<F> {
    fn all(&mut self, top: &Arc<Dentry>) {
        if !top.inode.is_directory() {
            self.one(top, &[], false);
            return;
        }
        let mut path = Vec::new();
        let mut way = alloc::vec![Step {
            at: top.clone(),
            path: 0,
            whole: false,
            cursor: 0,
        }];
        while let Some(step) = way.last_mut() {
            let Some((next, child)) = next(step) else {
                way.pop();
                continue;
            };
            step.cursor = next;
            path.truncate(step.path);
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(child.name());
            // Other file systems are no files of the host's.
            if path.len() > LONGEST || child.mounted.load(core::sync::atomic::Ordering::Relaxed) {
                continue;
            }
            let whole = step.whole || was_moved(&step.at, &child);
            self.one(&child, &path, whole);
            if child.inode.is_directory() {
                let step = Step {
                    at: child,
                    path: path.len(),
                    whole,
                    cursor: 0,
                };
                way.push(step);
            }
        }
    }

    fn one(&mut self, dentry: &Dentry, path: &[u8], whole: bool) {
        if whole || dentry.inode.changed_since(self.wanted.started) {
            (self.visit)(dentry, path);
        }
    }
}

/// The next entry of a directory: of those that are known, or, where all count, of all.
fn next(step: &Step) -> Option<(u64, Arc<Dentry>)> {
    let Content::Directory(directory) = &step.at.inode.content else {
        return None;
    };
    if !step.whole {
        return directory.next_known(step.cursor);
    }
    // Without an answer of the host what is known has to do.
    let _ = step.at.list();
    let mut cursor = step.cursor;
    loop {
        let entry = step.at.entry(cursor)?;
        if let Ok(Some(dentry)) = step.at.lookup(&entry.name) {
            return Some((entry.next, dentry));
        }
        cursor = entry.next;
    }
}

/// Whether this is a directory of the host's that is at another place there: what is in it is new here.
fn was_moved(parent: &Dentry, child: &Dentry) -> bool {
    let Content::Directory(directory) = &parent.inode.content else {
        return false;
    };
    let inode = &child.inode;
    inode.is_directory()
        && inode.is_over()
        && !inode.is_pristine()
        && !directory.has_below(&child.name(), inode.number)
}

fn send_one(dentry: &Dentry, place: Place<'_>) {
    let inode = &dentry.inode;
    let mode = inode.mode() & 0o7777;
    match &inode.content {
        Content::Directory(_) => send_kept(Kept::Directory { place, mode }),
        Content::Symlink(_) => {
            if let Ok(Link::Path(target)) = inode.link() {
                let target = &target;
                send_kept(Kept::Symlink { place, target });
            }
        }
        Content::File(data) => {
            send_kept(Kept::File {
                place,
                mode,
                mtime_ns: inode.stat().mtime.cast_unsigned(),
            });
            match send_data(data) {
                Ok(()) => send_kept(Kept::End { size: data.size() }),
                Err(errno) => send_kept(Kept::Failed {
                    errno: errno.number() as u16,
                }),
            }
        }
        _ => {}
    }
}

fn send_data(data: &FileData) -> Result<(), Errno> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(PIECE).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(PIECE, 0);
    let mut offset = 0;
    // Over holes, to the next data.
    while let Ok(at) = data.seek(offset, false) {
        let got = user::with_kernel_buffer(&mut buffer, |io| data.read(io, at))?;
        if got == 0 {
            break;
        }
        let bytes = &buffer[..got];
        send_kept(Kept::Data { offset: at, bytes });
        offset = at + got as u64;
    }
    Ok(())
}

fn send_kept(kept: Kept<'_>) {
    control::send(&ToHost::Kept(kept));
}

/// Counts the files that changed, are not kept, and are not temporary ones.
fn tell_discarded(wanted: &'static Wanted, kept: &[Arc<Dentry>]) {
    let usual: [&[u8]; 2] = [b"/tmp", b"/var/tmp"];
    let temporary = usual.into_iter().chain(wanted.temporary).filter_map(find);
    let left_out: Vec<Arc<Dentry>> = kept.iter().cloned().chain(temporary).collect();
    let (mut count, mut names) = (0u32, Vec::new());
    let visit = |dentry: &Dentry, path: &[u8]| {
        let is_file = matches!(dentry.inode.content, Content::File(_));
        if !is_file || left_out.iter().any(|top| top.contains(&dentry.arc())) {
            return;
        }
        count = count.saturating_add(1);
        if count as usize <= NAMES && names.len() + path.len() < NAMES_LENGTH {
            if !names.is_empty() {
                names.push(b'\n');
            }
            names.push(b'/');
            names.extend_from_slice(path);
        }
    };
    Walk { wanted, visit }.all(&tree::root());
    if count > 0 {
        let names = &names;
        send_kept(Kept::Discarded { count, names });
    }
}

impl Inode {
    /// Whether the program made or changed it, having started then.
    fn changed_since(&self, started: i64) -> bool {
        if self.is_over() {
            !self.is_pristine()
        } else {
            self.stat().ctime >= started
        }
    }
}
