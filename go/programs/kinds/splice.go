package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const (
	sysSplice   = 275
	sysTee      = 276
	sysVmsplice = 278
	nowait      = 2
)

func splice(from int, fromAt *int64, to int, toAt *int64, count, flags int) (int, string) {
	return prog.Call(sysSplice, uintptr(from), uintptr(unsafe.Pointer(fromAt)), uintptr(to), uintptr(unsafe.Pointer(toAt)), uintptr(count), uintptr(flags))
}

func take(fd, count int) string {
	b := make([]byte, count)
	n, err := syscall.Read(fd, b)
	if err != nil {
		return prog.Name(err)
	}
	return fmt.Sprintf("%q", b[:n])
}

func temporary(text string) int {
	f, err := os.CreateTemp(".", "f")
	prog.Must(err)
	f.WriteString(text)
	fd, err := syscall.Dup(int(f.Fd()))
	prog.Must(err)
	f.Close()
	return fd
}

func splices() {
	r, w := pipe()
	f := temporary("0123456789abcdef")
	at := int64(2)
	n, name := splice(f, &at, w, nil, 5, 0)
	prog.Show("file to pipe", n, name)
	fmt.Println(at, take(r, 100))
	syscall.Seek(f, 8, 0)
	n, name = splice(f, nil, w, nil, 3, 0)
	prog.Show("at its position", n, name)
	position, _ := syscall.Seek(f, 0, 1)
	fmt.Println(position, take(r, 100))
	n, name = splice(f, nil, w, nil, 100, 0)
	prog.Show("up to the end", n, name)
	n, name = splice(f, nil, w, nil, 100, 0)
	prog.Show("at the end", n, name)
	g := temporary("")
	at = 3
	n, name = splice(r, nil, g, &at, 2, 0)
	prog.Show("pipe to file", n, name)
	n, name = splice(r, nil, g, nil, 100, 0)
	prog.Show("the rest", n, name)
	b, _ := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", g))
	fmt.Printf("%q %d\n", b, at)
	n, name = splice(r, nil, g, nil, 100, nowait)
	prog.Show("empty", n, name)
	prog.Must(syscall.SetNonblock(r, true))
	n, name = splice(r, nil, g, nil, 100, 0)
	prog.Show("empty, O_NONBLOCK", n, name)
	prog.Must(syscall.SetNonblock(r, false))
	r2, w2 := pipe()
	syscall.Write(w, []byte("from pipe to pipe"))
	n, name = splice(r, nil, w2, nil, 9, 0)
	prog.Show("pipe to pipe", n, name)
	n, name = splice(r, nil, w2, nil, 100, 0)
	prog.Show("pipe to pipe", n, name)
	fmt.Println(take(r2, 100))
	done := make(chan bool)
	go func() {
		n, name := splice(r, nil, w2, nil, 100, 0)
		prog.Show("waited", n, name)
		done <- true
	}()
	time.Sleep(20 * time.Millisecond)
	syscall.Write(w, []byte("late"))
	<-done
	fmt.Println(take(r2, 100))
	// More than a pipe holds.
	big := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	prog.Must(os.WriteFile("big", big, 0o644))
	in, err := os.Open("big")
	prog.Must(err)
	n, name = splice(int(in.Fd()), nil, w, nil, len(big), nowait)
	prog.Show("fills", n, name)
	n, name = splice(int(in.Fd()), nil, w, nil, len(big), nowait)
	prog.Show("full", n, name)
	sum := sha256.New()
	go func() {
		for {
			n, name := splice(int(in.Fd()), nil, w, nil, len(big), 0)
			if n <= 0 {
				fmt.Println("writer", n, name)
				syscall.Close(w)
				return
			}
		}
	}()
	for {
		b := make([]byte, 10000)
		n, err := syscall.Read(r, b)
		if n <= 0 {
			fmt.Println(n, err)
			break
		}
		sum.Write(b[:n])
	}
	fmt.Println(bytes.Equal(sum.Sum(nil), func() []byte { s := sha256.Sum256(big); return s[:] }()))
	n, name = splice(r, nil, g, nil, 100, 0)
	prog.Show("no writer", n, name)
	null, _ := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	syscall.Write(w2, []byte("into the void"))
	n, name = splice(r2, nil, int(null.Fd()), nil, 100, 0)
	prog.Show("to null", n, name)
	zero, _ := os.Open("/dev/zero")
	n, name = splice(int(zero.Fd()), nil, w2, nil, 100, 0)
	prog.Show("from zero", n, name)
	fmt.Println(len(take(r2, 100)))
}

func spliceErrors() {
	r, w := pipe()
	f := temporary("0123456789")
	at, negative := int64(0), int64(-1)
	try := func(what string, from int, fromAt *int64, to int, toAt *int64, count, flags int) {
		n, name := splice(from, fromAt, to, toAt, count, flags)
		prog.Show(what, n, name)
	}
	try("nothing", -1, nil, -1, nil, 0, 99)
	try("flags", f, nil, w, nil, 1, 16)
	try("no descriptors", -1, nil, w, nil, 1, 0)
	try("no descriptors", f, nil, -1, nil, 1, 0)
	try("wrong ends", w, nil, f, nil, 1, 0)
	try("wrong ends", f, nil, r, nil, 1, 0)
	try("no pipe", f, nil, f, nil, 1, 0)
	try("same pipe", r, nil, w, nil, 1, 0)
	try("offset of a pipe", r, &at, f, nil, 1, 0)
	try("offset of a pipe", f, nil, w, &at, 1, 0)
	try("negative offset", f, &negative, w, nil, 1, 0)
	e := eventfd()
	try("eventfd", e, nil, w, nil, 8, 0)
	d, _ := syscall.Open(".", syscall.O_RDONLY, 0)
	try("directory", d, nil, w, nil, 8, 0)
	syscall.Write(w, []byte("12345678"))
	try("to eventfd", r, nil, e, nil, 8, 0)
	a, _ := syscall.Open("a", syscall.O_WRONLY|syscall.O_CREAT|syscall.O_APPEND, 0o644)
	try("appending", r, nil, a, nil, 8, 0)
	n, name := prog.Call(sysSplice, uintptr(f), 4096, uintptr(w), 0, 1, 0)
	prog.Show("bad address", n, name)
	signal.Ignore(syscall.SIGPIPE)
	r2, w2 := pipe()
	syscall.Close(r2)
	try("no reader", f, nil, w2, nil, 1, 0)
	try("no reader", r, nil, w2, nil, 1, 0)
	n, name = prog.Call(sysTee, uintptr(r), uintptr(f), 1, 0)
	prog.Show("tee to a file", n, name)
	n, name = prog.Call(sysTee, uintptr(r), uintptr(w), 1, 0)
	prog.Show("tee to itself", n, name)
	n, name = prog.Call(sysTee, uintptr(r), uintptr(w2), 1, 0)
	prog.Show("tee without reader", n, name)
	n, name = prog.Call(sysVmsplice, uintptr(f), 0, 0, 0)
	prog.Show("vmsplice nothing", n, name)
	b := []byte("x")
	iov := syscall.Iovec{Base: &b[0], Len: 1}
	n, name = prog.Call(sysVmsplice, uintptr(f), uintptr(unsafe.Pointer(&iov)), 1, 0)
	prog.Show("vmsplice to a file", n, name)
	n, name = prog.Call(sysVmsplice, uintptr(w), 4096, 1, 0)
	prog.Show("vmsplice bad address", n, name)
	n, name = prog.Call(sysVmsplice, uintptr(w), uintptr(unsafe.Pointer(&iov)), 1, 99)
	prog.Show("vmsplice flags", n, name)
	n, name = prog.Call(sysVmsplice, uintptr(w2), uintptr(unsafe.Pointer(&iov)), 1, 0)
	prog.Show("vmsplice without reader", n, name)
}

func tees() {
	r, w := pipe()
	r2, w2 := pipe()
	syscall.Write(w, []byte("twice"))
	tee := func(count, flags int) {
		n, name := prog.Call(sysTee, uintptr(r), uintptr(w2), uintptr(count), uintptr(flags))
		prog.Show("tee", n, name)
	}
	tee(100, 0)
	tee(2, 0)
	fmt.Println(take(r2, 100), take(r, 100))
	tee(100, nowait)
	go func() {
		time.Sleep(20 * time.Millisecond)
		syscall.Write(w, []byte("late"))
	}()
	tee(100, 0)
	fmt.Println(take(r2, 100), take(r, 100))
	for i := 0; i < 16; i++ {
		syscall.Write(w2, make([]byte, 4096))
	}
	syscall.Write(w, []byte("x"))
	tee(100, nowait)
	syscall.Close(w)
	take(r, 10)
	tee(100, nowait)
	take(r2, 100000)
	tee(100, 0)
}

func vmsplices() {
	r, w := pipe()
	a, b := []byte("one "), []byte("two")
	iov := []syscall.Iovec{{Base: &a[0], Len: 4}, {Base: &b[0], Len: 3}}
	n, name := prog.Call(sysVmsplice, uintptr(w), uintptr(unsafe.Pointer(&iov[0])), 2, 0)
	prog.Show("in", n, name)
	fmt.Println(take(r, 100))
	syscall.Write(w, []byte("ONE TWO"))
	n, name = prog.Call(sysVmsplice, uintptr(r), uintptr(unsafe.Pointer(&iov[0])), 2, 0)
	prog.Show("out", n, name)
	fmt.Println(string(a), string(b))
	n, name = prog.Call(sysVmsplice, uintptr(r), uintptr(unsafe.Pointer(&iov[0])), 2, nowait)
	prog.Show("empty", n, name)
	big := make([]byte, 200000)
	iov = []syscall.Iovec{{Base: &big[0], Len: uint64(len(big))}}
	n, name = prog.Call(sysVmsplice, uintptr(w), uintptr(unsafe.Pointer(&iov[0])), 1, 0)
	fmt.Println("fills", n > 50000, n <= 65536, name)
	n, name = prog.Call(sysVmsplice, uintptr(w), uintptr(unsafe.Pointer(&iov[0])), 1, nowait)
	prog.Show("full", n, name)
}

// copies is io.Copy between all kinds of file: it picks copy_file_range, splice and sendfile.
func copies() {
	data := bytes.Repeat([]byte("The quick brown fox. "), 30000)
	prog.Must(os.WriteFile("in", data, 0o644))
	in, _ := os.Open("in")
	r, w, err := os.Pipe()
	prog.Must(err)
	r2, w2, err := os.Pipe()
	prog.Must(err)
	out, err := os.Create("out")
	prog.Must(err)
	go func() {
		n, err := io.Copy(w, in)
		fmt.Println("file to pipe", n, err)
		w.Close()
	}()
	wait := make(chan bool)
	go func() {
		n, err := io.Copy(out, r2)
		fmt.Println("pipe to file", n, err)
		wait <- true
	}()
	n, err := io.Copy(w2, r)
	time.Sleep(20 * time.Millisecond)
	w2.Close()
	<-wait
	fmt.Println("pipe to pipe", n, err)
	got, _ := os.ReadFile("out")
	fmt.Println(bytes.Equal(got, data))
}

func packets() {
	var p [2]int
	prog.Must(syscall.Pipe2(p[:], syscall.O_CLOEXEC|syscall.O_DIRECT))
	syscall.Write(p[1], []byte("first packet"))
	syscall.Write(p[1], []byte("second"))
	syscall.Write(p[1], make([]byte, 5000))
	n, name := prog.Call(syscall.SYS_FCNTL, uintptr(p[1]), syscall.F_GETFL, 0)
	fmt.Printf("%#x %s\n", n, name)
	fmt.Println(take(p[0], 5), take(p[0], 100))
	b := make([]byte, 10000)
	for i := 0; i < 2; i++ {
		n, err := syscall.Read(p[0], b)
		fmt.Println(n, err)
	}
	prog.Call(syscall.SYS_FCNTL, uintptr(p[1]), syscall.F_SETFL, 0)
	syscall.Write(p[1], []byte("no "))
	syscall.Write(p[1], []byte("packets"))
	fmt.Println(take(p[0], 100))
	prog.Show("flags", 0, prog.Name(syscall.Pipe2(p[:], 0x100)))
}
