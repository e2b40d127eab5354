// Circumstances tests what a program is given at its start and how it ends: arguments, environment, working
// directory, the three streams, exit codes.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"args": func() { fmt.Printf("%d %q\n", len(os.Args), os.Args[1:]) },
		"env":  environment, "exit": exit, "exit-from-goroutine": exitFromGoroutine, "goexit": goexit,
		"lines": lines, "digest": digest, "output": output, "cwd": cwd, "copy": func() { io.Copy(os.Stdout, os.Stdin) },
		"build-info": buildInfo, "executable": executable, "closed-streams": closedStreams, "deferred": deferred,
		"unbuffered": unbuffered, "stdin-twice": stdinTwice, "digest-args": digestArgs, "count-names": countNames,
	})
}

func digestArgs() {
	hash := sha256.New()
	for _, arg := range os.Args[1:] {
		fmt.Fprintf(hash, "%d %s,", len(arg), arg)
	}
	fmt.Printf("%d %x\n", len(os.Args), hash.Sum(nil))
}

func countNames() {
	names, err := os.ReadDir(os.Args[2])
	prog.Must(err)
	fmt.Println(len(names))
}

func environment() {
	var all []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TMPDIR=") && !strings.HasPrefix(pair, "PATH=") && !strings.HasPrefix(pair, "HOME=") {
			all = append(all, pair)
		}
	}
	sort.Strings(all)
	fmt.Printf("%q\n", all)
	value, ok := os.LookupEnv("EMPTY")
	fmt.Printf("%q %v\n", value, ok)
	prog.Must(os.Setenv("NEW", "value"))
	fmt.Println(os.ExpandEnv("$NEW ${LONG}")[:10])
}

func exit() {
	code, _ := strconv.Atoi(os.Args[2])
	defer fmt.Println("never printed")
	os.Exit(code)
}

func exitFromGoroutine() {
	for i := 0; i < 100; i++ {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	}
	go os.Exit(7)
	select {}
}

func goexit() {
	defer fmt.Println("deferred calls still run")
	runtime.Goexit()
}

func deferred() {
	defer fmt.Println("third")
	defer func() {
		fmt.Println("second:", recover())
		os.Exit(9)
	}()
	fmt.Println("first")
	panic("a panic that is recovered")
}

func lines() {
	scanner := bufio.NewScanner(os.Stdin)
	n := 0
	for scanner.Scan() {
		n++
		fmt.Printf("%d %q\n", n, scanner.Text())
	}
	fmt.Println("end of file:", scanner.Err() == nil)
}

func digest() {
	h := sha256.New()
	n, err := io.Copy(h, os.Stdin)
	prog.Must(err)
	fmt.Printf("%d bytes %x\n", n, h.Sum(nil))
}

func stdinTwice() {
	first := make([]byte, 10)
	_, err := io.ReadFull(os.Stdin, first)
	prog.Must(err)
	rest, err := io.ReadAll(os.Stdin)
	prog.Must(err)
	n, err := os.Stdin.Read(first)
	fmt.Printf("%q %d %d %v\n", first, len(rest), n, err)
}

// output writes a pattern that would show a lost, doubled or swapped piece, to both streams at once.
func output() {
	mib, _ := strconv.Atoi(os.Args[2])
	var wg sync.WaitGroup
	for i, file := range []*os.File{os.Stdout, os.Stderr} {
		wg.Add(1)
		go func(seed int, file *os.File) {
			defer wg.Done()
			var piece bytes.Buffer
			for n := 0; n < mib<<20; {
				piece.Reset()
				for piece.Len() < 1+(n*7+seed)%100000 {
					fmt.Fprintf(&piece, "%d:%d\n", seed, n+piece.Len())
				}
				written, err := file.Write(piece.Bytes())
				prog.Must(err)
				n += written
			}
		}(i, file)
	}
	wg.Wait()
}

// unbuffered makes many small writes.
func unbuffered() {
	for i := 0; i < 20000; i++ {
		os.Stdout.WriteString(strconv.Itoa(i) + "\n")
		if i%100 == 0 {
			os.Stderr.WriteString(strconv.Itoa(i) + "\n")
		}
	}
}

func cwd() {
	dir, err := os.MkdirTemp("", "cwd")
	prog.Must(err)
	dir, err = filepath.EvalSymlinks(dir)
	prog.Must(err)
	prog.Must(os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	prog.Must(os.Chdir(dir))
	prog.Must(os.Chdir("a/b"))
	where, err := os.Getwd()
	prog.Must(err)
	rel, _ := filepath.Rel(dir, where)
	fmt.Println(rel)
	prog.Must(os.Chdir(".."))
	where, _ = os.Getwd()
	rel, _ = filepath.Rel(dir, where)
	fmt.Println(rel)
	fmt.Println(prog.Name(os.Chdir("missing")))
	prog.Must(os.WriteFile("file", nil, 0o600))
	fmt.Println(prog.Name(os.Chdir("file")))
	prog.Must(os.Chdir("b"))
	prog.Must(os.Remove("../b"))
	os.Unsetenv("PWD")
	_, err = os.Getwd()
	fmt.Println(prog.Name(err))
	prog.Must(os.Chdir("/"))
	prog.Must(os.RemoveAll(dir))
}

func buildInfo() {
	info, ok := debug.ReadBuildInfo()
	fmt.Println(ok, info.Path, runtime.GOOS, runtime.GOARCH, runtime.Compiler)
}

// executable reads the program's own file, as programs that carry data at their end do.
func executable() {
	name, err := os.Executable()
	prog.Must(err)
	fmt.Println(filepath.Base(name))
	file, err := os.Open(name)
	prog.Must(err)
	head := make([]byte, 4)
	_, err = io.ReadFull(file, head)
	prog.Must(err)
	h := sha256.New()
	n, err := io.Copy(h, file)
	prog.Must(err)
	link, err := os.Readlink("/proc/self/exe")
	prog.Must(err)
	self, err := os.Open("/proc/self/exe")
	prog.Must(err)
	info, err := self.Stat()
	prog.Must(err)
	fmt.Printf("%q %d %x %v %v\n", head, n, h.Sum(nil), link == name, info.Size() == n+4)
}

func closedStreams() {
	prog.Must(os.Stdin.Close())
	file, err := os.Open("/dev/null")
	prog.Must(err)
	fmt.Println("the lowest free descriptor is", file.Fd())
	prog.Must(os.Stderr.Close())
	_, err = os.Stderr.WriteString("lost")
	fmt.Println(err)
}
