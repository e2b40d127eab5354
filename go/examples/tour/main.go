// The tour shows, in a second, that an ordinary Go program finds everything it knows in ring 0: arguments,
// threads, the garbage collector, preemption, a recovered nil dereference, signals, files and clocks.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// codeSelector reads the CS register; its two low bits are the processor's current privilege level.
func codeSelector() uint16

func main() {
	fmt.Printf("arguments     %q\n", os.Args[1:])
	fmt.Printf("built by      %s, running on %d CPUs, pid %d\n", runtime.Version(), runtime.NumCPU(), os.Getpid())
	fmt.Printf("privilege     CPL %d (CS %#x)\n", codeSelector()&3, codeSelector())
	fmt.Printf("goroutines    10000 summed to %d\n", goroutines(10000))
	fmt.Printf("collector     %d MiB allocated, %d cycles\n", garbage(256), cycles())
	fmt.Printf("nil pointer   %v\n", nilDereference())
	fmt.Printf("preemption    a loop without calls was interrupted: %v\n", preempted())
	fmt.Printf("signals       %v\n", ownSignal())
	fmt.Printf("files         %s\n", file())
	start := time.Now()
	time.Sleep(10 * time.Millisecond)
	fmt.Printf("clock         slept 10 ms: at least that long: %v; it is %s\n", time.Since(start) >= 10*time.Millisecond, time.Now().UTC().Format("2 January 2006"))
}

func goroutines(n int) int {
	var wg sync.WaitGroup
	sums := make(chan int, 64)
	for i := 1; i <= n; i++ {
		wg.Add(1)
		go func(i int) { defer wg.Done(); sums <- i }(i)
	}
	go func() { wg.Wait(); close(sums) }()
	sum := 0
	for s := range sums {
		sum += s
	}
	return sum
}

var sink []byte

func garbage(mib int) int {
	for i := 0; i < mib; i++ {
		sink = make([]byte, 1<<20)
	}
	return mib
}

func cycles() uint32 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

func nilDereference() (err error) {
	defer func() { err = recover().(error) }()
	var p *struct{ field int }
	p.field = 1
	return nil
}

// preempted runs a loop without a call beside the collector, which has to stop it: only a signal can.
func preempted() bool {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	stop := make(chan bool)
	go func() {
		for {
		}
	}()
	go func() { runtime.GC(); close(stop) }()
	select {
	case <-stop:
		return true
	case <-time.After(5 * time.Second):
		return false
	}
}

func ownSignal() string {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	return "received " + (<-c).String()
}

func file() string {
	dir, err := os.MkdirTemp("", "tour")
	if err != nil {
		return err.Error()
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "a file")
	if err := os.WriteFile(name, []byte(strings.Repeat("ring 0 ", 1000)), 0o644); err != nil {
		return err.Error()
	}
	info, err := os.Stat(name)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("wrote and found %d bytes in %q", info.Size(), info.Name())
}
