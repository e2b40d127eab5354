//! `--write`: what the program made or changed below a directory is written there when it has ended.
//!
//! The kernel sends names and data ([`Kept`]); nothing it says is trusted. The directories are opened before the VM starts,
//! names are resolved beneath them without following any link, and a file is written under a temporary name and then
//! renamed, so that its readers see the old one or the new one. What is no regular file on the host is left alone. Nothing is
//! ever removed.
//!
//! roots.rs: which places are kept, and where they go.

mod roots;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use ringo_control::{Kept, Place};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use roots::Part;
pub use roots::{Root, asked_for, is_test, parse};

/// How many failures are told one by one.
const TOLD: usize = 5;

/// Writes what the kernel sends.
pub struct Keeper {
    roots: Vec<Root>,
    current: Option<Current>,
    files: u64,
    failed: Vec<String>,
    failures: usize,
    discarded: Option<String>,
}

/// The file that is being written.
struct Current {
    directory: OwnedFd,
    temporary: OsString,
    name: OsString,
    file: File,
    mode: u32,
    mtime_ns: u64,
    shown: PathBuf,
}

impl Keeper {
    /// For these places, in the order in which the kernel knows them.
    pub fn new(roots: Vec<Root>) -> Keeper {
        Keeper {
            roots,
            current: None,
            files: 0,
            failed: Vec::new(),
            failures: 0,
            discarded: None,
        }
    }

    /// One message.
    pub fn take(&mut self, kept: Kept<'_>) {
        let place = match kept {
            Kept::Directory { place, .. }
            | Kept::File { place, .. }
            | Kept::Symlink { place, .. } => self.shown(place),
            _ => match &self.current {
                Some(current) => current.shown.clone(),
                None => PathBuf::new(),
            },
        };
        let done = match kept {
            Kept::Directory { place, mode } => self.make_directory(place, mode),
            Kept::Symlink { place, target } => self.link(place, target),
            Kept::File {
                place,
                mode,
                mtime_ns,
            } => self.begin(place, mode, mtime_ns),
            Kept::Data { offset, bytes } => match &self.current {
                Some(current) => current.file.write_all_at(bytes, offset),
                None => Ok(()),
            },
            Kept::End { size } => self.current.take().map_or(Ok(()), |current| {
                self.files += 1;
                current.finish(size)
            }),
            Kept::Failed { errno } => {
                self.drop_current();
                Err(io::Error::from_raw_os_error(errno.into()))
            }
            Kept::Discarded { count, names } => {
                self.discarded = Some(discarded(count, names));
                Ok(())
            }
        };
        if let Err(error) = done {
            self.drop_current();
            self.failures += 1;
            if self.failed.len() < TOLD {
                self.failed.push(format!("{}: {error}", place.display()));
            }
        }
    }

    /// Says what there is to say; false if something could not be written.
    pub fn report(&self) -> bool {
        for failure in &self.failed {
            say!("ringo: --write: {failure}");
        }
        if self.failures > self.failed.len() {
            say!(
                "ringo: --write: and {} more",
                self.failures - self.failed.len()
            );
        }
        if let Some(words) = &self.discarded {
            say!("ringo: {words}");
        }
        self.failures == 0
    }

    fn shown(&self, place: Place<'_>) -> PathBuf {
        let root = self.roots.get(usize::from(place.root));
        let shown = root.map(|root| root.shown.clone()).unwrap_or_default();
        if place.path.is_empty() {
            return shown;
        }
        shown.join(OsStr::from_bytes(place.path))
    }

    fn drop_current(&mut self) {
        if let Some(current) = self.current.take() {
            current.forget();
        }
    }

    /// The directory that a name is in, which is made if need be, and the name in it.
    fn locate(&self, place: Place<'_>) -> io::Result<(OwnedFd, OsString)> {
        let root = self
            .roots
            .get(usize::from(place.root))
            .ok_or(Errno::INVAL)?;
        let mut names: Vec<&[u8]> = place.path.split(|&byte| byte == b'/').collect();
        match &root.part {
            Part::All => {}
            Part::File(name) if place.path.is_empty() => {
                return Ok((root.directory.try_clone()?, name.clone()));
            }
            Part::File(_) => return Err(io::Error::other("is a directory to the program")),
            Part::Directory(name) if place.path.is_empty() => names = vec![name.as_bytes()],
            Part::Directory(name) => names.insert(0, name.as_bytes()),
        }
        let plain =
            |name: &&[u8]| !matches!(**name, [] | [b'.'] | [b'.', b'.']) && !name.contains(&0);
        if !names.iter().all(plain) {
            return Err(io::Error::other("is no name for a file"));
        }
        let (last, parents) = names.split_last().ok_or(Errno::INVAL)?;
        let mut at = root.directory.try_clone()?;
        for parent in parents {
            at = match step(&at, parent) {
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(&at, *parent, Mode::from_raw_mode(0o755))?;
                    step(&at, parent)?
                }
                other => other?,
            };
        }
        Ok((at, OsStr::from_bytes(last).to_owned()))
    }

    fn make_directory(&self, place: Place<'_>, mode: u32) -> io::Result<()> {
        let root = self.roots.get(usize::from(place.root));
        if place.path.is_empty() && root.is_some_and(|root| matches!(root.part, Part::All)) {
            // It is there.
            return Ok(());
        }
        let (at, name) = self.locate(place)?;
        match rustix::fs::mkdirat(&at, &*name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {
                let made = step(&at, name.as_bytes())?;
                rustix::fs::fchmod(&made, Mode::from_raw_mode(mode & 0o777))?;
                Ok(())
            }
            Err(Errno::EXIST) => step(&at, name.as_bytes()).map(drop).map_err(Into::into),
            Err(error) => Err(error.into()),
        }
    }

    fn link(&mut self, place: Place<'_>, target: &[u8]) -> io::Result<()> {
        let (at, name) = self.locate(place)?;
        may_be_replaced(&at, &name)?;
        let temporary = temporary_name(self.files);
        rustix::fs::symlinkat(OsStr::from_bytes(target), &at, &*temporary)?;
        self.files += 1;
        rename(&at, &temporary, &name)
    }

    fn begin(&mut self, place: Place<'_>, mode: u32, mtime_ns: u64) -> io::Result<()> {
        self.drop_current();
        let (directory, name) = self.locate(place)?;
        may_be_replaced(&directory, &name)?;
        let (file, temporary) = make_temporary(&directory, self.files)?;
        self.current = Some(Current {
            directory,
            temporary,
            name,
            file: file.into(),
            mode,
            mtime_ns,
            shown: self.shown(place),
        });
        Ok(())
    }
}

/// A new file, and its name. One that is there already was left by a command that was killed, whose number ours has now.
fn make_temporary(directory: &OwnedFd, first: u64) -> io::Result<(OwnedFd, OsString)> {
    const TRIES: u64 = 1000;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let mut number = first;
    loop {
        let name = temporary_name(number);
        match rustix::fs::openat(directory, &*name, flags, mode) {
            Err(Errno::EXIST) if number - first < TRIES => number += 1,
            made => return Ok((made?, name)),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.drop_current();
    }
}

impl Current {
    /// Gives the file its name.
    fn finish(self, size: u64) -> io::Result<()> {
        let done = self.complete(size);
        if done.is_err() {
            self.forget();
        }
        done
    }

    fn complete(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)?;
        if let Ok(old) = rustix::fs::statat(&self.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW)
        {
            // Its owner stays, if we may give a file away.
            let (uid, gid) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
            let _ = rustix::fs::fchown(&self.file, Some(uid), Some(gid));
        }
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(self.mode & 0o777))?;
        let mtime = Timespec {
            tv_sec: (self.mtime_ns / 1_000_000_000) as i64,
            tv_nsec: (self.mtime_ns % 1_000_000_000) as _,
        };
        let times = Timestamps {
            last_access: mtime,
            last_modification: mtime,
        };
        rustix::fs::futimens(&self.file, &times)?;
        rename(&self.directory, &self.temporary, &self.name)
    }

    fn forget(&self) {
        let _ = rustix::fs::unlinkat(&self.directory, &*self.temporary, AtFlags::empty());
    }
}

/// One directory further, not by a link.
fn step(at: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(at, name, flags, Mode::empty(), beneath) {
        // Before Linux 5.6, or where a sandbox knows no better: one plain name needs no more.
        Err(Errno::NOSYS | Errno::PERM) => rustix::fs::openat(at, name, flags, Mode::empty()),
        other => other,
    }
}

/// A device, or a directory, is not exchanged for a file.
fn may_be_replaced(at: &OwnedFd, name: &OsStr) -> io::Result<()> {
    use rustix::fs::FileType;
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(old) => match FileType::from_raw_mode(old.st_mode) {
            FileType::RegularFile | FileType::Symlink => Ok(()),
            _ => Err(io::Error::other("is no regular file on the host")),
        },
    }
}

fn rename(at: &OwnedFd, from: &OsStr, to: &OsStr) -> io::Result<()> {
    rustix::fs::renameat(at, from, at, to).map_err(|error| {
        let _ = rustix::fs::unlinkat(at, from, AtFlags::empty());
        error.into()
    })
}

fn temporary_name(number: u64) -> OsString {
    format!(".ringo-{}-{number}", std::process::id()).into()
}

fn discarded(count: u32, names: &[u8]) -> String {
    let names = String::from_utf8_lossy(names);
    let mut shown: Vec<String> = names
        .lines()
        .map(|name| name.escape_default().to_string())
        .collect();
    if shown.len() < count as usize {
        shown.push("...".into());
    }
    let (files, were) = if count == 1 {
        ("file", "was")
    } else {
        ("files", "were")
    };
    format!(
        "{count} {files} written {were} kept in memory only: {}; --write DIR keeps what is below DIR",
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_that_was_left_is_passed_over() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let left = directory.path().join(temporary_name(0));
        std::fs::write(&left, "left").expect("a file");
        let opened: OwnedFd = File::open(directory.path()).expect("it is there").into();
        let (_, name) = make_temporary(&opened, 0).expect("another name");
        assert_ne!(directory.path().join(name), left);
        assert_eq!(std::fs::read(&left).expect("it is there"), b"left");
    }
}
