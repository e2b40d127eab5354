// Kinds tests the kinds of file that are not plain files: what polls them, FIFOs, memory files, moves between pipes, inotify.
// Every result is printed, and compared with Linux.
package main

import (
	"os"
	"sort"
	"strings"
	"syscall"
	"unsafe"

	"ringo.dev/go/internal/prog"
)

func main() {
	acts := prog.Acts{
		"poll": poll, "poll-many": pollMany, "poll-mask": pollMask, "poll-interrupted": pollInterrupted, "select": selects,
		"select-errors": selectErrors, "poll-states": pollStates,
		"fifo": in(fifo), "fifo-nonblocking": in(fifoNonblocking), "fifo-both": in(fifoBoth), "fifo-poll": in(fifoPoll),
		"memfd": in(memfd), "seals": in(seals), "read-only-mapping": in(readOnlyMapping),
		"splice": in(splices), "splice-errors": in(spliceErrors), "tee": tees, "vmsplice": vmsplices, "copies": in(copies), "packets": packets,
		"inotify-directory": in(inotifyDirectory), "inotify-file": in(inotifyFile), "inotify-both": in(inotifyBoth),
		"inotify-flags": in(inotifyFlags), "inotify-reading": in(inotifyReading), "inotify-overflow": in(inotifyOverflow),
		"inotify-threads": in(inotifyThreads), "splice-wakes": in(spliceWakes), "half-written": halfWritten, "short-memory": in(shortMemory),
		"epoll-nesting": epollNesting, "epoll-closed": epollClosed,
	}
	prog.Main(acts)
}

// in runs an act in a fresh directory.
func in(act func()) func() {
	return func() {
		dir, err := os.MkdirTemp("", "kinds")
		prog.Must(err)
		defer os.RemoveAll(dir)
		prog.Must(os.Chdir(dir))
		syscall.Umask(022)
		act()
		prog.Must(os.Chdir("/"))
	}
}

// kept holds what path made: a uintptr does not.
var kept []*byte

func path(name string) uintptr {
	p, err := syscall.BytePtrFromString(name)
	prog.Must(err)
	kept = append(kept, p)
	return uintptr(unsafe.Pointer(p))
}

func pipe() (int, int) {
	var p [2]int
	prog.Must(syscall.Pipe2(p[:], syscall.O_CLOEXEC))
	return p[0], p[1]
}

func eventfd() int {
	fd, name := prog.Call(sysEventfd2, 0, syscall.O_NONBLOCK)
	prog.Check(name == "ok", "eventfd: %s", name)
	return fd
}

const (
	sysPoll        = 7
	sysSelect      = 23
	sysPpoll       = 271
	sysPselect6    = 270
	sysEventfd2    = 290
	sysMemfdCreate = 319
)

// bits names the POLL* bits.
func bits(events int16) string {
	names := map[int16]string{1: "IN", 2: "PRI", 4: "OUT", 8: "ERR", 16: "HUP", 32: "NVAL", 64: "RDNORM", 128: "RDBAND", 256: "WRNORM",
		512: "WRBAND", 0x400: "MSG", 0x2000: "RDHUP"}
	var list []string
	for bit, name := range names {
		if events&bit != 0 {
			list = append(list, name)
		}
	}
	sort.Strings(list)
	return "[" + strings.Join(list, " ") + "]"
}
