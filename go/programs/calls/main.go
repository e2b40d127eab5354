// Calls tests system calls that package os does not make, by their numbers.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sort"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// The first thread stays the main goroutine's: it never ends, even if a goroutine locked to it does.
func init() { runtime.LockOSThread() }

func main() {
	prog.Main(prog.Acts{
		"vm": vm, "kcmp": kcmp, "getdents": getdents, "pidfd": pidfd, "nice": nice, "policies": policies, "robust": robust,
		"seek": seek, "advice": advice, "remove": remove, "core": core, "grows": grows, "shared": shared, "zero-map": zeroMap,
		"descriptor-flags": descriptorFlags, "prctl": prctl, "sites": sites, "arguments": arguments,
		"address-limit": addressLimit, "entropy": entropy, "parent": parent,
	})
}

const (
	sysReadv       = 310
	sysWritev      = 311
	sysKcmp        = 312
	sysPidfdOpen   = 434
	sysPidfdGetfd  = 438
	sysProcMadvise = 440
	sysSetattr     = 314
	sysGetattr     = 315
)

func vm() {
	pid := uintptr(syscall.Getpid())
	from, to := []byte("0123456789"), make([]byte, 10)
	remote := []syscall.Iovec{{Base: &from[0], Len: 3}, {Base: &from[5], Len: 5}}
	local := []syscall.Iovec{{Base: &to[0], Len: 7}}
	do := func(what string, number, pid uintptr, flags uintptr) {
		n, name := prog.Call(number, pid, uintptr(unsafe.Pointer(&local[0])), uintptr(len(local)), uintptr(unsafe.Pointer(&remote[0])), uintptr(len(remote)), flags)
		fmt.Println(what, n, name, string(from), string(to[:7]))
	}
	do("read", sysReadv, pid, 0)
	copy(to, "abcdefg")
	do("write", sysWritev, pid, 0)
	do("flags", sysReadv, pid, 1)
	do("nobody", sysReadv, 1<<22-1, 0)
	*(*uintptr)(unsafe.Pointer(&remote[1].Base)) = 4096
	do("up to a hole", sysReadv, pid, 0)
	*(*uintptr)(unsafe.Pointer(&remote[0].Base)) = 4096
	do("a hole", sysReadv, pid, 0)
	*(*uintptr)(unsafe.Pointer(&remote[0].Base)) = 0xffff888000000000
	do("kernel", sysReadv, pid, 0)
	local[0].Len = 0
	do("nothing", sysReadv, pid, 0)
}

func kcmp() {
	pid := uintptr(syscall.Getpid())
	a, _ := os.Open("/")
	b, _ := syscall.Dup(int(a.Fd()))
	c, _ := os.Open("/")
	n, name := prog.Call(sysKcmp, pid, pid, 0, a.Fd(), uintptr(b))
	prog.Show("duplicate", n, name)
	n, name = prog.Call(sysKcmp, pid, pid, 0, a.Fd(), c.Fd())
	m, _ := prog.Call(sysKcmp, pid, pid, 0, c.Fd(), a.Fd())
	fmt.Println("another", n+m, name)
	n, name = prog.Call(sysKcmp, pid, pid, 0, a.Fd(), 999)
	prog.Show("closed", n, name)
	for kind := uintptr(1); kind < 7; kind++ {
		n, name = prog.Call(sysKcmp, pid, pid, kind)
		prog.Show("same", n, name)
	}
	n, name = prog.Call(sysKcmp, pid, pid, 99)
	prog.Show("kind", n, name)
	n, name = prog.Call(sysKcmp, pid, 1<<22-1, 1)
	prog.Show("nobody", n, name)
}

func getdents() {
	dir, err := os.MkdirTemp("", "calls")
	prog.Must(err)
	defer os.RemoveAll(dir)
	prog.Must(os.Mkdir(dir+"/directory", 0o755))
	prog.Must(os.WriteFile(dir+"/a file", nil, 0o644))
	prog.Must(os.Symlink("x", dir+"/link"))
	d, err := os.Open(dir)
	prog.Must(err)
	buffer := make([]byte, 1000)
	n, name := prog.Call(syscall.SYS_GETDENTS, d.Fd(), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
	fmt.Println(n, name)
	var lines []string
	for b := buffer[:n]; len(b) > 0; {
		size := binary.LittleEndian.Uint16(b[16:])
		end := 18
		for b[end] != 0 {
			end++
		}
		lines = append(lines, fmt.Sprintln(string(b[18:end]), b[size-1], binary.LittleEndian.Uint64(b) != 0))
		b = b[size:]
	}
	sort.Strings(lines)
	fmt.Print(lines)
	n, name = prog.Call(syscall.SYS_GETDENTS, d.Fd(), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)))
	prog.Show("end", n, name)
}

func pidfd() {
	fd, name := prog.Call(sysPidfdOpen, uintptr(syscall.Getpid()), 0)
	fmt.Println(fd > 0, name)
	a, _ := os.Open("/")
	b, name := prog.Call(sysPidfdGetfd, uintptr(fd), a.Fd(), 0)
	fmt.Println(b > 0, name)
	n, name := prog.Call(syscall.SYS_FCNTL, uintptr(b), syscall.F_GETFD, 0)
	prog.Show("close-on-exec", n, name)
	n, name = prog.Call(sysPidfdGetfd, uintptr(fd), 999, 0)
	prog.Show("closed", n, name)
	n, name = prog.Call(sysPidfdGetfd, uintptr(fd), a.Fd(), 1)
	prog.Show("flags", n, name)
	n, name = prog.Call(sysPidfdGetfd, a.Fd(), a.Fd(), 0)
	prog.Show("no pidfd", n, name)
	n, name = prog.Call(sysPidfdOpen, 1<<22-1, 0)
	prog.Show("nobody", n, name)
	n, name = prog.Call(sysPidfdOpen, 0, 0)
	prog.Show("zero", n, name)
	n, name = prog.Call(sysPidfdOpen, uintptr(syscall.Getpid()), 1)
	prog.Show("flags", n, name)
	n, name = prog.Call(424, uintptr(fd), 0, 0, 0)
	prog.Show("signal 0", n, name)
	n, name = prog.Call(424, uintptr(fd), 99, 0, 0)
	prog.Show("signal 99", n, name)
	n, name = prog.Call(424, a.Fd(), 0, 0, 0)
	prog.Show("no pidfd", n, name)
}

func nice() {
	runtime.LockOSThread()
	p := func(what string) {
		n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		fmt.Println(what, 20-n, err)
	}
	p("at first")
	fmt.Println(syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5))
	p("changed")
	other := make(chan bool)
	go func() {
		runtime.LockOSThread()
		other <- true
		<-other
	}()
	<-other
	fmt.Println(syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), 100))
	p("clamped")
	other <- true
	_, err := syscall.Getpriority(syscall.PRIO_PROCESS, 1<<22-1)
	fmt.Println("nobody", prog.Name(err))
	_, err = syscall.Getpriority(9, 0)
	fmt.Println("which", prog.Name(err))
	n, name := prog.Call(252, 1, 0)
	prog.Show("ioprio", n, name)
	n, name = prog.Call(251, 1, 0, 2<<13|4)
	prog.Show("set", n, name)
	n, name = prog.Call(252, 1, 0)
	prog.Show("ioprio", n, name)
	n, name = prog.Call(251, 1, 0, 7<<13)
	prog.Show("class", n, name)
	n, name = prog.Call(252, 4, 0)
	prog.Show("which", n, name)
}

func policies() {
	runtime.LockOSThread()
	var attr [7]uint64
	at := uintptr(unsafe.Pointer(&attr))
	get := func(what string) {
		attr = [7]uint64{}
		n, name := prog.Call(sysGetattr, 0, at, 56, 0)
		fmt.Println(what, n, name, attr[0]&0xffffffff, attr[0]>>32, attr[1], int32(attr[2]), attr[2]>>32)
		n, name = prog.Call(syscall.SYS_SCHED_GETSCHEDULER, 0)
		prog.Show("scheduler", n, name)
	}
	get("at first")
	attr = [7]uint64{48 | 3<<32, 0, 7}
	n, name := prog.Call(sysSetattr, 0, at, 0)
	prog.Show("batch", n, name)
	get("batch")
	parameter := int32(0)
	n, name = prog.Call(syscall.SYS_SCHED_SETSCHEDULER, 0, 5, uintptr(unsafe.Pointer(&parameter)))
	prog.Show("idle", n, name)
	get("idle")
	attr = [7]uint64{200}
	n, name = prog.Call(sysSetattr, 0, at, 0)
	fmt.Println("big", n, name)
	attr = [7]uint64{47}
	n, name = prog.Call(sysSetattr, 0, at, 0)
	fmt.Println("small", n, name)
	attr = [7]uint64{48 | 77<<32}
	n, name = prog.Call(sysSetattr, 0, at, 0)
	prog.Show("policy", n, name)
	attr = [7]uint64{48, 0, 0, 0}
	n, name = prog.Call(sysSetattr, 0, at, 1)
	prog.Show("flags", n, name)
	for _, size := range []uintptr{47, 48, 4097} {
		n, name = prog.Call(sysGetattr, 0, at, size, 0)
		prog.Show("size", n, name)
	}
	for policy := uintptr(0); policy < 7; policy++ {
		low, _ := prog.Call(syscall.SYS_SCHED_GET_PRIORITY_MIN, policy)
		high, name := prog.Call(syscall.SYS_SCHED_GET_PRIORITY_MAX, policy)
		fmt.Println(policy, low, high, name)
	}
}

// robust: a thread that ends with a futex in its list marks it and wakes a waiter.
func robust() {
	type head struct{ next, offset, pending uintptr }
	type lock struct {
		next uintptr
		word uint32
	}
	h, l := new(head), new(lock)
	runtime.KeepAlive(l)
	started := make(chan int)
	finish := make(chan bool)
	go func() {
		runtime.LockOSThread() // Not unlocked: the thread ends with the goroutine.
		*h = head{uintptr(unsafe.Pointer(l)), unsafe.Offsetof(l.word), 0}
		l.next = uintptr(unsafe.Pointer(h))
		n, name := prog.Call(syscall.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(h)), 24)
		prog.Show("set", n, name)
		var back, size uintptr
		n, name = prog.Call(syscall.SYS_GET_ROBUST_LIST, 0, uintptr(unsafe.Pointer(&back)), uintptr(unsafe.Pointer(&size)))
		fmt.Println("get", n, name, back == uintptr(unsafe.Pointer(h)), size)
		l.word = uint32(syscall.Gettid()) | 1<<31
		started <- syscall.Gettid()
		<-finish
	}()
	tid := <-started
	woken := make(chan bool)
	go func() {
		n, name := prog.Call(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&l.word)), 0, uintptr(uint32(tid)|1<<31), 0)
		fmt.Println("waiter", n, name)
		woken <- true
	}()
	time.Sleep(30 * time.Millisecond)
	finish <- true
	<-woken
	fmt.Printf("%#x\n", l.word)
	n, name := prog.Call(syscall.SYS_SET_ROBUST_LIST, 0, 23)
	prog.Show("size", n, name)
	n, name = prog.Call(syscall.SYS_GET_ROBUST_LIST, 1<<22-1, 0, 0)
	prog.Show("nobody", n, name)
	n, name = prog.Call(219)
	prog.Show("restart_syscall", n, name)
}

// seek shows what anonymous files say to calls made for plain ones.
func seek() {
	kinds := []string{"epoll", "eventfd", "timerfd", "signalfd", "inotify", "pipe"}
	set := uint64(1)
	fds := map[string]int{}
	fds["epoll"], _ = prog.Call(syscall.SYS_EPOLL_CREATE1, 0)
	fds["eventfd"], _ = prog.Call(290, 0, 0)
	fds["timerfd"], _ = prog.Call(syscall.SYS_TIMERFD_CREATE, 1, 0)
	fds["signalfd"], _ = prog.Call(289, ^uintptr(0), uintptr(unsafe.Pointer(&set)), 8, 0)
	fds["inotify"], _ = prog.Call(syscall.SYS_INOTIFY_INIT1, syscall.IN_NONBLOCK)
	var p [2]int
	prog.Must(syscall.Pipe(p[:]))
	fds["pipe"] = p[0]
	b := make([]byte, 8)
	at := uintptr(unsafe.Pointer(&b[0]))
	for _, kind := range kinds {
		fd := uintptr(fds[kind])
		do := func(what string, number uintptr, args ...uintptr) {
			n, name := prog.Call(number, append([]uintptr{fd}, args...)...)
			fmt.Println(kind, what, n, name)
		}
		do("lseek", syscall.SYS_LSEEK, 5, 0)
		do("pread", syscall.SYS_PREAD64, at, 8, 0)
		do("pwrite", syscall.SYS_PWRITE64, at, 8, 0)
		do("ftruncate", syscall.SYS_FTRUNCATE, 0)
		do("fsync", syscall.SYS_FSYNC)
		do("fadvise", syscall.SYS_FADVISE64, 0, 0, 0)
		do("readahead", syscall.SYS_READAHEAD, 0, 0)
		do("sync_file_range", syscall.SYS_SYNC_FILE_RANGE, 0, 0, 0)
		do("pipe size", syscall.SYS_FCNTL, 1032, 0)
		do("FIONBIO", syscall.SYS_IOCTL, 0x5421, 0)
		do("FIOASYNC", syscall.SYS_IOCTL, 0x5452, 0)
		do("FICLONE", syscall.SYS_IOCTL, 0x40049409, 0)
		do("getdents", syscall.SYS_GETDENTS64, at, 8)
		do("fchdir", syscall.SYS_FCHDIR)
		do("mmap", syscall.SYS_MMAP)
		do("fgetxattr", syscall.SYS_FGETXATTR, 0, 0, 0)
	}
}

func descriptorFlags() {
	dir, err := os.MkdirTemp("", "calls")
	prog.Must(err)
	defer os.RemoveAll(dir)
	f, err := os.Create(dir + "/f")
	prog.Must(err)
	d, err := os.Open(dir)
	prog.Must(err)
	fcntl := func(what string, fd, command, argument uintptr) {
		n, name := prog.Call(syscall.SYS_FCNTL, fd, command, argument)
		fmt.Println(what, n, name)
	}
	fcntl("lease", f.Fd(), syscall.F_GETLEASE, 0)
	fcntl("lease kind", f.Fd(), syscall.F_SETLEASE, 99)
	fcntl("lease of a directory", d.Fd(), syscall.F_SETLEASE, syscall.F_WRLCK)
	fcntl("notify on a file", f.Fd(), 1026, 1)
	fcntl("owner", f.Fd(), syscall.F_GETOWN, 0)
	fcntl("signal", f.Fd(), 11, 0)
	fcntl("bad signal", f.Fd(), 10, 99)
	fcntl("seals", f.Fd(), 1034, 0)
	fcntl("pipe size", f.Fd(), 1032, 0)
	fcntl("F_GETLK address", f.Fd(), syscall.F_GETLK, 4096)
	fcntl("unknown", f.Fd(), 77, 0)
	ioctl := func(what string, fd, request, argument uintptr) {
		n, name := prog.Call(syscall.SYS_IOCTL, fd, request, argument)
		fmt.Println(what, n, name)
	}
	on := int32(1)
	ioctl("FIOASYNC", f.Fd(), 0x5452, uintptr(unsafe.Pointer(&on)))
	ioctl("FIOASYNC off", f.Fd(), 0x5452, uintptr(unsafe.Pointer(new(int32))))
	ioctl("FIONREAD", f.Fd(), 0x541b, uintptr(unsafe.Pointer(&on)))
	ioctl("FIONREAD of a directory", d.Fd(), 0x541b, uintptr(unsafe.Pointer(&on)))
	ioctl("FICLONE", f.Fd(), 0x40049409, d.Fd())
	ioctl("TCGETS", f.Fd(), 0x5401, uintptr(unsafe.Pointer(new([64]byte))))
	ioctl("TIOCGWINSZ", d.Fd(), 0x5413, uintptr(unsafe.Pointer(new([64]byte))))
	ioctl("BLKGETSIZE64", f.Fd(), 0x80081272, uintptr(unsafe.Pointer(new([64]byte))))
	ioctl("unknown", f.Fd(), 0x1234, 0)
	ioctl("FIGETBSZ", f.Fd(), 2, uintptr(unsafe.Pointer(&on)))
	fmt.Println(on)
	p, err := syscall.Open(dir+"/f", 0x200000, 0)
	prog.Must(err)
	ioctl("O_PATH", uintptr(p), 0x541b, 0)
	fcntl("O_PATH", uintptr(p), syscall.F_SETFL, 0)
	fcntl("O_PATH flags", uintptr(p), syscall.F_GETFL, 0)
	for _, bits := range []uintptr{syscall.O_APPEND, syscall.O_NONBLOCK, syscall.O_DIRECT, syscall.O_NOATIME, syscall.O_SYNC, syscall.O_TRUNC} {
		fcntl("F_SETFL", f.Fd(), syscall.F_SETFL, bits)
		n, name := prog.Call(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
		fmt.Printf("%#x %s\n", n, name)
	}
}

func prctl() {
	runtime.LockOSThread()
	do := func(what string, args ...uintptr) {
		n, name := prog.Call(syscall.SYS_PRCTL, args...)
		fmt.Println(what, n, name)
	}
	name := append([]byte("a name longer than fifteen"), 0)
	do("PR_SET_NAME", 15, uintptr(unsafe.Pointer(&name[0])))
	got := make([]byte, 16)
	do("PR_GET_NAME", 16, uintptr(unsafe.Pointer(&got[0])))
	fmt.Printf("%q\n", got)
	do("PR_SET_NAME address", 15, 4096)
	do("PR_GET_NAME address", 16, 4096)
	signo := int32(-1)
	do("PR_SET_PDEATHSIG", 1, 15)
	do("PR_GET_PDEATHSIG", 2, uintptr(unsafe.Pointer(&signo)))
	fmt.Println(signo)
	do("PR_SET_PDEATHSIG", 1, 65)
	do("PR_GET_DUMPABLE", 3)
	do("PR_SET_DUMPABLE", 4, 0)
	do("PR_GET_DUMPABLE", 3)
	do("PR_SET_DUMPABLE", 4, 2)
	do("PR_SET_DUMPABLE", 4, 1)
	do("PR_GET_KEEPCAPS", 7)
	do("PR_SET_KEEPCAPS", 8, 1)
	do("PR_GET_KEEPCAPS", 7)
	do("PR_SET_KEEPCAPS", 8, 2)
	do("PR_GET_TIMING", 13)
	do("PR_SET_TIMING", 14, 0)
	do("PR_SET_TIMING", 14, 1)
	do("PR_GET_ENDIAN", 19, uintptr(unsafe.Pointer(&signo)))
	do("PR_GET_TSC", 25, uintptr(unsafe.Pointer(&signo)))
	fmt.Println(signo)
	do("PR_SET_TIMERSLACK", 29, 12345)
	do("PR_GET_TIMERSLACK", 30)
	do("PR_SET_TIMERSLACK", 29, 0)
	do("PR_GET_TIMERSLACK", 30)
	do("PR_MCE_KILL_GET", 34, 0, 0, 0, 0)
	do("PR_SET_CHILD_SUBREAPER", 36, 1)
	do("PR_GET_CHILD_SUBREAPER", 37, uintptr(unsafe.Pointer(&signo)))
	fmt.Println(signo)
	do("PR_SET_CHILD_SUBREAPER", 36, 0)
	do("PR_GET_NO_NEW_PRIVS", 39, 0, 0, 0, 0)
	do("PR_GET_NO_NEW_PRIVS", 39, 1, 0, 0, 0)
	do("PR_SET_NO_NEW_PRIVS", 38, 0, 0, 0, 0)
	do("PR_SET_NO_NEW_PRIVS", 38, 1, 0, 0, 0)
	do("PR_GET_NO_NEW_PRIVS", 39, 0, 0, 0, 0)
	var address uintptr
	do("PR_GET_TID_ADDRESS", 40, uintptr(unsafe.Pointer(&address)))
	do("PR_SET_THP_DISABLE", 41, 1, 0, 0, 0)
	do("PR_GET_THP_DISABLE", 42, 0, 0, 0, 0)
	do("PR_SET_THP_DISABLE", 41, 0, 0, 0, 0)
	do("PR_GET_THP_DISABLE", 42, 0, 0, 0, 0)
	do("PR_CAP_AMBIENT", 47, 1, 0, 0, 0)
	do("PR_GET_IO_FLUSHER", 58, 1, 0, 0, 0)
	do("unknown", 12345)
	do("PR_SET_MM", 35, 99, 0, 0, 0)
}
