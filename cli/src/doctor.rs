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
    /// Functions that show it: a full name, or a prefix ending in '.' or '*'.
    shown_by: &'static [&'static str],
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
        what: "starts other programs",
        then: "fork and exec give ENOSYS: there is one program in the VM",
    },
    Need {
        shown_by: &["net.socket", "golang.org/x/sys/unix.Socket"],
        what: "uses sockets",
        then: "there is no network in this version",
    },
    Need {
        shown_by: &["plugin.open", "plugin.Open"],
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
        what: "changes mounts or namespaces",
        then: "there is one file system and one namespace",
    },
    Need {
        shown_by: &["syscall.PtraceAttach", "golang.org/x/sys/unix.PtraceAttach"],
        what: "traces other processes",
        then: "there are no others",
    },
    Need {
        shown_by: &[
            "github.com/cilium/ebpf.",
            "golang.org/x/sys/unix.PerfEventOpen",
        ],
        what: "uses eBPF or perf events",
        then: "they are the Linux kernel's own",
    },
    Need {
        shown_by: &["github.com/ebitengine/purego.", "modernc.org/libc/dlfcn."],
        what: "loads C libraries at run time",
        then: "there is no dynamic linker",
    },
];

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
    if refusal.is_none() && go.is_none() && names.is_empty() {
        refusal = Some("is no Go program, or one older than Go 1.20".into());
    }
    if let Some(version) = go.as_ref().and_then(|go| minor(&go.version))
        && version < 21
    {
        refusal.get_or_insert_with(|| {
            format!("is built by Go 1.{version}; Ringo wants 1.21 or later")
        });
    }
    let shows = |need: &Need| {
        names.iter().any(|name| {
            need.shown_by
                .iter()
                .any(|shown| matches(shown.as_bytes(), name))
        })
    };
    let mut missing: Vec<_> = NEEDS
        .iter()
        .filter(|need| shows(need))
        .map(|n| (n.what.to_owned(), n.then))
        .collect();
    missing.extend(refused_calls(&names));
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
                let text = match (cgo, self.refusal.is_some()) {
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
        let size = self.size as f64 / f64::from(1 << 20);
        line(
            "file",
            format!(
                "{size:.1} MiB, {kind}, {symbols}, {} functions",
                self.functions
            ),
        );
        if let Some(sites) = self.sites {
            line("calls", format!("{sites} system-call sites"));
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

    fn json(&self) -> Value {
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
            "may_miss": self.missing.iter().map(|(what, then)| json!({"what": what, "then": then})).collect::<Vec<_>>(),
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
    fn what_is_no_program_gets_a_verdict() {
        let findings = examine(b"#!/bin/sh\n", "x".into());
        assert_eq!(findings.code(), 2);
        assert!(findings.text().contains("can't run: it is a script"));
        assert!(findings.json()["refusal"].is_string());
    }
}
