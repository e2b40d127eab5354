package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a server does for clients on another machine, and what the clients measure. `ringo bench --tap` runs the server in each
// of the systems it compares and the clients on the host: wrk for HTTP, and clients for the others.
const (
	httpPort   = "80"
	sinkPort   = "81" // reads to the end, then says how much that was
	sourcePort = "82" // writes until the client goes
	echoPort   = "83" // UDP
)

// bulk is one write of a stream, bulkTime how long it runs.
const (
	bulk     = 64 << 10
	bulkTime = 2 * time.Second
)

// served is what `ringo bench` waits for.
const served = "bench: serving"

// serveOutside serves all ports of all addresses, for ever.
func serveOutside() {
	listen := func(port string) net.Listener {
		l, err := net.Listen("tcp", ":"+port)
		check(err)
		return l
	}
	body := []byte(strings.Repeat("x", 1024))
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) })
	web, sink, source := listen(httpPort), listen(sinkPort), listen(sourcePort)
	go serve(sink, func(c net.Conn) {
		defer c.Close()
		buf, count := make([]byte, bulk), 0
		for {
			n, err := c.Read(buf)
			count += n
			if err != nil {
				break
			}
		}
		fmt.Fprintln(c, count)
	})
	go serve(source, func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, bulk)
		for {
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})
	echo, err := net.ListenPacket("udp", ":"+echoPort)
	check(err)
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err == nil {
				echo.WriteTo(buf[:n], from)
			}
		}
	}()
	fmt.Println(served)
	check(http.Serve(web, pages))
}

// loadOutside measures a server at this address. A stream's time is that of 64 KiB of it.
func loadOutside(at string) {
	to, from := streamTo(at), streamFrom(at)
	fmt.Printf("stream-in-64k\t%.2f\nstream-out-64k\t%.2f\n", to, from)
	fmt.Printf("http-connection\t%.2f\n", connections(at))
	datagrams(at)
}

func streamTo(at string) float64 {
	c, err := net.Dial("tcp", net.JoinHostPort(at, sinkPort))
	check(err)
	defer c.Close()
	buf, begin, sent := make([]byte, bulk), time.Now(), 0
	for time.Since(begin) < bulkTime {
		n, err := c.Write(buf)
		check(err)
		sent += n
	}
	check(c.(*net.TCPConn).CloseWrite())
	var arrived int
	_, err = fmt.Fscan(c, &arrived)
	check(err)
	if arrived != sent {
		check(fmt.Errorf("%d bytes arrived of %d", arrived, sent))
	}
	return float64(time.Since(begin).Nanoseconds()) / float64(sent) * bulk
}

func streamFrom(at string) float64 {
	c, err := net.Dial("tcp", net.JoinHostPort(at, sourcePort))
	check(err)
	defer c.Close()
	buf, begin, came := make([]byte, bulk), time.Now(), 0
	for time.Since(begin) < bulkTime {
		n, err := c.Read(buf)
		check(err)
		came += n
	}
	return float64(time.Since(begin).Nanoseconds()) / float64(came) * bulk
}

// connections opens a connection for each page, a few at the same time; the server closes them.
func connections(at string) float64 {
	const hands = 8
	var count atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for hand := 0; hand < hands; hand++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for time.Since(begin) < bulkTime {
				c, err := net.Dial("tcp", net.JoinHostPort(at, httpPort))
				check(err)
				_, err = io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
				check(err)
				page, err := io.ReadAll(c)
				check(err)
				if len(page) < 1024 {
					check(fmt.Errorf("half a page: %q", page))
				}
				c.Close()
				count.Add(1)
			}
		}()
	}
	all.Wait()
	return float64(time.Since(begin).Nanoseconds()) / float64(count.Load())
}

// datagrams asks one question after the other, each when the answer to the last has come; what is lost is asked again.
func datagrams(at string) {
	c, err := net.Dial("udp", net.JoinHostPort(at, echoPort))
	check(err)
	defer c.Close()
	buf := make([]byte, 64)
	round := func() {
		for {
			_, err := c.Write(buf)
			check(err)
			c.SetReadDeadline(time.Now().Add(time.Second))
			_, err = io.ReadFull(c, buf)
			if err == nil {
				return
			}
			if !os.IsTimeout(err) {
				check(err)
			}
		}
	}
	round()
	begin := time.Now()
	for time.Since(begin) < bulkTime {
		each := time.Now()
		round()
		sample(time.Since(each))
	}
	whole := float64(time.Since(begin).Nanoseconds()) / float64(len(samples))
	report(benchmark{name: "udp-round-trip", kind: latencies}, whole)
}
