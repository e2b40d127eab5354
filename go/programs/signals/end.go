package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
)

// ownEnd kills itself while other threads could take the signal: whoever sent it never comes back from kill(2).
func ownEnd() {
	for i := 0; i < 4; i++ {
		go func() {
			runtime.LockOSThread()
			for {
				time.Sleep(time.Millisecond)
			}
		}()
	}
	time.Sleep(20 * time.Millisecond)
	sent := make(chan error)
	go func() {
		runtime.LockOSThread()
		pid := os.Getpid()
		_, _, errno := syscall.RawSyscall(syscall.SYS_KILL, uintptr(pid), uintptr(syscall.SIGKILL), 0)
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		sent <- errno
	}()
	fmt.Println("not to be seen:", <-sent)
}
