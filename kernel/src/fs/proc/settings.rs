//! /proc/sys: the kernel's settings (sysctl(8)). They say how things are here; nobody can change them, as in a container.
//! What has no counterpart in this kernel is not there.
use super::directory;
use super::{RELEASE, VERSION};
use crate::fs::dev::random::{self, BITS};
use crate::fs::fd;
use crate::fs::inode::FileSystem;
use crate::fs::inotify;
use crate::fs::text::Text;
use crate::fs::virtual_tree::{Item, Kind, Listing, Make, Numbers, Tree};
use crate::memory::space;
use crate::net::{options, table, tcp};
use crate::sync::SpinLock;
use crate::task::{process, thread};
use ringo_abi::Errno;

/// What /proc/sys is: another tree of the same file system, for its rules are others.
pub static TREE: Tree = Tree {
    file_system: FileSystem::new(0x1a, super::MAGIC, "proc"),
    root: Kind::Directory(&ROOT),
    missing: Some(Errno::ENOENT),
    write_error: None,
    file_size: 0,
    owner: |_| (0, 0),
    alive: |_| true,
};

static ROOT: Listing = Listing {
    items: &[
        directory("fs", 0o555, &FS),
        directory("kernel", 0o555, &KERNEL),
        directory("net", 0o555, &NET),
        directory("vm", 0o555, &VM),
    ],
    numbered: None,
};

const fn setting(name: &'static str, make: Make) -> Item {
    Item {
        name,
        mode: 0o644,
        kind: Kind::File(make),
    }
}

const fn constant(name: &'static str, make: Make) -> Item {
    Item {
        name,
        mode: 0o444,
        kind: Kind::File(make),
    }
}

/// CAP_CHECKPOINT_RESTORE.
const LAST_CAPABILITY: u32 = 40;
/// NGROUPS_MAX.
const GROUPS_MAX: u32 = 65_536;
/// Threads' numbers are below it.
const PID_MAX: u32 = 1 << 22;
const NOBODY: u32 = 65_534;

static KERNEL: Listing = Listing {
    items: &[
        constant("arch", |out, _| writeln!(out, "x86_64")),
        constant("cap_last_cap", |out, _| writeln!(out, "{LAST_CAPABILITY}")),
        setting("core_pattern", |out, _| writeln!(out, "core")),
        setting("core_uses_pid", |out, _| writeln!(out, "0")),
        setting("domainname", |out, _| writeln!(out, "(none)")),
        setting("hostname", host_name),
        // No io_uring for anybody.
        setting("io_uring_disabled", |out, _| writeln!(out, "2")),
        constant("ngroups_max", |out, _| writeln!(out, "{GROUPS_MAX}")),
        constant("osrelease", |out, _| writeln!(out, "{RELEASE}")),
        constant("ostype", |out, _| writeln!(out, "Linux")),
        setting("overflowgid", |out, _| writeln!(out, "{NOBODY}")),
        setting("overflowuid", |out, _| writeln!(out, "{NOBODY}")),
        setting("panic", |out, _| writeln!(out, "0")),
        setting("panic_on_oops", |out, _| writeln!(out, "1")),
        // No performance events, not for root either.
        setting("perf_event_paranoid", |out, _| writeln!(out, "4")),
        setting("pid_max", |out, _| writeln!(out, "{PID_MAX}")),
        directory("random", 0o555, &RANDOM),
        setting("randomize_va_space", |out, _| writeln!(out, "0")),
        setting("tainted", |out, _| writeln!(out, "0")),
        setting("threads-max", |out, _| writeln!(out, "{}", thread::MAX)),
        setting("unprivileged_bpf_disabled", |out, _| writeln!(out, "2")),
        constant("version", |out, _| writeln!(out, "{VERSION}")),
    ],
    numbered: None,
};

static RANDOM: Listing = Listing {
    items: &[
        constant("boot_id", boot_id),
        constant("entropy_avail", |out, _| writeln!(out, "{BITS}")),
        constant("poolsize", |out, _| writeln!(out, "{BITS}")),
        setting("urandom_min_reseed_secs", |out, _| writeln!(out, "60")),
        constant("uuid", |out, _| uuid(out, random_bytes())),
        setting("write_wakeup_threshold", |out, _| writeln!(out, "{BITS}")),
    ],
    numbered: None,
};

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    bytes
}

/// Random bytes as a UUID of version 4 (RFC 9562).
fn uuid(out: &mut Text, mut bytes: [u8; 16]) -> Result<(), Errno> {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.put(b"-")?;
        }
        write!(out, "{byte:02x}")?;
    }
    writeln!(out)
}

/// The same until the VM ends.
fn boot_id(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    static ID: SpinLock<Option<[u8; 16]>> = SpinLock::new(None);
    let fresh = random_bytes();
    let id = *ID.lock().get_or_insert(fresh);
    uuid(out, id)
}

fn host_name(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    out.put(process().hostname())?;
    writeln!(out)
}

static VM: Listing = Listing {
    items: &[
        setting("drop_caches", |out, _| writeln!(out, "0")),
        setting("max_map_count", |out, _| {
            writeln!(out, "{}", space::MAX_AREAS)
        }),
        setting("mmap_min_addr", |out, _| writeln!(out, "{}", space::LOWEST)),
        setting("nr_hugepages", |out, _| writeln!(out, "0")),
        setting("nr_overcommit_hugepages", |out, _| writeln!(out, "0")),
        // Guessing: only what cannot be right is refused.
        setting("overcommit_memory", |out, _| writeln!(out, "0")),
        setting("overcommit_kbytes", |out, _| writeln!(out, "0")),
        setting("overcommit_ratio", |out, _| writeln!(out, "100")),
        setting("panic_on_oom", |out, _| writeln!(out, "0")),
        setting("swappiness", |out, _| writeln!(out, "0")),
    ],
    numbered: None,
};

/// What F_SETPIPE_SZ gives anybody; see fs/pipe/.
const PIPE_MAX: usize = crate::fs::pipe::MAX_SIZE;

static FS: Listing = Listing {
    items: &[
        directory(
            "epoll",
            0o555,
            &Listing {
                items: &[setting("max_user_watches", no_limit)],
                numbered: None,
            },
        ),
        setting("file-max", no_limit),
        constant("file-nr", |out, _| {
            writeln!(out, "{}\t0\t{}", fd::count(), i64::MAX)
        }),
        directory("inotify", 0o555, &INOTIFY),
        setting("nr_open", |out, _| writeln!(out, "{}", fd::MAX)),
        setting("overflowgid", |out, _| writeln!(out, "{NOBODY}")),
        setting("overflowuid", |out, _| writeln!(out, "{NOBODY}")),
        setting("pipe-max-size", |out, _| writeln!(out, "{PIPE_MAX}")),
        setting("pipe-user-pages-hard", |out, _| writeln!(out, "0")),
        setting("pipe-user-pages-soft", |out, _| writeln!(out, "0")),
        setting("suid_dumpable", |out, _| writeln!(out, "0")),
    ],
    numbered: None,
};

static INOTIFY: Listing = Listing {
    items: &[
        setting("max_queued_events", |out, _| {
            writeln!(out, "{}", inotify::MAX_QUEUED)
        }),
        setting("max_user_instances", |out, _| {
            writeln!(out, "{}", inotify::MAX_INSTANCES)
        }),
        setting("max_user_watches", |out, _| {
            writeln!(out, "{}", inotify::MAX_WATCHES)
        }),
    ],
    numbered: None,
};

/// What only memory limits.
fn no_limit(out: &mut Text, _: Numbers) -> Result<(), Errno> {
    writeln!(out, "{}", i64::MAX)
}

static NET: Listing = Listing {
    items: &[
        directory("core", 0o555, &NET_CORE),
        directory("ipv4", 0o555, &NET_IPV4),
        directory("ipv6", 0o555, &NET_IPV6),
    ],
    numbered: None,
};

static NET_CORE: Listing = Listing {
    items: &[
        setting("rmem_default", |out, _| {
            writeln!(out, "{}", options::BUFFER_DEFAULT)
        }),
        setting("rmem_max", |out, _| {
            writeln!(out, "{}", options::BUFFER_MAX)
        }),
        setting("somaxconn", |out, _| writeln!(out, "{}", tcp::BACKLOG_MAX)),
        setting("wmem_default", |out, _| {
            writeln!(out, "{}", options::BUFFER_DEFAULT)
        }),
        setting("wmem_max", |out, _| {
            writeln!(out, "{}", options::BUFFER_MAX)
        }),
    ],
    numbered: None,
};

static NET_IPV4: Listing = Listing {
    items: &[
        setting("ip_default_ttl", |out, _| writeln!(out, "64")),
        setting("ip_forward", |out, _| writeln!(out, "0")),
        setting("ip_local_port_range", |out, _| {
            let (first, end) = table::EPHEMERAL;
            writeln!(out, "{first}\t{}", end - 1)
        }),
        setting("ip_unprivileged_port_start", |out, _| {
            writeln!(out, "{}", table::PRIVILEGED)
        }),
        // Nobody.
        setting("ping_group_range", |out, _| writeln!(out, "1\t0")),
        setting("tcp_rmem", |out, _| {
            tcp_buffer(out, options::TCP_RECEIVE_DEFAULT)
        }),
        setting("tcp_wmem", |out, _| {
            tcp_buffer(out, options::TCP_SEND_DEFAULT)
        }),
    ],
    numbered: None,
};

/// The least, the usual and the most bytes of a connection's buffer.
fn tcp_buffer(out: &mut Text, usual: u32) -> Result<(), Errno> {
    writeln!(out, "4096\t{usual}\t{}", options::BUFFER_MAX)
}

static NET_IPV6: Listing = Listing {
    items: &[
        setting("bindv6only", |out, _| writeln!(out, "0")),
        directory(
            "conf",
            0o555,
            &Listing {
                items: &[
                    directory("all", 0o555, &NET_IPV6_ON),
                    directory("default", 0o555, &NET_IPV6_ON),
                    directory("lo", 0o555, &NET_IPV6_ON),
                ],
                numbered: None,
            },
        ),
    ],
    numbered: None,
};

static NET_IPV6_ON: Listing = Listing {
    items: &[setting("disable_ipv6", |out, _| writeln!(out, "0"))],
    numbered: None,
};
