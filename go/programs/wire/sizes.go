package main

import (
	"bytes"
	"fmt"
	"net"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func init() {
	scenes["pieces"] = scene{pieces, func(p *peer) {
		send := func(length, size int, order ...int) {
			whole := writeUDP(ip(theirs), ip(ours), 4000, port, pattern(length))
			p.sendParts(udpProtocol, whole, size, order...)
			p.note("%d: %s", length, p.whole(patternWithin))
		}
		p.awaitUDP()
		send(3000, 1000)
		send(3001, 1000, 2, 0, 3, 1)
		send(3002, 1000, 2, 2, 0, 0, 3, 1)
		send(8000, 8)
		send(65507, 1480)
		// One piece is missing; one overlaps another one, with the same and with other bytes.
		send(3003, 1000, 0, 1, 3)
		whole := writeUDP(ip(theirs), ip(ours), 4000, port, pattern(1200))
		for _, change := range []byte{0, 1} {
			p.id++
			piece := func(from, to int, more uint16) {
				p.send(writeIP(ip(theirs), ip(ours), udpProtocol, p.id, uint16(from/8)|more, whole[from:to]))
			}
			piece(0, 800, 0x2000)
			whole[700] += change
			piece(600, 1000, 0x2000)
			piece(800, len(whole), 0)
			p.note("overlap: %s", p.whole(patternWithin))
		}
		// Further than a packet can be.
		p.send(writeIP(ip(theirs), ip(ours), udpProtocol, 999, 0xffff/8&0x1fff, pattern(1000)))
		echo := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, pattern(3000)...)
		be.PutUint16(echo[2:], fold(sum(0, echo)))
		p.sendParts(icmpProtocol, echo, 1000)
		p.note("echo: %s", p.wholeOf(p.echoes, 8, patternWithin))
		p.sendUDP(4000, port, nil)
	}}
	scenes["sizes"] = scene{sizes, func(p *peer) {
		d := p.datagram(patience)
		for d != nil && len(d.packet.payload) < 1400 {
			d = p.datagram(patience)
		}
		if d == nil {
			return
		}
		p.sendICMP(3, 4, 1000, d.packet.whole)
		// What is sent afterwards.
		for _, what := range []string{"never cut", "unheard", "cut here", "cut anywhere"} {
			largest, cut := 0, false
			for {
				d = p.datagram(patience)
				if d == nil || len(d.data) == 3 {
					break
				}
				cut = cut || d.packet.part&0x3fff != 0
				if len(d.packet.whole) > largest {
					largest = len(d.packet.whole)
				}
			}
			p.note("%s: up to %d bytes, in pieces: %v", what, largest, cut)
		}
	}}
	scenes["narrow"] = scene{narrow, func(p *peer) { p.narrow(1000, 3, 4) }}
}

// narrow takes no packets beyond a size, as it says by a message of ICMP once.
func (p *peer) narrow(size uint32, kind, code byte) {
	c := p.accept()
	largest, told := 0, false
	for c.ack-c.base < 30000 {
		s := c.next(patience)
		if s == nil {
			p.note("nothing more")
			return
		}
		length := len(s.packet.whole)
		if length > int(size) {
			if !told {
				p.sendICMP(kind, code, size, s.packet.whole)
			}
			told = true
			continue
		}
		if length > largest {
			largest = length
		}
		if s.seq == c.ack {
			c.ack += uint32(len(s.data))
		}
		if len(s.data) > 0 {
			c.send(ack, nil)
		}
	}
	p.note("all of it, in packets of up to %d, told: %v", largest, told)
	c.finish()
}

func pattern(length int) []byte {
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(i % 251)
	}
	return data
}

func patternWithin(data []byte) string {
	if bytes.Equal(data, pattern(len(data))) {
		return fmt.Sprint(len(data), " bytes came back")
	}
	return fmt.Sprint(len(data), " other bytes came back")
}

// awaitUDP waits for the program to be there.
func (p *peer) awaitUDP() {
	for i := 0; i < 100; i++ {
		p.sendUDP(3999, port, []byte("?"))
		if p.datagram(100*time.Millisecond) != nil {
			break
		}
	}
	for p.datagram(200*time.Millisecond) != nil {
	}
}

// whole puts together what comes back of a datagram and says what it is.
func (p *peer) whole(what func([]byte) string) string {
	return p.wholeOf(func(within time.Duration) *packet {
		if d := p.datagram(within); d != nil {
			return d.packet
		}
		return nil
	}, 8, what)
}

func (p *peer) echoes(within time.Duration) *packet {
	for {
		select {
		case packet := <-p.icmp:
			// Not what was said before anybody listened.
			if packet == nil || packet.part&0x1fff != 0 || packet.payload[0] == 0 {
				return packet
			}
		case <-time.After(within):
			return nil
		}
	}
}

func (p *peer) wholeOf(next func(time.Duration) *packet, header int, what func([]byte) string) string {
	all, length, got := make([]byte, 1<<16), -1, 0
	for got != length {
		packet := next(500 * time.Millisecond)
		if packet == nil {
			return "nothing"
		}
		offset := int(packet.part&0x1fff) * 8
		copy(all[offset:], packet.payload)
		got += len(packet.payload)
		if packet.part&0x2000 == 0 {
			length = offset + len(packet.payload)
		}
	}
	return what(all[header:length])
}

// pieces sends back what it gets, until it gets nothing.
func pieces() {
	conn, err := net.ListenPacket("udp", fmt.Sprint(":", port))
	prog.Must(err)
	data := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFrom(data)
		prog.Must(err)
		if n == 0 {
			break
		}
		_, err = conn.WriteTo(data[:n], from)
		prog.Must(err)
	}
}

// sizes sends datagrams of several sizes, which nobody, we or everybody may cut.
func sizes() {
	connect := func(discover int) net.Conn {
		conn, err := net.Dial("udp", target(port))
		prog.Must(err)
		onFd(conn.(*net.UDPConn), func(fd int) {
			prog.Must(syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, discover))
		})
		return conn
	}
	write := func(conn net.Conn, length int) {
		_, err := conn.Write(make([]byte, length))
		fmt.Println(length, said(err))
	}
	conn := connect(syscall.IP_PMTUDISC_DO)
	for _, length := range []int{1473, 65507, 65508, 1472} {
		write(conn, length)
	}
	_, err := conn.Read(make([]byte, 1))
	fmt.Println(said(err))
	for _, discover := range []int{syscall.IP_PMTUDISC_DO, syscall.IP_PMTUDISC_PROBE, syscall.IP_PMTUDISC_WANT, syscall.IP_PMTUDISC_DONT} {
		conn := connect(discover)
		for _, length := range []int{900, 972, 973, 1472, 1473, 3} {
			write(conn, length)
		}
	}
}

func narrow() {
	conn := dialled()
	n, err := conn.Write(make([]byte, 30000))
	fmt.Println(n, said(err))
	conn.CloseWrite()
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(said(err))
}
