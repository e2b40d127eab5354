package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// addressLimit maps until RLIMIT_AS says no. The runtime must not map meanwhile: no garbage, nothing printed.
func addressLimit() {
	const (
		limitAS  = 9
		megabyte = 1 << 20
		shared   = syscall.MAP_SHARED | syscall.MAP_ANON
		private  = syscall.MAP_PRIVATE | syscall.MAP_ANON
	)
	debug.SetGCPercent(-1)
	var before syscall.Rlimit
	prog.Must(syscall.Getrlimit(limitAS, &before))
	fmt.Println("none:", before.Cur == ^uint64(0), before.Max == ^uint64(0))
	mapAt := func(at, length uintptr, prot, flags uintptr) (uintptr, syscall.Errno) {
		got, _, errno := syscall.RawSyscall6(syscall.SYS_MMAP, at, length, prot, flags, ^uintptr(0), 0)
		return got, errno
	}
	reserved, errno := mapAt(0, 16*megabyte, syscall.PROT_NONE, private)
	prog.Check(errno == 0, "a reservation")
	room := uint64(mapped()) + 8*megabyte
	set := func(limit uint64) syscall.Errno {
		next := syscall.Rlimit{Cur: limit, Max: before.Max}
		_, _, errno := syscall.RawSyscall(syscall.SYS_SETRLIMIT, limitAS, uintptr(unsafe.Pointer(&next)), 0)
		return errno
	}
	var results [10]syscall.Errno
	results[0] = set(room)
	_, results[1] = mapAt(0, 9*megabyte, syscall.PROT_NONE, private)
	_, results[2] = mapAt(0, 9*megabyte, syscall.PROT_READ, shared)
	four, errno := mapAt(0, 4*megabyte, syscall.PROT_READ, private)
	results[3] = errno
	_, results[4] = mapAt(0, 5*megabyte, syscall.PROT_NONE, private)
	// What is replaced does not count.
	_, results[5] = mapAt(reserved, 16*megabyte, syscall.PROT_READ, private|syscall.MAP_FIXED)
	_, _, results[6] = syscall.RawSyscall6(syscall.SYS_MREMAP, four, 4*megabyte, 9*megabyte, 1, 0, 0)
	_, _, results[7] = syscall.RawSyscall6(syscall.SYS_MREMAP, four, 4*megabyte, 7*megabyte, 1, 0, 0)
	results[8] = set(before.Cur)
	_, results[9] = mapAt(0, 9*megabyte, syscall.PROT_NONE, private)
	for i, errno := range results {
		fmt.Println(i, prog.Name(errno))
	}
}

// mapped is the size of the address space.
func mapped() int {
	text, err := os.ReadFile("/proc/self/statm")
	prog.Must(err)
	var pages int
	_, err = fmt.Sscan(strings.Fields(string(text))[0], &pages)
	prog.Must(err)
	return pages * os.Getpagesize()
}

// entropy asks random(4) how much of it there is.
func entropy() {
	for _, name := range []string{"/dev/random", "/dev/urandom"} {
		file, err := os.Open(name)
		prog.Must(err)
		var bits int32
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), 0x80045200, uintptr(unsafe.Pointer(&bits)))
		fmt.Println(name, bits, prog.Name(errno))
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), 0x80045200, 1)
		fmt.Println(prog.Name(errno))
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), 0x52ff, 0)
		fmt.Println(prog.Name(errno))
		file.Close()
	}
}

// parent asks whether its parent is there, as servers do that end with the program that started them.
func parent() {
	fmt.Println(prog.Name(syscall.Kill(os.Getppid(), 0)))
	fmt.Println(prog.Name(syscall.Kill(os.Getppid(), 100)))
	process, err := os.FindProcess(os.Getppid())
	fmt.Println(err)
	fmt.Println(process.Signal(syscall.Signal(0)))
}
