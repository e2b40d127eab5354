//! What the program finds: arguments, environment, files. Read from the bundle by examples/fake_qemu.rs.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use common::{program, ringo, run, text};

fn shown(options: &[&str], what: &str) -> String {
    let output = run(options, &[&format!("show:{what}"), "exit:0"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn run_hands_down_no_variables_but_those_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = ringo()
        .args([
            "run",
            "--engine",
            "tcg",
            "--env",
            "A=1",
            "--env",
            "FROM_HOST",
            "--env",
            "NOT_SET",
            "-e",
            "HOME=/h",
        ])
        .arg(program(directory.path()))
        .args(["show:env", "exit:0"])
        .env("FROM_HOST", "x=y")
        .env("SECRET", "s")
        .output()
        .expect("ringo starts");
    let env = text(&output.stdout);
    let lines: Vec<_> = env.lines().collect();
    assert!(lines[0].starts_with("PATH=/usr/local/sbin:"), "{env}");
    assert_eq!(lines[1..], ["A=1", "FROM_HOST=x=y", "HOME=/h"]);
}

#[test]
fn exec_hands_down_everything() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let canonical = directory.path().canonicalize().expect("it exists");
    program(directory.path());
    let exec = |what: &str| {
        let output = ringo()
            .args([
                "exec", "--engine", "tcg", "--env", "B=2", "./prog", what, "exit:0",
            ])
            .current_dir(directory.path())
            .env("SECRET", "s")
            .output()
            .expect("ringo starts");
        text(&output.stdout)
    };
    assert!(exec("show:env").contains("SECRET=s\n") && exec("show:env").contains("B=2\n"));
    assert_eq!(exec("show:cwd"), canonical.to_str().expect("UTF-8"));
    assert_eq!(
        exec("show:program"),
        format!("{}/prog 4096", canonical.display())
    );
    assert!(exec("show:qemu").contains("local,id=host,path=/,security_model=none,readonly=on"));
    assert_eq!(exec("show:tree"), "");
}

#[test]
fn an_empty_root_gets_what_every_system_has() {
    let tree = shown(&[], "tree");
    for line in [
        "d1777 tmp\n",
        "d700 root\n",
        "f644 etc/hostname ringo\n",
        "f644 etc/passwd root:x:0:0:",
    ] {
        assert!(tree.contains(line), "{line} in {tree}");
    }
    let has = |path: &str| tree.contains(&format!(" {path} "));
    if fs::exists("/usr/share/zoneinfo/Europe/Paris").unwrap_or(false) {
        assert!(has("usr/share/zoneinfo/Europe/Paris"));
        assert!(!tree.contains("zoneinfo/right"));
    }
    if fs::exists("/etc/ssl/certs/ca-certificates.crt").unwrap_or(false) {
        assert!(has("etc/ssl/certs/ca-certificates.crt"));
    }
}

fn make_tree(root: &std::path::Path) {
    fs::create_dir_all(root.join("etc/ssl/certs")).expect("directories");
    fs::create_dir_all(root.join("usr/share/zoneinfo")).expect("directories");
    fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), "own").expect("a file");
    fs::write(root.join("etc/passwd"), "me:x:1:1::/:\n").expect("a file");
    fs::set_permissions(root.join("etc/passwd"), fs::Permissions::from_mode(0o600))
        .expect("its owner");
    symlink("../etc/passwd", root.join("usr/link")).expect("a link");
    fs::hard_link(root.join("etc/passwd"), root.join("second")).expect("a link");
}

fn check_tree(tree: &str) {
    for line in [
        "f644 etc/ssl/certs/ca-certificates.crt own\n",
        "l usr/link ../etc/passwd\n",
        "d755 usr/share/zoneinfo\n",
        "d1777 tmp\n",
    ] {
        assert!(tree.contains(line), "{line} in {tree}");
    }
    // Which of the two names is the first depends on the order of reading.
    assert!(
        tree.contains("f600 etc/passwd me") || tree.contains("f600 second me"),
        "{tree}"
    );
    assert!(
        tree.contains("h second etc/passwd") || tree.contains("h etc/passwd second"),
        "{tree}"
    );
    assert!(
        !tree.contains("Europe"),
        "the root brought its own zones: {tree}"
    );
}

#[test]
fn a_root_directory_is_copied() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    make_tree(directory.path());
    check_tree(&shown(
        &["--root", directory.path().to_str().expect("UTF-8")],
        "tree",
    ));
}

#[test]
fn a_root_archive_is_unpacked_compressed_or_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().join("root");
    fs::create_dir(&root).expect("a directory");
    make_tree(&root);
    for (name, flag) in [("root.tar", "-cf"), ("root.tar.gz", "-czf")] {
        let file = directory.path().join(name);
        let status = Command::new("tar")
            .arg(flag)
            .arg(&file)
            .arg("-C")
            .arg(&root)
            .arg(".")
            .status();
        assert!(status.expect("tar").success());
        check_tree(&shown(&["--root", file.to_str().expect("UTF-8")], "tree"));
    }
}

#[test]
fn the_program_is_a_file_in_the_tree() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = program(directory.path()).canonicalize().expect("it exists");
    let output = ringo()
        .args(["run", "--engine", "tcg", "--workdir", "work/../here"])
        .arg(&program)
        .args(["show:tree", "show:cwd", "exit:0"])
        .output()
        .expect("ringo starts");
    let tree = text(&output.stdout);
    let path = program.to_str().expect("UTF-8");
    assert!(
        tree.contains(&format!("f755 {} 4096\n", &path[1..])),
        "{tree}"
    );
    assert!(
        tree.contains("d755 here\n") && tree.ends_with("/here"),
        "{tree}"
    );
}

#[test]
fn one_output_is_recognised() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = fs::File::create(directory.path().join("out")).expect("a file");
    ringo()
        .args(["run", "--engine", "tcg"])
        .arg(program(directory.path()))
        .args(["show:streams", "exit:0"])
        .stdin(std::process::Stdio::null())
        .stdout(file.try_clone().expect("a descriptor"))
        .stderr(file)
        .status()
        .expect("ringo starts");
    let shown = fs::read_to_string(directory.path().join("out")).expect("the output");
    assert_eq!(shown, "[Null, File, File] Flags(8)");
    assert!(
        run(&[], &["show:streams", "exit:0"])
            .stdout
            .ends_with(b"Flags(0)")
    );
}

#[test]
fn qemu_has_no_descriptors_of_whoever_started_us() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    program(directory.path());
    // A shell's descriptor 9 is open in all its children, as make's jobserver is.
    let output = Command::new("sh")
        .args(["-c", "exec 9<\"$1/prog\"; shift; \"$@\"", "sh"])
        .arg(directory.path())
        .arg(ringo().get_program())
        .args(["run", "--engine", "tcg"])
        .arg(directory.path().join("prog"))
        .args(["show:descriptors", "exit:0"])
        .envs(ringo().get_envs().filter_map(|(k, v)| Some((k, v?))))
        .output()
        .expect("sh starts");
    let shown = text(&output.stdout);
    assert!(shown.contains("memfd:ringo-kernel"), "{shown}");
    assert!(!shown.contains("/prog"), "{shown}");
}

fn refused(root: &std::path::Path, memory: &str) -> String {
    let root = root.to_str().expect("UTF-8");
    let output = run(&["--memory", memory, "--root", root], &["exit:0"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    text(&output.stderr)
}

/// A header of a tar archive, for a file of so many bytes.
fn tar_header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[100..108].copy_from_slice(b"0000644\0");
    for at in [108, 116] {
        header[at..at + 8].copy_from_slice(b"0000000\0");
    }
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar  \0");
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[test]
fn a_deep_archive_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let deep = vec!["d"; 60_000].join("/");
    let mut archive = tar_header("././@LongLink", b'L', deep.len() as u64);
    archive.extend(deep.bytes());
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive.extend(tar_header("short", b'0', 0));
    archive.resize(archive.len() + 1024, 0);
    let file = directory.path().join("deep.tar");
    fs::write(&file, archive).expect("a file");
    assert!(refused(&file, "64M").contains("a path of 119999 bytes"));
}

#[test]
fn what_does_not_fit_is_not_unpacked_first() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Terabytes of nothing: only the directory's entry and the archive's header say so.
    let root = directory.path().join("root");
    fs::create_dir(&root).expect("a directory");
    let sparse = fs::File::create(root.join("sparse")).expect("a file");
    sparse.set_len(1 << 42).expect("a sparse file");
    let words = "more than the VM's 64 MiB: give it more with --memory";
    assert!(refused(&root, "64M").contains(words));

    let file = directory.path().join("sparse.tar");
    let status = Command::new("tar")
        .args(["-S", "-cf"])
        .arg(&file)
        .arg("-C")
        .arg(&root)
        .arg("sparse")
        .status();
    assert!(status.expect("tar").success());
    assert!(fs::metadata(&file).expect("it is there").len() < 1 << 20);
    assert!(refused(&file, "64M").contains(words));
}

#[test]
fn what_is_no_archive_is_not_quoted() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("main.go");
    fs::write(&file, "package main // secret\n".repeat(100)).expect("a file");
    let said = refused(&file, "64M");
    assert!(said.contains("is not a directory, a .tar or a .tar.gz") && !said.contains("secret"));
}

#[test]
fn what_a_root_leaves_out_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        directory.path().join("queue"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("a pipe");
    let root = directory.path().to_str().expect("UTF-8");
    let output = run(&["--root", root], &["exit:0"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stderr);
    assert!(
        said.contains("--root: left out: /queue (neither file, directory nor link)"),
        "{said}"
    );
}
