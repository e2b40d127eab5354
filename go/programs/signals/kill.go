package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// errorsOfKill tells what kill(2) and its relatives say, by which numbers they reach the process, and what alarm(2) had left.
func errorsOfKill() {
	fmt.Println(prog.Name(syscall.Kill(os.Getpid(), 0)))
	fmt.Println(prog.Name(syscall.Kill(0, 0)))
	fmt.Println(prog.Name(syscall.Kill(os.Getpid(), 65)))
	fmt.Println(prog.Name(syscall.Kill(os.Getpid(), -1)))
	fmt.Println(prog.Name(syscall.Kill(999999, 0)))
	fmt.Println(prog.Name(syscall.Tgkill(os.Getpid(), 999999, 0)))
	fmt.Println(prog.Name(syscall.Tgkill(0, 1, 0)))
	fmt.Println(prog.Name(syscall.Tgkill(os.Getpid(), syscall.Gettid(), 65)))
	p, err := os.FindProcess(os.Getpid())
	prog.Must(err)
	fmt.Println(prog.Name(p.Signal(syscall.Signal(0))))
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	fmt.Println(prog.Name(p.Signal(syscall.SIGUSR2)), <-c)
	tid := make(chan int)
	for i := 0; i < 2; i++ { // one of them at least is not the leader
		go func() {
			runtime.LockOSThread()
			tid <- syscall.Gettid()
			select {}
		}()
		fmt.Println(prog.Name(syscall.Kill(<-tid, syscall.SIGUSR2)), <-c)
	}
	fmt.Println(alarm(2), alarm(1), alarm(0), alarm(0))
}

// alarm gives the seconds that the last one had left.
func alarm(seconds uintptr) uintptr {
	left, _, _ := syscall.RawSyscall(syscall.SYS_ALARM, seconds, 0, 0)
	return left
}
