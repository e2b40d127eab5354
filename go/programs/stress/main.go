// Stress does everything at once for a while, and checks every result: channels, locks, timers, files, signals, recovered
// panics, memory that comes and goes, threads of their own.
//
//	stress SECONDS
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A worker does one step and says what was wrong with it.
type worker struct {
	name string
	step func(r *rand.Rand) error
}

var directory string

func main() {
	seconds := 3
	if len(os.Args) > 1 {
		seconds, _ = strconv.Atoi(os.Args[1])
	}
	directory, _ = os.MkdirTemp("", "stress")
	defer os.RemoveAll(directory)
	ctx, stop := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer stop()

	workers := []worker{
		{"channels", channels}, {"locks", locks}, {"timers", timers}, {"files", files}, {"rename", rename}, {"panics", panics},
		{"memory", memory}, {"threads", threads}, {"pipe", pipe}, {"signals", signals}, {"sort", sorting}, {"free", free},
	}
	var all sync.WaitGroup
	var failed atomic.Bool
	steps := make([]atomic.Int64, len(workers))
	for i, w := range workers {
		for copy := 0; copy < 2; copy++ {
			all.Add(1)
			go func(i, copy int, w worker) {
				defer all.Done()
				r := rand.New(rand.NewSource(int64(i*100 + copy)))
				for ctx.Err() == nil && !failed.Load() {
					if err := w.step(r); err != nil {
						failed.Store(true)
						fmt.Println(w.name, err)
					}
					steps[i].Add(1)
				}
			}(i, copy, w)
		}
	}
	all.Wait()
	for i, w := range workers {
		if steps[i].Load() == 0 {
			failed.Store(true)
			fmt.Println(w.name, "never ran")
		}
	}
	if failed.Load() {
		os.RemoveAll(directory)
		os.Exit(1)
	}
	fmt.Println("ok")
}

// A ring of goroutines adds one each.
func channels(r *rand.Rand) error {
	n := 2 + r.Intn(50)
	first := make(chan int)
	in := first
	for i := 0; i < n; i++ {
		out := make(chan int, r.Intn(3))
		go func(in, out chan int) {
			for v := range in {
				out <- v + 1
			}
			close(out)
		}(in, out)
		in = out
	}
	rounds := 1 + r.Intn(20)
	go func() {
		for i := 0; i < rounds; i++ {
			first <- i
		}
		close(first)
	}()
	want := 0
	for v := range in {
		if v != want+n {
			return fmt.Errorf("got %d, not %d", v, want+n)
		}
		want++
	}
	if want != rounds {
		return fmt.Errorf("%d of %d rounds", want, rounds)
	}
	return nil
}

func locks(r *rand.Rand) error {
	var m sync.RWMutex
	c := sync.NewCond(&sync.Mutex{})
	var all sync.WaitGroup
	count, turns := 0, 0
	n, each := 2+r.Intn(6), 100+r.Intn(400)
	for i := 0; i < n; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for j := 0; j < each; j++ {
				m.Lock()
				count++
				m.Unlock()
				m.RLock()
				if count < 1 {
					panic("a count below one")
				}
				m.RUnlock()
			}
			c.L.Lock()
			for turns != i {
				c.Wait()
			}
			turns++
			c.L.Unlock()
			c.Broadcast()
		}(i)
	}
	all.Wait()
	if count != n*each || turns != n {
		return fmt.Errorf("count %d of %d, turns %d of %d", count, n*each, turns, n)
	}
	return nil
}

func timers(r *rand.Rand) error {
	wait := time.Duration(r.Intn(3000)) * time.Microsecond
	begin := time.Now()
	switch r.Intn(4) {
	case 0:
		time.Sleep(wait)
	case 1:
		<-time.After(wait)
	case 2:
		ctx, stop := context.WithTimeout(context.Background(), wait)
		defer stop()
		<-ctx.Done()
	case 3:
		stopped := time.AfterFunc(time.Hour, func() { panic("a stopped timer fired") })
		ticker := time.NewTicker(wait + time.Microsecond)
		<-ticker.C
		ticker.Stop()
		if !stopped.Stop() {
			return errors.New("an hour was over")
		}
	}
	if took := time.Since(begin); took < wait {
		return fmt.Errorf("%v were over after %v", wait, took)
	}
	return nil
}

func files(r *rand.Rand) error {
	name := filepath.Join(directory, "f"+strconv.Itoa(r.Int()))
	content := make([]byte, r.Intn(200000))
	r.Read(content)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return err
	}
	defer os.Remove(name)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("behind"); err != nil {
		return err
	}
	mapped, err := syscall.Mmap(int(f.Fd()), 0, len(content)+6, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	same := sha256.Sum256(mapped) == sha256.Sum256(append(content[:len(content):len(content)], "behind"...))
	if err := syscall.Munmap(mapped); err != nil || !same {
		return fmt.Errorf("mapped content is the same: %v, %v", same, err)
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got[:len(content)], content) {
		return fmt.Errorf("read something else: %v", err)
	}
	return nil
}

func rename(r *rand.Rand) error {
	from := filepath.Join(directory, "d"+strconv.Itoa(r.Int()))
	if err := os.MkdirAll(filepath.Join(from, "a", "b"), 0o700); err != nil {
		return err
	}
	to := from + "x"
	if err := os.Rename(from, to); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(to, "a"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "b" {
		return fmt.Errorf("entries %v, %v", entries, err)
	}
	return os.RemoveAll(to)
}

//go:noinline
func fault(kind int, p *int, zero int) (n int) {
	switch kind {
	case 0:
		return *p
	case 1:
		return 1 / zero
	case 2:
		return []int{1, 2, 3}[zero+7]
	default:
		panic(fmt.Sprint("kind ", kind))
	}
}

func panics(r *rand.Rand) (err error) {
	kind := r.Intn(4)
	defer func() {
		got := fmt.Sprint(recover())
		want := []string{
			"runtime error: invalid memory address or nil pointer dereference", "runtime error: integer divide by zero",
			"runtime error: index out of range [7] with length 3", "kind 3",
		}[kind]
		if got != want {
			err = fmt.Errorf("recovered %q, not %q", got, want)
		}
	}()
	fault(kind, nil, 0)
	return errors.New("nothing happened")
}

var keep [64]atomic.Pointer[[]byte]

func memory(r *rand.Rand) error {
	block := make([]byte, 1+r.Intn(1<<20))
	mark := r.Uint64()
	if len(block) >= 16 {
		binary.LittleEndian.PutUint64(block, mark)
		binary.LittleEndian.PutUint64(block[len(block)-8:], mark)
	}
	for _, at := range []int{len(block) / 3, len(block) / 2} {
		if len(block) > 100 && block[at] != 0 {
			return errors.New("fresh memory is not zero")
		}
	}
	if old := keep[r.Intn(len(keep))].Swap(&block); old != nil && len(*old) >= 16 {
		b := *old
		if binary.LittleEndian.Uint64(b) != binary.LittleEndian.Uint64(b[len(b)-8:]) {
			return errors.New("a kept block changed")
		}
	}
	return nil
}

func threads(r *rand.Rand) error {
	n := 1 + r.Intn(8)
	results := make(chan int, n)
	for i := 0; i < n; i++ {
		go func(i int) {
			runtime.LockOSThread()
			// Ends with its thread.
			x := i
			for j := 0; j < 10000; j++ {
				x = x*1103515245 + 12345
			}
			results <- syscall.Gettid()
		}(i)
	}
	for i := 0; i < n; i++ {
		if tid := <-results; tid <= 0 {
			return fmt.Errorf("thread %d", tid)
		}
	}
	return nil
}

func pipe(r *rand.Rand) error {
	in, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	content := make([]byte, r.Intn(300000))
	r.Read(content)
	go func() {
		out.Write(content)
		out.Close()
	}()
	var got bytes.Buffer
	if _, err := got.ReadFrom(in); err != nil || !bytes.Equal(got.Bytes(), content) {
		return fmt.Errorf("%d of %d bytes, %v", got.Len(), len(content), err)
	}
	return nil
}

var signalling sync.Mutex

func signals(r *rand.Rand) error {
	signalling.Lock()
	defer signalling.Unlock()
	got := make(chan os.Signal, 4)
	which := []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP}[r.Intn(3)]
	signal.Notify(got, which)
	defer signal.Stop(got)
	if err := syscall.Kill(os.Getpid(), which); err != nil {
		return err
	}
	select {
	case s := <-got:
		if s != which {
			return fmt.Errorf("signal %v, not %v", s, which)
		}
	case <-time.After(20 * time.Second):
		return fmt.Errorf("signal %v did not come", which)
	}
	return nil
}

func sorting(r *rand.Rand) error {
	values := make([]float64, 1000+r.Intn(20000))
	sum := 0.0
	for i := range values {
		values[i] = float64(r.Intn(1 << 20))
		sum += values[i]
	}
	sort.Float64s(values)
	again := 0.0
	for i, v := range values {
		if i > 0 && values[i-1] > v {
			return errors.New("not in order")
		}
		again += v
	}
	if again != sum {
		return fmt.Errorf("the sum was %v and is %v", sum, again)
	}
	return nil
}

func free(r *rand.Rand) error {
	time.Sleep(time.Duration(r.Intn(20)) * time.Millisecond)
	if r.Intn(10) == 0 {
		debug.FreeOSMemory()
	} else {
		runtime.GC()
	}
	return nil
}
