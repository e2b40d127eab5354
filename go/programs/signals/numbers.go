package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// numbers sends signals to the numbers of threads where a process's number is asked for, and in the kernel's name.
func numbers() {
	runtime.LockOSThread()
	done := make(chan bool)
	// Of two threads that live at once one is not the first.
	for i := 0; i < 2; i++ {
		go func() {
			runtime.LockOSThread()
			if syscall.Gettid() != os.Getpid() {
				only.Do(func() {
					fromThread()
					close(done)
				})
			}
			select {}
		}()
	}
	<-done
	os.Exit(0)
}

var only sync.Once

func fromThread() {
	pid, own := os.Getpid(), syscall.Gettid()
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	arrives := func(what string, errno string) {
		fmt.Print(what, " ", errno)
		if errno == "ok" {
			fmt.Print(" ", <-c)
		}
		fmt.Println()
	}
	const usr1 = syscall.SIGUSR1
	fmt.Println("nothing", prog.Name(syscall.Kill(own, 0)))
	arrives("kill", prog.Name(syscall.Kill(own, usr1)))
	fmt.Println("group", prog.Name(syscall.Kill(-own, 0)))
	fmt.Println("no signal", prog.Name(syscall.Kill(own, 65)))
	fmt.Println("nobody", prog.Name(syscall.Kill(999999, 65)))
	queue := func(pid, code int) string {
		info := [16]uint64{0, uint64(uint32(code))}
		_, errno := prog.Call(syscall.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(usr1), uintptr(unsafe.Pointer(&info)))
		return errno
	}
	queueThread := func(group, tid, signo, code int) string {
		info := [16]uint64{0, uint64(uint32(code))}
		_, errno := prog.Call(syscall.SYS_RT_TGSIGQUEUEINFO, uintptr(group), uintptr(tid), uintptr(signo), uintptr(unsafe.Pointer(&info)))
		return errno
	}
	const user, queued, kernel, tkill = 0, -1, 0x80, -6
	for _, code := range []int{user, queued, kernel, tkill} {
		arrives(fmt.Sprintf("queue %d to its own number", code), queue(own, code))
		arrives(fmt.Sprintf("queue %d to the process", code), queue(pid, code))
		fmt.Println("queue", code, "to nobody", queue(999999, code))
		arrives(fmt.Sprintf("queue %d to itself", code), queueThread(pid, own, int(usr1), code))
		arrives(fmt.Sprintf("queue %d to the first thread", code), queueThread(pid, pid, int(usr1), code))
		fmt.Println("queue", code, "to no thread", queueThread(pid, 999999, 65, code), queueThread(own, own, 65, code))
		fmt.Println("queue", code, "of no signal", queueThread(pid, own, 65, code))
	}
}
