// Timing tests clocks, sleeping, timers and timerfd. A time is never printed, only whether it is as it must be.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"clocks": clocks, "monotonic": monotonic, "sleep": sleep, "timers": timers, "ticker": ticker, "timerfd": timerfd,
		"precision": precision, "many-timers": manyTimers, "nanosleep": nanosleep, "wall": wall, "zones": zones, "reset": reset,
		"idle": idle, "errors": errorsOfClocks, "deadline": deadline, "now": func() { fmt.Println(time.Now().UnixNano()) },
		"timerfd-clocks": timerfdClocks, "cpu-timers": cpuTimers, "timer-signals": timerSignals, "sender": sender,
	})
}

func gettime(clock uintptr) (syscall.Timespec, syscall.Errno) {
	var ts syscall.Timespec
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0)
	return ts, e
}

// clocks: all of them answer, agree with each other, and go forward.
func clocks() {
	runtime.LockOSThread() // one of the clocks is this thread's
	for _, clock := range []uintptr{0, 1, 2, 3, 4, 5, 6, 7, 11} {
		first, e := gettime(clock)
		time.Sleep(20 * time.Millisecond)
		second, _ := gettime(clock)
		var resolution syscall.Timespec
		_, _, f := syscall.RawSyscall(syscall.SYS_CLOCK_GETRES, clock, uintptr(unsafe.Pointer(&resolution)), 0)
		coarse := clock == 5 || clock == 6
		fmt.Println(clock, prog.Name(e), first.Nsec < 1e9, second.Nano() >= first.Nano(), prog.Name(f), coarse || resolution.Nano() == 1)
	}
	real, _ := gettime(0)
	tai, _ := gettime(11)
	fmt.Println(tai.Sec-real.Sec < 60)
	var tv syscall.Timeval
	prog.Must(syscall.Gettimeofday(&tv))
	fmt.Println(tv.Sec-real.Sec <= 1, tv.Usec < 1e6)
	seconds, _, _ := syscall.RawSyscall(syscall.SYS_TIME, 0, 0, 0)
	fmt.Println(int64(seconds)-real.Sec <= 1)
	boot, _ := gettime(7)
	mono, _ := gettime(1)
	var info syscall.Sysinfo_t
	prog.Must(syscall.Sysinfo(&info))
	fmt.Println(boot.Sec-mono.Sec < 5 || boot.Sec > mono.Sec, info.Uptime-boot.Sec <= 1 && info.Uptime-boot.Sec >= -1)
}

// monotonic never steps back, seen from several threads on several processors.
func monotonic() {
	var wg sync.WaitGroup
	var m sync.Mutex
	last := time.Now()
	back := 0
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; j < 50000; j++ {
				m.Lock()
				now := time.Now()
				if now.Before(last) {
					back++
				}
				last = now
				m.Unlock()
			}
		}()
	}
	wg.Wait()
	// The vDSO and the system call tell the same time.
	for i := 0; i < 1000; i++ {
		a := time.Now().UnixNano()
		ts, _ := gettime(0)
		b := time.Now().UnixNano()
		if ts.Nano() < a || ts.Nano() > b {
			back++
		}
	}
	fmt.Println("steps back:", back)
}

func sleep() {
	for _, d := range []time.Duration{0, 1, time.Microsecond, 100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
		begin := time.Now()
		time.Sleep(d)
		took := time.Since(begin)
		fmt.Println(d, took >= d, took < d+2*time.Second)
	}
}

func timers() {
	order := make(chan int, 10)
	for _, d := range []int{50, 10, 30, 20, 40} {
		d := d
		time.AfterFunc(time.Duration(d)*4*time.Millisecond, func() { order <- d })
	}
	stopped := time.AfterFunc(time.Hour, func() { order <- 99 })
	fmt.Println(stopped.Stop(), stopped.Stop())
	for i := 0; i < 5; i++ {
		fmt.Println(<-order)
	}
}

func reset() {
	t := time.NewTimer(time.Hour)
	fmt.Println(t.Reset(5 * time.Millisecond))
	<-t.C
	fmt.Println(t.Reset(5 * time.Millisecond))
	<-t.C
	fmt.Println("fired twice")
}

// ticker: as many ticks as the time has, within what a loaded machine allows.
func ticker() {
	t := time.NewTicker(2 * time.Millisecond)
	begin := time.Now()
	for i := 0; i < 100; i++ {
		<-t.C
	}
	took := time.Since(begin)
	fmt.Println(took >= 198*time.Millisecond, took < 3*time.Second)
	t.Stop()
	time.Sleep(5 * time.Millisecond)
	select {
	case <-t.C:
	default:
	}
	time.Sleep(5 * time.Millisecond)
	fmt.Println(len(t.C))
}

// precision prints the median overshoot of sleeps, for a comparison with Linux's.
func precision() {
	over := make([]int, 0, 500)
	n := 500
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	for i := 0; i < n; i++ {
		begin := time.Now()
		time.Sleep(time.Millisecond)
		over = append(over, int(time.Since(begin)-time.Millisecond))
	}
	sort.Ints(over)
	fmt.Println("median overshoot below 1 ms:", over[len(over)/2] < 1000000)
	fmt.Fprintln(os.Stderr, "median", over[len(over)/2], "p99", over[len(over)*99/100], "ns")
}

func manyTimers() {
	var wg sync.WaitGroup
	var m sync.Mutex
	early, n := 0, 20000
	for i := 0; i < n; i++ {
		wg.Add(1)
		d := time.Duration(i%500) * 100 * time.Microsecond
		begin := time.Now()
		time.AfterFunc(d, func() {
			if time.Since(begin) < d {
				m.Lock()
				early++
				m.Unlock()
			}
			wg.Done()
		})
	}
	wg.Wait()
	fmt.Println("early:", early)
}

func nanosleep() {
	for _, clock := range []uintptr{0, 1, 7} {
		begin := time.Now()
		request := syscall.Timespec{Nsec: 5e6}
		_, _, e := syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, clock, 0, uintptr(unsafe.Pointer(&request)), 0, 0, 0)
		relative := time.Since(begin)
		now, _ := gettime(clock)
		until := syscall.NsecToTimespec(now.Nano() + 5e6)
		begin = time.Now()
		_, _, f := syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, clock, 1, uintptr(unsafe.Pointer(&until)), 0, 0, 0)
		absolute := time.Since(begin)
		fmt.Println(clock, prog.Name(e), relative >= 5*time.Millisecond, prog.Name(f), absolute >= 4*time.Millisecond)
		past := syscall.Timespec{Sec: 1}
		_, _, g := syscall.Syscall6(syscall.SYS_CLOCK_NANOSLEEP, clock, 1, uintptr(unsafe.Pointer(&past)), 0, 0, 0)
		fmt.Println("past:", prog.Name(g))
	}
	for _, bad := range []syscall.Timespec{{Nsec: 1e9}, {Nsec: -1}, {Sec: -1}} {
		fmt.Println(prog.Name(syscall.Nanosleep(&bad, nil)))
	}
}

func wall() {
	now := time.Now()
	fmt.Println(now.Year() >= 2024, now.Unix() == now.Round(0).Unix())
	a := time.Now()
	time.Sleep(30 * time.Millisecond)
	b := time.Now()
	diff := b.Round(0).Sub(a.Round(0)) - b.Sub(a)
	fmt.Println("wall and monotonic agree:", diff < 5*time.Millisecond && diff > -5*time.Millisecond)
}

func zones() {
	at := time.Date(2024, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"} {
		location, err := time.LoadLocation(name)
		prog.Must(err)
		fmt.Println(at.In(location))
	}
	_, err := time.LoadLocation("Nowhere/Land")
	fmt.Println(err)
}

func timerfd() {
	fd, _, e := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, 1, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	prog.Check(e == 0, "timerfd_create: %v", e)
	set := func(flags uintptr, interval, value int64) (old [4]int64) {
		spec := [4]int64{interval / 1e9, interval % 1e9, value / 1e9, value % 1e9}
		_, _, e := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, flags, uintptr(unsafe.Pointer(&spec)), uintptr(unsafe.Pointer(&old)), 0, 0)
		prog.Check(e == 0, "timerfd_settime: %v", e)
		return old
	}
	read := func() (uint64, error) {
		var count [8]byte
		n, err := syscall.Read(int(fd), count[:])
		if err == nil && n != 8 {
			return 0, fmt.Errorf("%d bytes", n)
		}
		return *(*uint64)(unsafe.Pointer(&count)), err
	}
	_, err := read()
	fmt.Println("unarmed:", prog.Name(err))
	set(0, 0, 10e6)
	_, err = read()
	fmt.Println("early:", prog.Name(err))
	time.Sleep(15 * time.Millisecond)
	n, err := read()
	fmt.Println("once:", n, prog.Name(err))
	_, err = read()
	fmt.Println("again:", prog.Name(err))
	set(0, 5e6, 5e6)
	time.Sleep(52 * time.Millisecond)
	n, err = read()
	fmt.Println("periodic:", n >= 10, prog.Name(err))
	var now [4]int64
	_, _, e = syscall.RawSyscall(syscall.SYS_TIMERFD_GETTIME, fd, uintptr(unsafe.Pointer(&now)), 0)
	fmt.Println(prog.Name(e), now[1], now[3] <= 5e6 && now[3] > 0)
	old := set(0, 0, 0)
	fmt.Println(old[1])
	ts, _ := gettime(1)
	set(1, 0, ts.Nano()+10e6)
	// Through the runtime's poller, as a library would.
	file := os.NewFile(fd, "timerfd")
	var count [8]byte
	size, err := file.Read(count[:])
	fmt.Println("absolute:", size, count[0], err)
	set(1, 0, 1)
	size, err = file.Read(count[:])
	fmt.Println("past:", size, count[0], err)
	_, err = file.Write(count[:])
	fmt.Println(prog.Name(err))
	_, err = syscall.Read(int(fd), count[:4])
	fmt.Println(prog.Name(err))
	_, _, e = syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, 1, 0, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, 99, 0, 0)
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, 1, 1, 0)
	fmt.Println(prog.Name(e))
}

func timerfdClocks() {
	for _, clock := range []uintptr{0, 1, 7} {
		fd, _, e := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clock, 0, 0)
		spec := [4]int64{0, 0, 0, 3e6}
		_, _, f := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
		var count [8]byte
		n, err := syscall.Read(int(fd), count[:])
		fmt.Println(clock, prog.Name(e), prog.Name(f), n, count[0], prog.Name(err))
	}
}

// idle: nothing to do but wait for a timer, again and again.
func idle() {
	begin := time.Now()
	for i := 0; i < 20; i++ {
		<-time.After(10 * time.Millisecond)
	}
	took := time.Since(begin)
	fmt.Println(took >= 200*time.Millisecond, took < 5*time.Second)
	var usage syscall.Rusage
	prog.Must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	fmt.Println("little processor time:", usage.Utime.Nano()+usage.Stime.Nano() < int64(took)*9/10)
}

func deadline() {
	r, w, err := os.Pipe()
	prog.Must(err)
	begin := time.Now()
	prog.Must(r.SetReadDeadline(begin.Add(30 * time.Millisecond)))
	_, err = r.Read(make([]byte, 1))
	fmt.Println(err, time.Since(begin) >= 30*time.Millisecond, os.IsTimeout(err))
	prog.Must(r.SetReadDeadline(time.Time{}))
	go func() { time.Sleep(5 * time.Millisecond); w.Write([]byte("x")) }()
	n, err := r.Read(make([]byte, 1))
	fmt.Println(n, err)
}

func errorsOfClocks() {
	for _, clock := range []uintptr{10, 12, 99, ^uintptr(0) >> 1} {
		_, e := gettime(clock)
		fmt.Println(prog.Name(e))
	}
	_, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 0, 0, 0)
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_CLOCK_GETRES, 0, 0, 0)
	fmt.Println(prog.Name(e))
	var ts syscall.Timespec
	_, _, e = syscall.RawSyscall(syscall.SYS_CLOCK_SETTIME, 1, uintptr(unsafe.Pointer(&ts)), 0)
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall6(syscall.SYS_CLOCK_NANOSLEEP, 99, 0, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	fmt.Println(prog.Name(e))
}
