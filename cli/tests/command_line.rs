//! What a user types wrong, and what is said about it: one line, exit code 125.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::{program, ringo, text};

fn complaint(args: &[&str]) -> String {
    let output = ringo().args(args).output().expect("ringo starts");
    assert_eq!(output.status.code(), Some(125), "{args:?}");
    assert!(output.stdout.is_empty());
    text(&output.stderr)
}

fn line(args: &[&str]) -> String {
    let said = complaint(args);
    assert!(
        said.starts_with("ringo: ") && said.lines().count() == 1,
        "{said}"
    );
    said
}

#[test]
fn help_is_complete_and_succeeds() {
    for args in [
        &["--help"][..],
        &["run", "--help"],
        &["exec", "--help"],
        &["doctor", "--help"],
        &["bench", "--help"],
        &["help"],
        &["help", "run"],
    ] {
        let output = ringo().args(args).output().expect("ringo starts");
        assert_eq!(output.status.code(), Some(0));
        let help = text(&output.stdout);
        assert!(
            help.contains("Examples:") && help.contains("xit code"),
            "{help}"
        );
    }
    let output = ringo().arg("--version").output().expect("ringo starts");
    assert!(text(&output.stdout).starts_with("ringo "));
}

#[test]
fn usage_errors_are_125() {
    for args in [
        &[][..],
        &["run"],
        &["walk"],
        &["run", "--cpus", "0", "x"],
        &["run", "--memory", "lots", "x"],
        &["run", "--engine", "steam", "x"],
        &["run", "--publish", "x", "x"],
        &["run", "--publish", "[::1]:80:80", "x"],
        &["run", "--net", "none", "--publish", "80:80", "x"],
        &["run", "--such", "x"],
        &["exec", "--root", "/", "x"],
    ] {
        complaint(args);
    }
}

#[test]
fn programs_that_cannot_run_are_explained() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| {
        directory
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_owned()
    };
    fs::write(path("main.go"), "package main\n").expect("a file");
    fs::write(path("script"), "#!/bin/sh\n").expect("a file");
    for (program, word) in [
        (path("nothing"), "no such file"),
        ("no-such-program-anywhere".to_owned(), "in PATH"),
        (path("main.go"), "Go source"),
        (path("script"), "script"),
        (path(""), "is a directory"),
        (path("script/x"), "can't be read"),
    ] {
        let said = line(&["run", &program]);
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_file_that_is_not_marked_as_a_program_does_not_run() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = program(directory.path());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o644)).expect("its owner");
    let said = line(&["run", "--engine", "tcg", program.to_str().expect("UTF-8")]);
    assert!(
        said.contains("permission denied") && said.contains("chmod +x"),
        "{said}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = program(directory.path());
    let program = program.to_str().expect("UTF-8");
    let said = line(&["run", "--engine", "tcg", "--root", "/no/such/root", program]);
    assert!(said.contains("/no/such/root"), "{said}");
    let said = line(&["run", "--engine", "tcg", "--root", program, program]);
    assert!(said.contains(".tar"), "{said}");
    let said = line(&["run", "--engine", "tcg", "--memory", "8M", program]);
    assert!(said.contains("--memory 32M"), "{said}");

    let output = Command::new(env!("CARGO_BIN_EXE_ringo"))
        .args(["run", "--engine", "tcg", program])
        .env_remove("RINGO_QEMU")
        .env("PATH", "/nowhere")
        .output()
        .expect("ringo starts");
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("apt install qemu-system-x86"));
}
