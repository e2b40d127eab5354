package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"ringo.dev/go/internal/prog"
)

func fdPath(fd uintptr) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func descriptors() {
	dir := os.TempDir()
	file, err := os.Create(dir + "/procfs-file")
	prog.Must(err)
	read, write, err := os.Pipe()
	prog.Must(err)
	event, _, _ := syscall.Syscall(syscall.SYS_EVENTFD2, 0, 0, 0)
	timer, _, _ := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, 1, 0, 0)
	epoll, err := syscall.EpollCreate1(0)
	prog.Must(err)
	folder, err := os.Open(dir)
	prog.Must(err)
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	prog.Must(err)
	status, err := os.Open(self("status"))
	prog.Must(err)
	var st syscall.Stat_t
	prog.Must(syscall.Fstat(int(read.Fd()), &st))
	show := func(fd uintptr) {
		target, err := os.Readlink(fdPath(fd))
		target = strings.ReplaceAll(target, fmt.Sprint(st.Ino), "INODE")
		target = strings.ReplaceAll(target, fmt.Sprint(os.Getpid()), "PID")
		link, e := os.Lstat(fdPath(fd))
		prog.Must(e)
		fmt.Println(strings.ReplaceAll(target, dir, "DIR"), link.Mode(), link.Size(), prog.Name(err))
		var a, b syscall.Stat_t
		prog.Must(syscall.Fstat(int(fd), &a))
		prog.Must(syscall.Stat(fdPath(fd), &b))
		prog.Check(a.Ino == b.Ino && a.Mode == b.Mode && a.Dev == b.Dev, "stat %s: %v %v", target, a, b)
	}
	for _, fd := range []uintptr{file.Fd(), read.Fd(), write.Fd(), event, timer, uintptr(epoll), folder.Fd(), null.Fd(), status.Fd()} {
		show(fd)
	}
	prog.Must(os.Rename(dir+"/procfs-file", dir+"/procfs renamed"))
	show(file.Fd())
	prog.Must(os.Remove(dir + "/procfs renamed"))
	show(file.Fd())
	syscall.Close(int(event))
	_, err = os.Readlink(fdPath(event))
	fmt.Println(prog.Name(err))
	for _, name := range []string{"-1", "00", "01", "+1", "x", "999999", "4294967297", "0x1"} {
		_, err = os.Lstat("/proc/self/fd/" + name)
		fmt.Println(name, prog.Name(err))
	}
	// Through a descriptor of a directory.
	target, err := os.ReadDir(fdPath(folder.Fd()))
	fmt.Println(err == nil, len(target) >= 0)
	_, err = os.Stat(fdPath(folder.Fd()) + "/..")
	fmt.Println(prog.Name(err))
	_, err = os.Stat(fdPath(null.Fd()) + "/x")
	fmt.Println(prog.Name(err))
}

func reopen() {
	name := os.TempDir() + "/procfs-reopen"
	prog.Must(os.WriteFile(name, []byte("0123456789"), 0o644))
	file, err := os.Open(name)
	prog.Must(err)
	io.ReadFull(file, make([]byte, 5))
	// A new open file: its own position and mode.
	again, err := os.OpenFile(fdPath(file.Fd()), os.O_RDWR, 0)
	prog.Must(err)
	all, err := io.ReadAll(again)
	fmt.Println(string(all), prog.Name(err))
	_, err = again.WriteAt([]byte("abc"), 2)
	fmt.Println(prog.Name(err), text(name))
	// Even when the name is gone.
	prog.Must(os.Remove(name))
	gone, err := os.Open(fdPath(file.Fd()))
	fmt.Println(prog.Name(err))
	all, _ = io.ReadAll(gone)
	fmt.Println(string(all))
	fmt.Println(text(fdPath(file.Fd())))
	// Truncated by its link.
	prog.Must(os.Truncate(fdPath(again.Fd()), 4))
	fmt.Println(text("/dev/fd/" + fmt.Sprint(again.Fd())))
	read, write, err := os.Pipe()
	prog.Must(err)
	other, err := os.OpenFile(fdPath(read.Fd()), os.O_WRONLY, 0)
	fmt.Println("pipe:", prog.Name(err))
	other.WriteString("the other way")
	write.Close()
	other.Close()
	all, err = io.ReadAll(read)
	fmt.Println(string(all), prog.Name(err))
	event, _, _ := syscall.Syscall(syscall.SYS_EVENTFD2, 0, 0, 0)
	_, err = os.OpenFile(fdPath(event), os.O_RDWR, 0)
	fmt.Println("eventfd:", prog.Name(err))
	out, err := os.OpenFile("/dev/stdout", os.O_WRONLY|os.O_APPEND, 0)
	prog.Must(err)
	fmt.Fprintln(out, "through /dev/stdout")
	out.Close()
	out, err = os.OpenFile("/proc/self/fd/1", os.O_WRONLY|os.O_APPEND, 0)
	prog.Must(err)
	out.Close()
	fmt.Println("standard output is still open")
	in, err := os.ReadFile("/dev/stdin")
	fmt.Printf("%q %s\n", in, prog.Name(err))
}

func infos() {
	file, err := os.CreateTemp("", "procfs")
	prog.Must(err)
	file.WriteString("0123456789")
	name := func(fd int) string { return fmt.Sprintf("/proc/self/fdinfo/%d", fd) }
	info := table(name(int(file.Fd())))
	has("fdinfo", info, "pos flags mnt_id ino")
	var st syscall.Stat_t
	prog.Must(syscall.Fstat(int(file.Fd()), &st))
	fmt.Println(info["pos"], info["flags"], info["ino"] == fmt.Sprint(st.Ino), number(info["mnt_id"]) > 0)
	fd, err := syscall.Open(file.Name(), syscall.O_WRONLY|syscall.O_APPEND|syscall.O_NONBLOCK, 0)
	prog.Must(err)
	fmt.Println(table(name(fd))["flags"])
	fd, err = syscall.Open("/", syscall.O_RDONLY|syscall.O_DIRECTORY|0x200000, 0)
	prog.Must(err)
	fmt.Println(table(name(fd))["flags"], table(name(fd))["pos"])
	r, _, err := os.Pipe()
	prog.Must(err)
	fmt.Println(table(name(int(r.Fd())))["pos"], table(name(int(r.Fd())))["flags"])
	event, _, _ := syscall.Syscall(syscall.SYS_EVENTFD2, 3, 0, 0)
	fmt.Println(table(name(int(event)))["eventfd-count"])
	// The mount is one of mountinfo's.
	found := false
	for _, line := range lines(self("mountinfo")) {
		found = found || strings.HasPrefix(line, info["mnt_id"]+" ")
	}
	fmt.Println("mounted:", found)
	os.Remove(file.Name())
}

func manyDescriptors() {
	var limit syscall.Rlimit
	prog.Must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = min(limit.Max, 3000)
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	n := int(limit.Cur) - 50
	open := map[string]bool{}
	for i := 0; i < n; i++ {
		fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		prog.Must(err)
		open[strconv.Itoa(fd)] = true
	}
	names, err := os.ReadDir(self("fd"))
	prog.Must(err)
	found := 0
	for _, entry := range names {
		if open[entry.Name()] {
			found++
		}
	}
	fmt.Println(found == n, len(names)-found < 20)
	f, err := os.Open(self("fdinfo"))
	prog.Must(err)
	seen := map[string]int{}
	for {
		some, err := f.Readdirnames(7)
		for _, name := range some {
			seen[name]++
		}
		if err != nil {
			break
		}
	}
	missing, twice := 0, 0
	for name := range open {
		if seen[name] == 0 {
			missing++
		}
	}
	for _, times := range seen {
		if times > 1 {
			twice++
		}
	}
	fmt.Println(missing, twice)
}

func directories() {
	for _, dir := range []string{"/proc", "/proc/self", "/proc/sys", "/proc/sys/kernel", "/proc/self/task", "/sys", "/sys/devices/system/cpu"} {
		names, err := os.ReadDir(dir)
		prog.Must(err)
		seen := map[string]bool{}
		wrong := 0
		for _, entry := range names {
			info, err := os.Lstat(dir + "/" + entry.Name())
			if errors.Is(err, os.ErrNotExist) {
				continue // a process of Linux that has ended
			}
			if err != nil || seen[entry.Name()] || info.Mode().Type() != entry.Type() {
				wrong++
			}
			seen[entry.Name()] = true
		}
		st, err := os.Stat(dir)
		prog.Must(err)
		fmt.Println(dir, len(names) > 0, wrong, st.IsDir(), sort.SliceIsSorted(names, func(i, j int) bool { return names[i].Name() < names[j].Name() }))
	}
	// Inode numbers: the same each time, those of the entries, and all different.
	inodes := map[uint64]string{}
	twice := 0
	fd, err := syscall.Open("/proc/self", syscall.O_RDONLY, 0)
	prog.Must(err)
	buffer := make([]byte, 32<<10)
	n, err := syscall.Getdents(fd, buffer)
	prog.Must(err)
	_, count, names := syscall.ParseDirent(buffer[:n], -1, nil)
	for _, name := range names {
		var a, b syscall.Stat_t
		prog.Must(syscall.Lstat(self(name), &a))
		prog.Must(syscall.Lstat(self(name), &b))
		if _, ok := inodes[a.Ino]; ok || a.Ino != b.Ino || a.Ino == 0 {
			twice++
		}
		inodes[a.Ino] = name
	}
	fmt.Println(count > 20, twice)
	var a, b syscall.Stat_t
	prog.Must(syscall.Stat("/proc/self/..", &a))
	prog.Must(syscall.Stat("/proc", &b))
	fmt.Println(a.Ino == b.Ino, a.Nlink > 2, a.Size)
}
