// Bench measures what a program asks of its operating system, and what it does without asking.
//
// It is the same executable on both sides of the comparison: `ringo bench` runs it as a Linux process and in ring 0,
// alternating, and compares the medians. Alone it prints one line a case: name, nanoseconds per operation.
//
//	bench              all cases
//	bench -list        their names
//	bench -case NAME   one (repeatable, by prefix)
//	bench -difference  as exactly as time can be told: for a machine whose clock counts instructions
//	bench -count N     N operations, without finding out how many fit into the time
//	bench -init        as the first process of a Linux guest (guest.go)
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// A benchmark does its operation n times. What it prepares first it does before it calls start.
type benchmark struct {
	name string
	run  func(n int, start func())
}

type names []string

func (n *names) String() string     { return strings.Join(*n, ",") }
func (n *names) Set(s string) error { *n = append(*n, s); return nil }

func main() {
	var wanted names
	list := flag.Bool("list", false, "print the names of the cases")
	length := flag.Duration("time", 200*time.Millisecond, "how long a measurement takes")
	difference := flag.Bool("difference", false, "subtract the time of n operations from that of 2n: what begins and ends a measurement cancels out")
	count := flag.Int("count", 0, "do the operation so many times")
	alone := flag.Bool("init", false, "be a Linux guest's first process")
	flag.Var(&wanted, "case", "run the cases whose names begin with `NAME` (repeatable)")
	flag.Parse()
	if *alone {
		prepareGuest()
		defer endGuest()
	}
	for _, b := range benchmarks {
		if !selected(b.name, wanted) {
			continue
		}
		if *list {
			fmt.Println(b.name)
			continue
		}
		if *count > 0 {
			fmt.Printf("%s\t%.2f\n", b.name, once(b, *count)/float64(*count))
			continue
		}
		n, ns := measure(b, *length)
		if *difference {
			ns = (once(b, 2*n) - once(b, n)) / float64(n)
		}
		fmt.Printf("%s\t%.2f\n", b.name, ns)
	}
}

func selected(name string, wanted names) bool {
	for _, w := range wanted {
		if strings.HasPrefix(name, w) {
			return true
		}
	}
	return len(wanted) == 0
}

// measure finds how often the operation fits in the time, then returns that and its nanoseconds.
func measure(b benchmark, length time.Duration) (int, float64) {
	for n := 1; ; {
		took := once(b, n)
		if took >= float64(length)*0.8 || n >= 1<<40 {
			return n, took / float64(n)
		}
		// Towards the goal, but never by more than a hundredfold: the first operations are slow ones.
		next := int(float64(n) * float64(length) / (took + 1))
		n = max(n+1, min(next, n*100))
	}
}

// once returns the nanoseconds of n operations.
func once(b benchmark, n int) float64 {
	runtime.GC()
	var begin time.Time
	b.run(n, func() { begin = time.Now() })
	return float64(time.Since(begin).Nanoseconds())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
