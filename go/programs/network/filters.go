package main

import (
	"fmt"
	"net"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

// Classic BPF beyond what package syscall names.
const (
	beside   = 0xfffff000 // SKF_AD_OFF
	mod, xor = 0x90, 0xa0
	lock     = 44 // SO_LOCK_FILTER
)

// filters attaches programs to a socket of UDP, and tells which datagrams come through and how long.
func filters() {
	s, jump := syscall.LsfStmt, syscall.LsfJump
	keep, drop := *s(syscall.BPF_RET, 0xffff), *s(syscall.BPF_RET, 0)
	load := func(how, k int) syscall.SockFilter { return *s(syscall.BPF_LD|how, k) }
	byte0 := load(syscall.BPF_B|syscall.BPF_ABS, 8)
	give := *s(syscall.BPF_RET|syscall.BPF_A, 0)
	programs := []struct {
		name    string
		program []syscall.SockFilter
	}{
		{"all", []syscall.SockFilter{keep}},
		{"none", []syscall.SockFilter{drop}},
		{"cut", []syscall.SockFilter{*s(syscall.BPF_RET, 11)}},
		{"cut the header", []syscall.SockFilter{*s(syscall.BPF_RET, 3)}},
		{"first byte", []syscall.SockFilter{byte0, *jump(syscall.BPF_JMP|syscall.BPF_JEQ, 'b', 0, 1), keep, drop}},
		{"long ones", []syscall.SockFilter{load(syscall.BPF_W|syscall.BPF_LEN, 0), *jump(syscall.BPF_JMP|syscall.BPF_JGT, 12, 0, 1), keep, drop}},
		{"length field", []syscall.SockFilter{load(syscall.BPF_H|syscall.BPF_ABS, 4), give}},
		{"beyond", []syscall.SockFilter{load(syscall.BPF_B|syscall.BPF_ABS, 12), keep}},
		{"by X", []syscall.SockFilter{*s(syscall.BPF_LDX|syscall.BPF_IMM, 9), load(syscall.BPF_B|syscall.BPF_IND, 0), *jump(syscall.BPF_JMP|syscall.BPF_JSET, 1, 0, 1), keep, drop}},
		{"header length", []syscall.SockFilter{*s(syscall.BPF_LDX|syscall.BPF_B|syscall.BPF_MSH, 8), *s(syscall.BPF_MISC|syscall.BPF_TXA, 0), give}},
		{"scratch", []syscall.SockFilter{byte0, *s(syscall.BPF_ST, 15), load(syscall.BPF_IMM, 0), load(syscall.BPF_MEM, 15), *s(syscall.BPF_ALU|mod, 16), *s(syscall.BPF_ALU|xor, 8), give}},
		{"divided by X", []syscall.SockFilter{byte0, *s(syscall.BPF_ALU|syscall.BPF_DIV|syscall.BPF_X, 0), keep}},
		{"protocol", []syscall.SockFilter{load(syscall.BPF_H|syscall.BPF_ABS, beside), *jump(syscall.BPF_JMP|syscall.BPF_JEQ, 0x800, 0, 1), keep, drop}},
		{"interface", []syscall.SockFilter{load(syscall.BPF_W|syscall.BPF_ABS, beside+8), *jump(syscall.BPF_JMP|syscall.BPF_JEQ, 1, 0, 1), keep, drop}},
		{"no return", []syscall.SockFilter{byte0}},
		{"divided by 0", []syscall.SockFilter{*s(syscall.BPF_ALU|syscall.BPF_DIV, 0), keep}},
		{"jump out", []syscall.SockFilter{*jump(syscall.BPF_JMP|syscall.BPF_JEQ, 0, 1, 0), keep}},
		{"unwritten", []syscall.SockFilter{load(syscall.BPF_MEM, 3), keep}},
		{"unknown", []syscall.SockFilter{*s(0x1ff, 0), keep}},
		{"nothing", nil},
		{"too much", make([]syscall.SockFilter, 5000)},
	}
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	prog.Must(err)
	client, err := net.Dial("udp4", server.LocalAddr().String())
	prog.Must(err)
	raw, err := server.SyscallConn()
	prog.Must(err)
	control := func(name string, f func(fd int) error) {
		raw.Control(func(fd uintptr) { fmt.Println(name+":", prog.Name(f(int(fd)))) })
	}
	show := func() {
		for _, text := range []string{"a", "b", "bcd", "acdef", "edcba", ""} {
			_, err := client.Write([]byte(text))
			prog.Must(err)
		}
		buf := make([]byte, 100)
		for {
			// All of them are there: loopback delivers while it sends.
			server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			n, err := server.Read(buf)
			if err != nil {
				break
			}
			fmt.Printf(" %q", buf[:n])
		}
		fmt.Println()
	}
	detach := func(fd int) error { return syscall.DetachLsf(fd) }
	control("detach", detach)
	for _, each := range programs {
		program := each.program
		control(each.name, func(fd int) error {
			if program == nil {
				return setBytes(fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER, make([]byte, 16))
			}
			return syscall.AttachLsf(fd, program)
		})
		show()
	}
	control("short", func(fd int) error {
		return setBytes(fd, syscall.SOL_SOCKET, syscall.SO_ATTACH_FILTER, make([]byte, 12))
	})
	control("detach", detach)
	show()
	control("lock", func(fd int) error { return setInt(fd, syscall.SOL_SOCKET, lock, 1) })
	control("unlock", func(fd int) error { return setInt(fd, syscall.SOL_SOCKET, lock, 0) })
	control("detach", detach)
	control("attach", func(fd int) error { return syscall.AttachLsf(fd, programs[0].program) })
	raw.Control(func(fd uintptr) {
		value, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, lock)
		fmt.Println("locked", value, prog.Name(err))
	})
}
