//go:build go1.25

// Overlay tests files that were there before the program started: those of the host, for `ringo exec`. It runs in a folder
// that tests/src/overlay.rs fills, changes what it finds and prints what it then sees.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing/fstest"
	"time"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"tree": tree, "attributes": attributes, "readdir": readdir, "readdir-changing": readdirChanging, "write": write,
		"truncate": truncate, "sparse": sparse, "rename": rename, "rename-directory": renameDirectory, "exchange": exchange,
		"remove": remove, "recreate": recreate, "symlinks": symlinks, "links": links, "modes": modes, "times": times,
		"missing": missing, "dirfs": dirfs, "at": at, "working-directory": workingDirectory, "outside": outside,
		"private-map": privateMap, "shared-map": sharedMap, "map-end": mapEnd, "big": big, "big-random": bigRandom,
		"big-twice": bigTwice, "big-map": bigMap, "pages": pages, "many": many, "many-walk": manyWalk, "many-times": manyTimes, "threads": threads, "churn": churn,
		"removeall": removeAll, "copy": copyTree, "locks": locks, "unlinked": unlinked, "available": available, "temp": temp,
	})
}

func check(err error) {
	if err != nil {
		fmt.Println("unexpected:", err)
		os.Exit(1)
	}
}

func show(what string, err error) { fmt.Printf("%s: %v\n", what, err) }

func put(name, text string) { check(os.WriteFile(name, []byte(text), 0o644)) }

func cat(name string) {
	b, err := os.ReadFile(name)
	if len(b) > 80 {
		fmt.Printf("%s: %d bytes, %q ... %q %v\n", name, len(b), b[:20], b[len(b)-20:], err)
		return
	}
	fmt.Printf("%s: %q %v\n", name, b, err)
}

// list prints a directory as ReadDir has it.
func list(name string) {
	entries, err := os.ReadDir(name)
	var names []string
	for _, entry := range entries {
		names = append(names, fs.FormatDirEntry(entry))
	}
	fmt.Println(name, names, err)
}

// walk prints a whole tree. Sizes of directories are the file system's own affair.
func walk(root string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			fmt.Println(path, err)
			return nil
		}
		info, err := d.Info()
		if err != nil {
			fmt.Println(path, err)
			return nil
		}
		size := info.Size()
		if d.IsDir() {
			size = 0
		}
		target := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err = os.Readlink(path)
			target = fmt.Sprint(" -> ", target, " ", err)
		}
		fmt.Println(path, info.Mode(), size, target)
		return nil
	})
	show("walk", err)
}

func tree() {
	walk(".")
	cat("text")
	cat("empty")
	cat("page")
	cat("sub/deep/er/leaf")
	count := 0
	check(filepath.Walk(".", func(string, fs.FileInfo, error) error { count++; return nil }))
	fmt.Println(count)
	matches, err := filepath.Glob("sub/*/*")
	fmt.Println(matches, err)
}

func attributes() {
	for _, name := range []string{"text", "private", "script", "sub", "link", "dangling", "set-id"} {
		var st syscall.Stat_t
		check(syscall.Lstat(name, &st))
		fmt.Printf("%s %o %d %d:%d", name, st.Mode, st.Nlink, st.Uid, st.Gid)
		if name != "sub" {
			fmt.Printf(" %d", st.Size)
		}
		if name == "text" || name == "script" {
			fmt.Print(" ", st.Mtim)
		}
		fmt.Println()
		var again syscall.Stat_t
		check(syscall.Lstat(name, &again))
		fmt.Println(st == again)
	}
	a, err := os.Stat("link")
	check(err)
	b, err := os.Stat("text")
	check(err)
	c, err := os.Stat("page")
	check(err)
	fmt.Println(os.SameFile(a, b), os.SameFile(b, c))
	f, err := os.Open("text")
	check(err)
	d, err := f.Stat()
	check(err)
	fmt.Println(os.SameFile(b, d), d.ModTime().UTC())
}

func readdir() {
	list("sub")
	put("sub/new", "n")
	check(os.Remove("sub/a"))
	check(os.Mkdir("sub/newdir", 0o755))
	check(os.Rename("sub/b", "sub/moved"))
	put("sub/c", "changed")
	list("sub")
	put("sub/a", "again")
	list("sub")
	f, err := os.Open("sub")
	check(err)
	var names []string
	for {
		batch, err := f.Readdirnames(2)
		names = append(names, batch...)
		if err != nil {
			break
		}
	}
	sort.Strings(names)
	fmt.Println(names)
	_, err = f.Seek(0, 0)
	check(err)
	again, err := f.Readdirnames(-1)
	sort.Strings(again)
	fmt.Println(fmt.Sprint(again) == fmt.Sprint(names), err)
	_, err = os.ReadDir("text")
	show("of a file", err)
	_, err = os.ReadDir("none")
	show("of nothing", err)
}

// readdirChanging: an entry that stays is told once, whatever comes and goes meanwhile.
func readdirChanging() {
	f, err := os.Open("many")
	check(err)
	seen := map[string]int{}
	for round := 0; ; round++ {
		batch, err := f.Readdirnames(50)
		for _, name := range batch {
			seen[name]++
		}
		if err != nil {
			break
		}
		put(fmt.Sprint("many/new", round), "x")
		_ = os.Remove(fmt.Sprintf("many/f%04d", round*7))
		if round%3 == 0 {
			_, err := os.Stat(fmt.Sprintf("many/f%04d", 900-round))
			check(err)
		}
	}
	twice, lost := 0, 0
	for _, n := range seen {
		if n > 1 {
			twice++
		}
	}
	for i := 0; i < 1000; i++ {
		name := fmt.Sprintf("f%04d", i)
		if _, err := os.Lstat("many/" + name); err == nil && seen[name] == 0 {
			lost++
		}
	}
	fmt.Println(twice, lost)
}

func write() {
	f, err := os.OpenFile("text", os.O_RDWR, 0)
	check(err)
	_, err = f.WriteAt([]byte("WROTE"), 3)
	check(err)
	cat("text")
	_, err = f.WriteAt([]byte("far"), 10000)
	check(err)
	info, err := f.Stat()
	check(err)
	fmt.Println(info.Size(), info.Mode())
	check(f.Close())
	f, err = os.OpenFile("page", os.O_APPEND|os.O_WRONLY, 0)
	check(err)
	_, err = f.WriteString("appended")
	check(err)
	check(f.Close())
	cat("page")
	// Across pages of a file that was never read.
	f, err = os.OpenFile("medium", os.O_WRONLY, 0)
	check(err)
	_, err = f.WriteAt([]byte(strings.Repeat("#", 9000)), 5000)
	check(err)
	check(f.Close())
	b, err := os.ReadFile("medium")
	check(err)
	fmt.Println(len(b), string(b[4990:5010]), string(b[13990:14010]), digest(b))
	put("text", "all new")
	cat("text")
	_, err = os.OpenFile("text", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	show("exclusive", err)
	_, err = os.OpenFile("sub", os.O_WRONLY, 0)
	show("directory", err)
	f, err = os.OpenFile("fresh", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	check(err)
	check(f.Close())
	put("sub/deep/er/made", "deep")
	cat("sub/deep/er/made")
	_, err = os.Create("sub/none/made")
	show("no directory", err)
	// A page only part of which the program can give.
	m, err := syscall.Mmap(-1, 0, 8192, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	check(err)
	check(syscall.Mprotect(m[4096:], syscall.PROT_NONE))
	copy(m, strings.Repeat("m", 4096))
	f, err = os.OpenFile("medium2", os.O_WRONLY, 0)
	check(err)
	n, err := syscall.Pwrite(int(f.Fd()), m[2048:6144], 4096)
	fmt.Println(n, err)
	b, err = os.ReadFile("medium2")
	check(err)
	fmt.Println(len(b), string(b[6140:6150]), digest(b))
}

func truncate() {
	check(os.Truncate("medium", 5000))
	check(os.Truncate("medium", 20000))
	b, err := os.ReadFile("medium")
	check(err)
	zeros := 0
	for _, c := range b[5000:] {
		if c == 0 {
			zeros++
		}
	}
	fmt.Println(len(b), zeros, digest(b))
	check(os.Truncate("medium2", 0))
	cat("medium2")
	check(os.Truncate("medium2", 8192))
	b, err = os.ReadFile("medium2")
	check(err)
	fmt.Println(len(b), digest(b))
	f, err := os.OpenFile("text", os.O_RDWR|os.O_TRUNC, 0)
	check(err)
	info, err := f.Stat()
	check(err)
	fmt.Println(info.Size())
	check(os.Truncate("page", 4097))
	cat("page")
	check(os.Truncate("big", 1<<20+17))
	b, err = os.ReadFile("big")
	check(err)
	fmt.Println(len(b), digest(b))
	f, err = os.OpenFile("big", os.O_RDWR, 0)
	check(err)
	_, err = f.WriteAt([]byte("end"), 2<<20)
	check(err)
	b, err = os.ReadFile("big")
	check(err)
	fmt.Println(len(b), digest(b))
}

func sparse() {
	f, err := os.OpenFile("medium", os.O_RDWR, 0)
	check(err)
	const punch, keep = 2, 1
	show("punch", syscall.Fallocate(int(f.Fd()), punch|keep, 1000, 20000))
	b, err := os.ReadFile("medium")
	check(err)
	fmt.Println(len(b), digest(b))
	at, err := f.Seek(0, 3)
	fmt.Println("data", at, err)
	show("extend", syscall.Fallocate(int(f.Fd()), 0, 0, 100000))
	b, err = os.ReadFile("medium")
	check(err)
	fmt.Println(len(b), digest(b))
	show("punch the end", syscall.Fallocate(int(f.Fd()), punch|keep, 8192, 200000))
	b, err = os.ReadFile("medium")
	check(err)
	fmt.Println(len(b), digest(b))
	at, err = f.Seek(8192, 4)
	fmt.Println("hole", at, err)
}

func rename() {
	check(os.Rename("text", "sub/text"))
	cat("sub/text")
	_, err := os.Lstat("text")
	show("old name", err)
	check(os.Rename("page", "sub/a"))
	cat("sub/a")
	put("mine", "of the program")
	check(os.Rename("mine", "sub/b"))
	cat("sub/b")
	check(os.Rename("sub/b", "page"))
	cat("page")
	show("onto a directory", os.Rename("page", "sub"))
	show("directory onto a file", os.Rename("sub", "page"))
	show("of nothing", os.Rename("none", "other"))
	show("onto itself", os.Rename("page", "page"))
	check(os.Rename("link", "other-link"))
	target, err := os.Readlink("other-link")
	fmt.Println(target, err)
	f, err := os.Open("medium")
	check(err)
	check(os.Rename("medium", "sub/medium"))
	b := make([]byte, 30)
	_, err = f.ReadAt(b, 20000)
	fmt.Printf("%q %v\n", b, err)
	check(os.Remove("sub/medium"))
	_, err = f.ReadAt(b, 30000)
	fmt.Printf("%q %v\n", b, err)
	walk(".")
}

func renameDirectory() {
	check(os.Rename("sub/deep", "moved"))
	walk("moved")
	cat("moved/er/leaf")
	_, err := os.Stat("sub/deep/er/leaf")
	show("old", err)
	check(os.Mkdir("sub/deep", 0o755))
	list("sub/deep")
	show("onto an empty one", os.Rename("moved", "sub/deep"))
	check(syscall.Rename("moved", "sub/deep"))
	walk("sub")
	show("below itself", os.Rename("sub", "sub/deep/x"))
	show("onto a full one", syscall.Rename("sub/deep/er", "many"))
	check(os.Rename("sub", "renamed"))
	cat("renamed/deep/er/leaf")
	put("renamed/deep/er/more", "more")
	check(os.Remove("renamed/deep/er/leaf"))
	check(os.Rename("renamed/deep/er", "er"))
	list("er")
	wd, err := os.Getwd()
	check(err)
	check(os.Chdir("renamed/deep"))
	check(os.Rename("../../renamed", "../../again"))
	now, err := os.Getwd()
	check(err)
	now, _ = filepath.Rel(wd, now)
	fmt.Println(now)
	list(".")
}

func exchange() {
	const both = 2
	at := func(a, b string) error {
		_, _, errno := syscall.Syscall6(316, ^uintptr(99), ptr(a), ^uintptr(99), ptr(b), both, 0)
		if errno != 0 {
			return errno
		}
		return nil
	}
	check(at("text", "sub"))
	list("text")
	cat("sub")
	check(at("text", "sub"))
	cat("text")
	put("mine", "mine")
	check(at("mine", "page"))
	cat("page")
	fmt.Println(at("none", "page"), at("page", "none"))
}

func remove() {
	check(os.Remove("text"))
	_, err := os.ReadFile("text")
	show("removed", err)
	show("again", os.Remove("text"))
	show("full", os.Remove("sub"))
	show("unlink of a directory", syscall.Unlink("sub"))
	show("rmdir of a file", syscall.Rmdir("page"))
	for _, name := range []string{"deep/er/leaf", "deep/er", "deep"} {
		check(os.Remove("sub/" + name))
	}
	list("sub")
	check(os.RemoveAll("sub"))
	_, err = os.Stat("sub")
	show("sub", err)
	check(os.Mkdir("sub", 0o700))
	list("sub")
	put("sub/a", "of the new one")
	cat("sub/a")
	_, err = os.Stat("sub/b")
	show("what was there before", err)
	walk("sub")
	check(os.Remove("link"))
	check(os.Remove("dangling"))
	list(".")
}

func recreate() {
	for i := 0; i < 100; i++ {
		check(os.Remove("text"))
		_, err := os.Stat("text")
		if !errors.Is(err, fs.ErrNotExist) {
			fmt.Println("still there", err)
		}
		put("text", fmt.Sprint("round ", i))
	}
	cat("text")
	check(os.Remove("text"))
	check(os.Mkdir("text", 0o755))
	list("text")
	check(os.Remove("text"))
	check(os.Symlink("page", "text"))
	cat("text")
	list(".")
}

func symlinks() {
	for _, name := range []string{"link", "dangling", "up", "sub/back", "to-sub", "chain"} {
		target, err := os.Readlink(name)
		fmt.Println(name, target, err)
		info, err := os.Stat(name)
		if err == nil {
			fmt.Println(info.Mode(), info.Name())
		} else {
			fmt.Println(err)
		}
	}
	cat("to-sub/a")
	cat("to-sub/back/text")
	cat("chain")
	put("link", "through the link")
	cat("text")
	put("dangling", "made by way of the link")
	cat("nowhere")
	_, err := os.Stat("loop")
	show("loop", err)
	check(os.Symlink("sub/deep", "fresh"))
	list("fresh")
	put("fresh/er/x", "x")
	cat("sub/deep/er/x")
	resolved, err := filepath.EvalSymlinks("to-sub/back/to-sub/deep")
	fmt.Println(resolved, err)
	_, err = os.Stat("link/")
	show("slash", err)
	f, err := os.OpenFile("link", os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	fmt.Println(f == nil, err)
}

func links() {
	check(os.Link("text", "second"))
	f, err := os.OpenFile("second", os.O_WRONLY, 0)
	check(err)
	_, err = f.WriteString("BOTH")
	check(err)
	check(f.Close())
	cat("text")
	nlink := func(name string) {
		var st syscall.Stat_t
		check(syscall.Stat(name, &st))
		fmt.Println(name, st.Nlink)
	}
	nlink("text")
	nlink("second")
	check(os.Remove("text"))
	nlink("second")
	check(os.Link("second", "sub/third"))
	cat("sub/third")
	show("of a directory", os.Link("sub", "x"))
	show("over another", os.Link("second", "page"))
	check(os.Link("link", "link2"))
	target, err := os.Readlink("link2")
	fmt.Println(target, err)
}

func modes() {
	syscall.Umask(0)
	check(os.Chmod("text", 0o600))
	check(os.Chmod("sub", 0o711))
	check(os.Chmod("script", 0o4755))
	for _, name := range []string{"text", "sub", "script"} {
		info, err := os.Stat(name)
		check(err)
		fmt.Println(name, info.Mode(), info.ModTime().Year() > 2000)
	}
	cat("text")
	show("chown", os.Chown("text", 1234, 99))
	var st syscall.Stat_t
	check(syscall.Stat("text", &st))
	fmt.Println(st.Uid, st.Gid)
	cat("text")
	show("nothing", os.Chmod("none", 0o644))
}

func times() {
	when := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	check(os.Chtimes("text", when, when))
	info, err := os.Stat("text")
	check(err)
	fmt.Println(info.ModTime().UTC())
	cat("text")
	info, err = os.Stat("page")
	check(err)
	old := info.ModTime()
	put("page", "new")
	info, err = os.Stat("page")
	check(err)
	fmt.Println(old.UTC(), info.ModTime().After(old))
	info, err = os.Stat("sub")
	check(err)
	old = info.ModTime()
	put("sub/created", "")
	info, err = os.Stat("sub")
	check(err)
	fmt.Println(info.ModTime().Before(old))
}

func missing() {
	for i := 0; i < 200; i++ {
		for _, dir := range []string{".", "sub", "sub/deep", "none", "none/below", "text"} {
			_, err := os.Stat(fmt.Sprintf("%s/absent%d", dir, i))
			if i == 7 || err == nil {
				show(dir, err)
			}
		}
	}
	put("absent7", "not any more")
	cat("absent7")
	check(os.Remove("absent7"))
	_, err := os.Stat("absent7")
	show("gone", err)
	_, err = os.Stat(strings.Repeat("n", 256))
	show("long", err)
	_, err = os.Stat(strings.Repeat("n", 255))
	show("longest", errors.Unwrap(err))
	_, err = os.Open("text/../page")
	show("through a file", err)
	_, err = os.Stat("sub/../sub/./deep//er/leaf")
	show("dots", err)
}

func dirfs() {
	fsys := os.DirFS(".")
	b, err := fs.ReadFile(fsys, "sub/deep/er/leaf")
	fmt.Printf("%q %v\n", b, err)
	names, err := fs.Glob(fsys, "*/a")
	fmt.Println(names, err)
	show("tested", fstest.TestFS(os.DirFS("sub/deep"), "er/leaf"))
	root, err := os.OpenRoot("sub")
	check(err)
	b, err = root.ReadFile("deep/er/leaf")
	fmt.Printf("%q %v\n", b, err)
	_, err = root.ReadFile("back/text")
	show("out of the root", err)
	show("write", root.WriteFile("deep/made", []byte("in the root"), 0o644))
	cat("sub/deep/made")
}

func workingDirectory() {
	wd, err := os.Getwd()
	check(err)
	check(os.Chdir("sub/deep"))
	now, err := os.Getwd()
	check(err)
	rel, err := filepath.Rel(wd, now)
	fmt.Println(rel, err)
	cat("er/leaf")
	cat("../a")
	cat("../../text")
	check(os.Chdir("../back"))
	cat("text")
	show("nowhere", os.Chdir("none"))
	show("a file", os.Chdir("text"))
}

// outside looks at what is the same on any machine.
func outside() {
	for _, name := range []string{"/", "/etc", "/tmp", "/dev", "/proc", "/sys", "/usr"} {
		info, err := os.Stat(name)
		fmt.Println(name, err == nil && info.IsDir())
	}
	b, err := os.ReadFile("/etc/passwd")
	fmt.Println(len(b) > 0, err)
	f, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	check(err)
	_, err = f.WriteString("gone")
	show("null", err)
	exe, err := os.Executable()
	check(err)
	info, err := os.Stat(exe)
	check(err)
	fmt.Println(info.Size() > 1<<20, info.Mode())
	_, err = os.OpenFile(exe, os.O_WRONLY, 0)
	show("the program itself", errors.Unwrap(err))
	_, err = os.ReadDir("/proc/self/fd")
	show("descriptors", err)
}

func temp() {
	for i := 0; i < 300; i++ {
		f, err := os.CreateTemp(".", "t*")
		check(err)
		_, err = f.WriteString("x")
		check(err)
		check(f.Close())
		check(os.Remove(f.Name()))
	}
	list(".")
	dir, err := os.MkdirTemp("", "overlay")
	check(err)
	put(filepath.Join(dir, "x"), "in the temporary directory")
	b, err := os.ReadFile(filepath.Join(dir, "x"))
	fmt.Printf("%q %v\n", b, err)
	check(os.RemoveAll(dir))
}
