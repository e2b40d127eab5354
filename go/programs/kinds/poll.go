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

type pollFd struct {
	fd              int32
	events, revents int16
}

const everything = 1 | 2 | 4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x2000

func pollAll(fds []pollFd, timeout int) (n int, name string) {
	prog.Undisturbed(func() {
		n, name = prog.Call(sysPoll, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)), uintptr(timeout))
	})
	return n, name
}

func tell(what string, fds []pollFd, timeout int) {
	n, name := pollAll(fds, timeout)
	fmt.Print(what, " ", n, " ", name)
	for _, fd := range fds {
		fmt.Print(" ", bits(fd.revents))
	}
	fmt.Println()
}

func poll() {
	r, w := pipe()
	fds := []pollFd{{int32(r), 1, 0}, {int32(w), 4, 0}, {-1, 1, 7}, {900, 1, 0}}
	tell("pipe", fds, 1000)
	fds = fds[:1]
	start := time.Now()
	tell("empty", fds, 30)
	prog.Check(time.Since(start) >= 30*time.Millisecond, "too early")
	tell("none", nil, 5)
	go func() {
		time.Sleep(20 * time.Millisecond)
		syscall.Write(w, []byte("x"))
	}()
	start = time.Now()
	tell("written", fds, 5000)
	prog.Check(time.Since(start) >= 15*time.Millisecond, "too early")
	prog.Check(time.Since(start) < 3*time.Second, "too late")
	go func() {
		time.Sleep(10 * time.Millisecond)
		syscall.Close(w)
	}()
	syscall.Read(r, make([]byte, 1))
	tell("closed", fds, -1)
	e := eventfd()
	fds = []pollFd{{int32(e), everything, 0}, {int32(e), 1, 0}}
	tell("eventfd", fds, 0)
	go func() {
		time.Sleep(10 * time.Millisecond)
		syscall.Write(e, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}()
	fds = []pollFd{{int32(e), 1, 0}, {int32(e), 1, 0}, {int32(e), 0, 0}}
	tell("twice", fds, 5000)
	ep, _ := prog.Call(syscall.SYS_EPOLL_CREATE1, 0)
	tell("epoll", []pollFd{{int32(ep), everything, 0}}, 0)
	event := syscall.EpollEvent{Events: 1}
	prog.Must(syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, e, &event))
	tell("epoll", []pollFd{{int32(ep), everything, 0}}, 0)
	n, name := prog.Call(sysPoll, 4096, 1, 0)
	prog.Show("bad address", n, name)
	n, name = prog.Call(sysPoll, 0, 1<<31, 0)
	prog.Show("too many", n, name)
	n, name = prog.Call(sysPoll, 1<<63, 1, 0)
	prog.Show("kernel address", n, name)
}

// pollStates shows what each kind of file is ready for in each of its states.
func pollStates() {
	state := func(what string, fd int) { tell(what, []pollFd{{int32(fd), everything, 0}}, 0) }
	r, w := pipe()
	state("read end, empty", r)
	state("write end, empty", w)
	syscall.Write(w, make([]byte, 100))
	state("read end, some", r)
	syscall.SetNonblock(w, true)
	for {
		if _, err := syscall.Write(w, make([]byte, 4096)); err != nil {
			break
		}
	}
	state("write end, full", w)
	syscall.Close(r)
	state("write end, no reader", w)
	r, w = pipe()
	syscall.Write(w, []byte("x"))
	syscall.Close(w)
	state("read end, last bytes", r)
	syscall.Read(r, make([]byte, 10))
	state("read end, no writer", r)
	f, err := os.CreateTemp("", "kinds")
	prog.Must(err)
	defer os.Remove(f.Name())
	state("file", int(f.Fd()))
	d, err := os.Open("/")
	prog.Must(err)
	state("directory", int(d.Fd()))
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	prog.Must(err)
	state("null", int(null.Fd()))
	p, err := syscall.Open("/", 0x200000, 0)
	prog.Must(err)
	state("O_PATH", p)
	t, _ := prog.Call(syscall.SYS_TIMERFD_CREATE, 1, 0)
	state("timerfd", t)
	setting := [4]int64{0, 0, 0, 1}
	prog.Call(syscall.SYS_TIMERFD_SETTIME, uintptr(t), 0, uintptr(unsafe.Pointer(&setting)), 0)
	time.Sleep(5 * time.Millisecond)
	state("timerfd, fired", t)
	e := eventfd()
	state("eventfd, 0", e)
	syscall.Write(e, []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	state("eventfd, full", e)
	m, _ := prog.Call(sysMemfdCreate, path("x"), 0)
	state("memfd", m)
}

// pollMany waits for the last of many descriptors, and for one descriptor many times.
func pollMany() {
	const many = 5000
	limit := syscall.Rlimit{Cur: many + 500, Max: many + 500}
	var old syscall.Rlimit
	prog.Must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
	limit.Max = old.Max
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	fds := make([]pollFd, many)
	for i := range fds {
		fds[i] = pollFd{int32(eventfd()), 1, 0}
	}
	add := func(fd int32) {
		time.Sleep(20 * time.Millisecond)
		syscall.Write(int(fd), []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	go add(fds[many-1].fd)
	start := time.Now()
	n, name := pollAll(fds, 10000)
	prog.Show("many", n, name)
	fmt.Println(bits(fds[many-1].revents), bits(fds[0].revents))
	for i := range fds {
		fds[i] = pollFd{fds[7].fd, 1, 0}
	}
	go add(fds[7].fd)
	n, name = pollAll(fds, 10000)
	prog.Show("same", n, name)
	fmt.Println(time.Since(start) < 5*time.Second)
	n, name = prog.Call(sysPoll, uintptr(unsafe.Pointer(&fds[0])), many+501, 0)
	prog.Show("above the limit", n, name)
}

func tids(f func(tid int)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f(syscall.Gettid())
}

// pollMask opens a signal for the time of the call.
func pollMask() {
	got := make(chan os.Signal, 10)
	signal.Notify(got, syscall.SIGUSR1)
	r, _ := pipe()
	tids(func(tid int) {
		set := uint64(1) << (syscall.SIGUSR1 - 1)
		var old uint64
		prog.Call(syscall.SYS_RT_SIGPROCMASK, 0, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&old)), 8)
		prog.Call(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(tid), uintptr(syscall.SIGUSR1))
		fds := []pollFd{{int32(r), 1, 0}}
		left := syscall.Timespec{Nsec: 30000000}
		n, name := prog.Call(sysPpoll, uintptr(unsafe.Pointer(&fds[0])), 1, uintptr(unsafe.Pointer(&left)), uintptr(unsafe.Pointer(&set)), 8)
		prog.Show("blocked", n, name)
		fmt.Println(left.Sec, left.Nsec)
		prog.Call(syscall.SYS_RT_SIGPROCMASK, 2, uintptr(unsafe.Pointer(&old)), 0, 8)
	})
	fmt.Println(<-got)
	tids(func(tid int) {
		set, empty := uint64(1)<<(syscall.SIGUSR1-1), uint64(0)
		var old uint64
		prog.Call(syscall.SYS_RT_SIGPROCMASK, 0, uintptr(unsafe.Pointer(&set)), uintptr(unsafe.Pointer(&old)), 8)
		prog.Call(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(tid), uintptr(syscall.SIGUSR1))
		fds := []pollFd{{int32(r), 1, 0}}
		left := syscall.Timespec{Sec: 5}
		n, name := prog.Call(sysPpoll, uintptr(unsafe.Pointer(&fds[0])), 1, uintptr(unsafe.Pointer(&left)), uintptr(unsafe.Pointer(&empty)), 8)
		prog.Show("opened", n, name)
		fmt.Println(left.Sec == 4)
		var now uint64
		prog.Call(syscall.SYS_RT_SIGPROCMASK, 0, 0, uintptr(unsafe.Pointer(&now)), 8)
		fmt.Println(now&set != 0)
		n, name = prog.Call(sysPpoll, uintptr(unsafe.Pointer(&fds[0])), 1, uintptr(unsafe.Pointer(&left)), uintptr(unsafe.Pointer(&empty)), 4)
		prog.Show("size", n, name)
		prog.Call(syscall.SYS_RT_SIGPROCMASK, 2, uintptr(unsafe.Pointer(&old)), 0, 8)
	})
	fmt.Println(<-got)
}

// pollInterrupted: a handler ends poll with EINTR, whatever SA_RESTART says; an ignored signal does not.
func pollInterrupted() {
	signal.Ignore(syscall.SIGUSR2)
	got := make(chan os.Signal, 10)
	signal.Notify(got, syscall.SIGUSR1)
	r, _ := pipe()
	for _, signo := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
		done := make(chan bool)
		tid := make(chan int)
		go tids(func(me int) {
			tid <- me
			fds := []pollFd{{int32(r), 1, 0}}
			start := time.Now()
			n, name := pollAll(fds, 300)
			prog.Show(signo.String(), n, name)
			fmt.Println(time.Since(start) >= 290*time.Millisecond)
			done <- true
		})
		target := <-tid
		time.Sleep(50 * time.Millisecond)
		prog.Call(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(target), uintptr(signo))
		<-done
	}
	fmt.Println(<-got)
}

func selects() {
	r, w := pipe()
	e := eventfd()
	set := func(fds ...int) *syscall.FdSet {
		var s syscall.FdSet
		for _, fd := range fds {
			s.Bits[fd/64] |= 1 << (fd % 64)
		}
		return &s
	}
	has := func(s *syscall.FdSet, fds ...int) {
		for _, fd := range fds {
			fmt.Print(" ", s.Bits[fd/64]>>(fd%64)&1)
		}
		fmt.Println()
	}
	reads, writes, other := set(r, e), set(w, e), set(r, w)
	n, err := syscall.Select(100, reads, writes, other, nil)
	fmt.Println(n, err)
	has(reads, r, w, e)
	has(writes, r, w, e)
	has(other, r, w, e)
	reads = set(r, e)
	timeout := syscall.Timeval{Usec: 20000}
	n, err = syscall.Select(100, reads, nil, nil, &timeout)
	fmt.Println(n, err, timeout.Sec, timeout.Usec)
	has(reads, r, e)
	go func() {
		time.Sleep(10 * time.Millisecond)
		syscall.Write(w, []byte("x"))
	}()
	reads = set(r, e)
	timeout = syscall.Timeval{Sec: 9, Usec: 2000000}
	n, err = syscall.Select(100, reads, nil, nil, &timeout)
	fmt.Println(n, err, timeout.Sec)
	has(reads, r, e)
	reads = set(r, e)
	n, err = syscall.Select(r, reads, nil, nil, &timeout)
	fmt.Println(n, err)
	has(reads, r, e)
	for i := 0; i < 300; i++ {
		syscall.Dup(e)
	}
	high, err := syscall.Dup(r)
	prog.Must(err)
	reads = set(high, r)
	n, err = syscall.Select(high+1, reads, nil, nil, nil)
	fmt.Println(n, err)
	has(reads, high, r)
	n, err = syscall.Select(0, nil, nil, nil, &syscall.Timeval{Usec: 1000})
	fmt.Println(n, err)
	mask := struct {
		at   *uint64
		size uintptr
	}{new(uint64), 8}
	left := syscall.Timespec{Sec: 3}
	reads = set(r)
	m, name := prog.Call(sysPselect6, 100, uintptr(unsafe.Pointer(reads)), 0, 0, uintptr(unsafe.Pointer(&left)), uintptr(unsafe.Pointer(&mask)))
	prog.Show("pselect6", m, name)
	mask.size = 3
	m, name = prog.Call(sysPselect6, 100, uintptr(unsafe.Pointer(reads)), 0, 0, uintptr(unsafe.Pointer(&left)), uintptr(unsafe.Pointer(&mask)))
	prog.Show("size", m, name)
}

func selectErrors() {
	var s syscall.FdSet
	s.Bits[0] = -1 << 63
	n, err := syscall.Select(64, &s, nil, nil, nil)
	fmt.Println(n, err)
	n, err = syscall.Select(63, &s, nil, nil, &syscall.Timeval{Usec: 1000})
	fmt.Println(n, err, s.Bits[0] == -1<<63)
	n, err = syscall.Select(-1, &s, nil, nil, nil)
	fmt.Println(n, err)
	n, err = syscall.Select(1, nil, nil, nil, &syscall.Timeval{Sec: -1})
	fmt.Println(n, err)
	n, err = syscall.Select(1, nil, nil, nil, &syscall.Timeval{Usec: -1})
	fmt.Println(n, err)
	for _, args := range [][]uintptr{{64, 4096, 0, 0, 0}, {64, 0, 0, 0, 4096}, {0, 4096, 0, 0, 0}, {64, 1 << 47, 0, 0, 0}} {
		var zero syscall.Timeval
		if args[4] == 0 {
			args[4] = uintptr(unsafe.Pointer(&zero))
		}
		n, name := prog.Call(sysSelect, args...)
		prog.Show("bad address", n, name)
	}
}
