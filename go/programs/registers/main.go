// Registers proves that every register survives signals, preemption and system calls, while storms of them strike.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func general(seed uint64, n int) int
func flags(n int) int
func vectors128(seed uint64, n int) int
func vectors256(seed uint64, n int) int
func vectors512(seed uint64, n int) int
func x87(n int) int
func holdX87(n int)
func twoByX87() float64
func codeSelector() uint16
func has256() bool
func has512() bool
func acrossCall(seed uint64, args *[6]uintptr) int

func main() {
	prog.Main(prog.Acts{
		"general":    func() { under(func(seed uint64) int { return general(seed, 20000) }) },
		"flags":      func() { under(func(uint64) int { return flags(20000) }) },
		"vectors128": func() { under(func(seed uint64) int { return vectors128(seed, 20000) }) },
		"vectors256": func() { wide(has256(), vectors256) },
		"vectors512": func() { wide(has512(), vectors512) },
		"x87":        func() { under(func(uint64) int { return x87(20000) }) },
		"calls":      calls,
		"ring":       func() { fmt.Println("CPL", codeSelector()&3) },
		"mixed":      mixed,
		"modes":      rareModes,
		"fresh":      fresh,
		"simd":       simd,
		"pending":    pending,
		"float":      float,
		"stepping":   stepping,
		"flag-calls": flagsInCalls,
		"x87-held":   x87Held,
	})
}

// wide runs where the processor has such vectors; where it has not, the output is the same: two machines may differ.
func wide(has bool, act func(uint64, int) int) {
	if !has {
		fmt.Println("changed registers: 0")
		return
	}
	under(func(seed uint64) int { return act(seed, 20000) })
}

// under runs act on more threads than there are CPUs, for a second, while SIGPROF, SIGURG, SIGUSR1 and the collector strike.
func under(acts ...func(seed uint64) int) {
	stop := storm()
	var changed, rounds int64
	var wg sync.WaitGroup
	end := time.Now().Add(time.Second)
	for g := 0; g < 2*runtime.NumCPU()+2; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			if g%2 == 0 {
				runtime.LockOSThread()
			}
			seed := uint64(g+1) * 0x9e3779b97f4a7c15
			for time.Now().Before(end) {
				for _, act := range acts {
					atomic.AddInt64(&changed, int64(act(seed)))
				}
				atomic.AddInt64(&rounds, 1)
				seed = seed*6364136223846793005 + 1442695040888963407
			}
		}(g)
	}
	wg.Wait()
	stop()
	prog.Check(rounds > 10, "only %d rounds", rounds)
	fmt.Println("changed registers:", changed)
}

func storm() (stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGALRM)
	prog.Must(pprof.StartCPUProfile(io.Discard))
	interval := [4]int64{0, 500, 0, 500}
	syscall.RawSyscall(syscall.SYS_SETITIMER, 0, uintptr(unsafe.Pointer(&interval)), 0)
	done := make(chan bool)
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-done:
				return
			case <-c:
			default:
				syscall.Kill(os.Getpid(), syscall.SIGUSR1)
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	go func() {
		defer wg.Done()
		debug.SetGCPercent(10)
		var keep [][]byte
		for {
			select {
			case <-done:
				return
			default:
				keep = append(keep, make([]byte, 10000))
				if len(keep) > 100 {
					keep = nil
					runtime.GC()
					time.Sleep(time.Millisecond)
				}
			}
		}
	}()
	return func() {
		close(done)
		wg.Wait()
		interval = [4]int64{}
		syscall.RawSyscall(syscall.SYS_SETITIMER, 0, uintptr(unsafe.Pointer(&interval)), 0)
		pprof.StopCPUProfile()
	}
}

var nap = [2]int64{0, 50000}

// calls keeps registers across calls that return at once, that fail, and that sleep.
func calls() {
	under(
		func(seed uint64) int { return acrossCall(seed, &[6]uintptr{syscall.SYS_GETPID}) },
		func(seed uint64) int { return acrossCall(seed, &[6]uintptr{syscall.SYS_SCHED_YIELD}) },
		func(seed uint64) int { return acrossCall(seed, &[6]uintptr{9999, 1, 2, 3}) },
		func(seed uint64) int {
			return acrossCall(seed, &[6]uintptr{syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&nap))})
		},
		func(seed uint64) int { return acrossCall(seed, &[6]uintptr{syscall.SYS_WRITE, ^uintptr(0), 1, 2}) },
	)
}

func mixed() {
	all := []func(uint64) int{
		func(seed uint64) int { return told("general", general(seed, 3000)) },
		func(uint64) int { return told("flags", flags(3000)) },
		func(seed uint64) int { return told("vectors128", vectors128(seed, 3000)) },
		func(uint64) int { return told("x87", x87(3000)) },
	}
	if has256() {
		all = append(all, func(seed uint64) int { return told("vectors256", vectors256(seed, 3000)) })
	}
	if has512() {
		all = append(all, func(seed uint64) int { return told("vectors512", vectors512(seed, 3000)) })
	}
	under(all...)
}

// x87Held: a thread that comes back from a call finds no x87 registers in use that another thread holds meanwhile.
func x87Held() {
	runtime.GOMAXPROCS(4)
	for i := 0; i < 3; i++ {
		go func() {
			runtime.LockOSThread()
			for {
				holdX87(5_000_000)
			}
		}()
	}
	runtime.LockOSThread()
	wrong := 0
	for i := 0; i < 200; i++ {
		pause := syscall.NsecToTimespec(int64(100 * time.Microsecond))
		_ = syscall.Nanosleep(&pause, nil)
		if twoByX87() != 2 {
			wrong++
		}
	}
	fmt.Println("wrong sums:", wrong)
}
