package main

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

type mmsghdr struct {
	header syscall.Msghdr
	length uint32
	_      [4]byte
}

// recvmmsg takes several datagrams in one call: it waits for all of them, or with MSG_WAITFORONE for the first only.
func recvmmsg() {
	const sysRecvmmsg, waitForOne = 299, 0x10000
	a, b := socketpair(syscall.SOCK_DGRAM)
	receive := func(count int, flags uintptr) {
		buffers := make([][100]byte, count)
		iovs := make([]syscall.Iovec, count)
		messages := make([]mmsghdr, count)
		for i := range messages {
			iovs[i] = syscall.Iovec{Base: &buffers[i][0], Len: 100}
			messages[i].header.Iov = &iovs[i]
			messages[i].header.Iovlen = 1
		}
		var n int
		var name string
		prog.Undisturbed(func() {
			n, name = prog.Call(sysRecvmmsg, uintptr(b), uintptr(unsafe.Pointer(&messages[0])), uintptr(count), flags, 0)
		})
		fmt.Print(n, " ", name)
		for i := 0; i < n; i++ {
			fmt.Printf(" %q", buffers[i][:messages[i].length])
		}
		fmt.Println()
	}
	send := func(texts ...string) {
		for _, text := range texts {
			syscall.Write(a, []byte(text))
		}
	}
	send("one", "two")
	receive(2, 0)
	receive(1, syscall.MSG_DONTWAIT)
	send("three")
	receive(4, waitForOne)
	send("four")
	receive(4, syscall.MSG_DONTWAIT)
	go func() {
		for _, text := range []string{"five", "six", "seven"} {
			time.Sleep(20 * time.Millisecond)
			send(text)
		}
	}()
	receive(3, 0)
	syscall.SetsockoptTimeval(b, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 30_000})
	send("eight")
	receive(3, 0)
}
