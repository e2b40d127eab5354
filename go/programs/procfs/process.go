package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func status() {
	all := table(self("status"))
	has("status", all, `Name Umask State Tgid Pid PPid TracerPid Uid Gid FDSize Groups NStgid NSpid NSpgid NSsid VmPeak VmSize
		VmLck VmPin VmHWM VmRSS RssAnon RssFile RssShmem VmData VmStk VmExe VmLib VmPTE VmSwap Threads SigQ SigPnd ShdPnd SigBlk
		SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Cpus_allowed Cpus_allowed_list Mems_allowed
		Mems_allowed_list voluntary_ctxt_switches nonvoluntary_ctxt_switches`)
	fmt.Println(all["Name"], all["TracerPid"], all["VmSwap"])
	fmt.Println(number(all["Pid"]) == os.Getpid(), number(all["Tgid"]) == os.Getpid(), number(all["PPid"]) == os.Getppid())
	uid := fmt.Sprint(os.Getuid())
	fmt.Println(all["Uid"] == strings.Join([]string{uid, uid, uid, uid}, "\t"))
	matches("State", all["State"], `[RS] \((running|sleeping)\)`)
	size, resident := number(all["VmSize"]), number(all["VmRSS"])
	fmt.Println(number(all["VmPeak"]) >= size, size >= resident, number(all["VmHWM"]) >= resident, resident > 500)
	sum := number(all["RssAnon"]) + number(all["RssFile"]) + number(all["RssShmem"])
	fmt.Println("sum:", sum == resident)
	matches("VmRSS", all["VmRSS"], `[0-9]+ kB`)
	syscall.Umask(0o027)
	fmt.Println(table(self("status"))["Umask"])
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	all = table(self("status"))
	ignored, err := strconv.ParseUint(all["SigIgn"], 16, 64)
	fmt.Println(ignored&(1<<(syscall.SIGHUP-1)) != 0, len(all["SigIgn"]), err)
	caught, _ := strconv.ParseUint(all["SigCgt"], 16, 64)
	fmt.Println(caught&(1<<(syscall.SIGSEGV-1)) != 0, caught&(1<<(syscall.SIGKILL-1)))
	fmt.Println(cpusIn(all["Cpus_allowed_list"]) == runtime.NumCPU())
	fmt.Println(all["Mems_allowed_list"])
}

// cpusIn counts the CPUs of a list such as 0-3,8.
func cpusIn(list string) int {
	n := 0
	for _, part := range strings.Split(strings.TrimSpace(list), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		n += number(last) - number(first) + 1
	}
	return n
}

// fields are those of a stat file behind the name: state first.
func fields(name string) []string {
	s := text(name)
	return strings.Fields(s[strings.LastIndex(s, ")")+1:])
}

// burn uses d of CPU time.
func burn(d time.Duration) {
	used := func() time.Duration {
		var usage syscall.Rusage
		prog.Must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	for start := used(); used()-start < d; {
	}
}

func stat() {
	f := fields(self("stat"))
	fmt.Println(len(f)+2, f[0] == "R" || f[0] == "S", number(f[1]) == os.Getppid())
	fmt.Println(f[6-2], f[15-2+1] != "", number(f[18-3]), number(f[19-3]))
	threads := number(f[20-3])
	fmt.Println(threads >= 2, threads == number(table(self("status"))["Threads"]))
	uptime := strings.Fields(text("/proc/uptime"))
	up, err := strconv.ParseFloat(uptime[0], 64)
	prog.Must(err)
	started := float64(number(f[22-3])) / 100
	fmt.Println(started <= up, up-started < 60)
	statm := strings.Fields(text(self("statm")))
	fmt.Println(len(statm), number(f[23-3])%4096, number(statm[0]) > number(statm[1]), number(statm[1]) > number(statm[2]))
	// Text, data and stack lie where code, variables and locals are.
	startCode, endCode, stack := number(f[26-3]), number(f[27-3]), number(f[28-3])
	fmt.Println(startCode < endCode, endCode < stack)
	matches("rest", strings.Join(f[29-3:], " "), `[0-9 ]+`)
	fmt.Println("exit signal:", f[38-3])
	before, beforeThread := number(f[14-3])+number(f[15-3]), 0
	runtime.LockOSThread()
	own := fmt.Sprintf("/proc/self/task/%d/stat", syscall.Gettid())
	g := fields(own)
	beforeThread = number(g[14-3]) + number(g[15-3])
	burn(300 * time.Millisecond)
	f, g = fields(self("stat")), fields(own)
	used, usedThread := number(f[14-3])+number(f[15-3])-before, number(g[14-3])+number(g[15-3])-beforeThread
	fmt.Println("used:", used >= 25 && used < 200, usedThread >= 10 && usedThread <= used+5)
	schedule := strings.Fields(text(self("schedstat")))
	fmt.Println(len(schedule), number(schedule[0]) > 0)
}

func limits() {
	all := lines(self("limits"))
	fmt.Println(len(all))
	fmt.Println(all[0])
	var limit syscall.Rlimit
	prog.Must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = 77
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Cur: 0, Max: 4096}))
	for _, line := range lines(self("limits")) {
		name := strings.TrimSpace(line[:26])
		switch name {
		case "Max open files":
			fmt.Printf("%q %v\n", line[:48], number(line[47:]) == int(limit.Max))
			fmt.Printf("%q\n", line[68:])
		case "Max core file size", "Max realtime timeout":
			fmt.Printf("%q\n", line)
		default:
			fmt.Println(name, len(line))
		}
	}
}

func inOut() {
	has("io", table(self("io")), "rchar wchar syscr syscw read_bytes write_bytes cancelled_write_bytes")
	get := func(key string) int { return number(table(self("io"))[key]) }
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	prog.Must(err)
	zero, err := os.Open("/dev/zero")
	prog.Must(err)
	written, calls := get("wchar"), get("syscw")
	for i := 0; i < 10; i++ {
		null.Write(make([]byte, 100))
	}
	fmt.Println(get("wchar")-written, get("syscw")-calls)
	read := get("rchar")
	zero.Read(make([]byte, 1<<20))
	more := get("rchar") - read
	fmt.Println(more >= 1<<20, more < 1<<20+10000)
	// Reads and writes at an offset count, and what goes from file to file as both.
	file, err := os.CreateTemp("", "io")
	prog.Must(err)
	defer os.Remove(file.Name())
	other, err := os.CreateTemp("", "io")
	prog.Must(err)
	defer os.Remove(other.Name())
	const mib = 1 << 20
	change := func(what string, f func()) {
		read, written, calls := get("rchar"), get("wchar"), get("syscw")
		f()
		fmt.Println(what, (get("rchar")-read)/mib, (get("wchar")-written)/mib, get("syscw")-calls)
	}
	change("WriteAt", func() { file.WriteAt(make([]byte, 2*mib), 0) })
	change("ReadAt", func() { file.ReadAt(make([]byte, mib+9), 0) })
	change("sendfile", func() { syscall.Sendfile(int(null.Fd()), int(file.Fd()), nil, 2*mib) })
	change("copy_file_range", func() {
		at, to := int64(0), int64(0)
		prog.Call(326, file.Fd(), uintptr(unsafe.Pointer(&at)), other.Fd(), uintptr(unsafe.Pointer(&to)), 2*mib, 0)
	})
}

// heap: what the process holds shows, and goes when it is given back.
func heap() {
	resident := func() int { return number(table(self("status"))["RssAnon"]) }
	data := func() int { return number(table(self("status"))["VmSize"]) }
	before, size := resident(), data()
	at, _, e := syscall.Syscall6(syscall.SYS_MMAP, 0, 64<<20, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON, ^uintptr(0), 0)
	prog.Check(e == 0, "mmap: %v", e)
	fmt.Println("mapped:", data()-size == 64<<10)
	touch(at, 64<<20)
	grown := resident() - before
	fmt.Println("held:", grown > 60<<10 && grown < 80<<10)
	syscall.Syscall(syscall.SYS_MADVISE, at, 64<<20, syscall.MADV_DONTNEED)
	left := resident() - before
	fmt.Println("given back:", left < 8<<10)
	syscall.Syscall(syscall.SYS_MUNMAP, at, 64<<20, 0)
	all := table(self("status"))
	fmt.Println("peak:", number(all["VmPeak"])-size >= 64<<10, number(all["VmSize"])-size < 64<<10,
		number(all["VmHWM"]) >= number(all["VmRSS"])+50<<10)
}
