package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

// Groups of the scenes: one that the program joins and leaves, and one that nobody is in.
const (
	group4  = "239.1.2.3"
	group6  = "ff05::1:3"
	nobody4 = "239.1.2.4"
)

// members tells who is in a group: what reports say, as records of kind and group.
func (p *peer) members(packet *packet) (records []string) {
	m := packet.payload
	size, at := 8, 8
	switch {
	case packet.protocol == igmpProtocol && m[0] == 0x22:
	case packet.protocol == icmp6Protocol && m[0] == 143:
		size = 20
	case packet.protocol == igmpProtocol && len(m) == 8:
		return []string{fmt.Sprintf("old %x %v", m[0], net.IP(m[4:8]))}
	case packet.protocol == icmp6Protocol && len(m) == 24 && (m[0] == 131 || m[0] == 132):
		return []string{fmt.Sprintf("old %d %v", m[0], net.IP(m[8:24]))}
	default:
		return nil
	}
	for count := be.Uint16(m[6:]); count > 0 && at+size <= len(m); count-- {
		records = append(records, fmt.Sprintf("%d %v", m[at], net.IP(m[at+4:at+size])))
		at += size
	}
	return
}

// reported waits for a record about a group and says how it came.
func (p *peer) reported(want string) string {
	deadline := time.After(4 * time.Second)
	for {
		select {
		case packet := <-p.groups:
			if packet == nil {
				return "nothing"
			}
			if slices.Contains(p.members(packet), want) {
				return fmt.Sprintf("%s at %v, hop limit %d", want, net.IP(packet.to), packet.ttl)
			}
		case <-deadline:
			return "no " + want
		}
	}
}

func (p *peer) igmp(to string, message ...byte) {
	be.PutUint16(message[2:], fold(sum(0, message)))
	packet := writeIP(ip(theirs), ip(to), igmpProtocol, 0, 0, message)
	packet[8] = 1
	packet[10], packet[11] = 0, 0
	be.PutUint16(packet[10:], fold(sum(0, packet[:20])))
	p.send(packet)
}

func (p *peer) mld(group string, within uint32, more ...byte) {
	from, to := ip(router6), ip("ff02::1")
	message := icmp6(from, to, 130, 0, within<<16, append(append([]byte{}, ip(group)...), more...))
	option := []byte{icmp6Protocol, 0, 5, 2, 0, 0, 1, 0}
	p.send(writeIP6(from, to, optionsProtocol, 1, append(option, message...)))
}

func init() {
	scenes["groups"] = scene{groups4, func(p *peer) {
		tell := func(text string) {
			p.send(writeIP(ip(theirs), ip(ours), udpProtocol, 0, 0, writeUDP(ip(theirs), ip(ours), 4000, port, []byte(text))))
		}
		send := func(to string) {
			p.send(writeIP(ip(theirs), ip(to), udpProtocol, 0, 0, writeUDP(ip(theirs), ip(to), 4000, port, []byte(to))))
		}
		p.awaitUDP()
		send(group4)
		send(nobody4)
		tell("join")
		p.note("%s", p.reported("4 "+group4))
		p.note("again: %s", p.reported("4 "+group4))
		send(group4)
		send(nobody4)
		// What it sends there itself.
		d := p.datagram(patience)
		for d != nil && string(d.data) != "to the group" {
			d = p.datagram(patience)
		}
		if d == nil {
			return
		}
		p.note("%v to %v, hop limit %d", net.IP(d.packet.from), net.IP(d.packet.to), d.packet.ttl)
		// Questions: for all, for the one, of a router that knows nothing newer.
		p.igmp("224.0.0.1", 0x11, 5, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0)
		p.note("%s", p.reported("2 "+group4))
		p.igmp(group4, 0x11, 5, 0, 0, 239, 1, 2, 3, 2, 125, 0, 0)
		p.note("%s", p.reported("2 "+group4))
		tell("leave")
		p.note("%s", p.reported("3 "+group4))
		p.note("again: %s", p.reported("3 "+group4))
		send(group4)
		tell("join")
		p.note("%s", p.reported("4 "+group4))
		p.igmp("224.0.0.1", 0x11, 5, 0, 0, 0, 0, 0, 0)
		p.note("%s", p.reported("old 16 "+group4))
		tell("leave")
		p.note("%s", p.reported("old 17 "+group4))
		tell("end")
		for d := p.datagram(patience); d != nil; d = p.datagram(patience) {
			if d.to == port+6 {
				p.note("%v: %s", net.IP(d.packet.to), d.data)
			}
		}
	}}
	scenes["groups6"] = scene{groups6, func(p *peer) {
		d := p.datagram(patience)
		if d == nil {
			return
		}
		// The groups in which it is asked for its addresses are told, too.
		p.note("%s", p.reported("4 ff02::1:ff12:3456"))
		tell := func(text string) { p.reply(d, []byte(text)) }
		send := func(to string) {
			from := ip(near6)
			p.send(writeIP6(from, ip(to), udpProtocol, 1, writeUDP(from, ip(to), 4000, d.from, []byte(to))))
		}
		send(group6)
		tell("join")
		p.note("%s", p.reported("4 "+group6))
		p.note("again: %s", p.reported("4 "+group6))
		send(group6)
		send("ff05::1:4")
		e := p.datagram(patience)
		if e == nil {
			return
		}
		p.note("%v to %v, hop limit %d: %s", net.IP(e.packet.from), net.IP(e.packet.to), e.packet.ttl, e.data)
		p.mld("::", 500, 2, 125, 0, 0)
		p.note("%s", p.reported("2 "+group6))
		p.mld(group6, 500, 2, 125, 0, 0)
		p.note("%s", p.reported("2 "+group6))
		tell("leave")
		p.note("%s", p.reported("3 "+group6))
		tell("join")
		p.note("%s", p.reported("4 "+group6))
		p.mld("::", 500)
		p.note("%s", p.reported("old 131 "+group6))
		tell("leave")
		p.note("%s", p.reported("old 132 "+group6))
		tell("end")
	}}
	settings["groups6"] = setting{six: prefixOption(prefix6, 86400, 14400)}
}

// inGroups says which groups of a family the card is in.
func inGroups(v6 bool) {
	card, err := net.InterfaceByName("eth0")
	prog.Must(err)
	addresses, err := card.MulticastAddrs()
	prog.Must(err)
	var all []string
	for _, address := range addresses {
		if strings.Contains(address.String(), ":") == v6 {
			all = append(all, address.String())
		}
	}
	slices.Sort(all)
	fmt.Println(strings.Join(all, " "))
}

// converse joins, leaves and sends as it is told, and says what comes.
func converse(conn *net.UDPConn, group net.IP, join, leave func() error) {
	text := make([]byte, 100)
	for {
		n, from, err := conn.ReadFromUDP(text)
		prog.Must(err)
		said := string(text[:n])
		switch said {
		case "?":
			conn.WriteTo([]byte("!"), from)
			continue
		case "join":
			fmt.Println("join", join(), prog.Name(join()))
		case "leave":
			fmt.Println("leave", leave(), prog.Name(leave()))
		case "end":
			return
		default:
			fmt.Println(said)
		}
		if said != group.String() {
			inGroups(len(group) == 16)
			continue
		}
		_, err = conn.WriteTo([]byte("to the group"), &net.UDPAddr{IP: group, Port: port + 5})
		prog.Must(err)
	}
}

func groups4() {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
	prog.Must(err)
	request := &syscall.IPMreqn{Multiaddr: ip4(group4), Ifindex: 0}
	set := func(option int) (failed error) {
		onFd(conn, func(fd int) { failed = syscall.SetsockoptIPMreqn(fd, syscall.IPPROTO_IP, option, request) })
		return
	}
	converse(conn, net.ParseIP(group4).To4(), func() error { return set(syscall.IP_ADD_MEMBERSHIP) }, func() error { return set(syscall.IP_DROP_MEMBERSHIP) })
	withinMachine()
}

// withinMachine sends to groups that are here as well as outside.
func withinMachine() {
	card, err := net.InterfaceByName("eth0")
	prog.Must(err)
	group := &net.UDPAddr{IP: net.ParseIP(group4), Port: port + 6}
	first, err := net.ListenMulticastUDP("udp4", card, group)
	prog.Must(err)
	second, err := net.ListenMulticastUDP("udp4", nil, group)
	prog.Must(err)
	heard := func() (all string) {
		text := make([]byte, 100)
		for _, conn := range []*net.UDPConn{first, second} {
			conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			n, from, err := conn.ReadFromUDP(text)
			if err != nil {
				all += said(err) + ", "
				continue
			}
			all += fmt.Sprintf("%s from %v, ", text[:n], from.IP)
		}
		return
	}
	sender, err := net.DialUDP("udp4", nil, group)
	prog.Must(err)
	for _, how := range []struct {
		text        string
		option, set int
	}{
		{"once", syscall.IP_MULTICAST_TTL, 3}, {"only outside", syscall.IP_MULTICAST_LOOP, 0}, {"inside again", syscall.IP_MULTICAST_LOOP, 1},
		{"only inside", syscall.IP_MULTICAST_TTL, 0},
	} {
		onFd(sender, func(fd int) { prog.Must(syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, how.option, how.set)) })
		_, err := sender.Write([]byte(how.text))
		fmt.Println(how.text, said(err), heard())
	}
	// By loopback, where the first is not, and the second is neither.
	onFd(sender, func(fd int) {
		prog.Must(syscall.SetsockoptInet4Addr(fd, syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1}))
	})
	sender.Write([]byte("loopback"))
	fmt.Println(heard())
	// As golang.org/x/net asks for it: struct group_req.
	const join, leave = 42, 45
	request := make([]byte, 136)
	request[0], request[8] = byte(card.Index), syscall.AF_INET
	copy(request[12:], net.ParseIP(nobody4).To4())
	for _, option := range []int{join, join, leave, leave} {
		onFd(sender, func(fd int) {
			fmt.Println(prog.Name(syscall.SetsockoptString(fd, syscall.IPPROTO_IP, option, string(request))))
		})
		inGroups(false)
	}
}

func groups6() {
	await6()
	conn, err := net.ListenUDP("udp6", nil)
	prog.Must(err)
	_, err = conn.WriteTo([]byte("hello"), &net.UDPAddr{IP: net.ParseIP(near6), Port: port})
	prog.Must(err)
	request := &syscall.IPv6Mreq{Multiaddr: [16]byte(net.ParseIP(group6)), Interface: 2}
	set := func(option int) (failed error) {
		onFd(conn, func(fd int) { failed = syscall.SetsockoptIPv6Mreq(fd, syscall.IPPROTO_IPV6, option, request) })
		return
	}
	converse(conn, net.ParseIP(group6), func() error { return set(syscall.IPV6_JOIN_GROUP) }, func() error { return set(syscall.IPV6_LEAVE_GROUP) })
}
