package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

const (
	page = 4096
	rw   = syscall.PROT_READ | syscall.PROT_WRITE
	all  = ^uintptr(0)
	cwd  = ^uintptr(99)
	// hole is below all that is mapped.
	hole   = 0x20000
	kernel = 0xffff888000000000
)

// arena is where good pointers point, two pages an argument with nothing behind; readOnly is a page that can be read, ground a
// place for mappings, sixteen pages long.
var arena [6]uintptr
var readOnly, ground uintptr

func must(number uintptr, args ...uintptr) uintptr {
	var a [6]uintptr
	copy(a[:], args)
	n, _, errno := syscall.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5])
	prog.Check(errno == 0, "call %d: %v", number, errno)
	return n
}

func memory(address, size, protection, flags uintptr) uintptr {
	return must(syscall.SYS_MMAP, address, size, protection, syscall.MAP_PRIVATE|syscall.MAP_ANON|flags, all, 0)
}

func arrange() {
	for i := range arena {
		arena[i] = memory(0, 4*page, rw, 0)
		must(syscall.SYS_MPROTECT, arena[i]+2*page, 2*page, syscall.PROT_NONE)
	}
	readOnly = memory(0, page, syscall.PROT_READ, 0)
	scratch = memory(0, page, rw, 0)
	// So low that no mapping gets there by itself.
	ground = memory(0x20000000, 32*page, syscall.PROT_NONE, 0x100000) + 8*page
}

func at(address uintptr, length int) []byte {
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&address)), length)
}

// values are an argument's numbers.
func values(list ...uintptr) slot {
	var s slot
	for _, value := range list {
		value := value
		s = append(s, choice{number(value), func(int) uintptr { return value }})
	}
	return s
}

func number(value uintptr) string {
	if small := int64(value); small > -1000 && small < 10000 {
		return strconv.FormatInt(small, 10)
	}
	return "0x" + strconv.FormatUint(uint64(value), 16)
}

// bad are addresses nothing can be read from.
func bad() slot {
	return slot{
		{"null", func(int) uintptr { return 0 }},
		{"hole", func(int) uintptr { return hole }},
		{"no access", func(place int) uintptr { return arena[place] + 2*page }},
		{"kernel", func(int) uintptr { return kernel }},
		{"wrapping", func(int) uintptr { return all - 3 }},
		{"boundary", func(int) uintptr { return 0x7ffffffff000 }},
	}
}

// in points to bytes; the last good address has them up to the end of what is mapped, misaligned if they are odd in number.
func in(list ...[]byte) slot {
	var s slot
	for i, bytes := range list {
		bytes := bytes
		s = append(s, choice{"in" + suffix(i), func(place int) uintptr {
			copy(at(arena[place], 2*page), bytes)
			return arena[place]
		}})
	}
	bytes := list[0]
	s = append(s, choice{"in at the end", func(place int) uintptr {
		end := arena[place] + 2*page - uintptr(len(bytes))
		copy(at(end, len(bytes)), bytes)
		return end
	}})
	if len(bytes) > 1 {
		s = append(s, choice{"in too short", func(place int) uintptr {
			end := arena[place] + 2*page - uintptr(len(bytes)) + 1
			copy(at(end, len(bytes)-1), bytes)
			return end
		}})
	}
	return append(s, bad()...)
}

func suffix(i int) string {
	if i == 0 {
		return ""
	}
	return strconv.Itoa(i)
}

// room points to where size bytes can be written.
func room(size int) slot {
	return append(slot{
		{"out", func(place int) uintptr { return arena[place] }},
		{"out too short", func(place int) uintptr { return arena[place] + 2*page - uintptr(size)/2 }},
		{"read-only", func(int) uintptr { return readOnly }},
	}, bad()...)
}

// both points to bytes that are read and written.
func both(list ...[]byte) slot {
	return append(in(list...), choice{"read-only", func(int) uintptr { return readOnly }})
}

// optional is a slot where null is what is usual.
func optional(s slot) slot {
	for i := range s {
		if s[i].label == "null" {
			s[0], s[i] = s[i], s[0]
		}
	}
	return s
}

func join(slots ...slot) slot {
	var s slot
	for _, more := range slots {
		s = append(s, more...)
	}
	return s
}

// names are paths, and bad ones.
func names(list ...string) slot {
	var s slot
	for _, name := range list {
		name := name
		label := fmt.Sprintf("%q", name)
		if len(name) > 40 {
			label = fmt.Sprintf("%q*%d", name[:1], len(name))
		}
		s = append(s, choice{label, func(place int) uintptr {
			copy(at(arena[place], 2*page), name+"\x00")
			return arena[place]
		}})
	}
	s = append(s, choice{"name without end", func(place int) uintptr {
		end := arena[place] + 2*page - 2
		copy(at(end, 2), "fx")
		return end
	}})
	return append(s, bad()...)
}

// words are little-endian 64-bit words, halves 32-bit ones.
func words(list ...uint64) []byte {
	var b []byte
	for _, word := range list {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

func halves(list ...uint32) []byte {
	var b []byte
	for _, word := range list {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	return b
}

// vectors are arrays of struct iovec, for reading and writing.
func vectors() slot {
	make := func(label string, list func(place int) []byte) choice {
		return choice{label, func(place int) uintptr {
			bytes := list(place)
			copy(at(arena[place], len(bytes)), bytes)
			return arena[place]
		}}
	}
	data := func(place int) uint64 { return uint64(arena[place]) + page }
	return append(slot{
		make("vector", func(p int) []byte { return words(data(p), 16, data(p)+100, 20) }),
		make("vector bad first", func(p int) []byte { return words(hole, 16, data(p), 20) }),
		make("vector bad second", func(p int) []byte { return words(data(p), 16, hole, 20) }),
		make("vector into nothing", func(p int) []byte { return words(data(p)+page-8, 16, data(p), 20) }),
		make("vector kernel", func(p int) []byte { return words(kernel, 16, data(p), 20) }),
		make("vector kernel second", func(p int) []byte { return words(data(p), 16, kernel, 20) }),
		make("vector of nothing", func(p int) []byte { return words(0, 0, 0, 0) }),
		make("vector of nothing first", func(p int) []byte { return words(hole, 0, data(p), 20) }),
		make("vector negative", func(p int) []byte { return words(data(p), 1<<63, data(p), 20) }),
		make("vector negative second", func(p int) []byte { return words(data(p), 16, data(p), 1<<63) }),
		make("vector huge", func(p int) []byte { return words(data(p), 1<<62, data(p), 1<<62) }),
		{"vector cut off", func(place int) uintptr {
			end := arena[place] + 2*page - 16
			copy(at(end, 16), words(data(place), 16))
			return end
		}},
	}, bad()...)
}

// matching gives the objects whose names are in the list, in its order; "*" are all.
func fds(list string) slot {
	var s slot
	add := func(o object) {
		s = append(s, choice{o.name, func(int) uintptr { return uintptr(o.make()) }})
	}
	for _, word := range strings.Fields(list) {
		for _, o := range objects {
			if word == "*" && !strings.Contains(" "+list+" ", " "+o.name+" ") || word == o.name {
				add(o)
			}
		}
	}
	return s
}
