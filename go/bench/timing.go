package main

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// How late timers are, and the calls around descriptors that threads wait on.
var timingBenchmarks = []benchmark{
	{name: "timer/sleep-1ms-error", run: sleepError, kind: errors},
	{name: "timer/ticker-1ms-error", run: tickerError, kind: errors},
	{name: "timer/nanosleep-100us-error", run: nanosleepError, kind: errors},
	{name: "eventfd/round-trip", run: eventfdRoundTrip},
	{name: "eventfd/write-read", run: eventfdThroughput},
}

func sleepError(n int, start func()) {
	start()
	for i := 0; i < n; i++ {
		begin := time.Now()
		time.Sleep(time.Millisecond)
		sample(time.Since(begin) - time.Millisecond)
	}
}

func tickerError(n int, start func()) {
	const period = time.Millisecond
	begin := time.Now()
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	start()
	for i := 1; i <= n; i++ {
		<-ticker.C
		// Ticks that nobody could take are dropped: what counts is how far this one is from when one was due.
		late := time.Since(begin) % period
		sample(late)
	}
}

// The call itself, which Go's runtime backs off with: its timer may be late by the thread's slack of 50 µs.
func nanosleepError(n int, start func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const length = 100 * time.Microsecond
	start()
	for i := 0; i < n; i++ {
		left := syscall.NsecToTimespec(int64(length))
		begin := time.Now()
		if syscall.Nanosleep(&left, nil) == nil {
			sample(time.Since(begin) - length)
		}
	}
}

func eventfd() int {
	fd, _, errno := syscall.Syscall(syscall.SYS_EVENTFD2, 0, 0, 0)
	if errno != 0 {
		check(errno)
	}
	return int(fd)
}

// add and take are a write of 1 to an eventfd and a read from it.
func add(fd int) {
	one := uint64(1)
	_, err := syscall.Write(fd, (*[8]byte)(unsafe.Pointer(&one))[:])
	check(err)
}

func take(fd int) {
	var count [8]byte
	_, err := syscall.Read(fd, count[:])
	check(err)
}

// Two threads, which wait in the kernel for one another.
func eventfdRoundTrip(n int, start func()) {
	to, fro := eventfd(), eventfd()
	done := make(chan bool)
	go func() {
		for i := 0; i < n; i++ {
			take(to)
			add(fro)
		}
		close(done)
	}()
	start()
	for i := 0; i < n; i++ {
		add(to)
		take(fro)
	}
	<-done
	check(syscall.Close(to))
	check(syscall.Close(fro))
}

func eventfdThroughput(n int, start func()) {
	fd := eventfd()
	start()
	for i := 0; i < n; i++ {
		add(fd)
		take(fd)
	}
	check(syscall.Close(fd))
}
