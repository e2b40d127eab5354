package main

import (
	"os"
	"runtime"
	"sync"
	"syscall"
)

// Tokens between threads by other means than channels, and the ancestor's two programs of fifty goroutines.
var threadBenchmarks = []benchmark{
	{name: "threads/cond-token", run: condToken},
	{name: "threads/pipe-token", run: pipeToken},
	{name: "goroutines/mutex-contention", run: mutexContention},
	{name: "mix/write-and-channels-1", run: fifty(1, true)},
	{name: "mix/write-and-channels-2", run: fifty(2, true)},
	{name: "mix/write-and-channels-n", run: fifty(0, true)},
	{name: "mix/channels-1", run: fifty(1, false)},
	{name: "mix/channels-2", run: fifty(2, false)},
	{name: "mix/channels-n", run: fifty(0, false)},
}

// condToken passes a token between two locked threads through a sync.Cond, which waits on a futex.
func condToken(n int, start func()) {
	var lock sync.Mutex
	turned := sync.NewCond(&lock)
	turn := 0
	play := func(me int) {
		runtime.LockOSThread()
		lock.Lock()
		for i := 0; i < n; i++ {
			for turn != me {
				turned.Wait()
			}
			turn = 1 - me
			turned.Signal()
		}
		lock.Unlock()
	}
	var all sync.WaitGroup
	start()
	for me := 0; me < 2; me++ {
		all.Add(1)
		go func(me int) {
			play(me)
			all.Done()
		}(me)
	}
	all.Wait()
}

// pipeToken passes it through two pipes, past Go's poller: both threads wait in read(2).
func pipeToken(n int, start func()) {
	var to, fro [2]int
	check(syscall.Pipe(to[:]))
	check(syscall.Pipe(fro[:]))
	pass := func(from, on int, first bool) {
		runtime.LockOSThread()
		b := make([]byte, 1)
		for i := 0; i < n; i++ {
			if first {
				syscall.Write(on, b)
			}
			_, err := syscall.Read(from, b)
			check(err)
			if !first {
				syscall.Write(on, b)
			}
		}
	}
	done := make(chan bool)
	start()
	go func() {
		pass(to[0], fro[1], false)
		done <- true
	}()
	go func() {
		pass(fro[0], to[1], true)
		done <- true
	}()
	<-done
	<-done
	for _, fd := range append(to[:], fro[:]...) {
		syscall.Close(fd)
	}
}

// mutexContention is many goroutines that want one sync.Mutex, on as many threads as there are CPUs.
func mutexContention(n int, start func()) {
	const workers = 100
	var lock sync.Mutex
	var all sync.WaitGroup
	shared := 0
	start()
	for i := 0; i < workers; i++ {
		all.Add(1)
		go func() {
			for j := 0; j < n/workers+1; j++ {
				lock.Lock()
				shared++
				lock.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
}

// fifty is the ancestor's second program: fifty goroutines, each fed by a channel, write thirty bytes to /dev/null for each
// message and answer on a second channel, while the main goroutine writes as well. Without the writes it is its third. An
// operation is one message with its answer. With procs of 0 it has all CPUs.
func fifty(procs int, writes bool) func(int, func()) {
	return func(n int, start func()) {
		if procs > 0 {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		}
		null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
		check(err)
		defer null.Close()
		line := []byte("thirty bytes, newline included")
		write := func() {
			if writes {
				null.Write(line)
			}
		}
		const workers = 50
		var in [workers]chan int
		out := make(chan int)
		for i := range in {
			in[i] = make(chan int)
			go func(in chan int) {
				for message := range in {
					write()
					out <- message
				}
			}(in[i])
		}
		start()
		for sent := 0; sent < n; {
			round := min(workers, n-sent)
			for _, to := range in[:round] {
				to <- sent
				write()
			}
			for i := 0; i < round; i++ {
				<-out
			}
			sent += round
		}
		for _, to := range in {
			close(to)
		}
	}
}
