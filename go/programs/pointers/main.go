// Pointers hands every system call bad addresses in the place of each of its pointers, and prints the error numbers; and it
// calls every number there is with arguments that mean nothing.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const page = 4096

func init() { runtime.LockOSThread() }

func main() {
	prog.Main(prog.Acts{
		"files": func() { sweep(files()) }, "paths": func() { sweep(paths()) }, "events": func() { sweep(events()) },
		"time": func() { prog.Undisturbed(func() { sweep(timing()) }) }, "signals": func() { sweep(signals()) }, "process": func() { sweep(process()) },
		"memory": func() { sweep(memory()) }, "numbers": numbers, "zeros": zeros,
	})
}

// argument is one argument of a call: a value, or a pointer to size bytes that the call reads, writes or both.
type argument struct {
	kind  byte // v value, i in, o out, b both
	value uintptr
	bytes []byte
}

type spec struct {
	name   string
	number uintptr
	args   []argument
	// opens: the result is a descriptor, to be closed.
	opens bool
}

func v(value uintptr) argument   { return argument{'v', value, nil} }
func fd(number int) argument     { return v(uintptr(number)) }
func in(bytes []byte) argument   { return argument{'i', 0, bytes} }
func out(size int) argument      { return argument{'o', 0, make([]byte, size)} }
func both(bytes []byte) argument { return argument{'b', 0, bytes} }
func path(name string) argument  { return in(append([]byte(name), 0)) }
func of(name string, number uintptr, args ...argument) spec {
	return spec{name, number, args, false}
}
func opening(name string, number uintptr, args ...argument) spec {
	return spec{name, number, args, true}
}

// words are little-endian 64-bit words.
func words(list ...uint64) []byte {
	b := make([]byte, 0, 8*len(list))
	for _, word := range list {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// raw makes a call without telling the scheduler: nothing here blocks.
func raw(number uintptr, a [6]uintptr) (uintptr, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	return n, errno
}

func must(number uintptr, args ...uintptr) uintptr {
	var a [6]uintptr
	copy(a[:], args)
	n, errno := raw(number, a)
	prog.Check(errno == 0, "call %d: %v", number, errno)
	return n
}

func mmap(size, protection uintptr) uintptr {
	return must(syscall.SYS_MMAP, 0, size, protection, syscall.MAP_PRIVATE|syscall.MAP_ANON, ^uintptr(0), 0)
}

const rw = syscall.PROT_READ | syscall.PROT_WRITE

// arena is where good pointers point: a page an argument, each with nothing behind it.
var arena [6]uintptr

// addresses of the kinds of bad pointer.
var none, readOnly uintptr

// hole is below all that is mapped.
const hole = 0x20000

func prepare() {
	for i := range arena {
		arena[i] = mmap(4*page, rw)
		must(syscall.SYS_MPROTECT, arena[i]+2*page, 2*page, syscall.PROT_NONE)
	}
	none = mmap(2*page, syscall.PROT_NONE)
	readOnly = mmap(2*page, syscall.PROT_READ)
}

func put(address uintptr, bytes []byte) {
	if len(bytes) > 0 {
		copy(unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), len(bytes)), bytes)
	}
}

// sweep makes each call well, then with each bad pointer in each place.
func sweep(specs []spec) {
	prepare()
	for _, s := range specs {
		try(s, -1, "good", 0)
		for i, a := range s.args {
			if a.kind == 'v' {
				continue
			}
			try(s, i, "null", 0)
			try(s, i, "hole", hole+page)
			try(s, i, "none", none+page)
			if a.kind != 'i' {
				try(s, i, "read-only", readOnly+page)
			}
			try(s, i, "kernel", 0xffff888000000000)
			try(s, i, "boundary", 0x7ffffffff000)
			try(s, i, "non-canonical", 0x800000000000)
			try(s, i, "wrapping", ^uintptr(0)-7)
			end := arena[i] + 2*page
			if size := uintptr(len(a.bytes)); size > 1 {
				put(end-size/2, a.bytes[:size/2])
				try(s, i, "straddling", end-size/2)
				put(end-size+1, a.bytes[:size-1])
				try(s, i, "short by one", end-size+1)
			}
			put(arena[i]+101, a.bytes)
			try(s, i, "misaligned", arena[i]+101)
		}
	}
}

func try(s spec, bad int, what string, address uintptr) {
	var a [6]uintptr
	for i, arg := range s.args {
		a[i] = arg.value
		if arg.kind != 'v' {
			put(arena[i], arg.bytes)
			a[i] = arena[i]
		}
	}
	if bad >= 0 {
		a[bad] = address
	}
	n, errno := raw(s.number, a)
	name := "ok"
	if errno != 0 {
		name = prog.Name(errno)
	} else if s.opens {
		raw(syscall.SYS_CLOSE, [6]uintptr{n})
	}
	fmt.Println(s.name, bad, what, name)
}

// inside makes a fresh directory with something in it the working directory.
func inside() {
	dir, err := os.MkdirTemp("", "pointers")
	prog.Must(err)
	prog.Must(os.Chdir(dir))
	prog.Must(os.WriteFile("f", []byte("0123456789"), 0o644))
	prog.Must(os.Mkdir("d", 0o755))
	prog.Must(os.Symlink("f", "l"))
	// The test ends by the process's end; its files are a few bytes.
}

func open(name string, flags int) int {
	fd, err := syscall.Open(name, flags|syscall.O_CLOEXEC, 0o644)
	prog.Must(err)
	return fd
}
