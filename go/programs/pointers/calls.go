package main

import (
	"syscall"

	"ringo.dev/go/internal/prog"
)

const atCwd = ^uintptr(99)

func files() []spec {
	inside()
	zero, null, f := open("/dev/zero", syscall.O_RDWR), open("/dev/null", syscall.O_RDWR), open("f", syscall.O_RDWR)
	g, d := open("g", syscall.O_RDWR|syscall.O_CREAT), open(".", syscall.O_RDONLY)
	var p [2]int
	prog.Must(syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC))
	iov := words(uint64(hole), 0)
	lock := append(words(0, 0, 0), words(0)...)
	return []spec{
		of("read zero", syscall.SYS_READ, fd(zero), out(64), v(64)),
		of("read file", syscall.SYS_READ, fd(f), out(10), v(10)),
		of("read pipe", syscall.SYS_READ, fd(p[0]), out(10), v(10)),
		of("write file", syscall.SYS_WRITE, fd(g), in(make([]byte, 64)), v(64)),
		of("write pipe", syscall.SYS_WRITE, fd(p[1]), in(make([]byte, 8)), v(8)),
		of("write nothing", syscall.SYS_WRITE, fd(g), in(nil), v(0)),
		of("pread", syscall.SYS_PREAD64, fd(f), out(10), v(10), v(0)),
		of("pread huge", syscall.SYS_PREAD64, fd(f), out(10), v(1<<62), v(0)),
		of("pwrite", syscall.SYS_PWRITE64, fd(g), in(make([]byte, 10)), v(10), v(0)),
		of("readv", syscall.SYS_READV, fd(zero), in(iov), v(1)),
		of("writev", syscall.SYS_WRITEV, fd(null), in(iov), v(1)),
		of("preadv", 295, fd(f), in(iov), v(1), v(0)),
		of("pwritev", 296, fd(g), in(iov), v(1), v(0)),
		of("preadv2", 327, fd(f), in(iov), v(1), v(0), v(0), v(0)),
		of("pwritev2", 328, fd(g), in(iov), v(1), v(0), v(0), v(0)),
		of("fstat", syscall.SYS_FSTAT, fd(f), out(144)),
		of("fstatfs", syscall.SYS_FSTATFS, fd(f), out(120)),
		of("getdents64", syscall.SYS_GETDENTS64, fd(d), out(1024), v(1024)),
		of("sendfile", syscall.SYS_SENDFILE, fd(g), fd(f), both(words(0)), v(5)),
		of("copy_file_range in", 326, fd(f), both(words(0)), fd(g), v(0), v(5), v(0)),
		of("copy_file_range out", 326, fd(f), v(0), fd(g), both(words(0)), v(5), v(0)),
		of("F_GETLK", syscall.SYS_FCNTL, fd(f), v(syscall.F_GETLK), both(lock)),
		of("F_SETLK", syscall.SYS_FCNTL, fd(f), v(syscall.F_SETLK), in(lock)),
		of("F_OFD_GETLK", syscall.SYS_FCNTL, fd(f), v(36), both(lock)),
		of("FIONREAD", syscall.SYS_IOCTL, fd(p[0]), v(0x541b), out(4)),
		of("FIONBIO", syscall.SYS_IOCTL, fd(p[0]), v(0x5421), in([]byte{1, 0, 0, 0})),
		opening("memfd_create", 319, in(append([]byte("name"), 0)), v(0)),
		of("pipe", syscall.SYS_PIPE, v(0)),
		of("splice", 275, fd(f), both(words(0)), fd(p[1]), v(0), v(3), v(2)),
		of("vmsplice", 278, fd(p[1]), in(iov), v(1), v(2)),
		of("fgetxattr name", 193, fd(f), in(append([]byte("user.none"), 0)), v(0), v(0)),
		of("fsetxattr value", 190, fd(f), in(append([]byte("system.none"), 0)), in(make([]byte, 16)), v(16), v(0)),
		of("fremovexattr", 199, fd(f), in(append([]byte("user.none"), 0))),
		of("futimesat times", 261, v(atCwd), path("f"), in(words(1, 2, 3, 4))),
	}
}

func paths() []spec {
	inside()
	d := open("d", syscall.O_RDONLY)
	return []spec{
		opening("open", syscall.SYS_OPEN, path("f"), v(0), v(0)),
		opening("openat", syscall.SYS_OPENAT, v(atCwd), path("f"), v(0), v(0)),
		opening("openat2", 437, v(atCwd), path("f"), in(words(0, 0, 0)), v(24)),
		opening("openat2 long", 437, v(atCwd), path("f"), in(words(0, 0, 0, 0)), v(32)),
		of("openat2 short", 437, v(atCwd), path("f"), in(words(0, 0, 0)), v(16)),
		opening("creat", syscall.SYS_CREAT, path("new"), v(0o644)),
		of("stat", syscall.SYS_STAT, path("f"), out(144)),
		of("lstat", syscall.SYS_LSTAT, path("l"), out(144)),
		of("newfstatat", syscall.SYS_NEWFSTATAT, v(atCwd), path("f"), out(144), v(0)),
		of("statx", 332, v(atCwd), path("f"), v(0), v(0xfff), out(256)),
		of("access", syscall.SYS_ACCESS, path("f"), v(4)),
		of("faccessat", syscall.SYS_FACCESSAT, v(atCwd), path("f"), v(4)),
		of("faccessat2", 439, v(atCwd), path("f"), v(4), v(0)),
		of("readlink", syscall.SYS_READLINK, path("l"), out(10), v(10)),
		of("readlinkat", syscall.SYS_READLINKAT, v(atCwd), path("l"), out(10), v(10)),
		of("statfs", syscall.SYS_STATFS, path("f"), out(120)),
		of("truncate", syscall.SYS_TRUNCATE, path("f"), v(10)),
		of("mkdir", syscall.SYS_MKDIR, path("d"), v(0o755)),
		of("mkdirat", syscall.SYS_MKDIRAT, fd(d), path("../d"), v(0o755)),
		of("rmdir", syscall.SYS_RMDIR, path("missing")),
		of("unlink", syscall.SYS_UNLINK, path("missing")),
		of("unlinkat", syscall.SYS_UNLINKAT, v(atCwd), path("missing"), v(0)),
		of("rename", syscall.SYS_RENAME, path("missing"), path("other")),
		of("renameat", syscall.SYS_RENAMEAT, v(atCwd), path("missing"), v(atCwd), path("other")),
		of("renameat2", 316, v(atCwd), path("missing"), v(atCwd), path("other"), v(0)),
		of("link", syscall.SYS_LINK, path("missing"), path("other")),
		of("linkat", syscall.SYS_LINKAT, v(atCwd), path("missing"), v(atCwd), path("other"), v(0)),
		of("symlink", syscall.SYS_SYMLINK, path("target"), path("f")),
		of("symlinkat", syscall.SYS_SYMLINKAT, path("target"), v(atCwd), path("f")),
		of("mknod", syscall.SYS_MKNOD, path("f"), v(syscall.S_IFREG|0o644), v(0)),
		of("mknodat", syscall.SYS_MKNODAT, v(atCwd), path("f"), v(syscall.S_IFREG|0o644), v(0)),
		of("chmod", syscall.SYS_CHMOD, path("f"), v(0o644)),
		of("fchmodat", syscall.SYS_FCHMODAT, v(atCwd), path("f"), v(0o644)),
		of("fchmodat2", 452, v(atCwd), path("f"), v(0o644), v(0)),
		of("chown", syscall.SYS_CHOWN, path("f"), v(^uintptr(0)), v(^uintptr(0))),
		of("lchown", syscall.SYS_LCHOWN, path("f"), v(^uintptr(0)), v(^uintptr(0))),
		of("fchownat", syscall.SYS_FCHOWNAT, v(atCwd), path("f"), v(^uintptr(0)), v(^uintptr(0)), v(0)),
		of("utime", syscall.SYS_UTIME, path("f"), in(words(1, 2))),
		of("utimes", syscall.SYS_UTIMES, path("f"), in(words(1, 2, 3, 4))),
		of("utimensat", syscall.SYS_UTIMENSAT, v(atCwd), path("f"), in(words(1, 2, 3, 4)), v(0)),
		of("setxattr", syscall.SYS_SETXATTR, path("f"), in(append([]byte("system.none"), 0)), in(make([]byte, 16)), v(16), v(0)),
		of("getxattr", syscall.SYS_GETXATTR, path("f"), in(append([]byte("user.none"), 0)), out(16), v(16)),
		of("listxattr", syscall.SYS_LISTXATTR, path("f"), v(0), v(0)),
		of("removexattr", syscall.SYS_REMOVEXATTR, path("f"), in(append([]byte("user.none"), 0))),
		of("long path", syscall.SYS_ACCESS, in(append(make1(4095, '/'), 0)), v(0)),
		of("too long a path", syscall.SYS_ACCESS, in(append(make1(4096, '/'), 0)), v(0)),
		of("chdir", syscall.SYS_CHDIR, path("/")),
		of("getcwd", syscall.SYS_GETCWD, out(64), v(64)),
	}
}

func make1(count int, with byte) []byte {
	b := make([]byte, count)
	for i := range b {
		b[i] = with
	}
	return b
}

func events() []spec {
	inside()
	var p [2]int
	prog.Must(syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC))
	epfd, err := syscall.EpollCreate1(0)
	prog.Must(err)
	event := syscall.EpollEvent{Events: syscall.EPOLLOUT, Fd: 1}
	prog.Must(syscall.EpollCtl(epfd, syscall.EPOLL_CTL_ADD, p[1], &event))
	inotify, err := syscall.InotifyInit1(syscall.IN_NONBLOCK)
	prog.Must(err)
	_, err = syscall.InotifyAddWatch(inotify, ".", syscall.IN_ATTRIB)
	prog.Must(err)
	timer := must(syscall.SYS_TIMERFD_CREATE, 1, 0)
	counter := must(290, 5, syscall.O_NONBLOCK)
	pollfd := words(uint64(p[1]) | 4<<32)
	set := words(1 << p[1])
	return []spec{
		of("pipe2", syscall.SYS_PIPE2, v(uintptr(hole)), v(0)),
		of("epoll_ctl add", syscall.SYS_EPOLL_CTL, fd(epfd), v(1), fd(p[1]), in(make([]byte, 12))),
		of("epoll_ctl delete", syscall.SYS_EPOLL_CTL, fd(epfd), v(2), fd(p[0]), in(make([]byte, 12))),
		of("epoll_wait", syscall.SYS_EPOLL_WAIT, fd(epfd), out(12), v(1), v(0)),
		of("epoll_wait huge", syscall.SYS_EPOLL_WAIT, fd(epfd), out(12), v(1<<30), v(0)),
		of("epoll_pwait", syscall.SYS_EPOLL_PWAIT, fd(epfd), out(12), v(1), v(0), in(words(0)), v(8)),
		of("epoll_pwait2", 441, fd(epfd), out(12), v(1), in(words(0, 0)), v(0), v(8)),
		of("poll", syscall.SYS_POLL, both(pollfd), v(1), v(0)),
		of("ppoll", syscall.SYS_PPOLL, both(pollfd), v(1), both(words(0, 0)), in(words(0)), v(8)),
		of("select", syscall.SYS_SELECT, v(64), v(0), both(set), v(0), both(words(0, 0))),
		of("pselect6", syscall.SYS_PSELECT6, v(64), v(0), both(set), v(0), both(words(0, 0)), in(words(0, 0))),
		opening("signalfd4", 289, v(^uintptr(0)), in(words(0)), v(8), v(0)),
		of("inotify_add_watch", syscall.SYS_INOTIFY_ADD_WATCH, fd(inotify), path("f"), v(2)),
		of("read inotify", syscall.SYS_READ, fd(inotify), out(100), v(100)),
		of("read eventfd", syscall.SYS_READ, v(counter), out(8), v(8)),
		of("write eventfd", syscall.SYS_WRITE, v(counter), in(words(1)), v(8)),
		of("timerfd_settime", syscall.SYS_TIMERFD_SETTIME, v(timer), v(0), in(words(0, 0, 0, 0)), out(32)),
		of("timerfd_gettime", syscall.SYS_TIMERFD_GETTIME, v(timer), out(32)),
	}
}

func timing() []spec {
	return []spec{
		of("nanosleep", syscall.SYS_NANOSLEEP, in(words(0, 1)), out(16)),
		of("clock_nanosleep", syscall.SYS_CLOCK_NANOSLEEP, v(1), v(0), in(words(0, 1)), out(16)),
		of("clock_gettime", syscall.SYS_CLOCK_GETTIME, v(1), out(16)),
		of("clock_gettime wall", syscall.SYS_CLOCK_GETTIME, v(0), out(16)),
		of("clock_getres", syscall.SYS_CLOCK_GETRES, v(1), out(16)),
		of("gettimeofday", syscall.SYS_GETTIMEOFDAY, out(16), out(8)),
		of("time", syscall.SYS_TIME, out(8)),
		of("times", syscall.SYS_TIMES, out(32)),
		of("getitimer", syscall.SYS_GETITIMER, v(0), out(32)),
		of("setitimer", syscall.SYS_SETITIMER, v(0), in(words(0, 0, 0, 0)), out(32)),
		of("timer_create event", syscall.SYS_TIMER_CREATE, v(1), in(words(0, 1<<32, 0, 0, 0, 0, 0, 0)), out(4)),
		of("timer_settime", syscall.SYS_TIMER_SETTIME, v(9999), v(0), in(words(0, 0, 0, 0)), out(32)),
		of("timer_gettime", syscall.SYS_TIMER_GETTIME, v(9999), out(32)),
	}
}

func signals() []spec {
	return []spec{
		of("rt_sigprocmask", syscall.SYS_RT_SIGPROCMASK, v(0), in(words(0)), out(8), v(8)),
		of("rt_sigaction", syscall.SYS_RT_SIGACTION, v(10), v(0), out(32), v(8)),
		of("rt_sigpending", syscall.SYS_RT_SIGPENDING, out(8), v(8)),
		of("rt_sigtimedwait", syscall.SYS_RT_SIGTIMEDWAIT, in(words(0)), out(128), in(words(0, 0)), v(8)),
		of("rt_sigqueueinfo", syscall.SYS_RT_SIGQUEUEINFO, v(1<<22-1), v(10), in(words(10, 0xffffffff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))),
		of("sigaltstack", syscall.SYS_SIGALTSTACK, v(0), out(24)),
	}
}

func process() []spec {
	return []spec{
		of("uname", syscall.SYS_UNAME, out(390)),
		of("sysinfo", syscall.SYS_SYSINFO, out(112)),
		of("getrlimit", syscall.SYS_GETRLIMIT, v(7), out(16)),
		of("prlimit64", syscall.SYS_PRLIMIT64, v(0), v(7), v(0), out(16)),
		of("getrusage", syscall.SYS_GETRUSAGE, v(0), out(144)),
		of("getresuid", syscall.SYS_GETRESUID, out(4), out(4), out(4)),
		of("getresgid", syscall.SYS_GETRESGID, out(4), out(4), out(4)),
		of("getcpu", 309, out(4), out(4), v(0)),
		of("capget", syscall.SYS_CAPGET, both(words(0x20080522)), out(24)),
		of("sched_getaffinity", syscall.SYS_SCHED_GETAFFINITY, v(0), v(128), out(8)),
		of("sched_getparam", syscall.SYS_SCHED_GETPARAM, v(0), out(4)),
		of("sched_setparam", syscall.SYS_SCHED_SETPARAM, v(0), in(make([]byte, 4))),
		of("sched_setscheduler", syscall.SYS_SCHED_SETSCHEDULER, v(0), v(0), in(make([]byte, 4))),
		of("sched_rr_get_interval", syscall.SYS_SCHED_RR_GET_INTERVAL, v(0), out(16)),
		of("sched_getattr", 315, v(0), out(48), v(48), v(0)),
		of("sched_setattr", 314, v(0), in(words(48, 0, 0, 0, 0, 0)), v(0)),
		of("get_robust_list", 274, v(0), out(8), out(8)),
		of("PR_GET_NAME", syscall.SYS_PRCTL, v(16), out(16)),
		of("PR_SET_NAME", syscall.SYS_PRCTL, v(15), in([]byte("exactly15bytes\x00"))),
		of("getrandom", 318, out(16), v(16), v(0)),
		of("wait4", syscall.SYS_WAIT4, v(^uintptr(0)), out(4), v(1), out(144)),
		of("process_vm_readv", 310, v(uintptr(syscall.Getpid())), in(words(uint64(hole), 8)), v(1), in(words(uint64(hole), 8)), v(1), v(0)),
		of("futex wake", syscall.SYS_FUTEX, in(make([]byte, 4)), v(1), v(1)),
		of("futex wait", syscall.SYS_FUTEX, in(make([]byte, 4)), v(0), v(1), in(words(0, 1))),
		of("futex requeue", syscall.SYS_FUTEX, in(make([]byte, 4)), v(4), v(1), v(1), in(make([]byte, 4)), v(0)),
		of("futex wake_op", syscall.SYS_FUTEX, in(make([]byte, 4)), v(5), v(1), v(1), both(make([]byte, 4)), v(0)),
		of("arch_prctl", syscall.SYS_ARCH_PRCTL, v(0x1003), out(8)),
		of("set_robust_list", syscall.SYS_SET_ROBUST_LIST, v(0), v(24)),
	}
}

func memory() []spec {
	m := uintptr(mmap(4*page, rw))
	var list []spec
	add := func(name string, number uintptr, args ...uintptr) {
		all := make([]argument, len(args))
		for i, arg := range args {
			all[i] = v(arg)
		}
		list = append(list, of(name, number, all...))
	}
	add("mmap no length", syscall.SYS_MMAP, 0, 0, rw, 0x22, ^uintptr(0), 0)
	add("mmap huge", syscall.SYS_MMAP, 0, 1<<62, rw, 0x22, ^uintptr(0), 0)
	add("mmap wrapping", syscall.SYS_MMAP, 0, ^uintptr(0), rw, 0x22, ^uintptr(0), 0)
	add("mmap fixed kernel", syscall.SYS_MMAP, 0xffff888000000000, page, rw, 0x32, ^uintptr(0), 0)
	add("mmap fixed misaligned", syscall.SYS_MMAP, m+1, page, rw, 0x32, ^uintptr(0), 0)
	add("mmap noreplace", syscall.SYS_MMAP, m, page, rw, 0x100022, ^uintptr(0), 0)
	add("mmap offset", syscall.SYS_MMAP, 0, page, 1, 2, 0, 1)
	add("mmap bad descriptor", syscall.SYS_MMAP, 0, page, 1, 2, 999, 0)
	add("mmap neither", syscall.SYS_MMAP, 0, page, 1, 0x20, ^uintptr(0), 0)
	add("mmap offset overflow", syscall.SYS_MMAP, 0, page, 1, 2, 999, ^uintptr(0)-page+1)
	for _, call := range []struct {
		name   string
		number uintptr
		last   uintptr
	}{{"munmap", syscall.SYS_MUNMAP, 0}, {"mprotect", syscall.SYS_MPROTECT, rw}, {"madvise", syscall.SYS_MADVISE, 3},
		{"msync", syscall.SYS_MSYNC, 4}, {"mlock", syscall.SYS_MLOCK, 0}, {"munlock", syscall.SYS_MUNLOCK, 0}, {"mincore", syscall.SYS_MINCORE, hole}} {
		if call.name != "munmap" {
			add(call.name+" nothing", call.number, m, 0, call.last)
		}
		add(call.name+" misaligned", call.number, m+8, page, call.last)
		add(call.name+" hole", call.number, hole, 0x10, call.last)
		add(call.name+" kernel", call.number, 0xffff888000000000, page, call.last)
		add(call.name+" boundary", call.number, 0x7ffffffff000, page, call.last)
		add(call.name+" non-canonical", call.number, 1<<47, page, call.last)
		add(call.name+" wrapping", call.number, m, ^uintptr(0)-page+1, call.last)
		add(call.name+" all ones", call.number, m, ^uintptr(0), call.last)
	}
	add("munmap nothing", syscall.SYS_MUNMAP, m, 0)
	add("mprotect rights", syscall.SYS_MPROTECT, m, page, 0x80)
	add("msync both", syscall.SYS_MSYNC, m, page, 5)
	add("msync flags", syscall.SYS_MSYNC, m, page, 0x80)
	add("mremap misaligned", syscall.SYS_MREMAP, m+1, page, page, 1)
	add("mremap hole", syscall.SYS_MREMAP, 1<<46, page, page, 1)
	add("mremap kernel", syscall.SYS_MREMAP, 0xffff888000000000, page, page, 1)
	add("mremap nothing", syscall.SYS_MREMAP, m, page, 0, 1)
	add("mremap flags", syscall.SYS_MREMAP, m, page, page, 0x80)
	add("mremap huge", syscall.SYS_MREMAP, m, page, 1<<62, 1)
	add("mremap fixed kernel", syscall.SYS_MREMAP, m, page, page, 3, 0xffff888000000000)
	add("mremap fixed onto itself", syscall.SYS_MREMAP, m, page, page, 3, m)
	add("mremap fixed misaligned", syscall.SYS_MREMAP, m, page, page, 3, m+2*page+1)
	add("mremap fixed, may not move", syscall.SYS_MREMAP, m, page, page, 2, m+2*page)
	add("mlock2 flags", 325, m, page, 2)
	add("mlockall nothing", syscall.SYS_MLOCKALL, 0)
	add("mlockall flags", syscall.SYS_MLOCKALL, 99)
	add("pkey_free", 331, 1)
	return list
}
