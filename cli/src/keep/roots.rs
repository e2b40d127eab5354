//! What is kept, and where it goes: the directories of `--write`, and what `go test` and `go build -cover` ask their programs
//! for by name (profiles, traces, logs, artifacts), which `ringo exec` keeps without being asked.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{Mode, OFlags};

/// A place of the program's that is kept, and where it goes.
#[derive(Debug)]
pub struct Root {
    /// As the program names it: absolute.
    pub inside: PathBuf,
    /// The directory on the host.
    pub(super) directory: OwnedFd,
    pub(super) part: Part,
    /// What messages call it.
    pub(super) shown: PathBuf,
}

/// What of a directory is kept.
#[derive(Debug)]
pub(super) enum Part {
    /// All that is in it.
    All,
    /// This file.
    File(OsString),
    /// What is in this directory, which is made when there is something.
    Directory(OsString),
}

impl Root {
    /// A directory of the host, which the program finds, or not, at `inside`.
    pub fn directory(directory: &Path, inside: PathBuf) -> Result<Root> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(directory, flags, Mode::empty())?;
        Ok(Root {
            inside,
            directory: opened,
            part: Part::All,
            shown: directory.to_owned(),
        })
    }

    /// A file, at the same place on both sides. None if there is no directory for it, or something that is no regular file
    /// in its place.
    fn file(path: &Path) -> Option<Root> {
        let directory = path.parent()?.canonicalize().ok()?;
        let name = path.file_name()?;
        if !path.symlink_metadata().is_ok_and(|m| !m.is_file()) {
            return Root::of(Part::File(name.to_owned()), &directory, name);
        }
        None
    }

    /// A directory that is made if need be, at the same place on both sides. None if there is no directory for it.
    fn new_directory(path: &Path) -> Option<Root> {
        let directory = path.parent()?.canonicalize().ok()?;
        let name = path.file_name()?;
        Root::of(Part::Directory(name.to_owned()), &directory, name)
    }

    fn of(part: Part, directory: &Path, name: &OsStr) -> Option<Root> {
        let mut root = Root::directory(directory, directory.join(name)).ok()?;
        root.part = part;
        root.shown = root.inside.clone();
        Some(root)
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
    let flag = |arg: &'_ OsString, name: &str| {
        let arg = arg.as_bytes();
        let flag = arg.strip_prefix(b"--").or(arg.strip_prefix(b"-"))?;
        let rest = flag.strip_prefix(b"test.")?.strip_prefix(name.as_bytes())?;
        Some(rest.to_owned())
    };
    let value = |name: &str| {
        let mut all = args.iter().filter_map(|arg| {
            let rest = flag(arg, name)?;
            let value = rest.strip_prefix(b"=")?;
            (!value.is_empty()).then(|| value.to_owned())
        });
        all.next_back()
            .map(|value| PathBuf::from(OsString::from_vec(value)))
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
    // A flag without a value says yes; the last one counts.
    let artifacts = args.iter().filter_map(|arg| flag(arg, "artifacts"));
    let artifacts = artifacts
        .last()
        .is_some_and(|said| !matches!(&said[..], b"=false" | b"=0" | b"=f" | b"=F"));
    let artifacts = artifacts.then(|| Root::new_directory(&outputs.join("_artifacts")));
    files
        .filter_map(|file| Root::file(&file))
        .chain(artifacts.flatten())
        .chain(directories.filter_map(|d| Root::directory(&d, d.clone()).ok()))
        .collect()
}

/// Whether this is a test binary, run by `go test`.
pub fn is_test(args: &[OsString]) -> bool {
    let is_flag = |arg: &OsString| arg.as_bytes().starts_with(b"-test.");
    args.iter().skip(1).any(is_flag)
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
    fn what_go_test_asks_for_is_known() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let top = directory.path().canonicalize().expect("it is there");
        std::fs::create_dir(top.join("cov")).expect("a directory");
        std::fs::create_dir(top.join("taken")).expect("a directory");
        let asked = |args: &[&str], coverage: Option<&str>| -> Vec<(PathBuf, bool)> {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            asked_for(&args, &top, coverage.map(OsStr::new))
                .into_iter()
                .map(|root| (root.inside, matches!(root.part, Part::File(_))))
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
        let line = ["x.test", "-test.outputdir=cov", "-test.artifacts=true"];
        assert_eq!(asked(&line, None), [(top.join("cov/_artifacts"), false)]);
        assert!(
            asked(
                &["x.test", "-test.artifacts", "-test.artifacts=false"],
                None
            )
            .is_empty()
        );
    }
}
