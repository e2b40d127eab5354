package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

func flock() {
	a, _ := os.Create("f")
	b, _ := os.Open("f")
	lock := func(f *os.File, how int) error { return syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB) }
	show("a shared", lock(a, syscall.LOCK_SH))
	show("b shared", lock(b, syscall.LOCK_SH))
	show("a exclusive", lock(a, syscall.LOCK_EX))
	show("b unlock", lock(b, syscall.LOCK_UN))
	show("a exclusive", lock(a, syscall.LOCK_EX))
	show("b shared", lock(b, syscall.LOCK_SH))
	done := make(chan error)
	go func() { done <- syscall.Flock(int(b.Fd()), syscall.LOCK_EX) }()
	time.Sleep(20 * time.Millisecond)
	select {
	case <-done:
		fmt.Println("did not wait")
	default:
	}
	a.Close()
	show("b waited", <-done)
	c, _ := os.Open("f")
	show("c", lock(c, syscall.LOCK_EX))
	d, _ := syscall.Dup(int(b.Fd()))
	b.Close()
	show("c while a duplicate lives", lock(c, syscall.LOCK_EX))
	syscall.Close(d)
	show("c", lock(c, syscall.LOCK_EX))
	show("bad", syscall.Flock(int(c.Fd()), 99))
}

const (
	ofdGet  = 36
	ofdSet  = 37
	ofdWait = 38
)

func record(f *os.File, command int, kind int16, start, length int64) {
	lock := syscall.Flock_t{Type: kind, Start: start, Len: length}
	err := syscall.FcntlFlock(f.Fd(), command, &lock)
	if command == ofdGet || command == syscall.F_GETLK {
		fmt.Println("get", lock.Type, lock.Start, lock.Len, lock.Pid == -1, err)
		return
	}
	fmt.Println(command, kind, start, length, err)
}

func records() {
	write("f", strings.Repeat("x", 1000))
	a, _ := os.OpenFile("f", os.O_RDWR, 0)
	b, _ := os.OpenFile("f", os.O_RDWR, 0)
	record(a, syscall.F_SETLK, syscall.F_WRLCK, 0, 100)
	record(b, syscall.F_SETLK, syscall.F_WRLCK, 50, 100)
	record(b, syscall.F_GETLK, syscall.F_WRLCK, 0, 0)
	record(b, ofdSet, syscall.F_WRLCK, 0, 10)
	record(b, ofdGet, syscall.F_WRLCK, 0, 10)
	record(a, syscall.F_SETLK, syscall.F_UNLCK, 0, 0)
	record(b, ofdSet, syscall.F_WRLCK, 0, 10)
	record(a, ofdSet, syscall.F_RDLCK, 0, 0)
	record(a, ofdSet, syscall.F_RDLCK, 10, 0)
	record(b, ofdSet, syscall.F_RDLCK, 20, 5)
	record(b, ofdSet, syscall.F_WRLCK, 20, 5)
	record(a, ofdSet, syscall.F_UNLCK, 15, 20)
	record(b, ofdSet, syscall.F_WRLCK, 20, 5)
	record(b, ofdGet, syscall.F_WRLCK, 5, 7)
	record(a, ofdGet, syscall.F_WRLCK, 0, 0)
	done := make(chan bool)
	released := make(chan bool)
	go func() {
		lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 22, Len: 1}
		err := syscall.FcntlFlock(a.Fd(), ofdWait, &lock)
		<-released
		fmt.Println("waited", err)
		done <- true
	}()
	time.Sleep(20 * time.Millisecond)
	record(b, ofdSet, syscall.F_UNLCK, 0, 0)
	close(released)
	<-done
	record(b, syscall.F_SETLK, 9, 0, 0)
	record(b, syscall.F_SETLK, syscall.F_RDLCK, -5, 0)
	c, _ := os.Open("f")
	record(c, syscall.F_SETLK, syscall.F_WRLCK, 500, 1)
	a.Close()
	record(b, ofdSet, syscall.F_WRLCK, 0, 0)
}

func devices() {
	for _, name := range []string{"null", "zero", "full", "urandom", "random"} {
		f, err := os.OpenFile("/dev/"+name, os.O_RDWR, 0)
		check(err)
		info, _ := f.Stat()
		st := info.Sys().(*syscall.Stat_t)
		fmt.Println(name, info.Mode(), st.Rdev>>8, st.Rdev&255)
		n, err := f.Write([]byte("hello"))
		fmt.Println(n, err)
		b := make([]byte, 5000)
		n, err = f.Read(b)
		sum := 0
		for _, x := range b[:n] {
			sum += int(x)
		}
		fmt.Println(n, err, sum == 0, strings.HasSuffix(name, "random") == (sum > 300000))
		at, err := f.Seek(100, 0)
		fmt.Println(at, err)
		f.Close()
	}
	_, err := os.OpenFile("/dev/null", os.O_RDWR|os.O_TRUNC|os.O_CREATE, 0o644)
	show("truncate", err)
	_, err = os.Stat("/dev/shm")
	show("shm", err)
}

func vector() {
	f, _ := os.Create("f")
	defer f.Close()
	fd := f.Fd()
	a, b, c := []byte("one"), []byte("twotwo"), make([]byte, 0, 1)
	iov := []syscall.Iovec{{Base: &a[0], Len: 3}, {Base: nil, Len: 0}, {Base: &b[0], Len: 6}}
	call := func(number, offset uintptr, count int) {
		n, _, errno := syscall.Syscall6(number, fd, uintptr(unsafe.Pointer(&iov[0])), uintptr(count), offset, 0, 0)
		fmt.Println(int(n), errno)
	}
	call(syscall.SYS_WRITEV, 0, 3)
	call(296, 100, 3)
	cat("f")
	for i := range b {
		b[i] = '-'
	}
	call(295, 101, 3)
	fmt.Println(string(a), string(b), len(c))
	call(syscall.SYS_READV, 0, 3)
	f.Seek(0, 0)
	call(syscall.SYS_READV, 0, 3)
	fmt.Println(string(a), string(b))
	call(syscall.SYS_READV, 0, 0)
	call(syscall.SYS_READV, 0, 1025)
	*(*uintptr)(unsafe.Pointer(&iov[0].Base)) = 0xffff888000000000
	call(syscall.SYS_WRITEV, 0, 3)
	iov[0] = syscall.Iovec{Base: &a[0], Len: 1 << 63}
	call(syscall.SYS_WRITEV, 0, 3)
	n, _, errno := syscall.Syscall(syscall.SYS_WRITE, fd, 4096, 10)
	fmt.Println(int(n), errno)
	n, _, errno = syscall.Syscall(syscall.SYS_READ, fd, 4096, 0)
	fmt.Println(int(n), errno)
}

func dup() {
	f, _ := os.OpenFile("f", os.O_CREATE|os.O_RDWR, 0o644)
	fd := int(f.Fd())
	g, err := syscall.Dup(fd)
	show("dup", err)
	syscall.Write(fd, []byte("one "))
	syscall.Write(g, []byte("two"))
	cat("f")
	fcntl := func(fd, command, argument int) (int, error) {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), uintptr(command), uintptr(argument))
		return int(n), errno
	}
	show("dup3 same", syscall.Dup3(fd, fd, 0))
	show("dup2 same", syscall.Dup2(fd, fd))
	show("dup3", syscall.Dup3(fd, 500, syscall.O_CLOEXEC))
	n, err := fcntl(500, syscall.F_GETFD, 0)
	fmt.Println(n, err)
	n, err = fcntl(500, syscall.F_SETFD, 0)
	fmt.Println(n, err)
	n, err = fcntl(500, syscall.F_GETFD, 0)
	fmt.Println(n, err)
	n, err = fcntl(fd, syscall.F_DUPFD, 600)
	fmt.Println(n, err)
	n, err = fcntl(fd, syscall.F_DUPFD_CLOEXEC, 600)
	fmt.Println(n, err)
	n, err = fcntl(fd, syscall.F_DUPFD, -1)
	fmt.Println(n, err)
	n, err = fcntl(g, syscall.F_SETFL, syscall.O_APPEND|syscall.O_NONBLOCK)
	fmt.Println(n, err)
	n, err = fcntl(fd, syscall.F_GETFL, 0)
	fmt.Printf("%#x %v\n", n, err)
	n, err = fcntl(fd, 9999, 0)
	fmt.Println(n, err)
	show("dup2 negative", syscall.Dup2(fd, -1))
	show("close", syscall.Close(600))
	show("close", syscall.Close(600))
	var st syscall.Stat_t
	show("fstat", syscall.Fstat(601, &st))
}

func closeRange() {
	f, _ := os.Create("f")
	for i := 700; i < 710; i++ {
		syscall.Dup2(int(f.Fd()), i)
	}
	call := func(first, last, flags uintptr) {
		n, _, errno := syscall.Syscall(436, first, last, flags)
		fmt.Println(int(n), errno)
	}
	call(702, 704, 0)
	call(706, 1000, 4)
	call(5, 4, 0)
	call(5, 6, 99)
	for i := 699; i < 711; i++ {
		n, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(i), syscall.F_GETFD, 0)
		fmt.Println(i, int(n), errno)
	}
}

func statfs() {
	var st syscall.Statfs_t
	check(syscall.Statfs(".", &st))
	fmt.Println(st.Bsize, st.Blocks > 1000, st.Bfree <= st.Blocks, st.Namelen)
	for _, name := range []string{"/proc", "/sys"} {
		check(syscall.Statfs(name, &st))
		fmt.Printf("%s %#x\n", name, st.Type)
	}
	f, _ := os.Open(".")
	show("fstatfs", syscall.Fstatfs(int(f.Fd()), &st))
	show("missing", syscall.Statfs("missing", &st))
}

func exchange() {
	write("a", "A")
	write("b", "B")
	check(os.Mkdir("d", 0o755))
	path := func(s string) uintptr { p, _ := syscall.BytePtrFromString(s); return uintptr(unsafe.Pointer(p)) }
	rename := func(old, new string, flags uintptr) {
		cwd := -100
		_, _, errno := syscall.Syscall6(316, uintptr(cwd), path(old), uintptr(cwd), path(new), flags, 0)
		fmt.Println(old, new, flags, errno)
	}
	rename("a", "b", 1)
	rename("a", "c", 1)
	rename("b", "c", 2)
	cat("b")
	cat("c")
	rename("b", "d", 2)
	stat("b")
	stat("d")
	rename("b", "missing", 2)
	rename("b", "b/x", 2)
	rename("b", "c", 3)
	rename("b", "c", 8)
	tree(".")
}

func paths() {
	check(os.MkdirAll("a/b", 0o755))
	write("a/b/f", "x")
	check(os.Symlink("../b/f", "a/b/l"))
	for _, path := range []string{"a//b///f", "./a/./b/f", "a/b/../b/f", "a/b/l", "a/b/l/", "a/b/", "a/b/.", "a/../a", "a/x/../b/f", "a/b/f/..", "../../../../../../../..", "///"} {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Println(path, err)
			continue
		}
		fmt.Println(path, info.Name(), info.IsDir())
	}
	openat2 := func(path string, flags, resolve uint64) {
		how := [3]uint64{flags, 0, resolve}
		p, _ := syscall.BytePtrFromString(path)
		dir, _ := syscall.Open("a", syscall.O_RDONLY, 0)
		fd, _, errno := syscall.Syscall6(437, uintptr(dir), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&how)), 24, 0, 0)
		fmt.Println(path, resolve, int(fd) >= 0, errno)
	}
	check(os.Symlink("/", "a/abs"))
	check(os.Symlink("b", "a/rel"))
	check(os.Symlink("../..", "a/out"))
	for _, resolve := range []uint64{0, 4, 8, 16} {
		for _, path := range []string{"b/f", "..", "/", "abs", "rel/f", "out", "b/../..", "b/.."} {
			openat2(path, 0, resolve)
		}
	}
	openat2("b", 0, 24)
	openat2("b", 0, 1<<40)
}

func fallocate() {
	f, _ := os.Create("f")
	defer f.Close()
	call := func(mode uint32, offset, length int64) {
		err := syscall.Fallocate(int(f.Fd()), mode, offset, length)
		info, _ := f.Stat()
		fmt.Println(mode, offset, length, err, info.Size(), info.Sys().(*syscall.Stat_t).Blocks)
	}
	call(0, 0, 10000)
	call(1, 10000, 10000)
	f.WriteAt([]byte(strings.Repeat("z", 20000)), 0)
	call(3, 4096, 4096)
	call(3, 100, 50)
	call(0x10, 9000, 100)
	call(0, -1, 10)
	call(0, 0, 0)
	call(2, 0, 10)
	call(0, 1<<62, 1<<62)
	b, _ := os.ReadFile("f")
	runs := []string{}
	for i := 0; i < len(b); {
		j := i
		for j < len(b) && b[j] == b[i] {
			j++
		}
		runs = append(runs, fmt.Sprintf("%d*%d", j-i, b[i]))
		i = j
	}
	fmt.Println(runs)
	r, _ := os.Open("f")
	show("read-only", syscall.Fallocate(int(r.Fd()), 0, 0, 1))
}

func owners() {
	write("f", "x")
	show("chown", os.Chown("f", -1, -1))
	if os.Getuid() == 0 {
		show("chown", os.Chown("f", 123, 456))
		info, _ := os.Stat("f")
		st := info.Sys().(*syscall.Stat_t)
		fmt.Println(st.Uid, st.Gid)
		check(os.Chmod("f", 0o4755))
		show("chown", os.Chown("f", 0, 0))
		stat("f")
		check(os.Chmod("f", 0o000))
		cat("f")
	}
	os.Symlink("f", "s")
	show("lchown", os.Lchown("s", os.Getuid(), os.Getgid()))
	show("missing", os.Chown("missing", 0, 0))
}

func fifo() {
	check(syscall.Mkfifo("p", 0o600))
	stat("p")
	done := make(chan string)
	go func() {
		b, err := os.ReadFile("p")
		done <- fmt.Sprintf("%q %v", b, err)
	}()
	f, err := os.OpenFile("p", os.O_WRONLY, 0)
	check(err)
	f.WriteString("through the fifo")
	f.Close()
	fmt.Println(<-done)
	_, err = os.OpenFile("p", os.O_WRONLY|syscall.O_NONBLOCK, 0)
	show("no reader", err)
	r, err := os.OpenFile("p", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	show("reader", err)
	w, err := os.OpenFile("p", os.O_WRONLY|syscall.O_NONBLOCK, 0)
	show("writer", err)
	w.WriteString("again")
	b := make([]byte, 10)
	n, err := r.Read(b)
	fmt.Println(string(b[:n]), err)
	show("block device", syscall.Mknod("b", syscall.S_IFREG|0o644, 0))
	stat("b")
	show("existing", syscall.Mkfifo("p", 0o600))
}

func xattr() {
	write("f", "x")
	check(os.Mkdir("d", 0o755))
	check(os.Symlink("f", "l"))
	check(syscall.Mkfifo("p", 0o600))
	b := make([]byte, 100)
	get := func(name, attribute string) {
		n, err := syscall.Getxattr(name, attribute, b)
		if n < 0 {
			n = 0
		}
		fmt.Printf("get %s %s %q %v\n", name, attribute, b[:n], err)
	}
	list := func(name string) {
		n, err := syscall.Listxattr(name, b)
		if n < 0 {
			n = 0
		}
		fmt.Printf("list %s %q %v\n", name, b[:n], err)
	}
	set := func(name, attribute, value string, flags int) {
		fmt.Println("set", name, attribute, flags, syscall.Setxattr(name, attribute, []byte(value), flags))
	}
	get("missing", "user.x")
	get("f", "user.x")
	list("f")
	for _, attribute := range []string{"user.b", "user.a", "user.c"} {
		set("f", attribute, "value of "+attribute, 0)
	}
	list("f")
	get("f", "user.a")
	get("l", "user.a")
	set("f", "user.a", "new", 1)
	set("f", "user.a", "new", 2)
	set("f", "user.z", "new", 2)
	set("f", "user.z", "", 1)
	set("f", "user.y", "both", 3)
	set("f", "user.y", "flags", 4)
	get("f", "user.z")
	n, err := syscall.Getxattr("f", "user.a", nil)
	fmt.Println(n, err)
	_, err = syscall.Getxattr("f", "user.a", b[:2])
	show("small", err)
	_, err = syscall.Listxattr("f", b[:2])
	show("small list", err)
	show("remove", syscall.Removexattr("f", "user.a"))
	show("remove again", syscall.Removexattr("f", "user.a"))
	list("f")
	for _, attribute := range []string{"", "user", "user.", "name", ".x", "system.x", strings.Repeat("x", 255),
		"user." + strings.Repeat("x", 250), "user." + strings.Repeat("x", 251)} {
		set("f", attribute, "v", 0)
		get("d", attribute)
		show("remove", syscall.Removexattr("d", attribute))
	}
	set("d", "user.dir", "of a directory", 0)
	get("d", "user.dir")
	set("p", "user.fifo", "of a fifo", 0)
	get("p", "user.fifo")
	set("/proc/self/status", "user.x", "x", 0)
	get("/proc/self/status", "user.x")
	list("/proc/self/status")
	show("large", syscall.Setxattr("f", "user.large", make([]byte, 65536), 0))
	show("too large", syscall.Setxattr("f", "user.larger", make([]byte, 65537), 0))
	check(os.Link("f", "g"))
	get("g", "user.c")
	check(os.Rename("g", "h"))
	get("h", "user.c")
}

func self() {
	exe, err := os.Executable()
	fmt.Println(exe != "", err)
	link, err := os.Readlink("/proc/self/exe")
	fmt.Println(link == exe, err)
	f, _ := os.Create("f")
	top, _ := os.Getwd()
	link, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	fmt.Println(strings.TrimPrefix(link, top), err)
	f.WriteString("abc")
	cat2, err := os.ReadFile(fmt.Sprintf("/dev/fd/%d", f.Fd()))
	fmt.Println(string(cat2), err)
	os.Remove("f")
	link, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	fmt.Println(strings.TrimPrefix(link, top), err)
	link, err = os.Readlink("/proc/self/cwd")
	fmt.Println(link == top, err)
	self, err := os.Readlink("/proc/self")
	fmt.Println(self == fmt.Sprint(os.Getpid()), err)
	b, err := os.ReadFile("/proc/self/cmdline")
	fmt.Println(strings.Count(string(b), "\x00") == len(os.Args), err)
	exeInfo, err := os.Stat("/proc/self/exe")
	check(err)
	ours, err := os.Stat(exe)
	check(err)
	fmt.Println(os.SameFile(exeInfo, ours))
	_, err = os.OpenFile(exe, os.O_WRONLY, 0)
	show("text busy", err.(*os.PathError).Err)
}
