// Wire tests what this machine does with packets. A program's acts use sockets as any program does; at the other end of
// its network is not a kernel but a script (`wire peer`), which answers, is silent or lies as no kernel could be told to.
// The same act and script run with Linux, in a network namespace with a tap device, and with ringo: both must say the same.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == "peer" {
		peerMain(os.Args[2], os.Args[3], os.Args[4:])
		return
	}
	acts := prog.Acts{}
	for name, each := range scenes {
		acts[name] = each.act
	}
	prog.Main(acts)
}

// A scene: what the program does, and what the other end of its network does meanwhile.
type scene struct {
	act    func()
	script func(*peer)
}

// A setting is what a scene finds beside its script.
type setting struct {
	// Options of its lease about names, and on Linux, where nobody asks for one, its /etc/resolv.conf.
	lease    []byte
	resolver string
	// The network has IPv6, and a router that says this: options of its advertisement.
	six []byte
	// Somebody else has this address.
	taken []byte
}

var settings = map[string]setting{}

const (
	ours   = "10.0.2.15"
	theirs = "10.0.2.2"
	port   = 7000
)

// said is an error as the test compares it: its name, and whether it was a time-out.
func said(err error) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, io.EOF) {
		return "EOF"
	}
	var timeout net.Error
	isTimeout := errors.As(err, &timeout) && timeout.Timeout()
	var number syscall.Errno
	switch name := prog.Name(err); {
	case isTimeout && !errors.As(err, &number):
		// The program's own.
		return "deadline"
	case isTimeout:
		return name + " (timeout)"
	default:
		return name
	}
}

// dialer dials with options of TCP set first.
func dialer(options ...[2]int) *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			for _, option := range options {
				if err := syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, option[0], option[1]); err != nil {
					failed = err
				}
			}
		})
		if err != nil {
			return err
		}
		return failed
	}}
}

// target is a port of the other end.
func target(port int) string { return fmt.Sprintf("%s:%d", theirs, port) }

// dialled is a connection to the other end.
func dialled(options ...[2]int) *net.TCPConn {
	conn, err := dialer(options...).Dial("tcp", target(port))
	prog.Must(err)
	return conn.(*net.TCPConn)
}

func onFd(conn syscall.Conn, f func(fd int)) {
	raw, err := conn.SyscallConn()
	prog.Must(err)
	prog.Must(raw.Control(func(fd uintptr) { f(int(fd)) }))
}

// about says a duration in words that two machines agree on: less than the first limit, or at least which of them.
func about(d time.Duration, limits ...time.Duration) string {
	over := "at once"
	for _, limit := range limits {
		if d >= limit {
			over = "after " + limit.String()
		}
	}
	return over
}

func names(list []string) string { return strings.Join(list, " ") }
