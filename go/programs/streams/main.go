// Streams does with its standard streams what a program may do that finds regular files there. What it finds out goes to
// standard error.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"head": head, "lines": lines, "input": input, "output": output, "append": appends, "both": both, "by-name": byName,
		"mix": mix, "bad": bad, "copy": copies, "sum": sum,
	})
}

func say(args ...any) { fmt.Fprintln(os.Stderr, args...) }

func attributes(f *os.File) {
	info, err := f.Stat()
	prog.Must(err)
	stat := info.Sys().(*syscall.Stat_t)
	say(info.Mode(), info.Size(), stat.Nlink, stat.Uid, stat.Gid, stat.Blksize, info.ModTime().Unix() > 1e9)
}

func seek(f *os.File, offset int64, whence int) {
	at, err := f.Seek(offset, whence)
	say("seek", offset, whence, at, prog.Name(err))
}

// head reads so many bytes, no more, and passes them on.
func head() {
	n, err := strconv.Atoi(os.Args[2])
	prog.Must(err)
	buffer := make([]byte, n)
	n, err = io.ReadFull(os.Stdin, buffer)
	os.Stdout.Write(buffer[:n])
	say(n, err)
}

// lines reads by lines, which takes more than it says.
func lines() {
	in := bufio.NewReader(os.Stdin)
	for i := 0; i < 3; i++ {
		line, err := in.ReadString('\n')
		fmt.Printf("%q %v\n", line, err)
	}
}

// sum reads everything.
func sum() {
	var total, count uint64
	buffer := make([]byte, 300_000)
	for {
		n, err := os.Stdin.Read(buffer)
		for _, b := range buffer[:n] {
			total += uint64(b) * (count%251 + 1)
			count++
		}
		if err != nil {
			fmt.Println(total, count, err)
			return
		}
	}
}

// input is a file of 100,000 bytes at descriptor 0, opened for reading.
func input() {
	attributes(os.Stdin)
	buffer := make([]byte, 16)
	for _, to := range []struct {
		offset int64
		whence int
	}{{10, 0}, {-4, 1}, {-20, 2}, {1 << 40, 0}, {-1, 0}, {0, 9}, {0, 3}, {0, 4}, {200_000, 3}, {99_999, 0}} {
		seek(os.Stdin, to.offset, to.whence)
		n, err := os.Stdin.Read(buffer)
		say(n, fmt.Sprintf("%x", buffer[:n]), err)
	}
	seek(os.Stdin, 7, 0)
	for _, at := range []int64{0, 50_000, 99_990, 100_000, 1 << 41} {
		n, err := os.Stdin.ReadAt(buffer, at)
		say("at", at, n, fmt.Sprintf("%x", buffer[:n]), err)
	}
	seek(os.Stdin, 0, 1)
	var left int32
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, 0x541b, uintptr(unsafe.Pointer(&left)))
	say("left", left, prog.Name(errno))
	_, err := syscall.Write(0, buffer)
	say("write", prog.Name(err))
	say("truncate", prog.Name(syscall.Ftruncate(0, 5)))
	poll, err := syscall.EpollCreate1(0)
	prog.Must(err)
	say("epoll", prog.Name(syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, 0, &syscall.EpollEvent{Events: syscall.EPOLLIN})))
	// Another open file of the same file has a position of its own.
	again, err := os.Open("/dev/stdin")
	prog.Must(err)
	n, err := again.Read(buffer)
	say("again", n, fmt.Sprintf("%x", buffer[:n]), err)
	_, err = os.OpenFile("/dev/stdin", os.O_RDONLY|os.O_APPEND, 0)
	say(prog.Name(err))
	prog.Must(again.Close())
	// A descriptor of the same open file has not.
	fd, err := syscall.Dup(0)
	prog.Must(err)
	n, err = syscall.Read(fd, buffer)
	say("dup", n, fmt.Sprintf("%x", buffer[:n]), err)
	seek(os.Stdin, 0, 1)
	// What lies in several buffers, and what is read into no memory at all.
	one, two := make([]byte, 3), make([]byte, 5)
	vectors := []syscall.Iovec{{Base: &one[0], Len: 3}, {Base: &two[0], Len: 5}}
	count, _, errno := syscall.Syscall(syscall.SYS_READV, 0, uintptr(unsafe.Pointer(&vectors[0])), 2)
	say("readv", count, fmt.Sprintf("%x %x", one, two), prog.Name(errno))
	_, _, errno = syscall.Syscall(syscall.SYS_READ, 0, 0x10, 5)
	say("nowhere", prog.Name(errno))
	seek(os.Stdin, 0, 1)
	rest, err := io.ReadAll(os.Stdin)
	say("rest", len(rest), err)
	n, err = os.Stdin.Read(buffer)
	say("end", n, err)
	seek(os.Stdin, 60_000, 0)
}

// output is an empty file at descriptor 1, opened for writing.
func output() {
	say(fmt.Fprint(os.Stdout, "0123456789abcdefghij"))
	seek(os.Stdout, 0, 1)
	attributes(os.Stdout)
	seek(os.Stdout, 5, 0)
	fmt.Fprint(os.Stdout, "FIVE")
	say(os.Stdout.WriteAt([]byte("AT"), 12))
	say(os.Stdout.WriteAt([]byte("far"), 30))
	seek(os.Stdout, 0, 1)
	attributes(os.Stdout)
	say("read", prog.Name(func() error { _, err := syscall.Read(1, make([]byte, 4)); return err }()))
	say("truncate", prog.Name(os.Stdout.Truncate(25)))
	attributes(os.Stdout)
	seek(os.Stdout, 0, 2)
	fmt.Fprint(os.Stdout, "END")
	say("sync", prog.Name(os.Stdout.Sync()))
	say("allocate", prog.Name(syscall.Fallocate(1, 0, 0, 100)), prog.Name(syscall.Fallocate(1, 1, 0, 4096)))
	attributes(os.Stdout)
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, 1, syscall.F_GETFL, 0)
	say("flags", flags&(syscall.O_ACCMODE|syscall.O_APPEND), prog.Name(errno))
	_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, 1, syscall.F_SETFL, syscall.O_APPEND)
	say("append", prog.Name(errno))
	seek(os.Stdout, 3, 0)
	fmt.Fprint(os.Stdout, "appended")
	seek(os.Stdout, 0, 1)
	_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, 1, syscall.F_SETFL, 0)
	say("no more", prog.Name(errno))
	seek(os.Stdout, 1, 0)
	fmt.Fprint(os.Stdout, "one")
	// Much at a place, which takes several requests.
	large := make([]byte, 200_000)
	for i := range large {
		large[i] = byte(i * 7)
	}
	say(os.Stdout.WriteAt(large, 1000))
	fmt.Fprint(os.Stdout, "-last")
	seek(os.Stdout, 0, 1)
}

// appends finds its output opened for appending.
func appends() {
	fmt.Fprint(os.Stdout, "first ")
	seek(os.Stdout, 0, 0)
	fmt.Fprint(os.Stdout, "second ")
	seek(os.Stdout, 0, 1)
	n, err := syscall.Pwrite(1, []byte("third "), 2)
	say(n, prog.Name(err))
	seek(os.Stdout, 0, 1)
	fmt.Fprint(os.Stdout, "fourth\n")
	attributes(os.Stdout)
}

// both finds descriptor 1 opened for reading and writing.
func both() {
	fmt.Fprint(os.Stdout, "written here")
	seek(os.Stdout, 3, 0)
	buffer := make([]byte, 5)
	n, err := syscall.Read(1, buffer)
	say(n, string(buffer[:max(n, 0)]), prog.Name(err))
	fmt.Fprint(os.Stdout, "!")
	buffer = make([]byte, 100)
	n, err = syscall.Pread(1, buffer, 0)
	say(n, string(buffer[:max(n, 0)]), prog.Name(err))
	again, err := os.OpenFile("/dev/stdout", os.O_RDWR, 0)
	prog.Must(err)
	n, err = again.Read(buffer)
	say(n, string(buffer[:n]), err)
	fmt.Fprint(again, " by name")
	seek(os.Stdout, 0, 2)
}

// byName writes by the name of its output, as programs do that are told to log to /dev/stdout.
func byName() {
	fmt.Fprint(os.Stdout, "0123456789")
	log, err := os.OpenFile("/dev/stdout", os.O_WRONLY|os.O_APPEND, 0)
	prog.Must(err)
	fmt.Fprint(log, "-log")
	fmt.Fprint(os.Stdout, "ten")
	fmt.Fprint(log, "-more")
	other, err := os.OpenFile("/dev/stdout", os.O_WRONLY, 0)
	prog.Must(err)
	fmt.Fprint(other, "AB")
	attributes(other)
	prog.Must(other.Close())
	prog.Must(log.Close())
	empty, err := os.Create("/dev/stdout")
	prog.Must(err)
	attributes(os.Stdout)
	fmt.Fprint(empty, "new")
	fmt.Fprint(os.Stdout, "behind")
}

// mix writes by turns to descriptors 1 and 2, which may be one file, and moves about in it.
func mix() {
	for i := 0; i < 200; i++ {
		fmt.Fprintln(os.Stdout, "out", i)
		fmt.Fprintln(os.Stderr, "err", i)
		if i%50 == 25 {
			at, err := os.Stderr.Seek(0, 1)
			fmt.Fprintln(os.Stdout, "at", at, err)
		}
	}
}

// bad memory, and lengths that are none.
func bad() {
	for _, at := range []uintptr{0, 0x10, 1 << 63} {
		_, _, errno := syscall.Syscall(syscall.SYS_WRITE, 1, at, 5)
		say("write", prog.Name(errno))
		_, _, errno = syscall.Syscall6(syscall.SYS_PWRITE64, 1, at, 5, 0, 0, 0)
		say("pwrite", prog.Name(errno))
	}
	_, err := syscall.Pwrite(1, []byte("x"), -1)
	say(prog.Name(err))
	say(prog.Name(syscall.Ftruncate(1, -1)))
	n, err := syscall.Pwrite(1, nil, 5)
	say(n, prog.Name(err))
}

// copies from descriptor 0 to descriptor 1 by system calls that do it.
func copies() {
	buffer := make([]byte, 10)
	io.ReadFull(os.Stdin, buffer)
	n, err := syscall.Sendfile(1, 0, nil, 1000)
	say("sendfile", n, prog.Name(err))
	seek(os.Stdin, 0, 1)
	seek(os.Stdout, 0, 1)
	from := int64(50_000)
	n, err = syscall.Sendfile(1, 0, &from, 1000)
	say("sendfile", n, from, prog.Name(err))
	seek(os.Stdin, 0, 1)
	const copyFileRange = 326
	moved, _, errno := syscall.Syscall6(copyFileRange, 0, 0, 1, 0, 70_000, 0)
	say("copy_file_range", moved, prog.Name(errno))
	seek(os.Stdin, 0, 1)
	seek(os.Stdout, 0, 1)
	written, err := io.Copy(os.Stdout, os.Stdin)
	say("io.Copy", written, err)
	seek(os.Stdin, 0, 1)
}
