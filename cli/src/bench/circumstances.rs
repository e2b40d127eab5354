//! On what was measured: a figure without it says nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::qemu::engine::Engine;

/// Everything that a figure depends on.
pub struct Circumstances {
    pub date: String,
    pub cpu: String,
    pub cpus: u32,
    pub kernel: String,
    pub mitigations: String,
    pub hypervisor: String,
    pub engine: String,
    pub qemu: String,
    pub go: String,
    /// Empty if there was none.
    pub linux_guest: String,
    /// What left the VM for each request over the tap interface; empty if that was not measured.
    pub exits: String,
    pub runs: u32,
    /// The load average when all was measured: what else ran takes its part of either side's time, not always the same.
    pub load: String,
}

impl Circumstances {
    /// This machine's.
    pub fn here(engine: Engine, cpus: u32, runs: u32) -> Circumstances {
        let release = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        Circumstances {
            date: first_line("date", &["-u", "+%Y-%m-%d"]),
            cpu: cpu_field("model name").unwrap_or_else(|| "unknown".into()),
            cpus,
            kernel: format!("Linux {release}"),
            mitigations: mitigations(),
            hypervisor: hypervisor(),
            engine: engine.name().into(),
            qemu: first_line("qemu-system-x86_64", &["--version"])
                .trim_start_matches("QEMU emulator version ")
                .to_owned(),
            go: first_line("go", &["version"])
                .trim_start_matches("go version ")
                .to_owned(),
            linux_guest: String::new(),
            exits: String::new(),
            runs,
            load: load(),
        }
    }

    /// As lines for people.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("Date", self.date.clone()),
            ("CPU", format!("{}, {} used", self.cpu, self.cpus)),
            ("Host", format!("{}; {}", self.kernel, self.hypervisor)),
            ("Mitigations", self.mitigations.clone()),
            ("Engine", format!("{}; QEMU {}", self.engine, self.qemu)),
            ("Go", self.go.clone()),
        ];
        if self.runs > 0 {
            lines.push(("Runs", format!("{} of each side, alternating", self.runs)));
        }
        if !self.load.is_empty() {
            lines.push(("Load average at the end", self.load.clone()));
        }
        if !self.linux_guest.is_empty() {
            lines.push(("Linux guest", self.linux_guest.clone()));
        }
        if !self.exits.is_empty() {
            lines.push((
                "Exits for each request of net-tap/http-1k-64",
                self.exits.clone(),
            ));
        }
        lines
    }

    /// What a table's last line says of them.
    pub fn summary(&self) -> String {
        match self.runs {
            0 => "Instructions, counted under tcg on one CPU.\n".to_owned(),
            runs => format!(
                "Medians of {runs} runs of either side, {} on {} CPUs; a ratio above 1 means that ring 0 took less time.\n",
                self.engine, self.cpus
            ),
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "date": self.date, "cpu": self.cpu, "cpus": self.cpus, "kernel": self.kernel, "mitigations": self.mitigations,
            "hypervisor": self.hypervisor, "engine": self.engine, "qemu": self.qemu, "go": self.go,
            "linux_guest": self.linux_guest, "exits": self.exits, "runs": self.runs, "load": self.load,
        })
    }

    /// `other`, of which the results are shown with these, must be of the same machine and programs.
    pub fn join(&mut self, other: &Circumstances) -> Result<()> {
        for (what, ours, theirs) in [
            ("CPU", &self.cpu, &other.cpu),
            ("kernel", &self.kernel, &other.kernel),
            ("engine", &self.engine, &other.engine),
            ("Go", &self.go, &other.go),
        ] {
            ensure!(ours == theirs, "another {what}: {theirs}, not {ours}");
        }
        self.runs = self.runs.max(other.runs);
        if self.linux_guest.is_empty() {
            self.linux_guest.clone_from(&other.linux_guest);
        }
        if self.exits.is_empty() {
            self.exits.clone_from(&other.exits);
        }
        Ok(())
    }

    /// What [`Circumstances::json`] wrote; what is missing there is empty here.
    pub fn from_json(all: &Value) -> Circumstances {
        let text = |key: &str| all[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| all[key].as_u64().unwrap_or(0) as u32;
        Circumstances {
            date: text("date"),
            cpu: text("cpu"),
            cpus: number("cpus"),
            kernel: text("kernel"),
            mitigations: text("mitigations"),
            hypervisor: text("hypervisor"),
            engine: text("engine"),
            qemu: text("qemu"),
            go: text("go"),
            linux_guest: text("linux_guest"),
            exits: text("exits"),
            runs: number("runs"),
            load: text("load"),
        }
    }
}

/// Of the last five minutes; proc_loadavg(5).
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok()
        .and_then(|text| text.lines().next().map(str::to_owned))
        .filter(|line| !line.is_empty())
        .unwrap_or_else(|| "unknown".into())
}

fn cpu_field(name: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What the kernel says it does against the CPU's leaks, shortened to those that cost.
fn mitigations() -> String {
    let folder = Path::new("/sys/devices/system/cpu/vulnerabilities");
    let Ok(entries) = folder.read_dir() else {
        return "unknown".into();
    };
    let mut active: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let text = std::fs::read_to_string(entry.path()).ok()?;
            let what = text.trim().strip_prefix("Mitigation: ")?.to_owned();
            Some(format!("{}: {what}", entry.file_name().to_string_lossy()))
        })
        .collect();
    active.sort();
    if active.is_empty() {
        "none active".into()
    } else {
        active.join("; ")
    }
}

/// What this machine runs on, as far as it shows.
fn hypervisor() -> String {
    let virtual_machine =
        cpu_field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    if virtual_machine {
        "itself a virtual machine".into()
    } else {
        "no hypervisor below".into()
    }
}
