//! What the options do, and what the command says when something is missing.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::{finish, host, on, one_line, ours, outcome, ringo_run, text};
use crate::execute::run;
use crate::go;
use crate::machine::{Engine, ringo};

pub fn trials() -> Vec<Trial> {
    const KVM: &[Engine] = &[Engine::Kvm];
    let mut all = Vec::new();
    all.extend(on(&Engine::ALL, "stats", stats));
    all.extend(on(KVM, "stats-of-a-failure", stats_of_a_failure));
    all.extend(on(&Engine::ALL, "verbose", verbose));
    all.extend(on(KVM, "verbose-unknown-call", unknown_call));
    all.extend(on(KVM, "another-program", another_program));
    all.extend(on(KVM, "cpus-and-memory", cpus_and_memory));
    all.extend(on(KVM, "more-cpus-than-wanted", more_cpus_than_wanted));
    all.push(host("too-many-cpus", too_many_cpus));
    all.extend(on(KVM, "env", environment));
    all.extend(on(KVM, "workdir", working_directory));
    all.extend(on(KVM, "root", root));
    all.extend(on(KVM, "exec", exec));
    all.extend(on(&Engine::ALL, "q35", q35));
    all.extend(on(&Engine::ALL, "q35-fresh-memory", q35_fresh_memory));
    all.extend(on(&Engine::ALL, "engine-auto", engine_auto));
    all.push(host("missing-qemu", missing_qemu));
    all.push(host("unusable-kvm", unusable_kvm));
    all.push(host("publish", publish));
    all.push(host("doctor", doctor));
    all
}

/// A number in a line of JSON; good enough for a flat object of our own.
fn member<'a>(json: &'a str, key: &str) -> Result<&'a str> {
    let rest = json
        .split_once(&format!("\"{key}\":"))
        .with_context(|| format!("no {key} in {json}"))?
        .1;
    let end = rest.find([',', '}']).unwrap_or(rest.len());
    Ok(rest[..end].trim_matches('"'))
}

fn stats(engine: Engine) -> Result<()> {
    let outcome = outcome::<&str>(engine, &["--stats", "--memory", "64M"], "hello", &[])?;
    let line = text(&outcome.stderr);
    ensure!(
        outcome.code == 0 && outcome.stdout == b"hello, world\n" && line.lines().count() == 1,
        "{} {line}",
        outcome.code
    );
    let get = |key| member(&line, key);
    ensure!(
        get("engine")? == engine.name() && get("cpus")? == "2" && get("exit_code")? == "0",
        "{line}"
    );
    ensure!(get("memory_bytes")? == (64u64 << 20).to_string(), "{line}");
    let (rewritten, found) = get("sites")?.split_once('/').context("sites")?;
    ensure!(
        rewritten == found && rewritten.parse::<u32>()? > 20,
        "{line}"
    );
    for key in [
        "qemu_start_ms",
        "boot_ms",
        "run_ms",
        "end_ms",
        "syscalls",
        "guest_resident_bytes",
    ] {
        ensure!(get(key)?.parse::<f64>()? > 0.0, "{key} in {line}");
    }
    ensure!(
        get("guest_resident_bytes")?.parse::<u64>()? <= 64 << 20,
        "{line}"
    );
    Ok(())
}

fn stats_of_a_failure(engine: Engine) -> Result<()> {
    let outcome = outcome(engine, &["--stats"], "circumstances", &["exit", "9"])?;
    let said = text(&outcome.stderr);
    let last = said.lines().last().context("a line")?;
    ensure!(
        outcome.code == 9 && member(last, "exit_code")? == "9",
        "{said}"
    );
    Ok(())
}

fn verbose(engine: Engine) -> Result<()> {
    let outcome = outcome::<&str>(engine, &["-v"], "hello", &[])?;
    let said = text(&outcome.stderr);
    ensure!(
        outcome.code == 0 && outcome.stdout == b"hello, world\n",
        "{said}"
    );
    ensure!(
        said.lines().all(|line| line.starts_with("kernel: ")),
        "{said}"
    );
    ensure!(said.contains("system-call sites rewritten"), "{said}");
    Ok(())
}

/// A system call that is not provided is named once in the log, however often it is made, and not at all without -v.
fn unknown_call(engine: Engine) -> Result<()> {
    let loud = outcome(engine, &["-v"], "console", &["unknown-call"])?;
    let said = text(&loud.stderr);
    let named = said.lines().filter(|line| line.contains(" 400 ")).count();
    ensure!(
        loud.code == 0 && text(&loud.stdout) == "ENOSYS\n" && named == 1,
        "{} {said}",
        loud.code
    );
    let quiet = outcome(engine, &[], "console", &["unknown-call"])?;
    ensure!(quiet.stderr.is_empty(), "{}", text(&quiet.stderr));
    Ok(())
}

/// A program that fails after it could not start another one gets a line that says so; nobody else does.
fn another_program(engine: Engine) -> Result<()> {
    for (arguments, lines) in [
        (&["spawn", "1", "start"][..], 1),
        (&["spawn", "0", "start"], 0),
        (&["spawn", "1"], 0),
    ] {
        let outcome = outcome(engine, &[], "console", arguments)?;
        let said = text(&outcome.stderr);
        ensure!(
            said.lines().count() == lines
                && said
                    .lines()
                    .all(|line| line.starts_with("ringo: the program tried to start")),
            "{arguments:?}: {said}"
        );
    }
    Ok(())
}

fn cpus_and_memory(engine: Engine) -> Result<()> {
    for (cpus, memory) in [(1, 64), (3, 256), (8, 1024)] {
        let mut command = Command::new(ringo());
        command
            .args([
                "run",
                "--engine",
                engine.name(),
                "--cpus",
                &cpus.to_string(),
                "-m",
                &format!("{memory}M"),
            ])
            .arg(ours("console")?)
            .arg("machine");
        let outcome = finish(command, engine)?;
        let said = text(&outcome.stdout);
        let mut numbers = said.split_whitespace().map(str::parse::<u64>);
        let (found, mib) = (
            numbers.next().context(said.clone())??,
            numbers.next().context("memory")??,
        );
        ensure!(
            found == cpus && mib <= memory && mib + 16 > memory * 9 / 10,
            "{cpus} {memory}: {said}{}",
            text(&outcome.stderr)
        );
    }
    Ok(())
}

/// A machine with more CPUs than the kernel takes: the surplus neither disturbs the others nor takes time from them.
fn more_cpus_than_wanted(engine: Engine) -> Result<()> {
    const SCRIPT: &str = r#"#!/bin/sh
for word; do
    shift
    case $last in -smp) word=70 ;; esac
    set -- "$@" "$word"
    last=$word
done
exec "${REAL_QEMU:-qemu-system-x86_64}" "$@"
"#;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("qemu");
    std::fs::write(&script, SCRIPT)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    let mut command = ringo_run(engine, &[]);
    command.arg(ours("console")?).arg("machine");
    if let Some(real) = std::env::var_os("RINGO_QEMU") {
        command.env("REAL_QEMU", real);
    }
    command.env("RINGO_QEMU", &script);
    let outcome = finish(command, engine)?;
    let said = text(&outcome.stdout);
    ensure!(
        outcome.code == 0 && said.starts_with("64 "),
        "{} {said}{}",
        outcome.code,
        text(&outcome.stderr)
    );
    Ok(())
}

fn too_many_cpus() -> Result<()> {
    for wanted in ["0", "65"] {
        let mut command = Command::new(ringo());
        command.args(["run", "--cpus", wanted]).arg(ours("hello")?);
        let outcome = finish(command, Engine::Tcg)?;
        let said = text(&outcome.stderr);
        ensure!(
            outcome.code == 125 && outcome.stdout.is_empty() && said.contains("1..=64"),
            "{} {said}",
            outcome.code
        );
    }
    Ok(())
}

fn environment(engine: Engine) -> Result<()> {
    let mut command = ringo_run(
        engine,
        &[
            "--env",
            "A=1",
            "-e",
            "FROM_HOST",
            "--env",
            "NOWHERE",
            "--env",
            "A=two words",
            "--env",
            "EMPTY=",
        ],
    );
    command
        .env("FROM_HOST", "yes")
        .env("SECRET", "no")
        .arg(ours("console")?)
        .args([
            "where",
            "A",
            "FROM_HOST",
            "NOWHERE",
            "EMPTY",
            "SECRET",
            "HOME",
        ]);
    let outcome = finish(command, engine)?;
    let expected = "/\nA \"two words\" true\nFROM_HOST \"yes\" true\nNOWHERE \"\" false\nEMPTY \"\" true\nSECRET \"\" false\nHOME \"/root\" true\n";
    ensure!(
        text(&outcome.stdout) == expected,
        "{}",
        text(&outcome.stdout)
    );
    Ok(())
}

fn working_directory(engine: Engine) -> Result<()> {
    for (wanted, expected) in [
        ("/tmp", "/tmp\n"),
        ("/a/b/../c", "/a/c\n"),
        ("var/./tmp", "/var/tmp\n"),
    ] {
        let outcome = outcome(engine, &["--workdir", wanted], "console", &["where"])?;
        ensure!(
            text(&outcome.stdout) == expected,
            "{wanted}: {}{}",
            text(&outcome.stdout),
            text(&outcome.stderr)
        );
    }
    Ok(())
}

/// A directory, a tar and a tar.gz bring the same files, with what belongs to them.
fn root(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let top = folder.path().join("top");
    make_tree(&top.join("data"))?;
    let mut linux = Command::new(ours("console")?);
    linux.arg("tree").arg(top.join("data"));
    let linux = text(&finish(linux, engine)?.stdout);
    ensure!(linux.lines().count() > 8, "{linux}");
    let (tar, packed) = (
        folder.path().join("top.tar"),
        folder.path().join("top.tar.gz"),
    );
    for (flags, file) in [("-cf", &tar), ("-czf", &packed)] {
        let status = Command::new("tar")
            .args([flags])
            .arg(file)
            .arg("-C")
            .arg(&top)
            .arg(".")
            .status()?;
        ensure!(status.success(), "tar");
    }
    for root in [&top, &tar, &packed] {
        let option = root.to_str().context("UTF-8")?;
        let outcome = outcome(engine, &["--root", option], "console", &["tree", "/data"])?;
        let found = text(&outcome.stdout);
        ensure!(
            found == linux,
            "{option}:\n{}\n{}",
            similar::TextDiff::from_lines(&linux, &found).unified_diff(),
            text(&outcome.stderr)
        );
    }
    let wrong = folder.path().join("not-a-tar");
    std::fs::write(&wrong, [b'x'; 2000])?;
    let outcome = outcome(
        engine,
        &["--root", wrong.to_str().context("UTF-8")?],
        "console",
        &["where"],
    )?;
    one_line(&outcome, 125, &["not-a-tar", ".tar"])
}

fn make_tree(top: &Path) -> Result<()> {
    std::fs::create_dir_all(top.join("deep/er/est"))?;
    std::fs::write(top.join("empty"), "")?;
    std::fs::write(top.join("text"), "some text\n")?;
    std::fs::write(
        top.join("deep/er/large"),
        crate::case::Stdin::Bytes(3_000_001).bytes(),
    )?;
    std::fs::write(top.join("script"), "#!/bin/sh\n")?;
    std::fs::write(top.join("name with spaces, \u{e9} and\na new line"), "odd")?;
    std::fs::hard_link(top.join("text"), top.join("deep/text-again"))?;
    symlink("../text", top.join("deep/link"))?;
    symlink("/data/nowhere", top.join("dangling"))?;
    for (name, mode) in [
        ("script", 0o755),
        ("text", 0o640),
        ("deep/er", 0o700),
        ("deep", 0o1777),
    ] {
        std::fs::set_permissions(top.join(name), std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// The caller's variables, directory and files; what is written stays in the VM.
fn exec(engine: Engine) -> Result<()> {
    let folder = tempfile::tempdir()?;
    make_tree(&folder.path().join("data"))?;
    let exec = |args: &[&str]| -> Result<_> {
        let mut command = Command::new(ringo());
        command
            .args([
                "exec",
                "--engine",
                engine.name(),
                "--cpus",
                "2",
                "--env",
                "EXTRA=1",
            ])
            .arg(ours("console")?)
            .args(args)
            .env("FROM_HOST", "yes")
            .current_dir(folder.path());
        finish(command, engine)
    };
    let here = folder.path().canonicalize()?;
    let seen = exec(&["where", "FROM_HOST", "EXTRA"])?;
    let expected = format!(
        "{}\nFROM_HOST \"yes\" true\nEXTRA \"1\" true\n",
        here.display()
    );
    ensure!(
        text(&seen.stdout) == expected,
        "{}{}",
        text(&seen.stdout),
        text(&seen.stderr)
    );
    let mut linux = Command::new(ours("console")?);
    linux.args(["tree", "data"]).current_dir(folder.path());
    let (linux, ringo) = (finish(linux, engine)?, exec(&["tree", "data"])?);
    ensure!(
        ringo.stdout == linux.stdout,
        "{}\n{}\n{}",
        text(&linux.stdout),
        text(&ringo.stdout),
        text(&ringo.stderr)
    );
    let written = exec(&["write", "data/text", "data/new"])?;
    ensure!(
        text(&written.stdout) == "changed\nchanged\n",
        "{}{}",
        text(&written.stdout),
        text(&written.stderr)
    );
    ensure!(
        std::fs::read(folder.path().join("data/text"))? == b"some text\n",
        "the host's file has changed"
    );
    ensure!(
        !folder.path().join("data/new").exists(),
        "a file has come into being on the host"
    );
    Ok(())
}

fn q35(engine: Engine) -> Result<()> {
    prints_on_q35(engine, "hello", &[], "hello, world\n")
}

/// What the firmware left in memory is not what a program gets as new.
fn q35_fresh_memory(engine: Engine) -> Result<()> {
    let args = ["fresh-zero", "490"];
    prints_on_q35(engine, "memory", &args, "pages that were not zero: 0\n")
}

fn prints_on_q35(engine: Engine, program: &str, args: &[&str], expected: &str) -> Result<()> {
    let mut command = ringo_run(engine, &["--machine", "q35", "--memory", "512M"]);
    command.arg(ours(program)?).args(args);
    let outcome = run(command, b"", Duration::from_secs(60))?;
    let (said, told) = (text(&outcome.stdout), text(&outcome.stderr));
    let right = !outcome.late && outcome.code == 0 && said == expected;
    ensure!(right, "{} {said} {told}", outcome.code);
    Ok(())
}

/// Without --engine the program runs, and what was chosen is said if it is the slower one.
fn engine_auto(engine: Engine) -> Result<()> {
    let mut command = Command::new(ringo());
    command.args(["run", "--stats"]).arg(ours("hello")?);
    let outcome = finish(command, Engine::Tcg)?;
    let said = text(&outcome.stderr);
    ensure!(outcome.code == 0, "{said}");
    let chosen = member(said.lines().last().context("a line")?, "engine")?;
    if Engine::Kvm.missing().is_none() {
        ensure!(chosen == "kvm" && said.lines().count() == 1, "{said}");
    } else if engine == Engine::Tcg {
        ensure!(
            chosen == "tcg" && said.lines().count() == 2 && said.contains("tcg"),
            "{said}"
        );
    }
    Ok(())
}

fn missing_qemu() -> Result<()> {
    let hello = ours("hello")?;
    let start = |qemu: Option<&str>| -> Result<_> {
        let mut command = Command::new(ringo());
        command
            .env_clear()
            .env("PATH", "/nowhere")
            .envs(qemu.map(|q| ("RINGO_QEMU", q)));
        command.args(["run", "--engine", "tcg"]).arg(&hello);
        finish(command, Engine::Tcg)
    };
    if !Path::new("/usr/libexec/qemu-kvm").exists() {
        one_line(&start(None)?, 125, &["qemu-system-x86_64", "apt install"])?;
    }
    one_line(&start(Some("/no/such/qemu"))?, 125, &["/no/such/qemu"])?;
    // Something that is no QEMU at all.
    one_line(&start(Some("/bin/false"))?, 125, &["QEMU ended"])
}

/// As a user who may not open /dev/kvm: --engine kvm says what to do, auto takes tcg and says why.
fn unusable_kvm() -> Result<()> {
    const NOBODY: u32 = 65534;
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let (command_file, hello) = (folder.path().join("ringo"), folder.path().join("hello"));
    std::fs::copy(ringo(), &command_file)?;
    std::fs::copy(ours("hello")?, &hello)?;
    let start = |engine: &str| {
        let mut command = Command::new(&command_file);
        command
            .args(["run", "--engine", engine])
            .arg(&hello)
            .current_dir("/");
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        finish(command, Engine::Tcg)
    };
    let refused = start("kvm")?;
    if refused.code == 0 {
        // Everybody may use it here, or nobody can become another user.
        return Ok(());
    }
    one_line(&refused, 125, &["/dev/kvm", "--engine tcg"])?;
    let taken = start("auto")?;
    let said = text(&taken.stderr);
    ensure!(
        taken.code == 0 && taken.stdout == b"hello, world\n",
        "{said}"
    );
    ensure!(
        said.lines().count() == 1 && said.contains("tcg") && said.contains("/dev/kvm"),
        "{said}"
    );
    Ok(())
}

fn publish() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let mut command = Command::new(ringo());
    command
        .args(["run", "--engine", "tcg", "--publish"])
        .arg(format!("127.0.0.1:{port}:80"))
        .arg(ours("hello")?);
    one_line(
        &finish(command, Engine::Tcg)?,
        125,
        &["in use", &port.to_string()],
    )
}

fn doctor() -> Result<()> {
    let ask = |args: &[&str], program: &Path| -> Result<_> {
        let mut command = Command::new(ringo());
        command.arg("doctor").args(args).arg(program);
        let outcome = finish(command, Engine::Tcg)?;
        Ok((outcome.code, text(&outcome.stdout), text(&outcome.stderr)))
    };
    let (code, said, _) = ask(&[], &ours("hello")?)?;
    let version = format!("go{}", go::newest());
    ensure!(
        code == 0 && said.contains(&version) && said.contains("will run"),
        "{code} {said}"
    );
    ensure!(said.contains("sites"), "{said}");
    let (code, said, _) = ask(&["--json"], &ours("hello")?)?;
    ensure!(
        code == 0 && member(&said, "version")? == version,
        "{code} {said}"
    );
    // The kernel counts the same sites.
    let sites: u32 = member(&said, "sites")?.parse()?;
    let stats = outcome::<&str>(Engine::Tcg, &["--stats"], "hello", &[])?;
    let line = text(&stats.stderr);
    ensure!(
        member(&line, "sites")? == format!("{sites}/{sites}"),
        "{said} {line}"
    );
    let (code, said, _) = ask(&[], Path::new("/bin/sh"))?;
    ensure!(code == 2 && said.contains("can't run"), "{code} {said}");
    let (code, said, error) = ask(&[], Path::new("/no/such/file"))?;
    ensure!(
        code == 125 && said.is_empty() && error.lines().count() == 1,
        "{code} {said} {error}"
    );
    Ok(())
}
