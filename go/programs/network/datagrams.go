package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"ringo.dev/go/internal/prog"
)

func udp() {
	for _, each := range [][2]string{{"udp", "127.0.0.1:0"}, {"udp", "[::1]:0"}, {"udp", ":0"}, {"udp4", ":0"}, {"udp6", ":0"}} {
		s, err := net.ListenPacket(each[0], each[1])
		prog.Must(err)
		_, port, _ := net.SplitHostPort(s.LocalAddr().String())
		fmt.Println(each, address(s.LocalAddr()))
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.Dial("udp", net.JoinHostPort(host, port))
			if err != nil {
				fmt.Println(" ", host, plain(err))
				continue
			}
			buf := make([]byte, 2000)
			sizes := []int{0, 1, 1000, 1472, 9000, 65507}
			for _, size := range sizes {
				want := bytes.Repeat([]byte("z"), size)
				n, err := c.Write(want)
				if err != nil {
					fmt.Println(" ", host, size, n, plain(err))
					break
				}
				s.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				n, from, err := s.ReadFrom(buf)
				if err != nil {
					fmt.Println(" ", host, size, plain(err))
					break
				}
				fmt.Println(" ", host, size, n, bytes.Equal(buf[:n], want[:min(size, len(buf))]), address(from), from.String() == c.LocalAddr().String())
				_, err = s.WriteTo(buf[:n], from)
				prog.Must(err)
				c.SetReadDeadline(time.Now().Add(time.Second))
				n, err = c.Read(buf)
				fmt.Println("   back", n, plain(err))
			}
			_, err = c.Write(make([]byte, 65508))
			fmt.Println(" ", plain(err))
			c.Close()
		}
		s.Close()
	}
}

func udpConnected() {
	dead, err := net.ListenPacket("udp", "127.0.0.1:0")
	prog.Must(err)
	at := dead.LocalAddr().String()
	dead.Close()
	c, err := net.Dial("udp", at)
	prog.Must(err)
	for i := 0; i < 4; i++ {
		n, err := c.Write([]byte("x"))
		fmt.Println(n, plain(err))
	}
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, err = c.Read(make([]byte, 1))
	fmt.Println(plain(err))
	_, err = c.Read(make([]byte, 1))
	fmt.Println(plain(err))

	// Only the peer's datagrams arrive at a connected socket.
	a, err := net.ListenPacket("udp", "127.0.0.1:0")
	prog.Must(err)
	b, err := net.ListenPacket("udp", "127.0.0.1:0")
	prog.Must(err)
	d, err := net.Dial("udp", a.LocalAddr().String())
	prog.Must(err)
	b.WriteTo([]byte("from b"), d.LocalAddr())
	a.WriteTo([]byte("from a"), d.LocalAddr())
	buf := make([]byte, 100)
	n, err := d.Read(buf)
	fmt.Println(string(buf[:n]), plain(err))
	_, err = d.(*net.UDPConn).WriteTo([]byte("x"), b.LocalAddr())
	fmt.Println(plain(err))
	_, err = a.(*net.UDPConn).Write([]byte("x"))
	fmt.Println(plain(err))
}

// udpFull: what finds no room is dropped, and the sender does not hear of it.
func udpFull() {
	for _, size := range []int{1, 1000, 4000, 60000} {
		s, err := net.ListenPacket("udp", "127.0.0.1:0")
		prog.Must(err)
		c, err := net.Dial("udp", s.LocalAddr().String())
		prog.Must(err)
		for i := 0; i < 2000; i++ {
			n, err := c.Write(make([]byte, size))
			prog.Must(err)
			prog.Check(n == size, "sent %d", n)
		}
		count := 0
		buf := make([]byte, size)
		for {
			s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if _, _, err = s.ReadFrom(buf); err != nil {
				break
			}
			count++
		}
		fmt.Println(size, count, plain(err))
	}
}

// udpControl: what comes along with a datagram.
func udpControl() {
	s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	prog.Must(err)
	raw, err := s.SyscallConn()
	prog.Must(err)
	raw.Control(func(fd uintptr) {
		for _, option := range [][3]int{{0, 8, 1}, {0, 12, 1}, {0, 13, 1}, {1, 35, 1}} {
			fmt.Println(option, prog.Name(setInt(int(fd), option[0], option[1], option[2])))
		}
	})
	c, err := net.DialUDP("udp4", nil, s.LocalAddr().(*net.UDPAddr))
	prog.Must(err)
	rawc, err := c.SyscallConn()
	prog.Must(err)
	rawc.Control(func(fd uintptr) {
		fmt.Println(prog.Name(setInt(int(fd), 0, 2, 33)), prog.Name(setInt(int(fd), 0, 1, 0x28)))
	})
	c.Write([]byte("hello"))
	buf, oob := make([]byte, 100), make([]byte, 200)
	n, oobn, flags, from, err := s.ReadMsgUDP(buf, oob)
	fmt.Println(n, flags, address(from), plain(err))
	showControl(oob[:oobn])
	n, oobn, flags, _, err = func() (int, int, int, *net.UDPAddr, error) {
		c.Write([]byte("hello"))
		return s.ReadMsgUDP(buf[:3], oob[:30])
	}()
	fmt.Println(n, flags, plain(err), oobn)
	showControl(oob[:oobn])
}

// udpOrigin asks where datagrams were sent to (IP_RECVORIGDSTADDR, IPV6_RECVORIGDSTADDR).
func udpOrigin() {
	for _, each := range [][2]string{{"udp4", "127.0.0.1:0"}, {"udp4", ":0"}, {"udp6", "[::1]:0"}, {"udp", ":0"}} {
		at, err := net.ResolveUDPAddr(each[0], each[1])
		prog.Must(err)
		s, err := net.ListenUDP(each[0], at)
		prog.Must(err)
		raw, err := s.SyscallConn()
		prog.Must(err)
		level, option := 0, 20
		if each[0] != "udp4" {
			level, option = 41, 74
		}
		raw.Control(func(fd uintptr) { fmt.Println(each, prog.Name(setInt(int(fd), level, option, 1))) })
		port := s.LocalAddr().(*net.UDPAddr).Port
		for _, host := range []string{"127.0.0.1", "::1"} {
			c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(host), Port: port})
			prog.Must(err)
			c.Write([]byte("hello"))
			s.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			buf, oob := make([]byte, 100), make([]byte, 200)
			n, oobn, flags, _, err := s.ReadMsgUDP(buf, oob)
			told := append([]byte(nil), oob[:oobn]...)
			if oobn >= 20 && int(told[18])<<8|int(told[19]) == port {
				told[18], told[19] = 'o', 'k'
			}
			fmt.Println(" ", host, n, flags, plain(err), told)
			c.Close()
		}
		s.Close()
	}
}

// pipes: what net.Pipe and io.Copy between connections do (splice).
func pipes() {
	a, b, _ := pair("tcp", "127.0.0.1:0")
	c, d, _ := pair("tcp", "127.0.0.1:0")
	done := make(chan error)
	go func() {
		n, err := io.Copy(c, b)
		c.Close()
		fmt.Println("copied", n)
		done <- err
	}()
	const size = 10 << 20
	go func() {
		chunk := bytes.Repeat([]byte("0123456789"), 10000)
		for left := size; left > 0; left -= min(left, len(chunk)) {
			a.Write(chunk[:min(left, len(chunk))])
		}
		a.Close()
	}()
	got, err := io.ReadAll(d)
	fmt.Println(len(got), plain(err), plain(<-done))
	ok := true
	for i, c := range got {
		ok = ok && c == byte('0'+i%100000%10)
	}
	fmt.Println(ok)
}
