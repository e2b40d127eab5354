package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func scratch() string {
	dir, err := os.MkdirTemp("", "network")
	prog.Must(err)
	return dir
}

// unixStreams: by path, by abstract name, with names on both sides.
func unixStreams() {
	dir := scratch()
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	for _, each := range [][2]string{{"unix", path}, {"unix", "@ringo/test"}, {"unixpacket", path}, {"unixpacket", "@ringo/packets"}} {
		l, err := net.Listen(each[0], each[1])
		prog.Must(err)
		if each[1] == path {
			info, err := os.Stat(path)
			prog.Must(err)
			fmt.Println(info.Mode()&os.ModeType, info.Mode().Perm() != 0)
			_, err = os.Open(path)
			fmt.Println(errors.Is(err, syscall.ENXIO))
		}
		_, err = net.Listen(each[0], each[1])
		fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
		from := &net.UnixAddr{Name: each[1] + ".client", Net: each[0]}
		to, err := net.ResolveUnixAddr(each[0], each[1])
		prog.Must(err)
		for _, local := range []*net.UnixAddr{nil, from} {
			c, err := net.DialUnix(each[0], local, to)
			prog.Must(err)
			s, err := l.Accept()
			prog.Must(err)
			show := func(a net.Addr) string { return strings.ReplaceAll(fmt.Sprintf("%v %v", a.Network(), a), dir, "") }
			fmt.Println(show(c.LocalAddr()), "|", show(c.RemoteAddr()), "|", show(s.LocalAddr()), "|", show(s.RemoteAddr()))
			c.Write([]byte("hello"))
			c.Write([]byte("world"))
			buf := make([]byte, 100)
			n, from, err := s.(*net.UnixConn).ReadFrom(buf[:4])
			text := "none"
			if from != nil {
				text = show(from)
			}
			fmt.Println(string(buf[:n]), text, plain(err))
			n, err = s.Read(buf)
			fmt.Println(string(buf[:n]), plain(err))
			if each[0] == "unix" {
				s.(*net.UnixConn).CloseWrite()
			} else {
				s.Close()
			}
			n, err = c.Read(buf)
			fmt.Println(n, plain(err))
			s.Close()
			_, err = c.Write([]byte("x"))
			fmt.Println(plain(err))
			c.Close()
			os.Remove(path + ".client")
		}
		l.Close()
		_, err = net.Dial(each[0], each[1])
		fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
		_, err = os.Stat(path)
		fmt.Println(errors.Is(err, os.ErrNotExist))
	}
	// A name that nobody listens at any more.
	l, err := net.Listen("unix", path)
	prog.Must(err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	_, err = net.Dial("unix", path)
	fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
	_, err = net.Listen("unix", path)
	fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
	_, err = net.Dial("unix", filepath.Join(dir, "nothing"))
	fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
	prog.Must(os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	_, err = net.Dial("unix", filepath.Join(dir, "file"))
	fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
	_, err = net.Listen("unix", filepath.Join(dir, "no", "dir"))
	fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
	_, err = net.Listen("unix", filepath.Join(dir, strings.Repeat("x", 200)))
	fmt.Println(plain(err))
}

func unixDatagrams() {
	dir := scratch()
	defer os.RemoveAll(dir)
	a, err := net.ListenPacket("unixgram", filepath.Join(dir, "a"))
	prog.Must(err)
	b, err := net.ListenPacket("unixgram", "@ringo/b")
	prog.Must(err)
	buf := make([]byte, 100)
	_, err = a.WriteTo([]byte("from a"), b.LocalAddr())
	prog.Must(err)
	n, from, err := b.ReadFrom(buf)
	fmt.Println(string(buf[:n]), strings.ReplaceAll(from.String(), dir, ""), plain(err))
	_, err = b.WriteTo([]byte("answer"), from)
	prog.Must(err)
	n, from, err = a.ReadFrom(buf)
	fmt.Println(string(buf[:n]), from, plain(err))
	c, err := net.Dial("unixgram", filepath.Join(dir, "a"))
	prog.Must(err)
	c.Write([]byte("nameless"))
	n, from, err = a.ReadFrom(buf[:4])
	fmt.Println(string(buf[:n]), from, plain(err))
	c.Write(nil)
	n, _, err = a.ReadFrom(buf)
	fmt.Println(n, plain(err))
	_, err = c.Write(make([]byte, 300000))
	fmt.Println(plain(err))
	n, err = c.Write(make([]byte, 200000))
	fmt.Println(n, plain(err))
	n, _, err = a.ReadFrom(make([]byte, 300000))
	fmt.Println(n, plain(err))
	c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	count := 0
	for {
		if _, err = c.Write([]byte("x")); err != nil {
			break
		}
		count++
	}
	fmt.Println(count, plain(err))
	go func() {
		time.Sleep(20 * time.Millisecond)
		a.ReadFrom(buf)
		a.ReadFrom(buf)
	}()
	c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, err = c.Write([]byte("y"))
	fmt.Println(plain(err))
	a.Close()
	_, err = c.Write([]byte("z"))
	fmt.Println(plain(err))
	_, err = c.Write([]byte("z"))
	fmt.Println(plain(err))
	_, err = net.Dial("unixgram", filepath.Join(dir, "a"))
	fmt.Println(strings.ReplaceAll(plain(err), dir, ""))
	_, err = net.Dial("unix", "@ringo/b")
	fmt.Println(plain(err))
	d, err := net.Dial("unixgram", "@ringo/b")
	prog.Must(err)
	e, err := net.Dial("unixgram", "@ringo/b")
	prog.Must(err)
	d.Write([]byte("1"))
	e.Write([]byte("2"))
	n, _, _ = b.ReadFrom(buf)
	m, _, _ := b.ReadFrom(buf[n:])
	fmt.Println(string(buf[:n+m]))
}

func socketpair(kind int) (int, int) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind, 0)
	prog.Must(err)
	return fds[0], fds[1]
}

// unixPairs: what they hold, and how they end.
func unixPairs() {
	for _, kind := range []int{syscall.SOCK_STREAM, syscall.SOCK_DGRAM, syscall.SOCK_SEQPACKET} {
		a, b := socketpair(kind)
		fmt.Println(kind, now(a), now(b))
		syscall.Write(a, []byte("one"))
		syscall.Write(a, []byte("two"))
		buf := make([]byte, 100)
		n, err := syscall.Read(b, buf[:2])
		fmt.Println(string(buf[:n]), prog.Name(err))
		n, err = syscall.Read(b, buf)
		fmt.Println(string(buf[:n]), prog.Name(err))
		_, _, err = syscall.Recvfrom(b, buf, syscall.MSG_DONTWAIT)
		fmt.Println(prog.Name(err))
		name, err := syscall.Getsockname(a)
		fmt.Printf("%T %v\n", name, prog.Name(err))
		peer, err := syscall.Getpeername(a)
		fmt.Printf("%T %v\n", peer, prog.Name(err))
		prog.Must(syscall.SetNonblock(a, true))
		for _, size := range []int{1000, 5000, 50000} {
			total := 0
			for {
				n, err := syscall.Write(a, make([]byte, size))
				if err != nil {
					fmt.Println(size, prog.Name(err), now(a), kind == 1 || total/size > 0)
					break
				}
				total += n
			}
			prog.Must(syscall.SetNonblock(b, true))
			for total > 0 {
				n, err := syscall.Read(b, make([]byte, size))
				if err != nil || n == 0 {
					break
				}
				total -= n
			}
			fmt.Println("left", total, now(a), now(b))
		}
		fmt.Println("shutdown", prog.Name(syscall.Shutdown(a, syscall.SHUT_WR)), now(a), now(b))
		n, err = syscall.Read(b, buf)
		fmt.Println("read", max(n, 0), prog.Name(err))
		n, err = syscall.Write(b, []byte("answer"))
		fmt.Println("write", n, prog.Name(err))
		syscall.Close(b)
		fmt.Println("closed", now(a))
		n, err = syscall.Read(a, buf)
		fmt.Println("read", max(n, 0), prog.Name(err))
		a, b = socketpair(kind)
		syscall.Write(b, []byte("unread"))
		syscall.Write(a, []byte("unread"))
		syscall.Close(b)
		fmt.Println("closed", now(a))
		n, err = syscall.Read(a, buf)
		fmt.Println("read", n, prog.Name(err), now(a))
		prog.Must(syscall.SetNonblock(a, true))
		n, err = syscall.Read(a, buf)
		fmt.Println("read", max(n, 0), prog.Name(err), now(a))
		e := syscall.Sendto(a, []byte("x"), 0x4000, nil)
		fmt.Println("write", prog.Name(e))
		syscall.Close(a)
	}
	_, err := syscall.Socketpair(syscall.AF_UNIX, 77, 0)
	fmt.Println(prog.Name(err))
	_, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 5)
	fmt.Println(prog.Name(err))
}

// rights: open files go along with messages.
func rights() {
	for _, kind := range []int{syscall.SOCK_STREAM, syscall.SOCK_DGRAM, syscall.SOCK_SEQPACKET} {
		a, b := socketpair(kind)
		var p [2]int
		prog.Must(syscall.Pipe(p[:]))
		oob := syscall.UnixRights(p[1], p[0])
		n, err := syscall.SendmsgN(a, []byte("take these"), oob, nil, 0)
		fmt.Println(n, prog.Name(err))
		syscall.Write(a, []byte("more"))
		syscall.Close(p[0])
		syscall.Close(p[1])
		buf, in := make([]byte, 100), make([]byte, 100)
		n, oobn, flags, _, err := syscall.Recvmsg(b, buf, in, 0x40000000)
		fmt.Printf("%s %d %#x %s\n", buf[:n], oobn, flags&^0x40000000, prog.Name(err))
		messages, err := syscall.ParseSocketControlMessage(in[:oobn])
		prog.Must(err)
		fds, err := syscall.ParseUnixRights(&messages[0])
		prog.Must(err)
		syscall.Write(fds[0], []byte("through the pipe"))
		n, err = syscall.Read(fds[1], buf)
		flag, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fds[0]), syscall.F_GETFD, 0)
		fmt.Println(len(fds), string(buf[:n]), prog.Name(err), flag)
		n, err = syscall.Read(b, buf)
		fmt.Println(string(buf[:n]), prog.Name(err))
		// Without room, or without being asked for, they are closed.
		f, err := os.CreateTemp("", "rights")
		prog.Must(err)
		os.Remove(f.Name())
		for _, room := range []int{0, 10, 20, 24, 100} {
			syscall.SendmsgN(a, []byte("x"), syscall.UnixRights(int(f.Fd()), int(f.Fd()), int(f.Fd())), nil, 0)
			n, oobn, flags, _, err = syscall.Recvmsg(b, buf, in[:room], 0)
			count := 0
			if messages, err := syscall.ParseSocketControlMessage(in[:oobn]); err == nil && len(messages) == 1 {
				got, _ := syscall.ParseUnixRights(&messages[0])
				count = len(got)
				for _, fd := range got {
					syscall.Close(fd)
				}
			}
			fmt.Printf("%d: %d %d %#x %d %s\n", room, n, oobn, flags, count, prog.Name(err))
		}
		syscall.SendmsgN(a, []byte("x"), syscall.UnixRights(int(f.Fd())), nil, 0)
		n, err = syscall.Read(b, buf)
		fmt.Println(n, prog.Name(err))
		// Bytes before and behind descriptors.
		syscall.Write(a, []byte("before "))
		syscall.SendmsgN(a, []byte("with "), syscall.UnixRights(int(f.Fd())), nil, 0)
		syscall.Write(a, []byte("behind"))
		for i := 0; i < 3; i++ {
			n, oobn, _, _, err = syscall.Recvmsg(b, buf, in, syscall.MSG_DONTWAIT)
			if err != nil {
				fmt.Println(prog.Name(err))
				break
			}
			fmt.Printf("%q %d\n", buf[:n], oobn)
		}
		_, err = syscall.SendmsgN(a, []byte("x"), syscall.UnixRights(12345), nil, 0)
		fmt.Println(prog.Name(err))
		// A pipe that only a message holds ends with it.
		prog.Must(syscall.Pipe(p[:]))
		syscall.SendmsgN(a, []byte("x"), syscall.UnixRights(p[1]), nil, 0)
		syscall.Close(p[1])
		fmt.Println("held", now(p[0]))
		syscall.Close(b)
		fmt.Println("gone", now(p[0]))
	}
	fmt.Println(prog.Name(func() error {
		c, _ := connected()
		_, err := syscall.SendmsgN(c, []byte("x"), syscall.UnixRights(c), nil, 0)
		return err
	}()))
}

// credentials: who sent it.
func credentials() {
	own := func(u *syscall.Ucred) string {
		return fmt.Sprint(int(u.Pid) == os.Getpid(), int(u.Uid) == os.Getuid(), int(u.Gid) == os.Getgid())
	}
	for _, kind := range []int{syscall.SOCK_STREAM, syscall.SOCK_DGRAM, syscall.SOCK_SEQPACKET} {
		a, b := socketpair(kind)
		u, err := syscall.GetsockoptUcred(a, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		prog.Must(err)
		fmt.Println(own(u))
		prog.Must(setInt(b, syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1))
		syscall.Write(a, []byte("hello"))
		buf, in := make([]byte, 100), make([]byte, 100)
		n, oobn, flags, _, err := syscall.Recvmsg(b, buf, in, 0)
		fmt.Println(string(buf[:n]), oobn, flags&^0x80, prog.Name(err))
		messages, err := syscall.ParseSocketControlMessage(in[:oobn])
		prog.Must(err)
		u, err = syscall.ParseUnixCredentials(&messages[0])
		prog.Must(err)
		fmt.Println(own(u))
		oob := syscall.UnixCredentials(&syscall.Ucred{Pid: int32(os.Getpid()), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())})
		_, err = syscall.SendmsgN(a, []byte("mine"), oob, nil, 0)
		fmt.Println(prog.Name(err))
		n, oobn, _, _, err = syscall.Recvmsg(b, buf, in, 0)
		fmt.Println(string(buf[:n]), oobn, prog.Name(err))
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	prog.Must(err)
	u, err := syscall.GetsockoptUcred(fd, syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	fmt.Println(*u, prog.Name(err))
}

// unixCalls: states, errors and automatic names.
func unixCalls() {
	open := func(kind int) int {
		fd, err := syscall.Socket(syscall.AF_UNIX, kind, 0)
		prog.Must(err)
		return fd
	}
	for _, kind := range []int{1, 2, 5} {
		fd := open(kind)
		_, err := syscall.Write(fd, []byte("x"))
		fmt.Print(kind, " write ", prog.Name(err))
		prog.Must(syscall.SetNonblock(fd, true))
		_, err = syscall.Read(fd, make([]byte, 1))
		fmt.Print(" read ", prog.Name(err))
		_, _, err = syscall.Accept(fd)
		fmt.Print(" accept ", prog.Name(err))
		fmt.Print(" listen ", prog.Name(syscall.Listen(fd, 1)))
		_, err = syscall.Getpeername(fd)
		fmt.Print(" peer ", prog.Name(err))
		fmt.Print(" poll ", now(fd))
		fmt.Println(" shutdown ", prog.Name(syscall.Shutdown(fd, 2)), now(fd))
	}
	// Automatic names.
	fd := open(1)
	_, _, e := syscall.Syscall(syscall.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&[]uint16{1}[0])), 2)
	name := make([]byte, 110)
	size := uint32(110)
	syscall.Syscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&size)))
	fmt.Println(prog.Name(e), size, name[2])
	prog.Must(syscall.Listen(fd, 0))
	// One more than the backlog fits; the next must wait.
	at, err := syscall.Getsockname(fd)
	prog.Must(err)
	for i := 0; i < 3; i++ {
		c := open(1)
		prog.Must(syscall.SetNonblock(c, true))
		fmt.Println("connect", prog.Name(syscall.Connect(c, at)), now(c))
	}
	done := make(chan error)
	go func() {
		c := open(1)
		done <- syscall.Connect(c, at)
	}()
	time.Sleep(20 * time.Millisecond)
	s, _, err := syscall.Accept(fd)
	fmt.Println(prog.Name(err), prog.Name(<-done))
	c := open(1)
	go func() { done <- syscall.Connect(c, at) }()
	time.Sleep(20 * time.Millisecond)
	syscall.Close(fd)
	fmt.Println(prog.Name(<-done), now(s))
	fmt.Println(prog.Name(syscall.Connect(open(1), at)))
	fmt.Println(prog.Name(syscall.Connect(open(1), &syscall.SockaddrUnix{})), prog.Name(syscall.Bind(open(1), loopback)),
		prog.Name(syscall.Connect(open(1), loopback)))
	d := open(2)
	prog.Must(syscall.Bind(d, &syscall.SockaddrUnix{Name: "@ringo/calls"}))
	fmt.Println(prog.Name(syscall.Connect(open(1), &syscall.SockaddrUnix{Name: "@ringo/calls"})),
		prog.Name(syscall.Bind(open(2), &syscall.SockaddrUnix{Name: "@ringo/calls"})),
		prog.Name(syscall.Bind(d, &syscall.SockaddrUnix{Name: "@ringo/other"})))
	prog.Must(syscall.Connect(d, &syscall.SockaddrUnix{Name: "@ringo/calls"}))
	syscall.Write(d, []byte("to myself"))
	buf := make([]byte, 20)
	n, err := syscall.Read(d, buf)
	fmt.Println(string(buf[:n]), prog.Name(err))
	fmt.Println(prog.Name(syscall.Sendto(open(2), []byte("x"), 0, &syscall.SockaddrUnix{Name: "@ringo/calls"})))
	f := open(2)
	prog.Must(syscall.Bind(f, &syscall.SockaddrUnix{Name: "@ringo/f"}))
	fmt.Println(prog.Name(syscall.Connect(f, &syscall.SockaddrUnix{Name: "@ringo/calls"})))
	fmt.Println(prog.Name(syscall.Sendto(open(2), []byte("x"), 0, &syscall.SockaddrUnix{Name: "@ringo/f"})))
	long := open(2)
	fmt.Println(prog.Name(syscall.Bind(long, &syscall.SockaddrUnix{Name: "@" + strings.Repeat("n", 107)})))
}

// interfaces, as package net lists them.
func interfaces() {
	all, err := net.Interfaces()
	prog.Must(err)
	for _, each := range all {
		if each.Flags&net.FlagLoopback == 0 {
			continue
		}
		addresses, err := each.Addrs()
		fmt.Println(each.Index, each.Name, each.MTU, each.Flags, each.HardwareAddr, addresses, plain(err))
	}
	lo, err := net.InterfaceByName("lo")
	fmt.Println(lo.Index, plain(err))
	lo, err = net.InterfaceByIndex(1)
	fmt.Println(lo.Name, plain(err))
	_, err = net.InterfaceByName("nothing0")
	fmt.Println(plain(err))
	addresses, err := net.InterfaceAddrs()
	fmt.Println(len(addresses) >= 2, addresses[0], plain(err))
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, syscall.NETLINK_ROUTE)
	prog.Must(err)
	prog.Must(syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}))
	name, err := syscall.Getsockname(fd)
	fmt.Println(name.(*syscall.SockaddrNetlink).Pid == uint32(os.Getpid()), prog.Name(err), now(fd))
	request := []byte{17, 0, 0, 0, 22, 0, 1, 3, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}
	prog.Must(syscall.Sendto(fd, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}))
	fmt.Println(now(fd))
	buf := make([]byte, 8192)
	n, from, err := syscall.Recvfrom(fd, buf, 0)
	fmt.Println(n > 0, from.(*syscall.SockaddrNetlink).Pid, prog.Name(err))
	messages, err := syscall.ParseNetlinkMessage(buf[:n])
	prog.Must(err)
	fmt.Println(messages[0].Header.Type, messages[0].Header.Seq, messages[0].Header.Flags)
	// What is no question.
	request = []byte{20, 0, 0, 0, 99, 0, 1, 0, 10, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0}
	prog.Must(syscall.Sendto(fd, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}))
	_, err = syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_STREAM, 0)
	fmt.Println(prog.Name(err))
	// Each by ioctl.
	type ifreq struct {
		name  [16]byte
		union [24]byte
	}
	for _, call := range []uintptr{0x8913, 0x8915, 0x891b, 0x8919, 0x8921, 0x8927, 0x8933, 0x891d, 0x8942} {
		var r ifreq
		copy(r.name[:], "lo")
		_, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(tcp()), call, uintptr(unsafe.Pointer(&r)))
		fmt.Printf("%#x %s %v\n", call, prog.Name(e), r.union[:8])
	}
	var r ifreq
	copy(r.name[:], "nothing0")
	_, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(tcp()), 0x8913, uintptr(unsafe.Pointer(&r)))
	fmt.Println(prog.Name(e))
}

// unixServer: many clients of one server by path.
func unixServer() {
	dir := scratch()
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	prog.Must(err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	results := make(chan bool)
	for i := 0; i < 100; i++ {
		go func(i int) {
			c, err := net.Dial("unix", filepath.Join(dir, "s"))
			prog.Must(err)
			want := bytes.Repeat([]byte{byte(i)}, 10000)
			go c.Write(want)
			got := make([]byte, len(want))
			_, err = io.ReadFull(c, got)
			prog.Must(err)
			c.Close()
			results <- bytes.Equal(got, want)
		}(i)
	}
	ok := 0
	for i := 0; i < 100; i++ {
		if <-results {
			ok++
		}
	}
	fmt.Println(ok)
}
