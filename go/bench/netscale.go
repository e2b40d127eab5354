package main

import (
	"fmt"
	"io"
	"net"
	"syscall"
)

// What a request costs on 64 connections beside so many that are idle. Each of those has a goroutine that waits for a request,
// as an http.Server's have.
func networkScaleBenchmarks() (all []benchmark) {
	for count := 10; count <= 10000; count *= 10 {
		// Where that many files may not be open there is nothing to compare.
		if descriptors(both(count)) != nil {
			continue
		}
		all = append(all, benchmark{
			name: fmt.Sprintf("net/request-idle-%d", count), run: requestsBeside(count), memory: uint64(count) * 20 << 10,
		})
	}
	return all
}

// descriptors raises the number of files that may be open; an administrator may raise what nobody else may exceed, too.
func descriptors(wanted uint64) error {
	var limit syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if limit.Cur >= wanted {
		return nil
	}
	limit.Cur = wanted
	if limit.Max < wanted {
		limit.Max = wanted
	}
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// both is how many files that many connections are, and some more.
func both(connections int) uint64 { return uint64(2*connections + 1000) }

func requestsBeside(idle int) func(int, func()) {
	busy := requests("tcp", "127.0.0.1:0", 64, 1024)
	return func(n int, start func()) {
		check(descriptors(both(idle)))
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		ended := make(chan bool, idle)
		go serve(l, func(c net.Conn) {
			var one [1]byte
			io.ReadFull(c, one[:])
			c.Close()
			ended <- true
		})
		conns := dial(l, idle)
		busy(n, start)
		for _, c := range conns {
			c.Close()
		}
		for range conns {
			<-ended
		}
		l.Close()
	}
}
