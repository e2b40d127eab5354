//! Verdicts as files, `target/conformance/verdicts/SIDE/PACKAGE.json`: a pass over all packages takes hours, and `--resume`
//! goes on with one that was interrupted. Each carries the build it is of, which the page names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::compare::Verdict;
use crate::packages::{file_name, top, work};
use crate::sides::Side;

/// A verdict, and what it is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The day, as 2026-01-31.
    pub date: String,
    /// The commit, with `-dirty` if files were changed.
    pub build: String,
    pub verdict: Verdict,
}

/// Where verdicts lie, and what new ones carry.
pub struct Pass {
    folder: PathBuf,
    date: String,
    build: String,
}

impl Pass {
    /// A new pass, or with `resume` the one that was interrupted.
    ///
    /// # Errors
    /// If the verdicts of an earlier pass could not be removed.
    pub fn begin(resume: bool) -> Result<Pass> {
        let folder = work().join("verdicts");
        if !resume && folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        Ok(Pass {
            folder,
            date: first_line(Command::new("date").args(["-u", "+%Y-%m-%d"])),
            build: first_line(
                Command::new("git")
                    .args(["describe", "--always", "--dirty", "--exclude=*"])
                    .current_dir(top()),
            ),
        })
    }

    /// What the pass has found already. A file that cannot be read is as good as none: the package is run again.
    pub fn find(&self, package: &str, side: Side) -> Option<Kept> {
        let text = std::fs::read(self.file(package, side)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps a verdict.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn keep(&self, package: &str, side: Side, verdict: Verdict) -> Result<Kept> {
        let kept = Kept {
            date: self.date.clone(),
            build: self.build.clone(),
            verdict,
        };
        let file = self.file(package, side);
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        std::fs::write(&file, serde_json::to_vec(&kept)?)
            .with_context(|| file.display().to_string())?;
        Ok(kept)
    }

    fn file(&self, package: &str, side: Side) -> PathBuf {
        let name = format!("{}.json", file_name(package));
        self.folder.join(side.name()).join(name)
    }
}

/// What a command prints first.
pub fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|o| o.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output);
    text.lines().next().unwrap_or("unknown").to_owned()
}
