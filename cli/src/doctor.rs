//! `ringo doctor PROGRAM`: what an executable is, and what it may miss in ring 0, without running it.
//!
//! Needs are read from the functions linked into it: the linker drops what nothing can reach, so a name in the line table
//! means that the program may call it, not that it will. Which system calls Ringo has says the kernel's own table.

use std::collections::BTreeMap;

use anyhow::Result;
use object::elf;
use object::read::elf::FileHeader;
use ringo_abi::{SYSCALLS, Support, absent_syscalls};
use serde_json::{Value, json};

use crate::args::DoctorOptions;
use crate::golang::{BuildInfo, LineTable};
use crate::launch::World;
use crate::program;

/// Something a program can want that Ringo has not.
struct Need {
    /// Functions that show it: a full name, or all of a package by a prefix that ends in '.'.
    shown_by: &'static [&'static str],
    /// It works after all, with the options that `then` names.
    works: bool,
    what: &'static str,
    then: &'static str,
}

const NEEDS: [Need; 7] = [
    Need {
        shown_by: &[
            "os.StartProcess",
            "syscall.forkExec",
            "syscall.StartProcess",
        ],
        works: false,
        what: "starts other programs",
        then: "fork and exec give ENOSYS: there is one program in the VM",
    },
    Need {
        shown_by: &["net.socket", "golang.org/x/sys/unix.Socket"],
        works: true,
        what: "uses sockets",
        then: "loopback works as it is; what is beyond it takes --net user, or --publish for a server",
    },
    Need {
        shown_by: &["plugin.open", "plugin.Open"],
        works: false,
        what: "loads plugins",
        then: "they need cgo and a dynamic linker",
    },
    Need {
        shown_by: &[
            "syscall.Mount",
            "golang.org/x/sys/unix.Mount",
            "syscall.Chroot",
            "golang.org/x/sys/unix.Unshare",
        ],
        works: false,
        what: "changes mounts or namespaces",
        then: "there is one file system and one namespace",
    },
    Need {
        shown_by: &["syscall.PtraceAttach", "golang.org/x/sys/unix.PtraceAttach"],
        works: false,
        what: "traces other processes",
        then: "there are no others",
    },
    Need {
        shown_by: &[
            "github.com/cilium/ebpf.",
            "golang.org/x/sys/unix.PerfEventOpen",
        ],
        works: false,
        what: "uses eBPF or perf events",
        then: "they are the Linux kernel's own",
    },
    Need {
        shown_by: &["github.com/ebitengine/purego.", "modernc.org/libc/dlfcn."],
        works: false,
        what: "loads C libraries at run time",
        then: "there is no dynamic linker",
    },
];

const NOT_GO: &str =
    "Ringo is made for and tested with Go; a static C library may ask for what it has not";

/// All that was found out.
struct Findings {
    path: String,
    size: usize,
    /// Why it can't run.
    refusal: Option<String>,
    go: Option<BuildInfo>,
    position_independent: bool,
    stripped: bool,
    functions: usize,
    /// Instructions that make a system call, which the kernel rewrites; none if the kernel would refuse the file.
    sites: Option<usize>,
    missing: Vec<(String, &'static str)>,
    /// What needs an option.
    notes: Vec<(String, &'static str)>,
    /// C code is linked in.
    has_c: bool,
    /// There is something to say of it as an ELF file.
    is_elf: bool,
}

/// Looks, prints, and returns the exit code.
pub fn run(options: &DoctorOptions) -> Result<u8> {
    let program = program::read(&options.program, World::Own)?;
    let findings = examine(&program.bytes, program.path.display().to_string());
    if options.json {
        crate::print(&format!("{}\n", findings.json()))?;
    } else {
        crate::print(&findings.text())?;
    }
    Ok(findings.code())
}

fn examine(bytes: &[u8], path: String) -> Findings {
    let table = LineTable::find(bytes);
    let names: Vec<&[u8]> = table.iter().flat_map(|table| table.names()).collect();
    let go = BuildInfo::find(bytes);
    let mut refusal = program::explain(bytes).err();
    if let Some(version) = go.as_ref().and_then(|go| minor(&go.version))
        && version < 21
    {
        refusal.get_or_insert_with(|| {
            format!("is built by Go 1.{version}; Ringo wants 1.21 or later")
        });
    }
    let shows = |need: &&Need| {
        names.iter().any(|name| {
            need.shown_by
                .iter()
                .any(|shown| matches(shown.as_bytes(), name))
        })
    };
    let (works, lacks): (Vec<&Need>, Vec<&Need>) =
        NEEDS.iter().filter(shows).partition(|need| need.works);
    let lines = |needs: Vec<&Need>| -> Vec<(String, &'static str)> {
        let line = |need: &Need| (need.what.to_owned(), need.then);
        needs.into_iter().map(line).collect()
    };
    let (notes, mut missing) = (lines(works), lines(lacks));
    missing.extend(refused_calls(&names));
    let has_c = names
        .iter()
        .any(|name| memchr::memmem::find(name, b"._Cfunc_").is_some());
    if has_c {
        missing.insert(0, ("has C code in it".into(), NOT_GO));
    } else if go.is_none() && names.is_empty() {
        missing.insert(0, ("is no Go program".into(), NOT_GO));
    }
    if refusal.is_some() && !runs_on_linux(bytes) {
        // What it would call there says nothing here.
        missing.clear();
    }
    let header = elf::FileHeader64::<object::LittleEndian>::parse(bytes).ok();
    Findings {
        path,
        size: bytes.len(),
        refusal,
        go,
        position_independent: header.is_some_and(|h| h.e_type(object::LittleEndian) == elf::ET_DYN),
        stripped: !has_symbols(bytes),
        functions: names.len(),
        sites: count_sites(bytes),
        missing,
        notes,
        has_c,
        is_elf: bytes.starts_with(&elf::ELFMAG),
    }
}

/// System calls that the program has a function for and Ringo refuses.
fn refused_calls(functions: &[&[u8]]) -> Vec<(String, &'static str)> {
    // A limit that begins with one of these is all there is of the call. Not ECHILD: os waits for children only after
    // it has started one.
    let only_an_error = |why: &str| {
        let refusal = ["ENOSYS", "EPERM", "EOPNOTSUPP"].iter();
        refusal.clone().any(|errno| why.starts_with(errno)) && !why.starts_with("EPERM but")
    };
    let refused = SYSCALLS.iter().filter_map(|call| match call.support {
        Support::Partial(why) if only_an_error(why) => Some((call.name, why)),
        _ => None,
    });
    let calls = absent_syscalls()
        .map(|call| (call.name, call.why))
        .chain(refused)
        // Go's Getdents makes the call getdents64.
        .filter(|(name, _)| *name != "getdents")
        .filter(|(name, _)| functions.iter().any(|function| wraps(function, name)));
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, why) in calls {
        by_reason.entry(why).or_default().push(name);
    }
    by_reason
        .into_iter()
        .map(|(why, names)| (format!("calls {}", names.join(", ")), why))
        .collect()
}

/// Whether a function is the wrapper of the system call `name`: syscall.Mount of mount(2), and so on.
fn wraps(function: &[u8], name: &str) -> bool {
    [
        "syscall.",
        "internal/syscall/unix.",
        "golang.org/x/sys/unix.",
    ]
    .iter()
    .filter_map(|package| function.strip_prefix(package.as_bytes()))
    .any(|rest| rest.eq_ignore_ascii_case(name.replace('_', "").as_bytes()))
}

/// How many system calls the kernel would find.
fn count_sites(bytes: &[u8]) -> Option<usize> {
    let image = ringo_elf::Image::parse(bytes).ok()?;
    let text = image.segments().iter().filter(|segment| segment.executable);
    let scan = |segment| ringo_elf::scan(image.data(segment), segment.address).count();
    Some(text.map(scan).sum())
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if pattern.ends_with(b".") {
        name.starts_with(pattern)
    } else {
        name == pattern
    }
}

/// An ELF file for this kind of machine, whatever else is wrong with it.
fn runs_on_linux(bytes: &[u8]) -> bool {
    let header = elf::FileHeader64::<object::LittleEndian>::parse(bytes);
    header.is_ok_and(|h| h.e_machine(object::LittleEndian) == elf::EM_X86_64)
}

fn has_symbols(bytes: &[u8]) -> bool {
    use object::Object;
    object::File::parse(bytes).is_ok_and(|file| file.symbols().next().is_some())
}

/// 27 of "go1.27.3" or "go1.27rc1"; `None` for a development version.
fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix("go1.")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

impl Findings {
    fn code(&self) -> u8 {
        match (&self.refusal, self.missing.is_empty()) {
            (Some(_), _) => 2,
            (None, false) => 1,
            (None, true) => 0,
        }
    }

    fn verdict(&self) -> &'static str {
        ["will run", "will run; may miss something", "can't run"][usize::from(self.code())]
    }

    fn cgo(&self) -> Option<bool> {
        self.go
            .as_ref()?
            .setting("CGO_ENABLED")
            .map(|value| value == "1")
    }

    fn text(&self) -> String {
        let mut lines = vec![("program", self.path.clone())];
        let mut line = |name, text: String| lines.push((name, text));
        if let Some(go) = &self.go {
            line("go", go.version.clone());
            let version = |v: &str| {
                if v.is_empty() {
                    String::new()
                } else {
                    format!(" {v}")
                }
            };
            if !go.path.is_empty() {
                line("package", go.path.clone());
            }
            if let Some((module, at)) = &go.module {
                line("module", format!("{module}{}", version(at)));
            }
            if let Some(cgo) = self.cgo() {
                let text = match (cgo, self.refusal.is_some() || self.has_c) {
                    (false, _) => "off",
                    (true, true) => "on",
                    (true, false) => "on, but nothing in it uses C",
                };
                line("cgo", text.into());
            }
            for (key, value) in &go.settings {
                if key != "CGO_ENABLED" && !key.starts_with("CGO_") {
                    line("build", format!("{key}={value}"));
                }
            }
            for (path, at) in &go.dependencies {
                line("dependency", format!("{path}{}", version(at)));
            }
        }
        line("file", self.file());
        if let Some(sites) = self.sites {
            line("calls", format!("{sites} system-call sites"));
        }
        for (what, then) in &self.notes {
            line("note", format!("{what}: {then}"));
        }
        for (what, then) in &self.missing {
            line("may miss", format!("{what}: {then}"));
        }
        line(
            "verdict",
            match &self.refusal {
                Some(why) => format!("can't run: it {why}"),
                None => self.verdict().into(),
            },
        );
        lines
            .iter()
            .map(|(name, text)| format!("{name:<12}{text}\n"))
            .collect()
    }

    fn file(&self) -> String {
        let size = self.size as f64 / f64::from(1 << 20);
        if !self.is_elf {
            return format!("{size:.1} MiB");
        }
        let kind = if self.position_independent {
            "position-independent"
        } else {
            "fixed address"
        };
        let symbols = if self.stripped {
            "stripped"
        } else {
            "with symbols"
        };
        format!(
            "{size:.1} MiB, {kind}, {symbols}, {} functions",
            self.functions
        )
    }

    fn json(&self) -> Value {
        let pairs = |pairs: &[(String, &str)]| -> Vec<Value> {
            let pair = |(what, then): &(String, &str)| json!({"what": what, "then": then});
            pairs.iter().map(pair).collect()
        };
        let versioned =
            |(path, version): &(String, String)| json!({"path": path, "version": version});
        json!({
            "program": self.path,
            "bytes": self.size,
            "go": self.go.as_ref().map(|go| json!({
                "version": go.version,
                "package": go.path,
                "module": go.module.as_ref().map(versioned),
                "dependencies": go.dependencies.iter().map(versioned).collect::<Vec<_>>(),
                "settings": go.settings.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<serde_json::Map<_, _>>(),
            })),
            "cgo": self.cgo(),
            "position_independent": self.position_independent,
            "stripped": self.stripped,
            "functions": self.functions,
            "sites": self.sites,
            "notes": pairs(&self.notes),
            "may_miss": pairs(&self.missing),
            "refusal": self.refusal,
            "verdict": self.verdict(),
            "exit_code": self.code(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(minor("go1.27.3"), Some(27));
        assert_eq!(minor("go1.21rc2 X:loopvar"), Some(21));
        assert_eq!(minor("devel go1.28-abc"), None);
    }

    #[test]
    fn wrappers_are_known_by_their_packages() {
        let functions: [&[u8]; 4] = [
            b"golang.org/x/sys/unix.IoUringSetup",
            b"syscall.Mount",
            b"example.com/syscall.Ptrace",
            b"syscall.Getpid",
        ];
        let found = refused_calls(&functions);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], ("calls mount".to_owned(), "EPERM"));
        assert_eq!(found[1].0, "calls io_uring_setup");
    }

    #[test]
    fn what_is_no_go_program_may_run() {
        // A static executable of one segment, without a line of Go.
        let mut bytes = vec![0; 4096];
        bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        bytes[16..24].copy_from_slice(&[2, 0, 62, 0, 1, 0, 0, 0]);
        bytes[24..32].copy_from_slice(&0x40_0800u64.to_le_bytes());
        bytes[32] = 64;
        bytes[52..57].copy_from_slice(&[64, 0, 56, 0, 1]);
        bytes[64..69].copy_from_slice(&[1, 0, 0, 0, 5]);
        for field in [80, 88] {
            bytes[field..field + 8].copy_from_slice(&0x40_0000u64.to_le_bytes());
        }
        for field in [96, 104, 112] {
            bytes[field..field + 8].copy_from_slice(&4096u64.to_le_bytes());
        }
        let findings = examine(&bytes, "x".into());
        assert_eq!(findings.code(), 1, "{}", findings.text());
        assert!(findings.text().contains("is no Go program"));
        // Built for another machine, it runs nowhere here, and nothing more is said of it.
        bytes[18] = 183;
        let findings = examine(&bytes, "x".into());
        assert_eq!((findings.code(), findings.missing.len()), (2, 0));
    }

    #[test]
    fn what_is_no_program_gets_a_verdict() {
        let findings = examine(b"#!/bin/sh\n", "x".into());
        assert_eq!(findings.code(), 2);
        assert!(findings.text().contains("can't run: it is a script"));
        assert!(!findings.text().contains("functions"));
        assert!(findings.json()["refusal"].is_string());
    }
}
