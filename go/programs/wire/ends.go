package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func init() {
	scenes["linger-none"] = scene{lingerNone, func(p *peer) {
		c := p.accept()
		p.note("%v", c.next(patience))
		c = p.accept()
		p.note("%v", c.next(patience))
		p.note("%v", c.until(rst, patience))
	}}
	scenes["linger-wait"] = scene{lingerWait, func(p *peer) {
		c := p.accept()
		if s := c.until(fin, patience); s != nil {
			time.Sleep(300 * time.Millisecond)
			c.ack = s.seq + uint32(len(s.data)) + 1
			c.send(ack, nil)
		}
		// Of the second one nothing is confirmed.
		p.accept()
	}}
	scenes["keep-alive"] = scene{keepAlive, func(p *peer) {
		c := p.accept()
		// A question has the number before the next byte.
		questions := 0
		for s := c.next(patience); s != nil; s = c.next(patience) {
			if s.flags&rst != 0 {
				p.note("%v", s)
				break
			}
			if s.seq == c.ack-1 {
				questions++
				if questions == 1 {
					c.send(ack, nil)
				}
			}
		}
		p.note("%d questions", questions)
	}}
	scenes["user-timeout"] = scene{userTimeout, func(p *peer) {
		c := p.accept()
		s := c.data(patience)
		p.note("%v", s)
		again, same := 0, true
		for r := c.next(patience); r != nil; r = c.next(patience) {
			if len(r.data) > 0 {
				again++
				same = same && r.seq == s.seq && string(r.data) == string(s.data)
			}
		}
		p.note("again: %v, the same: %v", again >= 2, same)
	}}
	scenes["resets"] = scene{resetsSeen, func(p *peer) {
		c := p.accept()
		// Somebody guesses: only the right number counts, one close to it gets a question.
		c.p.sendTCP(segment{from: c.from, to: c.to, seq: c.seq - 1000, flags: rst})
		p.note("%v", c.next(300*time.Millisecond))
		c.p.sendTCP(segment{from: c.from, to: c.to, seq: c.seq + 1000, flags: rst})
		p.note("%v", c.next(300*time.Millisecond))
		time.Sleep(time.Second)
		c.p.sendTCP(segment{from: c.from, to: c.to, seq: c.seq + 1000, flags: syn})
		p.note("%v", c.next(300*time.Millisecond))
		c.send(ack|psh, []byte("still"))
		c.data(patience)
		c.send(rst|ack, nil)
		// The next one is reset behind data and an end.
		c = p.accept()
		c.send(ack|psh, []byte("last"))
		c.send(fin|ack, nil)
		c.data(patience)
		c.send(rst|ack, nil)
	}}
	scenes["half-closed"] = scene{halfClosed, func(p *peer) {
		c := p.accept()
		c.send(fin|ack, nil)
		for size := 0; size < 10000; {
			s := c.data(patience)
			if s == nil {
				return
			}
			size += len(s.data)
			c.send(ack, nil)
		}
		c.finish()
		// The other way round.
		c = p.accept()
		s := c.until(fin, patience)
		if s == nil {
			return
		}
		c.ack = s.seq + uint32(len(s.data)) + 1
		c.send(ack, nil)
		for i := 0; i < 10; i++ {
			c.send(ack|psh, make([]byte, 1000))
		}
		c.send(fin|ack, nil)
		c.until(ack, patience)
	}}
	scenes["closed"] = scene{closed, func(p *peer) {
		// Data for a program that has closed.
		c := p.accept()
		s := c.until(fin, patience)
		if s == nil {
			return
		}
		c.ack = s.seq + 1
		c.send(ack, nil)
		c.send(ack|psh, []byte("too late"))
		p.note("reset: %v", c.next(patience).flags&rst != 0)
		// Closed with something unread.
		c = p.accept()
		c.send(ack|psh, []byte("unread"))
		p.note("%v", c.until(rst, patience))
		// An end that comes in time, and one that does not.
		for _, wait := range []time.Duration{0, 2500 * time.Millisecond} {
			c = p.accept()
			s := c.until(fin, patience)
			if s == nil {
				return
			}
			c.ack = s.seq + 1
			c.send(ack, nil)
			time.Sleep(wait)
			c.send(fin|ack, nil)
			p.note("%v", c.next(patience))
		}
	}}
	scenes["flood"] = scene{flood, func(p *peer) {
		c := p.dial(3999, port)
		for round := 0; round < 3; round++ {
			// Nobody of those answers our answers.
			for i := 0; i < 2000; i++ {
				from := []byte{10, 0, 2, byte(100 + i%100)}
				s := segment{from: uint16(1024 + i), to: port, seq: uint32(i), flags: syn, window: 60000, options: mss(1460)}
				p.send(writeIP(from, ip(ours), tcpProtocol, 0, 0, writeTCP(from, ip(ours), s)))
				if i%100 == 99 {
					time.Sleep(time.Millisecond)
				}
			}
			for len(p.tcp) > 0 {
				<-p.tcp
			}
			c := p.dial(uint16(4000+round), port)
			c.send(ack|psh, []byte("hello"))
			p.note("%s", c.data(patience).data)
			c.send(fin|ack, nil)
		}
		c.send(ack|psh, []byte("the end"))
		p.note("%s", c.data(patience).data)
		c.send(fin|ack, nil)
	}}
	scenes["time-wait"] = scene{timeWait, func(p *peer) {
		c := p.dial(4000, port)
		s := c.until(fin, patience)
		if s == nil {
			return
		}
		c.ack = s.seq + 1
		c.send(fin|ack, nil)
		p.note("%v", c.next(patience))
		// The end once more: it is confirmed once more.
		c.seq--
		c.send(fin|ack, nil)
		p.note("%v", c.next(patience))
		// An old SYN, and a new one.
		c.p.sendTCP(segment{from: 4000, to: port, seq: c.seq - 5000, flags: syn, window: 60000, options: mss(1460)})
		p.note("%v", c.next(patience))
		p.sequence = c.seq
		c = p.dial(4000, port)
		c.send(fin|ack, nil)
		p.note("%v", c.until(fin, patience))
	}}
	scenes["lost"] = scene{lost, func(p *peer) {
		c := p.accept()
		// The first, the last and one in the middle of twenty get lost, and then some of what is sent again.
		got, seen := map[uint32]bool{}, map[uint32]int{}
		const size = 20000
		for c.ack < uint32(0xffffffff) {
			s := c.next(patience)
			if s == nil {
				p.note("nothing more")
				return
			}
			if len(s.data) == 0 {
				continue
			}
			seen[s.seq]++
			number := (s.seq - c.base) / 1460
			if seen[s.seq] == 1 && (number == 0 || number == 7 || number == 13) || seen[s.seq] == 2 && number == 7 {
				continue
			}
			for i := range s.data {
				got[s.seq+uint32(i)] = s.data[i] == byte((s.seq+uint32(i)-c.base)%251)
			}
			for got[c.ack] {
				c.ack++
			}
			c.send(ack, nil)
			if c.ack-c.base == size {
				break
			}
		}
		p.note("all of it")
		c.finish()
	}}
}

func lingerNone() {
	conn := dialled()
	prog.Must(conn.SetLinger(0))
	conn.Close()
	conn = dialled()
	prog.Must(conn.SetLinger(0))
	conn.Write([]byte("lost"))
	conn.Close()
}

func lingerWait() {
	for i := 0; i < 2; i++ {
		conn := dialled()
		prog.Must(conn.SetLinger(1 + 2*(1-i)))
		conn.Write([]byte("hello"))
		begin := time.Now()
		fmt.Println(said(conn.Close()), about(time.Since(begin), 250*time.Millisecond, 900*time.Millisecond))
	}
}

const userTimeoutOption = 18

func keepAlive() {
	conn := dialled()
	prog.Must(conn.SetKeepAlive(true))
	onFd(conn, func(fd int) {
		for _, option := range [][2]int{{syscall.TCP_KEEPIDLE, 1}, {syscall.TCP_KEEPINTVL, 1}, {syscall.TCP_KEEPCNT, 2}} {
			prog.Must(syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, option[0], option[1]))
		}
	})
	_, err := conn.Read(make([]byte, 1))
	fmt.Println(said(err))
	_, err = conn.Write([]byte("x"))
	fmt.Println(said(err))
}

func userTimeout() {
	conn := dialled([2]int{userTimeoutOption, 1500})
	_, err := conn.Write([]byte("hello"))
	fmt.Println(said(err))
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(said(err))
	_, err = conn.Write([]byte("hello"))
	fmt.Println(said(err))
}

func resetsSeen() {
	conn := dialled()
	text := make([]byte, 10)
	n, err := conn.Read(text)
	fmt.Printf("%q %s\n", text[:n], said(err))
	conn.Write([]byte("yes"))
	_, err = conn.Read(text)
	fmt.Println(said(err))
	_, err = conn.Read(text)
	fmt.Println(said(err))
	_, err = conn.Write(text)
	fmt.Println(said(err))
	conn.Close()
	conn = dialled()
	n, err = io.ReadFull(conn, text)
	fmt.Println(n, said(err))
	conn.Write([]byte("more"))
	for err == nil || err == io.ErrUnexpectedEOF {
		time.Sleep(50 * time.Millisecond)
		_, err = conn.Write(text)
	}
	fmt.Println(said(err))
	_, err = conn.Read(text)
	fmt.Println(said(err))
}

func halfClosed() {
	conn := dialled()
	n, err := conn.Read(make([]byte, 1))
	fmt.Println(n, said(err))
	written, err := conn.Write(make([]byte, 10000))
	fmt.Println(written, said(err))
	conn.Close()
	conn = dialled()
	prog.Must(conn.CloseWrite())
	_, err = conn.Write([]byte("x"))
	fmt.Println(said(err))
	all, err := io.ReadAll(conn)
	fmt.Println(len(all), said(err))
	conn.Close()
}

func closed() {
	conn := dialled()
	conn.Close()
	conn = dialled()
	// It has come, but nobody has read it.
	for unread := 0; unread == 0; {
		onFd(conn, func(fd int) {
			n, _, _ := syscall.Recvfrom(fd, make([]byte, 10), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			unread = n
			if n < 0 {
				unread = 0
			}
		})
		time.Sleep(10 * time.Millisecond)
	}
	conn.Close()
	for i := 0; i < 2; i++ {
		conn := dialled([2]int{syscall.TCP_LINGER2, 1})
		conn.Close()
	}
	time.Sleep(3500 * time.Millisecond)
}

func timeWait() {
	listener, err := net.Listen("tcp", fmt.Sprint(":", port))
	prog.Must(err)
	conn, err := listener.Accept()
	fmt.Println(said(err))
	conn.Close()
	conn, err = listener.Accept()
	fmt.Println(said(err))
	n, err := conn.Read(make([]byte, 1))
	fmt.Println(n, said(err))
	conn.Close()
	time.Sleep(200 * time.Millisecond)
}

func lost() {
	conn := dialled()
	data := make([]byte, 20000)
	for i := range data {
		data[i] = byte(i % 251)
	}
	_, err := conn.Write(data)
	fmt.Println(said(err))
	conn.CloseWrite()
	_, err = conn.Read(data)
	fmt.Println(said(err))
	fmt.Println(counted("Tcp:", "ActiveOpens"), counted("Tcp:", "RetransSegs") > 0, counted("Tcp:", "OutSegs") > 13)
}

// counted is a figure of /proc/net/snmp.
func counted(table, name string) int {
	text, err := os.ReadFile("/proc/net/snmp")
	prog.Must(err)
	var names []string
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != table {
			continue
		}
		for i, each := range names {
			if each == name {
				value, err := strconv.Atoi(fields[i])
				prog.Must(err)
				return value
			}
		}
		names = fields
	}
	return -1
}

// flood is a server of echoes, until it hears of an end.
func flood() {
	listener, err := net.Listen("tcp", fmt.Sprint(":", port))
	prog.Must(err)
	end := make(chan bool)
	go func() {
		for {
			conn, err := listener.Accept()
			prog.Must(err)
			go func() {
				text := make([]byte, 100)
				for {
					n, err := conn.Read(text)
					if err != nil {
						break
					}
					conn.Write(text[:n])
					if string(text[:n]) == "the end" {
						close(end)
					}
				}
				conn.Close()
			}()
		}
	}()
	<-end
	fmt.Println("heard of the end", counted("Tcp:", "PassiveOpens"))
}
