// Console does what the tests of the ringo command want of a program at the other end of its streams.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"flood": flood, "alternate": alternate, "take": take, "give": give, "machine": machine, "tree": tree, "echo": echo,
		"where": where, "close": closeStdout, "hold": hold, "unknown-call": unknownCall, "write": write, "spawn": spawn,
		"leave": leave,
	})
}

// flood writes for ever. With the argument "keep" it hears of SIGPIPE, and so gets the error instead.
func flood() {
	if len(os.Args) > 2 && os.Args[2] == "keep" {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	}
	block := bytes.Repeat([]byte("flood\n"), 1000)
	for {
		if _, err := os.Stdout.Write(block); err != nil {
			fmt.Fprintln(os.Stderr, prog.Name(err))
			os.Exit(4)
		}
	}
}

// alternate writes by turns to both outputs.
func alternate() {
	for i := 0; i < 500; i++ {
		fmt.Fprintln(os.Stdout, "out", i)
		fmt.Fprintln(os.Stderr, "err", i)
		if i%100 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
}

func number() int {
	n, err := strconv.Atoi(os.Args[2])
	prog.Must(err)
	return n
}

// take reads so many bytes of input and not one more.
func take() {
	data := make([]byte, number())
	n, err := io.ReadFull(os.Stdin, data)
	fmt.Println(n, prog.Name(err))
	fmt.Printf("%x\n", sha256.Sum256(data[:n]))
}

// give writes so many MiB, each block different, and their digest on standard error.
func give() {
	h := sha256.New()
	block := make([]byte, 1<<20)
	for i := 0; i < number(); i++ {
		for j := range block {
			block[j] = byte(i + j*7 + j>>9)
		}
		h.Write(block)
		_, err := os.Stdout.Write(block)
		prog.Must(err)
	}
	fmt.Fprintf(os.Stderr, "%x\n", h.Sum(nil))
}

func machine() {
	var info syscall.Sysinfo_t
	prog.Must(syscall.Sysinfo(&info))
	fmt.Println(runtime.NumCPU(), info.Totalram*uint64(info.Unit)>>20)
}

func where() {
	dir, err := os.Getwd()
	prog.Must(err)
	fmt.Println(dir)
	for _, name := range os.Args[2:] {
		value, ok := os.LookupEnv(name)
		fmt.Printf("%s %q %v\n", name, value, ok)
	}
}

// tree lists all below a directory with what a copy must keep.
func tree() {
	root := os.Args[2]
	prog.Must(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		prog.Must(err)
		info, err := entry.Info()
		prog.Must(err)
		name, _ := filepath.Rel(root, path)
		fmt.Printf("%q %v %v ", name, info.Mode(), info.ModTime().UTC().Unix())
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			prog.Must(err)
			links := info.Sys().(*syscall.Stat_t).Nlink
			fmt.Printf("%d %d %x\n", info.Size(), links, sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Println(target, err)
		default:
			fmt.Println()
		}
		return nil
	}))
}

// echo answers each line; it ends with its input.
func echo() {
	fmt.Println("ready")
	scanner := bufio.NewScanner(os.Stdin)
	for scanner.Scan() {
		fmt.Println("heard", strings.ToUpper(scanner.Text()))
	}
	fmt.Println("end", scanner.Err())
}

// closeStdout closes its output and lives on.
func closeStdout() {
	fmt.Println("last words")
	prog.Must(os.Stdout.Close())
	time.Sleep(time.Hour)
}

// hold says it is there and stays, without looking at anything.
func hold() {
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

// unknownCall makes a system call that there is nowhere, more than once.
func unknownCall() {
	var e syscall.Errno
	for i := 0; i < 3; i++ {
		_, _, e = syscall.Syscall(400, 0, 0, 0)
	}
	fmt.Println(prog.Name(e))
}

// leave makes and changes files in a directory (tests/src/commands/kept.rs), and ends with a code.
func leave() {
	prog.Must(os.Chdir(os.Args[2]))
	prog.Must(os.WriteFile("new", []byte("a new file\n"), 0o640))
	prog.Must(os.WriteFile("empty", nil, 0o600))
	prog.Must(os.MkdirAll("made/in/side", 0o755))
	prog.Must(os.WriteFile("made/in/side/file", bytes.Repeat([]byte("0123456789"), 50000), 0o644))
	prog.Must(os.Mkdir("made/empty", 0o700))
	old, err := os.OpenFile("old", os.O_APPEND|os.O_WRONLY, 0)
	prog.Must(err)
	_, err = old.WriteString("appended\n")
	prog.Must(err)
	prog.Must(os.Truncate("long", 10000))
	prog.Must(os.Chmod("script", 0o700))
	prog.Must(os.Rename("moved", "made/moved"))
	prog.Must(os.Rename("made/moved/inner", "renamed"))
	prog.Must(os.Symlink("../old", "made/link"))
	sparse, err := os.Create("sparse")
	prog.Must(err)
	_, err = sparse.WriteAt([]byte("far"), 3<<20)
	prog.Must(err)
	prog.Must(sparse.Truncate(5 << 20))
	mapped, err := os.OpenFile("mapped", os.O_RDWR, 0)
	prog.Must(err)
	data, err := syscall.Mmap(int(mapped.Fd()), 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	prog.Must(err)
	copy(data[100:], "through a mapping")
	prog.Must(os.Chtimes("new", time.Unix(1e9, 0), time.Unix(1e9, 0)))
	code, err := strconv.Atoi(os.Args[3])
	prog.Must(err)
	os.Exit(code)
}

// write changes files and reads them back.
func write() {
	for _, name := range os.Args[2:] {
		prog.Must(os.WriteFile(name, []byte("changed"), 0o644))
		data, err := os.ReadFile(name)
		prog.Must(err)
		fmt.Println(string(data))
	}
}
