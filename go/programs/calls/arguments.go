package main

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// arguments makes calls with odd arguments: which of several mistakes is told, what lies beside the ordinary, and descriptors
// that are names only (O_PATH).
func arguments() {
	prog.Must(syscall.Mkdir("d", 0o755))
	file, err := syscall.Open("f", syscall.O_RDWR|syscall.O_CREAT, 0o644)
	prog.Must(err)
	prog.Must(syscall.Ftruncate(file, 20))
	name, err := syscall.Open("f", 0x200000, 0)
	prog.Must(err)
	dir, err := syscall.Open(".", syscall.O_RDONLY, 0)
	prog.Must(err)
	var pipe, pair [2]int
	prog.Must(syscall.Pipe2(pipe[:], syscall.O_NONBLOCK))
	pair, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	prog.Must(err)
	memory, err := syscall.Mmap(-1, 0, 16*4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	prog.Must(err)
	prog.Must(syscall.Mprotect(memory[3*4096:], 0))
	at := uintptr(unsafe.Pointer(&memory[0]))
	var kept [][]byte
	text := func(s string) uintptr {
		b := append([]byte(s), 0)
		kept = append(kept, b)
		return uintptr(unsafe.Pointer(&b[0]))
	}
	event, _ := prog.Call(syscall.SYS_EVENTFD2, 0, syscall.O_NONBLOCK)
	epoll, _ := prog.Call(syscall.SYS_EPOLL_CREATE1, 0)
	timer, _ := prog.Call(283, 1, 0)
	const all, bad, kernel, cwd = ^uintptr(0), uintptr(16), uintptr(0xffff888000000000), ^uintptr(99)
	for _, c := range []struct {
		what   string
		number uintptr
		args   []uintptr
	}{
		{"name read", 0, []uintptr{uintptr(name), at, 8}},
		{"name connect", syscall.SYS_CONNECT, []uintptr{uintptr(name), at, 16}},
		{"name listen", syscall.SYS_LISTEN, []uintptr{uintptr(name), 1}},
		{"name getsockopt", syscall.SYS_GETSOCKOPT, []uintptr{uintptr(name), 1, 3, at, at + 64}},
		{"name epoll_wait", syscall.SYS_EPOLL_WAIT, []uintptr{uintptr(name), at, 8, 0}},
		{"name epoll_ctl", syscall.SYS_EPOLL_CTL, []uintptr{uintptr(epoll), 1, uintptr(name), at}},
		{"name timerfd", 287, []uintptr{uintptr(name), at}},
		{"name inotify", syscall.SYS_INOTIFY_RM_WATCH, []uintptr{uintptr(name), 1}},
		{"name mmap", syscall.SYS_MMAP, []uintptr{0, 4096, 1, 2, uintptr(name), 0}},
		{"name sync_file_range", 277, []uintptr{uintptr(name), 0, 0, 0}},
		{"name flock", syscall.SYS_FLOCK, []uintptr{uintptr(name), 1}},
		{"kill nobody", syscall.SYS_KILL, []uintptr{999999, 65}},
		{"kill signal", syscall.SYS_KILL, []uintptr{uintptr(syscall.Getpid()), 65}},
		{"tkill nobody", syscall.SYS_TKILL, []uintptr{999999, 65}},
		{"tgkill nobody", syscall.SYS_TGKILL, []uintptr{999999, 1, 65}},
		{"waitid pid 0", syscall.SYS_WAITID, []uintptr{1, 0, at, 4, 0}},
		{"waitid pid", syscall.SYS_WAITID, []uintptr{1, 77777, at, 4, 0}},
		{"waitid options", syscall.SYS_WAITID, []uintptr{0, 0, at, 0x10004, 0}},
		{"waitid nothing", syscall.SYS_WAITID, []uintptr{0, 0, at, 1, 0}},
		{"waitid pidfd", syscall.SYS_WAITID, []uintptr{3, 900, at, 4, 0}},
		{"waitid no pidfd", syscall.SYS_WAITID, []uintptr{3, uintptr(file), at, 4, 0}},
		{"waitid pointer", syscall.SYS_WAITID, []uintptr{0, 0, bad, 4, 0}},
		{"waitid no pointer", syscall.SYS_WAITID, []uintptr{0, 0, 0, 4, 0}},
		{"futex wait realtime", syscall.SYS_FUTEX, []uintptr{at, 256, 1, 0, 0, 0}},
		{"futex unknown, bad word", syscall.SYS_FUTEX, []uintptr{at + 1, 15, 1, 0, 0, 0}},
		{"futex no bits, bad word", syscall.SYS_FUTEX, []uintptr{bad, 10, 1, 0, 0, 0}},
		{"send to nowhere", syscall.SYS_SENDTO, []uintptr{uintptr(pair[0]), at, 3, 0, bad, 0}},
		{"receive more than there is", syscall.SYS_RECVFROM, []uintptr{uintptr(pair[1]), at, 1 << 62, 0, 0, 0}},
		{"socketpair nowhere", syscall.SYS_SOCKETPAIR, []uintptr{99, 1, 0, bad}},
		{"getrandom up to a hole", 318, []uintptr{at + 3*4096 - 4, 100, 0}},
		{"getrandom wraps", 318, []uintptr{at + 3*4096 - 4, all, 0}},
		{"stat sync", syscall.SYS_NEWFSTATAT, []uintptr{cwd, text("f"), at, 0x2000}},
		{"stat no sync", syscall.SYS_NEWFSTATAT, []uintptr{cwd, text("f"), at, 0x4000}},
		{"unlink nothing", syscall.SYS_UNLINKAT, []uintptr{900, text(""), 0}},
		{"open nothing", syscall.SYS_OPENAT, []uintptr{uintptr(pipe[0]), text(""), 0, 0}},
		{"readlink nothing", syscall.SYS_READLINK, []uintptr{text(""), at, 100}},
		{"create with a slash", syscall.SYS_OPEN, []uintptr{text("f/"), syscall.O_CREAT | syscall.O_RDWR, 0o644}},
		{"create a directory", syscall.SYS_OPEN, []uintptr{text("new/"), syscall.O_CREAT | syscall.O_RDWR, 0o644}},
		{"create in a file", syscall.SYS_OPEN, []uintptr{text("f/x"), syscall.O_CREAT | syscall.O_RDWR, 0o644}},
		{"mmap beyond the last page", syscall.SYS_MMAP, []uintptr{0, 8192, 1, 2, uintptr(file), 1 << 63}},
		{"mmap all", syscall.SYS_MMAP, []uintptr{0, all - 8191, 1, 2, uintptr(file), 0}},
		{"mmap all of nothing", syscall.SYS_MMAP, []uintptr{0, all - 8191, 1, 2, 900, 0}},
		{"mmap all, no type", syscall.SYS_MMAP, []uintptr{0, all - 8191, 1, 0, uintptr(file), 0}},
		{"mprotect high bits", syscall.SYS_MPROTECT, []uintptr{at, 4096, 1<<32 | 3}},
		{"mprotect all", syscall.SYS_MPROTECT, []uintptr{at, all - 8191, 0x80000000}},
		{"mprotect nothing", syscall.SYS_MPROTECT, []uintptr{at, 0, 0x8000000}},
		{"mprotect wraps, misaligned", syscall.SYS_MPROTECT, []uintptr{all, all, 1}},
		{"mremap nothing", syscall.SYS_MREMAP, []uintptr{at, 0, 4096, 1, 0}},
		{"mincore no room", syscall.SYS_MINCORE, []uintptr{at, 4096, kernel}},
		{"mincore no room, unmapped", syscall.SYS_MINCORE, []uintptr{0x10000000, 4096, kernel}},
		{"affinity wraps", syscall.SYS_SCHED_GETAFFINITY, []uintptr{0, 0x80000000, at}},
		{"affinity high bits", syscall.SYS_SCHED_GETAFFINITY, []uintptr{0, 1 << 32, at}},
		{"setitimer which, where", syscall.SYS_SETITIMER, []uintptr{29, bad, 0}},
		{"sleep by own time", syscall.SYS_CLOCK_NANOSLEEP, []uintptr{3, 0, bad, 0}},
		{"seek a pipe oddly", syscall.SYS_LSEEK, []uintptr{uintptr(pipe[0]), 0, 9}},
		{"seek an eventfd oddly", syscall.SYS_LSEEK, []uintptr{uintptr(event), 0, 9}},
		{"pread at the end of all", syscall.SYS_PREAD64, []uintptr{uintptr(file), at, 8, 1<<63 - 8}},
		{"pread behind the end of all", syscall.SYS_PREAD64, []uintptr{uintptr(file), at, 8, 1<<63 - 7}},
		{"pwrite behind the end of all", syscall.SYS_PWRITE64, []uintptr{uintptr(file), at, 8, 1<<63 - 7}},
		{"getdents too much", syscall.SYS_GETDENTS64, []uintptr{uintptr(dir), at, 1 << 31}},
		{"getdents of a pipe's end", syscall.SYS_GETDENTS64, []uintptr{uintptr(pipe[1]), at, 4096}},
		{"sendfile all", syscall.SYS_SENDFILE, []uintptr{uintptr(pipe[1]), uintptr(file), 0, all}},
		{"splice all", 275, []uintptr{uintptr(file), 0, uintptr(pipe[1]), 0, all, 2}},
		{"flock a pipe", syscall.SYS_FLOCK, []uintptr{uintptr(pipe[0]), 2}},
		{"flock an eventfd", syscall.SYS_FLOCK, []uintptr{uintptr(event), 8}},
		{"flock oddly", syscall.SYS_FLOCK, []uintptr{uintptr(pipe[0]), 3}},
		{"timerfd of a pipe", 287, []uintptr{uintptr(pipe[0]), at}},
		{"timerfd", 287, []uintptr{uintptr(timer), bad}},
	} {
		n, name := prog.Call(c.number, c.args...)
		fmt.Println(c.what, n, name)
	}
	runtime.KeepAlive(kept)
	// A mapping may be cut together with what lies behind it.
	n, errno := prog.Call(syscall.SYS_MREMAP, at, 16*4096, 4096, 0)
	fmt.Println("mremap cuts", n == int(at), errno)
	n, errno = prog.Call(syscall.SYS_MINCORE, at+4096, 4096, uintptr(unsafe.Pointer(&pipe)))
	fmt.Println("cut", n, errno)
	for _, command := range []uintptr{8, 2, 512, 4, 2, 16, 8, 512, 1, 3} {
		n, errno := prog.Call(324, command, 0, 0)
		fmt.Println("membarrier", command, n, errno)
	}
}
