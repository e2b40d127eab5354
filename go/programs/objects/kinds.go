package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// object is a kind of descriptor.
type object struct {
	name string
	make func() int
}

// made are the descriptors of this combination; watched those whose position or contents may have changed.
var made []int

func keep(fd int, err error) int {
	prog.Must(err)
	made = append(made, fd)
	return fd
}

func opened(name string, flags int) func() int {
	return func() int { return keep(syscall.Open(name, flags|syscall.O_CLOEXEC, 0)) }
}

func calling(number uintptr, args ...uintptr) func() int {
	return func() int { return keep(int(must(number, args...)), nil) }
}

const oPath = 0x200000

var objects = []object{
	{"file", opened("f", syscall.O_RDWR)},
	{"reader", opened("f", syscall.O_RDONLY)},
	{"writer", opened("f", syscall.O_WRONLY)},
	{"appender", opened("f", syscall.O_RDWR|syscall.O_APPEND)},
	{"path", opened("f", oPath)},
	{"directory", opened(".", syscall.O_RDONLY)},
	{"path-directory", opened(".", oPath)},
	{"path-link", opened("l", oPath|syscall.O_NOFOLLOW)},
	{"fifo", opened("p", syscall.O_RDWR|syscall.O_NONBLOCK)},
	{"pipe-in", func() int { return pipe(0, 100) }},
	{"pipe-out", func() int { return pipe(1, 100) }},
	{"pipe-empty", func() int { return pipe(0, 0) }},
	{"pipe-full", func() int { return pipe(1, 65536) }},
	{"pipe-ended", func() int { return lone(0) }},
	{"pipe-broken", func() int { return lone(1) }},
	{"eventfd", calling(290, 5, syscall.O_NONBLOCK)},
	{"epoll", calling(syscall.SYS_EPOLL_CREATE1, 0)},
	{"timerfd", calling(283, 1, syscall.O_NONBLOCK)},
	{"signalfd", func() int {
		mask := words(1 << 9)
		copy(at(scratch, 8), mask)
		return keep(int(must(289, all, scratch, 8, syscall.O_NONBLOCK)), nil)
	}},
	{"inotify", calling(syscall.SYS_INOTIFY_INIT1, syscall.O_NONBLOCK)},
	{"memfd", func() int {
		copy(at(scratch, 2), "m\x00")
		fd := keep(int(must(319, scratch, 2)), nil)
		prog.Must(syscall.Ftruncate(fd, 5000))
		return fd
	}},
	{"stream", func() int { return pair(syscall.SOCK_STREAM) }},
	{"packets", func() int { return pair(syscall.SOCK_SEQPACKET) }},
	{"datagrams", func() int { return pair(syscall.SOCK_DGRAM) }},
	{"unix", socket(syscall.AF_UNIX, syscall.SOCK_STREAM)},
	{"udp", socket(syscall.AF_INET, syscall.SOCK_DGRAM)},
	{"udp6", socket(syscall.AF_INET6, syscall.SOCK_DGRAM)},
	{"tcp", socket(syscall.AF_INET, syscall.SOCK_STREAM)},
	{"tcp6", socket(syscall.AF_INET6, syscall.SOCK_STREAM)},
	{"listener", func() int {
		fd := socket(syscall.AF_INET, syscall.SOCK_STREAM)()
		prog.Must(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
		prog.Must(syscall.Listen(fd, 5))
		return fd
	}},
	{"netlink", socket(syscall.AF_NETLINK, syscall.SOCK_RAW)},
	{"none", func() int { return -1 }},
	{"closed", func() int { return 900 }},
}

// scratch is a page for arguments of what makes objects.
var scratch uintptr

func pipe(end, filled int) int {
	var p [2]int
	prog.Must(syscall.Pipe2(p[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC))
	made = append(made, p[0], p[1])
	if filled > 0 {
		n, err := syscall.Write(p[1], pattern[:filled])
		prog.Check(n == filled, "pipe: %d %v", n, err)
	}
	return p[end]
}

// lone is a pipe's end whose other end is closed.
func lone(end int) int {
	fd := pipe(end, 0)
	syscall.Close(made[len(made)-1-end])
	made = made[:len(made)-2]
	return keep(fd, nil)
}

func pair(kind int) int {
	p, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	prog.Must(err)
	made = append(made, p[0], p[1])
	_, err = syscall.Write(p[1], pattern[:50])
	prog.Must(err)
	return p[0]
}

func socket(family, kind int) func() int {
	return func() int { return keep(syscall.Socket(family, kind|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)) }
}

var pattern = []byte(strings.Repeat("0123456789abcdef", 4096))

const length = 5000

// reset gives files and memory the contents each combination starts with.
func reset() {
	for _, address := range arena {
		clear(at(address, 2*page))
	}
	if leveled {
		level()
	}
	fd, err := syscall.Open("f", syscall.O_RDWR|syscall.O_CREAT|syscall.O_TRUNC|syscall.O_CLOEXEC, 0o644)
	prog.Must(err)
	_, err = syscall.Write(fd, pattern[:length])
	prog.Must(err)
	syscall.Close(fd)
	if started {
		return
	}
	started = true
	prog.Must(os.Mkdir("d", 0o755))
	prog.Must(os.WriteFile("d/x", []byte("x"), 0o644))
	prog.Must(os.Symlink("f", "l"))
	prog.Must(os.Symlink("loop", "loop"))
	prog.Must(syscall.Mkfifo("p", 0o644))
}

var started bool

// touched tells where the first object stands, if it moved, and how long the file is, if that changed.
func touched() string {
	var said string
	for _, fd := range made {
		n, _, errno := syscall.RawSyscall(syscall.SYS_LSEEK, uintptr(fd), 0, 1)
		if errno == 0 && n != 0 {
			said += fmt.Sprintf(", at %d", n)
		}
	}
	var stat syscall.Stat_t
	if err := syscall.Stat("f", &stat); err != nil {
		said += ", no file"
	} else if stat.Size != length {
		said += fmt.Sprintf(", size %d", stat.Size)
	}
	return said
}

func clean() {
	for _, fd := range made {
		syscall.Close(fd)
	}
	made = made[:0]
}
