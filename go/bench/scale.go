package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// What an operation costs when there are 10, 100, 1000 or 10000 of its kind. Threads come last: they stay.
func scaleBenchmarks() (all []benchmark) {
	for _, of := range []struct {
		kind   string
		run    func(count int) func(int, func())
		memory uint64
	}{
		{"mmap", manyMappings, 0},
		{"timers", manyTimers, 0},
		{"epoll", manyPolled, 0},
		{"futex-wake", manyThreads, 150 << 10},
	} {
		for count := 10; count <= 10000; count *= 10 {
			all = append(all, benchmark{
				name: fmt.Sprintf("scale/%s-%d", of.kind, count), run: of.run(count), memory: of.memory * uint64(count),
			})
		}
	}
	return all
}

// manyMappings: a page is mapped and unmapped again beside so many mappings, none of which can be joined with the next.
func manyMappings(count int) func(int, func()) {
	return func(n int, start func()) {
		const page = 4096
		all, err := syscall.Mmap(-1, 0, 2*count*page, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		check(err)
		for i := 0; i < count; i++ {
			check(syscall.Mprotect(all[2*i*page:(2*i+1)*page], syscall.PROT_READ))
		}
		start()
		for i := 0; i < n; i++ {
			one, err := syscall.Mmap(-1, 0, page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
			check(err)
			check(syscall.Munmap(one))
		}
		stop()
		check(syscall.Munmap(all))
	}
}

// manyTimers: one of so many armed timers, in no order, is armed anew.
func manyTimers(count int) func(int, func()) {
	return func(n int, start func()) {
		timers := make([]int, count)
		arm := func(i int, after time.Duration) {
			setting := [2]syscall.Timespec{1: syscall.NsecToTimespec(int64(after))}
			_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(timers[i]), 0, uintptr(unsafe.Pointer(&setting)), 0, 0, 0)
			if errno != 0 {
				check(errno)
			}
		}
		for i := range timers {
			fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, 1, 0, 0)
			if errno != 0 {
				check(errno)
			}
			timers[i] = int(fd)
			arm(i, time.Hour+time.Duration(i*7919%count)*time.Second)
		}
		start()
		for i := 0; i < n; i++ {
			arm(i%count, time.Hour+time.Duration(i*7907%count)*time.Second)
		}
		stop()
		for _, fd := range timers {
			syscall.Close(fd)
		}
	}
}

// manyPolled: one of so many descriptors that an epoll watches becomes readable, is waited for and read.
func manyPolled(count int) func(int, func()) {
	return func(n int, start func()) {
		poll, err := syscall.EpollCreate1(0)
		check(err)
		watched := make([]int, count)
		for i := range watched {
			watched[i] = eventfd()
			event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(watched[i])}
			check(syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, watched[i], &event))
		}
		var events [8]syscall.EpollEvent
		start()
		for i := 0; i < n; i++ {
			add(watched[i*7919%count])
			got, err := syscall.EpollWait(poll, events[:], -1)
			check(err)
			for _, event := range events[:got] {
				take(int(event.Fd))
			}
		}
		stop()
		syscall.Close(poll)
		for _, fd := range watched {
			syscall.Close(fd)
		}
	}
}

const (
	futexWait = 0 | 128
	futexWake = 1 | 128
)

func futex(word *atomic.Uint32, operation, value uintptr) {
	syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), operation, value, 0, 0, 0)
}

// sleeper is a thread that waits for its word to change, and answers.
type sleeper struct {
	word atomic.Uint32
	_    [60]byte
}

var (
	sleepers []*sleeper
	answers  atomic.Uint32
)

func (s *sleeper) sleep() {
	runtime.LockOSThread()
	for seen := uint32(0); ; {
		for s.word.Load() == seen {
			futex(&s.word, futexWait, uintptr(seen))
		}
		seen++
		answers.Add(1)
		futex(&answers, futexWake, 1)
	}
}

// manyThreads: one of so many threads that wait for futexes is woken and answers, and waits again.
func manyThreads(count int) func(int, func()) {
	return func(n int, start func()) {
		debug.SetMaxThreads(2 * 10000)
		wake := func(i int) {
			seen := answers.Load()
			sleepers[i].word.Add(1)
			futex(&sleepers[i].word, futexWake, 1)
			for answers.Load() == seen {
				futex(&answers, futexWait, uintptr(seen))
			}
		}
		for len(sleepers) < count {
			s := &sleeper{}
			sleepers = append(sleepers, s)
			go s.sleep()
			wake(len(sleepers) - 1)
		}
		start()
		for i := 0; i < n; i++ {
			wake(i * 7919 % count)
		}
	}
}
