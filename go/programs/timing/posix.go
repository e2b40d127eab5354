package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const (
	toProcess = 0
	toNobody  = 1
	toThread  = 4
)

// posixTimer makes a timer that sends signo.
func posixTimer(clock uintptr, kind, signo int32) uintptr {
	event := struct {
		value  uintptr
		signo  int32
		notify int32
		tid    int32
		pad    [44]byte
	}{value: 7, signo: signo, notify: kind, tid: int32(syscall.Gettid())}
	var id int32
	_, name := prog.Call(syscall.SYS_TIMER_CREATE, clock, uintptr(unsafe.Pointer(&event)), uintptr(unsafe.Pointer(&id)))
	prog.Check(name == "ok", "timer_create: %s", name)
	return uintptr(id)
}

// set arms a timer: nanoseconds.
func set(id uintptr, first, interval int64) {
	spec := [4]int64{interval / 1e9, interval % 1e9, first / 1e9, first % 1e9}
	_, name := prog.Call(syscall.SYS_TIMER_SETTIME, id, 0, uintptr(unsafe.Pointer(&spec)), 0)
	prog.Check(name == "ok", "timer_settime: %s", name)
}

func remove(id uintptr) {
	_, name := prog.Call(syscall.SYS_TIMER_DELETE, id)
	prog.Check(name == "ok", "timer_delete: %s", name)
}

// info is siginfo_t as timers and senders fill it in.
type info struct {
	signo, errno, code, _ int32
	id, overrun           int32 // or pid and uid
	value                 uintptr
	pad                   [96]byte
}

// await takes a blocked signal, within a second if at all.
func await(signo int, within time.Duration) (info, bool) {
	var found info
	wanted := uint64(1) << (signo - 1)
	timeout := syscall.NsecToTimespec(int64(within))
	n, _ := prog.Call(syscall.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&wanted)), uintptr(unsafe.Pointer(&found)),
		uintptr(unsafe.Pointer(&timeout)), 8)
	return found, n == signo
}

// blocked runs f on a thread of its own that blocks everything.
func blocked(f func()) {
	runtime.LockOSThread()
	all, old := ^uint64(0), uint64(0)
	mask := func(new, old *uint64) {
		_, name := prog.Call(syscall.SYS_RT_SIGPROCMASK, 2, uintptr(unsafe.Pointer(new)), uintptr(unsafe.Pointer(old)), 8)
		prog.Check(name == "ok", "rt_sigprocmask: %s", name)
	}
	mask(&all, &old)
	f()
	mask(&old, nil)
	runtime.UnlockOSThread()
}

func burn(until func() bool) {
	for x := 1; !until(); {
		for i := 0; i < 100000; i++ {
			x = x*3 + i
		}
		sink = x
	}
}

var sink int

// cpuTimers: by CPU time, with intervals that are shorter than it takes to serve them. The program gets on all the same.
func cpuTimers() {
	c := make(chan os.Signal, 100)
	signal.Notify(c, syscall.SIGUSR1)
	for _, clock := range []uintptr{2, 3} { // of the process, of the thread
		for _, interval := range []int64{1, 1000, 2e6} {
			runtime.LockOSThread()
			id := posixTimer(clock, toProcess, int32(syscall.SIGUSR1))
			set(id, interval, interval)
			got := 0
			burn(func() bool {
				select {
				case <-c:
					got++
				default:
				}
				return got >= 3
			})
			remove(id)
			runtime.UnlockOSThread()
			fmt.Println("clock", clock, "every", interval, "ns: it got on")
		}
	}
	// Armed by another thread, whose CPU is not the one that burns.
	done := make(chan bool)
	ready := make(chan int)
	go func() {
		runtime.LockOSThread()
		ready <- syscall.Gettid()
		got := false
		burn(func() bool {
			select {
			case <-c:
				got = true
			default:
			}
			return got
		})
		close(done)
	}()
	tid := <-ready
	for len(c) > 0 {
		<-c
	}
	clock := uintptr(^tid<<3 | 4 | 2) // clock_getcpuclockid(3) of a thread
	id := posixTimer(clock, toProcess, int32(syscall.SIGUSR1))
	set(id, 3e6, 0)
	<-done
	remove(id)
	fmt.Println("armed from elsewhere")
	signal.Ignore(syscall.SIGUSR1)
	id = posixTimer(1, toProcess, int32(syscall.SIGUSR1))
	set(id, 1, 1)
	time.Sleep(50 * time.Millisecond)
	remove(id)
	fmt.Println("ignored")
}

// timerSignals: each timer has a signal of its own, and what it missed is told when that is taken.
func timerSignals() {
	blocked(func() {
		const number = 40
		first, second := posixTimer(1, toThread, number), posixTimer(1, toThread, number)
		set(first, 1e6, 0)
		set(second, 2e6, 0)
		time.Sleep(20 * time.Millisecond)
		for i := 0; i < 3; i++ {
			got, ok := await(number, 0)
			fmt.Println("two timers:", ok, !ok || got.code == -2 && got.value == 7 && got.overrun == 0, ok && got.id == int32(first), ok && got.id == int32(second))
		}
		// Also of a number that is pending already.
		standard := posixTimer(1, toThread, int32(syscall.SIGUSR2))
		prog.Must(syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGUSR2))
		set(standard, 1e6, 0)
		time.Sleep(20 * time.Millisecond)
		for i := 0; i < 3; i++ {
			got, ok := await(int(syscall.SIGUSR2), 0)
			fmt.Println("beside another sender's:", ok, got.code)
		}
		set(first, 1e6, 1e6)
		time.Sleep(50 * time.Millisecond)
		got, ok := await(number, 0)
		overrun, _ := prog.Call(syscall.SYS_TIMER_GETOVERRUN, first)
		fmt.Println("overrun:", ok, got.overrun >= 40, int(got.overrun) == overrun)
		_, ok = await(number, time.Second)
		fmt.Println("it goes on:", ok)
		// Set anew, or deleted, it has sent nothing.
		time.Sleep(5 * time.Millisecond)
		set(first, 0, 0)
		_, ok = await(number, 0)
		fmt.Println("after disarming:", ok)
		set(first, 1e6, 0)
		time.Sleep(5 * time.Millisecond)
		remove(first)
		_, ok = await(number, 0)
		fmt.Println("after deleting:", ok)
		silent := posixTimer(1, toNobody, 0)
		set(silent, 1e6, 1e6)
		time.Sleep(5 * time.Millisecond)
		var left [4]int64
		_, name := prog.Call(syscall.SYS_TIMER_GETTIME, silent, uintptr(unsafe.Pointer(&left)))
		fmt.Println("silent:", name, left[1], left[2] == 0 && left[3] > 0 && left[3] <= 1e6)
		remove(second)
		remove(standard)
		remove(silent)
	})
}

// sender: a signal tells who sent it.
func sender() {
	blocked(func() {
		prog.Must(syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGUSR1))
		got, ok := await(int(syscall.SIGUSR1), 0)
		fmt.Println(ok, got.code, int(got.id) == os.Getpid(), int(got.overrun) == os.Getuid())
		if os.Getuid() == 0 {
			_, name := prog.Call(syscall.SYS_SETRESUID, 1234, ^uintptr(0), ^uintptr(0))
			fmt.Println(name)
			prog.Must(syscall.Tgkill(os.Getpid(), syscall.Gettid(), syscall.SIGUSR1))
			got, _ = await(int(syscall.SIGUSR1), 0)
			fmt.Println(got.overrun == 1234)
		}
	})
}
