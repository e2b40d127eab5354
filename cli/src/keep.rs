//! `--write`: what the program made or changed below a directory is written there when it has ended.
//!
//! The kernel sends names and data ([`Kept`]); nothing it says is trusted. The directories are opened before the VM starts,
//! names are resolved beneath them without following any link, and a file is written under a temporary name and then
//! renamed, so that its readers see the old one or the new one. What is no regular file on the host is left alone. Nothing is
//! ever removed.
//!
//! `ringo exec` also keeps what `go test` and `go build -cover` ask their programs for by name: profiles, traces, logs.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ringo_control::{Kept, Place};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;

/// How many failures are told one by one.
const TOLD: usize = 5;

/// A place of the program's that is kept, and where it goes.
#[derive(Debug)]
pub struct Root {
    /// As the program names it: absolute.
    pub inside: PathBuf,
    /// The directory on the host.
    directory: OwnedFd,
    /// Only this file in it.
    file: Option<OsString>,
    shown: PathBuf,
}

impl Root {
    /// A directory of the host, which the program finds, or not, at `inside`.
    pub fn directory(directory: &Path, inside: PathBuf) -> Result<Root> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(directory, flags, Mode::empty())?;
        Ok(Root {
            inside,
            directory: opened,
            file: None,
            shown: directory.to_owned(),
        })
    }

    /// A file, at the same place on both sides. None if there is no directory for it, or something that is no regular file
    /// in its place.
    fn file(path: &Path) -> Option<Root> {
        let directory = path.parent()?.canonicalize().ok()?;
        let name = path.file_name()?;
        if !path.symlink_metadata().is_ok_and(|m| !m.is_file()) {
            let mut root = Root::directory(&directory, directory.join(name)).ok()?;
            root.file = Some(name.to_owned());
            root.shown = root.inside.clone();
            return Some(root);
        }
        None
    }
}

/// What `--write DIR[:AT]` says.
pub fn parse(wanted: &OsStr, same_places: bool) -> Result<Root> {
    let bytes = wanted.as_bytes();
    let shown = Path::new(wanted).display();
    let split = memchr::memmem::rfind(bytes, b":/").filter(|&at| at > 0);
    let directory = Path::new(OsStr::from_bytes(&bytes[..split.unwrap_or(bytes.len())]));
    let named = || format!("--write {shown}");
    let real = directory.canonicalize().with_context(named)?;
    ensure!(real.is_dir(), "--write {shown}: is no directory");
    let inside = match split {
        Some(_) if same_places => {
            bail!(
                "--write {shown}: the program of `ringo exec` finds the directory at its own place"
            )
        }
        Some(at) => PathBuf::from(OsStr::from_bytes(&bytes[at + 1..])),
        None => real.clone(),
    };
    ensure!(
        !inside.components().any(|part| part == Component::ParentDir),
        "--write {shown}: write the place in the VM without `..`"
    );
    let is_made_up = |root: &&str| split.is_some() && inside.starts_with(root);
    if let Some(root) = ["/proc", "/sys", "/dev"].into_iter().find(is_made_up) {
        bail!("--write {shown}: {root} is the kernel's own, and no files are written there");
    }
    Root::directory(&real, inside).with_context(named)
}

/// The files that `go test` asks a test for (testing's flags, as `go test -exec` passes them on), and the directories for
/// coverage.
pub fn asked_for(args: &[OsString], cwd: &Path, coverage: Option<&OsStr>) -> Vec<Root> {
    let value = |name: &str| {
        let mut all = args.iter().filter_map(|arg| {
            let arg = arg.as_bytes();
            let flag = arg.strip_prefix(b"--").or(arg.strip_prefix(b"-"))?;
            let rest = flag.strip_prefix(b"test.")?.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=").filter(|value| !value.is_empty())
        });
        all.next_back()
            .map(|value| PathBuf::from(OsStr::from_bytes(value)))
    };
    let outputs = cwd.join(value("outputdir").unwrap_or_default());
    let profiles = [
        "coverprofile",
        "cpuprofile",
        "memprofile",
        "blockprofile",
        "mutexprofile",
        "trace",
    ];
    let profiles = profiles.into_iter().filter_map(value);
    let files = profiles
        .map(|file| outputs.join(file))
        .chain(value("testlogfile").map(|file| cwd.join(file)));
    let directories = value("gocoverdir")
        .into_iter()
        .chain(coverage.map(PathBuf::from))
        .filter_map(|directory| cwd.join(directory).canonicalize().ok());
    files
        .filter_map(|file| Root::file(&file))
        .chain(directories.filter_map(|d| Root::directory(&d, d.clone()).ok()))
        .collect()
}

/// Whether this is a test binary, run by `go test`.
pub fn is_test(args: &[OsString]) -> bool {
    let is_flag = |arg: &OsString| arg.as_bytes().starts_with(b"-test.");
    args.iter().skip(1).any(is_flag)
}

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
        if let Some(file) = &root.file {
            if !place.path.is_empty() {
                return Err(io::Error::other("is a directory to the program"));
            }
            return Ok((root.directory.try_clone()?, file.clone()));
        }
        let names: Vec<&[u8]> = place.path.split(|&byte| byte == b'/').collect();
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
        if place.path.is_empty() {
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
    fn places_that_are_no_directories_of_files_are_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let shown = directory.path().display();
        let root = |at: &str| parse(OsStr::new(&format!("{shown}:{at}")), false);
        assert!(root("/out").is_ok());
        for at in ["/a/../b", "/proc/x", "/dev", "/sys/kernel"] {
            assert!(root(at).is_err(), "{at}");
        }
    }

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

    #[test]
    fn what_go_test_asks_for_is_known() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let top = directory.path().canonicalize().expect("it is there");
        std::fs::create_dir(top.join("cov")).expect("a directory");
        std::fs::create_dir(top.join("taken")).expect("a directory");
        let asked = |args: &[&str], coverage: Option<&str>| -> Vec<(PathBuf, bool)> {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            asked_for(&args, &top, coverage.map(OsStr::new))
                .into_iter()
                .map(|root| (root.inside, root.file.is_some()))
                .collect()
        };
        let line = [
            "x.test",
            "-test.v",
            "-test.cpuprofile=a.out",
            "--test.trace=cov/t",
            "-test.testlogfile=/no/such/log",
            "-test.coverprofile=",
            "-test.memprofile=/dev/null",
            "-test.blockprofile=taken",
            "-test.gocoverdir=cov",
            "-test.run=-test.mutexprofile=x",
        ];
        let found = asked(&line, Some("cov/../cov"));
        let expected = [
            ("a.out", true),
            ("cov/t", true),
            ("cov", false),
            ("cov", false),
        ];
        assert_eq!(found, expected.map(|(name, file)| (top.join(name), file)));
        let line = ["x.test", "-test.outputdir=cov", "-test.cpuprofile=a.out"];
        assert_eq!(asked(&line, None), [(top.join("cov/a.out"), true)]);
        assert!(asked(&["prog", "a.out"], None).is_empty());
    }
}
