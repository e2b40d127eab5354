package main

import "syscall"

// control are calls on descriptors themselves: fcntl, ioctl, locks, copies.
func control() []call {
	any := func() slot { return fds("*") }
	lock := func(kind, whence uint16, start, length int64, pid uint64) []byte {
		return words(uint64(kind)|uint64(whence)<<16, uint64(start), uint64(length), pid)
	}
	locks := func() slot {
		return both(lock(0, 0, 0, 0, 0), lock(1, 0, 0, 0, 0), lock(2, 0, 10, 5, 0), lock(3, 0, 0, 0, 0), lock(1, 3, 0, 0, 0), lock(1, 1, -10, 5, 0), lock(0, 2, 0, -5, 0), lock(1, 0, 5, -10, 0),
			lock(1, 0, 1<<62, 1<<62, 0), lock(1, 0, 1<<62, 1<<62+1, 0), lock(1, 2, 1<<62, 1<<62, 0), lock(1, 0, 0, 0, 5))
	}
	requests := values(0x541b, 0x5421, 0x5450, 0x5451, 0x5401, 0x5413, 0x5411, 0x540f, 0, all, 0x80045430)
	flags := values(0, syscall.O_CLOEXEC, syscall.O_NONBLOCK, 1, 2, 1<<31)
	return []call{
		{"fcntl plain", syscall.SYS_FCNTL, []slot{any(), values(1, 2, 3, 9, 11, 1025, 1034, 12, 99, all, 1<<32|1), values(0, 1, 2, all)}, nil},
		{"fcntl dup", syscall.SYS_FCNTL, []slot{any(), values(0, 1030), values(0, 50, 1023, 1024, all, 1<<31, 1<<32)}, closing},
		{"fcntl flags", syscall.SYS_FCNTL, []slot{any(), values(4), values(syscall.O_NONBLOCK, 0, syscall.O_APPEND|syscall.O_NONBLOCK, 1, syscall.O_NONBLOCK|syscall.O_CREAT, syscall.O_SYNC|syscall.O_NONBLOCK, 1<<32|syscall.O_NONBLOCK)}, nil},
		{"fcntl owner", syscall.SYS_FCNTL, []slot{any(), values(8, 10), values(0, 999999, 65, 64, 1<<31)}, nil},
		{"fcntl owner's kind", syscall.SYS_FCNTL, []slot{any(), values(15, 16), both(halves(0, 0), halves(1, 0), halves(2, 0), halves(3, 0), halves(1, 999999), halves(0, 999999))}, nil},
		{"fcntl locks", syscall.SYS_FCNTL, []slot{any(), values(5, 6, 36, 37), locks()}, nil},
		{"fcntl pipe size", syscall.SYS_FCNTL, []slot{any(), values(1031, 1032), values(4096, 0, 1, 65536, 1<<20)}, nil},
		{"fcntl seals", syscall.SYS_FCNTL, []slot{any(), values(1033, 1034), values(0, 1, 2, 8, 0x40, all)}, nil},
		{"fcntl hints", syscall.SYS_FCNTL, []slot{any(), values(1035, 1037, 1038), both(words(0), words(2), words(5), words(6), words(1<<32))}, nil},
		{"fcntl hint", syscall.SYS_FCNTL, []slot{fds("file reader memfd pipe-in stream closed"), values(1036), in(words(0), words(2), words(5), words(6), words(1<<32))}, nil},
		{"ioctl", syscall.SYS_IOCTL, []slot{any(), requests, both(words(0, 0, 0, 0, 0), words(1, 0, 0, 0, 0))}, nil},
		{"flock", syscall.SYS_FLOCK, []slot{any(), values(5, 6, 8, 4, 1|8|4, 0, 3, 12, 0x25, all, 1<<32|5)}, nil},
		{"dup", syscall.SYS_DUP, []slot{any()}, closing},
		{"dup2", syscall.SYS_DUP2, []slot{any(), values(60, all, 1023, 1024, 1<<31)}, closing},
		{"dup3", 292, []slot{any(), values(60, all, 1023, 1024, 1<<31), flags}, closing},
		{"close_range", 436, []slot{values(900, 1000, 1<<31, 1<<32-1), values(1000, 900, 899, 1<<32-1, 1<<32), values(0, 4, 1, 8, 1<<31)}, nil},
		{"close", syscall.SYS_CLOSE, []slot{fds("none closed")}, nil},
		{"kcmp", 312, []slot{join(self(), values(0, 999999, all)), join(self(), values(0, 999999)), values(0, 1, 2, 3, 4, 5, 6, 8, all), any(), any()}, alike},
		{"lseek and write nothing", syscall.SYS_WRITE, []slot{any(), values(0, hole, kernel), values(0)}, nil},
		{"pidfd_open", 434, []slot{values(0, all, 999999, 1<<31), values(0, 1, syscall.O_NONBLOCK, 2, 1<<31)}, nil},
		{"pidfd_send_signal", 424, []slot{any(), values(0, 1, 65, all), values(0), values(0, 1, 16)}, nil},
		{"pidfd_getfd", 438, []slot{any(), values(0, 900, all), values(0, 1)}, nil},
		{"umask", syscall.SYS_UMASK, []slot{values(0o22)}, nil},
		{"getcwd", syscall.SYS_GETCWD, []slot{room(64), values(64, 0, 1, 5, 6, 1<<31, all)}, nil},
		{"prlimit64", 302, []slot{values(0, 999999, all), values(7, 16, all, 1<<32), optional(in(words(1024, 1024), words(1025, 1024))), optional(room(16))}, nil},
		{"getrlimit", syscall.SYS_GETRLIMIT, []slot{values(7, 16, all, 1<<32), room(16)}, nil},
		{"getrusage", syscall.SYS_GETRUSAGE, []slot{values(0, 1, 2, all, all-1, 1<<31), room(144)}, nil},
		{"getpriority", syscall.SYS_GETPRIORITY, []slot{values(0, 1, 2, 3, all), values(0, 999999, all)}, nil},
		{"sched_getaffinity", syscall.SYS_SCHED_GETAFFINITY, []slot{values(0, 999999, all), values(128, 0, 7, 1<<31), room(128)}, ok},
		{"sched_getscheduler", syscall.SYS_SCHED_GETSCHEDULER, []slot{values(0, 999999, all)}, nil},
		{"sched_getparam", syscall.SYS_SCHED_GETPARAM, []slot{values(0, 999999, all), room(4)}, nil},
		{"sched_getattr", 315, []slot{values(0, 999999, all), room(56), values(48, 0, 47, 56, 1<<31), values(0, 1)}, nil},
		{"rt_sigprocmask", syscall.SYS_RT_SIGPROCMASK, []slot{values(0, 3, all), optional(in(words(0))), optional(room(8)), values(8, 0, 4, 16)}, nil},
		{"rt_sigpending", syscall.SYS_RT_SIGPENDING, []slot{room(8), values(8, 0, 4, 9, 16)}, nil},
		{"rt_sigaction", syscall.SYS_RT_SIGACTION, []slot{values(10, 0, 9, 19, 64, 65, all), optional(bad()), optional(room(32)), values(8, 0, 4, 16)}, nil},
		{"rt_sigtimedwait", syscall.SYS_RT_SIGTIMEDWAIT, []slot{in(words(1 << 40)), optional(room(128)), waitless(in(words(0, 0), words(0, 1000000000), words(1<<63, 0))), values(8, 0, 4, 16)}, nil},
		{"sigaltstack", syscall.SYS_SIGALTSTACK, []slot{optional(bad()), optional(room(24))}, nil},
		{"uname", syscall.SYS_UNAME, []slot{room(390)}, nil},
		{"sysinfo", syscall.SYS_SYSINFO, []slot{room(112)}, nil},
		{"capget", syscall.SYS_CAPGET, []slot{both(halves(0x20080522, 0), halves(0x19980330, 0), halves(0, 0), halves(0x20080522, 999999), halves(0x20080522, 0xffffffff)), optional(room(24))}, nil},
		{"get arch", syscall.SYS_ARCH_PRCTL, []slot{values(0x1003, 0x1004, 0, all), room(8)}, nil},
		{"wait4", syscall.SYS_WAIT4, []slot{values(all, 0, 999999, 1<<31), optional(room(4)), values(1, 0, 0x40000001, 16, 1<<31), optional(room(144))}, nil},
	}
}

// alike is what kcmp says of order: addresses decide whether it is 1 or 2.
func alike(result uintptr) string {
	if result == 0 {
		return "alike"
	}
	return "different"
}
