package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"syscall"

	"ringo.dev/go/internal/prog"
)

// generic asks the controller of generic netlink for families.
func generic() {
	const (
		protocol  = 16
		request   = syscall.NLM_F_REQUEST
		getFamily = 3
	)
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, protocol)
	prog.Must(err)
	prog.Must(syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}))
	timeout := syscall.Timeval{Usec: 50_000}
	prog.Must(syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout))
	attribute := func(kind uint16, data string) []byte {
		all := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
		all = append(binary.NativeEndian.AppendUint16(all, kind), data...)
		for len(all)%4 != 0 {
			all = append(all, 0)
		}
		return all
	}
	ask := func(name string, kind, flags uint16, body []byte) {
		fmt.Println(name)
		message := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
		message = binary.NativeEndian.AppendUint16(message, kind)
		message = binary.NativeEndian.AppendUint16(message, flags)
		message = append(message, 7, 0, 0, 0, 0, 0, 0, 0)
		prog.Must(syscall.Sendto(fd, append(message, body...), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}))
		buf := make([]byte, 32768)
		for {
			n, _, err := syscall.Recvfrom(fd, buf, 0)
			if err != nil {
				break
			}
			answers, err := syscall.ParseNetlinkMessage(buf[:n])
			prog.Must(err)
			for _, answer := range answers {
				header := answer.Header
				// Families of other numbers are this Linux's own.
				if flags&syscall.NLM_F_DUMP == 0 || header.Type != 16 || bytes.Contains(answer.Data, []byte("nlctrl\x00")) {
					// The port in the header of a request is chance.
					data := answer.Data
					if header.Type == syscall.NLMSG_ERROR && len(data) >= 20 {
						data = data[:16]
					}
					fmt.Println(" ", header.Type, header.Flags, header.Seq, data)
				}
			}
		}
	}
	name := func(family string) []byte { return append([]byte{getFamily, 1, 0, 0}, attribute(2, family+"\x00")...) }
	number := func(family string) []byte { return append([]byte{getFamily, 1, 0, 0}, attribute(1, family)...) }
	ask("nothing", 0, request|syscall.NLM_F_ACK, nil)
	ask("no request", 16, syscall.NLM_F_ACK, name("nlctrl"))
	ask("controller", 16, request, name("nlctrl"))
	ask("controller, acknowledged", 16, request|syscall.NLM_F_ACK, name("nlctrl"))
	ask("by number", 16, request, number("\x10\x00"))
	ask("list", 16, request|syscall.NLM_F_DUMP, []byte{getFamily, 1, 0, 0})
	ask("no such name", 16, request, name("no-such"))
	ask("no such number", 16, request, number("\xff\xff"))
	ask("no name", 16, request, []byte{getFamily, 1, 0, 0})
	ask("no header", 16, request, nil)
	ask("no command", 16, request, []byte{200, 1, 0, 0})
	ask("no family", 999, request, []byte{1, 1, 0, 0})
	route, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW, syscall.NETLINK_ROUTE)
	prog.Must(err)
	prog.Must(syscall.SetsockoptTimeval(route, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout))
	fd = route
	ask("nothing of routes", 0, request|syscall.NLM_F_ACK, nil)
}
