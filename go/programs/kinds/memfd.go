package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const (
	addSeals = 1033
	getSeals = 1034
)

func newMemfd(name string, flags uintptr) int {
	fd, errno := prog.Call(sysMemfdCreate, path(name), flags)
	prog.Check(errno == "ok", "memfd_create: %s", errno)
	return fd
}

func memfd() {
	fd := newMemfd("name with spaces", 1)
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	fmt.Println(link, err)
	var st syscall.Stat_t
	prog.Must(syscall.Fstat(fd, &st))
	fmt.Printf("%o %d %d %d\n", st.Mode, st.Nlink, st.Size, st.Blocks)
	var fs syscall.Statfs_t
	prog.Must(syscall.Fstatfs(fd, &fs))
	fmt.Printf("%#x\n", fs.Type)
	prog.Show("F_GETFD", 0, "")
	n, name := prog.Call(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
	prog.Show("F_GETFD", n, name)
	n, name = prog.Call(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	fmt.Printf("%#x %s\n", n, name)
	n, err = syscall.Write(fd, []byte("in memory"))
	fmt.Println(n, err)
	prog.Must(syscall.Ftruncate(fd, 10000))
	m, err := syscall.Mmap(fd, 0, 10000, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	prog.Must(err)
	fmt.Println(string(m[:9]), m[9999])
	copy(m[3:], "the map")
	b := make([]byte, 20)
	n, err = syscall.Pread(fd, b, 0)
	fmt.Printf("%q %v\n", b[:n], err)
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDWR, 0)
	prog.Must(err)
	fmt.Fprint(again, "reopened")
	fmt.Println(string(m[:10]))
	prog.Must(syscall.Fchmod(fd, 0o600))
	prog.Must(syscall.Fstat(fd, &st))
	fmt.Printf("%o\n", st.Mode)
	maps, err := os.ReadFile("/proc/self/maps")
	prog.Must(err)
	fmt.Println(strings.Contains(string(maps), "/memfd:name with spaces (deleted)"))
	for _, flags := range []uintptr{0x20, 0x18, 0x80000000} {
		n, name = prog.Call(sysMemfdCreate, path("x"), flags)
		prog.Show("flags", n, name)
	}
	n, name = prog.Call(sysMemfdCreate, path(strings.Repeat("n", 250)), 0)
	prog.Show("long name", n, name)
	n, name = prog.Call(sysMemfdCreate, path(strings.Repeat("n", 249)), 0)
	fmt.Println(n > 0, name)
	n, name = prog.Call(sysMemfdCreate, 4096, 0)
	prog.Show("bad address", n, name)
	n, name = prog.Call(sysMemfdCreate, path(""), 0)
	fmt.Println(n > 0, name)
	a := newMemfd("", 8)
	prog.Must(syscall.Fstat(a, &st))
	fmt.Printf("%o\n", st.Mode)
	n, name = prog.Call(syscall.SYS_FCNTL, uintptr(a), getSeals, 0)
	prog.Show("seals", n, name)
	fmt.Println(syscall.Fchmod(a, 0o777), syscall.Fchmod(a, 0o644))
}

func seals() {
	seal := func(fd int, seals uintptr) {
		n, name := prog.Call(syscall.SYS_FCNTL, uintptr(fd), addSeals, seals)
		m, _ := prog.Call(syscall.SYS_FCNTL, uintptr(fd), getSeals, 0)
		fmt.Println("seal", seals, n, name, m)
	}
	try := func(fd int) {
		n, err := syscall.Pwrite(fd, []byte("12"), 0)
		fmt.Print("write ", n, " ", prog.Name(err))
		n, err = syscall.Pwrite(fd, []byte("12"), 4095)
		fmt.Print(", over the end ", n, " ", prog.Name(err))
		fmt.Print(", grow ", prog.Name(syscall.Ftruncate(fd, 8192)))
		fmt.Print(", shrink ", prog.Name(syscall.Ftruncate(fd, 4096)))
		fmt.Print(", punch ", prog.Name(syscall.Fallocate(fd, 3, 0, 4096)))
		fmt.Print(", allocate ", prog.Name(syscall.Fallocate(fd, 0, 4096, 4096)))
		fmt.Print(", same size ", prog.Name(syscall.Ftruncate(fd, 4096)))
		for _, protection := range []int{syscall.PROT_READ, syscall.PROT_READ | syscall.PROT_WRITE} {
			for _, how := range []int{syscall.MAP_SHARED, syscall.MAP_PRIVATE} {
				m, err := syscall.Mmap(fd, 0, 4096, protection, how)
				fmt.Print(", map ", protection, how, " ", prog.Name(err))
				if err == nil {
					fmt.Print(" ", prog.Name(syscall.Mprotect(m, syscall.PROT_READ|syscall.PROT_WRITE)))
					syscall.Munmap(m)
				}
			}
		}
		fmt.Println()
	}
	for _, s := range []uintptr{0, 2, 4, 6, 8, 16, 14} {
		fd := newMemfd("s", 2)
		prog.Must(syscall.Ftruncate(fd, 4096))
		seal(fd, s)
		try(fd)
		seal(fd, 1)
		seal(fd, 2)
	}
	fd := newMemfd("s", 2)
	prog.Must(syscall.Ftruncate(fd, 4096))
	m, err := syscall.Mmap(fd, 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	prog.Must(err)
	seal(fd, 8)
	seal(fd, 16)
	prog.Must(syscall.Munmap(m))
	seal(fd, 8)
	seal(fd, 64)
	plain := newMemfd("s", 0)
	seal(plain, 2)
	r, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", newMemfd("s", 2)))
	prog.Must(err)
	seal(int(r.Fd()), 2)
	f, err := os.Create("f")
	prog.Must(err)
	seal(int(f.Fd()), 2)
	p, _ := pipe()
	seal(p, 2)
	d, _ := os.Open(".")
	seal(int(d.Fd()), 2)
	exec := newMemfd("s", 2)
	seal(exec, 32)
	fmt.Println(prog.Name(syscall.Fchmod(exec, 0o666)), prog.Name(syscall.Fchmod(exec, 0o711)))
}

// readOnlyMapping: a shared mapping of a file opened for reading never becomes writable.
func readOnlyMapping() {
	prog.Must(os.WriteFile("f", make([]byte, 3*4096), 0o644))
	r, err := os.Open("f")
	prog.Must(err)
	const rw = syscall.PROT_READ | syscall.PROT_WRITE
	m, err := syscall.Mmap(int(r.Fd()), 0, 3*4096, syscall.PROT_READ, syscall.MAP_SHARED)
	prog.Must(err)
	fmt.Println(prog.Name(syscall.Mprotect(m, rw)), prog.Name(syscall.Mprotect(m, syscall.PROT_NONE)), prog.Name(syscall.Mprotect(m, syscall.PROT_READ)))
	_, err = syscall.Mmap(int(r.Fd()), 0, 4096, rw, syscall.MAP_SHARED)
	fmt.Println(prog.Name(err))
	p, err := syscall.Mmap(int(r.Fd()), 0, 4096, rw, syscall.MAP_PRIVATE)
	prog.Must(err)
	p[0] = 'x'
	fmt.Println(m[0])
	w, err := os.OpenFile("f", os.O_WRONLY, 0)
	prog.Must(err)
	_, err = syscall.Mmap(int(w.Fd()), 0, 4096, syscall.PROT_WRITE, syscall.MAP_SHARED)
	fmt.Println("write-only", prog.Name(err))
	both, err := os.OpenFile("f", os.O_RDWR, 0)
	prog.Must(err)
	// One call over what may and what may not be written: the first part changes.
	at := uintptr(unsafe.Pointer(&m[0]))
	n, name := prog.Call(syscall.SYS_MMAP, at, 4096, syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_FIXED, both.Fd(), 0)
	fmt.Println(n > 0, name)
	n, name = prog.Call(syscall.SYS_MPROTECT, at, 2*4096, rw)
	prog.Show("over both", n, name)
	m[5] = 'y'
	b := make([]byte, 10)
	r.ReadAt(b, 0)
	fmt.Println(b)
}
