package main

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

// Scenes of who sends much that is not worth an answer each time, and of datagrams for everybody.
func init() {
	scenes["storm"] = scene{storm, func(p *peer) {
		c := p.dial(4000, port)
		c.send(ack|psh, []byte("hello"))
		c.data(patience)
		c.send(ack, nil)
		p.note("open, old: %s", c.storm(segment{seq: c.seq - 1, flags: ack}, 20))
		time.Sleep(time.Second)
		p.note("open, unsent: %s", c.storm(segment{seq: c.seq, ack: c.ack + 5000, flags: ack}, 20))
		c.send(ack|psh, []byte("close"))
		s := c.until(fin, patience)
		if s == nil {
			return
		}
		c.ack = s.seq + uint32(len(s.data)) + 1
		c.send(fin|ack, nil)
		p.note("%v", c.next(patience))
		p.note("over, in order: %s", c.storm(segment{seq: c.seq, flags: ack}, 1))
		p.note("over, old: %s", c.storm(segment{seq: c.seq - 1000, flags: ack}, 20))
		p.note("over, old data: %s", c.storm(segment{seq: c.seq - 1000, flags: ack, data: []byte("old")}, 20))
		c = &conversation{p: p, from: 4001, to: port, seq: 7}
		p.note("opening: %s", c.storm(segment{seq: 7, flags: syn, options: mss(1460)}, 20))
		c = p.dial(4002, port)
		c.send(fin|ack, nil)
		p.note("%v", c.until(fin, patience))
	}}
	closedPorts := func(p *peer) {
		c := p.accept()
		for i := 0; i < 200; i++ {
			p.sendUDP(4000, port+1, []byte("nobody"))
		}
		answers := 0
		for quiet := time.After(400 * time.Millisecond); ; {
			select {
			case answer := <-p.icmp:
				if kind := answer.payload[0]; kind == 3 || kind == 1 {
					answers++
				}
				continue
			case <-quiet:
			}
			break
		}
		p.note("few errors: %v", answers >= 3 && answers <= 12)
		c.finish()
	}
	scenes["closed-ports"] = scene{func() { awaitEnd(target(port)) }, closedPorts}
	scenes["six-closed-ports"] = scene{func() {
		await6()
		awaitEnd(target6(near6, 0))
	}, closedPorts}
	settings["six-closed-ports"] = setting{six: append(prefixOption(prefix6, 86400, 14400), 5, 1, 0, 0, 0, 0, 5, 120)}
	scenes["broadcast"] = scene{broadcast, func(p *peer) {
		d := p.datagram(patience)
		if d == nil {
			return
		}
		for _, to := range []string{"10.0.2.255", "255.255.255.255", ours} {
			p.send(writeIP(ip(theirs), ip(to), udpProtocol, 0, 0, writeUDP(ip(theirs), ip(to), 4000, port, []byte("to "+to))))
		}
		for i := 0; i < 2; i++ {
			if d := p.datagram(patience); d != nil {
				p.note("%v to %v: %s", net.IP(d.packet.from), net.IP(d.packet.to), d.data)
			}
		}
	}}
}

// storm sends a segment many times and says how it was answered.
func (c *conversation) storm(s segment, count int) string {
	s.from, s.to, s.window = c.from, c.to, 60000
	if s.ack == 0 && s.flags&ack != 0 {
		s.ack = c.ack
	}
	for i := 0; i < count; i++ {
		c.p.sendTCP(s)
	}
	answers := 0
	for c.next(300*time.Millisecond) != nil {
		answers++
	}
	switch {
	case answers == 0:
		return "never"
	case answers >= count:
		return "always"
	case answers <= 5:
		return "seldom"
	}
	return fmt.Sprintf("%d times", answers)
}

// storm is a server that answers once and closes when it is told to.
func storm() {
	listener, err := net.Listen("tcp", fmt.Sprint(":", port))
	prog.Must(err)
	conn, err := listener.Accept()
	prog.Must(err)
	text := make([]byte, 100)
	for {
		n, err := conn.Read(text)
		fmt.Printf("%q %s\n", text[:n], said(err))
		if err != nil || string(text[:n]) == "close" {
			break
		}
		conn.Write(text[:n])
	}
	conn.Close()
	conn, err = listener.Accept()
	fmt.Println(said(err))
	n, err := conn.Read(text)
	fmt.Println(n, said(err))
	conn.Close()
	time.Sleep(200 * time.Millisecond)
}

// awaitEnd dials and waits for the other end's.
func awaitEnd(to string) {
	conn, err := net.Dial("tcp", to)
	prog.Must(err)
	prog.Must(conn.(*net.TCPConn).CloseWrite())
	n, err := conn.Read(make([]byte, 1))
	fmt.Println(n, said(err))
}

// broadcast tells who of several sockets with one port hears what.
func broadcast() {
	shared := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			prog.Must(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1))
		})
	}}
	open := func(network, address string) *net.UDPConn {
		conn, err := shared.ListenPacket(context.Background(), network, address)
		prog.Must(err)
		return conn.(*net.UDPConn)
	}
	address := func(ip string) string { return fmt.Sprintf("%s:%d", ip, port) }
	names := []string{"any", "any again", "ours", "everybody's", "both families'", "loopback's"}
	sockets := []*net.UDPConn{
		open("udp4", address("0.0.0.0")), open("udp4", address("0.0.0.0")), open("udp4", address(ours)),
		open("udp4", address("10.0.2.255")), open("udp", fmt.Sprintf("[::]:%d", port)), open("udp4", address("127.0.0.1")),
	}
	heard := func(what string) {
		for i, socket := range sockets {
			for {
				text := make([]byte, 100)
				prog.Must(socket.SetReadDeadline(time.Now().Add(300 * time.Millisecond)))
				n, from, err := socket.ReadFromUDPAddrPort(text)
				if err != nil {
					break
				}
				fmt.Printf("%s: %s hears %q of %v\n", what, names[i], text[:n], from.Addr().Unmap())
			}
		}
	}
	begin, err := net.Dial("udp4", target(port))
	prog.Must(err)
	begin.Write([]byte("begin"))
	heard("from outside")
	for i, to := range []string{"10.0.2.255", "255.255.255.255", "127.255.255.255"} {
		_, err = sockets[0].WriteToUDP([]byte("to "+to), &net.UDPAddr{IP: net.ParseIP(to), Port: port})
		fmt.Println(to, said(err))
		heard(fmt.Sprint("from here ", i))
	}
	// Who does not say that it means everybody.
	onFd(sockets[0], func(fd int) { prog.Must(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_BROADCAST, 0)) })
	for _, to := range []string{"10.0.2.255", "255.255.255.255", "127.255.255.255"} {
		_, err = sockets[0].WriteToUDP([]byte("no"), &net.UDPAddr{IP: net.ParseIP(to), Port: port})
		fmt.Println(to, said(err))
	}
}
