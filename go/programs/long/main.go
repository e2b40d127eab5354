// Long makes system calls that move much: what else there is to do goes on meanwhile, and signals end those that they end
// on Linux.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func main() {
	// Whoever sends signals waits for no processor of Go's.
	runtime.GOMAXPROCS(4)
	prog.Main(prog.Acts{
		"others": others, "zeros": zeros, "file": file, "sendfile": sendfile, "copy": copyRange, "exit": exit, "write": write,
		"allocate": allocate,
	})
}

const (
	vectors = 1024
	total   = vectors << 20
)

// vector is a gibibyte of buffers, all of them one.
func vector() []syscall.Iovec {
	buffer := make([]byte, 1<<20)
	all := make([]syscall.Iovec, vectors)
	for i := range all {
		all[i] = syscall.Iovec{Base: &buffer[0], Len: 1 << 20}
	}
	return all
}

// read reads that much from the beginning of a file in one call.
func read(fd int, all []syscall.Iovec) (int, error) {
	n, _, errno := syscall.Syscall6(syscall.SYS_PREADV, uintptr(fd), uintptr(unsafe.Pointer(&all[0])), uintptr(len(all)), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// sparse is a file of that size without data.
func sparse() int {
	name := [...]byte{'s', 0}
	fd, _, errno := syscall.Syscall(319, uintptr(unsafe.Pointer(&name[0])), 0, 0)
	if errno != 0 {
		prog.Must(errno)
	}
	prog.Must(syscall.Ftruncate(int(fd), total))
	return int(fd)
}

func open(name string, flags int) int {
	fd, err := syscall.Open(name, flags, 0)
	prog.Must(err)
	return fd
}

// here confines the calling thread to the first CPU.
func here() {
	runtime.LockOSThread()
	set := uint64(1)
	_, _, errno := syscall.Syscall(syscall.SYS_SCHED_SETAFFINITY, 0, 8, uintptr(unsafe.Pointer(&set)))
	if errno != 0 {
		prog.Must(errno)
	}
}

// preempted says how often the calling thread had to give way.
func preempted() int64 {
	var usage syscall.Rusage
	const thread = 1
	prog.Must(syscall.Getrusage(thread, &usage))
	return usage.Nivcsw
}

// others run, and timers fire, while one thread reads for long on the CPU they want.
func others() {
	fd, all := sparse(), vector()
	var ran, fired atomic.Uint64
	go func() {
		here()
		for {
			ran.Add(1)
			syscall.Getppid()
		}
	}()
	for ran.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	here()
	for i := 0; i < 20; i++ {
		time.AfterFunc(time.Millisecond, func() { fired.Add(1) })
		before, firedBefore, ranBefore := preempted(), fired.Load(), ran.Load()
		n, err := read(fd, all)
		times := preempted() - before
		if n != total || err != nil {
			fmt.Println(n, err)
		}
		// Once, it may have been on its way out.
		if times > 2 && ran.Load() > ranBefore && fired.Load() > firedBefore {
			fmt.Println("others ran")
			return
		}
	}
	fmt.Println("nobody else ran")
}

// pelt sends a signal to the calling thread, again and again.
func pelt() (stop func()) {
	runtime.LockOSThread()
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGUSR1)
	pid, tid := syscall.Getpid(), syscall.Gettid()
	var end atomic.Bool
	go func() {
		runtime.LockOSThread()
		for !end.Load() {
			syscall.Syscall(syscall.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(syscall.SIGUSR1))
			time.Sleep(5 * time.Millisecond)
		}
	}()
	return func() { end.Store(true) }
}

// cut calls until a call moves less than all of it because of a signal; says whether one did.
func cut(call func() (int, error)) {
	defer pelt()()
	for i := 0; i < 100; i++ {
		n, err := call()
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Println(err)
			return
		case n > 0 && n < total:
			fmt.Println("cut short")
			return
		}
	}
	fmt.Println("never cut short")
}

func zeros() {
	fd, all := open("/dev/zero", syscall.O_RDONLY), vector()
	cut(func() (int, error) { return read(fd, all) })
}

func sendfile() {
	from, to := sparse(), open("/dev/null", syscall.O_WRONLY)
	cut(func() (int, error) {
		var offset int64
		return syscall.Sendfile(to, from, &offset, total)
	})
}

// copyRange copies into a file, over and over the same 64 MiB.
func copyRange() {
	from, to := sparse(), sparse()
	defer pelt()()
	const size = 64 << 20
	for i := 0; i < 100; i++ {
		var in, out int64
		n, _, errno := syscall.Syscall6(326, uintptr(from), uintptr(unsafe.Pointer(&in)), uintptr(to),
			uintptr(unsafe.Pointer(&out)), size, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 || int64(n) != in || int64(n) != out {
			fmt.Println(n, in, out, errno)
			return
		}
		if n < size {
			fmt.Println("cut short")
			return
		}
	}
	fmt.Println("never cut short")
}

// file: what is read of a regular file is read whole, whatever comes.
func file() {
	fd, all := sparse(), vector()
	defer pelt()()
	for i := 0; i < 5; i++ {
		n, err := read(fd, all)
		fmt.Println(n, err)
	}
}

// write fills a file in one call.
func write() {
	defer pelt()()
	fd, all := sparse(), vector()[:64]
	for i := 0; i < 5; i++ {
		n, _, errno := syscall.Syscall6(syscall.SYS_PWRITEV, uintptr(fd), uintptr(unsafe.Pointer(&all[0])), uintptr(len(all)), 0, 0, 0)
		fmt.Println(n, errno == 0)
	}
}

func allocate() {
	fd := sparse()
	fmt.Println(syscall.Fallocate(fd, 0, 0, 64<<20))
	var stat syscall.Stat_t
	prog.Must(syscall.Fstat(fd, &stat))
	fmt.Println(stat.Blocks)
}

// exit ends the process while a thread reads for long.
func exit() {
	fd, all := sparse(), vector()
	for i := 0; i < 3; i++ {
		go func() {
			for {
				read(fd, all)
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	fmt.Println("out")
	os.Exit(3)
}
