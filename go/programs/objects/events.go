package main

import "syscall"

// events are calls that wait for files, and the files that were made for waiting.
func events() []call {
	any := func() slot { return fds("*") }
	epoll := func() slot { return fds("epoll *") }
	event := func() slot {
		return in(append(halves(1), words(7)...), append(halves(0), words(7)...), append(halves(0xffffffff), words(7)...), append(halves(1<<28|1), words(7)...), append(halves(1<<31|1), words(7)...))
	}
	counts := values(1, 0, all, 2, 1<<31, 178956970, 178956971)
	// The runtime's own signals stay blocked.
	masks := func() slot { return optional(in(words(all64))) }
	maskSizes := values(8, 0, 4, 16, all)
	zero := func() slot {
		return waitless(in(words(0, 0), words(0, 1000000000), words(1<<63, 0), words(0, 1<<63)))
	}
	flags := values(0, syscall.O_CLOEXEC, syscall.O_NONBLOCK, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 1, 2, 1<<31, 1<<32)
	polls := func() slot {
		return join(slot{polled(900, 1), polled(-1, 1), polled(-5, 0xffff)}, in(halves(900, 1), halves(0xffffffff, 1)))
	}
	sets := func() slot { return optional(both(words(0, 0), words(1<<62, 0))) }
	settings := func() slot {
		return in(words(0, 0, 0, 0), words(0, 0, 1000, 0), words(0, 0, 0, 1000000000), words(0, 1000000000, 0, 0), words(1<<63, 0, 1, 0), words(0, 0, 1<<63, 0), words(0, 0, 0, 1<<63))
	}
	// But for those that wake machines, which not every machine has.
	clocks := values(1, 0, 2, 3, 4, 5, 6, 7, 10, 11, 12, 16, all)
	return []call{
		{"epoll_create", syscall.SYS_EPOLL_CREATE, []slot{values(1, 0, all, 1<<31, 1<<32)}, closing},
		{"epoll_create1", syscall.SYS_EPOLL_CREATE1, []slot{flags}, closing},
		{"epoll_ctl", syscall.SYS_EPOLL_CTL, []slot{epoll(), values(1, 2, 3, 0, 4, all, 1<<32|1), any(), event()}, nil},
		{"epoll_wait", syscall.SYS_EPOLL_WAIT, []slot{epoll(), room(12), counts, values(0)}, nil},
		{"epoll_pwait", syscall.SYS_EPOLL_PWAIT, []slot{epoll(), room(12), counts, values(0), masks(), maskSizes}, nil},
		{"epoll_pwait2", 441, []slot{epoll(), room(12), counts, zero(), masks(), maskSizes}, nil},
		{"poll", syscall.SYS_POLL, []slot{polls(), values(1, 0, 1024, 1025, 1<<31, all), values(0)}, nil},
		{"ppoll", syscall.SYS_PPOLL, []slot{polls(), values(1, 0, 1024, 1025, 1<<31, all), zero(), masks(), maskSizes}, nil},
		{"select", syscall.SYS_SELECT, []slot{values(64, 0, 1, 8, all, 1<<31), sets(), sets(), sets(), waitless(both(words(0, 0), words(1<<63, 0), words(0, 1<<63)))}, nil},
		{"pselect6", syscall.SYS_PSELECT6, []slot{values(64, 0, 1, 8, all, 1<<31), sets(), sets(), sets(), zero(), optional(in(words(0, 8), words(0, 4), words(hole, 8), words(hole, 4)))}, nil},
		{"eventfd", 284, []slot{values(0, 1, all, 1<<32)}, closing},
		{"eventfd2", 290, []slot{values(0, 1, all, 1<<32), flags}, closing},
		{"read eventfd", syscall.SYS_READ, []slot{fds("eventfd"), room(8), values(8, 0, 7, 9, 1<<31)}, nil},
		{"write eventfd", syscall.SYS_WRITE, []slot{fds("eventfd"), in(words(1), words(0), words(all64), words(all64-1), words(all64-6)), values(8, 0, 7, 9, 1<<31)}, nil},
		{"read timerfd", syscall.SYS_READ, []slot{fds("timerfd signalfd inotify"), room(8), values(8, 0, 7, 9, 128, 127, 1<<31)}, nil},
		{"timerfd_create", 283, []slot{clocks, flags}, closing},
		{"timerfd_settime", 286, []slot{fds("timerfd *"), values(0, 1, 2, 3, 4, 1<<31), settings(), optional(room(32))}, nil},
		{"timerfd_gettime", 287, []slot{fds("timerfd *"), room(32)}, nil},
		{"signalfd", 282, []slot{fds("none *"), in(words(1 << 9)), values(8, 0, 4, 16)}, closing},
		{"signalfd4", 289, []slot{fds("none *"), in(words(1<<9), words(all64)), values(8, 0, 4, 16), flags}, closing},
		{"inotify_init1", syscall.SYS_INOTIFY_INIT1, []slot{flags}, closing},
		{"inotify_rm_watch", syscall.SYS_INOTIFY_RM_WATCH, []slot{fds("inotify *"), values(1, 0, 2, all, 1<<31)}, nil},
		{"timer_create", syscall.SYS_TIMER_CREATE, []slot{clocks[:len(clocks)-1], in(words(0, 1<<32), words(0, 10), words(0, 65), words(0, 3<<32), words(0, 4<<32|10), words(0, 2<<32|10), words(0, 9<<32)), room(4)}, deleting},
		{"timer_settime", syscall.SYS_TIMER_SETTIME, []slot{values(999, all), values(0, 1, 2), settings(), optional(room(32))}, nil},
		{"timer_gettime", syscall.SYS_TIMER_GETTIME, []slot{values(999, all), room(32)}, nil},
		{"timer_getoverrun", syscall.SYS_TIMER_GETOVERRUN, []slot{values(999, all)}, nil},
		{"timer_delete", syscall.SYS_TIMER_DELETE, []slot{values(999, all)}, nil},
		{"clock_gettime", syscall.SYS_CLOCK_GETTIME, []slot{clocks, room(16)}, nil},
		{"clock_getres", syscall.SYS_CLOCK_GETRES, []slot{clocks, room(16)}, nil},
		{"clock_nanosleep", syscall.SYS_CLOCK_NANOSLEEP, []slot{clocks, values(0, 1, 2, all), in(words(0, 0), words(0, 1), words(0, 1000000000), words(1<<63, 0), words(0, 1<<63)), room(16)}, nil},
		{"nanosleep", syscall.SYS_NANOSLEEP, []slot{in(words(0, 0), words(0, 1), words(0, 1000000000), words(1<<63, 0), words(0, 1<<63)), room(16)}, nil},
		{"getitimer", syscall.SYS_GETITIMER, []slot{values(0, 1, 2, 3, all, 1<<32), room(32)}, nil},
		{"setitimer", syscall.SYS_SETITIMER, []slot{values(0, 1, 2, 3, all, 1<<32), in(words(0, 0, 0, 0), words(0, 1000000, 0, 0), words(0, 0, 0, 1000000), words(0, 0, 1<<63, 0), words(0, 0, 0, 1<<63)), optional(room(32))}, nil},
	}
}

const all64 = 1<<64 - 1

// waitless leaves out the null pointer that says to wait for ever.
func waitless(s slot) slot {
	var left slot
	for _, c := range s {
		if c.label != "null" {
			left = append(left, c)
		}
	}
	return left
}

// polled is a pollfd of a descriptor.
func polled(fd int32, events uint32) choice {
	return choice{number(uintptr(fd)) + " for " + number(uintptr(events)), func(place int) uintptr {
		copy(at(arena[place], 8), halves(uint32(fd), events))
		return arena[place]
	}}
}

// deleting undoes timer_create: the timer's number is where the third argument points.
func deleting(uintptr) string {
	id := at(arena[2], 4)
	syscall.RawSyscall(syscall.SYS_TIMER_DELETE, uintptr(id[0])|uintptr(id[1])<<8|uintptr(id[2])<<16|uintptr(id[3])<<24, 0, 0)
	return "ok"
}
