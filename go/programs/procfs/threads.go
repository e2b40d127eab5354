package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func tids() []int {
	entries, err := os.ReadDir(self("task"))
	prog.Must(err)
	var all []int
	for _, entry := range entries {
		n, err := strconv.Atoi(entry.Name())
		prog.Must(err)
		all = append(all, n)
	}
	sort.Ints(all)
	return all
}

func contains(all []int, n int) bool {
	i := sort.SearchInts(all, n)
	return i < len(all) && all[i] == n
}

// threads: each has its own name, number and directory.
func threads() {
	const n = 8
	var ready, done sync.WaitGroup
	end := make(chan struct{})
	numbers := make([]int, n)
	for i := 0; i < n; i++ {
		i := i
		ready.Add(1)
		done.Add(1)
		go func() {
			runtime.LockOSThread()
			defer done.Done()
			numbers[i] = syscall.Gettid()
			err := os.WriteFile(fmt.Sprintf("/proc/self/task/%d/comm", numbers[i]), []byte(fmt.Sprint("thread-", i)), 0)
			prog.Must(err)
			ready.Done()
			<-end
		}()
	}
	ready.Wait()
	all := tids()
	fmt.Println(contains(all, os.Getpid()), len(all) == number(table(self("status"))["Threads"]) || len(all) > n)
	for i, tid := range numbers {
		dir := fmt.Sprintf("/proc/self/task/%d/", tid)
		status := table(dir + "status")
		fmt.Print(contains(all, tid), " ", text(dir+"comm"))
		prog.Check(number(status["Pid"]) == tid && number(status["Tgid"]) == os.Getpid(), "status of thread %d", i)
		prog.Check(number(text(dir+"stat")) == tid, "stat of thread %d", i)
		// Numbers of threads lead to their process, too, though they are not listed.
		prog.Check(number(table(fmt.Sprintf("/proc/%d/status", tid))["Tgid"]) == os.Getpid(), "thread %d in /proc", i)
	}
	entries, err := os.ReadDir("/proc")
	prog.Must(err)
	listed := 0
	for _, entry := range entries {
		if tid, err := strconv.Atoi(entry.Name()); err == nil && contains(numbers, tid) {
			listed++
		}
	}
	fmt.Println("listed in /proc:", listed)
	close(end)
	done.Wait()
}

// threadEnd: what is about a thread goes with it.
func threadEnd() {
	number := make(chan int)
	end := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		number <- syscall.Gettid()
		<-end
	}()
	dir := fmt.Sprintf("/proc/self/task/%d", <-number)
	open, err := os.Open(dir)
	prog.Must(err)
	comm, err := os.Open(dir + "/comm")
	prog.Must(err)
	close(end)
	for i := 0; ; i++ {
		if _, err = os.Stat(dir); err != nil {
			break
		}
		prog.Check(i < 5000, "the thread is still there")
		time.Sleep(time.Millisecond)
	}
	fmt.Println(prog.Name(err), errors.Is(err, fs.ErrNotExist))
	_, err = os.ReadFile(dir + "/stat")
	fmt.Println(prog.Name(err))
	_, err = comm.Read(make([]byte, 10))
	fmt.Println(prog.Name(err))
	_, err = open.Stat()
	fmt.Println(prog.Name(err))
	names, err := open.Readdirnames(-1)
	fmt.Println(len(names), prog.Name(err))
}

// parallel reads everything of the process while threads, mappings and descriptors come and go.
func parallel() {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	churn := func(f func()) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		}()
	}
	churn(func() {
		var inner sync.WaitGroup
		inner.Add(1)
		go func() { runtime.LockOSThread(); inner.Done() }()
		inner.Wait()
	})
	churn(func() {
		at, _, e := syscall.Syscall6(syscall.SYS_MMAP, 0, 1<<20, 3, syscall.MAP_PRIVATE|syscall.MAP_ANON, ^uintptr(0), 0)
		if e == 0 {
			touch(at, 1<<20)
			syscall.Syscall(syscall.SYS_MUNMAP, at, 1<<20, 0)
		}
	})
	churn(func() {
		f, err := os.Open("/dev/null")
		if err == nil {
			f.Close()
		}
	})
	names := []string{"status", "stat", "maps", "smaps_rollup", "limits", "cmdline", "fd", "fdinfo", "task"}
	wrong := 0
	for round := 0; round < 20; round++ {
		for _, name := range names {
			var err error
			if info, e := os.Stat(self(name)); e == nil && info.IsDir() {
				_, err = os.ReadDir(self(name))
			} else {
				_, err = os.ReadFile(self(name))
			}
			if err != nil {
				wrong++
			}
		}
	}
	close(stop)
	wg.Wait()
	fmt.Println(wrong)
}
