package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

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
		// Linux may miss a socket that changes its state while it is at the table.
		for start := time.Now(); time.Since(start) < time.Second; {
			for _, line := range lines("/proc/net/" + file)[1:] {
				fields := strings.Fields(line)
				prog.Check(strings.HasSuffix(fields[0], ":"), "%q", line)
				if fields[9] == inode {
					address := fields[1] == local && fields[2] == remote
					fmt.Println(what, address, fields[3], fields[4], len(fields), six || len(line) == 149 || len(line) == 127)
					return
				}
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
	// A line of names, and one of as many values.
	tables := map[string]bool{}
	for _, file := range []string{"snmp", "netstat"} {
		all := lines("/proc/net/" + file)
		for i := 0; i+1 < len(all); i += 2 {
			names, values := strings.Fields(all[i]), strings.Fields(all[i+1])
			tables[names[0]] = names[0] == values[0] && len(names) == len(values)
		}
	}
	for _, name := range []string{"Ip", "Icmp", "Tcp", "Udp", "UdpLite", "TcpExt", "IpExt"} {
		fmt.Println(name, tables[name+":"])
	}
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		fmt.Printf("%q\n", lines("/proc/net/" + file)[0])
	}
	unixSockets()
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

func unixSockets() {
	dir := os.TempDir()
	path := dir + "/procfs-socket"
	os.Remove(path)
	listener, err := net.Listen("unix", path)
	prog.Must(err)
	client, err := net.Dial("unix", path)
	prog.Must(err)
	server, err := listener.Accept()
	prog.Must(err)
	hidden, err := net.Listen("unix", "@procfs\x00hidden")
	prog.Must(err)
	datagrams, err := net.ListenPacket("unixgram", "@procfs-datagrams")
	prog.Must(err)
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET, 0)
	prog.Must(err)
	end := os.NewFile(uintptr(pair[0]), "pair")
	for _, each := range []any{listener, client, server, hidden, datagrams, end} {
		inode := inodeOf(each)
		for _, line := range lines("/proc/net/unix")[1:] {
			fields := strings.SplitN(line, " ", 7)
			rest := strings.Fields(fields[6])
			if rest[0] == inode {
				fmt.Println(len(fields[0]), fields[1:6], strings.ReplaceAll(strings.Join(rest[1:], " "), dir, "DIR"))
			}
		}
	}
	fmt.Println(lines("/proc/net/unix")[0])
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
