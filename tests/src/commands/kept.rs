//! What the program leaves to the host: `--write`, and what `go test` asks for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::{finish, on, ours, ringo_run, text};
use crate::go;
use crate::machine::{Engine, ringo};

pub fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    all.extend(on(&Engine::ALL, "write-exec", exec));
    all.extend(on(&Engine::ALL, "write-run", run));
    all.extend(on(&Engine::ALL, "go-test", go_test));
    all
}

/// What the act "leave" of go/programs/console finds.
fn make(top: &Path) -> Result<()> {
    fs::create_dir_all(top.join("moved/inner/most"))?;
    fs::create_dir_all(top.join("untouched"))?;
    fs::write(top.join("old"), "an old file\n")?;
    fs::write(top.join("long"), vec![b'x'; 300_000])?;
    fs::write(top.join("script"), "#!/bin/sh\n")?;
    fs::write(top.join("mapped"), vec![b'm'; 8192])?;
    fs::write(top.join("moved/inner/most/file"), vec![b'f'; 70_000])?;
    fs::write(top.join("moved/beside"), "beside")?;
    fs::write(top.join("untouched/file"), "untouched")?;
    symlink("old", top.join("a link"))?;
    for name in ["old", "long", "script", "mapped"] {
        fs::set_permissions(top.join(name), fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

/// Everything below a directory but times: path, mode, contents.
fn look(top: &Path) -> Result<BTreeMap<String, (u32, Vec<u8>)>> {
    let mut all = BTreeMap::new();
    let mut pending = vec![top.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in directory.read_dir()? {
            let path = entry?.path();
            let metadata = path.symlink_metadata()?;
            let contents = if metadata.is_dir() {
                pending.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                path.read_link()?.into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path)?
            };
            let name = path.strip_prefix(top)?.to_string_lossy().into_owned();
            all.insert(name, (metadata.mode(), contents));
        }
    }
    Ok(all)
}

fn same(linux: &Path, ringo: &Path) -> Result<()> {
    let (linux, ringo) = (look(linux)?, look(ringo)?);
    for (name, (mode, contents)) in &linux {
        let (other, found) = ringo.get(name).with_context(|| format!("no {name}"))?;
        ensure!(mode == other, "{name}: mode {other:o}, not {mode:o}");
        ensure!(contents == found, "{name}: other contents");
    }
    let more: Vec<_> = ringo
        .keys()
        .filter(|name| !linux.contains_key(*name))
        .collect();
    ensure!(more.is_empty(), "left over: {more:?}");
    Ok(())
}

/// The same program leaves the same on Linux, whatever its exit code; what it moves away stays on the host.
fn exec(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (linux, own) = (folder.path().join("linux"), folder.path().join("ringo"));
    make(&linux)?;
    make(&own)?;
    let inode = fs::metadata(own.join("untouched/file"))?.ino();
    let mut command = Command::new(ours("console")?);
    command.arg("leave").arg(&linux).arg("3");
    let outcome = finish(command, engine)?;
    ensure!(outcome.code == 3, "on Linux: {}", text(&outcome.stderr));
    let mut command = Command::new(ringo());
    command
        .args(["exec", "--engine", engine.name(), "--cpus", "2", "--write"])
        .arg(&own)
        .arg(ours("console")?)
        .arg("leave")
        .arg(&own)
        .arg("3");
    let outcome = finish(command, engine)?;
    ensure!(
        outcome.code == 3 && outcome.stderr.is_empty(),
        "{} {}",
        outcome.code,
        text(&outcome.stderr)
    );
    ensure!(own.join("moved/beside").exists(), "the host's was removed");
    fs::remove_dir_all(own.join("moved"))?;
    same(&linux, &own)?;
    let new = fs::metadata(own.join("new"))?;
    ensure!(new.mtime() == 1_000_000_000, "mtime {}", new.mtime());
    let after = fs::metadata(own.join("untouched/file"))?.ino();
    ensure!(after == inode, "what was not changed was written");
    Ok(())
}

/// A directory of the host is another one to the program; what `--root` brought and nobody changed stays where it is.
fn run(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (linux, root, out) = (
        folder.path().join("linux"),
        folder.path().join("root"),
        folder.path().join("out"),
    );
    make(&linux)?;
    make(&root.join("data"))?;
    fs::create_dir(&out)?;
    let mut command = Command::new(ours("console")?);
    command.arg("leave").arg(&linux).arg("0");
    finish(command, engine)?;
    let place = format!("{}:/data", out.display());
    let root = root.to_str().context("UTF-8")?;
    let mut command = ringo_run(engine, &["--cpus", "2", "--root", root, "--write", &place]);
    command.arg(ours("console")?).args(["leave", "/data", "0"]);
    let outcome = finish(command, engine)?;
    ensure!(outcome.code == 0, "{}", text(&outcome.stderr));
    ensure!(
        !out.join("untouched").exists(),
        "what was not changed was written"
    );
    // A moved directory has moved as it was, and so have the names in it.
    for unchanged in ["untouched", "a link"] {
        let path = linux.join(unchanged);
        if path.is_dir() {
            fs::remove_dir_all(path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    let (linux, own) = (look(&linux)?, look(&out)?);
    for name in [
        "new",
        "old",
        "long",
        "made/in/side/file",
        "made/link",
        "sparse",
        "script",
    ] {
        ensure!(linux.get(name) == own.get(name), "{name}: not the same");
    }
    Ok(())
}

const PACKAGE: &str = r#"package calc

func Add(a, b int) int {
	if a == 0 {
		return b
	}
	return a + b
}
"#;
const TEST: &str = r#"package calc

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the golden file")

func TestAdd(t *testing.T) {
	if Add(1, 2) != 3 {
		t.Fatal("wrong")
	}
	if *update {
		if err := os.WriteFile("testdata/golden", []byte("new"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
"#;

/// A folder that is not where temporary files are: those are no news when they are lost. The repository itself may be there.
fn lasting_folder() -> Result<tempfile::TempDir> {
    let home = std::env::home_dir();
    let mut places = [Some(crate::machine::top().join("target")), home]
        .into_iter()
        .flatten();
    let place = places
        .find(|place| !place.starts_with("/tmp") && !place.starts_with("/var/tmp"))
        .context("neither the repository nor the home directory is outside of /tmp")?;
    Ok(tempfile::tempdir_in(place)?)
}

/// `go test -exec 'ringo exec'` gives the files that it is asked for, and says what it does not keep.
fn go_test(engine: Engine) -> Result<()> {
    let folder = lasting_folder()?;
    let top = folder.path();
    fs::write(top.join("go.mod"), "module example.com/calc\n\ngo 1.21\n")?;
    fs::write(top.join("calc.go"), PACKAGE)?;
    fs::write(top.join("calc_test.go"), TEST)?;
    fs::create_dir(top.join("testdata"))?;
    fs::write(top.join("testdata/golden"), "old")?;
    let test = |options: &str, args: &[&str]| -> Result<_> {
        let exec = format!(
            "{} exec --engine {} --cpus 2 {options}",
            ringo().display(),
            engine.name()
        );
        let mut go = go::command(go::newest());
        go.current_dir(top)
            .args(["test", "-exec", &exec])
            .args(args);
        let outcome = crate::execute::run(
            go,
            b"",
            std::time::Duration::from_secs(120) * engine.patience(),
        )?;
        ensure!(
            outcome.code == 0 && !outcome.late,
            "{args:?}: {}{}",
            text(&outcome.stdout),
            text(&outcome.stderr)
        );
        Ok(text(&outcome.stdout) + &text(&outcome.stderr))
    };
    let profiles = [
        "-coverprofile=c.out",
        "-cpuprofile=cpu.out",
        "-memprofile=mem.out",
        "-trace=t.out",
        ".",
    ];
    test("", &profiles)?;
    let coverage = fs::read_to_string(top.join("c.out"))?;
    ensure!(
        coverage
            .lines()
            .filter(|line| line.contains("calc.go:"))
            .count()
            == 3,
        "{coverage}"
    );
    for (name, begins) in [
        ("cpu.out", &b"\x1f\x8b"[..]),
        ("mem.out", b"\x1f\x8b"),
        ("t.out", b"go 1."),
    ] {
        let profile = fs::read(top.join(name)).with_context(|| name.to_owned())?;
        ensure!(
            profile.starts_with(begins),
            "{name}: {} bytes",
            profile.len()
        );
    }
    // Without a package's name: with one, go shows nothing of a test that passes.
    let update = ["-update"];
    let said = test("", &update)?;
    let golden = || fs::read_to_string(top.join("testdata/golden"));
    ensure!(golden()? == "old", "it was written without being asked for");
    ensure!(
        said.contains("1 file written was kept in memory only") && said.contains("golden"),
        "{said}"
    );
    let said = test("--write .", &update)?;
    ensure!(
        golden()? == "new" && !said.contains("in memory only"),
        "{said}"
    );
    Ok(())
}
