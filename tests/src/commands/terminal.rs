//! At a terminal.

use std::process::Command;

use anyhow::Result;
use libtest_mimic::Trial;
use rustix::process::Signal;

use super::on;
use super::talk::{
    At, Compare, Program,
    Step::{self, EchoOff, Expect, Resize, Say, Signal as Kill},
    Talk, hold,
};
use crate::machine::{Engine, ringo, self_check};

pub fn trials() -> Vec<Trial> {
    let mut all = Vec::new();
    for talk in talks() {
        all.extend(talk.trials());
    }
    all.extend(on(&Engine::ALL, "terminal-shell", at_a_shell));
    all.extend(on(&Engine::ALL, "terminal-tty", controlling));
    all
}

fn at(
    name: &'static str,
    program: Program,
    args: &'static [&'static str],
    steps: &'static [Step],
) -> Talk {
    let mut talk = Talk::new(name, "", args, steps, 0);
    talk.program = program;
    talk.at = At::Terminal;
    talk
}

fn talks() -> Vec<Talk> {
    let code = |mut talk: Talk, code| {
        talk.code = code;
        talk
    };
    let chance = |mut talk: Talk| {
        talk.compare = Compare::Steps;
        talk
    };
    const WAIT: Program = Program::Ours("signals");
    vec![
        at(
            "terminal-keys",
            Program::Third("./terminal"),
            &[],
            &[
                Expect("size: 80 24 <nil>"),
                Expect("raw"),
                Say("a"),
                Expect("key \"a\""),
                Say("\x1b[A"),
                Expect("key \"\\x1b[A\""),
                Say("\x03"),
                Expect("key \"\\x03\""),
                Say("\x1a"),
                Expect("key \"\\x1a\""),
                Say("\r"),
                Expect("key \"\\r\""),
                Say("q"),
                Expect("password: "),
                EchoOff,
                Say("secret\n"),
                Expect("\"secret\" <nil>"),
                Say("text\n"),
                Expect("line \"text\""),
            ],
        ),
        at(
            "terminal-resize",
            Program::Third("./terminal"),
            &["resize"],
            &[
                Expect("waiting"),
                Resize(50, 132),
                Expect("size: 132 50 <nil>"),
            ],
        ),
        chance(at(
            "terminal-bubbletea",
            Program::Third("./bubbletea"),
            &[],
            &[
                Expect("window 80x24"),
                Say("j"),
                Expect("[j]"),
                Say("\x1b[B"),
                Expect("[down]"),
                Expect("> three"),
                Resize(30, 100),
                Expect("window 100x30"),
                Say("k"),
                Expect("[k]"),
                Say("q"),
                Expect("ended at 1"),
            ],
        )),
        chance(at(
            "terminal-bubbletea-killed",
            Program::Third("./bubbletea"),
            &[],
            &[Expect("window 80x24"), Kill(Signal::TERM)],
        )),
        code(
            at(
                "terminal-ctrl-c",
                WAIT,
                &["wait-for", "default"],
                &[Expect("ready"), Say("\x03")],
            ),
            130,
        ),
        code(
            at(
                "terminal-ctrl-c-handled",
                WAIT,
                &["wait-for"],
                &[
                    Expect("ready"),
                    Say("\x03"),
                    Expect("got interrupt"),
                    Say("words\n"),
                    Expect("line words"),
                    Say("\x1c"),
                    Expect("got quit"),
                    Kill(Signal::TERM),
                ],
            ),
            3,
        ),
        chance(code(
            at(
                "terminal-ctrl-backslash",
                WAIT,
                &["wait-for", "default"],
                &[Expect("ready"), Say("\x1c"), Expect("SIGQUIT: quit")],
            ),
            2,
        )),
        at(
            "terminal-ctrl-d",
            Program::Ours("circumstances"),
            &["lines"],
            &[
                Say("one\n"),
                Expect("1 \"one\""),
                Say("edited\x7f\x7f\n"),
                Expect("2 \"edit\""),
                Say("\x04"),
                Expect("end of file: true"),
            ],
        ),
    ]
}

/// Streams that are other things than the terminal that the command was started at: /dev/tty is that all the same, to be read
/// and written to and set.
fn controlling(engine: Engine) -> Result<()> {
    const LINE: &str = r#"
        printf 'some\ninput' | "$@"
        "$@" </dev/null 2>&1 | tr a-z A-Z
        printf 'a file' >"$D/in"; "$@" <"$D/in" >"$D/out" 2>"$D/said"; cat "$D/out" "$D/said"
        "$@" >"$D/out" 2>&1; cat "$D/out"; stty -a | grep -o ' echo '"#;
    const ROUND: [Step; 8] = [
        Expect("tty: true 80 24 <nil>"),
        Expect("password: "),
        EchoOff,
        Say("secret\n"),
        Expect("\"secret\" <nil>"),
        Expect("key: <nil>"),
        Say("\x03"),
        Expect("\"\\x03\" <nil> <nil>"),
    ];
    let mut steps = Vec::new();
    for end in ["some\\ninput", "DONE", "a file"] {
        steps.extend(ROUND);
        steps.push(Expect(end));
    }
    // The last one's input is the terminal.
    steps.extend(ROUND);
    steps.extend([Say("typed\n\x04"), Expect("typed\\n"), Expect(" echo ")]);
    let program = crate::go::third("./terminal")?;
    let run = |command: Command| {
        let folder = tempfile::tempdir()?;
        let mut shell = Command::new("sh");
        shell.args(["-c", LINE, "sh"]).arg(command.get_program());
        shell
            .args(command.get_args())
            .arg("tty")
            .env("D", folder.path());
        hold(shell, At::Terminal, &steps, engine.patience())
    };
    let linux = run(Command::new(&program))?;
    let ringo = if self_check() {
        run(Command::new(&program))?
    } else {
        let mut command = super::ringo_run(engine, &["--cpus", "2"]);
        command.arg(&program);
        run(command)?
    };
    let said = |outcome: &crate::execute::Outcome| super::text(&outcome.stdout);
    anyhow::ensure!(
        linux.code == ringo.code,
        "exit code {}, not {}",
        ringo.code,
        linux.code
    );
    anyhow::ensure!(
        said(&linux)
            .lines()
            .collect::<std::collections::BTreeSet<_>>()
            == said(&ringo).lines().collect(),
        "Linux:\n{}\nring 0:\n{}",
        said(&linux),
        said(&ringo)
    );
    Ok(())
}

/// Job control: Ctrl-Z stops the program and gives the shell its terminal back, fg goes on, a background reader is stopped, and
/// the settings are the shell's own whenever it has the terminal.
fn at_a_shell(engine: Engine) -> Result<()> {
    let program = super::ours("console")?;
    let tea = crate::go::third("./bubbletea")?;
    let run = if self_check() {
        String::new()
    } else {
        format!(
            "{} run --engine {} --cpus 2 ",
            ringo().display(),
            engine.name()
        )
    };
    let mut shell = Command::new("bash");
    shell
        .args(["--norc", "--noprofile", "--noediting", "-i"])
        .env_clear()
        .env("PS1", "prompt> ")
        .env("TERM", "xterm")
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("P", format!("{run}{} echo", program.display()))
        .env("TEA", format!("{run}{}", tea.display()));
    const STEPS: &[Step] = &[
        Expect("prompt> "),
        Say("$P\n"),
        Expect("ready"),
        Say("first\n"),
        Expect("heard FIRST"),
        Say("\x1a"),
        Expect("Stopped"),
        Expect("prompt> "),
        Say("echo shell-$((1+1))\n"),
        Expect("shell-2"),
        Say("fg\n"),
        Expect("$P"),
        Say("second\n"),
        Expect("heard SECOND"),
        // And once more: what the first stop and continuation left must not be in its way.
        Say("\x1a"),
        Expect("Stopped"),
        Expect("prompt> "),
        Say("fg\n"),
        Expect("$P"),
        Say("again\n"),
        Expect("heard AGAIN"),
        Say("\x1a"),
        Expect("Stopped"),
        Expect("prompt> "),
        Say("bg; sleep 0.3; fg\n"),
        Expect("$P"),
        Say("later\n"),
        Expect("heard LATER"),
        Say("\x03"),
        Expect("prompt> "),
        Say("echo code $?\n"),
        Expect("code 130"),
        // A full-screen program suspends itself on Ctrl-Z only if it wants to; here the shell stops it.
        Say("saved=$(stty -g); $TEA\n"),
        Expect("window 80x24"),
        Say("q"),
        Expect("ended at 0"),
        Expect("prompt> "),
        Say("test \"$saved\" = \"$(stty -g)\" && echo same-settings\n"),
        Expect("\nsame-settings"),
        // In the background, reading from the terminal stops it.
        Say("$P &\n"),
        Expect("ready"),
        Say("sleep 0.5; jobs\n"),
        Expect("Stopped"),
        Say("fg\n"),
        Expect("$P"),
        Say("third\n"),
        Expect("heard THIRD"),
        Say("\x04"),
        Expect("end <nil>"),
        Expect("prompt> "),
        Say("$P | cat\n"),
        Expect("ready"),
        Say("piped\n"),
        Expect("heard PIPED"),
        Say("\x04"),
        Expect("prompt> "),
        Say("exit 7\n"),
    ];
    let outcome = hold(shell, At::Terminal, STEPS, engine.patience())?;
    anyhow::ensure!(outcome.code == 7, "the shell ended with {}", outcome.code);
    Ok(())
}
