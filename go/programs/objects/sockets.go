package main

import (
	"encoding/binary"
	"syscall"
)

// sockets are the calls of sockets, on them and on everything else.
func sockets() []call {
	any := func() slot { return fds("stream datagrams udp tcp *") }
	four := func(ip uint32, port uint16) []byte {
		return append(binary.BigEndian.AppendUint32(append(words(2)[:2], byte(port>>8), byte(port)), ip), make([]byte, 8)...)
	}
	six := append(append(words(10)[:2], 0, 9), make([]byte, 24)...)
	six[23] = 1
	unix := append(words(1)[:2], "/missing\x00"...)
	abstract := append(words(1)[:2], "\x00nobody"...)
	addresses := func() slot {
		return in(four(0x7f000001, 9), six, unix, abstract, words(0, 0), words(99, 0), four(0x7f000001, 0), four(0, 9), four(0xffffffff, 9), append(words(1)[:2], "f\x00"...), words(16, 0))
	}
	lengths := values(16, 0, 1, 2, 3, 9, 11, 28, 24, 128, 129, 1<<31, all)
	size := func() slot {
		return both(halves(16), halves(0), halves(1), halves(128), halves(1<<31), halves(0xffffffff))
	}
	flags := values(0x40, 0, 1, 2, 0x20, 0x42, 0x4000, 0x8000, 0x10000, 0x40000000, 1<<31)
	kinds := values(1, 2, 3, 4, 5, 6, 0, 7, 9, 1|0x800, 1|0x80000, 1|0x1000, 1<<32|1, all)
	names, values4 := values(1, 2, 3, 4, 6, 7, 8, 9, 13, 16, 17, 20, 21, 28, 30, 38, 39, 0, 99, all), values(4, 0, 1, 3, 8, 16, 1<<31, all)
	return []call{
		{"socket", syscall.SYS_SOCKET, []slot{values(2, 1, 10, 16, 0, 100, 3, 45, 46, 99, all, 1<<32|2), kinds, values(0, 6, 17, 1, 58, 132, 255, 256, all)}, closing},
		{"socketpair", syscall.SYS_SOCKETPAIR, []slot{values(1, 2, 10, 16, 0, 99, all), kinds, values(0, 1, 6, all), room(8)}, both8},
		{"bind", syscall.SYS_BIND, []slot{any(), in(four(0x7f000001, 0), four(0x01020304, 0), six[:26], words(0, 0), words(99, 0), words(16, 0), append(words(1)[:2], "f\x00"...), append(words(1)[:2], "missing/x\x00"...)), lengths}, nil},
		{"connect", syscall.SYS_CONNECT, []slot{any(), addresses(), lengths}, nil},
		{"listen", syscall.SYS_LISTEN, []slot{any(), values(5, 0, all, 1<<31)}, nil},
		{"accept", syscall.SYS_ACCEPT, []slot{any(), optional(room(16)), optional(size())}, nil},
		{"accept4", syscall.SYS_ACCEPT4, []slot{any(), optional(room(16)), optional(size()), values(0, 0x800, 0x80000, 1, 1<<31)}, nil},
		{"getsockname", syscall.SYS_GETSOCKNAME, []slot{any(), room(16), size()}, nil},
		{"getpeername", syscall.SYS_GETPEERNAME, []slot{any(), room(16), size()}, nil},
		{"shutdown", syscall.SYS_SHUTDOWN, []slot{any(), values(0, 1, 2, 3, all)}, nil},
		{"sendto", syscall.SYS_SENDTO, []slot{any(), in(pattern[:64]), values(8, 0, 9000, 1<<31, 1<<62, all), flags, optional(addresses()), lengths}, nil},
		{"recvfrom", syscall.SYS_RECVFROM, []slot{any(), room(64), values(8, 0, 9000, 1<<31, 1<<62, all), append(flags[:1:1], values(0x42, 0x60, 0x41, 0x40000040, 0x2040)...), optional(room(16)), optional(size())}, nil},
		{"sendmsg", syscall.SYS_SENDMSG, []slot{any(), messages(), flags}, nil},
		{"recvmsg", syscall.SYS_RECVMSG, []slot{any(), messages(), append(flags[:1:1], values(0x42, 0x60, 0x41, 0x40000040)...)}, nil},
		{"sendmmsg", 307, []slot{any(), messages(), values(1, 0, 1<<31, all), flags}, nil},
		{"recvmmsg", 299, []slot{any(), messages(), values(1, 0, 1<<31, all), values(0x40, 0x42, 0x10040), optional(in(words(0, 0), words(0, 1000000000), words(1<<63, 0)))}, nil},
		{"getsockopt", syscall.SYS_GETSOCKOPT, []slot{any(), values(1, 6, 0, 41, 17, 99, all), names, room(16), both(halves(4), halves(0), halves(1), halves(3), halves(8), halves(1<<31), halves(0xffffffff))}, nil},
		{"setsockopt", syscall.SYS_SETSOCKOPT, []slot{any(), values(1, 6, 0, 41, 17, 99, all), values(2, 9, 13, 20, 21, 5, 3, 4, 10, 17, 28, 30, 38, 39, 99, all), in(words(1, 0), words(0, 0), words(all64, all64), words(0, 1000000)), values4}, nil},
	}
}

// both8 closes a pair whose descriptors are where the fourth argument points.
func both8(uintptr) string {
	pair := at(arena[3], 8)
	syscall.Close(int(binary.LittleEndian.Uint32(pair)))
	syscall.Close(int(binary.LittleEndian.Uint32(pair[4:])))
	return "ok"
}

// messages are struct msghdr (and, with zeros behind them, mmsghdr).
func messages() slot {
	header := func(label string, list func(data uint64) []uint64) choice {
		return choice{label, func(place int) uintptr {
			data := uint64(arena[place]) + page
			copy(at(arena[place]+512, 32), words(data, 8, data+100, 20))
			copy(at(arena[place], 64), words(list(data)...))
			return arena[place]
		}}
	}
	vector := func(data uint64) uint64 { return data - page + 512 }
	return append(slot{
		header("message", func(d uint64) []uint64 { return []uint64{0, 0, vector(d), 2, 0, 0, 0, 0} }),
		header("message of one", func(d uint64) []uint64 { return []uint64{0, 0, vector(d), 1, 0, 0, 0, 0} }),
		header("message of nothing", func(d uint64) []uint64 { return []uint64{0, 0, 0, 0, 0, 0, 0, 0} }),
		header("message too many", func(d uint64) []uint64 { return []uint64{0, 0, vector(d), 1025, 0, 0, 0, 0} }),
		header("message far too many", func(d uint64) []uint64 { return []uint64{0, 0, vector(d), 1 << 32, 0, 0, 0, 0} }),
		header("message nowhere", func(d uint64) []uint64 { return []uint64{0, 0, hole, 2, 0, 0, 0, 0} }),
		header("message kernel", func(d uint64) []uint64 { return []uint64{0, 0, kernel, 2, 0, 0, 0, 0} }),
		header("message name nowhere", func(d uint64) []uint64 { return []uint64{hole, 16, vector(d), 2, 0, 0, 0, 0} }),
		header("message name negative", func(d uint64) []uint64 { return []uint64{d, 1 << 31, vector(d), 2, 0, 0, 0, 0} }),
		header("message name long", func(d uint64) []uint64 { return []uint64{d, 200, vector(d), 2, 0, 0, 0, 0} }),
		header("message null name", func(d uint64) []uint64 { return []uint64{0, 16, vector(d), 2, 0, 0, 0, 0} }),
		header("message control nowhere", func(d uint64) []uint64 { return []uint64{0, 0, vector(d), 2, hole, 24, 0, 0} }),
		header("message control huge", func(d uint64) []uint64 { return []uint64{0, 0, vector(d), 2, d, 1 << 31, 0, 0} }),
		header("message control of zeros", func(d uint64) []uint64 { return []uint64{0, 0, vector(d), 2, d + 1024, 24, 0, 0} }),
	}, bad()...)
}
