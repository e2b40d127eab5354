// Files tests the file system through package os and package syscall: every result is printed, and compared with Linux.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"create": in(create), "rename": in(rename), "links": in(links), "walk": in(walk), "seek": in(seek), "append": in(appending),
		"truncate": in(truncate), "sparse": in(sparse), "modes": in(modes), "readdir": in(readdir), "unnamed": in(unnamed),
		"at": in(at), "loops": in(loops), "errors": in(errorsOf), "times": in(times), "copy": in(copying), "cwd": in(cwd),
		"unlinked": in(unlinked), "threads": in(threads), "flock": in(flock), "records": in(records), "big": in(big),
		"devices": in(devices), "vector": in(vector), "dup": in(dup), "statfs": in(statfs), "exchange": in(exchange),
		"paths": in(paths), "temp": in(temp), "fallocate": in(fallocate), "owners": in(owners), "fifo": in(fifo),
		"xattr": in(xattr), "self": in(self), "close-range": in(closeRange), "removeall": in(removeAll), "deep": in(deep), "full-table": in(fullTable), "replaced": in(replaced), "lock-files": in(lockFiles), "holes": holes,
	})
}

// in runs an act in a fresh directory.
func in(act func()) func() {
	return func() {
		dir, err := os.MkdirTemp("", "files")
		check(err)
		defer os.RemoveAll(dir)
		check(os.Chdir(dir))
		syscall.Umask(022)
		act()
		check(os.Chdir("/"))
	}
}

func check(err error) {
	if err != nil {
		fmt.Println("unexpected:", err)
		os.Exit(1)
	}
}

func show(what string, err error) { fmt.Printf("%s: %v\n", what, err) }

func write(name, text string) { check(os.WriteFile(name, []byte(text), 0o644)) }

func cat(name string) {
	b, err := os.ReadFile(name)
	fmt.Printf("%s: %q %v\n", name, b, err)
}

func stat(name string) {
	info, err := os.Lstat(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	size := info.Size()
	if info.IsDir() {
		size = 0
	}
	fmt.Println(info.Name(), size, info.Mode(), info.IsDir(), info.Sys().(*syscall.Stat_t).Nlink)
}

func create() {
	f, err := os.Create("a")
	check(err)
	n, err := f.WriteString("hello")
	fmt.Println(n, err)
	show("close", f.Close())
	show("close again", f.Close())
	cat("a")
	stat("a")
	_, err = os.OpenFile("a", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	show("exclusive", err)
	f, err = os.OpenFile("b", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	check(err)
	fmt.Fprintf(f, "%d\n", 42)
	_, err = f.Seek(0, 0)
	check(err)
	all, err := io.ReadAll(f)
	fmt.Printf("%q %v\n", all, err)
	f.Close()
	stat("b")
	f, err = os.Open("a")
	check(err)
	_, err = f.Write([]byte("x"))
	show("write to a file opened for reading", err)
	f.Close()
	f, err = os.OpenFile("a", os.O_WRONLY, 0)
	check(err)
	_, err = f.Read(make([]byte, 1))
	show("read from a file opened for writing", err)
	f.Close()
	show("remove", os.Remove("a"))
	show("remove again", os.Remove("a"))
	_, err = os.Stat("a")
	show("stat", err)
	fmt.Println(errors.Is(err, fs.ErrNotExist), os.IsNotExist(err))
	f, err = os.OpenFile("b", os.O_RDWR|os.O_TRUNC, 0)
	check(err)
	stat("b")
	f.Close()
}

func rename() {
	write("a", "A")
	write("b", "B")
	show("a to b", os.Rename("a", "b"))
	cat("b")
	stat("a")
	check(os.MkdirAll("d/e/f", 0o755))
	show("d below itself", os.Rename("d", "d/e/g"))
	show("file to directory", os.Rename("b", "d"))
	show("directory to file", os.Rename("d", "b"))
	show("d to x", os.Rename("d", "x"))
	check(os.Mkdir("y", 0o755))
	show("x to empty y", os.Rename("x", "y"))
	check(os.Mkdir("z", 0o755))
	show("z to full y", os.Rename("z", "y"))
	show("missing", os.Rename("nothing", "w"))
	show("to missing directory", os.Rename("b", "nothing/w"))
	show("into directory", os.Rename("b", "y/e/b2"))
	tree(".")
	show("same", os.Rename("z", "z"))
	show("raw directory over file", syscall.Rename("y", "y/e/b2"))
	show("dot", syscall.Rename(".", "q"))
	show("trailing slash on file", syscall.Rename("y/e/b2/", "q"))
	show("trailing slash on directory", syscall.Rename("z/", "q/"))
	stat("q")
}

func tree(root string) {
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			fmt.Println(path, err)
			return nil
		}
		fmt.Println(path, d.Type())
		return nil
	})
}

func links() {
	write("a", "text")
	show("link", os.Link("a", "b"))
	stat("a")
	f, _ := os.OpenFile("b", os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(" more")
	f.Close()
	cat("a")
	show("link over", os.Link("a", "b"))
	check(os.Mkdir("d", 0o755))
	show("link directory", os.Link("d", "e"))
	show("symlink", os.Symlink("a", "s"))
	cat("s")
	stat("s")
	target, err := os.Readlink("s")
	fmt.Println(target, err)
	_, err = os.Readlink("a")
	show("readlink of a file", err)
	show("dangling", os.Symlink("nowhere", "t"))
	_, err = os.Stat("t")
	show("stat", err)
	check(os.WriteFile("t", []byte("made"), 0o600))
	cat("nowhere")
	_, err = os.OpenFile("t", os.O_CREATE|os.O_EXCL, 0o600)
	show("exclusive through a link", err)
	_, err = os.OpenFile("s", os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	show("nofollow", err)
	show("link to symlink", os.Link("s", "s2"))
	stat("s2")
	show("remove a", os.Remove("a"))
	stat("b")
	cat("b")
	cat("s")
	same1, _ := os.Stat("b")
	same2, _ := os.Lstat("s2")
	fmt.Println(os.SameFile(same1, same1), os.SameFile(same1, same2))
	show("symlink to directory", os.Symlink("d", "ds"))
	write("d/x", "in d")
	cat("ds/x")
	cat("ds/../b")
	stat("ds/")
	show("remove link/", syscall.Unlink("ds/"))
	show("rmdir link", syscall.Rmdir("ds"))
	show("empty target", os.Symlink("", "empty"))
	show("existing", os.Symlink("x", "d"))
}

func walk() {
	for i := 0; i < 5; i++ {
		for j := 0; j < 4; j++ {
			check(os.MkdirAll(fmt.Sprintf("r/%d/%d", i, j), 0o755))
			write(fmt.Sprintf("r/%d/%d/f", i, j), strings.Repeat("x", i*j))
		}
	}
	tree("r")
	sum := int64(0)
	filepath.Walk("r", func(path string, info os.FileInfo, err error) error {
		if info.Mode().IsRegular() {
			sum += info.Size()
		}
		return err
	})
	fmt.Println(sum)
	found, err := filepath.Glob("r/*/[12]/f")
	fmt.Println(found, err)
	found, err = fs.Glob(os.DirFS("r"), "3/*")
	fmt.Println(found, err)
}

func seek() {
	write("a", "0123456789")
	f, err := os.OpenFile("a", os.O_RDWR, 0)
	check(err)
	defer f.Close()
	at := func(offset int64, whence int) {
		n, err := f.Seek(offset, whence)
		b := make([]byte, 3)
		m, err2 := f.Read(b)
		fmt.Println(n, err, m, err2, string(b[:m]))
	}
	at(0, 0)
	at(2, 1)
	at(-1, 1)
	at(-4, 2)
	at(5, 2)
	at(-1, 0)
	at(-100, 2)
	at(0, 9)
	b := make([]byte, 4)
	n, err := f.ReadAt(b, 8)
	fmt.Println(n, err, string(b[:n]))
	n, err = f.WriteAt([]byte("XY"), 12)
	fmt.Println(n, err)
	cat("a")
	_, err = f.ReadAt(b, -1)
	show("negative", err)
	_, err = syscall.Pread(int(f.Fd()), b, -1)
	show("negative raw", err)
}

func appending() {
	f, err := os.OpenFile("a", os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o644)
	check(err)
	f.WriteString("one ")
	f.Seek(0, 0)
	f.WriteString("two ")
	cat("a")
	pos, _ := f.Seek(0, 1)
	fmt.Println(pos)
	_, err = f.WriteAt([]byte("x"), 0)
	show("WriteAt", err)
	n, err := syscall.Pwrite(int(f.Fd()), []byte("three"), 0)
	fmt.Println(n, err)
	cat("a")
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
	fmt.Printf("%#x %v\n", flags, errno)
	f.Close()
}

func truncate() {
	write("a", strings.Repeat("0123456789", 1000))
	for _, size := range []int64{5000, 4096, 4095, 10, 20, 0, 5, 100000} {
		show(fmt.Sprint("truncate ", size), os.Truncate("a", size))
		b, err := os.ReadFile("a")
		fmt.Println(len(b), err, fmt.Sprintf("%x", sha256.Sum256(b)))
	}
	show("negative", syscall.Truncate("a", -1))
	show("directory", syscall.Truncate(".", 0))
	show("missing", os.Truncate("missing", 0))
	f, _ := os.Open("a")
	show("read-only", f.Truncate(0))
	f.Close()
}

func sparse() {
	f, err := os.Create("a")
	check(err)
	defer f.Close()
	_, err = f.WriteAt([]byte("end"), 1<<30)
	check(err)
	_, err = f.WriteAt([]byte("middle"), 1<<20)
	check(err)
	info, _ := f.Stat()
	fmt.Println(info.Size(), info.Sys().(*syscall.Stat_t).Blocks)
	for _, from := range []int64{0, 1 << 20, 1<<20 + 5000, 1<<30 + 1, 1<<30 + 3} {
		data, err := syscall.Seek(int(f.Fd()), from, 3)
		hole, err2 := syscall.Seek(int(f.Fd()), from, 4)
		fmt.Println(from, data, err, hole, err2)
	}
	b := make([]byte, 10)
	n, err := f.ReadAt(b, 1<<29)
	fmt.Println(n, err, b)
	n, err = f.ReadAt(b, 1<<20-2)
	fmt.Println(n, err, b)
	n, err = f.ReadAt(b, 1<<30-2)
	fmt.Println(n, err, b)
}

func modes() {
	for _, mode := range []os.FileMode{0, 0o400, 0o644, 0o755, 0o777, os.ModeSetuid | 0o755, os.ModeSticky | 0o700} {
		check(os.WriteFile("f", nil, 0o600))
		show("chmod", os.Chmod("f", mode))
		stat("f")
		os.Remove("f")
	}
	syscall.Umask(0o077)
	write("g", "")
	check(os.Mkdir("d", 0o777))
	stat("g")
	stat("d")
	fmt.Printf("%o\n", syscall.Umask(0))
	check(os.Mkdir("e", 0o777))
	stat("e")
	show("chmod missing", os.Chmod("missing", 0))
	f, _ := os.Open("g")
	show("fchmod", f.Chmod(0o123))
	stat("g")
	check(os.Chmod("d", 0o2775))
	check(os.Mkdir("d/sub", 0o755))
	stat("d/sub")
	for _, m := range []uint32{0, 1, 2, 4, 7} {
		show(fmt.Sprint("access ", m), syscall.Access("g", m))
	}
	show("access mode", syscall.Access("g", 8))
}

func readdir() {
	for i := 0; i < 3000; i++ {
		write(fmt.Sprintf("file-with-a-longer-name-%04d", i), "")
	}
	check(os.Mkdir("dir", 0o755))
	os.Symlink("x", "link")
	entries, err := os.ReadDir(".")
	fmt.Println(len(entries), err, entries[0], entries[1], entries[3001])
	d, _ := os.Open(".")
	seen := map[string]bool{}
	for {
		names, err := d.Readdirnames(100)
		for i, name := range names {
			if seen[name] {
				fmt.Println("twice", name)
			}
			seen[name] = true
			if i%2 == 0 {
				os.RemoveAll(name)
			}
		}
		if err != nil {
			fmt.Println(err)
			break
		}
	}
	fmt.Println(len(seen))
	d.Seek(0, 0)
	names, err := d.Readdirnames(-1)
	fmt.Println(len(names) < 3000, len(names) > 1000, err)
	d.Close()
	buffer := make([]byte, 4096)
	fd, _ := syscall.Open(".", syscall.O_RDONLY, 0)
	n, err := syscall.ReadDirent(fd, buffer)
	_, _, got := syscall.ParseDirent(buffer[:n], -1, nil)
	fmt.Println(n > 0, err, len(got) > 0)
	_, err = syscall.ReadDirent(fd, buffer[:10])
	show("small buffer", err)
	_, err = syscall.Read(fd, buffer)
	show("read of a directory", err)
	f, _ := os.Create("f")
	_, err = syscall.ReadDirent(int(f.Fd()), buffer)
	show("getdents of a file", err)
}

func unnamed() {
	fd, err := syscall.Open(".", syscall.O_RDWR|0x410000, 0o600)
	check(err)
	n, err := syscall.Write(fd, []byte("nameless"))
	fmt.Println(n, err)
	var st syscall.Stat_t
	check(syscall.Fstat(fd, &st))
	fmt.Printf("%o %d %d\n", st.Mode, st.Nlink, st.Size)
	entries, _ := os.ReadDir(".")
	fmt.Println(len(entries))
	_, err = syscall.Open(".", syscall.O_RDONLY|0x410000, 0o600)
	show("read-only", err)
}

func at() {
	check(os.MkdirAll("d/e", 0o755))
	write("d/f", "in d")
	fd, err := syscall.Open("d", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	check(err)
	g, err := syscall.Openat(fd, "f", syscall.O_RDONLY, 0)
	check(err)
	b := make([]byte, 10)
	n, err := syscall.Read(g, b)
	fmt.Println(string(b[:n]), err)
	show("mkdirat", syscall.Mkdirat(fd, "new", 0o755))
	show("renameat", syscall.Renameat(fd, "f", fd, "g"))
	show("unlinkat", syscall.Unlinkat(fd, "g"))
	show("rename d", os.Rename("d", "moved"))
	g, err = syscall.Openat(fd, "made", syscall.O_CREAT|syscall.O_WRONLY, 0o644)
	show("openat", err)
	tree(".")
	_, err = syscall.Openat(g, "x", 0, 0)
	show("not a directory", err)
	_, err = syscall.Openat(999, "x", 0, 0)
	show("bad descriptor", err)
	_, err = syscall.Open("moved/made", syscall.O_DIRECTORY, 0)
	show("O_DIRECTORY", err)
	_, err = syscall.Open("moved", syscall.O_WRONLY, 0)
	show("directory for writing", err)
	_, err = syscall.Open("moved", syscall.O_CREAT, 0)
	show("O_CREAT of a directory", err)
	_, err = syscall.Open("absent/", syscall.O_CREAT|syscall.O_WRONLY, 0o644)
	show("O_CREAT with slash", err)
	p, err := syscall.Open("moved/made", 0x200000, 0)
	show("O_PATH", err)
	_, err = syscall.Read(p, b)
	show("read", err)
	show("fchmod", syscall.Fchmod(p, 0o600))
	var st syscall.Stat_t
	show("fstat", syscall.Fstat(p, &st))
}

func loops() {
	os.Symlink("b", "a")
	os.Symlink("a", "b")
	_, err := os.Stat("a")
	show("loop", err)
	_, err = os.Stat("a/x")
	show("loop on the way", err)
	write("f0", "deep")
	for i := 0; i < 45; i++ {
		os.Symlink(fmt.Sprint("f", i), fmt.Sprint("f", i+1))
	}
	for _, i := range []int{39, 40, 41} {
		cat(fmt.Sprint("f", i))
	}
	_, err = os.Stat(strings.Repeat("x", 255))
	fmt.Println(errors.Is(err, syscall.ENOENT))
	_, err = os.Stat(strings.Repeat("x", 256))
	fmt.Println(errors.Is(err, syscall.ENAMETOOLONG))
	_, err = os.Stat(strings.Repeat("x/", 2047) + "x")
	fmt.Println(errors.Is(err, syscall.ENOENT))
	_, err = os.Stat(strings.Repeat("x/", 2048))
	fmt.Println(errors.Is(err, syscall.ENAMETOOLONG))
	_, err = os.Stat(strings.Repeat("./", 2000) + "f0")
	show("dots", err)
}

func errorsOf() {
	write("f", "x")
	check(os.MkdirAll("d/e", 0o755))
	_, err := os.Open("f/x")
	show("below a file", err)
	_, err = os.Open("")
	show("empty", err)
	_, err = os.Open("f/")
	show("slash", err)
	_, err = os.Open("f/.")
	show("dot below a file", err)
	show("mkdir existing", os.Mkdir("d", 0o755))
	show("mkdir over file", os.Mkdir("f", 0o755))
	show("mkdir below missing", os.Mkdir("x/y", 0o755))
	show("mkdir with slash", os.Mkdir("new/", 0o755))
	show("mkdir .", syscall.Mkdir(".", 0o755))
	show("mkdir /", syscall.Mkdir("/", 0o755))
	show("rmdir full", syscall.Rmdir("d"))
	show("rmdir file", syscall.Rmdir("f"))
	show("rmdir .", syscall.Rmdir("."))
	show("rmdir ..", syscall.Rmdir("d/.."))
	show("rmdir /", syscall.Rmdir("/"))
	show("unlink directory", syscall.Unlink("d"))
	show("unlink .", syscall.Unlink("."))
	show("unlink f/", syscall.Unlink("f/"))
	show("close", syscall.Close(999))
	_, err = syscall.Read(999, nil)
	show("read", err)
	_, err = syscall.Dup(999)
	show("dup", err)
	show("fchdir to a file", func() error { f, _ := os.Open("f"); return f.Chdir() }())
	show("chdir to a file", os.Chdir("f"))
	var st syscall.Stat_t
	show("fstat", syscall.Fstat(-1, &st))
	_, err = syscall.Seek(0x7fffffff, 0, 0)
	show("seek", err)
}

func times() {
	write("f", "x")
	when := time.Date(2001, 2, 3, 4, 5, 6, 789012345, time.UTC)
	show("chtimes", os.Chtimes("f", when.Add(time.Hour), when))
	info, _ := os.Stat("f")
	fmt.Println(info.ModTime().UTC())
	st := info.Sys().(*syscall.Stat_t)
	fmt.Println(st.Atim.Sec, st.Atim.Nsec)
	old := time.Date(1960, 1, 1, 0, 0, 0, 5, time.UTC)
	show("before 1970", os.Chtimes("f", old, old))
	info, _ = os.Stat("f")
	fmt.Println(info.ModTime().UTC())
	before := time.Now().Add(-20 * time.Millisecond)
	write("f", "y")
	info, _ = os.Stat("f")
	fmt.Println(info.ModTime().After(before), info.ModTime().Before(time.Now().Add(time.Second)))
	show("missing", os.Chtimes("missing", when, when))
	check(os.Mkdir("d", 0o755))
	check(os.Chtimes("d", when, when))
	write("d/new", "")
	info, _ = os.Stat("d")
	fmt.Println(info.ModTime().After(before))
	check(os.Symlink("f", "s"))
	show("omit", syscall.UtimesNano("f", []syscall.Timespec{{Nsec: 0x3ffffffe}, {Sec: 77}}))
	info, _ = os.Stat("f")
	fmt.Println(info.ModTime().UTC())
	show("bad", syscall.UtimesNano("f", []syscall.Timespec{{Nsec: 1e9}, {Sec: 77}}))
}

func copying() {
	data := bytes.Repeat([]byte("The quick brown fox. "), 50000)
	check(os.WriteFile("a", data, 0o644))
	src, _ := os.Open("a")
	dst, _ := os.Create("b")
	n, err := io.Copy(dst, src)
	fmt.Println(n, err)
	got, _ := os.ReadFile("b")
	fmt.Println(bytes.Equal(got, data))
	src.Seek(10, 0)
	dst.Seek(0, 0)
	n, err = io.CopyN(dst, src, 100000)
	fmt.Println(n, err)
	pos1, _ := src.Seek(0, 1)
	pos2, _ := dst.Seek(0, 1)
	fmt.Println(pos1, pos2)
	offset := int64(5)
	m, err := syscall.Sendfile(int(dst.Fd()), int(src.Fd()), &offset, 1000)
	fmt.Println(m, err, offset)
	pos1, _ = src.Seek(0, 1)
	pos2, _ = dst.Seek(0, 1)
	fmt.Println(pos1, pos2)
	got, _ = os.ReadFile("b")
	fmt.Printf("%x\n", sha256.Sum256(got))
}

func cwd() {
	top, _ := os.Getwd()
	check(os.MkdirAll("a/b/c", 0o755))
	check(os.Chdir("a/b"))
	here, err := syscall.Getwd()
	fmt.Println(strings.TrimPrefix(here, top), err)
	check(os.Rename("../../a", "../../z"))
	here, err = syscall.Getwd()
	fmt.Println(strings.TrimPrefix(here, top), err)
	stat("c")
	d, _ := os.Open("c")
	check(os.Chdir("/"))
	check(d.Chdir())
	here, _ = syscall.Getwd()
	fmt.Println(strings.TrimPrefix(here, top))
	check(os.Remove(top + "/z/b/c"))
	_, err = syscall.Getwd()
	show("removed", err)
	_, err = os.Create("x")
	show("create in a removed directory", err)
	_, err = os.ReadDir(".")
	show("read a removed directory", err)
	_, err = os.Stat(".")
	show("stat", err)
	_, err = os.Stat("..")
	show("stat ..", err)
	_, err = syscall.Getcwd(make([]byte, 2))
	show("small", err)
	check(os.Chdir("/.."))
	here, _ = syscall.Getwd()
	fmt.Println(here)
}

func unlinked() {
	f, _ := os.Create("a")
	f.WriteString("still here")
	check(os.Remove("a"))
	info, _ := f.Stat()
	fmt.Println(info.Size(), info.Sys().(*syscall.Stat_t).Nlink)
	f.Seek(0, 0)
	b, err := io.ReadAll(f)
	fmt.Println(string(b), err)
	f.WriteString("!")
	write("a", "another")
	cat("a")
	f.Seek(0, 0)
	b, _ = io.ReadAll(f)
	fmt.Println(string(b))
	f.Close()
}

func threads() {
	f, _ := os.OpenFile("log", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	var wg sync.WaitGroup
	for i := 0; i < 16; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for j := 0; j < 200; j++ {
				fmt.Fprintf(f, "%02d %03d\n", i, j)
				name := fmt.Sprintf("f-%d-%d", i, j%10)
				check(os.WriteFile(name, []byte(name), 0o644))
				b, err := os.ReadFile(name)
				if err != nil || string(b) != name {
					fmt.Println("wrong", name, string(b), err)
				}
				if j%3 == 0 {
					check(os.Rename(name, name+"x"))
				}
			}
		}(i)
	}
	wg.Wait()
	b, _ := os.ReadFile("log")
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	sort.Strings(lines)
	fmt.Println(len(lines), lines[0], lines[3199])
	for i, line := range lines {
		if line != fmt.Sprintf("%02d %03d", i/200, i%200) {
			fmt.Println("torn", line)
		}
	}
	entries, _ := os.ReadDir(".")
	fmt.Println(len(entries))
}

func big() {
	f, _ := os.Create("big")
	h := sha256.New()
	block := make([]byte, 1<<20)
	for i := 0; i < 64; i++ {
		for j := range block {
			block[j] = byte(i*7 + j>>3)
		}
		h.Write(block)
		_, err := f.Write(block)
		check(err)
	}
	f.Seek(0, 0)
	g := sha256.New()
	n, err := io.Copy(g, f)
	fmt.Println(n, err, bytes.Equal(h.Sum(nil), g.Sum(nil)))
	f.Close()
	stat("big")
}

func temp() {
	for i := 0; i < 3; i++ {
		f, err := os.CreateTemp("", "x*.txt")
		check(err)
		fmt.Println(strings.HasSuffix(f.Name(), ".txt"), strings.HasPrefix(f.Name(), os.TempDir()))
		stat2, _ := f.Stat()
		fmt.Println(stat2.Mode())
		f.Close()
		check(os.Remove(f.Name()))
	}
	info, err := os.Stat("/tmp")
	fmt.Println(info.Mode(), err)
}

func removeAll() {
	for i := 0; i < 20; i++ {
		check(os.MkdirAll(fmt.Sprintf("d/%d/e/f/g", i), 0o755))
		for j := 0; j < 20; j++ {
			write(fmt.Sprintf("d/%d/e/%d", i, j), "x")
		}
	}
	check(os.Symlink("../keep", "d/link"))
	write("keep", "kept")
	show("removeall", os.RemoveAll("d"))
	tree(".")
	show("missing", os.RemoveAll("d"))
	show("dot", os.RemoveAll("."))
}
