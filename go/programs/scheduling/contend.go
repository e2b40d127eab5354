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
