package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// The network's cases, all inside one program over loopback.
var networkBenchmarks = []benchmark{
	{name: "net/request-1k-64", run: requests("tcp", "127.0.0.1:0", 64, 1024)},
	{name: "net/request-1k-1", run: requests("tcp", "127.0.0.1:0", 1, 1024)},
	{name: "net/unix-request-1k-64", run: requests("unix", "@bench", 64, 1024)},
	{name: "net/stream-64k", run: stream},
	{name: "net/udp-round-trip", run: udpRoundTrip},
	{name: "net/http-1k-64", run: httpRequests},
	{name: "net/connect", run: connect},
}

// share runs work on each of count workers until together they have done n operations.
func share(n, count int, work func(worker int, next func() bool)) {
	var done atomic.Int64
	var wg sync.WaitGroup
	for worker := 0; worker < count; worker++ {
		wg.Add(1)
		go func(worker int) {
			defer wg.Done()
			work(worker, func() bool { return done.Add(1) <= int64(n) })
		}(worker)
	}
	wg.Wait()
}

// serve runs work on each connection that comes, until the listener is closed.
func serve(l net.Listener, work func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go work(c)
	}
}

// dial makes count connections to the listener.
func dial(l net.Listener, count int) []net.Conn {
	conns := make([]net.Conn, count)
	for i := range conns {
		var err error
		conns[i], err = net.Dial(l.Addr().Network(), l.Addr().String())
		check(err)
	}
	return conns
}

// requests: a message of size bytes there, one back, on connections that stay open.
func requests(network, at string, connections, size int) func(int, func()) {
	return func(n int, start func()) {
		l, err := net.Listen(network, at)
		check(err)
		defer l.Close()
		go serve(l, func(c net.Conn) {
			defer c.Close()
			buf := make([]byte, size)
			for {
				if _, err := io.ReadFull(c, buf); err != nil {
					return
				}
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		})
		conns := dial(l, connections)
		start()
		share(n, connections, func(worker int, next func() bool) {
			c, buf := conns[worker], make([]byte, size)
			for next() {
				_, err := c.Write(buf)
				check(err)
				_, err = io.ReadFull(c, buf)
				check(err)
			}
		})
		stop()
		for _, c := range conns {
			c.Close()
		}
	}
}

// stream: 64 KiB after 64 KiB in one direction.
func stream(n int, start func()) {
	const size = 64 << 10
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer l.Close()
	done := make(chan bool)
	go func() {
		c, err := l.Accept()
		check(err)
		buf := make([]byte, size)
		for {
			if _, err := c.Read(buf); err != nil {
				break
			}
		}
		c.Close()
		done <- true
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	check(err)
	buf := make([]byte, size)
	start()
	for i := 0; i < n; i++ {
		_, err := c.Write(buf)
		check(err)
	}
	c.Close()
	<-done
}

func udpRoundTrip(n int, start func()) {
	s, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(err)
	defer s.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			size, from, err := s.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			s.WriteToUDPAddrPort(buf[:size], from)
		}
	}()
	c, err := net.DialUDP("udp", nil, s.LocalAddr().(*net.UDPAddr))
	check(err)
	defer c.Close()
	buf := make([]byte, 64)
	start()
	for i := 0; i < n; i++ {
		_, err := c.Write(buf)
		check(err)
		_, err = c.Read(buf)
		check(err)
	}
}

// httpRequests: bodies of 1 KiB both ways, on 64 connections that stay open.
func httpRequests(n int, start func()) {
	const connections = 64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })}
	go server.Serve(l)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	url, body := "http://"+l.Addr().String(), make([]byte, 1024)
	post := func() {
		response, err := client.Post(url, "application/octet-stream", bytes.NewReader(body))
		check(err)
		_, err = io.Copy(io.Discard, response.Body)
		check(err)
		response.Body.Close()
	}
	share(connections, connections, func(_ int, next func() bool) {
		for next() {
			post()
		}
	})
	start()
	share(n, connections, func(_ int, next func() bool) {
		for next() {
			post()
		}
	})
}

// connect: a connection is made, accepted and closed on both sides.
func connect(n int, start func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	start()
	for i := 0; i < n; i++ {
		c, err := net.Dial("tcp", l.Addr().String())
		check(err)
		io.Copy(io.Discard, c)
		c.Close()
	}
}
