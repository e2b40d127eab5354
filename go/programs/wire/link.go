package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

// setLink plugs the program's cable in, or out.
func (p *peer) setLink(up bool) {
	if p.monitor == "" {
		words := map[bool]string{false: "off", true: "on"}
		out, err := exec.Command("ip", "link", "set", "eth0", "carrier", words[up]).CombinedOutput()
		prog.Check(err == nil, "%s", out)
		return
	}
	// QEMU's machine protocol.
	conn, err := net.Dial("unix", p.monitor)
	prog.Must(err)
	defer conn.Close()
	fmt.Fprintln(conn, `{"execute": "qmp_capabilities"}`)
	fmt.Fprintf(conn, `{"execute": "set_link", "arguments": {"name": "net", "up": %v}}`, up)
	// A greeting and two answers.
	var said strings.Builder
	text := make([]byte, 1000)
	for strings.Count(said.String(), `"return"`) < 2 {
		n, err := conn.Read(text)
		prog.Must(err)
		said.Write(text[:n])
	}
}

func init() {
	scenes["link"] = scene{link, func(p *peer) {
		c := p.accept()
		for round := 0; round < 2; round++ {
			s := c.data(patience)
			if s == nil {
				return
			}
			p.note("%s", s.data)
			c.send(ack, nil)
			time.Sleep(50 * time.Millisecond)
			p.setLink(false)
			// Linux may take a second to tell.
			time.Sleep(2500 * time.Millisecond)
			p.setLink(true)
			if s = c.data(patience); s != nil {
				p.note("%s", s.data)
				c.send(ack|psh, []byte("ok"))
			}
		}
		c.finish()
	}}
}

// link hears of its cable by netlink.
func link() {
	news, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	prog.Must(err)
	const links = 1
	prog.Must(syscall.Bind(news, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: links}))
	conn := dialled()
	// await reads news until the card runs, or does not.
	await := func(running bool) {
		buffer := make([]byte, 8192)
		for {
			n, _, err := syscall.Recvfrom(news, buffer, 0)
			prog.Must(err)
			messages, err := syscall.ParseNetlinkMessage(buffer[:n])
			prog.Must(err)
			for _, m := range messages {
				if m.Header.Type != syscall.RTM_NEWLINK {
					continue
				}
				flags := binary.NativeEndian.Uint32(m.Data[8:])
				if flags&syscall.IFF_RUNNING != 0 == running {
					fmt.Println("running:", running, "message", m.Header.Seq, m.Header.Pid, "index", m.Data[4])
					return
				}
			}
		}
	}
	card := func() {
		card, err := net.InterfaceByName("eth0")
		prog.Must(err)
		addresses, err := card.Addrs()
		fmt.Println(card.Flags, strings.Contains(fmt.Sprint(addresses), ours), err)
	}
	card()
	for round := 0; round < 2; round++ {
		fmt.Fprintf(conn, "down %d", round)
		await(false)
		card()
		// It is sent again and again, until there is a way.
		fmt.Fprintf(conn, "up %d", round)
		await(true)
		card()
		_, err = conn.Read(make([]byte, 2))
		fmt.Println(said(err))
	}
	conn.CloseWrite()
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(said(err))
}
