//! The system: its name, its figures, and what only its administrator may do.
use crate::fs::proc::{RELEASE, VERSION};
use crate::memory::frames;
use crate::memory::user;
use crate::task::{load, process, thread};
use crate::time;
use ringo_abi::{Errno, SysResult};

const FRAME: u64 = frames::FRAME as u64;

/// uname(2).
pub fn uname(at: usize) -> SysResult {
    const FIELD: usize = 65;
    let mut name = [0; FIELD * 6];
    let fields: [&[u8]; 6] = [
        b"Linux",
        process().hostname(),
        RELEASE.as_bytes(),
        VERSION.as_bytes(),
        b"x86_64",
        b"(none)",
    ];
    for (slot, field) in name.chunks_exact_mut(FIELD).zip(fields) {
        let length = field.len().min(FIELD - 1);
        slot[..length].copy_from_slice(&field[..length]);
    }
    user::copy_out(at, &name).map(|()| 0)
}

/// sysinfo(2).
pub fn sysinfo(at: usize) -> SysResult {
    const SIZE: usize = 112;
    let (free, total) = frames::counts();
    let mut info = [0u8; SIZE];
    let mut put = |word: usize, value: u64| {
        info[word * 8..word * 8 + 8].copy_from_slice(&value.to_ne_bytes());
    };
    put(0, time::now() / time::convert::SECOND);
    // Load averages in units of 1/65536, kept in 1/2048. Words 6 to 9 are shared memory, buffers and swap.
    for (word, load) in load::averages().into_iter().enumerate() {
        put(1 + word, load << 5);
    }
    put(4, total as u64 * FRAME);
    put(5, free as u64 * FRAME);
    put(10, thread::count() as u64 & 0xffff);
    // Unit of the sizes, after two words of high memory.
    put(13, 1);
    user::copy_out(at, &info).map(|()| 0)
}

macro_rules! privileged {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* pub fn $name() -> SysResult {
            Err(Errno::EPERM)
        })*
    };
}

// The VM is the program's alone, but its name, devices and mounts come from the command line.
privileged! {
    /// vhangup(2).
    vhangup;
    /// sethostname(2).
    sethostname;
    /// setdomainname(2).
    setdomainname;
    /// mount(2).
    mount;
    /// umount2(2).
    umount2;
    /// pivot_root(2).
    pivot_root;
    /// swapon(2).
    swapon;
    /// swapoff(2).
    swapoff;
    /// reboot(2).
    reboot;
    /// init_module(2).
    init_module;
    /// delete_module(2).
    delete_module;
    /// finit_module(2).
    finit_module;
    /// ioperm(2).
    ioperm;
    /// iopl(2).
    iopl;
    /// acct(2).
    acct;
    /// syslog(2).
    syslog;
    /// quotactl(2).
    quotactl;
    /// unshare(2).
    unshare;
    /// setns(2).
    setns;
    /// ptrace(2).
    ptrace;
    /// bpf(2).
    bpf;
    /// perf_event_open(2).
    perf_event_open;
    /// kexec_load(2).
    kexec_load;
    /// open_by_handle_at(2).
    open_by_handle_at;
    /// fanotify_init(2).
    fanotify_init;
    /// fanotify_mark(2).
    fanotify_mark;
    /// kexec_file_load(2).
    kexec_file_load;
    /// userfaultfd(2).
    userfaultfd;
    /// open_tree(2).
    open_tree;
    /// move_mount(2).
    move_mount;
    /// fsopen(2).
    fsopen;
    /// fsconfig(2).
    fsconfig;
    /// fsmount(2).
    fsmount;
    /// fspick(2).
    fspick;
    /// mount_setattr(2).
    mount_setattr;
    /// quotactl_fd(2).
    quotactl_fd;
}
