package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

// watcher is an inotify instance that names what it watches and numbers cookies from 1.
type watcher struct {
	fd      int
	names   map[int32]string
	cookies map[uint32]int
}

func newWatcher() *watcher {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	prog.Must(err)
	return &watcher{fd, map[int32]string{}, map[uint32]int{}}
}

func (w *watcher) add(name string, mask uint32) {
	wd, err := syscall.InotifyAddWatch(w.fd, name, mask)
	fmt.Println("watch", name, wd, prog.Name(err))
	if err == nil {
		w.names[int32(wd)] = name
	}
}

var inotifyBits = map[uint32]string{1: "ACCESS", 2: "MODIFY", 4: "ATTRIB", 8: "CLOSE_WRITE", 0x10: "CLOSE_NOWRITE", 0x20: "OPEN",
	0x40: "MOVED_FROM", 0x80: "MOVED_TO", 0x100: "CREATE", 0x200: "DELETE", 0x400: "DELETE_SELF", 0x800: "MOVE_SELF", 0x2000: "UNMOUNT",
	0x4000: "Q_OVERFLOW", 0x8000: "IGNORED", 0x40000000: "ISDIR"}

const allEvents = 0xfff

func maskText(mask uint32) string {
	var list []string
	for bit, name := range inotifyBits {
		if mask&bit != 0 {
			list = append(list, name)
			mask &^= bit
		}
	}
	sort.Strings(list)
	if mask != 0 {
		list = append(list, fmt.Sprintf("%#x", mask))
	}
	return strings.Join(list, "|")
}

// drain prints the events there are.
func (w *watcher) drain(what string) {
	fmt.Println("--", what)
	buffer := make([]byte, 65536)
	for {
		n, err := syscall.Read(w.fd, buffer)
		if err != nil {
			if err != syscall.EAGAIN {
				fmt.Println(err)
			}
			return
		}
		for b := buffer[:n]; len(b) > 0; {
			wd := int32(binary.LittleEndian.Uint32(b))
			mask := binary.LittleEndian.Uint32(b[4:])
			cookie := binary.LittleEndian.Uint32(b[8:])
			length := binary.LittleEndian.Uint32(b[12:])
			name := strings.TrimRight(string(b[16:16+length]), "\x00")
			b = b[16+length:]
			if cookie != 0 {
				if w.cookies[cookie] == 0 {
					w.cookies[cookie] = len(w.cookies) + 1
				}
				cookie = uint32(w.cookies[cookie])
			}
			fmt.Println(w.names[wd], wd, maskText(mask), cookie, length, name)
		}
	}
}

func (w *watcher) after(what string, err error) {
	if err != nil {
		fmt.Println(what, prog.Name(err))
	}
	w.drain(what)
}

func inotifyDirectory() {
	prog.Must(os.Mkdir("d", 0o755))
	prog.Must(os.WriteFile("d/old", []byte("old"), 0o644))
	prog.Must(os.Mkdir("d/sub", 0o755))
	w := newWatcher()
	w.add("d", allEvents)
	f, err := os.OpenFile("d/new", os.O_CREATE|os.O_RDWR, 0o644)
	w.after("create", err)
	f.WriteString("hello")
	f.WriteString("hello")
	w.drain("write")
	f.Seek(0, 0)
	io.ReadAll(f)
	w.drain("read")
	w.after("truncate", f.Truncate(1))
	w.after("fchmod", f.Chmod(0o600))
	w.after("fallocate", syscall.Fallocate(int(f.Fd()), 0, 0, 100))
	f.Close()
	w.drain("close")
	f, err = os.Open("d/old")
	w.after("open old", err)
	f.Close()
	w.drain("close old")
	f, err = os.OpenFile("d/old", os.O_WRONLY|os.O_TRUNC, 0)
	w.after("open truncating", err)
	f.Close()
	w.drain("close")
	w.after("truncate", os.Truncate("d/old", 100))
	w.after("chmod", os.Chmod("d/old", 0o600))
	w.after("chown", os.Chown("d/old", -1, -1))
	when := time.Unix(1, 0)
	w.after("times", os.Chtimes("d/old", when, when))
	w.after("mtime", syscall.UtimesNano("d/old", []syscall.Timespec{{Nsec: 0x3ffffffe}, {Sec: 77}}))
	w.after("atime", syscall.UtimesNano("d/old", []syscall.Timespec{{Sec: 77}, {Nsec: 0x3ffffffe}}))
	w.after("no time", syscall.UtimesNano("d/old", []syscall.Timespec{{Nsec: 0x3ffffffe}, {Nsec: 0x3ffffffe}}))
	w.after("mkdir", os.Mkdir("d/m", 0o755))
	w.after("symlink", os.Symlink("old", "d/s"))
	w.after("link", os.Link("d/old", "d/l"))
	w.after("mkfifo", syscall.Mkfifo("d/p", 0o600))
	fd, err := syscall.Open("d/p", syscall.O_RDWR, 0)
	w.after("open fifo", err)
	syscall.Write(fd, []byte("x"))
	syscall.Read(fd, make([]byte, 1))
	syscall.Close(fd)
	w.drain("fifo")
	w.after("rename", os.Rename("d/l", "d/l2"))
	w.after("rename over", os.Rename("d/l2", "d/new"))
	w.after("rename out", os.Rename("d/new", "out"))
	w.after("rename in", os.Rename("out", "d/in"))
	w.after("rename directory", os.Rename("d/m", "d/m2"))
	w.after("remove", os.Remove("d/in"))
	w.after("remove directory", os.Remove("d/m2"))
	w.after("remove link", os.Remove("d/s"))
	_, err = os.ReadDir("d")
	w.after("readdir", err)
	_, err = os.ReadDir("d/sub")
	w.after("readdir below", err)
	w.after("create below", os.WriteFile("d/sub/x", nil, 0o644))
	w.after("chmod of d", os.Chmod("d", 0o700))
	p, err := syscall.Open("d/old", 0x200000, 0)
	syscall.Close(p)
	w.after("O_PATH", err)
	w.after("stat", func() error { _, err := os.Stat("d/old"); return err }())
	os.RemoveAll("d/sub")
	w.drain("removeall below")
	w.after("move d", os.Rename("d", "e"))
	w.after("create after the move", os.WriteFile("e/y", nil, 0o644))
	for _, name := range []string{"y", "p", "old"} {
		prog.Must(os.Remove("e/" + name))
	}
	w.drain("remove all")
	w.after("remove e", os.Remove("e"))
}

func inotifyFile() {
	write := func(name string) { prog.Must(os.WriteFile(name, []byte("text"), 0o644)) }
	write("f")
	w := newWatcher()
	w.add("f", allEvents)
	w.after("write", os.WriteFile("f", []byte("more"), 0o644))
	_, err := os.ReadFile("f")
	w.after("read", err)
	w.after("link", os.Link("f", "g"))
	_, err = os.ReadFile("g")
	w.after("read by the other name", err)
	w.after("rename", os.Rename("f", "h"))
	w.after("remove one name", os.Remove("g"))
	w.after("remove", os.Remove("h"))
	write("a")
	w.add("a", allEvents)
	f, _ := os.Open("a")
	w.drain("open")
	w.after("remove", os.Remove("a"))
	f.Close()
	w.drain("close")
	write("b")
	write("c")
	w.add("b", allEvents)
	w.add("c", allEvents)
	w.after("rename over", os.Rename("c", "b"))
	w.after("again", func() error { _, err := os.ReadFile("b"); return err }())
	prog.Must(os.Mkdir("d", 0o755))
	w.add("d", allEvents)
	w.after("rmdir", os.Remove("d"))
	prog.Must(os.Symlink("b", "s"))
	w.add("s", allEvents|syscall.IN_DONT_FOLLOW)
	w.after("read link", func() error { _, err := os.Readlink("s"); return err }())
	w.after("remove link", os.Remove("s"))
	n, err := syscall.InotifyRmWatch(w.fd, 3)
	fmt.Println(n, err)
	w.drain("rm_watch")
	n, err = syscall.InotifyRmWatch(w.fd, 3)
	fmt.Println(n, err)
	w.after("not watched", os.WriteFile("b", []byte("more"), 0o644))
	src, _ := os.Create("src")
	src.WriteString("0123456789")
	dst, _ := os.Create("dst")
	w.add("src", allEvents)
	w.add("dst", allEvents)
	offset := int64(0)
	_, err = syscall.Sendfile(int(dst.Fd()), int(src.Fd()), &offset, 5)
	w.after("sendfile", err)
	prog.Call(326, src.Fd(), uintptr(unsafe.Pointer(&offset)), dst.Fd(), 0, 2, 0)
	w.drain("copy_file_range")
	r, pw := pipe()
	splice(int(src.Fd()), new(int64), pw, nil, 4, 0)
	splice(r, nil, int(dst.Fd()), nil, 4, 0)
	w.drain("splice")
}

// inotifyBoth watches a directory and a file in it with one instance, and another instance watches beside it.
func inotifyBoth() {
	prog.Must(os.Mkdir("d", 0o755))
	prog.Must(os.WriteFile("d/f", nil, 0o644))
	w, other := newWatcher(), newWatcher()
	w.add("d/f", allEvents)
	w.add("d", allEvents)
	other.add("d", syscall.IN_CREATE|syscall.IN_DELETE)
	w.after("write", os.WriteFile("d/f", []byte("more"), 0o644))
	w.after("rename", os.Rename("d/f", "d/g"))
	w.after("chmod", os.Chmod("d/g", 0o600))
	w.after("create", os.WriteFile("d/new", nil, 0o600))
	w.after("exchange", func() error {
		cwd := -100
		_, name := prog.Call(316, uintptr(cwd), path("d/g"), uintptr(cwd), path("d/new"), 2)
		if name != "ok" {
			fmt.Println(name)
		}
		return nil
	}())
	w.after("remove", os.Remove("d/new"))
	w.after("remove", os.Remove("d/g"))
	w.after("rmdir", os.Remove("d"))
	other.drain("other")
}

func inotifyFlags() {
	prog.Must(os.MkdirAll("d/e", 0o755))
	prog.Must(os.WriteFile("f", nil, 0o644))
	w := newWatcher()
	w.add("f", syscall.IN_ONLYDIR|allEvents)
	w.add("missing", allEvents)
	w.add("f", 0)
	w.add("f", syscall.IN_ISDIR)
	w.add("f", syscall.IN_MODIFY|syscall.IN_ONESHOT)
	w.after("first", os.WriteFile("f", []byte("1"), 0o644))
	w.after("second", os.WriteFile("f", []byte("2"), 0o644))
	w.add("f", syscall.IN_MODIFY)
	w.add("f", syscall.IN_ATTRIB)
	w.after("write", os.WriteFile("f", []byte("3"), 0o644))
	w.after("chmod", os.Chmod("f", 0o600))
	w.add("f", syscall.IN_MODIFY|syscall.IN_MASK_ADD)
	w.after("write", os.WriteFile("f", []byte("4"), 0o644))
	w.after("chmod", os.Chmod("f", 0o644))
	w.add("f", syscall.IN_MODIFY|0x10000000)
	w.add("f", syscall.IN_MODIFY|0x10000000|syscall.IN_MASK_ADD)
	w.add("d", syscall.IN_MODIFY|0x10000000)
	for _, exclude := range []uint32{0, syscall.IN_EXCL_UNLINK} {
		w.add("d", allEvents|exclude)
		g, err := os.Create("d/g")
		prog.Must(err)
		prog.Must(os.Remove("d/g"))
		w.drain("made and removed")
		g.WriteString("still open")
		g.Close()
		w.drain("after")
	}
	prog.Must(os.Symlink("f", "s"))
	w.add("s", allEvents)
	w.add("s", allEvents|syscall.IN_ONLYDIR)
	w.add("d", allEvents|syscall.IN_ONLYDIR)
	if os.Getuid() != 0 {
		prog.Must(os.Chmod("f", 0))
		w.add("f", allEvents)
	}
	_, err := syscall.InotifyAddWatch(int(os.Stdin.Fd()), "f", allEvents)
	fmt.Println(prog.Name(err))
	_, err = syscall.InotifyAddWatch(999, "f", allEvents)
	fmt.Println(prog.Name(err))
	_, err = syscall.InotifyRmWatch(w.fd, 99)
	fmt.Println(prog.Name(err))
	_, err = syscall.InotifyRmWatch(int(os.Stdin.Fd()), 1)
	fmt.Println(prog.Name(err))
	_, err = syscall.InotifyInit1(99)
	fmt.Println(prog.Name(err))
	fd, err := syscall.InotifyInit()
	fmt.Println(fd >= 0, prog.Name(err))
	n, name := prog.Call(syscall.SYS_INOTIFY_ADD_WATCH, uintptr(fd), 4096, allEvents)
	prog.Show("bad address", n, name)
}

func inotifyReading() {
	prog.Must(os.Mkdir("d", 0o755))
	w := newWatcher()
	w.add("d", syscall.IN_CREATE|syscall.IN_DELETE)
	_, err := syscall.Read(w.fd, make([]byte, 100))
	fmt.Println("empty", prog.Name(err))
	state := func(what string) { tell(what, []pollFd{{int32(w.fd), everything, 0}}, 0) }
	pending := func() {
		var count int32
		_, name := prog.Call(syscall.SYS_IOCTL, uintptr(w.fd), 0x541b, uintptr(unsafe.Pointer(&count)))
		fmt.Println("FIONREAD", count, name)
	}
	state("empty")
	pending()
	for i := 0; i < 3; i++ {
		prog.Must(os.WriteFile(filepath.Join("d", strings.Repeat("x", 10*i+6)), nil, 0o644))
	}
	state("three")
	pending()
	_, err = syscall.Read(w.fd, make([]byte, 15))
	fmt.Println("small", prog.Name(err))
	n, err := syscall.Read(w.fd, make([]byte, 40))
	fmt.Println("one", n, prog.Name(err))
	pending()
	_, err = syscall.Write(w.fd, make([]byte, 40))
	fmt.Println("write", prog.Name(err))
	w.drain("rest")
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", w.fd))
	fmt.Println(link, err)
	_, err = syscall.Seek(w.fd, 0, 0)
	fmt.Println("seek", prog.Name(err))
	prog.Must(syscall.SetNonblock(w.fd, false))
	go func() {
		time.Sleep(20 * time.Millisecond)
		os.Remove("d/xxxxxx")
	}()
	n, err = syscall.Read(w.fd, make([]byte, 100))
	fmt.Println("waited", n, prog.Name(err))
	prog.Must(syscall.SetNonblock(w.fd, true))
	file := os.NewFile(uintptr(w.fd), "inotify")
	go func() {
		time.Sleep(20 * time.Millisecond)
		os.WriteFile("d/later", nil, 0o644)
	}()
	n, err = file.Read(make([]byte, 100))
	fmt.Println("by netpoll", n, err)
}

// inotifyOverflow makes more events than are kept.
func inotifyOverflow() {
	prog.Must(os.Mkdir("d", 0o755))
	w := newWatcher()
	w.add("d", syscall.IN_CREATE|syscall.IN_DELETE)
	for i := 0; i < 8400; i++ {
		fd, err := syscall.Open("d/f", syscall.O_CREAT|syscall.O_WRONLY, 0o644)
		prog.Must(err)
		syscall.Close(fd)
		prog.Must(syscall.Unlink("d/f"))
	}
	buffer := make([]byte, 1<<20)
	n, err := syscall.Read(w.fd, buffer)
	fmt.Println(n, prog.Name(err))
	last := buffer[n-16 : n]
	fmt.Println(int32(binary.LittleEndian.Uint32(last)), maskText(binary.LittleEndian.Uint32(last[4:])))
	w.drain("nothing more")
	prog.Must(os.WriteFile("d/g", nil, 0o644))
	w.drain("goes on")
}

// inotifyThreads: creations by many threads are all told, and none twice.
func inotifyThreads() {
	prog.Must(os.Mkdir("d", 0o755))
	w := newWatcher()
	w.add("d", syscall.IN_CREATE|syscall.IN_DELETE|syscall.IN_MOVED_TO)
	file := os.NewFile(uintptr(w.fd), "inotify")
	const threads, each = 8, 200
	for t := 0; t < threads; t++ {
		go func(t int) {
			for i := 0; i < each; i++ {
				name := fmt.Sprintf("d/%d-%d", t, i)
				prog.Must(os.WriteFile(name, nil, 0o644))
				if i%2 == 0 {
					prog.Must(os.Rename(name, name+"x"))
				}
				if i%4 == 0 {
					prog.Must(os.Remove(name + "x"))
				}
			}
		}(t)
	}
	counts := map[string]int{}
	seen := map[string]bool{}
	buffer := make([]byte, 4096)
	for total := 0; total < threads*(each+each/2+each/4); {
		n, err := file.Read(buffer)
		prog.Must(err)
		for b := buffer[:n]; len(b) > 0; {
			mask := binary.LittleEndian.Uint32(b[4:])
			length := binary.LittleEndian.Uint32(b[12:])
			name := strings.TrimRight(string(b[16:16+length]), "\x00")
			key := maskText(mask) + name
			prog.Check(!seen[key], "twice: %s", key)
			seen[key] = true
			counts[maskText(mask)]++
			total++
			b = b[16+length:]
		}
	}
	fmt.Println(counts)
}
