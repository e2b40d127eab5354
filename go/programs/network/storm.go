package main

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// storm: threads do whatever comes to hand with whatever sockets there are, good and bad. The kernel must only live on.
func storm() {
	length := 2 * time.Second
	if len(os.Args) > 2 {
		seconds, err := strconv.Atoi(os.Args[2])
		prog.Must(err)
		length = time.Duration(seconds) * time.Second
	}
	seed := time.Now().UnixNano()
	if len(os.Args) > 3 { // a number to make it blow the same way once more
		seed, _ = strconv.ParseInt(os.Args[3], 10, 64)
	}
	end := time.Now().Add(length)
	var wg sync.WaitGroup
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func(i int64) {
			defer wg.Done()
			r := rand.New(rand.NewSource(seed + i))
			for time.Now().Before(end) {
				for j := 0; j < 100; j++ {
					gust(r)
				}
			}
		}(int64(i))
	}
	wg.Wait()
	// And all is as it was.
	for fd := 10; fd < 100; fd++ {
		syscall.Close(fd)
	}
	c, s := connected()
	syscall.Write(c, []byte("alive"))
	buf := make([]byte, 10)
	n, err := syscall.Read(s, buf)
	fmt.Println(string(buf[:n]), prog.Name(err))
}

// gust is one call. Sockets live at descriptors 10 to 99; the runtime's own are below or above.
func gust(r *rand.Rand) {
	fd := uintptr(10 + r.Intn(90))
	buf := make([]byte, 1+r.Intn(3000))
	p := uintptr(unsafe.Pointer(&buf[0]))
	if r.Intn(50) == 0 {
		p = uintptr(r.Int63()) >> r.Intn(64)
	}
	size := uintptr(r.Intn(len(buf) + 1))
	flags := uintptr(0x40 | 0x4000) // MSG_DONTWAIT, MSG_NOSIGNAL
	if r.Intn(4) == 0 {
		flags |= []uintptr{1, 2, 0x20, 0x100, 0x2000, 0x40000000, uintptr(r.Uint32())}[r.Intn(7)]
	}
	address := make([]byte, 128)
	length := uintptr(16)
	switch family := []uint16{2, 10, 1, 16, 0, uint16(r.Intn(50))}[r.Intn(6)]; family {
	case 2:
		copy(address, []byte{2, 0, 0x50, byte(r.Intn(8)), 127, 0, 0, byte(r.Intn(3))})
	case 10:
		copy(address, []byte{10, 0, 0x50, byte(r.Intn(8))})
		address[23] = byte(r.Intn(2))
		if r.Intn(3) == 0 {
			copy(address[18:], []byte{255, 255, 127, 0, 0, 1})
		}
		length = 28
	case 1:
		copy(address, []byte{1, 0, 0, 's', 't', 'o', byte('a' + r.Intn(6))})
		length = 7
	case 16:
		address[0] = 16
		length = 12
	default:
		r.Read(address)
		address[0], address[1] = byte(family), 0
	}
	if r.Intn(10) == 0 {
		length = uintptr(r.Intn(140))
	}
	at := uintptr(unsafe.Pointer(&address[0]))
	call := func(number uintptr, args ...uintptr) (uintptr, syscall.Errno) {
		var a [6]uintptr
		copy(a[:], args)
		v, _, e := syscall.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
		return v, e
	}
	adopt := func(made uintptr, e syscall.Errno) {
		if e == 0 {
			call(syscall.SYS_DUP3, made, fd, 0)
			call(syscall.SYS_CLOSE, made)
		}
	}
	switch r.Intn(24) {
	case 0, 1, 2:
		family := []uintptr{2, 10, 1, 16}[r.Intn(4)]
		adopt(call(syscall.SYS_SOCKET, family, []uintptr{1, 2, 3, 5}[r.Intn(4)]|syscall.SOCK_NONBLOCK, 0))
	case 3:
		var fds [2]int32
		_, e := call(syscall.SYS_SOCKETPAIR, 1, []uintptr{1, 2, 5}[r.Intn(3)]|syscall.SOCK_NONBLOCK, 0, uintptr(unsafe.Pointer(&fds)))
		if e == 0 {
			adopt(uintptr(fds[0]), 0)
			fd = uintptr(10 + r.Intn(90))
			adopt(uintptr(fds[1]), 0)
		}
	case 4, 5:
		call(syscall.SYS_BIND, fd, at, length)
	case 6:
		call(syscall.SYS_LISTEN, fd, uintptr(r.Intn(5)))
	case 7, 8:
		adopt(call(syscall.SYS_ACCEPT4, fd, 0, 0, syscall.SOCK_NONBLOCK))
	case 9, 10:
		call(syscall.SYS_CONNECT, fd, at, length)
	case 11, 12:
		call(syscall.SYS_SENDTO, fd, p, size, flags, 0, 0)
	case 13:
		call(syscall.SYS_SENDTO, fd, p, size, flags, at, length)
	case 14, 15:
		call(syscall.SYS_RECVFROM, fd, p, size, flags, 0, 0)
	case 16:
		call(syscall.SYS_SHUTDOWN, fd, uintptr(r.Intn(4)))
	case 17:
		if r.Intn(4) == 0 {
			call(syscall.SYS_CLOSE, fd)
		}
	case 18:
		value := r.Uint32() >> r.Intn(32)
		level := []uintptr{0, 1, 6, 17, 41, 270}[r.Intn(6)]
		name := uintptr(r.Intn(80))
		if level == 1 && (name == 20 || name == 21 || name == 13) {
			break // nobody shall wait for long
		}
		call(syscall.SYS_SETSOCKOPT, fd, level, name, uintptr(unsafe.Pointer(&value)), uintptr(r.Intn(20)))
	case 19:
		n := uint32(r.Intn(300))
		call(syscall.SYS_GETSOCKOPT, fd, []uintptr{0, 1, 6, 17, 41, 270}[r.Intn(6)], uintptr(r.Intn(80)), p, uintptr(unsafe.Pointer(&n)))
	case 20:
		n := uint32(r.Intn(200))
		call([]uintptr{syscall.SYS_GETSOCKNAME, syscall.SYS_GETPEERNAME}[r.Intn(2)], fd, at, uintptr(unsafe.Pointer(&n)))
	case 21:
		iov := syscall.Iovec{Base: &buf[0], Len: uint64(size)}
		control := make([]byte, 64)
		r.Read(control)
		if r.Intn(2) == 0 {
			control = syscall.UnixRights(10+r.Intn(90), 10+r.Intn(90))
		}
		h := syscall.Msghdr{Iov: &iov, Iovlen: 1, Control: &control[0]}
		h.SetControllen(r.Intn(len(control) + 1))
		if r.Intn(3) == 0 {
			h.Name, h.Namelen = &address[0], uint32(length)
		}
		call([]uintptr{syscall.SYS_SENDMSG, syscall.SYS_RECVMSG}[r.Intn(2)], fd, uintptr(unsafe.Pointer(&h)), flags)
		// What came along is nobody's.
		for extra := 100; extra < 140; extra++ {
			syscall.Close(extra)
		}
	case 22:
		now(int(fd))
		call(syscall.SYS_IOCTL, fd, []uintptr{0x541b, 0x5411, 0x8912, 0x8913, 0x8933, 0x8910, 0x8914}[r.Intn(7)], p)
	case 23:
		if r.Intn(2) == 0 {
			adopt(call(syscall.SYS_EPOLL_CREATE1, 0))
		} else {
			event := syscall.EpollEvent{Events: r.Uint32()}
			call(syscall.SYS_EPOLL_CTL, fd, uintptr(r.Intn(4)), uintptr(10+r.Intn(90)), uintptr(unsafe.Pointer(&event)))
			call(syscall.SYS_EPOLL_WAIT, uintptr(10+r.Intn(90)), p, 10, 0)
		}
	}
}
