package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"sync"
	"syscall"
	"time"
)

var basicBenchmarks = []benchmark{
	{name: "syscall/getpid", run: getpid},
	{name: "syscall/write-null", run: writeNull},
	{name: "syscall/time-now", run: timeNow},
	{name: "file/create-remove", run: createRemove},
	{name: "file/write-4k", run: writeFile},
	{name: "file/read-4k", run: readFile},
	{name: "pipe/round-trip", run: pipeRoundTrip},
	{name: "pipe/throughput-64k", run: pipeThroughput},
	{name: "threads/token", run: token},
	{name: "threads/futex-contention", run: contention},
	{name: "goroutines/token", run: goroutineToken},
	{name: "goroutines/start", run: startGoroutine},
	{name: "timer/sleep-100us", run: sleep},
	{name: "signal/nil-dereference", run: nilDereference},
	{name: "memory/fresh-64m", run: freshMemory},
	{name: "memory/allocate-gc", run: allocate},
	{name: "cpu/sha256-1m", run: hash},
	{name: "cpu/sort-100k", run: sorting},
	{name: "cpu/json", run: jsonRoundTrip},
}

func getpid(n int, start func()) {
	start()
	for i := 0; i < n; i++ {
		syscall.Getpid()
	}
}

func writeNull(n int, start func()) {
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	check(err)
	defer null.Close()
	line := []byte("thirty bytes, newline included")
	start()
	for i := 0; i < n; i++ {
		null.Write(line)
	}
}

var sink any

func timeNow(n int, start func()) {
	var last time.Time
	start()
	for i := 0; i < n; i++ {
		last = time.Now()
	}
	sink = last
}

// scratch gives a name for a file of the benchmark's own.
func scratch() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("bench-%d", os.Getpid()))
}

func createRemove(n int, start func()) {
	name := scratch()
	start()
	for i := 0; i < n; i++ {
		file, err := os.Create(name)
		check(err)
		check(file.Close())
		check(os.Remove(name))
	}
}

const fileSize = 1 << 20

func writeFile(n int, start func()) {
	file, err := os.Create(scratch())
	check(err)
	defer os.Remove(file.Name())
	defer file.Close()
	block := make([]byte, 4096)
	start()
	for i := 0; i < n; i++ {
		_, err := file.WriteAt(block, int64(i)*4096%fileSize)
		check(err)
	}
}

func readFile(n int, start func()) {
	check(os.WriteFile(scratch(), make([]byte, fileSize), 0o600))
	file, err := os.Open(scratch())
	check(err)
	defer os.Remove(file.Name())
	defer file.Close()
	block := make([]byte, 4096)
	start()
	for i := 0; i < n; i++ {
		_, err := file.ReadAt(block, int64(i)*4096%fileSize)
		check(err)
	}
}

func pipe() (r, w *os.File) {
	r, w, err := os.Pipe()
	check(err)
	return r, w
}

func pipeRoundTrip(n int, start func()) {
	r1, w1 := pipe()
	r2, w2 := pipe()
	done := make(chan bool)
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := r1.Read(b); err != nil {
				break
			}
			w2.Write(b)
		}
		close(done)
	}()
	b := make([]byte, 1)
	start()
	for i := 0; i < n; i++ {
		w1.Write(b)
		_, err := r2.Read(b)
		check(err)
	}
	w1.Close()
	<-done
	r1.Close()
	r2.Close()
	w2.Close()
}

func pipeThroughput(n int, start func()) {
	r, w := pipe()
	go func() {
		block := make([]byte, 64<<10)
		for i := 0; i < n; i++ {
			w.Write(block)
		}
		w.Close()
	}()
	block := make([]byte, 64<<10)
	start()
	for {
		if _, err := r.Read(block); err != nil {
			break
		}
	}
	r.Close()
}

// passTokens sends a token to and fro between two goroutines.
func passTokens(n int, start func(), pin func()) {
	to, fro := make(chan int), make(chan int)
	go func() {
		pin()
		for v := range to {
			fro <- v
		}
		close(fro)
	}()
	pin()
	to <- 0
	<-fro
	start()
	for i := 0; i < n; i++ {
		to <- i
		<-fro
	}
	close(to)
	<-fro
}

// Each goroutine has a thread of its own: every hand-over is a switch of threads.
func token(n int, start func()) {
	done := make(chan bool)
	go func() {
		passTokens(n, start, runtime.LockOSThread)
		close(done)
	}()
	<-done
}

func goroutineToken(n int, start func()) {
	passTokens(n, start, func() {})
}

func startGoroutine(n int, start func()) {
	var all sync.WaitGroup
	start()
	for i := 0; i < n; i++ {
		all.Add(1)
		go all.Done()
		if i%100 == 99 {
			all.Wait()
		}
	}
	all.Wait()
}

func contention(n int, start func()) {
	var lock sync.Mutex
	var all sync.WaitGroup
	const workers = 4
	start()
	for i := 0; i < workers; i++ {
		all.Add(1)
		go func() {
			runtime.LockOSThread()
			for j := 0; j < n/workers+1; j++ {
				lock.Lock()
				lock.Unlock()
			}
			all.Done()
		}()
	}
	all.Wait()
}

func sleep(n int, start func()) {
	start()
	for i := 0; i < n; i++ {
		time.Sleep(100 * time.Microsecond)
	}
}

//go:noinline
func dereference(p *int) (v int) {
	defer func() { recover() }()
	return *p
}

func nilDereference(n int, start func()) {
	start()
	for i := 0; i < n; i++ {
		dereference(nil)
	}
}

// Memory that the kernel has to find and clear, touched once a page, and given back.
func freshMemory(n int, start func()) {
	const size = 64 << 20
	start()
	for i := 0; i < n; i++ {
		memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		check(err)
		for at := 0; at < size; at += 4096 {
			memory[at] = 1
		}
		check(syscall.Munmap(memory))
	}
}

type node struct{ left, right *node }

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{tree(depth - 1), tree(depth - 1)}
}

// Short-lived trees beside one that stays: the collector marks and the allocator refills.
func allocate(n int, start func()) {
	stays := tree(16)
	start()
	for i := 0; i < n; i++ {
		sink = tree(12)
	}
	runtime.KeepAlive(stays)
}

func hash(n int, start func()) {
	block := make([]byte, 1<<20)
	start()
	for i := 0; i < n; i++ {
		sink = sha256.Sum256(block)
	}
}

func sorting(n int, start func()) {
	numbers := make([]int, 100_000)
	start()
	for i := 0; i < n; i++ {
		seed := uint32(1)
		for j := range numbers {
			seed = seed*1664525 + 1013904223
			numbers[j] = int(seed)
		}
		sort.Ints(numbers)
	}
}

func jsonRoundTrip(n int, start func()) {
	type record struct {
		ID    int
		Name  string
		Tags  []string
		Score map[string]float64
	}
	records := make([]record, 100)
	for i := range records {
		records[i] = record{i, "name", []string{"a", "b"}, map[string]float64{"x": 1.5, "y": 2.5}}
	}
	start()
	for i := 0; i < n; i++ {
		var buffer bytes.Buffer
		check(json.NewEncoder(&buffer).Encode(records))
		var back []record
		check(json.Unmarshal(buffer.Bytes(), &back))
	}
}
