//! The one table of system calls.
//!
//! A line: `NUMBER => family::name(arguments), support;`. The kernel's handler is
//! `kernel/src/syscall/<family>.rs::<name>` with these arguments (registers RDI RSI RDX R10 R8 R9, truncated to the
//! type as Linux does). `@frame` before a line means the handler gets the caller's whole register frame instead:
//! `name(frame: &mut SyscallFrame)`.
//! Support is `full`, or `partial("what is missing")`; text that begins with an error's name means that the call does
//! nothing else. A call that is not here returns ENOSYS. After a change, make docs/syscalls.md anew
//! (`cargo run -q -p ringo-abi --example syscalls > docs/syscalls.md`); a test compares.

/// Expands `$callback! { lines }` with every line of the table.
#[macro_export]
macro_rules! for_each_syscall {
    ($callback:ident) => {
        $callback! {
            // ---- task: threads, futex, scheduling ----
            24 => thread::sched_yield(), full;
            39 => thread::getpid(), full;
            @frame 56 => thread::clone(flags: usize, stack: usize, parent_tid: usize, child_tid: usize, tls: usize), partial("threads only: CLONE_VM and CLONE_THREAD");
            60 => thread::exit(status: i32), full;
            158 => thread::arch_prctl(code: i32, addr: usize), partial("ARCH_SET_GS: the kernel owns GS");
            186 => thread::gettid(), full;
            202 => futex::futex(uaddr: usize, op: i32, val: u32, timeout: usize, uaddr2: usize, val3: u32), partial("no PI futexes");
            203 => thread::sched_setaffinity(pid: i32, len: usize, mask: usize), full;
            204 => thread::sched_getaffinity(pid: i32, len: u32, mask: usize), full;
            218 => thread::set_tid_address(addr: usize), full;
            231 => thread::exit_group(status: i32), full;
            // ---- signals ----
            13 => signal::rt_sigaction(signo: i32, new: usize, old: usize, size: usize), full;
            14 => signal::rt_sigprocmask(how: i32, set: usize, old: usize, size: usize), full;
            @frame 15 => signal::rt_sigreturn(), full;
            34 => signal::pause(), full;
            62 => signal::kill(pid: i32, signo: i32), full;
            127 => signal::rt_sigpending(set: usize, size: usize), full;
            128 => signal::rt_sigtimedwait(set: usize, info: usize, timeout: usize, size: usize), full;
            129 => signal::rt_sigqueueinfo(pid: i32, signo: i32, info: usize), full;
            130 => signal::rt_sigsuspend(set: usize, size: usize), full;
            @frame 131 => signal::sigaltstack(new: usize, old: usize), full;
            200 => signal::tkill(tid: i32, signo: i32), full;
            234 => signal::tgkill(tgid: i32, tid: i32, signo: i32), full;
            297 => signal::rt_tgsigqueueinfo(tgid: i32, tid: i32, signo: i32, info: usize), full;
            // ---- time, timers ----
            36 => timer::getitimer(which: u32, at: usize), full;
            37 => timer::alarm(seconds: u32), full;
            38 => timer::setitimer(which: u32, new: usize, old: usize), full;
            222 => timer::timer_create(clock: i32, event: usize, id: usize), full;
            223 => timer::timer_settime(id: i32, flags: i32, new: usize, old: usize), full;
            224 => timer::timer_gettime(id: i32, at: usize), full;
            225 => timer::timer_getoverrun(id: i32), full;
            226 => timer::timer_delete(id: i32), full;
            283 => timer::timerfd_create(clock: u32, flags: u32), full;
            286 => timer::timerfd_settime(fd: i32, flags: u32, new: usize, old: usize), full;
            287 => timer::timerfd_gettime(fd: i32, at: usize), full;
            35 => time::nanosleep(request: usize, left: usize), full;
            96 => time::gettimeofday(tv: usize, tz: usize), full;
            100 => time::times(at: usize), full;
            159 => time::adjtimex(buf: usize), partial("reads only: the clock follows the host's");
            164 => time::settimeofday(tv: usize, tz: usize), partial("EPERM: the clock is the host's");
            201 => time::time(at: usize), full;
            227 => time::clock_settime(clock: i32, at: usize), partial("EPERM: the clock is the host's");
            228 => time::clock_gettime(clock: i32, at: usize), full;
            229 => time::clock_getres(clock: i32, at: usize), full;
            230 => time::clock_nanosleep(clock: i32, flags: i32, request: usize, left: usize), full;
            305 => time::clock_adjtime(clock: i32, buf: usize), partial("reads only: the clock follows the host's");
            // ---- memory ----
            9 => memory::mmap(addr: usize, length: usize, prot: u32, flags: u32, fd: i32, offset: usize), full;
            10 => memory::mprotect(addr: usize, length: usize, prot: usize), full;
            11 => memory::munmap(addr: usize, length: usize), full;
            12 => memory::brk(addr: usize), full;
            25 => memory::mremap(old: usize, old_size: usize, new_size: usize, flags: u32, new: usize), full;
            26 => memory::msync(addr: usize, length: usize, flags: u32), full;
            27 => memory::mincore(addr: usize, length: usize, vec: usize), full;
            28 => memory::madvise(addr: usize, length: usize, advice: u32), full;
            149 => memory::mlock(addr: usize, length: usize), full;
            150 => memory::munlock(addr: usize, length: usize), full;
            151 => memory::mlockall(flags: u32), full;
            152 => memory::munlockall(), full;
            325 => memory::mlock2(addr: usize, length: usize, flags: u32), full;
            // ---- files ----
            0 => file::read(fd: i32, buf: usize, count: usize), full;
            1 => file::write(fd: i32, buf: usize, count: usize), full;
            3 => descriptor::close(fd: i32), full;
            5 => stat::fstat(fd: i32, at: usize), full;
            8 => file::lseek(fd: i32, offset: i64, whence: u32), full;
            16 => descriptor::ioctl(fd: i32, request: u32, arg: usize), full;
            17 => file::pread64(fd: i32, buf: usize, count: usize, offset: i64), full;
            18 => file::pwrite64(fd: i32, buf: usize, count: usize, offset: i64), full;
            19 => file::readv(fd: i32, iov: usize, count: usize), full;
            20 => file::writev(fd: i32, iov: usize, count: usize), full;
            32 => descriptor::dup(fd: i32), full;
            33 => descriptor::dup2(old: i32, new: i32), full;
            40 => transfer::sendfile(out: i32, input: i32, offset: usize, count: usize), full;
            72 => descriptor::fcntl(fd: i32, cmd: u32, arg: usize), partial("no leases, no SIGIO");
            73 => descriptor::flock(fd: i32, operation: u32), full;
            74 => file::fsync(fd: i32), full;
            75 => file::fdatasync(fd: i32), full;
            77 => file::ftruncate(fd: i32, length: i64), full;
            162 => file::sync(), full;
            187 => file::readahead(fd: i32, offset: i64, count: i64), full;
            217 => file::getdents64(fd: i32, buf: usize, count: u32), full;
            221 => file::fadvise64(fd: i32, offset: i64, length: i64, advice: u32), full;
            277 => file::sync_file_range(fd: i32, offset: i64, length: i64, flags: u32), full;
            285 => file::fallocate(fd: i32, mode: u32, offset: i64, length: i64), full;
            292 => descriptor::dup3(old: i32, new: i32, flags: u32), full;
            295 => file::preadv(fd: i32, iov: usize, count: usize, offset: i64), full;
            296 => file::pwritev(fd: i32, iov: usize, count: usize, offset: i64), full;
            306 => file::syncfs(fd: i32), full;
            78 => file::getdents(fd: i32, buf: usize, count: u32), full;
            326 => transfer::copy_file_range(input: i32, input_offset: usize, out: i32, output_offset: usize, count: usize, flags: u32), full;
            327 => file::preadv2(fd: i32, iov: usize, count: usize, offset: i64, high: usize, flags: u32), partial("RWF_NOWAIT");
            328 => file::pwritev2(fd: i32, iov: usize, count: usize, offset: i64, high: usize, flags: u32), partial("RWF_NOWAIT, RWF_APPEND");
            436 => descriptor::close_range(first: u32, last: u32, flags: u32), partial("CLOSE_RANGE_UNSHARE: threads share one table");
            // ---- paths and directories ----
            2 => open::open(name: usize, flags: u32, mode: u32), full;
            4 => stat::stat(name: usize, at: usize), full;
            6 => stat::lstat(name: usize, at: usize), full;
            21 => attributes::access(name: usize, mode: u32), full;
            76 => attributes::truncate(name: usize, length: i64), full;
            79 => path::getcwd(buf: usize, size: usize), full;
            80 => path::chdir(name: usize), full;
            81 => path::fchdir(fd: i32), full;
            82 => dir::rename(old: usize, new: usize), full;
            83 => dir::mkdir(name: usize, mode: u32), full;
            84 => dir::rmdir(name: usize), full;
            85 => open::creat(name: usize, mode: u32), full;
            86 => dir::link(old: usize, new: usize), full;
            87 => dir::unlink(name: usize), full;
            88 => dir::symlink(target: usize, name: usize), full;
            89 => path::readlink(name: usize, buf: usize, size: i32), full;
            90 => attributes::chmod(name: usize, mode: u32), full;
            91 => attributes::fchmod(fd: i32, mode: u32), full;
            92 => attributes::chown(name: usize, uid: u32, gid: u32), full;
            93 => attributes::fchown(fd: i32, uid: u32, gid: u32), full;
            94 => attributes::lchown(name: usize, uid: u32, gid: u32), full;
            95 => attributes::umask(mask: u32), full;
            132 => attributes::utime(name: usize, times: usize), full;
            133 => dir::mknod(name: usize, mode: u32, device: u32), partial("no device files");
            137 => stat::statfs(name: usize, at: usize), full;
            138 => stat::fstatfs(fd: i32, at: usize), full;
            161 => path::chroot(name: usize), partial("EPERM: the root is what --root gave");
            188 => xattr::setxattr(path: usize, name: usize, value: usize, size: usize, flags: u32), full;
            189 => xattr::lsetxattr(path: usize, name: usize, value: usize, size: usize, flags: u32), full;
            190 => xattr::fsetxattr(fd: i32, name: usize, value: usize, size: usize, flags: u32), full;
            191 => xattr::getxattr(path: usize, name: usize, value: usize, size: usize), full;
            192 => xattr::lgetxattr(path: usize, name: usize, value: usize, size: usize), full;
            193 => xattr::fgetxattr(fd: i32, name: usize, value: usize, size: usize), full;
            194 => xattr::listxattr(path: usize, buffer: usize, size: usize), full;
            195 => xattr::llistxattr(path: usize, buffer: usize, size: usize), full;
            196 => xattr::flistxattr(fd: i32, buffer: usize, size: usize), full;
            197 => xattr::removexattr(path: usize, name: usize), full;
            198 => xattr::lremovexattr(path: usize, name: usize), full;
            199 => xattr::fremovexattr(fd: i32, name: usize), full;
            235 => attributes::utimes(name: usize, times: usize), full;
            257 => open::openat(dirfd: i32, name: usize, flags: u32, mode: u32), full;
            258 => dir::mkdirat(dirfd: i32, name: usize, mode: u32), full;
            259 => dir::mknodat(dirfd: i32, name: usize, mode: u32, device: u32), partial("no device files");
            260 => attributes::fchownat(dirfd: i32, name: usize, uid: u32, gid: u32, flags: u32), full;
            261 => attributes::futimesat(dirfd: i32, name: usize, times: usize), full;
            262 => stat::newfstatat(dirfd: i32, name: usize, at: usize, flags: u32), full;
            263 => dir::unlinkat(dirfd: i32, name: usize, flags: u32), full;
            264 => dir::renameat(old_fd: i32, old: usize, new_fd: i32, new: usize), full;
            265 => dir::linkat(old_fd: i32, old: usize, new_fd: i32, new: usize, flags: u32), full;
            266 => dir::symlinkat(target: usize, dirfd: i32, name: usize), full;
            267 => path::readlinkat(dirfd: i32, name: usize, buf: usize, size: i32), full;
            268 => attributes::fchmodat(dirfd: i32, name: usize, mode: u32), full;
            269 => attributes::faccessat(dirfd: i32, name: usize, mode: u32), full;
            280 => attributes::utimensat(dirfd: i32, name: usize, times: usize, flags: u32), full;
            316 => dir::renameat2(old_fd: i32, old: usize, new_fd: i32, new: usize, flags: u32), partial("no RENAME_WHITEOUT");
            318 => random::getrandom(buf: usize, count: usize, flags: u32), full;
            332 => stat::statx(dirfd: i32, name: usize, flags: u32, mask: u32, at: usize), full;
            437 => open::openat2(dirfd: i32, name: usize, how: usize, size: usize), full;
            439 => attributes::faccessat2(dirfd: i32, name: usize, mode: u32, flags: u32), full;
            452 => attributes::fchmodat2(dirfd: i32, name: usize, mode: u32, flags: u32), full;
            // ---- poll, epoll, pipes, events ----
            7 => poll::poll(fds: usize, count: u32, timeout: i32), full;
            23 => poll::select(count: i32, read: usize, write: usize, exceptional: usize, timeout: usize), full;
            270 => poll::pselect6(count: i32, read: usize, write: usize, exceptional: usize, timeout: usize, mask: usize), full;
            271 => poll::ppoll(fds: usize, count: u32, timeout: usize, mask: usize, size: usize), full;
            22 => event::pipe(fds: usize), full;
            213 => event::epoll_create(size: i32), full;
            232 => event::epoll_wait(epfd: i32, events: usize, max: i32, timeout: i32), full;
            233 => event::epoll_ctl(epfd: i32, op: u32, fd: i32, event: usize), full;
            281 => event::epoll_pwait(epfd: i32, events: usize, max: i32, timeout: i32, mask: usize, size: usize), full;
            282 => event::signalfd(fd: i32, mask: usize, size: usize), full;
            289 => event::signalfd4(fd: i32, mask: usize, size: usize, flags: u32), full;
            284 => event::eventfd(count: u32), full;
            290 => event::eventfd2(count: u32, flags: u32), full;
            291 => event::epoll_create1(flags: u32), full;
            293 => event::pipe2(fds: usize, flags: u32), full;
            319 => event::memfd_create(name: usize, flags: u32), partial("no huge pages");
            275 => splice::splice(input: i32, input_offset: usize, output: i32, output_offset: usize, count: usize, flags: u32), full;
            276 => splice::tee(input: i32, output: i32, count: usize, flags: u32), full;
            278 => splice::vmsplice(fd: i32, iov: usize, count: usize, flags: u32), partial("copies: later changes of the memory do not show");
            253 => inotify::inotify_init(), full;
            254 => inotify::inotify_add_watch(fd: i32, name: usize, mask: u32), full;
            255 => inotify::inotify_rm_watch(fd: i32, watch: i32), full;
            294 => inotify::inotify_init1(flags: u32), full;
            441 => event::epoll_pwait2(epfd: i32, events: usize, max: i32, timeout: usize, mask: usize, size: usize), full;
            // ---- sockets ----
            41 => socket::socket(family: u32, kind: u32, protocol: u32), partial("no raw sockets, no packet sockets");
            42 => socket::connect(fd: i32, address: usize, length: u32), full;
            43 => socket::accept(fd: i32, address: usize, length: usize), full;
            44 => socket::sendto(fd: i32, buf: usize, count: usize, flags: u32, address: usize, length: u32), partial("no urgent data");
            45 => socket::recvfrom(fd: i32, buf: usize, count: usize, flags: u32, address: usize, length: usize), partial("no urgent data");
            46 => socket::sendmsg(fd: i32, message: usize, flags: u32), partial("no urgent data");
            47 => socket::recvmsg(fd: i32, message: usize, flags: u32), partial("no urgent data, no error queue");
            48 => socket::shutdown(fd: i32, how: u32), full;
            49 => socket::bind(fd: i32, address: usize, length: u32), full;
            50 => socket::listen(fd: i32, backlog: i32), full;
            51 => socket::getsockname(fd: i32, address: usize, length: usize), full;
            52 => socket::getpeername(fd: i32, address: usize, length: usize), full;
            53 => socket::socketpair(family: u32, kind: u32, protocol: u32, fds: usize), full;
            54 => socket::setsockopt(fd: i32, level: u32, name: u32, value: usize, length: i32), partial("filters (classic BPF) on sockets of UDP only");
            55 => socket::getsockopt(fd: i32, level: u32, name: u32, value: usize, length: usize), full;
            288 => socket::accept4(fd: i32, address: usize, length: usize, flags: u32), full;
            299 => socket::recvmmsg(fd: i32, vector: usize, count: u32, flags: u32, timeout: usize), full;
            307 => socket::sendmmsg(fd: i32, vector: usize, count: u32, flags: u32), full;
            // ---- process and system ----
            219 => signal::restart_syscall(), full;
            237 => numa::mbind(addr: usize, length: usize, mode: u32, nodes: usize, max: usize, flags: u32), partial("one node");
            238 => numa::set_mempolicy(mode: u32, nodes: usize, max: usize), partial("one node");
            239 => numa::get_mempolicy(mode: usize, nodes: usize, max: usize, addr: usize, flags: u32), partial("one node");
            256 => numa::migrate_pages(pid: i32, max: usize, from: usize, to: usize), partial("one node");
            279 => numa::move_pages(pid: i32, count: usize, pages: usize, nodes: usize, status: usize, flags: u32), partial("one node");
            251 => schedule::ioprio_set(which: u32, who: i32, priority: u32), partial("kept; nothing competes");
            252 => schedule::ioprio_get(which: u32, who: i32), full;
            314 => schedule::sched_setattr(pid: i32, at: usize, flags: u32), partial("SCHED_OTHER, _BATCH and _IDLE, which are alike");
            315 => schedule::sched_getattr(pid: i32, at: usize, size: u32, flags: u32), full;
            303 => stat::name_to_handle_at(dirfd: i32, name: usize, handle: usize, mount: usize, flags: u32), partial("EOPNOTSUPP");
            310 => peer::process_vm_readv(pid: i32, local: usize, local_count: usize, remote: usize, remote_count: usize, flags: usize), partial("the process itself");
            311 => peer::process_vm_writev(pid: i32, local: usize, local_count: usize, remote: usize, remote_count: usize, flags: usize), partial("the process itself");
            312 => peer::kcmp(a: i32, b: i32, kind: i32, first: usize, second: usize), partial("the process itself");
            438 => pidfd::pidfd_getfd(pidfd: i32, fd: i32, flags: u32), partial("the process itself");
            440 => peer::process_madvise(pidfd: i32, iov: usize, count: usize, advice: u32, flags: u32), partial("the process itself");
            329 => memory::pkey_mprotect(addr: usize, length: usize, prot: usize, key: i32), partial("no protection keys");
            330 => memory::pkey_alloc(flags: u32, rights: u32), partial("ENOSPC: no protection keys");
            331 => memory::pkey_free(key: i32), partial("no protection keys");
            300 => system::fanotify_init(), partial("EPERM");
            301 => system::fanotify_mark(), partial("EPERM");
            320 => system::kexec_file_load(), partial("EPERM");
            323 => system::userfaultfd(), partial("EPERM");
            428 => system::open_tree(), partial("EPERM");
            429 => system::move_mount(), partial("EPERM");
            430 => system::fsopen(), partial("EPERM");
            431 => system::fsconfig(), partial("EPERM");
            432 => system::fsmount(), partial("EPERM");
            433 => system::fspick(), partial("EPERM");
            442 => system::mount_setattr(), partial("EPERM");
            443 => system::quotactl_fd(), partial("EPERM");
            61 => process::wait4(pid: i32, status: usize, options: u32, usage: usize), partial("ECHILD: there are no children");
            57 => process::fork(), partial("ENOSYS: one program, one process");
            58 => process::vfork(), partial("ENOSYS: one program, one process");
            59 => process::execve(path: usize, argv: usize, envp: usize), partial("ENOSYS: one program, one process");
            63 => system::uname(at: usize), full;
            97 => process::getrlimit(resource: u32, at: usize), full;
            98 => process::getrusage(who: i32, at: usize), partial("kernel and program time are not told apart");
            99 => system::sysinfo(at: usize), partial("no load averages");
            101 => system::ptrace(), partial("EPERM");
            102 => identity::getuid(), full;
            103 => system::syslog(), partial("EPERM");
            104 => identity::getgid(), full;
            105 => identity::setuid(id: u32), full;
            106 => identity::setgid(id: u32), full;
            107 => identity::geteuid(), full;
            108 => identity::getegid(), full;
            109 => process::setpgid(pid: i32, group: i32), full;
            110 => process::getppid(), full;
            111 => process::getpgrp(), full;
            112 => process::setsid(), full;
            113 => identity::setreuid(real: u32, effective: u32), full;
            114 => identity::setregid(real: u32, effective: u32), full;
            115 => identity::getgroups(count: i32, list: usize), full;
            116 => identity::setgroups(count: usize, list: usize), full;
            117 => identity::setresuid(real: u32, effective: u32, saved: u32), full;
            118 => identity::getresuid(real: usize, effective: usize, saved: usize), full;
            119 => identity::setresgid(real: u32, effective: u32, saved: u32), full;
            120 => identity::getresgid(real: usize, effective: usize, saved: usize), full;
            121 => process::getpgid(pid: i32), full;
            122 => identity::setfsuid(id: u32), full;
            123 => identity::setfsgid(id: u32), full;
            124 => process::getsid(pid: i32), full;
            125 => capability::capget(header: usize, data: usize), partial("no capabilities");
            126 => capability::capset(header: usize, data: usize), partial("no capabilities");
            135 => process::personality(persona: u32), partial("PER_LINUX only");
            140 => schedule::getpriority(which: u32, who: i32), full;
            141 => schedule::setpriority(which: u32, who: i32, nice: i32), partial("kept; nothing competes");
            142 => schedule::sched_setparam(pid: i32, parameter: usize), full;
            143 => schedule::sched_getparam(pid: i32, parameter: usize), full;
            144 => schedule::sched_setscheduler(pid: i32, policy: u32, parameter: usize), partial("SCHED_OTHER, _BATCH and _IDLE, which are alike");
            145 => schedule::sched_getscheduler(pid: i32), full;
            146 => schedule::sched_get_priority_max(policy: u32), full;
            147 => schedule::sched_get_priority_min(policy: u32), full;
            148 => schedule::sched_rr_get_interval(pid: i32, at: usize), full;
            153 => system::vhangup(), partial("EPERM");
            155 => system::pivot_root(), partial("EPERM");
            157 => prctl::prctl(option: u32, a: usize, b: usize, c: usize, d: usize), partial("most is kept without effect; no seccomp, no names of anonymous memory");
            160 => process::setrlimit(resource: u32, at: usize), partial("RLIMIT_NOFILE and RLIMIT_AS are enforced");
            163 => system::acct(), partial("EPERM");
            165 => system::mount(), partial("EPERM");
            166 => system::umount2(), partial("EPERM");
            167 => system::swapon(), partial("EPERM");
            168 => system::swapoff(), partial("EPERM");
            169 => system::reboot(), partial("EPERM");
            170 => system::sethostname(), partial("EPERM");
            171 => system::setdomainname(), partial("EPERM");
            172 => system::iopl(), partial("EPERM");
            173 => system::ioperm(), partial("EPERM");
            175 => system::init_module(), partial("EPERM");
            176 => system::delete_module(), partial("EPERM");
            179 => system::quotactl(), partial("EPERM");
            246 => system::kexec_load(), partial("EPERM");
            247 => process::waitid(kind: u32, id: i32, info: usize, options: u32, usage: usize), partial("ECHILD: there are no children");
            272 => system::unshare(), partial("EPERM");
            273 => thread::set_robust_list(head: usize, length: usize), full;
            274 => thread::get_robust_list(pid: i32, head: usize, length: usize), full;
            298 => system::perf_event_open(), partial("EPERM");
            302 => process::prlimit64(pid: i32, resource: u32, new: usize, old: usize), partial("RLIMIT_NOFILE and RLIMIT_AS are enforced");
            304 => system::open_by_handle_at(), partial("EPERM");
            308 => system::setns(), partial("EPERM");
            309 => schedule::getcpu(cpu: usize, node: usize, cache: usize), full;
            313 => system::finit_module(), partial("EPERM");
            321 => system::bpf(), partial("EPERM");
            322 => process::execveat(dir: i32, path: usize, argv: usize, envp: usize, flags: u32), partial("ENOSYS: one program, one process");
            324 => process::membarrier(command: i32, flags: u32, cpu: i32), partial("global and private expedited");
            424 => pidfd::pidfd_send_signal(pidfd: i32, signo: i32, info: usize, flags: u32), full;
            434 => pidfd::pidfd_open(pid: i32, flags: u32), partial("the process itself");
        }
    };
}

/// How far a call is provided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// As on Linux.
    Full,
    /// Provided, but for what the text says.
    Partial(&'static str),
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct SyscallInfo {
    /// Its number (RAX).
    pub number: u16,
    /// Its name in Linux.
    pub name: &'static str,
    /// The file of kernel/src/syscall/ it lives in.
    pub family: &'static str,
    /// How far it is provided.
    pub support: Support,
}

macro_rules! support {
    (full) => {
        Support::Full
    };
    (partial($why:literal)) => {
        Support::Partial($why)
    };
}

macro_rules! infos {
    ($($(@$mark:ident)? $number:literal => $family:ident :: $name:ident ( $($arg:ident : $ty:ty),* ), $support:ident $(($why:literal))? ;)*) => {
        /// Every call that is provided, in the table's order.
        pub const SYSCALLS: &[SyscallInfo] = &[$(SyscallInfo {
            number: $number,
            name: stringify!($name),
            family: stringify!($family),
            support: support!($support $(($why))?),
        }),*];
    };
}
for_each_syscall!(infos);

/// The name of a provided call.
pub fn syscall_name(number: usize) -> Option<&'static str> {
    SYSCALLS
        .iter()
        .find(|call| call.number as usize == number)
        .map(|call| call.name)
}

#[cfg(test)]
mod tests {
    use super::SYSCALLS;

    #[test]
    fn no_number_or_name_stands_twice() {
        for (i, a) in SYSCALLS.iter().enumerate() {
            for b in &SYSCALLS[i + 1..] {
                assert!(a.number != b.number && a.name != b.name, "{a:?} {b:?}");
            }
        }
    }
}
