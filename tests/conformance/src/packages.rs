//! The packages whose tests are run, and the tool chain they come from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};

/// All of the standard library, as `go list` has patterns. Commands (cmd/...) test themselves by starting processes.
pub const PATTERNS: &[&str] = &["std"];

/// A few packages that together touch threads, timers, files, signals and memory, in well under a minute on KVM.
pub const SHORT: &[&str] = &[
    "errors",
    "fmt",
    "sort",
    "sync",
    "sync/atomic",
    "context",
    "io/fs",
    "path/filepath",
    "internal/poll",
    "os/signal",
    "runtime/debug",
    "archive/tar",
];

/// The repository's top folder.
pub fn top() -> &'static Path {
    static TOP: LazyLock<PathBuf> = LazyLock::new(|| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .expect("tests/conformance lies in the repository")
            .to_path_buf()
    });
    &TOP
}

/// A Go tool chain.
pub struct Go {
    /// `1.27.3`
    pub version: String,
    /// Without symbolic links: the test binaries carry this path.
    pub root: PathBuf,
}

impl Go {
    /// The newest one in tools/go-versions.
    pub fn newest() -> Result<Go> {
        let list = top().join("tools/go-versions");
        let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        let version = text
            .lines()
            .find(|l| !l.starts_with('#') && !l.is_empty())
            .context("tools/go-versions names no version")?
            .to_owned();
        let root = top().join(".cache/go").join(&version);
        let root = root
            .canonicalize()
            .with_context(|| format!("Go {version} is missing: run `tools/setup.sh`"))?;
        Ok(Go { version, root })
    }

    /// The `go` command, with nothing of the caller's Go settings in the way.
    pub fn command(&self) -> Command {
        let mut go = Command::new(self.root.join("bin/go"));
        go.env("GOROOT", &self.root)
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .env("GOFLAGS", "")
            .env("GOWORK", "off")
            .current_dir(self.root.join("src"));
        go
    }

    /// Where a package's sources lie: the directory its tests run in.
    pub fn source(&self, package: &str) -> PathBuf {
        self.root.join("src").join(package)
    }

    /// Expands patterns to the packages that have tests, in the patterns' order.
    ///
    /// # Errors
    /// If a pattern matches no package with tests: a list that shrinks unnoticed proves nothing.
    pub fn packages(&self, patterns: &[String]) -> Result<Vec<String>> {
        let mut all: Vec<String> = Vec::new();
        for pattern in patterns {
            let output = self
                .command()
                .args([
                    "list",
                    "-f",
                    "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}",
                ])
                .arg(pattern)
                .output()
                .context("starting go list")?;
            ensure!(
                output.status.success(),
                "go list {pattern}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let text = String::from_utf8_lossy(&output.stdout);
            let mut found = text.lines().filter(|l| !l.is_empty()).peekable();
            if found.peek().is_none() {
                bail!("{pattern}: no package with tests");
            }
            for package in found {
                if !all.iter().any(|p| p == package) {
                    all.push(package.to_owned());
                }
            }
        }
        Ok(all)
    }

    /// The package's test binary, built as `go test` builds it. The same Go makes the same binary, so one that exists is kept.
    pub fn test_binary(&self, package: &str) -> Result<PathBuf> {
        let folder = work().join(&self.version);
        std::fs::create_dir_all(&folder)?;
        let file = folder.join(format!("{}.test", file_name(package)));
        if file.exists() {
            return Ok(file);
        }
        let output = self
            .command()
            .args(["test", "-c", "-o"])
            .arg(&file)
            .arg(package)
            .output()
            .context("starting go test -c")?;
        ensure!(
            output.status.success() && file.exists(),
            "go test -c {package}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(file)
    }
}

/// Where binaries, outputs and results go.
pub fn work() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from);
    target.join("conformance")
}

/// A package's name as a file's.
pub fn file_name(package: &str) -> String {
    package.replace('/', "_")
}
