// Signals tests their delivery: os/signal, default actions, masks, alternate ways of sending, timers that signal, SIGPIPE.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"notify": notify, "default": byDefault, "ignore": ignore, "reset": reset, "context": notifyContext, "storm": storm,
		"realtime": realtime, "thread": thread, "mask": mask, "wait": waitFor, "itimer": itimer, "posix-timer": posixTimer,
		"pipe-error": pipeError, "pipe-stdout": pipeStdout, "errors": errorsOfKill, "altstack": altstack, "restart": restart,
		"self-interrupt": selfInterrupt, "wait-for": waitForSignal, "queue": queue, "stop-notify": stopNotify, "pause": pause,
		"own-end": ownEnd, "numbers": numbers, "handlers": handlers, "concurrent": concurrent, "sleepers": sleepers, "proc-status": procStatus,
	})
}

func self(s syscall.Signal) { prog.Must(syscall.Kill(os.Getpid(), s)) }

// notify sends itself every signal that can be caught, one at a time.
func notify() {
	c := make(chan os.Signal, 1)
	for s := syscall.Signal(1); s <= 64; s++ {
		switch s {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGPROF, 32, 33, 34: // SIGPROF is the profiler's, 32 to 34 are libc's
			continue
		}
		signal.Notify(c, s)
		self(s)
		got := <-c
		fmt.Println(int(s), got, got == s)
		signal.Stop(c)
		signal.Reset(s)
	}
}

// byDefault dies, or does not, by the signal whose number is the argument.
func byDefault() {
	n, _ := strconv.Atoi(os.Args[2])
	fmt.Println("before", syscall.Signal(n))
	self(syscall.Signal(n))
	time.Sleep(50 * time.Millisecond)
	fmt.Println("after")
}

func ignore() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGUSR1} {
		self(s)
		fmt.Println(s, signal.Ignored(s))
	}
	fmt.Println("still here")
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	self(syscall.SIGTERM)
	fmt.Println(<-c)
}

func reset() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	self(syscall.SIGTERM)
	fmt.Println(<-c)
	signal.Reset(syscall.SIGTERM)
	self(syscall.SIGTERM)
	time.Sleep(time.Second)
	fmt.Println("not reached")
}

func stopNotify() {
	c := make(chan os.Signal, 10)
	signal.Notify(c)
	self(syscall.SIGTERM)
	fmt.Println(<-c)
	signal.Stop(c)
	self(syscall.SIGTERM)
	time.Sleep(time.Second)
	fmt.Println("not reached")
}

func notifyContext() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() { time.Sleep(10 * time.Millisecond); self(syscall.SIGINT) }()
	<-ctx.Done()
	fmt.Println(ctx.Err())
}

// storm sends far more signals than can be told apart; each kind must come at least once and the last must come.
func storm() {
	c := make(chan os.Signal, 1000)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH)
	var wg sync.WaitGroup
	for g := 0; g < 4; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 2000; i++ {
				self([]syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH}[i%3])
			}
		}()
	}
	seen := map[os.Signal]int{}
	done, three := make(chan bool), make(chan bool)
	go func() {
		for s := range c {
			if seen[s]++; seen[s] == 1 && len(seen) == 3 {
				close(three)
			}
			if s == syscall.SIGTERM {
				break
			}
		}
		close(done)
	}()
	wg.Wait()
	// The runtime hands out the lowest number first: without this wait SIGTERM may overtake the first SIGWINCH.
	select {
	case <-three:
	case <-time.After(10 * time.Second):
	}
	signal.Notify(c, syscall.SIGTERM)
	for len(c) > 500 {
		time.Sleep(time.Millisecond)
	}
	self(syscall.SIGTERM)
	<-done
	fmt.Println(seen[syscall.SIGUSR1] > 0, seen[syscall.SIGUSR2] > 0, seen[syscall.SIGWINCH] > 0, seen[syscall.SIGTERM])
}

func realtime() {
	c := make(chan os.Signal, 100)
	signal.Notify(c, syscall.Signal(40))
	for i := 0; i < 5; i++ {
		self(syscall.Signal(40))
	}
	fmt.Println(<-c)
	// Real-time signals queue: sent while blocked, each comes. The runtime's own handler coalesces, so ask the kernel.
	runtime.LockOSThread()
	set := uint64(1) << (41 - 1)
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0)
	fmt.Println(prog.Name(e))
	for i := 0; i < 5; i++ {
		_, _, e = syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), 41)
		prog.Check(e == 0, "tgkill: %v", e)
	}
	got := 0
	var timeout [2]int64
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, uintptr(unsafe.Pointer(&timeout)), 8, 0, 0)
		if e != 0 {
			fmt.Println(got, "taken, then", prog.Name(e))
			break
		}
		prog.Check(n == 41, "signal %d", n)
		got++
	}
}

// thread sends to one thread by tgkill and tkill; which thread is not observable through os/signal, that it comes is.
func thread() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	for i := 0; i < 10; i++ {
		runtime.LockOSThread()
		_, _, e := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGUSR1))
		prog.Check(e == 0, "tgkill: %v", e)
		<-c
		_, _, e = syscall.RawSyscall(syscall.SYS_TKILL, uintptr(syscall.Gettid()), uintptr(syscall.SIGUSR1), 0)
		prog.Check(e == 0, "tkill: %v", e)
		<-c
		runtime.UnlockOSThread()
	}
	fmt.Println("20 received")
}

func mask() {
	runtime.LockOSThread()
	set := uint64(1)<<(syscall.SIGUSR1-1) | uint64(1)<<(syscall.SIGUSR2-1)
	var old, now, pending uint64
	prog.Check(sigprocmask(0, &set, &old) == 0, "block")
	prog.Check(sigprocmask(0, nil, &now) == 0, "ask")
	fmt.Printf("%#x %v\n", now&set, now&^set == old&^set)
	tgkill(syscall.SIGUSR1)
	self(syscall.SIGURG)
	syscall.RawSyscall(syscall.SYS_RT_SIGPENDING, uintptr(unsafe.Pointer(&pending)), 8, 0)
	fmt.Printf("pending %#x\n", pending)
	tgkill(syscall.SIGUSR2)
	tgkill(syscall.SIGUSR1)
	syscall.RawSyscall(syscall.SYS_RT_SIGPENDING, uintptr(unsafe.Pointer(&pending)), 8, 0)
	fmt.Printf("pending %#x\n", pending)
	// Taken in the order of their numbers, and without the handler.
	var info [128]byte
	for i := 0; i < 2; i++ {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&info)), 0, 8, 0, 0)
		code := *(*int32)(unsafe.Pointer(&info[8]))
		pid := *(*int32)(unsafe.Pointer(&info[16]))
		fmt.Println(n, prog.Name(e), code, int(pid) == os.Getpid())
	}
	timeout := [2]int64{0, 20e6}
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&timeout)), 8, 0, 0)
	fmt.Println(prog.Name(e))
	all := ^uint64(0)
	prog.Check(sigprocmask(2, &all, &old) == 0, "block all")
	prog.Check(sigprocmask(2, &old, &now) == 0, "restore")
	fmt.Printf("KILL and STOP cannot be blocked: %#x\n", ^now)
	fmt.Println(prog.Name(sigprocmask(9, &set, nil)))
	_, _, e = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, uintptr(unsafe.Pointer(&set)), 0, 4, 0, 0)
	fmt.Println(prog.Name(e))
}

func sigprocmask(how int, set, old *uint64) syscall.Errno {
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	return e
}

func tgkill(s syscall.Signal) {
	_, _, e := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(s))
	prog.Check(e == 0, "tgkill: %v", e)
}

// waitFor blocks a signal in one thread and takes it there, sent by another.
func waitFor() {
	runtime.LockOSThread()
	set := uint64(1) << (42 - 1)
	prog.Check(sigprocmask(0, &set, nil) == 0, "block")
	tid := syscall.Gettid()
	go func() {
		time.Sleep(20 * time.Millisecond)
		syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(tid), 42)
	}()
	begin := time.Now()
	for {
		n, _, e := syscall.Syscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0, 0, 8, 0, 0)
		if e == syscall.EINTR {
			continue
		}
		fmt.Println(n, prog.Name(e), time.Since(begin) > 15*time.Millisecond)
		return
	}
}

func itimer() {
	c := make(chan os.Signal, 100)
	signal.Notify(c, syscall.SIGALRM, syscall.SIGVTALRM)
	type timeval struct{ interval, value [2]int64 }
	set := timeval{interval: [2]int64{0, 10000}, value: [2]int64{0, 10000}}
	var old timeval
	begin := time.Now()
	_, _, e := syscall.RawSyscall(syscall.SYS_SETITIMER, 0, uintptr(unsafe.Pointer(&set)), 0)
	fmt.Println(prog.Name(e))
	for i := 0; i < 5; i++ {
		fmt.Println(<-c)
	}
	took := time.Since(begin)
	prog.Check(took >= 45*time.Millisecond && took < 2*time.Second, "five alarms of 10 ms took %v", took)
	set = timeval{}
	_, _, e = syscall.RawSyscall(syscall.SYS_SETITIMER, 0, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&old)))
	fmt.Println(prog.Name(e), old.interval, old.value[0] == 0 && old.value[1] <= 10000)
	for len(c) > 0 {
		<-c
	}
	// The virtual timer counts only time on the processor.
	set = timeval{value: [2]int64{0, 50000}}
	_, _, e = syscall.RawSyscall(syscall.SYS_SETITIMER, 1, uintptr(unsafe.Pointer(&set)), 0)
	fmt.Println(prog.Name(e))
	time.Sleep(150 * time.Millisecond)
	fmt.Println("while asleep:", len(c))
	for len(c) == 0 {
	}
	fmt.Println(<-c)
	left, _, _ := syscall.RawSyscall(syscall.SYS_ALARM, 100, 0, 0)
	again, _, _ := syscall.RawSyscall(syscall.SYS_ALARM, 0, 0, 0)
	fmt.Println(left, again)
}

func posixTimer() {
	c := make(chan os.Signal, 100)
	signal.Notify(c, syscall.SIGUSR1)
	type sigevent struct {
		value  uintptr
		signo  int32
		notify int32
		tid    int32
		pad    [44]byte
	}
	event := sigevent{signo: int32(syscall.SIGUSR1), notify: 0}
	var id int32
	_, _, e := syscall.RawSyscall(syscall.SYS_TIMER_CREATE, 1, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id)))
	fmt.Println(prog.Name(e))
	spec := [4]int64{0, 5e6, 0, 5e6}
	_, _, e = syscall.RawSyscall6(syscall.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	fmt.Println(prog.Name(e))
	for i := 0; i < 5; i++ {
		<-c
	}
	var left [4]int64
	_, _, e = syscall.RawSyscall(syscall.SYS_TIMER_GETTIME, uintptr(id), uintptr(unsafe.Pointer(&left)), 0)
	fmt.Println(prog.Name(e), left[0], left[1], left[2] == 0 && left[3] <= 5e6)
	_, _, e = syscall.RawSyscall(syscall.SYS_TIMER_DELETE, uintptr(id), 0, 0)
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_TIMER_DELETE, uintptr(id), 0, 0)
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_TIMER_CREATE, 77, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id)))
	fmt.Println(prog.Name(e))
}

// pipeError: a broken pipe that is not a standard stream is an error, not death.
func pipeError() {
	r, w, err := os.Pipe()
	prog.Must(err)
	prog.Must(r.Close())
	_, err = w.Write([]byte("x"))
	fmt.Println(prog.Name(err))
	_, err = syscall.Write(int(w.Fd()), []byte("x"))
	fmt.Println(prog.Name(err))
}

// pipeStdout: a broken pipe at standard output is death by SIGPIPE.
func pipeStdout() {
	r, w, err := os.Pipe()
	prog.Must(err)
	prog.Must(syscall.Dup2(int(w.Fd()), 1))
	prog.Must(r.Close())
	prog.Must(w.Close())
	_, err = fmt.Println("nobody reads this")
	fmt.Fprintln(os.Stderr, "not reached", err)
}

func altstack() {
	runtime.LockOSThread()
	type stack struct {
		sp    uintptr
		flags int32
		size  uintptr
	}
	var old stack
	_, _, e := syscall.RawSyscall(syscall.SYS_SIGALTSTACK, 0, uintptr(unsafe.Pointer(&old)), 0)
	fmt.Println(prog.Name(e), old.sp != 0, old.flags, old.size)
	bad := stack{sp: 0x1000, size: 100}
	_, _, e = syscall.RawSyscall(syscall.SYS_SIGALTSTACK, uintptr(unsafe.Pointer(&bad)), 0, 0)
	fmt.Println(prog.Name(e))
	bad = stack{sp: 0x1000, size: 65536, flags: 77}
	_, _, e = syscall.RawSyscall(syscall.SYS_SIGALTSTACK, uintptr(unsafe.Pointer(&bad)), 0, 0)
	fmt.Println(prog.Name(e))
}

// restart: calls that signals interrupt go on by themselves, because the runtime asks for SA_RESTART.
func restart() {
	c := make(chan os.Signal, 1000)
	signal.Notify(c, syscall.SIGUSR1)
	var r [2]int
	prog.Must(syscall.Pipe(r[:]))
	stop := make(chan bool)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				self(syscall.SIGUSR1)
				time.Sleep(time.Millisecond)
			}
		}
	}()
	go func() {
		time.Sleep(60 * time.Millisecond)
		syscall.Write(r[1], []byte("after many signals"))
	}()
	buffer := make([]byte, 100)
	n, err := syscall.Read(r[0], buffer)
	fmt.Printf("%q %s\n", buffer[:max(n, 0)], prog.Name(err))
	close(stop)
	<-c
	// nanosleep is not restarted but says what is left.
	tid := make(chan int)
	go func() {
		id := <-tid
		time.Sleep(20 * time.Millisecond)
		prog.Must(syscall.Tgkill(os.Getpid(), id, syscall.SIGUSR1))
	}()
	runtime.LockOSThread()
	tid <- syscall.Gettid()
	request, left := syscall.Timespec{Sec: 5}, syscall.Timespec{}
	err = syscall.Nanosleep(&request, &left)
	fmt.Println(prog.Name(err), left.Sec)
}

func selfInterrupt() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt)
	p, _ := os.FindProcess(os.Getpid())
	for i := 0; i < 1000; i++ {
		prog.Must(p.Signal(os.Interrupt))
		<-c
	}
	fmt.Println("1000 round trips")
}

// waitForSignal is for tests that send a signal to ringo: it says when it is ready, then what came.
func waitForSignal() {
	c := make(chan os.Signal, 10)
	if len(os.Args) > 2 && os.Args[2] == "default" {
		fmt.Println("ready")
		time.Sleep(time.Hour)
	}
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT, syscall.SIGWINCH)
	fmt.Println("ready")
	lines := make(chan string)
	go func() {
		scanner := bufio.NewScanner(os.Stdin)
		for scanner.Scan() {
			lines <- scanner.Text()
		}
	}()
	for {
		select {
		case s := <-c:
			fmt.Println("got", s)
			if s == syscall.SIGTERM {
				os.Exit(3)
			}
		case line := <-lines:
			fmt.Println("line", line)
		}
	}
}

// queue sends a value with a signal and finds it in the siginfo.
func queue() {
	runtime.LockOSThread()
	set := uint64(1) << (45 - 1)
	prog.Check(sigprocmask(0, &set, nil) == 0, "block")
	var info [128]byte
	*(*int32)(unsafe.Pointer(&info[0])) = 45
	*(*int32)(unsafe.Pointer(&info[8])) = -1
	*(*int32)(unsafe.Pointer(&info[16])) = int32(os.Getpid())
	*(*uintptr)(unsafe.Pointer(&info[24])) = 0x123456789abc
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_TGSIGQUEUEINFO, uintptr(os.Getpid()), uintptr(syscall.Gettid()), 45, uintptr(unsafe.Pointer(&info)), 0, 0)
	fmt.Println(prog.Name(e))
	var got [128]byte
	n, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&got)), 0, 8, 0, 0)
	fmt.Printf("%d %s %d %#x\n", n, prog.Name(e), *(*int32)(unsafe.Pointer(&got[8])), *(*uintptr)(unsafe.Pointer(&got[24])))
}

func pause() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	runtime.LockOSThread()
	tid := syscall.Gettid()
	go func() {
		time.Sleep(20 * time.Millisecond)
		prog.Must(syscall.Tgkill(os.Getpid(), tid, syscall.SIGUSR1))
	}()
	fmt.Println(prog.Name(syscall.Pause()), <-c)
}

// handlers reads what is installed for each signal: the runtime's handler, its flags, its mask.
func handlers() {
	type action struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}
	for s := uintptr(1); s <= 64; s++ {
		var a action
		_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, s, 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0)
		fmt.Printf("%d %s %v %#x %v %#x\n", s, prog.Name(e), a.handler > 1, a.flags, a.restorer != 0, a.mask)
	}
	var a action
	for _, s := range []uintptr{0, 65, 1000} {
		_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, s, 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0)
		fmt.Println(s, prog.Name(e))
	}
	for _, s := range []uintptr{9, 19} {
		_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, s, uintptr(unsafe.Pointer(&a)), 0, 8, 0, 0)
		fmt.Println(s, prog.Name(e))
	}
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, 1, 0, uintptr(unsafe.Pointer(&a)), 4, 0, 0)
	fmt.Println(prog.Name(e))
}

// concurrent: notification, faults and sleeping at once.
func concurrent() {
	c := make(chan os.Signal, 100)
	signal.Notify(c, syscall.SIGUSR1)
	var received, recovered int64
	go func() {
		for range c {
			atomic.AddInt64(&received, 1)
		}
	}()
	var wg sync.WaitGroup
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := 0; i < 500; i++ {
				func() {
					defer func() {
						if recover() != nil {
							atomic.AddInt64(&recovered, 1)
						}
					}()
					if i%10 == 0 {
						self(syscall.SIGUSR1)
					}
					var p *[100]int
					p[i%100] = i
				}()
			}
		}()
	}
	wg.Wait()
	for i := 0; i < 1000 && atomic.LoadInt64(&received) == 0; i++ {
		time.Sleep(time.Millisecond)
	}
	fmt.Println(atomic.LoadInt64(&received) > 0, recovered)
}

// sleepers: a signal finds a thread though all are blocked in calls.
func sleepers() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	for i := 0; i < 10; i++ {
		go func() {
			var r [2]int
			syscall.Pipe(r[:])
			syscall.Read(r[0], make([]byte, 1))
		}()
	}
	time.Sleep(20 * time.Millisecond)
	self(syscall.SIGUSR2)
	fmt.Println(<-c)
}

// procStatus shows what is caught and ignored as /proc has it.
func procStatus() {
	signal.Ignore(syscall.SIGHUP)
	file, err := os.Open("/proc/self/status")
	prog.Must(err)
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		line := scanner.Text()
		if len(line) > 4 && line[:3] == "Sig" && line[:4] != "SigQ" {
			fmt.Println(line)
		}
	}
}
