package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

// The network of IPv6: the router, the address that the program makes, one in its network, others beyond.
const (
	router6   = "fe80::2"
	prefix6   = "2001:db8:1::"
	ours6     = "2001:db8:1:0:5054:ff:fe12:3456"
	ourLocal6 = "fe80::5054:ff:fe12:3456"
	near6     = "2001:db8:1::2"
	nobody6   = "2001:db8:1::77"
	far6      = "2001:db8:2::9"
)

// six is what the script does as a router and neighbour.
type six struct {
	options []byte
	// It has this address, whoever claims it.
	taken []byte
	lock  sync.Mutex
	// What was asked: each once.
	heard map[string]bool
}

const (
	routerSolicit   = 133
	routerAdvert    = 134
	neighbourAsk    = 135
	neighbourAnswer = 136
)

// hear notes what is said once, or many times: how often is the sender's business.
func (s *six) hear(format string, args ...any) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.heard == nil {
		s.heard = map[string]bool{}
	}
	s.heard[fmt.Sprintf(format, args...)] = true
}

// all is what was heard, in order.
func (s *six) all() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	var all []string
	for each := range s.heard {
		all = append(all, each)
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

func prefixOption(prefix string, valid, preferred uint32) []byte {
	option := []byte{3, 4, 64, 0xc0}
	option = be.AppendUint32(be.AppendUint32(option, valid), preferred)
	return append(append(option, 0, 0, 0, 0), ip(prefix)...)
}

// advertise says what a router says.
func (p *peer) advertise(lifetime uint16, options []byte) {
	from, to := ip(router6), ip("ff02::1")
	rest := append(make([]byte, 8), append([]byte{1, 1}, theirHardware...)...)
	message := icmp6(from, to, routerAdvert, 0, 64<<24|uint32(lifetime), append(rest, options...))
	p.send(writeIP6(from, to, icmp6Protocol, 255, message))
}

// discover takes a message of discovery: true if it is one.
func (p *peer) discover(packet *packet) bool {
	m := packet.payload
	if len(m) < 8 || fold(sum(pseudo(packet.from, packet.to, icmp6Protocol, len(m)), m)) != 0 || p.six.options == nil {
		return true
	}
	switch {
	case m[0] == routerSolicit:
		p.six.hear("routers asked at %v", net.IP(packet.to))
		p.advertise(1800, p.six.options)
	case m[0] == neighbourAsk && len(m) >= 24:
		target := m[8:24]
		if packet.ttl != 255 {
			p.six.hear("%v asked for from afar", net.IP(target))
		}
		if net.IP(packet.from).IsUnspecified() {
			p.six.hear("%v claimed at %v", net.IP(target), net.IP(packet.to))
			if bytes.Equal(target, p.six.taken) {
				p.answerNeighbour(target, ip("ff02::1"), 0x20000000)
			}
			return true
		}
		if !bytes.Equal(target, ip(nobody6)) {
			p.answerNeighbour(target, packet.from, 0x60000000)
		}
	case m[0] == neighbourAnswer && len(m) >= 32:
		p.six.hear("%v told, flags %x", net.IP(m[8:24]), m[4]&^0x20)
	case m[0] < 128 || m[0] == 129:
		return false
	}
	return true
}

func (p *peer) answerNeighbour(target, to []byte, flags uint32) {
	rest := append(append([]byte{}, target...), append([]byte{2, 1}, theirHardware...)...)
	p.send(writeIP6(target, to, icmp6Protocol, 255, icmp6(target, to, neighbourAnswer, 0, flags, rest)))
}

// ask asks the program for the Ethernet address of one of its own.
func (p *peer) ask(target string) {
	from, to := ip(near6), ip("ff02::1:ff12:3456")
	rest := append(append([]byte{}, ip(target)...), append([]byte{1, 1}, theirHardware...)...)
	p.send(writeIP6(from, to, icmp6Protocol, 255, icmp6(from, to, neighbourAsk, 0, 0, rest)))
}

// addresses6 are the program's, with their flags, in order.
func addresses6() []string {
	text, err := os.ReadFile("/proc/net/if_inet6")
	prog.Must(err)
	var all []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		words := strings.Fields(line)
		all = append(all, fmt.Sprintf("%s/%s scope %s flags %s", words[0], words[2], words[3], words[4]))
	}
	slices.Sort(all)
	return all
}

// await6 waits until there is an address of the router's prefix that is certain, and no other is claimed.
func await6() []string {
	for i := 0; i < 200; i++ {
		all := addresses6()
		settled := slices.ContainsFunc(all, func(line string) bool { return strings.HasPrefix(line, "20010db8") })
		for _, line := range all {
			flags := line[len(line)-2:]
			settled = settled && (flags == "00" || flags == "80" || flags == "48")
		}
		if settled {
			return all
		}
		time.Sleep(50 * time.Millisecond)
	}
	return append(addresses6(), "not settled")
}

func init() {
	options := append(prefixOption(prefix6, 86400, 14400), 5, 1, 0, 0, 0, 0, 5, 120)
	six := func(name string, act func(), script func(*peer)) {
		scenes[name] = scene{act, script}
		settings[name] = setting{six: options}
	}
	six("six-addresses", sixAddresses, func(p *peer) {
		// Asked for once the program says that it is settled.
		d := p.datagram(patience)
		p.ask(ours6)
		p.ask(ourLocal6)
		p.ask("2001:db8:1::99")
		time.Sleep(100 * time.Millisecond)
		p.note("%s", p.six.all())
		// The address ends being preferred, and the router being one.
		p.advertise(0, prefixOption(prefix6, 86400, 0))
		time.Sleep(100 * time.Millisecond)
		p.reply(d, []byte("go on"))
	})
	six("six-taken", sixTaken, func(p *peer) { p.note("%v", p.datagram(patience) != nil) })
	settings["six-taken"] = setting{six: options, taken: ip(ours6)}
	six("six-talk", sixTalk, func(p *peer) {
		for i := 0; i < 3; i++ {
			s := p.segment(patience)
			for s != nil && s.flags != syn {
				s = p.segment(patience)
			}
			if s == nil {
				return
			}
			p.note("%v to %v, hop limit %d, options %x", net.IP(s.packet.from), net.IP(s.packet.to), s.packet.ttl, s.options[:4])
			c := p.answer(s)
			data := c.data(patience)
			c.send(ack|psh, data.data)
			c.finish()
		}
		for i := 0; i < 3; i++ {
			d := p.datagram(patience)
			if d == nil {
				return
			}
			p.note("%v to %v: %q", net.IP(d.packet.from), net.IP(d.packet.to), d.data)
			p.reply(d, d.data)
		}
		// And the other way.
		c := p.dial(4000, port)
		c.send(ack|psh, []byte("hello"))
		p.note("%v", c.data(patience))
		c.send(fin|ack, nil)
		c.until(fin, patience)
		// Nobody is at that port.
		c = &conversation{p: p, from: 4001, to: port + 1, seq: 7, window: 1000, asked: c.asked}
		c.sendWith(syn, nil, mss(1460))
		p.note("%v", c.next(patience))
		p.sendUDP(4002, port+1, []byte("x"))
		for answer := range p.icmp {
			if answer.payload[0] < 128 {
				p.note("%d %d, %d bytes", answer.payload[0], answer.payload[1], len(answer.payload))
				break
			}
		}
		from, to := p.ends()
		p.send(writeIP6(from, to, icmp6Protocol, 64, icmp6(from, to, 128, 0, 77, []byte("echo"))))
		p.note("%q", (<-p.icmp).payload[4:])
		p.sendUDP(4000, port, nil)
	})
	six("six-nobody", func() {
		await6()
		begin := time.Now()
		_, err := net.Dial("tcp", "["+nobody6+"]:80")
		fmt.Println(said(err), about(time.Since(begin), time.Second))
		_, err = net.Dial("tcp", "[fe80::1]:80")
		fmt.Println(said(err))
		_, err = net.Dial("udp", "[fe80::1]:80")
		fmt.Println(said(err))
		_, err = net.Listen("tcp", "["+ourLocal6+"]:0")
		fmt.Println(said(err))
		_, err = net.Listen("tcp", "["+far6+"]:0")
		fmt.Println(said(err))
	}, func(*peer) {})
	six("six-connect-errors", func() {
		await6()
		for i, which := range icmp6Errors {
			_, err := dialer([2]int{syscall.TCP_SYNCNT, 1}).Dial("tcp", target6(far6, i))
			fmt.Println(which, said(err))
		}
	}, func(p *peer) {
		for s := p.segment(patience); s != nil; s = p.segment(patience) {
			which := icmp6Errors[int(s.to)-port]
			p.sendICMP(which[0], which[1], 0, s.packet.whole)
		}
	})
	six("six-udp-errors", sixUDPErrors, func(p *peer) {
		for range icmp6Errors {
			d := p.datagram(patience)
			if d == nil {
				return
			}
			which := icmp6Errors[int(d.to)-port]
			p.sendICMP(which[0], which[1], 0, d.packet.whole)
		}
	})
	six("six-sizes", sixSizes, func(p *peer) {
		d := p.datagram(patience)
		for d != nil && len(d.packet.payload) < 1300 {
			d = p.datagram(patience)
		}
		if d == nil {
			return
		}
		// Less than every way takes is nobody's word.
		p.sendICMP(2, 0, 1000, d.packet.whole)
		p.sendICMP(2, 0, 1300, d.packet.whole)
		for _, what := range []string{"never cut", "unheard", "cut here", "cut anywhere"} {
			largest, cut := 0, false
			for {
				d = p.datagram(patience)
				if d == nil || len(d.data) == 3 {
					break
				}
				cut = cut || d.packet.part&0x3fff != 0
				largest = max(largest, len(d.packet.whole))
			}
			p.note("%s: up to %d bytes, in pieces: %v", what, largest, cut)
		}
	})
	six("six-narrow", sixNarrow, func(p *peer) { p.narrow(1300, 2, 0) })
	six("six-pieces", sixPieces, func(p *peer) {
		p.datagram(patience)
		from, to := p.ends()
		send := func(length, size int, order ...int) {
			p.sendParts(udpProtocol, writeUDP(from, to, 4000, port, pattern(length)), size, order...)
			p.note("%d: %s", length, p.whole(patternWithin))
		}
		send(3000, 1000)
		send(3001, 1000, 2, 0, 3, 1)
		send(8000, 8)
		send(65500, 1200)
		send(3003, 1000, 0, 1, 3)
		// Headers that mean nothing, in front of a datagram: options to be skipped, and one that must not be.
		for _, option := range []byte{0x1e, 0x5e, 0x9e} {
			header := []byte{udpProtocol, 0, option, 4, 0, 0, 0, 0}
			p.send(writeIP6(from, to, 60, 64, append(header, writeUDP(from, to, 4000, port, pattern(10))...)))
			p.note("option %x: %s", option, p.whole(patternWithin))
		}
		p.sendUDP(4000, port, nil)
	})
}

// icmp6Errors are kinds and codes, for one port each.
var icmp6Errors = [][2]byte{{1, 0}, {1, 1}, {1, 2}, {1, 3}, {1, 4}, {1, 5}, {1, 6}, {1, 7}, {3, 0}, {3, 1}, {4, 0}, {4, 1}}

func target6(to string, number int) string { return fmt.Sprintf("[%s]:%d", to, port+number) }

func sixAddresses() {
	fmt.Println(strings.Join(await6(), "\n"))
	card, err := net.InterfaceByName("eth0")
	prog.Must(err)
	addresses, err := card.Addrs()
	fmt.Println(addresses, err)
	conn, err := net.Dial("udp", target6(near6, 0))
	prog.Must(err)
	conn.Write([]byte("settled"))
	text := make([]byte, 10)
	n, err := conn.Read(text)
	fmt.Printf("%s %v\n", text[:n], err)
	for _, line := range addresses6() {
		fmt.Println(line)
	}
	_, err = net.Dial("tcp", target6(far6, 0))
	fmt.Println(said(err))
}

// sixTaken: somebody else has what the router's prefix makes.
func sixTaken() {
	// Claims take a second each, and wait up to another one before.
	time.Sleep(6 * time.Second)
	fmt.Println(strings.Join(addresses6(), "\n"))
	_, err := net.Listen("tcp", "["+ours6+"]:0")
	fmt.Println(said(err))
	conn, err := net.Dial("udp", "["+router6+"%eth0]:7000")
	prog.Must(err)
	conn.Write([]byte("x"))
}

func sixTalk() {
	await6()
	addresses := []string{target6(near6, 0), target6(far6, 0), "[" + router6 + "%eth0]:7000"}
	for _, address := range addresses {
		conn, err := net.Dial("tcp", address)
		prog.Must(err)
		fmt.Println(conn.LocalAddr().(*net.TCPAddr).IP, conn.LocalAddr().(*net.TCPAddr).Zone, conn.RemoteAddr())
		conn.Write([]byte("hello"))
		conn.(*net.TCPConn).CloseWrite()
		text := make([]byte, 10)
		n, err := conn.Read(text)
		fmt.Printf("%q %s\n", text[:n], said(err))
		conn.Close()
	}
	for _, address := range addresses {
		conn, err := net.Dial("udp", address)
		prog.Must(err)
		fmt.Println(conn.LocalAddr().(*net.UDPAddr).IP, conn.LocalAddr().(*net.UDPAddr).Zone, conn.RemoteAddr())
		conn.Write([]byte("hello"))
		text := make([]byte, 10)
		n, err := conn.Read(text)
		fmt.Printf("%q %s\n", text[:n], said(err))
		conn.Close()
	}
	datagrams, err := net.ListenPacket("udp", fmt.Sprint(":", port))
	prog.Must(err)
	listener, err := net.Listen("tcp", fmt.Sprint(":", port))
	prog.Must(err)
	conn, err := listener.Accept()
	prog.Must(err)
	fmt.Println(conn.LocalAddr(), conn.RemoteAddr())
	text := make([]byte, 10)
	n, err := conn.Read(text)
	conn.Write(text[:n])
	conn.Read(text)
	conn.Close()
	_, from, err := datagrams.ReadFrom(text)
	fmt.Println(from, said(err))
}

func sixUDPErrors() {
	await6()
	for i, which := range icmp6Errors {
		conn, err := net.Dial("udp", target6(far6, i))
		prog.Must(err)
		conn.Write([]byte("hello"))
		conn.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
		_, err = conn.Read(make([]byte, 1))
		text := said(err)
		if strings.HasSuffix(text, "deadline") {
			text = "nothing"
		}
		fmt.Println(which, text)
		conn.Close()
	}
}

// sixSizes sends datagrams of several sizes, which nobody or we may cut.
func sixSizes() {
	await6()
	connect := func(discover int) net.Conn {
		conn, err := net.Dial("udp", target6(far6, 0))
		prog.Must(err)
		onFd(conn.(*net.UDPConn), func(fd int) {
			prog.Must(syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, discover))
		})
		return conn
	}
	write := func(conn net.Conn, length int) {
		_, err := conn.Write(make([]byte, length))
		fmt.Println(length, said(err))
	}
	conn := connect(syscall.IPV6_PMTUDISC_DO)
	for _, length := range []int{1353, 65527, 1352} {
		write(conn, length)
	}
	_, err := conn.Read(make([]byte, 1))
	fmt.Println(said(err))
	for _, discover := range []int{syscall.IPV6_PMTUDISC_DO, syscall.IPV6_PMTUDISC_PROBE, syscall.IPV6_PMTUDISC_WANT, syscall.IPV6_PMTUDISC_DONT} {
		conn := connect(discover)
		for _, length := range []int{1200, 1252, 1253, 1352, 1353, 3} {
			write(conn, length)
		}
	}
}

func sixNarrow() {
	await6()
	conn, err := net.Dial("tcp", target6(far6, 0))
	prog.Must(err)
	n, err := conn.Write(make([]byte, 30000))
	fmt.Println(n, said(err))
	conn.(*net.TCPConn).CloseWrite()
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(said(err))
}

func sixPieces() {
	await6()
	listening := make(chan bool)
	go func() {
		pieces()
		listening <- true
	}()
	time.Sleep(100 * time.Millisecond)
	conn, err := net.Dial("udp", target6(far6, 0))
	prog.Must(err)
	conn.Write([]byte("ready"))
	<-listening
}
