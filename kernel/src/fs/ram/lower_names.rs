//! Names of a lower directory: asked for when a look-up does not know them, and kept.
//!
//! One question may bring more than one answer: the rest of a path, so that a long one costs no more than a short one; or
//! the following names, when a directory that was listed is looked through in order (filepath.Walk, go list).
//! Answers are noted under the lock, where what happened in RAM meanwhile counts; the lower directory never changes, so an
//! answer never becomes wrong.
use super::directory::{Directory, directory};
use crate::fs::inode::{Content, Inode};
use crate::fs::{Dentry, cache, notify};
use crate::memory::frames::{self, check_spare};
use alloc::sync::Arc;
use alloc::vec::Vec;
use ringo_abi::Errno;

/// Bytes that a name costs in its directory's maps, about.
const NAME_COST: usize = 256;
/// Steps of a path asked for at once.
const MAX_STEPS: usize = 16;

/// The names a path begins with, up to one that is none of its own.
fn steps<'a>(first: &'a [u8], rest: &'a [u8]) -> Vec<&'a [u8]> {
    let plain = |name: &&[u8]| *name != b"." && *name != b".." && name.len() <= 255;
    let rest = rest
        .split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty());
    core::iter::once(first)
        .chain(rest.take_while(plain))
        .take(MAX_STEPS)
        .collect()
}

impl Directory {
    /// Asks for `name`, and on the way for the names `ahead` or, without those, for what `rest` leads to.
    pub(super) fn ask(
        &self,
        at: &Dentry,
        name: &[u8],
        rest: &[u8],
        ahead: &[Arc<[u8]>],
    ) -> Result<Option<Arc<Dentry>>, Errno> {
        let Some(lower) = &self.lower else {
            return Ok(None);
        };
        if !ahead.is_empty() {
            let names: Vec<&[u8]> = core::iter::once(name)
                .chain(ahead.iter().map(|name| &**name))
                .collect();
            let mut answers = lower.lookup(&names)?.into_iter();
            let first = answers.next().ok_or(Errno::EIO)??;
            let found = self.note(at, name, first)?;
            for (name, answer) in ahead.iter().zip(answers) {
                // One that failed is asked for again when somebody wants it.
                if let Ok(answer) = answer {
                    self.note(at, name, answer)?;
                }
            }
            return Ok(found.map(|(dentry, _)| dentry));
        }
        let steps = steps(name, rest);
        let mut answers = lower.descend(&steps)?.into_iter();
        let mut found = self.note(at, name, answers.next().ok_or(Errno::EIO)?)?;
        let first = found.as_ref().map(|(dentry, _)| dentry.clone());
        for (name, answer) in steps[1..].iter().zip(answers) {
            // Only below what came from there just now: else the answer is of another file.
            let Some((parent, true)) = &found else {
                break;
            };
            let Content::Directory(below) = &parent.inode.content else {
                break;
            };
            found = below.note(parent, name, answer)?;
        }
        Ok(first)
    }

    /// Notes an answer. Gives what the name is now, and whether that is the answer.
    fn note(
        &self,
        at: &Dentry,
        name: &[u8],
        answer: Option<Arc<Inode>>,
    ) -> Result<Option<(Arc<Dentry>, bool)>, Errno> {
        check_spare()?;
        let Some(inode) = answer else {
            let few = self.entries.lock().adopt_absent(name);
            if !few && self.list().is_err() {
                self.entries.lock().forget_absent();
            }
            return Ok(None);
        };
        let dentry = Dentry::new(Some(&at.arc()), name, inode);
        let found = self.entries.lock().adopt(name, &dentry);
        let Some(found) = found else {
            return Ok(None);
        };
        let new = Arc::ptr_eq(&found, &dentry);
        if new {
            notify::entered(&at.inode, &dentry.inode);
            cache::keep_dentry(&dentry);
        }
        Ok(Some((found, new)))
    }

    /// Takes all names of the lower directory in, if that was not done.
    ///
    /// # Errors
    /// EIO, EACCES, ENOMEM.
    pub fn list(&self) -> Result<(), Errno> {
        let Some(lower) = &self.lower else {
            return Ok(());
        };
        if self.entries.lock().complete {
            return Ok(());
        }
        let names = lower.list()?;
        if !frames::has_spare(1 + (names.len() * NAME_COST).div_ceil(frames::FRAME)) {
            return Err(Errno::ENOMEM);
        }
        self.entries.lock().complete(names);
        Ok(())
    }
}

/// Forgets `dentry` if it is as it is below and nobody but its directory and the caller holds it.
pub fn forget(dentry: &Arc<Dentry>) -> bool {
    let parent = dentry.parent();
    let Ok(directory) = directory(&parent) else {
        return false;
    };
    let name = dentry.name();
    let mut entries = directory.entries.lock();
    // References are only taken under this lock: the directory's own, and the caller's.
    let idle = Arc::strong_count(dentry) == 2 && Arc::strong_count(&dentry.inode) == 1;
    let forgettable = idle
        && entries.is(&name, dentry)
        && dentry.inode.is_pristine()
        && !dentry.inode.watchers.heard();
    if forgettable {
        entries.forget(&name);
    }
    forgettable
}
