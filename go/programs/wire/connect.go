package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

var scenes = map[string]scene{}

func init() {
	scenes["connect-silence"] = scene{connectSilence, func(p *peer) {
		// Every try of three connections; the last one's is answered.
		tries := map[uint16]int{}
		var order []uint16
		for s := p.segment(patience); s != nil; s = p.segment(patience) {
			if s.to == port+1 {
				p.answer(s).finish()
				break
			}
			if tries[s.from] == 0 {
				order = append(order, s.from)
			}
			tries[s.from]++
			if s.flags != syn {
				p.note("%v", s)
			}
		}
		for _, from := range order {
			p.note("%d tries", tries[from])
		}
	}}
	scenes["connect-refused"] = scene{connectRefused, func(p *peer) {
		for i := 0; i < 3; i++ {
			s := p.segment(patience)
			if s == nil {
				return
			}
			// Not about this SYN: it is ignored.
			p.sendTCP(segment{from: s.to, to: s.from, ack: s.seq + 77, flags: rst | ack})
			p.sendTCP(segment{from: s.to, to: s.from, seq: s.seq, flags: rst})
			time.Sleep(50 * time.Millisecond)
			p.sendTCP(segment{from: s.to, to: s.from, ack: s.seq + 1, flags: rst | ack})
		}
	}}
	scenes["connect-errors"] = scene{connectErrors, func(p *peer) {
		for s := p.segment(patience); s != nil; s = p.segment(patience) {
			if s.flags != syn {
				p.note("%v", s)
				continue
			}
			which := icmpErrors[int(s.to)-port]
			p.sendICMP(which[0], which[1], 0, s.packet.whole)
		}
	}}
	scenes["connect-forged"] = scene{connectForged, func(p *peer) {
		s := p.segment(patience)
		if s == nil {
			return
		}
		// About a segment that was never sent, and with a wrong checksum.
		forged := append([]byte(nil), s.packet.whole...)
		be.PutUint32(forged[24:], s.seq+4000)
		p.sendICMP(3, 3, 0, forged)
		broken := icmpAbout(3, 3, 0, s.packet.whole)
		broken[2] ^= 1
		p.send(writeIP(ip(theirs), ip(ours), icmpProtocol, 0, 0, broken))
		c := p.answer(s)
		// Open by now: an error is only a hint.
		p.sendICMP(3, 1, 0, s.packet.whole)
		p.sendICMP(3, 3, 0, s.packet.whole)
		c.send(ack|psh, []byte("open"))
		c.finish()
	}}
	scenes["connect-nobody"] = scene{connectNobody, func(*peer) {}}
	scenes["connect-later"] = scene{connectLater, func(p *peer) {
		s := p.segment(patience)
		if s == nil {
			return
		}
		p.note("%v", s)
		s = p.segment(patience)
		p.note("%v", s)
		p.answer(s).finish()
	}}
	scenes["udp-errors"] = scene{udpErrors, func(p *peer) {
		for range icmpErrors {
			d := p.datagram(patience)
			if d == nil {
				return
			}
			which := icmpErrors[int(d.to)-port]
			// Not about us: ignored.
			other := append([]byte(nil), d.packet.whole...)
			be.PutUint16(other[20:], d.from^1)
			p.sendICMP(3, 3, 0, other)
			p.sendICMP(which[0], which[1], 0, d.packet.whole)
		}
	}}
}

// icmpErrors are kinds and codes, for one port each.
var icmpErrors = [][2]byte{
	{3, 0}, {3, 1}, {3, 2}, {3, 3}, {3, 5}, {3, 6}, {3, 7}, {3, 8}, {3, 9}, {3, 10}, {3, 11}, {3, 12}, {3, 13}, {3, 14}, {3, 15}, {11, 0}, {11, 1}, {12, 0},
}

func connectSilence() {
	for _, count := range []int{1, 2} {
		begin := time.Now()
		_, err := dialer([2]int{syscall.TCP_SYNCNT, count}).Dial("tcp", target(port))
		fmt.Println(count, said(err), about(time.Since(begin), 500*time.Millisecond, 2*time.Second))
	}
	// The program's own patience ends first.
	_, err := net.DialTimeout("tcp", target(port), 300*time.Millisecond)
	fmt.Println(said(err))
	conn, err := net.Dial("tcp", target(port+1))
	fmt.Println(said(err))
	conn.Close()
}

func connectRefused() {
	_, err := net.Dial("tcp", target(port))
	fmt.Println(said(err))
	// As poll(2) and SO_ERROR tell it.
	fd := nonblocking()
	fmt.Println(prog.Name(syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: ip4(theirs)})))
	fmt.Println(await(fd), socketError(fd), socketError(fd))
	fmt.Println(prog.Name(syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: ip4(theirs)})))
	_, err = syscall.Write(fd, []byte("x"))
	fmt.Println(prog.Name(err))
	syscall.Close(fd)
}

func connectErrors() {
	for i, which := range icmpErrors {
		_, err := dialer([2]int{syscall.TCP_SYNCNT, 1}).Dial("tcp", target(port+i))
		fmt.Println(which, said(err))
	}
}

func connectForged() {
	conn := dialled()
	text := make([]byte, 10)
	n, err := conn.Read(text)
	fmt.Printf("%q %s\n", text[:n], said(err))
	conn.CloseWrite()
	n, err = conn.Read(text)
	fmt.Println(n, said(err))
}

// connectNobody: no neighbour has that address.
func connectNobody() {
	begin := time.Now()
	_, err := net.Dial("tcp", "10.0.2.77:80")
	fmt.Println(said(err), about(time.Since(begin), time.Second))
	conn, err := net.Dial("udp", "10.0.2.77:80")
	prog.Must(err)
	_, err = conn.Write([]byte("x"))
	fmt.Println(said(err))
	conn.SetReadDeadline(time.Now().Add(8 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(said(err))
}

func connectLater() {
	conn, err := net.Dial("tcp", target(port))
	fmt.Println(said(err))
	conn.Close()
}

func udpErrors() {
	for i, which := range icmpErrors {
		conn, err := net.Dial("udp", target(port+i))
		prog.Must(err)
		conn.Write([]byte("hello"))
		conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
		_, err = conn.Read(make([]byte, 1))
		text := said(err)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			text = "nothing"
		}
		fmt.Println(which, text)
		conn.Close()
	}
}

// nonblocking is a new socket of TCP.
func nonblocking() int {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	prog.Must(err)
	return fd
}

func socketError(fd int) string {
	number, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	prog.Must(err)
	return prog.Name(syscall.Errno(number))
}

// await waits until something can be done and gives what epoll tells.
func await(fd int) string {
	epoll, err := syscall.EpollCreate1(0)
	prog.Must(err)
	defer syscall.Close(epoll)
	event := syscall.EpollEvent{Events: syscall.EPOLLIN | syscall.EPOLLOUT | syscall.EPOLLRDHUP}
	prog.Must(syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &event))
	events := make([]syscall.EpollEvent, 1)
	for {
		n, err := syscall.EpollWait(epoll, events, 10000)
		if err == syscall.EINTR {
			continue
		}
		prog.Must(err)
		if n == 0 {
			return "nothing"
		}
		return fmt.Sprintf("%#x", events[0].Events)
	}
}
