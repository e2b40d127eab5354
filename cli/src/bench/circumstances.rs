//! On what was measured: a figure without it says nothing.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::qemu::engine::Engine;

/// Everything that a figure depends on.
pub struct Circumstances {
    pub date: String,
    pub cpu: String,
    pub kernel: String,
    pub mitigations: String,
    pub hypervisor: String,
    pub go: String,
    pub engine: Engine,
    pub cpus: u32,
    pub runs: u32,
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
            kernel: format!("Linux {release}"),
            mitigations: mitigations(),
            hypervisor: hypervisor(),
            go: first_line("go", &["version"])
                .trim_start_matches("go version ")
                .to_owned(),
            engine,
            cpus,
            runs,
        }
    }

    /// As lines for people.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        vec![
            ("Date", self.date.clone()),
            ("CPU", format!("{}, {} used", self.cpu, self.cpus)),
            ("Host", format!("{}; {}", self.kernel, self.hypervisor)),
            ("Mitigations", self.mitigations.clone()),
            ("Engine", self.engine.name().to_owned()),
            ("Go", self.go.clone()),
            ("Runs", format!("{} of each side, alternating", self.runs)),
        ]
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        json!({
            "date": self.date, "cpu": self.cpu, "cpus": self.cpus, "kernel": self.kernel, "mitigations": self.mitigations,
            "hypervisor": self.hypervisor, "engine": self.engine.name(), "go": self.go, "runs": self.runs,
        })
    }
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
