package main

import "syscall"

// maps are calls on memory. They work on sixteen pages of their own: eight that can be written, with bytes in them, four
// without access and four that are not mapped.
func maps() []call {
	leveled = true
	g := func(label string, offset uintptr) choice {
		return choice{label, func(int) uintptr { return ground + offset }}
	}
	places := func() slot {
		return join(slot{g("ground", 0), g("ground+1", 1), g("second page", page), g("no access", 8*page), g("unmapped", 12*page), g("before", ^uintptr(page-1))},
			values(0, page, hole, kernel, 0x7ffffffff000, 0x7fffffffe000, 1<<47, all, all-page+1))
	}
	// No size reaches memory that is not the ground's: what wraps is refused.
	sizes := values(page, 0, 1, 3*page, page+1, 12*page, 16*page, all, all-page+1, all-8191)
	huge := append(sizes[:len(sizes):len(sizes)], values(1<<47, 1<<63)...)
	protections := values(rw, 0, 1, 2, 8, 0x10, 0x01000000, 0x02000000, 1<<31, 1<<32|1)
	mappable := func() slot {
		return fds("file reader writer appender path directory pipe-in pipe-out pipe-ended fifo eventfd epoll timerfd memfd stream udp none closed")
	}
	inGround := func() slot { return slot{g("ground", 0), g("ground+1", 1), g("unmapped", 12*page)} }
	vector := func() slot {
		return join(in(words(uint64(ground), page), words(uint64(ground), page, uint64(ground)+12*page, page), words(hole, page), words(kernel, page), words(uint64(ground)+1, page)))
	}
	offsets := values(0, page, 1, 2*page, 1<<62, 1<<63, all-page+1)
	return []call{
		{"mmap anywhere", syscall.SYS_MMAP, []slot{values(0, 1, kernel, 1<<47, all), huge, protections[:6], values(0x22, 2, 1, 3, 0x21, 0x23, 0x20, 0, 4, 0x122, 0x4022, 0x80003, 1<<31|0x22, 1<<31|3), mappable(), offsets}, unmapping},
		{"mmap here", syscall.SYS_MMAP, []slot{join(inGround(), values(1, kernel, 1<<47, all-page+1)), values(page, 0, 1, 2*page, 1<<47, 1<<63, all), protections[:6], values(0x32, 0x12, 0x11, 0x13, 0x100022, 0x100012, 0x30, 0x33), mappable(), offsets}, ok},
		{"munmap", syscall.SYS_MUNMAP, []slot{slot{g("ground", 0), g("ground+1", 1), g("no access", 8*page), g("unmapped", 12*page)}, sizes[:7]}, nil},
		{"munmap nowhere", syscall.SYS_MUNMAP, []slot{values(0x7ffffffff000, kernel, 1<<47, all, all-page+1), huge}, nil},
		{"mprotect", syscall.SYS_MPROTECT, []slot{places(), sizes, protections}, nil},
		{"madvise", syscall.SYS_MADVISE, []slot{places(), sizes[:8], values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 99, all)}, nil},
		{"mincore", syscall.SYS_MINCORE, []slot{places(), sizes, room(16)}, nil},
		{"msync", syscall.SYS_MSYNC, []slot{places(), sizes, values(0, 1, 2, 4, 5, 6, 8, all)}, nil},
		{"mlock", syscall.SYS_MLOCK, []slot{places(), sizes[:6]}, nil},
		{"mlock2", 325, []slot{places(), sizes[:6], values(0, 1, 2, all)}, nil},
		{"munlock", syscall.SYS_MUNLOCK, []slot{places(), sizes}, nil},
		{"mremap", syscall.SYS_MREMAP, []slot{slot{g("ground", 0), g("ground+1", 1), g("no access", 8*page), g("unmapped", 12*page)}, sizes, sizes, values(0, 1, 2, 3, 4, 5, 7, 8, all), slot{g("second half", 8*page), g("ground", 0), g("ground+1", 1), {"kernel", func(int) uintptr { return kernel }}}}, moved},
		{"mremap of nothing", syscall.SYS_MREMAP, []slot{values(0, hole, kernel, 1<<47, all-page+1, 1), sizes, sizes, values(0, 1, 3, 5, 8), inGround()}, moved},
		{"memfd_create", 319, []slot{names("m", "", string(pattern[:249]), string(pattern[:250]), "a/b"), values(0, 1, 2, 3, 8, 0x10, 0x18, 0x20, 1<<31, 1<<32)}, closing},
		{"process_vm_readv", 310, []slot{self(), vectors(), values(2, 0, 1, 1025, 1<<32, all), vector(), values(1, 0, 2, 1025, 1<<32, all), values(0, 1)}, nil},
		{"process_vm_writev", 311, []slot{self(), vectors(), values(2, 0, 1, 1025, 1<<32, all), vector(), values(1, 0, 2, 1025, 1<<32, all), values(0, 1)}, nil},
		{"getrandom", 318, []slot{room(64), values(8, 0, 64, 9000, 1<<31, all), values(0, 1, 2, 3, 4, 6, 8, 1<<32)}, nil},
		{"membarrier", 324, []slot{values(2, 1, 4, 8, 3, 99, all), values(0, 1, 2, all)}, nil},
		{"get_robust_list", 274, []slot{values(0, 999999, all), room(8), room(8)}, nil},
		{"futex wait", syscall.SYS_FUTEX, []slot{in(halves(5), halves(0)), values(0, 128, 9, 137, 256, 265), values(0, 7), waitless(in(words(0, 0), words(0, 1000000000), words(1<<63, 0))), values(0), values(1, 0, all)}, nil},
		{"futex wake", syscall.SYS_FUTEX, []slot{in(halves(5)), values(1, 129, 10, 138, 3, 131, 4, 132, 5, 133, 99, 257), values(0, 1, all), values(0, 1, all), in(halves(5), halves(0)), values(5, 0, 1)}, nil},
	}
}

// leveled says that the calls want the ground as level makes it.
var leveled bool

// level fills the ground anew.
func level() {
	memory(ground-8*page, 32*page, syscall.PROT_NONE, syscall.MAP_FIXED)
	memory(ground, 8*page, rw, syscall.MAP_FIXED)
	memory(ground+8*page, 4*page, syscall.PROT_NONE, syscall.MAP_FIXED)
	must(syscall.SYS_MUNMAP, ground+12*page, 4*page)
	copy(at(ground, 8*page), pattern)
}

// unmapping undoes a mapping somewhere.
func unmapping(result uintptr) string {
	syscall.RawSyscall(syscall.SYS_MUNMAP, result, last[1], 0)
	return "ok"
}

// moved tells whether a mapping is where it was, or where it was sent.
func moved(result uintptr) string {
	if result >= ground && result < ground+16*page {
		return "ground+" + number(result-ground)
	}
	syscall.RawSyscall(syscall.SYS_MUNMAP, result, last[2], 0)
	return "ok"
}

// self is this process's number.
func self() slot {
	return slot{{"self", func(int) uintptr { return uintptr(syscall.Getpid()) }}}
}
