package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func setInt(fd, level, name, value int) error { return syscall.SetsockoptInt(fd, level, name, value) }

func setBytes(fd, level, name int, value []byte) error {
	return syscall.SetsockoptString(fd, level, name, string(value))
}

func getInt(fd, level, name int) string {
	value, err := syscall.GetsockoptInt(fd, level, name)
	if err != nil {
		return prog.Name(err)
	}
	return fmt.Sprint(value)
}

func showControl(oob []byte) {
	for len(oob) >= 16 {
		length := int(binary.NativeEndian.Uint64(oob))
		level, kind := binary.NativeEndian.Uint32(oob[8:]), binary.NativeEndian.Uint32(oob[12:])
		if length < 16 || length > len(oob) {
			fmt.Println("  cut", length, level, kind)
			return
		}
		data := any(oob[16:length])
		if level == 1 && (kind == 29 || kind == 35) {
			data = length - 16 // a time
		}
		fmt.Println("  control", length, level, kind, data)
		oob = oob[min(len(oob), (length+7)&^7):]
	}
}

var loopback = &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}

func tcp() int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	prog.Must(err)
	return fd
}

func listening(backlog int) (fd int, at syscall.Sockaddr) {
	fd = tcp()
	prog.Must(syscall.Bind(fd, loopback))
	prog.Must(syscall.Listen(fd, backlog))
	at, err := syscall.Getsockname(fd)
	prog.Must(err)
	return fd, at
}

func connected() (client, server int) {
	l, at := listening(1)
	client = tcp()
	prog.Must(syscall.Connect(client, at))
	server, _, err := syscall.Accept(l)
	prog.Must(err)
	syscall.Close(l)
	return client, server
}

// calls: sockets that are used in a state they are not in.
func calls() {
	for family := 0; family < 12; family++ {
		for kind := 0; kind < 6; kind++ {
			if family == 10 && kind == 3 || family == 2 && kind == 3 || family == 5 || family == 4 || family == 9 || family == 3 || family == 6 || family == 7 || family == 8 || family == 11 {
				continue
			}
			fd, err := syscall.Socket(family, kind, 0)
			if err == nil {
				syscall.Close(fd)
			}
			fmt.Print(family, " ", kind, " ", prog.Name(err), "; ")
		}
	}
	fmt.Println()
	for _, protocol := range []int{6, 17, 1, 255, 300} {
		for _, kind := range []int{1, 2} {
			_, err := syscall.Socket(syscall.AF_INET, kind, protocol)
			fmt.Print(protocol, " ", kind, " ", prog.Name(err), "; ")
		}
	}
	fmt.Println()
	_, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|0x100000, 0)
	fmt.Println(prog.Name(err))

	fd := tcp()
	_, err = syscall.Getpeername(fd)
	fmt.Println("peer", prog.Name(err))
	name, err := syscall.Getsockname(fd)
	fmt.Println("name", *name.(*syscall.SockaddrInet4), prog.Name(err))
	_, err = syscall.Write(fd, []byte("x"))
	fmt.Println("write", prog.Name(err))
	_, err = syscall.Read(fd, make([]byte, 1))
	fmt.Println("read", prog.Name(err))
	_, _, err = syscall.Accept(fd)
	fmt.Println("accept", prog.Name(err))
	fmt.Println("shutdown", prog.Name(syscall.Shutdown(fd, 2)), prog.Name(syscall.Shutdown(fd, 7)))
	_, err = syscall.Seek(fd, 0, 0)
	fmt.Println("seek", prog.Name(err))
	_, err = syscall.Pread(fd, make([]byte, 1), 0)
	fmt.Println("pread", prog.Name(err))
	fmt.Println("truncate", prog.Name(syscall.Ftruncate(fd, 0)), "sync", prog.Name(syscall.Fsync(fd)))
	prog.Must(syscall.Bind(fd, loopback))
	fmt.Println("bind again", prog.Name(syscall.Bind(fd, loopback)))
	prog.Must(syscall.Listen(fd, 5))
	at, _ := syscall.Getsockname(fd)
	fmt.Println("connect of a listener", prog.Name(syscall.Connect(fd, at)))
	_, err = syscall.Write(fd, []byte("x"))
	fmt.Println("write", prog.Name(err))
	_, err = syscall.Read(fd, make([]byte, 1))
	fmt.Println("read", prog.Name(err))
	prog.Must(syscall.SetNonblock(fd, true))
	_, _, err = syscall.Accept(fd)
	fmt.Println("accept", prog.Name(err))
	fmt.Println("shutdown", prog.Name(syscall.Shutdown(fd, 0)))
	_, _, err = syscall.Accept(fd)
	fmt.Println("accept", prog.Name(err))

	c, s := connected()
	l, at := listening(1)
	fmt.Println("connect again", prog.Name(syscall.Connect(c, at)))
	fmt.Println("listen", prog.Name(syscall.Listen(c, 1)))
	fmt.Println("bind", prog.Name(syscall.Bind(c, loopback)))
	for _, fd := range []int{0, 1000} {
		fmt.Println(prog.Name(syscall.Listen(fd, 1)), prog.Name(syscall.Connect(fd, at)))
	}
	n := tcp()
	prog.Must(syscall.SetNonblock(n, true))
	fmt.Println("nonblocking connect", prog.Name(syscall.Connect(n, at)))
	time.Sleep(10 * time.Millisecond)
	fmt.Println("and again", prog.Name(syscall.Connect(n, at)), prog.Name(syscall.Connect(n, at)))
	syscall.Close(l)
	var stat syscall.Stat_t
	prog.Must(syscall.Fstat(s, &stat))
	fmt.Printf("%o %d\n", stat.Mode, stat.Size)
	six, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
	prog.Must(err)
	fmt.Println("family", prog.Name(syscall.Bind(six, loopback)), prog.Name(syscall.Bind(tcp(), &syscall.SockaddrInet6{})),
		prog.Name(syscall.Connect(six, loopback)), prog.Name(syscall.Connect(tcp(), &syscall.SockaddrInet6{})))
	fmt.Println("not ours", prog.Name(syscall.Bind(tcp(), &syscall.SockaddrInet4{Addr: [4]byte{203, 0, 113, 1}})))
	p := make([]int, 2)
	_, _, e := syscall.Syscall6(syscall.SYS_SOCKETPAIR, syscall.AF_INET, syscall.SOCK_STREAM, 0, uintptr(unsafe.Pointer(&p[0])), 0, 0)
	fmt.Println("pair", prog.Name(e))
}

// options: what they are by default, what they become, what is refused.
func options() {
	c, s := connected()
	u, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	prog.Must(err)
	six, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
	prog.Must(err)
	x, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	prog.Must(err)
	for _, each := range []struct {
		name string
		fd   int
	}{{"tcp", tcp()}, {"client", c}, {"server", s}, {"udp", u}, {"six", six}, {"unix", x}} {
		fmt.Print(each.name, ":")
		for _, name := range []int{2, 3, 4, 5, 6, 9, 10, 11, 12, 15, 16, 18, 19, 29, 30, 35, 36, 38, 39} {
			fmt.Print(" ", name, "=", getInt(each.fd, 1, name))
		}
		fmt.Println()
		fmt.Print("  ip:")
		for _, name := range []int{1, 2, 8, 10, 11, 12, 13, 33, 34, 49} {
			fmt.Print(" ", name, "=", getInt(each.fd, 0, name))
		}
		fmt.Print("  ipv6:")
		for _, name := range []int{16, 18, 19, 23, 26, 49, 51, 66, 67} {
			fmt.Print(" ", name, "=", getInt(each.fd, 41, name))
		}
		fmt.Print("  tcp:")
		for _, name := range []int{1, 3, 4, 5, 6, 7, 9, 12, 18, 23} {
			fmt.Print(" ", name, "=", getInt(each.fd, 6, name))
		}
		fmt.Println()
	}
	for _, each := range [][4]int{
		{c, 1, 2, 5}, {c, 1, 9, 1}, {c, 1, 7, 10000}, {c, 1, 8, 10000}, {c, 1, 7, 1}, {c, 1, 8, 1}, {c, 1, 18, 100}, {c, 1, 15, 1},
		{c, 6, 1, 7}, {c, 6, 4, 30}, {c, 6, 4, 0}, {c, 6, 5, 10}, {c, 6, 6, 3}, {c, 6, 6, 500}, {c, 6, 18, 1000}, {c, 6, 18, -1},
		{c, 0, 2, 0}, {c, 0, 2, 300}, {c, 0, 2, 77}, {c, 0, 1, 0x10}, {c, 41, 26, 1}, {six, 41, 26, 1}, {c, 1, 999, 1}, {c, 6, 999, 1},
		{c, 77, 1, 1}, {u, 1, 6, 1}, {u, 0, 33, 5}, {u, 0, 34, 0}, {x, 1, 16, 1}, {x, 6, 1, 1}, {c, 1, 3, 1}, {c, 1, 4, 1},
	} {
		fmt.Println(each[1:], prog.Name(setInt(each[0], each[1], each[2], each[3])), getInt(each[0], each[1], each[2]))
	}
	prog.Must(syscall.SetsockoptLinger(c, 1, 13, &syscall.Linger{Onoff: 1, Linger: 3}))
	prog.Must(syscall.SetsockoptTimeval(c, 1, 20, &syscall.Timeval{Sec: 1, Usec: 500000}))
	fmt.Println(prog.Name(syscall.SetsockoptTimeval(c, 1, 20, &syscall.Timeval{Sec: 1, Usec: 5000000})))
	for _, name := range []int{13, 20, 21} {
		buf := make([]byte, 16)
		size := uint32(len(buf))
		_, _, e := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(c), 1, uintptr(name), uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0)
		fmt.Println(name, prog.Name(e), size, buf)
	}
	for _, size := range []int32{0, 1, 3, 100, -1} {
		buf := make([]byte, 100)
		n := size
		_, _, e := syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(c), 1, 3, uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&n)), 0)
		_, _, f := syscall.Syscall6(syscall.SYS_SETSOCKOPT, uintptr(c), 1, 2, uintptr(unsafe.Pointer(&buf[0])), uintptr(size), 0)
		fmt.Println(size, prog.Name(e), n, buf[:8], prog.Name(f))
	}
}

func epollName(events uint32) string {
	names := []struct {
		bit  uint32
		name string
	}{{1, "IN"}, {2, "PRI"}, {4, "OUT"}, {8, "ERR"}, {16, "HUP"}, {0x40, "RDNORM"}, {0x100, "WRNORM"}, {0x2000, "RDHUP"}}
	text := ""
	for _, each := range names {
		if events&each.bit != 0 {
			text += each.name + " "
			events &^= each.bit
		}
	}
	if events != 0 {
		text += fmt.Sprintf("%#x", events)
	}
	return "[" + text + "]"
}

const everything = syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | syscall.EPOLLPRI | 0x40 | 0x100

func now(fd int) string {
	type pollfd struct {
		fd      int32
		events  int16
		revents int16
	}
	p := pollfd{int32(fd), int16(everything), 0}
	_, _, e := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, 0)
	if e != 0 {
		return prog.Name(e)
	}
	return epollName(uint32(uint16(p.revents)))
}

// states: what poll says in each of a socket's states.
func states() {
	fmt.Println("new", now(tcp()))
	l, at := listening(1)
	fmt.Println("listens", now(l))
	c := tcp()
	prog.Must(syscall.Connect(c, at))
	fmt.Println("can accept", now(l))
	s, _, err := syscall.Accept(l)
	prog.Must(err)
	fmt.Println("connected", now(c), now(s), now(l))
	syscall.Write(c, []byte("hello"))
	fmt.Println("data", now(s))
	syscall.Shutdown(c, syscall.SHUT_WR)
	fmt.Println("half closed", now(c), now(s))
	syscall.Read(s, make([]byte, 10))
	fmt.Println("data read", now(s))
	syscall.Shutdown(s, syscall.SHUT_WR)
	fmt.Println("both closed", now(c), now(s))
	c, s = connected()
	syscall.Shutdown(c, syscall.SHUT_RD)
	fmt.Println("shut for reading", now(c), now(s))
	syscall.Close(s)
	fmt.Println("peer closed", now(c))
	c, s = connected()
	syscall.Write(c, []byte("x"))
	syscall.Close(s)
	fmt.Println("reset", now(c), getInt(c, 1, 4), now(c))
	c, s = connected()
	syscall.Close(s)
	syscall.Write(c, []byte("x"))
	fmt.Println("written into the void", now(c), getInt(c, 1, 4), now(c))
	c, s = connected()
	prog.Must(syscall.SetNonblock(c, true))
	for {
		if _, err := syscall.Write(c, make([]byte, 65536)); err != nil {
			fmt.Println("full", prog.Name(err), now(c))
			break
		}
	}
	syscall.Close(l)
	n := tcp()
	prog.Must(syscall.SetNonblock(n, true))
	fmt.Println("refused", prog.Name(syscall.Connect(n, at)), now(n), getInt(n, 1, 4), getInt(n, 1, 4), now(n))
	u, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	prog.Must(err)
	fmt.Println("udp", now(u))
	prog.Must(syscall.Connect(u, at))
	syscall.Write(u, []byte("x"))
	fmt.Println("udp refused", now(u), getInt(u, 1, 4), now(u))
}

// edges: what an edge-triggered epoll reports, step by step.
func edges() {
	ep, err := syscall.EpollCreate1(0)
	prog.Must(err)
	fds := map[int32]string{}
	watch := func(name string, fd int) {
		fds[int32(fd)] = name
		prog.Must(syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP | 1<<31, Fd: int32(fd)}))
	}
	step := func(what string) {
		var events [10]syscall.EpollEvent
		n, err := syscall.EpollWait(ep, events[:], 20)
		text := ""
		if err != nil {
			text = prog.Name(err)
		}
		got := map[string]string{}
		for _, event := range events[:max(n, 0)] {
			got[fds[event.Fd]] = epollName(event.Events)
		}
		for _, name := range []string{"l", "c", "s", "u"} {
			if events, ok := got[name]; ok {
				text += " " + name + events
			}
		}
		fmt.Println(what+":", text)
	}
	l, at := listening(2)
	watch("l", l)
	c := tcp()
	watch("c", c)
	step("new")
	prog.Must(syscall.Connect(c, at))
	step("connect")
	d := tcp()
	prog.Must(syscall.Connect(d, at))
	step("another connect")
	s, _, err := syscall.Accept(l)
	prog.Must(err)
	step("accept")
	watch("s", s)
	step("watch")
	syscall.Write(c, []byte("one"))
	step("write")
	syscall.Write(c, []byte("two"))
	step("write again, unread")
	syscall.Read(s, make([]byte, 3))
	step("read some")
	syscall.Read(s, make([]byte, 100))
	step("read all")
	prog.Must(syscall.SetNonblock(c, true))
	full := func() {
		for {
			if _, err := syscall.Write(c, make([]byte, 65536)); err != nil {
				return
			}
		}
	}
	full()
	step("fill")
	syscall.Read(s, make([]byte, 1000))
	step("read a little")
	drained := 0
	for {
		prog.Must(syscall.SetNonblock(s, true))
		n, err := syscall.Read(s, make([]byte, 1<<20))
		if err != nil || n == 0 {
			break
		}
		drained += n
	}
	fds[int32(s)] = "" // Linux told of each step in which the rest arrived
	step("drain")
	fds[int32(s)] = "s"
	syscall.Write(s, []byte("answer"))
	step("answer")
	syscall.Shutdown(s, syscall.SHUT_WR)
	step("shut for writing")
	syscall.Close(s)
	step("close")
	syscall.Close(d)
	step("close of what nobody accepted")
	u, _ := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	prog.Must(syscall.Bind(u, loopback))
	v, _ := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	watch("u", u)
	step("udp")
	uat, _ := syscall.Getsockname(u)
	syscall.Sendto(v, []byte("one"), 0, uat)
	step("sent")
	syscall.Sendto(v, []byte("two"), 0, uat)
	step("sent again")
	syscall.Read(u, make([]byte, 10))
	step("read one")
}

// acceptErrors: no descriptor left leaves the connection where it is.
func acceptErrors() {
	l, at := listening(5)
	c := tcp()
	prog.Must(syscall.Connect(c, at))
	var limit syscall.Rlimit
	prog.Must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	small := limit
	small.Cur = uint64(c + 1)
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &small))
	_, _, err := syscall.Accept(l)
	fmt.Println(prog.Name(err))
	_, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	fmt.Println(prog.Name(err))
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	s, _, err := syscall.Accept(l)
	fmt.Println(prog.Name(err))
	syscall.Write(s, []byte("x"))
	n, err := syscall.Read(c, make([]byte, 2))
	fmt.Println(n, prog.Name(err))
}

// reuse: who may share a port.
func reuse() {
	type how struct{ reuseAddr, reusePort, listens bool }
	all := []how{{}, {true, false, false}, {false, true, false}, {true, true, false}, {false, false, true}, {true, false, true}, {false, true, true}}
	addresses := []syscall.SockaddrInet4{{Addr: [4]byte{127, 0, 0, 1}}, {}, {Addr: [4]byte{127, 0, 0, 2}}}
	for _, kind := range []int{syscall.SOCK_STREAM, syscall.SOCK_DGRAM} {
		for _, first := range all {
			for _, second := range all {
				if kind == syscall.SOCK_DGRAM && (first.listens || second.listens) {
					continue
				}
				text := ""
				for _, at := range addresses {
					port := 0
					var open []int
					for i, each := range []how{first, second} {
						fd, err := syscall.Socket(syscall.AF_INET, kind, 0)
						prog.Must(err)
						open = append(open, fd)
						if each.reuseAddr {
							prog.Must(setInt(fd, 1, 2, 1))
						}
						if each.reusePort {
							prog.Must(setInt(fd, 1, 15, 1))
						}
						address := addresses[0]
						if i == 1 {
							address = at
						}
						address.Port = port
						err = syscall.Bind(fd, &address)
						if err == nil && each.listens {
							err = syscall.Listen(fd, 1)
						}
						if i == 1 {
							text += " " + prog.Name(err)
							break
						}
						prog.Must(err)
						name, _ := syscall.Getsockname(fd)
						port = name.(*syscall.SockaddrInet4).Port
					}
					for _, fd := range open {
						syscall.Close(fd)
					}
				}
				fmt.Println(kind, first, second, text)
			}
		}
	}
	// Connections to sockets that share a port all find one of them.
	var fds []int
	at := *loopback
	for i := 0; i < 4; i++ {
		fd := tcp()
		prog.Must(setInt(fd, 1, 15, 1))
		prog.Must(syscall.Bind(fd, &at))
		prog.Must(syscall.Listen(fd, 100))
		prog.Must(syscall.SetNonblock(fd, true))
		name, _ := syscall.Getsockname(fd)
		at.Port = name.(*syscall.SockaddrInet4).Port
		fds = append(fds, fd)
	}
	for i := 0; i < 100; i++ {
		c := tcp()
		prog.Must(syscall.Connect(c, &at))
		defer syscall.Close(c)
	}
	total, used := 0, 0
	for _, fd := range fds {
		n := 0
		for {
			s, _, err := syscall.Accept(fd)
			if err != nil {
				break
			}
			syscall.Close(s)
			n++
		}
		total += n
		if n > 0 {
			used++
		}
	}
	fmt.Println(total, used == 4)
}

// messages: sendmsg and recvmsg with several buffers and flags.
func messages() {
	c, s := connected()
	n, err := syscall.SendmsgN(c, []byte("hello"), nil, nil, 0)
	fmt.Println(n, prog.Name(err))
	buf := make([]byte, 10)
	n, _, flags, from, err := syscall.Recvmsg(s, buf, nil, 0)
	fmt.Println(string(buf[:n]), flags, from, prog.Name(err))
	syscall.Write(c, []byte("0123456789"))
	n, _, err = syscall.Recvfrom(s, buf[:4], syscall.MSG_PEEK)
	fmt.Println(string(buf[:n]), prog.Name(err))
	n, _, err = syscall.Recvfrom(s, buf[:4], syscall.MSG_TRUNC)
	fmt.Println(n, prog.Name(err))
	n, _, err = syscall.Recvfrom(s, buf, syscall.MSG_DONTWAIT)
	fmt.Println(string(buf[:n]), prog.Name(err))
	_, _, err = syscall.Recvfrom(s, buf, syscall.MSG_DONTWAIT)
	fmt.Println(prog.Name(err))
	go func() {
		for _, part := range []string{"ab", "cd", "ef"} {
			syscall.Write(c, []byte(part))
			time.Sleep(10 * time.Millisecond)
		}
	}()
	n, _, err = syscall.Recvfrom(s, buf[:6], syscall.MSG_WAITALL)
	fmt.Println(string(buf[:n]), prog.Name(err))
	// Vectors.
	a, b := []byte("first "), []byte("second")
	iov := []syscall.Iovec{{Base: &a[0], Len: 6}, {Base: &b[0], Len: 6}}
	m, _, e := syscall.Syscall(syscall.SYS_WRITEV, uintptr(c), uintptr(unsafe.Pointer(&iov[0])), 2)
	fmt.Println(m, prog.Name(e))
	x, y := make([]byte, 3), make([]byte, 20)
	iov = []syscall.Iovec{{Base: &x[0], Len: 3}, {Base: &y[0], Len: 20}}
	m, _, e = syscall.Syscall(syscall.SYS_READV, uintptr(s), uintptr(unsafe.Pointer(&iov[0])), 2)
	fmt.Println(m, prog.Name(e), string(x), string(y[:m-3]))
	var count int32
	syscall.Write(c, []byte("12345"))
	_, _, e = syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), 0x541b, uintptr(unsafe.Pointer(&count)))
	fmt.Println(count, prog.Name(e))
	_, _, e = syscall.Syscall(syscall.SYS_IOCTL, uintptr(s), 0x5401, uintptr(unsafe.Pointer(&count)))
	fmt.Println(prog.Name(e))
	// Datagrams: several in one call.
	u, _ := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	prog.Must(syscall.Bind(u, loopback))
	at, _ := syscall.Getsockname(u)
	prog.Must(syscall.Connect(u, at)) // to itself
	type mmsghdr struct {
		h   syscall.Msghdr
		n   uint32
		pad uint32
	}
	var out [3]mmsghdr
	iovs := make([]syscall.Iovec, 3)
	parts := [][]byte{[]byte("one"), []byte("three"), []byte("seven77")}
	for i := range out {
		iovs[i] = syscall.Iovec{Base: &parts[i][0], Len: uint64(len(parts[i]))}
		out[i].h.Iov, out[i].h.Iovlen = &iovs[i], 1
	}
	m, _, e = syscall.Syscall6(307, uintptr(u), uintptr(unsafe.Pointer(&out[0])), 3, 0, 0, 0)
	fmt.Println(int(m), prog.Name(e), out[0].n, out[1].n, out[2].n)
	var in [5]mmsghdr
	bufs := make([][10]byte, 5)
	inv := make([]syscall.Iovec, 5)
	for i := range in {
		inv[i] = syscall.Iovec{Base: &bufs[i][0], Len: 5}
		in[i].h.Iov, in[i].h.Iovlen = &inv[i], 1
	}
	m, _, e = syscall.Syscall6(299, uintptr(u), uintptr(unsafe.Pointer(&in[0])), 5, 0x10000, 0, 0)
	fmt.Println(int(m), prog.Name(e), in[0].n, in[1].n, in[2].n, in[0].h.Flags, in[2].h.Flags, string(bufs[2][:5]))
	n, _, err = syscall.Recvfrom(u, buf, syscall.MSG_DONTWAIT)
	fmt.Println(prog.Name(err))
	syscall.Write(u, []byte("longer than that"))
	n, _, err = syscall.Recvfrom(u, buf[:4], syscall.MSG_PEEK|syscall.MSG_TRUNC)
	fmt.Println(n, string(buf[:4]), prog.Name(err))
	n, _, err = syscall.Recvfrom(u, buf[:4], 0)
	fmt.Println(n, prog.Name(err))
	syscall.Write(u, nil)
	n, _, err = syscall.Recvfrom(u, buf, syscall.MSG_DONTWAIT)
	fmt.Println(n, prog.Name(err))
}

// interrupted: a signal ends a blocking call that has a time-out; others go on.
func interrupted() {
	runtime.GOMAXPROCS(2) // a raw system call keeps its P
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGUSR1)
	c, s := connected()
	prog.Must(syscall.SetsockoptTimeval(c, 1, 20, &syscall.Timeval{Sec: 5}))
	tids := make(chan int, 1)
	results := make(chan string)
	read := func(fd int) {
		tids <- syscall.Gettid()
		_, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(new([8]byte))), 8)
		results <- prog.Name(e)
	}
	for i, fd := range []int{c, s} {
		go read(fd)
		tid := <-tids
		time.Sleep(30 * time.Millisecond)
		prog.Must(syscall.Tgkill(syscall.Getpid(), tid, syscall.SIGUSR1))
		if i == 1 {
			time.Sleep(30 * time.Millisecond)
			syscall.Write(c, []byte("x"))
		}
		fmt.Println(<-results)
	}
}

// timeouts of blocking calls.
func timeouts() {
	l, _ := listening(1)
	c, _ := connected()
	u, _ := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	for _, fd := range []int{l, c, u} {
		prog.Must(syscall.SetsockoptTimeval(fd, 1, 20, &syscall.Timeval{Usec: 50000}))
		prog.Must(syscall.SetsockoptTimeval(fd, 1, 21, &syscall.Timeval{Usec: 50000}))
	}
	timed := func(f func() error) {
		start := time.Now()
		err := f()
		took := time.Since(start)
		fmt.Println(prog.Name(err), took >= 50*time.Millisecond, took < time.Second)
	}
	timed(func() error { _, _, err := syscall.Accept(l); return err })
	timed(func() error { _, err := syscall.Read(c, make([]byte, 1)); return err })
	timed(func() error { _, err := syscall.Read(u, make([]byte, 1)); return err })
	timed(func() error {
		for {
			if _, err := syscall.Write(c, make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	})
}

// shutdowns wakes those who wait.
func shutdowns() {
	c, s := connected()
	results := make(chan string)
	go func() {
		n, err := syscall.Read(c, make([]byte, 1))
		results <- fmt.Sprint(n, " ", prog.Name(err))
	}()
	time.Sleep(20 * time.Millisecond)
	fmt.Println(prog.Name(syscall.Shutdown(c, syscall.SHUT_RD)), <-results)
	_, err := syscall.Write(s, []byte("data"))
	fmt.Println(prog.Name(err))
	buf := make([]byte, 10)
	n, err := syscall.Read(c, buf)
	fmt.Println(n, prog.Name(err))
	fmt.Println(prog.Name(syscall.Shutdown(c, syscall.SHUT_WR)), prog.Name(syscall.Shutdown(c, syscall.SHUT_WR)), prog.Name(syscall.Shutdown(c, syscall.SHUT_RDWR)))
	n, err = syscall.Write(s, []byte("data"))
	fmt.Println(n, prog.Name(err))
	n, err = syscall.Read(s, buf)
	fmt.Println(n, prog.Name(err), getInt(s, 1, 4), getInt(c, 1, 4))
	l, _ := listening(1)
	go func() {
		_, _, err := syscall.Accept(l)
		results <- prog.Name(err)
	}()
	time.Sleep(20 * time.Millisecond)
	fmt.Println(prog.Name(syscall.Shutdown(l, syscall.SHUT_RDWR)), <-results)
}

func peek() {
	c, s := connected()
	syscall.Write(c, []byte("hello"))
	syscall.Write(c, []byte(" world"))
	buf := make([]byte, 20)
	for i := 0; i < 3; i++ {
		n, _, err := syscall.Recvfrom(s, buf, syscall.MSG_PEEK)
		fmt.Println(string(buf[:n]), prog.Name(err))
	}
	n, _ := syscall.Read(s, buf)
	fmt.Println(string(buf[:n]))
	syscall.Shutdown(c, syscall.SHUT_WR)
	n, _, err := syscall.Recvfrom(s, buf, syscall.MSG_PEEK)
	fmt.Println(n, prog.Name(err))
}

// brokenPipe: SIGPIPE comes with EPIPE unless it is not wanted.
func brokenPipe() {
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGPIPE)
	count := func() int {
		time.Sleep(20 * time.Millisecond)
		n := len(signals)
		for len(signals) > 0 {
			<-signals
		}
		return n
	}
	c, _ := connected()
	prog.Must(syscall.Shutdown(c, syscall.SHUT_WR))
	_, err := syscall.Write(c, []byte("x"))
	fmt.Println(prog.Name(err), count())
	err = syscall.Sendto(c, []byte("x"), 0, nil)
	fmt.Println(prog.Name(err), count())
	_, err = syscall.SendmsgN(c, []byte("x"), nil, nil, syscall.MSG_NOSIGNAL)
	fmt.Println(prog.Name(err), count())
	_, err = syscall.Write(c, nil)
	fmt.Println(prog.Name(err), count())
}

// badArguments: pointers and lengths that cannot be.
func badArguments() {
	const bad = 1
	c, s := connected()
	l, at := listening(1)
	_ = at
	try := func(name string, call uintptr, args ...uintptr) {
		var all [6]uintptr
		copy(all[:], args)
		r, _, e := syscall.Syscall6(call, all[0], all[1], all[2], all[3], all[4], all[5])
		if e == 0 {
			fmt.Println(name, r)
		} else {
			fmt.Println(name, prog.Name(e))
		}
	}
	kernel := ^uintptr(0) - 1<<20
	buf := make([]byte, 200)
	p := uintptr(unsafe.Pointer(&buf[0]))
	try("bind", syscall.SYS_BIND, uintptr(tcp()), bad, 16)
	try("bind, short", syscall.SYS_BIND, uintptr(tcp()), p, 1)
	try("bind, long", syscall.SYS_BIND, uintptr(tcp()), p, 1000)
	try("connect", syscall.SYS_CONNECT, uintptr(tcp()), kernel, 16)
	try("accept", syscall.SYS_ACCEPT4, uintptr(l), 0, 0, 77)
	try("getsockname", syscall.SYS_GETSOCKNAME, uintptr(c), bad, p)
	try("getsockname", syscall.SYS_GETSOCKNAME, uintptr(c), p, bad)
	try("getpeername", syscall.SYS_GETPEERNAME, uintptr(c), p, kernel)
	try("write", syscall.SYS_WRITE, uintptr(c), bad, 10)
	try("write", syscall.SYS_WRITE, uintptr(c), kernel, 10)
	syscall.Write(c, []byte("data"))
	try("read", syscall.SYS_READ, uintptr(s), bad, 10)
	try("read", syscall.SYS_READ, uintptr(s), p, 10)
	try("sendmsg", syscall.SYS_SENDMSG, uintptr(c), bad, 0)
	try("recvmsg", syscall.SYS_RECVMSG, uintptr(c), kernel, 0)
	try("setsockopt", syscall.SYS_SETSOCKOPT, uintptr(c), 1, 2, bad, 4)
	try("getsockopt", syscall.SYS_GETSOCKOPT, uintptr(c), 1, 2, bad, p)
	try("getsockopt", syscall.SYS_GETSOCKOPT, uintptr(c), 1, 2, p, bad)
	try("socketpair", syscall.SYS_SOCKETPAIR, syscall.AF_UNIX, syscall.SOCK_STREAM, 0, bad)
	try("not a socket", syscall.SYS_BIND, 1, p, 16)
	try("not open", syscall.SYS_LISTEN, 999, 16)
	var h syscall.Msghdr
	h.Iovlen = 100000
	try("vector", syscall.SYS_SENDMSG, uintptr(c), uintptr(unsafe.Pointer(&h)), 0)
	h.Iovlen = 1
	h.Iov = (*syscall.Iovec)(unsafe.Pointer(&buf[0]))
	h.Namelen = ^uint32(0)
	try("name", syscall.SYS_SENDMSG, uintptr(c), uintptr(unsafe.Pointer(&h)), 0)
	h.Namelen = 0
	control := []byte{4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}
	h.Control, h.Controllen = &control[0], 16
	try("control", syscall.SYS_SENDMSG, uintptr(c), uintptr(unsafe.Pointer(&h)), 0)
}

// sendfile from a file into a connection, by call and by io.Copy.
func sendfile() {
	dir, err := os.MkdirTemp("", "network")
	prog.Must(err)
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "data")
	want := make([]byte, 3<<20+17)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	prog.Must(os.WriteFile(name, want, 0o600))
	c, s, _ := pair("tcp", "127.0.0.1:0")
	go func() {
		f, err := os.Open(name)
		prog.Must(err)
		n, err := c.(*net.TCPConn).ReadFrom(f)
		fmt.Println(n, plain(err))
		c.Close()
	}()
	got := make([]byte, 0, len(want))
	buf := make([]byte, 100000)
	for {
		n, err := s.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			break
		}
	}
	same := len(got) == len(want)
	for i := range got {
		same = same && got[i] == want[i]
	}
	fmt.Println(len(got), same)
}
