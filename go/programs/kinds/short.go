package main

import (
	"fmt"
	"runtime/debug"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// shortMemory takes nearly all memory there is, and then fills pipes and sockets, with bytes and with descriptors, sets locks
// and attributes: each of these may be refused, and none of them is the kernel's end.
func shortMemory() {
	const pipes = 400
	debug.SetGCPercent(-1)
	chunk := make([]byte, 4096)
	var fds [2 * pipes]int
	var counts [8]int
	fill := func(most int) {
		used := 0
		for n := 0; n < most; n++ {
			var p [2]int
			var err error
			switch n % 4 {
			case 0, 1:
				err = syscall.Pipe2(p[:], syscall.O_NONBLOCK)
			case 2:
				p, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
			case 3:
				p, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
			}
			if err != nil {
				counts[0]++
				break
			}
			fds[2*n], fds[2*n+1] = p[0], p[1]
			used = n + 1
			for {
				if _, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p[1]), uintptr(unsafe.Pointer(&chunk[0])), 4096); errno != 0 {
					counts[n%4]++
					break
				}
			}
		}
		lock := syscall.Flock_t{Type: syscall.F_WRLCK, Len: 1}
		for n := 0; n < 10*most; n++ {
			lock.Start = int64(2 * n)
			if syscall.FcntlFlock(uintptr(file), syscall.F_SETLK, &lock) != nil {
				counts[4]++
				break
			}
		}
		for n := 0; n < used; n++ {
			syscall.Close(fds[2*n])
			syscall.Close(fds[2*n+1])
		}
	}
	file = temporary("locked")
	var limit syscall.Rlimit
	prog.Must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = 4 * pipes
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	// Once with little, so that all code and all stacks are there.
	fill(8)
	var info syscall.Sysinfo_t
	prog.Must(syscall.Sysinfo(&info))
	// On a machine with more than a test's VM has there is no need to take it all.
	take := min64(uint64(info.Freeram)*uint64(info.Unit), 64<<20) - 3<<20
	memory, err := syscall.Mmap(-1, 0, int(take), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	prog.Must(err)
	for at := uint64(0); at < take; at += 4096 {
		memory[at] = 1
	}
	for n := 0; n < 3; n++ {
		fill(pipes)
	}
	prog.Must(syscall.Munmap(memory))
	fill(8)
	fmt.Println("alive", counts[4] >= 0)
}

var file int

func min64(a, b uint64) uint64 {
	if a < b {
		return a
	}
	return b
}
