//! The sites found in real Go executables are the `syscall` instructions that a disassembler sees there.
//!
//! For each Go version in tools/go-versions that is installed: programs of its own distribution, programs of ours, and one
//! with operands that look like sites, as an executable, stripped, and position-independent. Both directions are compared,
//! and that each site begins at an instruction and no branch leads behind the first byte that is overwritten.
//! `RINGO_SITES=all` takes every program of the distributions (minutes). Without binutils, or a version, it says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ringo_elf::{ElfError, Image, SiteTable, scan};

/// Fields and elements whose offsets could be numbers of system calls, compared with and set to 1295 (0f 05).
const PROBE: &str = r#"package main

import "os"

type record struct {
	pad   [144]byte
	code  int32
	wide  int64
	short uint16
	list  [8]int32
}

//go:noinline
func (r *record) compare() bool { return r.code == 1295 && r.wide == 1295 && r.short == 1295 }

//go:noinline
func (r *record) element(i int) bool { return r.list[i&7] == 1295 }

//go:noinline
func (r *record) set(i int) { r.code, r.wide, r.short, r.list[i&7] = 1295, 1295, 1295, 1295 }

//go:noinline
func (r *record) product() int32 { return r.code * 1295 }

//go:noinline
func constants(a, b, c, d uint64) uint64 {
	return a ^ 0x050f_0000_0027 + b ^ 0x050f_0000_0001 + c ^ 0x050f_0000_0002 + d ^ 0x050f_0000_0003
}

func main() {
	r := &record{}
	r.set(len(os.Args))
	if !r.compare() || !r.element(len(os.Args)) || r.product() == int32(constants(1, 2, 3, 4)) {
		os.Exit(1)
	}
}
"#;

fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// On the real stderr: a word about what was left out is for every run, not only for those that fail.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "objdump: {text}");
}

fn versions() -> Vec<(String, PathBuf)> {
    let text = std::fs::read_to_string(top().join("tools/go-versions")).expect("tools/go-versions");
    let lines = text.lines().map(str::trim);
    let names = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let root = |name: &str| top().join(".cache/go").join(name);
    let (there, missing): (Vec<_>, Vec<_>) = names
        .map(|name| (name.to_owned(), root(name)))
        .partition(|(_, root)| root.join("bin/go").exists());
    for (name, _) in missing {
        say(&format!(
            "Go {name} SKIPPED: not installed (tools/setup.sh go {name})"
        ));
    }
    there
}

/// Builds `package` in `folder` into `output`.
fn build(root: &Path, folder: &Path, package: &str, flags: &[&str], output: &Path) {
    let mut go = Command::new(root.join("bin/go"));
    go.env("GOROOT", root).env("GOTOOLCHAIN", "local");
    go.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false");
    go.env("GOWORK", "off").current_dir(folder);
    go.arg("build")
        .args(flags)
        .arg("-o")
        .args([output, Path::new(package)]);
    let result = go.output().expect("starting go");
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{go:?}: {errors}");
}

fn programs(version: &str, root: &Path) -> Vec<PathBuf> {
    let tools = root.join("pkg/tool/linux_amd64");
    let mut programs = if std::env::var("RINGO_SITES").is_ok_and(|all| all == "all") {
        let folders = [root.join("bin"), tools];
        let files = folders.map(|folder| folder.read_dir().expect("a folder of the distribution"));
        let mut files: Vec<_> = files
            .into_iter()
            .flatten()
            .map(|f| f.expect("a file").path())
            .collect();
        files.sort();
        files
    } else {
        vec![root.join("bin/gofmt"), tools.join("vet"), tools.join("asm")]
    };
    let folder = top().join("target/sites").join(version);
    let probe = folder.join("src");
    std::fs::create_dir_all(&probe).expect("a folder for programs");
    let folder = folder.canonicalize().expect("just made");
    std::fs::write(probe.join("go.mod"), "module probe\n\ngo 1.21\n").expect("writing");
    std::fs::write(probe.join("main.go"), PROBE).expect("writing");
    let ours = top().join("go");
    let variants: [(&Path, &str, &[&str], &str); 5] = [
        (&probe, ".", &[], "probe"),
        (&probe, ".", &["-ldflags=-s -w"], "probe-stripped"),
        (&probe, ".", &["-buildmode=pie"], "probe-pie"),
        (&ours, "./programs/signals", &[], "signals"),
        (&ours, "./programs/network", &[], "network"),
    ];
    for (from, package, flags, name) in variants {
        let output = folder.join(name);
        build(root, from, package, flags, &output);
        programs.push(output);
    }
    programs
}

/// What a disassembler says of a program.
#[derive(Default)]
struct Disassembly {
    calls: BTreeSet<u64>,
    /// Those of the addresses asked about at which an instruction begins.
    instructions: BTreeSet<u64>,
    /// Branches to one of the addresses asked about, by their own.
    branches: BTreeMap<u64, u64>,
}

fn disassemble(program: &Path, starts: &BTreeSet<u64>, inside: &BTreeSet<u64>) -> Disassembly {
    let mut objdump = Command::new("objdump");
    objdump
        .env("LC_ALL", "C")
        .args(["-d", "--no-show-raw-insn"]);
    let mut child = objdump
        .arg(program)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starting objdump");
    let mut lines = BufReader::with_capacity(1 << 20, child.stdout.take().expect("a pipe"));
    let mut found = Disassembly::default();
    let mut line = String::new();
    while lines.read_line(&mut line).expect("reading from objdump") > 0 {
        note(&line, starts, inside, &mut found);
        line.clear();
    }
    assert!(
        child.wait().expect("waiting").success(),
        "objdump fails on {program:?}"
    );
    found
}

/// A line such as "  47f7a0:\tjmp    47f7c0 <name+0x20>".
fn note(line: &str, starts: &BTreeSet<u64>, inside: &BTreeSet<u64>, found: &mut Disassembly) {
    let Some((address, instruction)) = line.split_once(":\t") else {
        return;
    };
    let Ok(address) = u64::from_str_radix(address.trim_start(), 16) else {
        return;
    };
    let mut words = instruction.split_ascii_whitespace();
    let name = words.next().unwrap_or("");
    if name == "syscall" {
        found.calls.insert(address);
    }
    if starts.contains(&address) {
        found.instructions.insert(address);
    }
    if name.starts_with(['j', 'l', 'c', 'x'])
        && let Some(target) = words
            .next()
            .and_then(|word| u64::from_str_radix(word, 16).ok())
        && inside.contains(&target)
    {
        found.branches.insert(address, target);
    }
}

/// Compares one program; gives how many sites it has. None for one that is no static Go executable.
fn compare(program: &Path) -> Option<usize> {
    let bytes = std::fs::read(program).expect("the program");
    let image = match Image::parse(&bytes) {
        Ok(image) => image,
        Err(ElfError::Dynamic) => return None,
        Err(error) => panic!("{program:?}: {error}"),
    };
    let text = image.segments().iter().filter(|segment| segment.executable);
    let sites: Vec<_> = text
        .flat_map(|segment| scan(image.data(segment), segment.address))
        .collect();
    let table = SiteTable::new(image.span().1, sites);
    let mut inside = BTreeSet::new();
    for (index, site) in table.sites().iter().enumerate() {
        let (_, length) = table
            .patch(index)
            .expect("a stub next to the program is in reach");
        inside.extend((1..length as u64).map(|byte| site.address + byte));
    }
    let starts: BTreeSet<_> = table.sites().iter().map(|site| site.address).collect();
    let calls: BTreeSet<_> = table
        .sites()
        .iter()
        .map(|site| site.return_address() - 2)
        .collect();
    let seen = disassemble(program, &starts, &inside);
    let hex = |set: &BTreeSet<u64>, but: &BTreeSet<u64>| {
        let addresses: Vec<_> = set.difference(but).map(|a| format!("{a:#x}")).collect();
        addresses.join(" ")
    };
    assert!(
        seen.calls == calls,
        "{program:?}: no site at {}; no call at {}",
        hex(&seen.calls, &calls),
        hex(&calls, &seen.calls)
    );
    let inner = hex(&starts, &seen.instructions);
    assert!(
        inner.is_empty(),
        "{program:?}: inside an instruction: {inner}"
    );
    assert!(
        seen.branches.is_empty(),
        "{program:?}: branches into sites: {:x?}",
        seen.branches
    );
    Some(calls.len())
}

#[test]
fn sites_are_what_a_disassembler_calls_syscall() {
    if Command::new("objdump").arg("--version").output().is_err() {
        return say("SKIPPED: no objdump here (Debian's package binutils)");
    }
    for (version, root) in versions() {
        let mut compared = 0;
        for program in programs(&version, &root) {
            match compare(&program) {
                Some(sites) => {
                    assert!(
                        sites > 30,
                        "{program:?}: a Go program has more sites than {sites}"
                    );
                    compared += 1;
                }
                None => println!("{program:?} is dynamic"),
            }
        }
        assert!(compared >= 8, "Go {version}: {compared} programs");
    }
}
