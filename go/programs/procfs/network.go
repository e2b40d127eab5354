package main

import (
	"fmt"
	"net"
	"strings"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// network: sockets show in the tables of /proc/net with their addresses, states, queues and inodes.
func network() {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	prog.Must(err)
	client, err := net.Dial("tcp4", listener.Addr().String())
	prog.Must(err)
	server, err := listener.Accept()
	prog.Must(err)
	six, err := net.Listen("tcp6", "[::1]:0")
	prog.Must(err)
	packets, err := net.ListenPacket("udp4", "127.0.0.1:0")
	prog.Must(err)
	connected, err := net.Dial("udp4", packets.LocalAddr().String())
	prog.Must(err)
	client.Write([]byte("unread"))
	show := func(what, file string, socket any, local, remote string, six bool) {
		inode := inodeOf(socket)
		for i, line := range lines("/proc/net/" + file)[1:] {
			fields := strings.Fields(line)
			prog.Check(fields[0] == fmt.Sprint(i, ":") || strings.HasSuffix(fields[0], ":"), "%q", line)
			if fields[9] == inode {
				address := fields[1] == local && (fields[2] == remote || remote == "")
				fmt.Println(what, address, fields[3], fields[4], len(fields), six || len(line) == 149 || len(line) == 127)
				return
			}
		}
		fmt.Println(what, "is not shown")
	}
	local := func(a net.Addr) string { return encode(a) }
	const nowhere = "00000000:0000"
	show("listener", "tcp", listener, local(listener.Addr()), nowhere, false)
	show("client", "tcp", client, local(client.LocalAddr()), local(listener.Addr()), false)
	show("server", "tcp", server, local(listener.Addr()), local(client.LocalAddr()), false)
	show("tcp6", "tcp6", six, local(six.Addr()), strings.Repeat("0", 32)+":0000", true)
	show("udp", "udp", packets, local(packets.LocalAddr()), nowhere, false)
	show("connected", "udp", connected, local(connected.LocalAddr()), local(packets.LocalAddr()), false)
	client.Close()
	show("closing", "tcp", server, local(listener.Addr()), local(server.RemoteAddr()), false)
	show("closed", "tcp", six, "", "", false)
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		fmt.Printf("%q\n", lines("/proc/net/" + file)[0])
	}
	found := map[string]bool{}
	for _, line := range lines("/proc/net/dev")[2:] {
		name, rest, _ := strings.Cut(line, ":")
		found[strings.TrimSpace(name)] = len(strings.Fields(rest)) == 16
	}
	fmt.Println("lo:", found["lo"], lines("/proc/net/dev")[1])
	fmt.Println(strings.Contains(text("/proc/net/if_inet6"), "00000000000000000000000000000001 01 80 10 80       lo\n"))
	fmt.Printf("%q\n", lines("/proc/net/route")[0])
	fmt.Println(text("/proc/net/sockstat") != "", len(strings.Fields(text("/proc/sys/net/ipv4/ip_local_port_range"))))
}

func inodeOf(socket any) string {
	raw, err := socket.(syscall.Conn).SyscallConn()
	prog.Must(err)
	var st syscall.Stat_t
	raw.Control(func(fd uintptr) { prog.Must(syscall.Fstat(int(fd), &st)) })
	return fmt.Sprint(st.Ino)
}

// encode writes an address as the tables have it: words of four bytes, least significant first.
func encode(address net.Addr) string {
	var ip net.IP
	var port int
	switch a := address.(type) {
	case *net.TCPAddr:
		ip, port = a.IP, a.Port
	case *net.UDPAddr:
		ip, port = a.IP, a.Port
	}
	if four := ip.To4(); four != nil {
		ip = four
	}
	s := ""
	for ; len(ip) >= 4; ip = ip[4:] {
		s += fmt.Sprintf("%02X%02X%02X%02X", ip[3], ip[2], ip[1], ip[0])
	}
	return fmt.Sprintf("%s:%04X", s, port)
}
