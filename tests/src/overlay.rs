//! `ringo exec`: programs that work on files of the host. What they change stays in RAM, so each trial's folder is filled
//! anew on both sides and has to look the same afterwards.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{Result, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::case::{Case, Program::Ours, case};

/// Some bytes that do not repeat every page.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = length as u64 | 1;
    let mut all = Vec::with_capacity(length + 8);
    while all.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        all.extend(state.rotate_left(20).to_le_bytes());
    }
    all.truncate(length);
    all
}

fn text(length: usize) -> String {
    (0..)
        .map(|n| format!("{n} "))
        .take(length)
        .collect::<String>()[..length]
        .to_owned()
}

/// What every act finds.
fn small(at: &Path) -> Result<()> {
    fs::write(at.join("text"), "a text of the host\n")?;
    fs::write(at.join("empty"), "")?;
    fs::write(at.join("page"), text(4096))?;
    fs::write(at.join("medium"), text(50_000))?;
    fs::write(at.join("medium2"), text(30_000))?;
    fs::create_dir_all(at.join("sub/deep/er"))?;
    fs::write(at.join("sub/a"), "a")?;
    fs::write(at.join("sub/b"), "bb")?;
    fs::write(at.join("sub/c"), "ccc")?;
    fs::write(at.join("sub/deep/er/leaf"), "a leaf")?;
    for (name, mode) in [("private", 0o600), ("script", 0o755), ("set-id", 0o6755)] {
        fs::write(at.join(name), name)?;
        fs::set_permissions(at.join(name), Permissions::from_mode(mode))?;
    }
    for (target, name) in [
        ("text", "link"),
        ("nowhere", "dangling"),
        ("..", "sub/back"),
        ("sub", "to-sub"),
        ("to-sub/back/link", "chain"),
        ("loop", "loop"),
        ("..", "up"),
    ] {
        symlink(target, at.join(name))?;
    }
    for name in ["text", "page", "script"] {
        let date = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
        let times = FileTimes::new().set_modified(date).set_accessed(date);
        File::options()
            .write(true)
            .open(at.join(name))?
            .set_times(times)?;
    }
    Ok(())
}

/// And a thousand small files.
fn many(at: &Path) -> Result<()> {
    small(at)?;
    fs::create_dir(at.join("many"))?;
    for n in 0..1000 {
        fs::write(at.join(format!("many/f{n:04}")), text(n * 17 % 9000 + 1))?;
    }
    Ok(())
}

/// And large ones.
fn large(at: &Path) -> Result<()> {
    small(at)?;
    for (name, length) in [("big", (48 << 20) + 12_345), ("big2", 40 << 20)] {
        File::create(at.join(name))?.write_all(&bytes(length))?;
    }
    Ok(())
}

/// And sizes around the borders of pages.
fn sizes(at: &Path) -> Result<()> {
    many(at)?;
    fs::create_dir(at.join("sizes"))?;
    for size in [
        0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 65_535, 65_536, 65_537, 131_073,
    ] {
        fs::write(at.join(format!("sizes/{size}")), bytes(size))?;
    }
    Ok(())
}

fn act(act: &'static str) -> Case {
    case(&format!("overlay/{act}"), Ours("overlay"), &[act])
        .exec()
        .code(0)
}

/// Every case.
pub fn cases() -> Vec<Case> {
    let some = |names: &'static str, files| {
        names
            .split_whitespace()
            .map(move |name| act(name).files(files))
    };
    let mut all: Vec<Case> = some(
        "tree attributes readdir write rename remove recreate symlinks links modes times missing dirfs at working-directory \
         outside map-end locks unlinked temp exchange sparse",
        small as fn(&Path) -> Result<()>,
    )
    .collect();
    all.extend(some(
        "readdir-changing many many-walk threads churn rename-directory",
        many,
    ));
    all.extend(some("pages removeall", sizes));
    all.extend(
        some("big big-random truncate private-map shared-map copy", large)
            .map(|case| case.limit(60)),
    );
    // Less memory than the files have.
    all.push(act("big-twice").files(large).memory(64).limit(60));
    all.push(act("available").files(large).memory(64).limit(60));
    all.push(act("big-map").files(large).memory(64).limit(60));
    all.push(act("many-times").files(many).memory(16).limit(60));
    all.push(
        case("overlay/many-16M", Ours("overlay"), &["many"])
            .exec()
            .files(many)
            .memory(16)
            .code(0),
    );
    all
}
