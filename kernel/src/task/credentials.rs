//! Who a thread is: its user and group ids, its supplementary groups (credentials(7), setresuid(2)).
//!
//! Linux keeps them per thread, and so does this; a runtime that wants them changed for the process calls each thread (Go's
//! AllThreadsSyscall). Only the thread itself changes its ids, so plain loads and stores suffice; others read them for /proc.
//! Capabilities are all or none: an effective user id of 0 is privileged.
//!
//! Lock: the groups' own, a leaf. Reading an id is a load.
use crate::sync::SpinLock;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use ringo_abi::Errno;

/// "Leave it as it is" in the calls that set several ids.
const KEEP: u32 = u32::MAX;

/// The four ids of a thread as a user, or as a member of its group.
pub struct Ids {
    real: AtomicU32,
    effective: AtomicU32,
    saved: AtomicU32,
    /// What files are checked against and created with: follows the effective one.
    file: AtomicU32,
}

impl Ids {
    const fn root() -> Self {
        Self {
            real: AtomicU32::new(0),
            effective: AtomicU32::new(0),
            saved: AtomicU32::new(0),
            file: AtomicU32::new(0),
        }
    }

    /// Real, effective, saved and the file system's, in the order of /proc/PID/status.
    pub fn all(&self) -> [u32; 4] {
        [&self.real, &self.effective, &self.saved, &self.file].map(|id| id.load(Ordering::Relaxed))
    }

    /// The real one.
    #[inline]
    pub fn real(&self) -> u32 {
        self.real.load(Ordering::Relaxed)
    }

    /// The effective one.
    #[inline]
    pub fn effective(&self) -> u32 {
        self.effective.load(Ordering::Relaxed)
    }

    /// The file system's.
    #[inline]
    pub fn file(&self) -> u32 {
        self.file.load(Ordering::Relaxed)
    }

    fn store(&self, [real, effective, saved]: [u32; 3]) {
        self.real.store(real, Ordering::Relaxed);
        self.effective.store(effective, Ordering::Relaxed);
        self.saved.store(saved, Ordering::Relaxed);
        self.file.store(effective, Ordering::Relaxed);
    }

    fn copy(&self, from: &Ids) {
        let [real, effective, saved, file] = from.all();
        self.store([real, effective, saved]);
        self.file.store(file, Ordering::Relaxed);
    }

    /// setuid(2), setgid(2): everything for the privileged, else the effective one to one of those it has.
    ///
    /// # Errors
    /// EINVAL, EPERM.
    pub fn set(&self, id: u32, privileged: bool) -> Result<(), Errno> {
        let [real, _, saved, _] = self.all();
        match id {
            KEEP => return Err(Errno::EINVAL),
            _ if privileged => self.store([id; 3]),
            _ if id == real || id == saved => self.store([real, id, saved]),
            _ => return Err(Errno::EPERM),
        }
        Ok(())
    }

    /// setreuid(2), setregid(2).
    ///
    /// # Errors
    /// EPERM.
    pub fn set_two(&self, real: u32, effective: u32, privileged: bool) -> Result<(), Errno> {
        let [old_real, old_effective, old_saved, _] = self.all();
        let known = [KEEP, old_real, old_effective];
        let allowed =
            known.contains(&real) && (known.contains(&effective) || effective == old_saved);
        if !privileged && !allowed {
            return Err(Errno::EPERM);
        }
        let new_real = or(real, old_real);
        let new_effective = or(effective, old_effective);
        let changes_saved = real != KEEP || effective != KEEP && effective != old_real;
        let saved = if changes_saved {
            new_effective
        } else {
            old_saved
        };
        self.store([new_real, new_effective, saved]);
        Ok(())
    }

    /// setresuid(2), setresgid(2).
    ///
    /// # Errors
    /// EPERM.
    pub fn set_three(
        &self,
        [real, effective, saved]: [u32; 3],
        privileged: bool,
    ) -> Result<(), Errno> {
        let [old_real, old_effective, old_saved, _] = self.all();
        let known = [KEEP, old_real, old_effective, old_saved];
        if !privileged && ![real, effective, saved].iter().all(|id| known.contains(id)) {
            return Err(Errno::EPERM);
        }
        self.store([
            or(real, old_real),
            or(effective, old_effective),
            or(saved, old_saved),
        ]);
        Ok(())
    }

    /// setfsuid(2), setfsgid(2): gives the old one, whatever happens.
    pub fn set_file(&self, id: u32, privileged: bool) -> u32 {
        let all = self.all();
        if id != KEEP && (privileged || all.contains(&id)) {
            self.file.store(id, Ordering::Relaxed);
        }
        all[3]
    }
}

fn or(id: u32, old: u32) -> u32 {
    if id == KEEP { old } else { id }
}

/// See the module's head.
pub struct Credentials {
    /// As a user.
    pub user: Ids,
    /// As a member of a group.
    pub group: Ids,
    groups: SpinLock<Option<Arc<[u32]>>>,
    /// prctl(PR_SET_KEEPCAPS): only remembered, since there are no capabilities to keep.
    pub keep_capabilities: AtomicBool,
}

impl Credentials {
    /// Root's, without supplementary groups.
    pub const fn root() -> Self {
        Self {
            user: Ids::root(),
            group: Ids::root(),
            groups: SpinLock::new(None),
            keep_capabilities: AtomicBool::new(false),
        }
    }

    /// The process begins as this user, with these supplementary groups.
    pub fn begin(&self, uid: u32, gid: u32, groups: impl Iterator<Item = u32>) {
        let mut groups: Vec<u32> = groups.collect();
        groups.sort_unstable();
        self.user.store([uid; 3]);
        self.group.store([gid; 3]);
        *self.groups.lock() = Some(Arc::from(groups));
    }

    /// A new thread begins as the one that made it.
    pub fn inherit(&self, parent: &Credentials) {
        self.user.copy(&parent.user);
        self.group.copy(&parent.group);
        let groups = parent.groups.lock().clone();
        // The old list is freed without the lock.
        drop(core::mem::replace(&mut *self.groups.lock(), groups));
        let keep = parent.keep_capabilities.load(Ordering::Relaxed);
        self.keep_capabilities.store(keep, Ordering::Relaxed);
    }

    /// The supplementary groups, ascending.
    pub fn groups(&self) -> Arc<[u32]> {
        self.groups.lock().clone().unwrap_or_else(|| Arc::from([]))
    }

    /// setgroups(2), for those who may.
    pub fn set_groups(&self, groups: Arc<[u32]>) {
        let old = self.groups.lock().replace(groups);
        drop(old);
    }

    /// Whether the group is the file system's group or a supplementary one.
    pub fn in_group(&self, group: u32) -> bool {
        group == self.group.file() || self.in_supplementary_group(group)
    }

    /// Whether it is a supplementary one.
    pub fn in_supplementary_group(&self, group: u32) -> bool {
        self.groups
            .lock()
            .as_ref()
            .is_some_and(|groups| groups.binary_search(&group).is_ok())
    }

    /// What it creates belongs to: the file system's user and group.
    #[inline]
    pub fn file_ids(&self) -> (u32, u32) {
        (self.user.file(), self.group.file())
    }

    /// Whether the thread may do what only an administrator may.
    #[inline]
    pub fn privileged(&self) -> bool {
        self.user.effective() == 0
    }
}
