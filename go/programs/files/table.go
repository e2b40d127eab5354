package main

import (
	"fmt"
	"os"
	"syscall"
)

// fullTable opens files while no descriptor is free: nothing happens to them.
func fullTable() {
	write("keep", "what was written before")
	var limit syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	old := limit
	limit.Cur = 64
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	var fds []int
	for {
		fd, err := syscall.Dup(0)
		if err != nil {
			fmt.Println("full:", err)
			break
		}
		fds = append(fds, fd)
	}
	show("truncate", os.WriteFile("keep", []byte("new"), 0o644))
	_, err := os.OpenFile("made", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	show("create", err)
	_, err = os.Open("missing")
	show("missing", err)
	// The number that is free again is the lowest, and what is opened gets it.
	check(syscall.Close(fds[3]))
	_, err = os.Open("missing")
	show("missing", err)
	f, err := os.Create("made")
	check(err)
	fmt.Println("lowest:", int(f.Fd()) == fds[3])
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old))
	f.Close()
	high, _, errno := syscall.Syscall(syscall.SYS_FCNTL, 0, syscall.F_DUPFD, uintptr(fds[len(fds)-1]+100))
	fmt.Println("above:", int(high) == fds[len(fds)-1]+100, errno == 0)
	for _, fd := range fds {
		if fd != fds[3] {
			syscall.Close(fd)
		}
	}
	for n := 0; n < 3; n++ {
		fd, err := syscall.Dup(0)
		fmt.Println(n, fd == fds[n], err)
	}
	cat("keep")
	stat("made")
}
