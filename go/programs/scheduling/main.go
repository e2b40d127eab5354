// Scheduling tests threads: preemption, many threads, futexes under every kind of lock, affinity, parallelism, profiles.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"spin": spin, "spin-many": spinMany, "locked-threads": lockedThreads, "ping-pong": pingPong, "channels": channels,
		"mutexes": mutexes, "conditions": conditions, "select": selects, "parallel": parallel, "affinity": affinity,
		"profile": profile, "profile-threads": profileThreads, "execution-trace": executionTrace, "thread-exit": threadExit,
		"futex": futex, "syscall-handoff": syscallHandoff, "goroutines": goroutines, "yield": yield, "thread-ids": threadIDs,
		"priorities": priorities, "rwmutex": rwmutex, "once": once, "pools": pools, "stacks": stacks, "names": names,
		"futex-requeue": futexRequeue, "futex-errors": futexErrors, "usage": usage,
		"confine": confine, "turns": turns, "contend": contend,
	})
}

// spin: a loop without calls on the only processor stops neither timers nor the collector.
func spin() {
	runtime.GOMAXPROCS(1)
	go func() {
		for {
		}
	}()
	time.Sleep(10 * time.Millisecond)
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	ticks := 0
	ticker := time.NewTicker(5 * time.Millisecond)
	for range ticker.C {
		if ticks++; ticks == 5 {
			break
		}
	}
	fmt.Println("collected and ticked", ticks)
}

// spinMany: more loops than processors, all preempted, while a mark phase needs every one to stop.
func spinMany() {
	var rounds [16]int64
	for i := range rounds {
		go func(i int) {
			x := uint64(i) + 1
			for {
				for j := 0; j < 1000000; j++ {
					x = x*6364136223846793005 + 1
				}
				rounds[i] += int64(x>>63) | 1
			}
		}(i)
	}
	time.Sleep(100 * time.Millisecond)
	for i := 0; i < 5; i++ {
		runtime.GC()
	}
	begin := time.Now()
	for {
		all := true
		for i := range rounds {
			all = all && rounds[i] > 0
		}
		if all {
			break
		}
		prog.Check(time.Since(begin) < 60*time.Second, "a goroutine never ran: %v", rounds)
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("every goroutine ran")
}

// lockedThreads holds 500 threads at once, each with its own goroutine.
func lockedThreads() {
	const n = 500
	var ready, done sync.WaitGroup
	start := make(chan bool)
	var ids sync.Map
	for i := 0; i < n; i++ {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			runtime.LockOSThread()
			ids.Store(syscall.Gettid(), true)
			ready.Done()
			<-start
			for i := 0; i < 10; i++ {
				runtime.Gosched()
				time.Sleep(time.Duration(i) * 100 * time.Microsecond)
			}
		}()
	}
	ready.Wait()
	different := 0
	ids.Range(func(any, any) bool { different++; return true })
	close(start)
	done.Wait()
	fmt.Println(different, "threads")
}

func pingPong() {
	a, b := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		for x := range a {
			b <- x + 1
		}
		close(b)
	}()
	runtime.LockOSThread()
	sum := 0
	for i := 0; i < 20000; i++ {
		a <- i
		sum += <-b
	}
	close(a)
	_, open := <-b
	fmt.Println(sum, open)
}

func channels() {
	work, results := make(chan int, 10), make(chan int)
	var wg sync.WaitGroup
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for x := range work {
				results <- x * x % 1000
			}
		}()
	}
	go func() {
		for i := 0; i < 100000; i++ {
			work <- i
		}
		close(work)
		wg.Wait()
		close(results)
	}()
	sum := 0
	for x := range results {
		sum += x
	}
	fmt.Println(sum)
}

func mutexes() {
	var m sync.Mutex
	var wg sync.WaitGroup
	counter := 0
	for i := 0; i < 32; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			if i%2 == 0 {
				runtime.LockOSThread()
			}
			for j := 0; j < 5000; j++ {
				m.Lock()
				counter++
				if counter%1000 == 0 {
					runtime.Gosched()
				}
				m.Unlock()
			}
		}(i)
	}
	wg.Wait()
	fmt.Println(counter)
}

func rwmutex() {
	var m sync.RWMutex
	var wg sync.WaitGroup
	pair := [2]int{}
	torn := int64(0)
	for i := 0; i < 16; i++ {
		wg.Add(2)
		go func() {
			defer wg.Done()
			for j := 0; j < 5000; j++ {
				m.RLock()
				if pair[0] != pair[1] {
					atomic.AddInt64(&torn, 1)
				}
				m.RUnlock()
			}
		}()
		go func() {
			defer wg.Done()
			for j := 0; j < 500; j++ {
				m.Lock()
				pair[0]++
				pair[1]++
				m.Unlock()
			}
		}()
	}
	wg.Wait()
	fmt.Println(pair, torn)
}

func conditions() {
	var m sync.Mutex
	c := sync.NewCond(&m)
	turn := 0
	var wg sync.WaitGroup
	for i := 0; i < 20; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			runtime.LockOSThread()
			for j := 0; j < 20; j++ {
				m.Lock()
				for turn%20 != i {
					c.Wait()
				}
				turn++
				m.Unlock()
				c.Broadcast()
			}
		}(i)
	}
	wg.Wait()
	fmt.Println(turn)
}

func selects() {
	a, b, quit := make(chan int), make(chan int), make(chan bool)
	go func() {
		for i := 0; i < 5000; i++ {
			a <- 1
		}
		quit <- true
	}()
	go func() {
		for i := 0; i < 5000; i++ {
			b <- 2
		}
		quit <- true
	}()
	sum, ends := 0, 0
	timeout := time.After(time.Minute)
	for ends < 2 {
		select {
		case x := <-a:
			sum += x
		case x := <-b:
			sum += x
		case <-quit:
			ends++
		case <-timeout:
			fmt.Println("timed out")
		}
	}
	fmt.Println(sum)
}

func once() {
	var o sync.Once
	var wg sync.WaitGroup
	n := int64(0)
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			o.Do(func() { time.Sleep(time.Millisecond); n++ })
			prog.Check(n == 1, "ran before it was done")
		}()
	}
	wg.Wait()
	fmt.Println(n)
}

func pools() {
	pool := sync.Pool{New: func() any { return new(bytes.Buffer) }}
	var wg sync.WaitGroup
	total := int64(0)
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; j < 2000; j++ {
				b := pool.Get().(*bytes.Buffer)
				b.Reset()
				fmt.Fprintf(b, "%d", j)
				atomic.AddInt64(&total, int64(b.Len()))
				pool.Put(b)
			}
		}()
	}
	wg.Wait()
	fmt.Println(total)
}

// busy takes a fixed amount of work.
//
//go:noinline
func busy(n int) uint64 {
	x := uint64(1)
	for i := 0; i < n; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

// parallel: two threads that never stop working are put on two processors.
func parallel() {
	if runtime.NumCPU() >= 2 {
		var at [2]atomic.Int32 // each one's processor, and 1; 0 before it runs
		var apart atomic.Int32
		var wg sync.WaitGroup
		for i := range at {
			wg.Add(1)
			go func(i int) {
				defer wg.Done()
				runtime.LockOSThread()
				for apart.Load() < 1000 {
					busy(10000)
					own, other := processor()+1, at[1-i].Load()
					at[i].Store(own)
					if other != 0 && other != own {
						apart.Add(1)
					}
				}
			}(i)
		}
		wg.Wait()
	}
	fmt.Println("two threads have two processors")
}

// processor is the number of the processor that the thread runs on.
func processor() int32 {
	const getcpu = 309
	var number uint32
	syscall.RawSyscall(getcpu, uintptr(unsafe.Pointer(&number)), 0, 0)
	return int32(number)
}

func affinity() {
	runtime.LockOSThread()
	var set [128]uint64
	n, _, e := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, uintptr(unsafe.Sizeof(set)), uintptr(unsafe.Pointer(&set)))
	fmt.Println(n%8 == 0 && n > 0, prog.Name(e))
	count := 0
	for i := 0; i < 1024; i++ {
		count += int(set[i/64] >> (i % 64) & 1)
	}
	fmt.Println(count == runtime.NumCPU(), "CPUs")
	one := [128]uint64{1}
	_, _, e = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, 8, uintptr(unsafe.Pointer(&one)))
	fmt.Println(prog.Name(e))
	var cpu, node uint32 = 99, 99
	_, _, e = syscall.RawSyscall(309, uintptr(unsafe.Pointer(&cpu)), uintptr(unsafe.Pointer(&node)), 0)
	fmt.Println(cpu, node, prog.Name(e))
	var got [128]uint64
	syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, uintptr(unsafe.Sizeof(got)), uintptr(unsafe.Pointer(&got)))
	fmt.Println(got[0], got[1])
	var none [128]uint64
	_, _, e = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, 8, uintptr(unsafe.Pointer(&none)))
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, 4, uintptr(unsafe.Pointer(&got)))
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 999999, 1024, uintptr(unsafe.Pointer(&got)))
	fmt.Println(prog.Name(e))
	_, _, e = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, 1024, uintptr(unsafe.Pointer(&set)))
	fmt.Println(prog.Name(e))
}

// confine: a thread that computes is told by another where it may run, and goes there; two that share a processor do.
func confine() {
	const cpus = 2
	if runtime.NumCPU() < cpus {
		runtime.GOMAXPROCS(cpus)
	}
	last := min(runtime.NumCPU(), cpus) - 1
	var wg sync.WaitGroup
	var tids [3]atomic.Int32
	var seen [3]atomic.Int64
	var stop atomic.Bool
	for i := range tids {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			runtime.LockOSThread()
			tids[i].Store(int32(syscall.Gettid()))
			for !stop.Load() {
				for x := 0; x < 1000; x++ {
					seen[i].Add(0)
				}
				var cpu uint32
				syscall.RawSyscall(309, uintptr(unsafe.Pointer(&cpu)), 0, 0)
				seen[i].Store(int64(cpu) + 1)
			}
		}(i)
	}
	for i := range tids {
		for tids[i].Load() == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	for round := 0; round < 20; round++ {
		cpu := round % (last + 1)
		for i := range tids {
			mask := uint64(1) << cpu
			_, _, e := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(tids[i].Load()), 8, uintptr(unsafe.Pointer(&mask)))
			prog.Check(e == 0, "sched_setaffinity: %v", e)
		}
		for i := range tids {
			// What it sees from now on: first it must have looked again.
			for again := 0; again < 2; {
				seen[i].Store(0)
				for seen[i].Load() == 0 {
					time.Sleep(time.Millisecond)
				}
				if seen[i].Load() == int64(cpu)+1 {
					again++
				}
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	fmt.Println("all went")
}

//go:noinline
func hot(end time.Time) uint64 {
	x := uint64(0)
	for time.Now().Before(end) {
		x += busy(100000)
	}
	return x
}

// profile: the samples of one busy second are near a hundred, and nearly all in busy.
func profile() {
	var out bytes.Buffer
	prog.Must(pprof.StartCPUProfile(&out))
	hot(time.Now().Add(time.Second))
	pprof.StopCPUProfile()
	samples, in := read(out.Bytes())
	due := cpuTime() / 10
	plausible, busy := fit(samples, due), in*10 >= samples*7
	fmt.Println("samples plausible:", plausible, "in busy:", busy)
	if !plausible || !busy {
		fmt.Println(samples, "samples of", due, "due,", in, "in busy")
	}
}

// fit allows for a virtual machine whose CPUs are taken away at times: it counts that time, but several due samples become one.
func fit(samples, due int) bool { return samples*5 >= due && samples*2 <= due*3+10 }

// cpuTime is the milliseconds of CPU time that the program has used: a machine with other work gives less than a clock says.
func cpuTime() int {
	var usage syscall.Rusage
	prog.Must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return int(usage.Utime.Nano()+usage.Stime.Nano()) / 1e6
}

func profileThreads() {
	var out bytes.Buffer
	prog.Must(pprof.StartCPUProfile(&out))
	var wg sync.WaitGroup
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); runtime.LockOSThread(); hot(time.Now().Add(time.Second)) }()
	}
	wg.Wait()
	pprof.StopCPUProfile()
	samples, in := read(out.Bytes())
	due := cpuTime() / 10
	ok := fit(samples, due) && in*10 >= samples*7
	fmt.Println("samples plausible:", ok)
	if !ok {
		fmt.Println(samples, "samples of", due, "due,", in, "in busy")
	}
}

// read counts a CPU profile's samples and those with busy among their functions. It reads the protocol buffer by hand:
// field 2 samples (1 locations, 2 values), 4 locations (1 id, 4 lines of 1 function), 5 functions (1 id, 2 name), 6 strings.
func read(zipped []byte) (samples, inBusy int) {
	unzip, err := gzip.NewReader(bytes.NewReader(zipped))
	prog.Must(err)
	data, err := io.ReadAll(unzip)
	prog.Must(err)
	var strs []string
	functions, locations := map[uint64]uint64{}, map[uint64]uint64{}
	type sample struct {
		locations []uint64
		count     uint64
	}
	var all []sample
	fields(data, func(field int, n uint64, b []byte) {
		switch field {
		case 2:
			var s sample
			values := 0
			fields(b, func(field int, n uint64, b []byte) {
				packed := b
				if b == nil {
					if field == 1 {
						s.locations = append(s.locations, n)
					} else if field == 2 && values == 0 {
						s.count, values = n, 1
					}
					return
				}
				for len(packed) > 0 {
					v, size := varint(packed)
					packed = packed[size:]
					if field == 1 {
						s.locations = append(s.locations, v)
					} else if field == 2 && values == 0 {
						s.count, values = v, 1
					}
				}
			})
			all = append(all, s)
		case 4:
			var id, function uint64
			fields(b, func(field int, n uint64, b []byte) {
				if field == 1 {
					id = n
				} else if field == 4 && function == 0 {
					fields(b, func(field int, n uint64, _ []byte) {
						if field == 1 {
							function = n
						}
					})
				}
			})
			locations[id] = function
		case 5:
			var id, name uint64
			fields(b, func(field int, n uint64, _ []byte) {
				if field == 1 {
					id = n
				} else if field == 2 {
					name = n
				}
			})
			functions[id] = name
		case 6:
			strs = append(strs, string(b))
		}
	})
	for _, s := range all {
		samples += int(s.count)
		for _, location := range s.locations {
			if strings.HasSuffix(strs[functions[locations[location]]], ".busy") {
				inBusy += int(s.count)
				break
			}
		}
	}
	return samples, inBusy
}

func varint(b []byte) (v uint64, size int) {
	for shift := 0; ; shift += 7 {
		v |= uint64(b[size]&0x7f) << shift
		size++
		if b[size-1] < 0x80 {
			return v, size
		}
	}
}

func fields(b []byte, each func(field int, n uint64, b []byte)) {
	for len(b) > 0 {
		key, size := varint(b)
		b = b[size:]
		n, size := varint(b)
		b = b[size:]
		if key&7 == 2 {
			each(int(key>>3), 0, b[:n:n])
			b = b[n:]
		} else {
			each(int(key>>3), n, nil)
		}
	}
}

func executionTrace() {
	var out bytes.Buffer
	prog.Must(trace.Start(&out))
	trace.WithRegion(context.Background(), "work", func() { channels(); runtime.GC() })
	trace.Stop()
	fmt.Println(out.Len() > 1000, out.String()[:5])
}

// threadExit ends threads by leaving a locked goroutine: each must give back what it holds.
func threadExit() {
	for i := 0; i < 2000; i++ {
		done := make(chan bool)
		go func() {
			defer close(done)
			runtime.LockOSThread()
			if i%10 == 0 {
				syscall.Getpid()
			}
		}()
		<-done
	}
	tasks, err := os.ReadDir("/proc/self/task")
	prog.Must(err)
	fmt.Println("few left:", len(tasks) < 100)
}

const (
	wait, wake, requeue, cmpRequeue, waitBitset, wakeBitset = 0, 1, 3, 4, 9, 10
	private                                                 = 128
)

func futexCall(word *uint32, op int, value uint32, timeout *syscall.Timespec, second *uint32, value3 uint32) (int, syscall.Errno) {
	n, _, e := syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), uintptr(op), uintptr(value), uintptr(unsafe.Pointer(timeout)), uintptr(unsafe.Pointer(second)), uintptr(value3))
	return int(n), e
}

func futex() {
	word := new(uint32)
	_, e := futexCall(word, wait|private, 1, nil, nil, 0)
	fmt.Println("wrong value:", prog.Name(e))
	for _, op := range []int{wait, wait | private} {
		begin := time.Now()
		_, e = futexCall(word, op, 0, &syscall.Timespec{Nsec: 20e6}, nil, 0)
		took := time.Since(begin)
		fmt.Println("timeout:", prog.Name(e), took >= 20*time.Millisecond, took < time.Second)
	}
	n, e := futexCall(word, wake|private, 100, nil, nil, 0)
	fmt.Println("nobody:", n, prog.Name(e))
	var woken sync.WaitGroup
	var asleep int64
	for i := 0; i < 10; i++ {
		woken.Add(1)
		go func() {
			defer woken.Done()
			atomic.AddInt64(&asleep, 1)
			for atomic.LoadUint32(word) == 0 {
				futexCall(word, wait|private, 0, nil, nil, 0)
			}
		}()
	}
	for atomic.LoadInt64(&asleep) < 10 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(30 * time.Millisecond)
	n, e = futexCall(word, wake|private, 3, nil, nil, 0)
	fmt.Println("three:", n, prog.Name(e))
	time.Sleep(10 * time.Millisecond)
	atomic.StoreUint32(word, 1)
	futexCall(word, wake|private, 100, nil, nil, 0)
	woken.Wait()
	// Bit sets: only a waiter with a common bit wakes. The timeout of a bit-set wait is absolute.
	*word = 0
	result := make(chan string, 2)
	for _, bits := range []uint32{1, 2} {
		go func(bits uint32) {
			_, e := futexCall(word, waitBitset|private, 0, nil, nil, bits)
			result <- fmt.Sprint("bits ", bits, " ", prog.Name(e))
		}(bits)
	}
	time.Sleep(50 * time.Millisecond)
	n, _ = futexCall(word, wakeBitset|private, 10, nil, nil, 2)
	fmt.Println(n, <-result)
	n, _ = futexCall(word, wakeBitset|private, 10, nil, nil, 3)
	fmt.Println(n, <-result)
	var now syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&now)), 0)
	now.Nsec += 20e6
	if now.Nsec >= 1e9 {
		now.Nsec, now.Sec = now.Nsec-1e9, now.Sec+1
	}
	begin := time.Now()
	_, e = futexCall(word, waitBitset|private, 0, &now, nil, ^uint32(0))
	fmt.Println("absolute:", prog.Name(e), time.Since(begin) > 10*time.Millisecond)
}

func futexRequeue() {
	var words [2]uint32
	var wg sync.WaitGroup
	for i := 0; i < 6; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			futexCall(&words[0], wait|private, 0, nil, nil, 0)
		}()
	}
	time.Sleep(100 * time.Millisecond)
	two := (*syscall.Timespec)(nil)
	n, _, e := syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&words[0])), cmpRequeue|private, 1, 2, uintptr(unsafe.Pointer(&words[1])), 5)
	fmt.Println(int(n), prog.Name(e), two == nil)
	n, _, e = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&words[0])), cmpRequeue|private, 1, 2, uintptr(unsafe.Pointer(&words[1])), 0)
	fmt.Println("woken and moved:", n, prog.Name(e))
	woken, _ := futexCall(&words[1], wake|private, 10, nil, nil, 0)
	fmt.Println("on the second:", woken)
	n, _, e = syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&words[0])), requeue|private, 0, 10, uintptr(unsafe.Pointer(&words[1])), 0)
	fmt.Println("moved:", n, prog.Name(e))
	woken, _ = futexCall(&words[1], wake|private, 10, nil, nil, 0)
	fmt.Println("woken:", woken)
	wg.Wait()
}

func futexErrors() {
	word := new([2]uint32)
	call := func(address uintptr, op int, value uint32, timeout unsafe.Pointer) {
		_, _, e := syscall.Syscall6(syscall.SYS_FUTEX, address, uintptr(op), uintptr(value), uintptr(timeout), 0, 0)
		fmt.Println(prog.Name(e))
	}
	here := uintptr(unsafe.Pointer(word))
	call(here+1, wait, 0, nil)
	call(here+2, wake, 1, nil)
	call(0, wait, 0, nil)
	call(0x7000dead0000, wait, 0, nil)
	call(0xffff800000000000, wait, 0, nil)
	call(here, 77, 0, nil)
	call(here, wait, 0, unsafe.Pointer(&syscall.Timespec{Nsec: 1e9}))
	call(here, wait, 0, unsafe.Pointer(&syscall.Timespec{Sec: -1}))
	call(here, waitBitset, 0, nil)
}

// syscallHandoff: threads blocked in calls do not hold back the others, on one processor.
func syscallHandoff() {
	runtime.GOMAXPROCS(1)
	var pipes [20][2]int
	var wg sync.WaitGroup
	for i := range pipes {
		prog.Must(syscall.Pipe(pipes[i][:]))
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			b := make([]byte, 1)
			n, err := syscall.Read(pipes[i][0], b)
			prog.Check(n == 1 && err == nil && b[0] == byte(i), "%d %v %v", n, err, b)
		}(i)
	}
	time.Sleep(50 * time.Millisecond)
	for i := range pipes {
		_, err := syscall.Write(pipes[i][1], []byte{byte(i)})
		prog.Must(err)
	}
	wg.Wait()
	fmt.Println("all read")
}

func goroutines() {
	var wg sync.WaitGroup
	sum := int64(0)
	for i := 0; i < 100000; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			time.Sleep(time.Duration(i%100) * 100 * time.Microsecond)
			atomic.AddInt64(&sum, int64(i))
		}(i)
	}
	wg.Wait()
	fmt.Println(sum)
}

func yield() {
	runtime.LockOSThread()
	for i := 0; i < 1000; i++ {
		_, _, e := syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
		prog.Check(e == 0, "sched_yield: %v", e)
	}
	fmt.Println("yielded")
}

func threadIDs() {
	runtime.LockOSThread()
	fmt.Println(syscall.Gettid() == os.Getpid())
	different := make(chan bool)
	go func() {
		runtime.LockOSThread()
		id := syscall.Gettid()
		different <- id != os.Getpid() && id > 0
		time.Sleep(time.Hour)
	}()
	fmt.Println(<-different)
	tasks, err := os.ReadDir("/proc/self/task")
	prog.Must(err)
	fmt.Println(len(tasks) >= 3)
	tid, _, _ := syscall.RawSyscall(syscall.SYS_SET_TID_ADDRESS, 0, 0, 0)
	fmt.Println(int(tid) == syscall.Gettid())
}

func priorities() {
	policy, _, e := syscall.RawSyscall(syscall.SYS_SCHED_GETSCHEDULER, 0, 0, 0)
	fmt.Println(policy, prog.Name(e))
	var parameter int32 = 7
	_, _, e = syscall.RawSyscall(syscall.SYS_SCHED_GETPARAM, 0, uintptr(unsafe.Pointer(&parameter)), 0)
	fmt.Println(parameter, prog.Name(e))
	for _, policy := range []uintptr{0, 1, 2, 3, 99} {
		most, _, e := syscall.RawSyscall(syscall.SYS_SCHED_GET_PRIORITY_MAX, policy, 0, 0)
		least, _, f := syscall.RawSyscall(syscall.SYS_SCHED_GET_PRIORITY_MIN, policy, 0, 0)
		fmt.Println(policy, int(most), prog.Name(e), int(least), prog.Name(f))
	}
	nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	fmt.Println(nice, prog.Name(err))
	fmt.Println(prog.Name(syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5)))
	nice, err = syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	fmt.Println(nice, prog.Name(err))
}

// stacks grows and shrinks goroutine stacks while the collector runs.
func stacks() {
	var wg sync.WaitGroup
	for i := 0; i < 100; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for j := 0; j < 20; j++ {
				prog.Check(sum(i*10+j) == (i*10+j)*(i*10+j+1)/2, "wrong sum")
			}
		}(i)
	}
	for i := 0; i < 10; i++ {
		runtime.GC()
	}
	wg.Wait()
	fmt.Println("right")
}

//go:noinline
func sum(n int) int {
	var pad [100]int
	pad[n%100] = n
	if n == 0 {
		return 0
	}
	return sum(n-1) + pad[n%100]
}

func names() {
	runtime.LockOSThread()
	name := append([]byte("a-thread-name-that-is-too-long"), 0)
	_, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, 15, uintptr(unsafe.Pointer(&name[0])), 0)
	got := make([]byte, 16)
	_, _, f := syscall.RawSyscall(syscall.SYS_PRCTL, 16, uintptr(unsafe.Pointer(&got[0])), 0)
	fmt.Printf("%s %s %q\n", prog.Name(e), prog.Name(f), got)
	comm, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/comm", syscall.Gettid()))
	fmt.Printf("%q %v\n", comm, err)
}

// usage: processor time is counted, for the process and for a thread.
func usage() {
	runtime.LockOSThread()
	end := time.Now().Add(200 * time.Millisecond)
	hot(end)
	var process, thread syscall.Rusage
	prog.Must(syscall.Getrusage(syscall.RUSAGE_SELF, &process))
	prog.Must(syscall.Getrusage(1, &thread))
	spent := func(r syscall.Rusage) time.Duration {
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	fmt.Println(spent(process) > 50*time.Millisecond, spent(thread) > 50*time.Millisecond, spent(process) < 20*time.Second, process.Maxrss > 0)
	var clock [2]syscall.Timespec
	for i, id := range []uintptr{2, 3} {
		syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&clock[i])), 0)
		fmt.Println(clock[i].Nano() > 50e6, clock[i].Nano() < 20e9)
	}
	var t syscall.Tms
	ticks, err := syscall.Times(&t)
	fmt.Println(ticks > 0, err, t.Utime+t.Stime > 3)
	fmt.Println(prog.Name(syscall.Getrusage(99, &process)))
}
