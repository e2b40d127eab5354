//! `--write` against a kernel that lies: examples/fake_qemu.rs sends the names.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::{program, ringo, text};

/// Lets the kernel leave these things; gives exit code and stderr.
fn leave(write: &str, script: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = ringo()
        .args(["run", "--engine", "tcg", "--write", write])
        .arg(program(directory.path()))
        .args(script)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("ringo starts");
    (output.status.code(), text(&output.stderr))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn files_directories_and_links_are_written() {
    let top = tempfile::tempdir().expect("a temporary directory");
    let out = top.path().join("out");
    fs::create_dir(&out).expect("a directory");
    fs::write(out.join("old"), "old contents").expect("a file");
    let place = format!("{}:/somewhere", out.display());
    let (code, said) = leave(
        &place,
        &[
            "keep-dir:a",
            "keep:a/b/c=text",
            "keep:old=new",
            "keep-link:l=../x",
            "exit:7",
        ],
    );
    assert_eq!((code, said.as_str()), (Some(7), ""));
    assert_eq!(fs::read(out.join("a/b/c")).expect("a file"), b"text");
    assert_eq!(fs::read(out.join("old")).expect("a file"), b"new");
    assert_eq!(
        out.join("l").read_link().expect("a link"),
        Path::new("../x")
    );
    let mode = |name: &str| {
        fs::metadata(out.join(name))
            .expect("it is there")
            .permissions()
            .mode()
    };
    // No set-id bits come from there, whatever the kernel says.
    assert_eq!((mode("old") & 0o7777, mode("a") & 0o7777), (0o644, 0o755));
    assert_eq!(names(&out), ["a", "l", "old"]);
}

#[test]
fn nothing_is_written_elsewhere() {
    let top = tempfile::tempdir().expect("a temporary directory");
    let out = top.path().join("out");
    fs::create_dir(&out).expect("a directory");
    fs::create_dir(top.path().join("outside")).expect("a directory");
    symlink("../outside", out.join("link")).expect("a link");
    symlink("../victim", out.join("file-link")).expect("a link");
    fs::write(top.path().join("victim"), "safe").expect("a file");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        out.join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    let long = format!("keep:{}=x", "n".repeat(300));
    for name in [
        "keep:../victim=x",
        "keep:/etc/ringo-test=x",
        "keep:link/x=x",
        "keep:a/../../victim=x",
        "keep:./victim=x",
        "keep:=x",
        "keep:pipe=x",
        "keep-dir:link/x",
        "keep-dir:../x",
        "keep-link:link/x=y",
        "keep-link:pipe=y",
        "keep@9:x=x",
        &long,
    ] {
        let (code, said) = leave(out.to_str().expect("UTF-8"), &[name, "exit:0"]);
        assert_eq!(code, Some(125), "{name}: {said}");
        assert!(said.starts_with("ringo: --write: "), "{name}: {said}");
    }
    // A link is replaced, not followed.
    let (code, said) = leave(
        out.to_str().expect("UTF-8"),
        &["keep:file-link=x", "exit:0"],
    );
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(fs::read(out.join("file-link")).expect("a file"), b"x");
    assert_eq!(
        fs::read(top.path().join("victim")).expect("a file"),
        b"safe"
    );
    assert!(names(&top.path().join("outside")).is_empty());
    assert_eq!(names(&out), ["file-link", "link", "pipe"]);
    assert_eq!(names(top.path()), ["out", "outside", "victim"]);
}

#[test]
fn a_file_that_does_not_end_leaves_nothing() {
    let out = tempfile::tempdir().expect("a temporary directory");
    let path = out.path().to_str().expect("UTF-8");
    let (code, _) = leave(path, &["keep-begin:half=text", "exit:3"]);
    assert_eq!(code, Some(3));
    let (code, said) = leave(path, &["keep-begin:half=text", "keep-fail:5", "exit:0"]);
    assert_eq!(code, Some(125));
    assert!(said.contains("half: Input/output error"), "{said}");
    assert!(names(out.path()).is_empty());
}

#[test]
fn what_is_discarded_is_said() {
    let out = tempfile::tempdir().expect("a temporary directory");
    let path = out.path().to_str().expect("UTF-8");
    let (code, said) = leave(path, &["discard:4=/a/b", "exit:0"]);
    assert_eq!(code, Some(0));
    assert!(
        said.contains("4 files written were kept in memory only: /a/b, ...;"),
        "{said}"
    );
}

#[test]
fn the_directory_must_be_there() {
    for wrong in ["/no/such/directory", "/etc/passwd", ""] {
        let (code, said) = leave(wrong, &["exit:0"]);
        assert_eq!(code, Some(125));
        assert!(
            said.starts_with(&format!("ringo: --write {wrong}")),
            "{said}"
        );
    }
}
