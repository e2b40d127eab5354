package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const (
	ourHardware   = "\x52\x54\x00\x12\x34\x56"
	theirHardware = "\x52\x55\x0a\x00\x02\x02"
	ipv4Kind      = 0x0800
	ipv6Kind      = 0x86dd
	arpKind       = 0x0806
)

// A cable carries Ethernet frames.
type cable interface {
	read() ([]byte, error)
	write([]byte)
}

// tap is the device of a network namespace.
type tap struct{ file *os.File }

func (t tap) read() ([]byte, error) {
	buffer := make([]byte, 2048)
	n, err := t.file.Read(buffer)
	return buffer[:n], err
}

func (t tap) write(frame []byte) { t.file.Write(frame) }

// stream is QEMU's: each frame behind its length.
type stream struct {
	conn net.Conn
	lock *sync.Mutex
}

func (s stream) read() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(s.conn, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	_, err := io.ReadFull(s.conn, frame)
	return frame, err
}

func (s stream) write(frame []byte) {
	s.lock.Lock()
	defer s.lock.Unlock()
	out := make([]byte, 4, 4+len(frame))
	binary.BigEndian.PutUint32(out, uint32(len(frame)))
	s.conn.Write(append(out, frame...))
}

// A peer is the other end of the program's network.
type peer struct {
	link cable
	// Where frames for the program go; learnt.
	hardware string
	// What came, by protocol; closed when the link is gone.
	tcp      chan *segment
	udp      chan *datagram
	icmp     chan *packet
	groups   chan *packet
	notes    []string
	sequence uint32
	id       uint16
	// To be given next.
	held *segment
	// What the lease tells besides: options of DHCP.
	lease []byte
	// The last packet of IPv6 that is not of discovery.
	lock  sync.Mutex
	asked *packet
	// What it says and has heard as a router and neighbour.
	six six
	// Where QEMU is told what becomes of the cable; none for Linux.
	monitor string
	// The act is over.
	ended chan struct{}
}

func newPeer() *peer {
	return &peer{
		hardware: ourHardware, sequence: 1000, ended: make(chan struct{}),
		tcp: make(chan *segment, 1<<16), udp: make(chan *datagram, 1<<12), icmp: make(chan *packet, 1<<12), groups: make(chan *packet, 1<<12),
	}
}

// note is a line for the test to compare.
func (p *peer) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// send sends a packet of IP.
func (p *peer) send(packet []byte) {
	if packet[0]>>4 == 6 {
		p.frame(ipv6Kind, packet)
	} else {
		p.frame(ipv4Kind, packet)
	}
}

// ends are whom the script plays, and the program: where something of IPv6 came, its two.
func (p *peer) ends() (from, to []byte) {
	if asked := p.lastAsked(); asked != nil {
		return asked.to, asked.from
	}
	return ip(theirs), ip(ours)
}

func (p *peer) lastAsked() *packet {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.asked
}

func (p *peer) frame(kind uint16, payload []byte) {
	frame := append([]byte(p.hardware+theirHardware), byte(kind>>8), byte(kind))
	frame = append(frame, payload...)
	for len(frame) < 60 {
		frame = append(frame, 0)
	}
	p.link.write(frame)
}

// trace shows segments to who looks for what goes wrong: WIRE_TRACE=1.
func (p *peer) trace(way string, s *segment) {
	if os.Getenv("WIRE_TRACE") != "" {
		fmt.Fprintln(os.Stderr, way, s.from, s.to, s, s.seq, s.ack, s.window)
	}
}

func (p *peer) sendTCP(s segment) {
	p.trace(">", &s)
	from, to := p.ends()
	if s.packet != nil {
		from, to = s.packet.to, s.packet.from
	}
	p.send(writeIP(from, to, tcpProtocol, 0, 0, writeTCP(from, to, s)))
}

func (p *peer) sendUDP(from, to uint16, data []byte) {
	source, target := p.ends()
	p.send(writeIP(source, target, udpProtocol, 0, 0, writeUDP(source, target, from, to, data)))
}

// reply sends a datagram back to where one came from.
func (p *peer) reply(d *datagram, data []byte) {
	from, to := d.packet.to, d.packet.from
	p.send(writeIP(from, to, udpProtocol, 0, 0, writeUDP(from, to, d.to, d.from, data)))
}

// sendParts sends a payload in pieces of this size, in this order; an order of none is the natural one.
func (p *peer) sendParts(protocol byte, payload []byte, size int, order ...int) {
	p.id++
	count := (len(payload) + size - 1) / size
	if order == nil {
		for i := 0; i < count; i++ {
			order = append(order, i)
		}
	}
	for _, i := range order {
		end := (i + 1) * size
		more := uint16(0x2000)
		if end >= len(payload) {
			end, more = len(payload), 0
		}
		from, to := p.ends()
		p.send(writeIP(from, to, protocol, p.id, uint16(i*size/8)|more, payload[i*size:end]))
	}
}

func (p *peer) sendICMP(kind, code byte, rest uint32, about []byte) {
	if about[0]>>4 == 6 {
		from, to := p.ends()
		if len(about) > 1232 {
			about = about[:1232]
		}
		p.send(writeIP6(from, to, icmp6Protocol, 64, icmp6(from, to, kind, code, rest, about)))
		return
	}
	p.send(writeIP(ip(theirs), ip(ours), icmpProtocol, 0, 0, icmpAbout(kind, code, rest, about)))
}

// run takes frames until the link is gone.
func (p *peer) run() {
	defer close(p.tcp)
	defer close(p.udp)
	defer close(p.icmp)
	for {
		frame, err := p.link.read()
		if err != nil {
			return
		}
		if len(frame) < 14 {
			continue
		}
		switch binary.BigEndian.Uint16(frame[12:]) {
		case arpKind:
			p.arp(frame)
		case ipv4Kind, ipv6Kind:
			if packet := parseIP(frame[14:]); packet != nil {
				p.take(packet)
			}
		}
	}
}

func (p *peer) take(packet *packet) {
	if len(packet.to) == 16 && p.members(packet) == nil {
		if packet.protocol == icmp6Protocol && p.discover(packet) {
			return
		}
		p.lock.Lock()
		p.asked = packet
		p.lock.Unlock()
	}
	if p.members(packet) != nil {
		p.groups <- packet
		return
	}
	switch packet.protocol {
	case tcpProtocol:
		if s := parseTCP(packet); s != nil {
			p.trace("<", s)
			p.tcp <- s
		}
	case udpProtocol:
		if packet.part&0x3fff != 0 {
			p.udp <- &datagram{packet: packet}
			return
		}
		d := parseUDP(packet)
		switch {
		case d == nil:
		case d.to == 67:
			p.dhcp(d.data)
		default:
			p.udp <- d
		}
	case icmpProtocol, icmp6Protocol:
		p.icmp <- packet
	}
}

func (p *peer) arp(frame []byte) {
	if len(frame) < 42 || frame[21] != 1 {
		return
	}
	about := [4]byte(frame[38:42])
	// Nobody is at 77.
	if about[3] == 77 || about == ip4(ours) {
		return
	}
	answer := append([]byte{0, 1, 8, 0, 6, 4, 0, 2}, theirHardware...)
	answer = append(append(answer, about[:]...), frame[22:32]...)
	p.frame(arpKind, answer)
}

// dhcp lends the one address.
func (p *peer) dhcp(question []byte) {
	if len(question) < 243 {
		return
	}
	kind := byte(0)
	for options := question[240:]; len(options) > 2 && options[0] != 255; {
		if options[0] == 53 {
			kind = options[2]
		}
		if len(options) < 2+int(options[1]) {
			break
		}
		options = options[2+int(options[1]):]
	}
	answers := map[byte]byte{1: 2, 3: 5}
	if answers[kind] == 0 {
		return
	}
	answer := make([]byte, 240)
	copy(answer, question[:44])
	answer[0] = 2
	router := ip(theirs)
	copy(answer[16:], ip(ours))
	copy(answer[236:], "\x63\x82\x53\x63")
	answer = append(answer, 53, 1, answers[kind], 54, 4)
	answer = append(append(answer, router...), 51, 4, 0, 1, 0, 0, 1, 4, 255, 255, 255, 0, 3, 4)
	answer = append(append(append(answer, router...), p.lease...), 255)
	everybody := []byte{255, 255, 255, 255}
	p.send(writeIP(router, everybody, udpProtocol, 0, 0, writeUDP(router, everybody, 67, 68, answer)))
}

// peerMain is `wire peer linux ACT` and `wire peer ringo ACT COMMAND...`: runs the act and the script of a scene, says what
// the act says, then what the script noted, and ends as the act did.
func peerMain(where, name string, command []string) {
	scene, ok := scenes[name]
	prog.Check(ok, "there is no scene %s", name)
	switch where {
	case "linux":
		// Again, in a network of its own.
		inside := exec.Command("/proc/self/exe", "peer", "namespace", name)
		inside.Stdout, inside.Stderr = os.Stdout, os.Stderr
		identity := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
		inside.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: identity(os.Getuid()), GidMappings: identity(os.Getgid()),
			Pdeathsig: syscall.SIGKILL,
		}
		if settings[name].resolver != "" {
			inside.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
		}
		end(inside.Run())
	case "namespace":
		if text := settings[name].resolver; text != "" {
			showResolver(text)
		}
		scene.play(settings[name], openTap(settings[name].six != nil), exec.Command("/proc/self/exe", name))
	case "ringo":
		folder, err := os.MkdirTemp("", "wire")
		prog.Must(err)
		listener, err := net.Listen("unix", filepath.Join(folder, "wire"))
		prog.Must(err)
		// QEMU with our network instead of its own.
		qemu := os.Getenv("RINGO_QEMU")
		if qemu == "" {
			qemu = "qemu-system-x86_64"
		}
		monitor := filepath.Join(folder, "monitor")
		script := fmt.Sprintf("#!/bin/sh\nfor a; do shift; case $a in user,id=net*) a=stream,id=net,server=off,addr.type=unix,addr.path=%s;; esac; set -- \"$@\" \"$a\"; done\nexec %s \"$@\" -qmp unix:%s,server=on,wait=off\n",
			listener.Addr(), qemu, monitor)
		file := filepath.Join(folder, "qemu")
		prog.Must(os.WriteFile(file, []byte(script), 0o755))
		act := exec.Command(command[0], append(command[1:], name)...)
		act.Env = append(os.Environ(), "RINGO_QEMU="+file)
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, err := listener.Accept()
			if err == nil {
				accepted <- conn
			}
		}()
		code := scene.playOver(settings[name], monitor, func() cable {
			select {
			case conn := <-accepted:
				return stream{conn, new(sync.Mutex)}
			case <-time.After(30 * time.Second):
				return nil
			}
		}, act)
		os.RemoveAll(folder)
		os.Exit(code)
	}
}

func openTap(v6 bool) cable {
	// Not yet pollable: os.OpenFile would register it with epoll before it is a device.
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	prog.Must(err)
	var request [40]byte
	copy(request[:], "eth0")
	const tapWithoutInformation, setInterface = 0x1002, 0x400454ca
	request[16], request[17] = tapWithoutInformation&0xff, tapWithoutInformation>>8
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), setInterface, uintptr(unsafe.Pointer(&request[0])))
	prog.Check(errno == 0, "TUNSETIFF: %v", errno)
	if !v6 {
		os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
	}
	for _, line := range []string{
		"link set lo up", "link set eth0 address 52:54:00:12:34:56 up", "addr add " + ours + "/24 dev eth0", "route add default via " + theirs,
	} {
		out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput()
		prog.Check(err == nil, "ip %s: %v %s", line, err, out)
	}
	return tap{os.NewFile(uintptr(fd), "tap")}
}

func (s scene) play(with setting, over cable, act *exec.Cmd) {
	os.Exit(s.playOver(with, "", func() cable { return over }, act))
}

func (s scene) playOver(with setting, monitor string, over func() cable, act *exec.Cmd) int {
	p := newPeer()
	p.monitor = monitor
	p.lease = with.lease
	p.six.options, p.six.taken = with.six, with.taken
	var out strings.Builder
	act.Stdout, act.Stderr = &out, os.Stderr
	act.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	prog.Must(act.Start())
	done := make(chan bool)
	if p.link = over(); p.link != nil {
		go p.run()
		go func() {
			s.script(p)
			close(done)
		}()
	} else {
		close(done)
	}
	err := act.Wait()
	// What it sent last is on its way.
	time.AfterFunc(200*time.Millisecond, func() { close(p.ended) })
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		p.note("the script did not end")
	}
	fmt.Print(out.String())
	for _, note := range p.notes {
		fmt.Println("peer:", note)
	}
	return code(err)
}

func code(err error) int {
	if failed, ok := err.(*exec.ExitError); ok {
		return failed.ExitCode()
	}
	prog.Must(err)
	return 0
}

func end(err error) { os.Exit(code(err)) }
