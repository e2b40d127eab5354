//! Builds the Go programs: everything under go/programs with each Go version, once a run, into target/e2e/VERSION.
//!
//! Go's own build cache makes a second run cheap. An older tool chain that is not there yet is fetched by
//! `tools/setup.sh go VERSION`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use anyhow::{Context, Result, anyhow, ensure};

use crate::machine::top;

/// The versions in tools/go-versions, the newest first.
pub static VERSIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let text = std::fs::read_to_string(top().join("tools/go-versions"))
        .expect("tools/go-versions is part of the repository");
    text.lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(str::to_owned)
        .collect()
});

/// The version everything is built with unless a case says otherwise.
pub fn newest() -> &'static str {
    &VERSIONS[0]
}

/// Where the tool chain of a version lies.
pub fn goroot(version: &str) -> PathBuf {
    top().join(".cache/go").join(version)
}

/// A `go` command of that version, with nothing of the caller's Go settings in the way.
pub fn command(version: &str) -> Command {
    let mut go = Command::new(goroot(version).join("bin/go"));
    go.env("GOROOT", goroot(version))
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOWORK", "off");
    go
}

/// Runs `work` once per key, also when several trials ask for it at the same time, and remembers its failure as well.
pub fn once<T: Clone>(
    memory: &'static Slots<T>,
    key: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let slot = memory
        .lock()
        .expect("no trial panics holding it")
        .entry(key.to_owned())
        .or_default()
        .clone();
    slot.get_or_init(|| work().map_err(|e| format!("{e:#}")))
        .clone()
        .map_err(|e| anyhow!(e))
}

type Slots<T> = Mutex<HashMap<String, Arc<OnceLock<Result<T, String>>>>>;
type Memory<T> = LazyLock<Slots<T>>;
static TOOLCHAINS: Memory<()> = LazyLock::new(Default::default);
static PROGRAMS: Memory<PathBuf> = LazyLock::new(Default::default);
static THIRD: Memory<PathBuf> = LazyLock::new(Default::default);
static PACKAGES: Memory<String> = LazyLock::new(Default::default);

fn toolchain(version: &str) -> Result<()> {
    once(&TOOLCHAINS, version, || {
        if goroot(version).join("bin/go").exists() {
            return Ok(());
        }
        let status = Command::new(top().join("tools/setup.sh"))
            .args(["go", version])
            .status()?;
        ensure!(status.success(), "Go {version} could not be set up");
        Ok(())
    })
}

fn run(mut go: Command) -> Result<()> {
    let output = go.output().context("starting go")?;
    ensure!(
        output.status.success(),
        "{go:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The executable of go/programs/`name`, built by `version`.
pub fn program(version: &str, name: &str) -> Result<PathBuf> {
    let folder = once(&PROGRAMS, version, || {
        toolchain(version)?;
        let folder = top().join("target/e2e").join(version);
        std::fs::create_dir_all(&folder)?;
        let mut go = command(version);
        go.current_dir(top().join("go"))
            .args(["build", "-o"])
            .arg(&folder)
            .arg("./programs/...");
        run(go)?;
        Ok(folder)
    })?;
    Ok(folder.join(name))
}

/// The program of go/programs/`name` built with extra flags (stripped, position-independent, ...) into a file of its own.
pub fn variant(version: &str, name: &str, suffix: &str, flags: &[&str]) -> Result<PathBuf> {
    program(version, name)?;
    once(&PROGRAMS, &format!("{version} {name} {flags:?}"), || {
        let file = top()
            .join("target/e2e")
            .join(version)
            .join(format!("{name}-{suffix}"));
        let mut go = command(version);
        go.current_dir(top().join("go"))
            .arg("build")
            .args(flags)
            .arg("-o")
            .arg(&file)
            .arg(format!("./programs/{name}"));
        run(go)?;
        Ok(file)
    })
}

/// A program nobody here wrote: `package` of the module go/third, whose go.mod and go.sum pin every version.
pub fn third(package: &str) -> Result<PathBuf> {
    once(&THIRD, package, || {
        toolchain(newest())?;
        let folder = top().join("target/e2e/third");
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(package.replace('/', "_"));
        let mut go = command(newest());
        go.current_dir(top().join("go/third"))
            .args(["build", "-o"])
            .arg(&file)
            .arg(package);
        run(go)?;
        Ok(file)
    })
}

/// The benchmark, go/bench.
pub fn benchmark() -> Result<PathBuf> {
    once(&PROGRAMS, "bench", || {
        toolchain(newest())?;
        let file = top().join("target/e2e").join(newest()).join("bench");
        let mut go = command(newest());
        go.current_dir(top().join("go"))
            .args(["build", "-o"])
            .arg(&file)
            .arg("./bench");
        run(go)?;
        Ok(file)
    })
}

/// A tool of the Go distribution itself: `bin/gofmt`, `pkg/tool/linux_amd64/compile`.
pub fn tool(path: &str) -> Result<PathBuf> {
    toolchain(newest())?;
    Ok(goroot(newest()).join(path))
}

/// Builds a package of go/third for WebAssembly (wasip1) into `file`.
pub fn wasm(package: &str, file: &Path) -> std::io::Result<()> {
    let build = || {
        toolchain(newest())?;
        let mut go = command(newest());
        go.current_dir(top().join("go/third"))
            .env("GOOS", "wasip1")
            .env("GOARCH", "wasm")
            .args(["build", "-trimpath", "-o"])
            .arg(file)
            .arg(package);
        run(go)
    };
    build().map_err(std::io::Error::other)
}

/// Fills a folder with what compiler and linker want for a main package that imports nothing: the runtime's packages, compiled,
/// the file `importcfg` that says where they are, and `main.a`, compiled from `main.go`.
pub fn packages(folder: &Path) -> std::io::Result<()> {
    let fill = || -> Result<()> {
        let text = once(&PACKAGES, "runtime", || {
            toolchain(newest())?;
            let mut go = command(newest());
            const FORMAT: &str = "{{if .Export}}{{.ImportPath}} {{.Export}}{{end}}";
            go.args(["list", "-export", "-deps", "-f", FORMAT, "runtime"]);
            let output = go.output()?;
            ensure!(output.status.success(), "{go:?}");
            Ok(String::from_utf8(output.stdout)?)
        })?;
        let mut config = String::new();
        for line in text.lines() {
            let (package, file) = line.split_once(' ').context("go list -export")?;
            let name = format!("{}.a", package.replace('/', "_"));
            std::fs::copy(file, folder.join(&name))?;
            config.push_str(&format!("packagefile {package}={name}\n"));
        }
        std::fs::write(folder.join("importcfg"), config)?;
        let mut compile = Command::new(tool("pkg/tool/linux_amd64/compile")?);
        compile.current_dir(folder).args([
            "-p",
            "main",
            "-importcfg",
            "importcfg",
            "-o",
            "main.a",
            "main.go",
        ]);
        run(compile)
    };
    fill().map_err(std::io::Error::other)
}
