// Objects makes each system call on each kind of descriptor, with good and bad arguments in every combination or a fixed
// choice of them, and prints what came of it: what is refused, with which error where several things are wrong, and how far
// a call got before a bad address.
//
//	objects FAMILY [COUNT] [WORD]
//
// COUNT is how many combinations of a call are tried (300), WORD what the names of the calls contain.
//
// Each combination starts from the same state: its descriptors are made for it, its memory is filled anew. None blocks.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"ringo.dev/go/internal/prog"
)

// choice is one value of an argument; prepare makes it ready.
type choice struct {
	label   string
	prepare func(place int) uintptr
}

// slot is what an argument may be. The first is what is right for most objects.
type slot []choice

type call struct {
	name   string
	number uintptr
	slots  []slot
	// then is done with the result of a call that succeeded; nil: it is printed.
	then func(result uintptr) string
}

var families = map[string]func() []call{
	"files": files, "attributes": attributes, "events": events, "maps": maps, "control": control, "sockets": sockets,
}

// last are the arguments of the last call.
var last [6]uintptr

// doing is the combination that is tried, for whoever finds that it does not end.
var doing atomic.Value

func main() {
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	confine()
	prog.Check(len(os.Args) > 1 && families[os.Args[1]] != nil, "objects FAMILY [COUNT] [WORD]")
	count, word := 300, ""
	if len(os.Args) > 2 {
		count, _ = strconv.Atoi(os.Args[2])
	}
	if len(os.Args) > 3 {
		word = os.Args[3]
	}
	go watch()
	lift()
	arrange()
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	prog.Undisturbed(func() {
		for _, c := range families[os.Args[1]]() {
			if strings.Contains(c.name, word) {
				c.try(count, out)
			}
		}
	})
	prog.Must(out.Flush())
}

// watch ends a program that hangs.
func watch() {
	last := doing.Load()
	for {
		time.Sleep(20 * time.Second)
		now := doing.Load()
		if now == last {
			fmt.Fprintln(os.Stderr, "does not end:", now)
			os.Exit(1)
		}
		last = now
	}
}

// lift makes the limits the same everywhere.
func lift() {
	for _, limit := range []struct {
		which int
		value uint64
	}{{syscall.RLIMIT_NOFILE, 1024}, {8, 64 << 10}} { // RLIMIT_MEMLOCK
		rlimit := syscall.Rlimit{Cur: limit.value, Max: limit.value}
		prog.Must(syscall.Setrlimit(limit.which, &rlimit))
	}
}

// random is a fixed sequence (xorshift64*).
type random uint64

func (r *random) below(n int) int {
	*r ^= *r >> 12
	*r ^= *r << 25
	*r ^= *r >> 27
	return int((uint64(*r) * 0x2545f4914f6cdd1d >> 33) % uint64(n))
}

// try makes all combinations of a call, or count of them: half of the arguments are the first choice then.
func (c call) try(count int, out *bufio.Writer) {
	total := 1
	for _, s := range c.slots {
		total *= len(s)
		if total > 1<<40 {
			break
		}
	}
	picks := make([]int, len(c.slots))
	sequence := random(0x9e3779b97f4a7c15)
	for n := 0; n < min(total, count); n++ {
		rest := n
		for i, s := range c.slots {
			switch {
			case total <= count:
				picks[i], rest = rest%len(s), rest/len(s)
			case i > 0 && sequence.below(2) == 0:
				picks[i] = 0
			default:
				picks[i] = sequence.below(len(s))
			}
		}
		fmt.Fprintln(out, c.once(picks))
	}
}

func (c call) once(picks []int) string {
	var labels []string
	for i, s := range c.slots {
		labels = append(labels, s[picks[i]].label)
	}
	what := c.name + "(" + strings.Join(labels, ", ") + ")"
	doing.Store(what)
	reset()
	var a [6]uintptr
	for i, s := range c.slots {
		a[i] = s[picks[i]].prepare(i)
	}
	last = a
	n, _, errno := syscall.RawSyscall6(c.number, a[0], a[1], a[2], a[3], a[4], a[5])
	result := prog.Name(errno)
	if errno == 0 {
		if c.then != nil {
			result = c.then(n)
		} else {
			result = strconv.Itoa(int(n)) + touched()
		}
	}
	clean()
	return what + " = " + result
}

// closing is what is done with a result that is a descriptor.
func closing(result uintptr) string {
	syscall.Close(int(result))
	return "ok"
}

// ok is for results that differ from run to run.
func ok(uintptr) string { return "ok" }
