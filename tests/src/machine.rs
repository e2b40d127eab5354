//! What this machine can run: which engines work, how much memory it has.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// How QEMU runs the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    Kvm,
    Tcg,
}

impl Engine {
    pub const ALL: [Engine; 2] = [Engine::Kvm, Engine::Tcg];

    pub fn name(self) -> &'static str {
        match self {
            Engine::Kvm => "kvm",
            Engine::Tcg => "tcg",
        }
    }

    /// Time limits are written for KVM; emulation gets more.
    pub fn patience(self) -> u32 {
        match self {
            Engine::Kvm => 1,
            Engine::Tcg => 6,
        }
    }

    /// Why trials with this engine are skipped here, if they are.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Engine::Kvm => KVM.as_ref().err().copied(),
            Engine::Tcg => None,
        }
    }

    /// Why a trial of this name on this engine is not run here, if it isn't.
    pub fn skip(self, name: &str) -> Option<String> {
        self.missing().map(str::to_owned).or_else(|| pending(name))
    }
}

/// Why a trial is not run: it is known to fail.
pub fn pending(name: &str) -> Option<String> {
    crate::table::pending(name).then(|| "listed in tests/pending.txt".to_owned())
}

static KVM: LazyLock<Result<(), &'static str>> = LazyLock::new(|| {
    if !Path::new("/dev/kvm").exists() {
        return Err("there is no /dev/kvm");
    }
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .map(|_| ())
        .map_err(|_| "/dev/kvm cannot be opened by this user")
});

/// The repository's top folder.
pub fn top() -> &'static Path {
    static TOP: LazyLock<PathBuf> = LazyLock::new(|| {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        tests
            .parent()
            .expect("tests/ lies in the repository")
            .to_path_buf()
    });
    &TOP
}

/// The command under test.
pub fn ringo() -> PathBuf {
    top().join("target/release/ringo")
}

/// RINGO_E2E=linux compares Linux with Linux: it finds cases whose output is not the same in any two runs.
pub fn self_check() -> bool {
    std::env::var_os("RINGO_E2E").is_some_and(|value| value == "linux")
}

/// MiB of memory a VM may take here.
pub fn free_memory() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo.lines().find(|l| l.starts_with("MemAvailable:"));
    let kib = line
        .and_then(|l| l.split_whitespace().nth(1))
        .and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// Whether the host's Linux is 6.12 or newer.
pub fn linux_is_recent() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    (number(), number()) >= (Some(6), Some(12))
}
