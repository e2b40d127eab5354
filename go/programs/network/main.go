// Network tests sockets inside one machine: TCP, UDP and Unix sockets, as package net uses them and by system call.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func main() {
	prog.Main(prog.Acts{
		"echo": echo, "families": families, "refused": refused, "deadlines": deadlines, "half-close": halfClose,
		"resets": resets, "listen": listen, "backlog": backlog, "bulk": bulk, "many": many, "close-unblocks": closeUnblocks,
		"udp": udp, "udp-connected": udpConnected, "udp-full": udpFull, "udp-control": udpControl, "udp-origin": udpOrigin, "udp-filters": filters, "generic-netlink": generic, "pipes": pipes,
		"http": http1, "http-many": httpMany, "tls": tls1, "rpc": rpcCalls,
		"calls": calls, "options": options, "states": states, "edges": edges, "accept-errors": acceptErrors, "reuse": reuse,
		"messages": messages, "interrupted": interrupted, "timeouts": timeouts, "shutdowns": shutdowns, "peek": peek,
		"storm": storm, "unix-streams": unixStreams, "unix-datagrams": unixDatagrams, "unix-pairs": unixPairs, "rights": rights, "rights-deep": rightsDeep, "rights-circles": rightsCircles, "quiet-pipes": quietPipes, "recvmmsg": recvmmsg,
		"credentials": credentials,
		"unix-calls":  unixCalls, "interfaces": interfaces, "unix-server": unixServer,
		"broken-pipe": brokenPipe, "bad-arguments": badArguments, "sendfile": sendfile, "port-reuse": portReuse,
	})
}

// plain is an error without what differs from run to run.
func plain(err error) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, io.EOF) {
		return "EOF"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		text := op.Op + " " + op.Net + ": " + op.Err.Error()
		if op.Timeout() {
			text += " (timeout)"
		}
		return text
	}
	return err.Error()
}

// address is an address without its port.
func address(a net.Addr) string {
	if a == nil {
		return "none"
	}
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.Network() + " " + a.String()
	}
	return fmt.Sprint(a.Network(), " ", host, " ", port != "0")
}

func pair(network, at string) (client, server net.Conn, l net.Listener) {
	l, err := net.Listen(network, at)
	prog.Must(err)
	client, err = net.Dial(network, l.Addr().String())
	prog.Must(err)
	server, err = l.Accept()
	prog.Must(err)
	return client, server, l
}

// echo: bytes come back, from one connection and from many.
func echo() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	var wg sync.WaitGroup
	var m sync.Mutex
	total := 0
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			c, err := net.Dial("tcp", l.Addr().String())
			prog.Must(err)
			want := bytes.Repeat([]byte{byte(i)}, 1000*(i+1))
			go func() {
				_, err := c.Write(want)
				prog.Must(err)
				prog.Must(c.(*net.TCPConn).CloseWrite())
			}()
			got, err := io.ReadAll(c)
			prog.Must(err)
			prog.Check(bytes.Equal(got, want), "connection %d: %d bytes of %d", i, len(got), len(want))
			prog.Must(c.Close())
			m.Lock()
			total += len(got)
			m.Unlock()
		}(i)
	}
	wg.Wait()
	prog.Must(l.Close())
	_, err = net.Dial("tcp", l.Addr().String())
	fmt.Println(total, plain(err))
}

// families: IPv4, IPv6, and sockets that take both.
func families() {
	for _, each := range [][3]string{
		{"tcp", "127.0.0.1:0", "127.0.0.1"}, {"tcp", "[::1]:0", "::1"}, {"tcp", ":0", "127.0.0.1"}, {"tcp", ":0", "::1"},
		{"tcp4", ":0", "127.0.0.1"}, {"tcp4", ":0", "::1"}, {"tcp6", ":0", "127.0.0.1"}, {"tcp6", ":0", "::1"},
		{"tcp", "127.0.0.1:0", "127.0.0.2"}, {"tcp", "0.0.0.0:0", "127.1.2.3"}, {"tcp", "0.0.0.0:0", "0.0.0.0"},
		{"tcp", "[::]:0", "::"}, {"tcp", "localhost:0", "localhost"}, {"tcp", "[::ffff:127.0.0.1]:0", "127.0.0.1"},
	} {
		l, err := net.Listen(each[0], each[1])
		if err != nil {
			fmt.Println(each, plain(err))
			continue
		}
		_, port, _ := net.SplitHostPort(l.Addr().String())
		c, err := net.DialTimeout("tcp", net.JoinHostPort(each[2], port), 5*time.Second)
		fmt.Println(each, address(l.Addr()), plain(err))
		if err == nil {
			s, err := l.Accept()
			prog.Must(err)
			fmt.Println("  client", address(c.LocalAddr()), address(c.RemoteAddr()))
			fmt.Println("  server", address(s.LocalAddr()), address(s.RemoteAddr()))
			fmt.Println("  same", c.LocalAddr().String() == s.RemoteAddr().String(), c.RemoteAddr().String() == s.LocalAddr().String())
			s.Close()
			c.Close()
		}
		l.Close()
	}
}

// refused: what cannot be reached, and how it is told.
func refused() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	at := l.Addr().String()
	l.Close()
	for i := 0; i < 3; i++ {
		_, err = net.Dial("tcp", at)
		fmt.Println(plain(err), errors.Is(err, syscall.ECONNREFUSED))
	}
	_, err = net.DialTimeout("tcp", at, time.Second)
	fmt.Println(plain(err))
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	_, err = d.Dial("tcp", at)
	fmt.Println(plain(err))
	_, err = net.Listen("tcp", "127.0.0.1:99999")
	fmt.Println(err)
	_, err = net.Listen("tcp", "203.0.113.7:0")
	fmt.Println(plain(err))
	_, err = net.ListenPacket("udp", "203.0.113.7:0")
	fmt.Println(plain(err))
}

// deadlines end what waits, and can be moved.
func deadlines() {
	c, s, l := pair("tcp", "127.0.0.1:0")
	buf := make([]byte, 10)
	start := time.Now()
	c.SetReadDeadline(start.Add(50 * time.Millisecond))
	_, err := c.Read(buf)
	fmt.Println(plain(err), errors.Is(err, os.ErrDeadlineExceeded), time.Since(start) >= 50*time.Millisecond)
	_, err = c.Read(buf)
	fmt.Println(plain(err))
	c.SetReadDeadline(time.Time{})
	s.Write([]byte("hello"))
	n, err := c.Read(buf)
	fmt.Println(string(buf[:n]), plain(err))
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	big := make([]byte, 64<<20)
	n, err = c.Write(big)
	fmt.Println(n > 0 && n < len(big), plain(err))
	l.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Millisecond))
	_, err = l.Accept()
	fmt.Println(plain(err))
	go func() {
		time.Sleep(50 * time.Millisecond)
		s.SetReadDeadline(time.Unix(1, 0))
	}()
	got, err := io.Copy(io.Discard, s)
	fmt.Println(got == int64(n), errors.Is(err, os.ErrDeadlineExceeded))
}

// halfClose: one direction ends, the other goes on.
func halfClose() {
	c, s, _ := pair("tcp", "127.0.0.1:0")
	ct, st := c.(*net.TCPConn), s.(*net.TCPConn)
	c.Write([]byte("request"))
	prog.Must(ct.CloseWrite())
	got, err := io.ReadAll(s)
	fmt.Println(string(got), plain(err))
	_, err = c.Write([]byte("more"))
	fmt.Println(plain(err))
	s.Write([]byte("answer"))
	prog.Must(st.CloseWrite())
	got, err = io.ReadAll(c)
	fmt.Println(string(got), plain(err))
	fmt.Println(plain(ct.CloseWrite()), plain(ct.CloseRead()), plain(st.CloseRead()))
	fmt.Println(plain(c.Close()), plain(s.Close()), plain(s.Close()))
	_, err = s.Read(make([]byte, 1))
	fmt.Println(plain(err))

	c, s, _ = pair("tcp", "127.0.0.1:0")
	prog.Must(c.(*net.TCPConn).CloseRead())
	n, err := c.Read(make([]byte, 1))
	fmt.Println(n, plain(err))
	n, err = s.Write([]byte("into the blue"))
	fmt.Println(n, plain(err))
	buf := make([]byte, 20)
	n, err = c.Read(buf)
	fmt.Println(string(buf[:n]), plain(err))
	n, err = s.Write([]byte("again"))
	fmt.Println(n, plain(err))
}

// resets: a connection that ends by force, seen from the other side.
func resets() {
	buf := make([]byte, 100)
	try := func(name string, c net.Conn) {
		n, err := c.Read(buf)
		m, werr := c.Write([]byte("x"))
		n2, err2 := c.Read(buf)
		m2, werr2 := c.Write([]byte("x"))
		m3, werr3 := c.Write([]byte("x"))
		fmt.Println(name, n, plain(err), m, plain(werr), n2, plain(err2), m2, plain(werr2), m3, plain(werr3))
	}
	c, s, _ := pair("tcp", "127.0.0.1:0")
	prog.Must(s.(*net.TCPConn).SetLinger(0))
	prog.Must(s.Close())
	try("linger 0", c)

	c, s, _ = pair("tcp", "127.0.0.1:0")
	s.Write([]byte("last words"))
	prog.Must(s.(*net.TCPConn).SetLinger(0))
	prog.Must(s.Close())
	try("linger 0 after data", c)

	c, s, _ = pair("tcp", "127.0.0.1:0")
	c.Write([]byte("unread"))
	prog.Must(s.Close())
	try("unread data", c)

	c, s, _ = pair("tcp", "127.0.0.1:0")
	prog.Must(s.Close())
	try("closed", c)

	c, s, _ = pair("tcp", "127.0.0.1:0")
	c.Write([]byte("unread"))
	s.(*net.TCPConn).CloseWrite()
	prog.Must(s.Close())
	try("half closed, unread data", c)

	c, s, _ = pair("tcp", "127.0.0.1:0")
	go func() {
		time.Sleep(30 * time.Millisecond)
		s.(*net.TCPConn).SetLinger(0)
		s.Close()
	}()
	try("while reading", c)

	c, s, _ = pair("tcp", "127.0.0.1:0")
	go func() {
		time.Sleep(30 * time.Millisecond)
		s.(*net.TCPConn).SetLinger(0)
		s.Close()
	}()
	_, err := c.Write(make([]byte, 64<<20))
	fmt.Println("while writing", plain(err))

	c, s, l := pair("tcp", "127.0.0.1:0")
	d, err := net.Dial("tcp", l.Addr().String())
	prog.Must(err)
	d.Write([]byte("never accepted"))
	prog.Must(l.Close())
	n, err := d.Read(buf)
	fmt.Println("listener closed", n, plain(err))
	_, err = c.Write([]byte("still there"))
	prog.Must(err)
	n, err = s.Read(buf)
	fmt.Println(string(buf[:n]), plain(err))
}

func listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	at := l.Addr().String()
	_, err = net.Listen("tcp", at)
	fmt.Println(strings.Replace(plain(err), at, "", 1))
	_, port, _ := net.SplitHostPort(at)
	_, err = net.Listen("tcp", ":"+port)
	fmt.Println(plain(err))
	_, err = net.Listen("tcp4", "0.0.0.0:"+port)
	fmt.Println(plain(err))
	other, err := net.Listen("tcp", "127.0.0.2:"+port)
	fmt.Println(plain(err))
	other.Close()
	six, err := net.Listen("tcp6", "[::1]:"+port)
	fmt.Println(plain(err))
	six.Close()
	go func() {
		time.Sleep(20 * time.Millisecond)
		l.Close()
	}()
	_, err = l.Accept()
	fmt.Println(plain(err), errors.Is(err, net.ErrClosed))
	l, err = net.Listen("tcp", at)
	fmt.Println(plain(err), l.Addr().String() == at)
	u, err := net.ListenPacket("udp", at)
	fmt.Println(plain(err))
	_, err = net.ListenPacket("udp", at)
	fmt.Println(plain(err))
	u.Close()
}

// backlog: connections are made before anybody accepts them, and carry data.
func backlog() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	var conns []net.Conn
	for i := 0; i < 100; i++ {
		c, err := net.Dial("tcp", l.Addr().String())
		prog.Must(err)
		fmt.Fprintf(c, "%d\n", i)
		conns = append(conns, c)
	}
	sum := 0
	for range conns {
		s, err := l.Accept()
		prog.Must(err)
		var i int
		fmt.Fscan(s, &i)
		sum += i
		s.Close()
	}
	fmt.Println(sum)
}

// bulk: a lot of data, in both directions at once, arrives as it was sent.
func bulk() {
	const size = 100 << 20
	for _, network := range []string{"tcp", "unix"} {
		at := "127.0.0.1:0"
		if network == "unix" {
			at = "@bulk"
		}
		c, s, _ := pair(network, at)
		var wg sync.WaitGroup
		send := func(to net.Conn, seed uint32) {
			defer wg.Done()
			chunk := make([]byte, 100_003)
			x := seed
			for left := size; left > 0; {
				n := min(left, len(chunk))
				for i := 0; i < n; i++ {
					x = x*1664525 + 1013904223
					chunk[i] = byte(x >> 24)
				}
				_, err := to.Write(chunk[:n])
				prog.Must(err)
				left -= n
			}
		}
		receive := func(from net.Conn, seed uint32) {
			defer wg.Done()
			chunk := make([]byte, 77_777)
			x := seed
			for left := size; left > 0; {
				n, err := from.Read(chunk)
				prog.Must(err)
				for i := 0; i < n; i++ {
					x = x*1664525 + 1013904223
					if chunk[i] != byte(x>>24) {
						prog.Check(false, "wrong byte, %d left", left-i)
					}
				}
				left -= n
			}
		}
		wg.Add(4)
		go send(c, 1)
		go send(s, 2)
		go receive(s, 1)
		go receive(c, 2)
		wg.Wait()
		fmt.Println(network, "ok")
	}
}

// many: thousands of connections at once.
func many() {
	var limit syscall.Rlimit
	prog.Must(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = limit.Max
	prog.Must(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	count := min(5000, int(limit.Cur)/2-50)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	var servers []net.Conn
	done := make(chan bool)
	go func() {
		for i := 0; i < count; i++ {
			s, err := l.Accept()
			prog.Must(err)
			servers = append(servers, s)
		}
		close(done)
	}()
	var clients []net.Conn
	for i := 0; i < count; i++ {
		c, err := net.Dial("tcp", l.Addr().String())
		prog.Must(err)
		clients = append(clients, c)
	}
	<-done
	byPort := map[string]net.Conn{}
	for _, s := range servers {
		byPort[s.RemoteAddr().String()] = s
	}
	prog.Check(len(byPort) == count, "%d different ports", len(byPort))
	for i, c := range clients {
		fmt.Fprintf(c, "%d\n", i)
		var got int
		fmt.Fscan(byPort[c.LocalAddr().String()], &got)
		prog.Check(got == i, "connection %d got %d", i, got)
	}
	for i := range clients {
		clients[i].Close()
		servers[i].Close()
	}
	fmt.Println("ok")
}

// closeUnblocks: Close ends what other goroutines wait for.
func closeUnblocks() {
	c, s1, l := pair("tcp", "127.0.0.1:0")
	errs := make(chan error)
	go func() { _, err := c.Read(make([]byte, 1)); errs <- err }()
	time.Sleep(20 * time.Millisecond)
	c.Close()
	fmt.Println(plain(<-errs))
	c, s2, l := pair("tcp", "127.0.0.1:0")
	go func() { _, err := c.Write(make([]byte, 64<<20)); errs <- err }()
	time.Sleep(50 * time.Millisecond)
	c.Close()
	fmt.Println(plain(<-errs))
	go func() { _, err := l.Accept(); errs <- err }()
	time.Sleep(20 * time.Millisecond)
	l.Close()
	fmt.Println(plain(<-errs))
	runtime.KeepAlive([]net.Conn{s1, s2}) // else the collector closes them
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	prog.Must(err)
	go func() { _, _, err := u.ReadFrom(make([]byte, 1)); errs <- err }()
	time.Sleep(20 * time.Millisecond)
	u.Close()
	fmt.Println(plain(<-errs))
}

// portReuse: a server may be started again on its port at once.
func portReuse() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	prog.Must(err)
	at := l.Addr().String()
	for i := 0; i < 20; i++ {
		c, err := net.Dial("tcp", at)
		prog.Must(err)
		s, err := l.Accept()
		prog.Must(err)
		s.Write([]byte("x"))
		s.Close()
		io.ReadAll(c)
		c.Close()
		l.Close()
		l, err = net.Listen("tcp", at)
		prog.Must(err)
	}
	fmt.Println("ok")
}
