package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const page = 4096

// reserve gives the address of fresh memory, with an unmapped page on either side.
func reserve(pages int, protection uintptr, flags uintptr) uintptr {
	at, name := prog.Call(syscall.SYS_MMAP, 0, uintptr(pages+2)*page, protection, flags|syscall.MAP_ANON, ^uintptr(0), 0)
	prog.Check(name == "ok", "mmap: %s", name)
	prog.Call(syscall.SYS_MUNMAP, uintptr(at), page)
	prog.Call(syscall.SYS_MUNMAP, uintptr(at)+uintptr(pages+1)*page, page)
	return uintptr(at) + page
}

func at(address uintptr) *byte { return *(**byte)(unsafe.Pointer(&address)) }

const rw = syscall.PROT_READ | syscall.PROT_WRITE

// advice shows what each advice says to mapped, half-mapped and misaligned ranges.
func advice() {
	memory := reserve(4, rw, syscall.MAP_PRIVATE)
	// Not those that a CONFIG option takes out of some kernels: poison, merging, huge pages.
	for _, a := range []uintptr{0, 1, 2, 3, 4, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23, 24, 99} {
		if a == 9 {
			continue
		}
		*at(memory) = 1
		n, name := prog.Call(syscall.SYS_MADVISE, memory, 2*page, a)
		fmt.Print(a, " ", n, " ", name)
		_, name = prog.Call(syscall.SYS_MADVISE, memory+2*page, 3*page, a)
		fmt.Print(", over the end ", name)
		_, name = prog.Call(syscall.SYS_MADVISE, memory+8, page, a)
		fmt.Print(", misaligned ", name)
		_, name = prog.Call(syscall.SYS_MADVISE, memory, 0, a)
		fmt.Print(", nothing ", name)
		_, name = prog.Call(syscall.SYS_MADVISE, memory, ^uintptr(0)-page+1, a)
		fmt.Print(", wrapping ", name)
		_, name = prog.Call(syscall.SYS_MADVISE, 1<<47, page, a)
		fmt.Println(", kernel", name)
	}
	fd, name := prog.Call(sysPidfdOpen, uintptr(syscall.Getpid()), 0)
	iov := syscall.Iovec{Base: at(memory), Len: page}
	n, name := prog.Call(sysProcMadvise, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, 20, 0)
	prog.Show("process_madvise", n, name)
	n, name = prog.Call(sysProcMadvise, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, 99, 0)
	prog.Show("advice", n, name)
	n, name = prog.Call(sysProcMadvise, 0, uintptr(unsafe.Pointer(&iov)), 1, 20, 0)
	prog.Show("no pidfd", n, name)
}

// remove punches holes into files through mappings of them.
func remove() {
	f, err := os.CreateTemp("", "calls")
	prog.Must(err)
	defer os.Remove(f.Name())
	for i := range make([]struct{}, 4) {
		f.Write(make([]byte, page-1))
		f.Write([]byte{byte(i + 1)})
	}
	blocks := func() int64 {
		var st syscall.Stat_t
		prog.Must(syscall.Fstat(int(f.Fd()), &st))
		return st.Blocks
	}
	fmt.Println(blocks())
	m, err := syscall.Mmap(int(f.Fd()), page, 3*page, rw, syscall.MAP_SHARED)
	prog.Must(err)
	m[0], m[page] = 'a', 'b'
	show2 := func(what string, err error) {
		b, _ := os.ReadFile(f.Name())
		fmt.Println(what, prog.Name(err), blocks(), b[page-1], b[page], b[2*page-1], b[2*page], b[3*page-1], b[4*page-1], m[0], m[page])
	}
	show2("before", nil)
	show2("remove", syscall.Madvise(m[:page], 9))
	m[0] = 'c'
	show2("again", nil)
	show2("all", syscall.Madvise(m, 9))
	show2("dontneed", syscall.Madvise(m, 4))
	private, err := syscall.Mmap(int(f.Fd()), 0, page, rw, syscall.MAP_PRIVATE)
	prog.Must(err)
	show2("private", syscall.Madvise(private, 9))
	r, err := os.Open(f.Name())
	prog.Must(err)
	reading, err := syscall.Mmap(int(r.Fd()), 0, page, syscall.PROT_READ, syscall.MAP_SHARED)
	prog.Must(err)
	show2("read-only", syscall.Madvise(reading, 9))
	anonymous := reserve(2, rw, syscall.MAP_PRIVATE)
	n, name := prog.Call(syscall.SYS_MADVISE, anonymous, page, 9)
	prog.Show("anonymous", n, name)
	both := reserve(2, rw, syscall.MAP_SHARED)
	*at(both) = 1
	n, name = prog.Call(syscall.SYS_MADVISE, both, page, 9)
	fmt.Println("shared anonymous", n, name, *at(both))
}

// core is mincore(2).
func core() {
	memory := reserve(8, rw, syscall.MAP_PRIVATE)
	prog.Call(syscall.SYS_MADVISE, memory, 8*page, 15)
	vector := make([]byte, 16)
	v := uintptr(unsafe.Pointer(&vector[0]))
	n, name := prog.Call(syscall.SYS_MINCORE, memory, 8*page, v)
	fmt.Println("untouched", n, name, vector[0]&1)
	for i := uintptr(0); i < 8; i++ {
		*at(memory + i*page) = 1
	}
	n, name = prog.Call(syscall.SYS_MINCORE, memory, 7*page+1, v)
	fmt.Println("touched", n, name, vector[0]&1, vector[7]&1, vector[8])
	prog.Call(syscall.SYS_MADVISE, memory, 8*page, 4)
	n, name = prog.Call(syscall.SYS_MINCORE, memory, page, v)
	fmt.Println("given back", n, name, vector[0]&1)
	n, name = prog.Call(syscall.SYS_MINCORE, memory, 9*page, v)
	prog.Show("over the end", n, name)
	n, name = prog.Call(syscall.SYS_MINCORE, memory+1, page, v)
	prog.Show("misaligned", n, name)
	n, name = prog.Call(syscall.SYS_MINCORE, memory, page, 4096)
	prog.Show("vector", n, name)
	n, name = prog.Call(syscall.SYS_MINCORE, memory, 0, v)
	prog.Show("nothing", n, name)
	n, name = prog.Call(syscall.SYS_MINCORE, 1<<47, page, v)
	prog.Show("kernel", n, name)
	f, err := os.CreateTemp("", "calls")
	prog.Must(err)
	defer os.Remove(f.Name())
	f.Write(make([]byte, page))
	prog.Must(f.Truncate(3 * page))
	m, err := syscall.Mmap(int(f.Fd()), 0, 4*page, rw, syscall.MAP_SHARED)
	prog.Must(err)
	n, name = prog.Call(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), 4*page, v)
	fmt.Println("file", n, name, vector[0]&1, vector[1]&1, vector[2]&1, vector[3]&1)
}

// grows: MAP_GROWSDOWN and mprotect's PROT_GROWS*.
func grows() {
	memory := reserve(16, rw, syscall.MAP_PRIVATE)
	top := memory + 8*page
	prog.Call(syscall.SYS_MUNMAP, memory, 16*page)
	n, name := prog.Call(syscall.SYS_MMAP, top, page, rw, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_FIXED|syscall.MAP_GROWSDOWN, ^uintptr(0), 0)
	fmt.Println(uintptr(n) == top, name)
	*at(top) = 1
	*at(top - 1) = 2
	*at(top - 3*page) = 3
	fmt.Println(*at(top), *at(top - 1), *at(top - 3*page))
	n, name = prog.Call(syscall.SYS_MPROTECT, top, page, syscall.PROT_READ|0x01000000)
	prog.Show("grows down", n, name)
	n, name = prog.Call(syscall.SYS_MPROTECT, top-3*page, page, rw)
	prog.Show("writable again", n, name)
	*at(top - 3*page) = 4
	fmt.Println(*at(top - 3*page))
	plain := reserve(2, rw, syscall.MAP_PRIVATE)
	n, name = prog.Call(syscall.SYS_MPROTECT, plain, page, rw|0x01000000)
	prog.Show("grows down, but does not", n, name)
	n, name = prog.Call(syscall.SYS_MPROTECT, plain, page, rw|0x02000000)
	prog.Show("grows up", n, name)
	n, name = prog.Call(syscall.SYS_MPROTECT, plain, page, rw|0x03000000)
	prog.Show("both", n, name)
	f, err := os.CreateTemp("", "calls")
	prog.Must(err)
	defer os.Remove(f.Name())
	n, name = prog.Call(syscall.SYS_MMAP, 0, page, rw, syscall.MAP_SHARED|syscall.MAP_GROWSDOWN, f.Fd(), 0)
	prog.Show("shared", n, name)
}

// shared: anonymous shared memory behaves as private memory does here, where nobody else sees it, but keeps its bytes.
func shared() {
	memory := reserve(4, rw, syscall.MAP_SHARED)
	*at(memory) = 7
	n, name := prog.Call(syscall.SYS_MADVISE, memory, page, 4)
	fmt.Println("dontneed", n, name, *at(memory))
	n, name = prog.Call(syscall.SYS_MSYNC, memory, page, 4)
	prog.Show("msync", n, name)
	n, name = prog.Call(syscall.SYS_MREMAP, memory, page, 2*page, 0)
	prog.Show("remap in place", n, name)
	n, name = prog.Call(syscall.SYS_MREMAP, memory, 4*page, 3*page, 1)
	fmt.Println(uintptr(n) == memory, name, *at(memory))
	n, name = prog.Call(syscall.SYS_MMAP, 0, page, rw, syscall.MAP_ANON, ^uintptr(0), 0)
	prog.Show("neither", n, name)
	n, name = prog.Call(syscall.SYS_MMAP, 0, page, rw, 3|syscall.MAP_ANON, ^uintptr(0), 0)
	prog.Show("validate", min(n, 0), name)
	n, name = prog.Call(syscall.SYS_MMAP, 0, page, rw, 3|syscall.MAP_ANON|0x80000, ^uintptr(0), 0)
	prog.Show("validate, MAP_SYNC", min(n, 0), name)
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// zeroMap maps /dev/zero, which is anonymous memory.
func zeroMap() {
	f, err := os.OpenFile("/dev/zero", os.O_RDWR, 0)
	prog.Must(err)
	for _, how := range []int{syscall.MAP_PRIVATE, syscall.MAP_SHARED} {
		m, err := syscall.Mmap(int(f.Fd()), 0, 3*page, rw, how)
		prog.Must(err)
		fmt.Println(m[0], m[2*page])
		m[5] = 9
		fmt.Println(m[5])
		prog.Must(syscall.Munmap(m))
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	prog.Must(err)
	_, err = syscall.Mmap(int(null.Fd()), 0, page, syscall.PROT_READ, syscall.MAP_PRIVATE)
	fmt.Println("null", prog.Name(err))
	d, err := os.Open("/")
	prog.Must(err)
	_, err = syscall.Mmap(int(d.Fd()), 0, page, syscall.PROT_READ, syscall.MAP_PRIVATE)
	fmt.Println("directory", prog.Name(err))
}
