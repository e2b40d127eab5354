// Procfs tests /proc and /sys: that what they tell is so, agrees with what system calls tell, and has the form that
// programs parse.
package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"ringo.dev/go/internal/prog"
)

// The first thread stays the main goroutine's: the runtime never ends it, so that others must be those that end.
func init() { runtime.LockOSThread() }

func main() {
	prog.Main(prog.Acts{
		"links": links, "status": status, "stat": stat, "limits": limits, "io": inOut, "names": names, "strings": ownStrings,
		"adjust": adjust, "maps": maps, "smaps": smaps, "heap": heap, "threads": threads, "thread-end": threadEnd,
		"descriptors": descriptors, "reopen": reopen, "infos": infos, "many-descriptors": manyDescriptors,
		"directories": directories, "errors": failures, "modes": modes, "statfs": statfs, "parallel": parallel,
		"meminfo": meminfo, "cpuinfo": cpuinfo, "system": system, "settings": settings, "mounts": mounts,
		"cpus": cpus, "machine": machine, "seek": seek, "network": network,
	})
}

func text(name string) string {
	b, err := os.ReadFile(name)
	prog.Must(err)
	return string(b)
}

func lines(name string) []string {
	return strings.Split(strings.TrimSuffix(text(name), "\n"), "\n")
}

// table is a file of lines "key: value".
func table(name string) map[string]string {
	all := map[string]string{}
	for _, line := range lines(name) {
		key, value, ok := strings.Cut(line, ":")
		prog.Check(ok, "%s: no key in %q", name, line)
		all[key] = strings.TrimSpace(value)
	}
	return all
}

// number is the first decimal number of s.
func number(s string) int {
	fields := strings.Fields(s)
	prog.Check(len(fields) > 0, "no number in %q", s)
	n, err := strconv.Atoi(fields[0])
	prog.Must(err)
	return n
}

// has says which of the keys a table lacks.
func has(name string, all map[string]string, keys string) {
	var missing []string
	for _, key := range strings.Fields(keys) {
		if _, ok := all[key]; !ok {
			missing = append(missing, key)
		}
	}
	fmt.Println(name, "lacks", missing)
}

func matches(what, s, pattern string) {
	if regexp.MustCompile("^(?:" + pattern + ")$").MatchString(s) {
		fmt.Println(what, "has its form")
	} else {
		fmt.Printf("%s: %q is not %s\n", what, s, pattern)
	}
}

func self(name string) string { return "/proc/self/" + name }

func links() {
	pid := fmt.Sprint(os.Getpid())
	target, err := os.Readlink("/proc/self")
	fmt.Println(target == pid, prog.Name(err))
	target, err = os.Readlink("/proc/thread-self")
	ok, _ := regexp.MatchString("^"+pid+"/task/[0-9]+$", target)
	fmt.Println(ok, prog.Name(err))
	exe, err := os.Executable()
	prog.Must(err)
	target, err = os.Readlink(self("exe"))
	fmt.Println(target == exe, prog.Name(err))
	a, err := os.Stat(exe)
	prog.Must(err)
	b, err := os.Stat("/proc/" + pid + "/exe")
	prog.Must(err)
	fmt.Println("same file:", os.SameFile(a, b))
	own, err := os.ReadFile(self("exe"))
	fmt.Println(bytes.HasPrefix(own, []byte("\x7fELF")), int64(len(own)) == a.Size(), prog.Name(err))
	dir := os.TempDir()
	prog.Must(os.Chdir(dir))
	want, _ := os.Getwd()
	target, err = os.Readlink(self("cwd"))
	fmt.Println(target == want, prog.Name(err))
	target, err = os.Readlink(self("root"))
	fmt.Println(target, prog.Name(err))
	prog.Must(os.WriteFile("procfs-link", []byte("through cwd"), 0o600))
	fmt.Println(text(self("cwd/procfs-link")))
	fmt.Println(text(self("root") + want + "/procfs-link"))
	os.Remove("procfs-link")
	// ".." of where the link leads, not of where it is.
	prog.Must(os.Chdir("/proc/self/cwd/.."))
	up, _ := os.Getwd()
	fmt.Println(strings.HasPrefix(want, up))
	prog.Must(os.Chdir("/proc/self"))
	here, err := os.Getwd()
	fmt.Println(here == "/proc/"+pid, prog.Name(err))
	for _, name := range []string{"mounts", "net"} {
		target, err = os.Readlink("/proc/" + name)
		fmt.Println(name, target, prog.Name(err))
	}
}

func names() {
	fmt.Printf("%q\n", text(self("comm"))[:4])
	for _, name := range []string{"short", "sixteen letters and more", "", "new\nline", "zero\x00inside"} {
		err := os.WriteFile(self("comm"), []byte(name), 0)
		fmt.Printf("%s %q %q\n", prog.Name(err), text(self("comm")), table(self("status"))["Name"])
	}
	err := os.WriteFile(self("comm"), bytes.Repeat([]byte("0123456789"), 100), 0)
	fmt.Printf("%s %q\n", prog.Name(err), text(self("comm")))
	// The last parenthesis ends the name.
	prog.Must(os.WriteFile(self("comm"), []byte("a) R (b"), 0))
	stat := text(self("stat"))
	fmt.Printf("%q\n", stat[strings.Index(stat, "("):strings.LastIndex(stat, ")")+1])
}

func ownStrings() {
	args := strings.Split(strings.TrimSuffix(text(self("cmdline")), "\x00"), "\x00")
	fmt.Println(fmt.Sprint(args) == fmt.Sprint(os.Args), len(args))
	env := strings.Split(strings.TrimSuffix(text(self("environ")), "\x00"), "\x00")
	want := os.Environ()
	sort.Strings(env)
	sort.Strings(want)
	fmt.Println(fmt.Sprint(env) == fmt.Sprint(want))
	auxv := text(self("auxv"))
	fmt.Println(len(auxv)%16, auxv[len(auxv)-16:] == strings.Repeat("\x00", 16))
	values := map[uint64]uint64{}
	for i := 0; i < len(auxv); i += 16 {
		values[word(auxv[i:])] = word(auxv[i+8:])
	}
	const pageSize, clockTicks, uid, secure, random, execfn, base = 6, 17, 11, 23, 25, 31, 7
	fmt.Println(values[pageSize], values[clockTicks], values[uid] == uint64(os.Getuid()), values[secure])
	fmt.Println(values[random] != 0, values[execfn] != 0, values[base])
}

func word(s string) (w uint64) {
	for i := 7; i >= 0; i-- {
		w = w<<8 | uint64(s[i])
	}
	return
}

func adjust() {
	fmt.Print(text(self("oom_score_adj")), text(self("personality")), text(self("wchan")), "\n")
	fmt.Println(number(text(self("oom_score"))) > 0)
	for _, value := range []string{"500", "600\n", "1001", "-1001", "x", ""} {
		f, err := os.OpenFile(self("oom_score_adj"), os.O_WRONLY, 0)
		prog.Must(err)
		_, err = f.WriteString(value)
		if value == "" {
			err = nil
		}
		f.Close()
		fmt.Printf("%q %s %s", value, prog.Name(err), text(self("oom_score_adj")))
	}
	fmt.Print(text(self("timerslack_ns")))
	for _, value := range []string{"70000\n", "0", "x"} {
		err := os.WriteFile(self("timerslack_ns"), []byte(value), 0)
		fmt.Print(prog.Name(err), " ", text(self("timerslack_ns")))
	}
	fmt.Print(text(self("oom_adj")))
	prog.Must(os.WriteFile(self("oom_adj"), []byte("15"), 0))
	fmt.Print(text(self("oom_score_adj")))
}

// seek reads a file in pieces and at positions: all of one reading fits together.
func seek() {
	f, err := os.Open("/proc/cpuinfo")
	prog.Must(err)
	var all []byte
	piece := make([]byte, 7)
	for {
		n, err := f.Read(piece)
		all = append(all, piece[:n]...)
		if err != nil {
			break
		}
	}
	fmt.Println(bytes.HasPrefix(all, []byte("processor\t: 0\n")), bytes.HasSuffix(all, []byte("\n\n")))
	n, err := f.ReadAt(piece, 4)
	fmt.Printf("%d %v %q\n", n, err, piece)
	at, err := f.Seek(-3, 1)
	fmt.Println(at == int64(len(all)-3), err)
	_, err = f.Seek(0, 2)
	fmt.Println(prog.Name(err))
	_, err = f.Seek(-1, 0)
	fmt.Println(prog.Name(err))
	_, err = f.Seek(1<<40, 0)
	n, err2 := f.Read(piece)
	fmt.Println(err, n, err2)
	// From the start, the text is made anew.
	up, err := os.Open("/proc/uptime")
	prog.Must(err)
	first, second := make([]byte, 64), make([]byte, 64)
	n1, _ := up.Read(first)
	for same := true; same; {
		_, err = up.Seek(0, 0)
		prog.Must(err)
		n2, _ := up.Read(second)
		same = bytes.Equal(first[:n1], second[:n2])
	}
	fmt.Println("time goes on")
	// Empty reads at the end.
	n, err = up.Read(second)
	fmt.Println(n, err)
}
