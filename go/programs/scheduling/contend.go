package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// contend: threads that read one open file, each byte of it once: its position's lock is always wanted.
func contend() {
	const size, piece, threads = 256 << 20, 4096, 8
	file, err := os.CreateTemp("", "contend")
	prog.Must(err)
	defer os.Remove(file.Name())
	prog.Must(file.Truncate(size))
	var sum atomic.Int64
	var group sync.WaitGroup
	for i := 0; i < threads; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			buffer := make([]byte, piece)
			for {
				n, err := syscall.Read(int(file.Fd()), buffer)
				prog.Must(err)
				if n == 0 {
					return
				}
				sum.Add(int64(n))
			}
		}()
	}
	group.Wait()
	fmt.Println(sum.Load() == size)
}

// turns: of one computing thread more than there are processors, none keeps a processor for itself.
func turns() {
	cpus := runtime.NumCPU()
	runtime.GOMAXPROCS(cpus + 1)
	var group sync.WaitGroup
	var left atomic.Int32
	left.Store(int32(cpus + 1))
	for i := 0; i <= cpus; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			first, moved := processor(), cpus == 1
			if moved {
				left.Add(-1)
			}
			// Nobody leaves before all have moved: the others would have processors to themselves.
			for left.Load() > 0 {
				for x := 0; x < 1000; x++ {
					left.Add(0)
				}
				if !moved && processor() != first {
					moved = true
					left.Add(-1)
				}
			}
		}()
	}
	group.Wait()
	fmt.Println("all moved")
}
